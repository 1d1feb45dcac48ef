"""Gain from two flats and two biases as it is done by hand, the right form and the quick one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class GainWays:
    """Gain in e-/ADU over one box.

    ``janesick`` is right; ``quick`` neglects pedestal and read noise and is off by the factor ``quick / janesick``.
    ``levels_adu`` are those of the flats above the biases, ``pedestal_adu`` that of the biases.
    """

    janesick: float
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
        If there is no light above the biases, or no photon noise above the read noise.

    Notes
    -----
    ``((F1 + F2) - (B1 + B2)) / (var(F1 - F2) - var(B1 - B2))`` with means and variances over the box (Janesick, Photon
    Transfer), the second flat scaled to the level of the first: with s = m1 / m2 above the pedestal and
    d = (F1 - B) - s (F2 - B), ``G = m1 (1 + s) / (var(d) - var(B1 - B2) (1 + s^2) / 2)``. The quick form is
    ``(F1 + F2) / var(F1 - F2)``: too large by the share of the pedestal, too small by that of the read noise.
    """
    pedestal = 0.5 * (_mean(biases[0]) + _mean(biases[1]))
    first, second = (_mean(flat) - pedestal for flat in flats)
    if not (first > 0 and second > 0):
        raise ValueError(f"no light: the flats are {first:.1f} and {second:.1f} ADU above the biases")
    scale = first / second
    one, other = (np.subtract(flat, pedestal, dtype=np.float64) for flat in flats)
    of_biases = float(np.subtract(*biases, dtype=np.float64).var(ddof=1))
    photon = float((one - scale * other).var(ddof=1)) - 0.5 * (1.0 + scale**2) * of_biases
    plain = float((one - other).var(ddof=1))
    if not (photon > 0 and plain > 0):
        raise ValueError("no photon noise above the read noise: saturated, or two copies of one frame")
    quick = (first + second + 2.0 * pedestal) / plain
    return GainWays(first * (1.0 + scale) / photon, quick, (first, second), pedestal)


def _mean(box: NDArray[Any]) -> float:
    """Return the mean of a box."""
    return float(box.mean(dtype=np.float64))
