"""Several amplifiers in one image: sections, overscans, gains and read noises from every scheme of cards."""

from __future__ import annotations

import pytest

from ingestd.records import Channel, Section
from ingestd.settings import Amplifier, Camera
from tests.rules.dialect_headers import image, record


def wide(nx, ny, **cards):
    return image(**{"NAXIS1": nx, "NAXIS2": ny, **cards})


def plane(cards, **settings):
    frame = record(cards, camera=Camera(name="a", **settings) if settings else None)
    return frame.planes[0], " ".join(frame.notes)


def channel(name, section, overscan, gain, noise):
    return Channel(name, Section(*section), None if overscan is None else Section(*overscan), gain, noise)


# CFHT MegaPrime: overscan at the outer edges, 4612 of 4644 rows useful
MEGAPRIME = wide(
    2112, 4644, DATASEC="[33:2080,1:4612]", AMPLIST="A B", GAINA=1.57, GAINB=1.67, RDNOISEA=3, RDNOISEB=5, GAIN=1.62,
    ASECA="[1:1056,1:4612]", DSECA="[33:1056,1:4612]", TSECA="[33:1056,1:4612]", BSECA="[1:32,1:4644]",
    CSECA="[1:1024,1:4612]", ASECB="[1057:2112,1:4612]", DSECB="[1057:2080,1:4612]", TSECB="[1057:2080,1:4612]",
    BSECB="[2081:2112,1:4644]", CSECB="[1025:2048,1:4612]", BIASSEC="[0:0,0:0]", RDNOISE=4,
)  # fmt: skip


def test_megaprime_has_an_amplifier_for_each_half():
    found, _ = plane(MEGAPRIME)
    assert found.channels == (
        channel("A", (0, 4612, 32, 1056), (0, 4644, 0, 32), 1.57, 3.0),
        channel("B", (0, 4612, 1056, 2080), (0, 4644, 2080, 2112), 1.67, 5.0),
    )
    assert (found.overscan, found.trim) == (None, Section(0, 4612, 32, 2080))
    assert found.image_shape == (4612, 2048)


# DECam: the amplifier to the right is A; 4096 rows useful above 50
DECAM = wide(
    2160, 4146, TRIMSEC="[57:2104,51:4146]", DATASEC="[57:2104,51:4146]",
    TRIMSECA="[1081:2104,51:4146]", CCDSECA="[1025:2048,1:4096]", BIASSECA="[2105:2154,51:4146]",
    TRIMSECB="[57:1080,51:4146]", CCDSECB="[1:1024,1:4096]", BIASSECB="[7:56,51:4146]",
    GAINA=4.59, RDNOISEA=7.18, GAINB=4.40, RDNOISEB=7.02,
)  # fmt: skip


def test_decam_amplifiers_come_in_the_order_in_which_they_lie():
    found, _ = plane(DECAM)
    assert found.channels == (
        channel("B", (50, 4146, 56, 1080), (50, 4146, 6, 56), 4.40, 7.02),
        channel("A", (50, 4146, 1080, 2104), (50, 4146, 2104, 2154), 4.59, 7.18),
    )
    assert [found.place_of(it) for it in found.channels] == [Section(0, 4096, 0, 1024), Section(0, 4096, 1024, 2048)]


# IRAF quadformat: four overscans in the middle of the raw image, names are row and column
QUAD = wide(
    100, 80, AMPLIST="11 12 21 22",
    **{f"DSEC{name}": f"[{x}:{x + 39},{y}:{y + 39}]" for name, x, y in
       (("11", 1, 1), ("12", 61, 1), ("21", 1, 41), ("22", 61, 41))},
    **{f"BSEC{name}": f"[{x}:{x + 9},{y}:{y + 39}]" for name, x, y in
       (("11", 41, 1), ("12", 51, 1), ("21", 41, 41), ("22", 51, 41))},
    **{f"GTGAIN{name}": 1.0 + int(name) / 100 for name in ("11", "12", "21", "22")},
    **{f"GTRON{name}": 4.0 for name in ("11", "12", "21", "22")},
)  # fmt: skip


def test_quadformat_is_put_together_without_the_overscan_between():
    found, _ = plane(QUAD)
    assert found.channels == (
        channel("11", (0, 40, 0, 40), (0, 40, 40, 50), 1.11, 4.0),
        channel("12", (0, 40, 60, 100), (0, 40, 50, 60), 1.12, 4.0),
        channel("21", (40, 80, 0, 40), (40, 80, 40, 50), 1.21, 4.0),
        channel("22", (40, 80, 60, 100), (40, 80, 50, 60), 1.22, 4.0),
    )
    assert (found.trim, found.image_shape) == (None, (80, 80))
    assert found.place_of(found.channels[3]) == Section(40, 80, 40, 80)


def test_numbered_amplifiers_need_no_overscan():
    cards = {
        f"DATASEC{n}": f"[{x}:{x + 49},{y}:{y + 39}]" for n, x, y in ((1, 1, 1), (2, 51, 1), (3, 1, 41), (4, 51, 41))
    }
    found, _ = plane(wide(100, 80, **cards, GAIN1=2.18, GAIN2=2.19, GAIN3=2.17, GAIN4=2.19, RDNOISE=10.0))
    assert [it.name for it in found.channels] == ["1", "2", "3", "4"]
    assert [it.gain_e_per_adu for it in found.channels] == [2.18, 2.19, 2.17, 2.19]
    assert [it.read_noise_e for it in found.channels] == [10.0] * 4
    assert found.gain_e_per_adu == pytest.approx(2.1825)
    assert found.trim is None


def test_hyper_suprime_cam_tells_first_and_last_pixels():
    first = {1: (9, 521), 2: (553, 537), 3: (1081, 1593), 4: (1625, 1609)}
    cards = {}
    for n, (x, overscan) in first.items():
        cards |= {f"T_EFMN{n}1": x, f"T_EFMX{n}1": x + 511, f"T_EFMN{n}2": 50, f"T_EFMX{n}2": 4225}
        cards |= {f"T_OSMN{n}1": overscan, f"T_OSMX{n}1": overscan + 15, f"T_OSMN{n}2": 4226, f"T_OSMX{n}2": 4241}
        cards |= {f"T_GAIN{n}": 3.5 + n / 100}
    found, _ = plane(wide(2144, 4241, **cards))
    assert found.image_shape == (4176, 2048)
    assert found.channels[1] == channel("2", (49, 4225, 552, 1064), (49, 4225, 536, 552), 3.52, None)
    assert found.place_of(found.channels[3]) == Section(0, 4176, 1536, 2048)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_amplifiers_of_the_settings_go_before_any_card():
    given = (
        Amplifier("[1:50,1:80]", gain_e_per_adu=1.5, name="left"),
        Amplifier("[51:90,1:80]", overscan="[91:100,1:80]", read_noise_e=4.0),
    )
    found, _ = plane(wide(100, 80, **{**QUAD, "EGAIN": 2.0, "RDNOISE": 9.0}), amplifiers=given)
    assert found.channels == (
        channel("left", (0, 80, 0, 50), None, 1.5, 9.0),
        channel("2", (0, 80, 50, 90), (0, 80, 90, 100), 2.0, 4.0),
    )


def test_gain_of_the_camera_goes_before_the_cards_of_its_amplifiers():
    found, _ = plane(MEGAPRIME, gain_e_per_adu=1.3)
    assert [it.gain_e_per_adu for it in found.channels] == [1.3, 1.3]
    assert found.gain_e_per_adu == 1.3


def test_trim_section_cuts_the_amplifiers():
    found, _ = plane(MEGAPRIME, trim_section="[101:2080,11:4612]")
    assert [it.section for it in found.channels] == [Section(10, 4612, 100, 1056), Section(10, 4612, 1056, 2080)]
    assert found.image_shape == (4602, 1980)


# --- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DSEC22": "[61:100,41:90]"}, "reach beyond"),
        ({"DSEC22": "[51:90,41:80]"}, "not the cells of a grid"),
        ({"DSEC22": "[1:40,41:80]"}, "not the cells of a grid"),
        ({f"CSEC{n}": s for n, s in zip(("11", "12", "21", "22"),
          ("[41:80,1:40]", "[1:40,1:40]", "[1:40,41:80]", "[41:80,41:80]"), strict=True)}, "another order"),
    ],
)  # fmt: skip
def test_sections_that_do_not_fit_together_are_not_used(changes, words):
    found, notes = plane({**QUAD, **changes})
    assert found.channels == ()
    assert words in notes


def test_a_mirrored_detector_is_in_order():
    places = ("[41:80,1:40]", "[1:40,1:40]", "[41:80,41:80]", "[1:40,41:80]")
    cards = {f"DETSEC{n}": s for n, s in zip(("11", "12", "21", "22"), places, strict=True)}
    assert len(plane({**QUAD, **cards})[0].channels) == 4


def test_overscan_of_an_amplifier_on_an_image_section_is_not_used():
    found, notes = plane({**QUAD, "BSEC11": "[66:75,1:40]"})
    assert found.channels[0].overscan is None
    assert found.channels[1].overscan is not None
    assert "overscan of amplifier 11 overlaps an image section" in notes


def test_one_amplifier_alone_is_no_several():
    found, _ = plane(wide(100, 80, DATASEC1="[1:90,1:80]", BIASSEC="[91:100,1:80]", TRIMSEC="[1:90,1:80]"))
    assert found.channels == ()
    assert found.overscan == Section(0, 80, 90, 100)


def test_frames_read_by_another_number_of_amplifiers_never_calibrate_each_other():
    several, one = record(QUAD).configuration, record(wide(100, 80)).configuration
    assert (several.amplifiers, one.amplifiers) == (4, 1)
    assert "amplifiers 4" in several.key()
    assert "amplifiers" not in one.key()
