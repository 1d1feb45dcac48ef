"""What the watcher knows of one root and what it asks next of it; the root itself may hang, this never does."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ingestd.doors.watcher.requests import Check, Checked, Condition, Request, Scan, Scanned
from ingestd.doors.watcher.root import Root, RootThread
from ingestd.doors.watcher.walk import LeftOut
from ingestd.settings import Arrival

CHECK_INTERVAL_S = 2.0
"""How often a root and the threads that watch it are checked."""

HUNG_S = 30.0
"""A request that makes no progress for this long hangs."""

DISTRUST_SCANS = 10
"""After a frame without an event the root is scanned as if it were polled, until so many scans found none."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RootState:
    """How a watched directory is doing, for health and metrics.

    ``mode``: ``starting``, ``watched`` (events and scans), ``polled`` (scans: a network mount or by setting),
    ``fallback`` (scans: no events to be had), ``missing``. ``is_overdue``: the file system hangs, or the last scan is
    older than three intervals. ``last_scan`` is monotonic time. ``missed`` counts frames that came without an event,
    ``unread`` names
    directories that gave an error, and which.
    """

    root: str
    mode: Literal["starting", "watched", "polled", "fallback", "missing"]
    detail: str
    is_overdue: bool
    last_scan: float | None
    scans: int
    files: int
    overflows: int
    renewals: int
    missed: int
    unread: Mapping[str, str]

    @property
    def is_ready(self) -> bool:
        """True if new files in this root are seen in time."""
        return self.mode not in {"starting", "missing"} and not self.is_overdue


@dataclass(slots=True)
class Side:
    """The watcher's side of a root: what was asked of it and what it answered."""

    root: Root
    arrival: Arrival
    thread: RootThread | None = None
    condition: Condition | None = None
    is_busy: bool = False
    is_caught_up: bool = False
    has_overflow: bool = False
    scans_owed: int = 0
    next_scan: float = -math.inf
    next_check: float = -math.inf
    last_scan: float | None = None
    last_progress: float | None = None
    progress: int = -1
    scans: int = 0
    scans_since_renewal: int = 0
    distrust: int = 0
    files: int = 0
    overflows: int = 0
    renewals: int = 0
    missed: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)
    suspects: set[str] = field(default_factory=set)

    @property
    def is_polled(self) -> bool:
        """True if files of this root are given the long settling time."""
        return self.condition is not None and self.condition.mode == "polled"

    @property
    def should_have_events(self) -> bool:
        """True if a new file that a scan finds now ought to have come with an event."""
        is_watched = self.condition is not None and self.condition.mode == "watched"
        return is_watched and self.scans_since_renewal > 1 and not self.has_overflow

    @property
    def interval_s(self) -> float:
        """The interval between two scans."""
        if self.condition is not None and self.condition.mode == "watched" and self.distrust == 0:
            return self.arrival.scan_interval_s
        return self.arrival.scan_interval_polled_s

    @property
    def next_due(self) -> float:
        """When the next request is due; infinity while the root is busy."""
        return math.inf if self.is_busy else min(self.next_check, self.next_scan)

    def next_request(self, now: float) -> Request | None:
        """Return the scan or check that is due, if the root is free for it."""
        if self.is_busy:
            return None
        if self.has_overflow:
            self.has_overflow = False
            self.overflows += 1
            _LOG.warning("Events of %a were lost: watching it anew and scanning", self.root.path)
            return self._scan(Scan(now, renew=True))
        if self.scans_owed > 0 or now >= self.next_scan:
            return self._scan(Scan(now))
        if now >= self.next_check:
            self.is_busy = True
            self.next_check = now + CHECK_INTERVAL_S
            return Check(now)
        return None

    def _scan(self, scan: Scan) -> Scan:
        self.scans_owed = max(0, self.scans_owed - 1)
        self.is_busy = True
        self.next_check = scan.asked + CHECK_INTERVAL_S
        return scan

    def take_checked(self, answer: Checked) -> None:
        """Note how the root is followed now; after a new subscription it is scanned, and scanned again."""
        before, condition = self.condition, answer.condition
        if before is None or (condition.mode, condition.detail) != (before.mode, before.detail):
            _log_condition(self.root.path, before, condition)
        self.condition = condition
        self.is_busy = answer.is_scanning
        if condition.renewed:
            self.renewals += before is not None
            self.scans_since_renewal = 0
            self.suspects.clear()
            owed = (0 if answer.is_scanning else 1) + (1 if condition.mode == "watched" else 0)
            self.scans_owed = max(self.scans_owed, owed)
        if condition.mode == "missing":
            self.is_caught_up = True

    def take_scanned(self, answer: Scanned, now: float) -> None:
        """Note the end of a scan."""
        self.is_busy = False
        if self.condition is not None and self.condition.mode != "missing":
            self._note_links(answer.left_out)
            self.last_scan, self.files, self.left_out = now, answer.files, answer.left_out
            self.scans += 1
            self.scans_since_renewal += 1
            self.distrust = max(0, self.distrust - 1)
            self.is_caught_up = self.is_caught_up or self.scans_owed == 0
        self.next_scan = now + self.interval_s

    def _note_links(self, left_out: LeftOut) -> None:
        """Tell once that there are links."""
        if left_out.links and not self.left_out.links:
            _LOG.warning(
                "%a: %s. Put the frames there, or name the directories that hold them in camera.directories",
                self.root.path,
                left_out.link_words,
            )

    def note_missed(self, path: str) -> None:
        """Distrust the events for a while if this file, new and settled, came without any."""
        if path not in self.suspects:
            return
        self.suspects.discard(path)
        self.missed += 1
        if self.distrust == 0:
            _LOG.warning(
                "%a came without an event: scanning %a every %g s for a while. Is it written by another host, or is "
                "fs.inotify.max_user_watches too small?",
                path,
                self.root.path,
                self.arrival.scan_interval_polled_s,
            )
        self.distrust = DISTRUST_SCANS

    def note_progress(self, now: float) -> bool:
        """Note whether the root's thread gets on; return False if it died of a program error."""
        if self.thread is None:
            return True
        if self.thread.progress != self.progress or not self.is_busy:
            self.progress, self.last_progress = self.thread.progress, now
        return self.thread.is_alive()

    def state(self, now: float) -> RootState:
        """Return how the root is doing."""
        condition = self.condition
        hangs = self.thread is not None and self.last_progress is not None and now - self.last_progress > HUNG_S
        is_old = (
            self.last_scan is not None
            and (condition is None or condition.mode != "missing")
            and now - self.last_scan > 3 * self.interval_s + HUNG_S
        )
        return RootState(
            root=self.root.path,
            mode=condition.mode if condition is not None else "starting",
            detail=condition.detail if condition is not None else "",
            is_overdue=hangs or is_old,
            last_scan=self.last_scan,
            scans=self.scans,
            files=self.files,
            overflows=self.overflows,
            renewals=self.renewals,
            missed=self.missed,
            unread=self.left_out.unread,
        )


def _log_condition(root: str, before: Condition | None, after: Condition) -> None:
    """Tell the operator how a root is followed, and what to do where it is not."""
    if after.mode == "missing":
        _LOG.warning("%a %s: waiting for it. Create or mount the directory", root, after.detail)
    elif after.mode == "fallback":
        _LOG.warning(
            "%a is only scanned: %s. Raise fs.inotify.max_user_watches, max_user_instances", root, after.detail
        )
    elif after.mode == "polled":
        _LOG.info("%a is only scanned: %s", root, after.detail)
    elif before is not None:
        _LOG.info("%a is watched again", root)
