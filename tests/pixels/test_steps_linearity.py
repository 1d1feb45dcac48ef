"""A sensor that is not linear: signal, noise and marks by their formulas, in float64 and on a sensor of known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ingestd.pixels.steps import Amplifier, CalibratedReader, PlaneCalibration
from ingestd.records import MaskBit, Section
from tests.pixels.array_reader import ArrayReader
from tests.pixels.test_steps import SHAPE, masters, one, pixel, raw_frame, reduce

C1, C2 = 3e-6, -2e-11
FLOAT32 = 3e-7
"""Relative error of a handful of float32 operations of 6e-8 each."""


def linear(x, coefficients=(C1, C2)):
    """Return the true signal of x ADU above the bias, by the definition."""
    x = np.asarray(x, np.float64)
    return x + sum(c * x ** (power + 1) for power, c in enumerate(coefficients, 1))


def slope(x):
    return 1 + 2 * C1 * x + 3 * C2 * x**2


def test_signal_above_the_bias_is_put_through_the_polynomial():
    raw, m = raw_frame(), masters()
    calibration = PlaneCalibration(bias=m["bias"], nonlinearity=(C1, C2))
    expected = linear(raw - m["bias"].astype(np.float64))
    np.testing.assert_allclose(reduce(raw, calibration)[0], expected, rtol=FLOAT32, atol=1e-3)


def test_an_exact_dark_is_linear_above_the_bias_that_it_carries():
    raw, m = raw_frame(), masters()
    bias, dark = m["bias"].astype(np.float64), m["dark"].astype(np.float64)
    calibration = PlaneCalibration(bias=m["bias"], dark=m["dark"], nonlinearity=(C1, C2))
    expected = linear(raw - bias) - linear(dark - bias)
    np.testing.assert_allclose(reduce(raw, calibration)[0], expected, rtol=FLOAT32, atol=4e-3)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_a_scaled_dark_is_scaled_after_it_was_made_linear(ratio):
    raw, m = raw_frame(), masters()
    bias, dark = m["bias"].astype(np.float64), m["dark"].astype(np.float64) + 5000
    calibration = PlaneCalibration(
        bias=m["bias"], dark=dark.astype(np.float32), dark_ratio=ratio, nonlinearity=(C1, C2)
    )
    expected = linear(raw - bias) - ratio * linear(dark.astype(np.float32) - bias)
    np.testing.assert_allclose(reduce(raw, calibration)[0], expected, rtol=FLOAT32, atol=6e-3)


def test_the_overscan_tells_the_level_where_there_is_no_bias():
    raw = np.full((4, 6), 21_000, np.uint16)
    raw[:, 4:] = 1000
    calibration = PlaneCalibration(
        overscan=Section(0, 4, 4, 6), trim=Section(0, 4, 0, 4), nonlinearity=(C1, C2), gain_e_per_adu=1.0
    )
    np.testing.assert_allclose(reduce(raw, calibration)[0], linear(20_000), rtol=FLOAT32)


def test_without_a_level_nothing_is_made_linear():
    calibration = PlaneCalibration(dark=one(1060), nonlinearity=(C1, C2))
    assert not calibration.is_linearised
    assert pixel(calibration)[0] == 440


def test_amplifiers_side_by_side_have_polynomials_of_their_own():
    raw = np.full((2, 6), 31_000, np.uint16)
    amplifiers = (
        Amplifier(section=Section(0, 2, 0, 4), place=Section(0, 2, 0, 4), nonlinearity=(C1, C2)),
        Amplifier(section=Section(0, 2, 4, 6), place=Section(0, 2, 4, 6), nonlinearity=(5e-6,)),
    )
    bias = np.full((2, 6), 1000, np.float32)
    signal = reduce(raw, PlaneCalibration(amplifiers=amplifiers, bias=bias))[0]
    np.testing.assert_allclose(signal[:, :4], linear(30_000), rtol=FLOAT32)
    np.testing.assert_allclose(signal[:, 4:], linear(30_000, (5e-6,)), rtol=FLOAT32)


def test_charge_has_its_noise_before_the_amplifier_and_read_noise_after_it():
    x, gain, read_noise_e = 20_000.0, 2.0, 10.0
    calibration = PlaneCalibration(
        bias=one(1000), bias_error=one(3), gain_e_per_adu=gain, read_noise_e=read_noise_e, nonlinearity=(C1, C2)
    )
    signal, uncertainty = pixel(calibration, raw=x + 1000)
    assert signal == pytest.approx(gain * linear(x), rel=FLOAT32)
    after = slope(x) ** 2 * (read_noise_e**2 + (gain * 3) ** 2)
    assert uncertainty == pytest.approx(np.sqrt(gain * linear(x) + after), rel=1e-6)


def test_pulls_of_a_nonlinear_sensor_are_standard_normal():
    """A Poisson charge through a nonlinear amplifier, 20 000 pixels: mean and scatter of (reduced - truth) / sigma."""
    random, gain, read_noise_e, charge_e = np.random.default_rng(5), 1.5, 8.0, 45_000.0
    charge = random.poisson(charge_e, (100, 200)) / gain
    x = charge.copy()
    for _ in range(30):  # x = linear(charge) / (1 + c1 x + c2 x^2), a contraction by C1 x = 0.1
        x = charge / (1 + C1 * x + C2 * x**2)
    raw = 1000 + x + random.normal(0, read_noise_e / gain, x.shape)
    calibration = PlaneCalibration(
        bias=np.full(x.shape, 1000, np.float32),
        gain_e_per_adu=gain,
        read_noise_e=read_noise_e,
        nonlinearity=(C1, C2),
    )
    signal, uncertainty, _, _ = reduce(raw.astype(np.float32), calibration)
    pulls = (signal - charge_e) / uncertainty
    assert abs(pulls.mean()) < 5 / np.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < 5 / np.sqrt(2 * pulls.size)
    off = reduce(raw.astype(np.float32), replace(calibration, nonlinearity=()))[0]
    assert off.mean() < charge_e * 0.95  # what is wrong without it: C1 x + C2 x^2 = 6.6 % at x = 28 100


def test_samples_above_the_linear_range_are_marked_by_their_raw_value():
    raw = np.array([[100, 50_000, 50_001, 60_000]], np.uint16)
    calibration = PlaneCalibration(bias=np.full((1, 4), 10, np.float32), linear_max_adu=50_000, saturation_adu=60_000)
    both = MaskBit.NONLINEAR | MaskBit.SATURATED
    assert reduce(raw, calibration)[2].tolist() == [[0, 0, MaskBit.NONLINEAR, both]]


def test_members_of_a_flat_are_linear_too():
    raw, m = raw_frame(), masters()
    reader = CalibratedReader(ArrayReader(raw), PlaneCalibration(bias=m["bias"], nonlinearity=(C1, C2)))
    rows = np.empty(SHAPE, np.float32)
    reader.read(0, rows)
    np.testing.assert_allclose(rows, linear(raw - m["bias"].astype(np.float64)), rtol=FLOAT32, atol=1e-3)


def test_coefficients_must_be_finite():
    with pytest.raises(ValueError, match=r"nonlinearity = .*must be finite"):
        pixel(PlaneCalibration(bias=one(1000), nonlinearity=(np.nan,)))
