"""Figures of one frame, and what they are read from. Seeds are fixed; tolerances are standard errors."""

import math

import numpy as np
import pytest

from ingestd.metrics import METRICS
from ingestd.pixels import quality
from ingestd.pixels.quality import (
    Estimate,
    SkyBoxes,
    Tally,
    bias_level_adu,
    central_section,
    dark_level_adu,
    flat_level_adu,
    frame_noise_adu,
    histogram,
    mean_of,
    sampled_rows,
    saturated_pixels,
    sensor_temp_offset_celsius,
    sky_level_adu,
    sky_level_electrons,
    sky_noise_adu,
    sky_noise_electrons,
)

SUFFIXES = {
    "ADU": "_adu",
    "e-": "_electrons",
    "ADU/s": "_adu_per_second",
    "e-/s": "_electrons_per_second",
    "e-/ADU": "_electrons_per_adu",
    "C": "_celsius",
    "pixels": "_pixels",
    "ADU2": "_adu2",
    "px": "_px",
    "sources": "_sources",
    "": "_ratio",
}


def noisy(level, sigma, shape=(512, 512), seed=1):
    """Return rounded Gaussian samples as a converter delivers them."""
    return np.rint(np.random.default_rng(seed).normal(level, sigma, shape)).astype(np.uint16)


def test_every_declared_metric_has_its_function_and_no_other():
    assert set(quality.ESTIMATORS) == {row.name for row in METRICS}
    assert all(getattr(quality, name) is function for name, function in quality.ESTIMATORS.items())


def test_metric_names_are_unique_and_end_in_their_unit():
    assert len({row.name for row in METRICS}) == len(METRICS)
    assert all(row.name.endswith(SUFFIXES[row.unit]) for row in METRICS)


def test_every_metric_says_where_it_is_measured():
    assert {row.subject for row in METRICS} <= {"frame", "master", "frame or master"}
    assert all(row.kinds and row.help and row.source for row in METRICS)


@pytest.mark.parametrize("level", [1310.0, 1310.25, 1310.5, 1310.75])
@pytest.mark.parametrize("sigma", [0.5, 2.0, 6.0])
def test_bias_level_resolves_fractions_of_a_step(level, sigma):
    estimate = bias_level_adu(noisy(level, sigma))
    # The error of a median is 1.2533 sigma / sqrt(n); rounding adds 1/12 to the variance, and at a noise of half a step
    # leaves a bias of up to 0.02 ADU.
    assert estimate.value == pytest.approx(level, abs=5 * 1.2533 * math.hypot(sigma, 0.289) / 512 + 0.02)


def test_error_of_a_level_is_that_of_a_median():
    assert bias_level_adu(noisy(1000.3, 6.0)).error == pytest.approx(1.2533 * 6.0 / 512, rel=0.03)


def test_level_of_a_constant_frame_is_its_value():
    assert bias_level_adu(np.full((16, 16), 1000, np.uint16)) == Estimate(1000.0, 0.0)


def test_level_of_floats_equals_their_median():
    values = np.random.default_rng(2).normal(200.0, 3.0, (300, 301)).astype(np.float32)
    # Bins are sigma / 128 wide.
    assert bias_level_adu(values).value == pytest.approx(float(np.median(values)), abs=3.0 / 128)


def test_level_of_a_mean_of_three_frames_is_not_held_to_thirds():
    frames = [noisy(1310.45, 5.0, seed=seed) for seed in (1, 2, 3)]
    level = bias_level_adu(np.mean(frames, axis=0, dtype=np.float32)).value
    assert level == pytest.approx(1310.45, abs=5 * 1.2533 * 5.0 / math.sqrt(3) / 512 + 5.0 / math.sqrt(3) / 128)


def test_level_ignores_hot_pixels_and_pixels_without_a_value():
    values = np.random.default_rng(3).normal(50.0, 2.0, (256, 256)).astype(np.float32)
    values[:2] = 60000.0
    values[2:4] = np.nan
    # 1/128 of the pixels far above shift the median by half that share of the density, 1.2533 sigma * 1/128.
    assert bias_level_adu(values).value == pytest.approx(50.0, abs=1.2533 * 2.0 * (1 / 128 + 5 / 256))


def test_a_frame_without_a_finite_pixel_has_no_level():
    with pytest.raises(ValueError, match="no finite pixel"):
        bias_level_adu(np.full((8, 8), np.nan))


@pytest.mark.parametrize("height", [2, 7, 64, 100])
def test_row_blocks_give_the_same_level_as_the_frame(height):
    frame = noisy(1000.3, 5.0, (100, 64))
    blocks = (frame[i : i + height] for i in range(0, 100, height))
    assert dark_level_adu(blocks) == dark_level_adu(frame)


def test_signed_samples_with_an_offset_give_the_same_figures():
    frame = noisy(40000.4, 50.0, (128, 128))
    signed = (frame ^ np.uint16(0x8000)).view(np.int16)
    tally = Tally(32768.0)
    for start in range(0, 128, 16):
        tally.add(signed[start : start + 16].astype(">i2"))
    assert bias_level_adu(tally) == bias_level_adu(frame)
    assert frame_noise_adu(tally) == frame_noise_adu(frame)
    assert saturated_pixels(tally, 40050) == saturated_pixels(frame, 40050)


def test_a_reused_buffer_does_not_disturb_what_was_counted():
    tally, buffer = Tally(), np.ones((4, 8), np.float32)
    tally.add(buffer)
    buffer[:] = 100.0
    tally.add(buffer)
    assert tally.values().total == 64
    assert saturated_pixels(tally, 50.0).value == 32


def test_frame_noise_is_blind_to_gradients_columns_and_cosmic_rays():
    rng = np.random.default_rng(4)
    frame = rng.normal(1000.0, 5.0, (512, 512)) + np.linspace(0, 50, 512) + rng.normal(0, 20, 512)
    frame[rng.integers(0, 512, 100), rng.integers(0, 512, 100)] += 3000.0
    estimate = frame_noise_adu(np.rint(frame).astype(np.uint16))
    expected = math.sqrt(5.0**2 + 1 / 12)
    # n / 2 independent differences: relative error 1 / sqrt(2 n / 2). The gradient runs along the rows.
    assert estimate.value == pytest.approx(expected, rel=5 / math.sqrt(512 * 512))
    assert estimate.error == pytest.approx(expected / math.sqrt(512 * 512), rel=0.01)


def test_the_plain_standard_deviation_would_hold_the_structure():
    frame = noisy(1000.0, 3.8) + np.linspace(0, 150, 512).astype(np.uint16)
    assert float(frame.std()) == pytest.approx(math.hypot(3.8, 150 / math.sqrt(12)), rel=0.01)  # 43.5, as on the LFC
    assert frame_noise_adu(frame).value == pytest.approx(math.sqrt(3.8**2 + 1 / 12), rel=5 / 512)


def test_flat_level_is_that_of_the_centre():
    flat = np.full((100, 200), 20000.0, np.float32)
    flat[:25] = flat[75:] = 5000.0
    flat[:, :50] = flat[:, 150:] = 5000.0
    assert central_section((100, 200)).shape == (50, 100)
    assert flat_level_adu(flat).value == 20000.0


@pytest.mark.parametrize("as_pixels", [lambda f: f, lambda f: iter([f[:5], f[5:]]), lambda f: f.astype(np.float64)])
def test_saturated_pixels_are_counted(as_pixels):
    frame = np.full((10, 10), 1000, np.uint16)
    frame[3, 4:7] = 65535
    frame[9, 9] = 65534
    assert saturated_pixels(as_pixels(frame), 65535) == Estimate(3.0, None)
    assert saturated_pixels(as_pixels(frame), 65534.0) == Estimate(4.0, None)


def test_sensor_temperature_offset_is_measured_minus_set_point():
    assert sensor_temp_offset_celsius(-24.9, -25.0).value == pytest.approx(0.1)


def test_converter_step_of_twelve_bit_samples_is_sixteen():
    samples = noisy(60.0, 3.0) * np.uint16(16)
    samples[0, 0] = 65535
    assert histogram(samples).converter_step() == 16.0
    assert histogram(samples.astype(np.float32)).converter_step() == 0.0


def test_a_clipped_standard_deviation_makes_up_for_the_cut():
    values = np.random.default_rng(5).normal(0.0, 10.0, 1_000_000)
    values[:1000] = 500.0
    mean, sigma, number = histogram(values.astype(np.float32)).clipped()
    assert mean == pytest.approx(0.0, abs=5 * 10.0 / 1000)
    assert sigma == pytest.approx(10.0, rel=5 / math.sqrt(2e6))
    assert number == pytest.approx(999_000, abs=5)


def test_mad_of_integers_is_not_held_to_steps():
    # Plain MAD of these integers is 1.4826 times a whole number: 5.93 for any noise between 5.3 and 6.7.
    for sigma in (5.5, 5.84, 6.2):
        assert histogram(noisy(1000.2, sigma)).mad_std() == pytest.approx(sigma, rel=0.02)


def test_mean_of_estimates_has_the_larger_of_two_errors():
    agreeing = mean_of([Estimate(10.0, 0.3), Estimate(10.0, 0.4)])
    assert (agreeing.value, agreeing.error) == (10.0, pytest.approx(0.25))
    differing = mean_of([Estimate(9.0, 0.3), Estimate(11.0, 0.4)])
    assert (differing.value, differing.error) == (10.0, pytest.approx(1.0))  # standard deviation sqrt(2) over sqrt(2)


def test_sampled_rows_spread_over_a_large_frame_and_take_all_of_a_small_one():
    assert sampled_rows((1024, 1024)) == (slice(0, 1024),)
    rows = sampled_rows((4096, 4096))
    assert sum(band.stop - band.start for band in rows) * 4096 == 1 << 20
    assert [band.start for band in rows] == [128 + 256 * i for i in range(16)]
    assert all(band.start % 16 == 0 for band in sampled_rows((3000, 2000), pixels=100_000))


def sky_frame(sky, sigma, *, stars=0, seed=7, shape=(400, 400)):
    """Return a reduced frame with Poisson sky and Gaussian stars of FWHM 2.6 px, in electrons."""
    rng = np.random.default_rng(seed)
    light = np.full(shape, float(sky))
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    for _ in range(stars):
        place, flux = rng.random(2) * shape, 300.0 * (1.0 + rng.pareto(0.8))
        y0, x0 = (max(int(p) - 8, 0) for p in place)
        box = np.s_[y0 : y0 + 17, x0 : x0 + 17]
        profile = np.exp(-0.5 * ((y[box] - place[0]) ** 2 + (x[box] - place[1]) ** 2) / 1.1**2)
        light[box] += min(flux, 5e5) * profile / (2 * math.pi * 1.1**2)
    return (rng.poisson(light) + rng.normal(0.0, sigma, shape)).astype(np.float32)


@pytest.mark.parametrize(("sky", "sigma"), [(3.0, 7.0), (10.0, 2.0), (100.0, 7.0), (3000.0, 5.0)])
def test_sky_of_an_empty_field_is_the_mean_not_the_mode(sky, sigma):
    frame = sky_frame(sky, sigma)
    noise = math.sqrt(sky + sigma**2)
    level, scatter = sky_level_adu(frame), sky_noise_adu(frame)
    assert level.value == pytest.approx(sky, abs=5 * noise / 400)
    assert level.error == pytest.approx(noise / 400, rel=0.05)
    # n / 2 differences; the kurtosis 1 / sky of few photons widens the error a little.
    assert scatter.value == pytest.approx(noise, rel=6 / 400)


@pytest.mark.parametrize("stars", [100, 400])
def test_stars_do_not_lift_the_sky(stars):
    frame = sky_frame(100.0, 7.0, stars=stars)
    assert sky_level_adu(frame).value == pytest.approx(100.0, rel=0.004)
    assert sky_noise_adu(frame).value == pytest.approx(math.sqrt(149.0), rel=0.03)
    assert float(np.median(frame)) - 100.0 > 3 * abs(sky_level_adu(frame).value - 100.0)  # the plain median is no sky


def test_sky_of_a_frame_in_electrons_is_given_in_adu():
    frame = sky_frame(100.0, 7.0)
    boxes = SkyBoxes(gain_e_per_adu=2.0)
    for start in range(0, 400, 64):
        boxes.add(frame[start : start + 64])
    assert sky_level_adu(boxes).value == pytest.approx(sky_level_adu(frame).value / 2)
    assert sky_noise_adu(boxes).value == pytest.approx(sky_noise_adu(frame).value / 2)


def test_sky_of_a_large_frame_is_told_by_a_part_of_its_boxes():
    frame = sky_frame(100.0, 7.0)
    few, all_of_them = SkyBoxes(pixels=4 << 20), SkyBoxes()
    for start in range(0, 400, 64):
        for boxes in (few, all_of_them):
            boxes.add(frame[start : start + 64], None, start, np.full_like(frame[start : start + 64], 7.0))
    few, all_of_them = few.figures(), all_of_them.figures()
    # a quarter of the boxes: twice the error of the mean, and within 5 of it
    assert few.level.error == pytest.approx(2 * all_of_them.level.error, rel=0.1)
    assert abs(few.level.value - all_of_them.level.value) < 5 * few.level.error
    assert few.predicted_noise == 7.0


def test_sky_does_not_depend_on_the_order_in_which_blocks_come():
    frame = sky_frame(100.0, 7.0)
    figures = []
    for starts in (range(0, 400, 64), (128, 0, 384, 64, 256, 192, 320)):
        boxes = SkyBoxes()
        for start in starts:
            boxes.add(frame[start : start + 64], first_row=start)
        figures.append(boxes.figures())
    assert figures[0] == figures[1]
    assert (figures[0].level, figures[0].noise) == (sky_level_adu(frame), sky_noise_adu(frame))


def test_masked_pixels_are_not_sky():
    frame = sky_frame(100.0, 7.0)
    mask = np.zeros(frame.shape, np.uint8)
    frame[:, 100:104], mask[:, 100:104] = np.inf, 1
    frame[40:200, 200], mask[40:200, 200] = 130.0, 2
    boxes = SkyBoxes()
    boxes.add(frame, mask)
    assert sky_level_adu(boxes).value == pytest.approx(100.0, abs=5 * math.sqrt(149) / 396)


def test_a_frame_of_bad_pixels_has_no_sky():
    with pytest.raises(ValueError, match="no box"):
        sky_level_adu(np.full((64, 64), np.nan, np.float32))


def test_sky_in_electrons_is_gain_times_adu_with_both_errors():
    level = sky_level_electrons(Estimate(100.0, 0.3), Estimate(2.0, 0.02))
    assert (level.value, level.error) == (200.0, pytest.approx(math.hypot(2.0 * 0.3, 100.0 * 0.02)))
    noise = sky_noise_electrons(Estimate(10.0, 0.1), 1.5)
    assert (noise.value, noise.error) == (15.0, pytest.approx(0.15))
