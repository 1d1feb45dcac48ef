"""The process: lock, signals, the loop of ticks, the one writer of the catalogue, and a graceful stop.

This is the only room that asks what time it is; everything below is told.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from ingestd.doors import store
from ingestd.doors.catalogue import Catalogue, CatalogueBusy, CatalogueDamaged
from ingestd.doors.control import ControlServer, DataLock, lock_holder, send
from ingestd.doors.executors import ProcessExecutor
from ingestd.doors.exporter import Telemetry
from ingestd.doors.fitsfile import remove_temporaries
from ingestd.doors.systemd import ServiceManager
from ingestd.doors.watcher import Poll, Settled, Watcher
from ingestd.errors import ProductNotWritten, SettingsInvalid
from ingestd.flow import Flow, carry_out, recover, tidy
from ingestd.jobs import Worker
from ingestd.records import VERSION, FileStamp
from ingestd.settings import Settings, load_settings
from ingestd.web import HealthFacts, WebServer, assess, catalogue_query

_log = logging.getLogger(__name__)

_STOP_GRACE_S = 7.0
_TIDY_INTERVAL_S = 60.0
_BUSY_PAUSE_S = 2.0
_LONGEST_SLEEP_S = 1.0
_TICK_LIMIT_S = 60.0
_PENDING_LIMIT_S = 3600.0
_COMMAND_TIMEOUT_S = 60.0


def utc_now() -> datetime:
    """Return the time; the CLI passes it on to what it calls."""
    return datetime.now(UTC)


# --- what every process that writes has in common ---------------------------------------------------------------------


@contextmanager
def writing(settings: Settings) -> Iterator[Catalogue]:
    """Hold the lock of the data directory and the one writing connection.

    Raises
    ------
    LockHeld
        If another process holds it.
    CatalogueUnusable
        If the database cannot be opened safely; a damaged one is moved aside and begun anew.
    """
    store.ensure_directory(settings.data_dir)
    with DataLock(lock_path(settings)):
        catalogue = _open_catalogue(settings)
        try:
            yield catalogue
        finally:
            catalogue.close()


def lock_path(settings: Settings) -> Path:
    """Return the lock file of the data directory."""
    return settings.data_dir / "ingestd.lock"


def control_path(settings: Settings) -> Path:
    """Return the control socket of the daemon."""
    return settings.data_dir / "control.sock"


def _open_catalogue(settings: Settings) -> Catalogue:
    """Open the database; move a damaged one aside, for everything in it can be found again from the raw frames."""
    path = settings.catalogue_path
    try:
        return Catalogue.open(path, rules=settings.masters)
    except CatalogueDamaged as error:
        aside = path.with_name(f"{path.name}.damaged-{utc_now():%Y%m%dT%H%M%S}")
        _log.error(
            "%s: %s. It is moved to %s; the catalogue is built again from the raw frames", path, error, aside.name
        )
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                shutil.move(part, aside.with_name(aside.name + suffix))
        return Catalogue.open(path, rules=settings.masters)


def _executor(settings: Settings) -> ProcessExecutor:
    """Return the worker processes that the settings ask for."""
    limits = settings.limits
    return ProcessExecutor(
        settings.workers.processes,
        Worker(limits),
        max_job_s=limits.max_job_s,
        max_worker_bytes=limits.max_worker_bytes,
    )


def _note_settings(catalogue: Catalogue, settings: Settings, now: datetime) -> None:
    """Look at everything again if the settings that decide about masters and products are not those of the last run."""
    parts = (settings.masters, settings.matching, settings.screening, settings.reduction, settings.camera)
    if catalogue.remember("settings", repr(parts)):
        nights, lights = catalogue.touch_nights(now), catalogue.requeue(None, now)
        if nights or lights:
            text = f"{nights} nights and {lights} science frames are looked at again"
            catalogue.add_event("info", "settings_changed", "", text, now)
            _log.info("Settings changed: %s", text)


# --- ingestd scan -----------------------------------------------------------------------------------------------------


class SingleScan:
    """What lies in the watched directories now, handed out once: the arrivals of ``ingestd scan``.

    A file that only needs to be unchanged for longer is handed out once more; any other that is not ready stays
    listed as arriving, for the next scan.
    """

    def __init__(
        self, settings: Settings, known: Mapping[str, FileStamp], progress: Callable[[int, int], None]
    ) -> None:
        self._watcher = Watcher(settings.roots, settings.arrival, known=known, threaded=False)
        self._progress = progress
        self._handed: dict[str, Settled] = {}
        self._again: list[tuple[float, Settled]] = []
        self._is_scanned = False

    @property
    def is_caught_up(self) -> bool:
        """True once every file was handed out as often as it will be."""
        return self._is_scanned and not self._again

    def poll(self, now: float) -> Poll:
        """Return the files of the scan at the first call, later those that needed more time."""
        if not self._is_scanned:
            self._is_scanned = True
            poll = self._watcher.scan_once(self._progress)
            self._handed = {file.path: file for file in poll.settled}
            return poll
        due = tuple(file for when, file in self._again if when <= now)
        self._again = [(when, file) for when, file in self._again if when > now]
        return Poll(due, (), (), (), 0, min((when for when, _ in self._again), default=now + _LONGEST_SLEEP_S))

    def taken(self, path: str, stamp: FileStamp) -> None:  # noqa: ARG002 - nothing is watched any more
        """Hear that a file was dealt with."""
        self._handed.pop(path, None)

    def not_ready(self, path: str, now: float, reason: str, *, wait_s: float | None = None) -> None:
        """Hear that a file is not ready: hand it out once more if that is only a matter of time."""
        file = self._handed.pop(path, None)
        if file is not None and wait_s is not None and reason == "incomplete":
            self._again.append((now + wait_s, replace(file, quiet_s=file.quiet_s + wait_s)))


def run_scan(settings: Settings, progress: Callable[[int, int], None], scanned: Callable[[int, int], None]) -> None:
    """Take in what lies in the watched directories, do everything that follows from it, and return.

    Parameters
    ----------
    settings : Settings
    progress : callable (done, left)
        Called with the number of steps done and the number known to be left.
    scanned : callable (done, total)
        Called as the files are looked at a second time.

    Raises
    ------
    ProductNotWritten
        If the disk is full: what is missing is done by the next run.
    """
    with writing(settings) as catalogue:
        now = utc_now()
        recover(catalogue, settings, now)
        _note_settings(catalogue, settings, now)
        executor = _executor(settings)
        scan = SingleScan(settings, catalogue.known_files(), scanned)
        flow = Flow(settings, catalogue, scan, executor, Telemetry(settings, utc_now), drain=True)
        done = 0
        try:
            while not flow.is_idle:
                done += flow.tick(utc_now(), time.monotonic())
                progress(done, catalogue.queue_depth() + flow.queue_depth)
                if flow.disk_is_full:
                    raise ProductNotWritten(f"{settings.data_dir}: no space left; make room and scan again")
                if not flow.is_idle:
                    executor.wait(min(flow.seconds_to_next(utc_now(), time.monotonic()), _LONGEST_SLEEP_S))
            tidy(catalogue, settings, utc_now())
        finally:
            flow.stop()
            executor.stop(0.0)
            catalogue.ground()


# --- an operator's commands -------------------------------------------------------------------------------------------


def command(settings: Settings, request: Mapping[str, Any]) -> dict[str, Any]:
    """Have a command carried out: by the daemon if one runs, else here with the lock held.

    Returns
    -------
    dict
        ``ok`` and, if not, ``error``; else what was done.
    """
    if lock_holder(lock_path(settings)) is not None:
        try:
            return send(control_path(settings), dict(request), _COMMAND_TIMEOUT_S)
        except ConnectionError as error:
            return {"ok": False, "error": str(error)}
    with writing(settings) as catalogue:
        return carry_out(catalogue, settings, request, utc_now())


# --- ingestd run ------------------------------------------------------------------------------------------------------


class Daemon:
    """The service: watches, takes in, plans, works, records, answers, until it is told to stop.

    Parameters
    ----------
    config : Path
        Read again on SIGHUP.
    settings : Settings
        What it holds now.
    """

    def __init__(self, config: Path, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._manager = ServiceManager()
        self._must_stop = False
        self._must_reload = False
        self._facts: HealthFacts | None = None
        self._database_problem = ""
        self._busy_since: float | None = None
        self._tidied_at = time.monotonic()
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)

    def run(self) -> None:
        """Hold the lock, and tick until SIGTERM or SIGINT."""
        with writing(self._settings) as catalogue, self._signals():
            now = utc_now()
            recover(catalogue, self._settings, now)
            _note_settings(catalogue, self._settings, now)
            telemetry = Telemetry(self._settings, utc_now, catalogue_query(lambda: self._settings, utc_now))
            web = WebServer(self._settings.web, lambda: assess(self._facts, time.monotonic()), telemetry.render)
            with ControlServer(control_path(self._settings)) as control, web:
                self._work(catalogue, telemetry, control, web)
        self._manager.notify("STATUS=Stopped")

    def _work(self, catalogue: Catalogue, telemetry: Telemetry, control: ControlServer, web: WebServer) -> None:
        """Start watcher and workers, loop, and stop them again."""
        watcher = self._watcher(catalogue)
        executor = _executor(self._settings)
        flow = Flow(self._settings, catalogue, watcher, executor, telemetry, threaded=True)
        watcher.start()
        self._manager.notify("READY=1", f"MAINPID={os.getpid()}")
        _log.info(
            "Ready: ingestd %s watches %s; data in %s", VERSION, _words(self._settings.roots), self._settings.data_dir
        )
        try:
            while not self._must_stop:
                if self._must_reload:
                    watcher = self._reload(catalogue, flow, telemetry, watcher)
                self._round(catalogue, flow, telemetry, control, watcher, executor)
                web.start()
                wake_fds = (watcher.fileno(), control.fileno(), self._wake.fileno(), *flow.wake_fds)
                executor.wait(self._sleep_s(flow), wake_fds)
        finally:
            self._manager.notify("STOPPING=1")
            flow.stop()
            watcher.stop()
            executor.stop(_STOP_GRACE_S)
            remove_temporaries(self._settings.data_dir)
            self._last_words(catalogue, flow)

    def _watcher(self, catalogue: Catalogue) -> Watcher:
        """Return a watcher of the settings' directories that knows what the catalogue knows."""
        return Watcher(self._settings.roots, self._settings.arrival, known=catalogue.known_files(), max_settled=128)

    def _round(
        self,
        catalogue: Catalogue,
        flow: Flow,
        telemetry: Telemetry,
        control: ControlServer,
        watcher: Watcher,
        executor: ProcessExecutor,
    ) -> None:
        """Do one round: commands, a tick, housekeeping; a database that cannot be written now is tried again later."""
        _drain(self._wake)
        now, monotonic = utc_now(), time.monotonic()
        try:
            for request, reply in control.requests():
                reply(carry_out(catalogue, self._settings, request, now))
                flow.look_soon()
            flow.tick(now, monotonic)
            if monotonic - self._tidied_at > _TIDY_INTERVAL_S:
                self._tidied_at = monotonic
                tidy(catalogue, self._settings, now)
            self._database_problem = ""
        except CatalogueBusy as error:
            if not self._database_problem:
                _log.error("%s. It is tried again every %.0f s; nothing is lost", error, _BUSY_PAUSE_S)
            self._database_problem = str(error)
        self._publish(flow, telemetry, watcher, executor, now, monotonic)
        self._manager.notify("WATCHDOG=1")

    def _publish(
        self,
        flow: Flow,
        telemetry: Telemetry,
        watcher: Watcher,
        executor: ProcessExecutor,
        now: datetime,
        monotonic: float,
    ) -> None:
        """Publish what health and metrics are judged by."""
        states = watcher.root_states(monotonic)
        scans = [state.last_scan for state in states if state.mode != "missing" and state.last_scan is not None]
        oldest_scan = min(scans, default=None)
        depth = flow.queue_depth
        self._busy_since = None if flow.is_idle else self._busy_since or monotonic
        arrival = self._settings.arrival
        interval_s = max(arrival.scan_interval_s, arrival.scan_interval_polled_s)
        self._facts = HealthFacts(
            taken_s=monotonic,
            tick_limit_s=_TICK_LIMIT_S,
            roots=tuple(state.root for state in states),
            missing_roots=tuple(state.root for state in states if state.mode == "missing"),
            dead_emitters=tuple(state.root for state in states if state.mode == "fallback" or state.is_overdue),
            scan_age_s=None if oldest_scan is None else monotonic - oldest_scan,
            scan_limit_s=3 * interval_s + _TICK_LIMIT_S,
            database_problem=self._database_problem,
            free_bytes=store.free_bytes(self._settings.data_dir),
            min_free_bytes=self._settings.limits.min_free_bytes,
            oldest_pending_s=None if self._busy_since is None else monotonic - self._busy_since,
            pending_limit_s=_PENDING_LIMIT_S,
        )
        telemetry.set_queue_depth(depth)
        telemetry.set_arrivals_waiting(watcher.observed)
        telemetry.set_watched_roots(sum(state.mode != "missing" for state in states), len(states))
        telemetry.set_workers(len(executor.in_flight), executor.processes)
        telemetry.set_last_tick(now)
        if scans:
            telemetry.set_last_scan(now - timedelta(seconds=monotonic - max(scans)))

    def _sleep_s(self, flow: Flow) -> float:
        """Return how long to sleep unless something is heard."""
        if self._database_problem:
            return _BUSY_PAUSE_S
        return min(flow.seconds_to_next(utc_now(), time.monotonic()), _LONGEST_SLEEP_S)

    # --- reload and stop ----------------------------------------------------------------------------------------------

    def _reload(self, catalogue: Catalogue, flow: Flow, telemetry: Telemetry, watcher: Watcher) -> Watcher:
        """Read the settings again; a bad file keeps the old ones and says so. Return the watcher from now on."""
        self._must_reload = False
        try:
            settings = load_settings(self._config)
        except SettingsInvalid as error:
            _log.error("Not reloaded, the former settings stay in force: %s", error)
            catalogue.add_event("error", "settings_invalid", str(self._config), str(error), utc_now())
            return watcher
        fixed = [
            name
            for name in ("paths", "workers", "web", "limits")
            if getattr(settings, name) != getattr(self._settings, name)
        ]
        if fixed:
            _log.warning("Changes in [%s] take effect at the next start", "], [".join(fixed))
        settings = replace(settings, **{name: getattr(self._settings, name) for name in fixed})
        must_watch_anew = (settings.roots, settings.arrival) != (self._settings.roots, self._settings.arrival)
        self._settings = settings
        catalogue.rules = settings.masters
        _note_settings(catalogue, settings, utc_now())
        telemetry.apply(settings)
        if must_watch_anew:
            watcher.stop()
            watcher = self._watcher(catalogue)
            watcher.start()
        flow.apply(settings, watcher)
        _log.info("Reloaded: %s", self._config)
        return watcher

    def _last_words(self, catalogue: Catalogue, flow: Flow) -> None:
        """Record what workers finished within the grace of the stop, and that the rest was abandoned on purpose."""
        try:
            flow.record_finished(utc_now())
            catalogue.ground()
        except CatalogueBusy as error:
            _log.warning("Not recorded, done again at the next start: %s", error)
        _log.info("Stopped")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the loop and SIGHUP reload; each wakes the loop."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        wakeup = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._must_stop = True

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._must_reload = True


def _drain(end: socket.socket) -> None:
    """Read what woke the loop."""
    try:
        while end.recv(4096):
            pass
    except BlockingIOError:
        return


def _words(paths: tuple[Path, ...]) -> str:
    """Return paths as a list for a person."""
    return ", ".join(str(path) for path in paths)
