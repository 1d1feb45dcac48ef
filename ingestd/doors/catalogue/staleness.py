"""What a change makes stale: frames touch nights; masters touch science frames, dark masters, and later nights."""

from __future__ import annotations

import json
from datetime import date, timedelta
from math import ceil
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.judgements import read_verdict
from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.texts import clean_text, group_filter, time_text
from ingestd.records import CALIBRATION_KINDS, Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any

    from ingestd.settings import MasterRule


class Staleness(Reading):
    """Marks, inside the transaction of the change that causes them; one too many costs a look, never a product."""

    def _rule(self, row: sqlite3.Row) -> MasterRule:
        """Return the window and the validity of masters of the camera and kind in a row."""
        return self.rules.rules_of(row["camera"]).master(row["kind"])

    def _touch_nights_of_frame(self, frame_id: str, now: datetime) -> None:
        """Mark the nights of a calibration frame's group that its presence can change: those whose window holds it."""
        row = self._row(_GROUP_OF_FRAME, {"frame_id": frame_id})
        if row is None or row["night"] is None or row["kind"] not in CALIBRATION_KINDS:
            return
        last = later_night(row["night"], ceil(self._rule(row).window_d))
        self._write(_TOUCH_NIGHTS, {**dict(row), "last_night": last, "now": time_text(now)})
        self._write(_UNCHART_NIGHT, dict(row))

    def _mark_nights_of_frame(self, frame_id: str) -> None:
        """Mark the same nights without a new burst: what is known of a frame changed, and nothing more will come."""
        row = self._row(_GROUP_OF_FRAME, {"frame_id": frame_id})
        if row is None or row["night"] is None or row["kind"] not in CALIBRATION_KINDS:
            return
        last = later_night(row["night"], ceil(self._rule(row).window_d))
        self._write(_MARK_NIGHTS, {**dict(row), "last_night": last})

    def _unchart_night_of_frame(self, frame_id: str) -> None:
        """Have what the raw frames of its night show of the camera looked at again: who counts there changed."""
        row = self._row(_GROUP_OF_FRAME, {"frame_id": frame_id})
        if row is not None:
            self._write(_UNCHART_NIGHT, dict(row))

    def _touch_what_masters_serve(self, masters: Iterable[sqlite3.Row], now: datetime) -> None:
        """Mark what masters that became current, or ceased to be, can be used for."""
        for master in masters:
            kind = Kind(master["kind"])
            rule = self._rule(master)
            parameters = {
                "camera": master["camera"],
                "configuration": master["configuration"],
                "setup": master["setup"],
                "filter_name": master["filter_name"],
                "first_night": later_night(master["first_obs"][:10], -ceil(rule.before_d) - 1),
                "last_night": later_night(master["last_obs"][:10], ceil(rule.after_d) + 1),
                "night": master["night"],
                "master_id": master["master_id"],
                "now": time_text(now),
            }
            self._touch_lights(kind, parameters)
            if kind is Kind.FLAT:
                self._touch_lights_of_gain(parameters)
            else:
                self._write(_TOUCH_FLAT_NIGHTS, parameters)
            if kind is Kind.BIAS:
                self._write(_TOUCH_DARKS, parameters)
                self._write(_MARK_DARK_NIGHTS, parameters)
            parameters |= {"kind": kind.value, "group_filter": group_filter(kind, master["filter_name"])}
            self._write(_MARK_REFERRING_NIGHTS, parameters)
            self._write(_MARK_LATER_MASTERS, parameters)

    def _touch_lights(self, kind: Kind, parameters: Mapping[str, Any]) -> None:
        """Mark the science frames for whose choice a master can matter."""
        (master,) = self._masters([parameters["master_id"]])
        reach = self.reach(master)
        if not reach.can_serve:
            return
        query = _TOUCH_LIGHTS_OF_FILTER if kind is Kind.FLAT else _TOUCH_LIGHTS
        own: dict[str, object] = {"kind": kind.value, "outranked_by": json.dumps(reach.outranked_by)}
        own |= {"first_obs": time_text(master.first_obs), "last_obs": time_text(master.last_obs)}
        if reach.temp_c is not None:
            query += _IN_TEMPERATURE
            own |= dict(zip(("low_temp_c", "high_temp_c"), reach.temp_c, strict=True))
        elif reach.has_temp_limit:
            query += " AND ccd_temp_c IS NULL"
        if reach.exposure_s is not None:
            query += _IN_EXPOSURE
            own |= dict(zip(("low_exposure_s", "high_exposure_s"), reach.exposure_s, strict=True))
        self._write(query + _NOT_OUTRANKED, {**parameters, **own})

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
                self._inherit(row["frame_id"], newest, now)

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
        self._stand(frame_id, now)
        self._touch_nights_of_frame(frame_id, now)

    # --- the verdict on the pixels, and the operator's word ----------------------------------------------------------

    def _stand(self, frame_id: str, now: datetime) -> None:
        """Give a frame the state that follows from the verdict on its pixels and from the operator's word.

        A rejected frame, and one that its pixels contradict unless it was accepted, is quarantined: no member of a new
        build, without a current product, its figures no longer current. Any other that was so is let in again. A frame
        that is quarantined because it cannot be read stays so.
        """
        row = self._row(_STANDING, {"frame_id": frame_id})
        if row is None or row["superseded_by"] is not None:
            return
        parameters: dict[str, object] = {"frame_id": frame_id, "now": time_text(now)}
        if row["decision"] == "rejected":
            self._put_aside(parameters, "rejected", self._word_on(frame_id))
        elif row["measured"] and row["screened"] and row["decision"] != "accepted":
            verdict = read_verdict(row)
            self._put_aside(parameters, row["screened"], "" if verdict is None else verdict.detail)
        elif row["state"] == "quarantined" and (row["measured"] or row["reason"] == "rejected"):
            self._write(_LET_IN, parameters)
            self._write(_RESTORE_FIGURES, parameters)
            self._refresh_membership([frame_id], now)

    def _put_aside(self, parameters: dict[str, object], reason: str, detail: str) -> None:
        """Quarantine a frame and withdraw what it gave."""
        self._write(_PUT_ASIDE, {**parameters, "reason": reason, "detail": clean_text(detail)})
        self._write(_WITHDRAW_PRODUCT, parameters)
        self._write(_WITHDRAW_FIGURES, parameters)

    def _word_on(self, frame_id: str) -> str:
        """Return what the operator said last of a frame, and how to take it back."""
        row = self._row(_LAST_WORD, {"frame_id": frame_id})
        said = "" if row is None else f"{row['time']}: {row['reason']}. "
        return f"rejected by an operator {said}To take it back: ingestd restore {frame_id[:8]}"

    def _inherit(self, frame_id: str, heir: str, now: datetime) -> None:
        """Let the operator's word on a frame hold for the one with the same pixels that supersedes it."""
        parameters = {"frame_id": frame_id, "heir": heir, "now": time_text(now)}
        if self._write(_INHERIT, parameters):
            self._write(_INHERIT_WORD, parameters)
            self._stand(heir, now)
            self._mark_nights_of_frame(heir)
            self._unchart_night_of_frame(heir)


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
_UNCHART_NIGHT = """UPDATE nights SET charted = 0, stale = 1
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name = :group_filter
    AND night = :night AND kind <> 'flat'"""
_MARK_NIGHTS = """UPDATE nights SET stale = 1
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name = :group_filter
    AND night BETWEEN :night AND :last_night"""
# Only frames judged by this master, by an older one or by none can have another reference now.
_MARK_REFERRING_NIGHTS = """UPDATE nights SET stale = 1
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name = :group_filter
    AND night > :night AND night <= :last_night AND night IN (
        SELECT f.night FROM frames f LEFT JOIN masters r ON r.master_id = f.reference_id
        WHERE f.camera = :camera AND f.kind = :kind AND f.configuration = :configuration
        AND f.group_filter = :group_filter AND f.night > :night AND f.night <= :last_night AND f.measured = 1
        AND (r.night IS NULL OR r.night <= :night OR r.exposure_s IS NOT f.exposure_s))"""
_MARK_DARK_NIGHTS = """UPDATE nights SET stale = 1
    WHERE camera = :camera AND kind = 'dark' AND configuration = :configuration AND filter_name = ''
    AND night BETWEEN :night AND :last_night AND night IN (
        SELECT f.night FROM frames f LEFT JOIN masters r ON r.master_id = f.pedestal_id
        WHERE f.camera = :camera AND f.kind = 'dark' AND f.configuration = :configuration
        AND f.group_filter = '' AND f.night BETWEEN :night AND :last_night AND f.measured = 1
        AND (r.night IS NULL OR r.night <= :night))"""
# Only masters compared with this one, with an older one or with none can have another previous master now.
_MARK_LATER_MASTERS = """UPDATE masters SET stale = 1
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name IS :filter_name
    AND night > :night AND night <= :last_night AND current = 1 AND pruned_at IS NULL
    AND ifnull((SELECT p.night FROM masters p WHERE p.master_id = masters.compared_with), '') <= :night"""
# A change ends a delay: planning tells anew whether it is worth one.
_TOUCH_LIGHTS = """UPDATE frames SET stale = 1, again_at = NULL
    WHERE camera = :camera AND setup = :setup AND night BETWEEN :first_night AND :last_night
    AND kind = 'light' AND takes_part = 1 AND (stale = 0 OR again_at IS NOT NULL) AND superseded_by IS NULL
    AND state <> 'quarantined'"""
_TOUCH_LIGHTS_OF_FILTER = f"{_TOUCH_LIGHTS} AND filter_name IS :filter_name"
_IN_TEMPERATURE = " AND ccd_temp_c BETWEEN :low_temp_c AND :high_temp_c"
_IN_EXPOSURE = " AND exposure_s BETWEEN :low_exposure_s AND :high_exposure_s"
# A frame whose product is the settled one, made with a master of this kind that comes first whatever becomes of this
# one: it is still there, or the frame had been marked. 0.01 h are left for the rounding of times.
_NOT_OUTRANKED = """ AND NOT (state IN ('done', 'provisional') AND EXISTS (
        SELECT 1 FROM reductions r
        JOIN used_masters u ON u.reduction_id = r.reduction_id AND u.kind = :kind
        JOIN masters m ON m.master_id = u.master_id
        WHERE r.frame_id = frames.frame_id AND r.current = 1 AND r.pruned_at IS NULL
        AND u.cut IS NULL AND u.how NOT IN ('scaled_down', 'scaled_up')
        AND m.current = 1 AND m.pruned_at IS NULL AND m.grade IN (SELECT value FROM json_each(:outranked_by))
        AND 24 * max(julianday(frames.obs_start) - julianday(:last_obs),
            julianday(:first_obs) - julianday(frames.obs_start)) > u.age_h + 0.01))"""
_HAS_GAIN = "SELECT EXISTS (SELECT 1 FROM metrics WHERE master_id = :master_id AND name = 'gain_electrons_per_adu')"
_TOUCH_LIGHTS_OF_GAIN = """UPDATE frames SET stale = 1, again_at = NULL
    WHERE camera = :camera AND setup = :setup AND night > :night AND gain_e_per_adu IS NULL
    AND kind = 'light' AND takes_part = 1 AND (stale = 0 OR again_at IS NOT NULL) AND superseded_by IS NULL
    AND state <> 'quarantined'"""
_TOUCH_FLAT_NIGHTS = """UPDATE nights SET stale = 1, touched_at = :now
    WHERE camera = :camera AND kind = 'flat' AND setup = :setup
    AND night BETWEEN :first_night AND :last_night"""
_TOUCH_DARKS = """UPDATE masters SET stale = 1
    WHERE camera = :camera AND setup = :setup AND kind = 'dark' AND current = 1 AND pruned_at IS NULL
    AND night BETWEEN :first_night AND :last_night"""
# The signs keep SQLite from the index of states, in which nearly every frame of a large catalogue is done.
_REFRESH_MEMBERSHIP = """UPDATE frames SET changed_at = :now, reason = CASE WHEN EXISTS (
        SELECT 1 FROM members JOIN masters USING (master_id)
        WHERE members.frame_id = frames.frame_id AND masters.current = 1) THEN 'member' ELSE 'catalogued' END
    WHERE frame_id IN (SELECT value FROM json_each(:ids)) AND +state = 'done' AND measured = 1
    AND +reason IN ('member', 'catalogued')"""
_TWINS = """SELECT twin.frame_id, twin.superseded_by,
        (SELECT max(mtime_ns) FROM sightings s WHERE s.frame_id = twin.frame_id AND s.gone_at IS NULL) AS mtime_ns
    FROM frames f JOIN frames twin ON twin.data_sha256 = f.data_sha256 AND twin.configuration = f.configuration
    WHERE f.frame_id = :frame_id
    AND (twin.state <> 'quarantined' OR twin.measured = 1 OR twin.decision = 'rejected')"""
_SUPERSEDE = """UPDATE frames SET superseded_by = :newest, state = 'done', reason = 'superseded', detail = '',
    stale = 0, retry_at = NULL, changed_at = :now WHERE frame_id = :frame_id"""
_WITHDRAW_PRODUCT = "UPDATE reductions SET current = 0 WHERE frame_id = :frame_id AND current = 1"
_WITHDRAW_FIGURES = "UPDATE metrics SET current = 0 WHERE frame_id = :frame_id AND current = 1"
_REVIVE = """UPDATE frames SET superseded_by = NULL, changed_at = :now, again_at = NULL,
    stale = takes_part AND (kind = 'light' OR measured = 0),
    state = CASE WHEN takes_part AND (kind = 'light' OR measured = 0) THEN 'waiting' ELSE 'done' END,
    reason = CASE WHEN takes_part AND (kind = 'light' OR measured = 0) THEN 'due' ELSE 'catalogued' END
    WHERE frame_id = :frame_id"""
_STANDING = """SELECT frame_id, state, reason, measured, superseded_by, screened, findings, reference_id, pedestal_id,
    decision FROM frames WHERE frame_id = :frame_id"""
_PUT_ASIDE = """UPDATE frames SET state = 'quarantined', reason = :reason, detail = :detail, stale = 0, retry_at = NULL,
    changed_at = :now WHERE frame_id = :frame_id"""
_LET_IN = """UPDATE frames SET changed_at = :now, detail = '', again_at = NULL,
    stale = takes_part AND (kind = 'light' OR measured = 0),
    state = CASE WHEN takes_part AND (kind = 'light' OR measured = 0) THEN 'waiting' ELSE 'done' END,
    reason = CASE WHEN takes_part AND (kind = 'light' OR measured = 0) THEN 'due' ELSE 'catalogued' END
    WHERE frame_id = :frame_id"""
_LAST_WORD = """SELECT time, reason FROM decisions WHERE frame_id = :frame_id ORDER BY decision_id DESC LIMIT 1"""
_INHERIT = """UPDATE frames SET decision = (SELECT decision FROM frames WHERE frame_id = :frame_id)
    WHERE frame_id = :heir AND decision IS NULL
    AND (SELECT decision FROM frames WHERE frame_id = :frame_id) IS NOT NULL"""
_INHERIT_WORD = """INSERT INTO decisions (time, decision, frame_id, reason)
    SELECT :now, decision, :heir, reason FROM decisions WHERE frame_id = :frame_id ORDER BY decision_id DESC LIMIT 1"""
_RESTORE_FIGURES = "UPDATE metrics SET current = 1 WHERE frame_id = :frame_id AND kind <> 'light'"
