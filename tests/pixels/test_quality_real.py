"""Real frames: the figures must be those that their description states."""

import csv
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.stats import sigma_clip

from ingestd.jobs.inspecting import LookedFrame, Request, look_at
from ingestd.pixels.inspecting import gain_ways
from ingestd.pixels.quality import (
    bias_level_adu,
    dark_level_adu,
    dark_rate_adu_per_second,
    dark_rate_mean_adu_per_second,
    flat_level_adu,
    gain_electrons_per_adu,
    histogram,
    read_noise_adu,
    read_noise_electrons,
    read_noise_stack_adu,
    sky_level_adu,
    sky_noise_adu,
)
from ingestd.settings import Limits

CHECKOUT = Path(__file__).parents[2]
DATA = Path(os.environ.get("INGESTD_REAL_DATA") or CHECKOUT.parent / "shared" / "data")
NIGHT = DATA / "arcsat-apogee-2019"
ST7 = DATA / "st7-nokeys-2019"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not NIGHT.is_dir(), reason=f"no real frames in {DATA}; set INGESTD_REAL_DATA to their directory"
)


def frames(pattern, folder=NIGHT):
    found = [look_at(path, Request(), Limits(), NOW) for path in sorted(folder.glob(pattern))]
    assert found
    return [frame.images[0] for frame in found]


@pytest.fixture(scope="module")
def bias():
    return np.mean(frames("Bias*"), axis=0, dtype=np.float32)


@pytest.fixture(scope="module")
def dark():
    return np.mean(frames("Dark*"), axis=0, dtype=np.float32)


def test_bias_level(bias):
    for frame in (*frames("Bias*"), bias):
        assert bias_level_adu(frame).value == pytest.approx(1310.5, abs=1.5)


def test_read_noise_both_ways():
    members = frames("Bias*")
    assert read_noise_adu(members).value == pytest.approx(5.84, abs=0.1)
    assert read_noise_stack_adu(members).value == pytest.approx(5.84, abs=0.1)


@pytest.mark.parametrize(("pair", "stated"), [((0, 1), 5.91), ((0, 2), 5.88), ((1, 2), 5.73)])
def test_read_noise_of_each_pair(pair, stated):
    members = frames("Bias*")
    # stated to two digits, without the correction for the step: 1 / (24 x 5.84) = 0.007 ADU
    assert read_noise_adu([members[i] for i in pair]).value == pytest.approx(stated, abs=0.02)


def test_mad_of_integer_differences_takes_two_values_only():
    members = [frame.astype(int) for frame in frames("Bias*")]
    differences = [members[i] - members[j] for i, j in ((0, 1), (0, 2), (1, 2))]
    found = {round(1.4826 / math.sqrt(2) * np.median(np.abs(it - np.median(it))), 2) for it in differences}
    assert found == {5.24, 6.29}


def test_flats_differ_and_the_second_is_scaled(bias):
    one, other = (flat_level_adu(flat - bias).value for flat in frames("domeflat_sdss_i*"))
    assert other / one == pytest.approx(1.08, abs=0.015)


def test_gain_by_hand_is_that_of_the_boxes():
    box = np.s_[480:544, 480:544]
    biases = [frame[box] for frame in frames("Bias*")]
    for pattern in ("domeflat_sdss_r*", "domeflat_sdss_i*"):
        flats = tuple(frame[box] for frame in frames(pattern))
        # a variance of 4096 pixels is good to 2.2 %
        assert gain_ways(flats, tuple(biases[:2])).janesick == pytest.approx(1.30, abs=0.03 + 3 * 0.022 * 1.3)


def test_gain_of_both_filters_and_read_noise_in_electrons(bias):
    read_noise = read_noise_adu(frames("Bias*"))
    for pattern in ("domeflat_sdss_r*", "domeflat_sdss_i*"):
        gain = gain_electrons_per_adu(frames(pattern), bias, read_noise)
        assert gain.value == pytest.approx(1.30, abs=0.03)
        assert gain.error is not None
        assert gain.error < 0.05 * gain.value
        assert read_noise_electrons(read_noise, gain).value == pytest.approx(7.6, abs=0.2)


def test_dark_rates_and_level(dark, bias):
    # The plain median of these means of integers is held to thirds of an ADU: 0.33 / 2 / 80 s = 0.002 ADU/s.
    assert dark_rate_adu_per_second(dark, bias, 80.0).value == pytest.approx(0.358, abs=0.002)
    assert dark_rate_mean_adu_per_second(dark, bias, 80.0).value == pytest.approx(0.511, abs=0.001)
    assert sigma_clip((dark - bias) / 80.0, 3).mean() == pytest.approx(0.409, abs=0.001)
    assert dark_level_adu(dark).value == pytest.approx(1310.5 + 80 * 0.358, abs=2.0)


def test_sky_lies_below_the_median_of_a_globular_cluster(dark, bias):
    for frame in frames("M13*"):
        reduced = frame - bias - (dark - bias) * (60.0 / 80.0)
        sky, noise = sky_level_adu(reduced), sky_noise_adu(reduced)
        # Of two masters of three frames and a gain of 1.3: sky + dark in electrons, and the read noise 1 + 1/3 times.
        predicted = np.sqrt((sky.value + 60 * 0.5) / 1.3 + 5.84**2 * (1 + 1 / 3))
        assert sky.value < float(np.median(reduced))
        assert noise.value == pytest.approx(predicted, rel=0.15)


# --- ST-7 without keywords --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("folder", "pattern"), [("Bergeson,Andi_CCD", "bias*"), ("Langford_Zach_CCD", "*BIAS*")])
def test_read_noise_of_the_st7(folder, pattern):
    members = frames(pattern, ST7 / folder)
    assert 36 < read_noise_adu(members).value < 37
    assert 36 < read_noise_stack_adu(members).value < 37
    levels = [bias_level_adu(frame).value for frame in members]
    assert max(levels) - min(levels) > 4


def test_bias_level_of_the_st7_drifts():
    members = [*frames("bias*", ST7 / "Bergeson,Andi_CCD"), *frames("*BIAS*", ST7 / "Langford_Zach_CCD")]
    # Stated 107 to 120, the whole numbers around the plain means: hot pixels lift these 1 to 2 ADU above the level.
    means = [float(frame.mean(dtype=np.float64)) for frame in members]
    assert (math.floor(min(means)), math.ceil(max(means))) == (107, 120)
    for frame, mean in zip(members, means, strict=True):
        assert 1.0 < mean - bias_level_adu(frame).value < 2.5


@pytest.fixture(scope="module")
def st7_pair():
    folder = ST7 / "Bergeson,Andi_CCD"
    return frames("flat*", folder), frames("bias*", folder)


def test_gain_of_the_st7(st7_pair):
    flats, biases = st7_pair
    gain = gain_electrons_per_adu(flats, np.mean(biases, axis=0, dtype=np.float32), read_noise_adu(biases))
    # Stated 0.444 without an error: what the middle 100 x 100 pixels give by hand, clipped at 3 sigma until nothing
    # changes, which leaves 0.970 of the variance of a Gaussian.
    box = np.s_[197:297, 278:378]
    one, other = (tuple(frame[box] for frame in set_of) for set_of in (flats, biases[:2]))
    by_hand = gain_ways(one, other)
    assert by_hand.clipped == pytest.approx(0.444, abs=0.0005)
    # 10 000 pixels are good to sqrt(2 / 10 000) = 1.4 %.
    assert gain.value == pytest.approx(0.444 * by_hand.clipped_factor, rel=0.014)
    # Hot pixels and cosmic rays are two thirds of the variance that is not clipped.
    assert by_hand.janesick < 0.5 * gain.value


def test_gain_of_two_different_spectra_is_refused():
    folder = ST7 / "Langford_Zach_CCD"
    members = frames("*BIAS*", folder)
    with pytest.raises(ValueError, match="differ in structure"):
        gain_electrons_per_adu(frames("*FLAT*", folder), bias_level_adu(members[0]).value, read_noise_adu(members))


# --- every frame ------------------------------------------------------------------------------------------------------


def stated():
    """Return path, median and robust scatter of every frame that the manifest has figures of."""
    if not (DATA / "MANIFEST.tsv").is_file():
        return []
    with (DATA / "MANIFEST.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    figures = [(row["path"], row["median"], row["robust_sigma"]) for row in rows if not row["set"].startswith("odd")]
    return [(path, float(median), float(sigma)) for path, median, sigma in figures if median and sigma]


@pytest.mark.parametrize(("path", "median", "sigma"), stated(), ids=[path for path, *_ in stated()])
def test_median_and_scatter_of_every_frame_are_those_stated(path, median, sigma):
    found = look_at(DATA / path, Request(), Limits(), NOW)
    assert isinstance(found, LookedFrame)
    areas = [plane.areas[0].description for plane in found.planes]
    # Six digits are stated; 1.4826 MAD of integers is stated in steps, ours is resolved within one of them.
    step = 1.4826 * (histogram(found.images[0]).converter_step() or 1.0)
    assert any(area.median == pytest.approx(median, rel=1e-5) for area in areas)
    assert any(area.mad_deviation == pytest.approx(sigma, abs=step, rel=0.01) for area in areas)
