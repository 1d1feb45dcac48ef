"""A settled path becomes a frame: one descriptor from check to hash, then the header's meaning, then its state.

The desk runs in a thread of its own so that a slow share holds up neither the database nor the workers; without a
thread (``ingestd scan``, tests) the same function is called in line.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath

from ingestd.doors import fitsfile
from ingestd.doors.catalogue import TakenFrame, rejected_record
from ingestd.doors.watcher import Settled
from ingestd.errors import FrameNotReady, FrameRejected
from ingestd.records import (
    CALIBRATION_KINDS,
    FileHeader,
    FileStamp,
    FrameRecord,
    Kind,
    State,
)
from ingestd.rules import dialects
from ingestd.settings import Settings

_UNREADABLE_ID_BYTES = 1 << 20
_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class NotReady:
    """A path that must be looked at again, and why; ``wait_s`` where it is known how soon."""

    path: str
    stamp: FileStamp
    reason: str
    detail: str
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Vanished:
    """A path that was gone when the desk came to open it."""

    path: str


Arrived = TakenFrame | NotReady | Vanished


def take_in(settled: Settled, settings: Settings, now: datetime) -> Arrived:
    """Open, check, pre-read and hash one settled file, and say what it is.

    Parameters
    ----------
    settled : Settled
        With ``gave_up``, what is still incomplete is quarantined instead of waited for.
    settings : Settings
    now : datetime
        Only to notice observation times in the future.

    Returns
    -------
    TakenFrame, NotReady or Vanished
    """
    try:
        fd = fitsfile.open_raw(Path(settled.path))
    except FileNotFoundError:
        return Vanished(settled.path)
    except FrameRejected as error:
        return NotReady(settled.path, settled.stamp, error.reason, error.detail)
    except OSError as error:
        return NotReady(settled.path, settled.stamp, "unreadable", f"cannot be opened: {error.strerror}")
    try:
        return _examine(fd, settled, settings, now)
    except OSError as error:
        return NotReady(settled.path, settled.stamp, "unreadable", f"cannot be read: {error.strerror}")
    finally:
        os.close(fd)


def _examine(fd: int, settled: Settled, settings: Settings, now: datetime) -> Arrived:
    """Return what the open file is."""
    stamp = fitsfile.stamp(fd)
    if stamp != settled.stamp:
        return NotReady(settled.path, stamp, "growing", "changed since it was last looked at")
    try:
        header = fitsfile.read_header(fd, settings.limits)
        frame_id, data_sha256 = fitsfile.hash_file(fd, header)
    except FrameNotReady as error:
        if not settled.gave_up:
            return NotReady(settled.path, stamp, error.reason, error.detail)
        return _rejected(fd, settled, stamp, FrameRejected("incomplete", error.detail), settings)
    except FrameRejected as error:
        return _rejected(fd, settled, stamp, error, settings)
    if fitsfile.stamp(fd) != stamp:
        return NotReady(settled.path, stamp, "growing", "changed while it was read")
    return _judge(classify(header, settled.path, settings, frame_id, data_sha256, now), settled)


def _judge(record: FrameRecord, settled: Settled) -> Arrived:
    """Return the frame with its state, or that more patience is needed because its kind may still be written."""
    missing_s = 0.0 if _has_kind_card(record) else _PATIENCE * settled.settle_s - settled.quiet_s
    if missing_s > 0 and not settled.gave_up:
        detail = "no card says what kind of frame this is, yet"
        return NotReady(settled.path, settled.stamp, "incomplete", detail, missing_s)
    state, reason, detail = initial_state(record)
    return TakenFrame(record, settled.path, settled.stamp, state, reason, detail)


def _has_kind_card(record: FrameRecord) -> bool:
    """Return whether a card says what the frame is: some programs write the pixels first and such cards last."""
    source = record.source("kind")
    return bool(source) and not source.startswith(("file name", "directory"))


def classify(
    header: FileHeader, path: str, settings: Settings, frame_id: str, data_sha256: str, now: datetime
) -> FrameRecord:
    """Return what the header of a file at an absolute path says, in the light of the settings."""
    camera = dialects.choose_camera(header, path, settings)
    return dialects.classify(
        header,
        path=below_root(path, settings),
        camera=camera,
        site=settings.site,
        frame_id=frame_id,
        data_sha256=data_sha256,
        now=now,
        named=settings.rules_of(camera.name if camera else "").cards(),
    )


def below_root(path: str, settings: Settings) -> str:
    """Return the path below the watched directory that holds it: names above it say nothing about a frame."""
    pure = PurePath(path)
    for root in settings.roots:
        if pure.is_relative_to(root):
            return str(pure.relative_to(root))
    return pure.name


def initial_state(record: FrameRecord) -> tuple[State, str, str]:
    """Return state, reason and detail of a frame that was just taken in."""
    if record.kind == Kind.UNKNOWN:
        return State.DONE, "catalogued", "; ".join(record.notes) or "no card or name says what kind of frame this is"
    if record.kind == Kind.OTHER:
        return State.DONE, "catalogued", f"{record.label} frames are catalogued, never combined or reduced"
    if record.camera == dialects.UNASSIGNED:
        return State.DONE, "catalogued", "no [[camera]] of the settings fits this file: check directories and match"
    if record.kind in CALIBRATION_KINDS and not record.may_join_master:
        return State.DONE, "catalogued", f"no member of a master: {', '.join(record.flags)}"
    if record.kind == Kind.LIGHT and (reason := _not_reduced(record)):
        return State.DONE, "catalogued", f"not reduced: {reason}"
    return State.WAITING, "due", ""


def _not_reduced(record: FrameRecord) -> str:
    """Return why a science frame is only catalogued, or an empty text.

    One that was dark-subtracted already can still be divided by a flat; what was done to any other is not certain
    enough to go on from there.
    """
    done = set(record.flags) & {"bias_subtracted", "dark_subtracted", "flat_divided"}
    is_uncertain = ("calibrated" in record.flags and not done) or done == {"bias_subtracted"}
    if is_uncertain or {"dark_subtracted", "flat_divided"} <= done or done == {"flat_divided"}:
        return f"processed already ({', '.join(sorted(done)) or 'calibrated'})"
    if record.obs_start is None or "future_date" in record.flags:
        return "observation time lies in the future" if record.obs_start else "no observation time"
    return ""


def _rejected(fd: int, settled: Settled, stamp: FileStamp, error: FrameRejected, settings: Settings) -> TakenFrame:
    """Return the quarantined frame that a broken file becomes, known by its bytes (or the first MiB of a giant)."""
    digest = hashlib.sha256()
    whole = stamp.size_bytes <= settings.limits.max_file_bytes
    limit = stamp.size_bytes if whole else _UNREADABLE_ID_BYTES
    offset = 0
    while offset < limit:
        block = os.pread(fd, min(1 << 20, limit - offset), offset)
        if not block:
            break
        digest.update(block)
        offset += len(block)
    if not whole:
        digest.update(f"first {limit} of {stamp.size_bytes} bytes".encode())
    record = rejected_record(digest.hexdigest(), dialects.UNASSIGNED)
    return TakenFrame(record, settled.path, stamp, State.QUARANTINED, error.reason, error.detail)


class ArrivalDesk:
    """Takes settled paths in, in a thread if asked to; results are collected by the tick.

    ``wake_fds`` are readable when there is something to collect, so that a file does not wait for the next tick.
    """

    def __init__(self, settings: Settings, *, threaded: bool) -> None:
        self.settings = settings
        self._waiting: queue.SimpleQueue[tuple[Settled, datetime] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self._open = 0
        self._thread: threading.Thread | None = None
        self.wake_fds: tuple[int, ...] = ()
        if threaded:
            self.wake_fds = (os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC),)
            self._thread = threading.Thread(target=self._work, args=self.wake_fds, name="arrival", daemon=True)
            self._thread.start()

    @property
    def busy(self) -> int:
        """How many paths were handed in and not yet collected."""
        return self._open

    def hand_in(self, settled: Settled, now: datetime) -> None:
        """Give one settled path to the desk."""
        self._open += 1
        if self._thread is None:
            self._done.put(take_in(settled, self.settings, now))
        else:
            self._waiting.put((settled, now))

    def collect(self, limit: int) -> list[Arrived]:
        """Return what is finished, at most ``limit``."""
        for fd in self.wake_fds:
            with suppress(BlockingIOError):
                os.eventfd_read(fd)
        finished: list[Arrived] = []
        while len(finished) < limit and not self._done.empty():
            finished.append(self._done.get())
        self._open -= len(finished)
        return finished

    def stop(self) -> None:
        """Let the thread end after the file it is reading; what was not collected is found again by the next scan."""
        if self._thread is not None:
            self.wake_fds = ()  # the thread closes it, for only the thread knows when it writes no more
            self._waiting.put(None)

    def _work(self, wake_fd: int) -> None:
        for settled, now in iter(self._waiting.get, None):
            self._done.put(take_in(settled, self.settings, now))
            os.eventfd_write(wake_fd, 1)
        os.close(wake_fd)
