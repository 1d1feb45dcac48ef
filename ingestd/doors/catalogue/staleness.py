"""What a change makes stale: frames touch nights, masters touch science frames, flat nights and dark masters."""

from __future__ import annotations

import json
from datetime import date, timedelta
from math import ceil
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.rows import time_text
from ingestd.records import CALIBRATION_KINDS, Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any

    from ingestd.settings import MasterRule


class Staleness(Reading):
    """Marks, inside the transaction of the change that causes them; one too many costs a look, never a product."""

    def _rule(self, kind: Kind) -> MasterRule:
        """Return the window and the validity of masters of a kind."""
        return {Kind.BIAS: self.rules.bias, Kind.DARK: self.rules.dark, Kind.FLAT: self.rules.flat}[kind]

    def _touch_nights_of_frame(self, frame_id: str, now: datetime) -> None:
        """Mark the nights of a calibration frame's group that its presence can change: those whose window holds it."""
        row = self._row(_GROUP_OF_FRAME, {"frame_id": frame_id})
        if row is None or row["night"] is None or row["kind"] not in CALIBRATION_KINDS:
            return
        last = later_night(row["night"], ceil(self._rule(Kind(row["kind"])).window_d))
        self._write(_TOUCH_NIGHTS, {**dict(row), "last_night": last, "now": time_text(now)})

    def _touch_what_masters_serve(
        self, masters: Iterable[sqlite3.Row], now: datetime, valid_d: float | None = None
    ) -> None:
        """Mark what masters that became current, or ceased to be, can be used for."""
        for master in masters:
            kind = Kind(master["kind"])
            reach = ceil(self._rule(kind).valid_d if valid_d is None else valid_d) + 1
            parameters = {
                "camera": master["camera"],
                "configuration": master["configuration"],
                "filter_name": master["filter_name"],
                "first_night": later_night(master["first_obs"][:10], -reach),
                "last_night": later_night(master["last_obs"][:10], reach),
                "night": master["night"],
                "master_id": master["master_id"],
                "now": time_text(now),
            }
            if kind is Kind.FLAT:
                self._write(_TOUCH_LIGHTS_OF_FILTER, parameters)
                self._touch_lights_of_gain(parameters)
            else:
                self._write(_TOUCH_LIGHTS, parameters)
                self._write(_TOUCH_FLAT_NIGHTS, parameters)
            if kind is Kind.BIAS:
                self._write(_TOUCH_DARKS, parameters)

    def _touch_lights_of_gain(self, parameters: Mapping[str, Any]) -> None:
        """Mark the later science frames without a gain of their own: flats of earlier nights give it, in any filter."""
        if self._value(_HAS_GAIN, parameters):
            self._write(_TOUCH_LIGHTS_OF_GAIN, parameters)

    def _refresh_membership(self, frame_ids: Iterable[str], now: datetime) -> None:
        """Give measured frames the reason ``member`` while a current master holds them, else ``catalogued``."""
        self._write(_REFRESH_MEMBERSHIP, {"ids": json.dumps(sorted(frame_ids)), "now": time_text(now)})

    def _choose_among_equal_pixels(self, frame_id: str, now: datetime) -> None:
        """Leave one of the frames with equal pixels and set-up active, the newest file; the others are superseded.

        The newest is the one whose standing sighting was last modified: a property of the files, not of the order in
        which they were found. Without any standing sighting nothing changes.
        """
        twins = self._rows(_TWINS, {"frame_id": frame_id})
        living = [row for row in twins if row["mtime_ns"] is not None]
        if len(twins) < 2 or not living:  # noqa: PLR2004 - one alone has no twin
            return
        newest = max(living, key=lambda row: (row["mtime_ns"], row["frame_id"]))["frame_id"]
        for row in twins:
            if row["frame_id"] == newest and row["superseded_by"] is not None:
                self._revive(row["frame_id"], now)
            elif row["frame_id"] != newest and row["superseded_by"] != newest:
                self._supersede(row["frame_id"], newest, now)

    def _supersede(self, frame_id: str, newest: str, now: datetime) -> None:
        """Make a frame neither a member of a new build nor the owner of a current product."""
        parameters = {"frame_id": frame_id, "newest": newest, "now": time_text(now)}
        self._write(_SUPERSEDE, parameters)
        self._write(_WITHDRAW_PRODUCT, parameters)
        self._write(_WITHDRAW_FIGURES, parameters)
        self._touch_nights_of_frame(frame_id, now)

    def _revive(self, frame_id: str, now: datetime) -> None:
        """Let a superseded frame take part again."""
        parameters = {"frame_id": frame_id, "now": time_text(now)}
        self._write(_REVIVE, parameters)
        self._write(_RESTORE_FIGURES, parameters)
        self._touch_nights_of_frame(frame_id, now)


def later_night(night: str, days: int) -> str:
    """Return the night so many days later, within the years that a date can have."""
    try:
        return (date.fromisoformat(night) + timedelta(days=days)).isoformat()
    except OverflowError:
        return (date.max if days > 0 else date.min).isoformat()


_GROUP_OF_FRAME = """SELECT camera, kind, configuration, group_filter, night FROM frames
    WHERE frame_id = :frame_id AND takes_part = 1 AND flags = '[]'"""
_TOUCH_NIGHTS = """UPDATE nights SET stale = 1, touched_at = :now
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name = :group_filter
    AND night BETWEEN :night AND :last_night"""
_TOUCH_LIGHTS = """UPDATE frames SET stale = 1
    WHERE camera = :camera AND configuration = :configuration AND night BETWEEN :first_night AND :last_night
    AND kind = 'light' AND takes_part = 1 AND stale = 0 AND superseded_by IS NULL AND state <> 'quarantined'"""
_TOUCH_LIGHTS_OF_FILTER = f"{_TOUCH_LIGHTS} AND filter_name IS :filter_name"
_HAS_GAIN = "SELECT EXISTS (SELECT 1 FROM metrics WHERE master_id = :master_id AND name = 'gain_electrons_per_adu')"
_TOUCH_LIGHTS_OF_GAIN = """UPDATE frames SET stale = 1
    WHERE camera = :camera AND configuration = :configuration AND night > :night AND gain_e_per_adu IS NULL
    AND kind = 'light' AND takes_part = 1 AND stale = 0 AND superseded_by IS NULL AND state <> 'quarantined'"""
_TOUCH_FLAT_NIGHTS = """UPDATE nights SET stale = 1, touched_at = :now
    WHERE camera = :camera AND kind = 'flat' AND configuration = :configuration
    AND night BETWEEN :first_night AND :last_night"""
_TOUCH_DARKS = """UPDATE masters SET stale = 1
    WHERE camera = :camera AND configuration = :configuration AND kind = 'dark' AND current = 1 AND pruned_at IS NULL
    AND night BETWEEN :first_night AND :last_night"""
_REFRESH_MEMBERSHIP = """UPDATE frames SET changed_at = :now, reason = CASE WHEN EXISTS (
        SELECT 1 FROM members JOIN masters USING (master_id)
        WHERE members.frame_id = frames.frame_id AND masters.current = 1) THEN 'member' ELSE 'catalogued' END
    WHERE frame_id IN (SELECT value FROM json_each(:ids)) AND state = 'done' AND measured = 1
    AND reason IN ('member', 'catalogued')"""
_TWINS = """SELECT twin.frame_id, twin.superseded_by,
        (SELECT max(mtime_ns) FROM sightings s WHERE s.frame_id = twin.frame_id AND s.gone_at IS NULL) AS mtime_ns
    FROM frames f JOIN frames twin ON twin.data_sha256 = f.data_sha256 AND twin.configuration = f.configuration
    WHERE f.frame_id = :frame_id AND twin.state <> 'quarantined'"""
_SUPERSEDE = """UPDATE frames SET superseded_by = :newest, state = 'done', reason = 'superseded', detail = '',
    stale = 0, retry_at = NULL, changed_at = :now WHERE frame_id = :frame_id"""
_WITHDRAW_PRODUCT = "UPDATE reductions SET current = 0 WHERE frame_id = :frame_id AND current = 1"
_WITHDRAW_FIGURES = "UPDATE metrics SET current = 0 WHERE frame_id = :frame_id AND current = 1"
_REVIVE = """UPDATE frames SET superseded_by = NULL, changed_at = :now,
    stale = takes_part AND (kind = 'light' OR measured = 0),
    state = CASE WHEN takes_part AND (kind = 'light' OR measured = 0) THEN 'waiting' ELSE 'done' END,
    reason = CASE WHEN takes_part AND (kind = 'light' OR measured = 0) THEN 'due' ELSE 'catalogued' END
    WHERE frame_id = :frame_id"""
_RESTORE_FIGURES = "UPDATE metrics SET current = 1 WHERE frame_id = :frame_id AND kind <> 'light'"
