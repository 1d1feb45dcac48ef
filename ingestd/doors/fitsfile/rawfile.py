"""A raw frame as a file: opened once, never followed, stamped, and hashed on the same descriptor."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING

from ingestd.errors import FrameNotReady, FrameRejected
from ingestd.records import FileStamp

if TYPE_CHECKING:
    from pathlib import Path

    from ingestd.records import FileHeader

_HASH_CHUNK_BYTES = 1 << 20


def open_raw(path: Path) -> int:
    """Open a raw frame for reading and return the descriptor; the caller closes it.

    The last component is never followed as a symbolic link, a FIFO never blocks, and the access time is left alone
    where the kernel permits.

    Raises
    ------
    FrameRejected
        ``not_a_regular_file``: a symbolic link, directory, FIFO, socket or device.
    OSError
        If the file is no longer there (FileNotFoundError) or cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            fd = os.open(path, flags | os.O_NOATIME)
        except PermissionError:
            fd = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FrameRejected("not_a_regular_file", "it is a symbolic link") from error
        if error.errno in {errno.ENXIO, errno.ENODEV}:
            raise FrameRejected("not_a_regular_file", "it is a socket or a device") from error
        raise
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise FrameRejected("not_a_regular_file", f"it is a {_file_type(mode)}")
    return fd


def _file_type(mode: int) -> str:
    """Return the name of a file type that is not a regular file."""
    return {stat.S_IFDIR: "directory", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}.get(stat.S_IFMT(mode), "device")


def stamp(file: int | Path) -> FileStamp:
    """Return what the file system says of a descriptor or a path; links are not followed.

    Raises
    ------
    OSError
        If the path is not there or cannot be looked at.
    """
    found = os.fstat(file) if isinstance(file, int) else file.lstat()
    return FileStamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def hash_file(fd: int, header: FileHeader) -> tuple[str, str]:
    """Return the SHA-256 of all bytes and of the data units' bytes in HDU order, in one pass over the file.

    The second is what stays when a plate solver rewrites the header. For a gzip file, and for one without data, it is
    the first.

    Raises
    ------
    FrameNotReady
        ``growing`` if the file is no longer as it was when the header was read.
    OSError
        If the file cannot be read.
    """
    spans = [(unit.data_offset, unit.data_offset + unit.data_bytes) for unit in header.units if unit.data_bytes]
    if header.container == "gzip":
        spans = []
    whole, data = hashlib.sha256(), hashlib.sha256()
    buffer = memoryview(bytearray(_HASH_CHUNK_BYTES))
    offset = 0
    while count := os.preadv(fd, [buffer], offset):
        whole.update(buffer[:count])
        for first, last in spans:
            low, high = max(first - offset, 0), min(last - offset, count)
            if low < high:
                data.update(buffer[low:high])
        offset += count
    if stamp(fd) != header.stamp or offset != header.stamp.size_bytes:
        raise FrameNotReady("growing", f"{offset} bytes read, {header.stamp.size_bytes} when the header was read")
    frame_id = whole.hexdigest()
    return frame_id, data.hexdigest() if spans else frame_id


def hash_bytes(fd: int) -> str:
    """Return the SHA-256 of all bytes of a file; the interpreter lock is released meanwhile.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    whole = hashlib.sha256()
    buffer = memoryview(bytearray(_HASH_CHUNK_BYTES))
    offset = 0
    while count := os.preadv(fd, [buffer], offset):
        whole.update(buffer[:count])
        offset += count
    return whole.hexdigest()


def pread_exactly(fd: int, out: memoryview, offset: int) -> None:
    """Fill ``out`` (bytes) from the file at the offset.

    Raises
    ------
    EOFError
        If the file ends before.
    OSError
        If the file cannot be read.
    """
    filled = 0
    while filled < len(out):
        count = os.preadv(fd, [out[filled:]], offset + filled)
        if count == 0:
            raise EOFError(f"the file ends at byte {offset + filled}, {offset + len(out)} are needed")
        filled += count
