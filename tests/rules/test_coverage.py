"""What science used against the masters that are valid: each expectation follows from the defaults by hand.

Defaults: a bias is valid for 90 d, a dark for 180 d, a flat for 30 d; three frames make a master, ten a green one;
darks scale down to 1/100 and up to 2; temperatures may differ by 0.5 C.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from ingestd.records import Break, Kind, ScienceUse
from ingestd.rules import coverage, groups, windows
from ingestd.rules.coverage import Status
from ingestd.settings import parse_settings
from tests.rules.builders import EPOCH, NIGHT, configuration, master, night_frame

SETTINGS = parse_settings({"camera": [{"name": "main"}]})
CMOS = configuration(gain_setting=100.0, offset_setting=30.0)
NOW = EPOCH + timedelta(hours=12)


@dataclass
class Shelf:
    """A catalogue of lists."""

    lights: list = field(default_factory=list)
    stock: list = field(default_factory=list)
    calibrations: list = field(default_factory=list)
    known_breaks: list = field(default_factory=list)

    def newest_science_night(self):
        return max((light.night for light in self.lights), default=None)

    def science_uses(self, first_night, last_night):
        return [
            ScienceUse(
                it.camera,
                it.configuration.key(),
                it.ccd_temp_c,
                it.exposure_s,
                it.filter_name,
                1,
                it.obs_start,
                it.frame_id,
            )
            for it in self.lights
            if first_night <= it.night <= last_night
        ]

    def frame(self, frame_id):
        return next((light for light in self.lights if light.frame_id == frame_id), None)

    def masters_of_setup(self, camera, setup, kind, *, since=None, until=None):
        return [
            it
            for it in self.stock
            if (it.camera, windows.setup_of(it.configuration), it.kind) == (camera, setup, kind)
            and (since is None or it.last_obs >= since)
            and (until is None or it.last_obs <= until)
        ]

    def breaks(self, camera, setup):
        return [it for it in self.known_breaks if (it.camera, it.setup) == (camera, setup)]

    def usable_frames(self, group, first_night, last_night):
        return [
            it for it in self.calibrations if groups.group_of(it) == group and first_night <= it.night <= last_night
        ]

    def group_rows(self, group, first_night, last_night):
        good = {"decision": None, "state": "done", "live": 1, "superseded": 0, "screened": "", "measured": 1}
        found = self.usable_frames(group, first_night, last_night)
        return [good | {"ccd_temp_c": it.ccd_temp_c, "flags": "[]"} for it in found]


def lights(count=1, nights_ago=0, **changes):
    names = [f"light {nights_ago} {number} {sorted(changes.items())}" for number in range(count)]
    return [night_frame(Kind.LIGHT, name, nights_ago, **changes) for name in names]


def full_stock(**changes):
    return [master(kind, f"{kind} {changes}", **changes) for kind in (Kind.BIAS, Kind.DARK, Kind.FLAT)]


def survey(shelf, settings=SETTINGS, now=NOW, **options):
    return coverage.survey(shelf, settings, now, **options)


def statuses(found):
    return {it.kind: it.status for it in found.covers}


def wanted(found):
    return [(it.kind, it.exposure_s, it.filter_name, it.science_frames) for it in found.needs]


# --- combinations -----------------------------------------------------------------------------------------------------


def test_no_science_needs_nothing():
    assert survey(Shelf()) == coverage.Coverage(NOW, None, None, coverage.EXPIRING_D, (), (), ())


def test_nights_count_back_from_the_newest_science_frame():
    shelf = Shelf([*lights(2), *lights(3, nights_ago=13, filter_name="R"), *lights(1, nights_ago=14, filter_name="B")])
    found = survey(shelf, now=NOW + timedelta(days=400))
    assert (found.first_night, found.last_night) == (groups.night_before(NIGHT, 13), NIGHT)
    assert [(it.filter_name, it.frames) for it in found.combinations] == [("R", 3), ("V", 2)]


def test_steps_of_the_temperature_sensor_are_one_combination():
    shelf = Shelf([*lights(2, ccd_temp_c=-4.818), *lights(3, ccd_temp_c=-5.232), *lights(1, ccd_temp_c=-9.9)])
    found = survey(shelf)
    # the median of three times -5.232 and twice -4.818
    assert [(it.ccd_temp_c, it.frames) for it in found.combinations] == [(-9.9, 1), (-5.232, 5)]


def test_filters_share_the_conditions_of_their_darks():
    shelf = Shelf([*lights(1, ccd_temp_c=-10.1), *lights(2, ccd_temp_c=-9.9, filter_name="R")])
    found = survey(shelf)
    assert {(it.filter_name, it.ccd_temp_c, it.exposure_s) for it in found.combinations} == {
        ("V", -9.9, 300.0),
        ("R", -9.9, 300.0),
    }


def test_a_missing_temperature_is_a_combination_of_its_own():
    found = survey(Shelf([*lights(1), *lights(1, ccd_temp_c=None)]))
    assert [it.ccd_temp_c for it in found.combinations] == [-10.0, None]


# --- covered, expiring, missing ---------------------------------------------------------------------------------------


def test_masters_of_an_earlier_hardware_epoch_cover_nothing():
    shelf = Shelf(lights(), full_stock(), [night_frame(Kind.BIAS, f"old {n}", 3) for n in range(2)])
    setup = windows.setup_of(shelf.lights[0].configuration.key())
    tonight = groups.night_of(NOW, None)
    shelf.known_breaks = [Break("main", setup, tonight, NIGHT, "detected", "bias level jumped")]
    found = survey(shelf)
    assert set(statuses(found).values()) == {Status.MISSING}
    assert all(f"of the epoch before {tonight}: bias level jumped" in it.reason for it in found.covers)
    # what is there was taken with the old hardware
    assert {it.have for it in found.needs} == {0}


def test_an_exact_dark_and_a_flat_cover_and_the_dark_carries_the_bias():
    found = survey(Shelf(lights(), full_stock()))
    assert statuses(found) == {Kind.DARK: Status.COVERED, Kind.FLAT: Status.COVERED}
    assert found.needs == ()
    assert {it.take for it in found.covers} == {0}


def test_validity_ends_so_many_days_after_the_last_member():
    found = survey(Shelf(lights(), full_stock()))
    assert {it.kind: it.valid_until for it in found.covers} == {
        Kind.DARK: EPOCH + timedelta(days=180),
        Kind.FLAT: EPOCH + timedelta(days=30),
    }


@pytest.mark.parametrize(
    ("age_d", "status"), [(22.4, "covered"), (22.6, "expiring"), (29.4, "expiring"), (29.6, "missing")]
)
def test_a_flat_of_thirty_days_expires_within_seven(age_d, status):
    """NOW is half a day after EPOCH: at the age of 22.5 d before EPOCH exactly seven days are left."""
    shelf = Shelf(lights(), [*full_stock()[:2], master(Kind.FLAT, age_d=age_d)])
    assert statuses(survey(shelf))[Kind.FLAT] == status


def test_the_last_of_several_masters_decides_when_coverage_ends():
    """The younger flat of three members is chosen later, but it serves."""
    flats = [master(Kind.FLAT, "old", age_d=25), master(Kind.FLAT, "young", age_d=20, grade="red")]
    (flat,) = [it for it in survey(Shelf(lights(), flats)).covers if it.kind is Kind.FLAT]
    assert (flat.master.night, flat.valid_until) == (flats[0].night, EPOCH + timedelta(days=10))
    assert flat.status == Status.COVERED


def test_another_filter_is_missing_with_its_reason():
    found = survey(Shelf(lights(filter_name="R"), full_stock()))
    (flat,) = [it for it in found.covers if it.kind is Kind.FLAT]
    assert (flat.status, flat.master, flat.take) == (Status.MISSING, None, 1)
    assert flat.reason.startswith("needs a flat in filter R.")


def test_a_step_that_the_camera_does_not_require_is_not_asked_for():
    settings = parse_settings({"camera": [{"name": "main", "requires": ["flat"]}]})
    assert set(statuses(survey(Shelf(lights()), settings))) == {Kind.FLAT}


def test_where_a_scaled_dark_loses_its_bias_the_bias_is_expiring():
    """The bias is valid for 5 more days; new biases are all that has to be taken."""
    stock = [master(Kind.BIAS, age_d=84.5), master(Kind.DARK, exposure_s=600.0), master(Kind.FLAT)]
    found = survey(Shelf(lights(), stock))
    assert statuses(found) == {Kind.BIAS: Status.EXPIRING, Kind.DARK: Status.COVERED, Kind.FLAT: Status.COVERED}
    assert wanted(found) == [(Kind.BIAS, None, None, 1)]


# --- what to take -----------------------------------------------------------------------------------------------------


def test_nothing_there_asks_for_bias_dark_and_flat_in_the_order_of_the_steps():
    found = survey(Shelf(lights(4)))
    assert wanted(found) == [(Kind.BIAS, None, None, 4), (Kind.DARK, 300.0, None, 4), (Kind.FLAT, None, "V", 4)]
    assert {(it.to_minimum, it.to_good, it.status) for it in found.needs} == {(3, 10, Status.MISSING)}
    assert [(it.kind, it.take) for it in found.covers] == [(Kind.BIAS, 1), (Kind.DARK, 2), (Kind.FLAT, 3)]


def test_what_serves_most_science_frames_comes_first():
    shelf = Shelf([*lights(5, filter_name="R"), *lights(7, filter_name="B")], full_stock())
    assert wanted(survey(shelf)) == [(Kind.FLAT, None, "B", 7), (Kind.FLAT, None, "R", 5)]


def test_one_long_dark_serves_shorter_exposures_where_darks_scale():
    """600 s serves 600 s, 60 s by scaling down by ten, and 500 s; none of those serves all three."""
    stock = [it for it in full_stock() if it.kind is not Kind.DARK]
    shelf = Shelf([*lights(1, exposure_s=600.0), *lights(9, exposure_s=60.0), *lights(1, exposure_s=500.0)], stock)
    found = survey(shelf)
    assert wanted(found) == [(Kind.DARK, 600.0, None, 11)]
    assert found.needs[0].note == "other exposures are served by scaling it"


def test_darks_beyond_the_scaling_limit_are_asked_for_one_by_one():
    """100 is the limit of scaling down: a dark of 600 s serves 6 s but not 5 s."""
    stock = [it for it in full_stock() if it.kind is not Kind.DARK]
    shelf = Shelf([*lights(1, exposure_s=600.0), *lights(2, exposure_s=5.0)], stock)
    assert wanted(survey(shelf)) == [(Kind.DARK, 5.0, None, 2), (Kind.DARK, 600.0, None, 1)]


def test_a_cmos_camera_gets_exact_darks_and_no_bias():
    changes = {"configuration": CMOS}
    shelf = Shelf([*lights(1, exposure_s=600.0, **changes), *lights(9, exposure_s=60.0, **changes)])
    found = survey(shelf)
    assert wanted(found) == [
        (Kind.FLAT, None, "V", 10),
        (Kind.DARK, 60.0, None, 9),
        (Kind.DARK, 600.0, None, 1),
    ]
    assert found.needs[0].note.startswith("and darks of the exposure of these flats")


def test_a_short_exposure_of_a_cmos_camera_needs_a_bias():
    """Up to matching.dark.bias_only_max_s (1 s) the bias alone is subtracted."""
    found = survey(Shelf(lights(exposure_s=0.5, configuration=CMOS)))
    assert set(statuses(found)) == {Kind.BIAS, Kind.FLAT}


def test_bursts_at_other_temperatures_are_served_by_one_bias_within_the_tolerance():
    """-10.0 and -10.9 are two clusters of 0.5 C; a bias of one does not serve the other."""
    shelf = Shelf([*lights(2), *lights(1, ccd_temp_c=-10.9)], [master(Kind.FLAT)])
    biases = [it for it in survey(shelf).needs if it.kind is Kind.BIAS]
    assert [(it.ccd_temp_c, it.science_frames) for it in biases] == [(-10.0, 2), (-10.9, 1)]


def test_a_full_frame_serves_the_windows_in_it():
    """Science in a window of the sensor and in all of it: biases, darks and flats of the whole serve both."""
    whole = configuration(window=(0, 0))
    window = configuration(window=(100, 100), width_px=200, height_px=100)
    shelf = Shelf([*lights(2, configuration=window), *lights(1, configuration=whole)])
    assert wanted(survey(shelf)) == [(Kind.BIAS, None, None, 3), (Kind.DARK, 300.0, None, 3), (Kind.FLAT, None, "V", 3)]
    assert {it.configuration for it in survey(shelf).needs} == {whole.key()}
    stock = full_stock(configuration=whole.key())
    assert survey(Shelf(shelf.lights, stock)).needs == ()


def test_frames_of_the_window_count():
    """Two darks of the exposure at the temperature are there: one more makes a master, eight more a green one."""
    darks = [night_frame(Kind.DARK, f"dark {number}", 5, filter_name=None) for number in range(2)]
    others = [
        night_frame(Kind.DARK, "long", 5, exposure_s=600.0),
        night_frame(Kind.DARK, "warm", 5, ccd_temp_c=-9.0),
        night_frame(Kind.DARK, "before the window of 90 d", 100),
    ]
    stock = [it for it in full_stock() if it.kind is not Kind.DARK]
    (need,) = survey(Shelf(lights(), stock, [*darks, *others])).needs
    assert (need.have, need.to_minimum, need.to_good) == (2, 1, 8)


def test_the_maximum_of_the_settings_bounds_what_is_asked_for():
    settings = parse_settings({"camera": [{"name": "main"}], "masters": {"flat": {"minimum": 3, "maximum": 5}}})
    (need,) = survey(Shelf(lights(), full_stock()[:2]), settings).needs
    assert (need.to_minimum, need.to_good) == (3, 5)


def test_what_is_missing_comes_before_what_expires():
    shelf = Shelf([*lights(9), *lights(1, filter_name="R")], [*full_stock()[:2], master(Kind.FLAT, age_d=25)])
    found = survey(shelf)
    assert [(it.filter_name, it.status) for it in found.needs] == [("R", "missing"), ("V", "expiring")]


def test_cameras_are_told_apart():
    shelf = Shelf([*lights(2), *lights(1, camera="guide")], full_stock())
    found = survey(shelf)
    assert {(it.camera, it.science_frames) for it in found.needs} == {("guide", 1)}


def test_the_order_of_the_frames_does_not_matter():
    science = [*lights(2), *lights(3, filter_name="R", exposure_s=60.0), *lights(1, ccd_temp_c=-15.0)]
    there, back = (survey(Shelf(order)) for order in (science, science[::-1]))
    assert there == back


def test_a_frame_that_has_left_the_catalogue_is_left_out():
    shelf = Shelf(lights())
    shelf.frame = lambda _: None
    assert survey(shelf).covers == ()


def test_a_dark_subtracted_frame_needs_only_its_flat():
    assert set(statuses(survey(Shelf(lights(flags=("dark_subtracted",)))))) == {Kind.FLAT}


def test_the_temperature_of_two_frames_is_between_them():
    """The colder of both, -10.2 C, is the temperature of neither filter's group."""
    shelf = Shelf(lights=[*lights(ccd_temp_c=-10.0, filter_name="V"), *lights(ccd_temp_c=-10.2, filter_name="R")])
    found = coverage.survey(shelf, SETTINGS, NOW)
    assert [it.ccd_temp_c for it in found.combinations] == [pytest.approx(-10.1)] * 2
