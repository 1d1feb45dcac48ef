"""An operator's commands, carried out by whoever holds the catalogue: the daemon between two ticks, or the CLI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ingestd.doors.catalogue import Catalogue
from ingestd.flow import adopting, epochs
from ingestd.flow.recovery import remove_links
from ingestd.rules.groups import night_groups
from ingestd.settings import Settings

_FRAME_WORDS = {"accept": "accepted", "reject": "rejected", "restore": "restored"}
_MASTER_WORDS = {"pin": "pinned", "reject": "rejected", "restore": "restored"}
_OF_MASTERS = {"pin": "pinned", "valid": "given a range of times"}
_KNOWN = "'requeue', 'accept', 'reject', 'restore', 'pin', 'valid', 'epochs' and 'add_master'"
_LONGEST_NAME = 200


class _Refused(Exception):
    """A request that cannot be carried out, and why."""


def carry_out(catalogue: Catalogue, settings: Settings, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Carry out one command and return the answer: ``ok`` and, if not, ``error``.

    Parameters
    ----------
    catalogue : Catalogue
        The writing connection.
    settings : Settings
        Where the products lie.
    request : mapping
        ``{"command": "requeue", "frames": [name or frame_id, ...]}``; without ``frames`` everything is due again.
        ``{"command": "accept", "names": [name or id, ...], "reason": "..."}``, likewise ``reject`` and ``restore`` of
        frames or masters, and ``pin`` of masters. ``{"command": "valid", "names": [...], "from": time, "until": time,
        "reason": "..."}`` gives masters a range of observation times, ISO-8601, None where it is open.
        ``{"command": "epochs", "word": "undo", "night": "2026-03-05", ...}`` as ``epochs.decide`` has it.
        ``{"command": "add_master", ...}`` as ``adopting.prepare`` gives it.
    now : datetime
    """
    command = str(request.get("command"))
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        **dict.fromkeys((*_FRAME_WORDS, *_MASTER_WORDS), lambda: _decide(catalogue, settings, command, request, now)),
        "requeue": lambda: _requeue(catalogue, request.get("frames"), now),
        "valid": lambda: _limit(catalogue, request, now),
        "epochs": lambda: epochs.decide(catalogue, settings, request, now),
        "add_master": lambda: adopting.record(catalogue, settings, request, now),
    }
    if command not in ways:
        return {"ok": False, "error": f"unknown command {command[:50]!r}; known are {_KNOWN}"}
    try:
        return ways[command]()
    except (_Refused, epochs.EpochRefused) as refusal:
        return {"ok": False, "error": str(refusal)}


def _requeue(catalogue: Catalogue, names: object, now: datetime) -> dict[str, Any]:
    """Make frames due again, or all science frames and every night's masters."""
    if names is None:
        frames = catalogue.requeue(None, now)
        nights = catalogue.touch_nights(now)
        catalogue.add_event(
            "info", "requeued", "", f"all: {frames} science frames, the masters of {night_groups(nights)}", now
        )
        return {"ok": True, "frames": frames, "nights": nights}
    if not isinstance(names, list):
        raise _Refused("frames must be a list of file names or frame ids")
    frame_ids = []
    for name in names:
        rows = catalogue.find_frames(str(name))
        found = {row["frame_id"] for row in rows if row["frame_id"] is not None}
        if not found and rows:
            raise _Refused(f"{rows[0]['path']}: waiting, {rows[0]['reason']}: it is looked at again by itself")
        if not found:
            raise _Refused(f"no frame in the catalogue is called {str(name)[:_LONGEST_NAME]!r}")
        frame_ids += sorted(found)
    count = catalogue.requeue(frame_ids, now)
    said = f"{count} frame{'' if count == 1 else 's'}"
    catalogue.add_event("info", "requeued", ", ".join(map(str, names))[:_LONGEST_NAME], said, now)
    return {"ok": True, "frames": count, "nights": 0}


def _decide(
    catalogue: Catalogue, settings: Settings, command: str, request: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Record an operator's word on frames and masters; what follows from it is planned at the next look."""
    names, reason = _names_and_reason(request)
    if command == "reject" and not reason:
        raise _Refused("a rejection needs a reason")
    frames, masters = [], []
    for name in names:
        frame_id, master_id = _subject(catalogue, str(name), command)
        frames += [frame_id] if frame_id is not None else []
        masters += [master_id] if master_id is not None else []
    if frames:
        catalogue.decide_frames(frames, _FRAME_WORDS[command], reason, now)
        remove_links(settings, catalogue.withdrawn_products(frames))
    if masters:
        catalogue.decide_masters(masters, _MASTER_WORDS[command], reason, now)
    word = _FRAME_WORDS.get(command) or _MASTER_WORDS[command]
    catalogue.add_event("info", word, ", ".join(map(str, names))[:_LONGEST_NAME], reason, now)
    return {"ok": True, "frames": len(frames), "masters": len(masters)}


def _limit(catalogue: Catalogue, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Record for which observation times masters may serve."""
    names, reason = _names_and_reason(request)
    first, last = (_time(request.get(name), name) for name in ("from", "until"))
    if first is None and last is None:
        raise _Refused("a range needs a beginning or an end; ingestd restore takes one back")
    if first is not None and last is not None and last < first:
        raise _Refused(f"the range ends ({last:%Y-%m-%d %H:%M:%S}) before it begins ({first:%Y-%m-%d %H:%M:%S})")
    masters = [master_id for name in names if (master_id := _subject(catalogue, name, "valid")[1]) is not None]
    catalogue.limit_masters(masters, first, last, reason, now)
    catalogue.add_event("info", "limited", ", ".join(names)[:_LONGEST_NAME], reason, now)
    return {"ok": True, "frames": 0, "masters": len(masters)}


def _names_and_reason(request: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return what a decision is about, and why it was taken."""
    names = request.get("names")
    if not isinstance(names, list) or not names:
        raise _Refused("names must be a list of files, frame ids, masters or master ids")
    return [str(name) for name in names], str(request.get("reason") or "").strip()


def _time(value: object, name: str) -> datetime | None:
    """Return an ISO time, UTC unless it says otherwise."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        raise _Refused(f"{name} = {str(value)[:50]!r} is no time; write 2026-01-15T20:30:00, UTC") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _subject(catalogue: Catalogue, name: str, command: str) -> tuple[str | None, str | None]:
    """Return the frame or the master that a name stands for: exactly one of both."""
    shown = repr(name[:_LONGEST_NAME])
    frames = [row for row in catalogue.find_frames(name) if row["frame_id"] is not None]
    frames = [row for row in frames if row["live"]] or frames
    masters = catalogue.find_masters(name) if command in _MASTER_WORDS or command == "valid" else []
    if len(frames) + len(masters) > 1:
        found = ", ".join((row.get("frame_id") or row["master_id"])[:12] for row in [*frames, *masters][:5])
        raise _Refused(f"{shown} is ambiguous: {found}. Give the path, or more digits of the id")
    if masters:
        if command == "pin" and masters[0]["pruned_at"] is not None:
            raise _Refused(f"the master {shown} was removed; it cannot be pinned")
        return None, masters[0]["master_id"]
    if not frames:
        kind = "frame" if command == "accept" else "master" if command in _OF_MASTERS else "frame or master"
        raise _Refused(f"no {kind} in the catalogue is called {shown}")
    if command in _OF_MASTERS:
        raise _Refused(f"{shown} is a frame: only a master can be {_OF_MASTERS[command]}")
    _check_frame(catalogue, frames[0]["frame_id"], shown, command)
    return frames[0]["frame_id"], None


def _check_frame(catalogue: Catalogue, frame_id: str, shown: str, command: str) -> None:
    """Refuse what would have no effect: a frame that takes no part, or that cannot be read."""
    frame = catalogue.standing_frame(frame_id)
    if frame is None or not frame.takes_part:
        why = "" if frame is None else f": {': '.join(filter(None, (frame.reason, frame.detail)))}"
        raise _Refused(f"{shown} takes no part in anything{why}")
    if command == "accept" and frame.is_unreadable:
        raise _Refused(
            f"{shown} cannot be accepted, its content is at fault: {frame.reason}: {frame.detail}. "
            "`ingestd requeue` has it read again"
        )
