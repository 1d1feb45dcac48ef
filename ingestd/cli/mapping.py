"""``badpixels``: which pixels the masters in force call bad, and a map of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ingestd.api import Catalogue, open_catalogue
from ingestd.cli.options import check_camera, check_target, config_option, json_option, settings_of
from ingestd.cli.tables import table
from ingestd.jobs import badpixels as jobs
from ingestd.jobs.badpixels import BadPixels
from ingestd.records import CALIBRATION_KINDS, Kind, Master
from ingestd.rules import defects, windows
from ingestd.settings import Settings

_EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
_COLUMNS = {
    "kind": "from",
    "filter_name": "filter",
    "night": "night",
    "age_d": "age d",
    "cause": "cause",
    "pixels": "pixels",
    "new": "new",
    "gone": "gone",
    "always": "always",
    "nights": "of nights",
    "first_night": "since",
    "path": "master",
}


@click.command()
@click.argument("camera", required=False)
@config_option
@json_option
@click.option("--setup", metavar="TEXT", default="", help="Only configurations that contain this text.")
@click.option(
    "--nights",
    type=click.IntRange(1, 1000),
    default=7,
    show_default=True,
    help="Masters of so many nights are looked at, back from the newest.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the map of the one configuration that is left: FITS, 0 is good; and in how many nights each was bad.",
)
@click.pass_context
def badpixels(
    context: click.Context,
    config: str | None,
    *,
    camera: str | None,
    as_json: bool,
    setup: str,
    nights: int,
    out: Path | None,
) -> None:
    """Say which pixels are bad: noisy, hot, dead, low.

    For each camera and configuration: what the newest master bias, the newest master dark (of the longest exposure) and
    the newest master flat of each filter call bad, and all of it together. An age is the distance in time to the newest
    frame of that configuration.

    The masters of the nights before tell how lasting that is: how many pixels are new or gone since the night before,
    and how many were bad always, in every night that was looked at. The map has for each pixel the number of nights.
    """
    settings = settings_of(context, config)
    if out is not None:
        check_target(out, settings.roots)
        if out.exists():
            raise click.ClickException(f"{out}: there is a file already. Remove it, or name another.")
    with open_catalogue(settings.catalogue_path) as catalogue:
        found = _found(catalogue, settings, camera, setup, nights)
        dead = {it.master.master_id: _dead_pixels(catalogue, it.master) for one in found for it in one.tellings}
    if not found:
        check_camera(settings, camera)
    if out is not None:
        _write(out, found)
    if as_json:
        click.echo(json.dumps([_record(it, dead) for it in found], indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(_text(it, dead) for it in found) or "There are no masters yet that could tell.")
        if out is not None:
            click.echo(f"Written: {out}")


def _found(catalogue: Catalogue, settings: Settings, camera: str | None, setup: str, nights: int) -> list[BadPixels]:
    """Return the bad pixels of every set-up that is meant."""
    masters: list[Master] = []
    for kind in CALIBRATION_KINDS:
        masters += catalogue.valid_masters(kind, *_EVER, camera=camera)
    return [
        jobs.bad_pixels(own, settings.data_dir, catalogue.newest_observation(*key))
        for key, own in defects.telling(
            masters,
            lambda name: settings.rules_of(name).matching.dark,
            lambda name, configuration: catalogue.breaks(name, windows.setup_of(configuration)),
            nights,
        ).items()
        if setup in key[1]
    ]


def _dead_pixels(catalogue: Catalogue, master: Master) -> int | None:
    """Return how many of the bad pixels of a master flat are dead; the others are low."""
    if master.kind is not Kind.FLAT:
        return None
    rows = catalogue.exported("qa", metric="dead_pixels", camera=master.camera, kind="flat", night=master.night)
    own = [row["value"] for row in rows if row["master_id"] == master.master_id and not row["channel"]]
    return int(sum(own)) if own else None


def _write(out: Path, found: list[BadPixels]) -> None:
    """Write the map of the only set-up."""
    if len(found) != 1:
        names = "; ".join(f"{it.camera}: {it.configuration}" for it in found) or "none"
        raise click.ClickException(
            f"{out}: a map is of one configuration, here are {len(found)} ({names}). Name a camera, or give --setup."
        )
    jobs.write_map(out, found[0])


def _record(it: BadPixels, dead: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the bad pixels of a set-up for a program; ``dead`` says how many are dead, by master."""
    return {
        "camera": it.camera,
        "configuration": it.configuration,
        "pixels": it.pixels,
        "share": it.share,
        "masters": [
            {
                "kind": one.master.kind.value,
                "filter_name": one.master.filter_name,
                "exposure_s": one.master.exposure_s,
                "night": one.master.night,
                "age_d": None if one.age_h is None else round(one.age_h / 24, 3),
                "cause": one.cause,
                "pixels": one.pixels,
                "dead": dead[one.master.master_id],
                "new": one.new,
                "gone": one.gone,
                "always": one.always,
                "nights": len(one.masters),
                "first_night": one.masters[-1].night,
                "members": one.master.member_count,
                "master_id": one.master.master_id,
                "path": one.master.path,
            }
            for one in it.tellings
        ],
    }


def _text(it: BadPixels, dead: Mapping[str, int | None]) -> str:
    """Return the bad pixels of a set-up for a person."""
    rows = _record(it, dead)["masters"]
    for row in rows:
        if row["dead"] is not None:
            row["cause"] = f"{row['dead']} dead, {row['pixels'] - row['dead']} low"
    heading = f"{it.camera}, {it.configuration}: {it.pixels} bad pixels, {100 * it.share:.3g} %"
    return f"{heading}\n{table(rows, _COLUMNS)}"
