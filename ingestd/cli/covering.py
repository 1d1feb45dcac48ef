"""``coverage``: which calibrations science lacks, and what to take tonight."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ingestd import daemon
from ingestd.api import open_catalogue
from ingestd.cli.options import config_option, json_option, printable, settings_of
from ingestd.cli.tables import Row, failed_build_words, print_csv, table
from ingestd.records import CALIBRATION_KINDS, Kind
from ingestd.rules import coverage as rules
from ingestd.rules.coverage import Cover, Coverage, Need, Status

_COLUMNS = {
    "camera": "camera",
    "ccd_temp_c": "temp C",
    "exposure_s": "exp s",
    "filter_name": "filter",
    "frames": "frames",
    "bias": "bias",
    "dark": "dark",
    "flat": "flat",
    "configuration": "configuration",
}
_CSV_COLUMNS = (
    "camera",
    "configuration",
    "ccd_temp_c",
    "exposure_s",
    "filter_name",
    "frames",
    "newest",
    "kind",
    "status",
    "how",
    "grade",
    "master_id",
    "path",
    "valid_until",
    "take",
    "take_exposure_s",
    "take_ccd_temp_c",
    "take_minimum",
    "take_good",
    "reason",
)
_PLURALS = {Kind.BIAS: ("bias", "biases"), Kind.DARK: ("dark", "darks"), Kind.FLAT: ("flat", "flats")}


@click.command()
@config_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a row for each combination and kind.")
@click.option(
    "--nights",
    type=click.IntRange(1, 3650),
    default=rules.NIGHTS,
    show_default=True,
    help="Science of so many nights, back from the newest science frame.",
)
@click.option(
    "--expiring",
    "expiring_d",
    type=click.FloatRange(0, 3650),
    default=rules.EXPIRING_D,
    show_default=True,
    metavar="DAYS",
    help="Masters that serve for fewer days are expiring.",
)
@click.option(
    "--at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Judge as at this time (UTC), not as now."
)
@click.pass_context
def coverage(
    context: click.Context,
    config: str | None,
    *,
    as_json: bool,
    as_csv: bool,
    nights: int,
    expiring_d: float,
    at: datetime | None,
) -> None:
    """Say what to take: calibrations that science lacks.

    Compares what science frames used lately (camera, configuration, temperature, exposure, filter) with the masters
    that are valid for a frame taken now, and lists how many frames of what to take, the most useful first.
    """
    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    settings = settings_of(context, config)
    now = daemon.utc_now() if at is None else at.replace(tzinfo=UTC)
    with open_catalogue(settings.catalogue_path) as catalogue:
        found = rules.survey(catalogue, settings, now, nights=nights, expiring_d=expiring_d)
        failed = catalogue.failed_builds()
    if as_json:
        click.echo(json.dumps({**_record(found), "failed_builds": failed}, indent=2, ensure_ascii=False))
    elif as_csv:
        print_csv(_rows(found), _CSV_COLUMNS)
    else:
        click.echo(printable("\n".join([_text(found), *_failed_lines(failed)])))


# --- for programs -----------------------------------------------------------------------------------------------------


def _record(found: Coverage) -> dict[str, Any]:
    """Return the coverage as plain values: combinations with their kinds, and what to take."""
    return {
        "at": found.at.isoformat(),
        "first_night": found.first_night,
        "last_night": found.last_night,
        "expiring_d": found.expiring_d,
        "combinations": [
            {**_conditions(it), "kinds": {cover.kind.value: _cover(cover) for cover in found.covers_of(it)}}
            for it in found.combinations
        ],
        "take": [_need(need) for need in found.needs],
    }


def _conditions(combination: rules.Combination) -> dict[str, Any]:
    """Return what the frames of a combination share."""
    return {**dataclasses.asdict(combination), "newest": combination.newest.isoformat()}


def _cover(cover: Cover) -> dict[str, Any]:
    """Return one kind of calibration of a combination."""
    return {
        "status": cover.status.value,
        "how": cover.how,
        "grade": cover.grade,
        "master_id": cover.master.master_id if cover.master else None,
        "path": cover.master.path if cover.master else None,
        "valid_until": cover.valid_until.isoformat() if cover.valid_until else None,
        "reason": cover.reason,
        "take": cover.take or None,
    }


def _need(need: Need) -> dict[str, Any]:
    """Return frames to take."""
    return {**dataclasses.asdict(need), "status": need.status.value, "kind": need.kind.value}


def _rows(found: Coverage) -> list[dict[str, Any]]:
    """Return a row for each combination and kind, with the frames to take that would serve it."""
    rows = []
    for cover in found.covers:
        need = found.needs[cover.take - 1] if cover.take else None
        rows.append(
            {
                **_conditions(cover.combination),
                "kind": cover.kind.value,
                **_cover(cover),
                "take_exposure_s": need.exposure_s if need else None,
                "take_ccd_temp_c": need.ccd_temp_c if need else None,
                "take_minimum": need.to_minimum if need else None,
                "take_good": need.to_good if need else None,
            }
        )
    return rows


# --- for people -------------------------------------------------------------------------------------------------------


def _text(found: Coverage) -> str:
    """Return the coverage as a table and a list of what to take."""
    if found.last_night is None:
        return "No science frames yet."
    head = f"Science of {found.first_night} to {found.last_night}, masters as at {found.at:%Y-%m-%d %H:%M} UTC."
    rows = []
    for it in found.combinations:
        statuses = {cover.kind.value: cover.status.value for cover in found.covers_of(it)}
        rows.append({**_conditions(it), **{kind.value: statuses.get(kind.value) for kind in CALIBRATION_KINDS}})
    lines = [head, "", table(rows, _COLUMNS), ""]
    if not found.needs:
        return "\n".join([*lines, f"All covered for {found.expiring_d:g} days and more."])
    lines.append("To take, what serves most science frames first:")
    lines += [_need_line(need, found) for need in found.needs]
    return "\n".join(lines)


def _failed_lines(failed: Sequence[Row]) -> list[str]:
    """Return the masters that could not be built: what they lack is no frames."""
    lines = [f"  {row['camera']}: {failed_build_words(row)}" for row in failed]
    return ["", "Not built, though there are frames for them:", *lines] if lines else []


def _need_line(need: Need, found: Coverage) -> str:
    """Return frames to take as a line: number, what, how many, what for."""
    one, many = _PLURALS[need.kind]
    what = f"{need.to_minimum} {one if need.to_minimum == 1 else many}{_under(need)}"
    better = f" ({need.to_good} for a green master)" if need.to_good > need.to_minimum else ""
    there = f"; {need.have} there" if need.have else ""
    soon = ", expiring" if need.status is Status.EXPIRING else ""
    frames = f"{need.science_frames} science frame{'' if need.science_frames == 1 else 's'}"
    line = f"{need.number:3}. {need.camera}: {what}{better}{there}. For {frames}{soon}"
    if len({it.configuration for it in found.needs if it.camera == need.camera}) > 1:
        line += f", {need.configuration}"
    return f"{line}; {need.note}" if need.note else line


def _under(need: Need) -> str:
    """Return the conditions under which to take frames."""
    words = []
    if need.exposure_s is not None:
        words.append(f"of {need.exposure_s:g} s")
    if need.kind is Kind.FLAT:
        words.append(f"in {need.filter_name}" if need.filter_name else "without a filter")
    if need.ccd_temp_c is not None:
        words.append(f"at {need.ccd_temp_c:.1f} C")
    return "".join(f" {word}" for word in words)
