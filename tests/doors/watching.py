"""A watcher in a test: driven by poll(now), woken by real events.

Only events are waited for, with a deadline: they come from the kernel when it likes.
"""

import ctypes
import select
import time
from contextlib import contextmanager
from pathlib import Path

from ingestd.doors.watcher import Watcher
from ingestd.settings import Arrival

ARRIVAL = Arrival(
    settle_s=1.0,
    settle_closed_s=0.2,
    settle_polled_s=5.0,
    scan_interval_s=60.0,
    scan_interval_polled_s=10.0,
    give_up_s=3600.0,
    polling="auto",
)
DEADLINE_S = 20.0


@contextmanager
def watching(*roots, known=None, threaded=False, arrival=ARRIVAL, **more):
    watcher = Watcher(roots, arrival, known=known or {}, threaded=threaded, **more)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def names(files):
    return sorted(Path(file if isinstance(file, str) else file.path).name for file in files)


def wait_for_events(watcher, now, condition):
    """Poll at one instant, whenever the watcher is woken, until the condition holds; return what settled."""
    end = time.monotonic() + DEADLINE_S
    settled = []
    while not condition():
        left = end - time.monotonic()
        assert left > 0, "the events did not come"
        select.select([watcher], [], [], min(left, 0.1))
        settled += watcher.poll(now).settled
    return settled


def has_been_closed(watcher, path):
    pending = watcher._settling._pending.get(str(path))
    return pending is not None and pending.is_closed


def settle(watcher, now):
    """Poll now and after the settling time; return what settled then."""
    watcher.poll(now)
    return watcher.poll(now + 1.0).settled


def gather(watcher, start, count):
    """Poll every second from ``start`` until so many files settled: a late event may have reset the one or other."""
    settled = []
    for second in range(100):
        settled += watcher.poll(start + second).settled
        if len(settled) >= count:
            return settled
    raise AssertionError(f"only {len(settled)} of {count} files settled")


def take(watcher, files):
    for file in files:
        watcher.taken(file.path, file.stamp)


@contextmanager
def unreadable(*paths):
    """Take away all rights to paths; root does without its power over them meanwhile, in this thread."""
    rights = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0)
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, of capabilities 0 to 31 and 32 to 63
    libc.capget(header, sets)
    effective = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc.capset(header, sets)
    try:
        yield
    finally:
        sets[0] = effective
        libc.capset(header, sets)
        for path, right in rights.items():
            path.chmod(right)


def write(path, content=b"SIMPLE"):
    path.write_bytes(content)
    return path
