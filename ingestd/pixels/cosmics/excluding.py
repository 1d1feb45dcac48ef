"""Pixels that are left alone: bad ones and their neighbours, and the surroundings of saturated stars."""

from __future__ import annotations

import numpy as np

from ingestd.pixels.cosmics.bound import median_floor
from ingestd.pixels.cosmics.exposure import ROUNDED_5, UNFLAGGED_PX, Flags, Pixels
from ingestd.pixels.cosmics.loading import Loaded
from ingestd.pixels.cosmics.measures import TYPICAL
from ingestd.pixels.cosmics.patches import CELL_PX, evaluate

_CORE_SHARE = 10.0
"""A saturated pixel is the core of a star if the median around it exceeds this part of the saturation; else a hit."""

_GROWTH_PX = 2
"""A core grows twice by a square of 5 x 5 without its corners, but not into a frame of this width."""

_BAND_ROWS = 64
"""Rows that are looked at together."""


def exclude(loaded: Loaded, mask: Flags | None, saturation_e: np.float32) -> None:
    """Exclude bad pixels, grown by one pixel, and saturated stars, grown by four.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx), or None
        Bad pixels; those that are not finite are added.
    saturation_e : float32
        Electrons. A saturated pixel whose surroundings are dark is no star and stays.
    """
    exposure = loaded.exposure
    for bad in (mask, loaded.invalid):
        if bad is not None:
            _exclude_grown(exposure.excluded, bad)
    cores = _cores(loaded, loaded.saturated(saturation_e), saturation_e)
    if cores.size:
        rims = exposure.neighbours(cores, ROUNDED_5, _GROWTH_PX)
        grown = np.concatenate([cores, rims])
        exposure.excluded.ravel()[grown] = True
        exposure.excluded.ravel()[exposure.neighbours(grown, ROUNDED_5, _GROWTH_PX)] = True


def _exclude_grown(excluded: Flags, bad: Flags) -> None:
    """Exclude bad pixels and their eight neighbours, of the outermost pixels those alone that are bad themselves.

    Bands of rows stay in the caches, and need no list of pixels, which would be long where most are bad.
    """
    for row in range(1, len(bad) - 1, _BAND_ROWS):
        near = bad[row - 1 : row + _BAND_ROWS + 1]
        if near.any():
            tall = near[:-2] | near[1:-1] | near[2:]
            excluded[row - 1 : row - 1 + len(near)] |= near
            excluded[row : row + len(tall), 1:-1] |= tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]


def _cores(loaded: Loaded, saturated: Pixels, saturation_e: np.float32) -> Pixels:
    """Return the saturated pixels whose surroundings are bright; where the median has no full window, all."""
    least = np.float32(float(saturation_e) / _CORE_SHARE)
    y, x = loaded.exposure.rows_and_columns(saturated)
    is_core = median_floor(loaded.lowest)[y // CELL_PX, x // CELL_PX] > least
    is_inside = loaded.exposure.is_inside(y, x, UNFLAGGED_PX)
    unknown = np.flatnonzero(~is_core & is_inside)
    is_core[unknown] = evaluate(loaded.exposure, saturated[unknown], TYPICAL) > least
    return saturated[is_core | ~is_inside]
