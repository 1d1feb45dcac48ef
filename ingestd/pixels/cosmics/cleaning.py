"""Replacing cosmic rays by the mean of their good neighbours, and how much these differ."""

from __future__ import annotations

import numpy as np

from ingestd.pixels.cosmics.exposure import SQUARE_5, Exposure, Flags, Float32, Pixels, batches
from ingestd.pixels.cosmics.medians import lower_median
from ingestd.pixels.cosmics.patches import gathered

_REACH_PX = 2

_BATCH = 4096
"""Pixels of a batch: 25 neighbours of each, as float32, are 400 KiB."""

_LEAST = np.float32(1e-30)
"""Stands for a variance of 0 or less, for 0 means "not cleaned"; the noise takes both for its least variance."""


class Cleaner:
    """Cleans the flagged pixels of an exposure; made before anything is flagged."""

    def __init__(self, exposure: Exposure) -> None:
        self._exposure = exposure
        self._struck: list[tuple[Pixels, Float32]] = []

    def clean(self, fresh: Pixels) -> Pixels:
        """Give flagged pixels the mean of their neighbours that are neither flagged nor excluded.

        Parameters
        ----------
        fresh : ndarray of int, shape (n,)
            Pixels flagged since the last call. Older ones that have none of these among their neighbours keep their
            value: it is a function of the others alone.

        Returns
        -------
        ndarray of int, shape (m,)
            Pixels whose value or variance changed.

        Notes
        -----
        Sums of 5 x 5 pixels row by row in float32. Without any good neighbour: the median of the exposure before it was
        cleaned, excluded pixels left out.
        """
        exposure = self._exposure
        electrons, before = exposure.electrons.ravel(), exposure.electrons.ravel()[fresh]
        self._struck.append((fresh, before))
        if exposure.cleaned_variance is None:
            exposure.cleaned_variance = np.zeros(exposure.shape, np.float32)
        around = exposure.neighbours(fresh, SQUARE_5)
        pixels = around[exposure.flagged.ravel()[around]]
        mean, variance = self._means(pixels)
        changed: Pixels = pixels[(mean != electrons[pixels]) | (variance != exposure.variance_of(pixels))]
        electrons[pixels] = mean
        exposure.cleaned_variance.ravel()[pixels] = np.maximum(variance, _LEAST)
        return changed

    def _means(self, pixels: Pixels) -> tuple[Float32, Float32]:
        """Return the means of the good neighbours' electrons and of their variances."""
        total, total_variance, count = np.zeros((3, pixels.size), np.float32)
        for batch in batches(pixels.size, _BATCH):
            for electrons, is_good in zip(*_neighbours(self._exposure, pixels[batch]), strict=True):
                total[batch] += np.where(is_good, electrons, np.float32(0))
                total_variance[batch] += np.where(is_good, electrons + self._exposure.read_variance, np.float32(0))
                count[batch] += is_good
        lone = np.flatnonzero(count == 0)
        if lone.size:
            count[lone] = 1
            total[lone] = self._background()
            total_variance[lone] = total[lone] + self._exposure.read_variance
        return total / count, total_variance / count

    def _background(self) -> np.float32:
        """Return the median of the good pixels before anything was cleaned."""
        electrons = self._exposure.electrons.copy()
        for pixels, values in self._struck:
            electrons.ravel()[pixels] = values
        return lower_median(electrons[~self._exposure.excluded])


def scatter(exposure: Exposure, pixels: Pixels) -> Float32:
    """Return the standard deviation (ddof = 1) of the good neighbours of flagged pixels, electron, shape (n,).

    NaN where fewer than two are good.
    """
    spread = np.empty(pixels.size, np.float32)
    for batch in batches(pixels.size, _BATCH):
        electrons, is_good = _neighbours(exposure, pixels[batch])
        values, count = np.where(is_good, electrons, np.float32(0)).astype(np.float64), is_good.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            deviations = np.where(is_good, values - values.sum(axis=0) / count, 0)
            spread[batch] = np.sqrt((deviations**2).sum(axis=0) / np.maximum(count - 1, 0))
    return spread


def _neighbours(exposure: Exposure, pixels: Pixels) -> tuple[Float32, Flags]:
    """Return the 25 pixels around each, row by row, and which of them are good; shape (25, n)."""
    width = 2 * _REACH_PX + 1
    corners = pixels - _REACH_PX * (exposure.shape[1] + 1)
    planes = (exposure.electrons, exposure.flagged, exposure.excluded)
    electrons, flagged, excluded = (gathered(plane, corners, width).reshape(-1, pixels.size) for plane in planes)
    return electrons, ~(flagged | excluded)
