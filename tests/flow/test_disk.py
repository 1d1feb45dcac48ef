"""A full disk is a pause, not a loss. It needs a small file system of its own, so root; elsewhere it is skipped."""

import os
import subprocess
from contextlib import contextmanager

import pytest

from ingestd import simulator
from ingestd.records import Kind
from tests.flow.observatory import Observatory, settings_for, sha256, tree, write_night, write_shot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")

LIGHT = "light.fit"
MIB = 1 << 20


@contextmanager
def small_disk(directory, megabytes, options=""):
    """Mount a small tmpfs on a directory, or skip."""
    directory.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m{options}", "tmpfs", str(directory)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.fixture
def place(tmp_path):
    """An observatory whose data directory is a disk of 8 MiB; the database is small beside it."""
    with small_disk(tmp_path / "data", 8):
        found = Observatory(settings_for(tmp_path))
        yield found
        found.close()


def fill(directory, leave_bytes):
    """Take all room but so many bytes."""
    usage = os.statvfs(directory)
    size = max(0, usage.f_bavail * usage.f_frsize - leave_bytes)
    path = directory / "ballast"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return path


def write_light(place, index=1, name=LIGHT):
    return write_shot(place.incoming, Kind.LIGHT, index, exposure_s=60.0, hours=20.5, name=name)


def test_a_product_that_finds_no_room_pauses_work_until_there_is_room(place):
    ballast = fill(place.data, MIB)
    large = simulator.Camera(simulator.Sensor(shape=(600, 800), dust_grains=0))  # a product of it takes 2.4 MB
    write_shot(place.incoming, Kind.LIGHT, 1, exposure_s=60.0, hours=20.5, name=LIGHT, camera=large)
    before = tree(place.incoming)
    place.run(30.0)
    assert place.flow.disk_is_full
    assert place.state(LIGHT) == ("waiting", "disk_full")
    assert place.frame(LIGHT)["product"] is None
    assert list(place.data.glob("**/*.tmp")) == []
    ballast.unlink()
    place.run(15.0)
    assert not place.flow.disk_is_full
    place.settle()
    assert place.state(LIGHT) == ("provisional", "missing_master")
    assert place.product(LIGHT).exists()
    assert tree(place.incoming) == before
    assert place.events()[:2] == ["disk_full", "resumed"]


def test_a_database_that_finds_no_room_loses_no_file(place):
    ballast = fill(place.data, 0)
    (place.incoming / "empty.fits").touch()  # whose wait cannot be written down either
    write_light(place)
    write_night(place.incoming, lights=0)
    place.run(20.0)
    assert place.refusals
    assert place.frames() == []
    ballast.unlink()
    place.settle()
    assert place.state(LIGHT) == ("done", "reduced")


def test_a_disk_that_fills_in_the_middle_of_a_night_loses_nothing(place, tmp_path):
    reference = Observatory(settings_for(tmp_path / "reference"))
    write_night(reference.incoming, lights=3)
    reference.settle()
    expected = reference.result()
    reference.close()
    write_night(place.incoming, lights=0)
    place.settle()
    ballast = fill(place.data, 100_000)
    write_night(place.incoming, biases=0, evening_darks=0, flats=0, lights=3)
    place.run(40.0)
    assert place.flow.disk_is_full
    for path in place.data.glob("reduced/**/*.fits"):
        recorded = place.catalogue.product_paths()
        assert recorded[str(path.relative_to(place.data))] == sha256(path)
    ballast.unlink()
    place.run(15.0)
    place.settle()
    assert place.result() == expected


def test_below_the_reserve_nothing_is_begun(tmp_path):
    with small_disk(tmp_path / "data", 8):
        place = Observatory(settings_for(tmp_path, limits={"min_free_bytes": 4 * MIB}))
        ballast = fill(place.data, 3 * MIB)
        write_light(place)
        place.run(10.0)
        assert place.flow.disk_is_full
        assert place.state(LIGHT) == ("waiting", "due"), "it is catalogued, and not begun"
        ballast.unlink()
        place.run(15.0)
        place.settle()
        assert place.state(LIGHT) == ("provisional", "missing_master")
        place.close()


def test_without_inodes_work_pauses_too(tmp_path):
    with small_disk(tmp_path / "data", 8, ",nr_inodes=24"):
        place = Observatory(settings_for(tmp_path))
        ballast = place.data / "ballast"
        ballast.mkdir()
        for number in range(os.statvfs(place.data).f_favail):
            (ballast / str(number)).touch()
        write_light(place)
        place.run(20.0)
        assert place.flow.disk_is_full
        for path in ballast.iterdir():
            path.unlink()
        place.run(15.0)
        place.settle()
        assert place.state(LIGHT) == ("provisional", "missing_master")
        place.close()
