"""Raw frames to a master, whole processes, imports and writing included: ours, and whoever else is installed."""

from __future__ import annotations

from pathlib import Path

from tests.bench import peers, timing
from tests.bench.report import GOALS_SIZE, Goal, Options, Table
from tests.bench.timing import Contender, Cost

_OURS = "ours"
_JOB = "ours, as a worker does it"
_GOALS = {
    "ccdproc guide": {10: 15.0, 40: 50.0},
    "siril winsorized": {10: 2.0, 40: 3.0},
    "iraf sigclip": {10: 4.0, 40: 8.0},
}
_PEAK_MIB = 450.0


def measure(options: Options) -> Table:
    """Combine biases with every contender in turn."""
    table = Table(f"Combine biases of {options.size} x {options.size}, whole processes, medians of {options.runs}")
    frames = options.scratch / "frames"
    timing.run("frames", "bias", str(options.size), str(max(options.counts)), frames)
    paths = [frames / f"bias_{options.size}_{number:03d}.fits" for number in range(max(options.counts))]
    table.notes.append(
        f"{_OURS}: combine, write mean, error and mask, fsync, SHA-256 of the product; {_JOB}: also checks the SHA-256 "
        "of every member and measures the read noise. The peers do less: the mean alone, no fsync."
    )
    for count in options.counts:
        _measure_count(table, options, paths[:count])
    return table


def _measure_count(table: Table, options: Options, paths: list[Path]) -> None:
    """Add the rows and goals of one number of frames."""
    count, directory = len(paths), options.scratch / f"combine-{len(paths)}"
    directory.mkdir(exist_ok=True)
    others, missing = peers.contenders(paths, directory, options.without)
    table.notes += [note for note in missing if note not in table.notes]
    costs = timing.in_processes([*_ours(paths, directory), *others], options.runs, directory / "log")
    for name, cost in costs.items():
        differ: int | str = ""
        if name.startswith("ccdproc"):
            product = next(other.product for other in others if other.name == name)
            differ = int(timing.run("peers", "differ", directory / "ours.fits", product))
        table.rows.append(_row(count, name, cost, costs[_OURS], differ))
        table.goals += _goals(options.size, count, name, cost, costs[_OURS])
        if name == "ccdproc guide":
            table.goals.append(Goal(f"N = {count}: pixels that differ from {name}", int(differ or 0), 0))


def _ours(paths: list[Path], directory: Path) -> list[Contender]:
    """Return our two ways: the arithmetic with its door, and the whole order of a worker."""
    product, built = directory / "ours.fits", directory / "built.fits"
    order = directory / "order.pickle"
    timing.run("orders", order, built, *paths)
    return [
        Contender(_OURS, timing.own_command("ours", "combine", product, *paths), directory, product),
        Contender(_JOB, timing.own_command("ours", "job", order), directory, built),
    ]


def _row(count: int, name: str, cost: Cost, ours: Cost, differ: int | str) -> dict[str, int | float | str]:
    """Return one line of the table."""
    return {
        "N": count,
        "contender": name,
        "wall s": cost.wall_s,
        "CPU s": cost.cpu_s,
        "peak MiB": cost.peak_mib,
        "wall ratio": cost.wall_s / ours.wall_s,
        "CPU ratio": cost.cpu_s / ours.cpu_s,
        "pixels differ": differ,
    }


def _goals(size: int, count: int, name: str, cost: Cost, ours: Cost) -> list[Goal]:
    """Return the goals that a contender stands for; see `GOALS_SIZE`."""
    if size != GOALS_SIZE:
        return []
    if name in {_OURS, _JOB}:
        return [Goal(f"N = {count}: resident memory, {name}", cost.peak_mib, _PEAK_MIB, "MiB")]
    ratio = _GOALS.get(name, {}).get(count)
    if ratio is None:
        return []
    return [Goal(f"N = {count}: times faster than {name}", cost.wall_s / ours.wall_s, ratio, is_floor=True)]
