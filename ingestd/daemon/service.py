"""``ingestd run``: signals, the loop of ticks, reload, and a graceful stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

from ingestd.daemon.writing import control_path, executor_of, note_settings, utc_now, writing
from ingestd.doors import store
from ingestd.doors.catalogue import Catalogue, CatalogueBusy
from ingestd.doors.control import ControlServer
from ingestd.doors.executors import ProcessExecutor
from ingestd.doors.exporter import Telemetry
from ingestd.doors.fitsfile import remove_temporaries
from ingestd.doors.systemd import ServiceManager
from ingestd.doors.watcher import Watcher
from ingestd.errors import SettingsInvalid
from ingestd.flow import Flow, carry_out, recover, tidy
from ingestd.records import VERSION
from ingestd.rules.matching import reach_rule
from ingestd.settings import Settings, load_settings
from ingestd.web import HealthFacts, WebServer, assess, catalogue_query

_log = logging.getLogger(__name__)

_STOP_GRACE_S = 7.0
_TIDY_INTERVAL_S = 60.0
_BUSY_PAUSE_S = 2.0
_LONGEST_SLEEP_S = 1.0
_TICK_LIMIT_S = 60.0
_PENDING_LIMIT_S = 3600.0


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
            note_settings(catalogue, self._settings, now)
            telemetry = Telemetry(self._settings, utc_now, catalogue_query(lambda: self._settings, utc_now))
            web = WebServer(self._settings.web, lambda: assess(self._facts, time.monotonic()), telemetry.render)
            with ControlServer(control_path(self._settings)) as control, web:
                self._work(catalogue, telemetry, control, web)
        self._manager.notify("STATUS=Stopped")

    def _work(self, catalogue: Catalogue, telemetry: Telemetry, control: ControlServer, web: WebServer) -> None:
        """Start watcher and workers, loop, and stop them again."""
        watcher = self._watcher(catalogue)
        executor = executor_of(self._settings)
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
            unread=tuple(path for state in states for path in state.unread),
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
        catalogue.rules, catalogue.reach = settings, reach_rule(settings)
        note_settings(catalogue, settings, utc_now())
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
