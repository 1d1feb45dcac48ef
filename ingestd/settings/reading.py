"""A TOML table -> frozen sections, strictly: an error names the key path, the value and what is allowed."""

from __future__ import annotations

import difflib
import itertools
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from ingestd.errors import SettingsInvalid
from ingestd.settings.association import MasterRules, Matching
from ingestd.settings.checking import mistakes_together
from ingestd.settings.whole import Settings


def load_settings(path: Path) -> Settings:
    """Return the settings in a TOML file; relative paths in it are taken from its directory.

    Raises
    ------
    SettingsInvalid
        If the file cannot be read, is not TOML, or a key is unknown, of the wrong type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        todo = "`ingestd init DIRECTORY` writes one for the frames there, --config names another"
        raise SettingsInvalid(f"{path}: there is no such file. {todo}") from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsInvalid(f"{path}: cannot be read: {why}. Name another file with --config") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path}: not valid TOML: {error}") from error
    return parse_settings(table, str(path), path.parent)


def parse_settings(table: Mapping[str, Any], origin: str = "settings", folder: Path = Path()) -> Settings:
    """Return the settings in a parsed TOML table, all paths absolute.

    Parameters
    ----------
    table : mapping
        As in TOML.
    origin : str
        Names the table in errors.
    folder : Path
        Where relative paths are taken from.

    Raises
    ------
    SettingsInvalid
        With every mistake in the table.
    """
    general = {name: table[name] for name in ("masters", "matching") if name in table}
    shared = cast("Settings", _Reader({}).section(Settings, {**general, "camera": []}, ""))
    reader = _Reader({MasterRules: shared.masters, Matching: shared.matching})
    read = cast("Settings", reader.section(Settings, table, ""))
    settings = read if reader.mistakes else _rooted(read, folder)
    mistakes = list(dict.fromkeys(reader.mistakes or mistakes_together(settings)))
    if len(mistakes) > 1:
        raise SettingsInvalid("\n  ".join([f"{origin}: {len(mistakes)} mistakes:", *mistakes]))
    if mistakes:
        raise SettingsInvalid(f"{origin}: {mistakes[0]}")
    return settings


def plain_path(path: Path) -> Path:
    """Return a path as an absolute one without '..': settings outlive the working directory."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _rooted(settings: Settings, folder: Path) -> Settings:
    """Return the settings with absolute paths; ``~`` is a home, relative ones are taken from the folder."""

    def rooted(text: str) -> str:
        """Return one path."""
        if "\0" in text:
            raise SettingsInvalid(f"{text!r}: no path can hold a NUL")
        try:
            return str(plain_path(folder / os.path.expanduser(text)))  # noqa: PTH111 - the home of nobody is no error
        except RuntimeError as error:  # of Python 3.11 and 3.12, for a loop of links
            raise SettingsInvalid(f"{text!r}: {error}") from error

    cameras = tuple(replace(it, directories=tuple(map(rooted, it.directories))) for it in settings.camera)
    return replace(settings, paths=replace(settings.paths, data=rooted(settings.paths.data)), camera=cameras)


class _Reader:
    """Reads sections; ``bases`` are what an optional section of a type stands on: its other keys are theirs.

    Every wrong key is noted in ``mistakes``, and has no meaningful value in what is returned.
    """

    def __init__(self, bases: Mapping[type, object]) -> None:
        self._bases = bases
        self.mistakes: list[str] = []

    def section(self, cls: type, table: object, path: str, base: object = None) -> object:
        """Return an instance of the dataclass ``cls`` from a TOML table, strictly."""
        if not isinstance(table, Mapping):
            raise SettingsInvalid(f"{path} = {table!r}: must be a table, [{path}]")
        hints = get_type_hints(cls)
        known: dict[str, Field[Any]] = {item.name: item for item in fields(cls)}
        self.mistakes += [f"{_join(path, it)}: unknown key{_hint(it, known)}" for it in table if it not in known]
        values: dict[str, object] = {}
        for name, item in known.items():
            values[name] = default = _default(item) if base is None else getattr(base, name)
            if name in table:
                try:
                    values[name] = self._value(hints[name], item, table[name], _join(path, name), default)
                except SettingsInvalid as error:
                    self.mistakes.append(str(error))
            elif default is MISSING:
                self.mistakes.append(f"{_join(path, name)}: missing; it has no default")
        return cls(**values)

    def _value(self, hint: Any, item: Field[Any], value: object, path: str, default: object) -> object:  # noqa: ANN401 - a type
        """Return one checked value of the type that the field declares."""
        if get_origin(hint) is UnionType:
            hint = next(part for part in get_args(hint) if part is not NoneType)
        if isinstance(hint, type) and is_dataclass(hint):
            return self.section(hint, value, path, default if is_dataclass(default) else self._bases.get(hint))
        if get_origin(hint) is tuple:
            return self._sequence(get_args(hint)[0], item, value, path)
        if get_origin(hint) is Mapping:
            return self._mapping(get_args(hint)[1], item, value, path)
        return self._scalar(cast("type", hint), item, value, path)

    def _sequence(self, part: object, item: Field[Any], value: object, path: str) -> tuple[object, ...]:
        """Return a checked list as a tuple; a list of tables becomes sections."""
        if not isinstance(value, list | tuple):
            raise SettingsInvalid(f"{path} = {value!r}: must be a list")
        if isinstance(part, type) and is_dataclass(part):
            return tuple(self.section(part, entry, path) for entry in value)
        return tuple(self._scalar(cast("type", part), item, entry, path) for entry in value)

    def _mapping(self, part: type, item: Field[Any], value: object, path: str) -> dict[str, object]:
        """Return a checked table of single values: numbers, or whatever can be written as text."""
        if not isinstance(value, Mapping) or not all(isinstance(v, str | int | float | bool) for v in value.values()):
            raise SettingsInvalid(f"{path} = {value!r}: must be a table of single values")
        if part is str:
            return {str(k): str(v) for k, v in value.items()}
        return {str(k): self._scalar(part, item, v, _join(path, str(k))) for k, v in value.items()}

    def _scalar(self, hint: type, item: Field[Any], value: object, path: str) -> object:
        """Return a checked text, number or boolean."""
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
            raise SettingsInvalid(f"{path} = {value!r}: must be {_TYPE_NAMES[hint]}")
        allowed = item.metadata
        if allowed["choices"] and value not in allowed["choices"]:
            raise SettingsInvalid(
                f"{path} = {value!r}: must be one of {', '.join(map(repr, allowed['choices']))}"
                f"{_nearest(str(value), dict.fromkeys(allowed['choices']))}"
            )
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = allowed["low"], allowed["high"]
            if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
                raise SettingsInvalid(f"{path} = {value!r}: must be between {low:g} and {high:g}")
        return value


def _default(item: Field[Any]) -> object:
    """Return the default of a field, MISSING if it has none."""
    return item.default if item.default_factory is MISSING else item.default_factory()


_TYPE_NAMES = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


def _join(path: str, name: str) -> str:
    """Return the key path of a key in a section."""
    return f"{path}.{name}" if path else name


def _hint(name: str, known: Mapping[str, object]) -> str:
    """Return where an unknown key belongs, else the nearest of those that are known here."""
    elsewhere = list(itertools.islice((path for path in _key_paths(Settings) if path.split(".")[-1] == name), 3))
    return f"; it is {' or '.join(elsewhere)}" if elsewhere else _nearest(name, known)


def _key_paths(cls: type, path: str = "") -> Iterator[str]:
    """Yield the path of each key, the outermost first; those that a camera has like all cameras once."""
    sections: list[tuple[type, str]] = []
    for name, hint in get_type_hints(cls).items():
        yield (inner := _join(path, name))
        part = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if isinstance(part, type) and is_dataclass(part):
            sections.append((part, inner))
    for part, inner in sections:
        yield from _key_paths(part, inner)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    """Return a hint at the nearest known name, or at all if none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
