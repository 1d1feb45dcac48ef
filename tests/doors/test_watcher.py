"""Arrival of files, with real inotify and real files; the time is told to the watcher."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ingestd.doors.watcher import Watcher
from ingestd.doors.watcher.walk import look_at
from tests.doors.watching import (
    ARRIVAL,
    DEADLINE_S,
    gather,
    has_been_closed,
    names,
    settle,
    take,
    wait_for_events,
    watching,
    write,
)


def test_files_that_were_there_settle_after_one_interval(tmp_path):
    write(tmp_path / "a.fits")
    (tmp_path / "night").mkdir()
    write(tmp_path / "night" / "B.FIT.FZ")
    write(tmp_path / "notes.txt")
    with watching(tmp_path) as watcher:
        assert watcher.poll(0.0).settled == ()
        assert watcher.is_caught_up
        assert watcher.poll(0.9).settled == ()
        files = watcher.poll(1.0).settled
        assert names(files) == ["B.FIT.FZ", "a.fits"]
        assert {file.how for file in files} == {"scan"}
        assert files[0].stamp == look_at(files[0].path)


def test_known_files_are_skipped_and_changed_ones_are_not(tmp_path):
    same, changed = write(tmp_path / "same.fits"), write(tmp_path / "changed.fits")
    known = {str(path): look_at(str(path)) for path in (same, changed)}
    write(changed, b"SIMPLE, but longer")
    with watching(tmp_path, known=known) as watcher:
        assert names(settle(watcher, 0.0)) == ["changed.fits"]


def test_taken_file_is_not_handed_out_again(tmp_path):
    write(tmp_path / "a.fits")
    with watching(tmp_path) as watcher:
        take(watcher, settle(watcher, 0.0))
        assert watcher.poll(60.0).settled == ()
        assert watcher.poll(61.0).settled == ()
        assert watcher.observed == 0


def test_closed_file_comes_by_event(tmp_path):
    with watching(tmp_path) as watcher:
        watcher.poll(0.0)
        path = write(tmp_path / "a.fits")
        wait_for_events(watcher, 1.0, lambda: has_been_closed(watcher, path))
        assert watcher.poll(1.1).settled == ()
        [file] = watcher.poll(1.2).settled
        assert (file.how, file.settle_s) == ("event", 0.2)


@pytest.mark.parametrize("temporary", ["a.part", ".a.fits.Xy12", "a.fits.tmp", "a.fits~"])
def test_file_renamed_into_place_comes_once(tmp_path, temporary):
    with watching(tmp_path) as watcher:
        watcher.poll(0.0)
        write(tmp_path / temporary)
        (tmp_path / temporary).rename(tmp_path / "a.fits")
        wait_for_events(watcher, 1.0, lambda: watcher.observed == 1)
        files = watcher.poll(3.0).settled
        assert names(files) == ["a.fits"]
        take(watcher, files)
        assert settle(watcher, 60.0) == ()


def test_file_moved_or_linked_in_from_outside_comes_by_event(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    with watching(root) as watcher:
        watcher.poll(0.0)
        write(outside / "a.fits").rename(root / "moved.fits")
        os.link(write(outside / "b.fits"), root / "linked.fits")
        wait_for_events(watcher, 1.0, lambda: watcher.observed == 2)
        files = watcher.poll(2.0).settled
        assert names(files) == ["linked.fits", "moved.fits"]
        assert {file.how for file in files} == {"event"}


def test_rewritten_file_comes_again(tmp_path):
    path = write(tmp_path / "a.fits")
    with watching(tmp_path) as watcher:
        [first] = settle(watcher, 0.0)
        take(watcher, [first])
        with path.open("r+b") as file:  # a plate solver edits the header in place
            file.write(b"simple")
        wait_for_events(watcher, 2.0, lambda: watcher.observed == 1)
        [second] = watcher.poll(3.0).settled
        assert second.stamp != first.stamp


def test_growing_file_waits_until_it_is_quiet(tmp_path):
    with watching(tmp_path) as watcher, (tmp_path / "a.fits").open("wb", buffering=0) as file:
        file.write(b"S")
        watcher.poll(0.0)
        for second in range(1, 10):
            file.write(b"x" * 2880)
            assert watcher.poll(float(second)).settled == ()
        assert watcher.poll(9.5).settled == ()
        file.write(b"x" * 2880)
        assert watcher.poll(10.0).settled == ()
        [settled] = watcher.poll(11.0).settled
        assert settled.stamp.size_bytes == 1 + 10 * 2880


def test_scan_reports_a_growing_file_as_waiting(tmp_path):
    path = write(tmp_path / "a.fits", b"1")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)  # no close: no event
    try:
        with watching(tmp_path) as watcher:
            watcher.poll(0.0)
            os.write(descriptor, b"x")
            poll = watcher.poll(1.0)
            assert [(file.reason, file.next_look) for file in poll.waiting] == [("growing", 2.0)]
            assert poll.settled == ()
            path.unlink()
            assert watcher.poll(2.0).dropped == (str(path),)
    finally:
        os.close(descriptor)


def test_empty_file_waits(tmp_path):
    path = write(tmp_path / "a.fits", b"")
    with watching(tmp_path) as watcher:
        assert settle(watcher, 0.0) == ()
        write(path)
        wait_for_events(watcher, 2.0, lambda: has_been_closed(watcher, path))
        assert names(watcher.poll(2.2).settled) == ["a.fits"]


def test_file_that_is_not_ready_comes_again_and_is_dropped_when_it_goes(tmp_path):
    path = write(tmp_path / "a.fits")
    with watching(tmp_path) as watcher:
        settle(watcher, 0.0)
        watcher.not_ready(str(path), 1.0, "incomplete")
        assert watcher.poll(2.9).settled == ()
        assert names(watcher.poll(3.0).settled) == ["a.fits"]
        watcher.not_ready(str(path), 3.0, "incomplete", wait_s=1.5)
        path.unlink()
        assert watcher.poll(4.5).dropped == (str(path),)


def test_deleted_file_has_vanished_after_the_next_scan(tmp_path):
    path = write(tmp_path / "a.fits")
    with watching(tmp_path) as watcher:
        take(watcher, settle(watcher, 0.0))
        path.unlink()
        assert watcher.poll(30.0).vanished == ()
        assert watcher.poll(61.0).vanished == (str(path),)
        assert watcher.poll(200.0).vanished == ()
        write(path)  # it comes back
        assert names(gather(watcher, 300.0, 1)) == ["a.fits"]


def test_link_in_place_of_a_known_file_means_that_it_vanished(tmp_path):
    path = write(tmp_path / "a.fits")
    with watching(tmp_path) as watcher:
        take(watcher, settle(watcher, 0.0))
        path.unlink()
        path.symlink_to("/etc/hostname")
        assert watcher.poll(61.0).vanished == (str(path),)
        assert settle(watcher, 70.0) == ()


def test_every_file_of_directories_made_at_once_arrives_without_a_scan(tmp_path):
    with watching(tmp_path) as watcher:
        watcher.poll(0.0)
        scans = watcher.root_states(0.0)[0].scans
        for number in range(200):
            directory = tmp_path / f"target{number}" / "lights"
            directory.mkdir(parents=True)
            write(directory / f"f{number}.fits")
        wait_for_events(watcher, 1.0, lambda: watcher.observed == 200)
        files = {file.path for file in gather(watcher, 3.0, 200)}
        assert len(files) == 200
        assert watcher.root_states(1.0)[0].scans == scans


def test_directory_renamed_into_place_brings_its_files(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    write(outside / "a.fits")
    with watching(root) as watcher:
        watcher.poll(0.0)
        outside.rename(root / "night")
        wait_for_events(watcher, 1.0, lambda: watcher.observed == 1)
        assert names(watcher.poll(2.0).settled) == ["a.fits"]


def test_lost_events_are_made_good_by_a_scan(tmp_path, caplog):
    # Each file makes two events; the kernel queues 16,384 by default while the reader is held up.
    files = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2 + 500
    with watching(tmp_path, max_settled=files) as watcher:
        watcher.poll(0.0)
        with watcher._sides[str(tmp_path)].root._subscription._inotify._lock:
            for number in range(files):
                write(tmp_path / f"{number}.fits")
        wait_for_events(watcher, 1.0, lambda: watcher.root_states(1.0)[0].overflows == 1)
        wait_for_events(watcher, 1.0, lambda: watcher.observed == files)
        assert len({file.path for file in gather(watcher, 5.0, files)}) == files
        assert "were lost" in caplog.text


def test_frame_that_came_without_an_event_shortens_the_interval(tmp_path, caplog):
    with watching(tmp_path) as watcher:
        watcher.poll(0.0)
        watcher.poll(60.0)
        side = watcher._sides[str(tmp_path)]
        side.root._subscription._observer.unschedule_all()  # the threads live, but nothing is watched any more
        side.root._subscription.is_alive = lambda: True
        write(tmp_path / "a.fits")
        watcher.poll(121.0)
        assert names(watcher.poll(122.0).settled) == ["a.fits"]
        assert watcher.root_states(122.0)[0].missed == 1
        assert side.interval_s == 10.0
        assert "without an event" in caplog.text


def test_one_poll_hands_out_a_bounded_number(tmp_path):
    for number in range(25):
        write(tmp_path / f"{number}.fits")
    with watching(tmp_path, max_settled=10) as watcher:
        watcher.poll(0.0)
        counts = []
        for _ in range(3):
            poll = watcher.poll(1.0)
            counts.append((len(poll.settled), poll.backlog))
        assert counts == [(10, 15), (10, 5), (5, 0)]


def test_next_due_tells_when_to_look_again(tmp_path):
    write(tmp_path / "a.fits")
    with watching(tmp_path) as watcher:
        assert watcher.poll(100.0).next_due == 101.0  # the settling time
        take(watcher, watcher.poll(101.0).settled)
        assert watcher.poll(101.0).next_due == 102.0  # the next check of the root


def test_threads_bring_the_same(tmp_path):
    path = write(tmp_path / "a.fits")
    with watching(tmp_path, threaded=True) as watcher:
        wait_for_events(watcher, 0.0, lambda: watcher.is_caught_up and watcher.observed == 1)
        settled = wait_for_events(watcher, 1.0, lambda: watcher._settling._pending[str(path)].phase == "handed")
        assert names(settled) == ["a.fits"]
    assert watcher.fileno() == -1


def test_dead_thread_is_replaced(tmp_path):
    with watching(tmp_path, threaded=True) as watcher:
        wait_for_events(watcher, 0.0, lambda: watcher.is_caught_up)
        side = watcher._sides[str(tmp_path)]
        dead = side.thread
        dead.stop()
        dead.join(DEADLINE_S)
        write(tmp_path / "a.fits")
        wait_for_events(watcher, 1.0, lambda: watcher.observed == 1)
        assert side.thread is not dead


def test_single_scan_returns_everything_after_one_interval(tmp_path):
    ready, known = write(tmp_path / "a.fits"), write(tmp_path / "known.fits")
    write(tmp_path / "empty.fits", b"")
    growing = write(tmp_path / "growing.fits")
    gone = str(tmp_path / "gone.fits")
    slept, steps = [], []

    def wait(seconds):
        slept.append(seconds)
        write(growing, b"SIMPLE and more")

    stamps = {str(known): look_at(str(known)), gone: look_at(str(ready))}
    watcher = Watcher([tmp_path, tmp_path / "missing"], ARRIVAL, known=stamps)
    poll = watcher.scan_once(progress=lambda done, total: steps.append((done, total)), wait=wait)
    watcher.stop()
    assert names(poll.settled) == ["a.fits"]
    assert {(Path(file.path).name, file.reason) for file in poll.waiting} == {
        ("empty.fits", "growing"),
        ("growing.fits", "growing"),
    }
    assert poll.vanished == (gone,)
    assert slept == [1.0]
    assert steps == [(1, 3), (2, 3), (3, 3)]
    modes = {Path(state.root).name: state.mode for state in watcher.root_states(0.0)}
    assert modes == {tmp_path.name: "watched", "missing": "missing"}


def test_polled_root_is_only_scanned_and_settles_slowly(tmp_path):
    write(tmp_path / "a.fits")
    with watching(tmp_path, arrival=replace(ARRIVAL, polling="always")) as watcher:
        watcher.poll(0.0)
        assert watcher._sides[str(tmp_path)].root._subscription is None
        assert watcher.poll(4.9).settled == ()
        take(watcher, watcher.poll(5.0).settled)
        write(tmp_path / "b.fits")
        watcher.poll(9.9)
        assert watcher.observed == 0
        watcher.poll(10.0)
        assert names(watcher.poll(15.0).settled) == ["b.fits"]
        assert watcher.root_states(15.0)[0].mode == "polled"


def test_known_files_of_a_large_directory_cost_no_second_look(tmp_path):
    for number in range(2000):
        write(tmp_path / f"{number}.fits")
    known = {entry.path: look_at(entry.path) for entry in os.scandir(tmp_path)}
    with watching(tmp_path, known=known) as watcher:
        watcher.poll(0.0)
        watcher.poll(60.0)
        [state] = watcher.root_states(60.0)
        assert (state.scans, state.files) == (3, 2000)
        assert watcher.observed == 0
