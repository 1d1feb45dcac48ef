"""Sections of an image as headers and settings write them, and the overscan that can be used for an image."""

from __future__ import annotations

import re

from ingestd.records import Section

_SECTION = re.compile(r"\[?\s*(\d{1,9})\s*:\s*(\d{1,9})\s*,\s*(\d{1,9})\s*:\s*(\d{1,9})\s*\]?", re.ASCII)
_SHORT_ROWS = 4


def parse_section(words: str) -> Section | None:
    """Return a section '[x1:x2,y1:y2]' (FITS: one-based, inclusive, x first) zero-based and half-open, or None.

    A reversed range counts from the other side and covers the same pixels. None for UNKNOWN, '[0:0,0:0]' and the like.
    """
    found = _SECTION.fullmatch(words.strip())
    if found is None:
        return None
    x0, x1 = sorted((int(found[1]), int(found[2])))
    y0, y1 = sorted((int(found[3]), int(found[4])))
    if x0 < 1 or y0 < 1:
        return None
    return Section(y0 - 1, y1, x0 - 1, x1)


def is_reversed(words: str) -> bool:
    """Return whether a section counts backwards along an axis: the image is mirrored."""
    found = _SECTION.fullmatch(words.strip())
    return found is not None and (int(found[1]) > int(found[2]) or int(found[3]) > int(found[4]))


def fitted_overscan(section: Section, image: Section, origin: str, notes: list[str]) -> Section | None:
    """Return the overscan as it serves an image, or None with a note.

    Columns a few rows short of the image are completed, because columns are read with every row. A section that covers
    fewer rows (a corner), or lies above or below the image, gives one level for all rows.

    Parameters
    ----------
    section : Section
        The overscan as it was stated, inside the array.
    image : Section
        What it serves.
    origin : str
        Where it was stated, for notes.
    notes : list of str
        Takes a sentence on what was changed or refused.
    """
    shares_columns = section.x0 < image.x1 and image.x0 < section.x1
    shares_rows = section.y0 < image.y1 and image.y0 < section.y1
    if shares_columns and shares_rows:
        notes.append(f"{origin} shares columns with the useful part and is not used")
        return None
    if shares_columns:
        notes.append(f"{origin} lies above or below the useful part: one level serves all rows")
        return section
    rows = image.y1 - image.y0
    missing = max(0, section.y0 - image.y0) + max(0, image.y1 - section.y1)
    if missing > _SHORT_ROWS:
        notes.append(f"{origin} covers only {max(0, rows - missing)} of {rows} rows: one level serves all rows")
        return section
    if missing:
        notes.append(f"{origin} is {missing} row(s) short of the useful part: completed")
    return Section(min(section.y0, image.y0), max(section.y1, image.y1), section.x0, section.x1)
