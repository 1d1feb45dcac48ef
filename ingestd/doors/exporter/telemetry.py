"""Telemetry: the live figures of the daemon, updated from any thread and rendered for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from ingestd.doors.exporter.collectors import CatalogueCollector, GaugeCollector, ProcessCollector, WithoutCreated
from ingestd.doors.exporter.figures import Figures, LastGood
from ingestd.doors.exporter.labels import Labels
from ingestd.records import CALIBRATION_KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ingestd.settings import Settings

Stage = Literal["arrive", "read", "plan", "measure", "combine", "reduce", "record", "total"]
STAGES: tuple[Stage, ...] = ("arrive", "read", "plan", "measure", "combine", "reduce", "record")
JOBS = {
    "MeasureFrame": "measure_frame",
    "MeasureMaster": "measure_master",
    "BuildMaster": "build_master",
    "ReduceFrame": "reduce_frame",
}
STATUSES = ("done", "changed", "rejected", "disk_full", "failed", "crashed")

# Seven stages times (10 buckets + infinity + sum + count) are 91 series. A small frame is read in a millisecond; a
# master of 50 large frames takes minutes.
_STAGE_BUCKETS_S = (0.001, 0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 300.0)
# From settling (0.2 s) up to a frame that waited an hour for its master.
_TOTAL_BUCKETS_S = (0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Telemetry:
    """The live figures of the daemon; every method may be called from any thread.

    Parameters
    ----------
    settings : Settings
        Gives the camera names, the validity of masters and the disk reserve.
    now : callable
        Returns the time (aware UTC).
    query : callable or None
        Returns ``Figures``; called on a thread of its own at a scrape, at most every 2 s. None: no catalogue.
    """

    def __init__(
        self, settings: Settings, now: Callable[[], datetime], query: Callable[[], Figures] | None = None
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._labels = Labels(())
        self._gauges = GaugeCollector()
        self._frames = Counter(
            "ingestd_frames_taken", "Frames added to the catalogue.", ("camera", "kind"), registry=self.registry
        )
        self._jobs = Counter(
            "ingestd_jobs", "Finished jobs by what became of them.", ("job", "status"), registry=self.registry
        )
        stages = Histogram(
            "ingestd_stage_duration_seconds",
            "Duration of one stage of the path of a frame.",
            ("stage",),
            buckets=_STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._total = Histogram(
            "ingestd_product_latency_seconds",
            "From the first sight of a science frame to its product on disk.",
            buckets=_TOTAL_BUCKETS_S,
            registry=self.registry,
        )
        self._stages = {"total": self._total} | {stage: stages.labels(stage) for stage in STAGES}
        self.registry.register(self._gauges)
        self.registry.register(ProcessCollector())
        if query is not None:
            self.registry.register(CatalogueCollector(LastGood(query), self._labels, now))
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Take the camera names and limits of new settings."""
        self._labels.set_cameras(camera.name for camera in settings.camera)
        valid_s = {
            (self._labels.camera(name), str(kind)): settings.rules_of(name).master(kind).after_d * 86400.0
            for name in (*(camera.name for camera in settings.camera), "")  # last: of all without a label of their own
            for kind in CALIBRATION_KINDS
        }
        self._gauges.put_valid(valid_s)
        self._gauges.put("ingestd_disk_reserve_bytes", settings.limits.min_free_bytes)

    def frame_taken(self, camera: str, kind: Kind | str) -> None:
        """Count a frame that was added to the catalogue."""
        self._frames.labels(self._labels.camera(camera), self._labels.kind(kind)).inc()

    def outcome(self, job_name: str, status: str) -> None:
        """Count a finished job: the name of its class in ``records`` and the status of its ``Outcome``."""
        self._jobs.labels(JOBS.get(job_name, "other"), status if status in STATUSES else "other").inc()

    def observe(self, stage: Stage, seconds: float) -> None:
        """Record the duration of a stage; ``total`` is the time from first sight to product."""
        self._stages[stage].observe(max(seconds, 0.0))

    def set_queue_depth(self, jobs: int) -> None:
        """Set the number of jobs and rebuilds that are due."""
        self._gauges.put("ingestd_queue_depth", jobs)

    def set_arrivals_waiting(self, files: int) -> None:
        """Set the number of files that are not yet complete."""
        self._gauges.put("ingestd_arrivals_waiting", files)

    def set_disk_free(self, free_bytes: int) -> None:
        """Set the free space of the data directory in bytes."""
        self._gauges.put("ingestd_disk_free_bytes", free_bytes)

    def set_watched_roots(self, present: int, configured: int) -> None:
        """Set how many of the configured directories are being watched."""
        self._gauges.put("ingestd_watched_roots_present", present)
        self._gauges.put("ingestd_watched_roots", configured)

    def set_last_scan(self, at: datetime) -> None:
        """Set when the last reconciling scan ended (aware UTC)."""
        self._gauges.put("ingestd_last_scan_timestamp_seconds", at.timestamp())

    def set_last_tick(self, at: datetime) -> None:
        """Set when the daemon last finished a round (aware UTC)."""
        self._gauges.put("ingestd_last_tick_timestamp_seconds", at.timestamp())

    def set_workers(self, busy: int, processes: int) -> None:
        """Set how many of the worker processes execute a job."""
        self._gauges.put("ingestd_workers_busy", busy)
        self._gauges.put("ingestd_workers", processes)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format 0.0.4."""
        return generate_latest(WithoutCreated(self.registry))
