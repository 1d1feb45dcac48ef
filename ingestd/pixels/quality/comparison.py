"""A frame against a master: what is left when the master is taken away tells light, another gain or another pattern.

The level of a bias drifts by more than its noise from night to night, lamps fade, and a sky is not as even as a screen.
So the common offset (of a flat: whatever is smooth) is taken out before pixels are counted as outliers, and stands
beside their number as a figure of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingestd.pixels.quality.boxes import box_median, boxes_of, colours, sampled
from ingestd.pixels.quality.histogram import Estimate, histogram
from ingestd.pixels.quality.noise import mean_variance
from ingestd.records import MaskBit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Mask = NDArray[np.uint8]

_BLOCK_ROWS = 64
_BOXES = 8
_FLAT_BOXES = 16
_OWN_STRUCTURE = 0.2
_WORTHLESS = np.uint8(MaskBit.BAD | MaskBit.NO_DATA)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a frame and a master differ by, ADU; None where it cannot be measured, of a flat all but the outliers."""

    offset: Estimate | None
    structure: Estimate | None
    noise: Estimate | None
    outliers: Estimate


def compare(
    frame: Float32, master: Float32, error: Float32 | None, *, members: int, sigma: float, step_adu: float
) -> Comparison:
    """Compare a bias or a dark with the master of an earlier night.

    Parameters
    ----------
    frame : array, shape (ny, nx), float32, ADU
        Corrected for overscan as the members of the master were. It is overwritten.
    master, error : arrays, shape (ny, nx), float32, ADU
        Mean and standard error of its members; None where there was one member only.
    members : int
        How many frames the master is made of.
    sigma : float
        From how many combined standard deviations on a pixel is an outlier.
    step_adu : float
        Step of the converter: no noise is below step / sqrt(12).

    Raises
    ------
    ValueError
        If no pixel is finite in both.

    Notes
    -----
    The combined variance of a pixel is that of one frame, s^2, plus the square of the master's error. s^2 is the
    clipped variance of the difference over 1 + 1 / members: a master of equal frames has its share in it (and, where it
    tells no error, s^2 / members is its own). So a noisy frame has no more outliers than another; its noise is a figure
    of its own.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.subtract(frame, master, out=frame)
    sample = histogram(difference[sampled(difference.shape)])
    offset = sample.median()
    _, spread, _ = sample.clipped()
    one_frame = max(spread / math.sqrt(1.0 + 1.0 / members), step_adu / math.sqrt(12.0))
    if error is None:
        error = np.full((1, 1), one_frame / math.sqrt(members), np.float64)
    return Comparison(
        offset,
        _structure(difference, master),
        _noise(difference, step_adu),
        _outliers(difference, offset.value, one_frame, error, sigma),
    )


def compare_flat(
    frame: Float32,
    master: Float32,
    error: Float32 | None,
    mask: Mask | None,
    *,
    members: int,
    level_ratio: float,
    is_mosaic: bool,
    sigma: float,
) -> Comparison:
    """Compare a flat with the master of an earlier night: pixel by pixel, whatever is smooth left out.

    Parameters
    ----------
    frame : array, shape (ny, nx), float32
        Without its pedestal, in any unit. It is overwritten.
    master, error : arrays, shape (ny, nx), float32
        The master flat, 1 at its level, and its standard error.
    mask : array, shape (ny, nx), uint8, or None
        Pixels that are bad in the master are no outliers.
    members : int
        How many frames the master is made of.
    level_ratio : float
        Level of the members of the master over that of the frame.
    is_mosaic : bool
        Rows and columns take turns in colour (Bayer).
    sigma : float
        From how many combined standard deviations on a pixel is an outlier.

    Raises
    ------
    ValueError
        If no pixel is finite in both, or the master has no error.

    Notes
    -----
    The ratio of both is divided by its median in each of 16 x 16 boxes (for each colour): lamps, twilight and the angle
    of a screen change what is smooth, and are none of the sensor's business. The noise of one frame is that of the
    members, mean over pixels of members x error^2 (`mean_variance`), which goes with the root of the level ratio: it is
    counting noise. What clipping costs is in the errors of the master: of 3 members the noise is 12 % too large, of 5
    6 %, of 10 1 %. A single member tells none; then it is the clipped scatter of what remains.
    """
    with np.errstate(all="ignore"):
        ratio = np.divide(frame, master, out=frame)
        for colour in colours(ratio) if is_mosaic else (ratio,):
            for box in boxes_of(colour.shape, _FLAT_BOXES):
                colour[box] /= box_median(colour[box])
    ratio -= 1
    if mask is not None:
        ratio[(mask & _WORTHLESS) > 0] = 0
    if members > 1 and error is not None:
        sample = error[sampled(error.shape)].astype(np.float64).reshape(-1)
        one_frame = math.sqrt(mean_variance(members * sample * sample, members - 1)[0] * level_ratio)
    else:
        one_frame = histogram(ratio[sampled(ratio.shape)]).clipped()[1]
        error = np.zeros((1, 1), np.float32)
    return Comparison(None, None, None, _outliers(ratio, 0.0, one_frame, error, sigma))


def offset_from_master_adu(comparison: Comparison) -> Estimate:
    """Return the median over pixels of frame minus master, ADU; these three raise ValueError where it is unknown."""
    return _known(comparison.offset)


def structure_from_master_adu(comparison: Comparison) -> Estimate:
    """Return by how much frame minus master is uneven: range of the medians of 8 x 8 boxes, ADU.

    A fifth of the range of the master itself is taken off: within half a degree dark current and glow change by so
    much.
    """
    return _known(comparison.structure)


def noise_from_master_adu(comparison: Comparison) -> Estimate:
    """Return the noise of one pixel in frame minus master: differences of vertical neighbours, clipped, over sqrt(2).

    Without the step of the converter; the master has its share in it.
    """
    return _known(comparison.noise)


def outlier_pixels(comparison: Comparison) -> Estimate:
    """Return how many pixels are too far from the master (a count, no error)."""
    return comparison.outliers


def _outliers(difference: Float32, centre: float, noise: float, error: Float32, sigma: float) -> Estimate:
    """Return how many pixels are further from the centre than so many combined standard deviations; NaN is not."""
    count = 0
    for first in range(0, len(difference), _BLOCK_ROWS):
        rows = slice(first, first + _BLOCK_ROWS)
        distance = np.subtract(difference[rows], centre, dtype=np.float64)  # the square of a float32 may be none
        errors = np.nan_to_num(error[rows] if len(error) > 1 else error).astype(np.float64)
        limit = sigma**2 * (errors * errors + noise**2)
        count += int(np.count_nonzero(distance * distance >= limit))
    return Estimate(float(count), None)


def neighbour_noise(difference: Float32, step_adu: float) -> Estimate:
    """Return the noise of one pixel from its vertical neighbour, so that what is smooth does not count."""
    rows = difference[: len(difference) // 2 * 2]
    _, columns = sampled(difference.shape)
    with np.errstate(invalid="ignore"):
        pairs = np.subtract(rows[1::2, columns], rows[::2, columns], dtype=np.float64)
    _, spread, number = histogram(pairs).clipped()
    noise = math.sqrt(max(0.5 * spread * spread - step_adu * step_adu / 12.0, 0.0))
    return Estimate(noise, spread / math.sqrt(4.0 * number))


def _known(estimate: Estimate | None) -> Estimate:
    """Return a figure that was measured."""
    if estimate is None:
        raise ValueError("too few finite pixels in the difference from the master")
    return estimate


def _noise(difference: Float32, step_adu: float) -> Estimate | None:
    """Return the noise of one pixel, or None where no vertical neighbours have a value."""
    try:
        return neighbour_noise(difference, step_adu)
    except ValueError:
        return None


def _structure(difference: Float32, master: Float32) -> Estimate | None:
    """Return the range of the medians of boxes beyond what the master's own explains, or None without any median."""
    ranges = []
    for image in (difference, master):
        medians = np.array([box_median(image[box]) for box in boxes_of(image.shape, _BOXES)], np.float64)
        medians = medians[np.isfinite(medians)]
        if not medians.size:
            return None
        ranges.append(float(np.ptp(medians)))
    return Estimate(max(ranges[0] - _OWN_STRUCTURE * ranges[1], 0.0), None)
