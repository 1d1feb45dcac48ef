"""Pixels that are not to be trusted: noisy ones in biases, dead and low ones in flats (hot ones: `darks`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ingestd.pixels.quality.boxes import box_median
from ingestd.pixels.quality.histogram import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Flags = NDArray[np.bool_]

_BOX_PX = 32
_SAMPLED = 2
_SAMPLES = 1 << 20
_MAD_TO_SIGMA = 1.4826


def noisy_pixel_map(scatter: Float32, frames: int, noisy_sigma: float, step_adu: float) -> Flags:
    """Return where the noise of a pixel exceeds the median by more than ``noisy_sigma`` robust standard deviations.

    Parameters
    ----------
    scatter : array, shape (ny, nx), float32, ADU
        Standard deviation (ddof = 1) of each pixel over a stack of biases, of one amplifier.
    frames : int
        How many frames are in the stack.
    noisy_sigma : float
        The setting ``masters.noisy_sigma``.
    step_adu : float
        Step of the converter.

    Returns
    -------
    array of bool, shape (ny, nx)
        A pixel whose scatter is unknown is not noisy.

    Notes
    -----
    The robust standard deviation of the scatter is 1.4826 MAD, and not less than what noise alone gives, median /
    sqrt(2 (frames - 1)): where the converter is coarse many pixels share one value. Nor is a pixel noisy whose samples
    lie on two neighbouring steps. Median and MAD are those of about a million pixels. LCO: more than 10 standard
    deviations from the median. Of normal noise the share Q((frames - 1) limit^2 / sigma^2) is beyond the limit, Q that
    of chi-square with frames - 1 degrees of freedom.
    """
    step = max(1, math.isqrt(scatter.size // _SAMPLES))
    known = scatter[::step, ::step]
    known = known[np.isfinite(known)].astype(np.float64)
    if not known.size:
        return np.zeros(scatter.shape, np.bool_)
    centre = float(np.median(known))
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(known - centre)))
    least = centre / math.sqrt(2 * max(frames - 1, 1))
    limit = min(max(centre + noisy_sigma * max(spread, least), step_adu), float(np.finfo(np.float32).max))
    noisy: Flags = (scatter > limit) & np.isfinite(scatter)
    return noisy


def low_pixel_map(flat: Float32, low: float) -> Flags:
    """Return where the response of a pixel is below a share of the median of its surroundings.

    Parameters
    ----------
    flat : array, shape (ny, nx), float32
        Of one amplifier, and one colour of a mosaic.
    low : float
        The setting ``masters.flat_low``; 0 finds nothing.

    Returns
    -------
    array of bool, shape (ny, nx)

    Notes
    -----
    The surroundings are boxes of 32 x 32 pixels, so that vignetting and the shadows of dust are not called defects.
    Rubin takes 0.8. Of pixels with the relative noise s the share Phi((low - 1) / s) is found for nothing.
    """
    ny, nx = flat.shape
    found = np.empty(flat.shape, np.bool_)
    for y0 in range(0, ny, _BOX_PX):
        medians = _box_medians(flat[max(min(y0, ny - _BOX_PX), 0) : y0 + _BOX_PX])
        limits = np.repeat(np.float32(low) * medians, _BOX_PX)[:nx]
        np.less(flat[y0 : y0 + _BOX_PX], limits, out=found[y0 : y0 + _BOX_PX])
    return found


def _box_medians(band: Float32) -> Float32:
    """Return the medians of the boxes of a band of rows, from every second row and column; the last box is whole."""
    sampled = band[::_SAMPLED]
    whole, rest = divmod(band.shape[1], _BOX_PX)
    medians: list[np.float32] = []
    if whole:
        boxes = sampled[:, : whole * _BOX_PX].reshape(len(sampled), whole, _BOX_PX)
        with np.errstate(over="ignore"):
            medians += np.median(boxes[:, :, ::_SAMPLED], axis=(0, 2)).tolist()
    if rest:
        medians.append(np.median(sampled[:, -_BOX_PX::_SAMPLED]))
    for number in np.flatnonzero(~np.isfinite(medians)):
        first = max(min(number * _BOX_PX, band.shape[1] - _BOX_PX), 0)
        medians[number] = box_median(sampled[:, first : first + _BOX_PX : _SAMPLED])
    return np.array(medians, np.float32)


def noisy_pixels(noisy: Flags) -> Estimate:
    """Return the number of noisy pixels: see `noisy_pixel_map` (a count, no error)."""
    return Estimate(float(np.count_nonzero(noisy)), None)


def dead_pixels(dead: Flags) -> Estimate:
    """Return the number of pixels of a flat at or below ``masters.flat_floor`` of its level (a count, no error)."""
    return Estimate(float(np.count_nonzero(dead)), None)


def low_pixels(low: Flags) -> Estimate:
    """Return the number of low pixels that are not dead: see `low_pixel_map` (a count, no error)."""
    return Estimate(float(np.count_nonzero(low)), None)
