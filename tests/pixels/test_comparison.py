"""A frame against a master: figures of differences that were put in. Seeds are fixed, tolerances standard errors."""

import numpy as np
import pytest

from ingestd.pixels.quality import (
    Tally,
    ceiling_pixels,
    compare,
    compare_flat,
    floor_pixels,
    noise_from_master_adu,
    offset_from_master_adu,
    outlier_pixels,
    structure_from_master_adu,
)

SHAPE = (256, 320)
SIGMA = 6.0
MEMBERS = 4


def random(seed):
    return np.random.default_rng(seed)


def truth(level=1000.0):
    """Return a bias with columns of its own and a gradient of 40 ADU."""
    columns = random(1).normal(0, 8, SHAPE[1]) + np.linspace(0, 40, SHAPE[1])
    return (level + columns[np.newaxis, :] + np.zeros(SHAPE)).astype(np.float32)


def a_frame(noise=5.0, seed=2, level=1000.0):
    return (truth(level) + random(seed).normal(0, noise, SHAPE)).astype(np.float32)


def a_master(noise=5.0, seed=50):
    """Return mean and standard error of a few frames."""
    stack = np.array([a_frame(noise, seed + i) for i in range(MEMBERS)])
    return stack.mean(axis=0), (stack.std(axis=0, ddof=1) / np.sqrt(MEMBERS)).astype(np.float32)


def compared(frame, *, noise=5.0):
    mean, error = a_master(noise)
    return compare(frame.copy(), mean, error, members=MEMBERS, sigma=SIGMA, step_adu=0.0)


def test_frame_of_the_same_kind_differs_by_its_noise_alone():
    found = compared(a_frame())
    spread = 5.0 * np.sqrt(1 + 1 / MEMBERS)
    n = SHAPE[0] * SHAPE[1]
    assert offset_from_master_adu(found).value == pytest.approx(0, abs=5 * 1.2533 * spread / np.sqrt(n))
    # half of the pixels differ from a neighbour; 5 standard errors of a standard deviation
    assert noise_from_master_adu(found).value == pytest.approx(spread, rel=5 / np.sqrt(n))
    assert outlier_pixels(found).value == 0
    # the range of 64 medians of 1280 pixels: 4.7 standard errors of a median on average
    assert structure_from_master_adu(found).value < 8 * 1.2533 * spread / np.sqrt(n / 64)


def test_offset_is_measured_and_makes_no_outliers():
    found = compared(a_frame(level=1300.0))
    assert offset_from_master_adu(found).value == pytest.approx(300, abs=0.2)
    assert outlier_pixels(found).value == 0


def test_gradient_is_structure_and_not_noise():
    """A slope of 80 ADU over 8 boxes: the medians of the first and the last are 7/8 of it apart."""
    slope = np.linspace(0, 80, SHAPE[0], dtype=np.float32)[:, np.newaxis]
    found = compared(a_frame() + slope)
    # less a fifth of the range of the master: 7/8 of its gradient and what its columns leave of a median
    assert structure_from_master_adu(found).value == pytest.approx(70 - 0.2 * 35, abs=4)
    assert noise_from_master_adu(found).value == pytest.approx(5.0 * np.sqrt(1.25), rel=0.02)


@pytest.mark.parametrize("noise", [2.5, 10.0])
def test_noise_of_another_gain_is_measured(noise):
    found = compared(a_frame(noise))
    assert noise_from_master_adu(found).value == pytest.approx(np.hypot(noise, 5 / np.sqrt(MEMBERS)), rel=0.02)
    assert outlier_pixels(found).value == 0


def test_outliers_are_counted():
    frame = a_frame()
    frame[::16, ::16] += 60.0  # 10 times the spread
    assert outlier_pixels(compared(frame)).value == (SHAPE[0] // 16) * (SHAPE[1] // 16)


def test_missing_samples_are_no_outliers():
    frame = a_frame()
    frame[:20] = np.nan
    assert outlier_pixels(compared(frame)).value == 0


def test_master_of_one_frame_has_no_error_and_can_be_compared_with():
    found = compare(a_frame(), a_frame(seed=9), None, members=1, sigma=SIGMA, step_adu=1.0)
    assert outlier_pixels(found).value == 0
    # the step of the converter adds 1/12 to the variance of each frame and is taken out of one
    assert noise_from_master_adu(found).value == pytest.approx(np.sqrt(50 - 1 / 12), rel=0.02)


# --- flats ------------------------------------------------------------------------------------------------------------

RESPONSE = 1 + 0.02 * random(3).standard_normal(SHAPE)
ELECTRONS = 20_000.0


def a_flat(level=ELECTRONS, seed=4, lamp=1.0):
    return random(seed).poisson(level * RESPONSE * lamp).astype(np.float32)


def a_master_flat():
    stack = np.array([a_flat(seed=60 + i) for i in range(MEMBERS)]) / ELECTRONS
    return stack.mean(axis=0).astype(np.float32), (stack.std(axis=0, ddof=1) / np.sqrt(MEMBERS)).astype(np.float32)


def flat_outliers(frame, *, mask=None, level_ratio=1.0, is_mosaic=False, members=MEMBERS):
    mean, error = a_master_flat()
    found = compare_flat(
        frame.copy(),
        mean,
        error if members > 1 else None,
        mask,
        members=members,
        level_ratio=level_ratio,
        is_mosaic=is_mosaic,
        sigma=SIGMA,
    )
    return outlier_pixels(found).value


def test_flat_of_the_same_sensor_has_no_outliers():
    assert flat_outliers(a_flat()) == 0


def test_uneven_lamp_makes_no_outliers():
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    lamp = 1 + 0.3 * (y / SHAPE[0]) ** 2 + 0.2 * x / SHAPE[1]
    assert flat_outliers(a_flat(lamp=lamp)) == 0


def test_faint_flat_is_given_its_own_counting_noise():
    """A twentieth of the light: 3.2 % of noise, where the members have 0.7 %."""
    faint = a_flat(level=ELECTRONS / 20)
    assert flat_outliers(faint, level_ratio=20.0) == 0
    assert flat_outliers(faint) > 0.05 * faint.size


def test_stripes_are_outliers():
    """10 % against a noise of 0.7 %: the median of a box is that of one half of the columns, the other half is off."""
    stripes = np.where(np.arange(SHAPE[1]) % 2, 1.1, 1.0)
    assert flat_outliers(a_flat() * stripes.astype(np.float32)) > 0.4 * RESPONSE.size


def test_stripes_of_a_mosaic_are_the_colour_of_the_lamp():
    stripes = np.where(np.arange(SHAPE[1]) % 2, 1.5, 1.0)
    assert flat_outliers(a_flat(lamp=stripes), is_mosaic=True) == 0


def test_bad_pixels_of_the_master_are_no_outliers():
    frame, mask = a_flat(), np.zeros(SHAPE, np.uint8)
    frame[10:20, 10:20] = 0
    mask[10:20, 10:20] = 1
    assert flat_outliers(frame) == 100
    assert flat_outliers(frame, mask=mask) == 0


def test_flat_of_a_single_member_is_compared_by_its_own_scatter():
    assert flat_outliers(a_flat(), members=1) == 0


# --- what a frame says by itself --------------------------------------------------------------------------------------


def counts(pixels, offset=0.0):
    tally = Tally(offset)
    tally.add(pixels)
    return floor_pixels(tally).value, ceiling_pixels(tally).value


def integers(level, noise, seed=7):
    return np.rint(random(seed).normal(level, noise, SHAPE)).astype(np.int16)


def test_ordinary_frame_has_no_floor_and_hardly_a_ceiling():
    floor, ceiling = counts(integers(1000, 5))
    assert (floor, ceiling < 5) == (0, True)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_rows_that_were_not_read_out_are_a_floor(dtype):
    pixels = integers(1000, 5).astype(dtype)
    pixels[:64] = 0
    assert counts(pixels)[0] == 64 * SHAPE[1]


def test_mostly_unread_frame_has_a_floor():
    pixels = integers(1000, 5)
    pixels[:200] = 0
    assert counts(pixels)[0] == 200 * SHAPE[1]


@pytest.mark.parametrize("noise", [0.2, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("level", [100.0, 100.3, 100.5])
@pytest.mark.parametrize("step", [1, 16])
def test_quiet_camera_has_no_floor(noise, level, step):
    assert counts(integers(level, noise) * step)[0] == 0


def test_constant_image_is_all_ceiling():
    assert counts(np.full(SHAPE, 7, np.int16), 32768.0) == (0, SHAPE[0] * SHAPE[1])


def test_saturation_of_a_converter_of_fewer_bits_is_a_ceiling():
    pixels = np.minimum(integers(4000, 100), 4095)
    assert counts(pixels)[1] == np.count_nonzero(pixels == 4095) > 0.1 * pixels.size
