"""A TOML table -> frozen sections, strictly: an error names the key path, the value and what is allowed."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from ingestd.errors import SettingsInvalid
from ingestd.settings.checking import check_together
from ingestd.settings.whole import Settings


def load_settings(path: Path) -> Settings:
    """Return the settings in a TOML file.

    Raises
    ------
    SettingsInvalid
        If the file cannot be read, is not TOML, or a key is unknown, of the wrong type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsInvalid(f"{path}: cannot be read: {why}. Name another file with --config") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path}: not valid TOML: {error}") from error
    return parse_settings(table, str(path))


def parse_settings(table: Mapping[str, Any], origin: str = "settings") -> Settings:
    """Return the settings in a parsed TOML table; ``origin`` names it in errors."""
    settings = cast("Settings", _section(Settings, table, "", origin))
    check_together(settings, origin)
    return settings


def _section(cls: type, table: object, path: str, origin: str) -> object:
    """Return an instance of the dataclass ``cls`` from a TOML table, strictly."""
    if not isinstance(table, Mapping):
        raise SettingsInvalid(f"{origin}: {path} = {table!r}: must be a table, [{path}]")
    hints = get_type_hints(cls)
    known: dict[str, Field[Any]] = {item.name: item for item in fields(cls)}
    for name in table:
        if name not in known:
            raise SettingsInvalid(f"{origin}: {_join(path, name)}: unknown key{_nearest(name, known)}")
    values: dict[str, object] = {}
    for name, item in known.items():
        if name in table:
            values[name] = _value(hints[name], item, table[name], _join(path, name), origin, _default(item))
        elif item.default is MISSING and item.default_factory is MISSING:
            raise SettingsInvalid(f"{origin}: {_join(path, name)}: missing; it has no default")
    return cls(**values)


def _default(item: Field[Any]) -> object:
    """Return the default of a field, or None."""
    if item.default_factory is not MISSING:
        return item.default_factory()
    return None if item.default is MISSING else item.default


def _value(hint: object, item: Field[Any], value: object, path: str, origin: str, default: object) -> object:
    """Return one checked value of the type that the field declares."""
    if get_origin(hint) is UnionType:
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if isinstance(hint, type) and is_dataclass(hint):
        if is_dataclass(default) and isinstance(value, Mapping):
            value = {**{f.name: getattr(default, f.name) for f in fields(hint) if _is_plain(default, f)}, **value}
        return _section(hint, value, path, origin)
    if get_origin(hint) is tuple:
        return _sequence(get_args(hint)[0], item, value, path, origin)
    if get_origin(hint) is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(v, str | int | float | bool) for v in value.values()):
            raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be a table of single values")
        return {str(k): str(v) for k, v in value.items()}
    return _scalar(cast("type", hint), item, value, path, origin)


def _is_plain(section: object, item: Field[Any]) -> bool:
    """Return whether a default can stand in a TOML table as it is."""
    return isinstance(getattr(section, item.name), str | int | float | bool)


def _sequence(part: object, item: Field[Any], value: object, path: str, origin: str) -> tuple[object, ...]:
    """Return a checked list as a tuple; a list of tables becomes sections."""
    if not isinstance(value, list | tuple):
        raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be a list")
    if isinstance(part, type) and is_dataclass(part):
        return tuple(_section(part, entry, path, origin) for entry in value)
    return tuple(_scalar(cast("type", part), item, entry, path, origin) for entry in value)


_TYPE_NAMES = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


def _scalar(hint: type, item: Field[Any], value: object, path: str, origin: str) -> object:
    """Return a checked text, number or boolean."""
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be {_TYPE_NAMES[hint]}")
    allowed = item.metadata
    if allowed["choices"] and value not in allowed["choices"]:
        raise SettingsInvalid(
            f"{origin}: {path} = {value!r}: must be one of {', '.join(map(repr, allowed['choices']))}"
            f"{_nearest(str(value), dict.fromkeys(allowed['choices']))}"
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = allowed["low"], allowed["high"]
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be between {low:g} and {high:g}")
    return value


def _join(path: str, name: str) -> str:
    """Return the key path of a key in a section."""
    return f"{path}.{name}" if path else name


def _nearest(name: str, known: Mapping[str, object]) -> str:
    """Return a hint at the nearest known key, or an empty text."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
