"""The single scan of a command: all files now, after one settling interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ingestd.doors.watcher.settle import Settled, Waiting
from ingestd.doors.watcher.walk import look_at
from ingestd.records import FileStamp


def look_twice(
    found: Mapping[str, tuple[FileStamp, float]],
    wait: Callable[[float], None],
    progress: Callable[[int, int], None] | None,
) -> tuple[tuple[Settled, ...], tuple[Waiting, ...]]:
    """Return which files are unchanged at a second look after their settling time, and which are still waiting.

    Parameters
    ----------
    found : mapping of path to (FileStamp, second)
        The files at the first look, each with its settling time.
    wait : callable (seconds)
        Lets the longest settling time pass, once.
    progress : callable (done, total), optional
        Called after each second look.
    """
    if found:
        wait(max(settle_s for _, settle_s in found.values()))
    settled: list[Settled] = []
    waiting: list[Waiting] = []
    for number, (path, (stamp, settle_s)) in enumerate(found.items(), 1):
        try:
            again = look_at(path)
        except OSError:
            waiting.append(Waiting(path, "unreadable", settle_s))
        else:
            if again == stamp and stamp.size_bytes > 0:
                settled.append(Settled(path, stamp, "scan", settle_s, settle_s, gave_up=False))
            elif again is not None:
                waiting.append(Waiting(path, "growing", settle_s))
        if progress is not None:
            progress(number, len(found))
    return tuple(settled), tuple(waiting)
