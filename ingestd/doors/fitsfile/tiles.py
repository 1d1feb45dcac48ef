"""Tile-compressed images: decoded by astropy, in a worker, within limits that the pre-read has checked."""

from __future__ import annotations

import io
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.errors import FrameRejected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestd.records import Plane

Source = int | bytes | bytearray | memoryview
"""An open file, or all its uncompressed bytes."""


class _PositionedFile(io.RawIOBase):
    """A descriptor as a file object with a position of its own, so that several may read it at once."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - declared so by io
        """Read at the position and advance it."""
        count = os.preadv(self._fd, [buffer], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self._fd).st_size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


def decode_tiles(source: Source, plane: Plane) -> NDArray[Any]:
    """Return the unscaled samples of a tile-compressed image, shape (ny, nx).

    The decoder is astropy's; a damaged heap makes it fail in many ways, and all of them mean the same.
    """
    from astropy.io import fits  # noqa: PLC0415 - 0.3 s that only workers which meet a compressed frame pay

    file = io.BufferedReader(_PositionedFile(source)) if isinstance(source, int) else io.BytesIO(source)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            fits.open(file, memmap=False, do_not_scale_image_data=True, uint=False) as hdus,
        ):
            samples = np.asarray(hdus[plane.index].data)
    except OSError as error:
        if error.errno is not None:
            raise
        raise FrameRejected("corrupt", f"HDU {plane.index} cannot be decoded: {error}") from error
    except MemoryError as error:
        raise FrameRejected("too_large", f"HDU {plane.index} needs more memory than a worker may use") from error
    except Exception as error:
        detail = f"HDU {plane.index} cannot be decoded: {type(error).__name__}: {error}"
        raise FrameRejected("corrupt", detail) from error
    if samples.size != plane.shape[0] * plane.shape[1]:
        raise FrameRejected("bad_structure", f"HDU {plane.index}: shape {samples.shape} instead of {plane.shape}")
    return samples.reshape(plane.shape)
