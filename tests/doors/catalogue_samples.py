"""Frames, masters and jobs with chosen properties, for the tests of the catalogue."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingestd.doors.catalogue import Catalogue, TakenFrame
from ingestd.records import (
    Arithmetic,
    Channel,
    Configuration,
    FileStamp,
    FrameInput,
    FrameRecord,
    Group,
    Kind,
    Master,
    MasterInput,
    MeasureMaster,
    Metric,
    Outcome,
    Plane,
    ReduceFrame,
    Section,
    Standing,
    State,
    Step,
    Verdict,
)
from ingestd.settings import MasterRule, Masters, Settings

NOW = datetime(2026, 2, 1, 12, 0, 0, tzinfo=UTC)
EVENING = datetime(2026, 1, 10, 20, 0, 0, tzinfo=UTC)
CAMERA = "main"
CCD = Configuration("Apogee Alta", 2048, 2048, 2, 2, (0, 0), "fast", None, None, "", 1, ())
KEY = CCD.key()
SETUP = KEY.partition(" @ ")[0]
ARITHMETIC = Arithmetic(5.0, 1, overscan=True, overscan_skip_px=5, flat_floor=0.05, hot_sigma=10.0)
UNITS = {"bias_level_adu": "adu", "gain_electrons_per_adu": "electron/adu", "dark_rate": "adu/s", "sky_level": "adu"}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plane(index: int = 0, **changes) -> Plane:
    values = {
        "index": index,
        "name": "",
        "shape": (2048, 2048),
        "bitpix": 16,
        "bzero": 32768.0,
        "bscale": 1.0,
        "blank": None,
        "offset": 2880,
        "encoding": "raw",
        "overscan": None,
        "trim": None,
        "gain_e_per_adu": None,
        "read_noise_e": None,
    }
    return Plane(**{**values, **changes})


def frame(name: str, kind: Kind = Kind.BIAS, day: int = 10, minute: float = 0.0, **changes) -> FrameRecord:
    """Return a frame of January 2026 whose identity follows from its name."""
    values = {
        "frame_id": sha(name),
        "data_sha256": sha(f"pixels of {name}"),
        "kind": kind,
        "label": kind.value,
        "camera": CAMERA,
        "configuration": CCD,
        "exposure_s": 0.0 if kind is Kind.BIAS else 60.0,
        "ccd_temp_c": -10.0,
        "set_temp_c": -10.0,
        "filter_name": "V" if kind in {Kind.FLAT, Kind.LIGHT} else None,
        "object_name": None,
        "obs_start": EVENING.replace(day=day) + timedelta(minutes=minute),
        "night": f"2026-01-{day:02d}",
        "gain_e_per_adu": None,
        "read_noise_e": None,
        "saturation_adu": None,
        "planes": (plane(),),
        "dialect": "maxim",
        "container": "plain",
        "sources": (("kind", "IMAGETYP"),),
        "flags": (),
        "notes": (),
    }
    return FrameRecord(**{**values, **changes})


CHANNELS = (
    Channel("left", Section(0, 2048, 0, 1024), Section(0, 2048, 1024, 1040), 1.0 / 3.0, None),
    Channel("right", Section(0, 2048, 1040, 2048), None, None, 4.25),
)
FULL_FRAME = frame(
    "everything",
    Kind.FLAT,
    label="sky-flat",
    configuration=Configuration(
        "QHY 600 | M",
        9600,
        6422,
        1,
        1,
        None,
        "high gain",
        26.5,
        30.0,
        "RGGB",
        2,
        (("ROTATOR", "90 %"), ("PORT", "a @ b")),
        2,
        (9576, 6388),
    ),
    exposure_s=1.0 / 3.0,
    ccd_temp_c=-9.95,
    filter_name="H\u03b1 7 nm",
    object_name="M 31; DROP TABLE frames",
    obs_start=datetime(2026, 1, 10, 20, 0, 0, 123000, tzinfo=UTC),
    gain_e_per_adu=0.78,
    read_noise_e=3.5,
    saturation_adu=65535.0,
    planes=(
        plane(0, name="SCI", overscan=Section(0, 2048, 2048, 2080), trim=Section(0, 2048, 0, 2048), blank=-32768),
        plane(
            3,
            encoding="tile",
            bitpix=-32,
            bzero=0.0,
            bscale=0.1,
            gain_e_per_adu=1.5,
            read_noise_e=4.25,
            channels=CHANNELS,
        ),
    ),
    container="gzip",
    sources=(("kind", "IMAGETYP"), ("gain_e_per_adu", "EGAIN")),
    flags=("calibrated", "future_date"),
    notes=("looked for IMAGETYP, FRAME", "temperature of \u221210 °C ignored"),
)


def stamp(mtime_s: int = 1_700_000_000, inode: int = 1) -> FileStamp:
    return FileStamp(8640, mtime_s * 10**9, mtime_s * 10**9 + 1, inode)


def taken(record: FrameRecord, path: str = "", mtime_s: int = 1_700_000_000, **changes) -> TakenFrame:
    """Return the frame as it arrives: due, under a name of its own unless one is given."""
    state = changes.pop("state", State.WAITING)
    reason = changes.pop("reason", "due")
    return TakenFrame(record, path or f"/raw/{record.frame_id[:12]}.fits", stamp(mtime_s), state, reason, **changes)


def outcome(job_id: str, *metrics: Metric, **changes) -> Outcome:
    values = {"sha256": sha(f"product of {job_id}"), "size_bytes": 1000, "metrics": metrics}
    return Outcome(job_id, "done", **{**values, **changes})


def group(kind: Kind, filter_name: str | None = None) -> Group:
    return Group(CAMERA, kind, KEY, filter_name)


def master(name: str, members: list[FrameRecord], parents: tuple[str, ...] = (), **changes) -> Master:
    """Return a master of these frames, of the night of the last."""
    times = sorted(member.obs_start for member in members)
    last = members[-1]
    values = {
        "master_id": sha(name),
        "kind": last.kind,
        "camera": last.camera,
        "configuration": last.configuration.key(),
        "exposure_s": last.exposure_s,
        "ccd_temp_c": last.ccd_temp_c,
        "filter_name": last.filter_name,
        "night": last.night,
        "first_obs": times[0],
        "last_obs": times[-1],
        "members": tuple(member.frame_id for member in members),
        "parents": parents,
        "path": f"masters/main/{last.kind}/{last.night}_{sha(name)[:8]}.fits",
        "sha256": sha(f"file of {name}"),
        "grade": "green",
    }
    return Master(**{**values, **changes})


def order(
    name: str, record: FrameRecord, *masters: Master, provisional: bool = False, how: str = "exact"
) -> ReduceFrame:
    inputs = tuple(
        MasterInput(m.master_id, m.kind, f"/data/{m.path}", m.sha256, m.exposure_s, how, 0.1, 1.0, 2.5) for m in masters
    )
    return ReduceFrame(
        job_id=sha(name),
        member=FrameInput(record, "/raw/x.fits", inputs),
        skipped=(),
        not_needed=(),
        gain_e_per_adu=None,
        gain_source="none",
        read_noise_e=None,
        provisional=provisional,
        arithmetic=ARITHMETIC,
        product=f"/data/reduced/{name}.fits",
    )


def reduce(
    catalogue: Catalogue, name: str, record: FrameRecord, *masters: Master, better: str = "", again: str = "", **changes
) -> str:
    """Record a product of a frame; return its job."""
    job = order(name, record, *masters, **changes)
    result = outcome(job.job_id, Metric("sky_level", 100.0), steps=(Step("bias", "applied", "master"),))
    words = {"better": better, "again": again}
    catalogue.record_reduction(
        record, job, result, f"reduced/{name}.fits", '{"why": "test"}', NOW, units=UNITS, **words
    )
    return job.job_id


def measure(catalogue: Catalogue, *records: FrameRecord, now: datetime = NOW) -> None:
    """Record a measurement of each frame, and that its pixels are as they should be."""
    for record in records:
        result = outcome(sha(f"measure {record.frame_id}"), Metric("bias_level_adu", 1310.5, 0.5, 0))
        catalogue.record_measured(record.frame_id, result, UNITS, now)
        catalogue.record_verdict(Verdict(record.frame_id, (), "", ""), now)


def build(catalogue: Catalogue, made: Master, *metrics: Metric) -> Master:
    """Record a master."""
    catalogue.record_master(made, made.master_id, outcome(made.master_id, *metrics), UNITS, NOW)
    return made


def night_masters(catalogue: Catalogue, of: Group, night: str) -> list[Master]:
    """Return the current masters of one group and night."""
    found = catalogue.masters(of.camera, of.configuration, of.kind)
    return [made for made in found if made.night == night and made.filter_name in (None, of.filter_name)]


def settle_all(catalogue: Catalogue) -> None:
    """Look at everything stale once and find it as it should be, with the masters that are current."""
    for stale in catalogue.stale_nights():
        ids = [found.master_id for found in night_masters(catalogue, stale.group, stale.night)]
        catalogue.settle_night(stale.group, stale.night, ids, NOW)
    for light in catalogue.stale_lights(1000):
        catalogue.record_wait(light.frame_id, "needs_master", "", "{}", NOW)
    for made in catalogue.stale_masters():
        catalogue.record_standing(Standing(made.master_id, "", "green", ""), NOW)


def measure_master(
    catalogue: Catalogue, made: Master, job_id: str, *metrics: Metric, bias: Master | None = None
) -> None:
    """Record what a master gave against others."""
    own, below = (it and MasterInput(it.master_id, it.kind, "", "", None, "", None, None, 0.0) for it in (made, bias))
    assert own is not None
    job = MeasureMaster(job_id, own, below, None, None, Arithmetic(5.0, 1, True, 5, 0.05, 10.0))
    catalogue.record_master_measured(job, outcome(job_id, *metrics), UNITS)


@contextmanager
def statements(catalogue: Catalogue):
    """Collect the SQL that is executed inside, with its parameters filled in."""
    seen: list[str] = []
    catalogue._db.conn.set_trace_callback(seen.append)
    try:
        yield seen
    finally:
        catalogue._db.conn.set_trace_callback(None)


def scans(catalogue: Catalogue, queries: list[str]) -> list[tuple[str, str]]:
    """Return each step of a query plan that reads a whole table or index, with its query."""
    found = []
    for query in queries:
        if query.split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            steps = catalogue._db.conn.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
            found += [(step[3], query) for step in steps if step[3].startswith("SCAN") and not _is_small(step[3])]
    return found


def _is_small(step: str) -> bool:
    """Lists in a parameter, constants, and what a sub-query has already narrowed down."""
    return any(word in step for word in ("json_each", "CONSTANT ROW", "SUBQUERY", "SCAN (", "arrivals"))


def renamed(record: FrameRecord, name: str, **changes) -> FrameRecord:
    """Return a frame with the same pixels under another header."""
    return replace(record, frame_id=sha(name), **changes)


def add(catalogue: Catalogue, *records: FrameRecord, now: datetime = NOW) -> None:
    """Let frames arrive."""
    catalogue.add_frames([taken(record) for record in records], now)


def add_measured(catalogue: Catalogue, *records: FrameRecord) -> None:
    """Let frames arrive and measure them."""
    add(catalogue, *records)
    measure(catalogue, *records)


def stale_nights(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Return kind and day of each stale night."""
    return sorted((stale.group.kind.value, stale.night[-2:]) for stale in catalogue.stale_nights())


def lights(catalogue: Catalogue) -> list[str]:
    """Return the science frames that are due."""
    return [found.frame_id for found in catalogue.stale_lights(100)]


def settled_master(catalogue: Catalogue, name: str, members: list[FrameRecord], *metrics: Metric, **changes) -> Master:
    """Build a master and make it the current one of its night."""
    made = build(catalogue, master(name, members, **changes), *metrics)
    of = group(made.kind, made.filter_name)
    catalogue.settle_night(of, made.night, [made.master_id], NOW)
    return made


def reason(catalogue: Catalogue, record: FrameRecord) -> str:
    """Return state and reason of a frame."""
    found = catalogue.standing_frame(record.frame_id)
    return f"{found.state.value} {found.reason}"


@contextmanager
def small_windows(path: Path):
    """Open a catalogue with windows of 3 days and validities of 5 days."""
    rule = MasterRule(3.0, 1, 50, 5.0)
    with Catalogue.open(path, rules=Settings((), masters=Masters(bias=rule, dark=rule, flat=rule))) as catalogue:
        yield catalogue
