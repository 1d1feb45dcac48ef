"""The commands: parse, call, print, exit code.

``main`` is the entry point; ``options`` what commands share, ``initialising`` proposes settings, ``configuring``
checks them, ``serving`` runs and
scans, ``showing`` reads the database, ``sensing`` tells what all nights say of a sensor, ``explaining`` why, also of a
master (``lineage``), ``inspecting`` measures frames by hand (``picturing`` prints it), ``covering`` what to take,
``mapping`` the bad pixels, ``exporting`` serves other programs, ``verifying`` proves, ``operating`` changes something,
``deciding`` takes the operator's word, ``epochs`` hears it on hardware, ``demonstrating`` is the demo, ``tables`` the
looks.

Exit codes: 0 done, 1 it could not be done, 2 wrong settings or arguments, 75 another process holds the data directory.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NoReturn

import click

from ingestd.cli.options import DEFAULT_CONFIG, config_option, printable
from ingestd.errors import IngestdError, LockHeld, SettingsInvalid
from ingestd.records import VERSION

__all__ = ["main", "program"]

EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_LOCKED = 75


_MODULES: Mapping[str, tuple[str, ...]] = {
    "configuring": ("config",),
    "covering": ("coverage",),
    "deciding": ("accept", "reject", "restore", "pin", "decisions"),
    "demonstrating": ("demo",),
    "epochs": ("epochs",),
    "explaining": ("explain",),
    "exporting": ("query", "export"),
    "initialising": ("init",),
    "inspecting": ("inspect",),
    "mapping": ("badpixels",),
    "operating": ("requeue",),
    "sensing": ("sensor",),
    "serving": ("run", "scan"),
    "showing": ("status", "frames", "masters", "qa"),
    "verifying": ("verify",),
}
"""The commands of each module, which has a function of the same name for each. It is imported when one is called:
the daemon need not wait for what it does not run."""


class _Commands(click.Group):
    """The commands, imported one by one."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(name for names in _MODULES.values() for name in names)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Return a command, or None if there is none of that name."""
        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"ingestd.cli.{module}"), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(VERSION, prog_name="ingestd")
@config_option
@click.pass_context
def program(context: click.Context, config: str | None) -> None:
    """Observatory ingest daemon: rolling master calibrations, science frames reduced as they arrive, QA metrics."""
    context.obj = config or DEFAULT_CONFIG


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
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except OSError as error:
        click.echo(f"Failed: {_os_words(error)}", err=True)
        logging.getLogger(__name__).debug("Where it happened", exc_info=error)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


def _os_words(error: OSError) -> str:
    """Return what the operating system refused, for which file, and what to do."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    remedy = _REMEDIES.get(error.errno or 0, "Put that right and try again")
    return printable(f"{': '.join([' -> '.join(names), error.strerror or str(error)]).removeprefix(': ')}. {remedy}.")


_REMEDIES = {
    errno.EACCES: "Run this as the user that owns it",
    errno.EPERM: "Run this as the user that owns it",
    errno.ENOENT: "It is gone, or the path is wrong: look there and try again",
    errno.ENOTDIR: "A part of the path is a file: correct the path",
    errno.EISDIR: "It is a directory: name a file",
    errno.EEXIST: "Remove it, or name another place",
    errno.ENOSPC: "Make room, or name another place",
    errno.EDQUOT: "Make room, or name another place",
    errno.EROFS: "Nothing can be written there: name another place, or mount it writable",
    errno.ESTALE: "The network share has changed under it: mount it again",
    errno.EIO: "The disk or the network share failed: look at it (dmesg)",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "Choose a shorter name",
}
