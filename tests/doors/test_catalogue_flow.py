"""What a change makes due, and what a record settles: nights, masters, science frames."""

from datetime import timedelta

import pytest

from ingestd.doors.catalogue import Catalogue
from ingestd.metrics import METRICS
from ingestd.records import Kind, Metric, State
from ingestd.settings import MasterRule, Masters
from tests.doors.catalogue_samples import (
    CCD,
    KEY,
    NOW,
    UNITS,
    build,
    frame,
    group,
    master,
    measure,
    outcome,
    reduce,
    settle_all,
    sha,
    taken,
)

LATER = NOW + timedelta(hours=1)
BIAS = group(Kind.BIAS)


@pytest.fixture
def catalogue(tmp_path):
    """A catalogue with windows of 3 days and validities of 5 days."""
    rule = MasterRule(3.0, 1, 50, 5.0)
    with Catalogue.open(tmp_path / "catalogue.sqlite", rules=Masters(bias=rule, dark=rule, flat=rule)) as catalogue:
        yield catalogue


def add(catalogue, *records, now=NOW):
    catalogue.add_frames([taken(record) for record in records], now)


def add_measured(catalogue, *records):
    add(catalogue, *records)
    measure(catalogue, *records)


def stale_nights(catalogue):
    return sorted((stale.group.kind.value, stale.night[-2:]) for stale in catalogue.stale_nights())


def lights(catalogue):
    return [found.frame_id for found in catalogue.stale_lights(100)]


def settled_master(catalogue, name, members, *metrics, **changes):
    """Build a master and make it the current one of its night."""
    made = build(catalogue, master(name, members, **changes), *metrics)
    of = group(made.kind, made.filter_name)
    catalogue.settle_night(of, made.night, [made.master_id], NOW)
    return made


def reason(catalogue, record):
    found = catalogue.standing_frame(record.frame_id)
    return f"{found.state.value} {found.reason}"


# --- frames -> nights -------------------------------------------------------------------------------------------------


def test_new_frame_makes_the_nights_stale_whose_window_holds_it(catalogue):
    add_measured(catalogue, *(frame(f"b{day}", day=day) for day in (5, 8, 9, 11, 12)))
    settle_all(catalogue)
    add(catalogue, frame("late", day=8), now=LATER)
    assert stale_nights(catalogue) == [("bias", "08"), ("bias", "09"), ("bias", "11")]
    assert {stale.touched_at for stale in catalogue.stale_nights()} == {LATER}


def test_measured_frame_makes_them_stale_again(catalogue):
    add(catalogue, frame("b9", day=9), frame("b10", day=10))
    settle_all(catalogue)
    measure(catalogue, frame("b9", day=9), now=LATER)
    assert stale_nights(catalogue) == [("bias", "09"), ("bias", "10")]


def test_frame_of_another_group_touches_nothing_here(catalogue):
    add_measured(catalogue, frame("b"), frame("v", Kind.FLAT))
    settle_all(catalogue)
    add(catalogue, frame("r", Kind.FLAT, filter_name="R"))
    assert [(stale.group, stale.night) for stale in catalogue.stale_nights()] == [(group(Kind.FLAT, "R"), "2026-01-10")]


def test_filter_of_a_dark_does_not_part_its_group(catalogue):
    add_measured(catalogue, frame("d1", Kind.DARK, filter_name="V"), frame("d2", Kind.DARK, filter_name=None, minute=1))
    assert [stale.group for stale in catalogue.stale_nights()] == [group(Kind.DARK)]
    found = catalogue.usable_frames(group(Kind.DARK), "2026-01-10", "2026-01-10")
    assert [record.frame_id for record in found] == [sha("d1"), sha("d2")]


def test_flat_without_filter_is_a_group_of_its_own(catalogue):
    add_measured(catalogue, frame("f", Kind.FLAT, filter_name=None), frame("v", Kind.FLAT))
    found = catalogue.usable_frames(group(Kind.FLAT), "2026-01-10", "2026-01-10")
    assert [record.frame_id for record in found] == [sha("f")]


@pytest.mark.parametrize(
    "changes", [{"flags": ("calibrated",)}, {"night": None, "obs_start": None}], ids=["flagged", "without night"]
)
def test_frame_that_may_not_join_opens_no_night_and_is_not_usable(catalogue, changes):
    record = frame("b", **changes)
    add_measured(catalogue, record)
    assert catalogue.stale_nights() == []
    assert catalogue.usable_frames(BIAS, "0001-01-01", "9999-12-31") == []


def test_usable_frames_are_measured_and_in_the_order_of_observation(catalogue):
    records = [frame("b3", minute=3), frame("b1", minute=1), frame("b2", minute=2)]
    add_measured(catalogue, *records)
    add(catalogue, frame("unmeasured"))
    found = catalogue.usable_frames(BIAS, "2026-01-10", "2026-01-10")
    assert [record.frame_id for record in found] == [sha("b1"), sha("b2"), sha("b3")]


def test_usable_frames_keep_to_their_nights(catalogue):
    add_measured(catalogue, *(frame(f"b{day}", day=day) for day in (8, 9, 10, 11)))
    found = catalogue.usable_frames(BIAS, "2026-01-09", "2026-01-10")
    assert [record.night for record in found] == ["2026-01-09", "2026-01-10"]


def test_unmeasured_frames_are_due_newest_first_until_they_are_measured(catalogue):
    records = [frame("b1", minute=1), frame("d2", Kind.DARK, minute=2), frame("l3", Kind.LIGHT, minute=3)]
    add(catalogue, *records)
    assert [record.frame_id for record in catalogue.unmeasured(10)] == [sha("d2"), sha("b1")]
    assert len(catalogue.unmeasured(1)) == 1
    assert catalogue.has_unmeasured("main", KEY)
    measure(catalogue, *records[:2])
    assert catalogue.unmeasured(10) == []
    assert not catalogue.has_unmeasured("main", KEY)


def test_quarantined_member_makes_its_nights_stale_and_is_not_usable(catalogue):
    add_measured(catalogue, frame("good"), frame("bad"))
    settle_all(catalogue)
    catalogue.quarantine(sha("bad"), "saturated", "all of it", LATER)
    assert stale_nights(catalogue) == [("bias", "10")]
    assert [record.frame_id for record in catalogue.usable_frames(BIAS, "2026-01-10", "2026-01-10")] == [sha("good")]


def test_window_at_the_end_of_the_calendar_is_cut_there(catalogue):
    add(catalogue, frame("b", night="9999-12-31"))
    assert stale_nights(catalogue) == [("bias", "31")]


# --- settling a night -------------------------------------------------------------------------------------------------


def test_recorded_master_is_current_only_after_its_night_is_settled(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    made = build(catalogue, master("m", [record]))
    assert catalogue.masters("main", KEY, Kind.BIAS) == []
    assert catalogue.known_masters([made.master_id, "unknown"]) == {made.master_id}
    assert catalogue.settle_night(BIAS, "2026-01-10", [made.master_id], NOW)
    assert catalogue.masters("main", KEY, Kind.BIAS) == [made]
    assert catalogue.night_masters(BIAS, "2026-01-10") == [made]
    assert catalogue.stale_nights() == []


def test_settling_the_same_masters_again_changes_nothing(catalogue):
    record = frame("b")
    add_measured(catalogue, record, frame("l", Kind.LIGHT))
    made = settled_master(catalogue, "m", [record])
    settle_all(catalogue)
    assert not catalogue.settle_night(BIAS, "2026-01-10", [made.master_id], LATER)
    assert lights(catalogue) == []


def test_new_master_takes_the_place_of_the_old_and_members_follow(catalogue):
    a, b = frame("a"), frame("b", minute=1)
    add_measured(catalogue, a, b)
    settled_master(catalogue, "old", [a, b])
    assert (reason(catalogue, a), reason(catalogue, b)) == ("done member", "done member")
    new = settled_master(catalogue, "new", [b])
    assert catalogue.masters("main", KEY, Kind.BIAS) == [new]
    assert (reason(catalogue, a), reason(catalogue, b)) == ("done catalogued", "done member")


def test_master_that_is_not_recorded_cannot_be_settled(catalogue):
    add_measured(catalogue, frame("b"))
    with pytest.raises(ValueError, match="not recorded"):
        catalogue.settle_night(BIAS, "2026-01-10", ["f" * 64], NOW)
    assert stale_nights(catalogue) == [("bias", "10")]


def test_night_with_too_few_frames_is_settled_without_masters(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    settled_master(catalogue, "m", [record])
    catalogue.settle_night(BIAS, "2026-01-10", [], NOW)
    assert catalogue.masters("main", KEY, Kind.BIAS) == []
    assert reason(catalogue, record) == "done catalogued"


def test_masters_are_limited_by_their_last_observation(catalogue):
    records = [frame(f"b{day}", day=day) for day in (8, 10, 12)]
    add_measured(catalogue, *records)
    made = [settled_master(catalogue, f"m{record.night}", [record]) for record in records]
    found = catalogue.masters(
        "main", KEY, Kind.BIAS, since=records[0].obs_start + timedelta(seconds=1), until=records[1].obs_start
    )
    assert found == [made[1]]


# --- masters -> what they serve ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK])
def test_new_master_makes_science_frames_within_its_validity_stale(catalogue, kind):
    days = (4, 5, 10, 15, 17)
    science = {day: frame(f"l{day}", Kind.LIGHT, day=day) for day in days}
    record = frame("c", kind)
    add_measured(catalogue, record)
    add(catalogue, *science.values(), frame("other", Kind.LIGHT, camera="guide"))
    settle_all(catalogue)
    settled_master(catalogue, "m", [record])
    # 5 days and one for the night's edge on each side of 10 January
    assert set(lights(catalogue)) == {sha("l4"), sha("l5"), sha("l10"), sha("l15")}


def test_new_flat_makes_science_frames_of_its_filter_stale(catalogue):
    record = frame("f", Kind.FLAT)
    add_measured(catalogue, record)
    add(catalogue, frame("v", Kind.LIGHT), frame("r", Kind.LIGHT, filter_name="R"))
    settle_all(catalogue)
    settled_master(catalogue, "m", [record])
    assert lights(catalogue) == [sha("v")]


def test_flat_that_gives_a_gain_makes_later_science_frames_without_gain_stale(catalogue):
    record = frame("f", Kind.FLAT)
    add_measured(catalogue, record)
    add(
        catalogue,
        frame("earlier", Kind.LIGHT, day=9, filter_name="R"),
        frame("same", Kind.LIGHT, day=10, filter_name="R"),
        frame("later", Kind.LIGHT, day=30, filter_name="R"),
        frame("has gain", Kind.LIGHT, day=30, filter_name="R", gain_e_per_adu=1.3),
    )
    settle_all(catalogue)
    settled_master(catalogue, "m", [record], Metric("gain_electrons_per_adu", 1.3, 0.01))
    assert lights(catalogue) == [sha("later")]


@pytest.mark.parametrize(("kind", "darks"), [(Kind.BIAS, ["dark"]), (Kind.DARK, [])])
def test_new_parent_makes_flat_nights_stale_and_a_bias_also_the_darks(catalogue, kind, darks):
    d, v, far = frame("d", Kind.DARK), frame("v", Kind.FLAT, day=12), frame("far", Kind.FLAT, day=20)
    add_measured(catalogue, d, v, far)
    made = {settled_master(catalogue, "dark", [d]).master_id: "dark"}
    settle_all(catalogue)
    record = frame("c", kind, day=11)
    add_measured(catalogue, record)
    new = settled_master(catalogue, "new", [record])
    assert stale_nights(catalogue) == [("flat", "12")]
    found = [made[dark.master_id] for dark in catalogue.stale_darks() if dark.master_id != new.master_id]
    assert found == darks


def test_new_dark_master_is_to_be_measured(catalogue):
    record = frame("d", Kind.DARK)
    add_measured(catalogue, record)
    made = settled_master(catalogue, "dark", [record])
    assert catalogue.stale_darks() == [made]


def test_withdrawn_master_makes_science_frames_stale_too(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    settled_master(catalogue, "m", [record])
    add(catalogue, frame("l", Kind.LIGHT))
    settle_all(catalogue)
    catalogue.settle_night(BIAS, "2026-01-10", [], NOW)
    assert lights(catalogue) == [sha("l")]


def test_validity_can_be_given_with_the_night(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    add(catalogue, frame("near", Kind.LIGHT, day=13), frame("far", Kind.LIGHT, day=25))
    settle_all(catalogue)
    made = build(catalogue, master("m", [record]))
    catalogue.settle_night(BIAS, "2026-01-10", [made.master_id], NOW, 20.0)
    assert set(lights(catalogue)) == {sha("near"), sha("far")}


def test_quarantined_science_frame_is_not_made_stale(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    add(catalogue, frame("l", Kind.LIGHT))
    catalogue.quarantine(sha("l"), "crashed", "", NOW)
    settled_master(catalogue, "m", [record])
    assert lights(catalogue) == []


# --- master darks -----------------------------------------------------------------------------------------------------


def test_dark_measured_against_a_bias_stays_stale_until_it_is_confirmed(catalogue):
    b, d = frame("b"), frame("d", Kind.DARK, minute=5)
    add_measured(catalogue, b, d)
    bias, dark = settled_master(catalogue, "bias", [b]), settled_master(catalogue, "dark", [d])
    result = outcome("job 1", Metric("dark_rate", 0.358, 0.02))
    catalogue.record_dark_measured(dark.master_id, bias.master_id, "job 1", result, UNITS, NOW)
    assert catalogue.measured_with(dark.master_id) == bias.master_id
    assert catalogue.stale_darks() == [dark]
    catalogue.keep_dark(dark.master_id)
    assert catalogue.stale_darks() == []


def test_second_measurement_of_a_dark_replaces_the_first(catalogue):
    b, d = frame("b"), frame("d", Kind.DARK, minute=5)
    add_measured(catalogue, b, d)
    bias = settled_master(catalogue, "bias", [b])
    dark = settled_master(catalogue, "dark", [d], Metric("bias_level_adu", 1300.0))
    for job, rate in (("job 1", 0.3), ("job 2", 0.4)):
        result = outcome(job, Metric("dark_rate", rate))
        catalogue.record_dark_measured(dark.master_id, bias.master_id, job, result, UNITS, NOW)
    found = {(row["metric"], row["value"]) for row in catalogue.qa_rows() if row["master_id"] == dark.master_id}
    assert found == {("bias_level_adu", 1300.0), ("dark_rate", 0.4)}


# --- science frames ---------------------------------------------------------------------------------------------------


def test_product_is_recorded_with_masters_steps_and_state(catalogue):
    b, l = frame("b"), frame("l", Kind.LIGHT)  # noqa: E741 - a light
    add_measured(catalogue, b)
    add(catalogue, l)
    bias = settled_master(catalogue, "bias", [b])
    job = reduce(catalogue, "job", l, bias)
    assert reason(catalogue, l) == "done reduced"
    assert catalogue.current_reduction(l.frame_id) == job
    [product] = catalogue.product_rows(l.frame_id)
    assert (product["path"], product["current"], product["provisional"]) == ("reduced/job.fits", 1, 0)
    assert [(used["kind"], used["master_id"], used["age_h"]) for used in product["masters"]] == [
        ("bias", bias.master_id, 2.5)
    ]
    assert [(step["name"], step["status"]) for step in product["steps"]] == [("bias", "applied")]
    assert catalogue.explanation(l.frame_id) == '{"why": "test"}'


def test_provisional_product_says_what_is_missing(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    reduce(catalogue, "job", record, provisional=True)
    assert reason(catalogue, record) == "provisional missing_master"


@pytest.mark.parametrize(("how", "expected"), [("exact", 0), ("scaled_down", 1)])
def test_scaled_dark_could_be_better(catalogue, how, expected):
    d, l = frame("d", Kind.DARK), frame("l", Kind.LIGHT)  # noqa: E741 - a light
    add_measured(catalogue, d)
    add(catalogue, l)
    reduce(catalogue, "job", l, settled_master(catalogue, "dark", [d]), how=how)
    assert catalogue.product_rows(l.frame_id)[0]["better_possible"] == expected


def test_reduced_frame_stays_due_until_planning_confirms_it(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    job = reduce(catalogue, "job", record)
    assert lights(catalogue) == [record.frame_id]
    assert catalogue.keep_reduction(record.frame_id, job, "{}", LATER)
    assert lights(catalogue) == []


def test_master_that_comes_while_the_worker_runs_is_not_missed(catalogue):
    b, l = frame("b"), frame("l", Kind.LIGHT)  # noqa: E741 - a light
    add_measured(catalogue, b)
    add(catalogue, l)
    settled_master(catalogue, "bias", [b])  # after the order was given, before its product is recorded
    reduce(catalogue, "job", l)
    assert lights(catalogue) == [l.frame_id]


def test_product_recorded_twice_settles_the_frame(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    reduce(catalogue, "job", record)
    reduce(catalogue, "job", record)
    assert lights(catalogue) == []
    assert len(catalogue.product_rows(record.frame_id)) == 1


def test_new_product_takes_the_place_of_the_old_and_so_do_its_figures(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    reduce(catalogue, "old", record)
    new = reduce(catalogue, "new", record)
    assert catalogue.current_reduction(record.frame_id) == new
    assert [path for _, path, _ in catalogue.current_products()] == ["reduced/new.fits"]
    assert len(catalogue.qa_rows(metric="sky_level")) == 1


def test_earlier_product_can_become_current_again(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    old = reduce(catalogue, "old", record, provisional=True)
    reduce(catalogue, "new", record)
    assert catalogue.keep_reduction(record.frame_id, old, "{}", LATER)
    assert catalogue.current_reduction(record.frame_id) == old
    assert reason(catalogue, record) == "provisional missing_master"
    assert len(catalogue.qa_rows(metric="sky_level")) == 1


def test_pruned_product_cannot_become_current_again(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    old = reduce(catalogue, "old", record)
    reduce(catalogue, "new", record)
    catalogue.mark_pruned(reduction_ids=[old], now=NOW)
    assert not catalogue.keep_reduction(record.frame_id, old, "{}", LATER)
    assert lights(catalogue) == [record.frame_id]


def test_waiting_frame_is_not_looked_at_again_by_itself(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    catalogue.record_wait(record.frame_id, "needs_master", "no dark within 0.5 C", "{}", NOW)
    assert reason(catalogue, record) == "waiting needs_master"
    assert lights(catalogue) == []


def test_frame_that_waits_for_space_stays_due(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    catalogue.record_wait(record.frame_id, "disk_full", "3 MB left", "{}", NOW)
    assert reason(catalogue, record) == "waiting disk_full"
    assert lights(catalogue) == [record.frame_id]


def test_newest_science_frame_comes_first(catalogue):
    add(catalogue, *(frame(f"l{n}", Kind.LIGHT, minute=n) for n in (2, 3, 1)))
    assert lights(catalogue) == [sha("l3"), sha("l2"), sha("l1")]
    assert [record.frame_id for record in catalogue.stale_lights(2, newest_first=False)] == [sha("l1"), sha("l2")]


# --- failures ---------------------------------------------------------------------------------------------------------


def fail(catalogue, record, *, final=False, death=False, next_try=LATER):
    return catalogue.record_failure("job", record.frame_id, "io_error", next_try, final, death, NOW, detail="EIO")


@pytest.mark.parametrize("kind", [Kind.LIGHT, Kind.BIAS])
def test_failed_frame_is_due_again_after_its_back_off(catalogue, kind):
    record = frame("x", kind)
    add(catalogue, record)
    fail(catalogue, record)
    ask = catalogue.stale_lights if kind is Kind.LIGHT else catalogue.unmeasured
    assert reason(catalogue, record) == "failed io_error"
    assert ask(10, now=NOW) == []
    assert ask(10, now=LATER) == [record]


def test_failures_are_counted_and_forgotten_on_success(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    fail(catalogue, record)
    found = fail(catalogue, record, death=True)
    assert (found.attempts, found.deaths, found.next_try, found.is_final) == (2, 1, LATER, False)
    assert catalogue.failure("job") == found
    reduce(catalogue, "job", record)
    assert catalogue.failure("job") is None
    assert reason(catalogue, record) == "done reduced"


def test_last_failure_ends_the_trying(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    fail(catalogue, record, final=True, next_try=None)
    assert lights(catalogue) == []
    assert catalogue.failure("job").is_final


def test_failing_frame_does_not_hold_up_the_masters_of_its_night(catalogue):
    record = frame("b")
    add(catalogue, record)
    fail(catalogue, record)
    assert not catalogue.has_unmeasured("main", KEY)


def test_failed_master_has_no_frame(catalogue):
    found = catalogue.record_failure("job", None, "io_error", LATER, False, False, NOW, master_group="bias 2026-01-10")
    assert (found.frame_id, found.master_group) == (None, "bias 2026-01-10")
    catalogue.clear_failure("job")
    assert catalogue.failure("job") is None


# --- operator ---------------------------------------------------------------------------------------------------------


def test_requeue_lets_quarantined_and_failed_frames_wait_again(catalogue):
    bad, failed = frame("bad", Kind.LIGHT), frame("failed", Kind.LIGHT)
    add(catalogue, bad, failed)
    catalogue.quarantine(bad.frame_id, "crashed", "twice", NOW)
    fail(catalogue, failed, final=True, next_try=None)
    assert catalogue.requeue([bad.frame_id, failed.frame_id], LATER) == 2
    assert (reason(catalogue, bad), reason(catalogue, failed)) == ("waiting due", "waiting due")
    assert len(lights(catalogue)) == 2
    assert catalogue.failure("job") is None


def test_requeue_of_all_is_every_science_frame_and_keeps_their_products(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record, frame("b"))
    job = reduce(catalogue, "job", record)
    catalogue.keep_reduction(record.frame_id, job, "{}", NOW)
    assert catalogue.requeue(None, LATER) == 1
    assert lights(catalogue) == [record.frame_id]
    assert (reason(catalogue, record), catalogue.current_reduction(record.frame_id)) == ("done reduced", job)


def test_requeued_calibration_frame_is_measured_again(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    settle_all(catalogue)
    catalogue.quarantine(record.frame_id, "saturated", "", NOW)
    catalogue.requeue([record.frame_id], LATER)
    assert [found.frame_id for found in catalogue.unmeasured(10)] == [record.frame_id]
    assert stale_nights(catalogue) == [("bias", "10")]


def test_frame_of_unknown_kind_is_read_again_when_requeued(catalogue):
    record = frame("u", Kind.UNKNOWN)
    catalogue.add_frames([taken(record, "/raw/u.fits", state=State.DONE, reason="catalogued")], NOW)
    before = catalogue.known_files()
    assert catalogue.requeue([record.frame_id], LATER) == 1
    assert catalogue.known_files() != before


def test_changed_settings_touch_every_night(catalogue):
    add_measured(catalogue, frame("b"), frame("d", Kind.DARK, day=3))
    settle_all(catalogue)
    assert catalogue.touch_nights(LATER) == 2
    assert stale_nights(catalogue) == [("bias", "10"), ("dark", "03")]


def test_events_are_pruned_to_the_newest(catalogue):
    with catalogue.transaction():
        for number in range(10_005):
            catalogue.add_event("info", "test", str(number), "", NOW)
    found = catalogue.events(limit=20_000)
    assert (len(found), found[0]["subject"], found[-1]["subject"]) == (10_000, "10004", "5")


def test_gains_are_those_of_current_flats_of_earlier_nights(catalogue):
    flats = [frame(f"f{day}", Kind.FLAT, day=day) for day in (8, 9, 10)]
    add_measured(catalogue, *flats)
    for record, gain in zip(flats, (1.30, 1.32, 1.40), strict=True):
        settled_master(catalogue, f"m{record.night}", [record], Metric("gain_electrons_per_adu", gain, 0.01))
    assert catalogue.gains("main", KEY, "2026-01-10") == [(1.30, 0.01), (1.32, 0.01)]
    catalogue.settle_night(group(Kind.FLAT, "V"), "2026-01-08", [], NOW)
    assert catalogue.gains("main", KEY, "2026-01-10") == [(1.32, 0.01)]
    assert catalogue.gains("guide", CCD.key(), "2026-01-10") == []


def test_figure_that_gives_the_gain_is_a_declared_metric():
    assert "gain_electrons_per_adu" in {declaration.name for declaration in METRICS}
