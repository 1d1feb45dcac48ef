"""Verdicts in words, with the numbers: why a master fits or not, what a frame waits for, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ingestd.records import Candidate, Kind, Master
from ingestd.rules import breaks, cards, windows
from ingestd.rules.matching.fields import field_verdicts
from ingestd.rules.matching.limits import Limits, Subject
from ingestd.rules.matching.verdicts import Miss, Verdict

_PLURALS = {Kind.BIAS: "biases", Kind.DARK: "darks", Kind.FLAT: "flats"}
_TWO_DAYS_H = 48


def candidate(subject: Subject, limits: Limits, verdict: Verdict) -> Candidate:
    """Return the verdict as it is recorded."""
    words = _misses_in_words(subject, limits, verdict) if verdict.misses else _fits_in_words(subject, limits, verdict)
    return Candidate(
        master_id=verdict.master.master_id,
        kind=limits.kind,
        how=verdict.how,
        fits=not verdict.misses,
        reason=f"{_identity(limits, verdict.master)}: {words}",
        delta_temp_c=verdict.delta_temp_c,
        exposure_ratio=verdict.exposure_ratio,
        age_h=verdict.age_h,
        grade=verdict.grade,
        fields=field_verdicts(subject, limits, verdict),
    )


def wait_reason(subject: Subject, limits: Limits, count: int, ranked: Sequence[Verdict]) -> str:
    """Return what is missing, the nearest master with its distances, and what to do.

    The text continues a sentence that begins with the name of the frame: ``sci_0042.fits needs a dark ...``.
    """
    needs = f"needs a {limits.kind.value}{_conditions(limits, subject)}."
    if not ranked:
        kind, rule = limits.kind.value, limits.rule
        reach_d = 2 * rule.longest_d + rule.window_d
        return (
            f"{needs} No master {kind} of this configuration within {reach_d:g} d. "
            f"Take {_PLURALS[limits.kind]}, if there are fewer than {rule.minimum} (masters.{kind}.minimum)."
        )
    nearest = ranked[0]
    what = f"{_identity(limits, nearest.master)}, {_misses_in_words(subject, limits, nearest)}"
    return f"{needs} Nearest of {count}: {what}. {_advice(limits, nearest.misses)}."


def _misses_in_words(subject: Subject, limits: Limits, verdict: Verdict) -> str:
    """Return everything that keeps a master from fitting."""
    return ", ".join(_MISSES[miss](subject, limits, verdict) for miss in dict.fromkeys(verdict.misses))


def _fits_in_words(subject: Subject, limits: Limits, verdict: Verdict) -> str:
    """Return what speaks for a master that fits."""
    words = ["pinned by an operator"] if verdict.master.is_pinned else []
    if limits.kind is Kind.DARK and verdict.how == "exact":
        words.append("exact exposure")
    elif limits.kind is Kind.DARK:
        words.append(f"{verdict.how.replace('_', ' ')} by {verdict.exposure_ratio:.4g} ({limits.policy.reason})")
    words += [_temperature(limits, verdict), *_cards(subject, limits, verdict, fits=True)]
    words += [_age(verdict), _grade(verdict)]
    members = verdict.master.member_count
    words.append(f"{members} member{'' if members == 1 else 's'}" if members else "made elsewhere")
    if verdict.cut is not None:
        words.append(f"cut to the window of the frame out of {_window(verdict.master.configuration)}")
    return ", ".join(words)


def _grade(verdict: Verdict) -> str:
    """Return the grade, and what the master of the previous night holds against this one."""
    reason = verdict.master.grade_reason
    return f"{verdict.grade} ({reason})" if reason else verdict.grade


# --- what to do -------------------------------------------------------------------------------------------------------


def _advice(limits: Limits, misses: Sequence[Miss]) -> str:
    """Return what to do so that a master that misses this fits."""
    take = f"Take {_PLURALS[limits.kind]}"
    steps = [_REMEDIES[miss].format(kind=limits.kind.value) for miss in misses if miss in _REMEDIES]
    return f"{take}, or {' and '.join(steps)}" if steps else take


_REMEDIES = {
    Miss.TEMPERATURE_UNKNOWN: "name the temperature keyword in camera.keywords.ccd_temp",
    Miss.TEMPERATURE: "raise matching.{kind}.max_delta_temp_c",
    Miss.AGE: "raise masters.{kind}.valid_d",
    Miss.RANGE: "take its range back with ingestd restore",
    Miss.CARD: "widen matching.{kind}.exact and .numbers",
    Miss.EXPOSURE_UNKNOWN: "name the exposure keyword in camera.keywords.exposure",
    Miss.POLICY: 'set camera.dark_policy = "scalable" if its dark current is linear',
    Miss.SCALE_DOWN: "raise matching.dark.max_scale_down",
    Miss.SCALE_UP: "raise matching.dark.max_scale_up",
    Miss.NO_BIAS: "take biases",
}


# --- numbers ----------------------------------------------------------------------------------------------------------


def _conditions(limits: Limits, thing: Subject | Master) -> str:
    """Return the conditions that count for a kind: `` of 300 s at -10.0 C``."""
    exposure = f" of {seconds(thing.exposure_s)}" if limits.kind is Kind.DARK else ""
    filter_words = f" in filter {thing.filter_name}" if thing.filter_name else " without a filter"
    name = filter_words if limits.kind is Kind.FLAT else ""
    temperature = " without a temperature" if thing.ccd_temp_c is None else f" at {celsius(thing.ccd_temp_c)}"
    return exposure + name + (temperature if limits.max_delta_temp_c is not None else "")


def _identity(limits: Limits, master: Master) -> str:
    """Return the conditions and the night of a master: ``300 s at -10.0 C (2024-03-09)``."""
    conditions = _conditions(limits, master).removeprefix(" of ").removeprefix(" at ").removeprefix(" in ")
    return f"{conditions.strip()} ({master.night})"


def _temperature(limits: Limits, verdict: Verdict) -> str:
    """Return the temperature difference and its limit."""
    limit = "no limit" if limits.max_delta_temp_c is None else f"tolerance {limits.max_delta_temp_c:g} C"
    if verdict.delta_temp_c is None:
        return f"temperature unknown, {limit}"
    return f"{abs(verdict.delta_temp_c):.4g} C away, {limit}"


def _age(verdict: Verdict) -> str:
    """Return the time between frame and master, and the validity."""
    age = f"{verdict.age_h:.1f} h" if verdict.age_h < _TWO_DAYS_H else f"{verdict.age_h / 24:.1f} d"
    return f"{age} away in time, valid {verdict.valid_d:g} d"


def _cards(subject: Subject, limits: Limits, verdict: Verdict, *, fits: bool) -> list[str]:
    """Return the header cards that the rules name and that fit, or those that do not."""
    found = cards.compared(subject.cards, verdict.master.cards, limits.table)
    return [_card(it) for it in found if it.fits is fits]


def _card(it: cards.Compared) -> str:
    """Return one header card: what is apart, or what is equal."""
    frame, master = ("none" if value is None else f"{value}" for value in (it.frame, it.master))
    if it.difference is not None:
        return f"{it.name} {it.difference:.4g} away, tolerance {it.tolerance:g}"
    return f"{it.name} {master}" if it.fits else f"{it.name} {master}, not {frame}"


def _range(master: Master) -> str:
    """Return the range of times that an operator gave a master."""
    ends = (("from", master.valid_from), ("until", master.valid_until))
    return " ".join(f"{word} {time:%Y-%m-%d %H:%M:%S}" for word, time in ends if time is not None)


def _ratio(subject: Subject, master: Master) -> str:
    """Return how far a dark would have to be scaled."""
    wanted_s, dark_s = subject.exposure_s or 0.0, master.exposure_s or 0.0
    return f"to be scaled by {wanted_s / dark_s:.4g}" if dark_s > 0 else "without an exposure to be scaled"


def _window(key: str) -> str:
    """Return the window in the key of a configuration."""
    found = windows.window_of(key)
    return "an unknown window" if found is None else found.words()


def _filter(name: str | None) -> str:
    """Return a filter."""
    return f"filter {name}" if name else "no filter"


def _epoch(subject: Subject, master: Master) -> str:
    """Return of which hardware epoch a master is that is not that of the frame."""
    found = breaks.crossed(subject.breaks, subject.night, master.night)
    return "of another hardware epoch" if found is None else breaks.words(found, master.night)


def celsius(ccd_temp_c: float | None) -> str:
    """Return a temperature."""
    return "an unknown temperature" if ccd_temp_c is None else f"{ccd_temp_c:.1f} C"


def seconds(exposure_s: float | None) -> str:
    """Return an exposure."""
    return "an unknown exposure" if exposure_s is None else f"{exposure_s:g} s"


_MISSES: Mapping[Miss, Callable[[Subject, Limits, Verdict], str]] = {
    Miss.CAMERA: lambda subject, _, verdict: f"camera {verdict.master.camera}, not {subject.camera}",
    Miss.CONFIGURATION: lambda subject, _, verdict: (
        f"configuration {verdict.master.configuration}, not {subject.configuration}"
    ),
    Miss.WINDOW: lambda subject, _, verdict: (
        f"window {_window(verdict.master.configuration)} does not hold {_window(subject.configuration)}"
    ),
    Miss.FILTER: lambda subject, _, verdict: (
        f"{_filter(verdict.master.filter_name)}, not {_filter(subject.filter_name)}"
    ),
    Miss.TEMPERATURE_UNKNOWN: lambda subject, _, verdict: (
        f"{celsius(verdict.master.ccd_temp_c)} cannot be compared with {celsius(subject.ccd_temp_c)}"
    ),
    Miss.TEMPERATURE: lambda _, limits, verdict: _temperature(limits, verdict),
    Miss.AGE: lambda subject, _, verdict: (
        f"too {'old' if verdict.master.last_obs < subject.first_obs else 'new'}: {_age(verdict)}"
    ),
    Miss.RANGE: lambda _, __, verdict: f"an operator made it valid {_range(verdict.master)} only",
    Miss.CARD: lambda subject, limits, verdict: ", ".join(_cards(subject, limits, verdict, fits=False)),
    Miss.EXPOSURE_UNKNOWN: lambda subject, _, verdict: (
        f"{seconds(verdict.master.exposure_s)} cannot be compared with {seconds(subject.exposure_s)}"
    ),
    Miss.POLICY: lambda subject, limits, _: (
        f"not {seconds(subject.exposure_s)}, and darks are not scaled: {limits.policy.reason}"
    ),
    Miss.SCALE_DOWN: lambda subject, limits, verdict: (
        f"{_ratio(subject, verdict.master)}, limit 1/{limits.dark.max_scale_down if limits.dark else 1:g}"
    ),
    Miss.SCALE_UP: lambda subject, limits, verdict: (
        f"{_ratio(subject, verdict.master)}, limit {limits.dark.max_scale_up if limits.dark else 1:g}"
    ),
    Miss.EPOCH: lambda subject, _, verdict: _epoch(subject, verdict.master),
    Miss.NO_BIAS: lambda *_: "to be scaled it needs a master bias, and none fits",
}
