"""What the type cards of a header say, and the words and patterns of the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from ingestd.records import CALIBRATION_KINDS, Kind
from ingestd.rules.dialects.fields import Cards, number, text
from ingestd.rules.dialects.table import VAGUE_TYPE_CARDS
from ingestd.rules.dialects.words import (
    CLASS_WORDS,
    EMPTY_TYPES,
    TYPE_CODES,
    TYPE_FILLERS,
    TYPE_NEUTRALS,
    TYPE_WORDS,
    kind_of,
)

UNFAMILIAR = "?"
JUDGED_KINDS = frozenset({*CALIBRATION_KINDS, Kind.LIGHT})
"""Kinds that must not be taken for one another."""

_NOT_LETTERS = re.compile(r"[^A-Z]+")
_LETTERS = re.compile(r"[A-Z]+")
_SHORT_WORD = 2


@dataclass(frozen=True, slots=True)
class HeaderType:
    """What the type cards say: the label, the card as ``KEYWORD = value``, and a second card that disagrees."""

    label: str = ""
    source: str = ""
    disagrees: str = ""
    unfamiliar: str = ""
    code_only: bool = False


@dataclass(frozen=True, slots=True)
class KindRules:
    """Where the type is looked for: keywords of words, codes and classes, and the settings' words and patterns."""

    keywords: Sequence[str]
    codes: Sequence[str]
    classes: Sequence[str]
    words: Mapping[str, str] = field(default_factory=dict)
    file_names: Mapping[str, str] = field(default_factory=dict)


def read_type(cards: Cards, rules: KindRules) -> HeaderType:
    """Return what the type cards say: words first, in the order of trust, then numeric codes."""
    header = HeaderType()
    own = {_NOT_LETTERS.sub("", word.upper()): settings_label(value) for word, value in rules.words.items()}
    for keyword in rules.keywords:
        value = text(cards[keyword]) if keyword in cards else ""
        if not value:
            continue
        found = own.get(_NOT_LETTERS.sub("", value.upper()), "") if own else ""
        found = found or type_label(value)
        source = f"{keyword} = {value}"
        if found == UNFAMILIAR:
            if keyword not in VAGUE_TYPE_CARDS:
                header = replace(header, unfamiliar=header.unfamiliar or source)
        elif found and not header.label:
            header = replace(header, label=found, source=source)
        elif found and _clash(header.label, found):
            header = replace(header, disagrees=header.disagrees or source)
    if kind_of(header.label) is Kind.LIGHT:
        header = _with_class(header, cards, rules.classes)
    return _with_code(header, cards, rules.codes)


def _with_class(header: HeaderType, cards: Cards, keywords: Sequence[str]) -> HeaderType:
    """Return the type of a light with its class taken into account: acquisition, test, focus."""
    for keyword in keywords:
        if keyword in cards:
            value = text(cards[keyword])
            label = CLASS_WORDS.get(_NOT_LETTERS.sub("", value.upper()), "")
            if label:
                return replace(header, label=label, source=f"{keyword} = {value}")
    return header


def _clash(label: str, other: str) -> bool:
    """Return whether two labels of one header contradict each other about a calibration."""
    kinds = {kind_of(label), kind_of(other)}
    return len(kinds) > 1 and kinds <= JUDGED_KINDS


def _with_code(header: HeaderType, cards: Cards, keywords: Sequence[str]) -> HeaderType:
    """Return the type with the numeric code of CCDSoft and TheSkyX taken into account."""
    for keyword in keywords:
        if keyword not in cards:
            continue
        code = number(cards[keyword])
        label = TYPE_CODES.get(int(code[0]), "") if code is not None and code[0] == int(code[0]) else ""
        if not label:
            continue
        source = f"{keyword} = {int(code[0]) if code else ''}"
        if not header.label:
            return replace(header, label=label, source=source, code_only=True)
        if _clash(header.label, label):
            return replace(header, disagrees=header.disagrees or f"{source} ({label})")
    return header


@lru_cache(maxsize=4096)
def type_label(value: str) -> str:
    """Return the label of a type card's value, '' if it says nothing, ``?`` if it is not understood."""
    upper = value.upper()
    word = _NOT_LETTERS.sub("", upper)
    if word in EMPTY_TYPES:
        return ""
    if word in TYPE_WORDS:
        return TYPE_WORDS[word]
    for filler in TYPE_FILLERS:
        word = word.replace(filler, "")
    if not word:
        return ""
    if word in TYPE_WORDS:
        return TYPE_WORDS[word]
    if "MASTER" in word:
        return "master"
    return _label_of_words(_LETTERS.findall(upper))


def _label_of_words(words: Sequence[str]) -> str:
    """Return the label that the words of a type card agree on ('Flat R 60 s'), else ``?``."""
    labels = {TYPE_WORDS[word] for word in words if word in TYPE_WORDS and word not in TYPE_NEUTRALS}
    known = TYPE_NEUTRALS | frozenset(TYPE_FILLERS) | TYPE_WORDS.keys()
    if not labels or not all(word in known or len(word) <= _SHORT_WORD for word in words):
        return UNFAMILIAR
    if labels & {"master", "stack"}:
        return "master"
    if "OFF" in words and labels == {"flat"}:
        return "flat-off"
    if {kind_of(label) for label in labels} == {Kind.DARK, Kind.FLAT}:
        return "dark-flat"
    return labels.pop() if len(labels) == 1 else UNFAMILIAR


def settings_label(word: str) -> str:
    """Return the label that a settings value names; a word of its own is a label of kind other."""
    label = type_label(word)
    return word.strip().lower() or "unknown" if label in {"", UNFAMILIAR} else label


# --- patterns of the settings -----------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern with * and ? as a regular expression, any case."""
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.IGNORECASE | re.DOTALL)


def matches(pattern: str, value: str) -> bool:
    """Return whether a text matches a pattern in which * stands for anything and ? for one character, any case."""
    return _compiled(pattern).fullmatch(value) is not None
