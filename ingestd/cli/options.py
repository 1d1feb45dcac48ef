"""What commands share: the settings file before or after the command, names of frames and places, JSON, logs."""

from __future__ import annotations

import difflib
import json
import logging
import os
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ingestd.metrics import METRICS
from ingestd.settings import Log, Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_CONFIG = "config.toml"
TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
LIMIT = click.IntRange(min=1)
_LONGEST_MESSAGE = 2000


def config_option(command: Command) -> Command:
    """Add ``--config FILE``; it may stand before or after the name of the command."""
    return click.option("--config", metavar="FILE", default=None, help=f"Settings file.  [default: {DEFAULT_CONFIG}]")(
        command
    )


def night_option(command: Command) -> Command:
    """Add ``--night YYYY-MM-DD``."""
    words = "The date on which the night began."
    return click.option("--night", metavar="YYYY-MM-DD", callback=_as_night, help=words)(command)


def _as_night(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the date as the catalogue has it."""
    try:
        return None if value is None else date.fromisoformat(value).isoformat()
    except ValueError:
        raise click.BadParameter(f"{value!r} is no date; write it as 2026-01-15") from None


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table.")(command)


def metric_option(command: Command) -> Command:
    """Add ``--metric NAME``."""
    words = "Of quality figures only this one."
    return click.option("--metric", metavar="NAME", callback=_as_metric, help=words)(command)


def _as_metric(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the name of a quality figure."""
    names = [row.name for row in METRICS]
    if value is None or value in names:
        return value
    near = difflib.get_close_matches(value, names, 5) or [name for name in names if value and value in name][:5]
    hint = f"did you mean {', '.join(near)}?" if near else "`ingestd qa --latest` lists them"
    raise click.BadParameter(f"there is no quality figure {value!r}; {hint}")


def config_path(context: click.Context, config: str | None) -> Path:
    """Return the settings file: that of the command, else that before the command, else the default."""
    return Path(config or context.find_root().obj or DEFAULT_CONFIG)


def settings_of(context: click.Context, config: str | None) -> Settings:
    """Return the settings that a command works with."""
    return load_settings(config_path(context, config))


def check_camera(settings: Settings, camera: str | None) -> None:
    """Refuse a camera that the settings do not have: for a command that found nothing of it."""
    names = [it.name for it in settings.camera]
    if camera is not None and camera not in names:
        raise click.ClickException(f"no [[camera]] is called {camera!r}; in the settings: {', '.join(names)}")


def check_target(target: Path, raw: Iterable[Path]) -> None:
    """Refuse to write into a directory of raw frames or below it, or into one that is not there."""
    folder = target.resolve().parent
    if {it.resolve() for it in raw} & {folder, *folder.parents}:
        raise click.ClickException(f"{target} lies beside raw frames, where nothing is written: name another place")
    if not folder.is_dir():
        raise click.ClickException(f"{target}: there is no directory {folder}. Make it, or name another place.")


def as_recorded(name: str, settings: Settings) -> str:
    """Return the path of a file as the catalogue has it, absolute or from ``paths.data``; other names as they are."""
    path = Path(os.path.abspath(name))  # noqa: PTH100 - links of the directories stay as the settings have them
    if os.sep not in name or not path.is_file():
        return name
    data = settings.data_dir.absolute()
    return str(path.relative_to(data) if path.is_relative_to(data) else path)


def set_up_logging(log: Log) -> None:
    """Send log records to standard error as the settings say; control characters never reach the terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if log.format == "json" else _Text("%(levelname)-7s %(message)s"))
    logging.basicConfig(level=log.level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a closed pipe behind standard error must not end a night
    logging.captureWarnings(capture=True)


class _Text(logging.Formatter):
    """One line of text a record, as journald likes it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as printable text."""
        return printable(super().format(record))


class _JsonLines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": record.getMessage()[:_LONGEST_MESSAGE],
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def printable(text: str) -> str:
    """Return the text with control characters escaped, except line ends of a traceback."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)
