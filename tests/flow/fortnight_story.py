"""A fortnight at a small observatory, with everything that goes wrong in one, told with the truth of each frame.

The camera is a CCD whose program writes neither the gain nor a set point. Its cooler cannot hold -10 C on
the first nights: the sensor drifts by 0.15 C from one to the next. Two nights are cold. No darks are ever taken of 45 s
and of 200 s, and no flats in Ha before the dawn of the third night. During the biases of the fifth evening the lights
were on. Before the eleventh night the gain is changed, and no header tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np

from ingestd import simulator
from ingestd.records import Kind

FIRST_EVENING = date(2025, 3, 1)
OLD_SENSOR = simulator.Sensor(
    shape=(48, 64),
    gain_e_per_adu=1.5,
    read_noise_e=7.5,
    dark_e_per_s=0.1,
    hot_fraction=0.0,
    dust_grains=2,
    bias_drift_adu=0.0,
)
NEW_SENSOR = replace(OLD_SENSOR, gain_e_per_adu=0.75)
"""The same sensor after its gain was changed: half the electrons per ADU, twice the noise in ADU."""

SKY = simulator.Sky(sky_e_per_s=20.0, stars=60.0, cosmics_per_s=0.0)
FLAT_ADU, FLAT_S = 22_000.0, 3.0
LAMP_ADU = 400.0
"""What the lights of the dome add to a bias, above its level."""

_READOUT_S = 8
_WORDS = re.compile(r"(\d+) (bias|dark|flat|light)(?: ([A-Z]a?))?(?: (\d+))?( lit)?")


@dataclass(frozen=True, slots=True)
class Evening:
    """One night as it was planned: temperature, then what is taken in the evening, for science, and at dawn."""

    temp_c: float
    evening: str
    science: str
    dawn: str = ""
    sensor: simulator.Sensor = OLD_SENSOR


@dataclass(frozen=True, slots=True)
class Taken:
    """One frame of the fortnight: its file, and the truth that its header may not tell.

    ``night`` counts from 1; ``burst`` numbers what is taken in one go; ``is_lit``: a bias with the lights on.
    """

    name: str
    content: bytes
    shot: simulator.Shot
    night: int
    burst: int
    temp_c: float
    sensor: simulator.Sensor
    is_lit: bool

    @property
    def ends(self) -> datetime:
        """When the frame was read out."""
        return self.shot.obs_start + timedelta(seconds=self.shot.exposure_s + _READOUT_S)

    @property
    def electrons(self) -> np.ndarray:
        """The photo-electrons that a perfect telescope would have collected, shape (ny, nx): no flat, no dark."""
        light: np.ndarray = camera(self.sensor, self.temp_c).light_e(self.shot) / self.sensor.flat(
            self.shot.filter_name or ""
        )
        return light


BEFORE = (
    Evening(-10.00, "7 bias, 5 dark 120, 5 dark 60, 4 flat V, 4 flat R", "2 light V 60, 2 light R 60"),
    Evening(-9.85, "7 bias, 4 flat V", "2 light V 60, 2 light R 60, 1 light V 45"),
    Evening(-9.70, "7 bias, 5 dark 120", "2 light Ha 120, 1 light V 200, 1 light Ha 120", "4 flat Ha"),
    Evening(-9.55, "7 bias, 4 flat V", "2 light V 60, 1 light R 120, 2 light V 45"),
    Evening(-9.40, "7 bias lit, 5 dark 120, 4 flat R", "2 light V 60, 1 light R 120"),
    Evening(-15.00, "7 bias, 5 dark 120", "2 light V 60, 1 light Ha 120"),
    Evening(-15.00, "7 bias", "2 light V 60, 1 light R 120, 1 light V 45", "5 dark 60"),
    Evening(-10.00, "7 bias, 5 dark 120, 4 flat R", "2 light V 60, 1 light R 60, 1 light V 200"),
    Evening(-10.00, "7 bias, 4 flat V", "2 light V 60, 1 light Ha 120", "5 dark 60"),
    Evening(-10.00, "7 bias, 4 flat V", "2 light V 60, 1 light R 45", "4 flat Ha"),
)
"""The ten nights before the gain was changed."""

AFTER = (
    Evening(-10.00, "7 bias, 5 dark 120, 4 flat V", "2 light V 60, 1 light R 60", sensor=NEW_SENSOR),
    Evening(-10.00, "7 bias, 4 flat R", "2 light V 60, 1 light R 60", "5 dark 60", sensor=NEW_SENSOR),
    Evening(-10.00, "7 bias, 4 flat V", "2 light Ha 120, 1 light V 45", "4 flat Ha", sensor=NEW_SENSOR),
    Evening(-10.00, "7 bias, 5 dark 120, 4 flat V", "2 light V 200, 1 light R 60", sensor=NEW_SENSOR),
)
"""The four nights after it."""


@cache
def camera(sensor: simulator.Sensor, temp_c: float) -> simulator.Camera:
    """Return the camera at a temperature, which its thermometer tells as it is."""
    return simulator.Camera(sensor, program="INDI", set_temp_c=temp_c, temp_step_c=1e-7, tells_gain=False, sky=SKY)


@cache
def fortnight(evenings: Sequence[Evening] = BEFORE) -> tuple[Taken, ...]:
    """Return all frames in the order of time."""
    return tuple(_frames(evenings))


def bursts(frames: Iterable[Taken]) -> list[list[Taken]]:
    """Return the frames as they were taken: each set of calibrations in one go, each science frame by itself."""
    found: dict[int, list[Taken]] = {}
    for frame in frames:
        found.setdefault(frame.burst, []).append(frame)
    return list(found.values())


def night_of(number: int) -> str:
    """Return the ISO date of a night of the fortnight, counted from 1."""
    return (FIRST_EVENING + timedelta(days=number - 1)).isoformat()


def _frames(evenings: Sequence[Evening]) -> Iterator[Taken]:
    """Yield the frames of all nights."""
    index = burst = 0
    for number, evening in enumerate(evenings, 1):
        midnight = datetime(FIRST_EVENING.year, FIRST_EVENING.month, FIRST_EVENING.day, tzinfo=UTC)
        midnight += timedelta(days=number - 1)
        for hours, words in ((17.5, evening.evening), (20.5, evening.science), (28.5, evening.dawn)):
            now = midnight + timedelta(hours=hours)
            for count, kind, filter_name, exposure_s, is_lit in _orders(words):
                burst += 1
                for _ in range(count):
                    index += 1
                    level_adu = FLAT_ADU * (1.0 + 0.02 * (index % 3 - 1)) if kind is Kind.FLAT else 0.0
                    target = "M13" if kind is Kind.LIGHT else ""
                    shot = simulator.Shot(kind, index, exposure_s, now, filter_name, level_adu, target)
                    yield _taken(shot, number, burst, evening, is_lit=is_lit)
                    now += timedelta(seconds=exposure_s + _READOUT_S)


def _orders(words: str) -> Iterator[tuple[int, Kind, str | None, float, bool]]:
    """Yield what is ordered by words such as '5 dark 120, 4 flat V': number, kind, filter, exposure, lights on."""
    for count, kind, filter_name, exposure_s, lit in _WORDS.findall(words):
        default_s = FLAT_S if kind == "flat" else 0.0
        yield int(count), Kind(kind), filter_name or None, float(exposure_s or default_s), bool(lit)


def _taken(shot: simulator.Shot, night: int, burst: int, evening: Evening, *, is_lit: bool) -> Taken:
    """Return one frame; on a lit one the lamp shines through the optics, with its photon noise."""
    exposure = camera(evening.sensor, evening.temp_c).expose(shot)
    pixels = exposure.pixels
    if is_lit:
        gain = evening.sensor.gain_e_per_adu
        charge = np.random.default_rng(shot.index).poisson(evening.sensor.flat("V") * LAMP_ADU * gain)
        pixels = pixels + np.rint(charge / gain).astype(np.uint16)
    content = simulator.file_bytes(pixels, exposure.cards)
    name = f"n{night:02d}_{shot.index:03d}_{exposure.file_name}"
    return Taken(name, content, shot, night, burst, evening.temp_c, evening.sensor, is_lit)
