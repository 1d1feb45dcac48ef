"""Which masters tell the bad pixels of a camera."""

from __future__ import annotations

from collections.abc import Iterable

from ingestd.records import Kind, Master

SetUp = tuple[str, str]
"""Camera and configuration."""


def telling(masters: Iterable[Master]) -> dict[SetUp, tuple[Master, ...]]:
    """Return the masters that tell the bad pixels of each set-up, by camera and configuration.

    The newest bias (noisy pixels); of the newest night with darks the dark of the longest exposure (hot pixels: a rate
    shows best there); the newest flat of every filter (dead and low pixels). Equally new ones by address.

    Parameters
    ----------
    masters : iterable of Master
        Those in force, in any order.
    """
    newest: dict[tuple[str, str, str], Master] = {}
    for master in masters:
        key = (master.camera, master.configuration, f"{master.kind} {master.filter_name or ''}")
        newest[key] = max(newest.get(key, master), master, key=_precedence)
    found: dict[SetUp, tuple[Master, ...]] = {}
    for (camera, configuration, _), master in sorted(newest.items()):
        found[camera, configuration] = (*found.get((camera, configuration), ()), master)
    return found


def _precedence(master: Master) -> tuple[str, float, str, str]:
    """Order masters of one kind and filter: the one that counts is the last."""
    exposure_s = master.exposure_s or 0.0 if master.kind is Kind.DARK else 0.0
    return master.night, exposure_s, master.last_obs.isoformat(), master.master_id
