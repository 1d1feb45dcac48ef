"""A corpus of hostile files, each with the verdict it must get: small, generated, sparse where large.

``verdict`` is ``ok``, the reason code of FrameNotReady (``incomplete``) or of FrameRejected; ``stage`` says where it
falls: in the pre-read of the header (``header``) or when a worker opens the frame (``pixels``).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import socket
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from tests.doors.fitsfile_samples import extension_cards, header, image_cards, pad

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class HostileFile:
    """One file: the fault it stands for, its name, how it is made, and what must become of it."""

    fault: str
    name: str
    write: Callable[[Path], object]
    verdict: str
    stage: str = "header"


def write_hostile_files(directory: Path) -> list[tuple[Path, HostileFile]]:
    """Write the corpus into a directory; every file under its own name."""
    written = []
    for file in HOSTILE_FILES:
        path = directory / file.name
        file.write(path)
        written.append((path, file))
    return written


def _content(data: bytes, size: int | None = None) -> Callable[[Path], None]:
    """Return a writer of a file that holds the data, then a hole up to the size."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(data)
            if size is not None:
                file.truncate(size)

    return write


_IMAGE = header(*image_cards(4, 3)) + pad(bytes(range(24)))
_LIGHT = header(*image_cards(4, 3, 16, "IMAGETYP= 'LIGHT'", "EXPTIME = 30.0")) + pad(bytes(24))
_EMPTY_PRIMARY = header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "EXTEND  = T")
_EXTENSION = header(*extension_cards(4, 3)) + pad(bytes(24))
_MEF = _EMPTY_PRIMARY + _EXTENSION + _EXTENSION


def _frame(*cards: str) -> bytes:
    """Return a complete small image with more cards in its header."""
    return header(*image_cards(4, 3, 16, *cards)) + pad(bytes(24))


def _axes(*cards: str) -> bytes:
    """Return a header with the given structural cards and 2 KB of data."""
    return header("SIMPLE  = T", *cards) + bytes(2880)


def _table(*cards: str) -> bytes:
    """Return a table extension that claims to be a tile-compressed image."""
    structure = ("XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 1")
    more = ("PCOUNT  = 0", "GCOUNT  = 1", "TFIELDS = 1", "TFORM1  = '1PB(0)'", "ZIMAGE  = T", "ZCMPTYPE= 'RICE_1'")
    return _EMPTY_PRIMARY + header(*structure, *more, *cards) + pad(bytes(8))


def _random_cards() -> bytes:
    """Return an image whose header holds 200 cards of random bytes, none of which is a structural one."""
    source = random.Random(7)  # noqa: S311 - reproducible, not secret
    cards = [bytes(source.choices(range(256), k=80)).decode("latin-1") for _ in range(100)]
    cards += [f"KEY{n:<5}= {source.randbytes(60).decode('latin-1')}" for n in range(100)]
    return _frame(*cards)


def _tiles(*, damage: int = 0) -> bytes:
    """Return a tile-compressed image with DATASUM, ``damage`` bytes of its heap flipped."""
    pixels = np.random.default_rng(1).normal(1000, 10, (64, 64)).astype(np.int16)
    file = io.BytesIO()
    compressed = fits.CompImageHDU(pixels, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(file, checksum=True)
    data = bytearray(file.getvalue())
    start = len(pad(bytes(data.index(b"END".ljust(80), data.index(b"XTENSION"))))) + 600  # past the table, in its heap
    for position in range(start, start + damage):
        data[position] ^= 0xFF
    return bytes(data)


def _enlarged_hcompress() -> bytes:
    """Return a tile-compressed image whose first stream states twice its rows: its decoder would overrun a buffer."""
    file = io.BytesIO()
    compressed = fits.CompImageHDU(np.ones((32, 32), np.int16), compression_type="HCOMPRESS_1", tile_shape=(16, 32))
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(file)
    data = bytearray(file.getvalue())
    start = data.index(b"\xdd\x99")  # magic, then two integers of four bytes
    data[start + 2 : start + 6] = (2 * int.from_bytes(data[start + 2 : start + 6])).to_bytes(4)
    return bytes(data)


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("frame.fits", _IMAGE)
    return file.getvalue()


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _damaged_gzip() -> bytes:
    """Return a gzip file whose header and length are right and whose pixels are damaged."""
    pixels = np.random.default_rng(2).integers(0, 65536, 40_000, dtype=np.uint16).tobytes()
    data = bytearray(_gzip(header(*image_cards(200, 200)) + pad(pixels)))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


def _socket(path: Path) -> None:
    """Bind a socket; by way of the directory's descriptor, because a socket's path may have 107 bytes at most."""
    directory = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)


def _symlink(path: Path) -> None:
    path.symlink_to("/dev/zero")


_CONTINUED = ["LONG    = 'a&'", *["CONTINUE  'b&'"] * 9000, "CONTINUE  'c'"]
_LONG_NAME = "n" * (255 - len(".fits")) + ".fits"
_NOT_UTF8 = os.fsdecode(b"latin-\xe9.fits")

HOSTILE_FILES = (
    # Empty and cut files
    HostileFile("D1", "empty.fits", _content(b""), "incomplete"),
    HostileFile("D1", "79_bytes.fits", _content(_IMAGE[:79]), "incomplete"),
    HostileFile("D1", "5_bytes.fits", _content(_IMAGE[:5]), "incomplete"),
    HostileFile("D1", "header_only.fits", _content(header(*image_cards(100, 100))), "incomplete"),
    HostileFile("D1", "cut_header.fits", _content(header(*image_cards(4, 3), end=False)), "incomplete"),
    HostileFile("D1", "cut_data.fits", _content(_IMAGE[: 2880 + 23]), "incomplete"),
    HostileFile("D1", "no_padding.fits", _content(_IMAGE[: 2880 + 24]), "ok"),
    HostileFile("D1", "preallocated.fits", _content(b"", 1 << 20), "incomplete"),
    HostileFile("D1", "no_data_no_padding.fits", _content(_EMPTY_PRIMARY[:400]), "ok"),
    HostileFile("D1", "mef_cut_in_header.fits", _content(_MEF[: 2880 * 3 + 800]), "incomplete"),
    HostileFile("D1", "mef_cut_in_first_card.fits", _content(_MEF[: 2880 * 3 + 4]), "incomplete"),
    HostileFile("D1", "mef_cut_in_data.fits", _content(_MEF[: 2880 * 4 + 23]), "incomplete"),
    HostileFile(
        "D1",
        "mef_cut_between.fits",
        _content(header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "NEXTEND = 2") + _EXTENSION),
        "incomplete",
    ),
    HostileFile("D1", "text.fits", _content(b"This is not a FITS file.\n" * 200), "not_fits"),
    HostileFile("D1", "simple_f.fits", _content(header("SIMPLE  = F", "BITPIX  = 8", "NAXIS   = 0")), "not_fits"),
    # Impossible structure
    HostileFile("D2", "100000_square.fits", _content(header(*image_cards(100_000, 100_000))), "too_large"),
    HostileFile("D2", "sparse_3_gb.fits", _content(_IMAGE, 3_200_000_000), "too_large"),
    HostileFile(
        "D2", "sparse_400_mpx.fits", _content(header(*image_cards(20_000, 20_000, 8)), 400_002_880), "too_large"
    ),
    HostileFile("D3", "naxis_999.fits", _content(_axes("BITPIX  = 8", "NAXIS   = 999")), "bad_structure"),
    HostileFile("D3", "naxis_negative.fits", _content(_axes("BITPIX  = 8", "NAXIS   = -1")), "bad_structure"),
    HostileFile("D3", "axis_negative.fits", _content(header(*image_cards(-4, 3))), "bad_structure"),
    HostileFile("D3", "axis_missing.fits", _content(_axes("BITPIX  = 8", "NAXIS   = 1")), "bad_structure"),
    HostileFile(
        "D3", "axis_real.fits", _content(_axes("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 1E3")), "bad_structure"
    ),
    HostileFile(
        "D3",
        "axis_70_digits.fits",
        _content(_axes("BITPIX  = 8", "NAXIS   = 1", f"NAXIS1  = {'9' * 70}")),
        "bad_structure",
    ),
    HostileFile("D3", "bitpix_7.fits", _content(header(*image_cards(4, 3, 7))), "bad_structure"),
    HostileFile("D3", "bitpix_missing.fits", _content(_axes("NAXIS   = 0")), "bad_structure"),
    HostileFile("D3", "gcount_huge.fits", _content(_frame(f"GCOUNT  = {10**15}")), "bad_structure"),
    HostileFile("D3", "pcount_huge.fits", _content(_frame(f"PCOUNT  = {10**12}")), "too_large"),
    HostileFile("D3", "pcount_negative.fits", _content(_frame("PCOUNT  = -20")), "bad_structure"),
    # Bombs and containers
    HostileFile(
        "D4",
        "tile_bomb.fits.fz",
        _content(_table("ZBITPIX = 16", "ZNAXIS  = 2", "ZNAXIS1 = 40000", "ZNAXIS2 = 40000")),
        "too_large",
    ),
    HostileFile(
        "D4",
        "one_huge_tile.fits.fz",
        _content(_table("ZBITPIX = 16", "ZNAXIS  = 1", "ZNAXIS1 = 4", "ZTILE1  = 1000000000")),
        "too_large",
    ),
    HostileFile(
        "D4", "tile_bitpix_7.fits.fz", _content(_table("ZBITPIX = 7", "ZNAXIS  = 1", "ZNAXIS1 = 4")), "bad_structure"
    ),
    HostileFile("D4", "tile_without_axes.fits.fz", _content(_table("ZBITPIX = 16")), "bad_structure"),
    HostileFile(
        "D4", "bomb.fits.gz", _content(_gzip(header(*image_cards(50_000, 50_000)) + bytes(1 << 20))), "too_large"
    ),
    HostileFile(
        "D4",
        "rice_bytepix_3.fits.fz",
        _content(_table("ZBITPIX = 16", "ZNAXIS  = 1", "ZNAXIS1 = 4", "ZNAME1  = 'BYTEPIX'", "ZVAL1   = 3")),
        "bad_structure",
    ),
    HostileFile("D17", "hcompress_size.fits.fz", _content(_enlarged_hcompress()), "corrupt", "pixels"),
    HostileFile("D4", "zeros_after.fits.gz", _content(_gzip(_IMAGE + bytes(1 << 20))), "trailing_bytes"),
    HostileFile("D4", "gzip_inside.fits", _content(_gzip(_LIGHT)), "ok"),
    HostileFile("D4", "two_members.fits.gz", _content(_gzip(_LIGHT[:1000]) + _gzip(_LIGHT[1000:])), "ok"),
    HostileFile("D4", "cut.fits.gz", _content(_gzip(_LIGHT)[:-20]), "incomplete"),
    HostileFile("D4", "text.fits.gz", _content(_gzip(b"not FITS" * 400)), "not_fits"),
    HostileFile("D4", "garbage.fits.gz", _content(b"\x1f\x8b\x08\x00" + b"\xff" * 200), "corrupt"),
    HostileFile("D4", "damaged.fits.gz", _content(_damaged_gzip()), "corrupt", "pixels"),
    HostileFile("D4", "bzip2.fits", _content(bz2.compress(_IMAGE)), "container"),
    HostileFile("D4", "xz.fits", _content(lzma.compress(_IMAGE)), "container"),
    HostileFile("D4", "compress.fits", _content(b"\x1f\x9d\x90" + bytes(100)), "container"),
    HostileFile("D4", "zip.fits", _content(_zip()), "container"),
    # Endless headers and tails
    HostileFile(
        "D5", "no_end.fits", _content(header(*image_cards(4, 3), end=False) + b" " * (2 << 20)), "header_too_long"
    ),
    HostileFile(
        "D5",
        "300000_cards.fits",
        _content(b"SIMPLE  = T".ljust(80) + b"KEY     = 1".ljust(80) * 30_000),
        "header_too_long",
    ),
    HostileFile("D5", "9000_continue.fits", _content(_frame(*_CONTINUED)), "ok"),
    HostileFile("D6", "zeros_280_mb.fits", _content(_IMAGE, 280_000_000), "trailing_bytes"),
    HostileFile("D6", "one_block_more.fits", _content(_LIGHT + b"special records".ljust(2880)), "ok"),
    # Cards that are none
    HostileFile("D7", "random_cards.fits", _content(_random_cards()), "ok"),
    HostileFile("D7", "unbalanced_quote.fits", _content(_frame("OBJECT  = 'it''s open / or not")), "ok"),
    HostileFile(
        "D7",
        "no_values.fits",
        _content(_frame("EXPTIME =", "CCD-TEMP= / cold", "EXPOSURE= 30s", "GAIN    = 1E999")),
        "ok",
    ),
    HostileFile("D8", "control.fits", _content(_frame("OBJECT  = 'a\x1b[31mred\nnext\x07'")), "ok"),
    HostileFile("D8", "html.fits", _content(_frame("OBJECT  = '<script>alert(1)</script>'")), "ok"),
    HostileFile("D9", "path.fits", _content(_frame("OBJECT  = '../../etc/passwd'", "FILTER  = '/etc/passwd'")), "ok"),
    # Damaged pixels
    HostileFile("D17", "tiles.fits.fz", _content(_tiles()), "ok"),
    HostileFile("D17", "damaged_tiles.fits.fz", _content(_tiles(damage=40)), "corrupt", "pixels"),
    HostileFile("D17", "stale_datasum.fits", _content(_frame("DATASUM = '12345'")), "ok"),
    # Awkward names
    HostileFile("F23", _NOT_UTF8, _content(_frame("NAMED   = 1")), "ok"),
    HostileFile("F23", "new\nline.fits", _content(_frame("NAMED   = 2")), "ok"),
    HostileFile("F23", "-rf.fits", _content(_frame("NAMED   = 3")), "ok"),
    HostileFile("F23", ";rm x.fits", _content(_frame("NAMED   = 4")), "ok"),
    HostileFile("F23", _LONG_NAME, _content(_frame("NAMED   = 5")), "ok"),
    HostileFile("F23", "caf\u00e9.fits", _content(_frame("NAMED   = 6")), "ok"),
    HostileFile("F23", "cafe\u0301.fits", _content(_frame("NAMED   = 7")), "ok"),
    # What is no file
    HostileFile("F24", "link.fits", _symlink, "not_a_regular_file"),
    HostileFile("F24", "fifo.fits", os.mkfifo, "not_a_regular_file"),
    HostileFile("F24", "socket.fits", _socket, "not_a_regular_file"),
    HostileFile("F24", "directory.fits", Path.mkdir, "not_a_regular_file"),
)
