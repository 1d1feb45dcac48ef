"""The proposal as config.toml: it is the settings that were proposed, whatever the headers hold, with its reasons."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestd.rules.proposing import Survey, config_text, propose
from ingestd.settings import parse_settings
from tests.rules.proposing_samples import NOW, night, proposal, sample, shots

SOUP = [
    *night(flats=2, SITELONG="-105 49 13", OBSERVAT='The "Dome" \\ No. 1'),
    *shots("flat", 3, name="b-flat", INSTRUME="B", IMAGETYP="Light Frame", PREAMP="1x", GAIN=1.7),
    *shots("dark", 2, name="b-dark", INSTRUME="B", EXPTIME=None, EXPDURMS=30000, IMAGETYP="Sombra"),
]


def parsed(text):
    return parse_settings(tomllib.loads(text))


@pytest.mark.parametrize("samples", [night(), night(flats=2), SOUP, shots("light", 1), []])
def test_written_file_is_the_settings_that_were_proposed(samples):
    found = proposal(samples, found=max(1, len(samples)))
    assert parsed(config_text(found)) == found.settings


def test_only_what_differs_is_written():
    table = tomllib.loads(config_text(proposal(night(SITELONG=10.0))))
    assert table == {
        "site": {"longitude_deg": 10.0},
        "paths": {"data": "/data"},
        "camera": [
            {
                "name": "Apogee-Alta",
                "directories": ["/frames"],
                "dark_policy": "scalable",
                "requires": ["bias", "dark", "flat"],
            }
        ],
    }


def test_heading_says_where_relative_paths_are_taken_from():
    # as tests/test_settings.py proves
    assert "Relative paths are taken from the directory of this file." in config_text(proposal(night()))


def test_every_choice_has_its_reason_above_it():
    lines = config_text(proposal(SOUP)).splitlines()
    for key in ("longitude_deg", "data", "minimum", "match", "dark_policy", "requires", "file_names", "words"):
        (number, *_) = [i for i, line in enumerate(lines) if line.startswith(f"{key} = ")]
        assert lines[number - 1].startswith("# "), key


def test_suggestions_are_settings_once_their_comment_is_taken_away():
    text = config_text(proposal(night(GAIN=1.3, NAXIS1=110, TRIMSEC="[1:100,1:80]", FILTER=None)))
    keys = ("gain_e_per_adu = 1", "read_noise_e", "overscan_section", "longitude_deg", "gain_setting", "[camera.key")
    lines = [
        line.removeprefix("# ") if line.startswith(tuple(f"# {key}" for key in keys)) else line
        for line in text.splitlines()
    ]
    found = parsed("\n".join(lines))
    assert found.camera[0].overscan_section == "[101:110,1:80]"
    assert found.camera[0].keywords.gain_setting == ("GAIN",)
    assert found.site.longitude_deg == 0.0


def test_reader_is_sent_to_the_full_list_and_told_of_a_sample():
    text = config_text(proposal(night(), found=500))
    assert "ingestd config show" in text
    assert "Only 11 of 500 files were read" in text


def test_path_that_toml_cannot_hold_is_refused():
    survey = Survey(1, tuple(shots("light", 1)), ())
    with pytest.raises(ValueError, match="not valid UTF-8"):
        config_text(propose(survey, directory="/frames\udcff", data="data", now=NOW))


def test_path_with_quotes_and_newlines_is_kept():
    survey = Survey(1, tuple(shots("light", 1)), ())
    found = propose(survey, directory='/a "b"\n\\c\x7f', data="data", now=NOW)
    assert parsed(config_text(found)).camera[0].directories == ('/a "b"\n\\c\x7f',)


_TEXTS = st.text(st.characters(max_codepoint=0x17F), max_size=12)
_VALUES = st.one_of(_TEXTS, st.integers(-10, 10**6), st.floats(), st.booleans(), st.none())
_KEYWORDS = st.sampled_from(
    ["INSTRUME", "IMAGETYP", "EXPTIME", "EXPDUR", "CCD-TEMP", "CHIPTEMPA", "FILTER", "FILTRNAM", "DATE-OBS", "UTSTARTD",
     "GAIN", "OFFSET", "SERIALNO", "PREAMP", "SITELONG", "OBSERVAT", "TELESCOP", "BIASSEC", "DATASEC", "TRIMSEC",
     "OBJECT", "PICTYPE", "XBINNING", "NAXIS1", "CALSTAT"]
)  # fmt: skip
_NAMES = st.text(st.sampled_from("abdfilst_-. 0123/é*?\udcff"), min_size=1, max_size=14)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(_NAMES, st.dictionaries(_KEYWORDS, _VALUES, max_size=8)), max_size=6))
def test_no_header_can_break_the_file(files):
    samples = [sample(f"{name}.fits", **cards) for name, cards in files]
    found = proposal(samples, found=max(1, len(samples)))
    assert parsed(config_text(found)) == found.settings
