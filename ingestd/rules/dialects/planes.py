"""The planes of a file: one per image unit, each with its sections, gain and read noise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from ingestd.records import CardValue, FileHeader, HeaderUnit, Plane, Section
from ingestd.rules.dialects.fields import Cards, number, text
from ingestd.rules.dialects.table import AUXILIARY_PLANES

_SECTION = re.compile(r"\[?\s*(\d{1,9})\s*:\s*(\d{1,9})\s*,\s*(\d{1,9})\s*:\s*(\d{1,9})\s*\]?", re.ASCII)
_MAX_SIDE = 1 << 31
_MAX_AXES = 99
_AXES = 2
_SHORT_ROWS = 4
_NUMBERS = re.compile(r"[+-]?\d{1,20}(?:\.\d{0,20})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


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


@dataclass(frozen=True, slots=True)
class Detector:
    """What applies to every plane of a file.

    Attributes
    ----------
    gain_keywords, noise_keywords : tuple of str
        Cards of e-/ADU and of the read noise in electrons, looked for in each plane first.
    gain_e_per_adu, read_noise_e : float or None
        Values of the settings, which go before any card.
    overscan_section, trim_section : str or None
        Sections of the settings, which go before any card.
    """

    gain_keywords: tuple[str, ...]
    noise_keywords: tuple[str, ...]
    gain_e_per_adu: float | None
    read_noise_e: float | None
    overscan_section: str | None
    trim_section: str | None


@dataclass(frozen=True, slots=True)
class Image:
    """An image unit before its sections are read: shape without axes of length 1, None if that is not two axes."""

    unit: HeaderUnit
    axes: tuple[int, ...]
    encoding: Literal["raw", "tile"]

    @property
    def is_plane(self) -> bool:
        """Whether two axes with pixels remain."""
        return len(self.axes) == _AXES


def find_images(header: FileHeader) -> tuple[Image, ...]:
    """Return every unit that holds pixels of an image, cubes and spectra too; tables and groups are none."""
    images = []
    for unit in header.units:
        image = _image(unit)
        if image is not None:
            images.append(image)
    return tuple(images)


def _image(unit: HeaderUnit) -> Image | None:
    """Return the image of a unit, or None."""
    cards = unit.cards
    tile = cards.get("ZIMAGE") is True
    prefix = "Z" if tile else ""
    kind = text(cards.get("XTENSION")).upper()
    if not tile and kind not in {"", "IMAGE", "IUEIMAGE"}:
        return None
    axes = _axes(cards, prefix)
    if not axes or 0 in axes or cards.get("GROUPS") is True:
        return None
    long_axes = axes
    while len(long_axes) > _AXES and long_axes[0] == 1:
        long_axes = long_axes[1:]
    return Image(unit, long_axes, "tile" if tile else "raw")


def _axes(cards: Cards, prefix: str) -> tuple[int, ...]:
    """Return the lengths of the axes, slowest first; empty if a length is missing or impossible."""
    count = cards.get(f"{prefix}NAXIS")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= _MAX_AXES:
        return ()
    lengths = []
    for axis in range(count, 0, -1):
        length = cards.get(f"{prefix}NAXIS{axis}")
        if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length < _MAX_SIDE:
            return ()
        lengths.append(length)
    return tuple(lengths)


def is_auxiliary(image: Image) -> bool:
    """Return whether an extension's name says that it is a mask, an uncertainty, a weight or the like."""
    if image.unit.index == 0:
        return False
    name = text(image.unit.cards.get("EXTNAME")).upper()
    return bool(name) and name.partition("_")[0] in AUXILIARY_PLANES


def build_plane(image: Image, inherited: Cards, detector: Detector) -> tuple[Plane, tuple[str, ...]]:
    """Return the plane of an image unit and notes on sections that could not be used.

    Parameters
    ----------
    image : Image
        With two axes.
    inherited : mapping
        The primary header, for cards that the unit does not repeat.
    detector : Detector
        What the dialect and the settings say.
    """
    cards = image.unit.cards
    shape = (image.axes[0], image.axes[1])
    alone = cards if image.unit.index == 0 or not inherited else {**inherited, **cards}
    notes: list[str] = []
    trim = _trim(alone, shape, detector.trim_section, notes)
    overscan = _overscan(alone, shape, trim, detector.overscan_section, notes)
    prefix = "Z" if image.encoding == "tile" else ""
    bitpix = cards.get(f"{prefix}BITPIX")
    blank = cards.get("BLANK", cards.get("ZBLANK"))
    plane = Plane(
        index=image.unit.index,
        name=text(cards.get("EXTNAME")),
        shape=shape,
        bitpix=bitpix if isinstance(bitpix, int) else 0,
        bzero=_real(cards.get("BZERO"), 0.0),
        bscale=_real(cards.get("BSCALE"), 1.0),
        blank=blank if isinstance(blank, int) and not isinstance(blank, bool) else None,
        offset=image.unit.data_offset,
        encoding=image.encoding,
        overscan=overscan,
        trim=None if trim == Section(0, shape[0], 0, shape[1]) else trim,
        gain_e_per_adu=detector.gain_e_per_adu or positive_mean(alone, detector.gain_keywords)[0],
        read_noise_e=detector.read_noise_e or positive_mean(alone, detector.noise_keywords)[0],
    )
    return plane, tuple(notes)


def _real(value: CardValue, default: float) -> float:
    """Return a finite number, or the default."""
    found = number(value)
    return default if found is None else found[0]


def positive_mean(cards: Cards, keywords: tuple[str, ...]) -> tuple[float | None, str]:
    """Return the mean of the positive numbers in the first card that has any ('[2.01, 1.99]'), and its keyword."""
    for keyword in keywords:
        if keyword not in cards:
            continue
        value = cards[keyword]
        found = number(value)
        if found is not None:
            if found[0] > 0:
                return found[0], keyword
        elif isinstance(value, str) and value.strip()[:1] in {"[", "("}:
            values = [float(word) for word in _NUMBERS.findall(value)[:64]]
            if values and min(values) > 0:
                return round(fmean(values), 6), keyword
    return None, ""


# --- sections ---------------------------------------------------------------------------------------------------------


def _usable(cards: Cards, keyword: str, shape: tuple[int, int], given: str | None, notes: list[str]) -> Section | None:
    """Return the section of the settings or of a card if it lies within the array; else None and a note."""
    origin, words = ("settings", given) if given is not None else (keyword, text(cards.get(keyword)))
    if not words:
        return None
    section = parse_section(words)
    if section is None:
        if any(character.isdigit() and character != "0" for character in words):
            notes.append(f"{origin} {words} is not understood and not used")
        return None
    if section.y1 > shape[0] or section.x1 > shape[1]:
        notes.append(f"{origin} {words} reaches beyond the array of {shape[1]} x {shape[0]} pixels and is not used")
        return None
    return section


def _trim(cards: Cards, shape: tuple[int, int], given: str | None, notes: list[str]) -> Section | None:
    """Return the useful part of the array: settings, TRIMSEC, DATASEC."""
    if given is not None:
        return _usable(cards, "TRIMSEC", shape, given, notes)
    for keyword in ("TRIMSEC", "DATASEC"):
        if keyword in cards:
            section = _usable(cards, keyword, shape, None, notes)
            if section is not None:
                return section
    return None


def _overscan(
    cards: Cards, shape: tuple[int, int], trim: Section | None, given: str | None, notes: list[str]
) -> Section | None:
    """Return the overscan columns: settings or BIASSEC, on every row of the useful part.

    A section a few rows short of the useful part is completed: the columns are read with every row. One that covers
    only a corner, or lies within the useful part, is not used.
    """
    if given is None and "BIASSEC" not in cards:
        if "BIASSECA" in cards or "BSECA" in cards:
            notes.append("several amplifiers in one image: their overscan sections are not used")
        return None
    section = _usable(cards, "BIASSEC", shape, given, notes)
    if section is None:
        return None
    origin = "settings overscan_section" if given is not None else f"BIASSEC {text(cards.get('BIASSEC'))}"
    image = trim or Section(0, shape[0], 0, shape[1])
    if trim is not None and section.x0 < trim.x1 and trim.x0 < section.x1:
        notes.append(f"{origin} shares columns with the useful part and is not used")
        return None
    if trim is None and section.x1 - section.x0 == shape[1]:
        notes.append(f"{origin} covers every column and is not used")
        return None
    missing = max(0, section.y0 - image.y0) + max(0, image.y1 - section.y1)
    if missing > _SHORT_ROWS:
        notes.append(
            f"{origin} covers only {max(0, image.y1 - image.y0 - missing)} of {image.y1 - image.y0} rows and is not "
            "used; name the overscan columns in overscan_section"
        )
        return None
    if missing:
        notes.append(f"{origin} is {missing} row(s) short of the useful part: completed")
    return Section(min(section.y0, image.y0), max(section.y1, image.y1), section.x0, section.x1)
