"""Two masters of one sensor: differences that were put in are found. Seeds are fixed, tolerances standard errors."""

import numpy as np
import pytest

from ingestd.pixels.quality import (
    agree,
    agree_flats,
    level_from_previous_adu,
    patches_from_previous_adu,
    patches_from_previous_ratio,
)

SHAPE = (160, 400)
NOISE = 1.5
PATCH = (20, 10)
"""8 x 40 patches of 20 x 10 pixels: all of them are used."""


def a_master(seed, noise=NOISE):
    """Return a master with columns of its own and a gradient of 40 ADU."""
    columns = np.random.default_rng(1).normal(0, 8, SHAPE[1]) + np.linspace(0, 40, SHAPE[1])
    return (1000 + columns + np.random.default_rng(seed).normal(0, noise, SHAPE)).astype(np.float32)


def a_flat(seed, lamp=0.0):
    """Return a flat of 1 % noise that falls by so much from the left to the right edge."""
    slope = 1 + lamp * np.linspace(0.5, -0.5, SHAPE[1])
    return (slope * np.random.default_rng(seed).normal(1, 0.01, SHAPE)).astype(np.float32)


def median_error(noise, pixels):
    """Return the standard error of the median of the difference of two masters."""
    return np.sqrt(np.pi / 2) * np.sqrt(2) * noise / np.sqrt(pixels)


def test_masters_of_equal_nights_differ_by_their_noise_alone():
    found = agree(a_master(2), a_master(3))
    level, patches = level_from_previous_adu(found), patches_from_previous_adu(found)
    assert level.value == pytest.approx(0, abs=5 * median_error(NOISE, SHAPE[0] * SHAPE[1]))
    # twice the error of one patch; that of a standard deviation of 32,000 differences is 0.4 %
    assert patches.error == pytest.approx(2 * median_error(NOISE, PATCH[0] * PATCH[1]), rel=0.02)
    assert patches.value < 2 * patches.error


def test_level_is_measured_and_makes_no_patches():
    found = agree(a_master(2) + np.float32(12.3), a_master(3))
    assert found.level.value == pytest.approx(12.3, abs=5 * median_error(NOISE, SHAPE[0] * SHAPE[1]))
    assert found.patches.value < 2 * found.patches.error


def test_glow_over_a_few_patches_is_measured_where_it_is():
    bright = a_master(2)
    bright[: 2 * PATCH[0], : 3 * PATCH[1]] += np.float32(4.0)
    found = agree(bright, a_master(3))
    assert found.patches.value == pytest.approx(4.0, abs=5 * median_error(NOISE, PATCH[0] * PATCH[1]))
    # 6 of 320 patches: the median of all moves by 1/106 of the density at its centre, 0.024 sigma
    assert abs(found.level.value) < 0.05 * NOISE


def test_hot_pixels_are_no_patch():
    hot = a_master(2)
    hot[::7, ::5] += np.float32(500.0)
    found = agree(hot, a_master(3))
    # 3 % of outliers shift a median by 0.04 sigma
    assert found.patches.value < 2 * found.patches.error


def test_members_that_both_masters_share_are_no_noise():
    shared = np.random.default_rng(9).normal(0, NOISE, SHAPE).astype(np.float32)
    found = agree(a_master(2, 0.1) + shared, a_master(3, 0.1) + shared)
    assert found.patches.error == pytest.approx(2 * median_error(0.1, PATCH[0] * PATCH[1]), rel=0.02)


def test_a_master_agrees_with_itself():
    found = agree(a_master(2), a_master(2))
    assert (found.level.value, found.patches.value, found.patches.error) == (0.0, 0.0, 0.0)


def test_pixels_without_a_value_do_not_count():
    bad = a_master(2)
    bad[:, :10] = np.nan  # a column of patches
    found = agree(bad, a_master(3))
    assert found.patches.value < 2 * found.patches.error


def test_dust_on_a_flat_is_the_part_of_light_that_it_takes():
    dusty = a_flat(2)
    dusty[60:100, 200:240] *= np.float32(0.94)
    found = patches_from_previous_ratio(agree_flats(dusty, a_flat(3)))
    assert found.value == pytest.approx(0.06, abs=5 * median_error(0.01, PATCH[0] * PATCH[1]))


def test_another_lamp_shows_at_the_edges():
    found = agree_flats(a_flat(2, lamp=0.10), a_flat(3))
    # half of 10 % at the edge, less half a patch of 40
    assert found.patches.value == pytest.approx(0.05 * 39 / 40, abs=5 * median_error(0.01, PATCH[0] * PATCH[1]))


def test_another_level_of_a_flat_is_no_difference():
    found = agree_flats(a_flat(2) * np.float32(1.5), a_flat(3))
    assert found.patches.value < 2 * found.patches.error


def test_dead_pixels_of_a_flat_do_not_count():
    dead = a_flat(3)
    dead[::10, ::10] = 0.0
    found = agree_flats(a_flat(2), dead)
    assert found.patches.value < 2 * found.patches.error
