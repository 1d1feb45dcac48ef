"""The daemon with one deliberate fault, to prove that the kill loop finds it: ``INGESTD_UNSAFE`` names the fault.

The fault is put in when this module is imported, because worker processes import it too.
"""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestd.cli import main
from ingestd.daemon import scanning, service
from ingestd.doors import fitsfile
from ingestd.flow.recording import Recorder, explanation_of
from ingestd.records import BuildMaster, Calibration, Job, Outcome, ReduceFrame

_remember = Recorder.remember


class _InPlaceWriter(fitsfile.ProductWriter):
    """Writes straight to the final name: no temporary file, no sync, no rename."""

    def _open_temporary(self) -> None:
        self._fd = os.open(self.path.name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640, dir_fd=self._directory)

    def commit(self) -> tuple[str, int]:
        """Close the file."""
        self.abort()
        content = self.path.read_bytes()
        return hashlib.sha256(content).hexdigest(), len(content)


class _LateWriter(fitsfile.ProductWriter):
    """Reports the product a moment before it has its name."""

    def commit(self) -> tuple[str, int]:
        """Rename after the answer."""
        content = Path(self.path.parent, self._temporary).read_bytes()
        threading.Timer(0.2, super().commit).start()
        return hashlib.sha256(content).hexdigest(), len(content)

    def __exit__(self, *_: object) -> None:
        """Leave it to the timer."""


def _remember_as_done(recorder: Recorder, job: Job, calibration: Calibration | None) -> None:
    """Record the master or product when the work is handed out, before it exists."""
    _remember(recorder, job, calibration)
    outcome, now = Outcome(job.job_id, "done", sha256="0" * 64), datetime.now(UTC)
    if isinstance(job, BuildMaster):
        recorder._catalogue.record_master(recorder._master(job, outcome), job.job_id, outcome, {}, now)
    if isinstance(job, ReduceFrame) and calibration is not None:
        relative = str(Path(job.product).relative_to(recorder.settings.data_dir))
        explanation = explanation_of(calibration)
        recorder._catalogue.record_reduction(job.member.frame, job, outcome, relative, explanation, now, units={})


def _recover_nothing(*_: Any) -> None:
    """Leave everything as the kill left it."""


def _without_recovery() -> None:
    """Have neither the service nor a scan recover."""
    for module in (scanning, service):
        module.recover = _recover_nothing


VARIANTS = {
    "in_place": lambda: setattr(fitsfile, "ProductWriter", _InPlaceWriter),
    "late_rename": lambda: setattr(fitsfile, "ProductWriter", _LateWriter),
    "row_first": lambda: setattr(Recorder, "remember", _remember_as_done),
    "no_recovery": _without_recovery,
}

if "INGESTD_UNSAFE" in os.environ:
    VARIANTS[os.environ["INGESTD_UNSAFE"]]()

if __name__ == "__main__":
    main()
