"""Every estimator on odd images: a finite figure, near that without the odd pixel, or its documented ValueError."""

import math

import numpy as np
import pytest

from ingestd.pixels import quality
from ingestd.pixels.inspecting import Stack, describe, gain_ways, noise_ways
from ingestd.pixels.quality import Estimate, SkyBoxes, StarField

SHAPE = (96, 128)
NOISE_ADU = 5.0
FLAT_ADU = 20_000.0


def images(level_adu=1000.0, noise_adu=NOISE_ADU, shape=SHAPE, number=4):
    """Return frames of one level with Gaussian noise, as a float camera writes them."""
    rng = np.random.default_rng(7)
    return [rng.normal(level_adu, noise_adu, shape).astype(np.float32) for _ in range(number)]


def flats(shape=SHAPE, number=4):
    """Return frames with the noise of 1 e-/ADU."""
    return images(FLAT_ADU, math.sqrt(FLAT_ADU), shape, number)


def compared(frames, **more):
    error = np.full(frames[0].shape, NOISE_ADU / 2, np.float32)
    return quality.compare(frames[0].copy(), frames[1], error, members=4, sigma=5.0, step_adu=0.0, **more)


def compared_flat(frames):
    with np.errstate(all="ignore"):
        master = frames[1] / np.float32(FLAT_ADU)
    error = np.full(master.shape, 0.004, np.float32)
    error[~np.isfinite(frames[0])] = np.nan
    return quality.compare_flat(
        frames[0].copy(), master, error, None, members=4, level_ratio=1.0, is_mosaic=True, sigma=5.0
    )


def sky_of(frames):
    boxes = SkyBoxes()
    boxes.add(frames[0], uncertainty=np.where(np.isfinite(frames[0]), NOISE_ADU, np.nan))
    return boxes


def field_of(frames, *, is_mosaic=False):
    field = StarField(frames[0].shape, is_mosaic=is_mosaic)
    image = frames[0].copy()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    for row in range(16, image.shape[0], 32):
        for column in range(16, image.shape[1], 24):
            image += np.float32(3000) * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8.0).astype(np.float32)
    field.add(0, image, np.zeros(image.shape, np.uint8))
    return field


def in_blocks(frames):
    return (frames[0][row : row + 16] for row in range(0, len(frames[0]), 16))


def figure_of(found, name):
    return Estimate(float(getattr(found, name)), None)


OF_FRAMES = {
    "bias_level_adu": lambda f: quality.bias_level_adu(f[0]),
    "bias_level_adu of blocks": lambda f: quality.bias_level_adu(in_blocks(f)),
    "dark_level_adu": lambda f: quality.dark_level_adu(f[0]),
    "overscan_level_adu": lambda f: quality.overscan_level_adu(f[0]),
    "flat_level_adu": lambda f: quality.flat_level_adu(f[0]),
    "row_structure_adu": lambda f: quality.row_structure_adu(f[0]),
    "column_structure_adu": lambda f: quality.column_structure_adu(f[0]),
    "frame_noise_adu": lambda f: quality.frame_noise_adu(in_blocks(f)),
    "saturated_pixels": lambda f: quality.saturated_pixels(f[0], 60000.0),
    "saturated_pixels of blocks": lambda f: quality.saturated_pixels(quality.tally.tally_of(in_blocks(f)), 60000.0),
    "floor_pixels": lambda f: quality.floor_pixels(in_blocks(f)),
    "ceiling_pixels": lambda f: quality.ceiling_pixels(in_blocks(f)),
    "read_noise_adu": quality.read_noise_adu,
    "dark_noise_adu": lambda f: quality.dark_noise_adu(f[:2]),
    "read_noise_stack_adu": quality.read_noise_stack_adu,
    "read_noise_stack_mean_adu": quality.read_noise_stack_mean_adu,
    "read_noise_stack_median_adu": quality.read_noise_stack_median_adu,
    "read_noise_electrons": lambda f: quality.read_noise_electrons(quality.read_noise_adu(f), 1.5),
    "read_noise_overscan_adu": lambda f: quality.read_noise_overscan_adu(f[0], 0.0),
    "coarse_deviation": lambda f: Estimate(quality.coarse_deviation(f[0], f[1], 4), None),
    "offset_from_master_adu": lambda f: quality.offset_from_master_adu(compared(f)),
    "structure_from_master_adu": lambda f: quality.structure_from_master_adu(compared(f)),
    "noise_from_master_adu": lambda f: quality.noise_from_master_adu(compared(f)),
    "outlier_pixels": lambda f: quality.outlier_pixels(compared(f)),
    "level_from_previous_adu": lambda f: quality.level_from_previous_adu(quality.agree(f[0], f[1])),
    "patches_from_previous_adu": lambda f: quality.patches_from_previous_adu(quality.agree(f[0], f[1])),
    "dark_rate_adu_per_second": lambda f: quality.dark_rate_adu_per_second(f[0], f[1], 60.0),
    "dark_rate_electrons_per_second": lambda f: quality.dark_rate_electrons_per_second(
        quality.dark_rate_adu_per_second(f[0], 0.0, 60.0), 1.5
    ),
    "dark_rate_mean_adu_per_second": lambda f: quality.dark_rate_mean_adu_per_second(f[0], 0.0, 60.0),
    "dark_rate_p95_adu_per_second": lambda f: quality.dark_rate_p95_adu_per_second(f[0], 0.0, 60.0),
    "dark_rate_p99_adu_per_second": lambda f: quality.dark_rate_p99_adu_per_second(f[0], 0.0, 60.0),
    "hot_pixels": lambda f: quality.hot_pixels(f[0], 0.0, 5.0),
    "warm_pixels": lambda f: quality.warm_pixels(f[0], f[1], 5.0),
    "noisy_pixels": lambda f: quality.noisy_pixels(quality.noisy_pixel_map(f[0], 4, 5.0, 0.0)),
    "sky_level_adu": lambda f: quality.sky_level_adu(f[0]),
    "sky_level_electrons": lambda f: quality.sky_level_electrons(quality.sky_level_adu(f[0]), 1.5),
    "sky_noise_adu": lambda f: quality.sky_noise_adu(f[0]),
    "sky_noise_electrons": lambda f: quality.sky_noise_electrons(quality.sky_noise_adu(f[0]), 1.5),
    "sky_noise_to_model_ratio": lambda f: quality.sky_noise_to_model_ratio(sky_of(f)),
    "sky_row_structure_adu": lambda f: quality.sky_row_structure_adu(f[0]),
    "sky_column_structure_adu": lambda f: quality.sky_column_structure_adu(f[0]),
    "detected_sources": lambda f: quality.detected_sources(field_of(f)),
    "detected_sources of a mosaic": lambda f: quality.detected_sources(field_of(f, is_mosaic=True)),
    "fwhm_px": lambda f: quality.fwhm_px(field_of(f)),
    "ellipticity_ratio": lambda f: quality.ellipticity_ratio(field_of(f)),
    "cosmic_ray_pixels": lambda f: quality.cosmic_ray_pixels(f[0] > f[1] + np.float32(50)),
    "inspect: mean": lambda f: figure_of(describe(f[0]), "mean"),
    "inspect: clipped deviation": lambda f: figure_of(describe(f[0]), "clipped_deviation"),
    "inspect: lowest": lambda f: Estimate(describe(f[0]).lowest.value, None),
    "inspect: highest": lambda f: Estimate(describe(f[0]).highest.value, None),
    "inspect: plain mean": lambda f: figure_of(noise_ways(f), "plain_mean"),
    "inspect: plain median": lambda f: figure_of(noise_ways(f), "plain_median"),
    "inspect: image deviation": lambda f: figure_of(noise_ways(f), "image_deviation"),
    "inspect: stack": lambda f: noise_ways(f).stack,
    "inspect: mean image": lambda f: figure_of(describe(stacked(f).mean()), "mean"),
    "inspect: deviations": lambda f: figure_of(describe(stacked(f).deviation()), "mean"),
}


def stacked(frames):
    stack = Stack()
    for frame in frames:
        stack.add(frame)
    return stack


def biases_like(frames):
    return images(0.0, NOISE_ADU, frames[0].shape, 2)


OF_FLATS = {
    "outlier_pixels of a flat": lambda f: quality.outlier_pixels(compared_flat(f)),
    "patches_from_previous_ratio": lambda f: quality.patches_from_previous_ratio(quality.agree_flats(f[0], f[1])),
    "dead_pixels": lambda f: quality.dead_pixels(f[0] < np.float32(0.1 * FLAT_ADU)),
    "low_pixels": lambda f: quality.low_pixels(quality.low_pixel_map(f[0], 0.98)),
    "gain_electrons_per_adu": lambda f: quality.gain_electrons_per_adu(f, 0.0, NOISE_ADU),
    "flat_pair_level_adu": lambda f: quality.flat_pair_level_adu(quality.flat_pairs(f, 0.0, NOISE_ADU)[0]),
    "flat_pair_variance_adu2": lambda f: quality.flat_pair_variance_adu2(quality.flat_pairs(f, 0.0, NOISE_ADU)[0]),
    "flat_curvature_ratio": lambda f: quality.flat_curvature_ratio(f[0]),
    "flat_signal_to_noise_ratio": lambda f: quality.flat_signal_to_noise_ratio(
        f[0], np.abs(f[1] - np.float32(FLAT_ADU)), 4
    ),
    "lamp_scatter_ratio": lambda f: quality.lamp_scatter_ratio(
        [quality.flat_level_adu(each).value for each in f], [1.0, 1.0, 1.0, 1.0]
    ),
    "inspect: gain by hand": lambda f: figure_of(gain_ways(tuple(f[:2]), tuple(biases_like(f))), "janesick"),
    "inspect: quick gain": lambda f: figure_of(gain_ways(tuple(f[:2]), tuple(biases_like(f))), "quick"),
}
WITHOUT_PIXELS = {"sensor_temp_offset_celsius"}
CASES = [(name, images, measure) for name, measure in OF_FRAMES.items()]
CASES += [(name, flats, measure) for name, measure in OF_FLATS.items()]
EACH = pytest.mark.parametrize(("make", "measure"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])


def spoilt(frames, value, place=(37, 50)):
    frames[0][place] = value
    return frames


def figure_or_reason(measure, frames):
    """Return a figure, None where it says with a ValueError that there is none."""
    try:
        found = measure(frames)
    except ValueError:
        return None
    assert math.isfinite(found.value)
    assert found.error is None or math.isfinite(found.error)
    return found


def test_every_estimator_is_looked_at():
    named = {name.split(" of ")[0] for name in (*OF_FRAMES, *OF_FLATS)}
    assert set(quality.ESTIMATORS) <= named | WITHOUT_PIXELS


@EACH
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_without_a_value_hardly_counts(make, measure, value):
    clean, found = measure(make()), measure(spoilt(make(), value))
    # One pixel of 12,288; of the structure one box or line in some dozens; of the stars one that lies next to it. The
    # figures move by less than two of their own errors or 3 %, counts by 4 (a box, or the neighbours of the pixel).
    allowed = max(2.0 * (clean.error or 0.0), 0.03 * abs(clean.value), 4.0 if clean.error is None else 0.0)
    assert math.isfinite(found.value)
    assert found.value == pytest.approx(clean.value, abs=allowed)
    if clean.error:
        assert 0.5 < found.error / clean.error < 2.0


@EACH
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_without_a_value_gives_a_figure_or_a_reason(make, measure, value):
    figure_or_reason(measure, [np.full(SHAPE, value, np.float32), *make()[1:]])
    figure_or_reason(measure, [np.full(SHAPE, value, np.float32) for _ in range(4)])


@EACH
@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1), (2, 2), (3, 5)])
def test_a_small_image_gives_a_figure_or_a_reason(make, measure, shape):
    figure_or_reason(measure, make(shape=shape))
    figure_or_reason(measure, spoilt(make(shape=shape), np.nan, (0, 0)))


@EACH
@pytest.mark.parametrize("value", [0.0, 1000.0, -1000.0, 1e19, 1e30, 1e38, -1e38, 1e-38])
def test_a_constant_image_gives_a_figure_or_a_reason(make, measure, value):
    figure_or_reason(measure, [np.full(SHAPE, value, np.float32) for _ in range(4)])
    figure_or_reason(measure, [np.full(SHAPE, value, np.float32), *make()[1:]])


@EACH
@pytest.mark.parametrize("scale", [1e16, 1e19, 1e30, 3e34, 1e-30])
def test_huge_and_tiny_values_give_a_figure_or_a_reason(make, measure, scale):
    with np.errstate(over="ignore"):
        figure_or_reason(measure, [frame * np.float32(scale) for frame in make()])
    figure_or_reason(measure, spoilt(make(), np.float32(1000 * scale)))


@EACH
def test_values_of_both_signs_that_fill_the_range_give_a_figure_or_a_reason(make, measure):
    signs = np.where(np.indices(SHAPE).sum(axis=0) % 2, np.float32(3e38), np.float32(-3e38))
    figure_or_reason(measure, [signs, -signs, *make()[2:]])


def test_a_few_finite_pixels_are_found():
    """Two values among 200,000 without one: the bins are laid around them wherever they lie."""
    image = np.full((400, 500), np.nan, np.float32)
    image[111, 112], image[333, 77] = 1200.0, 1210.0
    assert quality.bias_level_adu(image).value == pytest.approx(1205.0, abs=0.1)


def test_a_figure_is_a_number():
    with pytest.raises(ValueError, match="nan"):
        Estimate(math.nan, None)
    with pytest.raises(ValueError, match="inf"):
        Estimate(1.0, math.inf)


def test_a_variance_that_is_not_known_is_left_out():
    variances = np.array([4.0, math.nan, 4.0, math.inf])
    assert quality.noise.mean_variance(variances, 3) == (4.0, 2)
    with pytest.raises(ValueError, match="no finite"):
        quality.noise.mean_variance(np.array([math.nan]), 3)
