"""One watched directory: subscribing, scanning and looking, everything that may block on its file system.

A ``Root`` is driven by requests and answers through a callable. It runs in a thread of its own, so that a share that
hangs delays nobody else, or inline, where tests and the single scan need no thread.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ingestd.doors.mounts import Mount, is_below, mounts_of, read_mounts
from ingestd.doors.watcher.events import EventKind, Subscription
from ingestd.doors.watcher.requests import Answer, Check, Checked, Condition, Found, Look, Looked, Request, Scanned
from ingestd.doors.watcher.walk import LeftOut, has_stamp, is_frame_path, is_searched, look_at, stamp_of, walk_frames
from ingestd.records import FileStamp

_CHUNK = 500
_BREATH = 256
"""Files of a scan between two chances to answer looks."""


Emit = Callable[[Answer], None]


class Stopped(Exception):
    """The scan was interrupted because the watcher stops."""


class Root:
    """The file system's side of one watched directory.

    Parameters
    ----------
    path : str
        Absolute directory; may be a symbolic link and need not exist.
    nested : collection of str
        Other roots inside this one, which it leaves to them.
    polling : str
        Setting ``arrival.polling``.
    known : mapping of str to FileStamp
        Files that are skipped while their stamp is unchanged; shared with the watcher and only read here.
    on_event, on_overflow : callable
        Receive the events of this root, from other threads.
    """

    def __init__(
        self,
        path: str,
        *,
        nested: Collection[str],
        polling: str,
        known: Mapping[str, FileStamp],
        on_event: Callable[[EventKind, str], None],
        on_overflow: Callable[[], None],
    ) -> None:
        self.path = path
        self._nested = frozenset(nested)
        self._polling = polling
        self._known = known
        self._on_event = on_event
        self._on_overflow = on_overflow
        self._subscription: Subscription | None = None
        self._place: tuple[str, int, int] | None = None
        self._failure = ""
        self._mounts: frozenset[Mount] = frozenset()
        self._is_proven = False

    def execute(self, request: Request, emit: Emit, breathe: Callable[[], None]) -> None:
        """Carry out a request; ``breathe`` is called now and then in a long one."""
        if isinstance(request, Look):
            self._look(request, emit, breathe)
        elif isinstance(request, Check):
            emit(Checked(self.path, request.asked, self._check(retry=False), is_scanning=False))
        else:
            if request.renew:
                self.close()
            self._scan(request.asked, self._check(retry=True), emit, breathe)

    def scan_without_events(self, asked: float, emit: Emit) -> None:
        """Meet every file once, without subscribing."""
        place = self._find()
        if isinstance(place, str):
            self._place, condition = None, Condition("missing", place, renewed=False)
        else:
            self._place = place
            network = self._network_mount()
            condition = Condition("polled" if network else "watched", network or "", renewed=False)
        self._scan(asked, condition, emit, lambda: None)

    def close(self) -> None:
        """End the subscription."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    # --- the root itself ----------------------------------------------------------------------------------------------

    def _find(self) -> tuple[str, int, int] | str:
        """Return the resolved path, device and inode of the root, or what is wrong with it."""
        try:
            resolved = os.path.realpath(self.path)
            status = Path(resolved).stat()
        except FileNotFoundError:
            return "does not exist"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        if not stat.S_ISDIR(status.st_mode):
            return "is not a directory"
        return resolved, status.st_dev, status.st_ino

    def _check(self, *, retry: bool) -> Condition:
        """Follow the root where it is now; ``retry`` a subscription that failed."""
        place = self._find()
        if isinstance(place, str):
            self.close()
            self._place, self._failure = None, ""
            return Condition("missing", place, renewed=False)
        moved = place != self._place
        self._place = place
        network = self._network_mount()
        if network is not None:
            self.close()
            self._failure = ""
            return Condition("polled", network, renewed=moved)
        if self._subscription is not None and not moved and self._subscription.is_alive():
            return Condition("watched", "", renewed=False)
        if self._failure and not retry and not moved:
            return Condition("fallback", self._failure, renewed=False)
        self.close()
        self._failure = self._subscribe(place[0])
        if self._failure:
            return Condition("fallback", self._failure, renewed=moved)
        return Condition("watched", "", renewed=True)

    def _network_mount(self) -> str | None:
        """Return why the root is only scanned, or None if events are to be had."""
        if self._polling == "never" or self._place is None:
            return None
        if self._polling == "always":
            return "by the setting arrival.polling"
        remote = [mount for mount in mounts_of(self._place[0], read_mounts()) if mount.has_remote_writers]
        return f"{remote[0].fs_type} mount {remote[0].point}" if remote else None

    def _subscribe(self, resolved: str) -> str:
        """Subscribe to the events of the root; return what prevented it, or an empty text."""

        def translate(kind: EventKind, path: str) -> None:
            """Pass on what concerns frames, by the path that the settings give the root."""
            inner = path.removeprefix(resolved)
            if is_searched(inner) if kind == "directory" else is_frame_path(inner):
                self._on_event(kind, self.path + inner)

        try:
            self._subscription = Subscription(resolved, translate, self._on_overflow)
        except RecursionError:
            return "the directories are nested too deep to be watched"
        except OSError as error:
            return f"no events: {error.strerror or error}"
        return ""

    # --- files --------------------------------------------------------------------------------------------------------

    def _look(self, request: Look, emit: Emit, breathe: Callable[[], None]) -> None:
        """Answer with the stamps of files, and with the files below directories."""
        files: list[tuple[str, FileStamp | None]] = []
        failed: list[str] = []
        for path in request.paths:
            try:
                files.append((path, look_at(path)))
            except OSError:
                failed.append(path)
        self._is_proven = self._is_proven or any(stamp is not None for _, stamp in files)
        if request.paths:
            emit(Looked(self.path, request.asked, tuple(files), tuple(failed)))
        for directory in request.directories:
            if not Path(directory).is_symlink():
                self._meet(directory, request.asked, emit, breathe, by_event=True)

    def _scan(self, asked: float, condition: Condition, emit: Emit, breathe: Callable[[], None]) -> None:
        """Meet every file of the root and answer with those not known, then with the known ones that are gone."""
        emit(Checked(self.path, asked, condition, is_scanning=True))
        if condition.mode == "missing":
            emit(Scanned(self.path, asked, (), 0, LeftOut()))
            return
        met, files, left_out = self._meet(self.path, asked, emit, breathe, by_event=False)
        vanished = self._vanished(met, left_out.unread)
        emit(Scanned(self.path, asked, vanished, files, left_out))

    def _meet(
        self, directory: str, asked: float, emit: Emit, breathe: Callable[[], None], *, by_event: bool
    ) -> tuple[set[str], int, LeftOut]:
        """Emit the unknown files below a directory; return the known ones met, how many in all, what is left out."""
        met: set[str] = set()
        left_out = LeftOut()
        chunk: list[tuple[str, FileStamp]] = []
        files = 0
        for path, status in walk_frames(directory, self._nested, left_out):
            files += 1
            if files % _BREATH == 0:
                breathe()
            stamp = self._known.get(path)
            if stamp is not None:
                met.add(path)
                if has_stamp(status, stamp):
                    continue
            chunk.append((path, stamp_of(status)))
            if len(chunk) == _CHUNK:
                emit(Found(self.path, asked, tuple(chunk), by_event))
                chunk.clear()
        if chunk:
            emit(Found(self.path, asked, tuple(chunk), by_event))
        return met, files, left_out

    def _vanished(self, met: set[str], unread: Collection[str]) -> tuple[str, ...]:
        """Return the known files of this root that are surely gone.

        A file is gone if its own path says so after the scan, and neither an unreadable directory nor a mount that is
        no longer there explains it: an unmounted disk leaves an empty directory behind. For the same reason a root
        that is empty when it is first seen proves nothing.
        """
        missing = [path for path in list(self._known) if path not in met and self._owns(path)]
        self._is_proven = self._is_proven or bool(met)
        if self._place is None or self._find() != self._place or self.path in unread:
            return ()
        current = mounts_of(self._place[0], read_mounts())
        lost = self._mounts - current
        self._mounts |= current
        if not missing or not (self._is_proven or self._has_entries()):
            return ()
        inner = len(self.path)
        blind = [*unread, *(mount.point for mount in lost)]
        return tuple(
            path
            for path in missing
            if not any(is_below(path, top) or is_below(self._place[0] + path[inner:], top) for top in blind)
            and _is_gone(path)
        )

    def _owns(self, path: str) -> bool:
        """Return whether a path lies in this root and in no root inside it."""
        return is_below(path, self.path) and not any(is_below(path, other) for other in self._nested)

    def _has_entries(self) -> bool:
        """Return whether anything at all lies in the root."""
        try:
            with os.scandir(self.path) as entries:
                return any(True for _ in entries)
        except OSError:
            return False


def _is_gone(path: str) -> bool:
    """Return whether there is no regular file at the path; an error is no proof."""
    try:
        return look_at(path) is None
    except OSError:
        return False


class RootThread:
    """Runs the requests to one root in a thread, looks before anything else.

    ``progress`` counts requests and stretches of a scan: a thread that is busy while it stands still hangs.
    """

    def __init__(self, root: Root, emit: Emit) -> None:
        self._root = root
        self._emit = emit
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._later: deque[Request] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"ingestd watch {root.path}", daemon=True)
        self.progress = 0
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Queue a request."""
        self._requests.put(request)

    def is_alive(self) -> bool:
        """Return whether the thread lives."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Tell the thread to end."""
        self._stopping.set()
        self._requests.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread, not longer than the timeout: it may hang in a system call."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while True:
                request = self._later.popleft() if self._later else self._requests.get()
                if request is None or self._stopping.is_set():
                    return
                self._root.execute(request, self._emit, self._breathe)
                self.progress += 1
        except Stopped:
            return
        finally:
            self._root.close()

    def _breathe(self) -> None:
        """Answer the looks that came in during a scan; keep the other requests."""
        self.progress += 1
        while not self._requests.empty():
            request = self._requests.get()
            if request is None or self._stopping.is_set():
                raise Stopped
            if isinstance(request, Look):
                self._root.execute(request, self._emit, lambda: None)
            else:
                self._later.append(request)
