"""A night's master against that of the previous night: the same sensor, so what differs is drift, light or damage.

After DESI, which promotes a bias by the largest absolute median of 8 x 40 patches of its difference from another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingestd.pixels.quality.boxes import box_median, box_sample, boxes_of, sampled
from ingestd.pixels.quality.comparison import neighbour_noise
from ingestd.pixels.quality.histogram import Estimate, histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

_DOWN, _ACROSS = 8, 40
_OF_THE_MEDIAN = math.sqrt(math.pi / 2)
_OF_THE_LARGEST = 2.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """By how much two masters differ, as a whole and from patch to patch: in ADU, or for flats as a ratio."""

    level: Estimate
    patches: Estimate


def agree(master: Float32, previous: Float32) -> Agreement:
    """Compare a master bias or dark with that of the previous night.

    Parameters
    ----------
    master, previous : arrays, shape (ny, nx), float32, ADU

    Returns
    -------
    Agreement
        ``level``: median of the difference, with its standard error sqrt(pi / 2) s / sqrt(n). ``patches``: largest
        absolute median of 8 x 40 patches, the level taken off. Its error is twice the standard error of the median of
        a patch: the largest of 320 of them lies at 3 standard errors where there is nothing but noise. s is the noise
        of the difference, measured on vertical neighbours, so that members which both masters share do not count.

    Raises
    ------
    ValueError
        If there are no vertical neighbours with a value in both.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.subtract(master, previous)
    return _agreement(difference, _level(difference))


def agree_flats(flat: Float32, previous: Float32) -> Agreement:
    """Compare a master flat with that of the previous night: their ratio, 1 at its median, 0 taken for agreement.

    Parameters
    ----------
    flat, previous : arrays, shape (ny, nx), float32
        Each 1 at its level. Pixels without a value, and those set to 1 because they are dead, are a few among many.

    Returns
    -------
    Agreement
        As of `agree`, in parts of the flat; ``level`` is the median of the ratio less 1.

    Raises
    ------
    ValueError
        As `agree`, or if that median is not positive.
    """
    with np.errstate(all="ignore"):
        ratio = np.divide(flat, previous)
        level = _level(ratio)
        if not level.value > 0:
            raise ValueError(f"the median of one flat over the other is {level.value:g}: one of them has no light")
        ratio /= np.float32(level.value)
    ratio -= 1
    return Agreement(Estimate(level.value - 1, level.error), _agreement(ratio, Estimate(0.0, None)).patches)


def level_from_previous_adu(agreement: Agreement) -> Estimate:
    """Return the median over pixels of a master minus that of the previous night, ADU."""
    return agreement.level


def patches_from_previous_adu(agreement: Agreement) -> Estimate:
    """Return the largest absolute median of 8 x 40 patches of a master minus that of the previous night, ADU."""
    return agreement.patches


def patches_from_previous_ratio(agreement: Agreement) -> Estimate:
    """Return the largest deviation from 1 of the medians of 8 x 40 patches of a flat over the previous night's."""
    return agreement.patches


def _level(image: Float32) -> Estimate:
    """Return the median of an image."""
    sample = image[sampled(image.shape)]
    return histogram(sample[np.isfinite(sample)]).median()


def _agreement(difference: Float32, level: Estimate) -> Agreement:
    """Return what a difference amounts to."""
    places = list(boxes_of(difference.shape, _DOWN, _ACROSS))
    medians = np.array([box_median(difference[place]) for place in places], np.float64)
    off = np.abs(medians[np.isfinite(medians)] - level.value)
    if not off.size:
        raise ValueError("no patch with a finite pixel")
    noise = neighbour_noise(difference, 0.0)
    fewest = min(difference[place][box_sample(difference[place].shape)].size for place in places)
    error = _OF_THE_LARGEST * _OF_THE_MEDIAN * noise.value / math.sqrt(fewest)
    return Agreement(level, Estimate(float(off.max()), error))
