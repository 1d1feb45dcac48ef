"""One master judged for one subject: its distances, what it misses, and its place in the order of choosing.

The order: masters that fit before those that do not; then what an operator pinned; then dark-policy rank (exact, scaled
down, scaled up), the frame's own window before one cut out of a larger one, grade, time, temperature, exposure, more
members, earlier, SHA-256. Those that do not fit are ordered by how little they miss.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from ingestd.records import FrameRecord, Kind, Master, Section
from ingestd.rules import windows
from ingestd.rules.groups import age_grade, distance, exposure_tolerance_s, grade_rank, worse_grade
from ingestd.settings import Camera, DarkMatching, Settings

MAX_CANDIDATES = 20
"""How many masters of a kind are kept in the record of a choice, best first."""

_HOUR = timedelta(hours=1)
_HOW_RANKS = {"nearest": 0, "exact": 0, "scaled_down": 1, "scaled_up": 2}
_FAR = 1e9
"""Stands for a distance that cannot be measured; finite, so that sums stay ordered."""

_SIEVE = 1e-5
"""Slack of the coarse sieve: above the 1e-6 to which differences are rounded."""


class Miss(StrEnum):
    """Why a master does not fit."""

    CAMERA = "camera"
    CONFIGURATION = "configuration"
    WINDOW = "window"
    FILTER = "filter"
    TEMPERATURE_UNKNOWN = "temperature_unknown"
    TEMPERATURE = "temperature"
    AGE = "age"
    EXPOSURE_UNKNOWN = "exposure_unknown"
    POLICY = "policy"
    SCALE_DOWN = "scale_down"
    SCALE_UP = "scale_up"
    NO_BIAS = "no_bias"


class DarkPolicy(NamedTuple):
    """Whether darks of a camera may be scaled to another exposure, and the card or setting that says so."""

    scalable: bool
    reason: str


_NO_DARK = DarkPolicy(scalable=False, reason="not a dark")


def dark_policy(frame: FrameRecord, camera: Camera) -> DarkPolicy:
    """Return the dark policy for a frame.

    ``auto`` means exact darks only where the header has a gain setting or an offset, which CMOS drivers write (their
    amplifier glow does not scale), and otherwise scalable ones.
    """
    if camera.dark_policy != "auto":
        return DarkPolicy(camera.dark_policy == "scalable", f'dark_policy = "{camera.dark_policy}" in the settings')
    settings = (
        ("gain_setting", "gain setting", frame.configuration.gain_setting),
        ("offset_setting", "offset setting", frame.configuration.offset_setting),
    )
    for field, words, value in settings:
        if value is not None:
            card = frame.source(field) or "the header"
            return DarkPolicy(scalable=False, reason=f"{words} {value:g} ({card}) is that of a CMOS driver")
    return DarkPolicy(scalable=True, reason="no gain or offset setting in the header")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a master is wanted for: a frame, or a master dark (whose observations have a length)."""

    camera: str
    configuration: str
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    first_obs: datetime
    last_obs: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a master may be from its subject; ``dark`` only for darks, with the policy and whether a bias fits."""

    kind: Kind
    max_delta_temp_c: float | None
    valid_d: float
    dark: DarkMatching | None = None
    policy: DarkPolicy = _NO_DARK
    has_bias: bool = False


def bias_limits(settings: Settings) -> Limits:
    """Return the limits for a master bias."""
    return Limits(Kind.BIAS, settings.matching.bias.max_delta_temp_c, settings.masters.bias.valid_d)


def dark_limits(settings: Settings, policy: DarkPolicy, *, has_bias: bool) -> Limits:
    """Return the limits for a master dark; one that must be scaled needs a bias."""
    dark = settings.matching.dark
    return Limits(Kind.DARK, dark.max_delta_temp_c, settings.masters.dark.valid_d, dark, policy, has_bias)


def flat_limits(settings: Settings) -> Limits:
    """Return the limits for a master flat."""
    return Limits(Kind.FLAT, settings.matching.flat.max_delta_temp_c, settings.masters.flat.valid_d)


Key = tuple[int, float, bool, int, bool, int, float, float, float, int, datetime, datetime, str, str]


class Verdict(NamedTuple):
    """One master judged: ``misses`` is empty if it fits; the smallest ``key`` is the best.

    ``delta_temp_c`` is subject minus master, ``exposure_ratio`` subject over master, ``age_h`` the time between their
    observations, ``grade`` the worse of the master's own and that of its age; ``cut`` is the part of its image that is
    the subject's window, None if it is all of it.
    """

    key: Key
    master: Master
    how: str
    delta_temp_c: float | None
    exposure_ratio: float | None
    age_h: float
    grade: str
    misses: tuple[Miss, ...]
    cut: Section | None = None


def rank(subject: Subject, masters: Iterable[Master], limits: Limits) -> tuple[int, list[Verdict]]:
    """Return the number of masters of the wanted kind, and verdicts on the best of them, best first.

    Masters that fit as they are come before all others, so where there are enough of them the others are not judged.
    """
    wanted = [master for master in masters if master.kind is limits.kind]
    best = _best(subject, _likely(subject, wanted, limits), limits)
    if len(best) < MAX_CANDIDATES or best[-1].misses:
        best = _best(subject, wanted, limits)
    return len(wanted), best


def _best(subject: Subject, masters: list[Master], limits: Limits) -> list[Verdict]:
    """Return verdicts on the best masters, best first."""
    verdicts = [judge(subject, master, limits) for master in masters]
    return heapq.nsmallest(MAX_CANDIDATES, verdicts, key=attrgetter("key"))


def _likely(subject: Subject, masters: list[Master], limits: Limits) -> list[Master]:
    """Return all masters that fit unscaled, those pinned, and perhaps a few others: a coarse and fast sieve."""
    pinned = [it for it in masters if it.is_pinned]
    valid = timedelta(days=limits.valid_d, seconds=1)
    first, last = subject.first_obs, subject.last_obs
    found = [it for it in masters if it.first_obs - last <= valid and first - it.last_obs <= valid]
    if limits.kind is Kind.FLAT:
        found = [it for it in found if it.filter_name == subject.filter_name]
    if limits.max_delta_temp_c is not None:
        found = _near(found, "ccd_temp_c", subject.ccd_temp_c, limits.max_delta_temp_c)
    if limits.dark is not None and subject.exposure_s is not None:
        found = _near(found, "exposure_s", subject.exposure_s, _exposure_tolerance_s(subject.exposure_s, limits.dark))
    return found + [it for it in pinned if it not in found] if pinned else found


def _near(masters: list[Master], field: str, wanted: float | None, tolerance: float) -> list[Master]:
    """Return the masters whose field is near the wanted value, a little beyond the tolerance."""
    value = attrgetter(field)
    if wanted is None:
        return [it for it in masters if value(it) is None]
    low, high = wanted - tolerance - _SIEVE, wanted + tolerance + _SIEVE
    return [it for it in masters if (found := value(it)) is not None and low <= found <= high]


def judge(subject: Subject, master: Master, limits: Limits) -> Verdict:
    """Return the verdict on one master."""
    misses: list[tuple[Miss, float]] = []
    cut = _judge_identity(subject, master, limits, misses)
    delta_temp_c, temp_distance = _judge_temperature(subject, master, limits, misses)
    age_h = _age_h(subject, master)
    if age_h > 24 * limits.valid_d:
        misses.append((Miss.AGE, age_h / 24 / max(limits.valid_d, 1.0)))
    how, ratio, exposure_distance = "nearest", None, 0.0
    if limits.dark is not None:
        how, ratio, exposure_distance = _judge_exposure(subject, master, limits, limits.dark, misses)
    grade = worse_grade(master.grade, age_grade(age_h, limits.valid_d))
    key = (
        len(misses),
        sum([excess for _, excess in misses]) if misses else 0.0,
        not master.is_pinned,
        _HOW_RANKS[how],
        cut is not None,
        grade_rank(grade),
        age_h,
        temp_distance,
        exposure_distance,
        -len(master.members),
        master.first_obs,
        master.last_obs,
        master.sha256,
        master.master_id,
    )
    missed = tuple([miss for miss, _ in misses]) if misses else ()
    return Verdict(key, master, how, delta_temp_c, ratio, age_h, grade, missed, cut)


def _judge_identity(
    subject: Subject, master: Master, limits: Limits, misses: list[tuple[Miss, float]]
) -> Section | None:
    """Note what must be equal and is not; return what must be cut out of a master that shows more of the sensor."""
    if master.camera != subject.camera:
        misses.append((Miss.CAMERA, _FAR))
    cut = None
    if master.configuration != subject.configuration:
        cut = windows.cut_of(subject.configuration, master.configuration)
        if cut is None:
            is_other = windows.setup_of(subject.configuration) != windows.setup_of(master.configuration)
            misses.append((Miss.CONFIGURATION if is_other else Miss.WINDOW, _FAR))
    if limits.kind is Kind.FLAT and master.filter_name != subject.filter_name:
        misses.append((Miss.FILTER, _FAR))
    return cut


def _judge_temperature(
    subject: Subject, master: Master, limits: Limits, misses: list[tuple[Miss, float]]
) -> tuple[float | None, float]:
    """Return the temperature difference (None if it is unknown) and its size for the order of choosing."""
    limit = limits.max_delta_temp_c
    if subject.ccd_temp_c is None or master.ccd_temp_c is None:
        if subject.ccd_temp_c is master.ccd_temp_c:
            return None, 0.0
        if limit is not None:
            misses.append((Miss.TEMPERATURE_UNKNOWN, _FAR))
        return None, _FAR
    delta = round(subject.ccd_temp_c - master.ccd_temp_c, 6)
    if limit is not None and abs(delta) > limit:
        misses.append((Miss.TEMPERATURE, abs(delta) / max(limit, 0.1)))
    return delta, abs(delta)


def _age_h(subject: Subject, master: Master) -> float:
    """Return the hours between the observations of a subject and of a master's members, 0 where they overlap."""
    if subject.first_obs > master.last_obs:
        return (subject.first_obs - master.last_obs) / _HOUR
    if subject.last_obs < master.first_obs:
        return (master.first_obs - subject.last_obs) / _HOUR
    return 0.0


def _judge_exposure(
    subject: Subject, master: Master, limits: Limits, rule: DarkMatching, misses: list[tuple[Miss, float]]
) -> tuple[str, float | None, float]:
    """Return how a dark would be used, the exposure ratio and the exposure distance in seconds."""
    wanted_s, dark_s = subject.exposure_s, master.exposure_s
    if wanted_s is None or dark_s is None:
        misses.append((Miss.EXPOSURE_UNKNOWN, _FAR))
        return "exact", None, _FAR
    apart_s = distance(wanted_s, dark_s)
    ratio = wanted_s / dark_s if dark_s > 0 else None
    if apart_s <= _exposure_tolerance_s(wanted_s, rule):
        return "exact", ratio, apart_s
    how = "scaled_down" if dark_s > wanted_s else "scaled_up"
    factor = _scale_factor(wanted_s, dark_s)
    limit = rule.max_scale_down if how == "scaled_down" else rule.max_scale_up
    if not limits.policy.scalable:
        misses.append((Miss.POLICY, factor))
    else:
        if factor > limit:
            misses.append((Miss.SCALE_DOWN if how == "scaled_down" else Miss.SCALE_UP, factor / limit))
        if not limits.has_bias:
            misses.append((Miss.NO_BIAS, 1.0))
    return how, ratio, apart_s


def _exposure_tolerance_s(exposure_s: float, rule: DarkMatching) -> float:
    """Return how far the exposure of an exact dark may be from that of a frame, in seconds."""
    return exposure_tolerance_s(exposure_s, rule.exposure_tolerance_s, rule.exposure_tolerance_ratio)


def _scale_factor(first_s: float, second_s: float) -> float:
    """Return the larger exposure over the smaller one."""
    low, high = sorted((first_s, second_s))
    return round(high / low, 9) if low > 0 and math.isfinite(high / low) else _FAR
