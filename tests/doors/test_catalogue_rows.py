"""Rows <-> records: what goes in comes out; NaN, odd names and huge numbers do no harm."""

import math
import os
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.doors.catalogue import Catalogue, decode_path, encode_path
from ingestd.doors.catalogue.texts import read_time, time_text
from ingestd.records import Kind, State
from ingestd.rules import windows
from tests.doors.catalogue_samples import (
    CCD,
    FULL_FRAME,
    NOW,
    build,
    frame,
    group,
    master,
    measure,
    plane,
    stamp,
    taken,
)

NOTHING = replace(CCD, width_px=0, height_px=0, planes=0)


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


def back(catalogue, record):
    """Return the record after a trip through the database."""
    catalogue.add_frames([taken(record)], NOW)
    return catalogue.frame(record.frame_id)


@pytest.mark.parametrize(
    "record",
    [
        FULL_FRAME,
        frame("plain"),
        frame("bare", Kind.LIGHT, exposure_s=None, ccd_temp_c=None, filter_name=None, obs_start=None, night=None),
        frame("no image", Kind.OTHER, planes=(), configuration=NOTHING),
        frame("window", configuration=replace(CCD, window=None, gain_setting=0.0, bayer="RGGB")),
    ],
    ids=lambda record: record.frame_id[:8],
)
def test_record_comes_back_equal(catalogue, record):
    assert back(catalogue, record) == record


def test_key_of_the_configuration_is_the_key_in_the_database(catalogue):
    catalogue.add_frames([taken(FULL_FRAME)], NOW)
    rows = catalogue._rows("SELECT configuration FROM frames")
    assert [row[0] for row in rows] == [FULL_FRAME.configuration.key()]


def test_set_up_in_the_database_is_the_key_without_its_window(catalogue):
    records = [FULL_FRAME, frame("plain"), frame("no image", Kind.OTHER, planes=(), configuration=NOTHING)]
    catalogue.add_frames([taken(record, f"/raw/{record.frame_id}") for record in records], NOW)
    rows = catalogue._rows("SELECT frame_id, setup FROM frames")
    found = {row["frame_id"]: row["setup"] for row in rows}
    assert found == {
        records[0].frame_id: windows.setup_of(FULL_FRAME.configuration.key()),
        records[1].frame_id: "Apogee Alta | bin 2x2 | mode fast",
        records[2].frame_id: "",
    }


def test_numbers_that_are_not_finite_become_unknown(catalogue):
    record = frame("nan", exposure_s=math.nan, ccd_temp_c=math.inf, gain_e_per_adu=-math.inf)
    found = back(catalogue, record)
    assert (found.exposure_s, found.ccd_temp_c, found.gain_e_per_adu) == (None, None, None)


def test_scale_that_is_not_finite_stays_visible(catalogue):
    found = back(catalogue, frame("scale", planes=(plane(bscale=math.nan),)))
    assert math.isnan(found.planes[0].bscale)


def test_blank_beyond_64_bits_marks_no_pixel(catalogue):
    assert back(catalogue, frame("blank", planes=(plane(blank=10**30),))).planes[0].blank is None


def test_text_that_is_not_unicode_is_escaped(catalogue):
    assert back(catalogue, frame("text", object_name="M\udcff31")).object_name == "M\\udcff31"


def test_text_of_a_header_is_never_sql(catalogue):
    assert back(catalogue, FULL_FRAME).object_name == "M 31; DROP TABLE frames"
    assert catalogue.counts() != []


def test_time_is_cut_to_milliseconds_and_sorts():
    late = datetime(2026, 1, 2, 3, 4, 5, 678999, tzinfo=UTC)
    assert time_text(late) == "2026-01-02T03:04:05.678Z"
    assert time_text(late.replace(year=31)) == "0031-01-02T03:04:05.678Z"
    assert time_text(datetime(2026, 1, 2, 4, 0, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-02T03:00:00.000Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_comes_back_to_the_millisecond(time):
    assert read_time(time_text(time)) == time.replace(microsecond=time.microsecond // 1000 * 1000)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"/raw/light_001.fits", "/raw/light_001.fits"),
        (b"/raw/na\xefve.fits", "/raw/na\\xefve.fits"),
        (b"/raw/two\nlines.fits", "/raw/two\\x0alines.fits"),
        (b"/raw/back\\slash.fits", "/raw/back\\x5cslash.fits"),
        (b"/raw/\\x41.fits", "/raw/\\x5cx41.fits"),
        ("/raw/grün.fits".encode(), "/raw/grün.fits"),
        (b"/raw/\x1b[31m;rm -rf.fits", "/raw/\\x1b[31m;rm -rf.fits"),
    ],
)
def test_path_is_printable_text_and_comes_back(name, text):
    assert encode_path(os.fsdecode(name)) == text
    assert os.fsencode(decode_path(text)) == name


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_every_name_that_a_file_can_have_comes_back(name):
    text = encode_path(os.fsdecode(name))
    assert os.fsencode(decode_path(text)) == name
    text.encode("utf-8")


@pytest.mark.parametrize("name", [b"na\xefve.fits", b"two\nlines.fits", b"-rf.fits", b"n" * 250 + b".fits"])
def test_awkward_file_is_found_again_by_its_name(catalogue, tmp_path, name):
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
    catalogue.add_frames([taken(frame("a"), path)], NOW)
    assert catalogue.known_files() == {path: stamp()}
    assert catalogue.path_of(frame("a").frame_id) == path
    assert [row["frame_id"] for row in catalogue.find_frames(os.fsdecode(name))] == [frame("a").frame_id]


def test_master_comes_back_equal(catalogue):
    darks = [frame(f"dark {n}", Kind.DARK, minute=n) for n in range(3)]
    catalogue.add_frames([taken(dark) for dark in darks], NOW)
    measure(catalogue, *darks)
    bias = build(catalogue, master("bias", [darks[0]], kind=Kind.BIAS))
    made = master("dark", darks[::-1], parents=(bias.master_id,), grade="yellow", path="masters/na\udcefve.fits")
    build(catalogue, made)
    found = catalogue.master(made.master_id)
    assert (found, found.members, found.parents) == (made, made.members, made.parents)


def test_master_that_is_recorded_again_is_read_again(catalogue):
    record = frame("b")
    catalogue.add_frames([taken(record)], NOW)
    made = build(catalogue, master("m", [record], grade="yellow"))
    assert catalogue.master(made.master_id) == made
    again = build(catalogue, replace(made, grade="green"))
    assert catalogue.master(made.master_id) == again
    assert catalogue.master(made.master_id).members == again.members


def build_and_fail(catalogue, made):
    """Record a master, read it, and undo it by settling one that is not recorded."""
    with catalogue.transaction():
        assert catalogue.master(build(catalogue, made).master_id) == made
        catalogue.settle_night(group(Kind.BIAS), made.night, ["unknown"], NOW)


def test_master_of_an_undone_transaction_is_not_remembered(catalogue):
    record = frame("b")
    catalogue.add_frames([taken(record)], NOW)
    made = master("m", [record])
    with pytest.raises(ValueError, match="not recorded"):
        build_and_fail(catalogue, made)
    assert catalogue.master(made.master_id) is None


def test_rejected_file_has_no_configuration(catalogue):
    from ingestd.doors.catalogue import rejected_record  # noqa: PLC0415 - used here only

    record = rejected_record("f" * 64, "main")
    item = taken(record, "/raw/notes.fits", state=State.QUARANTINED, reason="not_fits", detail="begins with 'Dear'")
    catalogue.add_frames([item], NOW)
    assert catalogue.frame(record.frame_id) == record
    assert catalogue._value("SELECT configuration FROM frames") == ""
    assert catalogue.frame_rows()[0]["state"] == "quarantined"


def test_tables_refuse_a_value_of_the_wrong_type(catalogue):
    with pytest.raises(sqlite3.IntegrityError), catalogue.transaction():
        catalogue._write("INSERT INTO events (time, level, event, subject, detail) VALUES (1, 2, x'00', 3, 4)", {})
