"""Kinds that single headers leave open and many of them settle: words of a type card, names of files.

One header that disagrees with its file name is for a person. A directory in which no header ever says flat, and every
file that is named so says light, was written by a program that has no word for it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ingestd.records import CALIBRATION_KINDS, Kind
from ingestd.rules.dialects.names import NameEvidence, read_folder, read_name, words_of
from ingestd.rules.dialects.recognise import keywords_of
from ingestd.rules.dialects.type_cards import JUDGED_KINDS, HeaderType, KindRules, matches, read_type
from ingestd.rules.dialects.words import TYPE_WORDS, kind_of
from ingestd.rules.proposing.values import Look, Suggestion
from ingestd.settings import Keywords

ENOUGH = 2
"""Frames that must agree before a rule is made of them: one may be a slip of the hand."""

BIAS_EXPOSURE_S = 0.1
"""A bias is not exposed; drivers write their shortest exposure."""

_SHORTEST_WORD = 3
_MAX_STEMS = 5
_STEM = re.compile(r"[^\W\d_]{2,}")
_GUESSES = (("bias", "BIA ZER OFF"), ("dark", "DAR DUN NOI OSC"), ("flat", "FLA PLU HEL"), ("light", "LIG OBJ SCI"))


@dataclass(slots=True)
class KindRulesFound:
    """Rules for ``[camera.keywords]`` with their reasons, and suggestions for a person."""

    words: dict[str, str] = field(default_factory=dict)
    file_names: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)


def find_rules(looks: Sequence[Look], own: Keywords) -> KindRulesFound:
    """Return the rules that the frames of one camera agree on, and suggestions where they do not."""
    found = KindRulesFound()
    headers = [_header_type(each, own) for each in looks]
    _settle_words(found, looks, headers)
    _settle_contradictions(found, looks, headers)
    open_looks = [
        each
        for each, header in zip(looks, headers, strict=True)
        if each.frame.kind is Kind.UNKNOWN and not header.label and not header.unfamiliar
    ]
    no_types = not any(header.label or header.unfamiliar for header in headers)
    if not (no_types and _settle_rest(found, looks, open_looks)):
        _settle_names(found, open_looks)
    return found


def _header_type(each: Look, own: Keywords) -> HeaderType:
    """Return what the type cards of a frame say."""
    dialect = each.frame.dialect
    kind_cards = (*own.kind, *keywords_of(dialect, "kind"))
    return read_type(
        each.cards, KindRules(kind_cards, keywords_of(dialect, "kind_code"), keywords_of(dialect, "class"))
    )


def _evidence(each: Look) -> NameEvidence:
    """Return what the file's name says, else its nearest folder."""
    *folders, name = each.sample.path.replace("\\", "/").split("/")
    named = read_name(name, each.frame.object_name or "")
    if named.label:
        return named
    found = (read_folder(folder) for folder in reversed(folders))
    return next((evidence for evidence in found if evidence.label), named)


def _quoted(words: Mapping[str, str]) -> str:
    """Return a table of words as it is written in TOML, for a comment."""
    return "{ " + ", ".join(f'"{key}" = "{value}"' for key, value in words.items()) + " }"


# --- words of a type card that nobody knows ---------------------------------------------------------------------------


def _settle_words(found: KindRulesFound, looks: Sequence[Look], headers: Sequence[HeaderType]) -> None:
    """Add words that the file names explain; suggest the others."""
    by_word: defaultdict[tuple[str, str], list[Look]] = defaultdict(list)
    for each, header in zip(looks, headers, strict=True):
        if each.frame.kind is Kind.UNKNOWN and header.unfamiliar and not header.label:
            keyword, _, value = header.unfamiliar.partition(" = ")
            by_word[keyword, value].append(each)
    for (keyword, value), group in by_word.items():
        labels = {_evidence(each).label for each in group}
        label = labels.pop() if len(labels) == 1 else ""
        count = _frames(len(group))
        if kind_of(label) in JUDGED_KINDS and len(group) >= ENOUGH:
            found.words[value] = label
            found.reasons["words"] = _joined(
                found.reasons.get("words"), f"{keyword} = {value} in {count} named {label}"
            )
        else:
            guess = label if kind_of(label) in JUDGED_KINDS else _guess(value)
            reason = f"{keyword} = {value} in {count} is no known word; if this is what they are"
            found.suggestions.append(Suggestion("keywords.words", _quoted({value: guess}), reason))


def _guess(value: str) -> str:
    """Return the kind that a word resembles, for a suggestion."""
    upper = value.upper()
    return next((label for label, stems in _GUESSES if any(stem in upper for stem in stems.split())), "light")


# --- flats that a program calls lights --------------------------------------------------------------------------------


def _settle_contradictions(found: KindRulesFound, looks: Sequence[Look], headers: Sequence[HeaderType]) -> None:
    """Add a rule for flats that headers call light, if no header of this camera has a word for flats.

    Only flats: a shutter that opens makes a light for many programs, whereas one that stays closed must be ordered.
    """
    torn: list[Look] = []
    for each, header in zip(looks, headers, strict=True):
        if "contradiction" in each.frame.flags and kind_of(header.label) is Kind.LIGHT and not header.disagrees:
            torn.append(each)
    if not torn:
        return
    flats = [each for each in torn if _evidence(each).kind is Kind.FLAT]
    words = Counter(_evidence(each).word.split(" ")[0].lower() for each in flats)
    says_flat = sum(kind_of(header.label) is Kind.FLAT for header in headers)
    patterns = _flat_patterns(looks, flats, words)
    if len(flats) >= ENOUGH and not says_flat and patterns:
        found.file_names |= patterns
        found.reasons["file_names"] = (
            f"{_frames(len(flats))} are named flat while the header says light, as it does of every frame with an open "
            f"shutter: no header of this camera says flat. Remove this line if they are no flats"
        )
        return
    for word, label, count in _torn_words(torn):
        reason = f"{_frames(count)} named {word}, but the header says light: if the name is right"
        found.suggestions.append(Suggestion("keywords.file_names", _quoted({f"*{word}*": label}), reason))


def _torn_words(torn: Iterable[Look]) -> list[tuple[str, str, int]]:
    """Return the words that contradict a header, with the kind each names and how often."""
    counts = Counter((evidence.word.split(" ")[0], evidence.label) for evidence in map(_evidence, torn))
    return [(word, label, count) for (word, label), count in counts.most_common() if word and label != "ambiguous"]


def _flat_patterns(looks: Sequence[Look], flats: Sequence[Look], words: Mapping[str, int]) -> dict[str, str]:
    """Return patterns that make the flats flat and leave every other frame what it is; none if there are none."""
    flat = {f"*{word}*": "flat" for word in words if word}
    guards: dict[str, str] = {}
    wanted = {each.sample.path for each in flats}
    for each in looks:
        path = each.sample.path
        if path in wanted or each.frame.kind is Kind.FLAT or not _hits(flat, path):
            continue
        word = _evidence(each).word.split(" ")[0].lower()
        word = next((part for part in ("dark", "bias") if part in path.rpartition("/")[2].lower()), word)
        if each.frame.kind not in JUDGED_KINDS or not word or word in words:
            return {}
        guards[f"*{word}*"] = each.frame.kind.value
    rules = {**guards, **flat}
    is_harmless = all(
        (found := _hits(rules, each.sample.path)) == ""
        or each.sample.path in wanted
        or kind_of(found) is each.frame.kind
        for each in looks
    )
    reaches_all = all(_hits(rules, each.sample.path) == "flat" for each in flats)
    return rules if is_harmless and reaches_all else {}


def _hits(patterns: Mapping[str, str], path: str) -> str:
    """Return the kind of the first pattern that a file fits, or ''; a pattern with a slash is for the whole path."""
    name = path.rpartition("/")[2]
    found = (label for pattern, label in patterns.items() if matches(pattern, path if "/" in pattern else name))
    return next(found, "")


# --- frames of which only the file name says anything -----------------------------------------------------------------


def _settle_rest(found: KindRulesFound, looks: Sequence[Look], rest: Sequence[Look]) -> bool:
    """Add a rule for a program that writes no types: what no name calls a calibration is a science frame.

    Only if calibrations are named, the rest was exposed, and the rule leaves every frame that is known what it is.
    """
    known = [each for each in looks if each.frame.kind is not Kind.UNKNOWN and each.frame.planes]
    named = sum(each.frame.kind in CALIBRATION_KINDS for each in known)
    is_exposed = all((each.frame.exposure_s or 0.0) > BIAS_EXPOSURE_S for each in rest)
    if len(rest) < ENOUGH or named < ENOUGH or not is_exposed:
        return False
    order = {Kind.DARK: 0, Kind.BIAS: 1, Kind.FLAT: 2}
    rules: dict[str, str] = {}
    for each in sorted(known, key=lambda each: order.get(each.frame.kind, len(order))):
        if _hits(rules, each.sample.path) == "":
            rules[_pattern_of(each)] = each.frame.label
    rules["*"] = "light"
    if any(kind_of(_hits(rules, each.sample.path)) is not each.frame.kind for each in known):
        return False
    found.file_names |= rules
    found.reasons["file_names"] = (
        f"no header tells a type; {_frames(named)} are named as calibrations, the {len(rest)} that are not are taken "
        "for science frames. Remove this line when the program writes IMAGETYP"
    )
    return True


def _pattern_of(each: Look) -> str:
    """Return a pattern for the word by which a frame is known, in its name or else in its folder."""
    named = read_name(each.sample.path.rpartition("/")[2], each.frame.object_name or "")
    word = (named.word or named.arc or named.other or named.science).split(" ")[0].lower()
    if word:
        return f"*{word}*"
    return f"*{_evidence(each).word.split(' ')[0].lower()}*/*"


def _settle_names(found: KindRulesFound, looks: Sequence[Look]) -> None:
    """Add patterns for names in the words of type cards (``offset_001``, ``plu_B``); suggest the others."""
    by_stem: defaultdict[str, list[Look]] = defaultdict(list)
    for each in looks:
        found_stem = _STEM.match(each.sample.path.rpartition("/")[2])
        by_stem[found_stem[0] if found_stem else ""].append(each)
    if len(by_stem) > 1 and len(by_stem) == len(looks):
        by_stem = defaultdict(list, {"": list(looks)})
    for stem, group in sorted(by_stem.items(), key=lambda item: -len(item[1]))[:_MAX_STEMS]:
        label = _label_of_names(group)
        if label and stem and len(group) >= ENOUGH:
            found.file_names[f"{stem}*"] = label
            why = f"{_frames(len(group))} without a type are named {stem}, which is a word for {label}"
            found.reasons["file_names"] = _joined(found.reasons.get("file_names"), why)
            continue
        is_bias = all(_is_bias_exposure(each) for each in group)
        pattern = f"{stem}*" if stem else "*"
        reason = f"nothing says what {_frames(len(group))} like {_printed(group[0].sample.path)} are; if this is right"
        guess = {pattern: "bias" if is_bias else "light"}
        found.suggestions.append(Suggestion("keywords.file_names", _quoted(guess), reason))


def _label_of_names(group: Sequence[Look]) -> str:
    """Return the calibration that a word in every name stands for, if the exposures allow it."""
    labels = {_label_of_words(words_of(each.sample.path.rpartition("/")[2])) for each in group}
    label = labels.pop() if len(labels) == 1 else ""
    if label == "bias":
        return label if all(_is_bias_exposure(each) for each in group) else ""
    if label in {"dark", "flat"}:
        return label if all(each.frame.exposure_s is None or each.frame.exposure_s > 0 for each in group) else ""
    return ""


def _label_of_words(words: Iterable[str]) -> str:
    """Return the one calibration that the words name in the language of type cards, or ''."""
    labels = {TYPE_WORDS.get(word.upper(), "") for word in words if len(word) >= _SHORTEST_WORD}
    calibrations = labels & {"bias", "dark", "flat"}
    return calibrations.pop() if len(calibrations) == 1 else ""


def _is_bias_exposure(each: Look) -> bool:
    """Return whether a frame was exposed no longer than a bias."""
    return each.frame.exposure_s is not None and each.frame.exposure_s <= BIAS_EXPOSURE_S


def _joined(former: str | None, more: str) -> str:
    """Return two reasons as one."""
    return f"{former}; {more}" if former else more


def _frames(count: int) -> str:
    """Return a number of frames in words."""
    return "1 frame" if count == 1 else f"{count} frames"


def _printed(path: str) -> str:
    """Return a path that can be printed."""
    return "".join(character if character.isprintable() else "?" for character in path)
