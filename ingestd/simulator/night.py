"""The schedule of a night: calibrations in the evening, science in two filters, calibrations at dawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ingestd.records import Kind
from ingestd.simulator.camera import Camera, Shot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_READOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is taken in a night, in this order.

    Evening: ``biases``, ``evening_darks`` of ``evening_dark_s``, ``flats`` in each filter; then ``lights`` of
    ``light_s`` in each filter, taking turns; at dawn ``dawn_darks`` of ``light_s`` (the exact ones: until then a
    science frame has to do with the scaled dark), ``dawn_biases``. The demo's night has 41 frames.
    """

    longitude_deg: float = 0.0
    biases: int = 7
    evening_darks: int = 5
    evening_dark_s: float = 120.0
    filters: tuple[str, ...] = ("V", "R")
    flats: int = 5
    flat_level_adu: float = 22_000.0
    lights: int = 6
    light_s: float = 60.0
    object_name: str = "M13"
    dawn_darks: int = 5
    dawn_biases: int = 2


def night(camera: Camera, evening: date, plan: Plan) -> tuple[Shot, ...]:
    """Return the shots of a night in the order of time.

    Parameters
    ----------
    camera : Camera
        Gives the seed: flats differ a little in level and exposure.
    evening : date
        The local date on which the night begins; every shot is of this night.
    plan : Plan

    Returns
    -------
    tuple of Shot
        From 17:30 to dawn in local mean time, which is UTC + longitude / 15 h.
    """
    clock = _Clock(evening, plan.longitude_deg)
    first = evening.toordinal() * 1000
    return tuple(_shots(camera, plan, clock, first))


def truth(camera: Camera, plan: Plan) -> Mapping[str, float]:
    """Return the true figures by the names of ``metrics.METRICS`` that a night of a plan should measure.

    Levels are medians over the pixels that see light; the dark rate is that at the set point; the sky is that of the
    first filter after flat-fielding. The level of a flat is that of its `Shot`.
    """
    sensor = camera.sensor
    rate = float(np.median(sensor.dark(camera.set_temp_c)))
    sky = camera.sky.sky_e_per_s * camera.sky.transmitted(plan.filters[0]) * plan.light_s if plan.filters else 0.0
    return {
        "bias_level_adu": float(np.median(sensor.bias()[:, : sensor.shape[1]])),
        "read_noise_adu": sensor.read_noise_adu,
        "read_noise_stack_adu": sensor.read_noise_adu,
        "read_noise_electrons": sensor.read_noise_e,
        "gain_electrons_per_adu": sensor.gain_e_per_adu,
        "dark_rate_adu_per_second": rate / sensor.gain_e_per_adu,
        "dark_rate_electrons_per_second": rate,
        "dark_rate_mean_adu_per_second": float(sensor.dark(camera.set_temp_c).mean()) / sensor.gain_e_per_adu,
        "sky_level_adu": sky / sensor.gain_e_per_adu,
        "sky_level_electrons": sky,
        "fwhm_px": camera.sky.fwhm_px,
    }


class _Clock:
    """Local mean time of a night, moved on by what is done."""

    def __init__(self, evening: date, longitude_deg: float) -> None:
        self._midnight = datetime.combine(evening, time(), UTC) - timedelta(hours=longitude_deg / 15.0)
        self.now = self._midnight

    def wait_until(self, hours: float) -> None:
        """Wait until so many hours after the midnight before the night, unless it is later already."""
        self.now = max(self.now, self._midnight + timedelta(hours=hours))

    def take(self, exposure_s: float) -> datetime:
        """Return the start, to the second, of an exposure that begins now; move on behind its read-out."""
        start = self.now.replace(microsecond=0)
        self.now += timedelta(seconds=exposure_s + _READOUT_S)
        return start


def _shots(camera: Camera, plan: Plan, clock: _Clock, first: int) -> Iterator[Shot]:
    """Yield the shots; the index of a shot is unlike that of any other of its kind, on any date."""
    clock.wait_until(17.5)
    for i in range(plan.biases):
        yield Shot(Kind.BIAS, first + i, 0.0, clock.take(0.0))
    for i in range(plan.evening_darks):
        yield Shot(Kind.DARK, first + i, plan.evening_dark_s, clock.take(plan.evening_dark_s))
    clock.wait_until(19.0)
    for k, filter_name in enumerate(plan.filters):
        for i in range(plan.flats):
            yield _flat(camera, plan, clock, filter_name, first + k * plan.flats + i)
    clock.wait_until(20.5)
    for i in range(plan.lights):
        for k, filter_name in enumerate(plan.filters):
            index = first + i * len(plan.filters) + k
            yield Shot(
                Kind.LIGHT, index, plan.light_s, clock.take(plan.light_s), filter_name, object_name=plan.object_name
            )
    clock.wait_until(28.5)
    for i in range(plan.dawn_darks):
        yield Shot(Kind.DARK, first + plan.evening_darks + i, plan.light_s, clock.take(plan.light_s))
    for i in range(plan.dawn_biases):
        yield Shot(Kind.BIAS, first + plan.biases + i, 0.0, clock.take(0.0))


def _flat(camera: Camera, plan: Plan, clock: _Clock, filter_name: str, index: int) -> Shot:
    """Return a flat of about 7 s: lamps and shutters differ by some percent, and so do the levels."""
    share = float(np.random.default_rng([camera.seed, index]).uniform(0.96, 1.04))
    exposure_s = round(7.0 * share, 2)
    start = clock.take(exposure_s)
    return Shot(Kind.FLAT, index, exposure_s, start, filter_name, level_adu=plan.flat_level_adu * share)
