"""One science frame in a warm worker: raw to signal, uncertainty and mask on the disk, against the disk and ccdproc."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from tests.bench import masters, reference, timing
from tests.bench.report import GOALS_SIZE, Goal, Options, Table

_OVER_FLOOR = 2.2
_OVER_CCDPROC = 6.0
_RELATIVE = 1e-6


def measure(options: Options) -> Table:
    """Reduce one frame in a worker process, write the same bytes, and do it with ccdproc, in turn."""
    directory = options.scratch / "reduce"
    directory.mkdir(exist_ok=True)
    table = Table(f"Reduce {options.size} x {options.size} uint16 to signal, uncertainty and mask, warm")
    with masters.warm_worker() as carry_out:
        inputs, raw = masters.prepare(carry_out, options.size, options.scratch)
        order = masters.reduce_order(directory / "product_00000000.fits", raw, inputs)
        carry_out(order)
        product = Path(order.product)
        content = product.read_bytes()
        theirs = reference.Reference(raw, inputs)
        seconds = timing.in_turn(
            {
                "ours": lambda: _reduced(carry_out, order),
                "the same bytes, fsync": lambda: _write(directory / "floor.fits", content),
                "ccdproc": lambda: theirs.write(directory / "ccdproc.fits"),
            },
            options.runs,
        )
        signal, uncertainty = theirs.differences(product)
    table.rows = [timing.summary(name, measured) for name, measured in seconds.items()]
    table.rows[0]["MB written"] = table.rows[1]["MB written"] = len(content) / 1e6
    ours, floor, ccdproc = (statistics.median(measured) for measured in seconds.values())
    table.notes.append(
        "ours: SHA-256 of the raw frame, bias, exact dark, flat, gain, uncertainty, mask, sky figures, write, fsync, "
        "SHA-256 of the product, rename, fsync of the directory; ccdproc: read, ccd_process, CCDData.write, no fsync"
    )
    table.rows[1]["ours over it"], table.rows[2]["ours over it"] = ours / floor, ours / ccdproc
    if options.size == GOALS_SIZE:
        table.goals = [
            Goal("time over that of writing the same bytes", ours / floor, _OVER_FLOOR),
            Goal("times faster than ccd_process and CCDData.write", ccdproc / ours, _OVER_CCDPROC, is_floor=True),
        ]
    table.goals += [
        Goal("largest relative difference of the signal from ccd_process", signal, _RELATIVE),
        Goal("largest relative difference of the uncertainty from ccdproc's functions", uncertainty, _RELATIVE),
    ]
    return table


def _reduced(carry_out: masters.CarryOut, order: masters.ReduceFrame) -> float:
    """Return the seconds that the worker needed."""
    Path(order.product).unlink(missing_ok=True)
    return carry_out(order).seconds


def _write(path: Path, content: bytes) -> float:
    """Return the seconds that it takes to write bytes to a new file and sync it."""
    path.unlink(missing_ok=True)
    begun = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        left = memoryview(content)
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    return time.perf_counter() - begun
