"""What estimators of METRICS should find on a `Subject`: truths by formula, known biases with theirs.

Truths of medians are those of the whole population of samples (pixels differ, noise is Gaussian, charge is Poisson),
found by bisection of its distribution function, so that skewed distributions are judged by what the figure means.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, special, stats

from ingestd.pixels import quality
from ingestd.pixels.quality import Estimate
from tests.pixels.truth import EXPOSURE_S, FLAT_ADU, OVERSCAN_PX, SKY_E_PER_S, Case, Night, Subject

STEP_VARIANCE = 1.0 / 12.0
HOT_SIGMA = 10.0
OUTLIER_SIGMA = 6.0
_MAD_TO_SIGMA = 1.482602218505602
_BOXES = 8


# --- populations ------------------------------------------------------------------------------------------------------


def quantile(cdf: Callable[[float], float], fraction: float, low: float, high: float) -> float:
    """Return where a distribution function reaches a fraction."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if cdf(middle) < fraction else (low, middle)
    return 0.5 * (low + high)


def gaussian_median(levels: NDArray[np.float64], sigmas: NDArray[np.float64] | float) -> float:
    """Return the median of samples of pixels that have levels and Gaussian noise."""
    return quantile(lambda x: float(special.ndtr((x - levels) / sigmas).mean()), 0.5, levels.min(), levels.max())


def rounding_bias(levels: NDArray[np.float64], sigma: float) -> float:
    """Return by how much rounding to whole ADU shifts the median of the mid-distribution function.

    At an integer k it is (F(k - 1/2) + F(k + 1/2)) / 2 = F(k) + F''/8, and linear interpolation adds F'' t (1 - t) / 2
    at the fraction t: the median moves by -(f'/f) (1 + 4 t (1 - t)) / 8, which is 0 where the density is level.
    """
    median = gaussian_median(levels, sigma)
    distance = (median - levels) / sigma
    density = np.exp(-0.5 * distance * distance)
    slope = float((-distance * density / sigma).sum() / density.sum())
    fraction = median % 1.0
    return -slope * (1.0 + 4.0 * fraction * (1.0 - fraction)) / 8.0


def poisson_median(levels: NDArray[np.float64], sigma: float, charge_e: NDArray[np.float64], gain: float) -> float:
    """Return the median of samples with Gaussian noise and a Poisson charge over the gain."""
    ordinary = charge_e < 4.0 * np.median(charge_e) + 100.0
    counts = np.arange(0, int(charge_e[ordinary].max() + 10 * math.sqrt(charge_e[ordinary].max()) + 20))
    weights = stats.poisson.pmf(counts, charge_e[ordinary][:, None])

    def cdf(x: float) -> float:
        of_ordinary = (weights * special.ndtr((x - levels[ordinary][:, None] - counts / gain) / sigma)).sum()
        return float(of_ordinary) / levels.size  # hot pixels lie above

    centre = float(np.median(levels + charge_e / gain))
    return quantile(cdf, 0.5, centre - 5.0, centre + 5.0)


def bias_noise_adu(subject: Subject) -> float:
    """Return the noise of a sample of a bias with the step of the converter."""
    return math.sqrt(subject.noise_adu**2 + STEP_VARIANCE)


def dark_charge_e(subject: Subject) -> NDArray[np.float64]:
    """Return the expected charge of a dark."""
    return subject.dark_adu_per_s * subject.sensor.gain_e_per_adu * EXPOSURE_S


def ordinary(subject: Subject) -> NDArray[np.bool_]:
    """Return which pixels are not hot."""
    return ~subject.sensor.hot()


def _of_neighbours(fixed: NDArray[np.float64]) -> float:
    """Return half the variance of the differences of vertical neighbours 0 and 1, 2 and 3, ...."""
    return 0.5 * float((fixed[1::2] - fixed[0::2]).var())


# --- truths -----------------------------------------------------------------------------------------------------------


@cache
def bias_level(subject: Subject) -> float:
    return gaussian_median(subject.bias_adu, subject.noise_adu)


@cache
def dark_level(subject: Subject) -> float:
    charge = dark_charge_e(subject)
    return poisson_median(subject.bias_adu, bias_noise_adu(subject), charge, subject.sensor.gain_e_per_adu)


@cache
def flat_level(subject: Subject) -> float:
    ny, nx = subject.sensor.shape
    centre = np.s_[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]
    light = FLAT_ADU * subject.sensor.flat("V").astype(np.float64)[centre]
    noise = np.sqrt(bias_noise_adu(subject) ** 2 + light / subject.sensor.gain_e_per_adu)
    return gaussian_median(subject.bias_adu[centre] + light, noise)


def overscan(subject: Subject) -> NDArray[np.float64]:
    """Return the true bias of the overscan."""
    return subject.sensor.bias()[:, subject.sensor.shape[1] :].astype(np.float64)


@cache
def overscan_level(subject: Subject) -> float:
    return gaussian_median(overscan(subject), subject.noise_adu)


def frame_noise(subject: Subject) -> float:
    return math.sqrt(bias_noise_adu(subject) ** 2 + _of_neighbours(subject.bias_adu))


def dark_noise(subject: Subject) -> float:
    charge = float(dark_charge_e(subject)[ordinary(subject)].mean())
    return math.sqrt(subject.noise_adu**2 + charge / subject.sensor.gain_e_per_adu**2)


@cache
def _net_dark(subject: Subject) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the expected difference of the masters, ADU, and its standard deviation."""
    charge, gain = dark_charge_e(subject), subject.sensor.gain_e_per_adu
    variance = (2.0 * bias_noise_adu(subject) ** 2 + charge / gain**2) / subject.frames
    return charge / gain, np.sqrt(variance)


@cache
def dark_rate(subject: Subject) -> float:
    return gaussian_median(*_net_dark(subject)) / EXPOSURE_S


def dark_rate_mean(subject: Subject) -> float:
    return float(subject.dark_adu_per_s.mean())


@cache
def hot_pixels(subject: Subject) -> float:
    signal, sigma = _net_dark(subject)
    median = gaussian_median(signal, sigma)

    def within(x: float) -> float:
        return float((special.ndtr((median + x - signal) / sigma) - special.ndtr((median - x - signal) / sigma)).mean())

    limit = median + HOT_SIGMA * _MAD_TO_SIGMA * quantile(within, 0.5, 0.0, 50.0)
    return float(special.ndtr((signal - limit) / sigma).sum())


def gain(subject: Subject) -> float:
    return subject.sensor.gain_e_per_adu


@cache
def sky_noise_e(subject: Subject) -> float:
    """Return the noise of an ordinary pixel of the reduced sky: the root of the mean variance."""
    sensor = subject.sensor
    response = sensor.flat("V").astype(np.float64)
    charge = dark_charge_e(subject) + response * SKY_E_PER_S * EXPOSURE_S
    read = (bias_noise_adu(subject) * sensor.gain_e_per_adu) ** 2
    return math.sqrt(float(((charge + read) / response**2)[ordinary(subject)].mean()))


def expected_range(levels: NDArray[np.float64], sigma: float) -> float:
    """Return the expected range of independent Gaussian values about levels (Tippett 1925, levels may differ)."""
    x = np.linspace(levels.min() - 8 * sigma, levels.max() + 8 * sigma, 4001)
    below = special.ndtr((x[:, None] - levels) / sigma)
    return float(integrate.trapezoid(1.0 - below.prod(axis=1) - (1.0 - below).prod(axis=1), x))


def range_of_boxes(subject: Subject) -> float:
    """Return what noise alone makes of the range of the medians of boxes, less a fifth of that of the master."""
    own = _box_medians(subject.bias_adu, bias_noise_adu(subject) / math.sqrt(subject.frames))
    spread = bias_noise_adu(subject) * math.sqrt(math.pi / 2.0 / (subject.bias_adu.size / own.size))
    of_difference = expected_range(np.zeros(own.size), spread * math.sqrt(1.0 + 1.0 / subject.frames))
    return max(of_difference - 0.2 * expected_range(own, spread / math.sqrt(subject.frames)), 0.0)


def clipped(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard error of each column by the rule as it is stated; NaN errors of single samples.

    Kept is what lies within 5 x 1.4826 MAD of the median.
    """
    distance = np.abs(samples - np.median(samples, axis=0))
    kept = distance <= 5.0 * _MAD_TO_SIGMA * np.median(distance, axis=0)
    count = kept.sum(axis=0)
    mean = (samples * kept).sum(axis=0) / count
    squares = ((samples - mean) ** 2 * kept).sum(axis=0)
    return mean, np.sqrt(squares / np.where(count > 1, count - 1, np.nan) / count)


@cache
def variance_of_clipped(number: int) -> float:
    """Return the variance of the clipped mean of standard Gaussian samples, times their number."""
    mean, _ = clipped(np.random.default_rng(number).standard_normal((number, 200_000)))
    return number * float(mean.var())


def noise_of_clipping(subject: Subject) -> float:
    """Return by how much a frame less a clipped master is noisier than less a plain mean."""
    if bias_noise_adu(subject) < 2.0:
        return 0.0
    noise, frames = bias_noise_adu(subject), subject.frames
    variances = [noise**2 * (1 + it / frames) - STEP_VARIANCE for it in (variance_of_clipped(frames), 1.0)]
    return math.sqrt(variances[0]) - math.sqrt(variances[1])


def _box_medians(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the medians of 8 x 8 boxes whose samples have Gaussian noise."""
    boxes = [box for rows in np.split(image, _BOXES) for box in np.split(rows, _BOXES, axis=1)]
    return np.array([gaussian_median(box, sigma) for box in boxes])


# --- measures ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _comparison(night: Night) -> quality.Comparison:
    """Compare a bias of the night that is no member with the master."""
    frame = night.raw[:, : night.subject.sensor.shape[1]].astype(np.float32)
    master = night.master_bias
    members = night.subject.frames
    return quality.compare(frame, master.mean, master.error, members=members, sigma=OUTLIER_SIGMA, step_adu=1.0)


@lru_cache(maxsize=2)
def _read_noise(night: Night) -> Estimate:
    return quality.read_noise_adu(night.biases)


@lru_cache(maxsize=2)
def _gain(night: Night) -> Estimate:
    return quality.gain_electrons_per_adu(night.flats, night.master_bias.mean, _read_noise(night))


@lru_cache(maxsize=2)
def _rate(night: Night) -> Estimate:
    return quality.dark_rate_adu_per_second(night.master_dark.mean, night.master_bias.mean, EXPOSURE_S)


@lru_cache(maxsize=2)
def _boxes(night: Night) -> quality.SkyBoxes:
    boxes = quality.SkyBoxes(night.subject.sensor.gain_e_per_adu)
    boxes.add(night.sky_e)
    return boxes


def _broken(night: Night) -> NDArray[np.uint16]:
    """Return a bias with 7 saturated pixels and 12 that were not read out."""
    frame = night.biases[0].copy()
    frame[3, 5:12] = 65535
    frame[9, 20:32] = 0
    return frame


CASES = (
    Case(
        "bias_level_adu",
        lambda night: quality.bias_level_adu(night.biases[0]).value,
        bias_level,
        bias_noise_adu,
        lambda subject: rounding_bias(subject.bias_adu, subject.noise_adu),
        "-(f'/f) (1 + 4 t (1 - t)) / 8 ADU of rounding, density f of the samples at the median, fraction t of it",
    ),
    Case(
        "dark_level_adu",
        lambda night: quality.dark_level_adu(night.darks[0]).value,
        dark_level,
        dark_noise,
    ),
    Case(
        "flat_level_adu",
        lambda night: quality.flat_level_adu(night.flats[0]).value,
        flat_level,
        lambda subject: math.sqrt(FLAT_ADU / subject.sensor.gain_e_per_adu),
    ),
    Case("frame_noise_adu", lambda night: quality.frame_noise_adu(night.biases[0]).value, frame_noise),
    Case("saturated_pixels", lambda night: quality.saturated_pixels(_broken(night), 65535).value, lambda _: 7.0),
    Case("floor_pixels", lambda night: quality.floor_pixels(_broken(night)).value, lambda _: 12.0),
    Case("ceiling_pixels", lambda night: quality.ceiling_pixels(_broken(night)).value, lambda _: 7.0),
    Case(
        "overscan_level_adu",
        lambda night: quality.overscan_level_adu(night.raw[:, -OVERSCAN_PX:]).value,
        overscan_level,
        bias_noise_adu,
        lambda subject: rounding_bias(overscan(subject), subject.noise_adu),
        "-(f'/f) (1 + 4 t (1 - t)) / 8 ADU of rounding, density f of the samples at the median, fraction t of it",
    ),
    Case(
        "offset_from_master_adu",
        lambda night: quality.offset_from_master_adu(_comparison(night)).value,
        lambda _: 0.0,
        bias_noise_adu,
    ),
    Case(
        "structure_from_master_adu",
        lambda night: quality.structure_from_master_adu(_comparison(night)).value,
        lambda _: 0.0,
        bias_noise_adu,
        range_of_boxes,
        "a range is never negative: 4.74 (Tippett's mean range of 64) x 1.2533 sigma sqrt((1 + 1/N) / pixels of a "
        "box), less a fifth of the expected range of the master, and not below 0",
    ),
    Case(
        "noise_from_master_adu",
        lambda night: quality.noise_from_master_adu(_comparison(night)).value,
        lambda subject: math.sqrt(bias_noise_adu(subject) ** 2 * (1 + 1 / subject.frames) - STEP_VARIANCE),
        known=noise_of_clipping,
        formula="clipping at 5 x 1.4826 MAD costs a mean of N Gaussian samples efficiency: its variance is "
        "(1 + e) sigma^2 / N, e from the rule itself on 200 000 columns (N = 5: 0.11, 10: 0.025); with the least "
        "deviation of a coarse converter e is 0",
    ),
    Case("outlier_pixels", lambda night: quality.outlier_pixels(_comparison(night)).value, lambda _: 0.0),
    Case(
        "sensor_temp_offset_celsius",
        lambda _: quality.sensor_temp_offset_celsius(-9.5, -10.0).value,
        lambda _: 0.5,
    ),
    Case(
        "read_noise_adu",
        lambda night: _read_noise(night).value,
        lambda subject: subject.noise_adu,
    ),
    Case(
        "read_noise_stack_adu",
        lambda night: quality.read_noise_stack_adu(night.biases).value,
        lambda subject: subject.noise_adu,
    ),
    Case(
        "read_noise_electrons",
        lambda night: quality.read_noise_electrons(_read_noise(night), _gain(night)).value,
        lambda subject: subject.sensor.read_noise_e,
    ),
    Case("dark_noise_adu", lambda night: quality.dark_noise_adu(night.darks).value, dark_noise),
    Case("dark_rate_adu_per_second", lambda night: _rate(night).value, dark_rate),
    Case(
        "dark_rate_electrons_per_second",
        lambda night: quality.dark_rate_electrons_per_second(_rate(night), _gain(night)).value,
        lambda subject: dark_rate(subject) * subject.sensor.gain_e_per_adu,
    ),
    Case(
        "dark_rate_mean_adu_per_second",
        lambda night: (
            quality.dark_rate_mean_adu_per_second(night.master_dark.mean, night.master_bias.mean, EXPOSURE_S).value
        ),
        dark_rate_mean,
    ),
    Case(
        "hot_pixels",
        lambda night: quality.hot_pixels(night.master_dark.mean, night.master_bias.mean, HOT_SIGMA).value,
        hot_pixels,
    ),
    Case("gain_electrons_per_adu", lambda night: _gain(night).value, gain),
    Case(
        "sky_level_adu",
        lambda night: quality.sky_level_adu(_boxes(night)).value,
        lambda subject: SKY_E_PER_S * EXPOSURE_S / subject.sensor.gain_e_per_adu,
    ),
    Case(
        "sky_level_electrons",
        lambda night: quality.sky_level_electrons(quality.sky_level_adu(_boxes(night)), _gain(night)).value,
        lambda _: SKY_E_PER_S * EXPOSURE_S,
    ),
    Case(
        "sky_noise_adu",
        lambda night: quality.sky_noise_adu(_boxes(night)).value,
        lambda subject: sky_noise_e(subject) / subject.sensor.gain_e_per_adu,
    ),
    Case(
        "sky_noise_electrons",
        lambda night: quality.sky_noise_electrons(quality.sky_noise_adu(_boxes(night)), _gain(night)).value,
        sky_noise_e,
    ),
)
"""Rows of METRICS that are measured on every night; others have trials of their own."""
