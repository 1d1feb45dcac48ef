"""The commands: parse, call, print, exit code.

``main`` is the entry point; ``options`` what commands share, ``initialising`` proposes settings, ``serving`` runs and
scans, ``showing`` reads the database, ``explaining`` tells why, ``covering`` what to take, ``mapping`` the bad pixels,
``exporting`` serves other programs, ``verifying`` proves, ``operating`` changes something, ``deciding`` takes the
operator's word, ``demonstrating`` is the demo, ``tables`` the looks.

Exit codes: 0 done, 1 it could not be done, 2 wrong settings or arguments, 75 another process holds the data directory.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from ingestd.cli.covering import coverage
from ingestd.cli.deciding import accept, decisions, pin, reject, restore
from ingestd.cli.demonstrating import demo
from ingestd.cli.explaining import explain
from ingestd.cli.exporting import export, query
from ingestd.cli.initialising import init
from ingestd.cli.mapping import badpixels
from ingestd.cli.operating import requeue
from ingestd.cli.options import DEFAULT_CONFIG, config_option
from ingestd.cli.serving import run, scan
from ingestd.cli.showing import config_group, frames, masters, qa, status
from ingestd.cli.verifying import verify
from ingestd.errors import IngestdError, LockHeld, SettingsInvalid
from ingestd.records import VERSION

__all__ = ["main", "program"]

EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_LOCKED = 75


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(VERSION, prog_name="ingestd")
@config_option
@click.pass_context
def program(context: click.Context, config: str | None) -> None:
    """Observatory ingest daemon: rolling master calibrations, science frames reduced as they arrive, QA metrics."""
    context.obj = config or DEFAULT_CONFIG


for command in (
    init,
    run,
    scan,
    status,
    frames,
    masters,
    qa,
    explain,
    coverage,
    badpixels,
    query,
    export,
    verify,
    requeue,
    accept,
    reject,
    restore,
    pin,
    decisions,
    config_group,
    demo,
):
    program.add_command(command)


def main() -> NoReturn:
    """Run a command; a person's error becomes one line and an exit code, a program error keeps its traceback."""
    try:
        program(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(EXIT_FAILED)
    except SettingsInvalid as error:
        click.echo(f"Settings: {error}", err=True)
        sys.exit(EXIT_SETTINGS)
    except LockHeld as error:
        click.echo(f"In use: {error}", err=True)
        sys.exit(EXIT_LOCKED)
    except IngestdError as error:
        click.echo(f"Failed: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except PermissionError as error:
        click.echo(f"Failed: {error.filename}: {error.strerror}. Run this as the user that owns it.", err=True)
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    sys.exit(0)
