"""Reading for people: SQL that only reads, streams of rows, and what science used lately."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ingestd.doors.catalogue import Catalogue, QuestionRefused
from ingestd.records import Kind, ScienceUse, State
from tests.doors.catalogue_samples import CAMERA, CCD, EVENING, KEY, NOW, frame, group, master, outcome, taken


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "catalogue.sqlite") as opened:
        yield opened


def light(name, minute=0.0, **changes):
    return frame(name, Kind.LIGHT, minute=minute, **changes)


# --- questions --------------------------------------------------------------------------------------------------------


def test_a_question_has_columns_and_rows(catalogue):
    with catalogue.asking("SELECT 1 AS one, 'b' AS letter UNION ALL SELECT 2, 'c'") as answer:
        assert answer.columns == ("one", "letter")
        assert list(answer.rows) == [(1, "b"), (2, "c")]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO remembered VALUES ('a', 'b')",
        "DROP TABLE frames",
        "CREATE TEMP TABLE t (x)",
        "PRAGMA writable_schema = ON",
        "SELECT load_extension('x')",
        "ATTACH DATABASE 'other.sqlite' AS other",
    ],
)
def test_even_a_writer_answers_only_what_reads(catalogue, tmp_path, monkeypatch, statement):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(QuestionRefused, match="read only"), catalogue.asking(statement):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with catalogue.asking("SELECT count(*) FROM remembered") as answer:
        assert list(answer.rows) == [(0,)]


@pytest.mark.parametrize("mistake", ["", "SELECT * FROM nothing", "SELECT 1; SELECT 2", "SELEC 1", "SELECT 1 WHERE x"])
def test_a_mistake_is_told_as_such(catalogue, mistake):
    with pytest.raises(QuestionRefused), catalogue.asking(mistake):
        pass


def test_functions_that_return_tables_may_be_asked(catalogue):
    with catalogue.asking("SELECT name FROM pragma_table_info('remembered'), json_each('[1]')") as answer:
        assert list(answer.rows) == [("name",), ("value",)]


def test_the_limit_holds_while_rows_are_read(catalogue):
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    with pytest.raises(QuestionRefused, match="within"), catalogue.asking(endless, time_limit_s=0.05) as answer:
        assert sum(1 for _ in answer.rows) == 0, "there is no last row"


def test_a_huge_value_is_refused(catalogue):
    with pytest.raises(QuestionRefused), catalogue.asking("SELECT length(zeroblob(1 << 30))") as answer:
        list(answer.rows)


def test_a_writer_writes_again_after_a_question(catalogue):
    with catalogue.asking("SELECT 1") as answer:
        assert list(answer.rows) == [(1,)]
    assert catalogue.remember("a", "b")


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_is_of_one_state_of_the_database(catalogue, tmp_path):
    catalogue.add_frames([taken(light(f"light {number}", number)) for number in range(600)], NOW)
    with Catalogue.open(tmp_path / "catalogue.sqlite", read_only=True) as reader:
        rows = reader.exported("frames")
        first = next(rows)
        catalogue.add_frames([taken(light("late", 1000.0))], NOW)
        assert first["obs_start"] == "2026-01-10T20:00:00.000Z"
        assert 1 + sum(1 for _ in rows) == 600


def test_a_stream_that_is_left_leaves_nothing_behind(catalogue):
    catalogue.add_frames([taken(light(f"light {number}", number)) for number in range(600)], NOW)
    rows = catalogue.exported("frames")
    next(rows)
    del rows
    assert catalogue.remember("a", "b")


def test_rows_of_an_interval(catalogue):
    catalogue.add_frames([taken(light(f"light {number}", number)) for number in range(4)], NOW)
    minute = timedelta(minutes=1)
    found = catalogue.exported("frames", since=EVENING + minute, until=EVENING + 2 * minute)
    assert [row["obs_start"][14:16] for row in found] == ["01", "02"]


def test_a_filter_of_no_column_is_an_error(catalogue):
    with pytest.raises(ValueError, match="qa have no 'state'"):
        catalogue.exported("qa", state="done")


# --- science ----------------------------------------------------------------------------------------------------------


def test_equal_conditions_are_counted_and_the_newest_frame_stands_for_them(catalogue):
    first, second, other = light("a"), light("b", 5.0), light("c", exposure_s=5.0)
    catalogue.add_frames([taken(it) for it in (first, second, other)], NOW)
    found = catalogue.science_uses("2026-01-01", "2026-01-31")
    assert ScienceUse(CAMERA, KEY, -10.0, 60.0, "V", 2, second.obs_start, second.frame_id) in found
    assert {use.frames for use in found} == {1, 2}


def test_only_science_that_takes_part_counts(catalogue):
    frames = [light("good"), light("bad"), frame("bias"), light("later", day=12)]
    catalogue.add_frames([taken(it) for it in frames], NOW)
    catalogue.add_frames([taken(light("left alone", day=13), state=State.DONE, reason="catalogued")], NOW)
    catalogue.quarantine(frames[1].frame_id, "corrupt", "", NOW)
    assert catalogue.newest_science_night() == "2026-01-12"
    assert [use.frame_id for use in catalogue.science_uses("2026-01-10", "2026-01-11")] == [frames[0].frame_id]


def test_an_empty_catalogue_has_no_science(catalogue):
    assert (catalogue.newest_science_night(), catalogue.science_uses("2026-01-01", "2026-12-31")) == (None, [])


def test_an_example_is_a_science_frame_if_there_is_one(catalogue):
    bias, science = frame("bias"), light("light")
    other = replace(CCD, x_binning=4)
    catalogue.add_frames([taken(bias), taken(science), taken(frame("x", configuration=other))], NOW)
    assert catalogue.example(CAMERA, KEY) == science
    assert catalogue.example(CAMERA, other.key()).kind is Kind.BIAS
    assert catalogue.example("another", KEY) is None
    assert catalogue.configurations(CAMERA) == sorted([KEY, other.key()])


def test_masters_of_an_interval_overlap_it(catalogue):
    members = [frame(f"bias {number}", day=10, minute=60.0 * number) for number in range(3)]
    catalogue.add_frames([taken(it) for it in members], NOW)
    made = master("bias", members)
    catalogue.record_master(made, made.master_id, outcome(made.master_id), {}, NOW)
    catalogue.settle_night(group(Kind.BIAS), "2026-01-10", [made.master_id], NOW)
    hour = timedelta(hours=1)

    def found(since, until, **more):
        return catalogue.valid_masters(Kind.BIAS, EVENING + since * hour, EVENING + until * hour, **more)

    assert found(1, 1) == found(2, 9) == found(-9, 0) == [made]
    assert found(3, 9) == found(-9, -1) == found(1, 1, camera="another") == []
