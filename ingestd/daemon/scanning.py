"""``ingestd scan``: what lies in the watched directories now, and all that follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from ingestd.daemon.writing import executor_of, note_settings, utc_now, writing
from ingestd.doors.exporter import Telemetry
from ingestd.doors.watcher import Poll, Settled, Watcher
from ingestd.errors import ProductNotWritten
from ingestd.flow import Flow, recover, tidy
from ingestd.records import FileStamp
from ingestd.settings import Settings

_LONGEST_SLEEP_S = 1.0


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
        note_settings(catalogue, settings, now)
        executor = executor_of(settings)
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
