"""What is done for each frame costs no more in a large catalogue: no table is scanned, and few steps are taken."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from ingestd.doors.catalogue import Catalogue
from ingestd.records import Kind
from ingestd.rules.planning import Planner
from tests.bench import large_catalogue
from tests.bench.catalogue import match, taken
from tests.doors.catalogue_samples import measure, scans, statements

NIGHTS = 100
"""20,000 frames, 15,000 of them science, and 400 masters; 25 nights of each camera."""

STEPS = 1000
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    directory = tmp_path_factory.mktemp("large")
    settings = large_catalogue.settings_of(directory)
    large_catalogue.write_large(directory / "original.sqlite", settings, NIGHTS)
    return directory / "original.sqlite", settings


@pytest.fixture
def large(original, tmp_path):
    """A catalogue of its own for every test, its settings, and the frames of a new night."""
    path, settings = original
    shutil.copyfile(path, tmp_path / "catalogue.sqlite")
    *_, new = large_catalogue.nights(NIGHTS + 1)
    with Catalogue.open(tmp_path / "catalogue.sqlite", rules=settings) as catalogue:
        yield catalogue, settings, list(large_catalogue.frames_of(new))


@contextmanager
def steps(catalogue):
    """Count the thousands of instructions that SQLite executes inside."""
    counted = []
    catalogue._db.conn.set_progress_handler(lambda: counted.append(1) or 0, STEPS)
    try:
        yield counted
    finally:
        catalogue._db.conn.set_progress_handler(None, 0)


def one(frames, kind):
    return next(frame for frame in frames if frame.kind is kind)


def test_the_catalogue_is_quiet(large):
    catalogue, settings, _ = large
    plan = Planner(catalogue, settings, NOW).due()
    assert (plan.jobs, plan.kept, plan.settled_nights, plan.next_look) == ([], [], [], None)


def test_a_quiet_look_and_the_choice_for_a_science_frame_scan_no_table(large):
    catalogue, settings, frames = large
    catalogue.add_frames([taken(one(frames, Kind.LIGHT))], NOW)
    with statements(catalogue) as queries:
        plan = Planner(catalogue, settings, NOW).due()
    assert [job.member.frame.kind for job in plan.jobs] == [Kind.LIGHT]
    assert {master.kind for master in plan.jobs[0].member.masters} == {Kind.BIAS, Kind.DARK, Kind.FLAT}
    assert scans(catalogue, queries) == []


def test_a_quiet_look_takes_few_steps(large):
    catalogue, settings, _ = large
    with steps(catalogue) as counted:
        Planner(catalogue, settings, NOW).due()
    assert len(counted) <= 1


def test_a_science_frame_takes_steps_for_its_candidates_only(large):
    """Some 25 masters of each kind but 50 flats, each with 30 columns: below 20,000 steps, and no 16,000 frames."""
    catalogue, settings, frames = large
    light = one(frames, Kind.LIGHT)
    catalogue.add_frames([taken(light)], NOW)
    with steps(catalogue) as counted:
        match(catalogue, settings, light.frame_id)
    assert len(counted) < 20


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK, Kind.FLAT])
def test_a_calibration_frame_is_recorded_in_few_steps(large, kind):
    """Some hundred statements at most, none of which may look at the 4,000 frames that are done and measured."""
    catalogue, _, frames = large
    frame = one(frames, kind)
    with steps(catalogue) as counted:
        catalogue.add_frames([taken(frame)], NOW)
        measure(catalogue, frame)
    assert len(counted) < 4
