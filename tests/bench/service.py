"""The real daemon as a process of its own, in a directory of its own, and what the kernel says of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ingestd.api import open_catalogue
from ingestd.errors import CatalogueUnusable
from tests.bench.timing import ROOT

SETTLE_S = 0.2
QUIET_S = 1.0

_CONFIG = f"""\
[arrival]
settle_s = {SETTLE_S}
settle_closed_s = {SETTLE_S}

[masters]
quiet_s = {QUIET_S}

[reduction]
again_s = 0.0

[limits]
min_free_bytes = 0

[web]
port = 0

[[camera]]
name = "bench"
directories = ["incoming"]
"""
_START_S = 60.0
_STOP_S = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Service:
    """A running daemon: its directory, its process, and the seconds from its start to READY=1."""

    directory: Path
    process: subprocess.Popen[bytes]
    ready_s: float

    @property
    def incoming(self) -> Path:
        """The watched directory."""
        return self.directory / "incoming"

    @property
    def workers(self) -> list[int]:
        """Process ids of the children that live."""
        return children_of(self.process.pid)

    def status(self) -> dict[str, Any] | None:
        """Return what ``ingestd status --json`` says, or None while there is no database."""
        try:
            with open_catalogue(self.directory / "data" / "catalogue.sqlite") as catalogue:
                return catalogue.status()
        except CatalogueUnusable:
            return None

    def wait_until_done(self, frames: int, limit_s: float) -> tuple[float, float]:
        """Wait until so many frames are known and nothing is due; return when they were known and when all was done.

        Raises
        ------
        TimeoutError
            If it takes longer than the limit.
        RuntimeError
            If the daemon ends.
        """
        end, known_at = time.perf_counter() + limit_s, 0.0
        while time.perf_counter() < end:
            status = self.status()
            if status is not None and sum(status["frames"].values()) >= frames:
                known_at = known_at or time.perf_counter()
                if not status["arrivals"] and not status["queue_depth"]:
                    return known_at, time.perf_counter()
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the daemon ended with status {self.process.returncode}; see {self.directory / 'log'}"
                )
            time.sleep(0.05)
        raise TimeoutError(f"not done after {limit_s:.0f} s: {self.status()}; see {self.directory / 'log'}")


def fresh(directory: Path, camera: str = "") -> Path:
    """Make a directory for a daemon, with an empty directory to be watched and more keys for the camera; return it."""
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "incoming").mkdir(parents=True)
    (directory / "config.toml").write_text(_CONFIG + camera)
    return directory


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Service]:
    """Run the daemon on a directory that `fresh` made until the block ends."""
    with (directory / "log").open("ab") as log:
        process, ready_s = _started(directory, log)
        try:
            yield Service(directory, process, ready_s)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _started(directory: Path, log: IO[bytes]) -> tuple[subprocess.Popen[bytes], float]:
    """Start the daemon and wait until it says READY=1; the socket is closed then, for nobody reads it any more."""
    address = directory / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(_START_S)
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "ingestd", "run", "--config", "config.toml"],
            cwd=directory,
            env={**os.environ, "NOTIFY_SOCKET": str(address), "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
        except TimeoutError:
            process.kill()
            process.wait()
            raise
        return process, time.perf_counter() - begun


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children of a process' main thread."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process, pages shared with others included."""
    return _status_kib(pid, "VmRSS") / 1024


def peak_mib(pid: int) -> float:
    """Return the largest resident memory that a process ever had."""
    return _status_kib(pid, "VmHWM") / 1024


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process without its children (proc(5): utime and stime)."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
