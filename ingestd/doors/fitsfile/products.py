"""Products: written in row blocks to a temporary file, synced, hashed and renamed; read back whole as masters.

Nothing stands under a product's name before its last byte is on the disk. The same input gives the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ingestd.doors.fitsfile.cards import padded
from ingestd.doors.fitsfile.layout import UNSIGNED_ZERO, HduSpec, header_bytes
from ingestd.errors import ProductNotWritten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CHUNK_PX = 1 << 16
_HASH_STEP_BYTES = 1 << 22
"""Bytes hashed without the interpreter lock: for fewer the hash would wait for figures that hold it."""

_SYNC_STEP_BYTES = 1 << 25
"""Bytes after which the disk is set to work: syncing 150 MB at the end takes a third as long as the reduction."""

_PRODUCT_MODE = 0o640
_DIRECTORY_MODE = 0o750
_TEMPORARY = re.compile(r"\.ingestd-(\d+)-\d+\.tmp$")
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class _Place:
    """Where an HDU lies in the file, how many of its rows are there without a gap, and the spans that are ahead."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    end: int
    contiguous: int = 0
    ahead: dict[int, int] = field(default_factory=dict)

    def note(self, first_row: int, last_row: int) -> None:
        """Note that rows were written."""
        self.ahead[first_row] = last_row
        while self.contiguous in self.ahead:
            self.contiguous = self.ahead.pop(self.contiguous)


class ProductWriter:
    """Write a product in row blocks; it appears under its name, complete and on the disk, with ``commit``.

    Parameters
    ----------
    path : Path
        The product's name; its directory is made if need be.
    hdus : sequence of HduSpec
        The first is the primary.

    Raises
    ------
    ProductNotWritten
        From every method, if the file system fails; the cause is the OSError, see ``is_disk_full``.

    Notes
    -----
    Use it as a context manager: what was not committed is removed at the end of the block. The SHA-256 is computed in
    a second thread while rows are written in order; a third pushes a large file to the disk meanwhile, so that little
    is left to wait for in ``commit``.
    """

    def __init__(self, path: Path, hdus: Sequence[HduSpec]) -> None:
        self.path = path
        self._directory = self._fd = -1
        self._temporary = ""
        self._hash = hashlib.sha256()
        self._hashed = self._announced = 0
        self._hasher = ThreadPoolExecutor(1, "product-hash")
        self._syncer = ThreadPoolExecutor(1, "product-sync")
        self._unsynced = 0
        self._noting = Lock()
        self._pending: list[Future[None]] = []
        try:
            _make_directory(path.parent)
            self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._open_temporary()
            self._places, self._size = self._write_headers(hdus)
            self._hash_buffer = bytearray(min(self._size, _HASH_STEP_BYTES))
        except OSError as error:
            self.abort()
            raise self._failure(error) from error
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not committed."""
        self.abort()

    def write(self, hdu_index: int, first_row: int, array: NDArray[Any]) -> None:
        """Write rows of the image of one HDU; every row is written once, best nearly in order. For any thread.

        Parameters
        ----------
        hdu_index : int
        first_row : int
        array : ndarray, shape (rows, nx)
            Of the type of the HDU; it is not changed.

        Raises
        ------
        ValueError
            If the rows do not fit the HDU, have another type, or were written before.
        """
        place = self._places[hdu_index]
        last_row = first_row + array.shape[0]
        if array.ndim != 2 or array.shape[1] != place.shape[1] or last_row > place.shape[0]:  # noqa: PLR2004
            raise ValueError(f"rows {first_row}:{last_row} of shape {array.shape} do not fit {place.shape}")
        if array.dtype != place.dtype or first_row < place.contiguous or first_row in place.ahead:
            raise ValueError(f"HDU {hdu_index} takes new rows of {place.dtype}, not {array.dtype} at {first_row}")
        offset = place.offset + first_row * place.shape[1] * place.dtype.itemsize
        try:
            for start in range(0, array.size, _CHUNK_PX):
                chunk = _as_stored(array.reshape(-1)[start : start + _CHUNK_PX])
                _pwrite_all(self._fd, chunk, offset + start * place.dtype.itemsize)
        except OSError as error:
            raise self._failure(error) from error
        with self._noting:
            place.note(first_row, last_row)
            self._unsynced += array.nbytes
            self._announce()

    def commit(self) -> tuple[str, int]:
        """Sync, rename, sync the directory; return the SHA-256 and the size in bytes.

        Raises
        ------
        ValueError
            If rows are missing.
        """
        for index, place in enumerate(self._places):
            if place.contiguous != place.shape[0]:
                rows = place.contiguous + sum(last - first for first, last in place.ahead.items())
                raise ValueError(f"{self.path.name}: {rows} of {place.shape[0]} rows of HDU {index} were written")
        try:
            self._pending.append(self._syncer.submit(os.fsync, self._fd))
            self._pending.append(self._hasher.submit(self._hash_up_to, self._size))
            for pending in self._pending:
                pending.result()
            os.rename(self._temporary, self.path.name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            self._temporary = ""
            os.fsync(self._directory)
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self.abort()
        return self._hash.hexdigest(), self._size

    def abort(self) -> None:
        """Close, and remove the temporary file if it was not committed; harmless when repeated."""
        for pool in (self._hasher, self._syncer):
            pool.shutdown(wait=True, cancel_futures=True)
        if self._temporary:
            with suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._directory)
            self._temporary = ""
        for fd in (self._fd, self._directory):
            if fd >= 0:
                os.close(fd)
        self._fd = self._directory = -1

    def _open_temporary(self) -> None:
        """Create a new file in the product's directory."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        while self._fd < 0:
            name = f".ingestd-{os.getpid()}-{next(_NUMBERS)}.tmp"
            with suppress(FileExistsError):  # left by an earlier process of this number
                self._fd = os.open(name, flags, _PRODUCT_MODE, dir_fd=self._directory)
                self._temporary = name

    def _write_headers(self, hdus: Sequence[HduSpec]) -> tuple[list[_Place], int]:
        """Write all headers and take the file's blocks; return where the images lie, and the length.

        A full disk is known before any work is done, and blocks that are there already take half the time to write.
        """
        places = []
        offset = 0
        for index, hdu in enumerate(hdus):
            header = header_bytes(hdu, index, len(hdus))
            _pwrite_all(self._fd, header, offset)
            offset += len(header)
            dtype, shape = np.dtype(hdu.dtype), hdu.shape or (0, 0)
            end = padded(offset + shape[0] * shape[1] * dtype.itemsize)
            places.append(_Place(offset, dtype, shape, end))
            offset = end
        try:
            os.posix_fallocate(self._fd, 0, offset)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                raise
            os.ftruncate(self._fd, offset)  # a file system, or a C library, that cannot
        return places, offset

    def _announce(self) -> None:
        """Let the other threads hash what is written without a gap from the start of the file, and sync what is new."""
        ready = self._size
        for place in self._places:
            if place.contiguous < place.shape[0]:
                ready = place.offset + place.contiguous * place.shape[1] * place.dtype.itemsize
                break
        if ready - self._announced >= _HASH_STEP_BYTES:
            self._announced = ready
            self._pending.append(self._hasher.submit(self._hash_up_to, ready))
        if self._unsynced >= _SYNC_STEP_BYTES:
            self._unsynced = 0
            self._pending.append(self._syncer.submit(os.fdatasync, self._fd))

    def _hash_up_to(self, end: int) -> None:
        """Hash the file up to an offset, from where the last call ended."""
        buffer = memoryview(self._hash_buffer)
        while self._hashed < end:
            count = os.preadv(self._fd, [buffer[: end - self._hashed]], self._hashed)
            if not count:
                raise OSError(errno.EIO, "the temporary file became shorter")
            self._hash.update(buffer[:count])
            self._hashed += count

    def _failure(self, error: OSError) -> ProductNotWritten:
        return ProductNotWritten(f"{self.path}: cannot be written: {error.strerror or error}")


def is_disk_full(error: ProductNotWritten) -> bool:
    """Return whether a product was not written because no space, quota or inode was left."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in {errno.ENOSPC, errno.EDQUOT}


def is_temporary(name: str) -> bool:
    """Return whether a file name is that of a product, or a link, which was never completed."""
    return _TEMPORARY.match(name) is not None


def remove_temporaries(directory: Path, pid: int | None = None) -> int:
    """Remove our temporary files below a directory, all or those of one process; return how many there were.

    Links are neither followed nor taken for directories; nothing else is touched.
    """
    removed = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            found = _TEMPORARY.match(name)
            if found and pid in {None, int(found[1])}:
                with suppress(FileNotFoundError):
                    Path(parent, name).unlink()
                    removed += 1
    return removed


def _make_directory(directory: Path) -> None:
    """Create a directory and its parents so that they survive a power cut."""
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), [directory, *directory.parents]))
    for folder in reversed(missing):
        folder.mkdir(_DIRECTORY_MODE, exist_ok=True)
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _as_stored(values: NDArray[Any]) -> memoryview:
    """Return samples as the bytes of a FITS data unit: big-endian, unsigned 16-bit integers shifted."""
    if values.dtype == np.uint16:
        values = values ^ np.uint16(UNSIGNED_ZERO)
    return values.astype(values.dtype.newbyteorder(">")).view(np.uint8).data


def _pwrite_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all bytes at the offset."""
    left = memoryview(data)
    while left:
        count = os.pwrite(fd, left, offset)
        left, offset = left[count:], offset + count
