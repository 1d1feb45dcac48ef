"""A sensor of known truth: every property of it is a number or an array that a test can compare with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ADU = 65535
_GLOW_SCALE = 0.06
_NEWTON_STEPS = 5


@dataclass(frozen=True, slots=True)
class Sensor:
    """The properties of a synthetic CCD or CMOS sensor and of the optics before it.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns that see light.
    gain_e_per_adu, read_noise_e, full_well_e : float
        Gain (electrons per stored ADU), Gaussian noise of the amplifier, largest charge of a pixel.
    bias_adu, bias_gradient_adu, bias_column_adu, bias_row_adu : float
        Bias level; rise from the left to the right edge; standard deviations of fixed column and row offsets.
    bias_drift_adu : float
        Standard deviation of the level from frame to frame, which overscan follows.
    dark_e_per_s, dark_reference_c, dark_doubling_c, dark_scatter : float
        Median dark current at the reference temperature, degrees in which it doubles, relative scatter of the pixels.
    hot_fraction, hot_e_per_s : float
        Share of hot pixels, and the mean of their (exponential) extra dark current.
    glow_e_per_s : float
        Amplifier glow in the lower left corner.
    prnu, vignetting, dust_grains : float, float, int
        Relative scatter of the pixels' sensitivity, loss of light in the corners, shadows per filter.
    low_fraction : float
        Share of pixels whose sensitivity is anything between none and half of what it should be.
    noisy_fraction, noisy_factor : float
        Share of noisy pixels, and how many times their read noise is that of the others.
    nonlinearity : tuple of float
        c1, c2, ... in 1/ADU, 1/ADU**2, ...: x ADU above the bias stand for a charge of x (1 + c1 x + c2 x**2 + ...).
    overscan_px : int
        Columns without light to the right of the image.
    adc_bits : int
        16, or fewer with the samples stored times a power of two, as many CMOS drivers do.
    is_cmos : bool
        The header tells a gain setting and an offset.
    seed : int
        Two sensors that differ only here are two copies of one model.
    """

    shape: tuple[int, int] = (300, 400)
    gain_e_per_adu: float = 1.5
    read_noise_e: float = 7.5
    full_well_e: float = 120_000.0
    bias_adu: float = 1000.0
    bias_gradient_adu: float = 12.0
    bias_column_adu: float = 2.0
    bias_row_adu: float = 0.5
    bias_drift_adu: float = 0.15
    dark_e_per_s: float = 0.4
    dark_reference_c: float = -10.0
    dark_doubling_c: float = 6.0
    dark_scatter: float = 0.1
    hot_fraction: float = 1e-3
    hot_e_per_s: float = 60.0
    glow_e_per_s: float = 0.0
    prnu: float = 0.01
    vignetting: float = 0.25
    dust_grains: int = 6
    low_fraction: float = 0.0
    noisy_fraction: float = 0.0
    noisy_factor: float = 20.0
    nonlinearity: tuple[float, ...] = ()
    overscan_px: int = 0
    adc_bits: int = 16
    is_cmos: bool = False
    seed: int = 1

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame with its overscan."""
        return self.shape[0], self.shape[1] + self.overscan_px

    @property
    def step_adu(self) -> int:
        """Step of the converter in stored ADU."""
        return 1 << (16 - self.adc_bits)

    @property
    def read_noise_adu(self) -> float:
        """Noise of the amplifier without the step of the converter, ADU."""
        return self.read_noise_e / self.gain_e_per_adu

    def bias(self) -> NDArray[np.float32]:
        """Return the true bias structure, ADU, of the raw shape (the drift of a frame's level is not in it)."""
        return _bias(self)

    def dark(self, temp_c: float) -> NDArray[np.float32]:
        """Return the true dark current at a sensor temperature, electrons per second; hot pixels and glow included."""
        warmer = np.float32(2.0 ** ((temp_c - self.dark_reference_c) / self.dark_doubling_c))
        return _dark(self) * warmer + _glow(self)

    def hot(self) -> NDArray[np.bool_]:
        """Return which pixels are hot."""
        return _hot(self) > 0

    def noisy(self) -> NDArray[np.bool_]:
        """Return which pixels are noisy."""
        return generator(self.seed, "noisy pixels").random(self.shape, np.float32) < self.noisy_fraction

    def low(self) -> NDArray[np.bool_]:
        """Return which pixels have lost half of their sensitivity or more."""
        return generator(self.seed, "low pixels").random(self.shape, np.float32) < self.low_fraction

    def read(self, signal_adu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what a nonlinear amplifier makes of signals above the bias: Newton's method on its polynomial."""
        found = signal_adu
        for _ in range(_NEWTON_STEPS if self.nonlinearity else 0):
            terms = list(enumerate(self.nonlinearity, 1))
            value = found * (1 + sum(c * found**power for power, c in terms))
            slope = 1 + sum((power + 1) * c * found**power for power, c in terms)
            found = found - (value - signal_adu) / slope
        return found.astype(np.float32)

    def flat(self, filter_name: str) -> NDArray[np.float32]:
        """Return the true relative sensitivity, 1 in the median of the central half; dust differs with the filter."""
        return _flat(self, filter_name)


def generator(*key: int | str) -> np.random.Generator:
    """Return a random generator that is a function of the key alone; texts count by their bytes."""
    return np.random.default_rng([int.from_bytes(k.encode(), "big") if isinstance(k, str) else k for k in key])


@lru_cache(maxsize=4)
def _bias(sensor: Sensor) -> NDArray[np.float32]:
    random, (ny, nx) = generator(sensor.seed, "bias structure"), sensor.raw_shape
    columns = sensor.bias_gradient_adu * np.linspace(-0.5, 0.5, nx) + random.normal(0.0, sensor.bias_column_adu, nx)
    rows = random.normal(0.0, sensor.bias_row_adu, ny)
    return _frozen((sensor.bias_adu + columns[np.newaxis, :] + rows[:, np.newaxis]).astype(np.float32))


@lru_cache(maxsize=4)
def _dark(sensor: Sensor) -> NDArray[np.float32]:
    pattern = generator(sensor.seed, "dark current").standard_normal(sensor.shape, np.float32)
    return _frozen(sensor.dark_e_per_s * np.exp(np.float32(sensor.dark_scatter) * pattern) + _hot(sensor))


@lru_cache(maxsize=4)
def _hot(sensor: Sensor) -> NDArray[np.float32]:
    random = generator(sensor.seed, "hot pixels")
    is_hot = random.random(sensor.shape, np.float32) < sensor.hot_fraction
    extra = np.zeros(sensor.shape, np.float32)
    extra[is_hot] = random.exponential(sensor.hot_e_per_s, np.count_nonzero(is_hot))
    return _frozen(extra)


@lru_cache(maxsize=4)
def _glow(sensor: Sensor) -> NDArray[np.float32]:
    y, x = _distances(sensor.shape, 0.0, 0.0)
    return _frozen(
        (sensor.glow_e_per_s * np.exp(-np.hypot(y, x) / (_GLOW_SCALE * max(sensor.shape)))).astype(np.float32)
    )


@lru_cache(maxsize=8)
def _flat(sensor: Sensor, filter_name: str) -> NDArray[np.float32]:
    ny, nx = sensor.shape
    y, x = _distances(sensor.shape, (ny - 1) / 2, (nx - 1) / 2)
    sensitivity = 1.0 - sensor.vignetting * (y * y + x * x) / ((ny / 2) ** 2 + (nx / 2) ** 2)
    random = generator(sensor.seed, "dust", filter_name)
    for _ in range(sensor.dust_grains):
        radius = random.uniform(0.015, 0.04) * max(ny, nx)
        dy, dx = _distances(sensor.shape, random.uniform(0, ny), random.uniform(0, nx))
        distance = np.hypot(dy, dx) / radius
        shadow = random.uniform(0.03, 0.12) * np.exp(-(((distance - 0.7) / 0.3) ** 2))
        sensitivity = sensitivity * (1.0 - shadow)
    pixels = 1.0 + sensor.prnu * generator(sensor.seed, "sensitivity").standard_normal(sensor.shape, np.float32)
    sensitivity = sensitivity * np.clip(pixels, 0.0, None)
    lost = generator(sensor.seed, "lost sensitivity").uniform(0.5, 1.0, sensor.shape)
    sensitivity = sensitivity * np.where(sensor.low(), 1.0 - lost, 1.0)
    centre = sensitivity[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]
    return _frozen((sensitivity / np.median(centre)).astype(np.float32))


def _distances(shape: tuple[int, int], y: float, x: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how far each row, as a column vector, and each column, as a row vector, is from a point."""
    rows = np.arange(shape[0], dtype=np.float32)[:, np.newaxis] - np.float32(y)
    return rows, np.arange(shape[1], dtype=np.float32)[np.newaxis, :] - np.float32(x)


def _frozen(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the array, read-only: it is the truth, and shared."""
    array.flags.writeable = False
    return array
