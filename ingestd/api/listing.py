"""Frames as a person asks for them: what the header says, where they lie, how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestd.doors.catalogue import Catalogue, decode_path
from ingestd.records import Kind, State


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: what its header says, where it lies, how it stands.

    ``path`` is absolute, ``product`` (None where there is none) relative to the data directory. ``state`` and
    ``reason`` are those of ``ingestd frames``.
    """

    frame_id: str
    path: Path
    kind: Kind
    label: str
    state: State
    reason: str
    detail: str
    camera: str
    configuration: str
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    object_name: str | None
    obs_start: datetime | None
    night: str | None
    gain_e_per_adu: float | None
    product: Path | None


def frames(
    catalogue: Catalogue,
    *,
    kind: Kind | str | None = None,
    camera: str | None = None,
    night: str | None = None,
    state: State | str | None = None,
    filter_name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Frame]:
    """Return frames, the oldest observation first.

    Parameters
    ----------
    catalogue : Catalogue
    kind, camera, night, state, filter_name : str, optional
        Only frames with this value; ``night`` is the date on which it began, YYYY-MM-DD.
    since, until : datetime, optional
        Only frames whose exposure began in this interval (aware).
    """
    rows = catalogue.exported(
        "frames",
        kind=kind,
        camera=camera,
        night=night,
        state=state,
        filter_name=filter_name,
        since=since,
        until=until,
    )
    return [_frame(row) for row in rows]


def _frame(row: Mapping[str, Any]) -> Frame:
    """Return a row as a frame."""
    values = {name: row[name] for name in Frame.__slots__}
    values["kind"], values["state"] = Kind(row["kind"]), State(row["state"])
    values["path"] = Path(decode_path(row["path"] or ""))
    values["obs_start"] = _time(row["obs_start"])
    values["product"] = None if row["product"] is None else Path(decode_path(row["product"]))
    return Frame(**values)


def _time(text: str | None) -> datetime | None:
    """Return a time of the database, aware."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
