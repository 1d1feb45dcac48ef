"""Metrics as Prometheus reads them: parsed back from the text, and judged by promtool."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args, get_type_hints

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingestd.doors.exporter import (
    JOBS,
    MAX_SERIES,
    STAGES,
    STATUSES,
    BreakCount,
    CoverageCount,
    Figures,
    FrameCount,
    MasterInUse,
    QaValue,
    Telemetry,
)
from ingestd.doors.exporter.figures import LastGood
from ingestd.doors.exporter.labels import MAX_FILTERS
from ingestd.metrics import METRICS
from ingestd.records import Job, Kind, Outcome, State
from ingestd.settings import Settings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
SETTINGS = parse_settings({"camera": [{"name": "north"}, {"name": "south"}]})


def telemetry(figures: Figures | None = None, settings: Settings = SETTINGS) -> Telemetry:
    return Telemetry(settings, lambda: NOW, None if figures is None else lambda: figures)


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample of an exposition text by name and sorted labels, and fail where one comes twice."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text.decode("utf-8")):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def value(text: bytes, name: str, **labels: str) -> float:
    return samples(text)[name, tuple(sorted(labels.items()))]


def qa(name: str, number: float, **other: object) -> QaValue:
    known: dict[str, object] = {
        "camera": "north", "kind": "bias", "filter_name": None, "plane": 0, "time": NOW,
    }  # fmt: skip
    return QaValue(name, number, **(known | other))  # type: ignore[arg-type]


def full() -> Telemetry:
    """Return a telemetry in which every metric has a value."""
    shown = telemetry(
        Figures(
            frames=[FrameCount("done", "bias", 3), FrameCount("waiting", "light", 2)],
            qa=[qa(row.name, 1.5, kind=str(row.kinds[0])) for row in METRICS],
            masters=[MasterInUse("north", "flat", "V", NOW - timedelta(hours=3), NOW - timedelta(hours=2), grade=0)],
            coverage=[CoverageCount("north", "flat", 3, 1, 2, 6)],
        )
    )
    shown.frame_taken("north", Kind.BIAS)
    for job in JOBS:
        shown.outcome(job, "done")
    for stage in STAGES:
        shown.observe(stage, 0.25)
    shown.observe("total", 1.2)
    shown.set_queue_depth(4)
    shown.set_arrivals_waiting(1)
    shown.set_disk_free(10**9)
    shown.set_watched_roots(1, 2)
    shown.set_last_scan(NOW)
    shown.set_last_tick(NOW)
    shown.set_workers(1, 2)
    return shown


def test_promtool_finds_nothing() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    text = full().render()
    for row in METRICS:
        assert f"\ningestd_{row.name}{{".encode() in text
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_counters_count_by_closed_labels() -> None:
    shown = telemetry()
    for _ in range(3):
        shown.frame_taken("north", Kind.DARK)
    shown.frame_taken("a camera nobody configured", "a kind nobody knows")
    shown.frame_taken("unassigned", Kind.UNKNOWN)
    shown.outcome("ReduceFrame", "crashed")
    shown.outcome("SomethingElse", "exploded")
    text = shown.render()
    assert value(text, "ingestd_frames_taken_total", camera="north", kind="dark") == 3
    assert value(text, "ingestd_frames_taken_total", camera="other", kind="other") == 1
    assert value(text, "ingestd_frames_taken_total", camera="unassigned", kind="unknown") == 1
    assert value(text, "ingestd_jobs_total", job="reduce_frame", status="crashed") == 1
    assert value(text, "ingestd_jobs_total", job="other", status="other") == 1


def test_jobs_and_statuses_are_those_of_the_records() -> None:
    assert set(JOBS) == {job.__name__ for job in get_args(Job)}
    assert set(STATUSES) == set(get_args(get_type_hints(Outcome)["status"]))


def test_a_stage_falls_into_its_bucket() -> None:
    shown = telemetry()
    shown.observe("read", 0.004)
    shown.observe("read", 0.2)
    shown.observe("total", 7200.0)
    text = shown.render()
    # 0.004 s lies below 0.005 s; 0.2 s below 0.3 s; two hours above every bucket but infinity.
    assert value(text, "ingestd_stage_duration_seconds_bucket", stage="read", le="0.001") == 0
    assert value(text, "ingestd_stage_duration_seconds_bucket", stage="read", le="0.005") == 1
    assert value(text, "ingestd_stage_duration_seconds_bucket", stage="read", le="0.3") == 2
    assert value(text, "ingestd_stage_duration_seconds_sum", stage="read") == pytest.approx(0.204)
    assert value(text, "ingestd_product_latency_seconds_bucket", le="3600.0") == 0
    assert value(text, "ingestd_product_latency_seconds_count") == 1


def test_every_stage_is_there_from_the_start() -> None:
    text = telemetry().render()
    assert all(value(text, "ingestd_stage_duration_seconds_count", stage=stage) == 0 for stage in STAGES)


def test_a_gauge_is_absent_until_it_is_set() -> None:
    shown = telemetry()
    assert b"ingestd_last_scan_timestamp_seconds" not in shown.render()
    shown.set_last_scan(NOW)
    # 2026-01-02T12:00:00Z: 56 years of 365 days, 14 leap days (1972 to 2024), 1.5 days.
    assert value(shown.render(), "ingestd_last_scan_timestamp_seconds") == (56 * 365 + 14 + 1.5) * 86400


def test_gauges_show_what_was_set() -> None:
    text = full().render()
    expected = {
        "queue_depth": 4, "arrivals_waiting": 1, "disk_free_bytes": 1e9, "watched_roots_present": 1, "watched_roots": 2,
        "workers_busy": 1, "workers": 2, "catalogue_readable": 1, "disk_reserve_bytes": 1 << 30,
    }  # fmt: skip
    assert {name: value(text, f"ingestd_{name}") for name in expected} == expected


def test_coverage_is_counted_by_camera_and_kind() -> None:
    text = full().render()
    names = ("combinations_covered", "combinations_expiring", "combinations_missing", "calibration_frames_to_take")
    found = [value(text, f"ingestd_{name}", camera="north", kind="flat") for name in names]
    assert found == [3, 1, 2, 6]


def test_breaks_of_epochs_are_counted_by_camera_and_status() -> None:
    counts = [
        BreakCount("north", "suspected", 1),
        BreakCount("elsewhere", "detected", 2),
        BreakCount("else", "detected", 1),
    ]
    text = telemetry(Figures(breaks=counts)).render().decode()
    assert 'ingestd_epoch_breaks{camera="north",status="suspected"} 1.0' in text
    assert 'ingestd_epoch_breaks{camera="other",status="detected"} 3.0' in text


def test_coverage_of_cameras_without_a_label_of_their_own_is_added_up() -> None:
    counts = [CoverageCount(f"camera {number}", "dark", 1, 2, 3, 4) for number in range(50)]
    text = telemetry(Figures(coverage=counts)).render()
    assert value(text, "ingestd_combinations_missing", camera="other", kind="dark") == 150


def test_validity_and_cameras_follow_new_settings() -> None:
    shown = telemetry()
    own = {"name": "own", "masters": {"flat": {"valid_after_d": 7.0}}}
    shown.apply(parse_settings({"camera": [{"name": "east"}, own], "masters": {"flat": {"valid_d": 2.0}}}))
    shown.frame_taken("east", Kind.LIGHT)
    text = shown.render()
    for camera, days in (("east", 2), ("own", 7), ("other", 2)):
        assert value(text, "ingestd_master_valid_seconds", camera=camera, kind="flat") == days * 86400
    assert value(text, "ingestd_frames_taken_total", camera="east", kind="light") == 1


def test_frames_of_every_state_and_kind_are_there() -> None:
    text = telemetry(Figures(frames=[FrameCount("done", "bias", 3), FrameCount("done", "bias", 4)])).render()
    assert value(text, "ingestd_frames", state="done", kind="bias") == 7
    zeros = [(state, kind) for state in State for kind in Kind if (state, kind) != (State.DONE, Kind.BIAS)]
    assert all(value(text, "ingestd_frames", state=str(state), kind=str(kind)) == 0 for state, kind in zeros)


def test_the_age_of_a_master_is_the_distance_to_its_members() -> None:
    hour = timedelta(hours=1)
    masters = [
        MasterInUse("north", "bias", None, NOW - 3 * hour, NOW - 2 * hour),
        MasterInUse("north", "dark", None, NOW - 3 * hour, NOW + hour, grade=3),
        MasterInUse("north", "flat", "V", NOW + 2 * hour, NOW + 3 * hour),
    ]
    text = telemetry(Figures(masters=masters)).render()
    assert value(text, "ingestd_master_available", camera="north", kind="bias", filter="") == 1
    assert value(text, "ingestd_master_age_seconds", camera="north", kind="bias", filter="") == 7200
    assert value(text, "ingestd_master_age_seconds", camera="north", kind="dark", filter="") == 0
    assert value(text, "ingestd_master_grade", camera="north", kind="dark", filter="") == 3
    assert value(text, "ingestd_master_age_seconds", camera="north", kind="flat", filter="V") == 7200


def test_the_newest_quality_value_of_a_series_is_shown() -> None:
    old, new = qa("read_noise_adu", 9.0, time=NOW - timedelta(days=1)), qa("read_noise_adu", 5.84)
    undated, unknown = qa("read_noise_adu", 1.0, time=None), qa("no_such_figure", 1.0)
    text = telemetry(Figures(qa=[old, new, undated, unknown])).render()
    labels = {"camera": "north", "kind": "bias", "filter": "", "plane": "0", "channel": ""}
    assert value(text, "ingestd_read_noise_adu", **labels) == 5.84
    assert value(text, "ingestd_qa_last_observation_timestamp_seconds", camera="north", kind="bias") == NOW.timestamp()
    assert b"no_such_figure" not in text


def test_a_kind_without_a_fitting_master_is_not_available() -> None:
    text = telemetry(Figures(masters=[MasterInUse("north", "flat", "V", None, None, is_available=False)])).render()
    assert value(text, "ingestd_master_available", camera="north", kind="flat", filter="V") == 0
    assert not any(name == "ingestd_master_age_seconds" for name, _ in samples(text))


def test_filter_names_that_become_equal_are_one_series() -> None:
    figures = Figures(qa=[qa("sky_level_adu", 2.0, filter_name="r'"), qa("sky_level_adu", 1.0, filter_name="r_")])
    found = [labels for name, labels in samples(telemetry(figures).render()) if name == "ingestd_sky_level_adu"]
    assert [dict(labels)["filter"] for labels in found] == ["r_"]


def hostile_text(source: random.Random) -> str:
    alphabet = ['"', "\\", "\n", "\x00", "\udcff", "é", "💥", "{", "}", "=", ",", "a", "Z", "9", "#", " "]
    return "".join(source.choice(alphabet) for _ in range(source.randrange(60)))


def test_hostile_headers_make_no_metric_grow() -> None:
    source = random.Random(7)  # noqa: S311 - a reproducible sequence
    names = [row.name for row in METRICS]
    values = [
        qa(
            source.choice(names),
            float(number),
            camera=source.choice(["north", "south", hostile_text(source)]),
            kind=source.choice([*Kind, hostile_text(source)]),
            filter_name=source.choice(["V", "R", hostile_text(source)]),
            plane=source.choice([source.randrange(10), source.randrange(-5, 10**6)]),
            channel=source.choice(["", "A", hostile_text(source)]),
            time=NOW - timedelta(seconds=number),
        )
        for number in range(10_000)
    ]
    masters = [
        MasterInUse(row.camera, row.kind, row.filter_name, NOW - timedelta(days=1), NOW) for row in values[:2000]
    ]
    frames = [FrameCount(hostile_text(source), hostile_text(source), 1) for _ in range(1000)]
    shown = telemetry(Figures(frames, values, masters))
    for row in values[:3000]:
        shown.frame_taken(row.camera, row.kind)
        shown.outcome(row.camera, row.kind)
    text = shown.render()
    found = samples(text)
    for family, number in Counter(name for name, _ in found).items():
        assert number <= MAX_SERIES, family
    filters = {dict(labels).get("filter", "") for _, labels in found}
    assert len(filters) <= MAX_FILTERS + 2, "with none and other"
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")
    assert all(set(label) <= allowed for _, labels in found for key, label in labels if key != "le")
    assert value(text, "ingestd_series_cut") > 0


def test_the_largest_configuration_stays_below_the_limit() -> None:
    names = [f"camera{number}" for number in range(30)]
    shown = telemetry(settings=parse_settings({"camera": [{"name": name} for name in names]}))
    for name in names:
        for kind in Kind:
            shown.frame_taken(name, kind)
    for job in [*JOBS, "?"]:
        for status in [*STATUSES, "?"]:
            shown.outcome(job, status)
    families = text_string_to_metric_families(shown.render().decode("ascii"))
    assert all(len(family.samples) <= MAX_SERIES for family in families)


def test_updates_from_many_threads_are_all_counted() -> None:
    shown = telemetry()

    def work() -> None:
        for _ in range(500):
            shown.frame_taken("south", Kind.LIGHT)
            shown.observe("plan", 0.01)
            shown.set_queue_depth(1)
            if _ % 100 == 0:
                shown.render()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = shown.render()
    assert value(text, "ingestd_frames_taken_total", camera="south", kind="light") == 4000
    assert value(text, "ingestd_stage_duration_seconds_count", stage="plan") == 4000


def test_two_telemetries_share_nothing() -> None:
    first, second = telemetry(), telemetry()
    first.frame_taken("north", Kind.BIAS)
    assert b'ingestd_frames_taken_total{camera="north"' not in second.render()


# --- the last good reading ----------------------------------------------------------------------------------------


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def last_good(query: Callable[[], Figures], clock: Clock, patience_s: float = 30.0) -> LastGood:
    return LastGood(query, keep_s=2.0, patience_s=patience_s, monotonic=clock)


def test_the_catalogue_is_asked_at_most_every_two_seconds() -> None:
    asked = []
    clock = Clock()

    def query() -> Figures:
        asked.append(clock.now_s)
        return Figures()

    source = last_good(query, clock)
    for now_s in (0.0, 0.5, 1.9, 2.0, 2.1, 3.9, 4.5):
        clock.now_s = now_s
        source.get()
    assert asked == [0.0, 2.0, 4.5]


def test_a_catalogue_that_fails_leaves_the_last_figures(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    good = Figures(frames=[FrameCount("done", "bias", 3)])
    answers: list[Figures | None] = [good, None, None, Figures()]

    def query() -> Figures:
        answer = answers.pop(0)
        if answer is None:
            raise OSError("database is locked")
        return answer

    source = last_good(query, clock)
    seen = []
    for now_s in (0.0, 2.0, 4.0, 6.0):
        clock.now_s = now_s
        seen.append(source.get())
    assert seen == [(good, True), (good, False), (good, False), (Figures(), True)]
    assert caplog.text.count("database is locked") == 1


def test_a_catalogue_that_does_not_answer_delays_no_scrape() -> None:
    clock = Clock()
    good = Figures(frames=[FrameCount("done", "bias", 3)])
    is_hanging, go_on = threading.Event(), threading.Event()

    def query() -> Figures:
        if is_hanging.is_set():
            go_on.wait(60)
        return good

    source = last_good(query, clock, patience_s=0.01)
    waiting = last_good(query, clock)
    assert waiting.get() == (good, True)
    is_hanging.set()
    clock.now_s = 10.0
    assert source.get() == (Figures(), False)
    reader = source._thread
    assert source.get() == (Figures(), False), "the second scrape starts no second reading"
    assert source._thread is reader
    go_on.set()
    assert reader is not None
    reader.join(60)
    assert source.get() == (good, True)
