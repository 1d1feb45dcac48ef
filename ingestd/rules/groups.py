"""Which frames belong together: groups by kind, clusters of temperature and exposure, the members of a night's masters.

Masters are a function of the catalogue: for each group and each night that brought frames to it, the newest good frames
up to the end of that night within the window. Nothing here depends on the order in which frames are given.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

from ingestd.records import FrameRecord, Group, Kind
from ingestd.rules import cards
from ingestd.rules.clusters import clusters, exposure_tolerance_s
from ingestd.settings import DarkMatching, KindMatching, MasterRule, Matching

CLUSTER_TEMP_C = 0.5
"""Largest gap of temperature inside a cluster: above the 0.414-0.424 C step of common cameras, far below 5 C."""

CLUSTER_EXPOSURE_S, CLUSTER_EXPOSURE_RATIO = 0.05, 0.01
"""Largest gap of exposure inside a cluster: the larger of a time and a part of the exposure."""

GRADES = ("green", "yellow", "orange", "red")
"""Grades of a master, best first."""

GREEN_AGE_D, YELLOW_AGE_D, ORANGE_AGE_D = 3, 7, 30
"""Greatest age of a grade in thirtieths of the validity: days (BlackBOX) for flats, which are valid for 30."""

_WORST = len(GRADES) - 1
_RANKS = {grade: rank for rank, grade in enumerate(GRADES)}


def group_of(frame: FrameRecord) -> Group:
    """Return the group of a frame: camera, kind, configuration, and the filter if it is a flat."""
    filter_name = frame.filter_name if frame.kind is Kind.FLAT else None
    return Group(frame.camera, frame.kind, frame.configuration.key(), filter_name)


def light_of(frame: FrameRecord) -> str:
    """Return the light of a flat, ``twilight`` or ``dome``; one that does not say is of the dome, or a panel's."""
    return "twilight" if frame.label == "skyflat" else "dome"


def by_light(frames: Sequence[FrameRecord], flats: str) -> list[list[FrameRecord]]:
    """Return the flats that a camera asks for, those of each light apart: any, dome, twilight, combined (of both)."""
    if flats == "any":
        return [list(frames)]
    lights = ("dome", "twilight") if flats == "combined" else (flats,)
    return [[frame for frame in frames if light_of(frame) == light] for light in lights]


# --- nights -----------------------------------------------------------------------------------------------------------


def night_groups(number: int) -> str:
    """Return groups counted by their nights, in words: a night with biases and flats of two filters has three."""
    return f"{number} group{'' if number == 1 else 's'} of a night's calibration frames"


def night_number(night: str) -> int:
    """Return the number of a night (ISO date), such that consecutive nights differ by 1."""
    return date.fromisoformat(night).toordinal()


def night_before(night: str, days: float) -> str:
    """Return the ISO date that lies so many days before a night; a part of a day does not count."""
    return date.fromordinal(max(1, night_number(night) - int(days))).isoformat()


def night_of(time: datetime, longitude_deg: float | None) -> str:
    """Return the night that a time belongs to: it begins at noon, local mean time; without a longitude noon UTC."""
    return (time + timedelta(hours=(longitude_deg or 0.0) / 15.0 - 12.0)).date().isoformat()


def end_of_night(night: str, longitude_deg: float | None) -> datetime:
    """Return when a night (ISO date) ends: the noon after it, local mean time."""
    midnight = datetime.combine(date.fromisoformat(night) + timedelta(days=1), datetime.min.time(), UTC)
    return midnight + timedelta(hours=12.0 - (longitude_deg or 0.0) / 15.0)


# --- the members of a master ------------------------------------------------------------------------------------------


def select_members(
    frames: Iterable[FrameRecord], night: str, rule: MasterRule, matching: Matching, kind: Kind, flats: str = "any"
) -> list[tuple[FrameRecord, ...]]:
    """Return the members of each master of a night.

    Given the usable frames of one group, return for each cluster that the night brought frames to, and that has enough
    of them, the newest ones up to the end of the night. Biases cluster by temperature, darks by exposure and within an
    exposure by temperature, flats by their light where the camera asks for one. Flats to be combined of both lights are
    one cluster, of which each light has its own newest frames; if there are too few of one, the other stands alone.

    Parameters
    ----------
    frames : iterable of FrameRecord
        Of one group, in any order. Frames outside ``[night - window_d, night]`` or without a time are left out.
    night : str
        ISO date of the night whose masters are wanted.
    rule : MasterRule
        Window, minimum and maximum of this kind.
    matching : Matching
        A tolerance below that of the clusters makes the clusters narrower; a larger one never merges them.
    kind : Kind
        Of the group.
    flats : str
        What the camera makes flats of: any, dome, twilight, combined.

    Returns
    -------
    list of tuple of FrameRecord
        One tuple for each master, from the lowest exposure and temperature up; members by ``frame_id``.
    """
    first_night = night_before(night, rule.window_d)
    usable = [frame for frame in frames if frame.night is not None and first_night <= frame.night <= night]
    dated = sorted((frame for frame in usable if frame.obs_start is not None), key=_age_order)
    found = []
    for cluster in _clusters_of(dated, matching, kind):
        newest = _newest(cluster, rule, flats if kind is Kind.FLAT else "any")
        if any(frame.night == night for frame in newest):
            found.append(tuple(sorted(newest, key=lambda frame: frame.frame_id)))
    return found


def _newest(cluster: list[FrameRecord], rule: MasterRule, flats: str) -> list[FrameRecord]:
    """Return the newest frames of a cluster, and of flats those of the lights that are asked for; none if too few."""
    if flats == "any":
        newest = cluster[-rule.maximum :]
        return newest if len(newest) >= rule.minimum else []
    return [frame for own in by_light(cluster, flats) for frame in _newest(own, rule, "any")]


def _age_order(frame: FrameRecord) -> tuple[datetime, str]:
    """Order frames from old to new."""
    return _obs_start(frame), frame.frame_id


def _clusters_of(frames: list[FrameRecord], matching: Matching, kind: Kind) -> list[list[FrameRecord]]:
    """Return the clusters of the frames of one group; the order inside a cluster is that of the frames."""
    table: KindMatching = {Kind.BIAS: matching.bias, Kind.DARK: matching.dark, Kind.FLAT: matching.flat}[kind]
    alike = cards.alike(frames, lambda frame: frame.cards, table)
    if kind is Kind.FLAT:
        return alike
    if kind is Kind.BIAS:
        tolerance_c = min(CLUSTER_TEMP_C, matching.bias.max_delta_temp_c)
        return [cluster for part in alike for cluster in _by_temperature(part, tolerance_c)]
    tolerance_c = min(CLUSTER_TEMP_C, matching.dark.max_delta_temp_c)
    return [
        cluster
        for part in alike
        for exposure in _by_exposure(part, matching)
        for cluster in _by_temperature(exposure, tolerance_c)
    ]


def exposure_reach(limits: DarkMatching) -> Callable[[float], float]:
    """Return how far exposures of one cluster may be apart: as equal ones, but no further than clusters reach."""
    narrow = replace(
        limits,
        exposure_tolerance_s=min(CLUSTER_EXPOSURE_S, limits.exposure_tolerance_s),
        exposure_tolerance_ratio=min(CLUSTER_EXPOSURE_RATIO, limits.exposure_tolerance_ratio),
    )
    return partial(exposure_tolerance_s, limits=narrow)


def _by_exposure(frames: list[FrameRecord], matching: Matching) -> list[list[FrameRecord]]:
    """Return the exposure clusters of darks."""
    found = clusters([frame.exposure_s for frame in frames], exposure_reach(matching.dark))
    return [[frames[i] for i in cluster] for cluster in found]


def _by_temperature(frames: list[FrameRecord], tolerance_c: float) -> list[list[FrameRecord]]:
    """Return the temperature clusters of frames."""
    found = clusters([frame.ccd_temp_c for frame in frames], tolerance_c)
    return [[frames[i] for i in cluster] for cluster in found]


def master_conditions(members: Iterable[FrameRecord]) -> tuple[float | None, float | None, datetime, datetime]:
    """Return the conditions that a master stands for.

    Returns
    -------
    exposure_s : float or None, second
        Median of the members that have one.
    ccd_temp_c : float or None, degree Celsius
        Likewise.
    first_obs, last_obs : datetime
        Earliest and latest start of a member.

    Raises
    ------
    ValueError
        If there is no member, or one has no time.
    """
    frames = list(members)
    starts = [_obs_start(frame) for frame in frames]
    exposure_s = _median(frame.exposure_s for frame in frames)
    ccd_temp_c = _median(frame.ccd_temp_c for frame in frames)
    return exposure_s, ccd_temp_c, min(starts), max(starts)


def _median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _obs_start(frame: FrameRecord) -> datetime:
    """Return when a frame that has a time was begun."""
    if frame.obs_start is None:
        raise ValueError(f"frame {frame.frame_id} has no observation time: it cannot be a member of a master")
    return frame.obs_start


# --- grades -----------------------------------------------------------------------------------------------------------


def grade(member_count: int, rule: MasterRule) -> str:
    """Return the grade of a master by the number of its members; below the minimum of its rule it is red.

    By default 10, 5 and 3: N of them raise the noise of a frame by the factor sqrt(1 + 1/N), that is 5, 10 and 15 %.
    """
    if member_count < rule.minimum:
        return GRADES[-1]
    return next(
        (name for name, fewest in zip(GRADES, rule.grade_members, strict=False) if member_count >= fewest), "red"
    )


def age_grade(age_h: float, valid_d: float, oldest_d: Sequence[float] = ()) -> str:
    """Return the grade of a master by its age in hours at the frame.

    ``oldest_d`` are the greatest ages of green, yellow and orange in days; without them 3, 7 and 30 thirtieths of the
    validity in days.
    """
    age_d = age_h / 24
    if oldest_d:
        return next((name for name, oldest in zip(GRADES, oldest_d, strict=False) if age_d <= oldest), "red")
    age = age_d * ORANGE_AGE_D
    if age > ORANGE_AGE_D * valid_d:
        return "red"
    if age > YELLOW_AGE_D * valid_d:
        return "orange"
    return "yellow" if age > GREEN_AGE_D * valid_d else "green"


def grade_rank(name: str) -> int:
    """Return the rank of a grade, 0 for the best; an unknown word counts as the worst."""
    return _RANKS.get(name, _WORST)


def worse_grade(first: str, second: str) -> str:
    """Return the worse of two grades."""
    return GRADES[max(grade_rank(first), grade_rank(second))]
