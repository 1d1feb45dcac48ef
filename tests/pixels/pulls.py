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
EXPOSURE_S = 100.0
DARKS_S = {"exact": 100.0, "down": 300.0, "up": 50.0}
LIGHTS_E = (50.0, 500.0, 5000.0)


@dataclass(frozen=True, slots=True)
class Camera:
    """Gain, read noise, how many frames make each master, and whether its errors are left as ``combine`` gives them."""

    gain_e_per_adu: float
    read_noise_e: float
    frames: int
    has_plain_errors: bool = False

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
        bias = self.combined([self.expose(0.0) for _ in frames])
        dark = self.combined([self.expose(dark_exposure_s) for _ in frames])
        pedestal = PlaneCalibration(bias=bias.mean, dark=dark.mean, dark_ratio=1.0 / dark_exposure_s)
        lamp = [CalibratedReader(self.expose(1.0, FLAT_E), pedestal) for _ in frames]
        lit = self.moderated(combine(lamp, sigma=5.0, scales=[1.0 / flat_level(reader) for reader in lamp]))
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

    def combined(self, readers: list[ArrayReader]) -> Combined:
        """Return the master of raw frames as a worker combines it."""
        least = coarse_deviation(readers[0].array, readers[1].array, len(readers))
        return self.moderated(combine(readers, sigma=5.0, least_deviation=least))

    def moderated(self, master: Combined) -> Combined:
        """Return the master with its errors as a worker writes them."""
        if not self.camera.has_plain_errors:
            moderate_errors(master.mean, master.error, master.count, self.camera.frames)
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


def known_mean(camera: Camera, light_e: float, dark_exposure_s: float) -> float:
    """Return -V_frame / (2 V^1.5), which is -1 / (2 sqrt(V)) for good masters.

    The measured charge stands for the expected one: noise n makes the estimated variance V + n, and n / sqrt(V + n) has
    the mean -E(n^2) / (2 V^1.5).
    """
    ratio, read = EXPOSURE_S / dark_exposure_s, camera.noise_e**2
    frame = light_e + DARK_E_PER_S * EXPOSURE_S + read
    dark = DARK_E_PER_S * dark_exposure_s + read
    total = frame + ((1 - ratio) ** 2 * read + ratio**2 * dark) / camera.frames
    return -frame / (2 * total**1.5)


def table() -> str:
    """Return means and standard deviations of pulls for masters of 2 to 40 frames."""
    lines = [
        f"{'frames':>6} {'gain':>4} {'noise e-':>8} {'dark':>5} {'light e-':>8} {'sd':>6} {'mean':>7} {'known':>7}"
    ]
    for frames in (2, 3, 5, 7, 10, 20, 40):
        for gain, noise in ((0.5, 2.0), (0.5, 20.0), (1.3, 6.0), (5.0, 2.0), (5.0, 20.0)):
            camera = Camera(gain, noise, frames)
            for name, dark_s in DARKS_S.items():
                for light_e in LIGHTS_E:
                    found = pulls(camera, light_e, dark_s, EXPOSURE_S)
                    lines.append(
                        f"{frames:6} {gain:4} {noise:8} {name:>5} {light_e:8.0f} {found.std():6.3f} "
                        f"{found.mean():7.3f} {known_mean(camera, light_e, dark_s):7.3f}"
                    )
    return "\n".join(lines)
