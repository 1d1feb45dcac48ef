"""What a scan meets."""

import os
import socket
import subprocess

import pytest

from ingestd.doors.watcher import is_frame_name
from ingestd.doors.watcher.walk import MAX_DEPTH, LeftOut, is_frame_path, look_at, walk_frames


@pytest.mark.parametrize(
    "name",
    ["a.fits", "A.FIT", "b.FtS", "c.fits.fz", "d.fit.gz", "e.FTS.GZ", "-leading.fits", "a b;rm.fits", "\udcff.fits"],
)
def test_frame_names(name):
    assert is_frame_name(name)


@pytest.mark.parametrize(
    "name",
    [".a.fits", "a.fits.tmp", "a.fits.part", "a.fits~", "a.fits.bz2", "a.fits.gz.fz", "a.txt", "fits", "a.fz", ""],
)
def test_other_names(name):
    assert not is_frame_name(name)


def test_frame_below_a_hidden_directory_is_none():
    assert is_frame_path("/night/a.fits")
    assert not is_frame_path("/.Trash-1000/files/a.fits")


def met(directory, skip=()):
    left_out = LeftOut()
    return {os.path.relpath(path, directory) for path, _ in walk_frames(str(directory), skip, left_out)}, list(
        left_out.unread
    )


def test_only_regular_files_are_met(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "real.fits").write_text("x")
    (tmp_path / "link.fits").symlink_to(tmp_path / "secret")
    os.link(tmp_path / "secret", tmp_path / "hard.fits")
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "directory.fits").mkdir()
    (tmp_path / "directory.fits" / "inner.FIT").write_text("x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a.fits").write_text("x")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.fits"))
        assert met(tmp_path) == ({"real.fits", "hard.fits", "directory.fits/inner.FIT"}, [])


def test_links_to_directories_are_not_followed(tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "a.fits").write_text("x")
    (tmp_path / "night" / "loop").symlink_to(tmp_path)
    assert met(tmp_path) == ({"night/a.fits"}, [])


def test_links_to_frames_and_directories_are_counted(tmp_path):
    (tmp_path / "night").mkdir()
    for name, target in (("a.fits", "elsewhere.fits"), ("b.txt", "elsewhere.txt"), ("loop", "night")):
        (tmp_path / name).symlink_to(tmp_path / target)
    left_out = LeftOut()
    assert list(walk_frames(str(tmp_path), (), left_out)) == []
    assert left_out.links == 2  # a.fits and loop
    assert left_out.a_link in {str(tmp_path / "a.fits"), str(tmp_path / "loop")}
    assert left_out.words() == [f"2 symbolic links are not followed, such as '{left_out.a_link}'"]


def test_directories_of_other_roots_are_skipped(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.fits").write_text("x")
    assert met(tmp_path, {str(tmp_path / "other")}) == (set(), [])


def test_awkward_names_survive(tmp_path):
    names = [
        b"\xff\xfe.fits",
        b"new\nline.fits",
        b"-rf.fits",
        b"x" * 250 + b".fits",
        "\u00e9.fits".encode(),
        "e\u0301.fits".encode(),
    ]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    found, _ = met(tmp_path)
    assert found == {os.fsdecode(name) for name in names}


@pytest.fixture
def deep_tree(tmp_path):
    """A directory that holds 10,000 directories, each in the one before."""
    top = tmp_path / "deep"
    top.mkdir()
    handle = os.open(top, os.O_RDONLY)
    for _ in range(10_000):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    yield top
    subprocess.run(["rm", "-rf", top], check=True)  # shutil.rmtree would exceed the recursion limit


def test_ten_thousand_directories_deep_is_bounded(deep_tree):
    (deep_tree / "a.fits").write_text("x")
    last = deep_tree.joinpath(*["d"] * MAX_DEPTH)
    (last / "last.fits").write_text("x")
    (last / "d" / "beyond.fits").write_text("x")
    found, unread = met(deep_tree)
    assert found == {"a.fits", "/".join(["d"] * MAX_DEPTH) + "/last.fits"}
    assert unread == []


def test_missing_directory_is_unread(tmp_path):
    assert met(tmp_path / "none") == (set(), [str(tmp_path / "none")])


def test_look_at_says_none_for_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "a.fits").write_text("abc")
    assert look_at(str(tmp_path / "pipe.fits")) is None
    assert look_at(str(tmp_path / "none.fits")) is None
    assert look_at(str(tmp_path / "a.fits" / "b.fits")) is None
    status = (tmp_path / "a.fits").stat()
    stamp = look_at(str(tmp_path / "a.fits"))
    assert (stamp.size_bytes, stamp.mtime_ns, stamp.inode) == (3, status.st_mtime_ns, status.st_ino)
