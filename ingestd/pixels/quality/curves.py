"""Curves through what many nights measured: photon transfer, linearity, dark current against temperature.

Weighted least squares. Where the points scatter by more than their errors say, the errors of the result grow by the
root of chi^2 per degree of freedom; they never shrink.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingestd.pixels.quality.histogram import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

_FEWEST_TURNING = 3
_TURN_SIGMA, _TURN_RATIO = 5.0, 0.9
_READ_NOISE_SPAN, _INTERCEPT_SIGMA = 2.0, 5.0
_FEWEST_EXPOSURES, _EXPOSURE_SPAN = 4, 2.0
_FEWEST_TEMPERATURES, _TEMPERATURE_SPAN_C = 3, 3.0
_ROUNDS = 30
_SIGNIFICANT = 3.0


@dataclass(frozen=True, slots=True)
class TransferCurve:
    """What a photon transfer curve says; None where it says nothing.

    ``gain`` is in e-/ADU, ``read_noise`` and ``full_well`` in ADU; ``highest_adu`` is the brightest point on the
    straight part and ``points`` the number of points on it.
    """

    gain: Estimate
    read_noise: Estimate | None
    full_well: Estimate | None
    highest_adu: float
    points: int


@dataclass(frozen=True, slots=True)
class DarkCurve:
    """Dark rate at a reference temperature, in the unit of the rates, and the degrees in which it doubles."""

    rate: Estimate
    doubling_c: Estimate
    points: int


def photon_transfer(
    level_adu: Float64, variance_adu2: Float64, error_adu2: Float64, read_noise: Estimate | None = None
) -> TransferCurve:
    """Fit the photon transfer curve V = R^2 + M / G (Janesick, Photon Transfer).

    Parameters
    ----------
    level_adu, variance_adu2, error_adu2 : arrays, shape (points,)
        Level M above bias and variance V of one pixel, without fixed pattern and converter step, with its error.
    read_noise : Estimate, optional
        R from biases, ADU: the point (0, R^2) of the curve.

    Raises
    ------
    ValueError
        If there is no point, or too few levels for a line, or the variance does not rise with the level.

    Notes
    -----
    G is the inverse of the slope, with the error sigma(slope) / slope^2. R is the root of the intercept of the points
    alone; it is told only if their levels span a factor of 2 and R^2 is 5 errors of the intercept: the R^2 of the
    biases where it is known, for to tell the intercepts that noise made large, and no others, would be biased. The full
    well is where the variance turns down: the first level from which on every point lies 5 errors and 10 % below the
    line of the points before it, halfway to the point before. 1 / slope is high by (error / gain)^2 of itself.
    """
    order = np.argsort(level_adu, kind="stable")
    level, variance, error = level_adu[order], variance_adu2[order], error_adu2[order]
    anchored = read_noise is not None
    if read_noise is not None:
        zero = read_noise.value**2
        level, variance = np.concatenate([[0.0], level]), np.concatenate([[zero], variance])
        error = np.concatenate([[max(2.0 * read_noise.value * (read_noise.error or 0.0), 1e-6 * zero + 1e-9)], error])
    end = _turn(level, variance, error)
    first = int(anchored)
    number = end - first
    if number < 1 or np.ptp(level[:end]) <= 0:
        raise ValueError("too few levels for a photon transfer curve")
    terms, covariance = fit_line(level[:end], variance[:end], error[:end])
    if not terms[1] > _SIGNIFICANT * math.sqrt(covariance[1, 1]):
        raise ValueError("the variance of the flats does not rise with their level")
    gain = Estimate(1.0 / float(terms[1]), math.sqrt(covariance[1, 1]) / float(terms[1]) ** 2)
    full_well = None
    if end < level.size:
        full_well = Estimate(0.5 * float(level[end] + level[end - 1]), 0.5 * float(level[end] - level[end - 1]))
    own = _intercept(level[first:end], variance[first:end], error[first:end], read_noise)
    return TransferCurve(gain, own, full_well, float(level[end - 1]), number)


def nonlinearity(exposure_s: Float64, level_adu: Float64, error_adu: Float64) -> Estimate:
    """Return how far the brightest level is from proportional to the exposure, relative; below 0 it is too low.

    Parameters
    ----------
    exposure_s, level_adu, error_adu : arrays, shape (points,)
        Flats of one lamp; the levels may contain the bias.

    Raises
    ------
    ValueError
        If there are fewer than 4 points, the exposures span less than a factor of 2, or the level does not rise.

    Notes
    -----
    c2 t / c1 at the longest exposure t of the fit c0 + c1 t + c2 t^2: the deviation from the line through faint levels
    (Janesick, Photon Transfer). A shutter that opens late is in c0.
    """
    number = np.unique(exposure_s).size
    if number < _FEWEST_EXPOSURES:
        raise ValueError(f"exposures of the flats of a night and filter: {number}; needed are {_FEWEST_EXPOSURES}")
    longest = float(exposure_s.max())
    if not longest >= _EXPOSURE_SPAN * float(exposure_s.min()) > 0:
        raise ValueError("the exposures of the flats of a night span less than a factor of 2")
    share = exposure_s / longest
    terms, covariance = fit(np.stack([np.ones_like(share), share, share * share], axis=1), level_adu, error_adu)
    if not terms[1] > 0:
        raise ValueError("the level of the flats does not rise with the exposure")
    value = float(terms[2] / terms[1])
    gradient = np.array([0.0, -value, 1.0]) / terms[1]
    return Estimate(value, math.sqrt(float(gradient @ covariance @ gradient)))


def dark_against_temperature(temp_c: Float64, rate: Float64, error: Float64, reference_c: float) -> DarkCurve:
    """Fit the dark rate r0 2^((T - T0) / D) (Howell, Handbook of CCD Astronomy).

    Parameters
    ----------
    temp_c, rate, error : arrays, shape (points,)
        Temperature of the sensor, dark rate in any unit, and its error.
    reference_c : float
        T0.

    Raises
    ------
    ValueError
        If there are fewer than 3 temperatures or they span less than 3 C, or the rate does not rise with them.

    Notes
    -----
    With the slope b of ln r, D = ln 2 / b and sigma(D) = D sigma(b) / b; the rates themselves are fitted, not their
    logarithms, so one that noise made negative counts like any other. D is high by (sigma(b) / b)^2 of itself.
    """
    if np.unique(temp_c).size < _FEWEST_TEMPERATURES or np.ptp(temp_c) < _TEMPERATURE_SPAN_C:
        span_c = float(np.ptp(temp_c)) if temp_c.size else 0.0
        raise ValueError(
            f"temperatures of darks: {np.unique(temp_c).size}, over {span_c:.1f} C; needed are {_FEWEST_TEMPERATURES}, "
            f"over {_TEMPERATURE_SPAN_C:g} C"
        )
    away = temp_c - reference_c
    positive = rate > 0
    if np.count_nonzero(positive) < 2:  # noqa: PLR2004 - a line needs two
        raise ValueError("no dark current above the errors")
    start = error[positive] / rate[positive]
    terms, covariance = fit_line(away[positive], np.log(rate[positive]), start)
    for _ in range(_ROUNDS):
        expected = np.exp(np.clip(terms[0] + terms[1] * away, -60.0, 60.0))
        step, covariance = fit_line(away, rate - expected, error, expected)
        terms = terms + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-10:  # noqa: PLR2004 - nothing changes
            break
    slope, slope_error = float(terms[1]), math.sqrt(covariance[1, 1])
    if not slope > _SIGNIFICANT * slope_error:
        raise ValueError("the dark rate does not rise with the temperature beyond its errors")
    at_reference = math.exp(float(terms[0]))
    doubling = math.log(2.0) / slope
    return DarkCurve(
        Estimate(at_reference, at_reference * math.sqrt(covariance[0, 0])),
        Estimate(doubling, doubling * slope_error / slope),
        temp_c.size,
    )


def fit_line(x: Float64, y: Float64, error: Float64, weight: Float64 | None = None) -> tuple[Float64, Float64]:
    """Return intercept and slope of a line and their covariance; both terms times ``weight`` if it is given."""
    scale = np.ones_like(x) if weight is None else weight
    return fit(np.stack([scale, scale * x], axis=1), y, error)


def fit(design: Float64, y: Float64, error: Float64) -> tuple[Float64, Float64]:
    """Return the terms that fit y best and their covariance, shape (terms,) and (terms, terms).

    Parameters
    ----------
    design : array, shape (points, terms)
    y, error : arrays, shape (points,)
    """
    size = np.abs(design).max(axis=0)
    weighted = design / size / error[:, np.newaxis]
    inverse: Float64 = np.linalg.pinv(weighted.T @ weighted)
    terms: Float64 = inverse @ (weighted.T @ (y / error))
    freedom = y.size - design.shape[1]
    chi_squared = float((((y / error) - weighted @ terms) ** 2).sum())
    growth = max(chi_squared / freedom, 1.0) if freedom > 0 else 1.0
    covariance: Float64 = inverse * growth / np.outer(size, size)
    return terms / size, covariance


def _turn(level: Float64, variance: Float64, error: Float64) -> int:
    """Return how many points, in the order of level, are on the straight part of a photon transfer curve."""
    for end in range(_FEWEST_TURNING, level.size):
        if np.ptp(level[:end]) <= 0:
            continue
        terms, covariance = fit_line(level[:end], variance[:end], error[:end])
        rest = np.stack([np.ones_like(level[end:]), level[end:]], axis=1)
        expected = rest @ terms
        reach = _TURN_SIGMA * np.sqrt(error[end:] ** 2 + ((rest @ covariance) * rest).sum(axis=1))
        if (variance[end:] < np.minimum(expected - reach, _TURN_RATIO * expected)).all():
            return end
    return level.size


def _intercept(level: Float64, variance: Float64, error: Float64, known: Estimate | None) -> Estimate | None:
    """Return the read noise that the points alone say, or None; whether they can tell it, what is known decides."""
    if level.size < _FEWEST_TURNING or not level[-1] >= _READ_NOISE_SPAN * level[0]:
        return None
    terms, covariance = fit_line(level, variance, error)
    expected = float(terms[0]) if known is None else known.value**2
    if not (terms[0] > 0 and expected > _INTERCEPT_SIGMA * math.sqrt(covariance[0, 0])):
        return None
    noise = math.sqrt(float(terms[0]))
    return Estimate(noise, 0.5 * math.sqrt(covariance[0, 0]) / noise)
