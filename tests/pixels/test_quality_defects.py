"""Noisy, low and hot pixels on sensors of known defects: found and false shares by the tails of their distributions."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from ingestd.pixels.quality import dead_pixels, hot_pixel_map, low_pixel_map, low_pixels, noisy_pixel_map, noisy_pixels

SIDE = 500
PIXELS = SIDE * SIDE
SIGMA_ADU = 5.0


def scatter_of(frames, factor=1.0, seed=1, sigma=SIGMA_ADU, step=None):
    """Return the standard deviation of each pixel over a stack of normal noise."""
    random = np.random.default_rng(seed)
    stack = 1000.3 + factor * random.normal(0, sigma, (frames, SIDE, SIDE))
    if step is not None:
        stack = np.rint(stack / step) * step
    return stack.std(axis=0, ddof=1).astype(np.float32)


def limit_of(frames, noisy_sigma):
    """Return the limit in units of sigma: median of chi / sqrt(n) plus so many 1.4826 MAD, from chi-square."""
    n = frames - 1
    centre = np.sqrt(chi2.median(n) / n)

    def within(d):
        return chi2.cdf(n * (centre + d) ** 2, n) - chi2.cdf(n * max(centre - d, 0) ** 2, n) - 0.5

    return centre + noisy_sigma * max(1.4826 * brentq(within, 1e-6, 2), centre / np.sqrt(2 * n))


@pytest.mark.parametrize(("frames", "noisy_sigma"), [(5, 3), (10, 3), (20, 3), (20, 4)])
def test_false_noisy_pixels_are_the_tail_of_chi_square(frames, noisy_sigma):
    share = chi2.sf((frames - 1) * limit_of(frames, noisy_sigma) ** 2, frames - 1)
    found = noisy_pixel_map(scatter_of(frames), frames, noisy_sigma, 1.0).mean()
    # counting error, and 1 % of error of the limit: at 3 to 4 sigma the tail changes by some 10 % for it
    assert found == pytest.approx(share, abs=5 * np.sqrt(share / PIXELS) + 0.1 * share)


@pytest.mark.parametrize("factor", [4.0, 8.0])
def test_noisy_pixels_are_found_as_often_as_their_chi_square_says(factor):
    frames, noisy_sigma = 10, 10.0
    noisy = np.random.default_rng(2).random((SIDE, SIDE)) < 0.01
    scatter = np.where(noisy, scatter_of(frames, factor), scatter_of(frames, seed=3)).astype(np.float32)
    found = noisy_pixel_map(scatter, frames, noisy_sigma, 1.0)
    share = chi2.sf((frames - 1) * (limit_of(frames, noisy_sigma) / factor) ** 2, frames - 1)
    assert found[noisy].mean() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / noisy.sum()) + 0.05)
    assert not found[~noisy].any()


@pytest.mark.parametrize("frames", [2, 3, 5, 10, 50])
def test_with_the_default_limit_a_good_sensor_has_no_noisy_pixel(frames):
    assert not noisy_pixel_map(scatter_of(frames), frames, 10.0, 1.0).any()


@pytest.mark.parametrize("step", [1.0, 16.0])
@pytest.mark.parametrize("sigma_of_step", [0.05, 0.2, 0.5])
def test_a_coarse_converter_makes_no_noisy_pixel(step, sigma_of_step):
    scatter = scatter_of(10, sigma=sigma_of_step * step, step=step)
    assert not noisy_pixel_map(scatter, 10, 10.0, step).any()


def test_a_pixel_of_unknown_scatter_is_not_noisy():
    scatter = scatter_of(5)
    scatter[0, 0] = np.nan
    assert not noisy_pixel_map(scatter, 5, 10.0, 1.0)[0, 0]
    assert not noisy_pixel_map(np.full((2, 2), np.nan, np.float32), 5, 10.0, 1.0).any()


def flat(noise, lost=0.2):
    """Return a vignetted flat: twice as much of the light is lost in the corners."""
    y, x = (np.linspace(-1, 1, SIDE)[:, np.newaxis], np.linspace(-1, 1, SIDE)[np.newaxis, :])
    random = np.random.default_rng(4)
    return ((1 - lost * (x**2 + y**2)) * (1 + noise * random.standard_normal((SIDE, SIDE)))).astype(np.float32)


def test_false_low_pixels_are_the_tail_of_the_noise():
    noise, low = 0.08, 0.8
    of_medians = 1.2533 * noise / 16  # of the 256 samples of a box
    share = norm.cdf((low - 1) / np.hypot(noise, of_medians))
    found = low_pixel_map(flat(noise, lost=0.0), low).mean()
    assert found == pytest.approx(share, abs=5 * np.sqrt(share / PIXELS))


def test_low_pixels_are_found_all_and_only():
    image = flat(0.01)
    low = np.random.default_rng(5).random(image.shape) < 0.01
    image[low] *= np.random.default_rng(6).uniform(0, 0.7, image.shape)[low]
    np.testing.assert_array_equal(low_pixel_map(image, 0.8), low)


def test_vignetting_and_dust_are_not_low():
    image = flat(0.005)
    y, x = np.mgrid[:SIDE, :SIDE]
    image *= np.where(np.hypot(y - 100, x - 300) < 60, 0.85, 1.0).astype(np.float32)
    assert not low_pixel_map(image, 0.8).any()
    assert not low_pixel_map(image, 0.0).any()


def test_hot_pixels_by_rate_are_those_above_it():
    """A dark of 100 s and 2 e-/ADU: 5 e-/s are 250 ADU, far above 10 sigma of the noise."""
    random = np.random.default_rng(7)
    dark = (1000 + random.normal(0, 3, (SIDE, SIDE))).astype(np.float32)
    warm, hot = (random.random((SIDE, SIDE)) < 0.01 for _ in range(2))
    dark[warm] += 200
    dark[hot] += 300
    by_sigma, by_rate = (hot_pixel_map(dark, 0.0, 10.0, least_adu) for least_adu in (0.0, 250.0))
    np.testing.assert_array_equal(by_sigma, warm | hot)
    np.testing.assert_array_equal(by_rate, hot)


def test_counts_are_those_of_the_maps():
    found = np.array([[True, False], [True, True]])
    assert [count(found).value for count in (noisy_pixels, dead_pixels, low_pixels)] == [3, 3, 3]


@pytest.mark.parametrize("shape", [(5, 7), (32, 32), (40, 100), (33, 64), (64, 31)])
def test_low_pixels_of_images_that_boxes_do_not_fill(shape):
    image = np.ones(shape, np.float32)
    image[-1, -1] = image[0, 0] = 0.5
    found = low_pixel_map(image, 0.8)
    assert found.sum() == 2
    assert found[0, 0]
    assert found[-1, -1]


def test_a_pixel_bright_in_the_bias_is_hot_in_the_dark_alone():
    """What the mask says, for a dark may have no bias, and what the figure above the bias counts, differ by it.

    Scatter 1 ADU: the limit lies at 10. One pixel has 12 ADU of dark current, another 12 ADU of bias.
    """
    dark = np.random.default_rng(1).normal(100.0, 1.0, (100, 100)).astype(np.float32)
    bias = np.zeros_like(dark)
    dark[10, 10], dark[20, 20], bias[20, 20] = 112.0, 112.0, 12.0
    assert np.argwhere(hot_pixel_map(dark, 0.0, 10.0)).tolist() == [[10, 10], [20, 20]]
    assert np.argwhere(hot_pixel_map(dark, bias, 10.0)).tolist() == [[10, 10]]
