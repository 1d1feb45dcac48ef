"""Measures of scattered pixels: gathered patches, evaluated many at a time.

A pixel that stands alone takes a patch of its own. Pixels that crowd a cell of 8 x 8 share one, which costs several
times as much and gives 64. Both run through the same formulas, element by element, and agree to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.cosmics.exposure import Exposure, Float32, Pixels, batches
from ingestd.pixels.cosmics.measures import Measure, Patches

CELL_PX = 8
"""Side of the cells of the grid that the image is divided into."""

_CROWD = 4
"""Pixels in a cell from which on a patch for the cell is the cheaper way."""

_BATCH = 2**16
"""Elements of a batch of patches, 256 KiB: it and the temporaries of a median stay in a cache of 1 MiB."""

_PIXELS = 2**18
"""Pixels of which all positions are held at once, a few MiB each."""


def evaluate(exposure: Exposure, pixels: Pixels, measure: Measure) -> Float32:
    """Return a measure of every pixel.

    Parameters
    ----------
    pixels : ndarray of int, shape (n,)
        At least 3 pixels from the edges of the image.
    measure : Measure
        One of those in ``measures``.

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    values = np.empty(pixels.size, np.float32)
    for batch in batches(pixels.size, _PIXELS):
        values[batch] = _evaluated(exposure, pixels[batch], measure)
    return values


def _evaluated(exposure: Exposure, pixels: Pixels, measure: Measure) -> Float32:
    """Return a measure of so many pixels that memory bears a few lists of them."""
    values = np.empty(pixels.size, np.float32)
    y, x = exposure.rows_and_columns(pixels)
    slot, corners = _crowds(exposure, y, x, measure.reach_px)
    shared = np.flatnonzero(slot >= 0)
    if shared.size:
        squares = _squares(exposure, corners, CELL_PX, measure)
        values[shared] = squares[y[shared] % CELL_PX, x[shared] % CELL_PX, slot[shared]]
    is_edge = ~exposure.is_inside(y, x, measure.reach_px)
    alone, edge = np.flatnonzero((slot < 0) & ~is_edge), np.flatnonzero(is_edge)
    values[alone] = evaluate_alone(exposure, pixels[alone], measure)
    values[edge] = _at_edge(exposure, y[edge], x[edge], measure)
    return values


def evaluate_alone(exposure: Exposure, pixels: Pixels, measure: Measure) -> Float32:
    """Return a measure of pixels whose patches lie inside the image, one patch for each."""
    corners = pixels - measure.reach_px * (exposure.shape[1] + 1)
    return _squares(exposure, corners, 1, measure).reshape(pixels.size)


def gathered(plane: NDArray[Any], corners: Pixels, width: int) -> NDArray[Any]:
    """Return patches of ``width`` x ``width`` pixels that begin at ``corners``, shape (width, width, n).

    A run of pixels in a row is copied as one item: half the time of an index for each pixel.
    """
    flat, columns = plane.ravel(), plane.shape[1]
    runs = np.ndarray(flat.size - width + 1, f"V{width * flat.itemsize}", flat, strides=flat.strides)
    rows = np.empty((width, corners.size), runs.dtype)
    for y in range(width):
        rows[y] = runs[y * columns :][corners]
    return np.ascontiguousarray(rows.view(plane.dtype).reshape(width, corners.size, width).swapaxes(1, 2))


def _crowds(exposure: Exposure, y: Pixels, x: Pixels, reach_px: int) -> tuple[Pixels, Pixels]:
    """Return the number of the crowded cell of every pixel, -1 for none, and the first pixel of each cell's patch."""
    ny, nx = exposure.shape
    columns = -(-nx // CELL_PX)
    first = y.min(initial=ny) // CELL_PX
    cell = (y // CELL_PX - first) * columns + x // CELL_PX
    crowded = np.flatnonzero(np.bincount(cell) >= _CROWD)
    top, left = (corner * CELL_PX - reach_px for corner in np.divmod(crowded + first * columns, columns))
    side = CELL_PX + 2 * reach_px
    has_patch = (top >= 0) & (top + side <= ny) & (left >= 0) & (left + side <= nx)
    crowded, corners = crowded[has_patch], (top * nx + left)[has_patch]
    slots = np.full(cell.max(initial=-1) + 1, -1)
    slots[crowded] = np.arange(crowded.size)
    return slots[cell], corners


def _squares(exposure: Exposure, corners: Pixels, side: int, measure: Measure) -> Float32:
    """Return the measure of squares of ``side`` x ``side`` pixels whose patches begin at ``corners``.

    Returns
    -------
    ndarray of float32, shape (side, side, n)
    """
    values = np.empty((side, side, corners.size), np.float32)
    width = side + 2 * measure.reach_px
    for batch in batches(corners.size, _BATCH // width**2):
        electrons = gathered(exposure.electrons, corners[batch], width)
        if exposure.cleaned_variance is None:
            variance = electrons + exposure.read_variance
        else:
            cleaned = gathered(exposure.cleaned_variance, corners[batch], width)
            variance = exposure.variance(electrons, cleaned)
        values[..., batch] = measure.of(Patches(electrons, variance))
    return values


def _at_edge(exposure: Exposure, y: Pixels, x: Pixels, measure: Measure) -> Float32:
    """Return the measure of pixels whose patches reach over an edge, shape (n,)."""
    values = np.empty(y.size, np.float32)
    reach = np.arange(-measure.reach_px, measure.reach_px + 1)[:, np.newaxis]
    ny, nx = exposure.shape
    for batch in batches(y.size, _BATCH // reach.size**2):
        rows, columns = y[batch] + reach, x[batch] + reach
        from_rows, from_columns = np.minimum(rows, ny - 1 - rows), np.minimum(columns, nx - 1 - columns)
        edge_px = np.minimum(from_rows[:, np.newaxis], from_columns)
        at = np.clip(rows, 0, ny - 1)[:, np.newaxis], np.clip(columns, 0, nx - 1)
        electrons = np.where(edge_px < 0, np.float32(0), exposure.electrons[at])
        cleaned = np.float32(0) if exposure.cleaned_variance is None else exposure.cleaned_variance[at]
        values[batch] = measure.of(Patches(electrons, exposure.variance(electrons, cleaned), edge_px))[0, 0]
    return values
