"""The planes of a file: one per image unit, each with its sections, gain and read noise."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from ingestd.records import CardValue, Channel, FileHeader, HeaderUnit, Plane, Section
from ingestd.rules.dialects.amplifiers import read_channels
from ingestd.rules.dialects.fields import Cards, number, text
from ingestd.rules.dialects.sections import fitted_overscan, parse_section
from ingestd.rules.dialects.table import AUXILIARY_PLANES
from ingestd.settings import Amplifier

_MAX_SIDE = 1 << 31
_MAX_AXES = 99
_AXES = 2
_NUMBERS = re.compile(r"[+-]?\d{1,20}(?:\.\d{0,20})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


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
    amplifiers : tuple of Amplifier
        Those of the settings, if several read one image.
    """

    gain_keywords: tuple[str, ...]
    noise_keywords: tuple[str, ...]
    gain_e_per_adu: float | None
    read_noise_e: float | None
    overscan_section: str | None
    trim_section: str | None
    amplifiers: tuple[Amplifier, ...] = ()


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


def build_plane(
    image: Image, inherited: Cards, detector: Detector, *, is_only: bool = False
) -> tuple[Plane, tuple[str, ...]]:
    """Return the plane of an image unit and notes on sections that could not be used.

    Parameters
    ----------
    image : Image
        With two axes.
    inherited : mapping
        The primary header, for cards that the unit does not repeat.
    detector : Detector
        What the dialect and the settings say.
    is_only : bool
        The file has no other plane: sections of amplifiers in the primary header are those of this image.
    """
    cards = image.unit.cards
    shape = (image.axes[0], image.axes[1])
    alone = cards if image.unit.index == 0 or not inherited else {**inherited, **cards}
    notes: list[str] = []
    trim = _trim(alone, shape, detector.trim_section, notes)
    gain = detector.gain_e_per_adu or positive_mean(alone, detector.gain_keywords)[0]
    noise = detector.read_noise_e or positive_mean(alone, detector.noise_keywords)[0]
    channels = tuple(
        _with_defaults(channel, detector, gain, noise)
        for channel in read_channels(alone if is_only else cards, shape, trim, detector.amplifiers, notes)
    )
    if channels:
        trim, overscan = _around(channels), None
        gain = gain or _mean([channel.gain_e_per_adu for channel in channels])
        noise = noise or _mean([channel.read_noise_e for channel in channels])
    else:
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
        gain_e_per_adu=gain,
        read_noise_e=noise,
        channels=channels,
    )
    return plane, tuple(notes)


def _with_defaults(channel: Channel, detector: Detector, gain: float | None, noise: float | None) -> Channel:
    """Return an amplifier with gain and read noise: its own of the settings, the camera's, its own card's, the plane's.

    ``gain`` and ``noise`` are those of the plane, which the settings of the camera go before.
    """
    own = next((it for position, it in enumerate(detector.amplifiers, 1) if channel.name == (it.name or str(position))),
               None)  # fmt: skip
    stated = (None, None) if own is None else (own.gain_e_per_adu, own.read_noise_e)
    return replace(
        channel,
        gain_e_per_adu=_first(stated[0], detector.gain_e_per_adu, channel.gain_e_per_adu, gain),
        read_noise_e=_first(stated[1], detector.read_noise_e, channel.read_noise_e, noise),
    )


def _first(*values: float | None) -> float | None:
    """Return the first value that is known."""
    return next((value for value in values if value is not None), None)


def _around(channels: tuple[Channel, ...]) -> Section:
    """Return the rectangle around the sections of all amplifiers."""
    sections = [channel.section for channel in channels]
    return Section(
        min(it.y0 for it in sections),
        max(it.y1 for it in sections),
        min(it.x0 for it in sections),
        max(it.x1 for it in sections),
    )


def _mean(values: list[float | None]) -> float | None:
    """Return the mean of values that are all known, else None."""
    known = [value for value in values if value is not None]
    return round(fmean(known), 6) if known and len(known) == len(values) else None


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
    """Return the overscan: settings or BIASSEC, as it serves the useful part; nothing that lies within it."""
    if given is None and "BIASSEC" not in cards:
        return None
    section = _usable(cards, "BIASSEC", shape, given, notes)
    if section is None:
        return None
    origin = "settings overscan_section" if given is not None else f"BIASSEC {text(cards.get('BIASSEC'))}"
    if trim is not None:
        return fitted_overscan(section, trim, origin, notes)
    if section.x1 - section.x0 == shape[1]:
        notes.append(f"{origin} covers every column and is not used")
        return None
    fitted = fitted_overscan(section, Section(0, shape[0], section.x1, section.x1), origin, notes)
    if fitted is not None and fitted.shape[0] < shape[0]:
        notes.append(f"{origin} is not used without a useful part beside it: name that in trim_section")
        return None
    return fitted
