"""Mean and standard deviation of each pixel over a set, frame by frame: the set never stands in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]


class Stack:
    """Sums of the differences from the first frame, and of their squares; nothing is clipped.

    Three images in memory, whatever the number of frames; one for a single frame. Exact for integers.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: NDArray[Any] = np.empty((0, 0))
        self._sum: Float64 = np.empty((0, 0))
        self._squares: Float64 = np.empty((0, 0))

    def add(self, image: NDArray[Any]) -> None:
        """Add a frame, shape (ny, nx).

        Raises
        ------
        ValueError
            If its shape is not that of the others.
        """
        self.count += 1
        if self.count == 1:
            self._first = image.copy()
            return
        if image.shape != self._first.shape:
            raise ValueError(f"shape {image.shape}, the others have {self._first.shape}")
        if not self._sum.size:
            self._sum, self._squares = np.zeros((2, *image.shape))
        with np.errstate(invalid="ignore"):
            difference = np.subtract(image, self._first, dtype=np.float64)
        difference[~np.isfinite(difference)] = np.nan
        self._sum += difference
        difference *= difference
        self._squares += difference

    def mean(self) -> Float64:
        """Return the mean of each pixel; not finite where one frame has no value, the standard deviation likewise."""
        if self.count < 2:  # noqa: PLR2004 - one frame is its own mean
            return self._first.astype(np.float64)
        mean: Float64 = self._first + self._sum / self.count
        return mean

    def deviation(self) -> Float64:
        """Return the standard deviation of each pixel, divisor n - 1.

        Raises
        ------
        ValueError
            If there are fewer than two frames.
        """
        if self.count < 2:  # noqa: PLR2004 - a scatter needs two
            raise ValueError(f"a standard deviation needs two or more frames, not {self.count}")
        squares = self._squares - self._sum**2 / self.count
        deviation: Float64 = np.sqrt(np.maximum(squares, 0.0) / (self.count - 1))
        return deviation
