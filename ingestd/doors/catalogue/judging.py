"""The second look at the pixels and the operator's word: verdicts, and decisions on frames and masters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingestd.doors.catalogue.judgements import findings_json, read_findings
from ingestd.doors.catalogue.master_recording import MasterRecording
from ingestd.doors.catalogue.texts import clean_text, optional_text, optional_time_text, time_text
from ingestd.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ingestd.records import Finding, Verdict


class Judging(MasterRecording):
    """What keeps a frame or a master from being used, and what overrules that."""

    def record_verdict(self, verdict: Verdict, now: datetime) -> str:
        """Record what the pixels of a calibration frame say; its nights are stale if that changes who is good.

        Returns
        -------
        str
            ``kept out`` or ``let in`` if the verdict changed where the frame stands, else an empty text.
        """
        row: dict[str, object] = {
            "frame_id": verdict.frame_id,
            "screened": verdict.reason,
            "findings": findings_json(verdict.findings),
            "reference_id": verdict.reference_id,
            "pedestal_id": verdict.pedestal_id,
        }
        with self.transaction():
            before = self._row(_VERDICT, row)
            self._write(_PUT_VERDICT, row)
            self._stand(verdict.frame_id, now)
            if before is None or before["screened"] == verdict.reason:
                return ""
            self._mark_nights_of_frame(verdict.frame_id)
            if before["decision"] is not None or not (verdict.reason or before["screened"]):
                return ""
            return "kept out" if verdict.reason else "let in"

    def note_findings(self, frame_id: str, findings: Sequence[Finding]) -> None:
        """Keep what is odd about a science frame, for people."""
        with self.transaction():
            self._write(_NOTE_FINDINGS, {"frame_id": frame_id, "findings": findings_json(findings)})

    def findings(self, frame_id: str) -> tuple[Finding, ...]:
        """Return what the second look at the pixels of a frame found."""
        return read_findings(self._value(_FINDINGS, {"frame_id": frame_id}))

    def decide_frames(self, frame_ids: Iterable[str], decision: str, reason: str, now: datetime) -> None:
        """Record an operator's word on frames; it is in force until the next one.

        Parameters
        ----------
        frame_ids : iterable of str
        decision : str
            ``accepted``: good, whatever its pixels say. ``rejected``: no member of a master, no current product.
            ``restored``: takes back either.
        reason : str
            Why, in the operator's words.
        now : datetime
            The time of the word.
        """
        with self.transaction():
            for frame_id in frame_ids:
                row: dict[str, object] = {"frame_id": frame_id, "master_id": None}
                row |= {"decision": decision, "reason": clean_text(reason), "now": time_text(now)}
                self._write(_PUT_DECISION, row)
                self._write(_DECIDE_FRAME, row)
                self._stand(frame_id, now)
                self._mark_nights_of_frame(frame_id)
                self._unchart_night_of_frame(frame_id)

    def decide_masters(self, master_ids: Iterable[str], decision: str, reason: str, now: datetime) -> None:
        """Record an operator's word on masters, and let everything that they serve, or served, be planned again.

        Parameters
        ----------
        master_ids : iterable of str
        decision : str
            ``rejected``: not chosen. ``pinned``: chosen before all others that fit, also when a later one replaced it.
            ``restored``: takes back either, and a range of times; its night decides whether it is current.
        reason : str
            Why, in the operator's words.
        now : datetime
            The time of the word.

        Raises
        ------
        ValueError
            If a master that is to be used has no file any more.
        """
        with self.transaction():
            for master_id in master_ids:
                row: dict[str, object] = {"frame_id": None, "master_id": master_id}
                row |= {"decision": decision, "reason": clean_text(reason), "now": time_text(now)}
                found = self._rows(_MASTER, row)[0]
                if decision == "pinned" and found["pruned_at"] is not None:
                    raise ValueError(f"master {master_id[:8]} was removed; it cannot be pinned")
                self._write(_PUT_DECISION, row)
                self._write(_DECIDE_MASTER, row)
                if decision == "restored":
                    self._write(_RANGE, row | {"valid_from": None, "valid_until": None})
                self._masters_read.pop(master_id, None)
                stays = bool(found["current"]) or found["provenance"] == "external"  # no night makes that current again
                if bool(found["current"]) != {"rejected": False, "pinned": True}.get(decision, stays):
                    self._flip(master_id, now)
                self._touch_what_masters_serve(self._rows(_MASTER, row), now)
                filter_name = optional_text(found["filter_name"]) if found["kind"] == Kind.FLAT.value else None
                self._write(_MARK_NIGHT, {**dict(found), "filter_name": filter_name or ""})

    def limit_masters(
        self,
        master_ids: Iterable[str],
        valid_from: datetime | None,
        valid_until: datetime | None,
        reason: str,
        now: datetime,
    ) -> None:
        """Record for which observation times an operator lets masters serve; all that they serve is planned again.

        Parameters
        ----------
        master_ids : iterable of str
        valid_from, valid_until : datetime or None
            Both ends included, None where the range is open. The former range no longer counts.
        reason : str
            Why, in the operator's words.
        now : datetime
            The time of the word.
        """
        ends = (("from", optional_time_text(valid_from)), ("until", optional_time_text(valid_until)))
        words = " ".join(f"{word} {time}" for word, time in ends if time is not None)
        with self.transaction():
            for master_id in master_ids:
                row: dict[str, object] = {"frame_id": None, "master_id": master_id, "decision": "limited"}
                row |= {"reason": clean_text(f"valid {words}{reason and f': {reason}'}"), "now": time_text(now)}
                row |= {"valid_from": ends[0][1], "valid_until": ends[1][1]}
                self._write(_PUT_DECISION, row)
                self._write(_RANGE, row)
                self._masters_read.pop(master_id, None)
                self._touch_what_masters_serve(self._rows(_MASTER, row), now)

    def decisions(self, *, frame_id: str | None = None, master_id: str | None = None) -> list[dict[str, Any]]:
        """Return what operators said, the newest first: of a frame, of a master, or all of it."""
        if frame_id is not None:
            return [dict(row) for row in self._rows(_DECISIONS_ON_FRAME, {"frame_id": frame_id})]
        if master_id is not None:
            return [dict(row) for row in self._rows(_DECISIONS_ON_MASTER, {"master_id": master_id})]
        return [dict(row) for row in self._rows(_DECISIONS)]


_VERDICT = "SELECT screened, decision FROM frames WHERE frame_id = :frame_id"
_PUT_VERDICT = """UPDATE frames SET screened = :screened, findings = :findings, reference_id = :reference_id,
    pedestal_id = :pedestal_id WHERE frame_id = :frame_id"""
_FINDINGS = "SELECT findings FROM frames WHERE frame_id = :frame_id"
_NOTE_FINDINGS = "UPDATE frames SET findings = :findings WHERE frame_id = :frame_id"
_PUT_DECISION = """INSERT INTO decisions (time, decision, frame_id, master_id, reason)
    VALUES (:now, :decision, :frame_id, :master_id, :reason)"""
_DECIDE_FRAME = """UPDATE frames SET decision = nullif(:decision, 'restored'), changed_at = :now
    WHERE frame_id = :frame_id"""
_DECIDE_MASTER = "UPDATE masters SET decision = nullif(:decision, 'restored') WHERE master_id = :master_id"
_RANGE = "UPDATE masters SET valid_from = :valid_from, valid_until = :valid_until WHERE master_id = :master_id"
_MASTER = "SELECT * FROM masters WHERE master_id = :master_id"
_MARK_NIGHT = """UPDATE nights SET stale = 1
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name = :filter_name
    AND night = :night"""
_DECISIONS = """SELECT d.time, d.decision, d.reason, d.frame_id, d.master_id, coalesce(m.path,
        (SELECT s.path FROM sightings s WHERE s.frame_id = d.frame_id
            ORDER BY s.gone_at IS NULL DESC, s.first_seen DESC, s.sighting_id DESC LIMIT 1),
        d.camera || ', epoch of ' || d.night || ifnull(' and ' || d.other_night, '')) AS path
    FROM decisions d LEFT JOIN masters m USING (master_id) ORDER BY d.decision_id DESC"""
_DECISIONS_ON_FRAME = """SELECT time, decision, reason FROM decisions WHERE frame_id = :frame_id
    ORDER BY decision_id DESC"""
_DECISIONS_ON_MASTER = """SELECT time, decision, reason FROM decisions WHERE master_id = :master_id
    ORDER BY decision_id DESC"""
