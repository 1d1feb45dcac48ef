"""What runs in a worker process: jobs from one pipe, outcomes into another, and an end whenever the parent's comes."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

from ingestd.records import Job, Outcome

Run = Callable[[Job], Outcome]

MAX_REASON = 500
"""Longest reason, in characters, that leaves a worker."""

MAX_OUTCOME_BYTES = 8 << 20
"""Largest outcome that leaves a worker."""

NOT_FOR_WORKERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that a terminal or a service manager sends to the whole group; the parent decides when a worker ends."""

_PR_SET_PDEATHSIG = 1

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told at its start: the function, what to import beforehand, its memory limit, its parent."""

    run: Run
    initializer: Callable[[], None] | None
    max_bytes: int
    parent_pid: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's first word; ``problem`` tells of a limit that could not be set."""

    problem: str


@dataclass(frozen=True, slots=True)
class Done:
    """The worker's word on a job. ``is_last``: it takes no other job and is to be replaced."""

    outcome: Outcome
    is_last: bool


def run_guarded(run: Run, job: Job) -> Outcome:
    """Return the outcome of a job, ``failed`` if it raises or returns something else.

    The traceback goes to the log; the reason names the exception and where it was raised.
    """
    started = time.monotonic()
    try:
        outcome = run(job)
    except BaseException as error:  # noqa: BLE001 - one level catches, whatever a library raises
        _LOG.exception("Job %s failed", job.job_id)
        return Outcome(job.job_id, "failed", reason=_describe(error), seconds=time.monotonic() - started)
    if not isinstance(outcome, Outcome):
        reason = f"the job returned {type(outcome).__name__} instead of an outcome"
        return Outcome(job.job_id, "failed", reason=reason, seconds=time.monotonic() - started)
    return replace(outcome, reason=outcome.reason[:MAX_REASON])


def _describe(error: BaseException) -> str:
    """Return an exception in one line of bounded length."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an exception whose text raises
        text = "(its text cannot be read)"
    where = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        where = f" ({Path(code.co_filename).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {text[: MAX_REASON - 100]}{where}"[:MAX_REASON]


def work(orders: Orders, jobs: Connection, outcomes: Connection) -> None:
    """Run jobs until the pipe ends or None comes; the main function of a worker process."""
    _die_with(orders.parent_pid)
    for ignored in NOT_FOR_WORKERS:
        signal.signal(ignored, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NOT_FOR_WORKERS)
    problem = _limit(resource.RLIMIT_CORE, 0)
    if orders.initializer is not None:
        orders.initializer()
    problem = _limit(resource.RLIMIT_AS, orders.max_bytes) or problem
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        outcomes.send(Ready(problem))
        while _run_next(orders.run, jobs, outcomes):
            pass


def _run_next(run: Run, jobs: Connection, outcomes: Connection) -> bool:
    """Run one job and send its outcome; return whether to go on.

    A worker that ran out of memory ends after its answer: what fills its heap would fail the next job too.
    """
    try:
        job = jobs.recv()
    except (EOFError, OSError):
        return False
    except Exception as error:  # noqa: BLE001 - a job that cannot be unpickled; the parent knows which
        outcome = Outcome("", "failed", reason=f"the job cannot be read: {_describe(error)}")
    else:
        if job is None:
            return False
        outcome = run_guarded(run, job)
    is_last = outcome.status == "failed" and "MemoryError" in outcome.reason
    outcomes.send_bytes(_packed(outcome, is_last=is_last))
    return not is_last


def _packed(outcome: Outcome, *, is_last: bool) -> bytes:
    """Return an outcome as it is sent; one that cannot be pickled or is too large becomes ``failed``."""
    try:
        payload = bytes(ForkingPickler.dumps(Done(outcome, is_last)))
    except Exception as error:  # noqa: BLE001 - whatever a foreign object raises while it is pickled
        reason = f"the outcome cannot be sent: {_describe(error)}"
    else:
        if len(payload) <= MAX_OUTCOME_BYTES:
            return payload
        reason = f"the outcome of {len(payload)} bytes is too large to be sent"
    return bytes(ForkingPickler.dumps(Done(Outcome("", "failed", reason=reason[:MAX_REASON]), is_last)))


def _die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (prctl(2)), and end if it has already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(0)


def _limit(kind: int, value: int) -> str:
    """Lower a resource limit, and return why it could not be done or an empty text."""
    try:
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (ceiling, hard if kind == resource.RLIMIT_AS else ceiling))
    except (OSError, ValueError) as error:
        return f"resource limit {kind} not set: {error}"
    return ""
