"""A master that could not be built is named, with its error, wherever somebody asks what is missing."""

from datetime import timedelta

import pytest

from ingestd.jobs import Worker
from ingestd.records import BuildMaster, Kind
from tests.flow.observatory import Observatory
from tests.scanned import Scanned

WORDS = "master bias of night 2026-01-15: RuntimeError: the moon is in the way"


def observed(scanned, run=None):
    """Work through a night, then for so long that what fails is given up."""
    place = Observatory(scanned.settings, run=run)
    place.now += timedelta(days=500)
    try:
        place.settle()
        place.run(1000.0)
    finally:
        place.close()


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """Return a night of which no master bias can be built."""
    found = Scanned(tmp_path_factory.mktemp("failing"))
    found.night()
    work = Worker(found.settings.limits)

    def without_bias(job):
        if isinstance(job, BuildMaster) and job.group.kind is Kind.BIAS:
            raise RuntimeError("the moon is in the way")
        return work(job)

    observed(found, without_bias)
    return found


@pytest.mark.parametrize("kind", ["bias", "flat", "light"])
def test_explain_names_the_master_that_could_not_be_built(scanned, kind):
    frame = next(row for row in scanned.json("frames") if row["kind"] == kind)
    text = scanned.output("explain", frame["path"])
    assert WORDS in text
    assert "given up, `ingestd requeue --all` tries again" in text
    (row,) = scanned.json("explain", frame["path"])[0]["failed_builds"]
    assert (row["kind"], row["night"], row["attempts"]) == ("bias", "2026-01-15", 8)


def test_explain_does_not_say_that_there_are_no_flats(scanned):
    light = next(row for row in scanned.json("frames") if row["kind"] == "light")
    assert "There are no" not in scanned.output("explain", light["path"])


def test_coverage_names_the_master_that_could_not_be_built(scanned):
    assert WORDS in scanned.output("coverage", "--at", "2026-01-16")
    (row,) = scanned.json("coverage", "--at", "2026-01-16")["failed_builds"]
    assert "the moon is in the way" in row["detail"]


def test_a_master_that_was_built_at_last_is_not_named(tmp_path):
    """The failure of an order with other members is history once the master of that night is there."""
    scanned = Scanned(tmp_path)
    scanned.night()
    work, failed = Worker(scanned.settings.limits), []

    def fails_at_first(job):
        if isinstance(job, BuildMaster) and not failed:
            failed.append(job)
            raise RuntimeError("the moon is in the way")
        return work(job)

    observed(scanned, fails_at_first)
    assert failed
    for frame in scanned.json("frames"):
        assert "the moon" not in scanned.output("explain", frame["path"])
