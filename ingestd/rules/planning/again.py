"""Why a frame is to be reduced once more, and until when that waits.

The choice of masters depends on nothing but the catalogue, the decisions and the settings; what is said here only
delays a reduction, so the last one always happens and ends with the same bytes in whatever order the frames came.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestd.records import CALIBRATION_KINDS, FormerProduct, FrameRecord, MasterInput, UsedMaster
from ingestd.rules import groups
from ingestd.settings import Reduction

_RANKS = {"exact": 0, "noise_only": 0, "nearest": 0, "bias_only": 0, "scaled_down": 1, "scaled_up": 2}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a frame is reduced once more, in words; one that is not ``urgent`` waits until the night is over."""

    words: str
    urgent: bool = True


def reasons(
    former: FormerProduct,
    masters: Sequence[MasterInput],
    doubt: str,
    limits: Reduction,
    foreign: Collection[str] = (),
) -> tuple[Reason, ...]:
    """Return what is better, or other, with these masters than in the former product; never nothing.

    ``doubt`` says why these masters may be of other hardware than the frame, or nothing. ``foreign`` are the masters
    that hold frames of another hardware epoch than that of the frame.
    """
    old = {it.kind: it for it in former.masters}
    new = {it.kind: it for it in masters}
    found = [
        _reason(old.get(kind), new.get(kind), limits, foreign)
        for kind in CALIBRATION_KINDS
        if _identity(old.get(kind)) != _identity(new.get(kind))
    ]
    if doubt != former.doubt:
        found.append(Reason("a new doubt about the hardware" if doubt else "no doubt about the hardware any more"))
    return tuple(found) or (Reason("gain, settings or arithmetic changed"),)


def wait_until(
    former: FormerProduct,
    found: Sequence[Reason],
    frame: FrameRecord,
    now: datetime,
    limits: Reduction,
    longitude_deg: float | None,
) -> datetime | None:
    """Return when a frame may be reduced once more, None for at once; a clock that was set back holds nobody up."""
    night = groups.night_of(now, longitude_deg)
    is_tonight = frame.night == night and frame.obs_start is not None and frame.obs_start <= now
    if is_tonight and not any(reason.urgent for reason in found):
        return groups.end_of_night(night, longitude_deg)
    until = former.made_at + timedelta(seconds=limits.again_s)
    return until if former.made_at <= now < until else None


def _identity(master: UsedMaster | MasterInput | None) -> tuple[str, str] | None:
    """Return which master is used, and how."""
    return None if master is None else (master.master_id, master.how)


def _reason(old: UsedMaster | None, new: MasterInput | None, limits: Reduction, foreign: Collection[str]) -> Reason:
    """Return what one kind of master gives."""
    if new is None:
        assert old is not None  # noqa: S101 - they differ
        return Reason(f"{old.kind.value} {old.master_id[:8]} no longer used")
    kind = new.kind.value
    if old is None:
        return Reason(f"{kind} {new.master_id[:8]} was missing")
    which = f"{kind} {new.master_id[:8]} instead of {old.master_id[:8]}"
    if old.is_withdrawn:
        return Reason(f"{which}, which is red, was rejected or holds a frame that is kept out")
    if old.master_id in foreign:
        return Reason(f"{which}, which holds frames of another hardware epoch")
    if _RANKS[new.how] != _RANKS[old.how]:
        return Reason(f"{which}: {new.how.replace('_', ' ')} instead of {old.how.replace('_', ' ')}")
    return _nearer(which, old, new, limits)


def _nearer(which: str, old: UsedMaster, new: MasterInput, limits: Reduction) -> Reason:
    """Return how much nearer a master is that is used as the former one was."""
    if old.delta_temp_c is not None and new.delta_temp_c is not None:
        closer_c = round(abs(old.delta_temp_c) - abs(new.delta_temp_c), 6)
        if closer_c > limits.closer_c:
            return Reason(f"{which}: closer in temperature by {closer_c:.4g} C")
    nearer_h = round(old.age_h - new.age_h, 6)
    if nearer_h > limits.nearer_h:
        return Reason(f"{which}: nearer in time by {nearer_h:.4g} h")
    return Reason(f"{which}: preferred now, hardly nearer", urgent=False)
