"""Values that belong together: temperatures, exposures and other numbers of headers, angles among them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from ingestd.settings import DarkMatching


def distance(first: float, second: float) -> float:
    """Return the absolute difference of two values, rounded to 1e-6.

    Values come from decimal cards: -9.6 and -10.1 are 0.5 apart, not 0.5 and the rounding error of binary numbers.
    """
    return round(abs(first - second), 6)


def is_near(first: float | None, second: float | None, tolerance: float) -> bool:
    """Return whether two values are equal within a tolerance; no value is near no value."""
    if first is None or second is None:
        return first is second
    return distance(first, second) <= tolerance


def exposure_tolerance_s(exposure_s: float | None, limits: DarkMatching) -> float:
    """Return how far an exposure may be from this one to be the same, in seconds; one that is unknown counts as 0."""
    return round(max(limits.exposure_tolerance_s, limits.exposure_tolerance_ratio * (exposure_s or 0.0)), 6)


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
        """Put the largest gap first, of equal ones that nearest to the middle."""
        return -distance(cluster[i], cluster[i - 1]), distance((cluster[i] + cluster[i - 1]) / 2, middle)

    return min(range(1, len(cluster)), key=order)


# --- numbers that begin again -----------------------------------------------------------------------------------------


def apart(first: float, second: float, period: float | None = None) -> float:
    """Return the distance of two numbers; where they begin again after a period, the shorter way round."""
    if period is None:
        return distance(first, second)
    way = (first - second) % period
    return round(min(way, period - way), 6)


def unrolled(values: Sequence[float | None], period: float | None) -> list[float | None]:
    """Return numbers that begin again after a period as numbers on a line, cut open at the largest gap.

    Those above the gap are lowered by a period: 359 and 1 degree become -1 and 1. Of equal gaps that at 0 counts, then
    the lowest.
    """
    if period is None:
        return list(values)
    levels = sorted({value % period for value in values if value is not None})
    gaps = [distance(high, low) for low, high in itertools.pairwise(levels)]
    if not gaps or distance(levels[0] + period, levels[-1]) >= max(gaps):
        cut = period
    else:
        cut = levels[gaps.index(max(gaps)) + 1]
    return [None if it is None else it % period - (period if it % period >= cut else 0.0) for it in values]
