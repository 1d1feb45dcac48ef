"""The guaranteed bound: which few pixels can exceed a limit at all, from six operations on the plane.

The image is divided into cells of 8 x 8 pixels, of which the minima are known. Let c be the limit of S in units of the
noise, p a pixel, u, d, l, r its neighbours, all as stored.

1.  S' <= S, for the median that is subtracted from S is a median of values >= 0. S = L+ / (2 noise), so S > c demands
    L+ > 2 c noise, and a pixel with L+ <= 2 c noise need not be looked at.
2.  L+ is the mean of four terms max(0, 2 p - {u, d} - {l, r}), so L+ <= max(0, 2 p - min(u, d) - min(l, r)).
3.  The median of seven is at least the minimum of any four of them: of the three to the left and the middle one, or of
    the middle one and the three to the right. The former lie in the pixel's cell and the one to its left, the latter in
    its cell and the one to its right; so the median of a row is at least the larger of the two minima of pairs of
    cells. The same again for the seven rows. With the variances' minima, noise >= the root of that.
4.  Rounding. float32 rounds by at most e = 2^-24 of the result. Only terms > 0 enter L+; in these 2 p > h + v for the
    neighbours h and v, and no value is below the minimum m of the cells around, so all magnitudes are at most
    M = 2 max(p, 0) + max(-m, 0). A term is rounded by less than 22 e M, their mean by 5 e M more, the bound itself by
    8 e M: less than 48 e M together. That is covered by 2^-17 p, for which p counts 2 + 2^-17 times instead of twice,
    and by 2^-16 max(-m, 0), which is taken off the limit. Minima, medians, roots and the least variance are monotonic
    as computed; the products of the limit are covered by a factor 1 - 2^-20.

So the margin scales with the level: 0.5 electrons at 65 000, where the limit is above 2500 for c = 5.

Cleaned pixels are means, which can lie below the minimum of their cell: then it is lowered, and the limits around.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.cosmics.exposure import UNFLAGGED_PX, Exposure, Float32, Pixels, batches
from ingestd.pixels.cosmics.measures import LAPLACIAN, LEAST_VARIANCE
from ingestd.pixels.cosmics.patches import CELL_PX, evaluate_alone

_TWICE = np.float32(2 + 2.0**-17)
_BELOW_ZERO = np.float32(2.0**-16)
_PRODUCTS = 1 - 2.0**-20
"""Margins for rounding, see step 4 above."""

_PIXELS = 2**18
"""Pixels whose L+ is taken at once."""


class Bound:
    """Lower limits of noise and image, cell by cell, and the search for pixels that may exceed a limit of S.

    Parameters
    ----------
    lowest : ndarray of float32, shape (cells in y, cells in x)
        Smallest value of each cell, electron.
    """

    def __init__(self, exposure: Exposure, lowest: Float32) -> None:
        self._exposure = exposure
        self._lowest = lowest
        self._lowest_variance = lowest + exposure.read_variance
        self._update()

    def limits(self, significance: np.float32) -> Float32:
        """Return for each cell what L+ must exceed in a pixel whose S exceeds ``significance``, electron."""
        limits: Float32 = self._noise * np.float32(2 * significance * _PRODUCTS) - self._margin
        return limits

    def search(self, significance: np.float32) -> Pixels:
        """Return, sorted, the pixels of the whole image whose S may exceed ``significance``."""
        electrons, (ny, nx) = self._exposure.electrons, self._exposure.shape
        inner = slice(UNFLAGGED_PX, nx - UNFLAGGED_PX)
        scratch = np.empty((2, CELL_PX, nx - 2 * UNFLAGGED_PX), np.float32)
        above = np.empty(scratch.shape[1:], bool)
        found = []
        for band, limits in enumerate(self.limits(significance)):
            first, last = max(band * CELL_PX, UNFLAGGED_PX), min((band + 1) * CELL_PX, ny - UNFLAGGED_PX)
            if first >= last:
                continue
            (vertical, horizontal), is_above = scratch[:, : last - first], above[: last - first]
            np.minimum(electrons[first - 1 : last - 1, inner], electrons[first + 1 : last + 1, inner], out=vertical)
            np.minimum(electrons[first:last, 2:-4], electrons[first:last, 4:-2], out=horizontal)
            vertical += horizontal
            np.multiply(electrons[first:last, inner], _TWICE, out=horizontal)
            horizontal -= vertical
            np.greater(horizontal, np.repeat(limits, CELL_PX)[inner], out=is_above)
            hits = np.flatnonzero(is_above)
            found.append(hits + hits // above.shape[1] * (nx - above.shape[1]) + first * nx + UNFLAGGED_PX)
        return self.select(np.concatenate(found), significance)

    def select(self, pixels: Pixels, significance: np.float32) -> Pixels:
        """Return those of some pixels whose S may exceed ``significance``, by their exact L+; no excluded ones."""
        limits, excluded = self.limits(significance).ravel(), self._exposure.excluded.ravel()
        selected = [pixels[:0]]
        for batch in batches(pixels.size, _PIXELS):
            possible = pixels[batch][~excluded[pixels[batch]]]
            laplacian = evaluate_alone(self._exposure, possible, LAPLACIAN)
            selected.append(possible[laplacian > limits[self.cells(possible)]])
        return np.concatenate(selected)

    def lower(self, changed: Pixels) -> Pixels:
        """Take changed pixels into the minima and return the pixels of the cells whose limits fell: mostly none."""
        cells, electrons = self.cells(changed), self._exposure.electrons.ravel()[changed]
        variance = self._exposure.variance_of(changed)
        lowest, lowest_variance = self._lowest.ravel(), self._lowest_variance.ravel()
        if not ((electrons < lowest[cells]) | (variance < lowest_variance[cells])).any():
            return changed[:0]
        np.minimum.at(lowest, cells, electrons)
        np.minimum.at(lowest_variance, cells, variance)
        noise, margin = self._noise, self._margin
        self._update()
        return self._pixels_of(np.flatnonzero((self._noise < noise) | (self._margin > margin)))

    def near(self, pixels: Pixels, changed: Pixels) -> Pixels:
        """Return those of ``pixels`` that lie in the cell of a changed one or a cell beside: all within 8 px."""
        is_far = np.ones(self._lowest.shape, bool)
        is_far.ravel()[self.cells(changed)] = False
        near: Pixels = pixels[~_lowest_around(is_far).ravel()[self.cells(pixels)]]
        return near

    def cells(self, pixels: Pixels) -> Pixels:
        """Return the flat index of the cell of every pixel."""
        y, x = self._exposure.rows_and_columns(pixels)
        cells: Pixels = y // CELL_PX * self._lowest.shape[1] + x // CELL_PX
        return cells

    def _pixels_of(self, cells: Pixels) -> Pixels:
        """Return the pixels of cells, those in the frame left out."""
        offsets = np.arange(CELL_PX)
        top, left = (corner[:, np.newaxis, np.newaxis] * CELL_PX for corner in np.divmod(cells, self._lowest.shape[1]))
        y, x = np.broadcast_arrays(top + offsets[:, np.newaxis], left + offsets)
        pixels: Pixels = (y * self._exposure.shape[1] + x)[self._exposure.is_inside(y, x, UNFLAGGED_PX)]
        return pixels

    def _update(self) -> None:
        """Derive noise and margin from the minima."""
        self._noise = np.sqrt(np.maximum(median_floor(self._lowest_variance), LEAST_VARIANCE))
        self._margin = np.maximum(-_lowest_around(self._lowest), 0) * _BELOW_ZERO


def median_floor(lowest: Float32) -> Float32:
    """Return for each cell a lower limit of the separable 7 x 7 median of its pixels, from the minima of the cells."""
    return _better_half(_better_half(lowest.T).T)


def _better_half(lowest: Float32) -> Float32:
    """Return the larger of the minima of each cell with the one before and with the one after, along the first axis."""
    pairs = np.minimum(lowest[:-1], lowest[1:])
    better: Float32 = np.maximum(np.concatenate([lowest[:1], pairs]), np.concatenate([pairs, lowest[-1:]]))
    return better


def _lowest_around(values: NDArray[Any]) -> NDArray[Any]:
    """Return the minimum of each cell and its eight neighbours."""
    rows = values.copy()
    np.minimum(rows[1:], values[:-1], out=rows[1:])
    np.minimum(rows[:-1], values[1:], out=rows[:-1])
    around = rows.copy()
    np.minimum(around[:, 1:], rows[:, :-1], out=around[:, 1:])
    np.minimum(around[:, :-1], rows[:, 1:], out=around[:, :-1])
    return around
