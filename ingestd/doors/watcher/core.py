"""The watcher: events are hints, the reconciling scan is the truth, and what comes out is settled files.

``poll`` never touches a file system: whatever may block is done by ``Root``, one thread for each watched directory.
Time is passed in as monotonic seconds.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ingestd.doors.mounts import is_below
from ingestd.doors.watcher.events import EventKind
from ingestd.doors.watcher.once import look_twice
from ingestd.doors.watcher.requests import Answer, Checked, Found, Look, Looked, Request, Scanned
from ingestd.doors.watcher.root import Root, RootThread
from ingestd.doors.watcher.settle import Settled, Settling, Waiting
from ingestd.doors.watcher.side import RootState, Side
from ingestd.records import FileStamp
from ingestd.settings import Arrival

_LOOKS = 1000
_MAX_EVENTS = 65536
_STOP_S = 3.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Poll:
    """What a look around brought.

    Attributes
    ----------
    settled : tuple of Settled
        To be answered each with ``taken`` or ``not_ready``; those that came by event first.
    waiting : tuple of Waiting
        Files whose wait began or changed its reason, and directories that cannot be read; not files that simply settle.
    dropped : tuple of str
        Paths reported as waiting, or declared not ready, that are gone or known by now.
    vanished : tuple of str
        Known paths that are gone from a root that stands.
    backlog : int
        Settled files that will come with the next calls.
    next_due : float
        Monotonic time at which to call again at the latest; ``Watcher.fileno`` may become readable before.
    """

    settled: tuple[Settled, ...]
    waiting: tuple[Waiting, ...]
    dropped: tuple[str, ...]
    vanished: tuple[str, ...]
    backlog: int
    next_due: float


class Watcher:
    """Watches directories for completely written frames. All methods belong to one thread.

    Parameters
    ----------
    roots : iterable of str or path-like
        Directories. One that is missing is waited for; one inside another is left to itself.
    arrival : settings.Arrival
        Settling times and scan intervals.
    known : mapping of str to FileStamp
        Files that need not be reported while their stamp is unchanged; copied.
    threaded : bool
        False: everything is done inside ``poll``, which may then block. For tests.
    max_settled : int
        Most files that one poll hands out.
    """

    def __init__(
        self,
        roots: Iterable[str | os.PathLike[str]],
        arrival: Arrival,
        *,
        known: Mapping[str, FileStamp],
        threaded: bool = True,
        max_settled: int = 1000,
    ) -> None:
        self._arrival = arrival
        self._known = dict(known)
        self._threaded = threaded
        self._max_settled = max_settled
        self._settling = Settling(arrival)
        self._events: deque[tuple[EventKind, str]] = deque()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._vanished: list[str] = []
        self._unread: dict[str, str] = {}
        self._is_running = False
        paths = {os.path.abspath(os.fspath(root)) for root in roots}  # noqa: PTH100 - a link stays the name it was given
        self._sides = {path: self._side(path, paths) for path in sorted(paths, key=len, reverse=True)}
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def _side(self, path: str, paths: Iterable[str]) -> Side:
        """Return a root with the roots inside it left out."""
        root = Root(
            path,
            nested=[other for other in paths if other != path and is_below(other, path)],
            polling=self._arrival.polling,
            known=self._known,
            on_event=self._enqueue,
            on_overflow=partial(self._overflowed, path),
        )
        return Side(root, self._arrival)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: the first poll has all roots subscribed, scanned, and scanned again for what changed meanwhile."""
        self._is_running = True
        if self._threaded:
            for side in self._sides.values():
                side.thread = RootThread(side.root, self._answer)

    def stop(self) -> None:
        """End all threads and close all handles; a thread that hangs on its file system is left behind."""
        self._is_running = False
        threads = [side.thread for side in self._sides.values() if side.thread is not None]
        for thread in threads:
            thread.stop()
        end = time.monotonic() + _STOP_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if not self._threaded:
            for side in self._sides.values():
                side.root.close()
        if self._wake_fd >= 0:
            fd, self._wake_fd = self._wake_fd, -1
            os.close(fd)

    def fileno(self) -> int:
        """Return a descriptor that is readable when a poll would find something new."""
        return self._wake_fd

    # --- the poll and its answers -------------------------------------------------------------------------------------

    def poll(self, now: float) -> Poll:
        """Take in events and answers, ask for the looks and scans that are due, and return what has settled."""
        with suppress(OSError):
            os.eventfd_read(self._wake_fd)
        self._drain_events(now)
        self._collect(now)
        while self._ask(now) and not self._threaded:
            self._collect(now)
        settled = self._settling.hand_out(self._max_settled)
        for file in settled:
            if (side := self._owner(file.path)) is not None:
                side.note_missed(file.path)
        waiting, dropped = self._settling.news()
        vanished, self._vanished = tuple(self._vanished), []
        unread, read_again = self._news_of_directories(now)
        backlog = self._settling.backlog
        next_due = now if backlog else self._next_due()
        return Poll(settled, (*waiting, *unread), (*dropped, *read_again), vanished, backlog, next_due)

    def taken(self, path: str, stamp: FileStamp) -> None:
        """Answer to a settled file: it was dealt with as it was with this stamp."""
        self._known[path] = stamp
        self._settling.taken(path)

    def not_ready(self, path: str, now: float, reason: str, *, wait_s: float | None = None) -> None:
        """Answer to a settled file: it is not complete.

        It is handed out again, unchanged or not, after ``wait_s``, else after a pause that doubles each time up to a
        minute; once it is unchanged for ``give_up_s`` it comes with ``gave_up`` set.
        """
        side = self._owner(path)
        self._settling.not_ready(path, now, reason, wait_s, polled=side is not None and side.is_polled)

    @property
    def is_caught_up(self) -> bool:
        """True once every root that exists has been scanned after the start; what it brought may still settle."""
        return all(side.is_caught_up for side in self._sides.values())

    @property
    def observed(self) -> int:
        """Files under observation: settling, waiting, or with the caller."""
        return len(self._settling)

    def root_states(self, now: float) -> tuple[RootState, ...]:
        """Return how each root is doing."""
        return tuple(side.state(now) for _, side in sorted(self._sides.items()))

    # --- from other threads -------------------------------------------------------------------------------------------

    def _enqueue(self, kind: EventKind, path: str) -> None:
        """Keep an event for the next poll; runs in a thread of watchdog."""
        if len(self._events) < _MAX_EVENTS:
            self._events.append((kind, path))
        elif (side := self._owner(path)) is not None:
            side.has_overflow = True
        self._wake()

    def _overflowed(self, root: str) -> None:
        """Note that events were lost; runs in a thread of watchdog."""
        self._sides[root].has_overflow = True
        self._wake()

    def _answer(self, answer: Answer) -> None:
        """Keep an answer for the next poll; runs in the thread of a root."""
        self._answers.put(answer)
        self._wake()

    def _wake(self) -> None:
        """Make the descriptor readable."""
        with suppress(OSError, ValueError):  # closed, while a thread that hung comes to an end
            os.eventfd_write(self._wake_fd, 1)

    # --- events and answers -------------------------------------------------------------------------------------------

    def _drain_events(self, now: float) -> None:
        """Note the files that events named, and ask for a look below new directories."""
        directories: dict[str, dict[str, None]] = {}
        for _ in range(len(self._events)):
            kind, path = self._events.popleft()
            side = self._owner(path)
            if side is None:
                continue
            if kind == "directory":
                directories.setdefault(side.root.path, {})[path] = None
            else:
                side.suspects.discard(path)
                self._settling.noticed(path, now, polled=side.is_polled, ended=kind in {"closed", "moved"})
        for root, below in directories.items():
            self._submit(self._sides[root], Look(now, (), tuple(below)))

    def _collect(self, now: float) -> None:
        """Take in the answers of the roots."""
        while not self._answers.empty():
            answer = self._answers.get()
            side = self._sides[answer.root]
            if isinstance(answer, Found):
                self._take_found(side, answer, now)
            elif isinstance(answer, Looked):
                self._take_looked(answer, now)
            elif isinstance(answer, Checked):
                side.take_checked(answer)
            else:
                self._take_scanned(side, answer, now)

    def _take_found(self, side: Side, answer: Found, now: float) -> None:
        """Begin to observe the files that a scan found."""
        for path, stamp in answer.files:
            if self._is_known(path, stamp):
                continue
            is_new = path not in self._settling and path not in self._known
            if is_new and not answer.by_event and side.should_have_events:
                side.suspects.add(path)
            self._settling.found(path, stamp, answer.asked, now, polled=side.is_polled)

    def _take_looked(self, answer: Looked, now: float) -> None:
        """Pass on what the looks saw."""
        for path, stamp in answer.files:
            if stamp is None or not self._is_known(path, stamp):
                self._settling.looked(path, stamp, answer.asked, now)
        for path in answer.failed:
            self._settling.unreadable(path, now)

    def _take_scanned(self, side: Side, answer: Scanned, now: float) -> None:
        """Note the end of a scan and the known files that are gone, but for those that the caller is working on."""
        side.take_scanned(answer, now)
        for path in answer.vanished:
            is_with_caller = path in self._settling and not self._settling.is_settling(path)
            if not is_with_caller and self._known.pop(path, None) is not None:
                self._vanished.append(path)

    def _news_of_directories(self, now: float) -> tuple[tuple[Waiting, ...], tuple[str, ...]]:
        """Return the directories that cannot be read, and those that can be read again, each once."""
        before = self._unread
        self._unread = {path: why for side in self._sides.values() for path, why in side.left_out.unread.items()}
        unread = [
            Waiting(path, "unreadable", now, f"directory cannot be read: {why}")
            for path, why in self._unread.items()
            if path not in before
        ]
        return tuple(unread), tuple(path for path in before if path not in self._unread)

    def _is_known(self, path: str, stamp: FileStamp) -> bool:
        """Return whether a file is known with this stamp; then it is not observed any longer."""
        if self._known.get(path) != stamp:
            return False
        if self._settling.is_settling(path):
            self._settling.drop(path)
        return True

    # --- requests -----------------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> bool:
        """Send the requests that are due; return whether there were any."""
        if not self._is_running:
            return False
        has_asked = False
        for side in self._sides.values():
            if not side.note_progress(now):
                self._replace_thread(side, now)
            request = side.next_request(now)
            if request is not None:
                self._submit(side, request)
                has_asked = True
        looks: dict[str, list[str]] = {}
        for path in self._settling.due(now, _LOOKS):
            owner = self._owner(path)
            if owner is None:
                self._settling.drop(path)
            else:
                looks.setdefault(owner.root.path, []).append(path)
        for root, paths in looks.items():
            self._submit(self._sides[root], Look(now, tuple(paths)))
        return has_asked or bool(looks)

    def _replace_thread(self, side: Side, now: float) -> None:
        """Start the thread of a root again after a program error ended it."""
        _LOG.error("The thread that watches %a died; it is replaced", side.root.path)
        side.thread = RootThread(side.root, self._answer)
        side.is_busy = False
        side.scans_owed = max(side.scans_owed, 1)
        self._settling.unanswered(now)

    def _submit(self, side: Side, request: Request) -> None:
        """Hand a request to the root's thread, or carry it out here."""
        if side.thread is not None:
            side.thread.submit(request)
        else:
            side.root.execute(request, self._answer, lambda: None)

    def _owner(self, path: str) -> Side | None:
        """Return the innermost root that a path lies in."""
        return next((side for root, side in self._sides.items() if is_below(path, root)), None)

    def _next_due(self) -> float:
        """Return when the next request is due."""
        return min([self._settling.next_due(), *(side.next_due for side in self._sides.values())])

    # --- the single scan ----------------------------------------------------------------------------------------------

    def scan_once(
        self, progress: Callable[[int, int], None] | None = None, wait: Callable[[float], None] = time.sleep
    ) -> Poll:
        """Return all unknown files of all roots now, after one settling interval; without ``start``, it may block.

        Parameters
        ----------
        progress : callable (done, total), optional
            Called as the unknown files are looked at a second time.
        wait : callable (seconds)
            Lets the settling interval pass.
        """
        for side in self._sides.values():
            side.root.scan_without_events(0.0, self._answers.put)
        stamps: dict[str, FileStamp] = {}
        while not self._answers.empty():
            answer = self._answers.get()
            if isinstance(answer, Found):
                stamps.update(answer.files)
            elif isinstance(answer, Checked):
                self._sides[answer.root].take_checked(answer)
            elif isinstance(answer, Scanned):
                self._take_scanned(self._sides[answer.root], answer, 0.0)
        found = {path: (stamp, self._settle_s(path)) for path, stamp in stamps.items()}
        settled, waiting = look_twice(found, wait, progress)
        vanished, self._vanished = tuple(self._vanished), []
        unread, _ = self._news_of_directories(0.0)
        return Poll(settled, (*waiting, *unread), (), vanished, 0, math.inf)

    def _settle_s(self, path: str) -> float:
        """Return the settling time of a file that no event told of."""
        side = self._owner(path)
        return self._arrival.settle_polled_s if side is not None and side.is_polled else self._arrival.settle_s
