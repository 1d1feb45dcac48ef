"""What a worker executes: an order goes in, an outcome comes out. The only place where files meet arithmetic.

A worker knows nothing but its order. It hashes the bytes that it reads, gives up (``changed``) unless they are those of
the order, and writes to a path that is a function of the order alone, so a job may be killed and repeated at any time.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from ingestd.doors import fitsfile
from ingestd.errors import FrameChanged, FrameRejected, MasterLost, ProductNotWritten
from ingestd.jobs.masters import build_master
from ingestd.jobs.measuring import measure_frame
from ingestd.jobs.science import reduce_frame
from ingestd.jobs.standing import measure_master
from ingestd.records import BuildMaster, Job, MeasureFrame, MeasureMaster, Outcome, ReduceFrame
from ingestd.settings import Limits

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """Carries out one job at a time; sent to worker processes whole."""

    limits: Limits

    def __call__(self, job: Job) -> Outcome:
        """Return what became of a job; errors of the content and of our side become outcomes here and nowhere else."""
        begun = time.monotonic()
        try:
            outcome = self._carry_out(job)
        except FrameChanged as error:
            outcome = Outcome(job.job_id, "changed", str(error))
        except FrameRejected as error:
            outcome = Outcome(job.job_id, "rejected", str(error), frame_id=error.frame_id or _only_frame(job))
        except MasterLost as error:
            outcome = Outcome(job.job_id, "failed", str(error), lost_master=error.path)
        except ProductNotWritten as error:
            outcome = Outcome(job.job_id, "disk_full" if fitsfile.is_disk_full(error) else "failed", str(error))
        except (OSError, MemoryError) as error:
            outcome = Outcome(job.job_id, "failed", f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - the one level where a program error ends: one job fails
            _log.exception("A program error in job %s", job.job_id[:8])
            outcome = Outcome(job.job_id, "failed", f"program error: {type(error).__name__}: {error}")
        return replace(outcome, seconds=time.monotonic() - begun)

    def _carry_out(self, job: Job) -> Outcome:
        match job:
            case MeasureFrame():
                return measure_frame(job, self.limits)
            case MeasureMaster():
                return measure_master(job)
            case BuildMaster():
                return build_master(job, self.limits)
            case ReduceFrame():
                return reduce_frame(job, self.limits)


def _only_frame(job: Job) -> str | None:
    """Return the frame whose content an error must be about, if the job is about one frame."""
    return job.member.frame.frame_id if isinstance(job, MeasureFrame | ReduceFrame) else None
