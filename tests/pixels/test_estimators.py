"""Every estimator against a sensor of known truth, 200 trials each, and what it says where there is nothing to say.

The mean of the trials must lie within 4 of its own standard errors of the truth, or within 1 % of it; the stated error
must be the scatter of the trials within a factor. Seeds are fixed.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from ingestd.pixels import quality
from ingestd.pixels.quality import SkyBoxes, StarField, flat_pairs
from ingestd.records import Kind
from ingestd.simulator import Camera, Sensor, Shot, Sky

TRIALS = 200
AT = datetime(2026, 1, 15, 20, tzinfo=UTC)
SENSORS = [(0.5, 2.0), (1.5, 7.5), (5.0, 20.0)]  # gain (e-/ADU) and read noise (e-): 4, 5 and 4 ADU of noise
PLAIN = Sensor(bias_gradient_adu=0.0, bias_column_adu=0.0, bias_row_adu=0.0, bias_drift_adu=0.0, hot_fraction=0.0)


def trials(measure, number=TRIALS):
    """Return values and stated errors of an estimator over many seeds."""
    found = [measure(seed) for seed in range(1, number + 1)]
    return np.array([it.value for it in found]), np.array([it.error or math.nan for it in found])


def assert_true(values, truth):
    standard_error = values.std(ddof=1) / math.sqrt(values.size)
    assert abs(values.mean() - truth) <= max(4.0 * standard_error, 0.01 * abs(truth)), (values.mean(), truth)


def assert_error_is_scatter(values, errors, factor=1.3):
    """The scatter of n trials is known to 1 / sqrt(2 n), 5 % for 200."""
    ratio = values.std(ddof=1) / float(np.sqrt((errors**2).mean()))
    assert 1 / factor < ratio < factor, ratio


def frame(sensor, kind, seed, *, level_adu=0.0, index=1, exposure_s=0.0, **sky):
    """Return one frame of a camera, its random numbers being those of the seed."""
    camera = Camera(sensor, set_temp_c=sensor.dark_reference_c, sky=Sky(**sky), seed=seed)
    return camera.pixels(Shot(kind, index, exposure_s, AT, "R", level_adu))


# --- bias -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gain", "noise_e"), SENSORS)
@pytest.mark.parametrize("estimator", [quality.row_structure_adu, quality.column_structure_adu])
def test_structure_is_that_of_the_sensor(estimator, gain, noise_e):
    """Each trial is another sensor, with rows of 1.5 and columns of 3 ADU."""
    truth = {"row_structure_adu": 1.5, "column_structure_adu": 3.0}[estimator.__name__]

    def measure(seed):
        sensor = replace(
            PLAIN, shape=(96, 96), gain_e_per_adu=gain, read_noise_e=noise_e, bias_row_adu=1.5, bias_column_adu=3.0,
            seed=seed,
        )  # fmt: skip
        return estimator(frame(sensor, Kind.BIAS, seed))

    values, errors = trials(measure)
    # It is the variance that is unbiased; its root is low by error^2 / (2 value^2), 0.3 % here.
    assert_true(values**2, truth**2)
    assert_error_is_scatter(values, errors)


def test_noise_alone_is_no_structure():
    rng = np.random.default_rng(1)
    found = [quality.row_structure_adu(rng.normal(1000.0, 5.0, (96, 96))) for _ in range(TRIALS)]
    # The halves of a row, medians of 8 means of 6 pixels, have an error of 1.2533 x 5 / sqrt(48); the covariance of
    # independent halves over 96 rows is 0 +- that squared / sqrt(95), whose root is the largest that 4 sigma allow.
    largest = math.sqrt(4.0 * 1.2533**2 * 25.0 / 48.0 / math.sqrt(95.0))
    assert max(it.value for it in found) < largest
    assert sum(it.value == 0.0 for it in found) == pytest.approx(TRIALS / 2, abs=4 * math.sqrt(TRIALS) / 2)
    assert all(it.error > 0 for it in found)


def test_the_scatter_of_row_means_would_hold_the_noise_and_cosmic_rays():
    rng = np.random.default_rng(2)
    image = rng.normal(1000.0, 5.0, (256, 256)) + rng.normal(0.0, 0.2, 256)[:, np.newaxis]
    image[rng.integers(0, 256, 40), rng.integers(0, 256, 40)] += 3000.0
    naive = float(image.mean(axis=1).std(ddof=1))
    # 40 hits of 3000 ADU in rows of 256 pixels: Poisson with mean 40 / 256 in each.
    assert naive == pytest.approx(math.sqrt(40 / 256) * 3000 / 256, rel=0.4)
    assert quality.row_structure_adu(image).value == pytest.approx(0.2, abs=4 * quality.row_structure_adu(image).error)


def test_rows_that_are_dead_do_not_count_and_columns_do_not_leak_into_rows():
    rng = np.random.default_rng(3)
    image = rng.normal(1000.0, 1.0, (128, 128)) + np.linspace(0.0, 500.0, 128)
    image[40:42] = 0.0
    image[:, 7] = np.nan
    assert quality.row_structure_adu(image).value < 0.2
    # A gradient is column structure: 500 / sqrt(12) ADU.
    assert quality.column_structure_adu(image).value == pytest.approx(500.0 / math.sqrt(12.0), rel=0.02)


@pytest.mark.parametrize("number", [5, 10])
def test_plain_figures_of_a_stack_are_low_by_their_formulas(number):
    rng = np.random.default_rng(4)
    values = {"rms": [], "mean": [], "median": []}
    for _ in range(TRIALS // 4):
        stack = quality.stack_scatter(list(rng.normal(1000.0, 5.0, (number, 64, 64))))
        values["rms"].append(quality.read_noise_stack_adu(stack).value)
        values["mean"].append(quality.read_noise_stack_mean_adu(stack).value)
        values["median"].append(quality.read_noise_stack_median_adu(stack).value)
    freedom = number - 1
    assert_true(np.array(values["rms"]), 5.0)
    assert_true(np.array(values["mean"]), 5.0 * quality.c4(number))
    assert_true(np.array(values["median"]), 5.0 * (1.0 - 2.0 / (9.0 * freedom)) ** 1.5)
    assert quality.c4(number) == pytest.approx({5: 0.9400, 10: 0.9727}[number], abs=5e-5)  # tables of control charts


@pytest.mark.parametrize(("gain", "noise_e"), SENSORS)
def test_read_noise_of_the_overscan(gain, noise_e):
    sensor = replace(
        PLAIN, shape=(128, 32), overscan_px=32, gain_e_per_adu=gain, read_noise_e=noise_e, bias_column_adu=4.0,
        bias_row_adu=2.0,
    )  # fmt: skip
    values, errors = trials(
        lambda seed: quality.read_noise_overscan_adu(
            frame(sensor, Kind.FLAT, seed, level_adu=5000.0)[:, 36:].astype(np.float32), 1.0
        )
    )
    assert_true(values, noise_e / gain)
    assert_error_is_scatter(values, errors)


# --- dark -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "fraction"),
    [(quality.dark_rate_p95_adu_per_second, 0.95), (quality.dark_rate_p99_adu_per_second, 0.99)],
)
def test_quantiles_of_the_dark_rate(estimator, fraction):
    def measure(seed):
        rates = np.random.default_rng(seed).exponential(2.0, (64, 64))
        return estimator(500.0 + 60.0 * rates, 500.0, 60.0)

    values, errors = trials(measure)
    # The quantile of an exponential distribution.
    assert_true(values, -2.0 * math.log(1.0 - fraction))
    assert_error_is_scatter(values, errors)


def test_a_quantile_among_pixels_beyond_the_histogram_is_exact():
    dark = np.random.default_rng(9).normal(0.0, 1.0, (200, 200))
    dark[:10] = np.linspace(1000.0, 9000.0, 2000).reshape(10, 200)  # 5 % of the pixels; 99 % lies at 80 % of them
    assert quality.dark_rate_p99_adu_per_second(dark, 0.0, 10.0).value == pytest.approx(740.0, abs=2.0)


def test_warm_pixels_are_between_half_the_limit_and_the_limit():
    rng = np.random.default_rng(5)
    dark = rng.normal(100.0, 2.0, (200, 200))
    dark[0, :7], dark[1, :5] = 100.0 + 15.0, 100.0 + 40.0  # limit of hot: 10 sigma = 20 ADU
    assert quality.warm_pixels(dark, 0.0, 10.0).value == 7
    assert quality.hot_pixels(dark, 0.0, 10.0).value == 5
    # At least 36 ADU above the median: 5 are hot, and none lies between 18 and 36.
    assert quality.hot_pixels(dark, 0.0, 10.0, 36.0).value == 5
    assert quality.warm_pixels(dark, 0.0, 10.0, 36.0).value == 0


# --- flat -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vignetting", [0.05, 0.3])
def test_curvature_is_that_of_the_optics(vignetting):
    def measure(seed):
        sensor = replace(PLAIN, shape=(128, 160), vignetting=vignetting, dust_grains=3, prnu=0.02, seed=seed)
        return quality.flat_curvature_ratio(sensor.flat("R"))

    values, _ = trials(measure, 60)
    # 1 - v (x^2 + y^2) / 2 from 1 in the middle to 1 - v in the corners, mean 1 - v / 3. Dust of up to 12 % in 3 places
    # is left out only where it fills a box.
    assert values.mean() == pytest.approx(vignetting / (1.0 - vignetting / 3.0), abs=0.01)


def test_curvature_of_a_surface_is_exact_and_its_error_that_of_the_noise():
    y, x = (np.mgrid[0:160, 0:160] + 0.5) / 80.0 - 1.0
    surface = 1.0 + 0.1 * x - 0.2 * y * y

    def measure(seed):
        return quality.flat_curvature_ratio(surface + np.random.default_rng(seed).normal(0.0, 0.05, surface.shape))

    values, errors = trials(measure)
    # Highest 1.1 at (1, 0), lowest 1 - 0.1 - 0.2 at (-1, +-1), mean 1 - 0.2 / 3. The largest of noisy differences is
    # high by some of its error, which is below 1 %.
    assert_true(values, 0.4 / (1.0 - 0.2 / 3.0))
    assert_error_is_scatter(values, errors, 1.5)


@pytest.mark.parametrize("number", [3, 10])
def test_signal_to_noise_of_a_master_flat(number):
    def measure(seed):
        flats = np.random.default_rng(seed).normal(1.0, 0.01, (number, 64, 64))
        return quality.flat_signal_to_noise_ratio(flats.mean(0), flats.std(0, ddof=1) / math.sqrt(number), number)

    values, errors = trials(measure)
    assert_true(values, 100.0 * math.sqrt(number))
    assert_error_is_scatter(values, errors)


@pytest.mark.parametrize("number", [2, 3, 7])
def test_scatter_of_a_lamp_is_unbiased_for_few_flats(number):
    def measure(seed):
        rng = np.random.default_rng(seed)
        exposures = rng.uniform(1.0, 10.0, number)
        return quality.lamp_scatter_ratio(list(2000.0 * exposures * rng.normal(1.0, 0.02, number)), list(exposures))

    values, errors = trials(measure)
    assert_true(values, 0.02)
    assert_error_is_scatter(values, errors, 1.5)


@pytest.mark.parametrize(("gain", "noise_e"), SENSORS)
@pytest.mark.parametrize("scale", [1.0, 0.85])
def test_points_of_the_photon_transfer_curve_lie_on_it(gain, noise_e, scale):
    sensor = replace(PLAIN, shape=(96, 96), gain_e_per_adu=gain, read_noise_e=noise_e, prnu=0.02, full_well_e=1e9)
    bias = sensor.bias()

    def measure(seed):
        flats = [
            frame(sensor, Kind.FLAT, seed, level_adu=level, index=index).astype(np.float32)
            for index, level in enumerate((8000.0, 8000.0 * scale))
        ]
        (pair,) = flat_pairs(flats, bias, noise_e / gain, step_adu=1.0)
        level, variance = quality.flat_pair_level_adu(pair), quality.flat_pair_variance_adu2(pair)
        # M / G + R^2 at the level found; the variance has no converter step in it.
        return replace(variance, value=variance.value / (level.value / gain + (noise_e / gain) ** 2),
                       error=variance.error / variance.value)  # fmt: skip

    values, errors = trials(measure, TRIALS // 2)
    assert_true(values, 1.0)
    assert_error_is_scatter(values, errors)


# --- science ----------------------------------------------------------------------------------------------------------


def test_noise_of_the_sky_over_that_of_the_model():
    def measure(seed):
        rng = np.random.default_rng(seed)
        image = rng.poisson(200.0, (128, 128)) + rng.normal(0.0, 8.0, (128, 128))
        boxes = SkyBoxes(1.5)
        boxes.add(image, None, None, np.sqrt(np.maximum(image, 0.0) + 64.0))
        return quality.sky_noise_to_model_ratio(boxes)

    values, errors = trials(measure)
    assert_true(values, 1.0)
    assert_error_is_scatter(values, errors, 1.4)


def test_a_wrong_gain_shows_in_the_ratio():
    image = np.random.default_rng(6).poisson(400.0, (256, 256)) * 2.0
    boxes = SkyBoxes()
    boxes.add(
        image, None, None, np.sqrt(image)
    )  # taken for electrons, which they are not: sigma is 2 x 20, not sqrt(800)
    assert quality.sky_noise_to_model_ratio(boxes).value == pytest.approx(math.sqrt(2.0), rel=0.02)


@pytest.mark.parametrize(
    ("estimator", "axis"), [(quality.sky_row_structure_adu, 0), (quality.sky_column_structure_adu, 1)]
)
def test_flatness_of_the_sky(estimator, axis):
    def measure(seed):
        rng = np.random.default_rng(seed)
        profile = np.expand_dims(rng.normal(0.0, 2.0, 64).repeat(4), 1 - axis)
        image = rng.normal(100.0, 8.0, (256, 256)) + profile
        image[rng.integers(0, 250, 30)[:, np.newaxis], rng.integers(0, 250, 30)[:, np.newaxis] + np.arange(5)] += 500.0
        return estimator(image)

    values, errors = trials(measure)
    # Lines of boxes are 4 pixels wide.
    assert_true(values**2, 4.0)
    assert_error_is_scatter(values, errors)


def starry(seed, fwhm_px, *, ratio=1.0, shape=(192, 192), number=40):
    """Return Gaussian stars on a sky; they are drawn round, as those of the camera, and stretched along x."""
    sensor = replace(PLAIN, shape=(shape[0], round(shape[1])), dust_grains=0, vignetting=0.0, prnu=0.0)
    camera = Camera(sensor, sky=Sky(stars=number * 1e5 / shape[0] / shape[1], fwhm_px=fwhm_px), seed=seed)
    light = camera.stars_e_per_s(Shot(Kind.LIGHT, 1, 1.0, AT, "R", object_name="field")) * 600.0
    if ratio != 1.0:  # a trail: the image moved evenly along the rows
        steps = np.arange(-20, 21)
        light = sum(np.roll(light, step, axis=1) * math.exp(-0.5 * (step / ratio) ** 2) for step in steps)
        light /= math.sqrt(2.0 * math.pi) * ratio
    rng = np.random.default_rng(seed)
    return (rng.poisson(light + 100.0) + rng.normal(0.0, 7.0, shape)).astype(np.float32)


def field_of(image, mask=None, **options):
    field = StarField(image.shape, **options)
    for row in range(0, len(image), 50):
        rows = image[row : row + 50]
        field.add(row, rows, np.zeros(rows.shape, np.uint8) if mask is None else mask[row : row + 50])
    return field


@pytest.mark.parametrize("fwhm_px", [2.0, 2.6, 4.0])
def test_width_of_the_stars_is_that_of_the_seeing(fwhm_px):
    values, errors = trials(lambda seed: quality.fwhm_px(field_of(starry(seed, fwhm_px))), TRIALS // 2)
    assert_true(values, fwhm_px)
    assert_error_is_scatter(values, errors, 1.6)


def test_round_stars_have_no_more_ellipticity_than_its_error():
    values, errors = trials(lambda seed: quality.ellipticity_ratio(field_of(starry(seed, 3.0))), TRIALS // 4)
    assert values.mean() < 1.5 * errors.mean()


def test_a_trail_makes_the_ellipticity_that_it_should():
    values, _ = trials(lambda seed: quality.ellipticity_ratio(field_of(starry(seed, 3.0, ratio=1.2))), TRIALS // 4)
    sigma = 3.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    # A Gaussian trail adds 1.2^2 to the variance along x.
    assert_true(values, 1.0 - sigma / math.hypot(sigma, 1.2))


def test_sources_are_counted_and_masked_ones_are_not():
    image = np.random.default_rng(7).normal(100.0, 5.0, (256, 256)).astype(np.float32)
    y, x = np.mgrid[0:256, 0:256]
    for row, column in [(40, 40), (40, 200), (128, 128), (200, 60), (220, 220)]:
        image += 900.0 * np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / 1.5**2)
    assert quality.detected_sources(field_of(image)).value == 5
    mask = np.zeros(image.shape, np.uint8)
    mask[120:136, 120:136] = 8
    assert quality.detected_sources(field_of(image, mask)).value == 4


def test_only_the_middle_of_a_large_frame_is_looked_at():
    image = np.random.default_rng(8).normal(100.0, 5.0, (1100, 1200)).astype(np.float32)
    y, x = np.mgrid[0:1100, 0:1200]
    for row, column in [(20, 600), (600, 50), (550, 600)]:
        image += (900.0 * np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / 1.5**2)).astype(np.float32)
    assert quality.detected_sources(field_of(image)).value == 1


def test_stars_on_a_mosaic_are_as_wide_as_on_any_other_sensor():
    image = starry(3, 5.0, shape=(256, 256))
    image[0::2, 0::2] *= 0.4
    image[1::2, 1::2] *= 0.6
    assert quality.fwhm_px(field_of(image, is_mosaic=True)).value == pytest.approx(5.0, rel=0.03)


# --- nothing to say ---------------------------------------------------------------------------------------------------

NOTHING = np.full((64, 64), np.nan, np.float32)
CONSTANT = np.full((64, 64), 1000.0, np.float32)


def sky_of(image, uncertainty=None):
    boxes = SkyBoxes()
    boxes.add(image, None, None, uncertainty)
    return boxes


@pytest.mark.parametrize(
    "measure",
    [
        lambda: quality.row_structure_adu(NOTHING),
        lambda: quality.column_structure_adu(NOTHING),
        lambda: quality.row_structure_adu(CONSTANT[:4]),
        lambda: quality.row_structure_adu(CONSTANT[:, :1]),
        lambda: quality.column_structure_adu(CONSTANT[:0]),
        lambda: quality.stack_scatter([CONSTANT]),
        lambda: quality.read_noise_overscan_adu(CONSTANT[:, :1], 1.0),
        lambda: quality.read_noise_overscan_adu(CONSTANT[:1], 1.0),
        lambda: quality.read_noise_overscan_adu(NOTHING, 1.0),
        lambda: quality.dark_rate_p95_adu_per_second(NOTHING, 0.0, 60.0),
        lambda: quality.dark_rate_p99_adu_per_second(CONSTANT, 0.0, 0.0),
        lambda: quality.flat_curvature_ratio(NOTHING),
        lambda: quality.flat_curvature_ratio(0.0 * CONSTANT),
        lambda: quality.flat_curvature_ratio(CONSTANT[:8, :8]),
        lambda: quality.flat_signal_to_noise_ratio(CONSTANT, CONSTANT, 1),
        lambda: quality.flat_signal_to_noise_ratio(CONSTANT, NOTHING, 5),
        lambda: quality.flat_signal_to_noise_ratio(CONSTANT, 0.0 * CONSTANT, 5),
        lambda: quality.lamp_scatter_ratio([1000.0], [1.0]),
        lambda: quality.lamp_scatter_ratio([1000.0, -1.0], [1.0, 1.0]),
        lambda: quality.sky_noise_to_model_ratio(sky_of(CONSTANT)),
        lambda: quality.sky_noise_to_model_ratio(sky_of(NOTHING, CONSTANT)),
        lambda: quality.sky_noise_to_model_ratio(sky_of(CONSTANT, 0.0 * CONSTANT)),
        lambda: quality.sky_row_structure_adu(CONSTANT[:16]),
        lambda: quality.sky_column_structure_adu(CONSTANT[:, :4]),
        lambda: quality.detected_sources(field_of(NOTHING)),
        lambda: quality.detected_sources(field_of(CONSTANT)),
        lambda: quality.fwhm_px(field_of(CONSTANT + np.random.default_rng(1).normal(0, 1, (64, 64)))),
        lambda: quality.ellipticity_ratio(field_of(CONSTANT[:2, :2])),
    ],
)
def test_where_nothing_can_be_measured_it_is_said(measure):
    with pytest.raises(ValueError, match=r"\w"):
        measure()


def test_constant_images_have_no_structure_and_no_noise():
    assert quality.row_structure_adu(CONSTANT).value == 0.0
    assert quality.column_structure_adu(CONSTANT).value == 0.0
    assert quality.read_noise_overscan_adu(CONSTANT, 1.0).value == 0.0
    assert quality.flat_curvature_ratio(CONSTANT).value == pytest.approx(0.0, abs=1e-9)
    assert quality.sky_row_structure_adu(CONSTANT).value == 0.0
