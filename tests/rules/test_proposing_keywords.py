"""What single headers do not say and many of them settle: cards, words, names; and what explain says of the rest."""

from __future__ import annotations

import pytest

from ingestd.records import Kind
from ingestd.rules.proposing import header_cards, missing_fields, unclear_rows
from ingestd.settings import Keywords
from tests.rules.dialect_headers import IMAGE, record
from tests.rules.proposing_samples import camera, night, proposal, sample, shots


def kinds(found):
    """Kinds by the first part of the file name."""
    return {each.sample.path.partition("_")[0]: each.frame.kind for each in found.looks}


# --- cards that no dialect knows --------------------------------------------------------------------------------------


def test_exposure_card_of_every_header_is_proposed():
    samples = [
        *shots("bias", 2, EXPTIME=None, OPENTIM=0.0),
        *shots("dark", 2, EXPTIME=None, OPENTIM=30.0),
        *shots("light", 2, EXPTIME=None, OPENTIM=30.0),
    ]
    found = camera(samples)
    assert found.camera.keywords.exposure == ("OPENTIM",)
    assert [each.frame.exposure_s for each in found.looks] == [0.0, 0.0, 30.0, 30.0, 30.0, 30.0]


def test_name_of_the_exposure_card_tells_its_unit():
    found = camera([*shots("dark", 2, EXPTIME=None, EXPDURMS=30000), *shots("light", 2, EXPTIME=None, EXPDURMS=30000)])
    assert (found.camera.keywords.exposure, found.camera.keywords.exposure_unit) == (("EXPDURMS",), "ms")
    assert found.looks[0].frame.exposure_s == 30.0


def test_two_possible_cards_are_only_suggested():
    found = camera(shots("light", 3, EXPTIME=None, EXPOA=30.0, EXPOB=31.0))
    assert found.camera.keywords == Keywords()
    assert [each.value for each in found.suggestions if each.key == "keywords.exposure"] == ['["EXPOA"]', '["EXPOB"]']
    (row,) = unclear_rows(proposal(shots("light", 3, EXPTIME=None, EXPOA=30.0, EXPOB=31.0)))
    assert (row["what"], row["frames"]) == ("exposure", 3)
    assert row["looked_for"][0] == "EXPTIME"
    assert row["remedy"] == '[camera.keywords] exposure = ["EXPOA"]'


def test_exposures_of_many_hours_are_doubted():
    found = camera(shots("light", 2, EXPTIME=60000.0))
    suggested = {each.key: each.value for each in found.suggestions if "exposure" in each.key}
    assert suggested == {"keywords.exposure": '["EXPTIME"]', "keywords.exposure_unit": '"ms"'}


def test_temperature_of_the_sensor_is_proposed_and_that_of_the_dome_is_not():
    found = camera(night(CCD_TEMP=None, CHIPTMPA=-19.5, DOMETEMP=8.0, AMBTEMP=7.0))
    assert found.camera.keywords.ccd_temp == ("CHIPTMPA",)
    assert camera(night(CCD_TEMP=None, DOMETEMP=8.0)).camera.keywords.ccd_temp == ()


def test_camera_without_a_cooler_lacks_nothing():
    assert not proposal(night(CCD_TEMP=None, SET_TEMP=None)).cameras[0].unclear


def test_filter_card_is_proposed():
    found = camera([*shots("flat", 2, FILTER=None, FILTRNAM="V"), *shots("light", 2, FILTER=None, FILTRNAM="V")])
    assert found.camera.keywords.filter == ("FILTRNAM",)
    assert {each.frame.filter_name for each in found.looks} == {"V"}


def test_date_card_is_proposed_but_never_local_time_or_the_date_of_the_file():
    when = "2024-03-01T22:00:00"
    found = camera(shots("light", 2, DATE_OBS=None, UTSTARTD=when, DATE=when, DATE_LOC=when, DATE_END=when))
    assert found.camera.keywords.obs_start == ("UTSTARTD",)
    assert camera(shots("light", 2, DATE_OBS=None, DATE=when, DATE_LOC=when)).camera.keywords.obs_start == ()


def test_type_card_of_an_unknown_name_is_proposed():
    samples = [
        *shots("bias", 2, name="a", IMAGETYP=None, PICTYPE="Bias"),
        *shots("light", 2, name="b", IMAGETYP=None, PICTYPE="Light"),
    ]
    found = camera(samples)
    assert found.camera.keywords.kind == ("PICTYPE",)
    assert kinds(found) == {"a": Kind.BIAS, "b": Kind.LIGHT}


def test_rule_is_not_made_of_a_single_frame():
    assert camera(shots("light", 1, EXPTIME=None, EXPOA=30.0)).camera.keywords == Keywords()


def test_ambiguous_gain_is_never_decided():
    found = camera(night(GAIN=1.3))
    assert found.camera.keywords == Keywords()
    assert {each.key for each in found.suggestions} >= {"keywords.gain_e_per_adu", "keywords.gain_setting"}


# --- words and names --------------------------------------------------------------------------------------------------


def test_word_that_the_file_names_explain_is_proposed():
    samples = [*shots("dark", 2, IMAGETYP="Sombra"), *shots("light", 2, IMAGETYP="Cielo", name="m31")]
    found = camera(samples)
    assert found.camera.keywords.words == {"Sombra": "dark"}
    assert kinds(found) == {"dark": Kind.DARK, "m31": Kind.UNKNOWN}
    assert [(each.key, each.value) for each in found.suggestions if "words" in each.key] == [
        ("keywords.words", '{ "Cielo" = "light" }')
    ]


def test_flats_that_a_program_calls_light_are_flats():
    """The program has a word for darks only: flats and dark-flats are told by their names."""
    samples = [
        *shots("flat", 3, name="L2-flat-hg", IMAGETYP="Light Frame"),
        *shots("dark", 3, name="L2-dark-flat"),
        *shots("light", 2, name="L2-sci"),
    ]
    found = camera(samples)
    assert found.camera.keywords.file_names == {"*dark*": "dark", "*flat*": "flat"}
    assert kinds(found) == {"L2-flat-hg": Kind.FLAT, "L2-dark-flat": Kind.DARK, "L2-sci": Kind.LIGHT}
    assert "3 frames are named flat" in found.reasons["keywords.file_names"]


def test_flat_that_disagrees_with_a_program_that_knows_the_word_is_for_a_person():
    samples = [*shots("flat", 2, name="sky", IMAGETYP="Flat Frame"), *shots("flat", 2, IMAGETYP="Light Frame")]
    found = camera(samples)
    assert found.camera.keywords.file_names == {}
    assert kinds(found)["flat"] is Kind.UNKNOWN
    assert [each.value for each in found.suggestions if "names" in each.key] == ['{ "*flat*" = "flat" }']


def test_lights_named_dark_are_for_a_person():
    found = camera(shots("light", 3, name="m31_dark"))
    assert found.camera.keywords.file_names == {}
    assert {each.frame.kind for each in found.looks} == {Kind.UNKNOWN}


def test_rule_that_would_change_another_frame_is_not_made():
    """'inflation' holds 'flat' and is a target: no pattern of the form *flat* may touch it."""
    samples = [*shots("flat", 3, IMAGETYP="Light Frame"), *shots("light", 2, name="inflation")]
    found = camera(samples)
    assert found.camera.keywords.file_names == {}
    assert kinds(found)["inflation"] is Kind.LIGHT


def test_names_in_words_of_type_cards_are_proposed_if_the_exposures_fit():
    named = {"offset": 0.0, "plu": 3.0}
    samples = [
        each
        for name, exposure in named.items()
        for each in shots("light", 2, name=name, IMAGETYP=None, EXPTIME=exposure)
    ]
    assert camera(samples).camera.keywords.file_names == {"offset*": "bias", "plu*": "flat"}
    long = shots("light", 2, name="offset", IMAGETYP=None, EXPTIME=60.0)
    assert camera(long).camera.keywords.file_names == {}


def test_program_without_types_makes_science_frames_of_all_that_is_not_named_a_calibration():
    kinds_named = [
        *shots("dark", 2, name="n1/dark"),
        *shots("bias", 2, name="Biases/b"),
        *shots("flat", 2, name="dark_flat"),
    ]
    samples = [*kinds_named, *shots("light", 2, name="neon"), *shots("light", 3, name="m31")]
    samples = [sample(each.path, **{**each.header.units[0].cards, "IMAGETYP": None}) for each in samples]
    found = camera(samples)
    assert found.camera.keywords.file_names == {
        "*dark*": "dark", "*biases*/*": "bias", "*neon*": "arc", "*": "light"
    }  # fmt: skip
    assert kinds(found) == {
        "n1/dark": Kind.DARK, "Biases/b": Kind.BIAS, "dark": Kind.DARK, "neon": Kind.OTHER, "m31": Kind.LIGHT
    }  # fmt: skip


def test_rest_is_no_science_frame_where_no_calibration_is_named():
    assert camera(shots("light", 3, IMAGETYP=None)).camera.keywords.file_names == {}


def test_frames_of_which_nothing_is_said_are_never_guessed():
    samples = shots("light", 4, name="img", IMAGETYP=None)
    found = camera(samples)
    assert {each.frame.kind for each in found.looks} == {Kind.UNKNOWN}
    assert [each.value for each in found.suggestions if "names" in each.key] == ['{ "img*" = "light" }']
    (row,) = [row for row in unclear_rows(proposal(samples)) if row["what"] == "kind"]
    assert (row["frames"], row["looked_for"][0]) == (4, "IMAGETYP")


# --- one frame, as explain shows it -----------------------------------------------------------------------------------


def lacking(frame, cards=None, own=None):
    return {each.field: each for each in missing_fields(frame, own or Keywords(), cards)}


def test_complete_frame_lacks_nothing():
    (each,) = camera(shots("light", 1)).looks
    assert missing_fields(each.frame, Keywords(), each.cards) == ()


def test_each_missing_field_names_its_cards_and_the_setting():
    found = lacking(record(dict(IMAGE)))
    assert set(found) == {"kind", "exposure", "obs_start"}
    assert found["kind"].looked_for[0] == "IMAGETYP"
    assert found["kind"].write[0] == 'kind = ["CARD"]'
    assert "EXPTIME" in found["exposure"].looked_for
    assert found["obs_start"].write == ('obs_start = ["CARD"]',)


def test_own_keywords_are_looked_for_first():
    found = lacking(record(dict(IMAGE)), own=Keywords(exposure=("BELICHT",)))
    assert found["exposure"].looked_for[0] == "BELICHT"


def test_cards_that_say_nothing_and_cards_that_may_are_shown():
    odd = sample("x.fits", IMAGETYP="Light Frame", EXPTIME="none", EXPOA=30.0, DATE_OBS="1899-12-30T00:00:00")
    cards = header_cards(odd)
    found = lacking(record(dict(cards)), cards)
    assert found["exposure"].unusable == (("EXPTIME", "'none'"),)
    assert found["exposure"].candidates == (("EXPOA", "30"),)
    assert found["exposure"].write[0] == 'exposure = ["EXPOA"]'
    assert found["obs_start"].unusable == (("DATE-OBS", "1899-12-30T00:00:00"),)


@pytest.mark.parametrize("kind", ["Bias Frame", "Dark Frame"])
def test_bias_and_dark_lack_no_filter(kind):
    assert "filter" not in lacking(record({**IMAGE, "IMAGETYP": kind}))


def test_file_without_an_image_lacks_nothing():
    assert missing_fields(record({**IMAGE, "NAXIS": 0}), Keywords()) == ()
