"""``python -m tests.bench TABLE...``: measure, print figures beside their goals, leave nothing behind."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
from pathlib import Path

import click

from tests.bench.report import Options, Table

TABLES = ("combine", "rolling", "reduce", "cosmics", "arrival", "idle", "burst", "headers", "catalogue")


@click.command()
@click.argument("tables", nargs=-1, type=click.Choice(TABLES))
@click.option("--size", default=4096, show_default=True, help="Rows and columns of the large frames.")
@click.option("--counts", default="10,40", show_default=True, help="Frames to combine, one number or several.")
@click.option("--runs", default=3, show_default=True, help="Runs of each contender.")
@click.option("--without", default="", help="Peers to leave out, by the start of their names, comma separated.")
@click.option("--files", default=1000, show_default=True, help="Files of a burst; headers takes five times as many.")
@click.option("--frames", default=1_000_000, show_default=True, help="Frames in the large catalogue.")
@click.option("--scratch", type=click.Path(path_type=Path, file_okay=False), help="Keep frames and products here.")
@click.option("--json", "as_json", is_flag=True, help="One object with all tables.")
def main(
    tables: tuple[str, ...],
    size: int,
    counts: str,
    runs: int,
    without: str,
    files: int,
    frames: int,
    scratch: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure TABLES (all of them by default), one after the other."""
    with contextlib.ExitStack() as stack:
        if scratch is None:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        scratch.mkdir(parents=True, exist_ok=True)
        _as_installed(scratch.resolve() / "bytecode")
        numbers = tuple(int(number) for number in counts.split(","))
        left_out = tuple(name for name in without.split(",") if name)
        options = Options(scratch.resolve(), size, numbers, runs, left_out, files, frames)
        found = [_measured(name, options, quiet=as_json) for name in tables or TABLES]
    if as_json:
        click.echo(json.dumps([table.as_record() for table in found], indent=2))


def _as_installed(bytecode: Path) -> None:
    """Let every process find compiled modules as an installed program does, whatever this shell says."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(bytecode)


def _measured(name: str, options: Options, *, quiet: bool) -> Table:
    """Measure one table, and print it with the load of the machine before and after."""
    before = os.getloadavg()[0]
    table: Table = importlib.import_module(f"tests.bench.{name}").measure(options)
    table.load = (before, os.getloadavg()[0])
    if not quiet:
        click.echo(table.as_text())
    return table


if __name__ == "__main__":
    main()
