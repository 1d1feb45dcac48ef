"""Rows of one image plane, read by position into the caller's buffers and never mapped."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.doors.fitsfile.rawfile import pread_exactly
from ingestd.doors.fitsfile.tiles import Source, decode_tiles
from ingestd.errors import FrameChanged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestd.records import Plane

SAMPLE_TYPES = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}
"""Type of the samples by BITPIX, without byte order."""

_INTEGER_BITPIX = frozenset({8, 16, 32})
_CHUNK_PX = 1 << 16
"""Pixels converted at once: raw samples and result stay in the second-level cache."""

_DECODING = threading.Lock()
"""One at a time: the decoder silences warnings, which is a state of the whole process."""


def to_native(samples: NDArray[Any]) -> None:
    """Turn big-endian samples, a flat array of native type, into what they mean, in place.

    A copy between the byte orders is vectorised; ``ndarray.byteswap(inplace=True)`` takes seven times as long.
    """
    if sys.byteorder == "little":
        np.copyto(samples, samples.view(samples.dtype.newbyteorder(">")))


class PlaneReader:
    """The rows of one image plane. Calls may come from several threads and in any order of rows.

    Parameters
    ----------
    source : int or bytes-like
        Descriptor of an uncompressed file, or all bytes of the uncompressed file. A tile-compressed plane is decoded
        here, at once, and served from memory.
    plane : Plane

    Raises
    ------
    FrameRejected
        ``corrupt`` if a tile-compressed plane cannot be decoded, ``bad_structure`` if its shape is not the plane's.
    """

    def __init__(self, source: Source, plane: Plane) -> None:
        self.plane = plane
        self._fd = -1
        self._samples: NDArray[Any] | None = None
        self._raw_type: np.dtype[Any] = np.dtype(SAMPLE_TYPES[plane.bitpix])
        if plane.encoding == "tile":
            with _DECODING:
                self._samples = decode_tiles(source, plane).astype(self._raw_type, copy=False)
        elif isinstance(source, int):
            self._fd = source
        else:
            count = plane.shape[0] * plane.shape[1]
            big_endian = self._raw_type.newbyteorder(">")
            self._samples = np.frombuffer(source, big_endian, count, plane.offset).reshape(plane.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (ny, nx)."""
        return self.plane.shape

    @property
    def is_integer(self) -> bool:
        """True if value = raw + ``offset`` with integer raw samples: no other scaling and no BLANK."""
        plane = self.plane
        return (
            plane.bitpix in _INTEGER_BITPIX and plane.bscale == 1 and plane.bzero.is_integer() and plane.blank is None
        )

    @property
    def offset(self) -> int:
        """What to add to a raw sample, 32768 for unsigned 16-bit data; meaningless unless ``is_integer``."""
        return int(self.plane.bzero)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native type of the raw samples (uint8, int16, int32); that of ``read``, float32, unless ``is_integer``."""
        return self._raw_type if self.is_integer else np.dtype(np.float32)

    def read_raw(self, first_row: int, out: NDArray[Any]) -> None:
        """Fill ``out``, shape (rows, nx), C-contiguous, with native raw samples of the plane's BITPIX.

        Raises
        ------
        ValueError
            If the rows are outside the plane, or ``out`` has another type or width or is not contiguous.
        FrameChanged
            If the file has become shorter.
        """
        self._check(first_row, out, self._raw_type)
        self._fill(first_row * self.shape[1], out.reshape(-1))

    def read(self, first_row: int, out: NDArray[np.float32]) -> None:
        """Fill ``out``, shape (rows, nx), C-contiguous, with physical values raw x BSCALE + BZERO; BLANK is NaN.

        Raises
        ------
        ValueError
            If the rows are outside the plane, or ``out`` is not float32, contiguous and as wide as the plane.
        FrameChanged
            If the file has become shorter.
        """
        self._check(first_row, out, np.dtype(np.float32))
        values = out.reshape(-1)
        start = first_row * self.shape[1]
        if self._raw_type == np.float32:
            self._fill(start, values)
            self._scale(values)
            return
        buffer = np.empty(min(_CHUNK_PX, values.size), self._raw_type)
        for first in range(0, values.size, _CHUNK_PX):
            part = values[first : first + _CHUNK_PX]
            raw = buffer[: part.size]
            self._fill(start + first, raw)
            self._convert(raw, part)

    def _check(self, first_row: int, out: NDArray[Any], wanted: np.dtype[Any]) -> None:
        """Check the caller's buffer."""
        ny, nx = self.shape
        if out.ndim != 2 or out.shape[1] != nx or first_row < 0 or first_row + out.shape[0] > ny:  # noqa: PLR2004
            raise ValueError(f"rows from {first_row} into shape {out.shape}: the plane has shape {self.shape}")
        if out.dtype != wanted or not out.flags.c_contiguous:
            raise ValueError(f"the buffer must be C-contiguous {wanted}, not {out.dtype}")

    def _fill(self, first_px: int, out: NDArray[Any]) -> None:
        """Fill a flat buffer with raw samples in native byte order, from a pixel on."""
        if self._samples is not None:
            out[...] = self._samples.reshape(-1)[first_px : first_px + out.size]
            return
        try:
            pread_exactly(self._fd, out.data.cast("B"), self.plane.offset + first_px * out.itemsize)
        except EOFError as error:
            raise FrameChanged(f"HDU {self.plane.index}: {error}") from error
        to_native(out)

    def _convert(self, raw: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Write raw samples as physical values: up to 16 bits in float32, which is exact, else in float64."""
        plane = self.plane
        with np.errstate(over="ignore", invalid="ignore"):
            if raw.itemsize <= 2:  # noqa: PLR2004 - bytes
                out[...] = raw
                self._scale(out)
            else:
                wide = raw.astype(np.float64)
                self._scale(wide)
                out[...] = wide
        if plane.blank is not None and plane.bitpix > 0:
            out[raw == plane.blank] = np.nan

    def _scale(self, values: NDArray[Any]) -> None:
        """Apply BSCALE and BZERO in place."""
        if self.plane.bscale != 1:
            values *= self.plane.bscale
        if self.plane.bzero != 0:
            values += self.plane.bzero
