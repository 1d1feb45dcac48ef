"""Science frames that need the same calibrations: temperatures and exposures cluster as those of darks do."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from ingestd.records import CALIBRATION_KINDS, ScienceUse
from ingestd.rules import cards, clusters, groups
from ingestd.rules.coverage.values import Combination
from ingestd.settings import Settings


def combinations(uses: Sequence[ScienceUse], settings: Settings) -> tuple[Combination, ...]:
    """Return the combinations of science frames, by camera, configuration and conditions.

    The conditions of a cluster are the medians of its frames, in all filters, so that filters share darks. Of header
    cards that the rules name, the newest frame's stand for all.
    """
    found = []
    for instrument in _instruments(uses, settings):
        rules = settings.rules_of(instrument[0].camera).matching
        for ccd_temp_c, warm in _clusters(instrument, "ccd_temp_c", groups.CLUSTER_TEMP_C):
            for exposure_s, equal in _clusters(warm, "exposure_s", groups.exposure_reach(rules.dark)):
                for same in _parts(equal, lambda use: (use.filter_name or "",)):
                    newest = max(same, key=lambda use: (use.newest, use.frame_id))
                    found.append(
                        Combination(
                            camera=newest.camera,
                            configuration=newest.configuration,
                            ccd_temp_c=ccd_temp_c,
                            exposure_s=exposure_s,
                            filter_name=newest.filter_name,
                            frames=sum(use.frames for use in same),
                            newest=newest.newest,
                            example=newest.frame_id,
                        )
                    )
    return tuple(found)


def _instruments(uses: Sequence[ScienceUse], settings: Settings) -> Iterator[list[ScienceUse]]:
    """Yield uses of one camera, one configuration and the same header cards, as far as the rules of any kind look."""
    for instrument in _parts(uses, lambda use: (use.camera, use.configuration)):
        parts, rules = [instrument], settings.rules_of(instrument[0].camera)
        for kind in CALIBRATION_KINDS:
            parts = [same for part in parts for same in cards.alike(part, lambda use: use.cards, rules.match(kind))]
        yield from parts


def _parts(uses: Sequence[ScienceUse], key: Callable[[ScienceUse], tuple[str, ...]]) -> list[list[ScienceUse]]:
    """Return uses with equal keys together, in the order of the keys."""
    return [list(members) for _, members in itertools.groupby(sorted(uses, key=key), key)]


def _clusters(
    uses: Sequence[ScienceUse], field: str, tolerance: float | Callable[[float], float]
) -> Iterator[tuple[float | None, list[ScienceUse]]]:
    """Yield uses by clusters of their temperature or exposure, each with the median over its frames.

    Of an even number it is the mean of the middle two for a temperature, the lower for an exposure: one that was taken.
    """
    median = statistics.median_low if field == "exposure_s" else statistics.median
    value_of = attrgetter(field)
    for cluster in clusters.clusters([value_of(use) for use in uses], tolerance):
        members = [uses[index] for index in cluster]
        known = [value_of(use) for use in members for _ in range(use.frames) if value_of(use) is not None]
        yield (median(known) if known else None), members
