"""The hostile corpus: every file gets its verdict, quickly and in bounded memory."""

import time
import tracemalloc

import numpy as np
import pytest

from ingestd.doors import fitsfile
from ingestd.errors import FrameNotReady, FrameRejected
from tests.doors.fitsfile_samples import LIMITS, open_descriptors, planes_of, read, record_of, verdict_on_header
from tests.doors.hostile_files import HOSTILE_FILES, write_hostile_files

CASES = [pytest.param(file, id=ascii(file.name)[1:40]) for file in HOSTILE_FILES]


def verdict_on_pixels(path):
    """Return ``ok`` or the reason code of reading every pixel."""
    try:
        with fitsfile.FrameReader(path, record_of(path), LIMITS) as frame:
            for plane in frame.planes:
                plane.read(0, np.empty(plane.shape, np.float32))
    except FrameRejected as error:
        return error.reason
    return "ok"


@pytest.mark.parametrize("file", CASES)
def test_hostile_file_gets_its_verdict(file, tmp_path):
    path = tmp_path / file.name
    file.write(path)
    expected = file.verdict if file.stage == "header" else "ok"
    assert verdict_on_header(path) == expected
    if expected == "ok":
        assert verdict_on_pixels(path) == file.verdict


def test_incomplete_is_not_a_rejection(tmp_path):
    for path, file in write_hostile_files(tmp_path):
        if file.verdict == "incomplete":
            with pytest.raises(FrameNotReady):
                read(path)


def test_corpus_is_read_in_bounded_time_and_memory(tmp_path):
    # A header of 1 MiB, as text, cards and values, costs some 20 MB; the whole corpus is read within seconds.
    written = write_hostile_files(tmp_path)
    tracemalloc.start()
    start = time.monotonic()
    for path, _ in written:
        verdict_on_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20
    assert time.monotonic() - start < 20


def test_hashing_leaves_nothing_of_a_hostile_file_open(tmp_path):
    written = write_hostile_files(tmp_path)
    before = open_descriptors()
    for path, file in written:
        verdict_on_header(path)
        if file.verdict == "ok":
            verdict_on_pixels(path)
    assert open_descriptors() == before


def test_corpus_is_small_and_its_names_are_unique(tmp_path):
    written = write_hostile_files(tmp_path)
    assert len({file.name for file in HOSTILE_FILES}) == len(HOSTILE_FILES)
    used = sum(path.lstat().st_blocks * 512 for path, _ in written)
    assert used < 16 << 20


def test_an_undamaged_tile_file_has_one_plane(tmp_path):
    path = tmp_path / "tiles.fits.fz"
    next(file for file in HOSTILE_FILES if file.name == path.name).write(path)
    assert [plane.shape for plane in planes_of(read(path))] == [(64, 64)]
