"""What planning found and what workers did, written down: one transaction for each fact, links and log after it."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from pathlib import Path

from ingestd.doors import store
from ingestd.doors.catalogue import Catalogue
from ingestd.doors.exporter import Telemetry
from ingestd.flow.epochs import record_epochs
from ingestd.flow.recovery import remove_links
from ingestd.metrics import METRICS
from ingestd.records import (
    BuildMaster,
    Calibration,
    FrameRecord,
    Job,
    Kind,
    Master,
    MeasureFrame,
    MeasureMaster,
    Outcome,
    ReduceFrame,
    Standing,
    Verdict,
)
from ingestd.rules import addresses, groups, matching, orders, screening
from ingestd.rules.planning import Plan
from ingestd.settings import Settings

_log = logging.getLogger(__name__)

_UNITS = {declaration.name: declaration.unit for declaration in METRICS}
_MAX_ATTEMPTS = 8
_MAX_DEATHS = 2
_FIRST_BACK_OFF_S = 5.0
_MAX_BACK_OFF_S = 3600.0
_CHANGED_BACK_OFF_S = 5.0


class Recorder:
    """Records plans and outcomes; remembers the orders that are out only to know what an outcome belongs to."""

    def __init__(self, settings: Settings, catalogue: Catalogue, telemetry: Telemetry) -> None:
        self.settings = settings
        self._catalogue = catalogue
        self._telemetry = telemetry
        self._out: dict[str, tuple[Job, Calibration | None]] = {}
        self._again: dict[str, str] = {}
        self._fresh: set[str] = set()
        self._arrived_at: dict[str, datetime] = {}

    def saw(self, frame_id: str, now: datetime) -> None:
        """Note when a science frame arrived, for the latency of its product."""
        self._arrived_at[frame_id] = now

    def remember(self, job: Job, calibration: Calibration | None, again: str = "") -> None:
        """Note an order that was handed out, and why its frame is reduced again."""
        self._out[job.job_id] = (job, calibration)
        self._again[job.job_id] = again

    # --- plans --------------------------------------------------------------------------------------------------------

    def record_plan(self, plan: Plan, now: datetime) -> bool:
        """Record the facts that a look at the catalogue found; return whether there were any."""
        # the last night first: what a night changes makes later ones stale, also those that this look settled
        for night in reversed(plan.settled_nights):
            self._catalogue.settle_night(night.group, night.night, night.master_ids, now)
        for verdict in plan.verdicts:
            self._record_verdict(verdict, now)
        # flats before darks before biases: the grade of a bias makes darks stale, also those that this look graded
        for standing in reversed(plan.standings):
            self._record_standing(standing, now)
        unchanged = [kept for kept in plan.kept if kept.job_id not in self._fresh]
        if unchanged:
            more = f" and {len(unchanged) - 1} more" if len(unchanged) > 1 else ""
            _log.info("Unchanged: %s%s: the best masters give the same product", self._name(unchanged[0].frame), more)
        self._fresh.clear()
        for kept in plan.kept:
            better, explanation = kept.calibration.better_possible, explanation_of(kept.calibration)
            self._catalogue.keep_reduction(kept.frame.frame_id, kept.job_id, explanation, now, better=better)
        for delayed in plan.delayed:
            self._catalogue.delay_reduction(delayed.frame_id, delayed.until)
        for held in plan.held:
            explanation = explanation_of(held.calibration)
            self._catalogue.record_wait(held.frame.frame_id, held.reason, held.detail, explanation, now)
            _log.info("Waiting: %s: %s", self._name(held.frame), held.detail)
        for frame_id in plan.given_up:
            self._catalogue.leave_failed(frame_id)
        has_epochs = record_epochs(plan.epochs, self._catalogue, now)
        found = plan.settled_nights or plan.verdicts or plan.standings or plan.delayed
        return bool(has_epochs or found or plan.kept or plan.held or plan.given_up)

    def _record_verdict(self, verdict: Verdict, now: datetime) -> None:
        """Record what the pixels of a frame say, and say so where they keep it out of masters."""
        change = self._catalogue.record_verdict(verdict, now)
        name = self._catalogue.path_of(verdict.frame_id) or verdict.frame_id[:8]
        if change == "kept out":
            text = f"{verdict.reason}: {verdict.detail}"
            _log.warning("Contradicted: %a: %s", name, text)
            self._catalogue.add_event("warning", "contradicted", Path(name).name, text, now)
        elif change == "let in":
            text = "its reference has changed, nothing speaks against it any more"
            _log.info("Cleared: %a: %s", name, text)
            self._catalogue.add_event("info", "cleared", Path(name).name, text, now)

    def _record_standing(self, standing: Standing, now: datetime) -> None:
        """Record how a master stands to that of the previous night, and say so where that changes its grade."""
        if not self._catalogue.record_standing(standing, now):
            return
        master = self._catalogue.master(standing.master_id)
        name = standing.master_id[:8] if master is None else Path(master.path).name
        if standing.grade == groups.GRADES[0]:
            _log.info("Graded: %s: %s", name, standing.text)
            return
        text = f"{standing.grade}: {standing.text}; not chosen while a better one is valid"
        _log.warning("Graded: %s: %s", name, text)
        self._catalogue.add_event("warning", "graded", name, text, now)

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def record(self, outcome: Outcome, now: datetime) -> None:
        """Record what became of one job and that it is no longer out, with one wait for the disk; then show it."""
        job, calibration = self._out[outcome.job_id]
        with self._catalogue.transaction():
            for doubt in outcome.doubts:
                _log.warning("Doubtful: %s: %s", _job_words(job), doubt)
                self._catalogue.add_event("warning", "doubtful", _job_words(job), doubt, now)
            if outcome.status == "done":
                self._record_done(job, calibration, outcome, now)
            elif outcome.status == "rejected" and outcome.frame_id is not None:
                self._quarantine(outcome.frame_id, outcome.reason, now)
            elif outcome.status == "disk_full":
                self._record_no_space(job, calibration, outcome, now)
            else:
                self._record_trouble(job, outcome, now)
            self._catalogue.land([outcome.job_id])
        if outcome.status == "done" and isinstance(job, ReduceFrame):
            self._show_reduction(job, outcome, now)
        del self._out[outcome.job_id], self._again[outcome.job_id]
        self._telemetry.outcome(type(job).__name__, outcome.status)

    def _record_done(self, job: Job, calibration: Calibration | None, outcome: Outcome, now: datetime) -> None:
        """Record a job that succeeded."""
        match job:
            case MeasureFrame():
                self._telemetry.observe("measure", outcome.seconds)
                self._catalogue.record_measured(job.member.frame.frame_id, outcome, _UNITS, now)
            case MeasureMaster():
                self._telemetry.observe("measure", outcome.seconds)
                self._catalogue.record_master_measured(job, outcome, _UNITS)
            case BuildMaster():
                self._telemetry.observe("combine", outcome.seconds)
                master = self._master(job, outcome)
                self._catalogue.record_master(master, job.job_id, outcome, _UNITS, now, order=orders.order_text(job))
                _log.info("Built: master %s of night %s from %d frames: %s", *_master_words(master))
            case ReduceFrame():
                self._telemetry.observe("reduce", outcome.seconds)
                self._record_reduction(job, calibration, outcome, now)

    def _record_reduction(
        self, job: ReduceFrame, calibration: Calibration | None, outcome: Outcome, now: datetime
    ) -> None:
        """Record a product."""
        assert calibration is not None  # noqa: S101 - every order to reduce is remembered with its calibration
        frame, again = job.member.frame, self._again[job.job_id]
        self._fresh.add(job.job_id)
        self._catalogue.record_reduction(
            frame,
            job,
            outcome,
            str(Path(job.product).relative_to(self.settings.data_dir)),
            explanation_of(calibration),
            now,
            units=_UNITS,
            order=orders.order_text(job),
            better=calibration.better_possible,
            again=again,
        )
        if again:
            self._catalogue.add_event("info", "reduced_again", Path(job.member.path).name, again, now)
        self._catalogue.note_findings(frame.frame_id, screening.light_findings(frame, outcome.metrics, self.settings))

    def _show_reduction(self, job: ReduceFrame, outcome: Outcome, now: datetime) -> None:
        """Point the stable link of a frame at its product, which is recorded, and say so."""
        frame, again = job.member.frame, self._again[job.job_id]
        if self._catalogue.current_reduction(frame.frame_id) == job.job_id:
            store.point_link(Path(addresses.current_link(job.product)), Path(job.product))
        remove_links(self.settings, self._catalogue.former_products(frame.frame_id))  # the file had another name then
        arrived_at = self._arrived_at.pop(frame.frame_id, None)
        if arrived_at is not None:
            self._telemetry.observe("total", (now - arrived_at).total_seconds())
        words = ("Reduced again" if again else "Reduced", Path(job.member.path).name, _completeness(job))
        relative = Path(job.product).relative_to(self.settings.data_dir)
        _log.info("%s: %s (%s) in %.2f s: %s%s", *words, outcome.seconds, relative, again and f": {again}")

    def _master(self, job: BuildMaster, outcome: Outcome) -> Master:
        """Return the record of a master that was built."""
        frames = [member.frame for member in job.members]
        _, _, first_obs, last_obs = groups.master_conditions(frames)
        parents = sorted({master.master_id for member in job.members for master in member.masters})
        return Master(
            master_id=job.job_id,
            kind=job.group.kind,
            camera=job.group.camera,
            configuration=job.group.configuration,
            exposure_s=job.exposure_s,
            ccd_temp_c=job.ccd_temp_c,
            filter_name=job.group.filter_name,
            night=job.night,
            first_obs=first_obs,
            last_obs=last_obs,
            members=tuple(sorted(frame.frame_id for frame in frames)),
            parents=tuple(parents),
            path=str(Path(job.product).relative_to(self.settings.data_dir)),
            sha256=outcome.sha256 or "",
            grade=job.grade,
            cards=job.cards,
        )

    def _record_no_space(self, job: Job, calibration: Calibration | None, outcome: Outcome, now: datetime) -> None:
        """Record that a product found no room: the job stays due."""
        _log.warning("Not written: %s", outcome.reason)
        if isinstance(job, ReduceFrame) and calibration is not None:
            frame_id = job.member.frame.frame_id
            self._catalogue.record_wait(frame_id, "disk_full", outcome.reason, explanation_of(calibration), now)

    # --- trouble ------------------------------------------------------------------------------------------------------

    def _record_trouble(self, job: Job, outcome: Outcome, now: datetime) -> None:
        """Record a job that failed, changed under our hands, or killed its worker; say when it is tried again."""
        if outcome.lost_master:
            self._catalogue.lose_master(str(Path(outcome.lost_master).relative_to(self.settings.data_dir)), now)
        before = self._catalogue.failure(job.job_id)
        is_death = outcome.status == "crashed"
        deaths = (before.deaths if before else 0) + is_death
        attempts = (before.attempts if before else 0) + 1
        if deaths >= _MAX_DEATHS and not isinstance(job, BuildMaster | MeasureMaster):
            self._quarantine(job.member.frame.frame_id, f"crashed: {deaths} workers died of it: {outcome.reason}", now)
            return
        final = deaths >= _MAX_DEATHS or (attempts >= _MAX_ATTEMPTS and outcome.status != "changed")
        pause = _CHANGED_BACK_OFF_S if outcome.status == "changed" else _back_off_s(attempts)
        self._catalogue.record_failure(
            job.job_id,
            frame_of(job),
            outcome.status,
            None if final else now + timedelta(seconds=pause),
            final,
            is_death,
            now,
            master_group=_job_words(job),
            detail=outcome.reason,
            build=job if isinstance(job, BuildMaster) else None,
        )
        level = logging.INFO if outcome.status == "changed" else logging.WARNING
        again = "gave up; `ingestd requeue` tries again" if final else f"again in {pause:.0f} s"
        _log.log(level, "Failed: %s: %s (attempt %d, %s)", _job_words(job), outcome.reason, attempts, again)

    def _quarantine(self, frame_id: str, reason: str, now: datetime) -> None:
        """Put a frame aside for good."""
        code, _, detail = reason.partition(": ")
        self._catalogue.quarantine(frame_id, code, detail, now)
        _log.warning("Quarantined: %s: %s", self._catalogue.path_of(frame_id) or frame_id[:8], reason)

    def _name(self, frame: FrameRecord) -> str:
        """Return the file name of a frame."""
        path = self._catalogue.path_of(frame.frame_id)
        return Path(path).name if path else frame.frame_id[:8]


def explanation_of(calibration: Calibration) -> str:
    """Return the choice of masters as JSON text, every candidate with its verdict."""
    return json.dumps(matching.explain_record(calibration), allow_nan=False)


def _completeness(job: ReduceFrame) -> str:
    """Return what the log says of a product: complete, or which steps it lacks and whether its masters are in doubt."""
    if not job.provisional:
        return "complete"
    lacking = f"without {', '.join(step for step, _ in job.skipped)}" if job.skipped else ""
    return ", ".join(filter(None, ("provisional", lacking, job.doubt and "hardware in doubt")))


def _back_off_s(attempts: int) -> float:
    """Return the pause before the next attempt: 5 s, doubled each time, at most an hour."""
    return float(min(_FIRST_BACK_OFF_S * 2 ** (attempts - 1), _MAX_BACK_OFF_S))


def frame_of(job: Job) -> str | None:
    """Return the frame that a job is about, if it is about one."""
    return job.member.frame.frame_id if isinstance(job, MeasureFrame | ReduceFrame) else None


def _master_words(master: Master) -> tuple[str, str, int, str]:
    """Return what the log says of a master: kind with its conditions, night, members, path."""
    words = [master.kind.value]
    if master.kind == Kind.DARK and master.exposure_s is not None:
        words.append(f"{master.exposure_s:g} s")
    if master.filter_name:
        words.append(master.filter_name)
    if master.ccd_temp_c is not None:
        words.append(f"{master.ccd_temp_c:.1f} C")
    return " ".join(words), master.night, master.member_count, master.path


def _job_words(job: Job) -> str:
    """Return what the log calls a job."""
    match job:
        case MeasureFrame() | ReduceFrame():
            return Path(job.member.path).name
        case BuildMaster():
            return f"master {job.group.kind.value} of night {job.night}"
        case MeasureMaster():
            return f"master {job.master.kind.value} {job.master.master_id[:8]}"
