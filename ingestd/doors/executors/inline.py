"""What every executor offers, and the one that runs a job in the caller's process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait as wait_for
from typing import Protocol

from ingestd.doors.executors.worker import Run, run_guarded
from ingestd.records import Job, Outcome


class Executor(Protocol):
    """Runs jobs beside the main loop. All methods belong to one thread."""

    @property
    def free_slots(self) -> int:
        """Jobs that may be submitted now."""
        ...

    @property
    def in_flight(self) -> Mapping[str, float]:
        """Ids of the jobs submitted and not finished, each with the monotonic time of its submission."""
        ...

    def submit(self, job: Job) -> None:
        """Start a job.

        Raises
        ------
        ValueError
            If no slot is free or a job of the same id is in flight.
        """
        ...

    def finished(self) -> list[Outcome]:
        """Return the outcomes since the last call, without waiting."""
        ...

    def wait(self, timeout_s: float | None, wake_fds: Sequence[int] = ()) -> bool:
        """Sleep until an outcome may be there, a descriptor is readable (True), or the time is up (False)."""
        ...

    def stop(self, grace_s: float) -> None:
        """End; a job that does not finish within the grace is abandoned and has no outcome."""
        ...


class InlineExecutor:
    """Runs a job at once in the caller's process: for tests and the debugger. Nothing protects from a crash.

    Parameters
    ----------
    run : callable (Job) -> Outcome
        Carries out a job; what it raises becomes a ``failed`` outcome.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._outcomes: list[Outcome] = []
        self._in_flight: dict[str, float] = {}

    @property
    def free_slots(self) -> int:
        """One, once the last outcome was fetched."""
        return 0 if self._in_flight else 1

    @property
    def in_flight(self) -> Mapping[str, float]:
        """The job whose outcome was not fetched yet."""
        return dict(self._in_flight)

    def submit(self, job: Job) -> None:
        """Run a job."""
        if self._in_flight:
            raise ValueError(f"no free slot for job {job.job_id}: fetch the last outcome first")
        self._in_flight[job.job_id] = time.monotonic()
        self._outcomes.append(run_guarded(self._run, job))

    def finished(self) -> list[Outcome]:
        """Return the outcome of the last job."""
        outcomes, self._outcomes = self._outcomes, []
        self._in_flight.clear()
        return outcomes

    def wait(self, timeout_s: float | None, wake_fds: Sequence[int] = ()) -> bool:
        """Sleep until a descriptor is readable or the time is up; not at all if an outcome is there."""
        return bool(self._outcomes) or bool(wait_for(list(wake_fds), timeout_s))

    def stop(self, grace_s: float) -> None:
        """Do nothing: no job is running between calls."""
