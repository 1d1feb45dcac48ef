"""Which frames belong together: groups by kind, clusters of temperature and exposure, the members of a night's masters.

Masters are a function of the catalogue: for each group and each night that brought frames to it, the newest good frames
up to the end of that night within the window. Nothing here depends on the order in which frames are given.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta

from ingestd.records import FrameRecord, Group, Kind
from ingestd.settings import MasterRule, Matching

CLUSTER_TEMP_C = 0.5
"""Largest gap of temperature inside a cluster: above the 0.414-0.424 C step of common cameras, far below 5 C."""

CLUSTER_EXPOSURE_S, CLUSTER_EXPOSURE_RATIO = 0.05, 0.01
"""Largest gap of exposure inside a cluster: the larger of a time and a part of the exposure."""

GRADES = ("green", "yellow", "orange", "red")
"""Grades of a master, best first."""

GREEN_MEMBERS, YELLOW_MEMBERS, ORANGE_MEMBERS = 10, 5, 3
"""Fewest members of a grade: N of them raise the noise of a frame by the factor sqrt(1 + 1/N): 5 %, 10 %, 15 %."""

GREEN_AGE_D, YELLOW_AGE_D, ORANGE_AGE_D = 3, 7, 30
"""Greatest age of a grade in days (BlackBOX), for a validity of 30 days; in proportion for any other."""

_WORST = len(GRADES) - 1
_RANKS = {grade: rank for rank, grade in enumerate(GRADES)}


def group_of(frame: FrameRecord) -> Group:
    """Return the group of a frame: camera, kind, configuration, and the filter if it is a flat."""
    filter_name = frame.filter_name if frame.kind is Kind.FLAT else None
    return Group(frame.camera, frame.kind, frame.configuration.key(), filter_name)


# --- nights -----------------------------------------------------------------------------------------------------------


def night_number(night: str) -> int:
    """Return the number of a night (ISO date), such that consecutive nights differ by 1."""
    return date.fromisoformat(night).toordinal()


def night_before(night: str, days: float) -> str:
    """Return the ISO date that lies so many days before a night; a part of a day does not count."""
    return date.fromordinal(max(1, night_number(night) - int(days))).isoformat()


def night_of(time: datetime, longitude_deg: float | None) -> str:
    """Return the night that a time belongs to: it begins at noon, local mean time; without a longitude noon UTC."""
    return (time + timedelta(hours=(longitude_deg or 0.0) / 15.0 - 12.0)).date().isoformat()


# --- clusters ---------------------------------------------------------------------------------------------------------


def distance(first: float, second: float) -> float:
    """Return the absolute difference of two values, rounded to 1e-6.

    Values come from decimal cards: -9.6 and -10.1 are 0.5 apart, not 0.5 and the rounding error of binary numbers.
    """
    return round(abs(first - second), 6)


def exposure_tolerance_s(exposure_s: float, tolerance_s: float, tolerance_ratio: float) -> float:
    """Return how far an exposure may be from this one to be the same, in seconds."""
    return round(max(tolerance_s, tolerance_ratio * exposure_s), 6)


def clusters(
    values: Sequence[float | None], tolerance: float | Callable[[float], float]
) -> tuple[tuple[int, ...], ...]:
    """Return the clusters of values, each as the indices of its values.

    In the sorted values a new cluster starts where the gap exceeds the tolerance; a cluster wider than two tolerances
    is split at its largest gap, and its parts likewise. Of equal largest gaps the one nearest to the middle of the
    cluster counts, so that a steady drift is halved and does not lose one value after the other; of those the lower.

    Parameters
    ----------
    values : sequence of float or None
        Finite. None is a value of its own.
    tolerance : float or callable
        A function is given the lower value of a gap, and the lowest value of a cluster for its width.

    Returns
    -------
    tuple of tuple of int
        From the lowest cluster to the highest, None last; indices ascending.
    """
    reach = tolerance if callable(tolerance) else lambda _: tolerance
    indices: dict[float | None, list[int]] = {}
    for index, value in enumerate(values):
        indices.setdefault(value, []).append(index)
    levels = sorted(value for value in indices if value is not None)
    found = [sorted(i for level in part for i in indices[level]) for part in _split(levels, reach)]
    if None in indices:
        found.append(indices[None])
    return tuple(tuple(cluster) for cluster in found)


def _split(levels: Sequence[float], reach: Callable[[float], float]) -> list[Sequence[float]]:
    """Return sorted distinct values as clusters, lowest first."""
    edges = [i for i in range(1, len(levels)) if distance(levels[i], levels[i - 1]) > reach(levels[i - 1])]
    bounds = [0, *edges, len(levels)]
    waiting = [levels[low:high] for low, high in itertools.pairwise(bounds) if high > low]
    waiting.reverse()
    found = []
    while waiting:
        cluster = waiting.pop()
        if distance(cluster[-1], cluster[0]) <= 2 * reach(cluster[0]):
            found.append(cluster)
        else:
            cut = _largest_gap(cluster)
            waiting += [cluster[cut:], cluster[:cut]]
    return found


def _largest_gap(cluster: Sequence[float]) -> int:
    """Return the index of the value above the largest gap: of equal gaps the one nearest to the middle, then lower."""
    middle = (cluster[0] + cluster[-1]) / 2

    def order(i: int) -> tuple[float, float]:
        return -distance(cluster[i], cluster[i - 1]), distance((cluster[i] + cluster[i - 1]) / 2, middle)

    return min(range(1, len(cluster)), key=order)


# --- the members of a master ------------------------------------------------------------------------------------------


def select_members(
    frames: Iterable[FrameRecord], night: str, rule: MasterRule, matching: Matching, kind: Kind
) -> list[tuple[FrameRecord, ...]]:
    """Return the members of each master of a night.

    Given the usable frames of one group, return for each cluster that the night brought frames to, and that has enough
    of them, the newest ones up to the end of the night. Biases cluster by temperature, darks by exposure and within an
    exposure by temperature, flats not at all.

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
        newest = cluster[-rule.maximum :]
        if len(newest) >= rule.minimum and any(frame.night == night for frame in newest):
            found.append(tuple(sorted(newest, key=lambda frame: frame.frame_id)))
    return found


def _age_order(frame: FrameRecord) -> tuple[datetime, str]:
    """Order frames from old to new."""
    return _obs_start(frame), frame.frame_id


def _clusters_of(frames: list[FrameRecord], matching: Matching, kind: Kind) -> list[list[FrameRecord]]:
    """Return the clusters of the frames of one group; the order inside a cluster is that of the frames."""
    if kind is Kind.FLAT:
        return [frames]
    if kind is Kind.BIAS:
        return _by_temperature(frames, min(CLUSTER_TEMP_C, matching.bias.max_delta_temp_c))
    tolerance_s = min(CLUSTER_EXPOSURE_S, matching.dark.exposure_tolerance_s)
    tolerance_ratio = min(CLUSTER_EXPOSURE_RATIO, matching.dark.exposure_tolerance_ratio)
    exposures = clusters(
        [frame.exposure_s for frame in frames],
        lambda exposure_s: exposure_tolerance_s(exposure_s, tolerance_s, tolerance_ratio),
    )
    tolerance_c = min(CLUSTER_TEMP_C, matching.dark.max_delta_temp_c)
    return [
        cluster for exposure in exposures for cluster in _by_temperature([frames[i] for i in exposure], tolerance_c)
    ]


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
    """Return the grade of a master by the number of its members; below the minimum of its rule it is red."""
    if member_count < max(rule.minimum, ORANGE_MEMBERS):
        return "red"
    if member_count >= GREEN_MEMBERS:
        return "green"
    return "yellow" if member_count >= YELLOW_MEMBERS else "orange"


def age_grade(age_h: float, valid_d: float) -> str:
    """Return the grade of a master by its age in hours at the frame, in proportion to its validity in days."""
    age = age_h / 24 * ORANGE_AGE_D
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
