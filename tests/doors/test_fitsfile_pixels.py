"""Rows of raw frames: every sample type against numpy, compressed frames, and frames that changed."""

import gzip
import os
import threading

import numpy as np
import pytest
from astropy.io import fits

from ingestd.doors import fitsfile
from ingestd.errors import FrameChanged, FrameRejected
from tests.doors.fitsfile_samples import (
    LIMITS,
    extension_cards,
    header,
    image_cards,
    open_descriptors,
    pad,
    planes_of,
    read,
    real_files,
    record_of,
    verdict_on_header,
)

RNG = np.random.default_rng(20240521)
NY, NX = 37, 53
SAMPLES = {
    8: RNG.integers(0, 256, (NY, NX)).astype(np.uint8),
    16: RNG.integers(-(2**15), 2**15, (NY, NX)).astype(np.int16),
    32: RNG.integers(-(2**31), 2**31, (NY, NX)).astype(np.int32),
    64: RNG.integers(-(2**62), 2**62, (NY, NX)).astype(np.int64),
    -32: RNG.normal(1000, 10, (NY, NX)).astype(np.float32),
    -64: RNG.normal(1000, 10, (NY, NX)),
}


def write(path, bitpix, *cards):
    """Write the samples of a BITPIX as a primary image."""
    data = SAMPLES[bitpix].astype(SAMPLES[bitpix].dtype.newbyteorder(">")).tobytes()
    path.write_bytes(header(*image_cards(NX, NY, bitpix, *cards)) + pad(data))
    return path


def open_frame(path):
    return fitsfile.FrameReader(path, record_of(path), LIMITS)


def values_of(path, plane=0):
    """Return the physical values of a plane."""
    with open_frame(path) as frame:
        out = np.empty(frame.planes[plane].shape, np.float32)
        frame.planes[plane].read(0, out)
    return out


@pytest.mark.parametrize("bitpix", SAMPLES)
def test_samples_without_scaling(bitpix, tmp_path):
    expected = SAMPLES[bitpix].astype(np.float32)
    np.testing.assert_array_equal(values_of(write(tmp_path / "a.fits", bitpix)), expected)


@pytest.mark.parametrize("bitpix", SAMPLES)
def test_samples_with_scaling(bitpix, tmp_path):
    path = write(tmp_path / "a.fits", bitpix, "BSCALE  = 0.5", "BZERO   = 100.25")
    expected = SAMPLES[bitpix].astype(np.float64) * 0.5 + 100.25
    # Two roundings to float32 of 6e-8 each.
    np.testing.assert_allclose(values_of(path), expected, rtol=1.2e-7)


@pytest.mark.parametrize(("bitpix", "bzero"), [(8, -128), (16, 32768), (32, 2147483648)])
def test_integers_of_the_other_sign(bitpix, bzero, tmp_path):
    path = write(tmp_path / "a.fits", bitpix, f"BZERO   = {bzero}", "BSCALE  = 1.0")
    expected = SAMPLES[bitpix].astype(np.float64) + bzero
    np.testing.assert_array_equal(values_of(path), expected.astype(np.float32))
    with open_frame(path) as frame:
        plane = frame.planes[0]
        assert (plane.is_integer, plane.offset, plane.dtype) == (True, bzero, SAMPLES[bitpix].dtype)
        raw = np.empty((NY, NX), plane.dtype)
        plane.read_raw(0, raw)
        np.testing.assert_array_equal(raw, SAMPLES[bitpix])


def test_blank_is_nan_in_integers_only(tmp_path):
    blank = int(SAMPLES[16][3, 4])
    found = values_of(write(tmp_path / "a.fits", 16, f"BLANK   = {blank}", "BZERO   = 32768"))
    np.testing.assert_array_equal(np.isnan(found), SAMPLES[16] == blank)
    assert not np.isnan(values_of(write(tmp_path / "b.fits", -32, "BLANK   = 1000"))).any()


@pytest.mark.parametrize(
    ("bitpix", "cards"),
    [
        (16, ["BSCALE  = 2"]),
        (16, ["BZERO   = 0.5"]),
        (16, ["BLANK   = 0"]),
        (64, []),
        (-32, []),
        (-64, []),
    ],
)
def test_what_is_not_integer(bitpix, cards, tmp_path):
    with open_frame(write(tmp_path / "a.fits", bitpix, *cards)) as frame:
        assert not frame.planes[0].is_integer
        assert frame.planes[0].dtype == np.float32


def test_floats_keep_nan_and_infinity(tmp_path):
    data = np.array([[np.nan, np.inf, -np.inf, 1e300]], ">f8")
    path = tmp_path / "a.fits"
    path.write_bytes(header(*image_cards(4, 1, -64)) + pad(data.tobytes()))
    # 1e300 is beyond float32.
    np.testing.assert_array_equal(values_of(path), np.array([[np.nan, np.inf, -np.inf, np.inf]], np.float32))


@pytest.mark.parametrize("bitpix", SAMPLES)
@pytest.mark.parametrize(("first", "rows"), [(0, 1), (5, 7), (NY - 1, 1), (3, NY - 3)])
def test_blocks_of_rows(bitpix, first, rows, tmp_path):
    with open_frame(write(tmp_path / "a.fits", bitpix)) as frame:
        out = np.empty((rows, NX), np.float32)
        frame.planes[0].read(first, out)
        np.testing.assert_array_equal(out, SAMPLES[bitpix][first : first + rows].astype(np.float32))


def test_image_larger_than_the_conversion_buffer(tmp_path):
    data = RNG.integers(0, 65536, (300, 700)).astype(np.uint16)
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(data).writeto(path)
    np.testing.assert_array_equal(values_of(path), data)


def test_several_threads_read_one_plane(tmp_path):
    data = RNG.integers(0, 65536, (400, 700)).astype(np.uint16)
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(data).writeto(path)
    out = np.empty(data.shape, np.float32)
    with open_frame(path) as frame:
        parts = [(first, out[first : first + 25]) for first in range(0, 400, 25)]
        threads = [threading.Thread(target=frame.planes[0].read, args=part) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    np.testing.assert_array_equal(out, data)


@pytest.mark.parametrize(
    ("first", "out"),
    [
        (0, np.empty((1, NX - 1), np.float32)),
        (-1, np.empty((1, NX), np.float32)),
        (NY, np.empty((1, NX), np.float32)),
        (0, np.empty((NY + 1, NX), np.float32)),
        (0, np.empty((1, NX), np.float64)),
        (0, np.empty((2, 2 * NX), np.float32)[:, ::2]),
        (0, np.empty(NX, np.float32)),
    ],
)
def test_wrong_buffer_is_refused(first, out, tmp_path):
    with open_frame(write(tmp_path / "a.fits", 16)) as frame, pytest.raises(ValueError, match=r"shape|buffer"):
        frame.planes[0].read(first, out)


def test_planes_of_a_mosaic(tmp_path):
    first, second = SAMPLES[16], SAMPLES[-32]
    path = tmp_path / "mef.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(first, name="A"), fits.ImageHDU(second, name="B")]).writeto(path)
    np.testing.assert_array_equal(values_of(path, 0), first.astype(np.float32))
    np.testing.assert_array_equal(values_of(path, 1), second)


def test_third_axis_of_length_one(tmp_path):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(SAMPLES[16][np.newaxis]).writeto(path)
    np.testing.assert_array_equal(values_of(path), SAMPLES[16].astype(np.float32))


@pytest.mark.parametrize("bitpix", SAMPLES)
def test_gzip_frame_reads_as_the_plain_one(bitpix, tmp_path):
    plain = write(tmp_path / "a.fits", bitpix, "BZERO   = 100", "BSCALE  = 2")
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(values_of(packed), values_of(plain))


@pytest.mark.parametrize("behind", [0, 4, 5, 8, 9])
def test_gzip_stream_is_checked_to_its_end(behind, tmp_path):
    # stored, not deflated: what is damaged inflates all the same, and only the checksum in the last 8 bytes tells
    content = gzip.compress(write(tmp_path / "a.fits", 64).read_bytes(), 0)
    name = b"n" * (2**16 + behind - len(content) - 1) + b"\0"  # 2**16 compressed bytes are read at a time
    packed = bytearray(content[:3] + b"\x08" + content[4:10] + name + content[10:])
    path = tmp_path / "a.fits.gz"
    path.write_bytes(packed)
    np.testing.assert_array_equal(values_of(path), SAMPLES[64].astype(np.float32))
    packed[-3000] ^= 1  # among the samples, behind which 1,592 bytes are padding
    path.write_bytes(packed)
    with pytest.raises(FrameRejected, match="gzip stream damaged"):
        open_frame(path)


@pytest.mark.parametrize("codec", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"])
@pytest.mark.parametrize("packed", [False, True], ids=["fz", "fz.gz"])
def test_lossless_tiles_read_as_the_plain_image(codec, packed, tmp_path):
    data = RNG.normal(30_000, 300, (100, 80)).astype(np.uint16)
    path = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type=codec)]).writeto(path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(values_of(path), data)
    with open_frame(path) as frame:
        plane = frame.planes[0]
        assert (plane.is_integer, plane.offset, plane.shape) == (True, 32768, (100, 80))
        raw = np.empty((10, 80), plane.dtype)
        plane.read_raw(50, raw)
        np.testing.assert_array_equal(raw.astype(np.int32) + 32768, data[50:60])


def test_quantised_tiles_read_as_astropy_does(tmp_path):
    data = RNG.normal(0, 10, (100, 80)).astype(np.float32)
    data[3, 4] = np.nan
    path = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, quantize_level=16)]).writeto(path)
    np.testing.assert_array_equal(values_of(path), fits.getdata(path, 1))


# --- frames that are not what they were -------------------------------------------------------------------------------


def test_frame_with_other_content_is_changed(tmp_path):
    path = write(tmp_path / "a.fits", 16)
    record = record_of(path)
    write(path, 16, "OBJECT  = 'M13'")
    with pytest.raises(FrameChanged, match="other content"), fitsfile.FrameReader(path, record, LIMITS):
        pass
    with fitsfile.FrameReader(path, record_of(path), LIMITS) as frame:
        frame.check_unchanged()


def test_frame_that_no_thread_can_hash_is_closed_and_tells_why(tmp_path, monkeypatch):
    path = write(tmp_path / "a.fits", 16)
    record = record_of(path)
    before = open_descriptors()

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        fitsfile.FrameReader(path, record, LIMITS)
    assert open_descriptors() == before


@pytest.mark.parametrize("error", [FrameRejected("shape", "as its rows seemed to say"), IndexError("no such HDU")])
def test_frame_with_other_content_is_changed_whatever_else_is_wrong_with_it(error, tmp_path):
    path = write(tmp_path / "a.fits", 16)
    record = record_of(path)
    write(path, 16, "OBJECT  = 'M13'")
    with pytest.raises(FrameChanged, match="other content"), fitsfile.FrameReader(path, record, LIMITS):
        raise error


def test_verdict_on_a_frame_that_was_written_to_meanwhile_is_that_it_changed(tmp_path):
    path = write(tmp_path / "a.fits", 16)

    def judge():
        with open_frame(path) as frame:
            frame.check_content()
            with path.open("r+b") as file:
                file.seek(2880)
                file.write(bytes(64))
            raise FrameRejected("flat_without_light", "as its rows now say")

    with pytest.raises(FrameChanged, match="was changed"):
        judge()


def test_threads_that_hash_members_end_with_their_hashes(tmp_path):
    path = write(tmp_path / "a.fits", 16)
    frames = [open_frame(path) for _ in range(20)]
    for frame in frames:
        frame.check_content()
    hashing = [it for it in threading.enumerate() if it.name.startswith("raw-hash")]
    for thread in hashing:
        thread.join(10)
    assert not any(thread.is_alive() for thread in hashing)
    for frame in frames:
        frame.close()


@pytest.mark.parametrize("how", ["gone", "link", "directory"])
def test_frame_that_is_gone_is_changed(how, tmp_path):
    path = write(tmp_path / "a.fits", 16)
    record = record_of(path)
    path.unlink()
    if how == "link":
        path.symlink_to(write(tmp_path / "b.fits", 16))
    elif how == "directory":
        path.mkdir()
    with pytest.raises(FrameChanged):
        fitsfile.FrameReader(path, record, LIMITS)


def test_frame_truncated_while_it_is_read_is_changed(tmp_path):
    path = write(tmp_path / "a.fits", 16)
    with open_frame(path) as frame:
        frame.check_unchanged()
        os.truncate(path, 2880 + 100)
        with pytest.raises(FrameChanged):
            frame.planes[0].read(0, np.empty((NY, NX), np.float32))
        with pytest.raises(FrameChanged):
            frame.check_unchanged()


def test_unreadable_frame_leaves_no_descriptor_open(tmp_path):
    path = write(tmp_path / "a.fits", 16)
    record = record_of(path)
    path.write_bytes(b"")
    before = open_descriptors()
    with pytest.raises(FrameChanged):
        fitsfile.FrameReader(path, record, LIMITS)
    assert open_descriptors() == before


def test_datasum_that_agrees_is_accepted(tmp_path):
    path = tmp_path / "a.fits"
    image = fits.ImageHDU(SAMPLES[-32])
    fits.HDUList([fits.PrimaryHDU(SAMPLES[16]), image]).writeto(path, checksum=True)
    with open_frame(path) as frame:
        assert frame.doubts == []


@pytest.mark.parametrize("packed", [False, True], ids=["tiles", "tiles.gz"])
def test_one_flipped_bit_in_tiles_contradicts_the_datasum(packed, tmp_path):
    path = tmp_path / "a.fits.fz"
    fits.CompImageHDU(SAMPLES[16]).writeto(path, checksum=True)
    content = bytearray(path.read_bytes())
    content[read(path).units[1].data_offset + 1000] ^= 1
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(FrameRejected, match="DATASUM"):
        open_frame(path)


def test_stale_datasum_of_a_plain_image_is_a_doubt(tmp_path):
    with open_frame(write(tmp_path / "a.fits", 16, "DATASUM = '1'")) as frame:
        assert len(frame.doubts) == 1
        assert "DATASUM = 1" in frame.doubts[0]


def test_cards_are_those_of_the_file(tmp_path):
    content = header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "OBJECT  = 'M13'")
    content += header(*extension_cards(4, 3, 16, "EXTNAME = 'A'")) + pad(bytes(24))
    path = tmp_path / "mef.fits"
    for data in (content, gzip.compress(content)):
        path.write_bytes(data)
        with open_frame(path) as frame:
            assert frame.cards()[3] == b"OBJECT  = 'M13'".ljust(80)
            assert len(frame.cards()) == 4
            assert frame.cards(1)[-1] == b"EXTNAME = 'A'".ljust(80)


# --- real frames ------------------------------------------------------------------------------------------------------


def test_real_frames_are_read_or_refused():
    accepted = 0
    for path in real_files():
        accepted += verdict_on_header(path) == "ok"
    assert accepted > 100


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_headers_of_real_frames_equal_astropy():
    for path in real_files():
        if verdict_on_header(path) != "ok":
            continue
        found = read(path)
        with fits.open(path, memmap=False, disable_image_compression=True) as hdus:
            assert len(hdus) == len(found.units)
            for unit, hdu in zip(found.units, hdus, strict=True):
                assert unit.data_offset == hdu.fileinfo()["datLoc"], path
                _compare_cards(unit.cards, hdu.header, path)


def _compare_cards(cards, reference, path):
    """Compare the values of all keywords that astropy can parse; it renumbers the axes of random groups."""
    if reference.get("GROUPS") is True:
        return
    for keyword in dict.fromkeys(reference):
        if keyword in {"", "COMMENT", "HISTORY"} or not isinstance(keyword, str):
            continue
        try:
            expected = reference[keyword, 0] if reference.count(keyword) > 1 else reference[keyword]
        except fits.VerifyError:
            continue
        found = cards[keyword]
        if isinstance(expected, fits.card.Undefined):
            expected = None
        if isinstance(expected, str) and not expected.isascii():
            continue
        assert found == expected or (found != found and expected != expected), (path, keyword)  # noqa: PLR0124


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_pixels_of_real_frames_equal_astropy():
    compared = 0
    for path in real_files():
        if verdict_on_header(path) != "ok" or not planes_of(read(path)):
            continue
        with open_frame(path) as frame, fits.open(path, memmap=False) as hdus:
            for reader in frame.planes:
                expected = np.asarray(hdus[reader.plane.index].data).reshape(reader.shape)
                out = np.empty(reader.shape, np.float32)
                reader.read(0, out)
                np.testing.assert_array_equal(out, expected.astype(np.float32), err_msg=str(path))
                compared += 1
    assert compared > 90
