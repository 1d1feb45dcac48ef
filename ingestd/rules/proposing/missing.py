"""What the header of a frame does not say: the cards that were looked for, those that may hold it, and what to write.

The names of cards follow habits (``T_EXP``, ``CHIPTMP``): a card whose name and value both fit is a candidate. Whether
it is one is for a person to say, or for many headers that agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ingestd.records import CALIBRATION_KINDS, CardValue, FrameRecord, Kind
from ingestd.rules.dialects.fields import celsius, moment, number, text
from ingestd.rules.dialects.recognise import keywords_of
from ingestd.rules.dialects.table import LOCAL_TIME_CARDS
from ingestd.rules.dialects.type_cards import JUDGED_KINDS, UNFAMILIAR, type_label
from ingestd.rules.dialects.words import kind_of
from ingestd.settings import Keywords

Cards = Mapping[str, CardValue]

_LONGEST = 1e7
_WARMEST_C = 45.0
_COLDEST_C = -150.0
_MAX_CANDIDATES = 5


def _is_exposure(value: CardValue) -> bool:
    found = number(value)
    return found is not None and 0 <= found[0] <= _LONGEST


def _is_temperature(value: CardValue) -> bool:
    found = number(value)
    degrees = None if found is None else celsius(found[0], found[1], kelvin=False)
    return degrees is not None and _COLDEST_C <= degrees <= _WARMEST_C


def _is_filter(value: CardValue) -> bool:
    return isinstance(value, str) and any(character.isalpha() for character in text(value))


def _is_date(value: CardValue) -> bool:
    return isinstance(value, str) and moment(value) is not None


def _is_kind(value: CardValue) -> bool:
    label = type_label(text(value)) if isinstance(value, str) else ""
    return label not in {"", UNFAMILIAR} and kind_of(label) in JUDGED_KINDS


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record that a setting can supply.

    Attributes
    ----------
    name : str
        Key in ``[camera.keywords]``.
    words : str
        For a person.
    attribute : str
        Of the record.
    dialect_fields : tuple of str
        Where the dialects list its cards.
    kinds : frozenset of Kind
        Frames that need it.
    likely, unlikely : re.Pattern
        Parts of a card's name that speak for it and against it.
    is_value : callable
        Whether a value may be one.
    advice : tuple of str
        What else could be written.
    """

    name: str
    words: str
    attribute: str
    dialect_fields: tuple[str, ...]
    kinds: frozenset[Kind]
    likely: re.Pattern[str]
    unlikely: re.Pattern[str]
    is_value: Callable[[CardValue], bool]
    advice: tuple[str, ...] = ()


_ALL = frozenset({*CALIBRATION_KINDS, Kind.LIGHT, Kind.UNKNOWN})

FIELDS: tuple[Field, ...] = (
    Field(
        "kind",
        "kind",
        "kind",
        ("kind", "kind_code"),
        frozenset({Kind.UNKNOWN}),
        re.compile(r"TYP|KIND|PIC|FRAM|IMAG|IMG|CLASS|PURP|CATG"),
        re.compile(r"OBJ|FILT|TARG|LAMP|SHUT|NAME|FILE|PATH|DIR|SKY"),
        _is_kind,
        (
            'words = { "VALUE" = "bias" }         # where the card holds a word of its own',
            'file_names = { "PATTERN*" = "bias" }  # where only the file names say it: bias, dark, flat, light',
        ),
    ),
    Field(
        "exposure",
        "exposure",
        "exposure_s",
        ("exposure",),
        _ALL - {Kind.BIAS},
        re.compile(r"EXP|ITIME|TINT|T_INT|INTT|INTEG|DURAT|SHUT.*(?:TIM|DUR|LEN)|OPENTIM|ACQT"),
        re.compile(
            r"EXP_?(?:ID|NO|NUM|SEQ|ST|END|CNT|CO|REC|TYP|MOD|PAR|N$)|NEXP|GUID|FOC|TOT|SUM|DATE|START|MEAN|LIM|MAX|MIN$"
        ),
        _is_exposure,
        ('exposure_unit = "ms"                 # where it is not in seconds: "ms", "us", "min"',),
    ),
    Field(
        "ccd_temp",
        "temperature",
        "ccd_temp_c",
        ("ccd_temp",),
        _ALL - {Kind.UNKNOWN},
        re.compile(
            r"(?:CCD|DET|CHIP|SENS|CAM|DEWAR|FPA|CMOS).*(?:TE?MP|_T$|-T$)|T(?:E?MP)?_?(?:CCD|DET|CHIP|SENS|FPA)"
        ),
        re.compile(r"AMB|OUT|AIR|DOME|FOC|MIR|ENV|TUBE|TEL|SET|TARG|HEAT|SINK|ROOM|BOX|ELEC|M1|M2|REQ|GOAL|COLOR"),
        _is_temperature,
        ('temperature_unit = "k"               # where it is in kelvin',),
    ),
    Field(
        "filter",
        "filter",
        "filter_name",
        ("filter",),
        frozenset({Kind.FLAT, Kind.LIGHT}),
        re.compile(r"FILT|FLTR|FLT|WHEEL|BANDP|^BAND"),
        re.compile(r"POS|NUM|STAT|SER|TEMP|FOC|OFF|TYP|COUNT|VER|MAK|MOD"),
        _is_filter,
    ),
    Field(
        "obs_start",
        "start (UTC)",
        "obs_start",
        ("obs_start", "time", "mjd", "jd"),
        _ALL,
        re.compile(r"DATE|UT|TIME|START|BEG|OPEN"),
        re.compile(r"^DATE$|END|STOP|CLOSE|LOC|LT$|FILE|CREAT|WRIT|PROC|MOD|MEAN|AVG|MID|LST|SID|FIRM|CAL|POINT"),
        _is_date,
    ),
)
"""The fields without which a frame is not matched as it could be."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that the header does not say.

    ``looked_for`` are the cards in the order of trust, ``unusable`` those of them that the header has, with values that
    say nothing, ``candidates`` other cards of this header that may hold it with their values, ``write`` the lines of
    ``[camera.keywords]`` that would supply it.
    """

    field: str
    name: str
    looked_for: tuple[str, ...]
    unusable: tuple[tuple[str, str], ...]
    candidates: tuple[tuple[str, str], ...]
    write: tuple[str, ...]


def missing_fields(frame: FrameRecord, own: Keywords, cards: Cards | None = None) -> tuple[Missing, ...]:
    """Return what the header of a frame does not say although frames of its kind should.

    Parameters
    ----------
    frame : FrameRecord
        A file without an image lacks nothing.
    own : Keywords
        Of the frame's camera: these cards were looked for first.
    cards : mapping, optional
        The header, to name candidates.
    """
    if not frame.planes:
        return ()
    found = []
    for field in FIELDS:
        if is_missing(frame, field):
            tried = looked_for(field, frame.dialect, own)
            unusable = tuple((card, _shown((cards or {})[card])) for card in tried if card in (cards or {}))
            candidates = candidates_for(field, cards or {}, tried)
            keyword = candidates[0][0] if candidates else "CARD"
            write = (f'{field.name} = ["{keyword}"]', *field.advice)
            found.append(Missing(field.name, field.words, tried, unusable, candidates, write))
    return tuple(found)


def is_missing(frame: FrameRecord, field: Field) -> bool:
    """Return whether a frame lacks a field; a kind that is contradicted is known twice and lacks no card."""
    if frame.kind not in field.kinds or not frame.planes:
        return False
    if field.name == "kind":
        return "contradiction" not in frame.flags
    return getattr(frame, field.attribute) is None


def looked_for(field: Field, dialect: str, own: Keywords) -> tuple[str, ...]:
    """Return the cards in which a field is looked for, most trusted first."""
    names = list(getattr(own, field.name))
    for part in field.dialect_fields:
        names += keywords_of(dialect, part)
    return tuple(dict.fromkeys(names))


def candidates_for(field: Field, cards: Cards, tried: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return cards that were not looked at although their name and value fit, each with its value."""
    known = {*tried, *LOCAL_TIME_CARDS}
    found = [
        (keyword, _shown(value))
        for keyword, value in cards.items()
        if keyword not in known
        and field.likely.search(keyword)
        and not field.unlikely.search(keyword)
        and field.is_value(value)
    ]
    return tuple(found[:_MAX_CANDIDATES])


def _shown(value: CardValue) -> str:
    """Return a card's value for a person."""
    return text(value)[:40] or repr(value)[:40]
