"""``status``, ``frames``, ``masters``, ``qa``: what the database says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ingestd import daemon
from ingestd.api import open_catalogue
from ingestd.cli.adopting import add
from ingestd.cli.deciding import valid
from ingestd.cli.options import (
    LIMIT,
    check_camera,
    config_option,
    config_path,
    json_option,
    metric_option,
    night_option,
    settings_of,
)
from ingestd.cli.tables import arriving_words, print_rows, table
from ingestd.doors.control import lock_holder
from ingestd.errors import SettingsInvalid
from ingestd.records import Kind, State
from ingestd.rules.groups import GRADES, night_groups
from ingestd.settings import Settings, load_settings

_FRAME_FIELDS = (
    "frame_id",
    "path",
    "kind",
    "kind_source",
    "state",
    "reason",
    "camera",
    "exposure_s",
    "ccd_temp_c",
    "filter_name",
    "obs_start",
    "product",
    "detail",
)
_FRAME_COLUMNS = {
    "obs_start": "start (UTC)",
    "kind": "kind",
    "exposure_s": "exp s",
    "ccd_temp_c": "temp C",
    "filter_name": "filter",
    "camera": "camera",
    "state": "state",
    "reason": "reason",
    "path": "path",
}
_MASTER_FIELDS = (
    "master_id",
    "kind",
    "camera",
    "configuration",
    "exposure_s",
    "ccd_temp_c",
    "filter_name",
    "members",
    "grade",
    "comparison",
    "path",
    "current",
    "night",
    "provenance",
    "decision",
    "valid_from",
    "valid_until",
)
_MASTER_COLUMNS = {
    "kind": "kind",
    "camera": "camera",
    "night": "night",
    "exposure_s": "exp s",
    "ccd_temp_c": "temp C",
    "filter_name": "filter",
    "members": "members",
    "grade": "grade",
    "provenance": "provenance",
    "path": "path",
    "comparison": "against the previous night",
}
_DUE: dict[str, Callable[[int], str]] = {
    "lights": lambda count: f"{count} light{'' if count == 1 else 's'}",
    "calibrations": lambda count: f"{count} calibration frame{'' if count == 1 else 's'} to be measured",
    "nights": night_groups,
    "masters": lambda count: f"{count} master{'' if count == 1 else 's'} to be compared",
}
_QA_COLUMNS = {
    "time": "time (UTC)",
    "metric": "metric",
    "value": "value",
    "error": "error",
    "unit": "unit",
    "camera": "camera",
    "kind": "kind",
    "of": "of",
    "filter_name": "filter",
    "plane": "plane",
    "channel": "channel",
}


@click.command()
@config_option
@json_option
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--camera", help="Name of a [[camera]].")
@night_option
@click.option("--limit", type=LIMIT, metavar="N", help="Only the newest N.")
@click.pass_context
def frames(
    context: click.Context,
    config: str | None,
    *,
    as_json: bool,
    kind: str | None,
    state: str | None,
    camera: str | None,
    night: str | None,
    limit: int | None,
) -> None:
    """List frames and files still arriving, with their states."""
    settings = settings_of(context, config)
    with _reader(settings) as catalogue:
        rows = catalogue.frame_rows(kind=kind, state=state, camera=camera, night=night, limit=limit or -1)
    if not rows:
        check_camera(settings, camera)
    print_rows(_only(rows, _FRAME_FIELDS), _FRAME_COLUMNS, as_json=as_json, empty="No frames.")


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.option("--all", "show_all", is_flag=True, help="Also those that were superseded.")
@click.option("--kind", type=click.Choice(["bias", "dark", "flat"]))
@click.option("--camera", help="Name of a [[camera]].")
@click.pass_context
def masters(
    context: click.Context, config: str | None, *, as_json: bool, show_all: bool, kind: str | None, camera: str | None
) -> None:
    """List the master calibrations in force.

    `masters add` takes one that was made elsewhere, `masters valid` limits one to frames of a range of times.
    """
    if context.invoked_subcommand is not None:
        context.find_root().obj = str(config_path(context, config))
        return
    settings = settings_of(context, config)
    with _reader(settings) as catalogue:
        rows = catalogue.master_rows(all=show_all, kind=kind, camera=camera)
    if not rows:
        check_camera(settings, camera)
    rows = [{**row, "current": bool(row["current"])} for row in rows]
    if not as_json:  # a table has room for what speaks against a master, not for what agrees
        rows = [row if row["comparison_grade"] != GRADES[0] else {**row, "comparison": ""} for row in rows]
        rows = [{**row, "provenance": _origin(row)} for row in rows]
    is_told = any(row["comparison"] for row in rows)
    columns = {key: name for key, name in _MASTER_COLUMNS.items() if key != "comparison" or is_told}
    print_rows(_only(rows, _MASTER_FIELDS), columns, as_json=as_json, empty="No masters.")


masters.add_command(add)
masters.add_command(valid)


@click.command()
@config_option
@json_option
@metric_option
@click.option("--camera", help="Name of a [[camera]].")
@click.option("--latest", is_flag=True, help="Only the newest value of each figure.")
@click.option("--limit", type=LIMIT, metavar="N", help="Only the newest N.")
@click.pass_context
def qa(
    context: click.Context,
    config: str | None,
    *,
    as_json: bool,
    metric: str | None,
    camera: str | None,
    latest: bool,
    limit: int | None,
) -> None:
    """List quality figures, the newest first.

    Bias level, read noise, dark rate, gain, sky and more.
    """
    settings = settings_of(context, config)
    with _reader(settings) as catalogue:
        rows = catalogue.qa_rows(metric=metric, camera=camera, latest=latest, limit=limit or -1)
    if not rows:
        check_camera(settings, camera)
    if not as_json:  # a program has frame_id and master_id
        rows = [{**row, "of": "frame" if row["master_id"] is None else "master"} for row in rows]
    print_rows(rows, _QA_COLUMNS, as_json=as_json, empty="No quality figures yet.")


@click.command()
@config_option
@json_option
@click.pass_context
def status(context: click.Context, config: str | None, *, as_json: bool) -> None:
    """Show what runs, what is due, what was done.

    Also how much space the products of the newest nights take.
    """
    settings = _valid_settings(config_path(context, config))
    holder = lock_holder(daemon.lock_path(settings)) if daemon.lock_path(settings).exists() else None
    with _reader(settings) as catalogue:
        found: dict[str, Any] = {"daemon_pid": holder, **catalogue.status(), "counts": catalogue.counts()}
        found["epochs"] = catalogue.break_rows()
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return
    click.echo(f"Daemon:   {f'running, process {holder}' if holder is not None else 'not running'}")
    queue = ", ".join(_DUE[name](count) for name, count in found["queue"].items() if count) or "nothing"
    later = f"; {_DUE['lights'](found['delayed'])} to be reduced again later" if found["delayed"] else ""
    arriving, unreadable = arriving_words(found)
    click.echo(f"Due:      {queue}; {arriving}{later}")
    for line in unreadable:
        click.echo(f"Unread:   {line}")
    if found["last_frame"]:
        click.echo(f"Newest:   {found['last_frame']['path']}, seen {found['last_frame']['first_seen']}")
    if found["last_event"]:
        event = found["last_event"]
        words = (event["event"], event["subject"], event["detail"])
        click.echo(f"Event:    {event['time']} {': '.join(filter(None, words))}")
    for it in found["epochs"]:
        if it["status"] in ("suspected", "detected"):
            click.echo(f"Epoch:    {it['status']}: {it['camera']} from night {it['night']} on: {it['cause']}")
    if found["counts"]:
        columns = {"camera": "camera", "kind": "kind", "state": "state", "reason": "reason", "frames": "frames"}
        click.echo(f"\n{table(found['counts'], columns)}")
    if found["product_bytes"]:
        nights = [{**row, "gb": round(row["bytes"] / 1e9, 3)} for row in found["product_bytes"]]
        click.echo(f"\n{table(nights, {'night': 'night', 'products': 'products', 'gb': 'GB'})}")


def _valid_settings(path: Path) -> Settings:
    """Return the settings; where they are broken, say what that means for a daemon that runs."""
    try:
        return load_settings(path)
    except SettingsInvalid as error:
        if not path.exists():
            raise
        todo = "put the file right, and it takes the new ones at SIGHUP"
        raise SettingsInvalid(f"{error}\nA daemon that runs goes on with its former settings: {todo}.") from error


def _origin(row: dict[str, Any]) -> str:
    """Return where a master comes from, and what an operator decided about it."""
    is_limited = row["valid_from"] or row["valid_until"]
    return ", ".join(filter(None, (row["provenance"], row["decision"], "limited" if is_limited else "")))


def _reader(settings: Settings) -> Any:  # noqa: ANN401 - a Catalogue, which only doors and api name
    """Return the database, opened for reading."""
    return open_catalogue(settings.catalogue_path)


def _only(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return rows with these fields only."""
    return [{field: row.get(field) for field in fields} for row in rows]
