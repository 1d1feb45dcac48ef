"""Several amplifiers in one image: what each read, its overscan, gain and read noise, by settings or cards."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ingestd.records import Channel, Section
from ingestd.rules.dialects.fields import Cards, first_number, number, text
from ingestd.rules.dialects.sections import fitted_overscan, parse_section
from ingestd.rules.dialects.table import AMPLIFIER_CARDS, AMPLIFIER_LIMITS, AMPLIFIER_LISTS, AMPLIFIER_NAMES
from ingestd.settings import Amplifier

_KEYWORD_LENGTH = 8
_MAX_AMPLIFIERS = 64


@dataclass(frozen=True, slots=True)
class _Found:
    """An amplifier as it was found: the part of the raw image, its overscan, and its place on the detector."""

    name: str
    section: Section
    overscan: Section | None
    place: Section | None
    gain_e_per_adu: float | None
    read_noise_e: float | None


def read_channels(
    cards: Cards, shape: tuple[int, int], trim: Section | None, given: Sequence[Amplifier], notes: list[str]
) -> tuple[Channel, ...]:
    """Return the amplifiers of an image, in the order in which they lie (rows first); empty where there is only one.

    Parameters
    ----------
    cards : mapping
        Of the image's own unit.
    shape : (int, int)
        Rows and columns of the raw image.
    trim : Section or None
        The useful part of the whole image; what an amplifier read beyond it is left out.
    given : sequence of Amplifier
        The settings, which go before any card.
    notes : list of str
        Takes a sentence for whatever could not be used.

    Notes
    -----
    Sections of amplifiers must be the cells of a grid that is filled, in the order of the detector: the image without
    overscan is then the sections without what lies between them. Anything else is noted, and the image taken as that
    of one amplifier.
    """
    found = _from_settings(given, notes) if given else _from_cards(cards)
    if len(found) < 2 and not given:  # noqa: PLR2004 - several
        return ()
    cut = [_trimmed(amplifier, trim) for amplifier in found]
    inside = [it for it in cut if it is not None and it.section.y1 <= shape[0] and it.section.x1 <= shape[1]]
    origin = "settings amplifiers" if given else "amplifier sections"
    if len(inside) < len(found):
        notes.append(f"{origin} reach beyond the useful part of {shape[1]} x {shape[0]} pixels and are not used")
        return ()
    problem = _grid_problem([it.section for it in inside]) or _order_problem(inside)
    if problem:
        notes.append(f"{origin} {problem} and are not used")
        return ()
    inside.sort(key=lambda it: (it.section.y0, it.section.x0))
    return tuple(_channel(it, inside, shape, notes) for it in inside)


def _channel(amplifier: _Found, others: Sequence[_Found], shape: tuple[int, int], notes: list[str]) -> Channel:
    """Return an amplifier with an overscan that can be used, or none."""
    overscan = amplifier.overscan
    origin = f"overscan of amplifier {amplifier.name}"
    if overscan is not None and (overscan.y1 > shape[0] or overscan.x1 > shape[1]):
        notes.append(f"{origin} reaches beyond the array and is not used")
        overscan = None
    if overscan is not None:
        overscan = fitted_overscan(overscan, amplifier.section, origin, notes)
    if overscan is not None and any(_overlap(overscan, other.section) for other in others):
        notes.append(f"{origin} overlaps an image section and is not used")
        overscan = None
    return Channel(amplifier.name, amplifier.section, overscan, amplifier.gain_e_per_adu, amplifier.read_noise_e)


# --- where they are found ---------------------------------------------------------------------------------------------


def _from_settings(given: Sequence[Amplifier], notes: list[str]) -> list[_Found]:
    """Return the amplifiers of the settings."""
    found = []
    for position, amplifier in enumerate(given[:_MAX_AMPLIFIERS], 1):
        section = parse_section(amplifier.section)
        overscan = parse_section(amplifier.overscan) if amplifier.overscan else None
        name = amplifier.name or str(position)
        if section is None:
            notes.append(f"settings amplifiers section {amplifier.section} is not understood")
            return []
        if overscan is None and amplifier.overscan:
            notes.append(f"settings amplifiers overscan {amplifier.overscan} is not understood")
        found.append(_Found(name, section, overscan, None, amplifier.gain_e_per_adu, amplifier.read_noise_e))
    return found


def _from_cards(cards: Cards) -> list[_Found]:
    """Return the amplifiers that the cards of one of the known schemes name."""
    if _SIGNS.isdisjoint(cards):
        return []
    listed = next((text(cards[keyword]) for keyword in AMPLIFIER_LISTS if keyword in cards), "")
    own = tuple(listed.replace(",", " ").upper().split())[:_MAX_AMPLIFIERS]
    for names in (own, *AMPLIFIER_NAMES):
        stem = next((stem for stem in AMPLIFIER_CARDS["section"] if names and _keyword(stem, names[0]) in cards), None)
        if stem is not None:
            return [found for name in names if (found := _by_name(cards, name)) is not None]
    for prefix in AMPLIFIER_LIMITS:
        if f"{prefix}EFMN11" in cards:
            return _by_limits(cards, prefix)
    return []


def _keyword(stem: str, name: str) -> str:
    """Return the keyword of a card that ends with the name of an amplifier, cut to eight characters: SATURATA."""
    return f"{stem[: max(_KEYWORD_LENGTH - len(name), 0)]}{name}"


_SIGNS = frozenset(
    (
        *AMPLIFIER_LISTS,
        *(_keyword(stem, names[0]) for stem in AMPLIFIER_CARDS["section"] for names in AMPLIFIER_NAMES),
        *(f"{prefix}EFMN11" for prefix in AMPLIFIER_LIMITS),
    )
)
"""Keywords one of which every header with several amplifiers has."""


def _by_name(cards: Cards, name: str) -> _Found | None:
    """Return the amplifier whose cards end with its name (DATASEC1, BIASSECA, TSEC21), or None."""
    section = _section(cards, "section", name)
    if section is None:
        return None
    gain = first_number(cards, [_keyword(stem, name) for stem in AMPLIFIER_CARDS["gain"]])
    noise = first_number(cards, [_keyword(stem, name) for stem in AMPLIFIER_CARDS["noise"]])
    return _Found(
        name,
        section,
        _section(cards, "overscan", name),
        _section(cards, "place", name),
        gain[0] if gain is not None and gain[0] > 0 else None,
        noise[0] if noise is not None and noise[0] > 0 else None,
    )


def _section(cards: Cards, field: str, name: str) -> Section | None:
    """Return the first section of a field that can be read; the order of a range is kept apart by `_order_problem`."""
    for stem in AMPLIFIER_CARDS[field]:
        keyword = _keyword(stem, name)
        if keyword in cards:
            found = parse_section(text(cards[keyword]))
            if found is not None:
                return found
    return None


def _by_limits(cards: Cards, prefix: str) -> list[_Found]:
    """Return the channels of Suprime-Cam and Hyper Suprime-Cam: first and last pixel of each range in a card."""
    found = []
    for position in range(1, _MAX_AMPLIFIERS + 1):
        name = str(position)
        section = _between(cards, f"{prefix}EFMN{name}", f"{prefix}EFMX{name}")
        if section is None:
            break
        beside = _between(cards, f"{prefix}OSMN{name}", f"{prefix}OSMX{name}")
        overscan = None if beside is None else Section(section.y0, section.y1, beside.x0, beside.x1)
        gain = first_number(cards, (f"{prefix}GAIN{name}",))
        value = gain[0] if gain is not None and gain[0] > 0 else None
        found.append(_Found(name, section, overscan, None, value, None))
    return found


def _between(cards: Cards, first: str, last: str) -> Section | None:
    """Return the section from the cards of its first and last pixel: ...1 along x, ...2 along y."""
    limits = [number(cards.get(f"{stem}{axis}")) for axis in "12" for stem in (first, last)]
    if any(limit is None for limit in limits):
        return None
    x0, x1, y0, y1 = (int(limit[0]) for limit in limits if limit is not None)
    return Section(y0 - 1, y1, x0 - 1, x1) if 0 < x0 <= x1 and 0 < y0 <= y1 else None


# --- what can be used -------------------------------------------------------------------------------------------------


def _trimmed(amplifier: _Found, trim: Section | None) -> _Found | None:
    """Return the amplifier without what it read beyond the useful part, or None if nothing remains."""
    if trim is None:
        return amplifier
    own = amplifier.section
    section = Section(max(own.y0, trim.y0), min(own.y1, trim.y1), max(own.x0, trim.x0), min(own.x1, trim.x1))
    if section.y0 >= section.y1 or section.x0 >= section.x1:
        return None
    return _Found(
        amplifier.name,
        section,
        amplifier.overscan,
        amplifier.place if section == own else None,
        amplifier.gain_e_per_adu,
        amplifier.read_noise_e,
    )


def _grid_problem(sections: Sequence[Section]) -> str:
    """Return why sections are not the cells of a grid, each filled once, or an empty text."""
    rows = sorted({(it.y0, it.y1) for it in sections})
    columns = sorted({(it.x0, it.x1) for it in sections})
    overlapping = any(first[1] > second[0] for spans in (rows, columns) for first, second in itertools.pairwise(spans))
    if overlapping or len(set(sections)) < len(sections) or len(rows) * len(columns) != len(sections):
        return "are not the cells of a grid"
    return ""


def _order_problem(amplifiers: Sequence[_Found]) -> str:
    """Return why the sections do not lie as on the detector, or an empty text; a mirrored image is one in order."""
    places = [(it.section, it.place) for it in amplifiers if it.place is not None]
    if len(places) < len(amplifiers):
        return ""
    by_column = sorted({(section.x0, place.x0 + place.x1) for section, place in places})
    by_row = sorted({(section.y0, place.y0 + place.y1) for section, place in places})
    for pairs in (by_column, by_row):
        there = [place for _, place in pairs]
        if there not in (sorted(set(there)), sorted(set(there), reverse=True)):
            return "lie in another order than on the detector"
    return ""


def _overlap(first: Section, second: Section) -> bool:
    """Return whether two sections share a pixel."""
    return first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1
