"""Header pre-read, classification, hash and catalogue of many small files: files per CPU second, warm cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ingestd.doors import fitsfile
from ingestd.doors.catalogue import Catalogue, TakenFrame
from ingestd.doors.watcher import Settled
from ingestd.flow.arrival import classify, take_in
from ingestd.records import Kind
from ingestd.settings import Settings, parse_settings
from tests.bench import timing
from tests.bench.frames import make_small
from tests.bench.report import Goal, Options, Table

_SIZE = 16
_FILES_PER_BURST = 5
_BATCH = 256
_RATE = 2000.0
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure(options: Options) -> Table:
    """Take the same files in again and again, as the arrival thread does, in ever longer parts of its way."""
    directory = options.scratch / "headers"
    count = options.files * _FILES_PER_BURST
    make_small(Kind.LIGHT, "", _SIZE, count, directory)
    settings = parse_settings({"camera": [{"name": "bench", "directories": [str(directory)]}]})
    paths = sorted(directory.glob("*.fits"))
    ways: dict[str, Callable[[], float]] = {
        "open, header": lambda: _timed(paths, lambda path: _read(path, settings)),
        "open, header, classify": lambda: _timed(paths, lambda path: _classified(path, settings)),
        "open, header, hash, classify": lambda: _timed(paths, lambda path: _taken(path, settings)),
        "all of it, and the catalogue": lambda: _catalogued(paths, settings, options.scratch),
    }
    seconds = timing.in_turn(ways, options.runs)
    table = Table(f"{count} small files ({_SIZE} x {_SIZE}), warm cache, per CPU second, medians of {options.runs}")
    for name, measured in seconds.items():
        rate = count / measured[len(measured) // 2]
        table.rows.append({"part": name, "files/s": rate, "us/file": 1e6 / rate})
        if name.endswith(("header, classify", "catalogue")):
            table.goals.append(Goal(name, rate, _RATE, "files/s", is_floor=True))
    return table


def _timed(paths: list[Path], take: Callable[[Path], object]) -> float:
    """Return the CPU seconds of this process for all files: other processes on the core do not count."""
    begun = time.process_time()
    for path in paths:
        take(path)
    return time.process_time() - begun


def _read(path: Path, settings: Settings) -> object:
    fd = fitsfile.open_raw(path)
    try:
        return fitsfile.read_header(fd, settings.limits)
    finally:
        os.close(fd)


def _classified(path: Path, settings: Settings) -> object:
    fd = fitsfile.open_raw(path)
    try:
        return classify(fitsfile.read_header(fd, settings.limits), str(path), settings, "", "", _NOW)
    finally:
        os.close(fd)


def _taken(path: Path, settings: Settings) -> TakenFrame:
    settled = Settled(str(path), fitsfile.stamp(path), "scan", 1.0, 1.0, gave_up=False)
    taken = take_in(settled, settings, _NOW)
    if not isinstance(taken, TakenFrame):
        raise TypeError(f"{path} was not taken in: {taken}")
    return taken


def _catalogued(paths: list[Path], settings: Settings, scratch: Path) -> float:
    """Take all files in and add them to a fresh catalogue, in transactions of as many as the daemon takes at once."""
    database = scratch / "headers.sqlite"
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    with Catalogue.open(database, rules=settings) as catalogue:
        begun = time.process_time()
        for first in range(0, len(paths), _BATCH):
            catalogue.add_frames([_taken(path, settings) for path in paths[first : first + _BATCH]], _NOW)
        return time.process_time() - begun
