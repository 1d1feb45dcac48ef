"""Pulls, (reduced - truth) / uncertainty, of frames of a known sensor with masters made of its noisy frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.combine import Combined, combine
from ingestd.pixels.moderating import moderate_errors
from ingestd.pixels.quality import coarse_deviation
from ingestd.pixels.steps import CalibratedReader, PlaneCalibration, flat_level, normalise_flat, reduce_plane
from tests.pixels.array_reader import ArrayReader

SHAPE = (256, 256)
FLAT_E = 30_000.0
DARK_E_PER_S = 0.5


@dataclass(frozen=True, slots=True)
class Camera:
    """Gain, read noise, and how many frames make each master."""

    gain_e_per_adu: float
    read_noise_e: float
    frames: int

    @property
    def noise_e(self) -> float:
        """Read noise with the step of the converter."""
        return math.hypot(self.read_noise_e, self.gain_e_per_adu / math.sqrt(12.0))


class Sensor:
    """A sensor with structure in bias, dark current and response."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.random = np.random.default_rng(1)
        self.bias_adu = 1000.0 + self.random.normal(0.0, 3.0, SHAPE)
        self.dark_e_s = self.random.exponential(DARK_E_PER_S, SHAPE)
        response = self.random.normal(1.0, 0.02, SHAPE)
        self.response = response / np.median(response[64:192, 64:192])

    def expose(self, exposure_s: float, light_e: float = 0.0) -> ArrayReader:
        """Return a frame of even light."""
        charge = self.random.poisson(self.dark_e_s * exposure_s + self.response * light_e)
        noise = self.random.normal(0.0, self.camera.read_noise_e, SHAPE)
        return ArrayReader(np.rint(self.bias_adu + (charge + noise) / self.camera.gain_e_per_adu).astype(np.int32))

    def masters(self, dark_exposure_s: float) -> PlaneCalibration:
        """Return bias, dark and flat, each of as many frames as the camera's, combined as a worker does."""
        frames = range(self.camera.frames)
        bias = combined([self.expose(0.0) for _ in frames])
        dark = combined([self.expose(dark_exposure_s) for _ in frames])
        pedestal = PlaneCalibration(bias=bias.mean, dark=dark.mean, dark_ratio=1.0 / dark_exposure_s)
        lamp = [CalibratedReader(self.expose(1.0, FLAT_E), pedestal) for _ in frames]
        lit = combine(lamp, sigma=5.0, scales=[1.0 / flat_level(reader) for reader in lamp])
        moderate_errors(lit.mean, lit.error, lit.count, self.camera.frames)
        flat = normalise_flat(lit.mean, lit.error, floor=0.05)
        return PlaneCalibration(
            bias=bias.mean,
            bias_error=bias.error,
            dark=dark.mean,
            dark_error=dark.error,
            flat=flat.flat,
            flat_error=flat.error,
            masks=(bias.mask, dark.mask, flat.mask),
            gain_e_per_adu=self.camera.gain_e_per_adu,
            read_noise_e=self.camera.noise_e,
        )


def combined(readers: list[ArrayReader]) -> Combined:
    """Return the master of raw frames as a worker combines it."""
    least = coarse_deviation(readers[0].array, readers[1].array)
    master = combine(readers, sigma=5.0, least_deviation=least)
    moderate_errors(master.mean, master.error, master.count, len(readers))
    return master


@lru_cache(maxsize=2)
def _calibrated(camera: Camera, dark_exposure_s: float) -> tuple[Sensor, PlaneCalibration]:
    sensor = Sensor(camera)
    return sensor, sensor.masters(dark_exposure_s)


def pulls(
    camera: Camera, light_e: float, dark_exposure_s: float, exposure_s: float, **changes: object
) -> NDArray[np.float64]:
    """Return the pulls of the unmasked pixels; the dark is exact where both exposures are equal, else scaled.

    ``changes`` replace fields of the calibration, to break it.
    """
    sensor, calibration = _calibrated(camera, dark_exposure_s)
    calibration = replace(calibration, dark_ratio=exposure_s / dark_exposure_s, **changes)
    found = []

    def write_block(_row, signal, uncertainty, mask):
        found.append(((signal - light_e) / uncertainty)[mask == 0])

    reduce_plane(sensor.expose(exposure_s, light_e), calibration, write_block)
    return np.concatenate(found).astype(np.float64)
