"""A gzip stream read forwards, in bounded memory, with a bound on what it may inflate to."""

from __future__ import annotations

import os
import zlib

from ingestd.errors import FrameRejected

_COMPRESSED_CHUNK = 1 << 16
_INFLATED_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"


class GzipStream:
    """The uncompressed bytes of a gzip file, addressed by offset; offsets must not decrease.

    Parameters
    ----------
    fd : int
        Open file; read by position, so that its offset does not matter.
    limit : int
        Bytes that the stream may inflate to.

    Attributes
    ----------
    is_cut : bool
        True once the compressed bytes ended before the stream did: the file is not complete.
    """

    def __init__(self, fd: int, limit: int) -> None:
        self._fd = fd
        self._limit = limit
        self._compressed = b""
        self._next = 0
        self._inflater = zlib.decompressobj(_GZIP)
        self._start = 0
        self._buffer = bytearray()
        self._ended = False
        self.is_cut = False

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes at ``offset``; fewer at the end of the stream.

        Raises
        ------
        FrameRejected
            ``corrupt`` if the stream is damaged, ``too_large`` if it inflates beyond the limit.
        """
        while not self._ended and self._start + len(self._buffer) < offset:
            self._forget(offset)
            self._inflate()
        self._forget(offset)
        while not self._ended and len(self._buffer) < length:
            self._inflate()
        return bytes(self._buffer[:length])

    def read_into(self, out: memoryview) -> int:
        """Fill ``out`` from the start of the stream, to whose end it is checked; return how many bytes there were.

        Raises
        ------
        FrameRejected
            As `read`.
        """
        filled = 0
        while filled < len(out) and not self._ended:
            if not self._buffer:
                self._inflate()
            part = self._buffer[: len(out) - filled]
            out[filled : filled + len(part)] = part
            filled += len(part)
            self._forget(filled)
        while not self._ended:  # the checksum stands behind the last byte, perhaps in the next chunk
            self._forget(self._start + len(self._buffer))
            self._inflate()
        return filled

    def _forget(self, offset: int) -> None:
        """Drop what lies before the offset."""
        count = min(max(offset - self._start, 0), len(self._buffer))
        del self._buffer[:count]
        self._start += count

    def _inflate(self) -> None:
        """Inflate one chunk more into the buffer."""
        if not self._compressed:
            self._compressed = os.pread(self._fd, _COMPRESSED_CHUNK, self._next)
            self._next += len(self._compressed)
            if not self._compressed:
                self._ended = self.is_cut = True
                return
        try:
            self._buffer += self._inflater.decompress(self._compressed, _INFLATED_CHUNK)
        except zlib.error as error:
            raise FrameRejected("corrupt", f"gzip stream damaged near byte {self._next}: {error}") from error
        self._compressed = self._inflater.unconsumed_tail
        if self._start + len(self._buffer) > self._limit:
            raise FrameRejected("too_large", f"gzip stream inflates to more than {self._limit} bytes")
        if self._inflater.eof:
            self._open_next_member(self._inflater.unused_data)

    def _open_next_member(self, rest: bytes) -> None:
        """Go on with the next member of a concatenated gzip file, or end; other trailing bytes are ignored."""
        if len(rest) < len(_MAGIC):
            rest += os.pread(self._fd, _COMPRESSED_CHUNK, self._next)
            self._next += max(0, len(rest) - len(self._inflater.unused_data))
        if rest[: len(_MAGIC)] != _MAGIC:
            self._ended = True
            return
        self._inflater = zlib.decompressobj(_GZIP)
        self._compressed = rest
