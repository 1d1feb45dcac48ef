"""What a file's name and its folders say of it: rules on whole words, never on parts of words.

'Darkstar' and 'M13_dark_lane' are targets, 'flat29.5(2)' and 'slitview.00000352.BIAS' are calibrations.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ingestd.records import CALIBRATION_KINDS, Kind
from ingestd.rules.dialects.words import (
    ARC_NAME_WORDS,
    CALIBRATED_NAME_WORDS,
    COMBINED_NAME_WORDS,
    CORRECTION_FOLLOWERS,
    FOLDER_FILLERS,
    NAME_FOLLOWERS,
    NAME_WORDS,
    OTHER_NAME_WORDS,
    SCIENCE_NAME_WORDS,
    TARGET_NAME_WORDS,
    kind_of,
)

_SUFFIX = re.compile(r"(?:\.(?:fits?|fts|fz|gz))+$", re.IGNORECASE)
_RUN = re.compile(r"[^\W\d_]+")
_PART = re.compile(r"[^\W\d_a-z]+(?![a-z])|[^\W\d_a-z]?[a-z]+|[^\W\d_]")
_SHORT_WORD = 2


CALIBRATIONS = frozenset(CALIBRATION_KINDS)


@dataclass(frozen=True, slots=True)
class NameEvidence:
    """What a name says.

    Attributes
    ----------
    label : str
        The calibration, light or master that it names, '' for nothing, ``ambiguous`` for several.
    word : str
        The word it was read from, as written.
    labels : frozenset of str
        Every label found.
    arc, other, science : str
        A lamp, a word for another frame, a word for a science frame; '' if there is none.
    calibrated : str
        A word for a frame that was already reduced.
    master : str
        A word for a combined frame.
    """

    label: str = ""
    word: str = ""
    labels: frozenset[str] = frozenset()
    arc: str = ""
    other: str = ""
    science: str = ""
    calibrated: str = ""
    master: str = ""

    @property
    def kind(self) -> Kind:
        """The kind of the label; unknown where nothing or too much is said."""
        return kind_of(self.label) if self.label not in {"", "ambiguous"} else Kind.UNKNOWN


NOTHING = NameEvidence()


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name as they are written: runs of letters, split at the humps of camel case.

    A run that is a known word as a whole ('DomeFlat') is not split.
    """
    words: list[str] = []
    for run in _RUN.findall(name):
        if run.islower() or run.isupper() or run.istitle() or run.lower() in NAME_WORDS:
            words.append(run)
        else:
            words.extend(_PART.findall(run))
    return tuple(words)


def read_name(name: str, object_name: str) -> NameEvidence:
    """Return what a file's name says; words of the object's own name do not count.

    An object that is nothing but calibration words ('dome flat') is no object, and its words count.
    """
    words = words_of(_SUFFIX.sub("", name)[:400])
    if object_name:
        own = _object_words(object_name)
        if own:
            words = _without(words, own)
    return _evidence(words)


@lru_cache(maxsize=4096)
def _object_words(object_name: str) -> tuple[str, ...]:
    """Return the words of an object's name in lower case, none if they are nothing but calibration words."""
    if calibration_object(object_name).label:
        return ()
    return tuple(word.lower() for word in words_of(object_name[:200]))


def _without(words: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words without the first run of them that equals the object's name."""
    lower = tuple(word.lower() for word in words)
    size = len(own)
    for start in range(len(lower) - size + 1):
        if lower[start : start + size] == own:
            return words[:start] + words[start + size :]
    return words


@lru_cache(maxsize=4096)
def _evidence(words: tuple[str, ...]) -> NameEvidence:
    """Return what the words of a file's name say together."""
    lower = [word.lower() for word in words]
    labels: dict[str, str] = {}
    calibrated = _first(words, lower, CALIBRATED_NAME_WORDS)
    for position, word in enumerate(lower):
        label = NAME_WORDS.get(word, "")
        if not label:
            continue
        follower = lower[position + 1] if position + 1 < len(lower) else ""
        if follower in CORRECTION_FOLLOWERS and kind_of(label) in CALIBRATIONS:
            calibrated = calibrated or f"{words[position]} {words[position + 1]}"
        elif follower not in NAME_FOLLOWERS.get("zero" if word == "zero" else label, ()):
            labels.setdefault(label, words[position])
    label, word = _one_label(labels)
    master = labels.get("master", "")
    if not master and kind_of(label) in CALIBRATIONS:
        master = _first(words, lower, COMBINED_NAME_WORDS)
    other = _first(words, lower, OTHER_NAME_WORDS)
    return NameEvidence(
        label=label,
        word=word,
        labels=frozenset(labels) - {"master", "stack"},
        arc="" if _first(words, lower, TARGET_NAME_WORDS) else _first(words, lower, ARC_NAME_WORDS),
        other=other,
        science=_first(words, lower, SCIENCE_NAME_WORDS),
        calibrated=calibrated,
        master=master or labels.get("stack", ""),
    )


def _first(words: tuple[str, ...], lower: list[str], known: Container[str]) -> str:
    """Return the first word that is known, as written, or ''."""
    return next((words[position] for position, word in enumerate(lower) if word in known), "")


def _one_label(found: Mapping[str, str]) -> tuple[str, str]:
    """Return the label that the words found agree on, and its word; ``ambiguous`` if they do not agree."""
    plain = {label: word for label, word in found.items() if label not in {"master", "stack"}}
    if not plain:
        return "", ""
    if len(plain) == 1:
        return next(iter(plain.items()))
    kinds = {kind_of(label) for label in plain}
    if kinds == {Kind.DARK, Kind.FLAT}:
        return "dark-flat", " ".join(dict.fromkeys(plain.values()))
    if len(kinds) == 1:
        label = max(sorted(plain), key=len)
        return label, plain[label]
    return "ambiguous", " ".join(plain.values())


@lru_cache(maxsize=1024)
def read_folder(folder: str) -> NameEvidence:
    """Return what a folder's name says: only one made of calibration words and fillers counts ('Darks_300s')."""
    words = words_of(folder[:200])
    if all(word.lower() in _FOLDER_WORDS or len(word) <= _SHORT_WORD for word in words):
        return _evidence(words)
    return NOTHING


_FOLDER_WORDS: frozenset[str] = (
    frozenset(NAME_WORDS) | frozenset(OTHER_NAME_WORDS) | ARC_NAME_WORDS | SCIENCE_NAME_WORDS
)
_FOLDER_WORDS |= COMBINED_NAME_WORDS | CALIBRATED_NAME_WORDS | CORRECTION_FOLLOWERS | FOLDER_FILLERS


@lru_cache(maxsize=4096)
def calibration_object(object_name: str) -> NameEvidence:
    """Return the calibration that an OBJECT card names, if nothing else: 'dome flat R', not 'zero_pointing'."""
    words = words_of(object_name[:200])
    if not all(word.lower() in _OBJECT_WORDS or len(word) <= _SHORT_WORD for word in words):
        return NOTHING
    evidence = _evidence(words)
    return evidence if evidence.kind in CALIBRATIONS else NOTHING


_OBJECT_WORDS = frozenset(NAME_WORDS) | FOLDER_FILLERS
