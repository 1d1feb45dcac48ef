"""The arithmetic by ccdproc, on numbers that can be checked by hand."""

import numpy as np
import pytest

from ingestd.pixels import reference
from ingestd.records import Section

RAW = np.arange(24, dtype=np.float32).reshape(4, 6)


def test_the_median_of_the_overscan_of_each_row_is_subtracted():
    """Columns 4 and 5 of row y hold 6 y + 4 and 6 y + 5: their median is 6 y + 4.5."""
    found = reference.corrected(RAW, Section(0, 4, 4, 6), Section(0, 4, 0, 4), 0)
    assert np.array_equal(found, np.tile([-4.5, -3.5, -2.5, -1.5], (4, 1)))


def test_columns_beside_the_image_are_left_out():
    found = reference.corrected(RAW, Section(0, 4, 4, 6), Section(0, 4, 0, 4), 1)
    assert np.array_equal(found[0], [-5.0, -4.0, -3.0, -2.0])


def test_without_overscan_the_image_is_only_trimmed():
    assert np.array_equal(reference.corrected(RAW, None, Section(1, 3, 2, 5), 0), RAW[1:3, 2:5])


def test_an_overscan_that_is_a_row_short_has_no_reference():
    with pytest.raises(ValueError, match="does not span"):
        reference.corrected(RAW, Section(0, 3, 4, 6), Section(0, 4, 0, 4), 0)


def test_an_outlier_is_clipped_from_the_mean():
    images = [np.full((2, 2), float(value)) for value in (10, 11, 12, 13, 14)]
    images[4][0, 0] = 1000.0
    found = reference.combined(images, 5.0)
    # without the outlier the mean of 10 to 13; elsewhere that of 10 to 14
    assert np.array_equal(found, [[11.5, 12.0], [12.0, 12.0]])


def test_a_single_image_is_its_own_mean():
    assert np.array_equal(reference.combined([RAW], 5.0), RAW)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1000.0),
        ({"bias": 100.0}, 900.0),
        ({"bias": 100.0, "dark": 140.0}, 860.0),  # exact: the dark carries the bias
        ({"bias": 100.0, "dark": 140.0, "dark_ratio": 0.5}, 880.0),  # 1000 - 100 - 0.5 * 40
        ({"dark": 40.0, "dark_ratio": 0.5}, 980.0),
        ({"bias": 100.0, "flat": 0.9}, 1000.0),
        ({"bias": 100.0, "flat": 0.9, "gain_e_per_adu": 1.5}, 1500.0),
    ],
)
def test_calibration_by_its_formula(options, expected):
    arrays = {name: np.full((3, 3), value) for name, value in options.items() if name in ("bias", "dark", "flat")}
    numbers = {name: value for name, value in options.items() if name not in arrays}
    found = reference.calibrated(np.full((3, 3), 1000.0), **arrays, **numbers)
    assert np.allclose(found, expected, rtol=1e-12)


def test_the_level_is_that_of_the_middle():
    image = np.full((8, 8), 5.0)
    image[2:6, 2:6] = 7.0
    assert reference.level(image) == 7.0


def test_the_level_of_large_images_is_that_of_every_third_row_and_column():
    # The middle of 2048 x 2048 is 1024 x 1024; every third leaves 342 x 342 < 2**18 samples, the first at (512, 512).
    image = np.zeros((2048, 2048))
    image[512:1536:3, 512:1536:3] = 3.0
    assert reference.level(image) == 3.0


def test_the_mode_is_the_mean_of_the_shortest_interval_with_a_tenth():
    # 64 samples in the middle: 6 of them, 2.00 to 2.05, lie closer than any others.
    image = np.zeros((16, 16))
    image[4:12, 4:12] = np.concatenate([2.0 + 0.01 * np.arange(6), 10.0 + np.arange(58)]).reshape(8, 8)
    assert reference.level(image, "mode") == pytest.approx(2.025, rel=1e-12)
    assert reference.level(image, "median") == 35.5  # between the 32nd and the 33rd: 10 + 25 and 10 + 26


def test_what_does_not_count_is_left_out_of_the_level():
    image = np.full((8, 8), 5.0)
    image[3, 3] = np.nan
    assert reference.level(image) == reference.level(image, "mode") == 5.0


def test_the_polynomial_is_of_the_signal_above_the_bias():
    image, bias = np.full((2, 2), 1100.0), np.full((2, 2), 100.0)
    # 1000 (1 + 0.02 + 0.02) = 1040; without a bias 1100 (1 + 0.022 + 0.0242) = 1150.82
    assert np.allclose(reference.linear(image, bias, (2e-5, 2e-8)), 1040.0, rtol=1e-12)
    assert np.allclose(reference.linear(image, None, (2e-5, 2e-8)), 1150.82, rtol=1e-12)


def test_a_cubic_is_its_own_smooth_part():
    y, x = np.mgrid[:96, :128] / 100.0
    cubic = 1.0 + 0.1 * x - 0.05 * y + 0.1 * x * x * y - 0.03 * y**3
    dome = np.random.default_rng(1).normal(1.0, 0.01, cubic.shape)
    twilight = dome * cubic
    dome[10:12, 20:25] = np.nan
    # A median stands at the centre of its box; the cubic bends within 8 pixels by less than 0.1 * 0.04**2.
    assert np.allclose(reference.smooth_part(dome, twilight), cubic, atol=2e-4)
