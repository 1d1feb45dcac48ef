"""A file as it was found: its stamp and its headers, parsed without touching the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CardValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What ``fstat`` said of a file: equal stamps mean an unchanged file."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class HeaderUnit:
    """One header of a FITS file, parsed without touching the data.

    ``cards`` maps upper-case keywords to typed values (first occurrence wins); ``comments`` holds the texts of COMMENT
    and HISTORY cards and of value comments that name a program; ``data_offset`` and ``data_bytes`` locate the data
    unit (unpadded) in the uncompressed byte stream.
    """

    index: int
    cards: Mapping[str, CardValue]
    comments: tuple[str, ...]
    data_offset: int
    data_bytes: int


@dataclass(frozen=True, slots=True)
class FileHeader:
    """All headers of a file. ``implied_bytes`` is the padded length that they imply, uncompressed."""

    units: tuple[HeaderUnit, ...]
    container: Literal["plain", "gzip"]
    stamp: FileStamp
    implied_bytes: int
