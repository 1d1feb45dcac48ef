"""What a frame is for: the type card, else the file's name, else its folder; a contradiction makes it unknown.

The header's word stands above the name's. A name that says another thing about a calibration is not overruled: a flat
labelled 'Light Frame' is neither, and a person decides. An unfamiliar word is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from ingestd.records import Kind
from ingestd.rules.dialects.fields import Cards, number, text
from ingestd.rules.dialects.names import CALIBRATIONS, NOTHING, NameEvidence, calibration_object, read_folder, read_name
from ingestd.rules.dialects.table import VAGUE_TYPE_CARDS
from ingestd.rules.dialects.words import (
    CLASS_WORDS,
    EMPTY_TYPES,
    OTHER_NAME_WORDS,
    TYPE_CODES,
    TYPE_FILLERS,
    TYPE_NEUTRALS,
    TYPE_WORDS,
    kind_of,
)

UNFAMILIAR = "?"
_NOT_LETTERS = re.compile(r"[^A-Z]+")
_LETTERS = re.compile(r"[A-Z]+")
_SHORT_WORD = 2
_JUDGED = CALIBRATIONS | {Kind.LIGHT}


@dataclass(frozen=True, slots=True)
class Decision:
    """The kind of a frame, its finer word, the card or rule that decided, and what a person should know."""

    label: str
    source: str
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """The kind of the label."""
        return kind_of(self.label)


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


def decide_kind(cards: Cards, rules: KindRules, path: str, object_name: str) -> Decision:
    """Return what the frame is for, from its header, its file name and its folders.

    Parameters
    ----------
    cards : mapping
        The merged header.
    rules : KindRules
        Keywords of the dialect and rules of the settings.
    path : str
        Path below the watched directory.
    object_name : str
        The OBJECT card: its words in the file's name are no rule.
    """
    *folders, name = [part for part in path.replace("\\", "/").split("/") if part] or [""]
    for pattern, word in rules.file_names.items():
        if matches(pattern, path if "/" in pattern else name):
            return Decision(settings_label(word), f'settings file_names "{pattern}"')
    header = read_type(cards, rules)
    named = read_name(name, object_name)
    folder = _nearest(folders)
    if header.disagrees:
        return _contradiction(f"{header.source}, but {header.disagrees}", named, header)
    if not header.label:
        decision = _without_header(header, named, folder, object_name)
    elif header.code_only:
        decision = _by_code(header, named, folder)
    else:
        decision = _with_header(header, named, folder, object_name)
    decision = _as_master(decision, named, folder)
    if decision.kind is Kind.UNKNOWN and "contradiction" not in decision.flags:
        return replace(decision, notes=(*decision.notes, _looked_for(cards, rules, name, folders)))
    done = named.calibrated or folder.calibrated
    if done and decision.kind in _JUDGED:
        return replace(decision, flags=(*decision.flags, "calibrated"), notes=(*decision.notes, f'named "{done}"'))
    return decision


# --- the header -------------------------------------------------------------------------------------------------------


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
    return len(kinds) > 1 and kinds <= _JUDGED


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


# --- header, name and folder together ---------------------------------------------------------------------------------


def _nearest(folders: Sequence[str]) -> NameEvidence:
    """Return what the nearest folder that says anything says."""
    for folder in reversed(folders):
        evidence = read_folder(folder)
        if evidence is not NOTHING and (evidence.label or evidence.master or evidence.calibrated or evidence.other):
            return evidence
    return NOTHING


def _with_header(header: HeaderType, named: NameEvidence, folder: NameEvidence, object_name: str) -> Decision:
    """Return the decision where a type card speaks: the header's, unless the name contradicts it."""
    kind = kind_of(header.label)
    if kind not in _JUDGED:
        return Decision(header.label, header.source)
    if named.labels and not _agrees(kind, named):
        return _contradiction(f'{header.source}, but the file name contains "{named.word}"', named, header)
    if kind is Kind.LIGHT:
        return _light(header, named, folder, object_name)
    label = header.label
    if kind is Kind.DARK and (named.label == "dark-flat" or calibration_object(object_name).kind is Kind.FLAT):
        label = "dark-flat"
    if label == "flat" and named.label in {"skyflat", "domeflat"}:
        label = named.label
    return Decision(label, header.source)


def _agrees(kind: Kind, named: NameEvidence) -> bool:
    """Return whether the words of the file's name allow the header's kind."""
    if named.label == "dark-flat":
        return kind is Kind.DARK
    return kind in {kind_of(label) for label in named.labels}


def _light(header: HeaderType, named: NameEvidence, folder: NameEvidence, object_name: str) -> Decision:
    """Return the decision for a header that says light: many programs say so of everything."""
    target = calibration_object(object_name)
    if target.label:
        return _contradiction(f"{header.source}, but OBJECT = {object_name}", target, header)
    if folder.kind in CALIBRATIONS and "light" not in named.labels:
        return _contradiction(f'{header.source}, but the directory is named "{folder.word}"', folder, header)
    if named.arc and not named.labels and (not object_name or named.arc.lower() in object_name.lower()):
        return Decision("arc", f'file name contains "{named.arc}" ({header.source} names no lamp)')
    return Decision(header.label, header.source)


def _without_header(header: HeaderType, named: NameEvidence, folder: NameEvidence, object_name: str) -> Decision:
    """Return the decision where no type card speaks: the file's name, else the OBJECT card, else the folder."""
    if header.unfamiliar:
        advice = f'{header.unfamiliar} is no known type; name it in [camera.keywords] words = {{"..." = "light"}}'
        return Decision("unknown", header.unfamiliar, notes=(advice,))
    if named.label == "ambiguous":
        return Decision("unknown", "", notes=(f'the file name contains "{named.word}", which is not one kind',))
    if named.label:
        return _by_name(header, named, folder)
    target = calibration_object(object_name)
    if target.label:
        return Decision(target.label, f"OBJECT = {object_name}")
    if folder.label not in {"", "ambiguous"}:
        return Decision(folder.label, f'directory is named "{folder.word}"')
    return _by_lesser_words(named)


def _by_name(header: HeaderType, named: NameEvidence, folder: NameEvidence) -> Decision:
    """Return the decision of the file's name, unless its folder contradicts it: darks/flat_300s may be either."""
    if folder.kind not in _JUDGED or _agrees(folder.kind, named):
        return Decision(named.label, _name_source(named))
    if folder.kind is Kind.FLAT and named.kind is Kind.DARK:
        return Decision("dark-flat", _name_source(named))
    return _contradiction(f'{_name_source(named)}, but the directory is named "{folder.word}"', named, header)


def _by_lesser_words(named: NameEvidence) -> Decision:
    """Return the decision of words that count only where nothing else speaks: lamps, science, focus."""
    if named.arc:
        return Decision("arc", f'file name contains "{named.arc}"')
    if named.science:
        return Decision("light", f'file name contains "{named.science}"')
    if named.other:
        return Decision(OTHER_NAME_WORDS[named.other.lower()], f'file name contains "{named.other}"')
    return Decision("unknown", "")


def _by_code(header: HeaderType, named: NameEvidence, folder: NameEvidence) -> Decision:
    """Return the decision where only a numeric code speaks: the file's name first, confirmed by the code."""
    if named.label and named.label != "ambiguous":
        if not _agrees(kind_of(header.label), named):
            return _contradiction(f"{_name_source(named)}, but {header.source} ({header.label})", named, header)
        return Decision(named.label, f"{_name_source(named)}, confirmed by {header.source}")
    return _with_header(header, named, folder, "")


def _name_source(named: NameEvidence) -> str:
    """Return the rule on the file's name as a source."""
    return f'file name contains "{named.word}"'


def _as_master(decision: Decision, named: NameEvidence, folder: NameEvidence) -> Decision:
    """Return the decision, made a master where the name or the folder says that the frame is a combination."""
    word = named.master
    low = word.lower()
    is_stack = low in {"stack", "stacked", "integration", "coadd", "coadded"}
    names_calibration = low not in {"", "master", "masters"} and not is_stack
    if word and is_stack and decision.kind in {Kind.LIGHT, Kind.UNKNOWN}:
        return Decision("stack", f'file name contains "{word}"')
    if word and (names_calibration or decision.kind in CALIBRATIONS or decision.kind is Kind.UNKNOWN):
        return Decision("master", f'file name contains "{word}"')
    if folder.master and decision.kind in CALIBRATIONS:
        return Decision("master", f'directory is named "{folder.master}"')
    return decision


def _contradiction(what: str, evidence: NameEvidence, header: HeaderType) -> Decision:
    """Return unknown, with what disagrees and how to settle it."""
    word = (evidence.word or header.label).split(" ")[0]
    label = evidence.label if evidence.kind in _JUDGED else header.label
    advice = f'contradiction: {what}; to settle it: [camera.keywords] file_names = {{"*{word}*" = "{label}"}}'
    return Decision("unknown", what, ("contradiction",), (advice,))


def _looked_for(cards: Cards, rules: KindRules, name: str, folders: Sequence[str]) -> str:
    """Return what was looked for, for a frame whose kind is unknown."""
    empty = [keyword for keyword in rules.keywords if keyword in cards]
    where = f"looked for a type in {', '.join(list(rules.keywords)[:9])} and others"
    if empty:
        where += f" (there, but saying nothing: {', '.join(empty)})"
    within = f" and directories {'/'.join(folders)}" if folders else ""
    return f"{where}, in the codes {', '.join(rules.codes)}, and for bias, dark, flat, light in the name {name}{within}"


# --- patterns of the settings -----------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern with * and ? as a regular expression, any case."""
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.IGNORECASE | re.DOTALL)


def matches(pattern: str, value: str) -> bool:
    """Return whether a text matches a pattern in which * stands for anything and ? for one character, any case."""
    return _compiled(pattern).fullmatch(value) is not None
