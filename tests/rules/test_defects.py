"""Which masters tell the bad pixels."""

from dataclasses import replace
from itertools import permutations

from ingestd.records import Break, Kind
from ingestd.rules.defects import telling
from ingestd.settings import DarkMatching
from tests.rules.builders import master

RULE = DarkMatching(max_delta_temp_c=0.5, exposure_tolerance_s=0.05, exposure_tolerance_ratio=0.01)


def told(masters, nights=1):
    """Return the only set-up's masters."""
    (found,) = telling(masters, lambda _: RULE, lambda _camera, _setup: (), nights).values()
    return found


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
        assert {it.master_id for (it,) in told(order)} == {it.master_id for it in chosen}


def test_behind_each_stand_the_nights_before_as_many_as_are_asked_for():
    nights = [f"2025-01-0{day}" for day in (5, 4, 2, 1)]
    biases = [replace(master(Kind.BIAS), master_id=night, night=night) for night in nights]
    for number in (1, 3, 9):
        (found,) = told(reversed(biases), number)
        assert [it.night for it in found] == nights[:number]


def test_only_darks_of_equal_exposure_and_temperature_tell_the_same():
    def dark(day, exposure_s, ccd_temp_c):
        return replace(
            master(Kind.DARK), master_id=str(day), night=f"2025-01-0{day}", exposure_s=exposure_s, ccd_temp_c=ccd_temp_c
        )

    alike = [dark(9, 300.0, -10.0), dark(8, 302.9, -10.0), dark(7, 300.0, -10.5), dark(6, 297.1, -9.5)]
    others = [dark(5, 303.1, -10.0), dark(4, 300.0, -10.6), dark(3, 300.0, None), dark(2, 60.0, -10.0)]
    assert told([*others, *alike], nights=9) == (tuple(alike),)


def test_one_master_stands_for_a_night():
    cold = replace(master(Kind.BIAS), master_id="a", night="2025-01-05", ccd_temp_c=-20.0)
    twin = replace(cold, master_id="b", ccd_temp_c=-10.0)
    assert told([twin, cold], nights=9) == ((twin,),)


def test_set_ups_stand_apart():
    first = master(Kind.BIAS)
    other = replace(first, configuration=first.configuration + "x", master_id="other")
    assert telling([first, other], lambda _: RULE, lambda _camera, _setup: (), 1) == {
        (first.camera, first.configuration): ((first,),),
        (other.camera, other.configuration): ((other,),),
    }


def test_masters_beyond_a_break_of_the_hardware_are_of_another_sensor():
    nights = ["2025-01-05", "2025-01-04", "2025-01-03"]
    masters = [replace(master(Kind.BIAS), master_id=night, night=night) for night in nights]
    own = masters[0]
    opened = Break(own.camera, "any", "2025-01-04", "2025-01-03", "confirmed", "new camera")
    (found,) = telling(masters, lambda _: RULE, lambda *_: (opened,), 7).values()
    assert [it.night for it in found[0]] == nights[:2]
    undone = replace(opened, status="undone")
    (found,) = telling(masters, lambda _: RULE, lambda *_: (undone,), 7).values()
    assert [it.night for it in found[0]] == nights
