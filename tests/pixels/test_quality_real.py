"""One real night of an Apogee camera: the figures must be those that its description states."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from ingestd.pixels.quality import (
    bias_level_adu,
    dark_level_adu,
    dark_rate_adu_per_second,
    dark_rate_mean_adu_per_second,
    gain_electrons_per_adu,
    read_noise_adu,
    read_noise_electrons,
    read_noise_stack_adu,
    sky_level_adu,
    sky_noise_adu,
)

CHECKOUT = Path(__file__).parents[2]
NIGHT = Path(os.environ.get("INGESTD_REAL_DATA") or CHECKOUT.parent / "shared" / "data") / "arcsat-apogee-2019"

pytestmark = pytest.mark.skipif(
    not NIGHT.is_dir(), reason=f"no real frames in {NIGHT}; set INGESTD_REAL_DATA to their directory"
)


def frames(pattern):
    found = [fits.getdata(path) for path in sorted(NIGHT.glob(pattern))]
    assert found
    return found


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


def test_gain_of_both_filters_and_read_noise_in_electrons(bias):
    read_noise = read_noise_adu(frames("Bias*"))
    for pattern in ("domeflat_sdss_r*", "domeflat_sdss_i*"):
        gain = gain_electrons_per_adu(frames(pattern), bias, read_noise)
        assert gain.value == pytest.approx(1.30, abs=0.05)
        assert gain.error is not None
        assert gain.error < 0.05 * gain.value
        assert read_noise_electrons(read_noise, gain).value == pytest.approx(7.6, abs=0.2)


def test_dark_rates_and_level(dark, bias):
    assert dark_rate_adu_per_second(dark, bias, 80.0).value == pytest.approx(0.358, abs=0.02)
    assert dark_rate_mean_adu_per_second(dark, bias, 80.0).value == pytest.approx(0.511, abs=0.02)
    assert dark_level_adu(dark).value == pytest.approx(1310.5 + 80 * 0.358, abs=2.0)


def test_sky_lies_below_the_median_of_a_globular_cluster(dark, bias):
    for frame in frames("M13*"):
        reduced = frame - bias - (dark - bias) * (60.0 / 80.0)
        sky, noise = sky_level_adu(reduced), sky_noise_adu(reduced)
        # Of two masters of three frames and a gain of 1.3: sky + dark in electrons, and the read noise 1 + 1/3 times.
        predicted = np.sqrt((sky.value + 60 * 0.5) / 1.3 + 5.84**2 * (1 + 1 / 3))
        assert sky.value < float(np.median(reduced))
        assert noise.value == pytest.approx(predicted, rel=0.15)
