"""Which masters tell the bad pixels of a camera, and which told them in the nights before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ingestd.records import Break, Kind, Master
from ingestd.rules.breaks import crossed
from ingestd.rules.clusters import exposure_tolerance_s, is_near
from ingestd.settings import DarkMatching

SetUp = tuple[str, str]
"""Camera and configuration."""

History = tuple[Master, ...]
"""Masters of one kind and filter, one of each night, the newest first."""


def telling(
    masters: Iterable[Master],
    rule_of: Callable[[str], DarkMatching],
    breaks_of: Callable[[str, str], Iterable[Break]],
    nights: int,
) -> dict[SetUp, tuple[History, ...]]:
    """Return the masters that tell the bad pixels of each set-up, by camera and configuration.

    The newest bias (noisy pixels); of the newest night with darks the dark of the longest exposure (hot pixels: a rate
    shows best there); the newest flat of every filter (dead and low pixels). Behind each stand those of the nights
    before and of the same hardware epoch; darks only of equal exposure and temperature, for others call other pixels
    hot. Equally new ones by address.

    Parameters
    ----------
    masters : iterable of Master
        Those in force, in any order.
    rule_of : callable
        Camera -> what its darks may differ by.
    breaks_of : callable
        Camera and configuration -> the breaks between its hardware epochs.
    nights : int
        Length of a history at most, 1 for the newest master only.
    """
    kinds: dict[tuple[str, str, str], list[Master]] = {}
    for master in masters:
        key = (master.camera, master.configuration, f"{master.kind} {master.filter_name or ''}")
        kinds.setdefault(key, []).append(master)
    found: dict[SetUp, tuple[History, ...]] = {}
    for (camera, configuration, _), own in sorted(kinds.items()):
        newest, *others = sorted(own, key=_precedence, reverse=True)
        breaks = tuple(breaks_of(camera, configuration))
        by_night = {newest.night: newest}
        for master in others:
            if crossed(breaks, master.night, newest.night) is None and _tell_the_same(master, newest, rule_of(camera)):
                by_night.setdefault(master.night, master)
        history = tuple(by_night.values())[:nights]
        found[camera, configuration] = (*found.get((camera, configuration), ()), history)
    return found


def _precedence(master: Master) -> tuple[str, float, str, str]:
    """Order masters of one kind and filter: the one that counts is the last."""
    exposure_s = master.exposure_s or 0.0 if master.kind is Kind.DARK else 0.0
    return master.night, exposure_s, master.last_obs.isoformat(), master.master_id


def _tell_the_same(master: Master, newest: Master, rule: DarkMatching) -> bool:
    """Return whether the same sensor has the same bad pixels in both."""
    if newest.kind is not Kind.DARK:
        return True
    reach_s = exposure_tolerance_s(newest.exposure_s, rule)
    is_as_long = is_near(master.exposure_s or 0.0, newest.exposure_s or 0.0, reach_s)
    return is_as_long and is_near(master.ccd_temp_c, newest.ccd_temp_c, rule.max_delta_temp_c)
