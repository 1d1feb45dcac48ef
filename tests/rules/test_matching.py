"""The choice of masters, rule by rule, by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingestd.records import Kind, Match, NotNeeded, Wait
from ingestd.rules import matching
from ingestd.settings import ORDER as WORDS
from ingestd.settings import Camera, FlatMatching, Matching, Settings, parse_settings
from tests.rules.builders import EPOCH, configuration, frame, master

CAMERA = Camera("main")
SETTINGS = Settings(camera=(CAMERA,))
BIAS = master(Kind.BIAS)
FLAT = master(Kind.FLAT)


def choose(subject, *masters, camera=CAMERA, settings=SETTINGS):
    by_kind = {kind: [it for it in masters if it.kind is kind] for kind in (Kind.BIAS, Kind.DARK, Kind.FLAT)}
    return matching.calibration_for(subject, by_kind, settings, camera)


def dark(name="dark", **changes):
    return master(Kind.DARK, name, **changes)


def chosen(choice):
    """Return the name of the chosen master and how it is used."""
    assert isinstance(choice, Match), choice
    return choice.master.path.rsplit("/", 1)[1].removesuffix(".fits"), choice.how


# --- dark-policy rank -------------------------------------------------------------------------------------------------


def test_exact_dark_carries_the_bias():
    found = choose(frame(), BIAS, dark(), FLAT)
    assert chosen(found.dark) == ("dark", "exact")
    assert found.bias == NotNeeded(Kind.BIAS, "the exact dark carries it")
    assert not found.better_possible


def test_exact_dark_needs_no_bias_at_all():
    found = choose(frame(), dark(), FLAT)
    assert chosen(found.dark) == ("dark", "exact")
    assert found.waits == ()


def test_exact_dark_wins_over_a_scaled_one_that_is_nearer_in_time():
    old_exact, new_long = dark("exact", age_d=100), dark("long", exposure_s=600.0)
    assert chosen(choose(frame(), BIAS, old_exact, new_long).dark) == ("exact", "exact")


def test_scaling_down_wins_over_scaling_up():
    found = choose(frame(), BIAS, dark("long", exposure_s=600.0, age_d=100), dark("short", exposure_s=200.0))
    assert chosen(found.dark) == ("long", "scaled_down")
    assert found.dark.exposure_ratio == 0.5
    assert chosen(found.bias) == ("master", "nearest")
    assert found.better_possible


@pytest.mark.parametrize(("exposure_s", "fits"), [(150.0, True), (149.0, False)])
def test_dark_is_scaled_up_at_most_twice(exposure_s, fits):
    assert isinstance(choose(frame(), BIAS, dark(exposure_s=exposure_s)).dark, Match if fits else Wait)


@pytest.mark.parametrize(("exposure_s", "fits"), [(30000.0, True), (30001.0, False)])
def test_dark_is_scaled_down_at_most_a_hundred_times(exposure_s, fits):
    assert isinstance(choose(frame(), BIAS, dark(exposure_s=exposure_s)).dark, Match if fits else Wait)


def test_scaled_dark_without_a_bias_does_not_fit():
    found = choose(frame(), dark(exposure_s=600.0))
    assert isinstance(found.dark, Wait)
    assert "to be scaled it needs a master bias, and none fits" in found.dark.candidates[0].reason
    assert found.dark.reason.endswith("Take darks, or take biases.")


def test_without_a_dark_the_bias_is_still_applied():
    found = choose(frame(), BIAS, FLAT)
    assert chosen(found.bias) == ("master", "nearest")
    assert [wait.kind for wait in found.waits] == [Kind.DARK]


@pytest.mark.parametrize(("exposure_s", "needed"), [(0.5, False), (1.0, False), (1.1, True)])
def test_short_exposure_without_a_dark_takes_the_bias_only(exposure_s, needed):
    found = choose(frame(exposure_s=exposure_s), BIAS, FLAT)
    assert isinstance(found.dark, Wait if needed else NotNeeded)
    assert chosen(found.bias)[1] == ("nearest" if needed else "bias_only")


def test_short_exposure_takes_a_dark_if_one_fits():
    assert chosen(choose(frame(exposure_s=0.5), BIAS, dark(exposure_s=10.0)).dark) == ("dark", "scaled_down")


def test_bias_only_says_which_setting_allows_it_and_what_a_dark_would_need():
    reason = choose(frame(exposure_s=0.5), BIAS).dark.reason
    assert reason.startswith(
        "bias only: 0.5 s is at most matching.dark.bias_only_max_s = 1 s. Otherwise it needs a dark"
    )


@pytest.mark.parametrize(("exposure_s", "how"), [(297.0, "exact"), (303.0, "exact"), (303.1, "scaled_down")])
def test_exposures_are_equal_within_one_percent(exposure_s, how):
    assert chosen(choose(frame(), BIAS, dark(exposure_s=exposure_s)).dark)[1] == how


@pytest.mark.parametrize(("exposure_s", "how"), [(2.05, "exact"), (1.95, "exact"), (2.06, "scaled_down")])
def test_short_exposures_are_equal_within_5_hundredths(exposure_s, how):
    assert chosen(choose(frame(exposure_s=2.0), BIAS, dark(exposure_s=exposure_s)).dark)[1] == how


def test_dark_without_exposure_cannot_be_scaled():
    assert isinstance(choose(frame(), BIAS, dark(exposure_s=0.0)).dark, Wait)
    assert isinstance(choose(frame(), BIAS, dark(exposure_s=None)).dark, Wait)


def test_frame_of_zero_seconds_takes_the_bias_only():
    found = choose(frame(exposure_s=0.0), BIAS, dark())
    assert isinstance(found.dark, NotNeeded)
    assert chosen(found.bias)[1] == "bias_only"


def test_frame_of_unknown_exposure_waits_for_the_dark():
    found = choose(frame(exposure_s=None), BIAS, dark())
    assert isinstance(found.dark, Wait)
    assert "camera.keywords.exposure" in found.dark.reason
    assert chosen(found.bias)[1] == "nearest"


# --- dark policy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["gain_setting", "offset_setting"])
def test_cmos_card_means_exact_darks_only(field):
    cmos = configuration(**{field: 100.0})
    masters = [
        master(Kind.BIAS, configuration=cmos.key()),
        dark(exposure_s=600.0, configuration=cmos.key()),
    ]
    found = choose(frame(configuration=cmos, sources=((field, "CARD"),)), *masters)
    words = {"gain_setting": "gain setting", "offset_setting": "offset setting"}[field]
    assert isinstance(found.dark, Wait)
    assert f"darks are not scaled: {words} 100 (CARD) is that of a CMOS driver" in found.dark.reason
    assert chosen(found.bias)[1] == "nearest"


def test_gain_setting_of_zero_is_a_setting():
    policy = matching.dark_policy(frame(configuration=configuration(gain_setting=0.0)), CAMERA)
    assert policy == (False, "gain setting 0 (the header) is that of a CMOS driver")


def test_camera_without_driver_settings_scales():
    assert matching.dark_policy(frame(), CAMERA) == (True, "no gain or offset setting in the header")


def test_setting_of_the_camera_overrides_the_cards():
    cmos = frame(configuration=configuration(gain_setting=100.0))
    assert matching.dark_policy(cmos, Camera("main", dark_policy="scalable")).scalable
    assert not matching.dark_policy(frame(), Camera("main", dark_policy="exact")).scalable


def test_scaled_dark_names_what_allows_it():
    found = choose(frame(), BIAS, dark(exposure_s=600.0))
    assert "scaled down by 0.5 (no gain or offset setting in the header)" in found.dark.candidates[0].reason


# --- tolerances -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ccd_temp_c", "fits"), [(-10.5, True), (-9.5, True), (-10.51, False), (-9.4, False)])
def test_dark_and_bias_outside_the_temperature_tolerance_wait(ccd_temp_c, fits):
    found = choose(frame(), master(Kind.BIAS, ccd_temp_c=ccd_temp_c))
    assert isinstance(found.bias, Match if fits else Wait)
    assert isinstance(choose(frame(), dark(ccd_temp_c=ccd_temp_c)).dark, Match if fits else Wait)


def test_tolerance_is_meant_in_decimal_numbers():
    # -9.6 - -10.1 is 0.5000000000000000 + 4e-16 in binary numbers
    assert isinstance(choose(frame(ccd_temp_c=-9.6), dark(ccd_temp_c=-10.1)).dark, Match)


def test_missing_temperature_matches_only_a_missing_one():
    unknown = dark("unknown", ccd_temp_c=None)
    assert chosen(choose(frame(ccd_temp_c=None), unknown).dark) == ("unknown", "exact")
    assert isinstance(choose(frame(ccd_temp_c=None), dark(ccd_temp_c=0.0)).dark, Wait)
    assert isinstance(choose(frame(ccd_temp_c=0.0), unknown).dark, Wait)


@pytest.mark.parametrize(("kind", "valid_d"), [(Kind.BIAS, 90), (Kind.DARK, 180), (Kind.FLAT, 30)])
@pytest.mark.parametrize("sign", [1, -1])
def test_master_is_valid_before_and_after(kind, valid_d, sign):
    def choice(age_d):
        return getattr(choose(frame(), master(kind, age_d=sign * age_d)), kind.value)

    assert isinstance(choice(valid_d), Match)
    assert isinstance(choice(valid_d + 0.01), Wait)


def test_age_is_zero_between_the_first_and_the_last_member():
    spanning = dark(first_obs=EPOCH - timedelta(days=60), last_obs=EPOCH + timedelta(days=1))
    assert choose(frame(), spanning).dark.age_h == 0


def test_age_counts_to_the_nearest_member():
    spanning = dark(first_obs=EPOCH - timedelta(days=60), last_obs=EPOCH - timedelta(hours=5))
    assert choose(frame(), spanning).dark.age_h == 5


def test_flat_ignores_the_temperature_unless_a_limit_is_set():
    warm = master(Kind.FLAT, ccd_temp_c=20.0)
    assert isinstance(choose(frame(), warm).flat, Match)
    limited = Settings(camera=(CAMERA,), matching=Matching(flat=FlatMatching(max_delta_temp_c=5.0)))
    assert isinstance(choose(frame(), warm, settings=limited).flat, Wait)


@pytest.mark.parametrize("filter_name", ["v", "R", None])
def test_flat_of_another_filter_does_not_fit(filter_name):
    assert isinstance(choose(frame(), master(Kind.FLAT, filter_name=filter_name)).flat, Wait)


def test_frame_without_a_filter_takes_a_flat_without_a_filter():
    assert isinstance(choose(frame(filter_name=None), master(Kind.FLAT, filter_name=None)).flat, Match)


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK, Kind.FLAT])
@pytest.mark.parametrize("change", [{"camera": "other"}, {"configuration": configuration(x_binning=2).key()}])
def test_master_of_another_camera_or_configuration_is_never_chosen(kind, change):
    assert isinstance(getattr(choose(frame(), master(kind, **change)), kind.value), Wait)


def test_master_of_the_wrong_kind_is_not_a_candidate():
    found = matching.calibration_for(frame(), {Kind.DARK: [BIAS]}, SETTINGS, CAMERA)
    assert found.dark.candidates == ()


# --- order of choosing, each step where all earlier ones are equal ----------------------------------------------------


ORDER = {
    "grade_before_time": ({"grade": "green", "age_d": 5}, {"grade": "yellow"}),
    "grade_of_the_age": ({"age_d": 5}, {"age_d": 19}),
    "time_before_temperature": ({"age_d": 2, "ccd_temp_c": -10.4}, {"age_d": 3}),
    "time_both_ways": ({"age_d": -2}, {"age_d": 3}),
    "temperature_before_exposure": ({"ccd_temp_c": -10.1, "exposure_s": 302.0}, {"ccd_temp_c": -9.8}),
    "exposure_before_members": ({"exposure_s": 299.0, "members": 10}, {"exposure_s": 302.0, "members": 40}),
    "members_before_earlier": ({"age_d": -1, "members": 40}, {"age_d": 1, "members": 39}),
    "earlier": ({"age_d": 1}, {"age_d": -1}),
}


@pytest.mark.parametrize(("better", "worse"), ORDER.values(), ids=ORDER)
def test_order_of_choosing(better, worse):
    assert chosen(choose(frame(), dark("worse", **worse), dark("better", **better)).dark)[0] == "better"


def test_last_of_all_the_hash_decides():
    twins = [dark("a"), dark("b")]
    expected = min(twins, key=lambda it: it.sha256)
    assert choose(frame(), *twins).dark.master == expected
    assert choose(frame(), *reversed(twins)).dark.master == expected


def test_bad_grade_is_chosen_only_while_nothing_better_is_valid():
    bad, far = dark("bad", grade="red"), dark("far", age_d=17)
    assert chosen(choose(frame(), bad, far).dark)[0] == "far"
    assert chosen(choose(frame(), bad).dark)[0] == "bad"


# --- other subjects ---------------------------------------------------------------------------------------------------


def test_flat_takes_bias_and_dark_and_no_flat():
    found = choose(frame(Kind.FLAT, exposure_s=5.0), BIAS, dark(), FLAT)
    assert chosen(found.bias)[1] == "nearest"
    assert chosen(found.dark)[1] == "scaled_down"
    assert found.flat == NotNeeded(Kind.FLAT, "a flat is not divided by a flat")


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK, Kind.OTHER, Kind.UNKNOWN])
def test_other_kinds_need_no_master(kind):
    found = choose(frame(kind), BIAS, dark(), FLAT)
    assert (found.matches, found.waits) == ((), ())


def test_frame_that_is_calibrated_already_is_not_calibrated_again():
    found = choose(frame(flags=("calibrated",), sources=(("calibrated", "CALSTAT"),)), BIAS, dark(), FLAT)
    assert (found.matches, found.waits) == ((), ())
    assert "calibrated already (CALSTAT)" in found.bias.reason


def test_frame_without_a_time_waits():
    found = choose(frame(obs_start=None, night=None), BIAS, dark(), FLAT)
    assert [wait.kind for wait in found.waits] == [Kind.BIAS, Kind.DARK, Kind.FLAT]
    assert all("camera.keywords.obs_start" in wait.reason for wait in found.waits)


def test_flat_without_a_time_still_needs_no_flat():
    found = choose(frame(Kind.FLAT, obs_start=None), BIAS)
    assert [wait.kind for wait in found.waits] == [Kind.BIAS, Kind.DARK]


def test_first_year_of_the_calendar_is_no_overflow():
    ancient = frame(obs_start=EPOCH.replace(year=1), night="0001-03-09")
    assert len(choose(ancient, BIAS, dark(), FLAT).waits) == 3


def test_master_dark_takes_the_bias_of_its_own_time_and_temperature():
    spanning = dark(first_obs=EPOCH - timedelta(days=40), last_obs=EPOCH - timedelta(days=10))
    inside, recent = master(Kind.BIAS, "inside", age_d=20), master(Kind.BIAS, "recent", age_d=9)
    cold = master(Kind.BIAS, "cold", age_d=20, ccd_temp_c=-20.0, members=50)
    found = matching.bias_for(spanning, [recent, cold, inside], SETTINGS)
    assert chosen(found) == ("inside", "nearest")
    assert found.age_h == 0


def test_age_of_a_bias_for_a_dark_is_the_gap_between_both():
    spanning = dark(first_obs=EPOCH - timedelta(days=40), last_obs=EPOCH - timedelta(days=10))
    assert matching.bias_for(spanning, [master(Kind.BIAS, age_d=8)], SETTINGS).age_h == 48
    assert matching.bias_for(spanning, [master(Kind.BIAS, age_d=43)], SETTINGS).age_h == 72


def test_master_dark_without_a_bias_waits():
    found = matching.bias_for(dark(), [], SETTINGS)
    assert isinstance(found, Wait)
    assert (
        found.reason == "needs a bias at -10.0 C. No master bias of this configuration within 210 d. "
        "Take biases, if there are fewer than 3 (masters.bias.minimum)."
    )


# --- a range of times that an operator gave ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start_h", "end_h", "fits"),
    [(None, None, True), (0, None, True), (None, 0, True), (1, None, False), (None, -1, False), (-1, 1, True)],
)
def test_master_serves_only_in_the_range_that_an_operator_gave(start_h, end_h, fits):
    ends = [None if hours is None else EPOCH + timedelta(hours=hours) for hours in (start_h, end_h)]
    found = choose(frame(), master(Kind.BIAS, valid_from=ends[0], valid_until=ends[1])).bias
    assert isinstance(found, Match if fits else Wait)


def test_range_stands_in_the_reason():
    until = EPOCH - timedelta(hours=3)
    found = choose(frame(), master(Kind.BIAS, valid_until=until)).bias
    assert "an operator made it valid until 2024-03-10 00:00:00 only" in found.reason
    assert "ingestd restore" in found.reason


# --- fields, cards, and rules of a camera -----------------------------------------------------------------------------


def own_camera(**tables):
    return parse_settings({"camera": [{"name": "main", **tables}]}).camera[0]


def test_each_field_tells_its_values_difference_and_tolerance():
    subject = frame(ccd_temp_c=-10.1, cards=(("ROTATOR", 10.0),))
    camera = own_camera(matching={"dark": {"numbers": {"ROTATOR": 1.0}}})
    found = choose(subject, dark(ccd_temp_c=-9.9, cards=(("ROTATOR", 10.4),)), camera=camera, settings=with_(camera))
    fields = {it.field: tuple(it[1:]) for it in found.dark.candidates[0].fields}
    assert fields == {
        "ccd_temp_c": (-10.1, -9.9, -0.2, 0.5, True),
        "exposure_s": (300.0, 300.0, 0.0, 3.0, True),
        "ROTATOR": (10.0, 10.4, 0.4, 1.0, True),
        "obs_start": ("2024-03-10T03:00:00", "2024-03-10T03:00:00", 0.0, 24.0 * 180, True),
    }


def with_(camera):
    return Settings(camera=(camera,))


def test_card_that_does_not_fit_is_a_miss_with_its_numbers():
    camera = own_camera(matching={"flat": {"exact": ["GRATING"], "numbers": {"ROTATOR": 0.5}}})
    subject = frame(cards=(("GRATING", "B600"), ("ROTATOR", 10.0)))
    flat = master(Kind.FLAT, cards=(("GRATING", "R400"), ("ROTATOR", 12.0)))
    found = choose(subject, flat, camera=camera, settings=with_(camera)).flat
    assert "GRATING R400, not B600, ROTATOR 2 away, tolerance 0.5" in found.reason
    assert [it.fits for it in found.candidates[0].fields] == [True, True, False, False, True]


def test_order_of_a_camera_puts_time_before_the_policy():
    camera = own_camera(matching={"dark": {"order": ["time", *(it for it in WORDS if it != "time")]}})
    near, exact = dark("near", exposure_s=600.0), dark("exact", age_d=1)
    assert chosen(choose(frame(), BIAS, near, exact).dark) == ("exact", "exact")
    assert chosen(choose(frame(), BIAS, near, exact, camera=camera, settings=with_(camera)).dark) == (
        "near",
        "scaled_down",
    )


def test_master_may_be_valid_longer_after_its_frames_than_before():
    camera = own_camera(masters={"bias": {"valid_before_d": 1, "valid_after_d": 5}})

    def choice(age_d):
        return choose(frame(), master(Kind.BIAS, age_d=age_d), camera=camera, settings=with_(camera)).bias

    assert [isinstance(choice(age_d), Match) for age_d in (5, 5.1, -1, -1.1)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("age_d", "grade", "better"),
    [
        (0, "green", ""),
        (0, "orange", "a flat made of more frames (this one is orange)"),
        # of 30 days 3 are green and 7 yellow
        (5, "green", "a flat that is nearer in time (this one is yellow)"),
        (5, "orange", "a flat made of more frames (this one is orange)"),
    ],
)
def test_what_would_be_better_is_what_the_grade_is_for(age_d, grade, better):
    """A master of the hour cannot be nearer in time, and one of ten frames needs no more."""
    flat = master(Kind.FLAT, age_d=age_d, grade=grade)
    found = choose(frame(), dark(), master(Kind.BIAS), flat)
    assert found.better_possible == better
