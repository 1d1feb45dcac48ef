"""One point of the chart against the nights before: what jumped, how far beyond its scatter, and whether it is light.

Light adds level, and the photon noise of that level: a variance of level over gain. So it is not light if the level
went down, if the noise went down, or if the level went up without that noise. Where no gain is known 10 e-/ADU are
assumed, for which light is quietest; a header may be wrong by a factor of four. Noise that only went up may be a
disturbed read-out. Nights with little history prove nothing: their own scatter is not known.

The gain has no chart of its own: measured from pairs of flats it would need masters, and here nothing may depend on
masters. The noise of a pixel in ADU scales with one over the gain, unless the noise of the converter dominates.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ingestd.records import ChartPoint
from ingestd.rules import groups
from ingestd.settings import Epochs

FEWEST_NIGHTS = 3
"""Nights of history without which nothing is certain."""

NIGHTS_COMPARED = 20
"""So many nights before one are its history: enough for a scatter, few enough to follow a drift."""

_FEW = 6
"""A scatter of N nights is taken 1 + 6/N times: it may have come out too small."""

_QUIETEST_E_PER_ADU = 10.0
_LEAST_PHOTON_NOISE = 0.25
_VISIBLE_VARIANCE = 0.05
_HALFWAY = 0.5


@dataclass(frozen=True, slots=True)
class Deviation:
    """How one part of a point lies off its history.

    ``excess`` is the larger of level and noise over its limit, above 1 if it jumped; ``is_large``: a jump that needs
    no long history to be seen. ``is_certain``: neither light nor chance. ``words``: what jumped, with the numbers.
    """

    excess: float
    is_large: bool
    is_certain: bool
    level_jump_adu: float
    noise_jump: float
    has_level: bool
    has_noise: bool
    words: str


@dataclass(frozen=True, slots=True)
class _History:
    """The chart of one part: centre and scatter of level (ADU) and of the logarithm of the noise."""

    nights: int
    idle_d: int
    level_adu: float
    level_scatter_adu: float
    log_noise: float
    log_noise_scatter: float


@dataclass(frozen=True, slots=True)
class _Reach:
    """From where on a level (ADU), seen for one night or for several, and the logarithm of a noise have jumped."""

    large_adu: float
    level_adu: float
    log_noise: float


def compare(point: ChartPoint, history: Sequence[ChartPoint], limits: Epochs) -> Deviation | None:
    """Return the largest deviation of a point, or None if no point before it can be compared.

    Parameters
    ----------
    point : ChartPoint
    history : sequence of ChartPoint
        Of equal conditions and earlier nights, the oldest first.
    limits : Epochs
        The section of the settings.
    """
    found = []
    for name, level, noise in point.parts:
        known = _history(name, point, history)
        if known is not None:
            found.append(_deviation(name, level, noise, point, known, limits))
    return max(found, key=lambda it: it.excess, default=None)


def agree(point: ChartPoint, other: ChartPoint, jump: Deviation, limits: Epochs) -> bool:
    """Return whether two points that deviate show the same new state: nearer to each other than to the old one."""
    others = {name: (level, noise) for name, level, noise in other.parts}
    for name, level, noise in point.parts:
        if name not in others:
            continue
        level_reach = limits.level_jump_sigma * max(noise, others[name][1])
        noise_reach = math.log(limits.noise_jump_ratio)
        if jump.has_level:
            level_reach = min(level_reach, _HALFWAY * abs(jump.level_jump_adu))
        if jump.has_noise:
            noise_reach = min(noise_reach, _HALFWAY * abs(jump.noise_jump))
        if abs(level - others[name][0]) > level_reach or abs(math.log(noise / others[name][1])) > noise_reach:
            return False
    return True


def _history(name: str, point: ChartPoint, history: Sequence[ChartPoint]) -> _History | None:
    """Return the chart of a part from the newest nights, or None if there is nothing to compare with."""
    known = [
        (it.night, level, noise)
        for it in history[-2 * NIGHTS_COMPARED :]
        for part, level, noise in it.parts
        if part == name
    ]
    nights = {night: (level, noise) for night, level, noise in known}
    for night in sorted(nights)[:-NIGHTS_COMPARED]:
        del nights[night]
    if not nights:
        return None
    levels = [level for level, _ in nights.values()]
    noises = [math.log(noise) for _, noise in nights.values()]
    level, level_scatter = _centre(levels)
    log_noise, noise_scatter = _centre(noises)
    idle_d = groups.night_number(point.night) - groups.night_number(max(nights))
    return _History(len(nights), idle_d, level, level_scatter, log_noise, noise_scatter)


def _centre(values: Sequence[float]) -> tuple[float, float]:
    """Return the median, and a cautious scatter; outliers were left out before, so the plain deviation counts too."""
    centre = statistics.median(values)
    if len(values) < 2:  # noqa: PLR2004 - one value has no scatter
        return centre, 0.0
    caution = 1 + _FEW / len(values)
    mad = statistics.median([abs(value - centre) for value in values])
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum([(value - mean) ** 2 for value in values]) / (len(values) - 1))
    return centre, caution * max(1.4826 * mad, deviation)


def _deviation(name: str, level: float, noise: float, point: ChartPoint, known: _History, limits: Epochs) -> Deviation:
    """Return how level and noise of a part lie off their history."""
    reach = _reach(known, limits)
    old_noise = math.exp(known.log_noise)
    jump, noise_jump = level - known.level_adu, math.log(noise) - known.log_noise
    has_level, has_noise = abs(jump) > reach.level_adu, abs(noise_jump) > reach.log_noise
    is_large = abs(jump) > reach.large_adu
    is_no_light = is_large and (jump < 0 or _lacks_photon_noise(jump, noise, old_noise, point))
    is_quieter = has_noise and noise_jump < 0
    texts = []
    if has_level:
        limit = f"limit {reach.level_adu:.1f}"
        texts.append(f"level jumped by {jump:+.1f} ADU ({known.level_adu:.1f} to {level:.1f}, {limit})")
    if has_noise:
        limit = f"limit {math.exp(reach.log_noise):.2f} up or down"
        texts.append(f"noise of a pixel {math.exp(noise_jump):.2f} times ({old_noise:.2f} to {noise:.2f} ADU, {limit})")
    part = f" of {name}" if name else ""
    nights = f"{known.nights} night{'' if known.nights == 1 else 's'} before"
    return Deviation(
        excess=max(abs(jump) / reach.level_adu, abs(noise_jump) / reach.log_noise),
        is_large=is_large or has_noise,
        is_certain=known.nights >= FEWEST_NIGHTS and (is_no_light or is_quieter),
        level_jump_adu=jump,
        noise_jump=noise_jump,
        has_level=has_level,
        has_noise=has_noise,
        words=f"{point.kind.value} {' and '.join(texts)}{part}, {nights}" if texts else "",
    )


def _reach(known: _History, limits: Epochs) -> _Reach:
    """Return what is a jump after a history."""
    noise = math.exp(known.log_noise)
    drift = limits.level_drift_sigma_per_d * known.idle_d
    scatter = limits.scatter_sigma * known.level_scatter_adu
    large = max((limits.level_jump_sigma + drift) * noise, scatter)
    small = max((limits.level_step_sigma + drift) * noise, scatter)
    return _Reach(
        large_adu=large,
        level_adu=small if known.nights >= limits.nights else large,
        log_noise=max(math.log(limits.noise_jump_ratio), limits.scatter_sigma * known.log_noise_scatter),
    )


def _lacks_photon_noise(jump_adu: float, noise: float, old_noise: float, point: ChartPoint) -> bool:
    """Return whether the level went up by what light would have made noisier, visibly, than it is."""
    least = _LEAST_PHOTON_NOISE * jump_adu / (point.gain_e_per_adu or _QUIETEST_E_PER_ADU)
    return least > _VISIBLE_VARIANCE * old_noise**2 and noise**2 - old_noise**2 < least
