"""What became of calibration frames and masters: each method is one transaction, so a kill leaves work due or done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.figures import Figures
from ingestd.doors.catalogue.rows import master_row
from ingestd.doors.catalogue.texts import clean_text, masters_key, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ingestd.records import Group, Master, MeasureMaster, Outcome, Standing


class MasterRecording(Figures):
    """The last room of a calibration frame's path."""

    def record_measured(self, frame_id: str, outcome: Outcome, unit_of: Mapping[str, str], now: datetime) -> None:
        """Record the figures of a calibration frame: it may be a member now, so its nights are to be settled.

        Parameters
        ----------
        frame_id : str
            The frame.
        outcome : Outcome
            Of its MeasureFrame.
        unit_of : mapping
            The unit of each metric by name.
        now : datetime
            The time of the change.
        """
        with self.transaction():
            parameters = {"frame_id": frame_id, "job_id": outcome.job_id, "now": time_text(now)}
            before = self._figures_shown(parameters)
            self._replace_figures_of_frame(frame_id, outcome, unit_of, is_current=True)
            was_measured = bool(self._value(_WAS_MEASURED, parameters))
            self._write(_MEASURED, parameters)
            self._forget_failures(frame_id)
            self._refresh_membership([frame_id], now)
            self._stand(frame_id, now)
            if was_measured:
                self._mark_nights_of_frame(frame_id)
                if self._figures_shown(parameters) != before:
                    self._unchart_night_of_frame(frame_id)
            else:
                self._touch_nights_of_frame(frame_id, now)

    def record_master(
        self,
        master: Master,
        job_id: str,
        outcome: Outcome,
        units: Mapping[str, str],
        now: datetime,
        *,
        order: str = "",
    ) -> None:
        """Record a master that was built; it is not current before its night is settled.

        Parameters
        ----------
        master : Master
            ``path`` is relative to the data directory.
        job_id : str
            The job that built it.
        outcome : Outcome
            With the size and the figures.
        units : mapping
            The unit of each metric by name.
        now : datetime
            The time of the change.
        order : str
            What of the order is to be kept, to build it once more: ``rules.orders.order_text``.
        """
        row = {**master_row(master), "size_bytes": outcome.size_bytes, "order": order, "now": time_text(now)}
        members: list[dict[str, object]] = [
            {"master_id": master.master_id, "position": position, "frame_id": frame_id}
            for position, frame_id in enumerate(master.members)
        ]
        parents: list[dict[str, object]] = [
            {"master_id": master.master_id, "position": position, "parent_id": parent_id}
            for position, parent_id in enumerate(master.parents)
        ]
        self._masters_read.pop(master.master_id, None)
        with self.transaction():
            self._write(_PUT_MASTER, row)
            self._write(_DROP_MEMBERS, row)
            self._write(_DROP_PARENTS, row)
            self._write_many(_PUT_MEMBER, members)
            self._write_many(_PUT_PARENT, parents)
            self._replace_figures_of_master(master, job_id, outcome, units)
            self._write(_CLEAR_FAILURE, {"job_id": job_id})

    def settle_night(
        self,
        group: Group,
        night: str,
        master_ids: Sequence[str],
        now: datetime,
    ) -> bool:
        """Make exactly these masters the current ones of a group and night; the night is no longer stale.

        If that changes the set, everything that its masters can be used for is to be planned again.

        Parameters
        ----------
        group, night
            Which night.
        master_ids : sequence of str
            All of them recorded; empty where too few frames are left.
        now : datetime
            The time of the change.

        Returns
        -------
        bool
            Whether the set of current masters changed.

        Raises
        ------
        ValueError
            If a master is not recorded, or its file was pruned.
        """
        key = {
            **masters_key(group),
            "night": night,
            "ids": json.dumps(list(master_ids)),
            "now": time_text(now),
        }
        with self.transaction():
            found = {row["master_id"] for row in self._rows(_WANTED_MASTERS, key)}
            if found != set(master_ids):
                raise ValueError(f"not recorded: masters {sorted(set(master_ids) - found)} of the night {night}")
            flipped = self._rows(_FLIPPED_MASTERS, key)
            self._write(_SETTLE_NIGHT, {**key, "filter_name": key["filter_name"] or ""})
            for row in flipped:
                self._flip(row["master_id"], now)
            self._touch_what_masters_serve(flipped, now)
        return bool(flipped)

    def record_master_measured(self, job: MeasureMaster, outcome: Outcome, units: Mapping[str, str]) -> None:
        """Record what a master gave against others, in place of what it gave against those of an earlier order.

        The master stays stale until planning has graded it with ``record_standing``: other masters may have come while
        the worker ran.
        """
        master_id = job.master.master_id
        with self.transaction():
            self._replace_figures_of_standing(master_id, job.job_id, outcome, units)
            bias_id = None if job.bias is None else job.bias.master_id
            parameters = {"master_id": master_id, "bias_id": bias_id, "job_id": job.job_id}
            self._write(_MASTER_MEASURED, parameters)
            self._write(_CLEAR_FAILURE, parameters)

    def record_standing(self, standing: Standing, now: datetime) -> bool:
        """Record how a master stands to that of the previous night; it is stale no more.

        Returns
        -------
        bool
            Whether its grade changed: then everything that it can be used for is to be planned again.
        """
        row: dict[str, object] = {
            "master_id": standing.master_id,
            "previous_id": standing.previous_id or None,
            "grade": standing.grade,
            "text": clean_text(standing.text),
        }
        with self.transaction():
            before = self._rows(_MASTER, row)[0]
            self._write(_PUT_STANDING, row)
            after = self._rows(_MASTER, row)[0]
            self._masters_read.pop(standing.master_id, None)
            is_changed = bool(before["grade"] != after["grade"])
            if is_changed and after["current"]:
                self._touch_what_masters_serve([after], now)
        return is_changed

    def _figures_shown(self, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Return what is known of a frame by itself: a chart is made of it."""
        return [tuple(row) for row in self._rows(_FIGURES_SHOWN, parameters)]

    def _flip(self, master_id: str, now: datetime) -> None:
        """Make a master current, or no longer; its members, and its figures, follow."""
        parameters = {"master_id": master_id}
        self._write(_FLIP_MASTER, parameters)
        self._write(_FLIP_FIGURES, parameters)
        members = [row["frame_id"] for row in self._rows(_MEMBERS_OF, parameters)]
        self._refresh_membership(members, now)


_WAS_MEASURED = "SELECT measured FROM frames WHERE frame_id = :frame_id"
# What a frame shows against a master is no part of a chart.
_FIGURES_SHOWN = """SELECT name, plane, channel, value FROM metrics
    WHERE frame_id = :frame_id AND name NOT GLOB '*_from_master_*' ORDER BY name, plane, channel"""
_MEASURED = """UPDATE frames SET measured = 1, measured_job = :job_id, stale = 0, retry_at = NULL, changed_at = :now,
    state = CASE WHEN superseded_by IS NULL AND state <> 'quarantined' THEN 'done' ELSE state END,
    detail = CASE WHEN superseded_by IS NULL AND state <> 'quarantined' THEN '' ELSE detail END,
    reason = CASE WHEN superseded_by IS NULL AND state <> 'quarantined' THEN 'catalogued' ELSE reason END
    WHERE frame_id = :frame_id"""
_CLEAR_FAILURE = "DELETE FROM failures WHERE job_id = :job_id"
_PUT_MASTER = """INSERT INTO masters (master_id, kind, camera, configuration, exposure_s, ccd_temp_c, filter_name,
        night, first_obs, last_obs, member_count, count_grade, path, sha256, cards, size_bytes, order_json, created_at)
    VALUES (:master_id, :kind, :camera, :configuration, :exposure_s, :ccd_temp_c, :filter_name, :night,
        :first_obs, :last_obs, :member_count, :count_grade, :path, :sha256, :cards, :size_bytes, :order, :now)
    ON CONFLICT (master_id) DO UPDATE SET exposure_s = excluded.exposure_s, ccd_temp_c = excluded.ccd_temp_c,
        night = excluded.night, count_grade = excluded.count_grade, path = excluded.path, sha256 = excluded.sha256,
        size_bytes = excluded.size_bytes, order_json = excluded.order_json, pruned_at = NULL"""
_DROP_MEMBERS = "DELETE FROM members WHERE master_id = :master_id"
_DROP_PARENTS = "DELETE FROM parents WHERE master_id = :master_id"
_PUT_MEMBER = "INSERT INTO members (master_id, position, frame_id) VALUES (:master_id, :position, :frame_id)"
_PUT_PARENT = "INSERT INTO parents (master_id, position, parent_id) VALUES (:master_id, :position, :parent_id)"
_WANTED_MASTERS = """SELECT master_id FROM masters
    WHERE master_id IN (SELECT value FROM json_each(:ids)) AND pruned_at IS NULL"""
_FLIPPED_MASTERS = """SELECT * FROM masters
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name IS :filter_name
    AND night = :night AND current = 1 AND master_id NOT IN (SELECT value FROM json_each(:ids))
    AND decision IS NOT 'pinned' AND provenance = 'built'
    UNION ALL
    SELECT * FROM masters WHERE master_id IN (SELECT value FROM json_each(:ids)) AND current = 0
    AND decision IS NOT 'rejected'"""
_SETTLE_NIGHT = """UPDATE nights SET stale = 0
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name = :filter_name
    AND night = :night"""
_FLIP_MASTER = "UPDATE masters SET current = 1 - current, stale = 1 - current WHERE master_id = :master_id"
_FLIP_FIGURES = """UPDATE metrics SET current = (SELECT current FROM masters WHERE master_id = :master_id)
    WHERE master_id = :master_id"""
_MEMBERS_OF = "SELECT frame_id FROM members WHERE master_id = :master_id"
_MASTER = "SELECT * FROM masters WHERE master_id = :master_id"
_MASTER_MEASURED = """UPDATE masters SET measured_with = :bias_id, measured_job = :job_id
    WHERE master_id = :master_id"""
_PUT_STANDING = """UPDATE masters SET stale = 0, compared_with = :previous_id, comparison_grade = :grade,
    comparison = :text WHERE master_id = :master_id"""
