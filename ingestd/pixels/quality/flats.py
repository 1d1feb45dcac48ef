"""Figures of a master flat and of the flats that it is made of: how curved, how well measured, how steady the lamp."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.quality.boxes import box_median, boxes_of
from ingestd.pixels.quality.histogram import Estimate
from ingestd.pixels.quality.noise import c4, mean_variance
from ingestd.pixels.quality.tally import sampled_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BOXES = 16
_GRID = 33
_TERMS = 6
_MAD_TO_SIGMA = 1.482602218505602
_REJECT_SIGMA = 5.0


def flat_curvature_ratio(flat: NDArray[Any]) -> Estimate:
    """Return how far a flat is from even: vignetting, and the gradient of a screen or of twilight.

    Parameters
    ----------
    flat : array, shape (ny, nx)
        Master flat, or a part of one, in any unit; masked pixels at 1 do not matter.

    Returns
    -------
    Estimate
        Highest less lowest value of the surface over its mean.

    Raises
    ------
    ValueError
        If fewer boxes than the surface has terms, 6, have a finite pixel, or the mean is not positive.

    Notes
    -----
    The surface is the polynomial of degree 2 in x and y through the medians of 16 x 16 boxes (of 8 pixels at least),
    without boxes 5 robust sigma off (dust). An even flat has some of its error: the largest of many differences.
    """
    places, levels = _box_levels(flat)
    if levels.size < _TERMS:
        raise ValueError(f"{levels.size} boxes with light: too few for a surface of {_TERMS} terms")
    kept = np.ones(levels.size, bool)
    for _ in range(2):
        terms, *_ = np.linalg.lstsq(_design(*places[:, kept]), levels[kept])
        off = np.abs(levels - _design(*places) @ terms)
        kept = off <= max(_REJECT_SIGMA * _MAD_TO_SIGMA * float(np.median(off)), 1e-6 * float(np.abs(levels).max()))
    y, x = (axis.reshape(-1) for axis in np.meshgrid(np.linspace(-1, 1, _GRID), np.linspace(-1, 1, _GRID)))
    grid = _design(y, x)
    surface: NDArray[np.float64] = grid @ terms
    mean = float(terms @ _MEANS)
    if not mean > 0:
        raise ValueError("a flat without light has no curvature")
    step = grid[int(surface.argmax())] - grid[int(surface.argmin())]
    design = _design(*places[:, kept])
    scatter = float((off[kept] ** 2).sum()) / max(int(kept.sum()) - _TERMS, 1)
    variance = scatter * float(step @ np.linalg.pinv(design.T @ design) @ step)
    return Estimate(float(np.ptp(surface)) / mean, math.sqrt(max(variance, 0.0)) / mean)


def flat_signal_to_noise_ratio(flat: NDArray[Any], error: NDArray[Any], members: int) -> Estimate:
    """Return the signal-to-noise of one pixel of a master flat.

    Parameters
    ----------
    flat, error : arrays, shape (ny, nx)
        Relative response and its standard error, as combined or moderated.
    members : int
        How many frames the master is made of.

    Raises
    ------
    ValueError
        If it has one member only, which tells no error, or no pixel with an error.

    Notes
    -----
    1 / sqrt(mean of (error / flat)^2) over the pixels of `sampled_rows`, without those that are too noisy
    (`mean_variance`). Moderated errors have the same mean, with what clipping costs in it.
    """
    if members < 2:  # noqa: PLR2004 - scatter needs two
        raise ValueError("one flat tells no error")
    bands = sampled_rows((flat.shape[0], flat.shape[1]))
    signal, noise = (np.concatenate([plane[band] for band in bands]).astype(np.float64) for plane in (flat, error))
    good = np.isfinite(noise) & (noise > 0) & (signal > 0)
    if not good.any():
        raise ValueError("no pixel of the flat has an error")
    variance, number = mean_variance((noise[good] / signal[good]) ** 2, members - 1)
    if not variance > 0:
        raise ValueError("the errors of the flat are too small for a number")
    ratio = 1.0 / math.sqrt(variance)
    return Estimate(ratio, ratio * math.sqrt(0.5 / ((members - 1) * number)))


def lamp_scatter_ratio(levels_adu: Sequence[float], exposures_s: Sequence[float | None]) -> Estimate:
    """Return by how much the lamp changed between the flats of a night: relative scatter of their levels per second.

    Parameters
    ----------
    levels_adu : at least 2 numbers, ADU
        Level of each flat above its pedestal.
    exposures_s : as many numbers, second
        Where one is unknown or 0, the levels themselves are compared.

    Raises
    ------
    ValueError
        If there are fewer than two levels, or one is not finite and positive.

    Notes
    -----
    Standard deviation (ddof = 1) over `c4` and the mean, so without bias for Gaussian scatter; error over the value:
    sqrt(1 / c4^2 - 1). In twilight it is the sky that changed.
    """
    levels = np.array(levels_adu, np.float64)
    if levels.size < 2 or not (np.isfinite(levels) & (levels > 0)).all():  # noqa: PLR2004 - scatter needs two
        raise ValueError(f"the lamp needs two or more flats with light, not {levels.size}")
    exposures = np.array([exposure or 0.0 for exposure in exposures_s])
    rates = levels / exposures if (exposures > 0).all() else levels
    unbias = c4(rates.size)
    scatter = float(rates.std(ddof=1)) / (unbias * float(rates.mean()))
    return Estimate(scatter, scatter * math.sqrt(1.0 / unbias**2 - 1.0))


def _box_levels(flat: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centres of boxes, shape (2, boxes), from -1 to 1 along both axes, and the medians in them."""
    centres, levels = [], []
    for rows, columns in boxes_of(flat.shape, _BOXES):
        level = float(box_median(flat[rows, columns]))
        if math.isfinite(level):
            ends = (rows.start + rows.stop, columns.start + columns.stop)
            centres.append([total / length - 1.0 for total, length in zip(ends, flat.shape, strict=True)])
            levels.append(level)
    return np.array(centres, np.float64).reshape(-1, 2).T, np.array(levels, np.float64)


def _design(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms of the surface at places, shape (places, 6)."""
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


_MEANS = np.array([1.0, 0.0, 0.0, 1.0 / 3.0, 0.0, 1.0 / 3.0])
"""Mean of each term of the surface over the image."""
