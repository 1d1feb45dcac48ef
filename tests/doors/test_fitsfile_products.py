"""Products: complete under their name or not there at all, equal bytes for equal input, readable by everybody."""

import errno
import hashlib
import os
import resource
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from ingestd.doors.fitsfile import (
    FrameReader,
    HduSpec,
    ImageHdus,
    ImageSpec,
    ProductWriter,
    card,
    copied_cards,
    is_disk_full,
    lay_out,
    read_master,
    remove_temporaries,
)
from ingestd.errors import ProductNotWritten
from tests.doors.fitsfile_samples import LIMITS, names, read, real_files, record_of, verdict_on_header

RNG = np.random.default_rng(5)
SHAPE = (130, 70)
SIGNAL = RNG.normal(100, 10, SHAPE).astype(np.float32)
UNCERTAINTY = np.sqrt(SIGNAL)
MASK = RNG.integers(0, 256, SHAPE).astype(np.uint8)


def write(path, order=range(0, 130, 10), *, cards=(), shape=SHAPE):
    """Write signal, uncertainty and mask in blocks of ten rows, in the given order."""
    hdus, _ = lay_out(cards, [ImageSpec(shape, "electron")])
    with ProductWriter(path, hdus) as product:
        for first in order:
            for index, image in enumerate((SIGNAL, UNCERTAINTY, MASK)):
                product.write(index, first, image[first : first + 10])
        return product.commit()


def test_astropy_opens_a_product_of_one_image(tmp_path):
    path = tmp_path / "product.fits"
    write(path, cards=[card("OBJECT", "M13"), card("LONG", "x" * 200)])
    found = CCDData.read(path)
    assert found.unit == units.electron
    assert isinstance(found.uncertainty, StdDevUncertainty)
    assert (found.header["OBJECT"], found.header["LONG"]) == ("M13", "x" * 200)
    np.testing.assert_array_equal(found.data, SIGNAL)
    np.testing.assert_array_equal(found.uncertainty.array, UNCERTAINTY)
    np.testing.assert_array_equal(found.mask, MASK > 0)


def test_product_is_valid_fits(tmp_path):
    path = tmp_path / "product.fits"
    write(path)
    with fits.open(path, memmap=False) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "UNCERT", "MASK"]
        np.testing.assert_array_equal(hdus["MASK"].data, MASK)


def test_product_of_several_images(tmp_path):
    images = [ImageSpec((3, 4), "adu", [card("GAIN", 1.5)], has_uncertainty=False), ImageSpec((2, 5), "adu")]
    hdus, places = lay_out([card("OBJECT", "M13")], images)
    assert places == [ImageHdus(1, None, 2), ImageHdus(3, 4, 5)]
    path = tmp_path / "product.fits"
    with ProductWriter(path, hdus) as product:
        for place, image in zip(places, images, strict=True):
            for index in (place.signal, place.uncertainty, place.mask):
                if index is not None:
                    product.write(index, 0, np.full(image.shape, index, product_type(hdus[index])))
        product.commit()
    with fits.open(path, memmap=False) as found:
        assert [hdu.name for hdu in found] == ["PRIMARY", "SCI_1", "MASK_1", "SCI_2", "UNCERT_2", "MASK_2"]
        assert found[0].header["OBJECT"] == "M13"
        assert (found["SCI_1"].header["GAIN"], found["SCI_1"].header["BUNIT"]) == (1.5, "adu")
        assert all((hdu.data == number).all() for number, hdu in enumerate(found) if number)


def product_type(hdu: HduSpec):
    return np.dtype(hdu.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16", "uint16", "int32"])
def test_every_type_is_read_back_by_astropy(dtype, tmp_path):
    data = RNG.integers(0, 200, (20, 30)).astype(dtype)
    data[0, 0] = np.iinfo(dtype).max if data.dtype.kind in "iu" else np.nan
    path = tmp_path / "product.fits"
    with ProductWriter(path, [HduSpec("PRIMARY", dtype, data.shape)]) as product:
        product.write(0, 0, data)
        product.commit()
    found = fits.getdata(path)
    np.testing.assert_array_equal(found, data)
    assert found.dtype.kind == data.dtype.kind


def test_caller_keeps_his_array(tmp_path):
    before = SIGNAL.copy()
    write(tmp_path / "product.fits")
    np.testing.assert_array_equal(SIGNAL, before)


def test_hash_and_size_are_those_of_the_file(tmp_path):
    path = tmp_path / "product.fits"
    sha256, size = write(path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert size == path.stat().st_size
    assert size % 2880 == 0


def test_hash_is_right_when_it_is_computed_on_the_way(tmp_path):
    # More than one step of 4 MiB in each of two images, so that the second thread works while rows are written.
    image = RNG.normal(size=(2000, 1500)).astype(np.float32)
    hdus, _ = lay_out([], [ImageSpec(image.shape, "adu", has_mask=False)])
    path = tmp_path / "product.fits"
    with ProductWriter(path, hdus) as product:
        for first in range(0, 2000, 100):
            product.write(0, first, image[first : first + 100])
            product.write(1, first, image[first : first + 100])
        sha256, _ = product.commit()
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(params=[(0, 1, 2, 3), (3, 0, 1, 2)], ids=["in order", "end first"])
def large_product(request, tmp_path):
    """A product of 80 MB, which the disk is given while it is written; not committed yet."""
    rows = np.arange(1024 * 5000, dtype=np.float32).reshape(1024, 5000)
    writer = ProductWriter(tmp_path / "large.fits", [HduSpec("SCI", np.float32, (4096, 5000))])
    for quarter in request.param:
        writer.write(0, 1024 * quarter, rows)
    return writer


def test_large_product_is_whole_and_its_hash_right(large_product):
    sha256, size = large_product.commit()
    assert large_product.path.stat().st_size == size
    with large_product.path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256


def test_disk_that_fails_while_rows_are_written_is_noticed(tmp_path, monkeypatch):
    def fail(_fd):
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(os, "fdatasync", fail)
    rows = np.zeros((1024, 5000), np.float32)
    with ProductWriter(tmp_path / "large.fits", [HduSpec("SCI", np.float32, (2048, 5000))]) as writer:
        for first in (0, 1024):
            writer.write(0, first, rows)
        with pytest.raises(ProductNotWritten, match="the disk fails"):
            writer.commit()
    assert not list(tmp_path.iterdir())


def test_equal_input_gives_equal_bytes_in_any_order(tmp_path):
    first = write(tmp_path / "a.fits")
    second = write(tmp_path / "b.fits", reversed(range(0, 130, 10)))
    assert first == second
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_product_appears_only_with_commit(tmp_path):
    path = tmp_path / "masters" / "cam" / "product.fits"
    hdus, _ = lay_out([], [ImageSpec((2, 3), "adu", has_uncertainty=False, has_mask=False)])
    with ProductWriter(path, hdus) as product:
        product.write(0, 0, np.ones((2, 3), np.float32))
        assert not path.exists()
        assert [name for name in names(path.parent) if not name.endswith(".tmp")] == []
        product.commit()
        assert path.exists()
    assert names(path.parent) == [path.name]


def test_what_is_not_committed_is_removed(tmp_path):
    hdus, _ = lay_out([], [ImageSpec((2, 3), "adu")])
    with pytest.raises(ZeroDivisionError), ProductWriter(tmp_path / "product.fits", hdus):
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_threads_may_share_a_product(tmp_path):
    """Four threads write the rows of three large images as they come; hash and bytes are those of one thread."""
    shape = (2048, 512)
    planes = [np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape) * factor for factor in (1, 2)]
    planes.append((planes[0] % 251).astype(np.uint8))
    hdus, places = lay_out([], [ImageSpec(shape, "adu")])
    numbers = (places[0].signal, places[0].uncertainty, places[0].mask)
    hashes = []
    for threads in (1, 4):
        path = tmp_path / f"{threads}.fits"
        with ProductWriter(path, hdus) as product, ThreadPoolExecutor(threads) as pool:

            def put(first, product=product):
                for number, plane in zip(numbers, planes, strict=True):
                    product.write(number, first, plane[first : first + 64])

            list(pool.map(put, range(0, shape[0], 64)))
            hashes.append(product.commit())
        assert hashes[-1][0] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert hashes[0] == hashes[1]


def test_product_with_missing_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="120 of 130 rows"):
        write(tmp_path / "product.fits", range(10, 130, 10))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("first", "array"),
    [
        (0, np.zeros((10, 69), np.float32)),
        (125, np.zeros((10, 70), np.float32)),
        (0, np.zeros((10, 70), np.float64)),
        (0, np.zeros(70, np.float32)),
    ],
)
def test_rows_that_do_not_fit_are_refused(first, array, tmp_path):
    hdus, _ = lay_out([], [ImageSpec(SHAPE, "adu")])
    with ProductWriter(tmp_path / "product.fits", hdus) as product, pytest.raises(ValueError, match=r"HDU|fit"):
        product.write(0, first, array)


def test_rows_are_written_once(tmp_path):
    hdus, _ = lay_out([], [ImageSpec(SHAPE, "adu")])
    with ProductWriter(tmp_path / "product.fits", hdus) as product:
        product.write(0, 0, SIGNAL[:10])
        with pytest.raises(ValueError, match="new rows"):
            product.write(0, 5, SIGNAL[5:15])


def test_existing_product_is_replaced_by_equal_bytes(tmp_path):
    path = tmp_path / "product.fits"
    assert write(path) == write(path)
    assert names(tmp_path) == ["product.fits"]


def test_temporary_of_an_earlier_process_is_in_nobodys_way(tmp_path):
    for number in range(2000):
        (tmp_path / f".ingestd-{os.getpid()}-{number}.tmp").touch()
    write(tmp_path / "product.fits")
    assert (tmp_path / "product.fits").exists()


def test_product_is_not_readable_by_the_world(tmp_path):
    path = tmp_path / "product.fits"
    write(path)
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 64 KiB."""
    mount = shutil.which("mount")
    place = tmp_path / "small"
    place.mkdir()
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", place], check=True)


def test_full_disk_is_told_apart_and_leaves_nothing(small_disk):
    with pytest.raises(ProductNotWritten) as caught:
        write(small_disk / "product.fits")
    assert is_disk_full(caught.value)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert names(small_disk) == []


def test_too_large_a_file_is_not_a_full_disk(tmp_path):
    # RLIMIT_FSIZE counts for the whole process, so in a child.
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import resource, pathlib
from ingestd.doors.fitsfile import HduSpec, ProductWriter, is_disk_full
from ingestd.errors import ProductNotWritten
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))
try:
    ProductWriter(pathlib.Path({str(tmp_path / "product.fits")!r}), [HduSpec("", "float32", (100, 100))])
except ProductNotWritten as error:
    print(is_disk_full(error), error.__cause__.errno)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", str(errno.EFBIG)]
    assert names(tmp_path) == []


def test_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "masters").touch()
    with pytest.raises(ProductNotWritten) as caught:
        write(tmp_path / "masters" / "product.fits")
    assert not is_disk_full(caught.value)


def test_only_our_temporaries_are_removed(tmp_path):
    ours = [".ingestd-12-3.tmp", "masters/.ingestd-12-4.tmp", "masters/.ingestd-99-1.tmp"]
    others = ["a.tmp", ".ingestd-12.tmp", "masters/a.fits", "masters/.ingestd-12-3.tmp.fits", ".ingestd-x-1.tmp"]
    (tmp_path / "masters").mkdir()
    for name in ours + others:
        (tmp_path / name).touch()
    assert remove_temporaries(tmp_path, 99) == 1
    assert remove_temporaries(tmp_path) == 2
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == set(others)


def test_temporaries_are_not_sought_behind_links(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".ingestd-1-1.tmp").touch()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    assert remove_temporaries(inside) == 0


# --- masters ----------------------------------------------------------------------------------------------------------


def test_master_reads_back(tmp_path):
    path = tmp_path / "master.fits"
    sha256, _ = write(path, cards=[card("NCOMBINE", 40)])
    master = read_master(path, sha256)
    assert master.header["NCOMBINE"] == 40
    assert len(master.planes) == 1
    np.testing.assert_array_equal(master.planes[0].signal, SIGNAL)
    np.testing.assert_array_equal(master.planes[0].uncertainty, UNCERTAINTY)
    np.testing.assert_array_equal(master.planes[0].mask, MASK)
    assert master.planes[0].signal.dtype == np.float32
    assert master.planes[0].signal.dtype.isnative


def test_master_of_several_planes_keeps_their_order(tmp_path):
    images = [ImageSpec((2, 3), "adu", [card("PLANE", n)], has_uncertainty=n == 2) for n in range(1, 12)]
    hdus, places = lay_out([], images)
    path = tmp_path / "master.fits"
    with ProductWriter(path, hdus) as product:
        for number, place in enumerate(places, 1):
            product.write(place.signal, 0, np.full((2, 3), number, np.float32))
            product.write(place.mask, 0, np.full((2, 3), number, np.uint8))
            if place.uncertainty is not None:
                product.write(place.uncertainty, 0, np.full((2, 3), -number, np.float32))
        sha256, _ = product.commit()
    planes = read_master(path, sha256).planes
    assert [plane.signal[0, 0] for plane in planes] == list(range(1, 12))
    assert [plane.mask[0, 0] for plane in planes] == list(range(1, 12))
    assert [plane.cards["PLANE"] for plane in planes] == list(range(1, 12))
    assert [plane.uncertainty is None for plane in planes].count(False) == 1
    assert planes[1].uncertainty[0, 0] == -2


def test_damaged_or_missing_master_is_refused(tmp_path):
    path = tmp_path / "master.fits"
    sha256, size = write(path)
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(ProductNotWritten, match="damaged"):
        read_master(path, sha256)
    os.truncate(path, size // 2)
    with pytest.raises(ProductNotWritten, match="damaged"):
        read_master(path, None)
    path.unlink()
    with pytest.raises(ProductNotWritten, match="missing"):
        read_master(path, None)


@pytest.mark.parametrize(
    "hdus",
    [
        [fits.PrimaryHDU()],
        [fits.PrimaryHDU(np.zeros((3, 4), np.int16))],
        [fits.PrimaryHDU(np.zeros((2, 3, 4), np.float32))],
        [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[1, 2])])],
    ],
)
def test_another_programs_file_is_no_master(hdus, tmp_path):
    path = tmp_path / "master.fits"
    fits.HDUList(hdus).writeto(path)
    with pytest.raises(ProductNotWritten):
        read_master(path, None)


# --- real frames ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_product_with_the_cards_of_any_real_frame_opens(tmp_path):
    opened = 0
    for path in real_files():
        if verdict_on_header(path) != "ok":
            continue
        frame = FrameReader(path, record_of(path, read(path)), LIMITS)
        with frame:
            if len(frame.planes) != 1:
                continue
            cards = copied_cards(frame.cards() + (frame.cards(1) if frame.planes[0].plane.index else []))
            shape = frame.planes[0].shape
            hdus, _ = lay_out(cards, [ImageSpec(shape, "adu", has_uncertainty=False, has_mask=False)])
            product_path = tmp_path / f"{opened}.fits"
            with ProductWriter(product_path, hdus) as product:
                rows = np.empty(shape, np.float32)
                frame.planes[0].read(0, rows)
                product.write(0, 0, rows)
                product.commit()
        with fits.open(product_path, memmap=False) as found:
            for copied in found[0].header.cards:
                assert copied.value is not Ellipsis
            np.testing.assert_array_equal(found[0].data, rows)
        found = CCDData.read(product_path)
        assert found.shape == shape
        opened += 1
    assert opened > 80
