"""Frames -> nights -> masters: what a change makes due, and what settling a night does."""

from datetime import timedelta

import pytest

from ingestd.records import Kind
from tests.doors.catalogue_samples import (
    KEY,
    NOW,
    SETUP,
    add,
    add_measured,
    build,
    frame,
    group,
    lights,
    master,
    measure,
    reason,
    settle_all,
    settled_master,
    sha,
    small_windows,
    stale_nights,
)

LATER = NOW + timedelta(hours=1)
BIAS = group(Kind.BIAS)


@pytest.fixture
def catalogue(tmp_path):
    with small_windows(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


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
    assert catalogue.has_unmeasured("main", SETUP)
    measure(catalogue, *records[:2])
    assert catalogue.unmeasured(10) == []
    assert not catalogue.has_unmeasured("main", SETUP)


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
