"""watchdog's events for one directory tree: hints that a file may be worth a look.

watchdog loses events without raising (overflow, a deleted root, a thread that died), so a subscription can be asked
whether all of its threads live, and is thrown away and made anew rather than repaired.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD

EventKind = Literal["closed", "moved", "created", "directory"]

_FILTER: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
"""Without ``modified`` and ``opened``: a growing file would flood the queue, and the settle rule looks by itself."""


class Subscription:
    """All events below one directory, delivered from watchdog's threads.

    Parameters
    ----------
    directory : str
        Existing directory, resolved: watchdog does not follow a symbolic link here.
    on_event : callable (kind, path)
        Called in a thread of watchdog; must only enqueue.
    on_overflow : callable
        Called when the kernel dropped events.

    Raises
    ------
    OSError
        If the directory cannot be watched: it is gone, or the limits of inotify are exhausted.
    RecursionError
        If the tree is deeper than ``os.walk`` of this Python can go.
    """

    def __init__(
        self, directory: str, on_event: Callable[[EventKind, str], None], on_overflow: Callable[[], None]
    ) -> None:
        # watchdog 7.1 warns, with its whole watch table, when it watches a directory in a new directory twice. That is
        # harmless, but where warnings are errors it would end the reader.
        warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)
        self._inotify = _Inotify(on_overflow)
        self._inotify.start()
        self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._inotify)
        try:
            self._observer.schedule(_Handler(on_event), directory, recursive=True, event_filter=_FILTER)
            self._observer.start()
        except BaseException:
            self.close()
            raise

    def is_alive(self) -> bool:
        """Return whether every thread lives: the reader, the dispatcher and each emitter."""
        emitters = self._observer.emitters
        threads = [self._inotify, self._observer, *emitters]
        return bool(emitters) and all(thread.is_alive() for thread in threads)

    def close(self) -> None:
        """End all threads and release the inotify instance."""
        self._observer.stop()
        with suppress(RuntimeError):  # never started
            self._observer.join()
        self._inotify.stop()
        self._inotify.join()


class _Inotify(InotifyFD):
    """The inotify reader, made to report what watchdog only logs and to die quietly: ``is_alive`` sees its death."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        super().__init__()
        self._on_overflow = on_overflow

    def handle_event(self, event: InotifyEvent) -> None:
        """Say so when events were lost, which watchdog only logs."""
        if event.is_queue_overflow:
            self._on_overflow()
        super().handle_event(event)

    def run(self) -> None:
        """Run, and die quietly."""
        with suppress(Exception):
            super().run()


class _Handler(FileSystemEventHandler):
    """Passes on what happened to which path."""

    def __init__(self, on_event: Callable[[EventKind, str], None]) -> None:
        self._on_event = on_event

    def dispatch(self, event: FileSystemEvent) -> None:
        """Pass on the events after which a file may be complete, or a directory new."""
        if isinstance(event, FileMovedEvent):
            self._on_event("moved", os.fsdecode(event.dest_path))
        elif isinstance(event, FileClosedEvent):
            self._on_event("closed", os.fsdecode(event.src_path))
        elif isinstance(event, FileCreatedEvent):
            self._on_event("created", os.fsdecode(event.src_path))
        elif isinstance(event, DirMovedEvent):
            self._on_event("directory", os.fsdecode(event.dest_path))
        elif isinstance(event, DirCreatedEvent):
            self._on_event("directory", os.fsdecode(event.src_path))
