"""Prometheus: what the daemon counts as it works, and what the catalogue holds, as one exposition text.

Counters and histograms live in this process and begin at zero when it starts. Quality figures, frame counts and the
masters in use are read from the catalogue at each scrape, so they survive a restart. Labels come from closed sets only,
and no metric has more than ``MAX_SERIES`` series, whatever the headers say.
"""

from ingestd.doors.exporter.figures import BreakCount, CoverageCount, Figures, FrameCount, MasterInUse, QaValue
from ingestd.doors.exporter.labels import MAX_SERIES
from ingestd.doors.exporter.telemetry import JOBS, STAGES, STATUSES, Stage, Telemetry

__all__ = [
    "JOBS",
    "MAX_SERIES",
    "STAGES",
    "STATUSES",
    "BreakCount",
    "CoverageCount",
    "Figures",
    "FrameCount",
    "MasterInUse",
    "QaValue",
    "Stage",
    "Telemetry",
]
