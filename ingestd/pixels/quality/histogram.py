"""Estimates with errors, and the robust statistics that are read from the histogram of pixel values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_CHUNK = 1 << 16
_EXACT_BINS = 1 << 18
_FLOAT_BINS = 1 << 16
_BINS_PER_SIGMA = 128
_MAD_TO_SIGMA = 1.482602218505602
_REJECT_SIGMA = 5.0
_MAX_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured figure and its standard error, None where no error is defined; both are finite.

    Raises
    ------
    ValueError
        If one of them is not: there is no figure then.
    """

    value: float
    error: float | None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and math.isfinite(self.error or 0.0)):
            raise ValueError(f"no figure comes out: {self.value:g} with the error {self.error}")

    def scaled(self, factor: float, factor_error: float = 0.0) -> Estimate:
        """Return the estimate times a factor, the independent errors of both added in quadrature."""
        error = None if self.error is None else math.hypot(self.error * factor, self.value * factor_error)
        return Estimate(self.value * factor, error)


def mean_of(estimates: Iterable[Estimate]) -> Estimate:
    """Return the plain mean of independent estimates of one figure.

    The standard error is the larger of the one propagated from the estimates and the one that their scatter shows:
    pick-up noise and lamps make frames differ by more than counting statistics.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = list(estimates)
    if not found:
        raise ValueError("nothing to take a mean of")
    values = np.array([estimate.value for estimate in found])
    stated = math.sqrt(sum((estimate.error or 0.0) ** 2 for estimate in found)) / len(found)
    seen = float(values.std(ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else 0.0
    return Estimate(float(values.mean()), max(stated, seen))


def as_estimate(figure: Estimate | float) -> Estimate:
    """Return a plain number as an exact estimate."""
    return figure if isinstance(figure, Estimate) else Estimate(float(figure), 0.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values in bins of equal width.

    Attributes
    ----------
    first, width : float
        Centre of the first bin and width of all. Integers have exact bins of width 1. Floats have 128 bins per
        robust standard deviation, 256 standard deviations to either side; what lies beyond is in the end bins.
    counts : array, shape (bins,), int64
    is_exact : bool
        True for integers.
    """

    first: float
    width: float
    counts: NDArray[np.int64]
    is_exact: bool

    @property
    def total(self) -> int:
        """Return the number of values."""
        return int(self.counts.sum())

    def filled(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]]:
        """Return the centres and the counts of the bins that hold values.

        Raises
        ------
        ValueError
            If there are none: an empty frame, or one without a finite pixel.
        """
        index: NDArray[np.intp] = np.flatnonzero(self.counts)
        if index.size == 0:
            raise ValueError("no finite pixel to measure")
        return self.first + self.width * index, self.counts[index]

    def quantile(self, fraction: float) -> float:
        """Return the quantile of the mid-distribution function, linear between the values that occur.

        Notes
        -----
        F_mid(x) = P(X < x) + P(X = x) / 2 (Ma, Genton & Parzen 2011, Ann. Inst. Stat. Math. 63, 227). The plain median
        of integers moves in whole steps; this one follows the level of a frame between them.
        """
        return _mid_quantile(*self.filled(), fraction)

    def median(self) -> Estimate:
        """Return the median and its error 1 / (2 f sqrt(n)), with the density f between the 40 and 60 % quantiles."""
        spread = self.quantile(0.6) - self.quantile(0.4)
        return Estimate(self.quantile(0.5), spread / (0.4 * math.sqrt(self.total)))

    def mad_std(self) -> float:
        """Return 1.4826 times the median absolute deviation from the median."""
        values, counts = self.filled()
        distances = np.abs(values - self.quantile(0.5))
        order = np.argsort(distances, kind="stable")
        return _MAD_TO_SIGMA * _mid_quantile(distances[order], counts[order], 0.5)

    def clipped(self) -> tuple[float, float, int]:
        """Return mean, standard deviation and number of the values within 5 standard deviations of their mean.

        Notes
        -----
        Iterated until nothing changes, from the median and 1.4826 MAD; the variance is divided by what the cut leaves
        of a Gaussian, 1 - 2 k phi(k) / (2 Phi(k) - 1). At least two bins to either side are kept: in a frame with less
        noise than a step of the converter the deviation would otherwise shrink to 0.
        """
        values, counts = self.filled()
        centre, sigma = self.quantile(0.5), self.mad_std()
        kept = np.zeros(values.size, bool)
        for _ in range(_MAX_ROUNDS):
            reach = max(_REJECT_SIGMA * sigma, 2.0 * self.width)
            inside = np.abs(values - centre) <= reach
            if np.array_equal(inside, kept):
                break
            kept = inside
            weights = counts[kept].astype(np.float64)
            number = float(weights.sum())
            centre = float(weights @ values[kept]) / number
            squares = float(weights @ (values[kept] - centre) ** 2)
            share = variance_within(reach / sigma) if sigma > 0 else 1.0
            sigma = math.sqrt(squares / max(number - 1.0, 1.0) / share)
        return centre, sigma, int(counts[kept].sum())

    def converter_step(self) -> float:
        """Return the step of the converter: 16 for 12-bit samples stored times 16; 0 for floats.

        The greatest common divisor of the gaps between the values within 10 robust standard deviations of the median
        (the ends may hold a clipped 65535).
        """
        if not self.is_exact:
            return 0.0
        values, _ = self.filled()
        near = np.abs(values - self.quantile(0.5)) <= max(10.0 * self.mad_std(), 64.0)
        gaps = np.diff(values[near]).astype(np.int64)
        return float(np.gcd.reduce(gaps)) if gaps.size else 1.0


def _mid_quantile(values: NDArray[np.floating[Any]], counts: NDArray[np.int64], fraction: float) -> float:
    """Return the quantile of the mid-distribution function of ascending values with counts."""
    below = np.cumsum(counts, dtype=np.float64)
    return float(np.interp(fraction, (below - 0.5 * counts) / below[-1], values))


def variance_within(k: float) -> float:
    """Return the variance of a standard Gaussian cut at +-k."""
    inside = math.erf(k / math.sqrt(2.0))
    return 1.0 - 2.0 * k * math.exp(-0.5 * k * k) / math.sqrt(2.0 * math.pi) / inside if inside > 0 else 1.0


def histogram(values: NDArray[Any]) -> Histogram:
    """Return the histogram of an array of any shape; values that are not finite are left out."""
    flat = values.reshape(-1)
    if flat.size and flat.dtype.kind in "iu":
        low, high = int(flat.min()), int(flat.max())
        if high - low < _EXACT_BINS:
            return Histogram(float(low), 1.0, _count_integers(flat, low, high - low + 1), is_exact=True)
    first, width = _float_bins(flat)
    counts = np.zeros(_FLOAT_BINS, np.int64)
    for chunk in chunks(flat):
        finite = chunk[np.isfinite(chunk)].astype(np.float64)
        index = np.clip(np.rint((finite - first) / width), 0, _FLOAT_BINS - 1).astype(np.intp)
        counts += np.bincount(index, minlength=_FLOAT_BINS)
    return Histogram(first, width, counts, is_exact=False)


def _count_integers(flat: NDArray[Any], low: int, bins: int) -> NDArray[np.int64]:
    """Return how often each of the integers low, low + 1, ... occurs."""
    counts = np.zeros(bins, np.int64)
    for chunk in chunks(flat):
        counts += np.bincount(chunk.astype(np.intp) - low, minlength=bins)
    return counts


def chunks(flat: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the array in pieces that stay in the cache, yet are large against the histogram."""
    for start in range(0, flat.size, 4 * _CHUNK):
        yield flat[start : start + 4 * _CHUNK]


def _float_bins(flat: NDArray[Any]) -> tuple[float, float]:
    """Return centre of the first bin and width, chosen on some 65536 values spread evenly over the array.

    The stride is odd, so that it does not fall on the same columns of each row. Where it falls on no finite value, all
    of them are taken.
    """
    sample = flat[:: (flat.size // _CHUNK) | 1].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        sample = flat[np.isfinite(flat)].astype(np.float64)
    if sample.size == 0:
        return 0.0, 1.0
    centre = float(np.median(sample))
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(sample - centre))) or float(sample.std())
    width = max(spread / _BINS_PER_SIGMA, abs(centre) * 2.0**-40) or 1.0
    return centre - width * (_FLOAT_BINS // 2), width
