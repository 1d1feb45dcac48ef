"""What the headers of a directory say of its cameras, their darks, sections and site."""

from __future__ import annotations

import pytest

from ingestd.records import Kind
from ingestd.rules.proposing import camera_rows, frame_rows, unclear_rows
from tests.rules.proposing_samples import camera, night, proposal, refused, sample, shots

# --- cameras ----------------------------------------------------------------------------------------------------------


def test_only_camera_takes_the_whole_directory():
    found = camera(night())
    assert (found.camera.name, found.camera.directories, found.camera.match) == ("Apogee-Alta", ("/frames",), {})


def test_cameras_in_one_directory_are_told_apart_by_instrument_most_frames_first():
    samples = [*night(INSTRUME="ST-7/7E"), *shots("light", 3, name="other", INSTRUME="ASI 1600")]
    found = [(each.camera.name, each.camera.match, len(each.looks)) for each in proposal(samples).cameras]
    assert found == [("ST-7-7E", {"INSTRUME": "ST-7/7E"}, 11), ("ASI-1600", {"INSTRUME": "ASI 1600"}, 3)]


def test_cameras_of_one_model_are_told_apart_by_serial_number():
    samples = [*shots("light", 2, SERIALNO="A1"), *shots("light", 2, name="b", SERIALNO="B2")]
    found = [(each.camera.name, each.camera.match) for each in proposal(samples).cameras]
    assert found == [
        ("Apogee-Alta-A1", {"INSTRUME": "Apogee Alta", "SERIALNO": "A1"}),
        ("Apogee-Alta-B2", {"INSTRUME": "Apogee Alta", "SERIALNO": "B2"}),
    ]


def test_serial_number_that_some_frames_lack_tells_nothing_apart():
    samples = [*shots("light", 2, SERIALNO="A1"), *shots("light", 1, name="b", SERIALNO="B2"), *shots("dark", 1)]
    assert len(proposal(samples).cameras) == 1


def test_frames_without_a_name_belong_to_the_only_camera():
    found = camera([*night(), *shots("bias", 2, name="plain", INSTRUME=None)])
    assert (found.camera.match, len(found.looks)) == ({}, 13)


def test_frames_without_a_name_come_last_among_several_cameras():
    samples = [*night(), *shots("light", 1, name="b", INSTRUME="B"), *shots("bias", 2, name="c", INSTRUME=None)]
    assert [each.camera.name for each in proposal(samples).cameras] == ["Apogee-Alta", "B", "unnamed"]
    assert proposal(samples).cameras[-1].camera.match == {"INSTRUME": ""}


@pytest.mark.parametrize(
    ("instrument", "name"),
    [("a/b|c  d", "a-b-c-d"), ("unassigned", "camera1"), ("///", "camera1"), ("é" * 9, "camera1")],
)
def test_camera_name_is_fit_for_a_directory(instrument, name):
    assert camera(shots("light", 1, INSTRUME=instrument)).camera.name == name


def test_names_that_differ_only_in_case_are_numbered():
    samples = [*shots("light", 2, INSTRUME="a b"), *shots("light", 1, name="x", INSTRUME="A-B")]
    assert [each.camera.name for each in proposal(samples).cameras] == ["a-b", "A-B-2"]


def test_directory_without_an_image_still_has_a_camera():
    table = sample("table.fits", {"XTENSION": "BINTABLE", "NAXIS": 2}, NAXIS=0, NAXIS1=None, NAXIS2=None)
    found = proposal([table], refused=[refused("notes.fits")])
    assert [each.camera.name for each in found.cameras] == ["camera1"]
    assert [row["what"] for row in unclear_rows(found)] == ["no image: table", "cannot be read: not_fits"]


# --- dark policy ------------------------------------------------------------------------------------------------------


def test_gain_setting_means_exact_darks():
    found = camera(night(GAIN=100, OFFSET=10, EGAIN=0.8))
    assert found.camera.dark_policy == "exact"
    assert "GAIN" in found.reasons["dark_policy"]


@pytest.mark.parametrize("name", ["ZWO ASI2600MM Pro", "ASI Camera (1)", "QHY600M", "Canon EOS 60D", "Andor sCMOS"])
def test_cmos_camera_is_known_by_its_name(name):
    assert camera(night(INSTRUME=name)).camera.dark_policy == "exact"


@pytest.mark.parametrize("name", ["QHY16803", "QHY9", "SBIG ST-8", "Apogee Aspen CG16M", "Basin", "fl08"])
def test_other_cameras_are_ccds(name):
    assert camera(night(INSTRUME=name)).camera.dark_policy == "scalable"


def test_mixed_headers_leave_the_policy_to_each_frame():
    found = camera([*night(), *shots("light", 1, name="x", GAIN=100, OFFSET=3)])
    assert found.camera.dark_policy == "auto"


# --- required steps ---------------------------------------------------------------------------------------------------


def test_steps_with_masters_are_required():
    assert camera(night()).camera.requires == ("bias", "dark", "flat")
    assert camera(night(flats=0)).camera.requires == ("bias", "dark")
    assert 'add "flat"' in camera(night(flats=0)).reasons["requires"]


def test_exact_darks_need_no_bias():
    assert camera(night(GAIN=100, OFFSET=10)).camera.requires == ("dark", "flat")
    assert camera(night(GAIN=100, OFFSET=10, darks=0, flats=0)).camera.requires == ("dark", "flat")


def test_without_any_calibration_products_stay_provisional():
    found = camera(shots("light", 3))
    assert found.camera.requires == ("bias", "dark", "flat")
    assert "provisional" in found.reasons["requires"]


# --- sections ---------------------------------------------------------------------------------------------------------


def sections(found):
    return [(each.key, each.value) for each in found.suggestions if "section" in each.key]


def test_columns_of_a_corner_are_suggested_for_every_row():
    """The Magellan IFUM: BIASSEC is the corner beyond the last column and the last row of the useful part."""
    cards = {"NAXIS1": 110, "NAXIS2": 90, "BIASSEC": "[101:110,81:90]", "DATASEC": "[1:100,1:80]"}
    found = camera(night(**cards))
    assert sections(found) == [("overscan_section", '"[101:110,1:80]"'), ("trim_section", '"[1:100,1:80]"')]
    assert (found.camera.overscan_section, found.camera.trim_section) == (None, None)


def test_overscan_that_the_header_tells_needs_no_setting():
    assert sections(camera(night(NAXIS1=110, BIASSEC="[101:110,1:80]", TRIMSEC="[1:100,1:80]"))) == []
    (row,) = camera_rows(proposal(night(NAXIS1=110, BIASSEC="[101:110,1:80]", TRIMSEC="[1:100,1:80]")))
    assert row["overscan"] == "[101:110,1:80]"


def test_columns_beside_the_useful_part_are_only_suggested():
    found = camera(night(NAXIS1=110, TRIMSEC="[1:100,1:80]"))
    assert sections(found) == [("overscan_section", '"[101:110,1:80]"')]
    assert found.camera.overscan_section is None


def test_sections_that_differ_among_frames_are_left_to_the_headers():
    samples = [*shots("bias", 2, NAXIS1=110, TRIMSEC="[1:100,1:80]"), *shots("light", 2, TRIMSEC="[1:90,1:80]")]
    assert sections(camera(samples)) == []


# --- read-out ---------------------------------------------------------------------------------------------------------


def test_readout_card_that_differs_must_agree():
    samples = [*night(PREAMP="1x"), *night(PREAMP="4x", day=1)]
    assert camera(samples).camera.extra_match == ("PREAMP",)


def test_readout_card_that_measures_something_is_left_alone():
    samples = [*night(PREAMP="1x"), *shots("light", 1, name="x", PREAMP="1.0037")]
    assert camera(samples).camera.extra_match == ()


# --- the site ---------------------------------------------------------------------------------------------------------


def test_longitude_and_name_come_from_the_headers():
    found = proposal(night(SITELONG="-105 49 13", OBSERVAT="ARCSAT"))
    assert found.settings.site.name == "ARCSAT"
    assert found.settings.site.longitude_deg == pytest.approx(-(105 + 49 / 60 + 13 / 3600), abs=1e-4)


def test_longitude_counted_to_the_west_is_turned():
    assert proposal(night(OBS_LONG=70.8)).settings.site.longitude_deg == -70.8


def test_several_places_leave_the_longitude_to_each_header():
    samples = [*night(SITELONG=149.07), *shots("light", 2, name="x", SITELONG=20.81)]
    found = proposal(samples)
    assert found.settings.site.longitude_deg is None
    assert "20.81, 149.07" in found.suggestions[0].reason


def test_without_a_longitude_it_is_asked_for():
    found = proposal(night())
    assert found.settings.site.longitude_deg is None
    assert [each.key for each in found.suggestions] == ["site.longitude_deg"]


# --- what was understood ----------------------------------------------------------------------------------------------


def test_frames_are_counted_by_sort():
    rows = frame_rows(proposal([*night(), *shots("light", 1, name="r", FILTER="R", EXPTIME=90.0)]))
    assert [(row["kind"], row["filter"], row["frames"], row["exposure_s"]) for row in rows] == [
        ("bias", "", 3, "0"),
        ("dark", "", 3, "60"),
        ("flat", "V", 3, "5"),
        ("light", "R", 1, "90"),
        ("light", "V", 2, "60"),
    ]


def test_two_steps_of_one_set_point_are_one_temperature():
    """-4.818 and -5.232 C are the two ADC steps around one set point: their mean is -5.0."""
    samples = [*shots("dark", 1, CCD_TEMP=-4.818), *shots("dark", 1, name="b", CCD_TEMP=-5.232)]
    (row,) = frame_rows(proposal(samples))
    assert row["ccd_temp_c"] == "-5.0"


def test_every_frame_is_understood_with_the_proposed_settings():
    found = camera(night())
    assert {each.frame.camera for each in found.looks} == {"Apogee-Alta"}
    assert {each.frame.kind for each in found.looks} == {Kind.BIAS, Kind.DARK, Kind.FLAT, Kind.LIGHT}
