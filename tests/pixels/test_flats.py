"""Flats: their level as median or mode, and dome and twilight joined to one."""

from __future__ import annotations

import numpy as np
import pytest

from ingestd.pixels.steps import flat_level, illumination, normalise_flat
from ingestd.pixels.steps.flats import MODE_SHARE
from tests.pixels.array_reader import ArrayReader

SHAPE = (256, 320)
NOISE = 0.01


def places(shape=SHAPE):
    """Return rows and columns of every pixel from -1 to 1."""
    ny, nx = shape
    return np.linspace(-1, 1, ny)[:, np.newaxis], np.linspace(-1, 1, nx)[np.newaxis, :]


def cubic(shape=SHAPE):
    y, x = places(shape)
    return 1 + 0.06 * x - 0.04 * y + 0.03 * x * y - 0.02 * y**2 + 0.015 * x**3 - 0.01 * x * y**2


def pair(seed=1, shape=SHAPE, light=None):
    """Return dome and twilight flats of one sensor with 1 % scatter of pixels, each with 1 % noise, and who is good."""
    random = np.random.default_rng(seed)
    pixels = 1 + 0.01 * random.standard_normal(shape)
    y, x = places(shape)
    truth = pixels * (1 - 0.2 * (x**2 + y**2))
    lamp = 1 / (cubic(shape) if light is None else light)
    dome, twilight = (
        (truth * shape_ * (1 + NOISE * random.standard_normal(shape))).astype(np.float32) for shape_ in (lamp, 1.0)
    )
    return dome, twilight, np.ones(shape, np.bool_)


# Ten terms from n = ny nx ratios of noise sqrt(2) %, in medians (1.2533 times): the mean variance of the fit is
# 10 / n (1.2533 sqrt(2) %)**2, so 0.02 %. A box of 8 x 8 px (32 to an axis) has the mean, not the value, of what curves
# in it: h**2 / 3 of the second derivative 2 * 0.02, h = 1 / 32: 0.001 %.
FIT_ERROR = NOISE * np.sqrt(2) * 1.2533 * np.sqrt(10 / (SHAPE[0] * SHAPE[1]))


def test_smooth_part_of_twilight_over_dome_is_recovered():
    dome, twilight, good = pair()
    found = illumination(dome, twilight, good) / cubic()
    assert abs(found.mean() - 1) < 1e-5 + 5 * FIT_ERROR / np.sqrt(10)
    assert found.std() < 2 * FIT_ERROR
    assert np.abs(found - 1).max() < 6 * FIT_ERROR * 2  # in a corner the variance of a cubic is some 4 times its mean


def test_pixels_of_the_result_are_those_of_the_dome():
    dome, twilight, good = pair()
    joined = dome * illumination(dome, twilight, good)
    assert np.corrcoef((joined / twilight).ravel(), (dome * cubic() / twilight).ravel())[0, 1] > 0.999


def test_stars_and_bad_pixels_do_not_bend_the_fit():
    dome, twilight, good = pair()
    clean = illumination(dome, twilight, good)
    random = np.random.default_rng(2)
    stars = random.random(SHAPE) < 0.02
    twilight[stars] *= 3
    dead = random.random(SHAPE) < 0.02
    dome[dead] = np.nan
    good[dead] = False
    # 2 % of bright pixels move a median by 0.02 / (2 * 0.4 / sigma) = 0.025 sigma of the ratio
    found = illumination(dome, twilight, good)
    np.testing.assert_allclose(found, clean * (1 + 0.025 * np.sqrt(2) * NOISE), atol=5 * FIT_ERROR)


def test_where_nothing_is_good_the_polynomial_does_not_run_away():
    dome, twilight, good = pair()
    y, x = places()
    good[np.broadcast_to(x**2 + y**2 > 1.1, SHAPE)] = False
    found = illumination(dome, twilight, good)
    inside = cubic()[good]
    reach = 0.25 * np.ptp(inside)
    assert inside.min() - reach - 0.01 < found.min()
    assert found.max() < inside.max() + reach + 0.01


def test_flats_without_a_good_part_in_common_are_no_pair():
    dome, twilight, good = pair(shape=(16, 16))
    with pytest.raises(ValueError, match="no part in common"):
        illumination(dome, twilight, np.zeros_like(good))


def test_a_small_image_is_fitted_in_fewer_boxes():
    dome, twilight, good = pair(shape=(24, 30))
    assert illumination(dome, twilight, good).shape == (24, 30)


# --- the level --------------------------------------------------------------------------------------------------------


def lognormal():
    return (20_000 * np.random.default_rng(3).lognormal(0.0, 0.25, (600, 600))).astype(np.float32)


def test_mode_of_a_skewed_flat_is_that_of_its_distribution():
    image = lognormal()
    # median exp(mu), mode exp(mu - sigma^2). The shortest interval of a tenth reaches 0.063 sigma to either side of the
    # peak; its place scatters by some n^(-1/3) = 0.022 sigma: together within 0.1 sigma of the mode
    assert flat_level(ArrayReader(image)) == pytest.approx(20_000, rel=5 * 0.25 * 1.2533 / 300)
    assert flat_level(ArrayReader(image), normalise="mode") == pytest.approx(20_000 * np.exp(-0.0625), rel=0.1 * 0.25)


def test_mode_does_not_lean_towards_a_third_that_is_covered():
    image = np.random.default_rng(4).normal(10_000, 50, (300, 300)).astype(np.float32)
    image[:, 100:150] = np.random.default_rng(5).normal(6_000, 500, (300, 50))
    level = flat_level(ArrayReader(image), normalise="mode")
    assert level == pytest.approx(10_000, abs=0.3 * 50)
    assert flat_level(ArrayReader(image)) < 10_000 - 0.5 * 50


def test_flat_is_divided_by_the_level_that_was_asked_for():
    image = lognormal()
    error = np.ones_like(image)
    by_median, by_mode = (normalise_flat(image, error, 0.05, how) for how in ("median", "mode"))
    assert by_mode.level < by_median.level
    np.testing.assert_allclose(by_mode.flat * by_mode.level, image, rtol=1e-6)


def test_mode_of_a_constant_is_it():
    assert flat_level(ArrayReader(np.full((8, 8), 7, np.uint16)), normalise="mode") == 7
    assert 0 < MODE_SHARE < 0.5
