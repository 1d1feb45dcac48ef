"""Gain from two flats and two biases as it is done by hand, the right form and the quick one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.quality import variance_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLIP_SIGMA = 3.0
_MAX_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class GainWays:
    """Gain in e-/ADU over one box.

    Attributes
    ----------
    janesick : float
        Right where the box is clean: cosmic rays and hot pixels in it make it too small.
    clipped : float
        The same with both differences clipped at 3 sigma until nothing changes, as is often done against them.
    clipped_factor : float
        What ``clipped`` is to be multiplied by, 0.970: the variance that such a cut leaves of a Gaussian.
    quick : float
        Neglects pedestal and read noise and is off by the factor ``quick / janesick``.
    levels_adu : tuple of 2 floats
        Of the flats above the biases.
    pedestal_adu : float
        Of the biases.
    """

    janesick: float
    clipped: float
    clipped_factor: float
    quick: float
    levels_adu: tuple[float, float]
    pedestal_adu: float


def gain_ways(flats: tuple[NDArray[Any], NDArray[Any]], biases: tuple[NDArray[Any], NDArray[Any]]) -> GainWays:
    """Return the gain from two flats and two biases over the same clean box.

    Parameters
    ----------
    flats, biases : two arrays each, shape (ny, nx), ADU
        Raw: the flats hold their pedestal. A box in which the light is even.

    Raises
    ------
    ValueError
        If fewer than two pixels have a value in all four, there is no light above the biases, or no photon noise above
        the read noise.

    Notes
    -----
    ``((F1 + F2) - (B1 + B2)) / (var(F1 - F2) - var(B1 - B2))`` with means and variances over the box (Janesick, Photon
    Transfer), the second flat scaled to the level of the first: with s = m1 / m2 above the pedestal and
    d = (F1 - B) - s (F2 - B), ``G = m1 (1 + s) / (var(d) - var(B1 - B2) (1 + s^2) / 2)``. The quick form is
    ``(F1 + F2) / var(F1 - F2)``: too large by the share of the pedestal, too small by that of the read noise.
    """
    good = np.logical_and.reduce([np.isfinite(it) for it in (*flats, *biases)])
    if np.count_nonzero(good) < 2:  # noqa: PLR2004 - a variance needs two
        raise ValueError("fewer than two pixels with a value in both flats and both biases")
    flats, biases = (flats[0][good], flats[1][good]), (biases[0][good], biases[1][good])
    pedestal = 0.5 * (_mean(biases[0]) + _mean(biases[1]))
    first, second = (_mean(flat) - pedestal for flat in flats)
    if not (first > 0 and second > 0):
        raise ValueError(f"no light: the flats are {first:.1f} and {second:.1f} ADU above the biases")
    scale = first / second
    one, other = (np.subtract(flat, pedestal, dtype=np.float64) for flat in flats)
    of_flats, of_biases = one - scale * other, np.subtract(*biases, dtype=np.float64)
    photon = _photon_variance(of_flats.var(ddof=1), of_biases.var(ddof=1), scale)
    clipped = _photon_variance(_clipped_variance(of_flats), _clipped_variance(of_biases), scale)
    plain = float((one - other).var(ddof=1))
    if not (photon > 0 and clipped > 0 and plain > 0):
        raise ValueError("no photon noise above the read noise: saturated, or two copies of one frame")
    signal = first * (1.0 + scale)
    quick = (first + second + 2.0 * pedestal) / plain
    return GainWays(signal / photon, signal / clipped, _share_kept(), quick, (first, second), pedestal)


def _photon_variance(of_flats: float, of_biases: float, scale: float) -> float:
    """Return the variance of the photons in F1 - s F2 from it and that of a difference of two biases."""
    return float(of_flats) - 0.5 * (1.0 + scale**2) * float(of_biases)


def _clipped_variance(values: NDArray[np.float64]) -> float:
    """Return the variance of the values within 3 standard deviations of their median, iterated."""
    kept = values.ravel()
    for _ in range(_MAX_ROUNDS):
        inside = kept[np.abs(kept - np.median(kept)) <= _CLIP_SIGMA * kept.std()]
        if inside.size == kept.size:
            break
        kept = inside
    return float(kept.var(ddof=1))


def _share_kept() -> float:
    """Return the variance that the iterated cut leaves of a standard Gaussian: v = variance within 3 sqrt(v)."""
    share = 1.0
    for _ in range(_MAX_ROUNDS):
        share = variance_within(_CLIP_SIGMA * share**0.5)
    return share


def _mean(box: NDArray[Any]) -> float:
    """Return the mean of a box."""
    return float(box.mean(dtype=np.float64))
