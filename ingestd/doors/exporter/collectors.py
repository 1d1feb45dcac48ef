"""Collectors: at each scrape they turn the state of the catalogue, the daemon and the process into metrics."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingestd.doors.exporter.labels import MAX_SERIES, Family, Labels
from ingestd.metrics import METRICS
from ingestd.records import VERSION, Kind, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client import CollectorRegistry

    from ingestd.doors.exporter.figures import BreakCount, CoverageCount, FrameCount, LastGood, MasterInUse, QaValue

GAUGES = {
    "ingestd_queue_depth": "Jobs and rebuilds that are due and not yet finished.",
    "ingestd_arrivals_waiting": "Files seen in a watched directory that are not yet complete.",
    "ingestd_disk_free_bytes": "Free space on the file system of the data directory.",
    "ingestd_disk_reserve_bytes": "Free space below which writing pauses (limits.min_free_bytes).",
    "ingestd_watched_roots": "Watched directories named in the settings.",
    "ingestd_watched_roots_present": "Watched directories that exist and are being watched.",
    "ingestd_last_scan_timestamp_seconds": "When the last reconciling scan ended.",
    "ingestd_last_tick_timestamp_seconds": "When the daemon last finished a round of its work.",
    "ingestd_workers": "Worker processes.",
    "ingestd_workers_busy": "Worker processes that are executing a job.",
}

COVERAGE = {
    "ingestd_combinations_covered": ("covered", "Combinations that science used lately and a valid master serves."),
    "ingestd_combinations_expiring": ("expiring", "Those that no master will serve in a week."),
    "ingestd_combinations_missing": ("missing", "Those that no valid master serves."),
    "ingestd_calibration_frames_to_take": ("frames_to_take", "Fewest frames that would make what is missing."),
}

_OLDEST = datetime.min.replace(tzinfo=UTC)


class CatalogueCollector(Collector):
    """Turns a reading of the catalogue into metrics.

    Parameters
    ----------
    last_good : LastGood
        The source of the figures.
    labels : Labels
        The closed sets of label values.
    now : callable
        Returns the time (aware UTC) that the ages of masters are measured at.
    """

    def __init__(self, last_good: LastGood, labels: Labels, now: Callable[[], datetime]) -> None:
        self._last_good = last_good
        self._labels = labels
        self._now = now

    def describe(self) -> list[Metric]:
        """Name no metric, so that registering does not read the catalogue."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the newest reading."""
        figures, is_answering = self._last_good.get()
        families = [
            self._frames(figures.frames),
            *self._masters(figures.masters),
            *self._coverage(figures.coverage),
            self._breaks(figures.breaks),
            *self._quality(figures.qa),
        ]
        yield from (family.metric for family in families)
        yield _gauge("ingestd_catalogue_readable", "1 if the catalogue answered when last asked.", float(is_answering))
        cut = float(sum(family.cut for family in families))
        yield _gauge("ingestd_series_cut", f"Series left out because a metric has at most {MAX_SERIES}.", cut)

    def _frames(self, counts: Sequence[FrameCount]) -> Family:
        """Return the number of frames by state and kind; every state and kind is there, also with 0."""
        numbers = {(str(state), str(kind)): 0 for state in State for kind in Kind}
        for count in counts:
            key = count.state, self._labels.kind(count.kind)
            if key in numbers:
                numbers[key] += count.frames
        family = Family("ingestd_frames", "Frames in the catalogue.", ("state", "kind"))
        for labels, number in numbers.items():
            family.put(labels, number)
        return family

    def _masters(self, masters: Sequence[MasterInUse]) -> Iterator[Family]:
        """Yield whether there is a master, its age and its last observation; the newest masters first."""
        names = ("camera", "kind", "filter")
        available = Family(
            "ingestd_master_available", "1 if a frame taken now would get a master of this kind, 0 if none fits.", names
        )
        age = Family("ingestd_master_age_seconds", "Age of the master in use, or of the newest where none fits.", names)
        grade = Family("ingestd_master_grade", "Grade of that master: 0 green, 1 yellow, 2 orange, 3 red.", names)
        last = Family("ingestd_master_last_observation_timestamp_seconds", "Newest member of that master.", names)
        now = self._now()
        for row in sorted(masters, key=lambda row: row.last_obs or _OLDEST, reverse=True):
            labels = self._labels.camera(row.camera), self._labels.kind(row.kind), self._labels.filter(row.filter_name)
            available.put(labels, float(row.is_available))
            if row.grade is not None:
                grade.put(labels, float(row.grade))
            if row.first_obs is not None and row.last_obs is not None:
                age.put(labels, _age_s(row.first_obs, row.last_obs, now))
                last.put(labels, row.last_obs.timestamp())
        yield from (available, age, grade, last)

    def _coverage(self, counts: Sequence[CoverageCount]) -> Iterator[Family]:
        """Yield how the combinations that science used lately are covered; cameras of one label are added up."""
        for name, (field, help_text) in COVERAGE.items():
            numbers: dict[tuple[str, str], int] = {}
            for count in counts:
                key = self._labels.camera(count.camera), self._labels.kind(count.kind)
                numbers[key] = numbers.get(key, 0) + getattr(count, field)
            family = Family(name, help_text, ("camera", "kind"))
            for labels, number in numbers.items():
                family.put(labels, number)
            yield family

    def _breaks(self, counts: Sequence[BreakCount]) -> Family:
        """Return the number of breaks between hardware epochs; cameras of one label are added up."""
        numbers: dict[tuple[str, str], int] = {}
        for count in counts:
            key = self._labels.camera(count.camera), count.status
            numbers[key] = numbers.get(key, 0) + count.breaks
        family = Family("ingestd_epoch_breaks", "Breaks between hardware epochs.", ("camera", "status"))
        for labels, number in numbers.items():
            family.put(labels, number)
        return family

    def _quality(self, values: Sequence[QaValue]) -> Iterator[Family]:
        """Yield one family for each declared quality figure that has a value, the newest values first."""
        names = ("camera", "kind", "filter", "plane", "channel")
        families = {
            row.name: Family(f"ingestd_{row.name}", f"{row.help.rstrip('.')} ({row.unit or 'no unit'}).", names)
            for row in METRICS
        }
        newest = Family(
            "ingestd_qa_last_observation_timestamp_seconds",
            "Observation time of the newest frame or master with quality figures.",
            ("camera", "kind"),
        )
        used = set()
        for row in sorted(values, key=lambda row: row.time or _OLDEST, reverse=True):
            if row.metric not in families:
                continue
            camera, kind = self._labels.camera(row.camera), self._labels.kind(row.kind)
            place = self._labels.plane(row.plane), self._labels.channel(row.channel)
            families[row.metric].put((camera, kind, self._labels.filter(row.filter_name), *place), row.value)
            used.add(row.metric)
            if row.time is not None:
                newest.put((camera, kind), row.time.timestamp())
        yield newest
        yield from (family for name, family in families.items() if name in used)


class ProcessCollector(Collector):
    """Memory, open files and processor time of the daemon; /proc/self is enough, as a hardened service sees no more."""

    def describe(self) -> list[Metric]:
        """Name no metric before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the figures that the kernel gives."""
        used = os.times()
        cpu = CounterMetricFamily("process_cpu_seconds", "Processor time of the daemon without its workers.")
        cpu.add_metric((), used.user + used.system)
        yield cpu
        try:
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
            files = len(os.listdir("/proc/self/fd")) - 1  # without the one that lists  # noqa: PTH208 - names only
        except (OSError, ValueError, IndexError):
            return
        yield _gauge(
            "process_resident_memory_bytes", "Resident memory of the daemon.", pages * os.sysconf("SC_PAGESIZE")
        )
        yield _gauge("process_open_fds", "Open files of the daemon.", files)


class GaugeCollector(Collector):
    """Gauges without labels: absent until they are set, so that no alert fires on a zero that nobody measured."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._valid_s: Mapping[tuple[str, str], float] = {}

    def describe(self) -> list[Metric]:
        """Name no metric before the first scrape."""
        return []

    def put(self, name: str, value: float) -> None:
        """Set one of the declared gauges."""
        if name not in GAUGES:
            raise KeyError(name)
        self._values[name] = value

    def put_valid(self, valid_s: Mapping[tuple[str, str], float]) -> None:
        """Set how long the masters of each camera and kind are valid after their last frame, in seconds."""
        self._valid_s = dict(valid_s)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges that have been set."""
        for name, value in sorted(self._values.copy().items()):
            yield _gauge(name, GAUGES[name], value)
        words = "How long a master is valid after its last frame."
        valid = GaugeMetricFamily("ingestd_master_valid_seconds", words, labels=("camera", "kind"))
        for labels, seconds in self._valid_s.items():
            valid.add_metric(labels, seconds)
        yield valid
        build = GaugeMetricFamily("ingestd_build_info", "1, with the version of ingestd.", labels=("version",))
        build.add_metric((VERSION,), 1)
        yield build


class WithoutCreated(Collector):
    """A registry without the ``_created`` times that the client adds to counters and histograms."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with the samples that carry a figure."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if sample.name != f"{metric.name}_created"]
            yield metric


def _age_s(first_obs: datetime, last_obs: datetime, now: datetime) -> float:
    """Return the distance of ``now`` to the interval from first to last member in seconds, 0 inside."""
    return max((first_obs - now).total_seconds(), (now - last_obs).total_seconds(), 0.0)


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, help_text, value=value)
