"""A proposal as a commented ``config.toml``: what differs from the defaults, each key with its reason above it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass

from ingestd.rules.proposing.values import CameraProposal, Proposal, Suggestion
from ingestd.settings import Camera, Keywords, MasterRule, Masters

_WIDTH = 112
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def config_text(proposal: Proposal) -> str:
    """Return the text of ``config.toml``.

    Only what differs from the defaults stands in it, so that a later version's better defaults reach it and a reader
    sees what is particular to this observatory; ``ingestd config show`` prints every value in force.

    Raises
    ------
    ValueError
        If a path cannot be written in TOML, which is UTF-8.
    """
    parts = [
        _heading(proposal),
        _site(proposal),
        _paths(proposal),
        *_masters(proposal.settings.masters, proposal.reasons),
        *(_camera(camera) for camera in proposal.cameras),
    ]
    text = "\n".join(parts)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the name {proposal.directory!r} is not valid UTF-8 and cannot stand in TOML") from error
    return text


def _heading(proposal: Proposal) -> str:
    """Return the comment at the top: where the settings come from and how the file is meant."""
    survey = proposal.survey
    read = f"{len(survey.samples)} of {survey.found}"
    lines = [
        f"# Settings of ingestd, proposed by `ingestd init` from the headers of {read} files in",
        f"# {_printed(proposal.directory)}",
        "# Here stands only what differs from the defaults, with the reason above each key; a key behind a # is a",
        "# suggestion: take the # away if it is right. Relative paths are taken from the directory of this file.",
        "# Every value in force:  ingestd config show        After a change:  ingestd config check",
    ]
    if not survey.is_complete:
        lines += _comment(
            f"Only {read} files were read, so the numbers below are of a sample, and masters keep their default "
            "smallest number of frames."
        )
    return "\n".join(lines) + "\n"


def _site(proposal: Proposal) -> str:
    """Return [site]."""
    site = proposal.settings.site
    lines = ["[site]"]
    if site.name:
        lines += _entry("name", site.name, proposal.reasons.get("site.name", ""))
    if site.longitude_deg is not None:
        lines += _entry("longitude_deg", site.longitude_deg, proposal.reasons.get("site.longitude_deg", ""))
    lines += _suggested(proposal.suggestions, "site.")
    return "\n".join(lines) + "\n"


def _paths(proposal: Proposal) -> str:
    """Return [paths]."""
    why = "masters, products and the calibration database; the directories of the cameras are never written to"
    return "\n".join(["[paths]", *_entry("data", proposal.settings.paths.data, why)]) + "\n"


def _masters(masters: Masters, reasons: Mapping[str, str]) -> list[str]:
    """Return the sections [masters.*] that differ from the defaults."""
    parts = []
    default = Masters()
    for kind in ("bias", "dark", "flat"):
        rule, usual = getattr(masters, kind), getattr(default, kind)
        lines = [
            line
            for item in fields(MasterRule)
            if getattr(rule, item.name) != getattr(usual, item.name)
            for line in _entry(item.name, getattr(rule, item.name), reasons.get(f"masters.{kind}.{item.name}", ""))
        ]
        if lines:
            parts.append("\n".join([f"[masters.{kind}]", *lines]) + "\n")
    return parts


def _camera(proposal: CameraProposal) -> str:
    """Return one [[camera]] with its keywords."""
    camera, reasons = proposal.camera, proposal.reasons
    plain = Camera(camera.name)
    lines = ["[[camera]]"]
    always = {"name", "directories", "dark_policy", "requires"}
    for item in fields(Camera):
        value = getattr(camera, item.name)
        if is_dataclass(value) or (item.name not in always and value == getattr(plain, item.name)):
            continue
        lines += _entry(item.name, value, reasons.get(item.name, ""))
    own = [each for each in proposal.suggestions if not each.key.startswith("keywords.")]
    lines += _suggested(own, "")
    usual = Keywords()
    entries = [
        line
        for item in fields(Keywords)
        if getattr(camera.keywords, item.name) != getattr(usual, item.name)
        for line in _entry(item.name, getattr(camera.keywords, item.name), reasons.get(f"keywords.{item.name}", ""))
    ]
    suggested = _suggested(proposal.suggestions, "keywords.")
    if entries:
        lines += ["", "[camera.keywords]", *entries]
    elif suggested:
        lines += ["", "# [camera.keywords]"]
    return "\n".join(lines + suggested) + "\n"


def _suggested(suggestions: Iterable[Suggestion], prefix: str) -> list[str]:
    """Return the suggestions of a section as comments."""
    lines: list[str] = []
    for each in suggestions:
        if each.key.startswith(prefix):
            lines += [
                *_comment(f"{each.reason.rstrip('.')}."),
                f"# {each.key.removeprefix(prefix)} = {_printed(each.value)}",
            ]
    return lines


# --- TOML -------------------------------------------------------------------------------------------------------------


def _entry(key: str, value: object, reason: str) -> list[str]:
    """Return a key with its reason above it."""
    return [*(_comment(reason) if reason else []), f"{key} = {toml_value(value)}"]


def toml_value(value: object) -> str:
    """Return a value as TOML writes it: texts, numbers, booleans, lists and tables of them."""
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_key(str(key))} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_value(each) for each in value)}]"
    return repr(value)


def toml_text(text: str) -> str:
    """Return a text as a TOML string."""
    return f'"{"".join(_escaped(character) for character in text)}"'


def toml_key(key: str) -> str:
    """Return a key, in quotes unless it is made of letters, digits, _ and -."""
    return key if _BARE_KEY.fullmatch(key) else toml_text(key)


def _escaped(character: str) -> str:
    """Return one character of a TOML string."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x20 or 0x7F <= code < 0xA0 else character  # noqa: PLR2004 - control characters


def _comment(text: str) -> list[str]:
    """Return a text as comment lines."""
    return [f"# {line}" for line in textwrap.wrap(_printed(text), _WIDTH, break_long_words=False)]


def _printed(text: str) -> str:
    """Return a text in which no character of a header can end a comment or reach a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
