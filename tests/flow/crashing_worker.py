"""Real workers that die of some frames: importable, because worker processes import what they run."""

from __future__ import annotations

import ctypes
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from ingestd.jobs import Worker
from ingestd.records import Job, Outcome, ReduceFrame


@dataclass(frozen=True, slots=True)
class CrashingWorker:
    """Dies as ``manner`` says when it is to reduce the file of this name; otherwise it works.

    With ``once`` (a path) it dies only while that file does not exist, and makes it.
    """

    worker: Worker
    file_name: str
    manner: str
    once: str = ""

    def __call__(self, job: Job) -> Outcome:
        """Return what became of a job, or die."""
        if isinstance(job, ReduceFrame) and Path(job.member.path).name == self.file_name and self._must_die():
            if self.manner == "segfault":
                ctypes.string_at(0)
            elif self.manner == "hang":
                signal.pause()
            else:
                os._exit(7)
        return self.worker(job)

    def _must_die(self) -> bool:
        """Return whether this is the time."""
        if not self.once:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
