"""``ingestd query`` and ``ingestd export``: what other programs get to read."""

import csv
import io
import json

import pytest
from astropy.table import Table

from ingestd.doors.catalogue import Catalogue, QuestionRefused
from ingestd.doors.control import DataLock
from tests.flow.observatory import sha256
from tests.scanned import Scanned

COUNTS = "SELECT kind, count(*) AS frames FROM frames GROUP BY kind ORDER BY kind"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Scanned(tmp_path_factory.mktemp("export"))
    place.night()
    place.scan()
    return place


# --- query ------------------------------------------------------------------------------------------------------------


def test_an_answer_is_a_table(place):
    lines = place.output("query", COUNTS).splitlines()
    assert [line.split() for line in lines] == [
        ["kind", "frames"],
        ["bias", "3"],
        ["dark", "3"],
        ["flat", "3"],
        ["light", "2"],
    ]


def test_an_answer_is_json_or_csv(place):
    assert place.json("query", COUNTS)[0] == {"kind": "bias", "frames": 3}
    assert place.output("query", COUNTS, "--csv") == "kind,frames\nbias,3\ndark,3\nflat,3\nlight,2\n"


def test_an_empty_answer_is_still_json_and_csv(place):
    nothing = "SELECT kind FROM frames WHERE kind = 'nothing'"
    assert place.json("query", nothing) == []
    assert place.output("query", nothing, "--csv") == "kind\n"
    assert place.output("query", nothing) == "No rows.\n"


def test_columns_of_one_name_and_bytes_survive_in_json(place):
    assert place.json("query", "SELECT 1 AS a, 2 AS a, x'00ff' AS b") == [{"a": 1, "a_2": 2, "b": "00ff"}]


def test_sql_comes_from_standard_input(place):
    assert place.run("query", "-", "--csv", input="SELECT 42 AS answer\n").stdout == "answer\n42\n"


def test_a_query_is_answered_beside_a_running_daemon(place):
    with DataLock(place.data / "ingestd.lock"), Catalogue.open(place.catalogue_path) as writer, writer.transaction():
        writer.remember("name", "value")
        assert place.json("query", "SELECT count(*) AS n FROM remembered WHERE name = 'name'") == [{"n": 0}]


def test_a_query_is_answered_in_a_directory_that_nobody_writes(place):
    assert not place.catalogue_path.with_name("catalogue.sqlite-wal").exists()
    before = sorted(path.name for path in place.data.iterdir())
    place.output("query", COUNTS)
    assert sorted(path.name for path in place.data.iterdir()) == before


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM frames", "CREATE TABLE t (x)", "PRAGMA journal_mode = DELETE", "VACUUM", "BEGIN IMMEDIATE"],
)
def test_what_changes_something_is_refused_and_changes_nothing(place, statement):
    before = sha256(place.catalogue_path)
    result = place.run("query", statement)
    assert isinstance(result.exception, QuestionRefused)
    assert "read only" in str(result.exception)
    assert sha256(place.catalogue_path) == before


def test_a_question_that_takes_too_long_ends(place):
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    result = place.run("query", endless, "--time-limit", "0.05")
    assert str(result.exception).startswith("no complete answer within 0.05 s.")


def test_json_and_csv_at_once_are_refused(place):
    assert place.run("query", COUNTS, "--json", "--csv").exit_code == 2


# --- export -----------------------------------------------------------------------------------------------------------


def test_frames_are_exported_as_csv_the_oldest_first(place):
    rows = list(csv.DictReader(io.StringIO(place.output("export", "frames"))))
    assert [row["kind"] for row in rows] == ["bias"] * 3 + ["dark"] * 3 + ["flat"] * 3 + ["light"] * 2
    assert [row["obs_start"] for row in rows] == sorted(row["obs_start"] for row in rows)
    assert rows[-1]["product"].startswith("reduced/camera1/2026-01-15/M13_V_")


def test_masters_are_exported_as_json_lines(place):
    lines = place.output("export", "masters", "--format", "jsonl").splitlines()
    found = [json.loads(line) for line in lines]
    assert [(row["kind"], row["members"], row["current"]) for row in found] == [
        ("bias", 3, 1),
        ("dark", 3, 1),
        ("flat", 3, 1),
    ]


def test_ecsv_is_a_table_of_astropy_with_types_and_units(place, tmp_path):
    for what, rows in (("frames", 11), ("masters", 3), ("qa", None)):
        place.output("export", what, "--format", "ecsv", "-o", str(tmp_path / f"{what}.ecsv"))
        table = Table.read(tmp_path / f"{what}.ecsv")
        assert rows is None or len(table) == rows
    frames = Table.read(tmp_path / "frames.ecsv")
    assert frames["exposure_s"].unit == "s"
    assert frames["ccd_temp_c"].unit == "deg_C"
    assert list(frames["exposure_s"][-2:]) == [60.0, 60.0]
    masters = Table.read(tmp_path / "masters.ecsv")
    assert masters["members"].dtype == int
    assert masters["exposure_s"][1] == 120.0
    qa = Table.read(tmp_path / "qa.ecsv")
    assert len(qa) == len(place.json("qa"))


def test_rows_are_filtered(place):
    assert place.output("export", "frames", "--kind", "light", "--night", "2026-01-15").count("\n") == 3
    assert place.output("export", "frames", "--state", "quarantined").count("\n") == 1
    rows = list(csv.DictReader(io.StringIO(place.output("export", "qa", "--metric", "read_noise_adu"))))
    assert [row["kind"] for row in rows] == ["bias"]


def test_a_filter_that_rows_do_not_have_is_refused(place):
    result = place.run("export", "masters", "--state", "done")
    assert (result.exit_code, "masters have no 'state'" in result.output) == (2, True)


def test_a_file_appears_when_it_is_complete(place, tmp_path):
    said = place.output("export", "frames", "-o", str(tmp_path / "frames.csv"))
    assert said == f"Written: {tmp_path / 'frames.csv'}, {len(place.json('frames'))} rows.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["frames.csv"]
    assert (tmp_path / "frames.csv").read_text() == place.output("export", "frames")


def test_a_file_that_cannot_be_written_is_told(place, tmp_path):
    result = place.run("export", "frames", "-o", str(tmp_path))
    assert (result.exit_code, "cannot be written" in result.output) == (1, True)


@pytest.mark.parametrize("command", [("qa",), ("export", "qa")])
def test_a_figure_that_there_is_not_is_told_with_those_that_are_near(place, command):
    result = place.run(*command, "--metric", "read_noise")
    assert result.exit_code == 2
    hint = result.stderr.partition("did you mean ")[2]
    assert "read_noise_adu" in hint
    assert hint.count("_adu") <= 5
    assert "`ingestd qa --latest` lists them" in place.run(*command, "--metric", "nonsense").stderr
