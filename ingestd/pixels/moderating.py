"""The standard error of a master of few frames: a pixel's own scatter, moderated by that of its neighbourhood.

The scatter of five samples is good to a third, so 1 / error has the long tails of Student's t, and clipping by the MAD
of few samples takes genuine ones: what is left of such a pixel scatters next to nothing, while its mean is worse than
others. Neighbours are read by the same amplifier and mostly have the same noise. So the variance of a pixel is
``(d0 v + d s**2) / (d0 + d)``: its own s**2 with d = frames - 1 degrees of freedom, and v, the mean of its box, with d0
(Smyth 2004, Linear models and empirical Bayes methods, Stat. Appl. Genet. Mol. Biol. 3, 3; there s0**2 for v).

The mean of the variances stays what it was, so that pulls of standard deviation 1 do not depend on d0, only their tails
do. d0 is fixed: estimated from the spread of s**2, as Smyth does, it changed no standard deviation of the pulls of all
pixels by more than 0.01, from sensors of equal pixels to such whose noise is log-normal with a sigma of 1.

One variance for a box is a compromise where noise changes within it (the edge of a field stop, an amplifier's glow):
pulls of five frames reach 1.3 on the noisy side and 0.7 on the quiet one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingestd.pixels.combine.clipping import MAD_TO_SIGMA
from ingestd.pixels.quality.boxes import box_sample, boxes_of
from ingestd.pixels.quality.noise import mean_variance, variance_limit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestd.pixels.blocks import Float32

Box = tuple[slice, slice]
EachBox = Callable[[Callable[[Box], None], Iterable[Box]], Iterable[None]]
"""Calls a function for every box: ``map``, or the ``map`` of a pool of threads."""

_BOXES = 8
_BLOCK_PX = 1 << 16

_FREEDOM_OF_BOX = 10.0
"""d0: what the box says counts as ten more frames. Five frames then weigh 0.29, ten 0.47, forty 0.80."""

_LEVEL_SIGMA = 5.0
"""A pixel further than this many robust standard deviations from the level of its box is not like its neighbours.

Not less than the error of a mean: of few, coarsely rounded samples more than half of the means may be equal."""

_VARIANCE_SIGMA = 3.0
"""Nor is one whose s**2 is above this limit (`variance_limit`): 4.5 v of five frames, 3.0 v of ten, for 0.13 %."""

_CLIPPED = 1.5
"""Variance of a mean that has lost genuine samples to clipping, over that of as many that were not chosen.

Of Gaussian samples 1.33 to 1.79 for 3 to 20 frames, any number of lost samples that is met, and limits of 3 to 5 sigma.
That of complete pixels is exactly 1: whether anything clips depends on the shape of a sample, which is independent of
both its mean and its scatter (Basu). A sample lost to a cosmic ray would have 1; of few frames those are fewer.
"""


@dataclass(frozen=True, slots=True)
class _Ordinary:
    """What ordinary pixels of a box are like: level, how far from it they are at most, variance of their mean."""

    level: np.float32
    reach: np.float32
    variance: np.float32


def moderate_errors(
    mean: Float32, error: Float32, count: NDArray[np.uint16], frames: int, *, each: EachBox = map
) -> None:
    """Moderate the standard errors of a master in place.

    Parameters
    ----------
    mean, error : arrays, shape (ny, nx), float32
        Of one amplifier, or one colour in it, as ``combine`` gives them, or both times a constant. NaN errors of pixels
        that kept one sample are filled; those that kept none remain.
    count : array, shape (ny, nx), uint16
        Samples kept.
    frames : int
        How many were combined; one alone tells no error and nothing is done.
    each : callable, optional
        How the 8 x 8 boxes are worked off, all independent of each other.

    Notes
    -----
    v is the mean of s**2 over complete pixels that are alike. A pixel that is not (hot, noisy, jumping) keeps its own
    error, or that of the others if it is larger: it never becomes more certain than it was. One that lost samples to
    clipping takes v alone, as its own scatter is too small by an unknown factor (of 5 frames 0.19 and less).
    """
    if frames < 2:  # noqa: PLR2004 - scatter needs two
        return

    def moderate(box: Box) -> None:
        """Moderate the errors of one box, if it has pixels that are alike."""
        own = mean[box], error[box], count[box]
        ordinary = _ordinary(*own, frames)
        if ordinary is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                _moderate_box(*own, frames, ordinary)

    for _ in each(moderate, boxes_of(mean.shape, _BOXES)):
        pass


def _ordinary(mean: Float32, error: Float32, count: NDArray[np.uint16], frames: int) -> _Ordinary | None:
    """Return what ordinary pixels of a box are like, from some 4096 of them; None without any, or beyond float32."""
    at = box_sample(mean.shape)
    complete = (count[at] == frames) & np.isfinite(error[at])
    levels, errors = (plane[at][complete].astype(np.float64) for plane in (mean, error))
    if not levels.size:
        return None
    level = np.median(levels)
    distances, variances = np.abs(levels - level), errors * errors
    noise = math.sqrt(mean_variance(variances, frames - 1)[0])
    reach = _LEVEL_SIGMA * max(MAD_TO_SIGMA * float(np.median(distances)), noise)
    variance, _ = mean_variance(variances[distances <= reach], frames - 1, sigma=_VARIANCE_SIGMA)
    if max(variance, reach) > np.finfo(np.float32).max:
        return None
    return _Ordinary(np.float32(level), np.float32(reach), np.float32(variance))


def _moderate_box(mean: Float32, error: Float32, count: NDArray[np.uint16], frames: int, like: _Ordinary) -> None:
    """Moderate the errors of a box in blocks of rows that fit the cache."""
    ny, nx = mean.shape
    rows = max(1, min(ny, _BLOCK_PX // nx))
    buffers = np.empty((3, rows, nx), np.float32)
    share = np.float32((frames - 1) / (_FREEDOM_OF_BOX + frames - 1))
    limit = np.float32(variance_limit(frames - 1, _VARIANCE_SIGMA)) * like.variance
    for first in range(0, ny, rows):
        block = slice(first, first + rows)
        errors, counts = error[block], count[block]
        own, moderated, distance = buffers[:, : len(errors)]
        np.multiply(errors, errors, out=own)
        np.multiply(own, share, out=moderated)
        np.add(moderated, (1 - share) * like.variance, out=moderated)
        clipped = np.flatnonzero(counts != frames)
        if clipped.size:
            kept = counts.reshape(-1)[clipped].astype(np.float32)
            kept[kept == 0] = np.nan
            moderated.reshape(-1)[clipped] = np.float32(_CLIPPED * frames) * like.variance / kept
        np.subtract(mean[block], like.level, out=distance)
        np.abs(distance, out=distance)
        ordinary = own <= limit
        ordinary &= distance <= like.reach
        if not ordinary.all():
            different = np.flatnonzero(~ordinary)
            larger = np.fmax(own.reshape(-1)[different], moderated.reshape(-1)[different])
            moderated.reshape(-1)[different] = larger
        np.sqrt(moderated, out=errors)
