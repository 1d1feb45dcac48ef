"""Records out of rows: frames with their planes, masters with their members."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.connection import Connection
from ingestd.doors.catalogue.rows import read_frame, read_master, read_plane
from ingestd.doors.catalogue.texts import decode_path
from ingestd.doors.catalogue.values import StandingFrame
from ingestd.records import State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlite_utils import Database

    from ingestd.records import FrameRecord, Master, Plane, Reach
    from ingestd.settings import Settings


class Reading(Connection):
    """Look-ups by identity, and what the other rooms of the catalogue read with."""

    def __init__(self, path: Path, db: Database, rules: Settings, reach: Callable[[Master], Reach]) -> None:
        super().__init__(path, db, rules, reach)
        self._masters_read: dict[str, Master] = {}

    def frame(self, frame_id: str) -> FrameRecord | None:
        """Return the record of a frame, or None."""
        found = self._frames(self._rows(_FRAME, {"frame_id": frame_id}))
        return found[0] if found else None

    def standing_frame(self, frame_id: str) -> StandingFrame | None:
        """Return a frame with its state, or None."""
        row = self._row(_FRAME, {"frame_id": frame_id})
        if row is None:
            return None
        return StandingFrame(
            record=self._frames([row])[0],
            state=State(row["state"]),
            reason=row["reason"],
            detail=row["detail"],
            is_live=bool(row["live"]),
            superseded_by=row["superseded_by"],
            takes_part=bool(row["takes_part"]),
            decision=row["decision"] or "",
            is_unreadable=row["state"] == "quarantined" and not row["measured"] and row["decision"] != "rejected",
        )

    def path_of(self, frame_id: str) -> str | None:
        """Return where the frame lies now (its newest sighting that still stands), or None if it is gone."""
        path = self._value(_PATH_OF, {"frame_id": frame_id})
        return None if path is None else decode_path(path)

    def master(self, master_id: str) -> Master | None:
        """Return a master with its members and parents, current or not, pruned or not, or None."""
        found = self._masters([master_id])
        if not found:
            return None
        members = tuple(self._texts(_MEMBERS, {"master_id": master_id}))
        parents = tuple(self._texts(_PARENTS, {"master_id": master_id}))
        return replace(found[0], members=members, parents=parents)

    def _frames(self, rows: Sequence[sqlite3.Row]) -> list[FrameRecord]:
        """Return the records in rows of ``frames``, in their order."""
        planes: dict[str, list[Plane]] = {row["frame_id"]: [] for row in rows}
        for row in self._rows(_PLANES, {"ids": json.dumps(list(planes))}):
            planes[row["frame_id"]].append(read_plane(row))
        return [read_frame(row, tuple(planes[row["frame_id"]])) for row in rows]

    def _masters(self, master_ids: Sequence[str]) -> list[Master]:
        """Return masters by identity, in this order, without members and parents; unknown ones are left out.

        A master never changes under its identity, so it is read once: planning compares hundreds of them for each
        frame. What a transaction may still undo is not kept.
        """
        known = {} if self._db.conn.in_transaction else self._masters_read
        missing = [master_id for master_id in master_ids if master_id not in known]
        if missing:
            if len(known) + len(missing) > _MASTERS_KEPT:
                known.clear()
                missing = list(master_ids)
            for row in self._rows(_MASTERS, {"ids": json.dumps(missing)}):
                known[row["master_id"]] = read_master(row)
        return [known[master_id] for master_id in master_ids if master_id in known]


_FRAME = "SELECT * FROM frames WHERE frame_id = :frame_id"
_PLANES = (
    """SELECT * FROM planes WHERE frame_id IN (SELECT value FROM json_each(:ids)) ORDER BY frame_id, plane_index"""
)
_PATH_OF = """SELECT path FROM sightings WHERE frame_id = :frame_id AND gone_at IS NULL
    ORDER BY first_seen DESC, sighting_id DESC LIMIT 1"""

_MASTERS_KEPT = 50_000
_MASTERS = "SELECT * FROM masters WHERE master_id IN (SELECT value FROM json_each(:ids))"
_MEMBERS = "SELECT frame_id FROM members WHERE master_id = :master_id ORDER BY position"
_PARENTS = "SELECT parent_id FROM parents WHERE master_id = :master_id ORDER BY position"
