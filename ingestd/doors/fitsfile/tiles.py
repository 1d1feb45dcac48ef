"""Tile-compressed images: decoded by astropy, in a worker, within limits that the pre-read has checked."""

from __future__ import annotations

import io
import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from ingestd.errors import FrameRejected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestd.records import Plane

Source = int | bytes | bytearray | memoryview
"""An open file, or all its uncompressed bytes."""

_HCOMPRESS_MAGIC = b"\xdd\x99"


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

    options: dict[str, Any] = {"memmap": False, "do_not_scale_image_data": True, "uint": False}
    try:
        with warnings.catch_warnings(action="ignore"):
            with fits.open(_file(source), disable_image_compression=True, **options) as hdus:
                _check_hcompress(hdus[plane.index])
            with fits.open(_file(source), **options) as hdus:
                samples = np.asarray(hdus[plane.index].data)
    except FrameRejected:
        raise
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


def _file(source: Source) -> BinaryIO:
    """Return the source as a file object."""
    return (
        io.BytesIO(source)
        if not isinstance(source, int)
        else cast("BinaryIO", io.BufferedReader(_PositionedFile(source)))
    )


def _check_hcompress(table: Any) -> None:  # noqa: ANN401 - an astropy HDU
    """Compare the size that each HCOMPRESS stream states of itself with its tile's.

    The decoder writes as many samples as the stream says into a buffer of the tile's size: a damaged stream would
    write over the worker's memory.
    """
    header = table.header
    if str(header.get("ZCMPTYPE", "")).strip() != "HCOMPRESS_1":
        return
    axes = [int(header[f"ZNAXIS{n}"]) for n in range(1, int(header["ZNAXIS"]) + 1)]
    steps = [int(header.get(f"ZTILE{n}", axes[0] if n == 1 else 1)) for n in range(1, len(axes) + 1)]
    for row, stream in enumerate(table.data["COMPRESSED_DATA"]):
        start = np.asarray(stream)[:10].astype(np.uint8).tobytes()
        if not start:
            continue
        magic, columns, rows = start[:2], int.from_bytes(start[2:6]), int.from_bytes(start[6:10])
        if magic != _HCOMPRESS_MAGIC or columns * rows != _tile_size(axes, steps, row):
            raise FrameRejected("corrupt", f"tile {row}: its HCOMPRESS stream states {columns} x {rows} pixels")


def _tile_size(axes: list[int], steps: list[int], row: int) -> int:
    """Return the pixels of the tile in a row of the table: tiles at the far edges are cut (FITS 4.0, section 10.1)."""
    size = 1
    for length, step in zip(axes, steps, strict=True):
        row, place = divmod(row, -(-length // step))
        size *= min(step, length - place * step)
    return size
