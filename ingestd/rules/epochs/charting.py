"""The raw biases and darks of a night as points of a control chart: which figures agree, and what they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from ingestd.records import ChartPoint, FrameRecord, MeasuredFrame, Metric, Plane
from ingestd.rules import clusters, groups, screening
from ingestd.settings import Camera, Matching, Settings

SMALLEST_NOISE_ADU = 0.3
"""A frame whose pixels differ less than this is as quiet as its converter lets it be."""

_SAME_LEVEL = 1 / 3
_SAME_NOISE = 1 / 2
"""Frames of a night agree within these parts of the jumps that begin an epoch."""

_NO_REFERENCES = screening.References(None, is_alike=False, bias=None)


@dataclass(frozen=True, slots=True)
class _Figures:
    """The parts of one frame as in `ChartPoint`, and their means."""

    frame: FrameRecord
    parts: tuple[tuple[str, float, float], ...]

    @property
    def level_adu(self) -> float:
        """Mean level of the parts."""
        return statistics.fmean(level for _, level, _ in self.parts)

    @property
    def noise_adu(self) -> float:
        """Mean noise of a pixel of the parts."""
        return statistics.fmean(noise for _, _, noise in self.parts)


def points_of(night: str, measured: Sequence[MeasuredFrame], camera: Camera, settings: Settings) -> list[ChartPoint]:
    """Return the points that the measured frames of one group and night make.

    Parameters
    ----------
    night : str
    measured : sequence of MeasuredFrame
        Biases or darks of one group, in any order. Those that are wrong by themselves (saturated, not read out) are
        left out; those that only a master contradicts are not: that the hardware changed may be the reason.
    camera : Camera
        Its settings: the gain.
    settings : Settings
        ``screening``, ``matching`` (what are equal conditions), ``reduction`` (overscan), ``epochs`` (what agrees).

    Returns
    -------
    list of ChartPoint
        One for each set of frames that agree. The frames of a night with the lights on for a while make several.
    """
    sound = [it for it in measured if not screening.verdict(it.frame, it.figures, _NO_REFERENCES, settings).reason]
    read = [_Figures(it.frame, _parts(it.frame, it.figures, settings)) for it in sound]
    return [
        _point(night, agreeing, camera)
        for alike in _conditions([it for it in read if it.parts], settings.rules_of(camera.name).matching)
        for agreeing in _agreeing(alike, settings)
    ]


def _parts(frame: FrameRecord, metrics: Iterable[Metric], settings: Settings) -> tuple[tuple[str, float, float], ...]:
    """Return level and noise of each plane, or of each of its amplifiers where there are several."""
    figures = {(it.name, it.plane, it.channel): it.value for it in metrics}
    found = []
    for plane, label in zip(frame.planes, screening.plane_labels(frame), strict=True):
        channels = sorted({channel for name, at, channel in figures if name == "frame_noise_adu" and at == label})
        for channel in [it for it in channels if it] or channels:
            level = _level(frame, plane, (label, channel), figures, settings)
            noise = figures["frame_noise_adu", label, channel]
            if level is not None:
                name = "/".join(word for word in ("" if label is None else str(label), channel) if word)
                found.append((name, level, max(noise, SMALLEST_NOISE_ADU)))
    return tuple(sorted(found))


def _level(
    frame: FrameRecord,
    plane: Plane,
    part: tuple[int | None, str],
    figures: dict[tuple[str, int | None, str], float],
    settings: Settings,
) -> float | None:
    """Return the level of a part, above its overscan where that is subtracted: then a drift of both means nothing."""
    level = figures.get((f"{frame.kind.value}_level_adu", *part))
    if level is None or not (settings.reduction.overscan and plane.has_overscan):
        return level
    return level - figures.get(("overscan_level_adu", *part), 0.0)


def _conditions(frames: Sequence[_Figures], matching: Matching) -> list[list[_Figures]]:
    """Return frames of equal exposure and temperature together."""
    reach_s = partial(clusters.exposure_tolerance_s, limits=matching.dark)
    return [
        alike
        for exposed in _split(frames, lambda it: it.frame.exposure_s, reach_s)
        for alike in _split(exposed, lambda it: it.frame.ccd_temp_c, groups.CLUSTER_TEMP_C)
    ]


def _agreeing(frames: Sequence[_Figures], settings: Settings) -> list[list[_Figures]]:
    """Return frames of equal noise and level together."""
    limits = settings.epochs
    factor = math.log(limits.noise_jump_ratio) * _SAME_NOISE
    return [
        agreeing
        for noisy in _split(frames, lambda it: math.log(it.noise_adu), factor)
        for agreeing in _split(
            noisy,
            lambda it: it.level_adu,
            _SAME_LEVEL * limits.level_jump_sigma * statistics.median(it.noise_adu for it in noisy),
        )
    ]


def _split(
    frames: Sequence[_Figures],
    value: Callable[[_Figures], float | None],
    tolerance: float | Callable[[float], float],
) -> list[list[_Figures]]:
    """Return the clusters of frames by a value."""
    return [[frames[i] for i in found] for found in clusters.clusters([value(it) for it in frames], tolerance)]


def _point(night: str, frames: Sequence[_Figures], camera: Camera) -> ChartPoint:
    """Return frames that agree as a point; frames of one configuration have the same parts."""
    first = frames[0].frame
    by_part: dict[str, list[tuple[float, float]]] = {}
    for name, level, noise in (part for it in frames for part in it.parts):
        by_part.setdefault(name, []).append((level, noise))
    return ChartPoint(
        kind=first.kind,
        configuration=first.configuration.key(),
        night=night,
        frames=len(frames),
        exposure_s=_median(it.frame.exposure_s for it in frames),
        ccd_temp_c=_median(it.frame.ccd_temp_c for it in frames),
        gain_e_per_adu=camera.gain_e_per_adu or _median(it.frame.gain_e_per_adu for it in frames),
        parts=tuple(
            (name, statistics.median(level for level, _ in own), statistics.median(noise for _, noise in own))
            for name, own in sorted(by_part.items())
        ),
    )


def _median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
