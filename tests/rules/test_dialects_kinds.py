"""What a frame is for: words of type cards, names of files and folders, contradictions, masters."""

from __future__ import annotations

import pytest

from ingestd.records import Kind
from ingestd.settings import Camera, Keywords
from tests.rules.dialect_headers import image, record, typed

TYPE_CARDS = [
    # program or observatory, card, value, kind, label
    ("MaxIm, INDI, Voyager, APT", "IMAGETYP", "Light Frame", "light", "light"),
    ("MaxIm", "IMAGETYP", "Bias Frame", "bias", "bias"),
    ("MaxIm", "IMAGETYP", "Dark Frame          ", "dark", "dark"),
    ("MaxIm", "IMAGETYP", "Flat Frame", "flat", "flat"),
    ("MaxIm", "IMAGETYP", "FLAT", "flat", "flat"),
    ("MaxIm", "IMAGETYP", "Tricolor Image", "other", "colour"),
    ("TheSkyX", "IMAGETYP", "Flat Field", "flat", "flat"),
    ("N.I.N.A.", "IMAGETYP", "LIGHT", "light", "light"),
    ("N.I.N.A.", "IMAGETYP", "SNAPSHOT", "light", "snapshot"),
    ("N.I.N.A. 2", "IMAGETYP", "DARKFLAT", "dark", "dark-flat"),
    ("SharpCap", "FRAMETYP", "Dark", "dark", "dark"),
    ("SharpCap", "IMAGETYP", "Dark Flat", "dark", "dark-flat"),
    ("Ekos", "FRAME", "Bias", "bias", "bias"),
    ("pyobs", "IMAGETYP", "skyflat", "flat", "skyflat"),
    ("pyobs", "IMAGETYP", "object", "light", "light"),
    ("pyobs", "IMAGETYP", "acquisition", "other", "acquisition"),
    ("pyobs", "IMAGETYP", "guiding", "other", "guiding"),
    ("pyobs", "IMAGETYP", "focus", "other", "focus"),
    ("azcam, NOAO", "IMAGETYP", "zero", "bias", "bias"),
    ("azcam", "IMAGETYP", "comp", "other", "arc"),
    ("azcam", "IMAGETYP", "ramp", "other", "ramp"),
    ("NOAO", "OBSTYPE", "dome flat", "flat", "domeflat"),
    ("NOAO", "OBSTYPE", "sky flat", "flat", "skyflat"),
    ("NOAO", "OBSTYPE", "comparison", "other", "arc"),
    ("LCO", "OBSTYPE", "EXPOSE", "light", "light"),
    ("LCO", "OBSTYPE", "STANDARD", "light", "standard"),
    ("LCO", "OBSTYPE", "SKYFLAT", "flat", "skyflat"),
    ("LCO", "OBSTYPE", "EXPERIMENTAL", "other", "test"),
    ("LCO", "OBSTYPE", "BPM", "other", "bpm"),
    ("Liverpool", "OBSTYPE", "ACQUIRE", "other", "acquisition"),
    ("Palomar LFC", "IMAGETYP", "FLATFIELD", "flat", "flat"),
    ("Magellan", "EXPTYPE", "Bias", "bias", "bias"),
    ("Magellan", "EXPTYPE", "TwilightFlat", "flat", "skyflat"),
    ("ESO", "ESO DPR TYPE", "FLAT,SKY", "flat", "skyflat"),
    ("ESO", "ESO DPR TYPE", "FLAT,LAMP", "flat", "domeflat"),
    ("ESO", "ESO DPR TYPE", "STD", "light", "standard"),
    ("ESO", "ESO DPR TYPE", "OBJECT", "light", "light"),
    ("ESO", "ESO DPR TYPE", "WAVE,LAMP", "other", "arc"),
    ("ESO", "ESO DPR TYPE", "SKY", "other", "sky"),
    ("Keck", "KOAIMTYP", "flatlamp", "flat", "domeflat"),
    ("Keck", "KOAIMTYP", "arclamp", "other", "arc"),
    ("Keck", "OBSTYPE", "DmFlat", "flat", "domeflat"),
    ("Gemini", "OBSTYPE", "OBJECT", "light", "light"),
    ("HST", "IMAGETYP", "BIAS", "bias", "bias"),
    ("HST", "IMAGETYP", "EXT", "light", "light"),
    ("Subaru", "DATA-TYP", "DOMEFLAT", "flat", "domeflat"),
    ("SDSS", "FLAVOR", "science", "light", "light"),
    ("SDSS", "FLAVOR", "arc", "other", "arc"),
    ("AstroArt, Prism", "IMAGETYP", "Offset", "bias", "bias"),
    ("Prism", "IMAGETYP", "Noir", "dark", "dark"),
    ("Prism", "IMAGETYP", "PLU", "flat", "flat"),
    ("written with a filter", "IMAGETYP", "Flat Field - R", "flat", "flat"),
    ("written with an exposure", "IMAGETYP", "DARK 300s", "dark", "dark"),
    ("lamps off", "OBSTYPE", "flat off", "other", "flat-off"),
    ("PixInsight", "IMAGETYP", "Master Dark", "other", "master"),
    ("PixInsight", "IMAGETYP", "masterFlat", "other", "master"),
    ("reduced", "IMAGETYP", "SUPERBIAS", "other", "master"),
    ("unfamiliar", "IMAGETYP", "Dark subtracted", "unknown", "unknown"),
    ("unfamiliar", "IMAGETYP", "Darkstar", "unknown", "unknown"),
    ("nothing said", "IMAGETYP", "N/A", "unknown", "unknown"),
    ("a number of frames", "FRAME", 399, "unknown", "unknown"),
]


@pytest.mark.parametrize(("program", "card", "value", "kind", "label"), TYPE_CARDS)
def test_word_of_a_type_card_is_understood(program, card, value, kind, label):
    frame = record(image(**{card: value}))
    assert (frame.kind, frame.label) == (kind, label), program


@pytest.mark.parametrize("value", ["bias frame", "BIAS_FRAME", "  Bias-Frame  ", "BiasFrame", "Bias  Frame"])
def test_case_blanks_and_hyphens_do_not_count(value):
    assert typed(IMAGETYP=value).kind is Kind.BIAS


def test_source_names_the_card_and_its_value():
    assert typed(IMAGETYP="Bias Frame").source("kind") == "IMAGETYP = Bias Frame"


@pytest.mark.parametrize(("code", "kind"), [(1, "light"), (2, "bias"), (3, "dark"), (4, "flat"), (5, "light")])
@pytest.mark.parametrize("card", ["PICTTYPE", "CCDSFPT"])
def test_picture_type_as_a_number_is_understood(card, code, kind):
    frame = record(image(**{card: code}))
    assert frame.kind == kind
    assert frame.source("kind") == f"{card} = {code}"
    assert ("dark_subtracted" in frame.flags) is (code == 5)


def test_class_of_the_observation_makes_a_light_an_acquisition():
    assert record(image(**{"ESO DPR TYPE": "OBJECT", "ESO DPR CATG": "ACQUISITION"})).label == "acquisition"
    assert record(image(OBSTYPE="OBJECT", OBSCLASS="acq")).label == "acquisition"
    assert record(image(OBSTYPE="OBJECT", OBSCLASS="science")).kind is Kind.LIGHT
    assert record(image(OBSTYPE="BIAS", OBSCLASS="dayCal")).kind is Kind.BIAS


def test_type_of_a_mosaic_is_in_its_primary():
    primary = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "IMAGETYP": "zero", "DATE-OBS": "2024-03-01T22:00:00"}
    amplifier = {"XTENSION": "IMAGE", "BITPIX": 16, "NAXIS": 2, "NAXIS1": 10, "NAXIS2": 8}
    assert record(primary, amplifier, amplifier).kind is Kind.BIAS


def test_type_of_a_compressed_file_is_in_its_extension():
    empty = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 0}
    tile = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 80, "ZIMAGE": True, "ZBITPIX": 16,
        "ZNAXIS": 2, "ZNAXIS1": 100, "ZNAXIS2": 80, "IMAGETYP": "Dark", "DATE-OBS": "2024-03-01T22:00:00",
    }  # fmt: skip
    frame = record(empty, tile)
    assert frame.kind is Kind.DARK
    assert frame.planes[0].encoding == "tile"


# --- names ------------------------------------------------------------------------------------------------------------

NAMES_WITHOUT_A_TYPE_CARD = [
    ("bias1.FIT", "bias", "bias"),
    ("slitview.00000352.BIAS.FIT", "bias", "bias"),
    ("flat29.5(2).FIT", "flat", "flat"),
    ("Pencil5.FLAT.FIT", "flat", "flat"),
    ("Dark_60.0s_Bin1_2600MC_gain100_20230101-120000_-10.0C_0001.fit", "dark", "dark"),
    ("Flat1_dark_300sec.fit", "dark", "dark-flat"),
    ("dark-for-flats-002.fits.gz", "dark", "dark-flat"),
    ("DarkFlat_001.fits", "dark", "dark-flat"),
    ("domeflat_sdss_i_001.fits", "flat", "domeflat"),
    ("SkyFlat_R_1.fts", "flat", "skyflat"),
    ("M31_LIGHT_300s_0001.fits", "light", "light"),
    ("M13_dark_lane.fits", "unknown", "unknown"),
    ("DarkStar-001.fits", "unknown", "unknown"),
    ("Darkstar_0001.fits", "unknown", "unknown"),
    ("Zeropoint_3.fits", "unknown", "unknown"),
    ("biased_view.fits", "unknown", "unknown"),
    ("flattest.fit", "unknown", "unknown"),
    ("bias_dark_01.fits", "unknown", "unknown"),
    ("neon-on-dome-10-sec.fit", "other", "arc"),
    ("L2-sci-hg-240.FIT", "light", "light"),
    ("focus_0001.fits", "other", "focus"),
    ("MasterDark_300s.fits", "other", "master"),
    ("master_flat_R.fits", "other", "master"),
    ("superbias.fits", "other", "master"),
    ("bias_median.fits", "other", "master"),
    ("Stacked_12_M31_10.0s.fit", "other", "stack"),
    ("darks/frame_0001.fits", "dark", "dark"),
    ("2024-03-01/Bias/0001.fits", "bias", "bias"),
    ("Darks 300s bin2/0001.fits", "dark", "dark"),
    ("darks/flat_0001.fits", "unknown", "unknown"),
    ("flats/dark_0001.fits", "dark", "dark-flat"),
    ("Dark Nebulae/0001.fits", "unknown", "unknown"),
    ("M31/Lights/0001.fits", "light", "light"),
    ("masters/dark_300.fits", "other", "master"),
    ("", "unknown", "unknown"),
    ("///", "unknown", "unknown"),
]


@pytest.mark.parametrize(("path", "kind", "label"), NAMES_WITHOUT_A_TYPE_CARD)
def test_name_decides_where_no_card_speaks(path, kind, label):
    frame = record(image(), path=path)
    assert (frame.kind, frame.label) == (kind, label)


def test_inferred_kind_says_so():
    assert record(image(), path="slitview.00000352.BIAS.FIT").source("kind") == 'file name contains "BIAS"'
    assert record(image(), path="darks/0001.fit").source("kind") == 'directory is named "darks"'
    assert record(image(OBJECT="dome flat R")).source("kind") == "OBJECT = dome flat R"


def test_object_card_is_heard_beside_the_name():
    assert record(image(OBJECT="FLAT"), path="k2a_00058_dark.fits").label == "dark-flat"
    assert record(image(OBJECT="dark"), path="flat_0001.fits").flags == ("contradiction",)


def test_number_confirms_or_contradicts_the_name():
    confirmed = record(image(CCDSFPT=2), path="a.BIAS.FIT")
    assert confirmed.source("kind") == 'file name contains "BIAS", confirmed by CCDSFPT = 2'
    contradicted = record(image(CCDSFPT=4), path="a.BIAS.FIT")
    assert contradicted.kind is Kind.UNKNOWN
    assert contradicted.flags == ("contradiction",)


def test_unknown_says_what_was_looked_for():
    frame = record(image(IMAGETYP="N/A"), path="night1/IMG_0001.fits")
    assert frame.kind is Kind.UNKNOWN
    note = " ".join(frame.notes)
    assert "IMAGETYP" in note
    assert "saying nothing: IMAGETYP" in note
    assert "IMG_0001.fits" in note


def test_unfamiliar_word_is_not_overruled_by_the_name():
    frame = record(image(IMAGETYP="Custom"), path="flat_001.fits")
    assert frame.kind is Kind.UNKNOWN
    assert any("words" in note for note in frame.notes)


# --- header and name --------------------------------------------------------------------------------------------------

HEADER_AND_NAME = [
    # type card, path, further cards, kind, label
    ("Dark Frame", "L2-dark-flat-360.00000000.DARK.FIT", {}, "dark", "dark-flat"),
    ("DARK", "Flat1_dark_300sec.fit", {}, "dark", "dark-flat"),
    ("FLAT", "domeflat_sdss_i_001.fits", {}, "flat", "domeflat"),
    ("FLAT", "2021-03-02_21-19-00_FLAT_Ha_-10.00_1.00s_0001.fits", {}, "flat", "flat"),
    ("Light Frame", "Darkstar_0001.fits", {}, "light", "light"),
    ("Light Frame", "DarkStar-001.fits", {}, "light", "light"),
    ("LIGHT", "M13_dark_lane_R_60s.fits", {"OBJECT": "M13_dark_lane"}, "light", "light"),
    ("LIGHT", "M13_dark_lane_R_60s.fits", {}, "light", "light"),
    ("LIGHT", "LDN1235_Dark_Shark_L.fits", {}, "light", "light"),
    ("LIGHT", "flatfield test-002.fits", {"OBJECT": "flatfield test"}, "light", "light"),
    ("LIGHT", "My Dark Thing 7.fits", {"OBJECT": "My dark thing"}, "light", "light"),
    ("LIGHT", "Light_M31_flat_sky.fits", {}, "light", "light"),
    ("LIGHT", "M31-dark-subtracted.fits", {}, "light", "light"),
    ("EXPOSE", "e00.fits", {"OBJECT": "zero_pointing"}, "light", "light"),
    ("Light Frame", "L2-sci-neon-1200.FIT", {}, "light", "light"),
    ("Light Frame", "L2-star-neon-40.FIT", {}, "light", "light"),
    ("Light Frame", "L2-arc-hg-10.FIT", {}, "other", "arc"),
    ("LIGHT", "Neon_30sec_01.fit", {}, "other", "arc"),
    ("LIGHT", "Abell370_arc_R.fits", {"OBJECT": "Abell 370"}, "light", "light"),
    ("Dark Frame", "masterdark_300.fits", {}, "other", "master"),
    ("Bias Frame", "bias_dark_set_01.fits", {}, "bias", "bias"),
    ("Dark Frame", "darks_for_lights/0001.fits", {}, "dark", "dark"),
    ("Flat Frame", "Lights/M31/flat_001.fits", {}, "flat", "flat"),
    ("focus", "dark_001.fits", {}, "other", "focus"),
]


@pytest.mark.parametrize(("word", "path", "more", "kind", "label"), HEADER_AND_NAME)
def test_header_stands_above_the_name(word, path, more, kind, label):
    frame = record(image(IMAGETYP=word, **more), path=path)
    assert (frame.kind, frame.label) == (kind, label)
    assert "contradiction" not in frame.flags


CONTRADICTIONS = [
    ("Light Frame", "L2-flat-red-180.00000000.FIT", {}),
    ("LIGHT", "Flat1_300sec.fit", {}),
    ("LIGHT", "flats/0001.fit", {}),
    ("Light Frame", "0001.fit", {"OBJECT": "Dome flat"}),
    ("Light Frame", "flat_001.fit", {"OBJECT": "flat"}),
    ("Dark Frame", "bias_0001.fit", {}),
    ("Bias Frame", "dark_0001.fit", {}),
    ("Flat Frame", "Flat_dark_0001.fit", {}),
    ("Dark Frame", "Target_LIGHT_0001.fit", {}),
    ("Bias Frame", "flat_0001.fit", {}),
    ("Flat Frame", "0001.fit", {"FRAME": "Dark"}),
    ("Light Frame", "0001.fit", {"CCDSFPT": 4}),
]


@pytest.mark.parametrize(("word", "path", "more"), CONTRADICTIONS)
def test_disagreement_about_a_calibration_is_unknown(word, path, more):
    frame = record(image(IMAGETYP=word, **more), path=path)
    assert frame.kind is Kind.UNKNOWN
    assert frame.flags == ("contradiction",)
    assert any("to settle it" in note for note in frame.notes)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_pattern_of_the_settings_settles_a_contradiction():
    camera = Camera(name="st402", keywords=Keywords(file_names={"*-flat-*": "flat", "arcs/*": "arc"}))
    flat = record(image(IMAGETYP="Light Frame"), path="L2-flat-red-180.FIT", camera=camera)
    assert (flat.kind, flat.flags) == (Kind.FLAT, ())
    assert flat.source("kind") == 'settings file_names "*-flat-*"'
    assert record(image(IMAGETYP="Light Frame"), path="arcs/hg.fit", camera=camera).label == "arc"


def test_words_and_keywords_of_the_settings_come_first():
    camera = Camera(name="odd", keywords=Keywords(kind=("MYTYPE",), words={"Sky Cal": "flat", "PIC": "light"}))
    assert record(image(MYTYPE="sky_cal"), camera=camera).kind is Kind.FLAT
    assert record(image(IMAGETYP="pic"), camera=camera).kind is Kind.LIGHT
    assert record(image(MYTYPE="Dark"), camera=camera).source("kind") == "MYTYPE = Dark"
