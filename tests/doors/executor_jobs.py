"""What the workers of the executor tests run: each job says by its id what it does."""

import os
import resource
import signal
import sys
import time
from pathlib import Path

from ingestd.records import Outcome

PREPARED = []


def prepare():
    """Stand in for the imports of a real worker."""
    PREPARED.append("yes")


def prepare_badly():
    """Fail as a broken installation does."""
    sys.exit(3)


class Unpicklable(Exception):
    """An error that cannot leave the process, with a text that never ends."""

    def __init__(self):
        super().__init__("long " * 10_000)
        self.handle = lambda: None

    def __reduce__(self):
        raise TypeError("cannot be pickled")


class Mute(Exception):
    """An error that raises when it is asked what it is."""

    def __str__(self):
        raise ValueError("no text")


def run(job):
    """Do what the first word of the job's id says; the second is its argument."""
    what, _, argument = job.job_id.partition(" ")
    return ACTIONS[what](job, argument)


def _done(job, argument):
    return Outcome(job.job_id, "done", reason=argument, sha256=str(os.getpid()), size_bytes=len(PREPARED))


def _sleep(job, argument):
    time.sleep(float(argument))
    return _done(job, argument)


def _touch_and_sleep(job, argument):
    Path(argument).write_text(str(os.getpid()))
    time.sleep(600)
    return _done(job, argument)


def _kill(job, argument):
    os.kill(os.getpid(), int(argument))
    return _done(job, argument)


def _exit(_job, argument):
    os._exit(int(argument))


def _raise(_job, argument):
    raise {"unpicklable": Unpicklable, "mute": Mute, "exit": SystemExit, "interrupt": KeyboardInterrupt}[argument]


def _allocate(job, argument):
    return _done(job, str(len(bytearray(int(argument)))))


def _limits(job, _):
    space, core = resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CORE)[0]
    return _done(job, f"{space} {core}")


def _nothing(_job, _):
    return None


def _huge(job, _):
    return Outcome(job.job_id, "done", sha256="x" * (9 << 20))


def _odd(job, _):
    return Outcome(job.job_id, "done", metrics=(lambda: None,))


def _talkative(job, _):
    return Outcome(job.job_id, "failed", reason="word " * 1000)


def _sigterm_self(job, argument):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)
    return _done(job, argument)


ACTIONS = {
    "done": _done,
    "sleep": _sleep,
    "touch": _touch_and_sleep,
    "kill": _kill,
    "exit": _exit,
    "raise": _raise,
    "allocate": _allocate,
    "limits": _limits,
    "nothing": _nothing,
    "huge": _huge,
    "odd": _odd,
    "talkative": _talkative,
    "signals": _sigterm_self,
}
