"""One candidate field by field: the values of frame and master, how far apart they are, how far they may be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ingestd.records import FieldVerdict, Kind
from ingestd.rules import breaks, cards
from ingestd.rules.clusters import exposure_tolerance_s
from ingestd.rules.matching.limits import Limits, Subject
from ingestd.rules.matching.verdicts import Miss, Verdict

_EXPOSURE_MISSES = {Miss.EXPOSURE_UNKNOWN, Miss.POLICY, Miss.SCALE_DOWN, Miss.SCALE_UP}


def field_verdicts(subject: Subject, limits: Limits, verdict: Verdict) -> tuple[FieldVerdict, ...]:
    """Return how each field that the rules of a kind look at compares; camera and configuration only where they differ.

    Times are those of the ends that are nearest to each other; their difference is in hours.
    """
    return (
        *_identity(subject, limits, verdict),
        *_temperature(subject, limits, verdict),
        *_exposure(subject, limits, verdict),
        *(FieldVerdict(*it) for it in _cards(subject, limits, verdict)),
        *_times(subject, verdict),
        *_epoch(subject, verdict),
    )


def _identity(subject: Subject, limits: Limits, verdict: Verdict) -> Iterator[FieldVerdict]:
    """Yield what must be equal."""
    master, misses = verdict.master, verdict.misses
    if Miss.CAMERA in misses:
        yield FieldVerdict("camera", subject.camera, master.camera, None, None, fits=False)
    if master.configuration != subject.configuration:
        fits = Miss.CONFIGURATION not in misses and Miss.WINDOW not in misses
        yield FieldVerdict("configuration", subject.configuration, master.configuration, None, None, fits)
    if limits.kind is Kind.FLAT:
        fits = Miss.FILTER not in misses
        yield FieldVerdict("filter_name", subject.filter_name, master.filter_name, None, None, fits)


def _temperature(subject: Subject, limits: Limits, verdict: Verdict) -> Iterator[FieldVerdict]:
    """Yield the temperature."""
    fits = Miss.TEMPERATURE not in verdict.misses and Miss.TEMPERATURE_UNKNOWN not in verdict.misses
    values = (subject.ccd_temp_c, verdict.master.ccd_temp_c, verdict.delta_temp_c, limits.max_delta_temp_c)
    yield FieldVerdict("ccd_temp_c", *values, fits)


def _exposure(subject: Subject, limits: Limits, verdict: Verdict) -> Iterator[FieldVerdict]:
    """Yield the exposure of a dark; where it may be scaled, the tolerance is the range of the factor."""
    rule = limits.dark
    if rule is None:
        return
    wanted_s, dark_s = subject.exposure_s, verdict.master.exposure_s
    is_known = wanted_s is not None and dark_s is not None
    difference = round(wanted_s - dark_s, 6) if wanted_s is not None and dark_s is not None else None
    tolerance: float | str | None = None
    if is_known and verdict.how == "exact":
        tolerance = exposure_tolerance_s(wanted_s, rule)
    elif is_known and limits.policy.scalable:
        tolerance = f"factor {1 / rule.max_scale_down:g} to {rule.max_scale_up:g}"
    elif is_known:
        tolerance = "not scaled"
    fits = not _EXPOSURE_MISSES & set(verdict.misses)
    yield FieldVerdict("exposure_s", wanted_s, dark_s, difference, tolerance, fits)


def _cards(subject: Subject, limits: Limits, verdict: Verdict) -> Iterator[cards.Compared]:
    """Yield the header cards that the rules name."""
    return cards.compared(subject.cards, verdict.master.cards, limits.table)


def _times(subject: Subject, verdict: Verdict) -> Iterator[FieldVerdict]:
    """Yield the time, and the range that an operator gave."""
    master = verdict.master
    is_after = subject.first_obs > master.last_obs
    frame, end = (subject.first_obs, master.last_obs) if is_after else (subject.last_obs, master.first_obs)
    fits = Miss.AGE not in verdict.misses
    yield FieldVerdict(
        "obs_start", _iso(frame), _iso(end), round(verdict.age_h, 6),
        24 * verdict.valid_d, fits,
    )  # fmt: skip
    if master.valid_from is not None or master.valid_until is not None:
        ends = (master.valid_from, master.valid_until)
        words = "/".join("" if it is None else _iso(it) for it in ends)
        yield FieldVerdict("valid_range", _iso(frame), words, None, None, Miss.RANGE not in verdict.misses)


def _epoch(subject: Subject, verdict: Verdict) -> Iterator[FieldVerdict]:
    """Yield the first nights of the hardware epochs, where the camera has more than one."""
    if any(it.is_open for it in subject.breaks):
        nights = (subject.night or "", verdict.master.night)
        own, other = (breaks.first_night(subject.breaks, night) or None for night in nights)
        yield FieldVerdict("epoch", own, other, None, None, Miss.EPOCH not in verdict.misses)


def _iso(time: datetime) -> str:
    """Return a time to the second."""
    return time.isoformat(timespec="seconds")[:19]
