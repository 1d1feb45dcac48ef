"""Figures of a master dark against the master bias that is valid for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.quality.histogram import Estimate, Histogram, as_estimate, histogram

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class DarkSignal:
    """Dark minus bias, shape (ny, nx), ADU, and the histogram of it: for several figures of one pass."""

    image: NDArray[np.float32]
    counted: Histogram


Dark = NDArray[Any] | DarkSignal
"""A dark that holds its bias, shape (ny, nx), ADU; or what is left of it without, and then no bias counts."""


def dark_signal(dark: Dark, bias: NDArray[Any] | float) -> DarkSignal:
    """Return dark minus bias with its histogram."""
    if isinstance(dark, DarkSignal):
        return dark
    with np.errstate(invalid="ignore", over="ignore"):
        image: NDArray[np.float32] = np.subtract(dark, bias, dtype=np.float32)
    return DarkSignal(image, histogram(image))


def dark_rate_adu_per_second(dark: Dark, bias: NDArray[Any] | float, exposure_s: float) -> Estimate:
    """Return the median dark rate.

    Parameters
    ----------
    dark : array, shape (ny, nx), ADU
        Master dark (or one dark) that still holds its bias.
    bias : array, shape (ny, nx), or float; ADU
        Master bias; 0 for a dark that was bias-subtracted.
    exposure_s : float, second
        Exposure of the dark. The exposure of the bias counts as 0.

    Returns
    -------
    Estimate, ADU/s

    Raises
    ------
    ValueError
        If the exposure is not finite and positive.

    Notes
    -----
    Median of (dark - bias) / exposure (CCD Data Reduction Guide). Hot pixels hardly move it: on one Apogee camera the
    median is 0.358, the mean 0.511, a mean clipped at 3 sigma 0.409 ADU/s. Known bias: a share h of hot pixels lifts it
    by h sqrt(pi / 2) s / exposure, s being the scatter of dark - bias over the other pixels: 1 % by s / 80.
    """
    return dark_signal(dark, bias).counted.median().scaled(1.0 / _exposure(exposure_s))


def dark_rate_mean_adu_per_second(dark: Dark, bias: NDArray[Any] | float, exposure_s: float) -> Estimate:
    """Return the mean dark rate over all finite pixels, hot ones included; parameters as `dark_rate_adu_per_second`.

    The error is the standard deviation over pixels over the root of their number, dominated by the hot pixels.
    """
    image = dark_signal(dark, bias).image
    finite = image[np.isfinite(image)]
    if finite.size == 0:
        raise ValueError("no finite pixel to measure")
    error = float(finite.std(dtype=np.float64)) / math.sqrt(finite.size)
    return Estimate(float(finite.mean(dtype=np.float64)), error).scaled(1.0 / _exposure(exposure_s))


def dark_rate_electrons_per_second(dark_rate: Estimate, gain: Estimate | float) -> Estimate:
    """Return the dark rate in electrons per second from that in ADU/s and the gain in e-/ADU."""
    factor = as_estimate(gain)
    return dark_rate.scaled(factor.value, factor.error or 0.0)


def dark_rate_p95_adu_per_second(dark: Dark, bias: NDArray[Any] | float, exposure_s: float) -> Estimate:
    """Return the dark rate that 95 % of the pixels do not exceed; parameters as `dark_rate_adu_per_second`.

    Notes
    -----
    The noise of the master widens the distribution: of pixels of one rate, the quantile lies 1.645 standard errors of
    the master above it. The error is half the distance of the quantiles sqrt(q (1 - q) / n) to either side.
    """
    return _rate_quantile(dark, bias, exposure_s, 0.95)


def dark_rate_p99_adu_per_second(dark: Dark, bias: NDArray[Any] | float, exposure_s: float) -> Estimate:
    """Return the dark rate that 99 % of the pixels do not exceed: see `dark_rate_p95_adu_per_second` (2.326 errors)."""
    return _rate_quantile(dark, bias, exposure_s, 0.99)


def hot_pixels(dark: Dark, bias: NDArray[Any] | float, hot_sigma: float, least_adu: float = 0.0) -> Estimate:
    """Return the number of hot pixels: see `hot_pixel_map` (a count, no error)."""
    return Estimate(float(np.count_nonzero(hot_pixel_map(dark, bias, hot_sigma, least_adu))), None)


def warm_pixels(dark: Dark, bias: NDArray[Any] | float, hot_sigma: float, least_adu: float = 0.0) -> Estimate:
    """Return the number of pixels past half the limit of a hot pixel, but not past it (a count, no error)."""
    signal = dark_signal(dark, bias)
    warm, hot = (
        np.count_nonzero(hot_pixel_map(signal, 0.0, share * hot_sigma, share * least_adu)) for share in (0.5, 1.0)
    )
    return Estimate(float(warm - hot), None)


def hot_pixel_map(
    dark: Dark, bias: NDArray[Any] | float, hot_sigma: float, least_adu: float = 0.0
) -> NDArray[np.bool_]:
    """Return where the dark signal exceeds its median by more than ``hot_sigma`` times 1.4826 MAD.

    Parameters
    ----------
    dark : array, shape (ny, nx), ADU
        Master dark that still holds its bias.
    bias : array, shape (ny, nx), or float; ADU
        Master bias.
    hot_sigma : float
        The setting ``masters.hot_sigma``.
    least_adu : float, ADU
        Nothing that exceeds the median by less is hot: ``masters.hot_rate_e`` times the exposure over the gain.

    Returns
    -------
    array of bool, shape (ny, nx)
        A pixel that is not finite is not hot.

    Raises
    ------
    ValueError
        If no pixel is finite.
    """
    signal = dark_signal(dark, bias)
    counted = signal.counted
    limit = counted.quantile(0.5) + max(hot_sigma * counted.mad_std(), least_adu)
    hot: NDArray[np.bool_] = (signal.image > min(limit, _LARGEST)) & np.isfinite(signal.image)
    return hot


def _rate_quantile(dark: Dark, bias: NDArray[Any] | float, exposure_s: float, fraction: float) -> Estimate:
    """Return a quantile of the dark rate over the finite pixels."""
    signal = dark_signal(dark, bias)
    counted = signal.counted
    reach = math.sqrt(fraction * (1.0 - fraction) / max(counted.total, 1))
    fractions = [min(max(each, 0.0), 1.0) for each in (fraction - reach, fraction, fraction + reach)]
    low, value, high = (counted.quantile(each) for each in fractions)
    if not counted.is_exact and high > counted.first + counted.width * (counted.counts.size - 2):
        # So many pixels are hot that the last bin of the histogram, which holds all above it, is reached.
        values = signal.image[np.isfinite(signal.image)]
        ranks = [round(each * (values.size - 1)) for each in fractions]
        low, value, high = np.partition(values, ranks)[ranks].astype(np.float64).tolist()
    return Estimate(value, 0.5 * (high - low)).scaled(1.0 / _exposure(exposure_s))


def _exposure(exposure_s: float) -> float:
    """Return a checked exposure."""
    if not (math.isfinite(exposure_s) and exposure_s > 0):
        raise ValueError(f"exposure_s = {exposure_s}: must be finite and positive")
    return exposure_s
