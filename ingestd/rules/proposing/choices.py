"""What follows from the headers of one camera: dark policy, sections, read-out cards that must agree; and the site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingestd.records import CALIBRATION_KINDS, Kind, Section
from ingestd.rules.dialects import parse_section
from ingestd.rules.dialects.fields import longitude_deg, text
from ingestd.rules.dialects.table import WEST_LONGITUDES
from ingestd.rules.matching import dark_policy
from ingestd.rules.proposing.values import Look, Suggestion
from ingestd.settings import Camera, Site

CMOS_NAMES = re.compile(
    r"\bASI ?(?:CAMERA|\d{2,4})|\bZWO\b|\bIMX ?\d{3}|CMOS|PLAYER ?ONE|\bCANON\b|\bEOS\b|\bNIKON\b|\bILCE\b"
    r"|\bQHY ?(?:MINICAM|(?:5|163|168|174|178|183|224|247|268|294|367|410|411|42|4040|461|462|485|492|533|550|585|600"
    r"|990)(?!\d))|\bMARANA\b|\bZYLA\b|GSENSE|SEESTAR|DWARF|VESPERA|TOUPTEK|ALTAIR|OGMA|ATIK (?:HORIZON|ACIS|APX)"
    r"|RISING ?CAM|SVBONY",
    re.IGNORECASE,
)
"""Names of cameras with a CMOS sensor: makers that build no others, models, sensors."""

_NAMING_CARDS = ("INSTRUME", "CAMERA", "SENSOR", "DETECTOR", "CAMMODEL", "DETNAM")
_READOUT_CARDS = (
    "PREAMP", "PRE-AMP", "PREAMPG", "EMGAIN", "EM-GAIN", "EMMODE", "HSSPEED", "VSSPEED", "HSSPEEDS", "SHIFTSPD",
    "VSHIFT", "PIXRATE", "READTIME", "DIGITISE", "BITDEPTH", "CONVGAIN", "CVGAIN", "HCGMODE", "LOWNOISE", "AMPMODE",
    "AMPLIFIER", "OUTAMP", "ADCSPEED", "ADCBITS",
)  # fmt: skip
"""Cards of the read-out that drivers write and the dialects do not count to the configuration."""

_SITE_NAMES = ("OBSERVAT", "SITENAME", "SITE", "OBSERVATORY", "OBSNAME")
_SAME_PLACE_DEG = 0.2
_MOST_MODES = 6
"""A card with more values measures something and sets nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value with its reason; None or '' where nothing is proposed."""

    value: str | None
    reason: str


# --- darks ------------------------------------------------------------------------------------------------------------


def choose_dark_policy(looks: Sequence[Look], camera: Camera) -> Choice:
    """Return whether darks of this camera may be scaled: not those of a CMOS sensor, whose glow is not linear."""
    frames = [each.frame for each in looks if each.frame.kind in {Kind.DARK, Kind.FLAT, Kind.LIGHT}]
    if not frames:
        return Choice("auto", "no dark, flat or light seen to tell a CMOS sensor from a CCD")
    policies = Counter(dark_policy(frame, camera) for frame in frames)
    scalable = sum(count for policy, count in policies.items() if policy.scalable)
    if scalable == 0:
        reason = policies.most_common(1)[0][0].reason
        return Choice("exact", f"{reason}: darks of the same exposure only, for amplifier glow does not scale")
    name = next((name for each in looks if (name := _cmos_name(each))), "")
    if name:
        return Choice("exact", f"{name} is a CMOS sensor by its name: amplifier glow does not scale")
    if scalable == len(frames):
        return Choice(
            "scalable", f"no gain or offset setting in {_headers(len(frames))}, as drivers of CMOS sensors write: a CCD"
        )
    return Choice("auto", f"{len(frames) - scalable} of {_headers(len(frames))} have the gain setting of a CMOS driver")


def _cmos_name(each: Look) -> str:
    """Return the card by whose value a camera is known for its CMOS sensor, or ''."""
    for keyword in _NAMING_CARDS:
        value = text(each.cards.get(keyword))
        if value and CMOS_NAMES.search(value):
            return f"{keyword} = {value}"
    return ""


# --- sections ---------------------------------------------------------------------------------------------------------


def suggest_sections(looks: Sequence[Look]) -> list[Suggestion]:
    """Return sections that would read an overscan row by row where the headers' own do not.

    Only where every image of the camera has one shape and says the same, for a section of the settings holds for all.
    A BIASSEC that covers only a corner serves as one level; its columns on the useful rows may follow each row. Without
    any BIASSEC the columns beside the useful part may be overscan, or masked, or reference pixels.
    """
    images = [each for each in looks if each.frame.planes and each.frame.kind is not Kind.OTHER]
    said = {_said(each) for each in images}
    if len(said) != 1 or any(len(each.frame.planes) != 1 for each in images):
        return []
    shape, bias_words, data_words = said.pop()
    data, bias = parse_section(data_words), parse_section(bias_words)
    if data is None or not _is_inside(data, shape):
        return []
    useful = _words(data)
    if bias is None and not bias_words:
        rest = Section(data.y0, data.y1, data.x1, shape[1])
        rest = rest if rest.x0 < rest.x1 else Section(data.y0, data.y1, 0, data.x0)
        reason = f"columns beside the useful part {useful} of {shape[1]} x {shape[0]} pixels; if they are overscan"
        return [Suggestion("overscan_section", f'"{_words(rest)}"', reason)] if rest.x0 < rest.x1 else []
    if bias is None or not _is_corner(bias, data, shape):
        return []
    columns = Section(data.y0, data.y1, bias.x0, bias.x1)
    reason = (
        f"BIASSEC {bias_words} is read as one level, for it covers few rows of {useful}; if its columns go on there"
    )
    return [
        Suggestion("overscan_section", f'"{_words(columns)}"', reason),
        Suggestion("trim_section", f'"{useful}"', "goes with the line above"),
    ]


def _is_corner(bias: Section, data: Section, shape: tuple[int, int]) -> bool:
    """Return whether an overscan lies beside the useful part and covers only few of its rows."""
    shared = min(bias.y1, data.y1) - max(bias.y0, data.y0)
    is_beside = bias.x1 <= data.x0 or bias.x0 >= data.x1
    return _is_inside(bias, shape) and is_beside and 2 * shared < data.y1 - data.y0


def _said(each: Look) -> tuple[tuple[int, int], str, str]:
    """Return the shape of a frame and its overscan and useful part as its cards write them."""
    data = next((words for card in ("TRIMSEC", "DATASEC") if (words := text(each.cards.get(card)))), "")
    return each.frame.planes[0].shape, text(each.cards.get("BIASSEC")), data


def _is_inside(section: Section, shape: tuple[int, int]) -> bool:
    """Return whether a section lies within an image."""
    return section.y1 <= shape[0] and section.x1 <= shape[1]


def _words(section: Section) -> str:
    """Return a section as FITS writes it: one-based, inclusive, x first."""
    return f"[{section.x0 + 1}:{section.x1},{section.y0 + 1}:{section.y1}]"


# --- read-out ---------------------------------------------------------------------------------------------------------


def choose_extra_match(looks: Sequence[Look]) -> tuple[tuple[str, ...], str, list[Suggestion]]:
    """Return the read-out cards that differ among the frames of a camera, why, and suggestions."""
    frames = [each for each in looks if each.frame.kind in {*CALIBRATION_KINDS, Kind.LIGHT}]
    extra, reasons = [], []
    for keyword in _READOUT_CARDS:
        values = [text(each.cards.get(keyword)) for each in frames]
        counts = Counter(values)
        if 1 < len(counts) <= _MOST_MODES and all(values) and min(counts.values()) > 1:
            extra.append(keyword)
            reasons.append(f"{keyword} is {_some(values)}")
    suggestions = []
    telescopes = [text(each.cards.get("TELESCOP")) for each in frames]
    if len(set(telescopes)) > 1 and all(telescopes):
        reason = f"TELESCOP is {_some(telescopes)}: if the camera moves between telescopes, their flats differ"
        suggestions.append(Suggestion("extra_match", '["TELESCOP"]', reason))
    return tuple(extra), "; ".join(reasons), suggestions


def _some(values: Sequence[str]) -> str:
    """Return the most frequent values with their counts."""
    return ", ".join(f"{value} ({count})" for value, count in Counter(values).most_common(4))


# --- the site ---------------------------------------------------------------------------------------------------------


def choose_site(looks: Sequence[Look]) -> tuple[Site, Mapping[str, str], list[Suggestion]]:
    """Return the observatory that the headers name, the reason of each key, and suggestions."""
    frames = [each for each in looks if each.frame.planes]
    names = {_site_name(each) for each in frames}
    name, card = names.pop() if len(names) == 1 else ("", "")
    reasons = {"name": f"{card} in {_headers(len(frames))}"} if name else {}
    found = [(card, degrees) for each in frames for card, degrees in _longitudes(each)]
    if not found:
        reason = "no header tells the longitude, so nights are counted from noon UTC; east is positive"
        return Site(name=name), reasons, [Suggestion("longitude_deg", "0.0", reason)]
    values = [degrees for _, degrees in found]
    if max(values) - min(values) > _SAME_PLACE_DEG:
        places = ", ".join(f"{degrees:.2f}" for degrees in sorted({round(value, 2) for value in values})[:6])
        reason = f"the headers tell several places ({places}): each frame's own is used. Set it if that is wrong"
        return Site(name=name), reasons, [Suggestion("longitude_deg", f"{values[0]:.4f}", reason)]
    longitude = round(sorted(values)[len(values) // 2], 4)
    cards = ", ".join(dict.fromkeys(card for card, _ in found))
    reasons["longitude_deg"] = f"{cards} in {len(found)} of {_headers(len(frames))}; east positive"
    return Site(name=name, longitude_deg=longitude), reasons, []


def _site_name(each: Look) -> tuple[str, str]:
    """Return the observatory's name in a header and its card, or ''."""
    found = ((name, card) for card in _SITE_NAMES if (name := text(each.cards.get(card))))
    return next(found, ("", ""))


def _longitudes(each: Look) -> list[tuple[str, float]]:
    """Return the card that the night of a frame was counted with, and its longitude."""
    card = each.frame.source("night")
    degrees = longitude_deg(each.cards.get(card)) if card in each.cards else None
    if degrees is None:
        return []
    return [(card, -abs(degrees) if card in WEST_LONGITUDES else degrees)]


def _headers(count: int) -> str:
    """Return a number of headers in words."""
    return "1 header" if count == 1 else f"{count} headers"
