"""What goes wrong and what an operator says: quarantine, failures, requeue, events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.judgements import read_failure
from ingestd.doors.catalogue.staleness import Staleness
from ingestd.doors.catalogue.texts import clean_text, optional_time_text, read_time, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ingestd.records import BuildMaster, Failure

_EVENTS_KEPT = 10_000


class Decisions(Staleness):
    """Exceptions to the path of a frame."""

    def quarantine(self, frame_id: str, reason: str, detail: str, now: datetime) -> None:
        """Set a frame aside because of its content; it is no member of a new build and is not retried by itself."""
        parameters = {"frame_id": frame_id, "reason": reason, "detail": clean_text(detail), "now": time_text(now)}
        with self.transaction():
            self._write(_QUARANTINE, parameters)
            self._touch_nights_of_frame(frame_id, now)

    def record_failure(
        self,
        job_id: str,
        frame_id: str | None,
        reason: str,
        next_try: datetime | None,
        final: bool,  # noqa: FBT001 - a column
        death: bool,  # noqa: FBT001 - a column
        now: datetime,
        *,
        master_group: str = "",
        detail: str = "",
        build: BuildMaster | None = None,
    ) -> Failure:
        """Record that a job failed on our side.

        Parameters
        ----------
        job_id : str
            The job.
        frame_id : str or None
            The frame that the job is for; None if it builds a master.
        reason : str
            Reason code of the frame.
        next_try : datetime or None
            When the frame may be planned again.
        final : bool
            True if it is not retried before something changes or an operator requeues it.
        death : bool
            True if the worker died.
        now : datetime
            The time of the change.
        master_group : str
            Group and night of a master, for people.
        detail : str
            What happened, with the numbers.
        build : BuildMaster, optional
            The job, if it builds a master.

        Returns
        -------
        Failure
            With the attempts and deaths so far.
        """
        parameters: dict[str, object] = {
            "job_id": job_id,
            "frame_id": frame_id,
            "master_group": clean_text(master_group),
            "death": death,
            "next_try": optional_time_text(next_try),
            "reason": reason,
            "detail": clean_text(detail),
            "final": final,
            "now": time_text(now),
            "camera": build and build.group.camera,
            "kind": build and build.group.kind.value,
            "configuration": build and build.group.configuration,
            "filter_name": build and build.group.filter_name,
            "exposure_s": build and build.exposure_s,
            "night": build and build.night,
        }
        with self.transaction():
            self._write(_COUNT_FAILURE, parameters)
            if frame_id is not None:
                self._write(_FAILED, parameters)
            return read_failure(self._rows(_FAILURE, parameters)[0])

    def leave_failed(self, frame_id: str) -> None:
        """Record that a look at a frame whose job was given up found the same job: it is not due any more."""
        with self.transaction():
            self._write("UPDATE frames SET stale = 0 WHERE frame_id = :frame_id", {"frame_id": frame_id})

    def requeue(self, frame_ids: Sequence[str] | None, now: datetime) -> int:
        """Let frames be worked on again, whatever became of them; return how many.

        Failed and quarantined frames wait again and a calibration frame is measured again. A file that took no part
        (rejected, of unknown kind or camera) is read again by the next scan, under the settings of that time. A science
        frame keeps its product until a new one is there. A superseded frame stays so.

        Parameters
        ----------
        frame_ids : sequence of str, or None
            None stands for all science frames and for all masters that could not be built.
        now : datetime
            The time of the change.
        """
        with self.transaction():
            if frame_ids is None:
                self._write(_CLEAR_FAILURES_OF_ALL, {})
                return self._write(_REQUEUE_ALL_LIGHTS, {"now": time_text(now)})
            parameters = {"ids": json.dumps(list(frame_ids)), "now": time_text(now)}
            self._write(_CLEAR_FAILURES, parameters)
            changed = self._write(_REQUEUE, parameters) + self._write(_READ_AGAIN, parameters)
            for frame_id in frame_ids:
                self._touch_nights_of_frame(frame_id, now)
            return changed

    def remember(self, name: str, value: str) -> bool:
        """Keep a value across restarts; return whether it is another than before."""
        parameters = {"name": name, "value": clean_text(value)}
        with self.transaction():
            is_new = bool(self._value(_REMEMBERED, parameters) != parameters["value"])
            self._write(_REMEMBER, parameters)
        return is_new

    def born(self, now: datetime) -> datetime:
        """Return when this catalogue was made; the first call decides it."""
        with self.transaction():
            self._write(_REMEMBER_FIRST, {"name": "born", "value": time_text(now)})
            return read_time(str(self._value(_REMEMBERED, {"name": "born"})))

    def touch_nights(self, now: datetime) -> int:
        """Let the masters of every night be settled and graded again, as a setting changed; return how many nights."""
        with self.transaction():
            self._write(_MARK_MASTERS, {})
            return self._write(_TOUCH_ALL_NIGHTS, {"now": time_text(now)})

    def add_event(self, level: str, event: str, subject: str, detail: str, now: datetime) -> None:
        """Write down what happened, for people; the newest 10,000 events are kept."""
        parameters: dict[str, object] = {
            "level": level,
            "event": event,
            "subject": clean_text(subject),
            "detail": clean_text(detail),
            "now": time_text(now),
            "kept": _EVENTS_KEPT,
        }
        with self.transaction():
            self._write(_ADD_EVENT, parameters)
            self._write(_PRUNE_EVENTS, parameters)


_QUARANTINE = """UPDATE frames SET state = 'quarantined', reason = :reason, detail = :detail, stale = 0,
    measured = 0, screened = NULL, findings = NULL, retry_at = NULL, changed_at = :now
    WHERE frame_id = :frame_id AND superseded_by IS NULL"""
_COUNT_FAILURE = """INSERT INTO failures (job_id, frame_id, master_group, attempts, deaths, next_try, reason, detail,
        final, camera, kind, configuration, filter_name, exposure_s, night)
    VALUES (:job_id, :frame_id, :master_group, 1, :death, :next_try, :reason, :detail,
        :final, :camera, :kind, :configuration, :filter_name, :exposure_s, :night)
    ON CONFLICT (job_id) DO UPDATE SET attempts = attempts + 1, deaths = deaths + excluded.deaths,
        next_try = excluded.next_try, reason = excluded.reason, detail = excluded.detail, final = excluded.final"""
_FAILED = """UPDATE frames SET state = 'failed', reason = :reason, detail = :detail, stale = NOT :final,
    retry_at = CASE WHEN :final THEN NULL ELSE :next_try END, changed_at = :now
    WHERE frame_id = :frame_id AND superseded_by IS NULL AND state <> 'quarantined'"""
_FAILURE = "SELECT * FROM failures WHERE job_id = :job_id"
_CLEAR_FAILURES = "DELETE FROM failures WHERE frame_id IN (SELECT value FROM json_each(:ids))"
_CLEAR_FAILURES_OF_ALL = """DELETE FROM failures
    WHERE frame_id IS NULL OR frame_id IN (SELECT frame_id FROM frames WHERE kind = 'light')"""
_REQUEUE = """UPDATE frames SET stale = 1, retry_at = NULL, again_at = NULL, changed_at = :now,
    reason = CASE WHEN state IN ('quarantined', 'failed', 'waiting') THEN 'due' ELSE reason END,
    detail = CASE WHEN state IN ('quarantined', 'failed', 'waiting') THEN '' ELSE detail END,
    state = CASE WHEN state IN ('quarantined', 'failed') THEN 'waiting' ELSE state END
    WHERE takes_part = 1 AND superseded_by IS NULL AND decision IS NOT 'rejected'
    AND frame_id IN (SELECT value FROM json_each(:ids))"""
_REQUEUE_ALL_LIGHTS = """UPDATE frames SET stale = 1, retry_at = NULL, again_at = NULL, changed_at = :now,
    reason = CASE WHEN state IN ('quarantined', 'failed', 'waiting') THEN 'due' ELSE reason END,
    detail = CASE WHEN state IN ('quarantined', 'failed', 'waiting') THEN '' ELSE detail END,
    state = CASE WHEN state IN ('quarantined', 'failed') THEN 'waiting' ELSE state END
    WHERE takes_part = 1 AND superseded_by IS NULL AND decision IS NOT 'rejected' AND kind = 'light'"""
# An unequal stamp makes the next scan read the file again.
_READ_AGAIN = """UPDATE sightings SET ctime_ns = 0 WHERE gone_at IS NULL AND frame_id IN (
    SELECT frame_id FROM frames WHERE takes_part = 0 AND superseded_by IS NULL
    AND frame_id IN (SELECT value FROM json_each(:ids)))"""
_REMEMBERED = "SELECT value FROM remembered WHERE name = :name"
_REMEMBER_FIRST = "INSERT INTO remembered VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"
_REMEMBER = "INSERT INTO remembered VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_TOUCH_ALL_NIGHTS = "UPDATE nights SET stale = 1, charted = 0, touched_at = :now"
_MARK_MASTERS = "UPDATE masters SET stale = 1 WHERE current = 1"
_ADD_EVENT = """INSERT INTO events (time, level, event, subject, detail)
    VALUES (:now, :level, :event, :subject, :detail)"""
_PRUNE_EVENTS = "DELETE FROM events WHERE event_id <= (SELECT max(event_id) FROM events) - :kept"
