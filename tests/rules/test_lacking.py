"""How many frames one master could have: by default three of one temperature, and of darks of one exposure, make it."""

import pytest

from ingestd.records import Break, Kind
from ingestd.rules import groups
from ingestd.rules.lacking import flaw, frames_in_words
from ingestd.settings import Camera, parse_settings
from tests.rules.builders import NIGHT, night_frame
from tests.rules.test_coverage import Shelf

RULES = parse_settings({"camera": [{"name": "main"}]}).rules_of("main")


def frames(kind, count, nights_ago=0, **changes):
    return [
        night_frame(kind, f"{kind} {nights_ago} {it} {sorted(changes.items())}", nights_ago, **changes)
        for it in range(count)
    ]


def words(*found, known=(), ccd_temp_c=-10.0):
    group = groups.group_of(found[0])
    shelf = Shelf(calibrations=list(found), known_breaks=list(known))
    nights = groups.night_before(NIGHT, 30), NIGHT
    return frames_in_words(shelf, group, nights, ccd_temp_c, RULES, Camera("main"))


def test_darks_of_two_exposures_do_not_add_up():
    found = words(*frames(Kind.DARK, 2, exposure_s=300.0), *frames(Kind.DARK, 1, exposure_s=60.0))
    assert found == (
        "2 darks of 300 s at -10.0 C, 3 needed (masters.dark.minimum); 1 more of other conditions or nights"
    )


def test_biases_of_another_temperature_do_not_count():
    assert words(*frames(Kind.BIAS, 1), *frames(Kind.BIAS, 5, ccd_temp_c=-20.0)) == (
        "1 bias at -10.0 C, 3 needed (masters.bias.minimum)"
    )


def test_flats_further_apart_than_the_window_do_not_add_up():
    """The window of flats is 14 d."""
    assert words(*frames(Kind.FLAT, 2), *frames(Kind.FLAT, 1, nights_ago=15)) == (
        "2 flats in V, 3 needed (masters.flat.minimum); 1 more of other conditions or nights"
    )


def test_frames_beyond_a_break_do_not_add_up():
    bias = frames(Kind.BIAS, 2)
    known = Break("main", groups.group_of(bias[0]).configuration.partition(" @ ")[0], NIGHT, "", "set", "", "")
    assert words(*bias, *frames(Kind.BIAS, 2, nights_ago=1), known=[known]).startswith("2 biases")


def test_enough_flats_wait_for_what_they_are_calibrated_with():
    assert words(*frames(Kind.FLAT, 3)) == (
        "3 flats in V, 3 needed (masters.flat.minimum): enough, if a master bias or dark fits them"
    )


GOOD = {
    "decision": None,
    "state": "done",
    "reason": "",
    "live": 1,
    "superseded": 0,
    "screened": "",
    "measured": 1,
    "flags": "[]",
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"decision": "rejected"}, "rejected by an operator"),
        ({"state": "quarantined", "reason": "incomplete"}, "quarantined: incomplete"),
        ({"live": 0}, "the raw file is gone"),
        ({"screened": "saturated"}, "saturated"),
        ({"screened": "saturated", "decision": "accepted"}, ""),
        ({"flags": '["no_date"]'}, "no_date"),
        ({"measured": 0, "screened": None}, "not measured yet"),
    ],
)
def test_what_keeps_a_frame_out_is_named(changes, why):
    assert flaw(GOOD | changes) == why
