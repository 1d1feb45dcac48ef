"""``run`` and ``scan``."""

from __future__ import annotations

import os
import sys

import click

from ingestd import daemon
from ingestd.api import open_catalogue
from ingestd.cli.options import config_option, config_path, set_up_logging
from ingestd.settings import Settings, load_settings


@click.command()
@config_option
@click.pass_context
def run(context: click.Context, config: str | None) -> None:
    """Run the daemon until SIGTERM.

    It watches the cameras' directories; SIGHUP makes it read the settings again.
    """
    path = config_path(context, config)
    settings = load_settings(path)
    set_up_logging(settings.log)
    _warn_root()
    daemon.Daemon(path, settings).run()


@click.command()
@config_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def scan(context: click.Context, config: str | None, *, quiet: bool) -> None:
    """Do what is to be done now, and exit.

    Takes in what lies in the cameras' directories, builds masters, reduces science frames.
    """
    settings = load_settings(config_path(context, config))
    set_up_logging(settings.log)
    _warn_root()
    bar = click.progressbar([0], label="Scanning", file=sys.stderr, hidden=quiet, show_eta=False)
    with bar:

        def progress(done: int, left: int) -> None:
            """Show how many jobs are done, of those known by now."""
            bar.label, bar.length = "Working", max(done + left, 1)
            bar.update(done - bar.pos)

        def scanned(done: int, total: int) -> None:
            """Show how many files were taken in."""
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        daemon.run_scan(settings, progress, scanned)
    _report(settings)


def _report(settings: Settings) -> None:
    """Say in one line what the catalogue holds after a scan."""
    with open_catalogue(settings.catalogue_path) as catalogue:
        found = catalogue.status()
    states = ", ".join(f"{count} {state}" for state, count in found["frames"].items()) or "none"
    incomplete = found["arrivals"] - len(found["unreadable"])
    arriving = f"; {incomplete} files are not complete yet" if incomplete else ""
    unread = f"; {len(found['unreadable'])} could not be read" if found["unreadable"] else ""
    click.echo(f"Frames: {states}{arriving}{unread}. `ingestd frames` lists them, `ingestd explain FILE` says why.")


def _warn_root() -> None:
    """Advise against running as root: a daemon that reads foreign files should own as little as possible."""
    if os.geteuid() == 0:
        click.echo("Running as root; an own user (systemd/ingestd.sysusers) is safer.", err=True)
