"""What is said of a master that is missing is what the catalogue knows: frames there, frames kept out, masters too old.

By default three frames make a master; a bias is valid for 90 days.
"""

import csv
import io

import pytest

from tests.scanned import Scanned


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a scanned night with only two flats, and the path of a light."""
    place = Scanned(tmp_path_factory.mktemp("lacking"))
    place.night(flats=2)
    place.scan()
    return place


def row(place, kind):
    return next(it for it in place.json("frames") if it["kind"] == kind)


def reasons(place, at):
    rows = csv.DictReader(io.StringIO(place.output("coverage", "--csv", "--at", at)))
    return {it["kind"]: it["reason"] for it in rows}


def test_a_light_tells_how_many_flats_there_are(place):
    text = place.output("explain", row(place, "light")["path"])
    assert "frames there: 2 flats in V, 3 needed (masters.flat.minimum)" in text
    assert "2 flats in V, 3 needed (masters.flat.minimum)" in reasons(place, "2026-01-16")["flat"]


def test_coverage_names_the_newest_master_although_it_is_long_invalid(place):
    # the last bias of the evening of 2026-01-15 is more than 150 and less than 151 days before 2026-06-15
    found = reasons(place, "2026-06-15")["bias"]
    assert "(2026-01-15), too old: 150." in found
    assert "valid 90 d" in found
    assert "no biases of this configuration in nights 2026-03-16 to 2026-06-14" in found


def test_a_rejected_flat_is_told(tmp_path):
    place = Scanned(tmp_path)
    place.night(flats=2)
    place.scan()
    place.output("reject", row(place, "flat")["path"], "--reason", "a cloud")
    place.scan()
    text = place.output("explain", row(place, "light")["path"])
    assert "1 flat in V, 3 needed (masters.flat.minimum); kept out: 1 rejected by an operator" in text


def test_a_flat_that_is_too_few_says_so(place):
    flat = row(place, "flat")
    assert (flat["state"], flat["reason"]) == ("done", "catalogued")
    text = place.output("explain", flat["path"])
    assert "in no master   2 flats in V, 3 needed (masters.flat.minimum)" in text


def test_a_member_names_its_masters(tmp_path):
    """The master of three biases is superseded by that of the two that are left, once one is rejected."""
    place = Scanned(tmp_path, more="[masters.bias]\nminimum = 2\n")
    place.night()
    place.scan()
    (old,) = place.json("masters", "--kind", "bias")
    rejected, kept = [it["path"] for it in place.json("frames") if it["kind"] == "bias"][:2]
    assert f"in master      {old['path']} of night 2026-01-15, in force" in place.output("explain", kept)
    place.output("reject", rejected, "--reason", "a cloud")
    place.scan()
    (new,) = place.json("masters", "--kind", "bias")
    lines = place.output("explain", kept).splitlines()
    assert f"  in master      {new['path']} of night 2026-01-15, in force" in lines
    assert f"  in master      {old['path']} of night 2026-01-15, superseded" in lines


def test_figures_of_frames_and_masters_are_told_apart(tmp_path):
    place = Scanned(tmp_path)
    place.night(flats=3)
    place.scan()
    head, *lines = place.output("qa", "--metric", "flat_level_adu").splitlines()
    of = [line.split()[head.split().index("of") - 1] for line in lines]  # "time (UTC)" is one column of two words
    # each of the three flats, and the master of them above the bias
    assert sorted(of) == ["frame", "frame", "frame", "master"]


def test_groups_of_a_night_are_not_called_nights(place):
    """A bias, a dark and a flat group of one night."""
    text = place.output("requeue", "--all")
    assert "Due again: 2 frames and the masters of 3 groups of a night's calibration frames." in text
    assert "Due:      2 lights, 3 groups of a night's calibration frames," in place.output("status")
    place.scan()
