"""An operator's commands, carried out by whoever holds the catalogue: the daemon between two ticks, or the CLI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ingestd.doors.catalogue import Catalogue


def carry_out(catalogue: Catalogue, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Carry out one command and return the answer: ``ok`` and, if not, ``error``.

    Parameters
    ----------
    catalogue : Catalogue
        The writing connection.
    request : mapping
        ``{"command": "requeue", "frames": [name or frame_id, ...]}``; without ``frames`` everything is due again.
    now : datetime
    """
    if request.get("command") == "requeue":
        return _requeue(catalogue, request.get("frames"), now)
    return {"ok": False, "error": f"unknown command {str(request.get('command'))[:50]!r}; known is 'requeue'"}


def _requeue(catalogue: Catalogue, names: object, now: datetime) -> dict[str, Any]:
    """Make frames due again, or all science frames and every night's masters."""
    if names is None:
        frames = catalogue.requeue(None, now)
        nights = catalogue.touch_nights(now)
        catalogue.add_event("info", "requeued", "", f"all: {frames} science frames, {nights} nights", now)
        return {"ok": True, "frames": frames, "nights": nights}
    if not isinstance(names, list):
        return {"ok": False, "error": "frames must be a list of file names or frame ids"}
    frame_ids = []
    for name in names:
        found = {row["frame_id"] for row in catalogue.find_frames(str(name)) if row["frame_id"] is not None}
        if not found:
            return {"ok": False, "error": f"no frame in the catalogue is called {str(name)[:200]!r}"}
        frame_ids += sorted(found)
    count = catalogue.requeue(frame_ids, now)
    catalogue.add_event("info", "requeued", ", ".join(map(str, names))[:200], f"{count} frames", now)
    return {"ok": True, "frames": count, "nights": 0}
