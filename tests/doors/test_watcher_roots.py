"""Directories that come and go, are mounted over, hang, or cannot be watched."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ingestd.doors import mounts
from ingestd.doors.watcher import Watcher
from ingestd.doors.watcher.walk import look_at
from tests.doors.watching import ARRIVAL, gather, names, settle, take, unreadable, wait_for_events, watching, write

ROOM = Path(__file__).parents[2]


def mode(watcher, root, now):
    return next(state.mode for state in watcher.root_states(now) if state.root == str(root))


def test_missing_root_is_waited_for(tmp_path, caplog):
    root = tmp_path / "incoming"
    with watching(root) as watcher:
        watcher.poll(0.0)
        [state] = watcher.root_states(0.0)
        assert (state.mode, state.detail, state.is_ready) == ("missing", "does not exist", False)
        assert watcher.is_caught_up  # others need not wait for it
        root.mkdir()
        write(root / "a.fits")
        watcher.poll(2.0)  # the next check
        assert mode(watcher, root, 2.0) == "watched"
        assert names(watcher.poll(3.0).settled) == ["a.fits"]
    assert "waiting for it" in caplog.text


def test_file_in_place_of_a_root_is_no_root(tmp_path):
    root = write(tmp_path / "incoming")
    with watching(root) as watcher:
        watcher.poll(0.0)
        assert watcher.root_states(0.0)[0].detail == "is not a directory"


def test_root_removed_and_made_anew_is_watched_again(tmp_path):
    root = tmp_path / "incoming"
    root.mkdir()
    first = write(root / "a.fits")
    with watching(root) as watcher:
        take(watcher, settle(watcher, 0.0))
        first.unlink()
        root.rmdir()
        watcher.poll(10.0)
        assert mode(watcher, root, 10.0) == "missing"
        assert watcher.poll(70.0).vanished == ()  # a root that is gone says nothing of its files
        root.mkdir()
        watcher.poll(72.0)
        assert mode(watcher, root, 72.0) == "watched"
        write(root / "b.fits")
        wait_for_events(watcher, 72.1, lambda: watcher.observed == 1)
        [file] = gather(watcher, 75.0, 1)
        assert (Path(file.path).name, file.how) == ("b.fits", "event")
        assert watcher.root_states(75.0)[0].renewals == 1


def test_root_replaced_between_two_checks_is_watched_again(tmp_path):
    root = tmp_path / "incoming"
    root.mkdir()
    with watching(root) as watcher:
        watcher.poll(0.0)
        root.rename(tmp_path / "old")
        root.mkdir()
        watcher.poll(2.0)
        write(root / "a.fits")
        wait_for_events(watcher, 2.1, lambda: watcher.observed == 1)
        assert names(gather(watcher, 4.0, 1)) == ["a.fits"]


def test_dead_emitter_is_noticed_and_replaced(tmp_path):
    with watching(tmp_path) as watcher:
        watcher.poll(0.0)
        dead = watcher._sides[str(tmp_path)].root._subscription
        for emitter in dead._observer.emitters:
            emitter.stop()
            emitter.join()
        assert dead._observer.is_alive()  # which alone would not tell
        write(tmp_path / "a.fits")
        watcher.poll(2.0)
        assert watcher._sides[str(tmp_path)].root._subscription is not dead
        assert names(watcher.poll(3.0).settled) == ["a.fits"]


@pytest.mark.parametrize("part", ["_inotify", "_observer"])
def test_dead_thread_of_watchdog_is_noticed(tmp_path, part):
    with watching(tmp_path) as watcher:
        watcher.poll(0.0)
        dead = watcher._sides[str(tmp_path)].root._subscription
        thread = getattr(dead, part)
        thread.stop()
        thread.join()
        watcher.poll(2.0)
        assert watcher._sides[str(tmp_path)].root._subscription is not dead
        assert watcher.root_states(2.0)[0].renewals == 1


def test_root_that_is_a_link_is_followed_and_keeps_its_name(tmp_path):
    (tmp_path / "disk1").mkdir()
    (tmp_path / "disk2").mkdir()
    root = tmp_path / "incoming"
    root.symlink_to("disk1")
    with watching(root) as watcher:
        watcher.poll(0.0)
        write(root / "a.fits")
        wait_for_events(watcher, 1.0, lambda: watcher.observed == 1)
        files = gather(watcher, 2.0, 1)
        assert [file.path for file in files] == [str(root / "a.fits")]
        take(watcher, files)
        root.unlink()
        root.symlink_to("disk2")
        write(tmp_path / "disk2" / "b.fits")
        watcher.poll(204.0)
        assert names(gather(watcher, 205.0, 1)) == ["b.fits"]


def test_root_inside_another_has_its_files_once(tmp_path):
    inner = tmp_path / "guider"
    inner.mkdir()
    write(tmp_path / "a.fits")
    write(inner / "b.fits")
    with watching(tmp_path, inner) as watcher:
        assert names(settle(watcher, 0.0)) == ["a.fits", "b.fits"]
        assert [state.files for state in watcher.root_states(1.0)] == [1, 1]


def test_unreadable_directory_proves_nothing(tmp_path):
    # A directory that gives an error: a path that is too long for the system is one, also for root.
    (tmp_path / "night").mkdir()
    path = write(tmp_path / "night" / "a.fits")
    with watching(tmp_path) as watcher:
        take(watcher, settle(watcher, 0.0))
        root = watcher._sides[str(tmp_path)].root
        path.unlink()
        assert root._vanished(set(), [str(tmp_path / "night")]) == ()
        assert root._vanished(set(), [str(tmp_path)]) == ()
        assert root._vanished(set(), []) == (str(path),)


def test_directory_that_cannot_be_read_is_told_once_and_until_it_can(tmp_path):
    private = tmp_path / "private"
    private.mkdir()
    write(private / "a.fits")
    write(tmp_path / "b.fits")
    with watching(tmp_path) as watcher:
        with unreadable(private):
            polls = [watcher.poll(second * 61.0) for second in range(3)]
            states = watcher.root_states(183.0)
        (told,) = [item for poll in polls for item in poll.waiting]
        assert (told.path, told.reason) == (str(private), "unreadable")
        assert told.detail == "directory cannot be read: Permission denied"
        assert [dict(state.unread) for state in states] == [{str(private): "Permission denied"}]
        assert names([file for poll in polls for file in poll.settled]) == ["b.fits"]
        assert watcher.poll(244.0).dropped == (str(private),)


def test_links_are_told_once(tmp_path, caplog):
    (tmp_path / "a.fits").symlink_to("/elsewhere/a.fits")
    with watching(tmp_path) as watcher:
        for second in range(3):
            watcher.poll(second * 61.0)
    (told,) = [record.getMessage() for record in caplog.records]
    assert "1 symbolic link is not followed, such as" in told
    assert str(tmp_path / "a.fits") in told


def test_lost_and_found_of_a_disk_is_no_loss(tmp_path):
    lost = tmp_path / "lost+found"
    lost.mkdir()
    with watching(tmp_path) as watcher, unreadable(lost):
        assert watcher.poll(0.0).waiting == ()


def test_empty_root_at_the_start_proves_nothing(tmp_path):
    # After a reboot the share may not be mounted yet: the mount point is there, and empty.
    gone = str(tmp_path / "a.fits")
    stamp = look_at(str(write(tmp_path / "a.fits")))
    Path(gone).unlink()
    with watching(tmp_path, known={gone: stamp}) as watcher:
        assert watcher.poll(0.0).vanished == ()
        write(tmp_path / "b.fits")
        assert watcher.poll(60.0).vanished == (gone,)


@pytest.fixture
def mount_point(tmp_path):
    """A root on a small file system of its own."""
    point = tmp_path / "incoming"
    point.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", point], capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    yield point
    subprocess.run(["umount", "-l", point], capture_output=True, check=False)


def test_files_of_an_unmounted_disk_are_not_gone(mount_point):
    with watching(mount_point) as watcher:
        write(mount_point / "a.fits")
        take(watcher, settle(watcher, 0.0))
        watcher.poll(60.0)
        subprocess.run(["umount", "-l", mount_point], check=True)
        write(mount_point / "b.fits")  # the camera goes on writing, below the mount point
        poll = watcher.poll(63.0)
        assert poll.vanished == ()
        assert names(watcher.poll(64.0).settled) == ["b.fits"]
        assert watcher.poll(200.0).vanished == ()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount_point], check=True)
        write(mount_point / "c.fits")
        watcher.poll(203.0)
        assert names(watcher.poll(204.0).settled) == ["c.fits"]


def test_files_of_an_unmounted_disk_below_the_root_are_not_gone(mount_point):
    root = mount_point.parent
    with watching(root) as watcher:
        write(mount_point / "a.fits")
        local = write(root / "local.fits")
        take(watcher, settle(watcher, 0.0))
        subprocess.run(["umount", "-l", mount_point], check=True)
        local.unlink()
        assert watcher.poll(61.0).vanished == (str(local),)


def test_network_mount_is_polled(tmp_path, monkeypatch, caplog):
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / {tmp_path}/share rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(mounts, "_MOUNTINFO", table)
    share, local = tmp_path / "share" / "camera", tmp_path / "local"
    share.mkdir(parents=True)
    local.mkdir()
    caplog.set_level("INFO")
    with watching(share, local) as watcher:
        watcher.poll(0.0)
        assert mode(watcher, share, 0.0) == "polled"
        assert mode(watcher, local, 0.0) == "watched"
        assert f"nfs4 mount {tmp_path}/share" in caplog.text
        write(share / "a.fits")
        watcher.poll(9.9)
        assert watcher.observed == 0
        watcher.poll(10.0)
        assert watcher.poll(14.9).settled == ()
        assert names(watcher.poll(15.0).settled) == ["a.fits"]


def test_polling_never_subscribes_even_to_a_network_mount(tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text("1 0 0:40 / / rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(mounts, "_MOUNTINFO", table)
    with watching(tmp_path, arrival=replace(ARRIVAL, polling="never")) as watcher:
        watcher.poll(0.0)
        assert mode(watcher, tmp_path, 0.0) == "watched"


def test_hanging_root_is_overdue_and_delays_no_other(tmp_path):
    slow, quick = tmp_path / "slow", tmp_path / "quick"
    slow.mkdir()
    quick.mkdir()
    write(quick / "a.fits")
    watcher = Watcher([slow, quick], ARRIVAL, known={})
    # A thread that was asked and never answers, as one in an uninterruptible system call.
    hold = threading.Event()
    watcher._sides[str(slow)].root.execute = lambda *_: hold.wait()
    watcher.start()
    try:
        wait_for_events(watcher, 0.0, lambda: watcher.observed == 1 and watcher._sides[str(quick)].is_caught_up)
        states = {Path(state.root).name: state for state in watcher.root_states(29.0)}
        assert not states["slow"].is_overdue
        watcher.poll(31.0)
        states = {Path(state.root).name: state for state in watcher.root_states(31.0)}
        assert states["slow"].is_overdue
        assert not states["slow"].is_ready
        assert states["quick"].is_ready
    finally:
        hold.set()
        watcher.stop()


LIMITED = """
import logging, sys
from pathlib import Path
from ingestd.doors.watcher import Watcher
from ingestd.settings import Arrival
logging.basicConfig(stream=sys.stdout, format="%(message)s")
root = Path(sys.argv[1])
Path(sys.argv[2]).write_text("0")
watcher = Watcher([root], Arrival(), known={}, threaded=False)
watcher.start()
watcher.poll(0.0)
print(watcher.root_states(0.0)[0].mode)
(root / "a.fits").write_bytes(b"x")
watcher.poll(10.0)
print([file.path for file in watcher.poll(11.0).settled])
Path(sys.argv[2]).write_text("100")
watcher.poll(20.0)
print(watcher.root_states(20.0)[0].mode)
watcher.stop()
"""


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_exhausted_limits_of_inotify_mean_scans_until_there_is_room(tmp_path, limit):
    # The limits of a user namespace of its own: those of the machine are shared with others.
    limit = f"/proc/sys/user/{limit}"
    command = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*command, "test", "-w", limit], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not to be had")
    done = subprocess.run(
        [*command, sys.executable, "-c", LIMITED, tmp_path, limit],
        cwd=ROOM,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    warning, first, files, second, *_ = done.stdout.splitlines()
    assert "is only scanned" in warning
    assert first == "fallback"
    assert files == str([str(tmp_path / "a.fits")])
    assert "watched" in {second, *_}
