"""What a master made elsewhere becomes, by its header and by what the operator says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingestd.records import Kind
from ingestd.rules import external
from ingestd.rules.external import NotAdopted, Told
from ingestd.settings import parse_settings
from tests.rules.builders import EPOCH, NIGHT, configuration, frame

SETTINGS = parse_settings({"camera": [{"name": "main"}], "paths": {"data": "/data"}})
TWO = parse_settings({"camera": [{"name": "main"}, {"name": "guide"}]})
RECORD = frame(Kind.OTHER, "source", exposure_s=120.0)


def adopt(cards=None, record=RECORD, like=None, settings=SETTINGS, **told):
    cards = {"IMAGETYP": "Master Dark", "NCOMBINE": 20, **(cards or {})}
    return external.adopt(record, cards, Told(**told), settings, like=like)


# --- what the header says ---------------------------------------------------------------------------------------------


def test_the_header_says_what_it_stands_for():
    found = adopt()
    master = found.master
    assert (master.kind, master.exposure_s, master.ccd_temp_c, master.filter_name) == (Kind.DARK, 120.0, -10.0, None)
    assert (master.first_obs, master.last_obs, master.night) == (EPOCH, EPOCH, NIGHT)
    assert (found.members, master.grade, found.notes) == (20, "green", ())
    assert master.path == f"/data/masters/main/dark/{NIGHT}_{master.master_id[:8]}.fits"


@pytest.mark.parametrize(
    ("cards", "kind"),
    [
        ({"IMAGETYP": "Master Bias"}, Kind.BIAS),
        ({"IMAGETYP": "MasterFlat"}, Kind.FLAT),
        ({"IMAGETYP": "", "OBSTYPE": "ZERO"}, Kind.BIAS),
        ({"IMAGETYP": "flat field"}, Kind.FLAT),
    ],
)
def test_one_word_in_a_type_card_is_a_kind(cards, kind):
    assert adopt(cards).master.kind is kind


@pytest.mark.parametrize("text", ["", "Master", "Dark Flat", "Light Frame"])
def test_any_other_word_asks_for_the_kind(text):
    with pytest.raises(NotAdopted, match="give --kind"):
        adopt({"IMAGETYP": text})


def test_the_last_frame_is_that_of_date_end():
    assert adopt({"DATE-END": "2024-03-10T05:00:00"}).master.last_obs == EPOCH + timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-03-09T00:00:00", "2094-01-01T00:00:00"])
def test_a_strange_end_does_not_count(text):
    assert adopt({"DATE-END": text}).master.last_obs == EPOCH


def test_a_flat_has_a_filter_and_no_exposure():
    master = adopt({"IMAGETYP": "Master Flat"}).master
    assert (master.filter_name, master.exposure_s) == ("V", None)


# --- what the operator says -------------------------------------------------------------------------------------------


def test_the_operators_word_goes_before_the_header():
    first, last = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
    master = adopt(kind=Kind.DARK, exposure_s=60.0, ccd_temp_c=-20.0, first_obs=first, last_obs=last, members=7).master
    assert (master.exposure_s, master.ccd_temp_c, master.grade) == (60.0, -20.0, "yellow")
    assert (master.first_obs, master.last_obs, master.night) == (first, last, "2024-01-02")


def test_a_first_frame_alone_is_the_whole_interval():
    first = datetime(2024, 1, 1, tzinfo=UTC)
    assert adopt({"DATE-END": "2024-03-10T05:00:00"}, first_obs=first).master.last_obs == first


def test_a_frame_lends_its_set_up():
    like = frame(configuration=configuration(readout_mode="fast"))
    assert adopt(like=like).master.configuration == like.configuration.key()


def test_a_grade_may_be_given():
    assert adopt(grade="red").master.grade == "red"


# --- what is missing or wrong -----------------------------------------------------------------------------------------


def test_an_unknown_number_of_frames_is_graded_red_and_told():
    found = adopt({"NCOMBINE": None})
    assert (found.members, found.master.grade, len(found.notes)) == (0, "red", 1)


def test_an_unknown_temperature_is_told():
    assert "temperature is unknown" in adopt(record=replace(RECORD, ccd_temp_c=None)).notes[0]


@pytest.mark.parametrize(
    ("changes", "told", "advice"),
    [
        ({"obs_start": None}, {}, "give --first"),
        ({"exposure_s": None}, {}, "give --exposure"),
        ({"flags": ("bias_subtracted",)}, {}, "hold their bias level"),
        ({}, {"kind": Kind.LIGHT}, "not a light"),
        ({}, {"last_obs": EPOCH - timedelta(days=1)}, "before its first"),
    ],
)
def test_what_cannot_be_adopted_says_what_to_do(changes, told, advice):
    with pytest.raises(NotAdopted, match=advice):
        adopt(record=replace(RECORD, **changes), **told)


def test_a_flat_may_have_been_bias_subtracted():
    record = replace(RECORD, flags=("bias_subtracted", "dark_subtracted"))
    assert adopt({"IMAGETYP": "Master Flat"}, record).master.kind is Kind.FLAT


@pytest.mark.parametrize("unit", ["electron", "e-", "electrons"])
def test_electrons_are_refused_unless_they_are_scaled(unit):
    with pytest.raises(NotAdopted, match="in electrons"):
        adopt({"BUNIT": unit})
    assert adopt({"BUNIT": unit}, scale=0.5).master.kind is Kind.DARK


def test_the_address_follows_from_all_that_enters():
    found = {
        adopt(**changes).master.master_id
        for changes in ({}, {"exposure_s": 60.0}, {"members": 3}, {"scale": 2.0}, {"kind": Kind.BIAS}, {"grade": "red"})
    }
    # a grade only describes
    assert len(found) == 5


# --- the camera -------------------------------------------------------------------------------------------------------


def test_the_camera_is_named_or_found_or_the_only_one():
    guide = TWO.camera[1]
    assert external.camera_of(Told(camera="guide"), None, TWO) == guide
    assert external.camera_of(Told(), guide, TWO) == guide
    assert external.camera_of(Told(), None, SETTINGS).name == "main"


@pytest.mark.parametrize(("told", "words"), [(Told(), "give --camera, one of main, guide"), (Told(camera="x"), "'x'")])
def test_a_camera_is_not_guessed(told, words):
    with pytest.raises(NotAdopted, match=words):
        external.camera_of(told, None, TWO)
