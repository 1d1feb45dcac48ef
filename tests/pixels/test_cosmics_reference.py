"""Cosmic rays: 0 pixels differ from astroscrappy, neither in the mask nor in the cleaned image, edges included."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from ingestd.pixels.cosmics import detect_cosmics
from tests.pixels.test_cosmics import field

astroscrappy = pytest.importorskip("astroscrappy")

SHAPE = (203, 157)
REAL_DATA = Path(os.environ.get("INGESTD_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")


def assert_as_reference(image, mask=None, *, gain=1.0, read_noise_e=5.0, saturation_e=math.inf, **limits):
    limits = {"sigclip": 5.0, "sigfrac": 0.3, "objlim": 5.0, "niter": 4} | limits
    found = detect_cosmics(
        image, gain_e_per_adu=gain, read_noise_e=read_noise_e, saturation_e=saturation_e, mask=mask, **limits
    )
    expected, cleaned = astroscrappy.detect_cosmics(
        image, inmask=mask, gain=gain, readnoise=read_noise_e, satlevel=saturation_e, **limits
    )
    np.testing.assert_array_equal(found.mask, expected)
    np.testing.assert_array_equal(found.cleaned[expected], cleaned[expected])
    return found


def bad_columns(image):
    random = np.random.default_rng(7)
    image[:, random.choice(image.shape[1], 5, replace=False)] = random.choice([0, 5000], 5)
    return image


FRAMES = {
    "ordinary": lambda: field(SHAPE, sky=300),
    "bias": lambda: field(SHAPE, sky=0, stars=0, rays=2e-4),
    "sky subtracted": lambda: field(SHAPE, sky=0),
    "flat": lambda: field(SHAPE, sky=25_000, stars=0) * np.random.default_rng(2).normal(1, 0.02, SHAPE),
    "many rays": lambda: field(SHAPE, sky=300, rays=0.02),
    "crowded": lambda: field(SHAPE, sky=300, stars=0.02, width_px=1.5),
    "undersampled": lambda: field(SHAPE, sky=300, stars=0.02, width_px=0.5),
    "dead and bright columns": lambda: bad_columns(field(SHAPE, sky=300)),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frame_equals_the_reference(kind):
    found = assert_as_reference(np.rint(FRAMES[kind]()).astype(np.float32))
    assert found.mask.any()


def test_numbers_that_are_no_integers_equal_the_reference_inside_the_outermost_rows():
    # astroscrappy's compiler orders the sums of the outermost rows otherwise; a window of 7 + 7 px hands that on
    image = field(SHAPE, sky=300, rays=0.02)
    found = detect_cosmics(image, gain_e_per_adu=1.0, read_noise_e=4.7, saturation_e=math.inf)
    expected, cleaned = astroscrappy.detect_cosmics(image, gain=1.0, readnoise=4.7, satlevel=np.inf)
    inner = slice(16, -16)
    np.testing.assert_array_equal(found.mask[inner, inner], expected[inner, inner])
    np.testing.assert_array_equal(found.cleaned[inner, inner], cleaned[inner, inner])


@pytest.mark.parametrize("gain", [0.5, 1.37, 4.0])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_gain_and_type_equal_the_reference(gain, dtype):
    image = np.rint(field(SHAPE, sky=300).clip(0)).astype(dtype)
    assert_as_reference(image, gain=gain, read_noise_e=7.3)


def test_mask_and_saturation_equal_the_reference():
    image = np.rint(np.minimum(field(SHAPE, sky=300, stars=0.01, width_px=2.0), 6000))
    mask = np.random.default_rng(5).random(SHAPE) < 0.01
    mask[:, 100:103] = mask[40:44] = True
    found = assert_as_reference(image, mask, saturation_e=5000.0)
    assert not found.mask[:, 99:104].any()


@pytest.mark.parametrize("limits", [{"sigclip": 3.0}, {"sigfrac": 0.5}, {"objlim": 2.0}, {"niter": 1}])
def test_limits_equal_the_reference(limits):
    assert_as_reference(np.rint(field(SHAPE, sky=300)), **limits)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real frames in {REAL_DATA}; set INGESTD_REAL_DATA")
@pytest.mark.parametrize("name", ["arcsat-apogee-2019/M13_sdss_r_20190503_084324.fits", "msumastro-tests/uint16.fit"])
def test_real_frame_equals_the_reference(name):
    image = np.asarray(fits.getdata(REAL_DATA / name), np.float32)[:400, :400]
    assert_as_reference(image, gain=1.5, read_noise_e=9.0, saturation_e=90_000.0)
