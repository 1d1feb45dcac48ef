"""How rows look on a terminal and in JSON."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

Row = Mapping[str, object]
_MOST_UNREADABLE = 3


def print_rows(rows: Sequence[Row], columns: Mapping[str, str], *, as_json: bool, empty: str) -> None:
    """Print rows as a JSON array (all columns) or as a table (``columns``: key to heading)."""
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], indent=2, ensure_ascii=False, default=str))
    elif not rows:
        click.echo(empty)
    else:
        click.echo(table(rows, columns))


def failed_build_words(row: Row) -> str:
    """Return which master could not be built, why, and when that is tried again; a row of `failed_builds`."""
    exposure = f" of {row['exposure_s']:g} s" if row["kind"] == "dark" and row["exposure_s"] is not None else ""
    light = f" in {row['filter_name']}" if row["filter_name"] else ""
    again = "given up, `ingestd requeue --all` tries again" if row["final"] else f"again at {row['next_try']}"
    tried = f"{row['attempts']} attempt{'' if row['attempts'] == 1 else 's'}"
    return f"master {row['kind']}{exposure}{light} of night {row['night']}: {row['detail']} ({tried}, {again})"


def arriving_words(status: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return what is arriving, and one by one the first that cannot be read; of `Catalogue.status`."""
    unreadable = status["unreadable"]
    words = f"{status['arrivals'] - len(unreadable)} files arriving"
    lines = [f"{_text('path', row['path'])}: {row['detail'] or 'the file system gives an error'}" for row in unreadable]
    more = [f"and {len(lines) - _MOST_UNREADABLE} more, see `ingestd frames --state waiting`"]
    shown = lines[:_MOST_UNREADABLE] + (more if len(lines) > _MOST_UNREADABLE else [])
    return words + (f"; {len(unreadable)} cannot be read" if unreadable else ""), shown


def print_csv(rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Print rows as CSV with a heading, as spreadsheets read it; a missing value is empty."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(column) for column in columns] for row in rows)
    click.echo(stream.getvalue(), nl=False)


def table(rows: Sequence[Row], columns: Mapping[str, str], *, width: int | None = None) -> str:
    """Return rows as aligned text; numbers to the right, a missing value as a dash.

    On a terminal (or where ``width`` is given) long paths are cut before the name; elsewhere they stand whole.
    """
    cells = [[_text(key, row.get(key)) for key in columns] for row in rows]
    widths = _widths(cells, columns)
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    if "path" in columns and width is not None:
        at = list(columns).index("path")
        room = width - sum(widths) - 2 * (len(widths) - 1) + widths[at]
        cells = [[*line[:at], _shortened(line[at], room), *line[at + 1 :]] for line in cells]
        widths = _widths(cells, columns)
    is_number = [any(isinstance(row.get(key), int | float) for row in rows) for key in columns]
    lines = [_line(list(columns.values()), widths, [False] * len(widths))]
    lines += [_line(line, widths, is_number) for line in cells]
    return "\n".join(lines)


def _widths(cells: Sequence[Sequence[str]], columns: Mapping[str, str]) -> list[int]:
    """Return the width of each column."""
    return [max(len(heading), *(len(line[i]) for line in cells)) for i, heading in enumerate(columns.values())]


def _shortened(path: str, room: int) -> str:
    """Return a path cut before its name, which stands even where there is no room."""
    name = f".../{path.rpartition('/')[2]}"
    cut = f"{path[: max(room - len(name), 0)]}{name}"
    return path if len(path) <= max(room, len(cut)) else cut


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """Return one aligned line."""
    return "  ".join(
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ).rstrip()


def _text(key: str, value: object) -> str:
    """Return one cell; identifiers are cut to 8 digits, as in file names, and control characters are escaped."""
    if value is None or value == "":
        return "-"
    if key in ("frame_id", "master_id"):
        return str(value)[:8]
    if isinstance(value, float):
        return f"{value:.1f}" if key == "ccd_temp_c" else f"{value:.6g}"
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))
    return text if key == "path" else text[:100]
