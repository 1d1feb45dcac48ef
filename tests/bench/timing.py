"""Two ways to time contenders in turn: as whole processes, fork to exit, and as calls inside this one.

The disk is synced before each, so that none pays for what another left unwritten.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Root of the checkout: where ``python -m tests.bench`` finds itself."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A whole process: its command, working directory and home, the file that it must write, its standard input."""

    name: str
    command: tuple[str, ...]
    directory: Path
    product: Path
    standard_input: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost: wall and CPU seconds, and the largest resident memory of it and of what it waited for.

    Memory cannot read below that of this process when it forks: some 25 MiB.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def own_command(module: str, *words: str | Path) -> tuple[str, ...]:
    """Return the command that runs a module of this package in a process of its own."""
    return (sys.executable, "-m", f"tests.bench.{module}", *(str(word) for word in words))


def run(module: str, *words: str | Path) -> str:
    """Run a module of this package in a process of its own, so that this one stays small; return what it prints."""
    done = subprocess.run(own_command(module, *words), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def in_processes(contenders: Sequence[Contender], runs: int, log: Path) -> dict[str, Cost]:
    """Run all contenders in turn, ``runs`` times, and return the medians.

    Raises
    ------
    RuntimeError
        If one fails or does not write its product; the log holds what it said.
    """
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    for _ in range(runs):
        for contender in contenders:
            costs[contender.name].append(_cost(contender, log))
    return {
        name: Cost(
            statistics.median(cost.wall_s for cost in measured),
            statistics.median(cost.cpu_s for cost in measured),
            statistics.median(cost.peak_mib for cost in measured),
        )
        for name, measured in costs.items()
    }


def _cost(contender: Contender, log: Path) -> Cost:
    """Run a contender once."""
    contender.product.unlink(missing_ok=True)
    script = contender.directory / ".bench-input"
    script.write_text(contender.standard_input)
    own = {"TERM": "dumb", "HOME": str(contender.directory), "USER": "bench", "PYTHONPATH": str(ROOT)}
    with script.open() as source, log.open("ab") as output:
        os.sync()
        begun = time.perf_counter()
        process = subprocess.Popen(
            contender.command,
            cwd=contender.directory,
            stdin=source,
            stdout=output,
            stderr=output,
            env={**os.environ, **own},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun
    script.unlink()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not contender.product.exists():
        raise RuntimeError(f"{contender.name}: status {process.returncode}, see {log}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(functions: Mapping[str, Callable[[], float | None]], runs: int) -> dict[str, list[float]]:
    """Call all functions in turn, once unmeasured and ``runs`` times measured; return their seconds, sorted.

    A function that returns a number has measured itself.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(runs + 1):
        for name, function in functions.items():
            os.sync()
            begun = time.perf_counter()
            own = function()
            if turn:
                seconds[name].append(time.perf_counter() - begun if own is None else own)
    return {name: sorted(measured) for name, measured in seconds.items()}


def summary(name: str, seconds: Sequence[float]) -> dict[str, str | float]:
    """Return a row of median, least and most."""
    return {"contender": name, "median s": statistics.median(seconds), "min s": min(seconds), "max s": max(seconds)}
