"""The bias level of a frame from its own overscan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingestd.records import Section

if TYPE_CHECKING:
    from ingestd.pixels.blocks import Float32, RowReader

_CHUNK_ROWS = 64


@dataclass(frozen=True, slots=True)
class Overscan:
    """How the bias level of a row is found.

    If the section spans the rows of the image, it is the median of the row's overscan columns, ``columns``. If not (it
    is a row short, only a corner, or lies above the image), all rows share ``level``, the median of the section: a row
    without overscan of its own cannot follow a drift along the columns, and a step between rows with and without one
    would be worse than either.
    """

    columns: slice
    level: float | None

    def levels(self, frame: Float32) -> float | Float32:
        """Return the bias level of raw rows, shape (rows, frame width): one number, or a column of shape (rows, 1)."""
        return row_medians(frame[:, self.columns]) if self.level is None else self.level


def measure_overscan(reader: RowReader, section: Section, image: Section, skip_px: int) -> Overscan:
    """Return the overscan of a frame.

    Parameters
    ----------
    reader : RowReader
        The raw plane.
    section : Section
        Its overscan.
    image : Section
        The part that will be kept.
    skip_px : int
        Columns (rows, if the section lies above or below the image) next to the image that are left out because they
        hold charge of the image that came late; at most half of the section.

    Returns
    -------
    Overscan
        Its level is NaN if the section holds no value.
    """
    used = without_neighbours(section, image, skip_px)
    if used.y0 <= image.y0 and used.y1 >= image.y1:
        return Overscan(slice(used.x0, used.x1), None)
    return Overscan(slice(used.x0, used.x1), _section_median(reader, used))


def without_neighbours(section: Section, image: Section, skip_px: int) -> Section:
    """Return the section without the columns or rows that lie next to the image."""
    columns = min(skip_px, (section.x1 - section.x0) // 2)
    rows = min(skip_px, (section.y1 - section.y0) // 2)
    if section.x0 >= image.x1:
        return Section(section.y0, section.y1, section.x0 + columns, section.x1)
    if section.x1 <= image.x0:
        return Section(section.y0, section.y1, section.x0, section.x1 - columns)
    if section.y0 >= image.y1:
        return Section(section.y0 + rows, section.y1, section.x0, section.x1)
    if section.y1 <= image.y0:
        return Section(section.y0, section.y1 - rows, section.x0, section.x1)
    return section


def row_medians(samples: Float32) -> Float32:
    """Return the median of each row, shape (rows, 1), without its NaN; NaN for a row of nothing else."""
    ordered = np.sort(samples, axis=1)
    width = ordered.shape[1]
    if not np.isnan(ordered[:, -1]).any():
        middle: Float32 = (ordered[:, (width - 1) // 2] + ordered[:, width // 2]) * np.float32(0.5)
        return middle[:, np.newaxis]
    count = width - np.isnan(ordered).sum(axis=1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, width - 1), axis=1)
    some: Float32 = (low + high) * np.float32(0.5)
    return some


def _section_median(reader: RowReader, section: Section) -> float:
    """Return the median of a section of a plane without its NaN."""
    rows, columns = section.shape
    samples = np.empty((rows, columns), np.float32)
    buffer = np.empty((min(rows, _CHUNK_ROWS), reader.shape[1]), np.float32)
    for start in range(0, rows, _CHUNK_ROWS):
        chunk = buffer[: min(_CHUNK_ROWS, rows - start)]
        reader.read(section.y0 + start, chunk)
        samples[start : start + len(chunk)] = chunk[:, section.x0 : section.x1]
    return float(row_medians(samples.reshape(1, -1))[0, 0])
