"""``masters add``: a master that was made elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from ingestd import daemon
from ingestd.api import open_catalogue
from ingestd.cli.options import TIME, config_option, printable, settings_of
from ingestd.flow import adopting
from ingestd.records import Kind
from ingestd.rules.external import Told
from ingestd.rules.groups import GRADES


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
@click.option("--kind", type=click.Choice(["bias", "dark", "flat"]), help="By default what its header says.")
@click.option("--camera", help="Name of a [[camera]]; by default the one that its header fits.")
@click.option("--like", metavar="FRAME", help="Take camera and set-up from this frame in the catalogue.")
@click.option("--exposure", "exposure_s", type=click.FloatRange(min=0), metavar="SECONDS", help="Of a dark.")
@click.option("--temperature", "ccd_temp_c", type=float, metavar="CELSIUS", help="Of the sensor.")
@click.option("--filter", "filter_name", metavar="NAME", help="Of a flat.")
@click.option("--first", "first_obs", type=TIME, help="When the first of its frames was taken (UTC).")
@click.option("--last", "last_obs", type=TIME, help="When the last of its frames was taken (UTC).")
@click.option("--members", type=click.IntRange(1, 100_000), help="Of how many frames it was made; gives its grade.")
@click.option("--grade", type=click.Choice(GRADES), help="Instead of the grade by the number of frames.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="Multiply its pixels by this.")
@click.pass_context
def add(
    context: click.Context,
    config: str | None,
    *,
    file: Path,
    kind: str | None,
    camera: str | None,
    like: str | None,
    exposure_s: float | None,
    ccd_temp_c: float | None,
    filter_name: str | None,
    first_obs: datetime | None,
    last_obs: datetime | None,
    members: int | None,
    grade: str | None,
    scale: float,
) -> None:
    """Take FILE as a master although it was made elsewhere.

    FILE is copied, with its uncertainty and mask if it has them (UNCERT, MASK), and left as it is. What it stands for
    is read from its header; options go before. From then on it is chosen like any other master; it is shown as
    external, and `ingestd reject` puts it out of use.
    """
    settings = settings_of(context, config)
    told = Told(
        kind=None if kind is None else Kind(kind),
        camera=camera,
        exposure_s=exposure_s,
        ccd_temp_c=ccd_temp_c,
        filter_name=filter_name,
        first_obs=None if first_obs is None else first_obs.replace(tzinfo=UTC),
        last_obs=None if last_obs is None else last_obs.replace(tzinfo=UTC),
        members=members,
        grade=grade,
        scale=scale,
    )
    now = daemon.utc_now()
    if settings.catalogue_path.exists():
        with open_catalogue(settings.catalogue_path) as catalogue:
            request, notes = adopting.prepare(file, told, settings, catalogue, now, like=like)
    else:
        request, notes = adopting.prepare(file, told, settings, None, now, like=like)
    answer = daemon.command(settings, request)
    if not answer.get("ok"):
        raise click.ClickException(str(answer.get("error")))
    for note in notes:
        click.echo(f"Note: {printable(note)}", err=True)
    click.echo(f"Added: {answer['path']}, {answer['grade']}. A running daemon uses it at once, else `ingestd scan`.")
