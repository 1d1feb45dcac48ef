"""SIGKILL at random instants, restart, and look at the dead: what may never be seen is a violation.

Each cycle delivers a few frames, starts the real daemon, kills it (half of the time while it still starts), and checks
what lies on the disk before anything repairs it. In the end the daemon works off everything and must have come to the
same bytes as a run that was never disturbed. At length: ``python -m tests.flow.kill_loop --kills 10000 --seed 3``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ingestd import simulator
from ingestd.api import open_catalogue
from ingestd.doors import fitsfile
from ingestd.errors import CatalogueUnusable, FrameNotReady, FrameRejected
from ingestd.settings import Limits
from tests.flow.observatory import SENSOR, Observatory, settings_for, sha256

ROOT = Path(__file__).parents[2]
CAMERA = simulator.Camera(SENSOR, tells_gain=False)
FIRST_EVENING = date(2025, 1, 10)
MASTERS = {"quiet_s": 0.2, **{kind: {"minimum": 2} for kind in ("bias", "dark", "flat")}}
LONGEST_LOOP = 200
READY_S, JOB_S, IDLE_S, STOP_S, POLL_S = 30.0, 20.0, 240.0, 15.0, 0.005
ROWS_EVERY = 4
_RECORDED = "SELECT path, sha256 FROM reductions UNION ALL SELECT path, sha256 FROM masters"
_CONFIG = """\
[arrival]
settle_s = 0.05
settle_closed_s = 0.05
scan_interval_s = 0.5

[masters]
quiet_s = 0.2
bias = { minimum = 2 }
dark = { minimum = 2 }
flat = { minimum = 2 }

[reduction]
again_s = 0.0

[retention]
revisions = 1000
masters = 1000

[limits]
min_free_bytes = 0

[workers]
processes = 1

[web]
enabled = false

[[camera]]
name = "test"
directories = ["incoming"]
"""


@dataclass
class Report:
    """What a loop came to."""

    seed: int
    variant: str
    kills: int = 0
    kills_at_work: int = 0
    kills_at_start: int = 0
    frames: int = 0
    products: int = 0
    seconds: float = 0.0
    ready_s: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def words(self) -> str:
        """Return the figures in a few lines."""
        ready = sorted(self.ready_s) or [0.0]
        variant = f", variant {self.variant}" if self.variant else ""
        done = f"{self.kills} kills ({self.kills_at_work} at work, {self.kills_at_start} at start)"
        made = f"{self.frames} frames, {self.products} masters and products"
        lines = [
            f"seed {self.seed}{variant}: {done}, {made}, {len(self.violations)} violations in {self.seconds:.0f} s",
            f"start to ready: median {statistics.median(ready):.2f} s, p99 {ready[int(0.99 * (len(ready) - 1))]:.2f} s",
        ]
        return "\n".join(lines + self.violations[:20])


def deliveries(count: int) -> list[tuple[str, bytes]]:
    """Return at least so many frames of consecutive nights, mixed a little, as names and contents."""
    frames: list[tuple[str, bytes]] = []
    plan = simulator.Plan(
        biases=3, evening_darks=2, flats=2, filters=("V",), lights=2, dawn_darks=2, dawn_biases=0, object_name="M13"
    )
    evening = FIRST_EVENING
    while len(frames) < count:
        for shot in simulator.night(CAMERA, evening, plan):
            exposure = CAMERA.expose(shot)
            frames.append((exposure.file_name, simulator.file_bytes(exposure.pixels, exposure.cards)))
        frames.append((f"copy_of_{frames[-1][0]}", frames[-1][1]))
        evening += timedelta(days=1)
    return frames


class Onlooker(threading.Thread):
    """A reader beside the daemon: opens every product as soon as it has its name, and remembers what it read.

    It also reads the database: what that says is on the disk must be there at the same instant.
    """

    def __init__(self, data: Path) -> None:
        super().__init__(name="onlooker", daemon=True)
        self._data = data
        self._must_end = threading.Event()
        self._times: dict[str, int] = {}
        self.seen: dict[str, set[str]] = {}
        self.recorded: set[str] = set()
        self.missing: set[str] = set()
        self.count = 0

    def run(self) -> None:
        """Look until told to end."""
        looks = 0
        while not self._must_end.wait(POLL_S):
            self.look()
            looks += 1
            if looks % ROWS_EVERY == 0:
                self.look_at_rows()

    def end(self) -> None:
        """End the thread."""
        self._must_end.set()
        self.join()

    def look(self) -> None:
        """Read what is new in every directory that changed."""
        for folder in ("masters", "reduced"):
            for parent, _, _ in os.walk(self._data / folder):
                try:
                    changed = os.stat(parent).st_mtime_ns
                except FileNotFoundError:
                    continue
                if self._times.get(parent) != changed:
                    self._times[parent] = changed
                    self._read_new(Path(parent))

    def look_at_rows(self) -> None:
        """Check that every file that is newly recorded exists."""
        try:
            with closing(sqlite3.connect(f"file:{self._data / 'catalogue.sqlite'}?mode=ro", uri=True)) as db:
                recorded = {row[0] for row in db.execute(_RECORDED)}
        except sqlite3.OperationalError:
            return  # there is none yet, or it has no tables
        new = recorded - self.recorded
        self.missing |= {name for name in new if not (self._data / name).exists()}
        self.recorded |= new

    def _read_new(self, folder: Path) -> None:
        for path in folder.glob("*.fits"):
            name = str(path.relative_to(self._data))
            if name not in self.seen:
                try:
                    content = path.read_bytes()
                except FileNotFoundError:
                    continue
                self.seen[name] = {hashlib.sha256(content).hexdigest()}
                self.count += 1


class KillLoop:
    """One directory, one daemon after the other.

    Parameters
    ----------
    directory : Path
        Empty.
    kills : int
    seed : int
        Of the instants and of the mixture.
    variant : str
        Name of a deliberate fault (``unsafe_daemon``), or empty.
    per_cycle : int
        Frames delivered before each start.
    stop_at_first : bool
        End with the first violation, without working off the rest.
    budget_s : float
        No more kills after so many seconds: on a slow machine there are fewer of them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        kills: int,
        seed: int,
        variant: str = "",
        per_cycle: int = 4,
        stop_at_first: bool = False,
        budget_s: float = float("inf"),
    ) -> None:
        self._budget_s = budget_s
        self._directory = directory
        self._incoming, self._data = directory / "incoming", directory / "data"
        self._chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._kills = kills
        self._per_cycle = per_cycle
        self._stop_at_first = stop_at_first
        self._frames = deliveries(kills * per_cycle)
        self._left = list(self._frames)
        self._raw: dict[str, tuple[int, int, int]] = {}
        self._contents: set[str] = set()
        self._hashes: dict[tuple[str, int, int, int], str] = {}
        self._orphans: dict[str, int] = {}
        self._onlooker = Onlooker(self._data)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = f"\0ingestd-kill-loop-{os.getpid()}-{id(self)}"
        self._socket.bind(self._address)
        self._boot_s = 1.0
        self.report = Report(seed, variant)

    def run(self) -> Report:
        """Kill, look, repeat; then let it finish and compare."""
        begun = time.monotonic()
        self._incoming.mkdir(parents=True)
        (self._directory / "config.toml").write_text(_CONFIG)
        self._onlooker.start()
        try:
            for cycle in range(self._kills):
                if time.monotonic() - begun > self._budget_s:
                    break
                self._cycle(cycle)
                if self.report.violations and self._stop_at_first:
                    return self.report
            self._frames = [frame for frame in self._frames if frame[0] in self._raw]
            self._finish()
        finally:
            self._onlooker.end()
            self._socket.close()
            self.report.seconds = time.monotonic() - begun
            self.report.frames = len(self._raw)
        self._compare_with_an_undisturbed_run()
        return self.report

    # --- one cycle ----------------------------------------------------------------------------------------------------

    def _cycle(self, cycle: int) -> None:
        """Deliver, start, kill, look."""
        self._deliver(self._per_cycle)
        if cycle % 4 == 2:  # a cycle that gets ready, so that it must clear them away
            self._leave_leftovers(cycle)
        daemon = self._start()
        is_early = cycle % 2 == 1
        if is_early:
            delay = self._chance.uniform(0.0, self._boot_s)
        else:
            self._wait_until_ready(daemon)
            delay = self._chance.uniform(0.0, 0.5)
            if cycle % 4 == 0:
                self._wait_for_a_product(daemon)
                delay = self._chance.uniform(0.0, 0.1)  # others are in the making
        self._survives(daemon, delay)
        workers = _children(daemon.pid)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        self._wait_for_the_end_of(workers)
        self.report.kills += 1
        self.report.kills_at_start += is_early
        self.report.kills_at_work += not is_early
        self._look_at_the_dead(f"kill {cycle}", was_ready=not is_early)

    def _deliver(self, count: int) -> None:
        """Put frames into the watched directory, by renaming."""
        batch, self._left = self._left[:count], self._left[count:]
        self._chance.shuffle(batch)
        for name, content in batch:
            temporary = self._incoming / f".{name}"
            temporary.write_bytes(content)
            path = temporary.rename(self._incoming / name)
            self._raw[name] = _stamp(path)
            self._contents.add(hashlib.sha256(content).hexdigest())

    def _leave_leftovers(self, cycle: int) -> None:
        """Leave what a kill in the middle of a commit leaves: a temporary file, a product that was never recorded."""
        folder = self._data / "masters" / "test" / "bias"
        if folder.is_dir():
            for name in (f".ingestd-{cycle}-1.tmp", f"2025-01-01_{cycle:08x}.fits"):
                (folder / name).write_bytes(self._frames[0][1])
                self._orphans[str((folder / name).relative_to(self._data))] = (folder / name).stat().st_ino

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the daemon."""
        module = "tests.flow.unsafe_daemon" if self.report.variant else "ingestd"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": "@" + self._address[1:]}
        if self.report.variant:
            environment["INGESTD_UNSAFE"] = self.report.variant
        _drain(self._socket)
        with (self._directory / "daemon.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, "run", "--config", "config.toml"],
                cwd=self._directory,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def _wait_until_ready(self, daemon: subprocess.Popen[bytes]) -> None:
        """Wait for READY=1."""
        begun = time.monotonic()
        self._socket.settimeout(0.05)
        while time.monotonic() - begun < READY_S:
            try:
                if b"READY=1" in self._socket.recv(4096):
                    self.report.ready_s.append(time.monotonic() - begun)
                    self._boot_s = statistics.median(self.report.ready_s)
                    return
            except TimeoutError:
                if daemon.poll() is not None:
                    break
        self._violated(f"not ready after {time.monotonic() - begun:.1f} s, exit status {daemon.poll()}: {self._log()}")

    def _wait_for_a_product(self, daemon: subprocess.Popen[bytes]) -> None:
        """Wait until some master or product was finished."""
        before, end = self._onlooker.count, time.monotonic() + JOB_S
        while self._onlooker.count == before and time.monotonic() < end and daemon.poll() is None:
            self._survives(daemon, 2 * POLL_S)

    def _survives(self, daemon: subprocess.Popen[bytes], seconds: float) -> None:
        """Let time pass; a daemon that ends by itself is a violation."""
        try:
            status = daemon.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        self._violated(f"the daemon ended by itself with status {status}: {self._log()}")

    def _wait_for_the_end_of(self, workers: list[int]) -> None:
        """Wait until no worker of the killed daemon lives."""
        end = time.monotonic() + STOP_S
        while living := [pid for pid in workers if _is_alive(pid)]:
            if time.monotonic() > end:
                self._violated(f"workers {living} outlived their daemon")
                return
            threading.Event().wait(POLL_S)

    # --- what lies on the disk ----------------------------------------------------------------------------------------

    def _look_at_the_dead(self, when: str, *, was_ready: bool) -> None:
        """Check everything that must hold at every instant, without repairing anything."""
        self._onlooker.look()
        for name in self._onlooker.missing:
            self._violated(f"I2 before {when}: a reader found {name} recorded and missing")
        self._check_raw(when)
        files = {str(path.relative_to(self._data)): path for path in self._products()}
        recorded = self._check_database(when)
        self._check_files(when, files, recorded)
        self._check_orphans(when, {name: files[name] for name in files.keys() - recorded.keys()}, was_ready=was_ready)

    def _check_files(self, when: str, files: dict[str, Path], recorded: dict[str, str]) -> None:
        """Check that every final name holds a complete file, and every recorded one its bytes."""
        for name, path in files.items():
            if (problem := _incompleteness(path)) is not None:
                self._violated(f"I4 {when}: {name}: {problem}")
        for name, expected in recorded.items():
            found = self._sha256(files[name]) if name in files else "missing"
            if found != expected:
                self._violated(f"I2 {when}: {name} is recorded as {expected[:8]} and is {found[:8]}")
            if any(seen != expected for seen in self._onlooker.seen.get(name, ())):
                self._violated(f"I11 {when}: a reader saw other bytes of {name} than were recorded")
        for link in (self._data / "current").rglob("*.fits"):
            if not link.exists():
                self._violated(f"I2 {when}: link {link.name} points to nothing")

    def _check_orphans(self, when: str, unrecorded: dict[str, Path], *, was_ready: bool) -> None:
        """Check that what was never recorded, and temporary files, did not outlive a start that got ready."""
        temporaries = {str(path.relative_to(self._data)): path for path in self._data.rglob("*.tmp")}
        orphans = {name: path.lstat().st_ino for name, path in (unrecorded | temporaries).items()}
        if was_ready:
            for name, inode in orphans.items():
                if self._orphans.get(name) == inode:
                    self._violated(f"I3 {when}: {name} was never recorded and outlived a recovery")
        self._orphans = orphans

    def _check_raw(self, when: str) -> None:
        """Check that the raw frames were left alone."""
        found = {path.name: _stamp(path) for path in self._incoming.iterdir()}
        if found != self._raw:
            changed = {name for name in {*found, *self._raw} if found.get(name) != self._raw.get(name)}
            self._violated(f"I6 {when}: raw files changed: {sorted(changed)[:5]}")

    def _check_database(self, when: str) -> dict[str, str]:
        """Check a copy of the database; return the recorded files with their SHA-256."""
        if not (self._data / "catalogue.sqlite").exists():
            return {}
        with tempfile.TemporaryDirectory() as scratch:
            for suffix in ("", "-wal"):
                source = self._data / f"catalogue.sqlite{suffix}"
                if source.exists():
                    shutil.copy(source, Path(scratch, source.name))
            with closing(sqlite3.connect(Path(scratch, "catalogue.sqlite"))) as db:
                return self._check_tables(when, db)

    def _check_tables(self, when: str, db: sqlite3.Connection) -> dict[str, str]:
        """Check the tables; return the recorded files with their SHA-256."""
        if (answer := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            self._violated(f"I1 {when}: {answer}")
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'frames'").fetchone():
            return {}
        if broken := db.execute("PRAGMA foreign_key_check").fetchall():
            self._violated(f"I10 {when}: rows refer to nothing: {broken[:3]}")
        frames = [row[0] for row in db.execute("SELECT frame_id FROM frames")]
        if strangers := set(frames) - self._contents:
            self._violated(f"I5 {when}: {len(strangers)} frames that nobody delivered")
        bad = db.execute("SELECT state, reason, detail FROM frames WHERE state IN ('failed', 'quarantined')").fetchall()
        if bad:
            self._violated(f"I9 {when}: {len(bad)} frames failed or crashed: {bad[0]}")
        without = db.execute(
            "SELECT count(*) FROM frames f WHERE kind = 'light' AND state IN ('done', 'provisional') AND 1 <> "
            "(SELECT count(*) FROM reductions r WHERE r.frame_id = f.frame_id AND r.current = 1)"
        ).fetchone()[0]
        if without:
            self._violated(f"I2 {when}: {without} frames are done without exactly one product")
        return dict(db.execute(_RECORDED))

    def _products(self) -> list[Path]:
        """Return every file that has a final name."""
        return [path for folder in ("masters", "reduced") for path in (self._data / folder).rglob("*.fits")]

    def _sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file, computed once for each state of it."""
        status = path.stat()
        key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = sha256(path)
        return self._hashes[key]

    # --- the end ------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Let the daemon work off everything, stop it politely, and look."""
        daemon = self._start()
        self._wait_until_ready(daemon)
        end = time.monotonic() + IDLE_S
        while time.monotonic() < end and daemon.poll() is None and not self._is_idle():
            self._survives(daemon, 0.1)
        if not self._is_idle():
            self._violated(f"not idle after {IDLE_S:.0f} s: {self._log()}")
        daemon.send_signal(signal.SIGTERM)
        try:
            status = daemon.wait(STOP_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            status = daemon.wait()
        if status != 0:
            self._violated(f"SIGTERM ended the daemon with status {status}: {self._log()}")
        self._look_at_the_dead("at the end", was_ready=True)
        if self._orphans:
            self._violated(f"I3 at the end: never recorded: {sorted(self._orphans)[:5]}")
        if left := [path.name for path in self._data.rglob("*.tmp")]:
            self._violated(f"I8 at the end: temporary files {left[:5]}")

    def _is_idle(self) -> bool:
        """Return whether every delivered frame is known and nothing is due."""
        try:
            with open_catalogue(self._data / "catalogue.sqlite") as catalogue:
                status = catalogue.status()
        except CatalogueUnusable:
            return False
        is_known = sum(status["frames"].values()) == len(self._contents)
        return is_known and not (status["queue_depth"] or status["arrivals"])

    def _compare_with_an_undisturbed_run(self) -> None:
        """Check that bytes and facts are those of a run in one go."""
        golden = Observatory(settings_for(self._directory / "golden", masters=MASTERS))
        for name, content in self._frames:
            (golden.incoming / name).write_bytes(content)
        golden.settle()
        expected, expected_files = _facts(golden.catalogue), golden.result()
        golden.close()
        with open_catalogue(self._data / "catalogue.sqlite") as catalogue:
            found = _facts(catalogue)
        files = {path: sha256(self._data / path) for path in expected_files if (self._data / path).exists()}
        self.report.products = len(expected_files)
        for path, digest in expected_files.items():
            if files.get(path) != digest:
                self._violated(f"I7: {path} is {files.get(path, 'missing')[:8]}, undisturbed it is {digest[:8]}")
        for name, rows in expected.items():
            if found[name] != rows:
                differing = sorted({*map(str, rows)} ^ {*map(str, found[name])})
                self._violated(f"I7: {name} differ from the undisturbed run, for example {differing[:2]}")

    def _violated(self, what: str) -> None:
        """Note a violation."""
        self.report.violations.append(what)

    def _log(self) -> str:
        """Return the last lines of the daemon's log."""
        return "; ".join((self._directory / "daemon.log").read_text(errors="replace").splitlines()[-4:])


# --- helpers ----------------------------------------------------------------------------------------------------------


def _facts(catalogue: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the database says but times: frames, masters and figures."""
    frames = catalogue.frame_rows()
    return {
        "frames": sorted((row["frame_id"], row["state"], row["reason"], row["product"]) for row in frames),
        "masters": sorted((row["master_id"], row["sha256"], row["members"]) for row in catalogue.master_rows()),
        "figures": sorted(
            (row["metric"], row["frame_id"] or row["master_id"], row["value"], row["error"] or 0.0)
            for row in catalogue.qa_rows()
        ),
    }


def _incompleteness(path: Path) -> str | None:
    """Return why a file is no complete FITS file, or None."""
    fd = os.open(path, os.O_RDONLY)
    try:
        implied = fitsfile.read_header(fd, Limits()).implied_bytes
    except (FrameNotReady, FrameRejected) as error:
        return str(error)
    else:
        size = os.fstat(fd).st_size
        return None if size == implied else f"{size} bytes instead of {implied}"
    finally:
        os.close(fd)


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return size, modification time and mode of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_mode


def _children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def _is_alive(pid: int) -> bool:
    """Return whether a process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _drain(receiver: socket.socket) -> None:
    """Read what former daemons said."""
    receiver.setblocking(False)
    try:
        while receiver.recv(4096):
            pass
    except BlockingIOError:
        return


def main() -> None:
    """Run loops of at most 200 kills, each with the next seed; exit status 1 if there was a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-cycle", type=int, default=4, help="frames delivered before each start")
    parser.add_argument(
        "--variant", default="", help="a deliberate fault: in_place, late_rename, row_first, no_recovery"
    )
    parser.add_argument("--directory", type=Path, help="where to work and leave everything; default: temporary")
    parser.add_argument("--stop-at-first", action="store_true", help="end with the first violation")
    options = parser.parse_args()
    violations = 0
    for number, first in enumerate(range(0, options.kills, LONGEST_LOOP)):
        with tempfile.TemporaryDirectory(prefix="ingestd-kill-loop-") as scratch:
            report = KillLoop(
                (options.directory or Path(scratch)) / f"seed{options.seed + number}",
                kills=min(LONGEST_LOOP, options.kills - first),
                seed=options.seed + number,
                variant=options.variant,
                per_cycle=options.per_cycle,
                stop_at_first=options.stop_at_first,
            ).run()
        print(report.words(), flush=True)  # noqa: T201 - a command
        violations += len(report.violations)
    sys.exit(violations > 0)


if __name__ == "__main__":
    main()
