"""The gain of a camera from pairs of flats, and their points of the photon transfer curve: many small boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.quality.histogram import Estimate, as_estimate, histogram, mean_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BOX = 16
_REJECT_SIGMA = 5.0
_MIN_LEVEL = 0.1
_MIN_BOXES = 8
_AGREEING = 0.5
_SIGNIFICANT = 3.0
_LEAST_NOISE = 0.5
_NO_PHOTONS = "the flats have no photon noise above the read noise"


def gain_electrons_per_adu(
    flats: Sequence[NDArray[Any]],
    bias: NDArray[Any] | float,
    read_noise: Estimate | float,
    *,
    saturation_adu: float = math.inf,
    step_adu: float | None = None,
) -> Estimate:
    """Return the gain from flats of one filter, mean over the pairs (1, 2), (3, 4), ....

    Parameters
    ----------
    flats : at least 2 arrays of shape (ny, nx), ADU
        In the order of time, so that the two of a pair are alike. For large frames the rows of `sampled_rows`.
    bias : array, shape (ny, nx), or float; ADU
        Master bias or bias level in the same rows; 0 for flats that were bias-subtracted.
    read_noise : Estimate or float, ADU
        Of one frame, without the step of the converter (`read_noise_adu`).
    saturation_adu : float
        Boxes with a sample at or above it, on the scale of ``flats``, are left out.
    step_adu : float, optional
        Step of the converter, for flats that are no longer integers; integers show it themselves.

    Returns
    -------
    Estimate, e-/ADU
        The error is the larger of what the boxes show (with that of the read noise) and the scatter of the pairs.

    Raises
    ------
    ValueError
        If there are fewer than two flats, fewer than 8 usable boxes (too small, dark or saturated), no photon noise,
        or if less than half of the boxes agree: the flats differ in structure, as two slit images do.

    Notes
    -----
    With levels m1, m2 above bias, G electrons per ADU and read noise R, the difference d = F1 - s F2, s = m1 / m2, has
    the variance m1 / G + R^2 + s^2 (m2 / G + R^2), hence with s m2 = m1

        G = m1 (1 + s) / (var(d) - R^2 (1 + s^2)),

    the formula of Janesick (Photon Transfer) for s = 1. It holds for flats of different exposure, and each pixel's
    sensitivity drops out of d. Boxes of 16 x 16 pixels each have their own levels and s, so gradients, dust and
    vignetting do not count as noise; 1/G is the ratio of the sums over boxes, which is unbiased. Pixels 5 sigma off
    (cosmic rays, stars), and boxes whose variance is 5 sigma off or whose level is below a tenth of the median, are
    left out. R^2 includes q^2 / 12 for the step q of the converter.
    """
    return gain_of_pairs(flat_pairs(flats, bias, read_noise, saturation_adu=saturation_adu, step_adu=step_adu))


def gain_of_pairs(pairs: Sequence[FlatPair]) -> Estimate:
    """Return the gain from pairs of flats: see `gain_electrons_per_adu`; pairs without photon noise are left out.

    Raises
    ------
    ValueError
        If none has photon noise.
    """
    telling = [pair for pair in pairs if pair.has_photon_noise]
    if not telling:
        raise ValueError(_NO_PHOTONS)
    return mean_of(pair.gain() for pair in telling)


def flat_pair_level_adu(pair: FlatPair) -> Estimate:
    """Return the level above bias at which a pair of flats has its variance: a point of the photon transfer curve.

    Notes
    -----
    Mean over the boxes of m1 (1 + s) / (1 + s^2), which is m1 for flats of equal level: see `flat_pair_variance_adu2`.
    """
    level = float((pair.signal / pair.both).mean())
    return Estimate(level, math.sqrt(max(flat_pair_variance_adu2(pair).value, 0.0) / (2.0 * pair.signal.size)) / _BOX)


def flat_pair_variance_adu2(pair: FlatPair) -> Estimate:
    """Return the variance of one pixel of one flat, of photons and read-out, from a pair.

    Notes
    -----
    Mean over the boxes of var(d) / (1 + s^2) - q^2 / 12: with d as in `gain_electrons_per_adu`, fixed pattern drops out
    and the variance is M / G + R^2 for the level M of `flat_pair_level_adu` (Janesick, Photon Transfer), whatever s is.
    """
    values = pair.variance / pair.both
    scatter = pair.excess() - pair.signal * pair.inverse_gain
    error = float(np.sqrt(((scatter / pair.both) ** 2).sum())) / values.size
    return Estimate(float(values.mean()) - pair.step_adu**2 / 12.0, error)


def flat_pairs(
    flats: Sequence[NDArray[Any]],
    bias: NDArray[Any] | float,
    read_noise: Estimate | float,
    *,
    saturation_adu: float = math.inf,
    step_adu: float | None = None,
) -> tuple[FlatPair, ...]:
    """Return the pairs (1, 2), (3, 4), ... of flats of one filter; parameters as `gain_electrons_per_adu`.

    Raises
    ------
    ValueError
        As there, but a pair with the noise of the read-out alone, as above the full well, is a pair like any other.
    """
    if len(flats) < 2:  # noqa: PLR2004 - a difference needs two
        raise ValueError(f"the gain needs two or more flats, not {len(flats)}")
    noise = as_estimate(read_noise)
    return tuple(
        FlatPair.of(first, second, bias, noise, saturation_adu=saturation_adu, step_adu=step_adu)
        for first, second in zip(flats[0::2], flats[1::2], strict=False)
    )


@dataclass(frozen=True, slots=True, eq=False)
class FlatPair:
    """What the clean boxes of a pair of flats say, arrays of shape (boxes,): signal m1 (1 + s), 1 + s^2, var(d).

    ``read_noise`` is that of one frame without the step of the converter, ADU.
    """

    signal: NDArray[np.float64]
    both: NDArray[np.float64]
    variance: NDArray[np.float64]
    read_noise: Estimate
    step_adu: float

    @classmethod
    def of(
        cls,
        first: NDArray[Any],
        second: NDArray[Any],
        bias: NDArray[Any] | float,
        noise: Estimate,
        *,
        saturation_adu: float,
        step_adu: float | None,
    ) -> FlatPair:
        """Return the clean boxes of two flats."""
        step = histogram(first).converter_step() if step_adu is None else step_adu
        read_variance = noise.value**2 + step * step / 12.0
        boxes = _Boxes.of(first, second, bias, saturation_adu)
        both = 1.0 + boxes.scale**2
        plain = boxes.plain_variance()
        if not np.median(plain / both) > _LEAST_NOISE * read_variance:
            raise ValueError(_NO_PHOTONS)
        slope = float(np.median((plain - read_variance * both) / boxes.signal()))
        expected = max(slope, 0.0) * boxes.signal() + read_variance * both
        variance, number = boxes.clipped_variance(expected)
        good = np.abs(variance / expected - 1.0) <= _REJECT_SIGMA * np.sqrt(2.0 / np.maximum(number, 1))
        if np.count_nonzero(good) < _MIN_BOXES:
            raise ValueError(f"only {np.count_nonzero(good)} clean boxes of {_BOX} x {_BOX} pixels in a pair of flats")
        if np.mean(good) < _AGREEING:
            raise ValueError(
                f"only {np.mean(good):.0%} of the boxes of a pair of flats agree: they differ in structure"
            )
        return cls(boxes.signal()[good], both[good], variance[good], noise, step)

    @property
    def scale(self) -> float:
        """Level of the first flat over that of the second."""
        return math.sqrt(max(float(np.median(self.both)) - 1.0, 0.0))

    def excess(self) -> NDArray[np.float64]:
        """Return var(d) of each box without read noise and step of the converter."""
        return self.variance - (self.read_noise.value**2 + self.step_adu**2 / 12.0) * self.both

    @property
    def inverse_gain(self) -> float:
        """Variance of the photons over their level, ADU/e-."""
        return float(self.excess().sum() / self.signal.sum())

    @property
    def has_photon_noise(self) -> bool:
        """False where a full well has swallowed it: less is left than 3 errors of the variance."""
        error = float(np.sqrt(2.0 * (self.variance**2).sum())) / _BOX
        return bool(self.excess().sum() > _SIGNIFICANT * error)

    def gain(self) -> Estimate:
        """Return the gain, e-/ADU, of a pair that has photon noise."""
        excess, total, inverse = self.excess(), float(self.signal.sum()), self.inverse_gain
        scatter = math.sqrt(float(((excess - inverse * self.signal) ** 2).sum()))
        from_noise = 2.0 * self.read_noise.value * (self.read_noise.error or 0.0) * float(self.both.sum())
        return Estimate(1.0 / inverse, math.hypot(scatter, from_noise) / total / inverse**2)


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The usable boxes of a pair of flats: d = F1 - s F2 with shape (boxes, pixels), levels and scales of each box."""

    difference: NDArray[np.float32]
    level: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, first: NDArray[Any], second: NDArray[Any], bias: NDArray[Any] | float, saturation_adu: float) -> _Boxes:
        """Return the boxes that are bright enough and free of saturation; incomplete ones at the edges are left out."""
        ones, others, full = _boxed(first), _boxed(second), np.asarray(bias)
        usable = (ones.max(axis=1) < saturation_adu) & (others.max(axis=1) < saturation_adu)
        pedestal = _boxed(full) if full.ndim else full
        one = np.subtract(ones, pedestal, dtype=np.float32)
        other = np.subtract(others, pedestal, dtype=np.float32)
        level, second_level = one.mean(axis=1, dtype=np.float64), other.mean(axis=1, dtype=np.float64)
        usable &= np.isfinite(level) & np.isfinite(second_level)
        usable &= (level > 0) & (second_level > 0)
        if not usable.any():
            raise ValueError(f"no box of {_BOX} x {_BOX} pixels with light and below saturation in a pair of flats")
        usable &= level > _MIN_LEVEL * np.median(level[usable])
        scale = level[usable] / second_level[usable]
        difference = one[usable] - scale[:, np.newaxis].astype(np.float32) * other[usable]
        return cls(difference, level[usable], scale)

    def signal(self) -> NDArray[np.float64]:
        """Return m1 (1 + s) of each box, ADU."""
        return self.level * (1.0 + self.scale)

    def plain_variance(self) -> NDArray[np.float64]:
        """Return var(d) of each box without rejection."""
        result: NDArray[np.float64] = self.difference.var(axis=1, ddof=1, dtype=np.float64)
        return result

    def clipped_variance(self, expected: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return var(d) of each box and the number of pixels in it, without those 5 expected sigma from 0."""
        reach = (_REJECT_SIGMA * np.sqrt(np.maximum(expected, 0.0))).astype(np.float32)
        kept = np.abs(self.difference) <= reach[:, np.newaxis]
        number = np.count_nonzero(kept, axis=1)
        part = np.where(kept, self.difference, np.float32(0.0)).astype(np.float64)
        total, squares = part.sum(axis=1), (part * part).sum(axis=1)
        variance = (squares - total**2 / np.maximum(number, 1)) / np.maximum(number - 1, 1)
        return variance, number


def _boxed(plane: NDArray[Any]) -> NDArray[Any]:
    """Return the complete boxes of a plane, shape (boxes, pixels of a box)."""
    rows, columns = plane.shape[0] // _BOX, plane.shape[1] // _BOX
    cut = plane[: rows * _BOX, : columns * _BOX].reshape(rows, _BOX, columns, _BOX)
    return cut.swapaxes(1, 2).reshape(rows * columns, _BOX * _BOX)
