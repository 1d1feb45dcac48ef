"""The master of a window after each arrival: recomputed from its newest frames, again and again, in a warm worker."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ingestd.doors import fitsfile
from ingestd.records import Kind
from tests.bench import frames, masters, service, timing
from tests.bench.orders import build_order
from tests.bench.report import GOALS_SIZE, Goal, Options, Table

_WINDOW = 20
_CADENCE_S = 5.0
_PEAK_MIB = 450.0


def measure(options: Options) -> Table:
    """Let a window of the newest frames move on by one frame at a time, and combine it each time."""
    table = Table(
        f"Rolling master of the newest {_WINDOW} biases of {options.size} x {options.size}, one more each time"
    )
    directory = options.scratch / "rolling"
    directory.mkdir(exist_ok=True)
    paths = frames.make_frames(Kind.BIAS, options.size, _WINDOW + options.runs, options.scratch / "frames")
    orders = [
        build_order(Kind.BIAS, directory / f"bias_{first:08d}.fits", paths[first : first + _WINDOW])
        for first in range(options.runs + 1)
    ]
    pending = iter(orders)
    with masters.warm_worker() as carry_out:
        worker = service.children_of(os.getpid())[-1]
        seconds = timing.in_turn(
            {"SHA-256 of every member, combine, write": lambda: carry_out(next(pending)).seconds}, options.runs
        )
        peak = service.peak_mib(worker)
    differ = _differing(paths[-_WINDOW:], Path(orders[-1].product))
    table.rows = [
        {**timing.summary(name, measured), "peak MiB": peak, "pixels differ": differ}
        for name, measured in seconds.items()
    ]
    table.notes.append("pixels differ: of the last window, from the same one combined in a process of its own")
    if options.size == GOALS_SIZE:
        table.goals = [
            Goal("slowest update, at the cadence of the camera", table.rows[0]["max s"], _CADENCE_S, "s"),
            Goal("resident memory", peak, _PEAK_MIB, "MiB"),
        ]
    table.goals.append(Goal("pixels that differ from a build from nothing", differ, 0))
    return table


def _differing(paths: list[Path], product: Path) -> int:
    """Return how many pixels differ from the master of the same frames, built in a process of its own."""
    alone = product.with_name("alone.fits")
    timing.run("ours", "combine", alone, *paths)
    ours, theirs = (fitsfile.read_master(path, None).planes[0].signal for path in (product, alone))
    return int(np.count_nonzero(ours != theirs))
