"""Typed values out of header cards: numbers, texts, temperatures, binnings, times. Every function is total."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from ingestd.records import CardValue

Cards = Mapping[str, CardValue]

_REAL = r"[+-]?(?:\d{1,300}\.?\d{0,300}|\.\d{1,300})(?:[eEdD][+-]?\d{1,4})?"
_NUMBER = re.compile(rf"\s*({_REAL})\s*(.{{0,12}})", re.ASCII)
_FRACTION = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*(.{0,12})", re.ASCII)
_EMPTY_TEXTS = frozenset(
    {
        "",
        "N/A",
        "NA",
        "NONE",
        "UNKNOWN",
        "NULL",
        "UNSPECIFIED",
        "UNDEFINED",
        "UNDEF",
        "-",
        "--",
        "NOT SET",
        "TBD",
        "NAN",
    }
)
_HUGE = 10**18


# --- single values ----------------------------------------------------------------------------------------------------


def number(value: CardValue) -> tuple[float, str] | None:
    """Return a finite number and the unit written after it in lower case (mostly ''), or None."""
    if isinstance(value, float):
        return (value, "") if math.isfinite(value) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return (float(value), "") if -_HUGE < value < _HUGE else None
    found = _FRACTION.fullmatch(value)
    if found is not None:
        below = int(found[2])
        return (int(found[1]) / below, found[3].strip().lower()) if below else None
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    result = float(found[1].replace("d", "e").replace("D", "e"))
    return (result, found[2].strip().lower()) if math.isfinite(result) else None


def text(value: CardValue) -> str:
    """Return a card's value as one line of text, '' if it says nothing (N/A, None, unknown)."""
    if isinstance(value, str):
        words = value.strip()
        if words.isascii() and words.isalnum():
            return "" if words.upper() in _EMPTY_TEXTS else words
        words = " ".join(value.split())
        return "" if words.upper() in _EMPTY_TEXTS else words
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value) if -_HUGE < value < _HUGE else ""
    return f"{value:.12g}" if math.isfinite(value) else ""


def comparable(value: CardValue) -> float | str | None:
    """Return a card's value as it is compared: a number that has no unit, else its text, None if it says nothing."""
    found = number(value)
    return found[0] if found is not None and not found[1] else text(value) or None


def first_number(cards: Cards, keywords: Sequence[str]) -> tuple[float, str, str] | None:
    """Return value, unit and keyword of the first card that holds a number, or None."""
    for keyword in keywords:
        if keyword in cards:
            found = number(cards[keyword])
            if found is not None:
                return found[0], found[1], keyword
    return None


def first_text(cards: Cards, keywords: Sequence[str]) -> tuple[str, str] | None:
    """Return value and keyword of the first card that says something, or None."""
    for keyword in keywords:
        if keyword in cards:
            found = text(cards[keyword])
            if found:
                return found, keyword
    return None


# --- exposure and temperature -----------------------------------------------------------------------------------------

SECONDS: dict[str, float] = {
    "": 1.0, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6,
    "usec": 1e-6, "\N{MICRO SIGN}s": 1e-6, "min": 60.0, "m": 60.0, "minutes": 60.0, "h": 3600.0,
}  # fmt: skip
"""Seconds in a unit of time."""

MAX_EXPOSURE_S = 1e7
KELVIN_ZERO_C = -273.15
MAX_SENSOR_C = 60.0
"""No sensor works above this: a larger number is in kelvin."""


def exposure_seconds(value: float, unit: str, factor: float) -> float | None:
    """Return an exposure in seconds; ``factor`` is that of a value without a unit of its own; None if impossible."""
    scale = SECONDS.get(unit) if unit else factor
    if scale is None or not 0 <= value * scale <= MAX_EXPOSURE_S:
        return None
    return round(value * scale, 9)


def celsius(value: float, unit: str, *, kelvin: bool) -> float | None:
    """Return a sensor temperature in degrees Celsius, or None for values that stand for 'no sensor' (-999, 0 K).

    Parameters
    ----------
    value : float
        As it stands in the header.
    unit : str
        The unit written after it, lower case.
    kelvin : bool
        Whether the settings declare kelvin.
    """
    in_kelvin = kelvin or unit.lstrip("\N{DEGREE SIGN} ").startswith("k") or value > MAX_SENSOR_C
    if unit.lstrip("\N{DEGREE SIGN} ").startswith("f"):
        result = (value - 32.0) / 1.8
    else:
        result = value + KELVIN_ZERO_C if in_kelvin else value
    return result if KELVIN_ZERO_C < result <= MAX_SENSOR_C else None


# --- binning ----------------------------------------------------------------------------------------------------------

_BINNING = re.compile(r"\D*(\d{1,3})(?:\D+(\d{1,3}))?\D*", re.ASCII)
_MAX_BINNING = 64


def pair_of_binnings(value: CardValue) -> tuple[int, int] | None:
    """Return x and y binning from '1 1', '2*2', '1x2', '(2, 2)', 'bin2' or 2, or None."""
    if isinstance(value, str):
        found = _BINNING.fullmatch(value[:40])
        if found is None:
            return None
        x = int(found[1])
        y = int(found[2]) if found[2] else x
    else:
        size = number(value)
        if size is None or size[0] != int(size[0]):
            return None
        x = y = int(size[0])
    return (x, y) if 1 <= x <= _MAX_BINNING and 1 <= y <= _MAX_BINNING else None


# --- time -------------------------------------------------------------------------------------------------------------

_CLOCK = r"(\d{1,2})[:.h ](\d{1,2})(?:[:.m ](\d{1,2})(?:[.,](\d{0,30}))?s?)?"
_ZONE = r"\s*(Z|UTC?|GMT|[+-]\d{2}(?::?\d{2})?)?"
_ISO = re.compile(rf"(\d{{4}})[-/.:](\d{{1,2}})[-/.:](\d{{1,2}})(?:[T_ ]+{_CLOCK}{_ZONE})?", re.ASCII | re.IGNORECASE)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[T_ -]?(\d{2})(\d{2})(\d{2})(?:[.,](\d{0,30}))?(Z)?)?", re.ASCII)
_OLD = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})", re.ASCII)
_TIME = re.compile(rf"{_CLOCK}{_ZONE}", re.ASCII | re.IGNORECASE)
_FIRST_YEAR = 1971
_CENTURY_TURN = 70
_UTC_NAMES = frozenset({"", "Z", "UT", "UTC", "GMT"})
_SCALE_OFFSETS_S = {"TAI": -37.0, "TT": -69.184, "TDT": -69.184, "TDB": -69.184, "ET": -69.184, "GPS": -18.0}
_UTC_SCALES = frozenset({"", "UTC", "UT", "UT1", "GMT", "Z", "UTC(NIST)", "UTC(GPS)"})
_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_MJD_RANGE = (41000.0, 90000.0)
_JD_MINUS_MJD = 2400000.5

Clock = tuple[int, int, float, timedelta]


def scale_offset(timesys: CardValue) -> timedelta | None:
    """Return what must be added to a time on the scale of a TIMESYS card to get UTC, None for local or unknown time."""
    name = text(timesys).upper()
    if name in _UTC_SCALES:
        return timedelta(0)
    seconds = _SCALE_OFFSETS_S.get(name)
    return None if seconds is None else timedelta(seconds=seconds)


def moment(date: CardValue, time_of_day: CardValue = None) -> datetime | None:
    """Return a time as aware UTC from a date card and, where that has no time of day, a time card.

    Understands ISO 8601 with 'T', blank or underscore, dots for colons, slashes, any number of decimals, a zone
    (Z, UTC, -0700, +02:00); YYYYMMDDThhmmss; DD/MM/YY of the old FITS standard. Dates before 1971 are clocks that were
    never set (0001-01-01, 1899-12-30, 1970-01-01) and give None.
    """
    if not isinstance(date, str):
        date = text(date)
    found = _ISO.fullmatch(date.strip()[:60])
    if found is not None:
        year, month, day = int(found[1]), int(found[2]), int(found[3])
        clock = _clock(found[4], found[5], found[6], found[7], found[8]) if found[4] else None
        has_clock = found[4] is not None
    else:
        parsed = _other_date(date.strip()[:60])
        if parsed is None:
            return None
        year, month, day, clock, has_clock = parsed
    if not has_clock:
        clock = _time_of_day(time_of_day)
    if clock is None or year < _FIRST_YEAR:
        return None
    try:
        midnight = datetime(year, month, day, tzinfo=UTC)
        hour, minute, second, zone = clock
        milliseconds = int(second * 1000.0 + 1e-6)  # the catalogue keeps no finer time
        return midnight + timedelta(hours=hour, minutes=minute, milliseconds=milliseconds) - zone
    except (ValueError, OverflowError):
        return None


def _other_date(date: str) -> tuple[int, int, int, Clock | None, bool] | None:
    """Return year, month, day, time of day and whether there was one, of a date that is not ISO with separators."""
    found = _COMPACT.fullmatch(date)
    if found is not None:
        clock = _clock(found[4], found[5], found[6], found[7], found[8]) if found[4] else None
        return int(found[1]), int(found[2]), int(found[3]), clock, found[4] is not None
    found = _OLD.fullmatch(date)
    if found is None:
        return None
    year = int(found[3])
    if len(found[3]) < len("yyyy"):
        year += 1900 if year >= _CENTURY_TURN else 2000
    return year, int(found[2]), int(found[1]), None, False


def _time_of_day(value: CardValue) -> Clock | None:
    """Return the time of day in a card ('23:53:30.00', '2019-05-01T23:05:12'), or None."""
    if not isinstance(value, str):
        return None
    words = value.strip()[:60]
    found = _TIME.fullmatch(words)
    if found is not None:
        return _clock(found[1], found[2], found[3], found[4], found[5])
    found = _ISO.fullmatch(words)
    if found is None or found[4] is None:
        return None
    return _clock(found[4], found[5], found[6], found[7], found[8])


def _clock(hour: str, minute: str, second: str | None, decimals: str | None, zone: str | None) -> Clock | None:
    """Return hour, minute, second with decimals, and the offset of the zone from UTC; None if out of range."""
    seconds = float(f"{second or '0'}.{decimals or '0'}")
    if int(hour) > 23 or int(minute) > 59 or seconds >= 61:  # noqa: PLR2004 - a day of 24 hours, a leap second
        return None
    offset = timedelta(0)
    if zone is not None and zone.upper() not in _UTC_NAMES:
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or "0"))
        if zone[0] == "-":
            offset = -offset
    return int(hour), int(minute), seconds, offset


def moment_of_day_number(value: CardValue, *, julian: bool) -> datetime | None:
    """Return a time as aware UTC from a (modified) Julian date, to the millisecond, or None."""
    found = number(value)
    if found is None:
        return None
    days = found[0] - (_JD_MINUS_MJD if julian else 0.0)
    if not _MJD_RANGE[0] <= days <= _MJD_RANGE[1]:
        return None
    return _MJD_EPOCH + timedelta(milliseconds=round(days * 86_400_000))


# --- angles -----------------------------------------------------------------------------------------------------------

_ANGLE = re.compile(
    r"\s*([+-]?)\s*(\d{1,3}(?:\.\d{0,20})?)(?:[\s:d\N{DEGREE SIGN}]+(\d{1,2}(?:\.\d{0,20})?))?"
    r"(?:[\s:m']+(\d{1,2}(?:\.\d{0,20})?))?[\s\"s']*([EW]?)\s*",
    re.ASCII | re.IGNORECASE,
)
_MAX_LONGITUDE = 360.0


def longitude_deg(value: CardValue) -> float | None:
    """Return a longitude in degrees, east positive, from a number or '-105 49 13', '78:48:21 W', or None."""
    if isinstance(value, str):
        found = _ANGLE.fullmatch(value[:60])
        if found is None:
            return None
        angle = float(found[2]) + float(found[3] or 0) / 60 + float(found[4] or 0) / 3600
        if found[1] == "-" or found[5].upper() == "W":
            angle = -angle
    else:
        plain = number(value)
        if plain is None:
            return None
        angle = plain[0]
    if abs(angle) > _MAX_LONGITUDE:
        return None
    return angle - 360.0 if angle > 180.0 else angle  # noqa: PLR2004 - degrees of half a circle
