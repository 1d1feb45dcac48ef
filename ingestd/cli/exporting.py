"""``query`` and ``export``: what the database holds, for other programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from ingestd.api import open_catalogue
from ingestd.cli.options import (
    check_target,
    config_option,
    json_option,
    metric_option,
    night_option,
    printable,
    settings_of,
)
from ingestd.cli.tables import table
from ingestd.doors.catalogue import Exported
from ingestd.records import Kind, State

_UNITS = {"exposure_s": "s", "ccd_temp_c": "deg_C", "set_temp_c": "deg_C", "gain_e_per_adu": "electron / adu"}
_UNITS |= {"read_noise_e": "electron", "size_bytes": "byte"}
_FLOATS = {"exposure_s", "ccd_temp_c", "set_temp_c", "gain_e_per_adu", "read_noise_e", "value", "error"}
_INTEGERS = {"members", "size_bytes", "current", "plane"}


@click.command()
@click.argument("sql")
@config_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(0.001, 86400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after so long.",
)
@click.pass_context
def query(
    context: click.Context, config: str | None, *, sql: str, as_json: bool, as_csv: bool, time_limit_s: float
) -> None:
    """Ask the database a question in SQL.

    Read only, at any time, also while no daemon runs. SQL is one SELECT; - reads it from standard input.
    """
    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    text = sys.stdin.read() if sql == "-" else sql
    database = settings_of(context, config).catalogue_path
    with open_catalogue(database) as catalogue, catalogue.asking(text, time_limit_s=time_limit_s) as answer:
        columns = _distinct(answer.columns)
        rows = ({name: _plain(value) for name, value in zip(columns, row, strict=True)} for row in answer.rows)
        if as_json:
            _write_json(rows, sys.stdout)
        elif as_csv:
            _write_csv(rows, columns, sys.stdout)
        else:
            found = list(rows)
            click.echo(table(found, {name: name for name in columns}) if found else "No rows.")


@click.command()
@click.argument("what", type=click.Choice(["frames", "masters", "qa"]))
@config_option
@click.option(
    "--format",
    "as_format",
    type=click.Choice(["csv", "jsonl", "ecsv"]),
    default="csv",
    show_default=True,
    help="CSV, a JSON object a line, or the table format of astropy with types and units.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, which appears when it is complete.")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--camera", help="Name of a [[camera]].")
@night_option
@click.option("--state", type=click.Choice([state.value for state in State]), help="Of frames.")
@metric_option
@click.pass_context
def export(
    context: click.Context,
    config: str | None,
    *,
    what: Exported,
    as_format: str,
    output: str | None,
    kind: str | None,
    camera: str | None,
    night: str | None,
    state: str | None,
    metric: str | None,
) -> None:
    """Write frames, masters or quality figures to a file, row by row, the oldest observation first."""
    settings = settings_of(context, config)
    if output not in (None, "-"):
        check_target(Path(str(output)), settings.roots)
    with open_catalogue(settings.catalogue_path) as catalogue:
        try:
            rows = catalogue.exported(what, kind=kind, camera=camera, night=night, state=state, metric=metric)
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
        columns = catalogue.exported_columns(what)
        rows = count = _Counted(rows)
        with _destination(output) as stream:
            if as_format == "jsonl":
                stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            else:
                if as_format == "ecsv":
                    stream.writelines(_ecsv_header(columns))
                    rows = ({name: _one_line(value) for name, value in row.items()} for row in rows)
                _write_csv(rows, columns, stream)
    if output not in (None, "-"):
        click.echo(f"Written: {output}, {count.rows} row{'' if count.rows == 1 else 's'}.")


class _Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows
        self.rows = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        row = next(self._rows)
        self.rows += 1
        return row


@contextmanager
def _destination(output: str | None) -> Iterator[TextIO]:
    """Give standard output, or a file that gets its name when all is written."""
    if output is None or output == "-":
        yield sys.stdout
        return
    target = Path(output)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        part.replace(target)
    except OSError as error:
        raise click.ClickException(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _write_csv(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...], stream: TextIO) -> None:
    """Write rows as CSV with a heading."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[name] for name in columns] for row in rows)


def _write_json(rows: Iterable[Mapping[str, Any]], stream: TextIO) -> None:
    """Write rows as an array of objects, one a line."""
    separator = "[\n"
    for row in rows:
        stream.write(separator + json.dumps(row, ensure_ascii=False))
        separator = ",\n"
    stream.write("[]\n" if separator == "[\n" else "\n]\n")


def _ecsv_header(columns: Iterable[str]) -> Iterator[str]:
    """Yield the header of an ECSV file (astropy's APE 6): name, type and unit of each column."""
    yield "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n"
    for name in columns:
        kind = "float64" if name in _FLOATS else "int64" if name in _INTEGERS else "string"
        unit = f"unit: {_UNITS[name]}, " if name in _UNITS else ""
        yield f"# - {{name: {name}, {unit}datatype: {kind}}}\n"
    yield "# schema: astropy-2.0\n"


def _one_line(value: object) -> object:
    """Return a value without line ends, which a reader of tables may take for the end of a row."""
    return printable(value).replace("\n", "\\n") if isinstance(value, str) else value


def _plain(value: object) -> object:
    """Return a value of SQLite as JSON has it: bytes as hexadecimal digits."""
    return value.hex() if isinstance(value, bytes) else value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of columns, made different where a join gives two of a name."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(distinct)
