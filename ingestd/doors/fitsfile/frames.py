"""A raw frame in a worker: opened once, hashed before it is believed, its planes ready to be read by rows."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import numpy as np

from ingestd.doors.fitsfile.cards import CARD_BYTES, padded
from ingestd.doors.fitsfile.header import read_header
from ingestd.doors.fitsfile.inflate import GzipStream
from ingestd.doors.fitsfile.pixels import PlaneReader
from ingestd.doors.fitsfile.rawfile import hash_bytes, open_raw, stamp
from ingestd.errors import FrameChanged, FrameNotReady, FrameRejected

if TYPE_CHECKING:
    from pathlib import Path

    from ingestd.doors.fitsfile.tiles import Source
    from ingestd.records import FileHeader, FrameRecord, HeaderUnit, Plane
    from ingestd.settings import Limits

_DATASUM_CHUNK_BYTES = 1 << 20
_ALL_ONES = 0xFFFFFFFF


class FrameReader:
    """A raw frame opened by a worker: its bytes are hashed, and must be those of the frame that was planned.

    Use it as a context manager. The hash is found in another thread while the planes are read already;
    ``check_unchanged`` waits for it, so call that before anything that was made of the planes is kept.

    Parameters
    ----------
    path : Path
    frame : FrameRecord
    limits : Limits
        What the file may cost.

    Attributes
    ----------
    header : FileHeader
    planes : list of PlaneReader
        In the order of ``frame.planes``.
    doubts : list of str
        Sentences on uncompressed planes whose data do not sum to their DATASUM card. Programs that crop or rescale
        leave stale ones behind, so they are no reason to refuse the frame.

    Raises
    ------
    FrameChanged
        If the file is gone. Also from ``check_content``, ``check_unchanged`` and the end of the context, if its SHA-256
        is not ``frame.frame_id``: then whatever else was wrong with its content is not told.
    FrameRejected
        ``corrupt``: a damaged gzip stream, a tile-compressed image that cannot be decoded or does not sum to its
        DATASUM, without which damage in it can pass for pixels.
    OSError
        If the file cannot be read.

    Notes
    -----
    Tile-compressed and gzip frames are held in memory, uncompressed.
    """

    def __init__(self, path: Path, frame: FrameRecord, limits: Limits) -> None:
        self._path = path
        self._frame_id = frame.frame_id
        self._fd = _open_again(path)
        self._hasher = ThreadPoolExecutor(1, "raw-hash")
        try:
            self._stamp = stamp(self._fd)
            self._hash = self._hasher.submit(hash_bytes, self._fd)
        except BaseException:
            self.close()
            raise
        self._hasher.shutdown(wait=False)  # the thread ends with its only task: masters have up to 200 members
        try:
            self.header = self._read_header(limits)
            self._source: Source = self._fd if self.header.container == "plain" else self._inflate(limits)
            self.doubts = [doubt for plane in frame.planes if (doubt := self._check_datasum(plane))]
            self.planes = [PlaneReader(self._source, plane) for plane in frame.planes]
        except BaseException as error:
            self._end(error)
            raise

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        """Check the content and close the file."""
        self._end(error)

    def close(self) -> None:
        """Close the file; the planes can no longer be read."""
        self._hasher.shutdown(wait=True, cancel_futures=True)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def check_content(self) -> None:
        """Wait for the hash of the file's bytes, and check it.

        Raises
        ------
        FrameChanged
            If it is not that of the frame.
        OSError
            If the file could not be read.
        """
        found = self._hash.result()
        if found != self._frame_id:
            raise FrameChanged(f"{str(self._path)!r} has other content: {found[:8]} instead of {self._frame_id[:8]}")

    def check_unchanged(self) -> None:
        """Check, before a product is committed, the content, and that the file was not touched while it was read.

        Raises
        ------
        FrameChanged
            If the hash is not that of the frame, or size, times or inode are no longer the same.
        """
        self.check_content()
        if stamp(self._fd) != self._stamp:
            raise FrameChanged(f"{str(self._path)!r} was changed while it was read")

    def cards(self, index: int = 0) -> list[bytes]:
        """Return the 80-byte cards of one HDU, the primary by default, as they are in the file, without END."""
        units = self.header.units
        start = padded(units[index - 1].data_offset + units[index - 1].data_bytes) if index else 0
        raw = self._bytes(start, units[index].data_offset - start)
        cards = [raw[first : first + CARD_BYTES] for first in range(0, len(raw), CARD_BYTES)]
        end = next((n for n, image in enumerate(cards) if image.rstrip(b" \0") == b"END"), len(cards))
        return cards[:end]

    def _end(self, error: BaseException | None) -> None:
        """Close; other bytes than planned are a change, whatever else may be wrong with them."""
        try:
            if error is None:
                self.check_content()
            elif isinstance(error, Exception) and not isinstance(error, OSError | FrameChanged):
                self.check_unchanged()
        finally:
            self.close()

    def _read_header(self, limits: Limits) -> FileHeader:
        try:
            return read_header(self._fd, limits)
        except FrameNotReady as error:
            raise FrameChanged(f"{str(self._path)!r} is no longer complete: {error.detail}") from error

    def _inflate(self, limits: Limits) -> memoryview:
        """Return the uncompressed bytes of a gzip file."""
        last = self.header.units[-1]
        buffer = bytearray(self.header.implied_bytes)
        stream = GzipStream(self._fd, limits.max_file_bytes + len(buffer))
        filled = stream.read_into(memoryview(buffer))
        if last.data_bytes and filled < last.data_offset + last.data_bytes:
            raise FrameRejected("corrupt", f"the gzip stream ends after {filled} bytes of {len(buffer)}")
        return memoryview(buffer)

    def _bytes(self, start: int, length: int) -> bytes:
        """Return bytes of the uncompressed file; fewer at its end."""
        if isinstance(self._source, int):
            return os.pread(self._source, length, start)
        return bytes(self._source[start : start + length])

    def _check_datasum(self, plane: Plane) -> str:
        """Compare the data unit of a plane with its DATASUM card; 0 stands for a sum that was not computed."""
        unit = self.header.units[plane.index]
        stated = str(unit.cards.get("DATASUM", "")).strip()
        if not stated.isdecimal() or int(stated) == 0:
            return ""
        found = self._data_sum(unit)
        if found == int(stated):
            return ""
        doubt = f"HDU {plane.index}: the data sum to {found}, DATASUM = {stated}"
        if plane.encoding == "tile":
            raise FrameRejected("corrupt", doubt)
        return doubt

    def _data_sum(self, unit: HeaderUnit) -> int:
        """Return the ones' complement sum of the data unit's 32-bit words (FITS 4.0, section 4.4.2.7)."""
        total = 0
        end = padded(unit.data_offset + unit.data_bytes)
        for start in range(unit.data_offset, end, _DATASUM_CHUNK_BYTES):
            part = self._bytes(start, min(_DATASUM_CHUNK_BYTES, end - start))
            total += int(np.frombuffer(part + bytes(-len(part) % 4), ">u4").sum(dtype=np.uint64))
        return total % _ALL_ONES or (_ALL_ONES if total else 0)


def _open_again(path: Path) -> int:
    """Open a frame that was catalogued; whatever stands in its place now is a change."""
    try:
        return open_raw(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FrameChanged(f"{str(path)!r} is no longer there") from error
    except FrameRejected as error:
        raise FrameChanged(f"{str(path)!r} is no longer a file: {error.detail}") from error
