"""What every source of rows can do: a file in a door, an array in memory, a calibration around another reader."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Mask = NDArray[np.uint8]


class RowReader(Protocol):
    """Rows of one image plane. Calls may come from several threads and in any order of rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (ny, nx)."""

    @property
    def is_integer(self) -> bool:
        """True if value = raw + ``offset`` with integer raw samples: no other scaling, no BLANK, nothing subtracted."""

    @property
    def offset(self) -> int:
        """What to add to a raw sample, 32768 for unsigned 16-bit data; meaningless unless ``is_integer``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native type of the raw samples (uint8, int16, int32); that of ``read``, float32, unless ``is_integer``."""

    def read_raw(self, first_row: int, out: NDArray[Any]) -> None:
        """Fill ``out``, shape (rows, nx), C-contiguous, of ``dtype``, with raw samples; only if ``is_integer``."""

    def read(self, first_row: int, out: Float32) -> None:
        """Fill ``out``, shape (rows, nx), C-contiguous, with physical values; a missing sample is NaN."""
