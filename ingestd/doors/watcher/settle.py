"""When a file counts as completely written: bookkeeping of looks, with no file system and no clock of its own.

A look is asked for at one instant and answered at a later one. A stamp counts as first seen when its answer comes, and
as still seen when the question was asked, so the interval between two equal looks is never overestimated, however
slow the file system is.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from ingestd.records import FileStamp
from ingestd.settings import Arrival

MAX_BACK_OFF_S = 60.0
"""Longest pause between two looks at a file that is not ready."""

How = Literal["event", "scan"]


@dataclass(frozen=True, slots=True)
class Settled:
    """A file that has not changed for its settling time and is not known with this stamp.

    ``quiet_s`` is how long it has been seen unchanged, ``settle_s`` how long it had to be. ``gave_up``: nobody wrote to
    it for ``give_up_s`` although it is empty or was declared not ready; it is handed out to be judged as it is.
    """

    path: str
    stamp: FileStamp
    how: How
    quiet_s: float
    settle_s: float
    gave_up: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that did not settle in its first interval, and the monotonic time of the next look at it.

    ``reason``: ``growing``, also for an empty file, or ``unreadable`` if the file system gives an error; a directory
    that gives one is such a wait too.
    """

    path: str
    reason: str
    next_look: float
    detail: str = ""


@dataclass(slots=True)
class _Pending:
    """One file under observation. ``again``: something happened to it while the caller had it."""

    polled: bool
    how: How
    due: float
    stamp: FileStamp | None = None
    since: float = 0.0
    is_closed: bool = False
    is_asked: bool = False
    phase: Literal["settling", "ready", "handed"] = "settling"
    again: bool = False
    attempts: int = 0
    reason: str = ""
    gave_up: bool = False
    quiet_s: float = 0.0


class Settling:
    """The files under observation, each until it is settled, taken, or gone."""

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival
        self._pending: dict[str, _Pending] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._ready: dict[How, deque[str]] = {"event": deque(), "scan": deque()}
        self._waiting: dict[str, Waiting] = {}
        self._dropped: list[str] = []

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: str) -> bool:
        return path in self._pending

    @property
    def backlog(self) -> int:
        """Settled files that were not handed out yet."""
        return len(self._ready["event"]) + len(self._ready["scan"])

    # --- what is heard of files ---------------------------------------------------------------------------------------

    def noticed(self, path: str, now: float, *, polled: bool, ended: bool) -> None:
        """Take an event: look at once. ``ended``: the writer closed the file or moved it into place."""
        pending = self._pending.get(path)
        if pending is None:
            pending = self._pending[path] = _Pending(polled=polled, how="event", due=now)
        elif pending.phase != "settling":
            pending.again = True
            return
        pending.how = "event"
        pending.attempts = 0
        if ended:
            pending.is_closed = True
            pending.stamp = None
        self._schedule(path, pending, now)

    def found(self, path: str, stamp: FileStamp, asked: float, now: float, *, polled: bool) -> None:
        """Take a file that a scan met, with its stamp."""
        if path not in self._pending:
            self._pending[path] = _Pending(polled=polled, how="scan", due=now)
        self.looked(path, stamp, asked, now)

    def looked(self, path: str, stamp: FileStamp | None, asked: float, now: float) -> None:
        """Take the answer to a look that was asked for at ``asked``; None: there is no regular file at the path."""
        pending = self._pending.get(path)
        if pending is None:
            return
        pending.is_asked = False
        if pending.phase != "settling":
            pending.again = pending.again or stamp != pending.stamp
        elif stamp is None:
            self.drop(path)
        elif stamp != pending.stamp:
            self._changed(path, pending, stamp, now)
        elif asked < pending.since + self._settle_s(pending):
            self._schedule(path, pending, max(pending.due, pending.since + self._settle_s(pending)))
        else:
            self._unchanged(path, pending, asked, now)

    def unreadable(self, path: str, now: float) -> None:
        """Take that a look failed with an error: look again later."""
        pending = self._pending.get(path)
        if pending is not None and pending.phase == "settling":
            pending.is_asked = False
            pending.attempts += 1
            self._schedule(path, pending, now + self._back_off_s(pending))
            self._report(path, pending, "unreadable")

    def unanswered(self, now: float) -> None:
        """Take that looks will stay unanswered: ask again."""
        for path, pending in self._pending.items():
            if pending.is_asked:
                pending.is_asked = False
                self._schedule(path, pending, now)

    def _changed(self, path: str, pending: _Pending, stamp: FileStamp, now: float) -> None:
        is_first = pending.stamp is None
        pending.stamp, pending.since, pending.attempts = stamp, now, 0
        if not is_first:
            pending.is_closed = False
        self._schedule(path, pending, now + self._settle_s(pending))
        if not is_first:
            self._report(path, pending, "growing")

    def _unchanged(self, path: str, pending: _Pending, asked: float, now: float) -> None:
        is_old = asked >= pending.since + self._arrival.give_up_s
        if pending.stamp is not None and pending.stamp.size_bytes == 0 and not is_old:
            pending.attempts += 1
            self._schedule(path, pending, self._next_attempt(pending, now))
            self._report(path, pending, "growing")
            return
        pending.phase, pending.quiet_s = "ready", asked - pending.since
        pending.gave_up = is_old and pending.attempts > 0
        self._ready[pending.how].append(path)

    # --- what the caller answers --------------------------------------------------------------------------------------

    def not_ready(self, path: str, now: float, reason: str, wait_s: float | None, *, polled: bool) -> None:
        """Take back a file that was handed out: hand it out again after a pause, if it is unchanged by then."""
        pending = self._pending.get(path)
        if pending is None:
            pending = self._pending[path] = _Pending(polled=polled, how="scan", due=now)
        pending.phase, pending.reason = "settling", reason
        pending.attempts += 1
        if pending.again:
            pending.again, pending.attempts = False, 0
            self._schedule(path, pending, now)
        else:
            self._schedule(path, pending, now + wait_s if wait_s is not None else self._next_attempt(pending, now))

    def taken(self, path: str) -> None:
        """End the observation of a file, or begin it anew if something happened to the file in the meantime."""
        pending = self._pending.pop(path, None)
        if pending is not None and pending.again:
            self._pending[path] = fresh = _Pending(polled=pending.polled, how="event", due=-math.inf)
            self._schedule(path, fresh, -math.inf)

    def drop(self, path: str) -> None:
        """End the observation of a file that is gone or known."""
        pending = self._pending.pop(path, None)
        if pending is not None and pending.reason:
            self._waiting.pop(path, None)
            self._dropped.append(path)

    def is_settling(self, path: str) -> bool:
        """Return whether the file is under observation and not with the caller."""
        pending = self._pending.get(path)
        return pending is not None and pending.phase == "settling"

    # --- what is to be done -------------------------------------------------------------------------------------------

    def due(self, now: float, limit: int) -> list[str]:
        """Return at most ``limit`` paths to look at now; each must be answered by ``looked`` or ``unreadable``."""
        paths: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(paths) < limit:
            due, _, path = heapq.heappop(self._heap)
            pending = self._pending.get(path)
            if pending is None or pending.due != due or pending.is_asked or pending.phase != "settling":
                continue
            pending.is_asked = True
            paths.append(path)
        return paths

    def next_due(self) -> float:
        """Return when the next look is due, in monotonic time; infinity if none is."""
        while self._heap:
            due, _, path = self._heap[0]
            pending = self._pending.get(path)
            if pending is not None and pending.due == due and not pending.is_asked and pending.phase == "settling":
                return due
            heapq.heappop(self._heap)
        return math.inf

    def hand_out(self, limit: int) -> tuple[Settled, ...]:
        """Return at most ``limit`` settled files, those that came by event first."""
        settled: list[Settled] = []
        for queue in (self._ready["event"], self._ready["scan"]):
            while queue and len(settled) < limit:
                path = queue.popleft()
                pending = self._pending.get(path)
                if pending is None or pending.phase != "ready" or pending.stamp is None:
                    continue
                if pending.again:
                    pending.again, pending.phase = False, "settling"
                    self._schedule(path, pending, -math.inf)
                    continue
                pending.phase = "handed"
                settle_s = self._settle_s(pending)
                settled.append(
                    Settled(path, pending.stamp, pending.how, pending.quiet_s, settle_s, gave_up=pending.gave_up)
                )
        return tuple(settled)

    def news(self) -> tuple[tuple[Waiting, ...], tuple[str, ...]]:
        """Return the files whose wait or its reason is new, and those that were waiting and are gone, each once."""
        waiting, dropped = tuple(self._waiting.values()), tuple(self._dropped)
        self._waiting.clear()
        self._dropped.clear()
        return waiting, dropped

    def _settle_s(self, pending: _Pending) -> float:
        """Return how long a file must be unchanged."""
        if pending.polled:
            return self._arrival.settle_polled_s
        return self._arrival.settle_closed_s if pending.is_closed else self._arrival.settle_s

    def _back_off_s(self, pending: _Pending) -> float:
        """Return the pause before the next attempt: the settling time, doubled with each, at most a minute."""
        return min(self._settle_s(pending) * 2.0 ** min(pending.attempts, 32), MAX_BACK_OFF_S)

    def _next_attempt(self, pending: _Pending, now: float) -> float:
        """Return when to look again at an unchanged file: not much later than it is to be given up."""
        end = pending.since + self._arrival.give_up_s
        pause = self._back_off_s(pending)
        return now + pause if now >= end else min(now + pause, end)

    def _schedule(self, path: str, pending: _Pending, due: float) -> None:
        """Note when to look at a file next."""
        pending.due = due
        heapq.heappush(self._heap, (due, next(self._numbers), path))

    def _report(self, path: str, pending: _Pending, reason: str) -> None:
        """Tell the caller of a wait, once for each reason."""
        if pending.reason != reason:
            pending.reason = reason
            self._waiting[path] = Waiting(path, reason, pending.due)
