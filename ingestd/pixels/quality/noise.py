"""Read noise from a set of bias frames, two ways that must agree.

Both are noise of the amplifier alone: the step q of the converter adds q / sqrt(12) in quadrature (Sheppard), which is
taken out where the samples are integers, and which a noise model has to add again. Small samples of a converter that
barely moves (noise below 0.4 steps, no structure) cannot be resolved.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.quality.histogram import Estimate, as_estimate, histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_REJECT_SIGMA = 5.0
_MAX_ROUNDS = 50
_BLOCK_PIXELS = 1 << 16


def read_noise_adu(frames: Sequence[NDArray[Any]], *, step_adu: float | None = None) -> Estimate:
    """Return the read noise from pairs of bias frames.

    Parameters
    ----------
    frames : at least 2 arrays of shape (ny, nx), ADU
        In the order of time. For large frames the rows of `sampled_rows`.
    step_adu : float, optional
        Step of the converter, for frames that are no longer integers; integers show it themselves.

    Returns
    -------
    Estimate, ADU

    Raises
    ------
    ValueError
        If there are fewer than two frames or their shapes differ.

    Notes
    -----
    Standard deviation of the difference, clipped at 5 sigma, over sqrt(2), mean over the pairs (1, 2), (2, 3), ...,
    (N, 1): all pairs where N = 3 (Howell, Handbook of CCD Astronomy). A difference removes whatever is fixed in the
    frames, the clip whatever is in one of them only, and a drift of the level is in its mean. The standard
    error is the larger of sigma / 2 sqrt(3 / (N n)) for n pixels (neighbouring pairs share a frame) and the scatter of
    the pairs over their root.
    """
    _check(frames)
    pairs = [(frames[i], frames[(i + 1) % len(frames)]) for i in range(len(frames) if len(frames) > 2 else 1)]  # noqa: PLR2004 - two frames are one pair
    noises = np.array([_pair_noise(first, second, step_adu) for first, second in pairs])
    value, size = float(noises.mean()), frames[0].size
    if len(pairs) == 1:
        return Estimate(value, value / math.sqrt(2.0 * size))
    stated = 0.5 * value * math.sqrt(3.0 / (len(pairs) * size))
    return Estimate(value, max(stated, float(noises.std(ddof=1)) / math.sqrt(len(pairs))))


def dark_noise_adu(frames: Sequence[NDArray[Any]], *, step_adu: float | None = None) -> Estimate:
    """Return the noise of one pixel of one dark, of read-out and dark current, from pairs: see `read_noise_adu`."""
    return read_noise_adu(frames, step_adu=step_adu)


def read_noise_stack_adu(frames: Sequence[NDArray[Any]], *, step_adu: float | None = None) -> Estimate:
    """Return the read noise from the scatter of each pixel through a stack of bias frames.

    Parameters
    ----------
    frames : at least 2 arrays of shape (ny, nx), ADU
        For large frames the rows of `sampled_rows`.
    step_adu : float, optional
        Step of the converter, for frames that are no longer integers; integers show it themselves.

    Returns
    -------
    Estimate, ADU

    Raises
    ------
    ValueError
        If there are fewer than two frames or their shapes differ.

    Notes
    -----
    Root mean square over pixels of the standard deviation with ddof = 1, each frame less its own mean level. Its plain
    mean over pixels, often quoted, is low by c4(N) (0.94 for 5 frames, 0.97 for 10). Pixels whose variance a
    chi-squared variable of N - 1 degrees of freedom does not reach at 5 sigma (Wilson & Hilferty 1931) are left out:
    cosmic rays, and unstable pixels.
    """
    _check(frames)
    levels = [_level(frame) for frame in frames]
    ny, nx = frames[0].shape
    rows = max(1, _BLOCK_PIXELS // nx)
    variances = np.empty((ny, nx))
    for start in range(0, ny, rows):
        stack = [frame[start : start + rows] - level for frame, level in zip(frames, levels, strict=True)]
        variances[start : start + rows] = np.var(stack, axis=0, ddof=1)
    freedom = len(frames) - 1
    variance, number = mean_variance(variances.reshape(-1), freedom)
    step = histogram(frames[0]).converter_step() if step_adu is None else step_adu
    noise = math.sqrt(max(variance - step * step / 12.0, 0.0))
    return Estimate(noise, _noise_error(noise, variance * math.sqrt(2.0 / (freedom * number))))


def read_noise_electrons(read_noise: Estimate, gain: Estimate | float) -> Estimate:
    """Return the read noise in electrons from that in ADU and the gain in e-/ADU."""
    factor = as_estimate(gain)
    return read_noise.scaled(factor.value, factor.error or 0.0)


def mean_variance(variances: NDArray[np.float64], freedom: int) -> tuple[float, int]:
    """Return the mean of sample variances without those that are too large, and how many were kept.

    Parameters
    ----------
    variances : array, shape (n,)
        Each with ``freedom`` degrees of freedom, hence distributed as sigma^2 chi^2 / freedom.

    Notes
    -----
    Those above (1 - 2 / (9 f) + 5 sqrt(2 / (9 f)))^3 times the mean are left out (Wilson & Hilferty), until nothing
    changes; that loses less than 1e-5 of a clean mean. Starts at the mean of all, not at their median: of few, coarsely
    rounded samples most variances are 0.
    """
    third = 2.0 / (9.0 * freedom)
    limit = (1.0 - third + _REJECT_SIGMA * math.sqrt(third)) ** 3
    kept = variances
    mean = float(kept.mean())
    for _ in range(_MAX_ROUNDS):
        found = kept[kept <= limit * mean]
        if found.size == kept.size:
            break
        kept = found
        mean = float(kept.mean())
    return mean, kept.size


def _check(frames: Sequence[NDArray[Any]]) -> None:
    """Check that a scatter can be measured."""
    if len(frames) < 2 or len({frame.shape for frame in frames}) != 1:  # noqa: PLR2004 - scatter needs two frames
        raise ValueError(f"read noise needs two or more frames of one shape, not {[f.shape for f in frames]}")


def _pair_noise(first: NDArray[Any], second: NDArray[Any], step_adu: float | None) -> float:
    """Return the read noise from one pair."""
    is_integer = first.dtype.kind in "iu" and second.dtype.kind in "iu"
    difference = histogram(np.subtract(first, second, dtype=np.int64 if is_integer else np.float64))
    _, sigma, _ = difference.clipped()
    step = difference.converter_step() if step_adu is None else step_adu
    return math.sqrt(max(0.5 * sigma * sigma - step * step / 12.0, 0.0))


def _level(frame: NDArray[Any]) -> float:
    """Return the clipped mean of a frame: with it a drift of the bias level does not count as noise."""
    mean, _, _ = histogram(frame).clipped()
    return mean


def _noise_error(noise: float, variance_error: float) -> float:
    """Return the standard error of a noise from that of its square."""
    return 0.5 * variance_error / noise if noise > 0 else math.sqrt(variance_error)
