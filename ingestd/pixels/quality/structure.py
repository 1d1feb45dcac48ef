"""Row and column structure: by how much the lines of an image differ beyond what the noise of their pixels explains.

The level of every line is measured twice, in two halves that share no pixel: groups of up to 16 neighbouring pixels are
averaged, and the median is taken over every second group. Noise is independent in the two halves, structure is common
to both, so their covariance over the lines is the variance of the structure, whatever the noise is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.quality.histogram import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

_GROUP_PX = 16
_FEWEST_LINES = 8
_FEWEST_GROUPS = 2
_MAD_TO_SIGMA = 1.482602218505602
_REJECT_SIGMA = 5.0


def row_structure_adu(plane: NDArray[Any]) -> Estimate:
    """Return the standard deviation of the rows' levels beyond noise.

    Parameters
    ----------
    plane : array of shape (ny, nx), ADU
        A bias frame or master without overscan; of a large one the rows of `sampled_rows`.

    Returns
    -------
    Estimate, ADU
        0 where the halves do not agree that there is any.

    Raises
    ------
    ValueError
        If there are fewer than 8 rows or 2 groups of columns with finite pixels.

    Notes
    -----
    sqrt(cov(e, o)) of the levels e and o of the rows in the even and the odd groups of columns, without rows 5 robust
    sigma from the median row; each group of columns less its own median first, so that columns do not count. The
    variance has no bias and the error sqrt((var(e) var(o) + cov^2) / (n - 1)). Its root is low by error^2 / (2 value^2)
    of itself while that is small; where there is no structure it is 0 or, as often, up to the root of that error.
    """
    return line_structure(_groups(plane))


def column_structure_adu(plane: NDArray[Any]) -> Estimate:
    """Return the standard deviation of the columns' levels beyond noise, a gradient included: see `row_structure_adu`.

    Columns of unlike amplifiers belong to parts of their own.
    """
    return line_structure(_groups(plane.T))


def line_structure(groups: Float64) -> Estimate:
    """Return the structure of lines from the means of groups of their pixels, shape (lines, groups); NaN is unknown."""
    flat = groups - _medians(groups, 0)
    halves = np.stack([_medians(flat[:, 0::2], 1)[:, 0], _medians(flat[:, 1::2], 1)[:, 0]])
    halves = halves[:, np.isfinite(halves).all(axis=0)]
    if halves.shape[1] < _FEWEST_LINES or groups.shape[1] < _FEWEST_GROUPS:
        raise ValueError(f"{halves.shape[1]} lines of {groups.shape[1]} groups of pixels: too few for their structure")
    level = halves.mean(axis=0)
    distance = np.abs(level - np.median(level))
    kept = halves[:, distance <= _REJECT_SIGMA * _MAD_TO_SIGMA * np.median(distance)]
    kept = kept if kept.shape[1] >= _FEWEST_LINES else halves
    (even, common), (_, odd) = np.cov(kept).tolist()
    error = math.sqrt((even * odd + common * common) / (kept.shape[1] - 1))
    structure = math.sqrt(max(common, 0.0))
    return Estimate(structure, min(0.5 * error / structure, math.sqrt(error)) if structure > 0 else math.sqrt(error))


def _groups(plane: NDArray[Any]) -> Float64:
    """Return the means of groups of neighbouring pixels of each row, shape (ny, groups)."""
    ny, nx = plane.shape
    size = min(max(nx // _GROUP_PX, 1), _GROUP_PX)
    cut = plane[:, : nx // size * size].reshape(ny, nx // size, size)
    with np.errstate(invalid="ignore"):
        means: Float64 = cut.mean(axis=2, dtype=np.float64)
    means[~np.isfinite(means)] = np.nan
    return means


def _medians(values: Float64, axis: int) -> Float64:
    """Return the medians of the finite values along an axis, kept as an axis of length 1; NaN where there are none."""
    ordered = np.sort(values, axis=axis)  # NaN goes to the end
    number = np.count_nonzero(np.isfinite(values), axis=axis, keepdims=True)
    low, high = np.maximum(number - 1, 0) // 2, np.minimum(number // 2, max(values.shape[axis] - 1, 0))
    if not values.size:
        return np.full(number.shape, np.nan)
    middle: Float64 = 0.5 * (np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis))
    return middle
