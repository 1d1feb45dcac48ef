"""One science frame in a warm worker: raw to signal, uncertainty and mask on the disk, against the disk and ccdproc."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

from ingestd.settings import Limits
from tests.bench import masters, reference, timing
from tests.bench.orders import COSMICS
from tests.bench.report import GOALS_SIZE, Goal, Options, Table

_ONE, _TWO, _CLEANED = "ours, one thread", "ours, two threads", "ours, two threads, cosmic rays cleaned"
_FLOOR, _CCDPROC = "the same bytes, fsync", "ccdproc"
_ONE_OVER, _TWO_OVER = 2.2, 1.7
_OVER_CCDPROC = 6.0
_RELATIVE = 1e-6


def measure(options: Options) -> Table:
    """Reduce one frame in a worker process, write the same bytes, and do it with ccdproc, in turn."""
    directory = options.scratch / "reduce"
    directory.mkdir(exist_ok=True)
    table = Table(f"Reduce {options.size} x {options.size} uint16 to signal, uncertainty and mask, warm")
    with masters.warm_worker() as carry_out, masters.warm_worker(masters.OneThread(Limits())) as alone:
        inputs, raw = masters.prepare(carry_out, options.size, options.scratch)
        order = masters.reduce_order(directory / "product_00000000.fits", raw, inputs)
        cleaned = replace(order, product=str(directory / "cleaned_00000000.fits"), cosmics=COSMICS)
        carry_out(order)
        product = Path(order.product)
        content = product.read_bytes()
        theirs = reference.Reference(raw, inputs)
        seconds = timing.in_turn(
            {
                _TWO: lambda: _reduced(carry_out, order),
                _ONE: lambda: _reduced(alone, order),
                _CLEANED: lambda: _reduced(carry_out, cleaned),
                _FLOOR: lambda: _write(directory / "floor.fits", content),
                _CCDPROC: lambda: theirs.write(directory / "ccdproc.fits"),
            },
            options.runs,
        )
        signal, uncertainty = theirs.differences(product)
    median = {name: statistics.median(measured) for name, measured in seconds.items()}
    table.rows = [
        {
            **timing.summary(name, measured),
            "over writing": median[name] / median[_FLOOR],
            "ccdproc over it": median[_CCDPROC] / median[name],
        }
        for name, measured in seconds.items()
    ]
    table.rows[0]["MB written"] = len(content) / 1e6
    table.notes.append(
        "ours: SHA-256 of the raw frame, bias, exact dark, flat, gain, uncertainty, mask, sky figures, write, fsync, "
        "SHA-256 of the product, rename, fsync of the directory; ccdproc: read, ccd_process, CCDData.write, no fsync"
    )
    if options.size == GOALS_SIZE:
        table.goals = [
            Goal("time in one thread over that of writing the same bytes", median[_ONE] / median[_FLOOR], _ONE_OVER),
            Goal("time in two threads over that of writing them", median[_TWO] / median[_FLOOR], _TWO_OVER),
            Goal(
                "times faster than ccd_process and CCDData.write",
                median[_CCDPROC] / median[_ONE],
                _OVER_CCDPROC,
                is_floor=True,
            ),
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
