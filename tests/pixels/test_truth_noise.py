"""The noise model of a reduction: overscans of few columns, cameras with darks alone, coarse converters.

Sensors of even light without structure, whose pulls (reduced - truth) / uncertainty have the standard deviation 1. 131
072 pixels: its statistical error is 0.002.
"""

import math

import numpy as np
import pytest

from ingestd.pixels.combine import combine
from ingestd.pixels.moderating import moderate_errors
from ingestd.pixels.steps import PlaneCalibration, measure_overscan, reduce_plane
from ingestd.records import Section
from tests.pixels.array_reader import ArrayReader

SHAPE = (512, 256)
GAIN, READ_NOISE = 1.5, 9.0


def exposed(random, charge_e, shape=SHAPE, *, read_noise_e=READ_NOISE, gain=GAIN):
    """Return raw samples of a mean charge, a pedestal of 1000 ADU below."""
    noisy = random.poisson(charge_e, shape) + random.normal(0.0, read_noise_e, shape)
    return np.rint(1000.0 + noisy / gain).astype(np.int32)


def pulls(raw, calibration, truth_e):
    """Return the pulls of the unmasked pixels."""
    found = []

    def keep(_row, signal, uncertainty, mask):
        found.append(((signal - truth_e) / uncertainty)[mask == 0])

    reduce_plane(ArrayReader(raw), calibration, keep)
    return np.concatenate(found).astype(np.float64)


@pytest.mark.parametrize("number", [3, 5, 11, 16, 31, 64])
def test_variance_of_an_overscans_level_is_that_of_a_median(number):
    samples = np.random.default_rng(3).normal(0.0, 1.0, (200_000, number))
    seen = np.median(samples, axis=1).var()
    raw = ArrayReader(np.zeros((8, 20 + number), np.int32))
    section, image = Section(0, 8, 20, 20 + number), Section(0, 8, 0, 20)
    found = measure_overscan(raw, section, image, 0)
    # a variance from 200,000 values is good to 0.3 %; the formula to 2 % for odd numbers, 4 % above for 16
    assert found.variance == pytest.approx(seen, rel=0.03 if number % 2 else 0.05)
    assert measure_overscan(raw, section, image, 0, degree=1).variance == pytest.approx(found.variance * 2 / 8)


@pytest.mark.parametrize("light_e", [0.0, 100.0, 1000.0])
@pytest.mark.parametrize("columns", [5, 11])
def test_overscan_of_few_columns_is_part_of_the_noise(columns, light_e):
    random = np.random.default_rng(4)
    light = random.poisson(light_e, (512, 256))
    charge = np.concatenate([light, np.zeros((512, columns))], axis=1)
    noisy = charge + random.normal(0.0, READ_NOISE, charge.shape)
    raw = np.rint(1000.0 + noisy / GAIN).astype(np.int32)
    calibration = PlaneCalibration(
        overscan=Section(0, 512, 256, 256 + columns),
        trim=Section(0, 512, 0, 256),
        gain_e_per_adu=GAIN,
        read_noise_e=math.hypot(READ_NOISE, GAIN / math.sqrt(12)),
    )
    found = pulls(raw, calibration, light_e)
    # without light the measured charge adds to the variance only where it is positive, sigma / sqrt(2 pi) on average:
    # 3.6 of 81 electrons**2, hence pulls of sqrt(1 - 0.044 + ...) = 0.98
    assert found.std() == pytest.approx(0.98 if light_e == 0 else 1.0, abs=0.02)
    level = math.pi / (2 * columns) * READ_NOISE**2
    variance = light_e + READ_NOISE**2
    if light_e == 0:  # as large as it would be found without it
        assert found.std() * math.sqrt(1 + level / variance) > 1.03


@pytest.mark.parametrize("frames", [10, 20])
@pytest.mark.parametrize("light_e", [100.0, 1000.0])
def test_dark_alone_tells_the_noise_of_its_own_charge(frames, light_e):
    random = np.random.default_rng(5)
    dark_e = random.exponential(80.0, SHAPE)
    master = combine([ArrayReader(exposed(random, dark_e)) for _ in range(frames)], sigma=5.0)
    moderate_errors(master.mean, master.error, master.count, frames)
    calibration = PlaneCalibration(
        dark=master.mean,
        dark_error=master.error,
        dark_frames=frames,
        gain_e_per_adu=GAIN,
        read_noise_e=READ_NOISE,
    )
    raw = exposed(random, dark_e + light_e)
    found = pulls(raw, calibration, light_e)
    assert found.std() == pytest.approx(1.0, abs=0.02)
    unknown = pulls(raw, PlaneCalibration(dark=master.mean, gain_e_per_adu=GAIN, read_noise_e=READ_NOISE), light_e)
    # 80 electrons of 181 + 80, or 1081 + 80, are missed
    assert unknown.std() > math.sqrt((light_e + READ_NOISE**2 + 80) / (light_e + READ_NOISE**2)) - 0.02


def test_hot_pixels_above_a_dark_alone_are_as_uncertain_as_they_are():
    random = np.random.default_rng(6)
    dark_e = np.full(SHAPE, 5.0)
    hot = random.random(SHAPE) < 0.02
    dark_e[hot] = 3000.0
    master = combine([ArrayReader(exposed(random, dark_e)) for _ in range(20)], sigma=5.0)
    moderate_errors(master.mean, master.error, master.count, 20)
    found = []
    calibration = PlaneCalibration(
        dark=master.mean, dark_error=master.error, dark_frames=20, gain_e_per_adu=GAIN, read_noise_e=READ_NOISE
    )

    def keep(row, signal, uncertainty, _mask):
        rows = slice(row, row + len(signal))
        found.append(((signal - 100.0) / uncertainty)[hot[rows]])

    reduce_plane(ArrayReader(exposed(random, dark_e + 100.0)), calibration, keep)
    # 2600 pixels: 0.014; their own variances of 20 frames scatter by 32 %, which widens pulls by 3/8 of its square, 4 %
    assert np.concatenate(found).std() == pytest.approx(1.04, abs=0.05)
