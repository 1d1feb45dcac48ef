"""One tick of the path of a frame: arrive, look, submit, record. Side effects only; decisions are made in rules/."""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime, timedelta
from typing import Protocol

from ingestd.doors import store
from ingestd.doors.catalogue import ArrivalRow, Catalogue, TakenFrame
from ingestd.doors.executors import Executor
from ingestd.doors.exporter import Telemetry
from ingestd.doors.watcher import Poll
from ingestd.flow.arrival import ArrivalDesk, Arrived, NotReady
from ingestd.flow.recording import Recorder, frame_of
from ingestd.flow.recovery import remove_links
from ingestd.records import FileStamp, Kind, Outcome, State
from ingestd.rules.planning import Planner
from ingestd.settings import Settings

_log = logging.getLogger(__name__)

_BATCH_FILES = 256
_DESK_BACKLOG = 128
_LOOK_AGAIN_S = 30.0
_PAUSE_S = 10.0
_UNREADABLE_REMEDY = "Let the user of ingestd read it (chmod, chown), or mend the disk; it is tried again"


class Arrivals(Protocol):
    """Where settled files come from: a watcher, or a single scan."""

    @property
    def is_caught_up(self) -> bool:
        """True once everything that lay there at the start has been handed out or is known to be unfinished."""
        ...

    def poll(self, now: float) -> Poll:
        """Return what has settled since the last call."""
        ...

    def taken(self, path: str, stamp: FileStamp) -> None:
        """Hear that a file was dealt with."""
        ...

    def not_ready(self, path: str, now: float, reason: str, *, wait_s: float | None = None) -> None:
        """Hear that a file must be looked at again."""
        ...


class Flow:
    """Moves frames along their path; ``tick`` is called by the daemon, by ``ingestd scan`` and by tests.

    Parameters
    ----------
    settings : Settings
    catalogue : Catalogue
        The one writing connection.
    arrivals : Arrivals
    executor : Executor
    telemetry : Telemetry
    threaded : bool
        Take files in on a thread of its own.
    drain : bool
        Treat every burst of calibration frames as quiet.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        arrivals: Arrivals,
        executor: Executor,
        telemetry: Telemetry,
        *,
        threaded: bool = False,
        drain: bool = False,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._arrivals = arrivals
        self._executor = executor
        self._telemetry = telemetry
        self._desk = ArrivalDesk(settings, threaded=threaded)
        self._recorder = Recorder(settings, catalogue, telemetry)
        self._drain = drain
        self._polls: deque[Poll] = deque()
        self._arrived: deque[Arrived] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._look_is_due = True
        self._next_look: datetime | None = None
        self._is_begun = False
        self._unreadable: set[str] = set()
        self._next_due = 0.0
        self._paused_until: datetime | None = None
        self.disk_is_full = False

    # --- for the daemon -----------------------------------------------------------------------------------------------

    def tick(self, now: datetime, monotonic: float) -> bool:
        """Do what can be done now; return whether anything moved. What the catalogue refuses is kept for later."""
        moved = self._arrive(now, monotonic)
        moved |= self._record(now)
        self._check_disk(now)
        if self._may_look(now):
            moved |= self._look(now)
        return moved

    @property
    def is_idle(self) -> bool:
        """True if nothing is being taken in, in flight or unrecorded, and no look at the catalogue is due."""
        at_work = self._desk.busy or self._arrived or self._outcomes or self._executor.in_flight
        return not at_work and self._is_begun and not self._look_is_due

    @property
    def queue_depth(self) -> int:
        """Files at the desk, jobs in flight and outcomes to be recorded."""
        return self._desk.busy + len(self._arrived) + len(self._executor.in_flight) + len(self._outcomes)

    @property
    def wake_fds(self) -> tuple[int, ...]:
        """Descriptors of which one is readable when the next tick would find something at the desk."""
        return self._desk.wake_fds

    def seconds_to_next(self, now: datetime, monotonic: float) -> float:
        """Return how long the next tick may be put off unless something is heard."""
        waits = [self._next_due - monotonic]
        if self._look_is_due and self._executor.free_slots and not self.disk_is_full:
            waits.append(0.0)
        if self._next_look is not None:
            waits.append((self._next_look - now).total_seconds())
        return max(0.0, min(waits))

    def look_soon(self) -> None:
        """Look at the catalogue at the next tick: something changed from outside."""
        self._look_is_due = True

    def record_finished(self, now: datetime) -> None:
        """Record the jobs that are finished and begin nothing new: the last act before a stop."""
        self._record(now)

    def apply(self, settings: Settings, arrivals: Arrivals) -> None:
        """Take new settings, and where files come from, for everything that begins from now on."""
        self._settings = settings
        self._arrivals = arrivals
        self._desk.settings = settings
        self._recorder.settings = settings
        self.look_soon()

    def stop(self) -> None:
        """End the arrival thread."""
        self._desk.stop()

    # --- arrive -------------------------------------------------------------------------------------------------------

    def _arrive(self, now: datetime, monotonic: float) -> bool:
        """Hand settled files to the desk, and write down what the desk has finished."""
        moved = False
        if self._desk.busy + len(self._arrived) < _DESK_BACKLOG:
            poll = self._arrivals.poll(monotonic)
            self._next_due = poll.next_due
            self._polls.append(poll)
            for settled in poll.settled:
                self._desk.hand_in(settled, now)
            moved = bool(poll.settled)
            self._is_begun |= self._arrivals.is_caught_up and not (poll.settled or poll.backlog or self._desk.busy)
        while self._polls:
            self._note(self._polls[0], now, monotonic)
            self._polls.popleft()
        self._arrived.extend(self._desk.collect(_BATCH_FILES))
        moved |= bool(self._arrived)
        if self._arrived:
            self._write_down(list(self._arrived), now, monotonic)
            self._arrived.clear()
        return moved

    def _note(self, poll: Poll, now: datetime, monotonic: float) -> None:
        """Write down which files are still arriving and which are gone."""
        if poll.vanished:
            self._remove_links(self._catalogue.mark_gone(poll.vanished, now))
            self.look_soon()
        if poll.waiting:
            rows = [
                ArrivalRow(
                    item.path, item.reason, item.detail, 0, now, now + timedelta(seconds=item.next_look - monotonic)
                )
                for item in poll.waiting
            ]
            self._note_arrivals(rows, now)
        if poll.dropped:
            self._catalogue.drop_arrivals(poll.dropped)
            self._unreadable.difference_update(poll.dropped)

    def _note_arrivals(self, rows: list[ArrivalRow], now: datetime) -> None:
        """Write down what is still arriving; of what cannot be read a person is told, once."""
        self._catalogue.note_arrivals(rows, now)
        for row in rows:
            if row.reason == "unreadable" and row.path not in self._unreadable:
                self._unreadable.add(row.path)
                why = row.detail or "the file system gives an error"
                _log.warning("Left out: %a: %s. %s", row.path, why, _UNREADABLE_REMEDY)

    def _write_down(self, arrived: list[Arrived], now: datetime, monotonic: float) -> None:
        """Add frames to the catalogue in one transaction, note the files that are not ready, then tell the watcher."""
        taken = [item for item in arrived if isinstance(item, TakenFrame)]
        late = [item for item in arrived if isinstance(item, NotReady)]
        if taken:
            added = self._catalogue.add_frames(taken, now)
            self.look_soon()
            for frame, result in zip(taken, added, strict=True):
                self._arrivals.taken(frame.path, frame.stamp)
                self._unreadable.discard(frame.path)
                if result.is_new:
                    self._welcome(frame, now)
            self._remove_links([result.frame_id for result in added])
        if late:
            rows = [ArrivalRow(item.path, item.reason, item.detail, item.stamp.size_bytes, now, now) for item in late]
            self._note_arrivals(rows, now)
        for item in late:
            self._arrivals.not_ready(item.path, monotonic, item.reason, wait_s=item.wait_s)
        gone = [item.path for item in arrived if not isinstance(item, TakenFrame | NotReady)]
        if gone:
            self._catalogue.drop_arrivals(gone)
            self._unreadable.difference_update(gone)
            for path in gone:
                self._arrivals.not_ready(path, monotonic, "gone", wait_s=0.0)

    def _remove_links(self, frame_ids: list[str]) -> None:
        """Remove the stable links of frames that these have superseded, or that superseded these."""
        remove_links(self._settings, self._catalogue.withdrawn_products(frame_ids))

    def _welcome(self, frame: TakenFrame, now: datetime) -> None:
        """Count and log a frame that is new."""
        record = frame.record
        self._telemetry.frame_taken(record.camera, record.kind)
        if record.kind == Kind.LIGHT and frame.state == State.WAITING:
            self._recorder.saw(record.frame_id, now)
        if frame.state == State.QUARANTINED:
            _log.warning("Quarantined: %a: %s: %s", frame.path, frame.reason, frame.detail)
        else:
            detail = f": {frame.detail}" if frame.detail else ""
            article = "an" if record.label.startswith(tuple("aeiou")) else "a"
            _log.info("Arrived: %a is %s %s (%s)%s", frame.path, article, record.label, record.source("kind"), detail)

    # --- look and submit ----------------------------------------------------------------------------------------------

    def _may_look(self, now: datetime) -> bool:
        """Return whether to look for due jobs: all that lay there is catalogued, there is room, something changed."""
        if not self._is_begun or self.disk_is_full or self._executor.free_slots <= 0:
            return False
        return self._look_is_due or (self._next_look is not None and now >= self._next_look)

    def _look(self, now: datetime) -> bool:
        """Look for due jobs, write down what was found, and submit."""
        plan = Planner(
            self._catalogue,
            self._settings,
            now,
            in_flight=self._executor.in_flight,
            capacity=self._executor.free_slots,
            drain=self._drain,
        ).due()
        with self._catalogue.transaction():  # one wait for the disk, not one for each fact
            moved = self._recorder.record_plan(plan, now)
            if plan.jobs:
                self._catalogue.take_off((job.job_id, frame_of(job)) for job in plan.jobs)
        for job in plan.jobs:
            self._recorder.remember(job, plan.calibrations.get(job.job_id), plan.again.get(job.job_id, ""))
            self._executor.submit(job)
        moved |= bool(plan.jobs)
        self._look_is_due = moved
        latest = now + timedelta(seconds=_LOOK_AGAIN_S)
        self._next_look = latest if plan.next_look is None else min(plan.next_look, latest)
        return moved

    # --- record -------------------------------------------------------------------------------------------------------

    def _record(self, now: datetime) -> bool:
        """Record every finished job, each in one transaction."""
        self._outcomes.extend(self._executor.finished())
        moved = bool(self._outcomes)
        while self._outcomes:
            outcome = self._outcomes[0]
            if outcome.status == "disk_full":
                self._pause(now, outcome.reason)
            self._recorder.record(outcome, now)
            self._outcomes.popleft()
            self.look_soon()
        return moved

    # --- space --------------------------------------------------------------------------------------------------------

    def _check_disk(self, now: datetime) -> None:
        """Pause when the data directory is nearly full, resume when there is room again."""
        free = store.free_bytes(self._settings.data_dir)
        self._telemetry.set_disk_free(free)
        if free < self._settings.limits.min_free_bytes:
            self._pause(now, f"{free / 1e9:.2f} GB free")
        elif self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self.disk_is_full = False
            self.look_soon()
            self._catalogue.add_event("info", "resumed", "", f"{free / 1e9:.2f} GB free: work goes on", now)
            _log.info("Resumed: %s has %.2f GB free", self._settings.data_dir, free / 1e9)

    def _pause(self, now: datetime, why: str) -> None:
        """Stop handing out work until there is room; raw frames wait."""
        self._paused_until = now + timedelta(seconds=_PAUSE_S)
        if self.disk_is_full:
            return
        self.disk_is_full = True
        needed = self._settings.limits.min_free_bytes / 1e9
        text = f"{why}; limits.min_free_bytes is {needed:.2f} GB. Raw frames wait: make room and work goes on"
        _log.error("Paused: %s: %s", self._settings.data_dir, text)
        self._catalogue.add_event("error", "disk_full", "", text, now)
