"""Hardware epochs, recorded and announced; and what an operator says of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from ingestd.doors.catalogue import Catalogue
from ingestd.records import Break, EpochWord
from ingestd.rules import epochs
from ingestd.settings import Settings

_log = logging.getLogger(__name__)

WORDS = {"confirm": "confirmed", "undo": "undone", "move": "moved", "open": "set"}


class EpochRefused(Exception):
    """A word on epochs that cannot be carried out, and why."""


def record_epochs(plan: epochs.EpochPlan, catalogue: Catalogue, now: datetime) -> bool:
    """Record what planning found of epochs, say what changed; return whether anything was found."""
    for group, night, points in plan.charts:
        catalogue.record_chart(group, night, points)
    for (camera, setup), breaks in plan.breaks.items():
        _record(catalogue, camera, setup, breaks, now)
    return bool(plan.charts or plan.breaks)


def decide(catalogue: Catalogue, settings: Settings, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Record an operator's word on a break and what follows from it; return the answer.

    Parameters
    ----------
    catalogue : Catalogue
    settings : Settings
    request : mapping
        ``word`` (``confirm``, ``undo``, ``move`` or ``open``), ``night``, ``reason``; ``to`` of a move; ``camera`` and
        ``setup`` where they must be told.
    now : datetime

    Raises
    ------
    EpochRefused
        If there is no such break, or it is not clear which is meant.
    """
    command = str(request.get("word"))
    if command not in WORDS:
        raise EpochRefused(f"unknown word {command[:50]!r}; known are {', '.join(WORDS)}")
    night, reason = _night(request.get("night")), str(request.get("reason") or "").strip()
    to = _night(request.get("to")) if command == "move" else ""
    camera, setup = str(request.get("camera") or ""), str(request.get("setup") or "")
    if command != "confirm" and not reason:
        raise EpochRefused(f"to {command} a break needs a reason")
    if command == "open":
        meant = _setups(catalogue, settings, camera, setup)
        known: dict[tuple[str, str], str] = {}
    else:
        known = _breaks_meant(catalogue, night, camera, setup)
        meant = sorted(known)
    for one in meant:
        other = to if command == "move" else known.get(one, "") if command == "undo" else ""
        word = EpochWord(WORDS[command], night, other, reason)
        with catalogue.transaction():
            catalogue.decide_epoch(*one, word, now)
            words = catalogue.epoch_words(*one)
            breaks = epochs.breaks_of(*one, catalogue.chart(*one), words, settings)
            _record(catalogue, *one, breaks, now)
    return {"ok": True, "breaks": len(meant)}


def _record(catalogue: Catalogue, camera: str, setup: str, breaks: Sequence[Break], now: datetime) -> None:
    """Record the breaks of a set-up; log what changed and keep it as an event."""
    for old, new in catalogue.record_breaks(camera, setup, breaks, now):
        it = new or old
        assert it is not None  # noqa: S101 - one of both is there
        status = "withdrawn" if new is None else new.status
        is_warning = status in ("detected", "suspected")
        why = "; ".join(filter(None, (it.cause, it.reason)))
        text = _TEXTS[status].format(night=it.night, setup=setup, why=why).removesuffix(": ")
        _log.log(logging.WARNING if is_warning else logging.INFO, "Epoch %s: %s: %s", status, camera, text)
        catalogue.add_event("warning" if is_warning else "info", f"epoch_{status}", camera, text, now)


_TEXTS = {
    "detected": "{setup}: new hardware epoch from {night} on, no calibrations cross it: {why}. Take new calibrations; "
    "`ingestd epochs confirm {night}`, or move, or undo",
    "suspected": "{setup}: the hardware may have changed before {night}: {why}. "
    "`ingestd epochs confirm {night}`, or undo",
    "confirmed": "{setup}: new epoch from {night} on, confirmed: {why}",
    "moved": "{setup}: new epoch from {night} on, moved there: {why}",
    "set": "{setup}: new epoch from {night} on, by an operator: {why}",
    "undone": "{setup}: no new epoch from {night} on, by an operator: {why}",
    "withdrawn": "{setup}: no new epoch from {night} on any more; it was: {why}",
}


def _night(value: object) -> str:
    """Return the date of a night."""
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError as error:
        raise EpochRefused(f"{str(value)[:40]!r} is not the date of a night, YYYY-MM-DD") from error


def _setups(catalogue: Catalogue, settings: Settings, camera: str, setup: str) -> list[tuple[str, str]]:
    """Return the set-ups of a camera for which a break can be set."""
    names = [it.name for it in settings.camera]
    camera = camera or (names[0] if len(names) == 1 else "")
    if camera not in names:
        raise EpochRefused(f"name the camera with --camera: {', '.join(names)}")
    known = catalogue.setups(camera)
    found = [it for it in known if setup in ("", it)]
    if not found:
        raise EpochRefused(f"camera {camera} has no calibration frames of this set-up; known: {'; '.join(known)}")
    return [(camera, it) for it in found]


def _breaks_meant(catalogue: Catalogue, night: str, camera: str, setup: str) -> dict[tuple[str, str], str]:
    """Return the set-ups that have a break at a night, each with the last night before it."""
    rows = catalogue.break_rows(camera=camera or None)
    meant = [row for row in rows if row["night"] == night and setup in ("", row["setup"])]
    if not meant:
        nights = ", ".join(sorted({row["night"] for row in rows})) or "none"
        raise EpochRefused(f"no break of epochs at {night}; known: {nights}. `ingestd epochs open` sets one")
    if len({row["camera"] for row in meant}) > 1:
        raise EpochRefused(f"several cameras have a break at {night}: name one with --camera")
    return {(row["camera"], row["setup"]): row["after_night"] for row in meant}
