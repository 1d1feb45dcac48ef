"""``run`` and ``scan``."""

from __future__ import annotations

import os
import sys

import click

from ingestd import daemon
from ingestd.cli.options import config_option, config_path, set_up_logging
from ingestd.settings import load_settings


@click.command()
@config_option
@click.pass_context
def run(context: click.Context, config: str | None) -> None:
    """Watch the cameras' directories until stopped (SIGTERM); SIGHUP reads the settings again."""
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
    """Take in what lies in the cameras' directories now, build masters, reduce, and exit."""
    settings = load_settings(config_path(context, config))
    set_up_logging(settings.log)
    _warn_root()
    bar = click.progressbar([0], label="Scanning", file=sys.stderr, hidden=quiet, show_eta=False)
    with bar:

        def progress(done: int, left: int) -> None:
            bar.label, bar.length = "Working", max(done + left, 1)
            bar.update(done - bar.pos)

        def scanned(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        daemon.run_scan(settings, progress, scanned)


def _warn_root() -> None:
    """Advise against running as root: a daemon that reads foreign files should own as little as possible."""
    if os.geteuid() == 0:
        click.echo("Running as root; an own user (systemd/ingestd.sysusers) is safer.", err=True)
