"""What commands share: the settings file before or after the command, JSON, logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ingestd.settings import Log, Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_CONFIG = "config.toml"
TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
_LONGEST_MESSAGE = 2000


def config_option(command: Command) -> Command:
    """Add ``--config FILE``; it may stand before or after the name of the command."""
    return click.option("--config", metavar="FILE", default=None, help=f"Settings file.  [default: {DEFAULT_CONFIG}]")(
        command
    )


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table.")(command)


def config_path(context: click.Context, config: str | None) -> Path:
    """Return the settings file: that of the command, else that before the command, else the default."""
    return Path(config or context.find_root().obj or DEFAULT_CONFIG)


def settings_of(context: click.Context, config: str | None) -> Settings:
    """Return the settings that a command works with."""
    return load_settings(config_path(context, config))


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
