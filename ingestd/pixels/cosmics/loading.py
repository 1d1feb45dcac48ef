"""From the image as it came to an exposure in electrons, with the minima of its cells, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.cosmics.exposure import Exposure, Flags, Float32, Pixels
from ingestd.pixels.cosmics.medians import lower_median
from ingestd.pixels.cosmics.patches import CELL_PX

_LARGEST_E = np.float32(1e30)
"""Values beyond count as not finite, so that no sum of 25 and no Laplacian overflows."""

_EXACT_BYTES = {"f": 4, "i": 2, "u": 2}
"""Bytes up to which a number of that kind is exact in float32."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An exposure of which nothing is excluded yet.

    Attributes
    ----------
    lowest : ndarray of float32, shape (cells in y, cells in x)
        Smallest value of each cell, electron.
    highest : ndarray of float32, shape (cells in y,)
        Largest value of each row of cells, electron.
    invalid : ndarray of bool, shape (ny, nx), or None
        Pixels that are not finite, or None if all are.
    """

    exposure: Exposure
    lowest: Float32
    highest: Float32
    invalid: Flags | None

    def saturated(self, saturation_e: np.float32) -> Pixels:
        """Return, sorted, the pixels at or above a level."""
        electrons = self.exposure.electrons
        bands = np.flatnonzero(self.highest >= saturation_e) * CELL_PX
        found = [np.flatnonzero(electrons[y : y + CELL_PX] >= saturation_e) + y * electrons.shape[1] for y in bands]
        return np.concatenate([np.empty(0, np.intp), *found])


def load(image: NDArray[Any], mask: Flags | None, gain_e_per_adu: np.float32, read_noise_e: np.float32) -> Loaded:
    """Return an image in electrons; a pixel that is not finite takes the median of the others that are not masked."""
    electrons = np.empty(image.shape, np.float32)
    excluded, flagged, marks = (np.zeros(image.shape, bool) for _ in range(3))
    exposure = Exposure(electrons, read_noise_e * read_noise_e, excluded, flagged, marks)
    with np.errstate(over="ignore", invalid="ignore"):
        lowest, highest = _survey(electrons, image, gain_e_per_adu)
    if np.all(np.abs(lowest) <= _LARGEST_E) and np.all(highest <= _LARGEST_E):
        return Loaded(exposure, lowest, highest, None)
    invalid = ~(np.abs(electrons) <= _LARGEST_E)
    electrons[invalid] = lower_median(electrons[~invalid if mask is None else ~(invalid | mask)])
    return Loaded(exposure, *_survey(electrons), invalid)


def _survey(
    electrons: Float32, image: NDArray[Any] | None = None, gain_e_per_adu: np.float32 | None = None
) -> tuple[Float32, Float32]:
    """Return the minima of the cells and the maxima of the rows of cells, of electrons to be filled from an image."""
    rows, columns = (-(-length // CELL_PX) for length in electrons.shape)
    lowest = np.full((rows, columns * CELL_PX), np.inf, np.float32)
    highest = np.empty(rows, np.float32)
    for row in range(rows):
        band = electrons[row * CELL_PX : (row + 1) * CELL_PX]
        if image is not None and gain_e_per_adu is not None:
            _fill(band, image[row * CELL_PX : (row + 1) * CELL_PX], gain_e_per_adu)
        np.minimum.reduce(band, axis=0, out=lowest[row, : electrons.shape[1]])
        highest[row] = band.max(initial=-np.inf)
    while lowest.shape[1] > columns:
        lowest = np.minimum(lowest[:, ::2], lowest[:, 1::2])
    return lowest, highest


def _fill(electrons: Float32, image: NDArray[Any], gain_e_per_adu: np.float32) -> None:
    """Fill with image x gain, rounded once: the product of a wide number is taken in float64."""
    if image.dtype.itemsize > _EXACT_BYTES[image.dtype.kind]:
        np.multiply(image, float(gain_e_per_adu), out=electrons, casting="same_kind")
        return
    np.copyto(electrons, image, casting="same_kind")
    if gain_e_per_adu != 1:
        electrons *= gain_e_per_adu
