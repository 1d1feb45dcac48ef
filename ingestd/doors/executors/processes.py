"""A small pool of worker processes of our own: a deadline or a death costs one worker and one job, no other.

Workers are started by 'spawn' and stay; each has a pipe for jobs and one for outcomes. A job is sent only to a worker
that has said it is ready, so its deadline does not count the worker's imports and a failed start costs no job.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import SpawnProcess

from ingestd.doors.executors.worker import NOT_FOR_WORKERS, Done, Orders, Ready, Run, work
from ingestd.records import Job, MeasureFrame, Outcome, ReduceFrame

START_S = 120.0
"""A worker that has not said within this time that it is ready is replaced."""

MAX_STARTS = 5
"""Failed starts in a row after which the job that waits for the worker fails."""

_PIPE_BYTES = 1 << 20
_REAP_S = 2.0

_LOG = logging.getLogger(__name__)


def default_processes() -> int:
    """Return one less than the number of cores this process may use, at least one."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


@dataclass(slots=True)
class _Process:
    """One worker process and the parent's ends of its pipes."""

    process: SpawnProcess
    jobs: Connection
    outcomes: Connection
    started: float
    is_ready: bool = False

    def close(self) -> None:
        """Kill the process if it lives, reap it, and close the pipes."""
        self.jobs.close()
        self.outcomes.close()
        self.process.kill()
        self.process.join(_REAP_S)
        with suppress(ValueError):  # in uninterruptible sleep: the kernel will end it
            self.process.close()


@dataclass(slots=True)
class _Slot:
    """A place for one worker and its job. ``running_since``: when the worker was given the job."""

    worker: _Process | None = None
    job: Job | None = None
    submitted: float = 0.0
    running_since: float | None = None
    failed_starts: int = 0
    next_start: float = 0.0
    done: list[Outcome] = field(default_factory=list)


class ProcessExecutor:
    """Runs jobs in worker processes.

    Create and use it in one thread that lives as long as it does: the kernel kills a worker when the thread that
    started it ends.

    Parameters
    ----------
    processes : int
        Workers; 0 means ``default_processes()``.
    run : callable (Job) -> Outcome
        Carries out a job; importable by its name, because the workers import it.
    max_job_s : float, second
        A job that takes longer is killed with its worker.
    max_worker_bytes : int, byte
        Limit of a worker's address space.
    initializer : callable, optional
        Importable; called once in each worker before it is ready, to import what jobs need.
    """

    def __init__(
        self,
        processes: int,
        run: Run,
        *,
        max_job_s: float,
        max_worker_bytes: int,
        initializer: Callable[[], None] | None = None,
    ) -> None:
        self._context = get_context("spawn")
        self._orders = Orders(run, initializer, max_worker_bytes, os.getpid())
        self._max_job_s = max_job_s
        self._slots = [_Slot() for _ in range(processes or default_processes())]
        self._is_stopped = False
        resource_tracker.ensure_running()  # its start unblocks signals that _start wants blocked
        for slot in self._slots:
            self._start(slot)
        atexit.register(self.stop, 0.0)

    @property
    def processes(self) -> int:
        """How many jobs can run at once."""
        return len(self._slots)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(slot.worker.process.pid or 0 for slot in self._slots if slot.worker is not None)

    @property
    def free_slots(self) -> int:
        """Jobs that may be submitted now."""
        return 0 if self._is_stopped else sum(slot.job is None for slot in self._slots)

    @property
    def in_flight(self) -> Mapping[str, float]:
        """Ids of the jobs submitted and not finished, each with the monotonic time of its submission."""
        return {slot.job.job_id: slot.submitted for slot in self._slots if slot.job is not None}

    def submit(self, job: Job) -> None:
        """Give a job to a free worker, one that is ready if there is one.

        Raises
        ------
        ValueError
            If no slot is free or a job of the same id is in flight.
        """
        if job.job_id in self.in_flight:
            raise ValueError(f"job {job.job_id} is in flight already")
        free = [slot for slot in self._slots if slot.job is None]
        if self._is_stopped or not free:
            raise ValueError(f"no free slot for job {job.job_id}")
        slot = max(free, key=lambda slot: slot.worker is not None and slot.worker.is_ready)
        slot.job, slot.submitted = job, time.monotonic()
        self._hand_over(slot)

    def finished(self) -> list[Outcome]:
        """Return the outcomes since the last call; a job whose worker died or passed its deadline is ``crashed``."""
        now = time.monotonic()
        outcomes: list[Outcome] = []
        for slot in self._slots:
            self._attend(slot, now)
            outcomes += slot.done
            slot.done.clear()
        return outcomes

    def wait(self, timeout_s: float | None, wake_fds: Sequence[int] = ()) -> bool:
        """Sleep until a worker or a descriptor has something to say (True), a deadline passes, or the time is up.

        A signal does not end the sleep by itself: put the descriptor of ``signal.set_wakeup_fd`` among ``wake_fds``.
        """
        now = time.monotonic()
        times = [self._deadline(slot) - now for slot in self._slots]
        ends = [timeout_s] if timeout_s is not None else []
        ends += [max(0.0, left) for left in times if left != float("inf")]
        handles: list[int | Connection] = list(wake_fds)
        for slot in self._slots:
            if slot.worker is not None:
                handles += [slot.worker.outcomes, slot.worker.process.sentinel]
        return bool(wait_for(handles, min(ends) if ends else None))

    def stop(self, grace_s: float) -> None:
        """End all workers: idle ones at once, busy ones after their job but not later than the grace.

        Outcomes that came within the grace are still returned by ``finished``; an abandoned job has none and may
        leave a temporary file. Calling it again does nothing.
        """
        if self._is_stopped:
            return
        self._is_stopped = True
        atexit.unregister(self.stop)
        end = time.monotonic() + grace_s
        for slot in self._slots:
            if slot.worker is not None and slot.running_since is None:
                self._retire(slot)
        while any(slot.worker is not None for slot in self._slots) and (left := end - time.monotonic()) > 0:
            self.wait(left)
            now = time.monotonic()
            for slot in self._slots:
                self._attend(slot, now)
                if slot.worker is not None and slot.job is None:
                    self._retire(slot)
        for slot in self._slots:
            self._retire(slot)
            slot.job = slot.running_since = None

    # --- one slot -----------------------------------------------------------------------------------------------------

    def _start(self, slot: _Slot) -> None:
        """Start a worker in a slot."""
        jobs_in, jobs_out = self._context.Pipe(duplex=False)
        outcomes_in, outcomes_out = self._context.Pipe(duplex=False)
        for pipe in (jobs_out, outcomes_out):
            with suppress(OSError):  # beyond /proc/sys/fs/pipe-max-size: a large job then waits for its reader
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        process = self._context.Process(
            target=work, args=(self._orders, jobs_in, outcomes_out), name="ingestd worker", daemon=True
        )
        before = signal.pthread_sigmask(signal.SIG_BLOCK, NOT_FOR_WORKERS)
        try:
            process.start()
        except OSError as error:
            _LOG.warning("A worker could not be started: %s", error)
            for end in (jobs_in, jobs_out, outcomes_in, outcomes_out):
                end.close()
            self._start_failed(slot, f"cannot be started: {error}")
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        jobs_in.close()
        outcomes_out.close()
        slot.worker = _Process(process, jobs_out, outcomes_in, time.monotonic())

    def _start_failed(self, slot: _Slot, why: str) -> None:
        """Pause before the next start; after several, fail the job that waits."""
        slot.failed_starts += 1
        slot.next_start = time.monotonic() + min(0.1 * 2.0**slot.failed_starts, 60.0)
        if slot.job is not None and slot.failed_starts >= MAX_STARTS:
            self._finish(slot, Outcome(slot.job.job_id, "failed", reason=f"no worker: it {why}"))

    def _hand_over(self, slot: _Slot) -> None:
        """Send the job of a slot to its worker if that is ready; one that died idle is replaced first."""
        if slot.worker is None or not slot.worker.is_ready or slot.job is None or slot.running_since is not None:
            return
        if not slot.worker.process.is_alive():
            return
        slot.running_since = time.monotonic()
        try:
            slot.worker.jobs.send(slot.job)
        except OSError:
            return  # the worker is dead, which the next look notices
        except Exception as error:  # noqa: BLE001 - a job that cannot be pickled; nothing was sent
            reason = f"the job cannot be sent: {type(error).__name__}: {error}"[:500]
            self._finish(slot, Outcome(slot.job.job_id, "failed", reason=reason))

    def _attend(self, slot: _Slot, now: float) -> None:
        """Take what the worker of a slot says, and replace one that is dead or late."""
        if slot.worker is not None:
            self._listen(slot, slot.worker)
        if slot.worker is not None and now >= self._deadline(slot):
            self._bury(slot, f"deadline {self._max_job_s:g} s")
        if slot.worker is None and not self._is_stopped and now >= slot.next_start:
            self._start(slot)

    def _listen(self, slot: _Slot, worker: _Process) -> None:
        """Receive everything that was sent; death is judged only when the pipe is empty."""
        is_alive = worker.process.is_alive()
        try:
            while slot.worker is worker and worker.outcomes.poll():
                self._receive(slot, worker, worker.outcomes.recv())
        except (EOFError, OSError):
            worker.process.join(_REAP_S)
            is_alive = False
        except Exception as error:  # noqa: BLE001 - an outcome that cannot be unpickled
            _LOG.exception("A worker sent what cannot be read")
            if slot.job is not None:
                reason = f"the outcome cannot be read: {type(error).__name__}: {error}"[:500]
                self._finish(slot, Outcome(slot.job.job_id, "failed", reason=reason))
        if slot.worker is worker and not is_alive:
            self._bury(slot, _cause_of_death(worker.process.exitcode))

    def _receive(self, slot: _Slot, worker: _Process, message: object) -> None:
        """Take one message of a worker."""
        if isinstance(message, Ready):
            worker.is_ready = True
            slot.failed_starts = 0
            if message.problem:
                _LOG.warning("Worker %s works without a limit: %s", worker.process.pid, message.problem)
            self._hand_over(slot)
        elif isinstance(message, Done) and slot.job is not None:
            self._finish(slot, replace(message.outcome, job_id=slot.job.job_id))
            if message.is_last:
                self._retire(slot)

    def _finish(self, slot: _Slot, outcome: Outcome) -> None:
        """Note the outcome of a slot's job and free the slot."""
        slot.done.append(outcome)
        slot.job = slot.running_since = None

    def _bury(self, slot: _Slot, cause: str) -> None:
        """End the worker of a slot; the job it was working on has crashed."""
        was_ready = slot.worker is not None and slot.worker.is_ready
        self._retire(slot)
        if slot.job is not None and slot.running_since is not None:
            job, seconds = slot.job, time.monotonic() - slot.running_since
            _LOG.warning("The worker of job %s ended: %s", job.job_id, cause)
            frame_id = job.member.frame.frame_id if isinstance(job, MeasureFrame | ReduceFrame) else None
            self._finish(slot, Outcome(job.job_id, "crashed", reason=cause, frame_id=frame_id, seconds=seconds))
        elif not was_ready and not self._is_stopped:
            _LOG.warning("A worker ended before it was ready: %s", cause)
            self._start_failed(slot, f"ended before it was ready: {cause}")

    def _retire(self, slot: _Slot) -> None:
        """End the worker of a slot, whatever it does."""
        if slot.worker is not None:
            worker, slot.worker = slot.worker, None
            worker.close()

    def _deadline(self, slot: _Slot) -> float:
        """Return when a slot needs attention by itself: its job or its worker's start is late, or a start is due."""
        if slot.worker is None:
            return float("inf") if self._is_stopped else slot.next_start
        if not slot.worker.is_ready:
            return slot.worker.started + START_S
        return float("inf") if slot.running_since is None else slot.running_since + self._max_job_s


def _cause_of_death(exit_code: int | None) -> str:
    """Return the end of a process in words."""
    if exit_code is None:
        return "its pipe was closed"
    if exit_code >= 0:
        return f"exit status {exit_code}"
    try:
        return f"signal {-exit_code} ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"signal {-exit_code}"
