"""The parts of a plane that are measured by themselves: its amplifiers, and the colours of a Bayer mosaic in each.

A part of the raw plane or of the image without overscan is a view: every row and column of an amplifier, or every
second one for a colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.blocks import RowReader
from ingestd.pixels.quality import Estimate
from ingestd.pixels.steps import Cells
from ingestd.records import Plane, Section

_BLOCK_ROWS = 64
_BAYER = 2


@dataclass(frozen=True, slots=True)
class Part:
    """An amplifier of a plane, or one colour in it.

    Attributes
    ----------
    name : str
        As the channel of a figure; empty for a plane that is one part.
    amplifier : int
        Its position among the amplifiers of the plane.
    section, place : Section
        The amplifier's part of the raw plane, and of the image without overscan.
    overscan : Section or None
        Of the raw plane.
    phase : (int, int) or None
        Row and column of the first pixel of the colour in the section; None for all colours.
    """

    name: str
    amplifier: int
    section: Section
    place: Section
    overscan: Section | None
    phase: tuple[int, int] | None = None

    def of_section(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the part's pixels of consecutive rows of its section, from an even row of it on."""
        return rows if self.phase is None else rows[self.phase[0] :: _BAYER, self.phase[1] :: _BAYER]

    def of_image(self, first_row: int, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the part's pixels of consecutive rows of the image without overscan; perhaps none."""
        y0, x0, step = self.place.y0, self.place.x0, 1
        start, end = max(y0, first_row), max(min(self.place.y1, first_row + len(rows)), first_row)
        if self.phase is not None:
            start += (y0 + self.phase[0] - start) % _BAYER
            x0, step = x0 + self.phase[1], _BAYER
        return rows[start - first_row : end - first_row : step, x0 : self.place.x1 : step]

    @property
    def cells(self) -> Cells:
        """The rows and the columns of the part in the image without overscan."""
        (row, column), step = self.phase or (0, 0), 1 if self.phase is None else _BAYER
        place = self.place
        return slice(place.y0 + row, place.y1, step), slice(place.x0 + column, place.x1, step)


def amplifiers_of(plane: Plane) -> tuple[Part, ...]:
    """Return the amplifiers of a plane: one without a name, or its channels."""
    if plane.channels:
        return tuple(
            Part(channel.name, number, channel.section, plane.place_of(channel), channel.overscan)
            for number, channel in enumerate(plane.channels)
        )
    section = plane.trim or Section(0, plane.shape[0], 0, plane.shape[1])
    rows, columns = section.shape
    return (Part("", 0, section, Section(0, rows, 0, columns), plane.overscan),)


def parts_of(plane: Plane, bayer: str) -> tuple[Part, ...]:
    """Return the parts of a plane: its amplifiers, each divided by colour where the plane is a Bayer mosaic.

    Parameters
    ----------
    plane : Plane
    bayer : str
        The four colours from the first pixel of the raw plane: row 0, then row 1; empty without a mosaic.

    Returns
    -------
    tuple of Part
        Colours are R, Gr (green in the rows of red), Gb and B.
    """
    amplifiers = amplifiers_of(plane)
    if not is_mosaic(bayer):
        return amplifiers
    return tuple(
        replace(
            part,
            name=f"{part.name} {colour}".strip(),
            phase=((row - part.section.y0) % _BAYER, (column - part.section.x0) % _BAYER),
        )
        for part in amplifiers
        for colour, row, column in _colours(bayer)
    )


def is_mosaic(bayer: str) -> bool:
    """Return whether the text names the colours of a Bayer mosaic."""
    return sorted(bayer) == sorted("RGGB")


def disagreement(words: str, offset_adu: float | None, noise_adu: float | None, part: Part, label: int | None) -> str:
    """Return a sentence where a level is off by more than the read noise of a pixel, else an empty text.

    Parameters
    ----------
    words : str
        What is off, with a place for the number.
    offset_adu, noise_adu : float or None
        None if unknown: then nothing is said.
    part : Part
        The amplifier.
    label : int or None
        HDU number of its plane, where there are several.
    """
    if offset_adu is None or noise_adu is None or abs(offset_adu) <= noise_adu:
        return ""
    where = f" (amplifier {part.name})" if part.name else "" if label is None else f" (HDU {label})"
    return f"{words.format(offset_adu)}, read noise {noise_adu:.1f} ADU{where}"


def _colours(bayer: str) -> list[tuple[str, int, int]]:
    """Return the colours with their row and column, red first; a green is named after the other colour of its row."""
    found = []
    for position, letter in enumerate(bayer):
        row, column = divmod(position, _BAYER)
        beside = bayer[_BAYER * row + 1 - column]
        found.append((f"G{beside.lower()}" if letter == "G" else letter, row, column))
    return sorted(found, key=lambda colour: ("R", "Gr", "Gb", "B").index(colour[0]))


# --- raw rows ---------------------------------------------------------------------------------------------------------


def raw_parts(reader: RowReader, parts: Sequence[Part]) -> Iterator[tuple[Part, int, NDArray[Any]]]:
    """Yield each part with consecutive rows of its section, from an even row on, as they were read; no row twice.

    Yields
    ------
    part : Part
    first_row : int
        Of the section.
    rows : ndarray, shape (rows, columns of the section)
        Native integers where the samples are; blocks of even height but the last.
    """
    for y0, y1 in sorted({(part.section.y0, part.section.y1) for part in parts}):
        own = [part for part in parts if (part.section.y0, part.section.y1) == (y0, y1)]
        for first in range(y0, y1, _BLOCK_ROWS):
            rows = raw_rows(reader, first, min(y1, first + _BLOCK_ROWS))
            for part in own:
                yield part, first - y0, rows[:, part.section.x0 : part.section.x1]


def raw_bands(reader: RowReader, section: Section, bands: Sequence[slice]) -> NDArray[Any]:
    """Return bands of rows of a section (row numbers of the section), native integers where the samples are."""
    columns = slice(section.x0, section.x1)
    return np.concatenate(
        [raw_rows(reader, section.y0 + band.start, section.y0 + band.stop)[:, columns] for band in bands]
    )


def raw_rows(reader: RowReader, first: int, end: int) -> NDArray[Any]:
    """Return whole rows of a raw plane, native integers where the samples are."""
    out: NDArray[Any] = np.empty((end - first, reader.shape[1]), reader.dtype)
    if reader.is_integer:
        reader.read_raw(first, out)
    else:
        reader.read(first, out)
    return out


# --- figures of several parts -----------------------------------------------------------------------------------------


def mean_level(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of the levels of parts, its error propagated from theirs (they differ by nature)."""
    value = math.fsum(estimate.value for estimate in estimates) / len(estimates)
    error = math.sqrt(math.fsum((estimate.error or 0.0) ** 2 for estimate in estimates)) / len(estimates)
    return Estimate(value, error)


def mean_noise(estimates: Sequence[Estimate]) -> Estimate:
    """Return the root mean square of the noises of parts, its error propagated from theirs."""
    squares = math.fsum(estimate.value**2 for estimate in estimates)
    value = math.sqrt(squares / len(estimates))
    spread = math.sqrt(math.fsum((estimate.value * (estimate.error or 0.0)) ** 2 for estimate in estimates))
    return Estimate(value, spread / (len(estimates) * value) if value > 0 else None)
