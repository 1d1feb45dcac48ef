"""What a frame is for: the type card, else the file's name, else its folder; a contradiction makes it unknown.

The header's word stands above the name's. A name that says another thing about a calibration is not overruled: a flat
labelled 'Light Frame' is neither, and a person decides. An unfamiliar word is never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestd.records import Kind
from ingestd.rules.dialects.fields import Cards
from ingestd.rules.dialects.names import CALIBRATIONS, NOTHING, NameEvidence, calibration_object, read_folder, read_name
from ingestd.rules.dialects.type_cards import JUDGED_KINDS, HeaderType, KindRules, matches, read_type, settings_label
from ingestd.rules.dialects.words import OTHER_NAME_WORDS, kind_of


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
    if done and decision.kind in JUDGED_KINDS:
        return replace(decision, flags=(*decision.flags, "calibrated"), notes=(*decision.notes, f'named "{done}"'))
    return decision


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
    if kind not in JUDGED_KINDS:
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
    if header.unfamiliar or named.label == "ambiguous":
        return _not_guessed(header, named)
    target = calibration_object(object_name)
    if named.label:
        if target.label:
            return _by_name(header, named, target, f"OBJECT = {object_name}")
        return _by_name(header, named, folder, f'the directory is named "{folder.word}"')
    if target.label:
        return Decision(target.label, f"OBJECT = {object_name}")
    if folder.label not in {"", "ambiguous"}:
        return Decision(folder.label, f'directory is named "{folder.word}"')
    return _by_lesser_words(named)


def _not_guessed(header: HeaderType, named: NameEvidence) -> Decision:
    """Return unknown for an unfamiliar word of a type card, or a name that says several things."""
    if header.unfamiliar:
        advice = f'{header.unfamiliar} is no known type; name it in [camera.keywords] words = {{"..." = "light"}}'
        return Decision("unknown", header.unfamiliar, notes=(advice,))
    return Decision("unknown", "", notes=(f'the file name contains "{named.word}", which is not one kind',))


def _by_name(header: HeaderType, named: NameEvidence, second: NameEvidence, where: str) -> Decision:
    """Return the decision of the file's name, unless OBJECT or folder contradict it: darks/flat_300s may be either."""
    if second.kind not in JUDGED_KINDS or _agrees(second.kind, named):
        return Decision(named.label, _name_source(named))
    if second.kind is Kind.FLAT and named.kind is Kind.DARK:
        return Decision("dark-flat", _name_source(named))
    return _contradiction(f"{_name_source(named)}, but {where}", named, header)


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
    label = evidence.label if evidence.kind in JUDGED_KINDS else header.label
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
