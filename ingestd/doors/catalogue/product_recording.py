"""What became of science frames: each method is one transaction, so a kill leaves the work due or done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestd.doors.catalogue.figures import Figures
from ingestd.doors.catalogue.texts import clean_text, encode_path, finite, section_text, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ingestd.records import FrameRecord, Outcome, ReduceFrame


class ProductRecording(Figures):
    """The last room of a science frame's path."""

    def record_reduction(
        self,
        frame: FrameRecord,
        job: ReduceFrame,
        outcome: Outcome,
        path: str,
        explanation: str,
        now: datetime,
        *,
        units: Mapping[str, str] | None = None,
        order: str = "",
        better: str = "",
        again: str = "",
    ) -> None:
        """Record a product as the current one of its frame, with masters, steps and figures.

        The frame stays stale until planning has confirmed with ``keep_reduction`` that this is still the best: a
        better master may have come while the worker ran. A frame that was superseded meanwhile gets no current product.

        Parameters
        ----------
        frame : FrameRecord
            The science frame.
        job : ReduceFrame
            Its ``job_id`` is the address of the product.
        outcome : Outcome
            Hash, size, steps and figures.
        path : str
            The product, relative to the data directory.
        explanation : str
            JSON: why these masters.
        now : datetime
            The time of the change.
        units : mapping, optional
            The unit of each metric by name.
        order : str
            What of the order is to be kept, to reduce it once more: ``rules.orders.order_text``.
        better : str
            What would be better, in words.
        again : str
            Why the frame was reduced once more, in words; empty for the first time.
        """
        masters = job.member.masters
        row: dict[str, object] = {
            "reduction_id": job.job_id,
            "frame_id": frame.frame_id,
            "night": frame.night,
            "path": encode_path(path),
            "sha256": outcome.sha256 or "",
            "size_bytes": outcome.size_bytes,
            "provisional": job.provisional,
            "better_possible": better,
            "again": again,
            "gain_e_per_adu": finite(job.gain_e_per_adu),
            "gain_source": clean_text(job.gain_source),
            "doubt": clean_text(job.doubt),
            "explanation": clean_text(explanation),
            "order": order,
            "now": time_text(now),
        }
        with self.transaction():
            self._write(_PUT_REDUCTION, row)
            self._write(_DROP_USED_MASTERS, row)
            self._write(_DROP_STEPS, row)
            self._write_many(_PUT_USED_MASTER, [_used_master_row(job, position) for position in range(len(masters))])
            self._write_many(_PUT_STEP, _step_rows(job.job_id, outcome))
            self._forget_failures(frame.frame_id)
            self._replace_figures_of_reduction(frame, job.job_id, outcome, units or {})
            self._write(_EXPLAIN, row)
            if self._value(_IS_CURRENT, row):
                self._write(_NOT_STALE, row)
            self._make_current(frame.frame_id, job.job_id, now)

    def keep_reduction(self, frame_id: str, job_id: str, explanation: str, now: datetime, *, better: str = "") -> bool:
        """Record that planning found nothing to do: the product of this job is the right one.

        An earlier product of this job becomes current again.

        Returns
        -------
        bool
            False, and nothing was changed, if there is no such product any more: it must be made again.
        """
        row = {"frame_id": frame_id, "job_id": job_id, "explanation": clean_text(explanation), "now": time_text(now)}
        row["better"] = better
        with self.transaction():
            if not self._value(_HAS_REDUCTION, row):
                return False
            self._write(_EXPLAIN, row)
            self._write(_BETTER, row)
            self._make_current(frame_id, job_id, now)
            self._write(_NOT_STALE, row)
        return True

    def delay_reduction(self, frame_id: str, until: datetime) -> None:
        """Record that a frame is to be reduced again, but not before a time; a change of its masters ends the delay."""
        with self.transaction():
            self._write(_DELAY, {"frame_id": frame_id, "until": time_text(until)})

    def record_wait(self, frame_id: str, reason: str, detail: str, explanation: str, now: datetime) -> None:
        """Record that a science frame waits; it is not looked at again before something changes that could help.

        With the reason ``disk_full`` it stays due: space is nothing that the catalogue would notice.
        """
        row = {
            "frame_id": frame_id,
            "reason": reason,
            "detail": clean_text(detail),
            "explanation": clean_text(explanation),
            "now": time_text(now),
        }
        with self.transaction():
            self._write(_WAIT, row)

    def _make_current(self, frame_id: str, job_id: str, now: datetime) -> None:
        """Make one product of a frame the current one and give the frame the state that follows from it."""
        row = {"frame_id": frame_id, "job_id": job_id, "now": time_text(now)}
        self._write(_CURRENT_PRODUCT, row)
        self._write(_CURRENT_FIGURES, row)
        self._write(_REDUCED, row)


def _used_master_row(job: ReduceFrame, position: int) -> dict[str, object]:
    """Return a master that a product was made with as a row."""
    used = job.member.masters[position]
    return {
        "reduction_id": job.job_id,
        "kind": used.kind.value,
        "master_id": used.master_id,
        "how": used.how,
        "age_h": finite(used.age_h),
        "delta_temp_c": finite(used.delta_temp_c),
        "exposure_ratio": finite(used.exposure_ratio),
        "cut": section_text(used.cut),
    }


def _step_rows(job_id: str, outcome: Outcome) -> list[dict[str, object]]:
    """Return the steps of a product as rows."""
    return [
        {
            "reduction_id": job_id,
            "position": position,
            "name": step.name,
            "status": step.status,
            "detail": clean_text(step.detail),
        }
        for position, step in enumerate(outcome.steps)
    ]


_PUT_REDUCTION = """INSERT INTO reductions (reduction_id, frame_id, night, path, sha256, size_bytes, provisional,
        better_possible, again, current, gain_e_per_adu, gain_source, doubt, order_json, created_at)
    VALUES (:reduction_id, :frame_id, :night, :path, :sha256, :size_bytes, :provisional, :better_possible, :again, 0,
        :gain_e_per_adu, :gain_source, :doubt, :order, :now)
    ON CONFLICT (reduction_id) DO UPDATE SET path = excluded.path, sha256 = excluded.sha256,
        size_bytes = excluded.size_bytes, provisional = excluded.provisional,
        better_possible = excluded.better_possible, again = excluded.again, gain_e_per_adu = excluded.gain_e_per_adu,
        gain_source = excluded.gain_source, doubt = excluded.doubt, order_json = excluded.order_json,
        created_at = excluded.created_at, pruned_at = NULL"""
_DROP_USED_MASTERS = "DELETE FROM used_masters WHERE reduction_id = :reduction_id"
_DROP_STEPS = "DELETE FROM steps WHERE reduction_id = :reduction_id"
_PUT_USED_MASTER = """INSERT INTO used_masters (reduction_id, kind, master_id, how, age_h, delta_temp_c,
        exposure_ratio, cut)
    VALUES (:reduction_id, :kind, :master_id, :how, :age_h, :delta_temp_c, :exposure_ratio, :cut)"""
_PUT_STEP = """INSERT INTO steps (reduction_id, position, name, status, detail)
    VALUES (:reduction_id, :position, :name, :status, :detail)"""
_EXPLAIN = "UPDATE frames SET explanation = :explanation WHERE frame_id = :frame_id"
_IS_CURRENT = "SELECT current FROM reductions WHERE reduction_id = :reduction_id"
_HAS_REDUCTION = """SELECT EXISTS (SELECT 1 FROM reductions
    WHERE reduction_id = :job_id AND frame_id = :frame_id AND pruned_at IS NULL)"""
_CURRENT_PRODUCT = """UPDATE reductions SET current = reduction_id = :job_id
    WHERE frame_id = :frame_id AND EXISTS (SELECT 1 FROM frames
        WHERE frame_id = :frame_id AND superseded_by IS NULL AND decision IS NOT 'rejected')"""
_CURRENT_FIGURES = """UPDATE metrics SET current = job_id = :job_id
    WHERE frame_id = :frame_id AND EXISTS (SELECT 1 FROM frames
        WHERE frame_id = :frame_id AND superseded_by IS NULL AND decision IS NOT 'rejected')"""
_REDUCED = """UPDATE frames SET changed_at = :now, retry_at = NULL, again_at = NULL, detail = r.doubt,
    state = CASE WHEN r.provisional THEN 'provisional' ELSE 'done' END,
    reason = CASE WHEN r.doubt <> '' THEN 'epoch_suspected' WHEN r.provisional THEN 'missing_master' ELSE 'reduced' END
    FROM reductions r WHERE r.reduction_id = :job_id AND frames.frame_id = :frame_id AND superseded_by IS NULL
    AND decision IS NOT 'rejected'"""
_BETTER = "UPDATE reductions SET better_possible = :better WHERE reduction_id = :job_id"
_DELAY = "UPDATE frames SET again_at = :until WHERE frame_id = :frame_id AND stale = 1"
_NOT_STALE = "UPDATE frames SET stale = 0, again_at = NULL WHERE frame_id = :frame_id"
_WAIT = """UPDATE frames SET state = 'waiting', reason = :reason, detail = :detail, explanation = :explanation,
    stale = :reason = 'disk_full', changed_at = :now
    WHERE frame_id = :frame_id AND superseded_by IS NULL AND state <> 'quarantined'"""
