"""The bounded pre-read of a FITS file: its headers and nothing else, on one descriptor, without astropy.

What a file may cost is fixed before it is paid: header bytes, pixels and bytes are compared with the limits as soon as
a header states them. A file that may still be growing is told apart from one that cannot be used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NoReturn

from ingestd.doors.fitsfile.cards import BLOCK_BYTES, CARD_BYTES, padded, parse_cards
from ingestd.doors.fitsfile.inflate import GzipStream
from ingestd.doors.fitsfile.rawfile import stamp
from ingestd.doors.fitsfile.structure import measure_data
from ingestd.errors import FrameNotReady, FrameRejected
from ingestd.records import FileHeader, FileStamp, HeaderUnit

if TYPE_CHECKING:
    from ingestd.settings import Limits

TRAILING_SLACK_BYTES = 20 * BLOCK_BYTES
"""Bytes after the last unit that are tolerated: FITS once allowed special records, and some programs pad twice."""

MAX_UNITS = 1000
"""HDUs in one file; the largest mosaic cameras write about 200."""

_FIRST_READ_BYTES = 4 * BLOCK_BYTES
_CONTAINERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x1f\x9d": "compress (.Z)",
    b"\x1f\xa0": "compress (.Z)",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-zip",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\x04\x22\x4d\x18": "lz4",
}
_GZIP_MAGIC = b"\x1f\x8b"
_PRIMARY = b"SIMPLE  "
_EXTENSION = b"XTENSION"

_Read = Callable[[int, int], bytes]


def read_header(fd: int, limits: Limits) -> FileHeader:
    """Read all headers of a FITS file, plain or gzip-compressed, without reading its data.

    A file is complete when every byte that its headers imply is there; the padding of the last unit may be missing.

    Parameters
    ----------
    fd : int
        A regular file, from ``open_raw``.
    limits : Limits
        What the file may cost.

    Raises
    ------
    FrameNotReady
        ``incomplete`` or, if the file changed meanwhile, ``growing``: empty, or cut in a header or in the data.
    FrameRejected
        ``not_fits``, ``container`` (a compression that is not accepted), ``header_too_long``, ``bad_structure``,
        ``too_large``, ``trailing_bytes`` or ``corrupt`` (a damaged gzip stream).
    OSError
        If the file cannot be read.
    """
    found = stamp(fd)
    try:
        return _Walk(fd, found, limits).run()
    except FrameNotReady as error:
        if stamp(fd) != found:
            raise FrameNotReady("growing", error.detail) from error
        raise


class _Walk:
    """One walk along the headers of a file."""

    def __init__(self, fd: int, found: FileStamp, limits: Limits) -> None:
        self.fd = fd
        self.stamp = found
        self.limits = limits
        self.units: list[HeaderUnit] = []
        self.header_bytes = 0
        self.pixels = 0

    def run(self) -> FileHeader:
        """Return the headers, or raise what is wrong with the file."""
        size = self.stamp.size_bytes
        if size > self.limits.max_file_bytes:
            raise FrameRejected("too_large", f"{size} bytes, limits.max_file_bytes = {self.limits.max_file_bytes}")
        start = os.pread(self.fd, _FIRST_READ_BYTES, 0)
        container: Literal["plain", "gzip"] = "plain"
        if start[:2] == _GZIP_MAGIC:
            container = "gzip"
            implied = self._walk_gzip()
        else:
            _refuse_container(start)
            implied = self._walk_plain(start)
        return FileHeader(tuple(self.units), container, self.stamp, implied)

    def _walk_plain(self, start: bytes) -> int:
        """Walk an uncompressed file whose first bytes are given; return the padded length that the headers imply."""
        fd, size = self.fd, self.stamp.size_bytes

        def read(offset: int, length: int) -> bytes:
            """Return bytes of the file, from its start where that was read already."""
            if offset + length <= len(start):
                return start[offset : offset + length]
            return os.pread(fd, length, offset)

        offset = 0
        while True:
            unit = self._read_unit(read, offset, start if offset == 0 else b"")
            end = unit.data_offset + unit.data_bytes
            if unit.data_bytes and end > size:
                _not_ready(f"{size} bytes, the headers imply {end}")
            offset = padded(end)
            if offset >= size:
                break
            if not self._goes_on(read(offset, len(_EXTENSION)), offset):
                if size > offset + TRAILING_SLACK_BYTES:
                    raise FrameRejected("trailing_bytes", f"{size} bytes, the headers imply {offset}")
                break
        self._check_extensions()
        return offset

    def _walk_gzip(self) -> int:
        """Walk a gzip file; return the padded length that the headers imply, uncompressed."""
        stream = GzipStream(self.fd, self.limits.max_file_bytes + TRAILING_SLACK_BYTES)
        stated = int.from_bytes(os.pread(self.fd, 4, max(0, self.stamp.size_bytes - 4)), "little")
        offset = 0
        while True:
            unit = self._read_unit(stream.read, offset, b"")
            end = unit.data_offset + unit.data_bytes
            offset = padded(end)
            if end <= stated <= offset:
                break
            is_short = unit.data_bytes and not stream.read(end - 1, 1)
            follows = stream.read(offset, len(_EXTENSION))
            if is_short or stream.is_cut:
                _not_ready(f"the gzip stream ends early, the headers imply {end} bytes uncompressed")
            if not follows or not self._goes_on(follows, offset):
                if stream.read(offset + TRAILING_SLACK_BYTES, 1):
                    raise FrameRejected("trailing_bytes", f"the headers imply {offset} bytes uncompressed")
                break
        self._check_extensions()
        return offset

    def _read_unit(self, read: _Read, offset: int, start: bytes) -> HeaderUnit:
        """Return the header at the offset, checked, and account for its cost."""
        index = len(self.units)
        if index >= MAX_UNITS:
            raise FrameRejected("bad_structure", f"more than {MAX_UNITS} HDUs")
        raw, end = _read_raw_header(read, offset, start, index, self.limits.max_header_bytes)
        cards, remarks = parse_cards(raw[:end].decode("latin-1"))
        data_offset = offset + padded(end + CARD_BYTES)
        self.header_bytes += data_offset - offset
        if self.header_bytes > 8 * self.limits.max_header_bytes:
            raise FrameRejected("header_too_long", f"{self.header_bytes} bytes of headers in {index + 1} HDUs")
        data_bytes, pixels = measure_data(cards, index)
        self.pixels += pixels
        if self.pixels > self.limits.max_pixels:
            raise FrameRejected("too_large", f"{self.pixels} pixels, limits.max_pixels = {self.limits.max_pixels}")
        if data_offset + data_bytes > self.limits.max_file_bytes:
            raise FrameRejected(
                "too_large",
                f"the headers imply {data_offset + data_bytes} bytes, "
                f"limits.max_file_bytes = {self.limits.max_file_bytes}",
            )
        unit = HeaderUnit(index, cards, remarks, data_offset, data_bytes)
        self.units.append(unit)
        return unit

    def _goes_on(self, follows: bytes, offset: int) -> bool:
        """Return whether an extension follows the unit that ends at the offset."""
        if follows == _EXTENSION:
            return True
        if len(follows) < len(_EXTENSION) and _EXTENSION.startswith(follows):
            _not_ready(f"cut in the header at byte {offset}")
        return False

    def _check_extensions(self) -> None:
        """Compare NEXTEND with what is there: a file cut between two HDUs shows nowhere else.

        Only for a primary without data: single images often keep the NEXTEND of the file they came from.
        """
        primary = self.units[0]
        stated = primary.cards.get("NEXTEND")
        found = len(self.units) - 1
        if type(stated) is int and stated > found and primary.data_bytes == 0:
            _not_ready(f"{found} extensions, NEXTEND = {stated}")


def _read_raw_header(read: _Read, offset: int, start: bytes, index: int, limit: int) -> tuple[bytes, int]:
    """Return the bytes from the offset on and the position of the END card in them."""
    raw = start or read(offset, _FIRST_READ_BYTES)
    if index == 0:
        _check_beginning(raw)
    end = _find_end(raw, 0)
    while end < 0:
        if len(raw) >= limit:
            raise FrameRejected("header_too_long", f"no END card within limits.max_header_bytes = {limit}")
        more = read(offset + len(raw), min(limit, 4 * len(raw)) - len(raw))
        if not more:
            _not_ready(f"cut in the header of HDU {index}: {len(raw)} bytes without an END card")
        searched = len(raw) - len(raw) % CARD_BYTES
        raw += more
        end = _find_end(raw, searched)
    return raw, end


def _find_end(raw: bytes, start: int) -> int:
    """Return the position of a whole END card at or after the start, or -1; blanks or NULs may follow the word."""
    position = raw.find(b"END", start)
    while 0 <= position <= len(raw) - CARD_BYTES:
        if position % CARD_BYTES == 0 and raw[position + 3 : position + 8].strip(b" \0") == b"":
            return position
        position = raw.find(b"END", position + 1)
    return -1


def _check_beginning(raw: bytes) -> None:
    """Tell a file that is no FITS from one whose first card is not written yet."""
    head = raw[:9]
    if head == _PRIMARY + b"=":
        return
    if not raw:
        _not_ready("0 bytes")
    if (_PRIMARY + b"=").startswith(head) or not raw[:BLOCK_BYTES].strip(b"\0"):
        _not_ready(f"the first card is not written yet: {len(raw)} bytes seen")
    raise FrameRejected("not_fits", f"it begins with {head!r}")


def _refuse_container(start: bytes) -> None:
    """Raise if the first bytes are those of a container that is not accepted."""
    for magic, name in _CONTAINERS.items():
        if start.startswith(magic):
            raise FrameRejected("container", f"{name} is not accepted; gzip and tile-compressed .fz are")


def _not_ready(detail: str) -> NoReturn:
    raise FrameNotReady("incomplete", detail)
