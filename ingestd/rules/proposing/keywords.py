"""``[camera.keywords]`` for a camera: the cards that many of its headers agree on where the dialects find none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ingestd.records import Kind
from ingestd.rules.dialects.fields import number, text
from ingestd.rules.proposing.kinds import ENOUGH, find_rules
from ingestd.rules.proposing.missing import FIELDS, Field, candidates_for, is_missing, looked_for
from ingestd.rules.proposing.values import Look, Suggestion, Unclear
from ingestd.settings import Keywords

LONGEST_EXPOSURE_S = 14400.0
"""Above this an exposure is more likely in milliseconds."""

_UNIT_ENDINGS = (("ms", ("MS", "MSEC")), ("us", ("USEC", "MICROS")), ("min", ("MIN",)))
_IRREPLACEABLE = frozenset({"exposure", "obs_start", "kind"})
"""Fields whose lack keeps frames out of masters or products, so that a single candidate is worth trying."""

Relook = Callable[[Keywords], list[Look]]


@dataclass(slots=True)
class KeywordsFound:
    """The section, the reason of each key, suggestions, what stays unclear, and the frames as they are read with it."""

    keywords: Keywords
    looks: list[Look]
    reasons: dict[str, str] = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)
    unclear: list[Unclear] = field(default_factory=list)


def find_keywords(looks: Sequence[Look], relook: Relook) -> KeywordsFound:
    """Return the ``[camera.keywords]`` that the frames of one camera ask for.

    Parameters
    ----------
    looks : sequence of Look
        As the built-in dialects understand them.
    relook : callable (Keywords) -> list of Look
        Understands the same frames with other keywords: each rule is tried before it is proposed.
    """
    found = KeywordsFound(Keywords(), list(looks))
    kind, *others = FIELDS
    _supply(found, kind, relook)
    _settle_kinds(found, relook)
    for each in others:
        _supply(found, each, relook)
    found.suggestions += _settle_kinds(found, relook)
    for each in FIELDS:
        _report(found, each)
    _doubt_unit(found)
    return found


def _settle_kinds(found: KeywordsFound, relook: Relook) -> list[Suggestion]:
    """Add words and names that settle kinds, and return suggestions; exposures found meanwhile may settle more."""
    rules = find_rules(found.looks, found.keywords)
    if rules.words or rules.file_names:
        words = {**found.keywords.words, **rules.words}
        file_names = {**found.keywords.file_names, **rules.file_names}
        found.keywords = replace(found.keywords, words=words, file_names=file_names)
        found.looks = relook(found.keywords)
        for key, reason in rules.reasons.items():
            former = found.reasons.get(f"keywords.{key}")
            found.reasons[f"keywords.{key}"] = f"{former}; {reason}" if former else reason
    return rules.suggestions


def _supply(found: KeywordsFound, wanted: Field, relook: Relook) -> None:
    """Add the card of a field that every frame lacking it has and no other card could be."""
    lacking = [each for each in found.looks if is_missing(each.frame, wanted)]
    shared = shared_candidates(lacking, wanted, found.keywords)
    if len(shared) != 1 or len(lacking) < ENOUGH:
        return
    (card,) = shared
    supply: dict[str, Any] = {wanted.name: (card,)}
    keywords = replace(found.keywords, **supply)
    unit = _unit_of(card) if wanted.name == "exposure" else "s"
    if unit != "s":
        keywords = replace(keywords, exposure_unit=unit)
    looks = relook(keywords)
    supplied = len(lacking) - sum(is_missing(each.frame, wanted) for each in looks)
    if supplied < len(lacking) or not _is_harmless(found.looks, looks, wanted):
        return
    found.keywords, found.looks = keywords, looks
    example = text(lacking[0].cards.get(card))
    found.reasons[f"keywords.{wanted.name}"] = (
        f"{_headers(len(lacking))} have no known card of the {wanted.words}; all have {card}, as in {card} = {example}"
    )
    if unit != "s":
        found.reasons["keywords.exposure_unit"] = f"the name of {card} says so"


def _is_harmless(before: Sequence[Look], after: Sequence[Look], wanted: Field) -> bool:
    """Return whether only frames without a field have changed in it."""
    former = [(old.frame, getattr(old.frame, wanted.attribute)) for old in before]
    return all(
        value is None or is_missing(frame, wanted) or value == getattr(new.frame, wanted.attribute)
        for (frame, value), new in zip(former, after, strict=True)
    )


def shared_candidates(lacking: Sequence[Look], wanted: Field, own: Keywords) -> tuple[str, ...]:
    """Return the candidates for a field that every frame lacking it has."""
    shared: dict[str, None] | None = None
    for each in lacking:
        tried = looked_for(wanted, each.frame.dialect, own)
        cards = dict.fromkeys(card for card, _ in candidates_for(wanted, each.cards, tried))
        shared = cards if shared is None else {card: None for card in shared if card in cards}
    return tuple(shared or ())


def _unit_of(card: str) -> str:
    """Return the unit that the name of an exposure card ends in."""
    return next((unit for unit, endings in _UNIT_ENDINGS if card.endswith(endings)), "s")


def _report(found: KeywordsFound, wanted: Field) -> None:
    """Add what is still missing to what is unclear, and suggest the cards that may hold it."""
    lacking = [each for each in found.looks if is_missing(each.frame, wanted)]
    if not lacking or _is_never_there(wanted, found.looks):
        return
    example = lacking[0]
    candidates = shared_candidates(lacking, wanted, found.keywords) or tuple(
        card
        for card, _ in candidates_for(wanted, example.cards, looked_for(wanted, example.frame.dialect, found.keywords))
    )
    card = candidates[0] if candidates else "CARD"
    remedy = f'[camera.keywords] {wanted.name} = ["{card}"]'
    if wanted.name == "kind":
        remedy += ' or file_names = { "PATTERN*" = "light" }'
    found.unclear.append(
        Unclear(
            wanted.words,
            len(lacking),
            example.sample.path,
            looked_for(wanted, example.frame.dialect, found.keywords),
            remedy,
        )
    )
    for each in candidates:
        value = text(example.cards.get(each))
        reason = f"{_headers(len(lacking))} do not say the {wanted.words}; {each} = {value} may be it"
        found.suggestions.append(Suggestion(f"keywords.{wanted.name}", f'["{each}"]', reason))


def _is_never_there(wanted: Field, looks: Sequence[Look]) -> bool:
    """Return whether a field that a camera may lack altogether (cooler, filter wheel) is in no header of it."""
    needing = [each for each in looks if each.frame.kind in wanted.kinds]
    return wanted.name not in _IRREPLACEABLE and all(is_missing(each.frame, wanted) for each in needing)


def _doubt_unit(found: KeywordsFound) -> None:
    """Doubt exposures of many hours: some drivers write milliseconds."""
    long = [each for each in found.looks if (each.frame.exposure_s or 0.0) > LONGEST_EXPOSURE_S]
    if not long or found.keywords.exposure_unit != "s":
        return
    longest = max(each.frame.exposure_s or 0.0 for each in long)
    reason = (
        f"{_headers(len(long))} have exposures up to {longest:g} s ({longest / 3600:.1f} h): are they milliseconds?"
    )
    card = long[0].frame.source("exposure_s")
    found.suggestions.append(Suggestion("keywords.exposure", f'["{card}"]', reason))
    found.suggestions.append(Suggestion("keywords.exposure_unit", '"ms"', "goes with the line above"))
    found.unclear.append(
        Unclear(
            "unit of the exposure", len(long), long[0].sample.path, (card,), '[camera.keywords] exposure_unit = "ms"'
        )
    )


def ambiguous_gains(looks: Sequence[Look]) -> tuple[Suggestion, ...]:
    """Return what could be said of a GAIN card that is either a setting of the camera or electrons per ADU."""
    unsure = [
        each
        for each in looks
        if each.frame.planes
        and each.frame.kind is not Kind.OTHER
        and number(each.cards.get("GAIN")) is not None
        and "GAIN" not in {each.frame.source("gain_setting"), each.frame.source("gain_e_per_adu")}
    ]
    if not unsure:
        return ()
    values = sorted({text(each.cards.get("GAIN")) for each in unsure})
    shown = ", ".join(values[:4])
    reason = (
        f"GAIN = {shown} in {_headers(len(unsure))} is a setting of the camera or e-/ADU, and headers are often wrong "
        "about it, so it is not used. The flats measure the gain"
    )
    return (
        Suggestion("keywords.gain_e_per_adu", '["GAIN"]', f"{reason}. If it is e-/ADU"),
        Suggestion("keywords.gain_setting", '["GAIN"]', "If it is a setting that calibrations must share"),
    )


def _headers(count: int) -> str:
    """Return a number of headers in words."""
    return "1 header" if count == 1 else f"{count} headers"
