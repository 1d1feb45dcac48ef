"""From the arrival of a science frame to its product on the disk, through the running daemon."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from ingestd.records import Kind, MasterInput
from ingestd.simulator import write
from tests.bench import frames, service, timing
from tests.bench.report import GOALS_SIZE, Goal, Options, Table

_LIMIT_S = 120.0
_DAEMONS = (("daemon", "", 0.4), ("daemon, cosmic rays cleaned", 'cosmics = "clean"\n', 0.6))
"""Name, more keys for the camera, seconds allowed."""

_LOOK_S = 0.002
_KINDS = (Kind.BIAS, Kind.DARK, Kind.FLAT)
_MEMBERS = 3


def measure(options: Options) -> Table:
    """Let science frames arrive one by one, in turn with ccdproc on the same frame."""
    table = Table(f"Arrival of a science frame of {options.size} x {options.size} to its product, masters valid")
    table.notes.append(
        f"seconds from the rename into the watched directory to the product's name, less the settling time of "
        f"{service.SETTLE_S:g} s; ccdproc: read, ccd_process, CCDData.write in this process, warm"
    )
    for name, camera, goal_s in _DAEMONS:
        _measure_daemon(table, options, name, camera, goal_s)
    return table


def _measure_daemon(table: Table, options: Options, name: str, camera: str, goal_s: float) -> None:
    """Add the rows and the goal of a daemon with more keys for its camera."""
    directory = service.fresh(options.scratch / "arrival", camera)
    for kind in _KINDS:
        for path in frames.make_frames(kind, options.size, _MEMBERS, options.scratch / "frames"):
            (directory / "incoming" / path.name).hardlink_to(path)
    with service.running(directory) as daemon:
        daemon.wait_until_done(len(_KINDS) * _MEMBERS, _LIMIT_S)
        seconds = _in_turn(daemon, options, name)
        peak = max(service.peak_mib(pid) for pid in daemon.workers)
    rows = [timing.summary(contender, measured) for contender, measured in seconds.items()]
    ours, theirs = (statistics.median(measured) for measured in seconds.values())
    rows[0] |= {"worker's peak MiB": peak, "ratio": theirs / ours}
    table.rows += rows
    if options.size == GOALS_SIZE:
        table.goals.append(Goal(f"arrival to product, {name}", ours, goal_s, "s"))


def _in_turn(daemon: service.Service, options: Options, name: str) -> dict[str, list[float]]:
    """Return the seconds of the daemon and of ccdproc; the first frame, for which masters are read, does not count."""
    from tests.bench.reference import Reference  # noqa: PLC0415 - ccdproc

    shots = [frames.expose(options.size, number) for number in range(options.runs + 1)]
    raw = options.scratch / "frames" / "light_for_ccdproc.fits"
    write(raw, shots[0])
    theirs = Reference(raw, _built(daemon))
    numbers = iter(range(options.runs + 1))
    return timing.in_turn(
        {
            name: lambda: _arrival_s(daemon, shots[next(numbers)]),
            "ccdproc": lambda: theirs.write(options.scratch / "ccdproc.fits"),
        },
        options.runs,
    )


def _arrival_s(daemon: service.Service, exposure: frames.Exposure) -> float:
    """Let one frame arrive; return the seconds until a new product stands under its name."""
    products = daemon.directory / "data" / "reduced" / frames.CAMERA
    known = _products(products)
    waiting = daemon.directory / exposure.file_name
    write(waiting, exposure)
    os.sync()
    begun = time.perf_counter()
    waiting.rename(daemon.incoming / exposure.file_name)
    while _products(products) == known:
        if time.perf_counter() - begun > _LIMIT_S:
            raise TimeoutError(f"no product after {_LIMIT_S:.0f} s; see {daemon.directory / 'log'}")
        time.sleep(_LOOK_S)
    arrived_s = time.perf_counter() - begun - service.SETTLE_S
    daemon.wait_until_done(0, _LIMIT_S)
    return arrived_s


def _products(directory: Path) -> set[str]:
    """Return the products of all nights."""
    if not directory.is_dir():
        return set()
    nights = [night.path for night in os.scandir(directory)]
    return {entry.name for night in nights for entry in os.scandir(night) if not entry.name.startswith(".")}


def _built(daemon: service.Service) -> tuple[MasterInput, ...]:
    """Return the masters that the daemon built."""
    found = []
    for kind in _KINDS:
        folder = daemon.directory / "data" / "masters" / frames.CAMERA / str(kind)
        newest = max(folder.glob("*.fits"), key=lambda path: path.stat().st_mtime_ns)
        found.append(MasterInput("", kind, str(newest), "", None, "", None, None, 0.0))
    return tuple(found)
