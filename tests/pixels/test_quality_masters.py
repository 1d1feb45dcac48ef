"""Read noise, dark rate, hot pixels and gain against sensors of known truth; tolerances are standard errors."""

import math

import numpy as np
import pytest

from ingestd.pixels.quality import (
    Estimate,
    coarse_deviation,
    dark_rate_adu_per_second,
    dark_rate_electrons_per_second,
    dark_rate_mean_adu_per_second,
    flat_pair_level_adu,
    flat_pair_variance_adu2,
    flat_pairs,
    gain_electrons_per_adu,
    gain_of_pairs,
    hot_pixel_map,
    hot_pixels,
    read_noise_adu,
    read_noise_electrons,
    read_noise_stack_adu,
)
from ingestd.pixels.quality.noise import mean_variance

SIDE = 256
PIXELS = SIDE * SIDE


def biases(number, sigma, *, seed=1, drift=0.0, structure=3.0):
    """Return biases with fixed column structure, Gaussian noise and a level that drifts from frame to frame."""
    rng = np.random.default_rng(seed)
    fixed = 1000.0 + rng.normal(0.0, structure, SIDE) + np.linspace(0, 20, SIDE)[:, np.newaxis]
    return [np.rint(fixed + i * drift + rng.normal(0.0, sigma, (SIDE, SIDE))).astype(np.uint16) for i in range(number)]


@pytest.mark.parametrize("number", [2, 3, 10, 20])
@pytest.mark.parametrize("sigma", [0.4, 1.0, 5.84, 20.0])
def test_read_noise_is_that_of_the_amplifier_both_ways(number, sigma):
    frames = biases(number, sigma)
    pairs, stack = read_noise_adu(frames), read_noise_stack_adu(frames)
    # The variance measured is sigma^2 + 1/12, of which sigma^2 remains: its error grows by (1 + 1 / (12 sigma^2)).
    growth = 1.0 + 1.0 / (12.0 * sigma**2)
    of_pairs = math.sqrt(1 / (2 * PIXELS)) if number == 2 else 0.5 * math.sqrt(3 / (number * PIXELS))
    of_stack = math.sqrt(1 / (2 * (number - 1) * PIXELS))
    assert pairs.value == pytest.approx(sigma, rel=5 * growth * of_pairs)
    assert stack.value == pytest.approx(sigma, rel=5 * growth * of_stack)
    assert stack.error == pytest.approx(sigma * growth * of_stack, rel=0.1)
    assert pairs.error >= 0.9 * sigma * of_pairs


def test_mean_of_read_noise_over_many_sets_is_unbiased_and_scatters_as_stated():
    found = [read_noise_adu([frame[:64, :64] for frame in biases(5, 4.0, seed=seed)]) for seed in range(60)]
    values = np.array([estimate.value for estimate in found])
    stated = 0.5 * 4.0 * math.sqrt(3 / (5 * 64 * 64))
    assert values.mean() == pytest.approx(4.0, abs=4 * stated / math.sqrt(60))
    assert values.std(ddof=1) == pytest.approx(stated, rel=4 / math.sqrt(2 * 60))


def test_read_noise_ignores_cosmic_rays_and_drift():
    frames = biases(6, 5.0, drift=2.0)
    rng = np.random.default_rng(9)
    for frame in frames:
        frame[rng.integers(0, SIDE, 60), rng.integers(0, SIDE, 60)] += rng.integers(100, 4000, 60).astype(np.uint16)
    assert read_noise_adu(frames).value == pytest.approx(5.0, rel=0.008)
    assert read_noise_stack_adu(frames).value == pytest.approx(5.0, rel=0.008)


def test_plain_mean_of_pixel_deviations_is_low_by_c4():
    stack = np.array(biases(5, 5.0), np.float64)
    c4 = math.sqrt(2 / 4) * math.gamma(5 / 2) / math.gamma(4 / 2)  # 0.940
    plain = float(stack.std(axis=0, ddof=1).mean())
    assert plain == pytest.approx(c4 * math.sqrt(25 + 1 / 12), rel=0.005)
    assert read_noise_stack_adu(list(stack.astype(np.uint16))).value == pytest.approx(5.0, rel=0.005)


def test_the_step_of_twelve_bit_samples_is_taken_out():
    rng = np.random.default_rng(3)
    fixed = 1000.0 + rng.normal(0.0, 40.0, (SIDE, SIDE))
    frames = [(np.rint((fixed + rng.normal(0, 10.0, fixed.shape)) / 16) * 16).astype(np.uint16) for _ in range(4)]
    growth = 1.0 + 16.0**2 / 12.0 / 10.0**2
    assert read_noise_adu(frames).value == pytest.approx(10.0, rel=5 * growth * 0.5 * math.sqrt(3 / (4 * PIXELS)))


def test_the_step_of_frames_that_are_no_longer_integers_can_be_stated():
    frames = [frame.astype(np.float32) - np.float32(1000.3) for frame in biases(3, 1.0)]
    with_step, without = read_noise_adu(frames, step_adu=1.0), read_noise_adu(frames)
    assert without.value**2 - with_step.value**2 == pytest.approx(1 / 12, rel=0.01)


@pytest.mark.parametrize(("sigma", "step"), [(0.4, 1), (0.8, 1), (1.5, 1), (12.0, 16), (20.0, 16)])
@pytest.mark.parametrize(("number", "limit_steps"), [(40, 1.0), (20, 1.00623), (10, 1.42302), (5, 2.01246)])
def test_deviation_is_coarse_below_a_step_or_two(sigma, step, number, limit_steps):
    frames = [(frame // step * step) for frame in biases(2, sigma, drift=3.0)]
    noise = math.hypot(sigma, step / math.sqrt(12))
    expected = pytest.approx(noise, rel=0.03) if noise < limit_steps * step else 0.0
    assert coarse_deviation(*frames, number) == expected
    assert coarse_deviation(*(frame.astype(np.float32) for frame in frames), number) == 0.0


@pytest.mark.parametrize("frames", [[], [np.zeros((4, 4))], [np.zeros((4, 4)), np.zeros((4, 5))]])
def test_read_noise_needs_two_frames_of_one_shape(frames):
    with pytest.raises(ValueError, match="two or more frames"):
        read_noise_adu(frames)
    with pytest.raises(ValueError, match="two or more frames"):
        read_noise_stack_adu(frames)


def test_read_noise_in_electrons_is_gain_times_adu():
    noise = read_noise_electrons(Estimate(5.84, 0.05), 1.3)
    assert (noise.value, noise.error) == (pytest.approx(7.592), pytest.approx(0.065))


@pytest.mark.parametrize("freedom", [1, 2, 4, 8, 30])
def test_mean_variance_is_that_of_clean_pixels(freedom):
    rng = np.random.default_rng(11)
    variances = 9.0 * rng.chisquare(freedom, 400_000) / freedom
    variances[:200] += 1e5
    mean, number = mean_variance(variances, freedom)
    assert mean == pytest.approx(9.0, rel=5 * math.sqrt(2 / (freedom * 400_000)))
    assert number == pytest.approx(399_800, abs=8)


def dark_and_bias(seed=5, rate=0.358, exposure=80.0, sigma=2.0):
    """Return a master dark with 1 % hot pixels of 20 ADU/s, the bias, and where the hot pixels are."""
    rng = np.random.default_rng(seed)
    bias = 1310.0 + rng.normal(0.0, 3.0, SIDE) * np.ones((SIDE, 1))
    hot = rng.random((SIDE, SIDE)) < 0.01
    dark = bias + rate * exposure + 20.0 * exposure * hot + rng.normal(0.0, sigma, bias.shape)
    return dark.astype(np.float32), bias.astype(np.float32), hot


def test_median_dark_rate_hardly_sees_hot_pixels_and_the_mean_does():
    dark, bias, hot = dark_and_bias()
    median, mean = dark_rate_adu_per_second(dark, bias, 80.0), dark_rate_mean_adu_per_second(dark, bias, 80.0)
    error = 1.2533 * 2.0 / SIDE / 80.0
    # A share f of hot pixels moves the median by f / 2 over the density, 1.2533 sigma f.
    assert median.value == pytest.approx(0.358 + 1.2533 * 2.0 * hot.mean() / 80.0, abs=5 * error)
    assert median.error == pytest.approx(error, rel=0.05)
    assert mean.value == pytest.approx(0.358 + 20.0 * hot.mean(), abs=5 * 2.0 / SIDE / 80.0)


def test_dark_rate_of_a_scalar_bias():
    dark = np.full((32, 32), 1010.0, np.float32)
    assert dark_rate_adu_per_second(dark, 1000.0, 20.0).value == pytest.approx(0.5)


@pytest.mark.parametrize("exposure", [0.0, -1.0, math.nan, math.inf])
def test_dark_rate_needs_an_exposure(exposure):
    with pytest.raises(ValueError, match="exposure_s"):
        dark_rate_adu_per_second(np.ones((4, 4)), 0.0, exposure)


def test_dark_rate_in_electrons_is_gain_times_adu():
    found = dark_rate_electrons_per_second(Estimate(0.358, 0.001), Estimate(1.3, 0.03))
    assert (found.value, found.error) == (pytest.approx(0.4654), pytest.approx(math.hypot(0.0013, 0.358 * 0.03)))


def test_hot_pixels_are_found_all_and_only():
    dark, bias, hot = dark_and_bias()
    dark[0, 0] = np.nan
    hot[0, 0] = False
    # Hot pixels stand 800 sigma out; at 10 sigma no Gaussian pixel does.
    assert np.array_equal(hot_pixel_map(dark, bias, 10.0), hot)
    assert hot_pixels(dark, bias, 10.0) == Estimate(float(hot.sum()), None)


def flats(gain, read_noise, levels, *, seed=6, shape=(512, 512)):
    """Return flats with vignetting, dust, a gradient that differs between them, and 2 % of pixel sensitivity."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    field = (1 - 0.3 * (x**2 + y**2) / 2) * (1 - 0.2 * np.exp(-((np.hypot(x - 0.3, y) / 0.1 - 0.8) ** 2) / 0.05))
    field *= 1 + 0.02 * rng.standard_normal(shape)
    frames = []
    for i, level in enumerate(levels):
        light = level * gain * field * (1 + 0.03 * i * x)
        frames.append(np.rint(1000 + rng.poisson(light) / gain + rng.normal(0, read_noise, shape)).astype(np.uint16))
    return frames


@pytest.mark.parametrize("gain", [0.5, 1.3, 5.0])
@pytest.mark.parametrize("read_noise", [0.8, 6.0, 40.0])
@pytest.mark.parametrize("levels", [(20000, 20000), (20000, 14000), (800, 1000)])
def test_gain_from_a_pair_of_uneven_flats(gain, read_noise, levels):
    estimate = gain_electrons_per_adu(flats(gain, read_noise, levels), 1000.0, read_noise)
    # 1/G carries the error of the variance, sqrt(2/n), grown by the share of the read noise that is subtracted; the
    # field is down to 0.8 of the level on average.
    first, scale = 0.8 * levels[0], levels[0] / levels[1]
    photons, noise = first * (1 + scale) / gain, (read_noise**2 + 1 / 12) * (1 + scale**2)
    error = math.sqrt(2) / 512 * (1 + noise / photons)
    assert estimate.value == pytest.approx(gain, rel=5 * error)
    assert estimate.error == pytest.approx(gain * error, rel=0.25)


def test_the_naive_gain_is_wrong_by_the_pedestal():
    first, second = flats(2.0, 5.0, (20000, 20000))
    box = np.s_[240:272, 240:272]
    one, other = first[box].astype(float), second[box].astype(float)
    naive = (one.mean() + other.mean()) / np.var(one - other, ddof=1)
    assert naive == pytest.approx(2.0 * (20000 * 0.99 + 1000) / (20000 * 0.99), rel=5 * math.sqrt(2) / 32)
    assert gain_electrons_per_adu([first, second], 1000.0, 5.0).value == pytest.approx(2.0, rel=5 * math.sqrt(2) / 512)


def test_gain_ignores_cosmic_rays_stars_and_saturation():
    frames = flats(1.3, 6.0, (20000, 21000))
    rng = np.random.default_rng(8)
    for frame in frames:
        frame[rng.integers(0, 512, 300), rng.integers(0, 512, 300)] += 5000
    frames[0][:64, :64] = 65535
    estimate = gain_electrons_per_adu(frames, 1000.0, 6.0, saturation_adu=65535)
    assert estimate.value == pytest.approx(1.3, rel=6 * math.sqrt(2) / 512)


def test_gain_of_several_flats_is_the_mean_over_pairs():
    frames = flats(1.3, 6.0, (20000, 21000, 22000, 19000, 20000))
    together = gain_electrons_per_adu(frames, 1000.0, 6.0)
    apart = [gain_electrons_per_adu(frames[i : i + 2], 1000.0, 6.0).value for i in (0, 2)]
    assert together.value == pytest.approx(np.mean(apart))


def test_gain_of_flats_with_a_structured_bias():
    frames = flats(1.3, 6.0, (3000, 3000))
    structure = np.random.default_rng(12).integers(0, 200, (512, 512)).astype(np.uint16)
    bias = (1000 + structure).astype(np.float32)
    estimate = gain_electrons_per_adu([frame + structure for frame in frames], bias, 6.0)
    assert estimate.value == pytest.approx(1.3, rel=5 * math.sqrt(2) / 512 * 1.05)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([np.ones((64, 64))], "two or more flats"),
        ([np.full((64, 64), 65535)] * 2, "below saturation"),
        ([np.zeros((64, 64))] * 2, "with light"),
        ([np.ones((8, 8))] * 2, "with light"),
        ([np.full((64, 64), 20000)] * 2, "no photon noise"),
        (np.random.default_rng(1).poisson(20000, (2, 16, 32)), "clean boxes"),
    ],
)
def test_gain_says_why_it_cannot_be_measured(frames, message):
    with pytest.raises(ValueError, match=message):
        gain_electrons_per_adu(frames, 0.0, 5.0, saturation_adu=65535)


def test_pair_above_the_full_well_is_a_point_without_photon_noise():
    random = np.random.default_rng(21)
    full = [np.rint(random.normal(40_000.0, 6.0, (512, 512))) for _ in range(2)]
    (pair,) = flat_pairs(full, 1000.0, 6.0, step_adu=1.0)
    assert not pair.has_photon_noise
    assert flat_pair_level_adu(pair).value == pytest.approx(39_000, abs=1)
    # The read noise alone: 36 ADU**2, of 512 x 512 differences good to sqrt(2) / 512.
    assert flat_pair_variance_adu2(pair).value == pytest.approx(36.0, rel=5 * math.sqrt(2) / 512)
    with pytest.raises(ValueError, match="no photon noise"):
        gain_electrons_per_adu(full, 1000.0, 6.0)
    (linear,) = flat_pairs(flats(1.3, 6.0, (20000, 20000)), 1000.0, 6.0)
    assert gain_of_pairs([pair, linear]) == linear.gain()


def test_gain_of_flats_of_different_structure_is_refused():
    stripes = 1.0 + 0.3 * np.linspace(0, 1, 512)[:, np.newaxis] * np.sin(np.arange(512) / 3.0)
    one, other = flats(1.3, 6.0, (20000, 20000))
    with pytest.raises(ValueError, match="differ in structure"):
        gain_electrons_per_adu([one, other * stripes], 1000.0, 6.0)
