"""A camera around a sensor: it exposes shots to frames of 16-bit samples, each a function of its seed alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ingestd.records import Kind
from ingestd.simulator.headers import Card, header_cards
from ingestd.simulator.sensor import MAX_ADU, Sensor, generator

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

_FAINTEST_E_PER_S = 5.0
_BRIGHTEST_E_PER_S = 50_000.0
_STAMP_SIGMAS = 6.0
_TEMP_NOISE_C = 0.15
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True, slots=True)
class Sky:
    """What stands above the telescope.

    ``sky_e_per_s`` is per pixel at the centre of the field; ``stars`` their number per 100 000 pixels, with fluxes from
    5 to 50 000 e-/s of the cumulative slope -0.8; ``fwhm_px`` the seeing of Gaussian stars; ``cosmics_per_s`` the
    cosmic rays per second and 100 000 pixels. A filter in ``transmission`` dims sky and stars, any other does not.
    """

    sky_e_per_s: float = 2.0
    stars: float = 100.0
    fwhm_px: float = 2.6
    cosmics_per_s: float = 0.05
    transmission: tuple[tuple[str, float], ...] = (("V", 0.8), ("R", 1.0), ("B", 0.5))

    def transmitted(self, filter_name: str) -> float:
        """Return what a filter lets through."""
        return dict(self.transmission).get(filter_name, 1.0)


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure as it was ordered: with the camera it determines every byte of the frame.

    ``level_adu`` is the level of a flat above bias at the centre; ``index`` makes two shots of a kind different. A flat
    with the ``label`` ``skyflat`` sees an even sky with stars, each a field of its own; any other sees the lamp.
    """

    kind: Kind
    index: int
    exposure_s: float
    obs_start: datetime
    filter_name: str | None = None
    level_adu: float = 0.0
    object_name: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Exposure:
    """A frame as the camera delivers it: samples of shape (ny, nx) with overscan, cards, and the name of its file."""

    shot: Shot
    pixels: NDArray[np.uint16]
    cards: tuple[Card, ...]
    file_name: str


@dataclass(frozen=True, slots=True)
class Camera:
    """A sensor with cooler, converter and the program that writes its frames.

    ``program`` is a key of ``headers.PROGRAMS``; ``temp_step_c`` the step of the thermometer, whose readings alternate
    between two neighbours of the set point, as those of real cameras do; ``tells_gain`` whether the header has the gain
    in e-/ADU. ``lamp`` is how much more light than at the centre the screen of a flat has at the right edge and at the
    upper one: an error of the lamp, none of the sensor.
    """

    sensor: Sensor = field(default_factory=Sensor)
    program: str = "MaxIm DL"
    instrument: str = "Synthetic CCD"
    set_temp_c: float = -10.0
    temp_step_c: float = 0.414
    tells_gain: bool = True
    lamp: tuple[float, float] = (0.0, 0.0)
    sky: Sky = field(default_factory=Sky)
    seed: int = 1

    def expose(self, shot: Shot) -> Exposure:
        """Return the frame of a shot: the same bytes each time."""
        cards = header_cards(self, shot, ccd_temp_c=self.measured_temp_c(shot))
        return Exposure(shot, self.pixels(shot), cards, file_name(self, shot))

    def sensor_temp_c(self, shot: Shot) -> float:
        """Return the true temperature of the sensor during a shot, C: the set point and 0.15 C of wobble."""
        return self.set_temp_c + _TEMP_NOISE_C * float(self._random(shot, "temperature").uniform(-1.0, 1.0))

    def measured_temp_c(self, shot: Shot) -> float:
        """Return the reading of the thermometer, C: the true temperature, noise, the step of its converter."""
        noise = float(self._random(shot, "thermometer").uniform(-0.5, 0.5)) * self.temp_step_c
        lower = self.set_temp_c - 0.4 * self.temp_step_c
        steps = round((self.sensor_temp_c(shot) + noise - lower) / self.temp_step_c)
        return lower + min(max(steps, 0), 1) * self.temp_step_c

    def light_e(self, shot: Shot) -> NDArray[np.float32]:
        """Return the expected photo-electrons of a shot in each pixel, flat field included, without dark current."""
        if shot.kind is Kind.FLAT:
            light = self._flat_light(shot) * np.float32(shot.level_adu * self.sensor.gain_e_per_adu)
            if shot.label == "skyflat":
                light += self.stars_e_per_s(shot) * np.float32(shot.exposure_s)
            return self.sensor.flat(shot.filter_name or "") * light
        if shot.kind is Kind.LIGHT:
            through = np.float32(shot.exposure_s * self.sky.transmitted(shot.filter_name or ""))
            return (
                self.sensor.flat(shot.filter_name or "") * (self.stars_e_per_s(shot) + self.sky.sky_e_per_s) * through
            )
        return np.zeros(self.sensor.shape, np.float32)

    def _flat_light(self, shot: Shot) -> NDArray[np.float32]:
        """Return the light of a flat relative to the centre: an even sky, or the lamp."""
        right, up = (0.0, 0.0) if shot.label == "skyflat" else self.lamp
        rows, columns = (np.linspace(-1.0, 1.0, size, dtype=np.float32) for size in self.sensor.shape)
        return 1 + np.float32(up) * rows[:, np.newaxis] + np.float32(right) * columns[np.newaxis, :]

    def stars_e_per_s(self, shot: Shot) -> NDArray[np.float32]:
        """Return the light of the stars of the shot's field, without filter and flat; pointing differs by shot."""
        ny, nx = self.sensor.shape
        field_of = generator(self.seed, "field", f"blank {shot.index}" if shot.label == "skyflat" else shot.object_name)
        number = round(self.sky.stars * ny * nx / 1e5)
        places = field_of.random((number, 2)) * (ny, nx) + self._random(shot, "pointing").uniform(-2.0, 2.0, 2)
        fluxes = np.minimum(_FAINTEST_E_PER_S * (1.0 + field_of.pareto(0.8, number)), _BRIGHTEST_E_PER_S)
        image = np.zeros((ny, nx), np.float32)
        for (y, x), flux in zip(places, fluxes, strict=True):
            _add_star(image, y, x, flux, self.sky.fwhm_px / _FWHM_PER_SIGMA)
        return image

    def cosmics_e(self, shot: Shot) -> NDArray[np.float32]:
        """Return the charge of the cosmic rays that hit during a shot and a read-out of 10 s, electrons."""
        random, (ny, nx) = self._random(shot, "cosmic rays"), self.sensor.shape
        charge = np.zeros((ny, nx), np.float32)
        for _ in range(random.poisson(self.sky.cosmics_per_s * (shot.exposure_s + 10.0) * ny * nx / 1e5)):
            along = np.arange(random.integers(1, 12))
            angle, y, x = random.uniform(0, 2 * math.pi), random.uniform(0, ny), random.uniform(0, nx)
            rows, columns = (y + along * math.sin(angle)).astype(int), (x + along * math.cos(angle)).astype(int)
            inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
            energy = random.exponential(2000.0, along.size) + 100.0
            np.add.at(charge, (rows[inside], columns[inside]), energy[inside].astype(np.float32))
        return charge

    def drift_adu(self, shot: Shot) -> float:
        """Return how far the bias level of a shot is from that of the sensor, ADU."""
        return float(self._random(shot, "drift").normal(0.0, self.sensor.bias_drift_adu))

    def pixels(self, shot: Shot) -> NDArray[np.uint16]:
        """Return the samples of a shot, shape (ny, nx) with overscan.

        Poisson(light + dark), cosmic rays, full well; over the gain, through a bent amplifier; plus bias, drift and
        Gaussian read noise; rounded to the step of the converter and cut at its ends.
        """
        sensor, random = self.sensor, self._random(shot, "electrons")
        dark = sensor.dark(self.sensor_temp_c(shot)) * np.float32(shot.exposure_s)
        charge = random.poisson(self.light_e(shot) + dark).astype(np.float32) + self.cosmics_e(shot)
        np.minimum(charge, np.float32(sensor.full_well_e), out=charge)
        adu = sensor.bias() + np.float32(self.drift_adu(shot))
        noise = np.float32(sensor.read_noise_adu) * random.standard_normal(sensor.raw_shape, np.float32)
        noise[:, : sensor.shape[1]][sensor.noisy()] *= np.float32(sensor.noisy_factor)
        adu += noise
        adu[:, : sensor.shape[1]] += sensor.read(charge / np.float32(sensor.gain_e_per_adu))
        step = sensor.step_adu
        samples: NDArray[np.uint16] = np.clip(np.rint(adu / step), 0, MAX_ADU // step).astype(np.uint16)
        return samples * np.uint16(step)

    def _random(self, shot: Shot, purpose: str) -> np.random.Generator:
        """Return the random generator of one purpose for one shot."""
        return generator(self.seed, str(shot.kind), shot.index, purpose)


def file_name(camera: Camera, shot: Shot) -> str:
    """Return the name of the file: kind or object, filter, exposure and start, and the suffix of the program."""
    start = f"{shot.obs_start:%Y%m%d_%H%M%S}"
    words = [shot.object_name or shot.label or str(shot.kind), shot.filter_name or "", f"{shot.exposure_s:g}s", start]
    suffix = ".fit" if camera.program in {"MaxIm DL", "CCDSoft"} else ".fits"
    return "_".join(word for word in words if word).replace(" ", "-") + suffix


def _add_star(image: NDArray[np.float32], y: float, x: float, flux: float, sigma_px: float) -> None:
    """Add a Gaussian star, integrated over each pixel; pixel (i, j) reaches from i - 1/2 to i + 1/2."""
    reach = math.ceil(_STAMP_SIGMAS * sigma_px)
    y0, y1 = max(round(y) - reach, 0), min(round(y) + reach + 1, image.shape[0])
    x0, x1 = max(round(x) - reach, 0), min(round(x) + reach + 1, image.shape[1])
    if y0 < y1 and x0 < x1:
        profile = np.outer(_in_pixels(y0, y1, y, sigma_px), _in_pixels(x0, x1, x, sigma_px))
        image[y0:y1, x0:x1] += (flux * profile).astype(np.float32)


def _in_pixels(start: int, stop: int, centre: float, sigma_px: float) -> NDArray[np.float64]:
    """Return the share of a Gaussian in each of the pixels start, ..., stop - 1."""
    edges = (np.arange(start, stop + 1) - 0.5 - centre) / (sigma_px * math.sqrt(2.0))
    return 0.5 * np.diff(np.array([math.erf(edge) for edge in edges]))
