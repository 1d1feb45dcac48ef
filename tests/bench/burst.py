"""Many small files at once: renamed into the watched directory one after the other, until the daemon has done them."""

from __future__ import annotations

import time
from pathlib import Path

from ingestd.records import Kind
from tests.bench import service
from tests.bench.report import Options, Table

_SIZE = 64
_LIMIT_S = 600.0
_BURSTS = (
    ("lights, reduced provisionally", Kind.LIGHT, ""),
    ("biases, each measured, one master", Kind.BIAS, ""),
    ("focus frames, catalogued only", Kind.LIGHT, "Focus Frame"),
)


def measure(options: Options) -> Table:
    """Let bursts of each sort arrive, each at a daemon of its own."""
    table = Table(f"{options.files} files of {_SIZE} x {_SIZE} arrive at once; seconds from the first rename")
    table.notes.append(
        f"settling time {service.SETTLE_S:g} s is in the figures; the master bias waits for {service.QUIET_S:g} s of "
        "quiet, which is in them too"
    )
    table.rows = [_burst(options, number, *burst) for number, burst in enumerate(_BURSTS)]
    return table


def _burst(options: Options, number: int, name: str, kind: Kind, label: str) -> dict[str, str | float]:
    """Measure one burst."""
    directory = service.fresh(options.scratch / f"burst-{number}")
    _prepare(kind, label, options.files, directory / "ready")
    files = sorted((directory / "ready").iterdir())
    with service.running(directory) as daemon:
        time.sleep(2.0)  # the workers have started
        begun = time.perf_counter()
        for path in files:
            path.rename(daemon.incoming / path.name)
        renamed = time.perf_counter()
        known_at, done_at = daemon.wait_until_done(len(files), _LIMIT_S)
        peak = service.peak_mib(daemon.process.pid)
    return {
        "burst": name,
        "all renamed s": renamed - begun,
        "all known s": known_at - begun,
        "known/s": len(files) / (known_at - begun),
        "all done s": done_at - begun,
        "done/s": len(files) / (done_at - begun),
        "parent peak MiB": peak,
    }


def _prepare(kind: Kind, label: str, count: int, directory: Path) -> None:
    """Write the files of a burst beside the watched directory."""
    from tests.bench.frames import make_small  # noqa: PLC0415 - numpy and the simulator

    make_small(kind, label, _SIZE, count, directory)
