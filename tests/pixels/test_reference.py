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
