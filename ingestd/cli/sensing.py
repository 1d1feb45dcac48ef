"""``sensor``: what the history says of the sensors."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ingestd.api import ASSUMED_ERRORS, SensorHistory, open_catalogue, sensor_history
from ingestd.cli.options import check_camera, config_option, json_option, settings_of
from ingestd.cli.tables import table

_COLUMNS = {
    "name": "figure",
    "value": "value",
    "error": "error",
    "unit": "unit",
    "points": "points",
    "reason": "why not",
}


_FOOTNOTE = (
    "Errors of nonlinearity and dark current rest on assumed errors of the points: {flat_level_ratio:.1%} of a flat's "
    "level, {dark_rate_ratio:.0%} of a dark rate and {dark_level_adu:g} ADU over its exposure."
).format_map(ASSUMED_ERRORS)


@click.command()
@click.argument("camera", required=False)
@config_option
@json_option
@click.option("--temperature", type=float, metavar="C", help="Give dark rates at this temperature of the sensor.")
@click.pass_context
def sensor(
    context: click.Context, camera: str | None, config: str | None, *, as_json: bool, temperature: float | None
) -> None:
    """Tell gain, read noise, full well, nonlinearity and dark current of the sensors.

    From all nights in the database, with errors; or why a figure cannot be told. Flats that were too bright for a
    master are read once more: the full well may show in them.
    """
    settings = settings_of(context, config)
    with open_catalogue(settings.catalogue_path) as catalogue:
        found = sensor_history(catalogue, camera=camera, reference_c=temperature, settings=settings)
    if not found:
        check_camera(settings, camera)
    if as_json:
        click.echo(json.dumps([_as_json(history) for history in found], indent=2, ensure_ascii=False))
    elif not found:
        click.echo("Nothing is measured yet.")
    else:
        click.echo("\n\n".join([*map(_as_text, found), _FOOTNOTE]))


def _as_json(history: SensorHistory) -> dict[str, object]:
    """Return a history for programs: figures by their name, without the points of the curves."""
    figures = {figure.name: {**asdict(figure)} for figure in history.figures}
    for figure in figures.values():
        del figure["name"]
    return {
        "camera": history.camera,
        "setup": history.setup,
        "plane": history.plane,
        "channel": history.channel,
        "dark_reference_c": history.reference_c,
        "figures": figures,
        "assumed_errors": dict(ASSUMED_ERRORS),
    }


def _as_text(history: SensorHistory) -> str:
    """Return a history for people."""
    where = "" if history.plane is None else f", HDU {history.plane}"
    where += f", amplifier {history.channel}" if history.channel else ""
    at = "" if history.reference_c is None else f"; dark rates at {history.reference_c:.1f} C"
    rows = [asdict(figure) for figure in history.figures]
    return f"{history.camera}: {history.setup}{where}{at}\n{table(rows, _COLUMNS)}"
