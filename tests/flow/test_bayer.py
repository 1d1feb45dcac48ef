"""Colour cameras: levels and the flat for each of the four positions of a Bayer mosaic, never debayered."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from astropy.io import fits

from ingestd.records import Kind
from tests.flow.observatory import observatory
from tests.flow.structured_frames import ONE, Bench

# what the filters of the mosaic let through, of the lamp and of the sky: the sky is bluer
LAMP = {"R": 1.0, "G": 0.8, "B": 0.3}
SKY = {"R": 0.5, "G": 0.9, "B": 1.0}
PATTERN = "GBRG"
CHANNELS = {"R": (1, 0), "Gr": (1, 1), "Gb": (0, 0), "B": (0, 1)}
PARTS = {name: np.s_[row::2, column::2] for name, (row, column) in CHANNELS.items()}


class ColourBench(Bench):
    """A bench whose light passes the filters of a mosaic."""

    def light(self, kind, level_e):
        colour = np.zeros(self.shape)
        for name, part in PARTS.items():
            colour[part] = (LAMP if kind is Kind.FLAT else SKY)[name[0]]
        return super().light(kind, level_e) * colour


def middle(image):
    """Return the median of the middle half of both axes."""
    ny, nx = image.shape
    return np.median(image[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4])


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    cards = {"BAYERPAT": "RGGB", "XBAYROFF": 0, "YBAYROFF": 1, "EGAIN": 1.5, "RDNOISE": 6.0, "ROWORDER": "TOP-DOWN"}
    with one_night(tmp_path_factory.mktemp("colour"), ColourBench(ONE, cards=cards)) as place:
        yield place


@contextmanager
def one_night(directory, bench):
    with observatory(directory) as place:
        bench.night(place.incoming)
        place.settle()
        yield place


def test_every_position_of_the_master_flat_has_the_level_one(colour):
    (flat,) = colour.masters("flat")
    signal = fits.getdata(colour.data / flat["path"])
    for part in PARTS.values():
        assert middle(signal[part]) == pytest.approx(1.0, abs=1e-6)


def test_master_flat_is_the_sensitivity_of_the_pixels_without_the_colour_of_the_lamp(colour):
    (flat,) = colour.masters("flat")
    ratio = fits.getdata(colour.data / flat["path"]) / ColourBench(ONE).flat()
    for name, part in PARTS.items():
        # noise of five flats of 20000 e- times the lamp's colour
        expected = 1 / np.sqrt(5 * 20_000 * LAMP[name[0]])
        assert ratio[part].mean() == pytest.approx(1.0, abs=3e-3)
        assert ratio[part].std() == pytest.approx(expected, rel=0.15)


def test_reduced_light_keeps_the_colours_of_the_sky(colour):
    with fits.open(colour.product("light0.fits")) as hdus:
        signal = hdus[0].data.astype(float)
        assert hdus[0].header["BAYERPAT"] == "RGGB"
    for name, part in PARTS.items():
        # the level 1 of a flat is that of the middle of the position; 4800 pixels with sqrt(3000 + 36) = 55 e- at most:
        # 0.8 e-; the flat's level to 0.05 %: 1.5 e-
        expected = 3000 * SKY[name[0]] * middle(ColourBench(ONE).flat()[part])
        assert signal[part].mean() == pytest.approx(expected, abs=5)


def test_levels_are_shown_for_each_colour(colour):
    flats = [row for row in colour.qa("flat_level_adu") if row["master_id"] is not None]
    levels = {row["channel"]: row["value"] for row in flats}
    assert set(levels) == {"", "R", "Gr", "Gb", "B"}
    for name in CHANNELS:
        assert levels[name] == pytest.approx(20_800 * LAMP[name[0]] / 1.5, rel=5e-3)
    assert levels[""] == pytest.approx(np.mean([levels[name] for name in CHANNELS]))
    sky = {row["channel"]: row["value"] for row in colour.qa("sky_level_electrons")}
    for name in CHANNELS:
        assert sky[name] == pytest.approx(3000 * SKY[name[0]], rel=5e-3)


def test_noise_of_a_mosaic_is_not_the_difference_of_its_colours(colour):
    frames = [row for row in colour.qa("frame_noise_adu") if row["kind"] == "flat"]
    for name in CHANNELS:
        found = np.mean([row["value"] for row in frames if row["channel"] == name])
        # photons and read noise, and the 1 % of the pixels' sensitivity
        light = 20_800 * LAMP[name[0]]
        assert found == pytest.approx(np.sqrt(light + 36 + (0.01 * light) ** 2) / 1.5, rel=0.06)
    (noise,) = [row["value"] for row in colour.qa("sky_noise_electrons") if row["channel"] == ""]
    mean = np.mean([SKY[name[0]] for name in CHANNELS])
    assert noise == pytest.approx(np.sqrt(3000 * mean + 30 + 36), rel=0.06)


def test_gain_is_measured_on_the_whole_mosaic(colour):
    (gain,) = colour.qa("gain_electrons_per_adu")
    assert gain["channel"] == ""
    assert gain["value"] == pytest.approx(1.5, abs=5 * gain["error"])


def test_biases_and_darks_have_no_colours(colour):
    for metric in ("bias_level_adu", "dark_level_adu", "read_noise_adu"):
        assert {row["channel"] for row in colour.qa(metric)} == {""}
