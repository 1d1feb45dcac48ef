"""What the exporter shows of the catalogue: plain values, and the last good reading of them."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FrameCount:
    """How many frames of one kind are in one state."""

    state: str
    kind: str
    frames: int


@dataclass(frozen=True, slots=True)
class QaValue:
    """The newest value of one quality figure; ``time`` is the observation time.

    ``channel`` is an amplifier or a colour inside the plane, empty for all of it.
    """

    metric: str
    value: float
    camera: str
    kind: str
    filter_name: str | None
    plane: int | None
    time: datetime | None
    channel: str = ""


@dataclass(frozen=True, slots=True)
class MasterInUse:
    """The master that a frame taken now would get, by the observation times of its members.

    ``is_available`` is False where none fits; the times are then those of the newest master of the kind, or None.
    ``grade`` is 0 for green to 3 for red, None without a master.
    """

    camera: str
    kind: str
    filter_name: str | None
    first_obs: datetime | None
    last_obs: datetime | None
    is_available: bool = True
    grade: int | None = None


@dataclass(frozen=True, slots=True)
class CoverageCount:
    """How many combinations that science used lately a kind of calibration covers, will soon not cover, does not cover.

    ``frames_to_take`` is the smallest number of frames that would make the masters that are missing.
    """

    camera: str
    kind: str
    covered: int
    expiring: int
    missing: int
    frames_to_take: int


@dataclass(frozen=True, slots=True)
class BreakCount:
    """How many breaks between hardware epochs of a camera have one status."""

    camera: str
    status: str
    breaks: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading of the catalogue."""

    frames: Sequence[FrameCount] = ()
    qa: Sequence[QaValue] = ()
    masters: Sequence[MasterInUse] = ()
    coverage: Sequence[CoverageCount] = ()
    breaks: Sequence[BreakCount] = ()


class LastGood:
    """The last good reading of the catalogue, renewed at most every ``keep_s`` seconds and waited for ``patience_s``.

    The query runs on a thread of its own, one at a time: a busy or broken catalogue delays no scrape beyond
    ``patience_s`` and takes no figure away.
    """

    def __init__(
        self,
        query: Callable[[], Figures],
        *,
        keep_s: float = 2.0,
        patience_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._query = query
        self._keep_s = keep_s
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tried_at: float | None = None
        self._figures = Figures()
        self._problem = ""

    def get(self) -> tuple[Figures, bool]:
        """Return the newest figures, and whether the catalogue answered when it was last asked."""
        thread = self._renew()
        if thread is not None:
            thread.join(self._patience_s)
        with self._lock:
            is_answering = not self._problem and self._thread is None
            return self._figures, is_answering

    def _renew(self) -> threading.Thread | None:
        """Start a reading if one is due; return the thread that is reading, if any."""
        with self._lock:
            is_due = self._tried_at is None or self._monotonic() - self._tried_at >= self._keep_s
            if self._thread is None and is_due:
                self._thread = threading.Thread(target=self._read, name="catalogue-figures", daemon=True)
                self._thread.start()
            return self._thread

    def _read(self) -> None:
        """Ask the catalogue once; keep the former figures if it does not answer."""
        figures, problem = None, ""
        try:
            figures = self._query()
        except Exception as error:  # noqa: BLE001 - the one level where a failed reading ends: figures stay, the gauge tells
            problem = f"{type(error).__name__}: {error}"
        with self._lock:
            if problem and not self._problem:
                log.warning("Metrics show the last known figures: the catalogue cannot be read: %s", problem[:200])
            self._problem = problem
            self._figures = self._figures if figures is None else figures
            self._tried_at = self._monotonic()
            self._thread = None
