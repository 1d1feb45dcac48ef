"""What an expert would choose for every science frame of the fortnight: slow, from the truth, after the README's rules.

The expert knows which biases were lit, how warm the sensor was and when the gain was changed. The expert lays out the
masters that each night should have (the good frames of one sort up to the end of that night), strikes out those that do
not fit a science frame, and takes of the others: the exact dark before one scaled down before one scaled up; of these
the better grade; of these the nearest in time, then in temperature, then in exposure, then the one of more frames.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestd.records import Kind
from tests.flow.fortnight_story import Taken, night_of

MAX_DELTA_C, MAX_SCALE_UP, MAX_SCALE_DOWN = 0.5, 2.0, 100.0
MINIMUM = 3
MAXIMUM = {Kind.BIAS: 50, Kind.DARK: 40, Kind.FLAT: 30}
VALID_D = {Kind.BIAS: 90, Kind.DARK: 180, Kind.FLAT: 30}
COLD_C = -12.5
"""Between the two temperatures of the story: frames on different sides of it are never combined."""

_RANKS = {"exact": 0, "scaled_down": 1, "scaled_up": 2}


@dataclass(frozen=True)
class Sheet:
    """A master as the expert would note it: its night and members, all of one sort."""

    night: int
    members: tuple[Taken, ...]

    @property
    def name(self) -> str:
        """What it is, in a few words."""
        shot = self.members[0].shot
        more = (
            f" {shot.exposure_s:g} s" if shot.kind is Kind.DARK else f" {shot.filter_name}" if shot.filter_name else ""
        )
        return f"{shot.kind}{more} of {night_of(self.night)}, {len(self.members)} frames"

    @property
    def temp_c(self) -> float:
        """The true temperature of the sensor."""
        return statistics.median(frame.temp_c for frame in self.members)

    @property
    def exposure_s(self) -> float:
        """The exposure of its frames."""
        return self.members[0].shot.exposure_s

    @property
    def filter_name(self) -> str | None:
        """The filter of its frames."""
        return self.members[0].shot.filter_name

    def age_d(self, time: datetime) -> float:
        """How many days lie between a time and the nearest exposure of the set, 0 if it lies among them."""
        starts = [frame.shot.obs_start for frame in self.members]
        return max(min(starts) - time, time - max(starts), timedelta()) / timedelta(days=1)

    def grade(self, time: datetime) -> int:
        """0 for the best: 10 frames, 5 or 3; a tenth of the validity old, 7/30 of it, or all of it."""
        by_number = sum(len(self.members) < least for least in (10, 5, 3))
        valid_d = VALID_D[self.members[0].shot.kind]
        by_age = sum(self.age_d(time) > share * valid_d for share in (3 / 30, 7 / 30, 1.0))
        return max(by_number, by_age)

    def order(self, light: Taken) -> tuple[float, ...]:
        """Return the order in which the expert takes masters that fit a science frame, the smallest first."""
        time, exposure_s = light.shot.obs_start, light.shot.exposure_s
        off_s = abs(self.exposure_s - exposure_s) if self.members[0].shot.kind is Kind.DARK else 0.0
        off_c = round(abs(self.temp_c - light.temp_c), 6)
        return self.grade(time), self.age_d(time), off_c, off_s, -len(self.members)


@dataclass(frozen=True)
class Choice:
    """What the expert takes for one science frame; ``how`` is that of the dark, None if none fits."""

    dark: Sheet | None
    how: str | None
    bias: Sheet | None
    flat: Sheet | None

    def used(self) -> dict[str, str]:
        """Return the names of the masters of the calibration by kind: an exact dark carries the bias."""
        chosen = {"dark": self.dark, "flat": self.flat, "bias": None if self.how == "exact" else self.bias}
        return {kind: sheet.name for kind, sheet in chosen.items() if sheet is not None}


class Expert:
    """Knows the whole fortnight."""

    def __init__(self, story: Sequence[Taken]) -> None:
        self.sheets = list(_sheets(story))

    def choose(self, light: Taken) -> Choice:
        """Return what an expert would calibrate a science frame with."""
        biases = [it for it in self._fitting(light, Kind.BIAS) if abs(it.temp_c - light.temp_c) <= MAX_DELTA_C]
        bias = min(biases, key=lambda it: it.order(light), default=None)
        darks = [
            (it, how)
            for it in self._fitting(light, Kind.DARK)
            if abs(it.temp_c - light.temp_c) <= MAX_DELTA_C
            and (how := how_to_use(it.exposure_s, light.shot.exposure_s)) is not None
            and (how == "exact" or bias is not None)
        ]
        dark, how = min(darks, key=lambda pair: (_RANKS[pair[1]], pair[0].order(light)), default=(None, None))
        flats = [it for it in self._fitting(light, Kind.FLAT) if it.filter_name == light.shot.filter_name]
        return Choice(dark, how, bias, min(flats, key=lambda it: it.order(light), default=None))

    def _fitting(self, light: Taken, kind: Kind) -> list[Sheet]:
        """Return the sheets of a kind, taken with the same electronics, that are still valid."""
        return [
            it
            for it in self.sheets
            if it.members[0].shot.kind is kind
            and it.members[0].sensor == light.sensor
            and it.age_d(light.shot.obs_start) <= VALID_D[kind]
        ]


def how_to_use(dark_s: float, light_s: float) -> str | None:
    """Return how a dark serves a science frame, None if it does not."""
    if dark_s == light_s:
        return "exact"
    if dark_s > light_s:
        return "scaled_down" if dark_s / light_s <= MAX_SCALE_DOWN else None
    return "scaled_up" if light_s / dark_s <= MAX_SCALE_UP else None


def sort_of(frame: Taken) -> tuple[object, ...]:
    """Return what calibration frames of one master share; the temperature of a flat does not matter."""
    shot = frame.shot
    is_cold = frame.temp_c < COLD_C if shot.kind is not Kind.FLAT else None
    exposure_s = shot.exposure_s if shot.kind is Kind.DARK else None
    return shot.kind, frame.sensor.gain_e_per_adu, exposure_s, shot.filter_name, is_cold


def _sheets(story: Sequence[Taken]) -> Iterator[Sheet]:
    """Yield the master of each sort and each night that brought frames of it."""
    good = [frame for frame in story if frame.shot.kind is not Kind.LIGHT and not frame.is_lit]
    for sort in sorted({sort_of(frame) for frame in good}, key=str):
        alike = [frame for frame in good if sort_of(frame) == sort]
        for night in sorted({frame.night for frame in alike}):
            newest = [frame for frame in alike if frame.night <= night][-MAXIMUM[alike[0].shot.kind] :]
            if len(newest) >= MINIMUM:
                yield Sheet(night, tuple(newest))
