"""The operator's word and the journal: requeue, changed settings, events."""

from datetime import timedelta

import pytest

from ingestd.records import Kind, State
from tests.doors.catalogue_samples import (
    NOW,
    add,
    add_measured,
    frame,
    lights,
    reason,
    reduce,
    settle_all,
    small_windows,
    stale_nights,
    taken,
)

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def catalogue(tmp_path):
    with small_windows(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


def fail(catalogue, record, *, final=False, death=False, next_try=LATER):
    return catalogue.record_failure("job", record.frame_id, "io_error", next_try, final, death, NOW, detail="EIO")


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
