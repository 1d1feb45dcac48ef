"""An image in electrons, and what the filter keeps beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Flags = NDArray[np.bool_]
Pixels = NDArray[np.intp]

UNFLAGGED_PX = 3
"""Width of the frame along the edges in which nothing is ever flagged: half the window of the separable median."""

CROSS = ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))
SQUARE_3 = tuple((y, x) for y in range(-1, 2) for x in range(-1, 2))
SQUARE_5 = tuple((y, x) for y in range(-2, 3) for x in range(-2, 3))
ROUNDED_5 = tuple((y, x) for y, x in SQUARE_5 if abs(y) + abs(x) < 4)  # noqa: PLR2004 the corners are 4 steps away
"""Neighbourhoods, as offsets (y, x)."""


@dataclass(slots=True)
class Exposure:
    """The planes of one image, all of shape (ny, nx); a pixel is a flat index into them.

    Attributes
    ----------
    electrons : ndarray of float32
        The image; cleaned from iteration to iteration.
    read_variance : float32
        Square of the read noise, electron^2.
    excluded : ndarray of bool
        Pixels that are neither flagged nor used to clean others.
    flagged : ndarray of bool
        Pixels hit by cosmic rays.
    marks : ndarray of bool
        Scratch: False between calls.
    cleaned_variance : ndarray of float32, or None
        Variance of a cleaned pixel: the mean of its neighbours' variances, which rounds otherwise than the variance of
        the mean. 0 where nothing was cleaned: there it is ``electrons + read_variance``. None before anything is.
    """

    electrons: Float32
    read_variance: np.float32
    excluded: Flags
    flagged: Flags
    marks: Flags
    cleaned_variance: Float32 | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ny, nx = self.electrons.shape
        return ny, nx

    def variance(self, electrons: Float32, cleaned: Float32 | np.float32) -> Float32:
        """Return the variance of pixels from their electrons and their ``cleaned_variance``."""
        variance = electrons + self.read_variance
        np.copyto(variance, cleaned, where=cleaned != 0)
        return variance

    def variance_of(self, pixels: Pixels) -> Float32:
        """Return the variance of pixels, shape (n,)."""
        cleaned = np.float32(0) if self.cleaned_variance is None else self.cleaned_variance.ravel()[pixels]
        return self.variance(self.electrons.ravel()[pixels], cleaned)

    def rows_and_columns(self, pixels: Pixels) -> tuple[Pixels, Pixels]:
        """Return y and x of pixels; ``np.divmod`` takes four times as long."""
        y = pixels // self.shape[1]
        return y, pixels - y * self.shape[1]

    def is_inside(self, y: Pixels, x: Pixels, margin_px: int) -> Flags:
        """Return which positions, be they in the image or not, are at least ``margin_px`` from all edges."""
        ny, nx = self.shape
        return (y >= margin_px) & (y < ny - margin_px) & (x >= margin_px) & (x < nx - margin_px)

    def neighbours(self, pixels: Pixels, offsets: Sequence[tuple[int, int]], margin_px: int = UNFLAGGED_PX) -> Pixels:
        """Return, sorted, the pixels at any of ``offsets`` (y, x) of any pixel.

        Only those ``margin_px`` or more from all edges, which is no less than any offset. Few pixels are listed, many
        marked on the plane.
        """
        if pixels.size * len(offsets) > self.electrons.size // 4:
            return self._marked_neighbours(pixels, offsets, margin_px)
        steps = [y * self.shape[1] + x for y, x in offsets]
        reached = distinct((pixels[:, np.newaxis] + steps).ravel())
        # an index that runs over the end of a row falls into the margin
        return reached[self.is_inside(*self.rows_and_columns(reached), margin_px)]

    def _marked_neighbours(self, pixels: Pixels, offsets: Sequence[tuple[int, int]], margin_px: int) -> Pixels:
        """Do as ``neighbours`` in time and memory of the plane."""
        ny, nx = self.shape
        self.marks.ravel()[pixels] = True
        reached = np.zeros(self.shape, bool)
        inner = reached[margin_px : ny - margin_px, margin_px : nx - margin_px]
        for y, x in offsets:
            inner |= self.marks[margin_px - y : ny - margin_px - y, margin_px - x : nx - margin_px - x]
        self.marks.ravel()[pixels] = False
        return np.flatnonzero(reached)

    def among(self, pixels: Pixels, others: Pixels) -> Flags:
        """Return which of ``pixels`` are among ``others``."""
        marks = self.marks.ravel()
        marks[others] = True
        found = marks[pixels]
        marks[others] = False
        return found


def batches(number: int, size: int) -> Iterator[slice]:
    """Divide ``number`` elements into slices of at most ``size``."""
    return (slice(first, first + size) for first in range(0, number, size))


def distinct(pixels: Pixels) -> Pixels:
    """Return sorted pixels without repetition."""
    ordered = np.sort(pixels)
    is_first = np.ones(ordered.size, bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return ordered[is_first]
