"""``config``: what the settings say, and whether the directories in them can be used."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
from pathlib import Path

import click

from ingestd.cli.options import config_option, printable, settings_of


@click.group()
def config() -> None:
    """Check or show the settings."""


@config.command("check")
@config_option
@click.pass_context
def check(context: click.Context, config: str | None) -> None:
    """Check the settings file.

    A mistake is told with its key, its value and what is allowed; the exit status is 2.
    """
    settings = settings_of(context, config)
    for camera in settings.camera:
        for directory in camera.directories:
            click.echo(printable(f"Camera {camera.name} watches {directory}{_directory_words(Path(directory))}"))
    click.echo(printable(f"Data goes to {settings.data_dir}{_data_words(settings.data_dir)}"))
    click.echo("The settings are valid.")


@config.command("show")
@config_option
@click.pass_context
def show(context: click.Context, config: str | None) -> None:
    """Print the effective values of all settings, defaults included, as JSON."""
    click.echo(json.dumps(dataclasses.asdict(settings_of(context, config)), indent=2))


def _directory_words(directory: Path) -> str:
    """Return what is wrong with a watched directory, and what to do."""
    try:
        is_there, is_directory = directory.exists(), directory.is_dir()
    except PermissionError:
        is_there = is_directory = True
    if not is_there:
        return ": does not exist yet; the daemon waits for it."
    if not is_directory:
        return ": is no directory; the daemon waits for one."
    if not os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
        return f": cannot be read by the user {_user()}. Let the user of ingestd read it (chmod, chown)."
    return "."


def _data_words(data: Path) -> str:
    """Return what is wrong with the data directory, and what to do."""
    place = next(folder for folder in (data, *data.parents) if os.access(folder, os.F_OK, effective_ids=True))
    if not place.is_dir():
        return f": {place} is no directory. Name another place in paths.data."
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        todo = "Let the user of ingestd write there (chown), or name another place in paths.data"
        return f": the user {_user()} cannot write to {place}. {todo}."
    return "."


def _user() -> str:
    """Return who asks."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
