"""Sky level, noise and flatness of a reduced frame, from small boxes that no source brightens."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.quality.histogram import Estimate, as_estimate, histogram, variance_within
from ingestd.pixels.quality.noise import mean_variance
from ingestd.pixels.quality.structure import line_structure

_BOX = 4
_FREEDOM = _BOX * _BOX // 2
_SOURCE_SIGMA = 3.0
_ROUNDS = 10
_SETTLED = 1e-3
_GROUP = 16
_ENOUGH_PX = 1 << 20


_Block = tuple[int, NDArray[np.float32], NDArray[np.float32]]
"""Place of a block of rows, its pixels, NaN where they are bad, and one uncertainty of each box or none."""


@dataclass(frozen=True, slots=True)
class SkyFigures:
    """Level and noise of the sky, the noise that the uncertainties predict, structure of rows and columns; ADU.

    The prediction is None without uncertainties, structure None where there is little sky.
    """

    level: Estimate
    noise: Estimate
    predicted_noise: float | None
    row_structure: Estimate | None
    column_structure: Estimate | None


class SkyBoxes:
    """Mean and noise of boxes of 4 x 4 pixels, collected while the row blocks of a reduced frame pass by.

    Parameters
    ----------
    gain_e_per_adu : float
        Gain of a frame that is already in electrons, so that the figures are in ADU; 1 for a frame in ADU.
    pixels : int
        Of the whole frame: of a large one every second, third ... row of boxes is enough, some 65,536 boxes.

    Notes
    -----
    Pixels are only copied while the blocks pass by, a million of a large frame. Rows and columns beyond a multiple of
    four in a block are left out, and so is a box with a masked or non-finite pixel.
    """

    def __init__(self, gain_e_per_adu: float = 1.0, pixels: int = 0) -> None:
        self._per_adu = gain_e_per_adu
        self._every = max(1, pixels // _ENOUGH_PX)
        self._blocks: list[_Block] = []
        self._figures: SkyFigures | None = None

    def add(
        self,
        rows: NDArray[Any],
        mask: NDArray[Any] | None = None,
        first_row: int | None = None,
        uncertainty: NDArray[Any] | None = None,
    ) -> None:
        """Collect a block of rows.

        Parameters
        ----------
        rows : ndarray, shape (n, nx)
        mask : ndarray, shape (n, nx), optional
            Not 0 at bad pixels.
        first_row : int, optional
            Where the block belongs: several threads may add blocks in any order. By default behind those before.
        uncertainty : ndarray, shape (n, nx), optional
            Standard deviations, of which one in each box is looked at.
        """
        ny, nx = rows.shape[0] // _BOX * _BOX, rows.shape[1] // _BOX * _BOX
        if not ny or not nx:
            return
        self._figures = None
        cut = self._chosen(rows[:ny, :nx]).astype(np.float32)
        if mask is not None:
            cut[self._chosen(mask[:ny, :nx]) != 0] = np.nan
        step = _BOX * self._every
        sigma = np.empty((0, 0)) if uncertainty is None else uncertainty[1:ny:step, 1:nx:_BOX]
        place = len(self._blocks) if first_row is None else first_row
        self._blocks.append((place, cut, sigma.astype(np.float32)))

    def _chosen(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of the boxes that are looked at, shape (multiple of 4, nx)."""
        if self._every == 1:
            return rows
        boxes = rows.reshape(len(rows) // _BOX, _BOX, -1)[:: self._every]
        return boxes.reshape(len(boxes) * _BOX, -1)

    def figures(self) -> SkyFigures:
        """Return the figures of the sky, ADU.

        Raises
        ------
        ValueError
            If no box is free of bad pixels, or none has a noise that is a number.
        """
        if self._figures is None:
            self._figures = self._measure()
        return self._figures

    def _measure(self) -> SkyFigures:
        """Return the figures of the boxes so far."""
        ordered = [_measured(cut, sigma) for _, cut, sigma in sorted(self._blocks, key=itemgetter(0))]
        if not ordered:
            raise ValueError("no rows to measure the sky")
        means, variances, predicted = (np.concatenate([block[i] for block in ordered]) for i in range(3))
        means /= self._per_adu
        variances /= self._per_adu**2
        predicted /= self._per_adu**2
        sky = _free_of_sources(means)
        kept = means[sky]
        level = Estimate(float(kept.mean()), float(kept.std()) / math.sqrt(kept.size))
        variance, number = mean_variance(variances[sky], _FREEDOM)
        value = math.sqrt(variance)
        noise = Estimate(value, value / math.sqrt(2.0 * _FREEDOM * number))
        squares = predicted[sky]
        squares = squares[np.isfinite(squares)]
        expected = math.sqrt(float(squares.mean())) if squares.size else None
        flat = np.where(sky, means - level.value, 0.0)
        return SkyFigures(level, noise, expected, _structure(flat, sky), _structure(flat.T, sky.T))


Frame = NDArray[Any] | Iterable[NDArray[Any]] | SkyBoxes
"""A whole reduced plane of shape (ny, nx), its row blocks in order, or the boxes of them."""


def sky_level_adu(frame: Frame) -> Estimate:
    """Return the level of the sky.

    Parameters
    ----------
    frame : array of shape (ny, nx), row blocks, or SkyBoxes
        Reduced, in ADU; a frame in electrons comes as ``SkyBoxes(gain_e_per_adu)``.

    Returns
    -------
    Estimate, ADU

    Notes
    -----
    Mean over the boxes of 4 x 4 pixels that remain when those 3 robust sigma above the median, their neighbours, and
    those as far below have been left out, repeated with the rest until less than a thousandth changes. A mean, so that
    the skew of few photons does not shift it; sources fainter than 3 sigma of a box are part of it.
    """
    return _boxes(frame).figures().level


def sky_noise_adu(frame: Frame) -> Estimate:
    """Return the noise of one pixel in the boxes of the sky; parameters as `sky_level_adu`.

    Notes
    -----
    Root mean square over boxes of the differences of vertical neighbours over sqrt(2), without boxes whose variance a
    chi-squared variable of 8 degrees of freedom does not reach at 5 sigma (a cosmic ray, a hot pixel).
    """
    return _boxes(frame).figures().noise


def sky_level_electrons(sky_level: Estimate, gain: Estimate | float) -> Estimate:
    """Return the level of the sky in electrons from that in ADU and the gain in e-/ADU."""
    factor = as_estimate(gain)
    return sky_level.scaled(factor.value, factor.error or 0.0)


def sky_noise_electrons(sky_noise: Estimate, gain: Estimate | float) -> Estimate:
    """Return the noise of one pixel of the sky in electrons from that in ADU and the gain in e-/ADU."""
    factor = as_estimate(gain)
    return sky_noise.scaled(factor.value, factor.error or 0.0)


def sky_noise_to_model_ratio(frame: SkyBoxes) -> Estimate:
    """Return the noise of one pixel of the sky over what its uncertainty says: 1 if the noise model is right.

    Parameters
    ----------
    frame : SkyBoxes
        That have been given the uncertainties.

    Returns
    -------
    Estimate
        The error is that of the noise.

    Raises
    ------
    ValueError
        If no uncertainty was given, or it is 0.

    Notes
    -----
    `sky_noise_adu` over the root mean square of the uncertainty in the same boxes. Above 1 where gain or read noise are
    wrong or another source of noise is there (pick-up, crowding); below where pixels share their noise (interpolation).
    """
    figures = frame.figures()
    if not figures.predicted_noise:
        raise ValueError("the frame has no uncertainty")
    return figures.noise.scaled(1.0 / figures.predicted_noise)


def sky_row_structure_adu(frame: Frame) -> Estimate:
    """Return the standard deviation of the rows' profile of the sky beyond noise; parameters as `sky_level_adu`.

    Raises
    ------
    ValueError
        If fewer than 8 rows of boxes show sky in both halves.

    Notes
    -----
    `line_structure` of the boxes of the sky: groups of up to 16 boxes, lines of 4 pixels. A gradient, bands, or a flat
    that does not fit; faint sources below the limit of a box add a little. Leaving out what is 3 sigma off pulls every
    profile to the middle by 1 - 2 k phi(k) / (2 Phi(k) - 1), k = 3, 2.7 %, which is made up for.
    """
    return _known(_boxes(frame).figures().row_structure)


def sky_column_structure_adu(frame: Frame) -> Estimate:
    """Return the standard deviation of the columns' profile of the sky beyond noise: see `sky_row_structure_adu`."""
    return _known(_boxes(frame).figures().column_structure)


def _known(estimate: Estimate | None) -> Estimate:
    """Return a figure that was measured."""
    if estimate is None:
        raise ValueError("too little sky for its structure")
    return estimate


def _structure(flat: NDArray[np.float64], sky: NDArray[np.bool_]) -> Estimate | None:
    """Return the structure of the rows of boxes, which are 0 where they show no sky; None where it cannot be told."""
    lines, boxes = flat.shape
    size = min(max(boxes // _GROUP, 1), _GROUP)
    total, number = (
        array[:, : boxes // size * size].reshape(lines, boxes // size, size).sum(axis=2) for array in (flat, sky)
    )
    with np.errstate(invalid="ignore"):
        means = total / number
    try:
        return line_structure(means).scaled(1.0 / variance_within(_SOURCE_SIGMA))
    except ValueError:
        return None


def _boxes(frame: Frame) -> SkyBoxes:
    """Return the boxes of a plane or of its row blocks."""
    if isinstance(frame, SkyBoxes):
        return frame
    boxes = SkyBoxes()
    for rows in (frame,) if isinstance(frame, np.ndarray) else frame:
        boxes.add(rows)
    return boxes


def _measured(cut: NDArray[np.float32], sigma: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Return means and variances of the boxes of a block, and the variances that uncertainties predict, NaN if none."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = cut[1::2] - cut[0::2]
        difference *= difference
        means = _across((cut[0::4] + cut[1::4]) + (cut[2::4] + cut[3::4])) / (_BOX * _BOX)
        variances = _across(difference[0::2] + difference[1::2]) / (2 * _FREEDOM)
    return means, variances, sigma.astype(np.float64) ** 2 if sigma.size else np.full(means.shape, np.nan)


def _across(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums of groups of four columns."""
    return (rows[:, 0::4] + rows[:, 1::4]).astype(np.float64) + (rows[:, 2::4] + rows[:, 3::4])


def _free_of_sources(means: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes show the sky alone, the same shape."""
    sky: NDArray[np.bool_] = np.isfinite(means)
    if not sky.any():
        raise ValueError("no box of 4 x 4 good pixels to measure the sky")
    finite = sky.copy()
    for _ in range(_ROUNDS):
        counted = histogram(means[sky])
        centre, reach = counted.quantile(0.5), _SOURCE_SIGMA * counted.mad_std()
        found = finite & ~_widened(means > centre + reach) & (means >= centre - reach)
        if not found.any():
            break
        changed, sky = np.count_nonzero(found ^ sky), found
        if changed <= _SETTLED * found.size:
            break
    return sky


def _widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask grown by one box to all eight sides."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    wide = grown.copy()
    wide[:, 1:] |= grown[:, :-1]
    wide[:, :-1] |= grown[:, 1:]
    return wide
