"""One master judged for one subject: its distances, what it misses, and its place in the order of choosing.

The order: masters that fit before those that do not; then what an operator pinned; then, unless the settings give
another order, dark-policy rank (exact, scaled down, scaled up) with the frame's own window before one cut out of a
larger one, grade, time, temperature, exposure, numbers of other header cards, more members; then earlier, SHA-256.
Those that do not fit are ordered by how little they miss.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import NamedTuple

from ingestd.records import Kind, Master, Section
from ingestd.rules import breaks, cards, windows
from ingestd.rules.clusters import distance, exposure_tolerance_s
from ingestd.rules.groups import age_grade, grade_rank, worse_grade
from ingestd.rules.matching.limits import Limits, Subject
from ingestd.settings import DarkMatching, MasterRule, Rules

MAX_CANDIDATES = 10
"""How many masters of a kind are kept in the record of a choice, best first."""

_HOUR = timedelta(hours=1)
_HOW_RANKS = {"nearest": 0, "exact": 0, "scaled_down": 1, "scaled_up": 2}
_FAR = 1e9
"""Stands for a distance that cannot be measured; finite, so that sums stay ordered."""

_NEAREST_FIRST = ("policy", "grade", "time")
"""How an order of choosing begins in which the nearest in time of equal masters is the best."""

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
    RANGE = "range"
    CARD = "card"
    EPOCH = "epoch"


Key = tuple[int, float, bool, tuple[float, ...], datetime, datetime, str, str]

_PLACES = {
    "policy": (0, 1),
    "grade": (2,),
    "time": (3,),
    "temperature": (4,),
    "exposure": (5,),
    "numbers": (6,),
    "members": (7,),
}
"""Where a distance stands among those that `judge` puts together."""


@lru_cache(maxsize=64)
def _picker(order: tuple[str, ...]) -> Callable[[tuple[float, ...]], tuple[float, ...]]:
    """Return what puts the distances into an order of choosing."""
    return itemgetter(*(place for word in order for place in _PLACES[word]))


class Verdict(NamedTuple):
    """One master judged: ``misses`` is empty if it fits; the smallest ``key`` is the best.

    ``delta_temp_c`` is subject minus master, ``exposure_ratio`` subject over master, ``age_h`` the time between their
    observations and ``valid_d`` for how many days the master serves on that side of them, ``grade`` the worse of the
    master's own and that of its age; ``cut`` is the part of its image that is the subject's window, None if it is all
    of it.
    """

    key: Key
    master: Master
    how: str
    delta_temp_c: float | None
    exposure_ratio: float | None
    age_h: float
    valid_d: float
    grade: str
    misses: tuple[Miss, ...]
    cut: Section | None = None


def rank(subject: Subject, masters: Iterable[Master], limits: Limits) -> tuple[int, list[Verdict]]:
    """Return the number of masters of the wanted kind, and verdicts on the best of them, best first.

    Masters that fit as they are come before all others, so where there are enough of them the others are not judged;
    where the order of choosing does not begin with the policy, a scaled dark may come before an exact one. Of those
    that fit, the nearest in time tell the best if the order has time after policy and grade.
    """
    wanted = [master for master in masters if master.kind is limits.kind]
    likely = _likely(subject, wanted, limits)
    if limits.table.order[:3] == _NEAREST_FIRST:
        nearest = _judged(subject, _nearest(subject, likely, limits), limits)
        if len(nearest) >= MAX_CANDIDATES and not any(it.misses or _HOW_RANKS[it.how] for it in nearest):
            return len(wanted), _best(nearest)
    best = _best(_judged(subject, likely, limits))
    if len(best) < MAX_CANDIDATES or best[-1].misses:
        best = _best(_judged(subject, wanted, limits))
    return len(wanted), best


def _judged(subject: Subject, masters: Iterable[Master], limits: Limits) -> list[Verdict]:
    """Return the verdict on each master."""
    return [judge(subject, master, limits) for master in masters]


def _best(verdicts: list[Verdict]) -> list[Verdict]:
    """Return the best verdicts, best first."""
    return heapq.nsmallest(MAX_CANDIDATES, verdicts, key=attrgetter("key"))


def _nearest(subject: Subject, masters: list[Master], limits: Limits) -> Iterator[Master]:
    """Yield of all masters that differ in time alone those that can be among the best, if all of them fit.

    Of masters with one window, grade and pin, on one side of the subject, a later one has a worse or equal grade by
    age, and then a greater age: those beyond as many as are kept cannot come before them.
    """
    alike: dict[tuple[str, str, bool, str], list[tuple[float, Master]]] = {}
    for master in masters:
        age_h, _ = _age(subject, master, limits.rule)
        side = "overlap" if not age_h else "before" if master.last_obs < subject.first_obs else "after"
        alike.setdefault((master.configuration, master.grade, master.is_pinned, side), []).append((age_h, master))
    for ages in alike.values():
        if len(ages) > MAX_CANDIDATES:
            limit_h = heapq.nsmallest(MAX_CANDIDATES, [age_h for age_h, _ in ages])[-1]
            yield from (master for age_h, master in ages if age_h <= limit_h)
        else:
            yield from (master for _, master in ages)


def _likely(subject: Subject, masters: list[Master], limits: Limits) -> list[Master]:
    """Return all masters that fit unscaled, those pinned, and perhaps a few others: a coarse and fast sieve."""
    pinned = [it for it in masters if it.is_pinned]
    before, after = (timedelta(days=days, seconds=1) for days in (limits.rule.before_d, limits.rule.after_d))
    first, last = subject.first_obs, subject.last_obs
    found = [it for it in masters if it.first_obs - last <= before and first - it.last_obs <= after]
    if limits.kind is Kind.FLAT:
        found = [it for it in found if it.filter_name == subject.filter_name]
    if limits.max_delta_temp_c is not None:
        found = _near(found, "ccd_temp_c", subject.ccd_temp_c, limits.max_delta_temp_c)
    if limits.dark is not None and subject.exposure_s is not None and limits.table.order[0] == "policy":
        found = _near(found, "exposure_s", subject.exposure_s, exposure_tolerance_s(subject.exposure_s, limits.dark))
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
    age_h, valid_d = _age(subject, master, limits.rule)
    if age_h > 24 * valid_d:
        misses.append((Miss.AGE, age_h / 24 / max(valid_d, 1.0)))
    if not _is_in_range(subject, master):
        misses.append((Miss.RANGE, _FAR))
    if subject.breaks and breaks.crossed(subject.breaks, subject.night, master.night):
        misses.append((Miss.EPOCH, _FAR))
    how, ratio, exposure_distance = "nearest", None, 0.0
    if limits.dark is not None:
        how, ratio, exposure_distance = _judge_exposure(subject, master, limits, limits.dark, misses)
    grade = worse_grade(master.grade, age_grade(age_h, valid_d, limits.rule.grade_age_d))
    has_cards = limits.table.exact or limits.table.numbers
    numbers = _judge_cards(subject, master, limits, misses) if has_cards else 0.0
    distances = (
        _HOW_RANKS[how],
        cut is not None,
        grade_rank(grade),
        age_h,
        temp_distance,
        exposure_distance,
        numbers,
        -master.member_count,
    )
    key = (
        len(misses),
        sum([excess for _, excess in misses]) if misses else 0.0,
        not master.is_pinned,
        _picker(limits.table.order)(distances),
        master.first_obs,
        master.last_obs,
        master.sha256,
        master.master_id,
    )
    missed = tuple([miss for miss, _ in misses]) if misses else ()
    return Verdict(key, master, how, delta_temp_c, ratio, age_h, valid_d, grade, missed, cut)


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


def _age(subject: Subject, master: Master, rule: MasterRule) -> tuple[float, float]:
    """Return the hours between the observations of a subject and of a master's members, 0 where they overlap.

    The second value is for how many days the master is valid on that side of its members.
    """
    if subject.first_obs > master.last_obs:
        return (subject.first_obs - master.last_obs) / _HOUR, rule.after_d
    if subject.last_obs < master.first_obs:
        return (master.first_obs - subject.last_obs) / _HOUR, rule.before_d
    return 0.0, rule.longest_d


def is_valid_at(master: Master, time: datetime, rules: Rules) -> bool:
    """Return whether a master may serve a frame of a time, by its age and by an operator's word."""
    subject = Subject(master.camera, master.configuration, None, None, None, time, time)
    age_h, valid_d = _age(subject, master, rules.master(master.kind))
    return age_h <= 24 * valid_d and _is_in_range(subject, master)


def _is_in_range(subject: Subject, master: Master) -> bool:
    """Return whether a subject was observed in the range that an operator gave a master, both ends included."""
    if master.valid_from is not None and subject.first_obs < master.valid_from:
        return False
    return master.valid_until is None or subject.last_obs <= master.valid_until


def _judge_cards(subject: Subject, master: Master, limits: Limits, misses: list[tuple[Miss, float]]) -> float:
    """Note header cards that do not fit; return how far the numbers are apart, in units of their tolerances."""
    total = 0.0
    for it in cards.compared(subject.cards, master.cards, limits.table):
        excess = _FAR if it.difference is None else it.difference / max(it.tolerance or 0.0, 1e-6)
        if not it.fits:
            misses.append((Miss.CARD, excess))
        elif it.difference is not None:
            total += excess
    return total


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
    if apart_s <= exposure_tolerance_s(wanted_s, rule):
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


def _scale_factor(first_s: float, second_s: float) -> float:
    """Return the larger exposure over the smaller one."""
    low, high = sorted((first_s, second_s))
    return round(high / low, 9) if low > 0 and math.isfinite(high / low) else _FAR
