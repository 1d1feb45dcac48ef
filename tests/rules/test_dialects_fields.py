"""Single values out of cards: numbers, temperatures, binnings, times, sections. Expected values by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingestd.records import Section
from ingestd.rules.dialects import parse_section
from ingestd.rules.dialects.fields import celsius, longitude_deg, moment, moment_of_day_number, number, pair_of_binnings
from ingestd.settings import Camera, Keywords
from tests.rules.dialect_headers import image, record


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, (3.0, "")),
        (2.5, (2.5, "")),
        (" +1.800000000000E+002 ", (180.0, "")),
        ("1.5D2", (150.0, "")),
        ("11 C", (11.0, "c")),
        ("500ms", (500.0, "ms")),
        ("1/60", (1 / 60, "")),
        (".5", (0.5, "")),
        ("1/0", None),
        ("", None),
        ("abc", None),
        ("1 2 3 4 5 6 7 8 9 10", None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        ("1e999", None),
        (10**400, None),
    ],
)
def test_number_with_its_unit(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(
    ("cards", "seconds", "source"),
    [
        ({"EXPTIME": 70.001}, 70.001, "EXPTIME"),
        ({"EXPOSURE": 30}, 30.0, "EXPOSURE"),
        ({"EXP": "10.0"}, 10.0, "EXP"),
        ({"ITIME": 5.0}, 5.0, "ITIME"),
        ({"EXPTIME": 0.0}, 0.0, "EXPTIME"),
        ({"EXPTIME": "", "EXPOSURE": 12.0}, 12.0, "EXPOSURE"),
        ({"EXPTIME": -1.0, "EXPOSURE": 12.0}, 12.0, "EXPOSURE"),
        ({"EXPTIME": "250 ms"}, 0.25, "EXPTIME"),
        ({"EXPOINUS": 32000}, 0.032, "EXPOINUS"),
        ({"EXPREQ": 9.0, "DARKTIME": 9.7}, 9.0, "EXPREQ"),
        ({}, None, ""),
    ],
)
def test_exposure_is_found_in_seconds(cards, seconds, source):
    frame = record(image(**cards))
    assert frame.exposure_s == seconds
    assert frame.source("exposure_s") == source


def test_unit_of_the_exposure_can_be_set():
    camera = Camera(name="nf", keywords=Keywords(exposure=("EXPMS",), exposure_unit="ms"))
    assert record(image(EXPMS=90000), camera=camera).exposure_s == 90.0
    assert record(image(EXPTIME=90), camera=camera).exposure_s == 90.0
    everywhere = Camera(name="nf", keywords=Keywords(exposure_unit="ms"))
    assert record(image(EXPTIME=90000), camera=everywhere).exposure_s == 90.0


@pytest.mark.parametrize(
    ("value", "unit", "kelvin", "expected"),
    [
        (-25.067, "", False, -25.067),
        (0.0, "", False, 0.0),
        (180.2, "", False, -92.95),  # 180.2 K: no sensor works at 180 C
        (166.26, "", False, -106.89),
        (77.0, "", False, -196.15),
        (20.0, "", False, 20.0),
        (253.15, "", True, -20.0),
        (50.0, "k", False, -223.15),
        (14.0, "f", False, -10.0),  # (14 - 32) / 1.8
        (-999.0, "", False, None),
        (0.0, "", True, None),
        (999.0, "", False, None),
    ],
)
def test_temperature_in_celsius(value, unit, kelvin, expected):
    found = celsius(value, unit, kelvin=kelvin)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("CCD-TEMP", -10.0), ("TEMPERAT", -10.0), ("DET-TEMP", -10.0), ("CAMTEMP", "-10 C"), ("CCDATEMP", -10.0),
     ("TEMPCCD", -10.0), ("CCDTEMP1", -10.0)],
)  # fmt: skip
def test_measured_temperature_is_found(keyword, value):
    frame = record(image(**{keyword: value}))
    assert frame.ccd_temp_c == -10.0
    assert frame.source("ccd_temp_c") == keyword


def test_missing_temperature_is_none():
    frame = record(image(**{"SET-TEMP": -20.0}))
    assert frame.ccd_temp_c is None
    assert frame.set_temp_c == -20.0


@pytest.mark.parametrize(
    ("cards", "binning"),
    [
        ({"XBINNING": 2, "YBINNING": 3}, (2, 3)),
        ({"CCDXBIN": 1, "CCDYBIN": 2}, (1, 2)),
        ({"CCDSUM": "2 2"}, (2, 2)),
        ({"CCDSUM": "1 4"}, (1, 4)),
        ({"BINNING": "1x2"}, (1, 2)),
        ({"BINNING": "2*2"}, (2, 2)),
        ({"BINNING": "2"}, (2, 2)),
        ({"BINNING": 4}, (4, 4)),
        ({"BIN-FCT1": 1, "BIN-FCT2": 2}, (1, 2)),
        ({"DET-BIN1": 2, "DET-BIN2": 2}, (2, 2)),
        ({"CDELT1": 3, "CDELT2": 2}, (3, 2)),
        ({"CDELT1": 1.0, "CDELT2": 1.0, "CTYPE1": "RA---TAN"}, (1, 1)),
        ({"XBINNING": 0, "CCDSUM": "2 2"}, (2, 2)),
        ({"XBINNING": "Default"}, (1, 1)),
        ({}, (1, 1)),
    ],
)
def test_every_notation_of_binning(cards, binning):
    configuration = record(image(**cards)).configuration
    assert (configuration.x_binning, configuration.y_binning) == binning


def test_impossible_binning_is_none():
    for value in ("0x0", "100x1", "x", 1.5, None, True, "1 2 3"):
        assert pair_of_binnings(value) is None


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("2019-05-03T07:37:46", None, (2019, 5, 3, 7, 37, 46, 0)),
        ("2021-03-02T20:19:00.455", None, (2021, 3, 2, 20, 19, 0, 455000)),
        ("2020-05-30T00:22:49.0968820", None, (2020, 5, 30, 0, 22, 49, 96000)),  # cut to milliseconds
        ("2024-01-02 03:04:05", None, (2024, 1, 2, 3, 4, 5, 0)),
        ("2024/01/02T03:04:05Z", None, (2024, 1, 2, 3, 4, 5, 0)),
        ("2024-01-02T03.04.05", None, (2024, 1, 2, 3, 4, 5, 0)),
        ("2024-01-02T03:04:05-0700", None, (2024, 1, 2, 10, 4, 5, 0)),
        ("2024-01-02T03:04:05+02:00", None, (2024, 1, 2, 1, 4, 5, 0)),
        ("20160909T081314", None, (2016, 9, 9, 8, 13, 14, 0)),
        ("2019-05-01          ", "23:05:12            ", (2019, 5, 1, 23, 5, 12, 0)),
        ("2002-11-05", " 23:53:30.00", (2002, 11, 5, 23, 53, 30, 0)),
        ("2015-10-10", "2015-10-10T08:20:06", (2015, 10, 10, 8, 20, 6, 0)),
        ("03/12/96", "02:03:28", (1996, 12, 3, 2, 3, 28, 0)),
        ("2016-12-31T23:59:60", None, (2017, 1, 1, 0, 0, 0, 0)),
        ("2019-05-03", None, None),
        ("2019-13-03T00:00:00", None, None),
        ("2019-05-03T25:00:00", None, None),
        ("0001-01-01T00:00:00", None, None),
        ("1970-01-01T00:00:00", None, None),
        ("9999-12-31T23:59:59-2300", None, None),
        ("yesterday", None, None),
        (None, "01:02:03", None),
    ],
)
def test_time_is_read_as_utc(date, time, expected):
    found = moment(date, time)
    assert found == (None if expected is None else datetime(*expected, tzinfo=UTC))


def test_day_numbers_are_read_to_the_millisecond():
    # MJD 51544.5 is 2000-01-01 12:00 (J2000), JD 2451545.0
    assert moment_of_day_number(51544.5, julian=False) == datetime(2000, 1, 1, 12, tzinfo=UTC)
    assert moment_of_day_number(2451545.0, julian=True) == datetime(2000, 1, 1, 12, tzinfo=UTC)
    assert moment_of_day_number(0.0, julian=False) is None


@pytest.mark.parametrize(
    ("value", "degrees"),
    [
        (-105.82, -105.82),
        ("-105 49 13", -(105 + 49 / 60 + 13 / 3600)),
        ("3 43 0.000", 3 + 43 / 60),
        ("78:48:21 W", -(78 + 48 / 60 + 21 / 3600)),
        ("254.18", -105.82),
        ("unknown", None),
        (1e9, None),
    ],
)
def test_longitude_is_east_positive(value, degrees):
    found = longitude_deg(value)
    assert found == (None if degrees is None else pytest.approx(degrees, abs=1e-9))


@pytest.mark.parametrize(
    ("words", "section"),
    [
        ("[1:2048,1:4128]", Section(0, 4128, 0, 2048)),
        ("[  17: 528,   1: 520]", Section(0, 520, 16, 528)),
        ("[2049:2080,1:4127]", Section(0, 4127, 2048, 2080)),
        ("[8394:6347,19353:14742]", Section(14741, 19353, 6346, 8394)),
        ("UNKNOWN", None),
        ("[0:0,0:0]", None),
        ("[1:10]", None),
        ("", None),
    ],
)
def test_section_is_zero_based_and_half_open(words, section):
    assert parse_section(words) == section
