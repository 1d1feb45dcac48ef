"""Boxes of an image and samples of its pixels: enough for a median, few enough to be quick."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

_SAMPLES = 1 << 20
_BOX_SAMPLES = 1 << 12
_SMALLEST_BOX_PX = 8


def box_median(box: NDArray[Any]) -> np.float32:
    """Return the median of some 4096 pixels spread over a box, or NaN if none of them is finite."""
    values = box[box_sample(box.shape)]
    finite = values[np.isfinite(values)]
    return np.float32(np.median(finite.astype(np.float64)) if finite.size else np.nan)


def boxes_of(shape: tuple[int, ...], down: int, across: int | None = None) -> Iterator[tuple[slice, slice]]:
    """Yield boxes that cover an image, so many down, and as many or so many across; none is smaller than 8 pixels."""
    rows, columns = (
        np.linspace(0, length, max(1, min(number, length // _SMALLEST_BOX_PX)) + 1, dtype=int)
        for length, number in zip(shape, (down, across or down), strict=True)
    )
    for y0, y1 in itertools.pairwise(rows):
        for x0, x1 in itertools.pairwise(columns):
            yield slice(int(y0), int(y1)), slice(int(x0), int(x1))


def colours(image: Float32) -> tuple[Float32, ...]:
    """Return the four colour planes of a mosaic, as views."""
    return tuple(image[row::2, column::2] for row in (0, 1) for column in (0, 1))


def box_sample(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return which pixels of a box its median is taken of."""
    step = _odd_step(shape[0] * shape[1], _BOX_SAMPLES)
    return slice(None, None, step), slice(None, None, step)


def sampled(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return every k-th row and column, about a million pixels; k is odd, for the colours of a mosaic."""
    step = _odd_step(shape[0] * shape[1], _SAMPLES)
    return slice(None, None, step), slice(None, None, step)


def _odd_step(pixels: int, samples: int) -> int:
    """Return the smallest odd step in both axes that leaves at most so many samples."""
    step = 1
    while pixels > samples * step * step:
        step += 2
    return step
