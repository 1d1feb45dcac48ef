"""Groups, clusters, members of a night's masters and grades, by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingestd.records import Group, Kind
from ingestd.rules import clusters, groups
from ingestd.settings import BiasMatching, DarkMatching, MasterRule, Matching
from tests.rules.builders import EPOCH, NIGHT, configuration, frame, night_frame

RULE = MasterRule(window_d=30, minimum=3, maximum=50, valid_d=90)


def names(members, frames_by_name):
    """Return the names of members, sorted."""
    by_id = {it.frame_id: name for name, it in frames_by_name.items()}
    return sorted(by_id[it.frame_id] for it in members)


def build(kind, **nights_ago):
    return {name: night_frame(kind, name, ago) for name, ago in nights_ago.items()}


# --- groups and nights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "filter_name"), [(Kind.BIAS, None), (Kind.DARK, None), (Kind.FLAT, "V")])
def test_only_flats_are_grouped_by_filter(kind, filter_name):
    assert groups.group_of(frame(kind)) == Group("main", kind, configuration().key(), filter_name)


def test_filters_that_differ_in_case_are_different_groups():
    upper, lower = (groups.group_of(frame(Kind.FLAT, filter_name=name)) for name in "Rr")
    assert upper != lower


def test_exposure_and_temperature_do_not_enter_the_group():
    assert groups.group_of(frame(Kind.DARK)) == groups.group_of(frame(Kind.DARK, exposure_s=1.0, ccd_temp_c=None))


def test_nights_are_counted_across_a_leap_day():
    assert groups.night_before("2024-03-01", 1) == "2024-02-29"
    assert groups.night_before("2024-03-09", 30) == "2024-02-08"
    assert groups.night_number("2024-03-01") - groups.night_number("2024-02-28") == 2


def test_part_of_a_day_does_not_count_as_a_night():
    assert groups.night_before("2024-03-09", 0.9) == "2024-03-09"


def test_nights_stop_at_the_first_day_of_the_calendar():
    assert groups.night_before("0001-01-02", 3650) == "0001-01-01"


# --- clusters ---------------------------------------------------------------------------------------------------------


def test_two_steps_of_the_same_set_point_are_one_cluster():
    # SBIG ST-402: -4.818 and -5.232 C alternate, 0.414 C apart
    assert clusters.clusters([-4.818, -5.232, -4.818, -5.232], 0.5) == ((0, 1, 2, 3),)


def test_set_points_5_degrees_apart_are_two_clusters():
    assert clusters.clusters([-5.0, -10.0, -5.1, -10.1], 0.5) == ((1, 3), (0, 2))


def test_gap_equal_to_the_tolerance_does_not_split():
    # in binary numbers -9.6 - -10.1 is a little more than 0.5
    assert clusters.clusters([-10.1, -9.6], 0.5) == ((0, 1),)
    assert clusters.clusters([-10.1, -9.59], 0.5) == ((0,), (1,))


def test_cluster_wider_than_two_tolerances_is_split_at_its_largest_gap():
    # width 1.2 > 1.0; gaps 0.3, 0.4, 0.5: the cut is below 1.2
    assert clusters.clusters([0.0, 0.3, 0.7, 1.2], 0.5) == ((0, 1, 2), (3,))


def test_cluster_as_wide_as_two_tolerances_stays():
    assert clusters.clusters([0.0, 0.5, 1.0], 0.5) == ((0, 1, 2),)


def test_steady_drift_is_halved():
    # 0.0, 0.1, ... 1.6: all gaps equal; halves are 0.0..0.7 (8 values) and 0.8..1.6 (9 values)
    values = [i / 10 for i in range(17)]
    assert clusters.clusters(values, 0.5) == (tuple(range(8)), tuple(range(8, 17)))


def test_split_is_repeated_until_every_part_is_narrow_enough():
    # 3.1 wide: 1.5|1.6 -> 0..1.5 is still 1.5 wide -> 0.7|0.8; 1.6..3.1 likewise -> 2.3|2.4
    found = clusters.clusters([i / 10 for i in range(32)], 0.5)
    assert [(part[0], part[-1]) for part in found] == [(0, 7), (8, 15), (16, 23), (24, 31)]


def test_missing_temperature_is_a_cluster_of_its_own_and_not_zero():
    assert clusters.clusters([None, 0.0, None, 0.1], 0.5) == ((1, 3), (0, 2))


def test_no_values_make_no_cluster():
    assert clusters.clusters([], 0.5) == ()


def test_exposure_tolerance_is_5_hundredths_or_one_percent():
    limits = DarkMatching(exposure_tolerance_s=0.05, exposure_tolerance_ratio=0.01)
    assert clusters.exposure_tolerance_s(1.0, limits) == 0.05
    assert clusters.exposure_tolerance_s(300.0, limits) == 3.0
    assert clusters.exposure_tolerance_s(None, limits) == 0.05


# --- members ----------------------------------------------------------------------------------------------------------


def test_bias_of_a_night_takes_the_frames_of_the_window():
    frames = build(Kind.BIAS, old=31, edge=30, last_week=7, tonight=0, tomorrow=-1)
    found = groups.select_members(frames.values(), NIGHT, RULE, Matching(), Kind.BIAS)
    assert [names(members, frames) for members in found] == [["edge", "last_week", "tonight"]]


def test_night_without_frames_has_no_master():
    frames = build(Kind.BIAS, a=1, b=1, c=2, d=3)
    assert groups.select_members(frames.values(), NIGHT, RULE, Matching(), Kind.BIAS) == []


def test_fewer_frames_than_the_minimum_make_no_master():
    frames = build(Kind.BIAS, a=0, b=1)
    assert groups.select_members(frames.values(), NIGHT, RULE, Matching(), Kind.BIAS) == []


def test_newest_frames_are_taken_up_to_the_maximum():
    frames = build(Kind.BIAS, oldest=9, older=5, newer=2, newest=0)
    rule = MasterRule(window_d=30, minimum=3, maximum=3, valid_d=90)
    found = groups.select_members(frames.values(), NIGHT, rule, Matching(), Kind.BIAS)
    assert [names(members, frames) for members in found] == [["newer", "newest", "older"]]


def test_of_frames_of_the_same_instant_the_larger_hash_is_newer():
    frames = {name: frame(Kind.BIAS, name) for name in "abcd"}
    rule = MasterRule(window_d=30, minimum=3, maximum=3, valid_d=90)
    (members,) = groups.select_members(frames.values(), NIGHT, rule, Matching(), Kind.BIAS)
    smallest = min(frames.values(), key=lambda it: it.frame_id)
    assert {it.frame_id for it in members} == {it.frame_id for it in frames.values()} - {smallest.frame_id}


def test_members_are_sorted_by_hash():
    frames = build(Kind.BIAS, a=0, b=1, c=2, d=3)
    (members,) = groups.select_members(frames.values(), NIGHT, RULE, Matching(), Kind.BIAS)
    assert [it.frame_id for it in members] == sorted(it.frame_id for it in frames.values())


def test_frame_without_a_time_is_no_member():
    frames = [frame(Kind.BIAS, f"b{i}") for i in range(3)]
    undated = frame(Kind.BIAS, "undated", obs_start=None, night=None)
    (members,) = groups.select_members([*frames, undated], NIGHT, RULE, Matching(), Kind.BIAS)
    assert undated not in members


def test_darks_make_one_master_for_each_exposure_and_temperature():
    frames = [
        frame(Kind.DARK, f"{exposure} {temp} {i}", exposure_s=exposure, ccd_temp_c=temp)
        for exposure in (60.0, 300.0)
        for temp in (-10.0, 0.0)
        for i in range(3)
    ]
    found = groups.select_members(frames, NIGHT, RULE, Matching(), Kind.DARK)
    conditions = [groups.master_conditions(members)[:2] for members in found]
    assert conditions == [(60.0, -10.0), (60.0, 0.0), (300.0, -10.0), (300.0, 0.0)]


def test_temperatures_of_other_exposures_do_not_join_two_set_points():
    # -10.0 and -9.2 are two clusters at 60 s; the 300 s darks at -9.6 must not bridge them
    frames = [frame(Kind.DARK, f"a{i}", exposure_s=60.0, ccd_temp_c=-10.0) for i in range(3)]
    frames += [frame(Kind.DARK, f"b{i}", exposure_s=60.0, ccd_temp_c=-9.2) for i in range(3)]
    frames += [frame(Kind.DARK, f"c{i}", exposure_s=300.0, ccd_temp_c=-9.6) for i in range(3)]
    found = groups.select_members(frames, NIGHT, RULE, Matching(), Kind.DARK)
    assert [groups.master_conditions(members)[:2] for members in found] == [(60.0, -10.0), (60.0, -9.2), (300.0, -9.6)]


def test_flats_of_all_exposures_and_temperatures_are_one_master():
    frames = [frame(Kind.FLAT, f"f{i}", exposure_s=2.0**i, ccd_temp_c=-10.0 + i) for i in range(5)]
    found = groups.select_members(frames, NIGHT, RULE, Matching(), Kind.FLAT)
    assert [len(members) for members in found] == [5]


def test_cluster_that_the_night_brought_nothing_to_is_left_alone():
    frames = [frame(Kind.BIAS, f"cold {i}", ccd_temp_c=-20.0) for i in range(3)]
    frames += [night_frame(Kind.BIAS, f"warm {i}", 1, ccd_temp_c=0.0) for i in range(3)]
    found = groups.select_members(frames, NIGHT, RULE, Matching(), Kind.BIAS)
    assert [groups.master_conditions(members)[1] for members in found] == [-20.0]


def test_loose_matching_does_not_merge_set_points():
    matching = Matching(bias=BiasMatching(max_delta_temp_c=6.0), dark=DarkMatching(6.0, exposure_tolerance_s=100.0))
    for kind in (Kind.BIAS, Kind.DARK):
        frames = [frame(kind, f"{temp} {i}", ccd_temp_c=temp) for temp in (-5.0, -10.0) for i in range(3)]
        assert len(groups.select_members(frames, NIGHT, RULE, matching, kind)) == 2


def test_tight_matching_makes_narrow_masters():
    frames = [frame(Kind.BIAS, f"{temp} {i}", ccd_temp_c=temp) for temp in (-10.0, -9.7) for i in range(3)]
    matching = Matching(bias=BiasMatching(max_delta_temp_c=0.2))
    assert len(groups.select_members(frames, NIGHT, RULE, matching, Kind.BIAS)) == 2


def test_order_of_frames_does_not_matter():
    frames = [night_frame(Kind.DARK, f"d{i}", i % 20, ccd_temp_c=-10.0 + i % 7 / 5) for i in range(100)]
    expected = groups.select_members(frames, NIGHT, RULE, Matching(), Kind.DARK)
    assert expected
    assert groups.select_members(frames[::-1], NIGHT, RULE, Matching(), Kind.DARK) == expected


# --- conditions and grades --------------------------------------------------------------------------------------------


def test_conditions_are_medians_and_the_span_of_the_members():
    frames = [
        night_frame(Kind.DARK, f"{t}", i, exposure_s=e, ccd_temp_c=t)
        for i, (e, t) in enumerate([(10.0, -5.2), (10.1, -4.8), (10.4, -4.9)])
    ]
    assert groups.master_conditions(frames) == (10.1, -4.9, EPOCH - timedelta(days=2), EPOCH)


def test_median_of_an_even_number_lies_between_the_middle_ones():
    frames = [frame(Kind.BIAS, f"{t}", exposure_s=0.0, ccd_temp_c=t) for t in (-5.0, -4.5)]
    assert groups.master_conditions(frames)[1] == -4.75


def test_conditions_that_no_member_has_are_unknown():
    frames = [frame(Kind.BIAS, name, exposure_s=None, ccd_temp_c=None) for name in "ab"]
    assert groups.master_conditions(frames)[:2] == (None, None)


def test_conditions_need_a_time():
    with pytest.raises(ValueError, match="no observation time"):
        groups.master_conditions([frame(Kind.BIAS, obs_start=None)])


@pytest.mark.parametrize(
    ("members", "grade"),
    [(1, "red"), (2, "red"), (3, "orange"), (4, "orange"), (5, "yellow"), (9, "yellow"), (10, "green")],
)
def test_grade_grows_with_the_members(members, grade):
    assert groups.grade(members, MasterRule(30, 1, 50, 90)) == grade


def test_master_below_the_minimum_of_its_rule_is_red():
    assert groups.grade(6, MasterRule(30, 7, 50, 90)) == "red"


@pytest.mark.parametrize(
    ("age_d", "grade"),
    [(0, "green"), (3, "green"), (3.1, "yellow"), (7, "yellow"), (7.1, "orange"), (30, "orange"), (30.1, "red")],
)
def test_age_grade_of_a_flat_follows_days_3_7_30(age_d, grade):
    assert groups.age_grade(24 * age_d, 30) == grade


def test_age_grade_scales_with_the_validity():
    assert [groups.age_grade(24 * age_d, 90) for age_d in (9, 10, 21, 22, 90, 91)] == [
        "green", "yellow", "yellow", "orange", "orange", "red",
    ]  # fmt: skip


def test_combined_grade_is_the_worse():
    assert groups.worse_grade("green", "orange") == "orange"
    assert groups.worse_grade("red", "yellow") == "red"


def test_unknown_grade_counts_as_the_worst():
    assert groups.worse_grade("external", "green") == "red"


@pytest.mark.parametrize(
    ("longitude_deg", "night"),
    [(None, "2024-03-09"), (0.0, "2024-03-09"), (150.0, "2024-03-10"), (-105.0, "2024-03-09")],
)
def test_the_night_begins_at_local_noon(longitude_deg, night):
    """EPOCH is 03:00 UTC: 13:00 at 150 degrees east, after noon of the next night."""
    assert groups.night_of(EPOCH, longitude_deg) == night


def test_grades_follow_the_bounds_of_the_settings():
    rule = MasterRule(grade_members=(20, 4, 2), minimum=2)
    assert [groups.grade(count, rule) for count in (20, 19, 4, 3, 2, 1)] == [
        "green", "yellow", "yellow", "orange", "orange", "red",
    ]  # fmt: skip
    assert [groups.age_grade(24 * days, 90, (1, 2, 3)) for days in (1, 1.5, 3, 3.5)] == [
        "green", "yellow", "orange", "red",
    ]  # fmt: skip


# --- flats of dome and twilight ---------------------------------------------------------------------------------------


def flats_of(*counts):
    """Return so many domeflats, plain flats and skyflats of the night, one after the other."""
    labels = [label for label, count in zip(("domeflat", "flat", "skyflat"), counts, strict=True) for _ in range(count)]
    return [night_frame(Kind.FLAT, f"{label} {i}", filter_name="V", label=label) for i, label in enumerate(labels)]


def labels_of(flats, *counts):
    found = groups.select_members(flats_of(*counts), NIGHT, RULE, Matching(), Kind.FLAT, flats)
    return [sorted(frame.label for frame in members) for members in found]


@pytest.mark.parametrize(
    ("flats", "members"),
    [
        ("any", ["domeflat"] * 2 + ["flat"] * 1 + ["skyflat"] * 3),
        ("dome", ["domeflat"] * 2 + ["flat"] * 1),
        ("twilight", ["skyflat"] * 3),
        ("combined", ["domeflat"] * 2 + ["flat"] * 1 + ["skyflat"] * 3),
    ],
)
def test_flats_of_a_master_are_those_that_the_camera_asks_for(flats, members):
    assert labels_of(flats, 2, 1, 3) == [members]


def test_with_too_few_of_one_light_the_other_stands_alone():
    assert RULE.minimum == 3
    assert labels_of("combined", 2, 0, 3) == [["skyflat"] * 3]
    assert labels_of("combined", 3, 0, 2) == [["domeflat"] * 3]
    assert labels_of("combined", 2, 0, 2) == []
    assert labels_of("dome", 2, 0, 9) == []


def test_each_light_has_its_own_newest_frames():
    assert labels_of("combined", RULE.maximum + 2, 0, RULE.maximum + 3) == [
        ["domeflat"] * RULE.maximum + ["skyflat"] * RULE.maximum
    ]
