"""A warm worker of the daemon's own kind, and masters that it has built."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingestd.doors.executors import ProcessExecutor
from ingestd.jobs import Worker, threads
from ingestd.records import Job, Kind, MasterInput, Outcome, ReduceFrame
from ingestd.settings import Limits
from tests.bench import frames
from tests.bench.orders import as_input, build_order, reduce_order

__all__ = ["CarryOut", "OneThread", "ReduceFrame", "prepare", "reduce_order", "warm_worker"]

CarryOut = Callable[[Job], Outcome]

_MEMBERS = 3


@dataclass(frozen=True, slots=True)
class OneThread:
    """A worker that does not divide its work."""

    limits: Limits

    def __call__(self, job: Job) -> Outcome:
        """Carry out a job."""
        threads.THREADS = 1
        return Worker(self.limits)(job)


@contextlib.contextmanager
def warm_worker(run: Callable[[Job], Outcome] | None = None) -> Iterator[CarryOut]:
    """Start one worker process as the daemon does; yield what gives it an order and waits for the outcome."""
    limits = Limits()
    run = run or Worker(limits)
    executor = ProcessExecutor(1, run, max_job_s=limits.max_job_s, max_worker_bytes=limits.max_worker_bytes)

    def carry_out(job: Job) -> Outcome:
        executor.submit(job)
        outcomes: list[Outcome] = []
        while not outcomes:
            executor.wait(None)
            outcomes = executor.finished()
        if outcomes[0].status != "done":
            raise RuntimeError(f"the worker says: {outcomes[0].status}: {outcomes[0].reason}")
        return outcomes[0]

    try:
        yield carry_out
    finally:
        executor.stop(0.0)


def prepare(carry_out: CarryOut, size: int, scratch: Path) -> tuple[tuple[MasterInput, ...], Path]:
    """Have bias, dark and flat built; return them and a raw science frame of the same camera."""
    built: dict[Kind, MasterInput] = {}
    for kind in (Kind.BIAS, Kind.DARK, Kind.FLAT):
        paths = frames.make_frames(kind, size, _MEMBERS, scratch / "frames")
        parents = (built[Kind.BIAS],) if kind is Kind.FLAT else ()
        order = build_order(kind, scratch / "masters" / f"{kind}_00000000.fits", paths, parents)
        built[kind] = as_input(order, carry_out(order))
    (raw,) = frames.make_frames(Kind.LIGHT, size, 1, scratch / "frames")
    return tuple(built.values()), raw
