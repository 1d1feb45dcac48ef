"""Single values as SQLite holds them: times, paths, sections as text, finite numbers, compact JSON."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime

from ingestd.records import Group, Kind, Section

_UNPRINTABLE = re.compile(r"[\x00-\x1f\\\x7f\udc80-\udcff]")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_FIRST_SURROGATE = 0xDC00
_FIRST_HIGH_BYTE = 0x80


def time_text(time: datetime) -> str:
    """Return an aware time as ISO-8601 UTC text of 24 characters; what is finer than a millisecond is cut off."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return f"{time.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def optional_time_text(time: datetime | None) -> str | None:
    """Return the time as text, or None."""
    return None if time is None else time_text(time)


def read_time(text: str) -> datetime:
    """Return the time that ``time_text`` wrote."""
    return datetime.fromisoformat(text)


def read_optional_time(text: str | None) -> datetime | None:
    """Return the time, or None."""
    return None if text is None else read_time(text)


def encode_path(path: str) -> str:
    r"""Return the path as text that every program can store and print: odd bytes stand as ``\xNN``, reversibly."""
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", path)


def decode_path(text: str) -> str:
    """Return the path that ``encode_path`` was given, as ``os.fsdecode`` gives it."""
    return _ESCAPED.sub(_unescape, text) if "\\" in text else text


def _unescape(found: re.Match[str]) -> str:
    """Return the character or the undecodable byte of one escape."""
    byte = int(found[1], 16)
    return chr(byte if byte < _FIRST_HIGH_BYTE else _FIRST_SURROGATE + byte)


def clean_text(text: str) -> str:
    r"""Return the text; what is not Unicode (a lone surrogate) stands as ``\uNNNN``, because SQLite takes UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def optional_text(text: str | None) -> str | None:
    """Return the text cleaned, or None."""
    return None if text is None else clean_text(text)


def finite(value: float | None) -> float | None:
    """Return the number, or None where it is not a finite one: NaN never reaches the database."""
    return value if value is not None and math.isfinite(value) else None


def as_json(value: object) -> str:
    """Return the value as compact JSON that SQLite can store and query."""
    return clean_text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def group_filter(kind: Kind, filter_name: str | None) -> str:
    """Return the filter as part of a group: only flats are grouped by it, and no filter is an empty text."""
    return clean_text(filter_name or "") if kind is Kind.FLAT else ""


def frames_key(group: Group) -> dict[str, object]:
    """Return the parameters that find the frames of a group."""
    return {
        "camera": group.camera,
        "kind": group.kind.value,
        "configuration": group.configuration,
        "group_filter": group_filter(group.kind, group.filter_name),
    }


def masters_key(group: Group) -> dict[str, object]:
    """Return the parameters that find the masters of a group, which have no filter unless they are flats."""
    return {
        "camera": group.camera,
        "kind": group.kind.value,
        "configuration": group.configuration,
        "filter_name": optional_text(group.filter_name) if group.kind is Kind.FLAT else None,
    }


def section_text(section: Section | None) -> str | None:
    """Return a section as ``y0:y1,x0:x1``, zero-based and half-open."""
    return None if section is None else f"{section.y0}:{section.y1},{section.x0}:{section.x1}"


def read_section(text: str | None) -> Section | None:
    """Return the section that ``section_text`` wrote."""
    if text is None:
        return None
    y0, y1, x0, x1 = (int(number) for number in text.replace(",", ":").split(":"))
    return Section(y0, y1, x0, x1)
