"""Read noise each way that people compute it, and by how much the plain ways are off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.inspecting.describing import neighbour_noise
from ingestd.pixels.quality import c4, histogram, read_noise_adu, read_noise_stack_adu

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ingestd.pixels.quality import Estimate


@dataclass(frozen=True, slots=True)
class NoiseWays:
    """Noise of one pixel of one frame, ADU, from frames of equal exposure.

    Attributes
    ----------
    frames : int
    pairs, stack : Estimate
        Clipped deviation of pair differences over sqrt(2), and root mean square over pixels of the deviation through
        the stack: both without the step of the converter.
    step : float
        That step: it adds step / sqrt(12) in quadrature to all ways below.
    plain_mean, plain_median : float
        Mean and median over pixels of the deviation (ddof = 1) through the stack.
    mean_factor, median_factor : float
        What these are low by for Gaussian noise: c4(N), and the root of the median of chi-squared / (N - 1).
    image_deviation : float
        Of the first frame: structure is in it.
    neighbours : float or None
        Of the first frame, from vertical neighbours: gradients and columns are not in it. None for a single row.
    """

    frames: int
    pairs: Estimate
    stack: Estimate
    step: float
    plain_mean: float
    plain_median: float
    mean_factor: float
    median_factor: float
    image_deviation: float
    neighbours: float | None


def noise_ways(frames: Sequence[NDArray[Any]]) -> NoiseWays:
    """Return the noise of a set each way.

    Parameters
    ----------
    frames : at least 2 arrays of shape (ny, nx), ADU

    Raises
    ------
    ValueError
        If there are fewer than two frames, their shapes differ, or no pixel has a value in all of them.
    """
    pairs, stack = read_noise_adu(frames), read_noise_stack_adu(frames)
    with np.errstate(invalid="ignore"):
        deviations = np.std(np.asarray(frames, np.float32), axis=0, ddof=1, dtype=np.float64)
    deviations = deviations[np.isfinite(deviations)]
    freedom = len(frames) - 1
    return NoiseWays(
        frames=len(frames),
        pairs=pairs,
        stack=stack,
        step=histogram(frames[0]).converter_step(),
        plain_mean=float(np.mean(deviations)),
        plain_median=float(np.median(deviations)),
        mean_factor=c4(len(frames)),
        median_factor=math.sqrt((1.0 - 2.0 / (9.0 * freedom)) ** 3),
        image_deviation=float(np.std(frames[0][np.isfinite(frames[0])], dtype=np.float64)),
        neighbours=neighbour_noise(frames[0]),
    )
