"""The desk that takes files in beside the main loop: whoever waits for it is woken."""

from __future__ import annotations

import select
from datetime import UTC, datetime

import pytest

from ingestd import simulator
from ingestd.doors import fitsfile
from ingestd.doors.catalogue import TakenFrame
from ingestd.doors.watcher import Settled
from ingestd.flow.arrival import ArrivalDesk
from ingestd.records import Kind
from tests.flow.observatory import settings_for

NOW = datetime(2025, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def settled(tmp_path):
    """A bias that lies in the watched directory and has settled."""
    shot = simulator.Shot(Kind.BIAS, 0, 0.0, datetime(2025, 3, 1, 20, 0, tzinfo=UTC))
    path = tmp_path / "incoming" / "bias.fits"
    path.parent.mkdir()
    simulator.write(path, simulator.Camera().expose(shot))
    return Settled(str(path), fitsfile.stamp(path), "event", 1.0, 1.0, gave_up=False)


def is_readable(fds, timeout_s):
    return bool(select.select(fds, [], [], timeout_s)[0])


def test_a_file_that_was_taken_in_wakes_the_loop(settled, tmp_path):
    desk = ArrivalDesk(settings_for(tmp_path), threaded=True)
    try:
        assert not is_readable(desk.wake_fds, 0.0)
        desk.hand_in(settled, NOW)
        assert is_readable(desk.wake_fds, 30.0)
        (arrived,) = desk.collect(10)
        assert isinstance(arrived, TakenFrame)
        assert not is_readable(desk.wake_fds, 0.0)
    finally:
        desk.stop()


def test_a_desk_that_has_stopped_is_not_waited_for(tmp_path):
    desk = ArrivalDesk(settings_for(tmp_path), threaded=True)
    desk.stop()
    assert desk.wake_fds == ()


def test_a_desk_without_a_thread_has_nothing_to_wait_for(settled, tmp_path):
    desk = ArrivalDesk(settings_for(tmp_path), threaded=False)
    desk.hand_in(settled, NOW)
    assert desk.wake_fds == ()
    assert len(desk.collect(10)) == 1
