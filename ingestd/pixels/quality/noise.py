"""Read noise: from pairs of bias frames, from a stack of them, and from the overscan of one frame, which must agree.

They are noise of the amplifier alone: the step q of the converter adds q / sqrt(12) in quadrature (Sheppard), which is
taken out where the samples are integers, and which a noise model has to add again. Small samples of a converter that
barely moves (noise below 0.4 steps, no structure) cannot be resolved. The plain mean and median over the pixels of a
stack, as they are often quoted, stand beside them under their own names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.quality.histogram import Estimate, as_estimate, histogram

_REJECT_SIGMA = 5.0
_COARSE_STEPS = 4.5
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
        If there are fewer than two frames, their shapes differ, or fewer than two pixels have a value in a pair.

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
    value, size = float(noises.mean()), max(int(np.count_nonzero(np.isfinite(frames[0]))), 1)
    if len(pairs) == 1:
        return Estimate(value, value / math.sqrt(2.0 * size))
    stated = 0.5 * value * math.sqrt(3.0 / (len(pairs) * size))
    return Estimate(value, max(stated, float(noises.std(ddof=1)) / math.sqrt(len(pairs))))


def dark_noise_adu(frames: Sequence[NDArray[Any]], *, step_adu: float | None = None) -> Estimate:
    """Return the noise of one pixel of one dark, of read-out and dark current, from pairs: see `read_noise_adu`."""
    return read_noise_adu(frames, step_adu=step_adu)


@dataclass(frozen=True, slots=True, eq=False)
class StackScatter:
    """Variance (ddof = 1) of each pixel through a stack, each frame less its own level; shape (ny, nx), ADU^2.

    It is not finite where a pixel is not in one of the frames; no figure counts that pixel. ``freedom`` is the number
    of frames less one; ``step_adu`` the step of the converter.
    """

    variances: NDArray[np.float64]
    freedom: int
    step_adu: float


Stack = Sequence[NDArray[Any]] | StackScatter
"""Two or more frames of shape (ny, nx), ADU, or the scatter that was found in them."""


def stack_scatter(frames: Sequence[NDArray[Any]], *, step_adu: float | None = None) -> StackScatter:
    """Return the scatter of each pixel through a stack of frames, for several figures of one pass.

    Parameters
    ----------
    frames : at least 2 arrays of shape (ny, nx), ADU
        For large frames the rows of `sampled_rows`.
    step_adu : float, optional
        Step of the converter, for frames that are no longer integers; integers show it themselves.

    Raises
    ------
    ValueError
        If there are fewer than two frames or pixels, the shapes differ, or a frame has no finite pixel.
    """
    _check(frames)
    _check_number(frames[0].size)
    levels = [_level(frame) for frame in frames]
    ny, nx = frames[0].shape
    rows = max(1, _BLOCK_PIXELS // nx)
    variances = np.empty((ny, nx))
    for start in range(0, ny, rows):
        stack = [frame[start : start + rows] - level for frame, level in zip(frames, levels, strict=True)]
        with np.errstate(invalid="ignore", over="ignore"):
            variances[start : start + rows] = np.var(stack, axis=0, ddof=1, dtype=np.float64)
    step = histogram(frames[0]).converter_step() if step_adu is None else step_adu
    return StackScatter(variances, len(frames) - 1, step)


def read_noise_stack_adu(stack: Stack, *, step_adu: float | None = None) -> Estimate:
    """Return the read noise from the scatter of each pixel through a stack of bias frames.

    Parameters
    ----------
    stack : at least 2 arrays of shape (ny, nx), ADU, or StackScatter
    step_adu : float, optional
        As in `stack_scatter`.

    Returns
    -------
    Estimate, ADU

    Notes
    -----
    Root mean square over pixels of the standard deviation with ddof = 1, each frame less its own mean level: without
    bias. Pixels whose variance a chi-squared variable of N - 1 degrees of freedom does not reach at 5 sigma (Wilson &
    Hilferty 1931) are left out: cosmic rays, and unstable pixels.
    """
    scatter = _scatter(stack, step_adu)
    variance, number = mean_variance(scatter.variances.reshape(-1), scatter.freedom)
    noise = math.sqrt(max(variance - scatter.step_adu**2 / 12.0, 0.0))
    return Estimate(noise, _noise_error(noise, variance * math.sqrt(2.0 / (scatter.freedom * number))))


def read_noise_stack_mean_adu(stack: Stack, *, step_adu: float | None = None) -> Estimate:
    """Return the plain mean over pixels of the standard deviation through a stack; parameters as above.

    Notes
    -----
    Nothing is left out and the step of the converter is in it. For Gaussian noise it is low by `c4` (0.940 for 5
    frames, 0.973 for 10); cosmic rays and unstable pixels lift it.
    """
    deviations = np.sqrt(_finite(_scatter(stack, step_adu).variances))
    return Estimate(float(deviations.mean()), float(deviations.std()) / math.sqrt(deviations.size))


def read_noise_stack_median_adu(stack: Stack, *, step_adu: float | None = None) -> Estimate:
    """Return the plain median over pixels of the standard deviation through a stack; parameters as above.

    Notes
    -----
    Nothing is left out and the step of the converter is in it. For Gaussian noise it is low by the root of the median
    of chi^2 / f with f = N - 1 degrees of freedom, about (1 - 2 / (9 f))^(3/2): 0.918 for 5 frames, 0.963 for 10.
    """
    return histogram(np.sqrt(_scatter(stack, step_adu).variances)).median()


def read_noise_overscan_adu(overscan: NDArray[Any], step_adu: float) -> Estimate:
    """Return the read noise from the overscan of one frame.

    Parameters
    ----------
    overscan : array, shape (rows, columns), ADU
        Without the columns that carry residual charge.
    step_adu : float
        Step of the converter.

    Returns
    -------
    Estimate, ADU

    Raises
    ------
    ValueError
        If there are fewer than two squares of 2 x 2 pixels with values.

    Notes
    -----
    Half the standard deviation, clipped at 5 sigma, of a - b - c + d over squares of 2 x 2 pixels, without the step:
    levels that drift along the rows and columns of unlike level drop out. One frame tells it, also a science frame, but
    noise that neighbours share (pick-up) is not in it; a difference from `read_noise_adu` is just that.
    """
    ny, nx = overscan.shape[0] // 2 * 2, overscan.shape[1] // 2 * 2
    if not ny or not nx:
        raise ValueError(f"an overscan of {overscan.shape[0]} x {overscan.shape[1]} pixels has no squares of 2 x 2")
    with np.errstate(invalid="ignore"):
        rows = overscan[0:ny:2, :nx].astype(np.float64) - overscan[1:ny:2, :nx]
        squares = rows[:, 0::2] - rows[:, 1::2]
    counted = histogram(squares)
    _check_number(counted.total)
    _, sigma, number = counted.clipped()
    variance = 0.25 * sigma * sigma
    noise = math.sqrt(max(variance - step_adu**2 / 12.0, 0.0))
    return Estimate(noise, _noise_error(noise, variance * math.sqrt(2.0 / number)))


def c4(number: int) -> float:
    """Return by what the standard deviation (ddof = 1) of so many Gaussian values is low: sqrt(2/f) G(n/2) / G(f/2)."""
    freedom = number - 1
    return math.sqrt(2.0 / freedom) * math.exp(math.lgamma(0.5 * number) - math.lgamma(0.5 * freedom))


def coarse_deviation(first: NDArray[Any], second: NDArray[Any], frames: int) -> float:
    """Return the noise of one pixel of frames whose converter hardly resolves it, else 0; ADU, with its step.

    Parameters
    ----------
    first, second : arrays of one shape (ny, nx), integers as they were read
        Two frames of a set. For large frames the rows of `sampled_rows`.
    frames : int
        In the whole set.

    Notes
    -----
    Hardly is below one step of the converter, of fewer than 20 frames 4.5 / sqrt(frames) steps: 1.4 of ten, 2 of five.
    Most samples of a pixel are then often equal, more than half in a tenth of all pixels: their median absolute
    deviation is 0, and clipping by it alone leaves a median of whole steps for a mean. At 0.4 steps that doubles the
    error of a master of ten frames.
    """
    step = histogram(first).converter_step()
    if not step or first.size < 2:  # noqa: PLR2004 - a single pixel tells no noise
        return 0.0
    noise = math.hypot(_pair_noise(first, second, step), step / math.sqrt(12.0))
    return noise if noise < step * max(1.0, _COARSE_STEPS / math.sqrt(frames)) else 0.0


def read_noise_electrons(read_noise: Estimate, gain: Estimate | float) -> Estimate:
    """Return the read noise in electrons from that in ADU and the gain in e-/ADU."""
    factor = as_estimate(gain)
    return read_noise.scaled(factor.value, factor.error or 0.0)


def variance_limit(freedom: int, sigma: float) -> float:
    """Return what a sample variance over the true one exceeds as rarely as a normal variable so many sigma.

    (1 - 2 / (9 f) + sigma sqrt(2 / (9 f)))^3 for f degrees of freedom (Wilson & Hilferty 1931).
    """
    ninth = 2.0 / (9.0 * freedom)
    return (1.0 - ninth + sigma * math.sqrt(ninth)) ** 3


def mean_variance(variances: NDArray[np.float64], freedom: int, *, sigma: float = _REJECT_SIGMA) -> tuple[float, int]:
    """Return the mean of sample variances without those that are too large, and how many were kept.

    Parameters
    ----------
    variances : array, shape (n,)
        Each with ``freedom`` degrees of freedom, hence distributed as sigma^2 chi^2 / freedom. Those that are not
        finite are left out.
    sigma : float, optional
        How rare it is to be too large.

    Raises
    ------
    ValueError
        If none is finite.

    Notes
    -----
    Those above `variance_limit` times the mean are left out, until nothing changes; at 5 sigma that loses less than
    1e-5 of a clean mean. Starts at the mean of all, not at their median: of few, coarsely rounded samples most
    variances are 0.
    """
    limit = variance_limit(freedom, sigma)
    kept = _finite(variances)
    mean = float(kept.mean())
    for _ in range(_MAX_ROUNDS):
        found = kept[kept <= limit * mean]
        if found.size == kept.size:
            break
        kept = found
        mean = float(kept.mean())
    return mean, kept.size


def _finite(variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variances that are known, shape (n,)."""
    finite = variances[np.isfinite(variances)]
    if not finite.size:
        raise ValueError("no finite pixel to measure: none has a value in every frame")
    return finite


def _scatter(stack: Stack, step_adu: float | None) -> StackScatter:
    """Return the scatter of a stack, measured unless it was."""
    return stack if isinstance(stack, StackScatter) else stack_scatter(stack, step_adu=step_adu)


def _check(frames: Sequence[NDArray[Any]]) -> None:
    """Check that a scatter can be measured."""
    if len(frames) < 2 or len({frame.shape for frame in frames}) != 1:  # noqa: PLR2004 - scatter needs two frames
        raise ValueError(f"read noise needs two or more frames of one shape, not {[f.shape for f in frames]}")


def _check_number(number: int) -> None:
    """Check that there are enough values for a scatter."""
    if number < 2:  # noqa: PLR2004 - scatter needs two
        raise ValueError("no finite pixel to measure" if not number else "a single pixel tells no noise")


def _pair_noise(first: NDArray[Any], second: NDArray[Any], step_adu: float | None) -> float:
    """Return the read noise from one pair."""
    is_integer = first.dtype.kind in "iu" and second.dtype.kind in "iu"
    with np.errstate(invalid="ignore"):
        difference = histogram(np.subtract(first, second, dtype=np.int64 if is_integer else np.float64))
    _check_number(difference.total)
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
