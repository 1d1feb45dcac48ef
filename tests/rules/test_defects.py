"""Which masters tell the bad pixels."""

from dataclasses import replace
from itertools import permutations

from ingestd.records import Kind
from ingestd.rules.defects import telling
from tests.rules.builders import master


def test_the_newest_of_each_kind_and_filter_and_the_longest_dark_tell():
    old, new = "2025-01-01", "2025-01-05"
    chosen = [
        replace(master(Kind.BIAS), master_id="bias", night=new),
        replace(master(Kind.DARK), master_id="dark", night=new, exposure_s=300.0),
        replace(master(Kind.FLAT), master_id="flat V", night=old, filter_name="V"),
        replace(master(Kind.FLAT), master_id="flat r", night=new, filter_name="r"),
    ]
    others = [
        replace(master(Kind.BIAS), master_id="old bias", night=old),
        replace(master(Kind.DARK), master_id="short dark", night=new, exposure_s=5.0),
        replace(master(Kind.DARK), master_id="old dark", night=old, exposure_s=900.0),
    ]
    for order in permutations([*chosen, *others]):
        (found,) = telling(order).values()
        assert {it.master_id for it in found} == {it.master_id for it in chosen}


def test_set_ups_stand_apart():
    first = master(Kind.BIAS)
    other = replace(first, configuration=first.configuration + "x", master_id="other")
    assert telling([first, other]) == {
        (first.camera, first.configuration): (first,),
        (other.camera, other.configuration): (other,),
    }
