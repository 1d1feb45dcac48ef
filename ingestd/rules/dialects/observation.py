"""When a frame was taken, and the night it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingestd.rules import groups
from ingestd.rules.dialects.fields import Cards, longitude_deg, moment, moment_of_day_number, scale_offset, text
from ingestd.rules.dialects.recognise import keywords_of
from ingestd.rules.dialects.table import LOCAL_TIME_CARDS, WEST_LONGITUDES
from ingestd.settings import Site


@dataclass(frozen=True, slots=True)
class Observation:
    """Start of an exposure (aware UTC), its night, the cards both came from, and notes."""

    obs_start: datetime | None
    night: str | None
    sources: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def read_observation(cards: Cards, dialect: str, own: Sequence[str], site: Site) -> Observation:
    """Return when the frame was taken; local time is refused, an impossible time is no time."""
    notes: list[str] = []
    start, source = _start(cards, dialect, own, notes)
    if start is None:
        local = next((keyword for keyword in LOCAL_TIME_CARDS if keyword in cards), "")
        if local:
            notes.append(f"{local} is local time and is not used")
        seen = [keyword for keyword in (*own, *keywords_of(dialect, "obs_start")) if keyword in cards]
        values = ", ".join(f"{keyword} = {text(cards[keyword])[:40]}" for keyword in seen)
        notes.append(f"no start of the exposure in UTC: {values or 'no DATE-OBS'}")
        return Observation(None, None, (), tuple(notes))
    longitude, where = _longitude(cards, dialect, site)
    if longitude is None:
        notes.append("longitude unknown: the night is counted from noon UTC; set [site] longitude_deg")
    night = groups.night_of(start, longitude)
    return Observation(start, night, (("obs_start", source), ("night", where or "longitude 0")), tuple(notes))


def _start(cards: Cards, dialect: str, own: Sequence[str], notes: list[str]) -> tuple[datetime | None, str]:
    """Return the start of the exposure and the cards it was read from."""
    shift = scale_offset(cards.get("TIMESYS"))
    if shift is None:
        notes.append(f"TIMESYS = {text(cards.get('TIMESYS'))} is not a time scale that can be converted to UTC")
        return None, ""
    if shift:
        notes.append(f"TIMESYS = {text(cards.get('TIMESYS'))}: {shift.total_seconds():g} s added for UTC")
    found = _from_dates(cards, dialect, own) or _from_day_numbers(cards, dialect)
    return (found[0] + shift, found[1]) if found else (None, "")


def _from_dates(cards: Cards, dialect: str, own: Sequence[str]) -> tuple[datetime, str] | None:
    """Return the start from a date card, completed by the first time card where it has no time of day."""
    times = [keyword for keyword in keywords_of(dialect, "time") if keyword in cards]
    for keyword in (*own, *keywords_of(dialect, "obs_start")):
        if keyword not in cards:
            continue
        whole = moment(cards[keyword])
        if whole is not None:
            return whole, keyword
        for time_keyword in times:
            joined = moment(cards[keyword], cards[time_keyword])
            if joined is not None:
                return joined, f"{keyword} + {time_keyword}"
    return None


def _from_day_numbers(cards: Cards, dialect: str) -> tuple[datetime, str] | None:
    """Return the start from a modified Julian date or a Julian date."""
    for field, julian in (("mjd", False), ("jd", True)):
        for keyword in keywords_of(dialect, field):
            if keyword in cards:
                found = moment_of_day_number(cards[keyword], julian=julian)
                if found is not None:
                    return found, keyword
    return None


def _longitude(cards: Cards, dialect: str, site: Site) -> tuple[float | None, str]:
    """Return the longitude in degrees, east positive, from the settings or else the header."""
    if site.longitude_deg is not None:
        return longitude_deg(site.longitude_deg), "settings longitude_deg"
    for keyword in keywords_of(dialect, "longitude"):
        if keyword in cards:
            found = longitude_deg(cards[keyword])
            if found is not None:
                return (-abs(found) if keyword in WEST_LONGITUDES else found), keyword
    return None, ""
