"""What a root is asked and what it answers: values that pass between the poll and the thread of a root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ingestd.doors.watcher.walk import LeftOut
from ingestd.records import FileStamp

Mode = Literal["watched", "polled", "fallback", "missing"]


@dataclass(frozen=True, slots=True)
class Condition:
    """How a root is followed, why it is not followed better, and whether that began with this request (``renewed``).

    ``watched``: by events and scans; ``polled``: by scans alone, on a network mount or by setting; ``fallback``: by
    scans alone, as there are no events to be had; ``missing``: not at all.
    """

    mode: Mode
    detail: str
    renewed: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Request: see whether root and subscription still stand, and subscribe if that is due."""

    asked: float


@dataclass(frozen=True, slots=True)
class Scan:
    """Request: check, then meet every file. ``renew``: events were lost, so subscribe anew."""

    asked: float
    renew: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Request: the stamps of these files, or of the frames below these directories."""

    asked: float
    paths: tuple[str, ...]
    directories: tuple[str, ...] = ()


Request = Check | Scan | Look


@dataclass(frozen=True, slots=True)
class Found:
    """Answer: files that are not known with this stamp. ``by_event``: below a directory that an event named."""

    root: str
    asked: float
    files: tuple[tuple[str, FileStamp], ...]
    by_event: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """Answer to a look: the stamps (None: no regular file) and the paths that gave an error."""

    root: str
    asked: float
    files: tuple[tuple[str, FileStamp | None], ...]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """Answer to a check, and the first answer to a scan (``is_scanning``)."""

    root: str
    asked: float
    condition: Condition
    is_scanning: bool


@dataclass(frozen=True, slots=True)
class Scanned:
    """Last answer to a scan, after its ``Found``: known files that are gone, files met, what is left out."""

    root: str
    asked: float
    vanished: tuple[str, ...]
    files: int
    left_out: LeftOut


Answer = Found | Looked | Checked | Scanned
