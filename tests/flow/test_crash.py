"""A worker that dies costs its frame a second chance, then the frame; never the daemon, never another frame."""

import itertools

import pytest

from ingestd.doors.executors import ProcessExecutor
from ingestd.jobs import Worker
from ingestd.records import Kind
from tests.flow.crashing_worker import CrashingWorker
from tests.flow.observatory import Observatory, settings_for, write_shot


def crashing_place(tmp_path, manner, once=""):
    settings = settings_for(tmp_path, limits={"max_job_s": 2.0})
    worker = CrashingWorker(Worker(settings.limits), "deadly.fit", manner, once)
    executor = ProcessExecutor(1, worker, max_job_s=2.0, max_worker_bytes=settings.limits.max_worker_bytes)
    return Observatory(settings, executor=executor)


def write_lights(place):
    for index, name in enumerate(("before.fit", "deadly.fit", "later.fit")):
        write_shot(place.incoming, Kind.LIGHT, index, exposure_s=60.0, hours=20.5 + index, name=name)


@pytest.mark.parametrize("manner", ["segfault", "exit", "hang"])
def test_a_frame_that_kills_two_workers_is_quarantined_and_the_others_are_reduced(tmp_path, manner):
    place = crashing_place(tmp_path, manner)
    write_lights(place)
    place.settle(quiet_s=30.0)
    try:
        frame = place.frame("deadly.fit")
        assert (frame["state"], frame["reason"]) == ("quarantined", "crashed")
        assert "2 workers" in frame["detail"]
        for name in ("before.fit", "later.fit"):
            assert place.state(name) == ("provisional", "missing_master")
        assert list(place.data.glob("**/*.tmp")) == []
    finally:
        place.close()


def test_a_frame_that_kills_one_worker_is_reduced_by_the_next(tmp_path):
    place = crashing_place(tmp_path, "segfault", once=str(tmp_path / "died"))
    write_lights(place)
    place.settle(quiet_s=30.0)
    try:
        assert (tmp_path / "died").exists()
        assert place.state("deadly.fit") == ("provisional", "missing_master")
        assert place.catalogue.queue_depth() == 0
    finally:
        place.close()


def test_a_quarantined_frame_is_tried_again_when_an_operator_says_so(tmp_path):
    place = crashing_place(tmp_path, "segfault")
    write_lights(place)
    place.settle(quiet_s=30.0)
    place.close()
    settings = settings_for(tmp_path)
    place = Observatory(settings)
    try:
        place.settle()
        assert place.state("deadly.fit") == ("quarantined", "crashed")
        assert place.command(command="requeue", frames=["deadly.fit"])["frames"] == 1
        place.settle()
        assert place.state("deadly.fit") == ("provisional", "missing_master")
    finally:
        place.close()


def test_what_fails_on_our_side_is_tried_again_with_growing_pauses_and_given_up(tmp_path):
    settings = settings_for(tmp_path)
    tries = []

    def failing(_job):
        tries.append(place.now)
        raise RuntimeError("the moon is in the way")

    place = Observatory(settings, run=failing)
    try:
        write_shot(place.incoming, Kind.LIGHT, 1, exposure_s=60.0, hours=20.5, name="light.fit")
        place.run(30.0)
        frame = place.frame("light.fit")
        assert (frame["state"], frame["reason"]) == ("failed", "failed")
        assert "the moon is in the way" in frame["detail"]
        place.run(1000.0)
        pauses = [(b - a).total_seconds() for a, b in itertools.pairwise(tries)]
        # 5 s, doubled each time, until the eighth attempt; found at the next tick or so
        assert pauses == [pytest.approx(5.0 * 2**n, abs=2.0) for n in range(7)]
        assert len(tries) == 8
        assert place.catalogue.queue_depth() == 0
    finally:
        place.close()
