"""The level of a flat frame and the normalisation of a master flat.

A level is the median of the central region, or its mode where something covers so much of it that the median leans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.records import MaskBit, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ingestd.pixels.blocks import Float32, Float64, Mask, RowReader

MODE_SHARE = 0.1
"""The mode is the mean of the shortest interval that holds this share of the samples."""

_MAX_SAMPLES = 1 << 18
"""The median of so many samples is good to 1.25 sigma / 512: 0.0025 % for pixels with 1 % noise."""


@dataclass(frozen=True, slots=True)
class NormalisedFlat:
    """A flat with the level 1, arrays of shape (ny, nx): ``flat`` and ``error`` float32, ``mask`` uint8.

    ``level`` is what the mean was divided by.
    """

    flat: Float32
    error: Float32
    mask: Mask
    level: float


Cells = tuple[slice, slice]
"""Rows and columns of a part of an image: an amplifier, or with a step of 2 one colour of a Bayer mosaic."""


def flat_level(reader: RowReader, cells: Cells | None = None, normalise: str = "median") -> float:
    """Return the level of a flat frame: median or mode of every k-th row and column of its central region.

    The region is the middle half of each axis, which leaves out edges and vignetting. k is odd, so that the four
    colours of a Bayer mosaic are equally represented, and the smallest that leaves at most 2**18 samples.

    Parameters
    ----------
    reader : RowReader
        A frame without its pedestal.
    cells : (slice, slice), optional
        The part of the frame that is meant, by default all of it; its region is the middle of the part.
    normalise : str
        ``median`` or ``mode``.

    Returns
    -------
    float
        In the unit of the reader; NaN samples are left out, NaN if nothing remains.
    """
    rows, columns = (range(size)[part] for size, part in zip(reader.shape, cells or (slice(None),) * 2, strict=True))
    region, step = _sampling((len(rows), len(columns)))
    chosen = columns[region.x0 : region.x1 : step]
    row = np.empty((1, reader.shape[1]), np.float32)
    samples = []
    for y in rows[region.y0 : region.y1 : step]:
        reader.read(y, row)
        samples.append(row[0, chosen.start : chosen.stop : chosen.step].copy())
    return _level_of(np.concatenate(samples), normalise)


class EvenedReader:
    """Rows of a flat frame whose parts, each with its own level, are scaled to the level 1.

    Parameters
    ----------
    reader : RowReader
        The frame without its pedestal.
    levels : sequence of ((slice, slice), float)
        The cells of each part and its level.
    """

    is_integer = False
    offset = 0
    dtype: np.dtype[Any] = np.dtype(np.float32)

    def __init__(self, reader: RowReader, levels: Sequence[tuple[Cells, float]]) -> None:
        self._reader = reader
        self._scales = [(cells, np.float32(1.0 / level)) for cells, level in levels]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._reader.shape

    def read_raw(self, first_row: int, out: NDArray[Any]) -> None:
        """Raise TypeError: scaled rows are not integers."""
        raise TypeError(f"scaled rows have no raw samples (rows {first_row} to {first_row + len(out)} asked for)")

    def read(self, first_row: int, out: Float32) -> None:
        """Fill ``out``, shape (rows, nx), float32, with the scaled values."""
        self._reader.read(first_row, out)
        for (rows, columns), scale in self._scales:
            own = range(*rows.indices(self.shape[0]))
            start = max(own.start, first_row)
            start += (own.start - start) % own.step
            out[start - first_row : max(own.stop - first_row, 0) : own.step, columns] *= scale


def normalise_flat(mean: Float32, error: Float32, floor: float, normalise: str = "median") -> NormalisedFlat:
    """Return a combined flat divided by its level; dead pixels become 1 and are masked.

    Parameters
    ----------
    mean, error : ndarray, shape (ny, nx), float32
        The combined frames and their standard error, in any unit.
    floor : float
        A pixel whose response is at or below this fraction of the level, or unknown, is dead.
    normalise : str
        ``median`` or ``mode``: the level, as of `flat_level`.

    Returns
    -------
    NormalisedFlat
        A dead pixel has flat 1, error 0 and the bit BAD.

    Raises
    ------
    ValueError
        If the level is not finite and positive: that is no flat.
    """
    level = central_level(mean, normalise)
    if not (np.isfinite(level) and level > 0):
        raise ValueError(f"the level of the flat is {level:g}: nothing to divide by")
    flat = mean / np.float32(level)
    scaled_error = error / np.float32(level)
    dead = ~(flat > floor) | ~np.isfinite(flat)
    flat[dead] = 1
    scaled_error[dead] = 0
    return NormalisedFlat(flat, scaled_error, dead.astype(np.uint8) * np.uint8(MaskBit.BAD), level)


def central_level(image: Float32, normalise: str) -> float:
    """Return the level of an image, shape (ny, nx), as `flat_level` has it; NaN if nothing in its middle is finite."""
    region, step = _sampling(image.shape)
    return _level_of(image[region.y0 : region.y1 : step, region.x0 : region.x1 : step].ravel(), normalise)


def _sampling(shape: tuple[int, ...]) -> tuple[Section, int]:
    """Return the central region of an image and the odd step that leaves few enough samples."""
    ny, nx = shape
    region = Section(ny // 4, ny - ny // 4, nx // 4, nx - nx // 4)
    rows, columns = region.shape
    step = 1
    while -(-rows // step) * -(-columns // step) > _MAX_SAMPLES:
        step += 2
    return region, step


def _level_of(samples: Float32, normalise: str) -> float:
    """Return median or mode of the finite samples, or NaN."""
    finite = samples[np.isfinite(samples)].astype(np.float64)
    if not finite.size:
        return float("nan")
    return float(np.median(finite)) if normalise == "median" else _mode(finite)


def _mode(samples: Float64) -> float:
    """Return the mean of the shortest interval that holds a tenth of the samples; of equal ones the lowest."""
    ordered = np.sort(samples)
    inside = max(1, round(MODE_SHARE * len(ordered)))
    first = int(np.argmin(ordered[inside - 1 :] - ordered[: len(ordered) - inside + 1]))
    return float(ordered[first : first + inside].mean())
