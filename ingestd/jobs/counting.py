"""Counting the pixels of a raw calibration frame, each read once: the whole plane, and every part of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.jobs.parts import Part, parts_of, raw_parts
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, RowReader
from ingestd.pixels.quality import Tally
from ingestd.pixels.steps.overscan import section_samples, without_neighbours
from ingestd.records import Plane, Section

_SAMPLED_ROWS = 64


@dataclass(frozen=True, slots=True)
class CountedPart:
    """A part of a plane: all its pixels, those of the central half in both axes, and the bands of `sampled_rows`.

    ``rows`` are the bands as they were read, empty unless they were asked for.
    """

    part: Part
    all: Tally
    centre: Tally
    rows: list[NDArray[Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CountedPlane:
    """All pixels of a plane without overscan, and its parts; a plane of one part has that part's tally."""

    all: Tally
    parts: tuple[CountedPart, ...]


def count_plane(reader: RowReader, plane: Plane, bayer: str, *, keeps_rows: bool = False) -> CountedPlane:
    """Return the tallies of a raw plane.

    Parameters
    ----------
    reader : RowReader
        The raw plane.
    plane : Plane
    bayer : str
        The pattern by whose colours the plane is divided, empty to leave them together.
    keeps_rows : bool
        Keep the bands of `sampled_rows` of every part.
    """
    offset = float(reader.offset) if reader.is_integer else 0.0
    parts = parts_of(plane, bayer)
    counted = [CountedPart(part, Tally(offset), Tally(offset)) for part in parts]
    whole = counted[0].all if len(parts) == 1 else Tally(offset)
    by_part = {it.part: it for it in counted}
    seen: set[tuple[int, int]] = set()
    for part, row, rows in raw_parts(reader, parts):
        own = by_part[part]
        own.all.add(part.of_section(rows))
        middle = _middle(part)
        inside = rows[max(middle.y0 - row, 0) : max(middle.y1 - row, 0)]
        if inside.size:
            own.centre.add(part.of_section(inside[:, middle.x0 : middle.x1]))
        for band in quality.sampled_rows(part.section.shape) if keeps_rows else ():
            inside = rows[max(band.start - row, 0) : max(band.stop - row, 0)]
            if inside.size:
                own.rows.append(part.of_section(inside).copy())
        if own.all is not whole and (part.amplifier, row) not in seen:
            seen.add((part.amplifier, row))
            whole.add(rows)
    return CountedPlane(whole, tuple(counted))


def _middle(part: Part) -> Section:
    """Return the central half of a part's section, from even rows and columns on where it is one colour."""
    middle = quality.central_section(part.section.shape)
    if part.phase is None:
        return middle
    return Section(middle.y0 - middle.y0 % 2, middle.y1, middle.x0 - middle.x0 % 2, middle.x1)


def overscan_of(reader: RowReader, part: Part, skip_px: int) -> Float32 | None:
    """Return the overscan of an amplifier, shape (rows, columns), without what lies next to its image, or None."""
    if part.overscan is None:
        return None
    return section_samples(reader, without_neighbours(part.overscan, part.section, skip_px))


def sampled_overscan(reader: RowReader, part: Part, skip_px: int) -> Float32 | None:
    """Return some 64 rows of the overscan of an amplifier, spread evenly, or None: enough to tell its level."""
    if part.overscan is None:
        return None
    section = without_neighbours(part.overscan, part.section, skip_px)
    step = max(1, (section.y1 - section.y0) // _SAMPLED_ROWS)
    row = np.empty((1, reader.shape[1]), np.float32)
    samples = []
    for y in range(section.y0, section.y1, step):
        reader.read(y, row)
        samples.append(row[:, section.x0 : section.x1].copy())
    return np.concatenate(samples)
