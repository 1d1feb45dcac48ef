"""Fits through the points of many nights against curves of known truth; 200 trials with fixed seeds."""

import math

import numpy as np
import pytest

from ingestd.pixels.quality import Estimate, dark_against_temperature, nonlinearity, photon_transfer

TRIALS = 200


def trials(measure, number=TRIALS):
    found = [measure(np.random.default_rng(seed)) for seed in range(1, number + 1)]
    return np.array([it.value for it in found]), np.array([it.error for it in found])


def assert_true(values, errors, truth, bias=0.0):
    """The mean is true within 4 standard errors or 1 %, and the stated error is the scatter within a quarter."""
    standard_error = values.std(ddof=1) / math.sqrt(values.size)
    assert abs(values.mean() - truth) <= max(4.0 * standard_error, 0.01 * abs(truth)) + bias
    assert 0.75 < values.std(ddof=1) / math.sqrt((errors**2).mean()) < 1.25


def points(rng, gain, noise_e, levels, *, error_ratio=0.005):
    """Return a photon transfer curve measured with some error: V = R^2 + M / G."""
    truth = (noise_e / gain) ** 2 + levels / gain
    return levels, truth * rng.normal(1.0, error_ratio, levels.size), error_ratio * truth


@pytest.mark.parametrize(("gain", "noise_e"), [(0.5, 2.0), (1.5, 7.5), (5.0, 20.0)])
@pytest.mark.parametrize("levels", [np.linspace(20000, 24000, 12), np.geomspace(50, 40000, 20)])
def test_gain_of_the_curve(gain, noise_e, levels):
    bias = Estimate(noise_e / gain, 0.01 * noise_e / gain)
    values, errors = trials(lambda rng: photon_transfer(*points(rng, gain, noise_e, levels), bias).gain)
    assert_true(values, errors, gain)


def test_one_night_and_the_biases_are_enough_for_a_gain():
    curve = photon_transfer(np.array([20000.0]), np.array([10016.0]), np.array([50.0]), Estimate(4.0, 0.01))
    # (V - R^2) / M = 10000 / 20000.
    assert (curve.gain.value, curve.points) == (pytest.approx(2.0, rel=1e-6), 1)
    assert curve.gain.error == pytest.approx(2.0 * 50.0 / 10000.0, rel=0.01)
    assert (curve.read_noise, curve.full_well) == (None, None)


def test_read_noise_is_told_by_faint_flats_only():
    faint, bright = np.geomspace(10, 4000, 30), np.linspace(20000, 30000, 30)
    values, errors = trials(lambda rng: photon_transfer(*points(rng, 1.5, 15.0, faint)).read_noise)
    assert_true(values, errors, 10.0)
    assert photon_transfer(*points(np.random.default_rng(1), 1.5, 15.0, bright)).read_noise is None


@pytest.mark.parametrize(("first_adu", "is_told"), [(4000.0, True), (8000.0, False)])
def test_noise_does_not_choose_which_curves_tell_the_read_noise(first_adu, is_told):
    """R^2 is 7.1 and 3.2 errors of the intercept. Were the intercept to decide, half of the latter would tell it, by
    a tenth too large; the errors grow with chi^2, so few of the former may not tell it either."""
    levels, bias = np.geomspace(first_adu, 40000, 12), Estimate(10.0, 0.05)
    found = [photon_transfer(*points(np.random.default_rng(seed), 1.5, 15.0, levels), bias) for seed in range(TRIALS)]
    told = [curve.read_noise for curve in found if curve.read_noise is not None]
    if not is_told:
        assert not told
        return
    assert len(told) > 0.9 * TRIALS
    # the root of an intercept is low by 1/8 (error / intercept)^2 of itself
    values, errors = np.array([it.value for it in told]), np.array([it.error for it in told])
    assert_true(values, errors, 10.0, bias=10.0 / 8.0 / 7.1**2)


def test_full_well_is_where_the_variance_turns_down():
    def measure(rng):
        levels = np.linspace(2000.0, 48000.0, 24)
        level, variance, error = points(rng, 2.0, 8.0, levels, error_ratio=0.01)
        full = levels > 39000.0
        return photon_transfer(level, np.where(full, variance * np.exp(-(levels - 37000.0) / 4000.0), variance), error)

    for seed in range(TRIALS):
        curve = measure(np.random.default_rng(seed))
        assert curve.full_well == Estimate(39000.0, 1000.0)  # between the points at 38000 and 40000
        assert curve.highest_adu == 38000.0
        assert curve.gain.value == pytest.approx(2.0, abs=5 * curve.gain.error)


def test_a_straight_curve_has_no_full_well():
    levels = np.linspace(500.0, 50000.0, 25)
    for seed in range(TRIALS):
        assert (
            photon_transfer(*points(np.random.default_rng(seed), 1.5, 7.5, levels, error_ratio=0.02)).full_well is None
        )


def test_points_that_scatter_more_than_they_say_make_larger_errors():
    levels = np.linspace(5000.0, 30000.0, 40)

    def measure(rng):
        level, variance, error = points(rng, 1.5, 7.5, levels, error_ratio=0.03)
        return photon_transfer(level, variance, error / 10.0).gain

    values, errors = trials(measure)
    assert_true(values, errors, 1.5)


@pytest.mark.parametrize("deviation", [0.0, -0.03, 0.01])
def test_nonlinearity_at_the_brightest_level(deviation):
    def measure(rng):
        exposure = np.repeat([1.0, 2.0, 4.0, 6.0, 8.0, 10.0], 3)
        level = 1000.0 + 4000.0 * exposure * (1.0 + deviation * exposure / 10.0)
        error = 0.002 * level
        return nonlinearity(exposure, level + error * rng.standard_normal(level.size), error)

    values, errors = trials(measure)
    assert_true(values, errors, deviation)


@pytest.mark.parametrize("doubling_c", [5.0, 8.0])
def test_doubling_temperature_and_rate_at_the_reference(doubling_c):
    temp_c = np.array([-25.0, -20.0, -15.0, -12.0, -10.0, -5.0, 0.0])
    truth = 0.4 * 2.0 ** ((temp_c + 10.0) / doubling_c)
    error = np.hypot(0.02 * truth, 0.05)  # as large as the rate at the cold end

    def curve(rng):
        return dark_against_temperature(temp_c, truth + error * rng.standard_normal(7), error, -10.0)

    values, errors = trials(lambda rng: curve(rng).doubling_c)
    assert_true(values, errors, doubling_c)
    values, errors = trials(lambda rng: curve(rng).rate)
    assert_true(values, errors, 0.4)


def test_logarithms_of_noisy_rates_would_be_wrong():
    temp_c = np.array([-30.0, -20.0, -10.0, 0.0])
    truth = 0.4 * 2.0 ** ((temp_c + 10.0) / 6.0)

    def naive(rng):
        rate = truth + 0.05 * rng.standard_normal(4)
        slope = np.polyfit(temp_c[rate > 0], np.log(rate[rate > 0]), 1)[0]
        return math.log(2.0) / slope

    ours = [
        dark_against_temperature(
            temp_c, truth + 0.05 * np.random.default_rng(seed).standard_normal(4), np.full(4, 0.05), -10.0
        ).doubling_c.value
        for seed in range(TRIALS)
    ]
    logs = [naive(np.random.default_rng(seed)) for seed in range(TRIALS)]
    # Ours is high by (sigma(b) / b)^2, 1 % here; the logarithm of a rate near 0 knows no bounds.
    assert abs(np.mean(logs) - 6.0) > 3 * abs(np.mean(ours) - 6.0)


NONE = np.empty(0)
FLAT = np.full(5, 0.4)
WARM = np.linspace(-20.0, 0.0, 5)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: photon_transfer(NONE, NONE, NONE),
        lambda: photon_transfer(NONE, NONE, NONE, Estimate(5.0, 0.1)),
        lambda: photon_transfer(FLAT, FLAT, FLAT),
        lambda: photon_transfer(np.arange(5.0), -np.arange(5.0), np.full(5, 0.1)),
        lambda: nonlinearity(NONE, NONE, NONE),
        lambda: nonlinearity(np.arange(1.0, 4.0), np.arange(1.0, 4.0), np.ones(3)),
        lambda: nonlinearity(np.linspace(6.0, 7.0, 9), np.linspace(6.0, 7.0, 9), np.ones(9)),
        lambda: nonlinearity(np.linspace(0.0, 7.0, 9), np.linspace(6.0, 7.0, 9), np.ones(9)),
        lambda: nonlinearity(np.linspace(1.0, 7.0, 9), -np.linspace(6.0, 7.0, 9), np.ones(9)),
        lambda: dark_against_temperature(NONE, NONE, NONE, -10.0),
        lambda: dark_against_temperature(FLAT, FLAT, FLAT, -10.0),
        lambda: dark_against_temperature(WARM / 10.0, FLAT, FLAT, -10.0),
        lambda: dark_against_temperature(WARM, FLAT, 0.1 * FLAT, -10.0),
        lambda: dark_against_temperature(WARM, -FLAT, FLAT, -10.0),
        lambda: dark_against_temperature(WARM, np.linspace(5.0, 1.0, 5), FLAT, -10.0),
    ],
)
def test_where_points_do_not_tell_it_is_said(measure):
    with pytest.raises(ValueError, match=r"\w"):
        measure()
