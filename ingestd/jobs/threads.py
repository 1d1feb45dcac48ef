"""The threads of a worker: two, for numpy and hashing release the interpreter, but the calls between do not."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

THREADS = min(2, len(os.sched_getaffinity(0)))
"""A third would only wait for its turn."""


def pool() -> ThreadPoolExecutor:
    """Return the threads, for use as a context manager: an error in one is raised when its result is asked for."""
    return ThreadPoolExecutor(THREADS, "job")
