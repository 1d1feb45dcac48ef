"""Files and frames: duplicates, rewrites, equal pixels, what is gone and what comes back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ingestd.doors.catalogue import ArrivalRow, Catalogue
from ingestd.records import Kind, State
from tests.doors.catalogue_samples import CCD, NOW, frame, group, measure, reduce, renamed, settle_all, stamp, taken

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


def usable(catalogue, kind=Kind.BIAS, **which):
    return [found.frame_id for found in catalogue.usable_frames(group(kind), "2026-01-01", "2026-01-31", **which)]


def sightings(catalogue):
    rows = catalogue._rows("SELECT path, frame_id, gone_at IS NOT NULL AS gone FROM sightings ORDER BY sighting_id")
    return [tuple(row) for row in rows]


def arrival(path, reason="growing", seen=NOW):
    return ArrivalRow(path, reason, "1 of 2 blocks", 2880, seen, seen + timedelta(seconds=1))


# --- arriving ---------------------------------------------------------------------------------------------------------


def test_arriving_file_keeps_its_first_time_when_it_is_noted_again(catalogue):
    catalogue.note_arrivals([arrival("/raw/a.fits")], NOW)
    catalogue.note_arrivals([arrival("/raw/a.fits", "incomplete", LATER)], LATER)
    [found] = catalogue.arrivals()
    assert (found.reason, found.first_seen, found.next_look) == ("incomplete", NOW, LATER + timedelta(seconds=1))


def test_arriving_file_is_listed_as_waiting_without_a_frame(catalogue):
    catalogue.note_arrivals([arrival("/raw/a.fits")], NOW)
    [row] = catalogue.frame_rows()
    assert (row["frame_id"], row["kind"], row["state"], row["reason"]) == (None, None, "waiting", "growing")


def test_file_stops_arriving_when_it_is_taken_or_dropped(catalogue):
    catalogue.note_arrivals([arrival("/raw/a.fits"), arrival("/raw/b.fits"), arrival("/raw/c.fits")], NOW)
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits")], NOW)
    catalogue.drop_arrivals(["/raw/b.fits"])
    assert [found.path for found in catalogue.arrivals()] == ["/raw/c.fits"]


# --- identity ---------------------------------------------------------------------------------------------------------


def test_same_bytes_under_two_names_are_one_frame_with_two_sightings(catalogue):
    first, second = catalogue.add_frames([taken(frame("a"), "/raw/a.fits"), taken(frame("a"), "/raw/copy.fits")], NOW)
    assert (first.is_new, second.is_new) == (True, False)
    assert len(catalogue.frame_rows()) == 1
    assert sorted(catalogue.known_files()) == ["/raw/a.fits", "/raw/copy.fits"]
    assert catalogue.path_of(frame("a").frame_id) == "/raw/copy.fits"


def test_adding_a_frame_again_changes_nothing(catalogue):
    catalogue.add_frames([taken(frame("a"))], NOW)
    measure(catalogue, frame("a"))
    settle_all(catalogue)
    [again] = catalogue.add_frames([taken(frame("a"))], LATER)
    assert not again.is_new
    assert catalogue.stale_nights() == []
    assert catalogue.unmeasured(10) == []
    assert len(sightings(catalogue)) == 1


def test_touched_file_keeps_its_sighting_and_gets_the_new_stamp(catalogue):
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits", 100)], NOW)
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits", 200)], LATER)
    assert catalogue.known_files() == {"/raw/a.fits": stamp(200)}
    assert len(sightings(catalogue)) == 1


def test_rewritten_file_is_a_new_version(catalogue):
    catalogue.add_frames([taken(frame("old"), "/raw/a.fits")], NOW)
    [new] = catalogue.add_frames([taken(frame("new"), "/raw/a.fits")], LATER)
    assert new.replaced == frame("old").frame_id
    assert sightings(catalogue) == [
        ("/raw/a.fits", frame("old").frame_id, 1),
        ("/raw/a.fits", frame("new").frame_id, 0),
    ]
    assert catalogue.path_of(frame("old").frame_id) is None
    assert not catalogue.standing_frame(frame("old").frame_id).is_live


def test_content_that_returns_to_its_path_is_a_third_version(catalogue):
    for name in ("old", "new", "old"):
        catalogue.add_frames([taken(frame(name), "/raw/a.fits")], NOW)
    assert [(frame_id == frame("old").frame_id, gone) for _, frame_id, gone in sightings(catalogue)] == [
        (True, 1),
        (False, 1),
        (True, 0),
    ]
    assert catalogue.standing_frame(frame("old").frame_id).is_live


def test_batch_is_added_whole_or_not_at_all(catalogue):
    good, bad = taken(frame("a")), taken(frame("b", flags=(object(),)))
    with pytest.raises(TypeError):
        catalogue.add_frames([good, bad], NOW)
    assert catalogue.frame_rows() == []


# --- gone and healed --------------------------------------------------------------------------------------------------


def test_gone_frame_is_no_member_of_a_new_build(catalogue):
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits"), taken(frame("b"), "/raw/b.fits")], NOW)
    measure(catalogue, frame("a"), frame("b"))
    settle_all(catalogue)
    assert catalogue.mark_gone(["/raw/a.fits"], LATER) == [frame("a").frame_id]
    assert usable(catalogue) == [frame("b").frame_id]
    assert usable(catalogue, with_gone=True) == sorted([frame("a").frame_id, frame("b").frame_id])
    assert [stale.night for stale in catalogue.stale_nights()] == ["2026-01-10"]


def test_frame_with_another_file_left_is_not_gone(catalogue):
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits"), taken(frame("a"), "/raw/b.fits")], NOW)
    assert catalogue.mark_gone(["/raw/b.fits"], LATER) == []
    assert catalogue.path_of(frame("a").frame_id) == "/raw/a.fits"


def test_vanishing_of_an_unknown_path_changes_nothing(catalogue):
    assert catalogue.mark_gone(["/raw/never.fits"], NOW) == []


def test_frame_that_comes_back_under_another_name_is_healed(catalogue):
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits")], NOW)
    measure(catalogue, frame("a"))
    catalogue.mark_gone(["/raw/a.fits"], NOW)
    settle_all(catalogue)
    [found] = catalogue.add_frames([taken(frame("a"), "/archive/a.fits")], LATER)
    assert not found.is_new
    assert usable(catalogue) == [frame("a").frame_id]
    assert [stale.touched_at for stale in catalogue.stale_nights()] == [LATER]


def test_file_that_comes_back_continues_its_sighting(catalogue):
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits")], NOW)
    catalogue.mark_gone(["/raw/a.fits"], NOW)
    catalogue.add_frames([taken(frame("a"), "/raw/a.fits")], LATER)
    assert sightings(catalogue) == [("/raw/a.fits", frame("a").frame_id, 0)]


def test_gone_frame_is_not_due(catalogue):
    catalogue.add_frames([taken(frame("l", Kind.LIGHT), "/raw/l.fits"), taken(frame("b"), "/raw/b.fits")], NOW)
    catalogue.mark_gone(["/raw/l.fits", "/raw/b.fits"], NOW)
    assert catalogue.stale_lights(10) == []
    assert catalogue.unmeasured(10) == []


# --- equal pixels under another header --------------------------------------------------------------------------------


def test_of_equal_pixels_only_the_newest_file_is_a_member(catalogue):
    old = frame("old")
    new = renamed(old, "plate-solved")
    catalogue.add_frames([taken(old, "/raw/a.fits", 100), taken(new, "/raw/solved.fits", 200)], NOW)
    measure(catalogue, old, new)
    assert usable(catalogue) == [new.frame_id]
    standing = catalogue.standing_frame(old.frame_id)
    assert (standing.state, standing.reason, standing.superseded_by) == (State.DONE, "superseded", new.frame_id)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_the_newest_does_not_depend_on_the_order_of_arrival(catalogue, order):
    first = frame("first")
    versions = [first, renamed(first, "second"), renamed(first, "third")]
    items = [taken(record, f"/raw/{n}.fits", 100 + n) for n, record in enumerate(versions)]
    for index in order:
        catalogue.add_frames([items[index]], NOW)
    standing = [catalogue.standing_frame(record.frame_id) for record in versions]
    assert [found.superseded_by for found in standing] == [versions[2].frame_id, versions[2].frame_id, None]
    assert [found.frame_id for found in catalogue.unmeasured(10)] == [versions[2].frame_id]


def test_equal_pixels_of_another_configuration_are_another_frame(catalogue):
    old = frame("old")
    new = renamed(old, "other gain", configuration=replace(CCD, gain_setting=5.0))
    catalogue.add_frames([taken(old, mtime_s=100), taken(new, mtime_s=200)], NOW)
    assert catalogue.standing_frame(old.frame_id).superseded_by is None


def test_product_of_a_superseded_frame_is_not_current(catalogue):
    old = frame("old", Kind.LIGHT)
    new = renamed(old, "solved")
    catalogue.add_frames([taken(old, "/raw/a.fits", 100)], NOW)
    reduce(catalogue, "job", old)
    catalogue.add_frames([taken(new, "/raw/a.fits", 200)], LATER)
    assert catalogue.current_products() == []
    assert [found.frame_id for found in catalogue.stale_lights(10)] == [new.frame_id]
    assert "reduced/job.fits" in catalogue.product_paths()


def test_result_that_comes_after_supersession_is_recorded_but_not_current(catalogue):
    old = frame("old", Kind.LIGHT)
    catalogue.add_frames([taken(old, "/raw/a.fits", 100)], NOW)
    catalogue.add_frames([taken(renamed(old, "solved"), "/raw/a.fits", 200)], NOW)
    reduce(catalogue, "late", old)
    assert catalogue.current_products() == []
    assert catalogue.standing_frame(old.frame_id).reason == "superseded"


def test_when_the_newest_is_gone_the_older_takes_part_again(catalogue):
    old = frame("old", Kind.LIGHT)
    new = renamed(old, "solved")
    catalogue.add_frames([taken(old, "/raw/a.fits", 100), taken(new, "/raw/solved.fits", 200)], NOW)
    catalogue.mark_gone(["/raw/solved.fits"], LATER)
    assert catalogue.standing_frame(old.frame_id).superseded_by is None
    assert [found.frame_id for found in catalogue.stale_lights(10)] == [old.frame_id]


def test_measured_frame_that_takes_part_again_is_not_measured_again(catalogue):
    old = frame("old")
    new = renamed(old, "solved")
    catalogue.add_frames([taken(old, "/raw/a.fits", 100)], NOW)
    measure(catalogue, old)
    catalogue.add_frames([taken(new, "/raw/b.fits", 200)], NOW)
    catalogue.mark_gone(["/raw/b.fits"], LATER)
    assert catalogue.unmeasured(10) == []
    assert usable(catalogue) == [old.frame_id]


# --- rejected files ---------------------------------------------------------------------------------------------------


def test_rejected_file_gets_the_record_that_it_can_have_later(catalogue):
    record = frame("a", Kind.LIGHT)
    rejected = taken(frame("a", Kind.UNKNOWN), "/raw/a.fits", state=State.QUARANTINED, reason="bad_card")
    catalogue.add_frames([rejected], NOW)
    catalogue.requeue([record.frame_id], NOW)
    assert catalogue.known_files()["/raw/a.fits"] != stamp()
    catalogue.add_frames([taken(record, "/raw/a.fits")], LATER)
    assert catalogue.stale_lights(10) == [record]
    assert catalogue.known_files()["/raw/a.fits"] == stamp()
