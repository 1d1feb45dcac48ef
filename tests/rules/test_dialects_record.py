"""The record as a whole: nights, flags, gain, configuration, planes and sections, the choice of the camera."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestd.records import Kind, Section
from ingestd.rules.dialects import choose_camera
from ingestd.settings import Camera, Keywords, Settings, Site
from tests.rules.dialect_headers import IMAGE, NOW, header, image, record

PRIMARY = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "DATE-OBS": "2024-03-01T22:00:00"}


def extension(**cards):
    return {"XTENSION": "IMAGE", "BITPIX": 16, "NAXIS": 2, "NAXIS1": 100, "NAXIS2": 80, **cards}


# --- nights and times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "longitude", "night"),
    [
        # night = date of (start + longitude / 15 h - 12 h)
        ("2019-05-03T07:37:46", -105.82, "2019-05-02"),  # 07:38 - 7.05 h - 12 h = 12:34 of the day before
        ("2024-03-01T22:00:00", 0.0, "2024-03-01"),
        ("2024-03-02T11:59:59", 0.0, "2024-03-01"),
        ("2024-03-02T12:00:00", 0.0, "2024-03-02"),
        ("2015-12-16T19:33:54", 149.07, "2015-12-16"),  # 19:34 + 9.94 h - 12 h = 17:30
        ("2015-12-16T02:30:00", 149.07, "2015-12-16"),  # 02:30 + 9.94 h - 12 h = 00:26
    ],
)
def test_night_begins_at_local_noon(start, longitude, night):
    frame = record(image(**{"DATE-OBS": start}), site=Site(longitude_deg=longitude))
    assert frame.night == night


def test_longitude_of_the_header_serves_where_the_settings_have_none():
    frame = record(image(SITELONG="-105 49 13", **{"DATE-OBS": "2019-05-03T07:37:46"}), site=Site())
    assert frame.night == "2019-05-02"
    assert frame.source("night") == "SITELONG"
    west = record(image(**{"OBS-LONG": 70.81489, "DATE-OBS": "2013-09-01T06:02:55"}), site=Site())
    assert west.night == "2013-08-31"  # 06:03 - 4.72 h - 12 h
    without = record(image(), site=Site())
    assert any("longitude unknown" in note for note in without.notes)


def test_date_and_time_in_two_cards_are_joined():
    frame = record({**IMAGE, "DATE-OBS": "2002-11-05", "UT": " 23:53:30.00"})
    assert frame.obs_start == datetime(2002, 11, 5, 23, 53, 30, tzinfo=UTC)
    assert frame.source("obs_start") == "DATE-OBS + UT"


def test_start_is_preferred_to_the_middle_of_the_exposure():
    frame = record({**IMAGE, "DATE-OBS": "2015-10-10", "UT": "08:21:00", "UT-STR": "08:20:06.598"})
    assert frame.source("obs_start") == "DATE-OBS + UT-STR"


def test_local_time_is_refused():
    frame = record({**IMAGE, "IMAGETYP": "BIAS", "DATE-LOC": "2021-03-02T21:19:00.455"})
    assert (frame.obs_start, frame.night) == (None, None)
    assert frame.flags == ("no_date",)
    assert any("DATE-LOC is local time" in note for note in frame.notes)
    assert record(image(TIMESYS="LOCAL")).obs_start is None


def test_atomic_time_is_converted():
    # TAI is 37 s ahead of UTC since 2017
    assert record(image(TIMESYS="TAI")).obs_start == datetime(2024, 3, 1, 21, 59, 23, tzinfo=UTC)


def test_frame_without_a_date_is_flagged_only_if_it_is_a_calibration():
    assert record({**IMAGE, "IMAGETYP": "DARK"}).flags == ("no_date",)
    assert record({**IMAGE, "IMAGETYP": "LIGHT"}).flags == ()


def test_frame_of_the_future_is_flagged():
    def at(moment):
        return record(image(IMAGETYP="DARK", **{"DATE-OBS": moment.strftime("%Y-%m-%dT%H:%M:%S")})).flags

    assert at(NOW + timedelta(hours=23)) == ()
    assert at(NOW + timedelta(hours=25)) == ("future_date",)


# --- temperatures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "measured", "wanted", "flags"),
    [
        ("DARK", -15.23319095486, -15.0, ()),
        ("DARK", -10.618758146325838, -11.0, ()),  # ADC step of an ST-7, 0.38 C off the set point
        ("DARK", -10.5, -11.0, ("unstable_temperature",)),
        ("DARK", -9.0, -11.0, ("unstable_temperature",)),
        ("BIAS", -9.0, -11.0, ()),
        ("FLAT", -7.9, -40.0, ()),
    ],
)
def test_dark_away_from_its_set_point_is_flagged(kind, measured, wanted, flags):
    frame = record(image(IMAGETYP=kind, **{"CCD-TEMP": measured, "SET-TEMP": wanted}))
    assert frame.flags == flags
    assert any("set point" in note for note in frame.notes) is (abs(measured - wanted) >= 0.5)


# --- earlier processing -----------------------------------------------------------------------------------------------

PROCESSED = [
    ({"CALSTAT": "BDF"}, (), ("bias_subtracted", "calibrated", "dark_subtracted", "flat_divided")),
    ({"CALSTAT": "D"}, (), ("calibrated", "dark_subtracted")),
    ({}, ("Auto-Dark Subtraction",), ("calibrated", "dark_subtracted")),
    ({}, ("Auto Dark Subtraction",), ("calibrated", "dark_subtracted")),
    ({}, ("Dark Subtraction (Dark 5, ST-7, 765 x 510, Bin1 x 1)",), ("calibrated", "dark_subtracted")),
    ({}, ("Bias corrected with mbias.fits",), ("bias_subtracted", "calibrated")),
    ({}, ("Flat corrected with mflatR.fits",), ("calibrated", "flat_divided")),
    ({"FLATCOR": "Apr  3 10:00 Flat field image is Flat"}, (), ("calibrated", "flat_divided")),
    ({"PROCTYPE": "InstCal"}, (), ("calibrated",)),
    ({"RLEVEL": 91}, (), ("calibrated",)),
    ({"DARK_CNT": 20}, (), ("calibrated", "dark_subtracted")),
    ({"SUBBIAS": "ccd=<CCDData>, master=<CCDData>"}, (), ("bias_subtracted", "calibrated")),
    ({"BUNIT": "electron"}, (), ("calibrated",)),
]


@pytest.mark.parametrize(("cards", "history", "flags"), PROCESSED)
@pytest.mark.parametrize("kind", ["Light Frame", "Flat Frame", "Dark Frame"])
def test_processed_frame_never_joins_a_master(kind, cards, history, flags):
    frame = record(image(IMAGETYP=kind, **cards), comments=history)
    assert frame.flags == flags
    assert not frame.may_join_master
    assert frame.source("processing")


@pytest.mark.parametrize(
    ("cards", "history"),
    [
        ({}, ("No dark subtraction",)),
        ({}, ("Dark subtraction: off",)),
        ({"CALSTAT": "", "RLEVEL": 0, "PROCTYPE": "RAW", "BUNIT": "adu", "FLATCOR": ""}, ()),
        ({"NCOMBINE": 1, "COMBINED": False, "STACKCNT": 1}, ()),
        ({"OVERSCAN": 32, "FLATCORR": "PERFORM"}, ()),
        ({}, ("File was processed by PinPoint 6.1.1", "WCS added by PinPoint")),
        ({"PEDESTAL": -100}, ()),
        ({"CALSTAT": "uncalibrated", "SNAPSHOT": 1, "DARK_CNT": 0}, ()),
    ],
)
def test_raw_frame_is_not_taken_for_a_processed_one(cards, history):
    assert record(image(IMAGETYP="Dark Frame", **cards), comments=history).flags == ()


@pytest.mark.parametrize(
    "cards", [{"NCOMBINE": 10}, {"COMBINED": True}, {"STACKCNT": 5}, {"IMCMB001": "bias1.fits"}, {"CALSTAT": "M"}]
)
def test_combination_of_calibrations_is_a_master(cards):
    frame = record(image(IMAGETYP="BIAS", **cards))
    assert (frame.kind, frame.label) == (Kind.OTHER, "master")
    assert "combined" in frame.flags
    assert record(image(IMAGETYP="LIGHT", **cards)).label == "stack"


def test_uncertainty_plane_says_processed():
    frame = record(PRIMARY, extension(IMAGETYP="FLAT"), extension(EXTNAME="UNCERT"), extension(EXTNAME="MASK"))
    assert "calibrated" in frame.flags
    assert len(frame.planes) == 1


# --- gain -------------------------------------------------------------------------------------------------------------


def gains(**cards):
    frame = record(image(**cards))
    return frame.gain_e_per_adu, frame.configuration.gain_setting


def test_gain_card_means_what_its_dialect_says():
    assert gains(SWCREATE="N.I.N.A. 3.1", GAIN=120, EGAIN=1.002) == (1.002, 120.0)
    assert gains(SWCREATE="N.I.N.A. 3.1", GAIN=0) == (None, 0.0)
    assert gains(SITEID="coj", OBSTYPE="BIAS", GAIN="[2.01, 1.99, 2.05, 2.02]") == (2.0175, None)
    assert gains(IMAGETYP="object", GAIN=1.9, RDNOISE=5.0, BIASSEC="[1:4,1:80]") == (1.9, None)
    assert gains(**{"E-GAIN": 0.46}) == (0.46, None)


def test_gain_card_that_nothing_declares_is_left_alone():
    assert gains(GAIN=1.1) == (None, None)
    assert gains(GAIN=2) == (None, None)
    assert any("GAIN = 1.1" in note for note in record(image(GAIN=1.1)).notes)
    assert gains(GAIN=139) == (None, 139.0)
    assert gains(GAIN=1.5, OFFSET=10) == (None, 1.5)
    assert gains(ISO=800) == (None, 800.0)


def test_settings_go_before_every_card():
    camera = Camera(name="a", gain_e_per_adu=1.3, read_noise_e=7.6, saturation_adu=60000.0)
    frame = record(image(EGAIN=2.0, RDNOISE=9.0, DATAMAX=65535), camera=camera)
    assert (frame.gain_e_per_adu, frame.read_noise_e, frame.saturation_adu) == (1.3, 7.6, 60000.0)
    assert frame.source("gain_e_per_adu") == "settings gain_e_per_adu"
    assert frame.planes[0].gain_e_per_adu == 1.3
    named = Camera(name="a", keywords=Keywords(gain_e_per_adu=("GAIN",), gain_setting=("GAINSTEP",)))
    frame = record(image(GAIN=1.1, GAINSTEP=3), camera=named)
    assert (frame.gain_e_per_adu, frame.configuration.gain_setting) == (1.1, 3.0)


def test_saturation_of_zero_is_no_saturation():
    assert record(image(SATURATE=0.0, MAXLIN=0.0)).saturation_adu is None
    assert record(image(SATURATE=0.0, DATAMAX=65535)).saturation_adu == 65535.0


# --- configuration ----------------------------------------------------------------------------------------------------


def test_configuration_holds_what_must_be_equal():
    cards = {
        "INSTRUME": "ZWO ASI294MC Pro", "XBINNING": 2, "YBINNING": 2, "XORGSUBF": 16, "YORGSUBF": 8,
        "READOUTM": "High  Gain", "GAIN": 120, "OFFSET": 30, "BAYERPAT": "RGGB", "XBAYROFF": 0, "YBAYROFF": 1,
        "ROWORDER": "TOP-DOWN", "SWCREATE": "N.I.N.A. 2.0", "USBLIMIT": 40,
    }  # fmt: skip
    camera = Camera(name="a", extra_match=("USBLIMIT", "SPEED"))
    found = record(image(**cards), camera=camera).configuration
    assert (found.instrument, found.readout_mode) == ("ZWO ASI294MC Pro", "High Gain")
    assert (found.width_px, found.height_px, found.x_binning, found.y_binning) == (100, 80, 2, 2)
    assert (found.window, found.gain_setting, found.offset_setting) == ((16, 8), 120.0, 30.0)
    assert found.bayer == "GBRG"
    assert found.extra == (("ROWORDER", "TOP-DOWN"), ("USBLIMIT", "40"), ("SPEED", ""))


@pytest.mark.parametrize(
    ("cards", "pattern"),
    [
        ({}, "RGGB"),
        ({"XBAYROFF": 1}, "GRBG"),
        ({"YBAYROFF": 1}, "GBRG"),
        ({"XBAYROFF": 3, "YBAYROFF": -1}, "BGGR"),
        ({"XBAYROFF": "0", "YBAYROFF": 2.0}, "RGGB"),
        ({"ROWORDER": "TOP-DOWN"}, "RGGB"),
        ({"ROWORDER": "BOTTOM-UP"}, "GBRG"),
        ({"ROWORDER": "BOTTOM-UP", "NAXIS2": 81}, "RGGB"),
        ({"ROWORDER": "BOTTOM-UP", "YBAYROFF": 1}, "RGGB"),
        ({"BAYERPAT": "TRUE", "COLORTYP": "BGGR"}, "BGGR"),
        ({"BAYERPAT": "none"}, ""),
    ],
)
def test_colour_pattern_is_that_of_the_first_pixel_of_the_file(cards, pattern):
    assert record(image(**{"BAYERPAT": "RGGB", **cards})).configuration.bayer == pattern


@pytest.mark.parametrize(
    ("cards", "origin"),
    [
        ({}, None),
        ({"XORGSUBF": 16, "YORGSUBF": 8, "CCDSEC": "[1:100,1:80]"}, (16, 8)),
        ({"CCDSEC": "[1:100,1:80]"}, (0, 0)),
        ({"CCDSEC": "[101:200,41:120]"}, (100, 40)),
        ({"CCDSEC": "UNKNOWN", "DETSEC": "[101:200,41:120]"}, (100, 40)),
        ({"CCDSEC": "[101:300,41:200]", "CCDSUM": "2 2"}, (50, 20)),
        ({"CCDSEC": "[101:299,41:199]", "CCDSUM": "2 2"}, (50, 20)),
        ({"CCDSEC": "[201:292,1:80]", "TRIMSEC": "[1:92,1:80]"}, (200, 0)),
        ({"CCDSEC": "[101:200,41:130]"}, None),  # not the size of the image
        ({"CCDSEC": "[200:101,41:120]"}, None),  # mirrored
    ],
)
def test_window_is_told_by_its_origin_or_its_section_of_the_detector(cards, origin):
    assert record(image(**cards)).configuration.window == origin


def test_size_of_the_image_without_overscan_is_part_of_the_configuration():
    cards = {"TRIMSEC": "[1:90,1:80]", "BIASSEC": "[91:100,1:80]"}
    trimmed, whole = record(image(**cards)).configuration, record(image()).configuration
    assert (trimmed.image_px, whole.image_px) == ((90, 80), None)
    assert trimmed.key().endswith(" @ 100x80 image 90x80")


def test_amplifiers_in_files_of_their_own_never_calibrate_each_other():
    first, second = (record(image(EXPTYPE="Bias", OPAMP=amplifier)).configuration for amplifier in (1, 2))
    assert first.key() != second.key()


def test_instrument_is_found_under_its_other_names():
    assert record(image(**{"CAM-ID": "012070048413"})).configuration.instrument == "012070048413"
    assert record(image(INSTRUME="", CAMERA="Alta U9")).configuration.instrument == "Alta U9"


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ({"FILTER": "i'      "}, "i'"),
        ({"FILTER": "R"}, "R"),
        ({"FILTER": "r"}, "r"),
        ({"INSFLNAM": "Johnson V"}, "Johnson V"),
        ({"FILTER1": "r_G0303", "FILTER2": "open2-8"}, "r_G0303"),
        ({"FILTER1": "Clear", "FILTER2": "Halpha"}, "Halpha"),
        ({"FILTER": "None"}, None),
        ({}, None),
    ],
)
def test_filter_is_named_as_it_stands(cards, name):
    assert record(image(IMAGETYP="FLAT", **cards)).filter_name == name


def test_bias_and_dark_have_no_filter():
    for kind in ("BIAS", "DARK"):
        assert record(image(IMAGETYP=kind, FILTER="rp")).filter_name is None


@pytest.mark.parametrize(
    ("cards", "comments", "dialect"),
    [
        ({"SWCREATE": "N.I.N.A. 1.10.2.90"}, (), "N.I.N.A."),
        ({"SWCREATE": "MaxIm DL Version 6.13"}, (), "MaxIm DL"),
        ({"CREATOR": "Sequence Generator Pro v3.1.0.479"}, (), "SGPro"),
        ({"SWCREATE": "Voyager Release 2.1.1e"}, (), "Voyager"),
        ({"SWCREATE": "SharpCap v4.1"}, (), "SharpCap"),
        ({"CREATOR": "ZWO Seestar S50"}, (), "Seestar"),
        ({"CREATOR": "ZWO ASIAIR Plus"}, (), "ASIAIR"),
        ({}, ("Generated by INDI",), "INDI"),
        ({"CCDSFPT": 1}, (), "CCDSoft"),
        ({"SWCREATE": "SBIG Win CCDOPS Version 5.47"}, (), "CCDOps"),
        ({"SITEID": "coj", "OBSTYPE": "BIAS"}, (), "LCO"),
        ({"ESO DPR TYPE": "BIAS"}, (), "ESO"),
        ({"RDNOISE": 5.0, "TRIMSEC": "[1:2,1:2]"}, (), "IRAF"),
        ({}, (), "generic"),
    ],
)
def test_dialect_is_recognised(cards, comments, dialect):
    assert record(image(**cards), comments=comments).dialect == dialect


# --- planes and sections ----------------------------------------------------------------------------------------------


def sections(comments=(), camera=None, **cards):
    frame = record(image(**cards), camera=camera, comments=comments)
    return frame.planes[0].overscan, frame.planes[0].trim, " ".join(frame.notes)


def test_sections_are_validated_against_the_array():
    overscan, trim, _ = sections(BIASSEC="[91:100,1:80]", TRIMSEC="[1:90,1:80]")
    assert (overscan, trim) == (Section(0, 80, 90, 100), Section(0, 80, 0, 90))
    overscan, trim, notes = sections(BIASSEC="UNKNOWN", TRIMSEC="[1:4096,1:4096]", DATASEC="[1:90,1:80]")
    assert (overscan, trim) == (None, Section(0, 80, 0, 90))
    assert "TRIMSEC [1:4096,1:4096] reaches beyond the array of 100 x 80" in notes
    assert sections(TRIMSEC="[1:100,1:80]")[1] is None


def test_overscan_a_row_short_is_completed():
    overscan, _, notes = sections(BIASSEC="[91:100,1:79]", TRIMSEC="[1:90,1:80]")
    assert overscan == Section(0, 80, 90, 100)
    assert "1 row(s) short" in notes


def test_overscan_of_a_corner_gives_one_level_for_all_rows():
    overscan, trim, notes = sections(BIASSEC="[91:100,71:80]", DATASEC="[1:90,1:70]")
    assert (overscan, trim) == (Section(70, 80, 90, 100), Section(0, 70, 0, 90))
    assert "covers only 0 of 70 rows: one level serves all rows" in notes


def test_overscan_above_the_useful_part_gives_one_level():
    overscan, trim, notes = sections(BIASSEC="[1:100,71:80]", DATASEC="[1:100,1:70]")
    assert (overscan, trim) == (Section(70, 80, 0, 100), Section(0, 70, 0, 100))
    assert "one level serves all rows" in notes


def test_overscan_of_a_corner_is_not_used_where_the_useful_part_is_not_known():
    overscan, trim, notes = sections(BIASSEC="[91:100,71:80]")
    assert (overscan, trim) == (None, None)
    assert "trim_section" in notes


def test_overscan_within_the_useful_part_is_not_used():
    overscan, _, notes = sections(BIASSEC="[81:100,1:80]", TRIMSEC="[1:90,1:80]")
    assert overscan is None
    assert "shares columns" in notes


def test_sections_of_the_settings_go_first():
    camera = Camera(name="a", overscan_section="[1:5,1:80]", trim_section="[6:100,1:80]")
    overscan, trim, _ = sections(camera=camera, BIASSEC="[91:100,1:80]", TRIMSEC="[1:90,1:80]")
    assert (overscan, trim) == (Section(0, 80, 0, 5), Section(0, 80, 5, 100))


def test_mosaic_has_one_plane_per_image_with_its_own_sections_and_gain():
    primary = {**PRIMARY, "OBSTYPE": "EXPOSE", "SITEID": "lsc", "RDNOISE": 9.0}
    frame = record(
        primary,
        extension(EXTNAME="AMP1", GAIN=1.5, BIASSEC="[91:100,1:80]", TRIMSEC="[1:90,1:80]"),
        extension(EXTNAME="AMP2", GAIN=1.7),
        {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 3},
    )
    assert [plane.index for plane in frame.planes] == [1, 2]
    assert [plane.gain_e_per_adu for plane in frame.planes] == [1.5, 1.7]
    assert [plane.read_noise_e for plane in frame.planes] == [9.0, 9.0]
    assert [plane.overscan is None for plane in frame.planes] == [False, True]
    assert frame.configuration.planes == 2
    assert frame.gain_e_per_adu == 1.5


def test_leading_axis_of_length_one_is_dropped():
    cube = {**image(), "NAXIS": 3, "NAXIS3": 1}
    assert record(cube).planes[0].shape == (80, 100)


@pytest.mark.parametrize(
    ("cards", "label"),
    [
        ({**IMAGE, "NAXIS": 3, "NAXIS3": 3, "IMAGETYP": "Light"}, "cube"),
        ({**IMAGE, "NAXIS": 1, "IMAGETYP": "FLAT"}, "spectrum"),
        ({"SIMPLE": True, "BITPIX": 8, "NAXIS": 0}, "no-image"),
        ({**IMAGE, "NAXIS1": 0, "GROUPS": True}, "no-image"),
    ],
)
def test_file_without_a_plane_is_other(cards, label):
    frame = record(cards)
    assert (frame.kind, frame.label, frame.planes) == (Kind.OTHER, label, ())
    assert frame.notes


def test_scaling_of_a_plane_is_kept():
    plane = record(image(BITPIX=-32, BSCALE=2.0, BLANK=-32768)).planes[0]
    assert (plane.bitpix, plane.bzero, plane.bscale, plane.blank) == (-32, 32768.0, 2.0, -32768)
    assert (plane.shape, plane.offset, plane.encoding) == ((80, 100), 2880, "raw")


# --- cameras ----------------------------------------------------------------------------------------------------------


def test_first_camera_that_holds_the_file_and_agrees_is_chosen(tmp_path):
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    settings = Settings(
        camera=(
            Camera(name="qhy", directories=(here,), match={"INSTRUME": "QHY*"}),
            Camera(name="apogee", directories=(here, there), match={"INSTRUME": "apogee usb/net", "XBINNING": "1"}),
            Camera(name="any", directories=(there,)),
        )
    )

    def choose(directory, **cards):
        camera = choose_camera(header(image(**cards)), str(Path(directory) / "night" / "a.fits"), settings)
        return camera.name if camera else None

    assert choose(here, INSTRUME="QHY600M") == "qhy"
    assert choose(here, INSTRUME="Apogee USB/Net", XBINNING=1) == "apogee"
    assert choose(here, INSTRUME="Apogee USB/Net", XBINNING=2) is None
    assert choose(there, INSTRUME="QHY600M") == "any"
    assert choose(f"{here}-too", INSTRUME="QHY600M") is None


def test_relative_directory_is_below_the_working_directory():
    settings = Settings(camera=(Camera(name="a"),))
    inside = str(Path("incoming").absolute() / "x.fits")
    assert choose_camera(header(image()), inside, settings) is settings.camera[0]


def test_frame_of_no_camera_is_unassigned():
    assert record(image()).camera == "unassigned"
