"""A RowReader over an array in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ArrayReader:
    """Integer arrays are raw samples of which ``offset`` makes physical values; others are physical already."""

    def __init__(self, array: NDArray[Any], offset: int = 0) -> None:
        self.array = array
        self.shape = (array.shape[0], array.shape[1])
        self.is_integer = array.dtype.kind in "iu"
        self.offset = offset
        self.dtype = array.dtype

    def read_raw(self, first_row: int, out: NDArray[Any]) -> None:
        """Copy raw samples."""
        assert self.is_integer
        assert out.dtype == self.dtype
        assert out.flags.c_contiguous
        assert first_row + len(out) <= self.shape[0]
        out[:] = self.array[first_row : first_row + len(out)]

    def read(self, first_row: int, out: NDArray[np.float32]) -> None:
        """Copy physical values."""
        assert out.dtype == np.float32
        assert out.flags.c_contiguous
        assert first_row + len(out) <= self.shape[0]
        out[:] = self.array[first_row : first_row + len(out)]
        if self.is_integer:
            out += np.float32(self.offset)
