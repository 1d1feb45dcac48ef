"""A catalogue of a million frames: choosing masters, looking for due jobs, recording; and what SQLite does for it."""

from __future__ import annotations

import random
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from ingestd.doors.catalogue import Catalogue, TakenFrame
from ingestd.doors.exporter import Telemetry
from ingestd.flow.recording import Recorder
from ingestd.records import FileStamp, FrameRecord, Kind, Metric, Outcome, State
from ingestd.rules.matching import reach_rule
from ingestd.rules.planning import Plan, Planner
from ingestd.rules.planning.desk import Desk
from ingestd.rules.planning.lights import plan_light
from ingestd.settings import Settings
from tests.bench import large_catalogue
from tests.bench.large_catalogue import FRAMES_OF_NIGHT, MASTERS_OF_NIGHT, Night
from tests.bench.report import Goal, Options, Table
from tests.bench.service import fresh
from tests.doors.catalogue_samples import scans, statements

_LIGHTS = 300
_LOOKS = 50
_MATCH_MS, _DUE_MS = 5.0, 20.0
T = TypeVar("T")
Cost = tuple[float, float]
"""Wall and CPU milliseconds."""

_NOW = datetime(2030, 1, 1, tzinfo=UTC)


def measure(options: Options) -> Table:
    """Write the catalogue unless it is there, then ask it what the daemon asks."""
    nights = options.frames // FRAMES_OF_NIGHT
    settings = large_catalogue.settings_of(options.scratch)
    original = options.scratch / f"large-{nights}.sqlite"
    seconds = _written(original, settings, nights)
    path = fresh(options.scratch / "in-use") / "catalogue.sqlite"
    shutil.copyfile(original, path)
    *known_nights, new_night = large_catalogue.nights(nights + 1)
    lights = _some_lights(known_nights)
    table = Table(f"A catalogue of {nights * FRAMES_OF_NIGHT} frames and {nights * MASTERS_OF_NIGHT} masters")
    table.notes.append(f"{path.stat().st_size / 1e6:.0f} MB, written in {seconds:.0f} s")
    with Catalogue.open(path, check=False, rules=settings, reach=reach_rule(settings)) as catalogue:
        first, again, quiet = list[Cost](), list[Cost](), list[Cost]()
        for costs in (first, again):
            for light in lights:
                _timed(partial(match, catalogue, settings, light), costs)
        for _ in range(_LOOKS):
            _timed(Planner(catalogue, settings, _NOW).due, quiet)
        with statements(catalogue) as queries:
            match(catalogue, settings, lights[0])
            Planner(catalogue, settings, _NOW).due()
        found = len(scans(catalogue, queries))
        _add(table, "masters chosen for a random science frame, the first time", first)
        _add(table, "the same frames again", again)
        _add(table, "planning.due, all quiet", quiet)
        _follow_a_light(table, catalogue, settings, new_night)
        _follow_a_night(table, catalogue, settings, new_night)
    shutil.rmtree(path.parent)
    table.goals = [
        Goal("a science frame, median", statistics.median(wall for wall, _ in again), _MATCH_MS, "ms"),
        Goal("a science frame, worst", max(again)[0], _MATCH_MS, "ms"),
        Goal("planning.due, all quiet, worst", max(quiet)[0], _DUE_MS, "ms"),
        Goal(f"tables scanned in the {len(queries)} statements of both", found, 0),
    ]
    return table


def _written(path: Path, settings: Settings, nights: int) -> float:
    """Write the catalogue if it is missing; return how long that took."""
    begun = time.perf_counter()
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        large_catalogue.write_large(unfinished, settings, nights)
        unfinished.rename(path)
    return time.perf_counter() - begun


def _some_lights(nights: Sequence[Night]) -> list[str]:
    """Return science frames, each of another night chosen by chance."""
    chance = random.Random(1)  # noqa: S311 - reproducible, not secret
    frames = [list(large_catalogue.frames_of(night)) for night in chance.sample(nights, min(_LIGHTS, len(nights)))]
    return [chance.choice([it for it in some if it.kind is Kind.LIGHT]).frame_id for some in frames]


def _timed(act: Callable[[], T], costs: list[Cost]) -> T:
    """Return what an act returns; note its wall and CPU milliseconds."""
    begun, cpu = time.perf_counter(), time.process_time()
    done = act()
    costs.append((1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - cpu)))
    return done


def _add(table: Table, what: str, costs: Sequence[Cost]) -> None:
    """Add a row of medians and of the worst."""
    wall, cpu = zip(*costs, strict=True)
    row = {"what": what, "calls": len(costs), "median ms": statistics.median(wall), "worst ms": max(wall)}
    table.rows.append(row | {"median CPU ms": statistics.median(cpu)})


def match(catalogue: Catalogue, settings: Settings, frame_id: str) -> Plan:
    """Do all that planning does for one science frame: its record, the masters, the choice, the address of its job."""
    frame = catalogue.frame(frame_id)
    assert frame is not None
    desk = Desk(catalogue, settings, _NOW, in_flight=(), capacity=1, drain=False)
    plan_light(desk, frame)
    return desk.plan


# --- what comes in ----------------------------------------------------------------------------------------------------


def _follow_a_light(table: Table, catalogue: Catalogue, settings: Settings, night: Night) -> None:
    """Add what it takes to plan and record new science frames, one after the other."""
    recorder = Recorder(settings, catalogue, Telemetry(settings, lambda: _NOW))
    lights = [frame for frame in large_catalogue.frames_of(night) if frame.kind is Kind.LIGHT][:_LOOKS]
    looks, records = list[Cost](), list[Cost]()
    for light in lights:
        catalogue.add_frames([taken(light)], _NOW)
        plan = _timed(Planner(catalogue, settings, _NOW).due, looks)
        (job,) = plan.jobs
        recorder.remember(job, plan.calibrations[job.job_id])
        outcome = Outcome(job.job_id, "done", sha256="0" * 64, metrics=(Metric("sky_level_adu", 100.0),))
        _timed(partial(recorder.record, outcome, _NOW), records)
    _add(table, "planning.due, one new science frame", looks)
    _add(table, "record its product", records)


def _follow_a_night(table: Table, catalogue: Catalogue, settings: Settings, night: Night) -> None:
    """Add what it takes to measure, combine and settle the biases of a new night."""
    recorder = Recorder(settings, catalogue, Telemetry(settings, lambda: _NOW))
    biases = [taken(frame) for frame in large_catalogue.frames_of(night) if frame.kind is Kind.BIAS]
    costs: dict[str, list[Cost]] = {}

    def timed(what: str, act: Callable[[], T]) -> T:
        return _timed(act, costs.setdefault(what, []))

    timed(f"take in {len(biases)} biases", lambda: catalogue.add_frames(biases, _NOW))
    while any(stale.group.kind is Kind.BIAS for stale in catalogue.stale_nights()) or catalogue.unmeasured(1):
        plan = timed("planning.due, a new night of biases", Planner(catalogue, settings, _NOW, drain=True).due)
        timed("record what a look found", partial(recorder.record_plan, plan, _NOW))
        for job in plan.jobs:
            recorder.remember(job, plan.calibrations.get(job.job_id))
            outcome = Outcome(job.job_id, "done", sha256="0" * 64, metrics=(Metric("bias_level_adu", 1000.0),))
            timed(f"record the outcome of {type(job).__name__}", partial(recorder.record, outcome, _NOW))
    for what, found in costs.items():
        _add(table, what, found)
    table.notes.append(f"the new master bias makes {catalogue.status()['queue']['lights']} science frames due")


def taken(frame: FrameRecord) -> TakenFrame:
    """Return a frame as it arrives."""
    stamp = FileStamp(33_557_760, 1, 1, 1)
    return TakenFrame(frame, f"/raw/{frame.frame_id[:12]}.fits", stamp, State.WAITING, "due")
