"""The bounded pre-read: what a file's headers say, where its data lie, and the hash of its bytes."""

import gzip
import hashlib
import os
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestd.doors import fitsfile
from ingestd.errors import FrameNotReady, FrameRejected
from tests.doors.fitsfile_samples import (
    LIMITS,
    extension_cards,
    header,
    image_cards,
    pad,
    read,
    read_bytes,
    verdict_on_header,
)

PIXELS = bytes(range(24))  # 4 x 3 samples of 16 bits
IMAGE = header(*image_cards(4, 3, 16, "EXPTIME = 30.0", "IMAGETYP= 'LIGHT'")) + pad(PIXELS)
MEF = (
    header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "EXTEND  = T")
    + header(*extension_cards(4, 3, 16, "EXTNAME = 'A'"))
    + pad(PIXELS)
    + header(*extension_cards(2, 2, -32, "EXTNAME = 'B'"))
    + pad(bytes(16))
)

# Cut after the END card of the primary (4 cards and END) or after A's data, the file is a complete shorter one.
BOUNDARIES = ((4 * 80 + 80 - 1, 2880), (5760 + 23, 8640))
VERDICTS = {
    "ok",
    "incomplete",
    "not_fits",
    "container",
    "header_too_long",
    "bad_structure",
    "too_large",
    "trailing_bytes",
    "corrupt",
}


def test_single_image(tmp_path):
    found = read_bytes(tmp_path, IMAGE)
    assert len(found.units) == 1
    unit = found.units[0]
    assert (unit.index, unit.data_offset, unit.data_bytes) == (0, 2880, 24)
    assert (unit.cards["EXPTIME"], unit.cards["IMAGETYP"]) == (30.0, "LIGHT")
    assert (found.container, found.implied_bytes) == ("plain", 5760)
    assert found.stamp == fitsfile.stamp(tmp_path / "frame.fits")


def test_extensions_follow_each_other(tmp_path):
    found = read_bytes(tmp_path, MEF)
    assert [unit.cards.get("EXTNAME") for unit in found.units] == [None, "A", "B"]
    # One block of header each; A's data fill one block.
    assert [(unit.data_offset, unit.data_bytes) for unit in found.units] == [(2880, 0), (5760, 24), (11520, 16)]
    assert found.implied_bytes == len(MEF) == 14400


def test_header_is_picklable(tmp_path):
    found = read_bytes(tmp_path, MEF)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("cards", "data_bytes"),
    [
        (image_cards(5, 7, -64), 5 * 7 * 8),
        (("SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 3", "NAXIS1  = 4", "NAXIS2  = 3", "NAXIS3  = 1"), 24),
        (("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 777777701", "NAXIS2  = 0"), 0),
        # Random groups (FITS 4.0, equation 4): |BITPIX|/8 x GCOUNT x (PCOUNT + NAXIS2 x ...) = 4 x 10 x (3 + 5).
        (
            (
                "SIMPLE  = T",
                "BITPIX  = -32",
                "NAXIS   = 2",
                "NAXIS1  = 0",
                "NAXIS2  = 5",
                "GROUPS  = T",
                "PCOUNT  = 3",
                "GCOUNT  = 10",
            ),
            320,
        ),
    ],
)
def test_length_of_data(cards, data_bytes, tmp_path):
    found = read_bytes(tmp_path, header(*cards) + pad(bytes(data_bytes)))
    assert found.units[0].data_bytes == data_bytes
    assert found.implied_bytes == 2880 + len(pad(bytes(data_bytes)))


def test_heap_of_a_table_counts(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("A", "PJ()", array=np.array([[1, 2], [3]], dtype=object))])
    path = tmp_path / "table.fits"
    table.writeto(path)
    found = read(path)
    # Two rows of an 8-byte descriptor and a heap of three 4-byte integers.
    assert found.units[1].data_bytes == 2 * 8 + 3 * 4
    assert found.implied_bytes == path.stat().st_size


def test_header_longer_than_the_first_read(tmp_path):
    cards = [f"KEY{n:<5}= {n}" for n in range(2000)]
    found = read_bytes(tmp_path, header(*image_cards(4, 3, 16, *cards)) + pad(PIXELS))
    assert found.units[0].cards["KEY1999"] == 1999
    assert found.units[0].data_offset == -(-(2006 * 80) // 2880) * 2880


@pytest.mark.parametrize("position", range(140, 148))
def test_end_card_at_the_edge_of_what_was_read(position, tmp_path):
    # The first read holds 144 cards.
    cards = image_cards(4, 3)
    filled = [*cards, *[f"COMMENT {n}" for n in range(position - len(cards))]]
    assert read_bytes(tmp_path, header(*filled) + pad(PIXELS)).units[0].data_bytes == 24


def test_end_inside_a_text_does_not_end_the_header(tmp_path):
    found = read_bytes(tmp_path, header(*image_cards(4, 3, 16, "OBJECT  = 'END'", "ENDTIME = 5")) + pad(PIXELS))
    assert found.units[0].cards["ENDTIME"] == 5


def test_header_padded_with_nul(tmp_path):
    raw = IMAGE[:2880].rstrip().ljust(2880, b"\0")
    assert read_bytes(tmp_path, raw + pad(PIXELS)).units[0].data_bytes == 24


def test_every_cut_is_incomplete_and_the_padding_is_not_missed(tmp_path):
    path = tmp_path / "growing.fits"
    path.write_bytes(MEF)
    needed = 11520 + 16
    for size in range(needed, -1, -97):
        os.truncate(path, size)
        is_shorter_file = any(end - 2880 < size <= end and size > start for start, end in BOUNDARIES)
        assert verdict_on_header(path) == ("ok" if size >= needed or is_shorter_file else "incomplete")


def test_a_file_that_grows_meanwhile_is_growing(tmp_path, monkeypatch):
    path = tmp_path / "growing.fits"
    path.write_bytes(IMAGE[:2880])
    fd = fitsfile.open_raw(path)
    read_at = os.pread

    def pread_while_the_camera_writes(fd, length, offset):
        data = read_at(fd, length, offset)
        with path.open("ab") as file:
            file.write(b"\0")
        return data

    monkeypatch.setattr(os, "pread", pread_while_the_camera_writes)
    with pytest.raises(FrameNotReady) as caught:
        fitsfile.read_header(fd, LIMITS)
    os.close(fd)
    assert caught.value.reason == "growing"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(LIMITS, max_pixels=11), "too_large"),
        (replace(LIMITS, max_file_bytes=5759), "too_large"),
        (replace(LIMITS, max_pixels=12, max_file_bytes=5760), None),
    ],
)
def test_limits_hold_exactly(limits, reason, tmp_path):
    if reason is None:
        assert read_bytes(tmp_path, IMAGE, limits).units
        return
    with pytest.raises(FrameRejected) as caught:
        read_bytes(tmp_path, IMAGE, limits)
    assert caught.value.reason == reason


def test_pixels_of_all_extensions_count_together(tmp_path):
    # A has 12 pixels, B has 4.
    assert read_bytes(tmp_path, MEF, replace(LIMITS, max_pixels=16)).units
    with pytest.raises(FrameRejected, match="16 pixels"):
        read_bytes(tmp_path, MEF, replace(LIMITS, max_pixels=15))


@pytest.mark.parametrize("name", ["frame.fits.gz", "frame.fits"])
@pytest.mark.parametrize("content", [IMAGE, MEF, IMAGE[:2904]], ids=["image", "mef", "no padding"])
def test_gzip_is_read_as_what_it_holds(name, content, tmp_path):
    plain = read_bytes(tmp_path, content)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content))
    found = read(path)
    assert found.units == plain.units
    assert (found.container, found.implied_bytes) == ("gzip", plain.implied_bytes)


def test_gzip_cut_anywhere_is_incomplete(tmp_path):
    noise = np.random.default_rng(0).bytes(60_000)
    path = tmp_path / "frame.fits.gz"
    path.write_bytes(gzip.compress(header(*image_cards(300, 100)) + pad(noise)))
    size = path.stat().st_size
    for cut in (1, 4, 9, 100, size // 2, size - 30, size - 3):
        os.truncate(path, size - cut)
        with pytest.raises(FrameNotReady):
            read(path)


@given(st.binary(max_size=9000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path, data):
    for content in (data, IMAGE[:400] + data, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + data):
        (tmp_path / "frame.fits").write_bytes(content)
        assert verdict_on_header(tmp_path / "frame.fits") in VERDICTS


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_header_is_read_or_refused(tmp_path, data):
    content = bytearray(MEF)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "frame.fits").write_bytes(content)
    assert verdict_on_header(tmp_path / "frame.fits") in VERDICTS


# --- opening and hashing ----------------------------------------------------------------------------------------------


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        fitsfile.open_raw(tmp_path / "gone.fits")


def test_descriptor_is_not_inherited_and_does_not_block(tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(IMAGE)
    fd = fitsfile.open_raw(path)
    assert not os.get_inheritable(fd)
    assert not os.get_blocking(fd)
    os.close(fd)


def hashes(path):
    """Return the frame's hash and that of its data."""
    fd = fitsfile.open_raw(path)
    try:
        return fitsfile.hash_file(fd, fitsfile.read_header(fd, LIMITS))
    finally:
        os.close(fd)


def test_hash_of_data_covers_all_data_units(tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(MEF)
    expected = hashlib.sha256(MEF).hexdigest(), hashlib.sha256(PIXELS + bytes(16)).hexdigest()
    assert hashes(path) == expected


def test_hash_of_data_is_right_across_the_read_buffer(tmp_path):
    noise = np.random.default_rng(0).bytes(2 * 1500 * 1000)
    content = header(*image_cards(1500, 1000)) + pad(noise)
    path = tmp_path / "frame.fits"
    path.write_bytes(content)
    assert hashes(path) == (hashlib.sha256(content).hexdigest(), hashlib.sha256(noise).hexdigest())


def test_hash_of_data_survives_a_new_header(tmp_path):
    old, new = tmp_path / "old.fits", tmp_path / "new.fits"
    old.write_bytes(IMAGE)
    new.write_bytes(header(*image_cards(4, 3, 16, "CRVAL1  = 10.0")) + pad(PIXELS))
    assert hashes(old)[0] != hashes(new)[0]
    assert hashes(old)[1] == hashes(new)[1]


@pytest.mark.parametrize("content", [gzip.compress(IMAGE), MEF[:2880]], ids=["gzip", "no data"])
def test_one_hash_where_data_cannot_be_told_apart(content, tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(content)
    assert hashes(path) == (hashlib.sha256(content).hexdigest(),) * 2


def test_hash_refuses_a_file_that_changed_since_the_header(tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(IMAGE)
    fd = fitsfile.open_raw(path)
    found = fitsfile.read_header(fd, LIMITS)
    with path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(FrameNotReady) as caught:
        fitsfile.hash_file(fd, found)
    os.close(fd)
    assert caught.value.reason == "growing"


def test_pre_read_is_fast(tmp_path):
    # 10,000 headers of 60 cards a second is the goal on one quiet core; a fifth of it must hold on any machine.
    paths = []
    for number in range(300):
        cards = [f"KEY{n:<5}= {n * number} / a comment" for n in range(54)]
        paths.append(tmp_path / f"{number}.fits")
        paths[-1].write_bytes(header(*image_cards(4, 3, 16, *cards)) + pad(PIXELS))
    best = min(_seconds(paths) for _ in range(3))
    assert len(paths) / best > 2000


def _seconds(paths):
    start = time.perf_counter()
    for path in paths:
        read(path)
    return time.perf_counter() - start
