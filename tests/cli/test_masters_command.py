"""``ingestd masters`` lists, as ever; ``ingestd masters add`` takes a master that was made elsewhere."""

import pytest

from ingestd.doors.control import DataLock
from tests.scanned import NIGHT, Scanned, fields

LISTED = [
    "master_id", "kind", "camera", "configuration", "exposure_s", "ccd_temp_c", "filter_name", "members", "grade",
    "comparison", "path", "current", "night", "provenance", "decision", "valid_from", "valid_until",
]  # fmt: skip


@pytest.fixture
def place(tmp_path):
    place = Scanned(tmp_path)
    place.night(lights=1)
    place.scan()
    return place


@pytest.fixture
def foreign(place):
    """Return a flat as another ingestd has made it."""
    (flat,) = place.json("masters", "--kind", "flat")
    path = place.directory / "foreign.fits"
    path.write_bytes((place.data / flat["path"]).read_bytes())
    return str(path)


def test_the_list_is_what_it_was(place):
    rows = place.json("masters")
    assert [list(row) for row in rows] == [LISTED] * 3
    assert fields(rows, "kind", "provenance") == [("bias", "built"), ("dark", "built"), ("flat", "built")]
    assert place.json("masters", "--kind", "dark", "--all") == rows[1:2]


def test_the_settings_may_stand_before_or_after_the_command(place, foreign):
    config = str(place.config)
    listed = place.json("masters")
    assert place.json("masters", "--config", config) == listed
    for arguments in (("--config", config, "add", foreign), ("add", foreign, "--config", config)):
        assert "Added: masters/camera1/flat/2026-01-15_" in place.output("masters", *arguments, "--filter", "R")


def test_an_added_master_is_listed_as_external(place, foreign):
    place.output("masters", "add", foreign, "--kind", "flat", "--camera", "camera1", "--filter", "R", "--members", "7")
    rows = [row for row in place.json("masters") if row["provenance"] == "external"]
    assert fields(rows, "kind", "filter_name", "members", "grade", "night") == [("flat", "R", 7, "yellow", NIGHT)]
    assert "external" in place.output("masters")


def test_times_and_conditions_may_be_given(place, foreign):
    options = ("--first", "2026-01-10", "--last", "2026-01-12T03:00:00", "--temperature", "-15", "--grade", "orange")
    place.output("masters", "add", foreign, "--filter", "B", *options)
    (row,) = [row for row in place.json("masters") if row["filter_name"] == "B"]
    assert (row["night"], row["ccd_temp_c"], row["grade"]) == ("2026-01-11", -15.0, "orange")


def test_a_refusal_is_told_and_changes_nothing(place, foreign):
    result = place.run("masters", "add", foreign, "--kind", "bias")
    assert "give --scale" in str(result.exception)
    assert len(place.json("masters")) == 3
    assert place.run("masters", "add", str(place.directory / "nothing.fits")).exit_code == 2
    assert place.run("masters", "add", foreign, "--kind", "light").exit_code == 2


def test_a_daemon_that_does_not_answer_is_told(place, foreign):
    with DataLock(place.data / "ingestd.lock"):
        result = place.run("masters", "add", foreign, "--filter", "R")
    assert (result.exit_code, len(place.json("masters"))) == (1, 3)


def test_a_range_of_times_is_given_listed_and_taken_back(place):
    (flat,) = place.json("masters", "--kind", "flat")
    said = place.output("masters", "valid", flat["path"], "--until", "2026-01-10", "--reason", "new dust")
    assert "Decided: valid 1 master." in said
    place.scan()
    (light,) = place.json("frames", "--kind", "light")
    assert light["state"] == "provisional"
    assert "an operator made it valid until 2026-01-10 00:00:00 only" in place.output("explain", light["path"])
    (decision,) = place.json("decisions")
    assert (decision["decision"], decision["reason"]) == ("limited", "valid until 2026-01-10T00:00:00.000Z: new dust")
    place.output("restore", flat["master_id"][:12])
    place.scan()
    assert place.json("frames", "--kind", "light")[0]["state"] == "done"
