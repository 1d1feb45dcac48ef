"""``epochs``: the breaks between hardware epochs, and the operator's word on them."""

from __future__ import annotations

from typing import Any

import click

from ingestd import daemon
from ingestd.api import open_catalogue
from ingestd.cli.options import check_camera, config_option, config_path, json_option, settings_of
from ingestd.cli.tables import print_rows

_COLUMNS = {
    "camera": "camera",
    "setup": "set-up",
    "night": "from night",
    "after_night": "last before",
    "status": "status",
    "cause": "what changed",
    "reason": "reason",
}

_camera_option = click.option("--camera", help="Name of a [[camera]].")
_setup_option = click.option("--setup", help="Only this set-up, as `ingestd epochs --json` has it.")
_why_option = click.option("--reason", required=True, help="Why; it is kept with the decision.")


@click.group(invoke_without_command=True)
@_camera_option
@config_option
@json_option
@click.pass_context
def epochs(context: click.Context, config: str | None, *, camera: str | None, as_json: bool) -> None:
    """List the breaks between hardware epochs, or decide about one.

    Calibrations never cross a break: a lasting jump of bias level, read noise or gain. One that is suspected may be
    light; the next night with biases shows it, or you say so.
    """
    if context.invoked_subcommand is not None:
        context.find_root().obj = str(config_path(context, config))
        return
    settings = settings_of(context, config)
    with open_catalogue(settings.catalogue_path) as catalogue:
        rows = catalogue.break_rows(camera=camera)
    if not rows:
        check_camera(settings, camera)
    print_rows(rows, _COLUMNS, as_json=as_json, empty="One epoch: no break was seen.")


@epochs.command()
@click.argument("night")
@click.option("--reason", default="", help="Why; it is kept with the decision.")
@_camera_option
@_setup_option
@config_option
@click.pass_context
def confirm(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Let the break at NIGHT stand whatever is seen later, also one that is suspected or was undone."""
    _decide(context, config, "confirm", told)


@epochs.command()
@click.argument("night")
@_why_option
@_camera_option
@_setup_option
@config_option
@click.pass_context
def undo(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Take the break at NIGHT away: calibrations of both sides belong together. It does not come back."""
    _decide(context, config, "undo", told)


@epochs.command()
@click.argument("night")
@click.argument("to")
@_why_option
@_camera_option
@_setup_option
@config_option
@click.pass_context
def move(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Move the break at NIGHT: the new epoch begins with the night TO."""
    _decide(context, config, "move", told)


@epochs.command("open")
@click.argument("night")
@_why_option
@_camera_option
@_setup_option
@config_option
@click.pass_context
def open_epoch(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Begin a new epoch with NIGHT, for all set-ups of a camera or for one."""
    _decide(context, config, "open", told)


def _decide(context: click.Context, config: str | None, word: str, told: dict[str, str | None]) -> None:
    """Have the decision recorded, by the daemon if one runs, and say what follows."""
    request: dict[str, Any] = {"command": "epochs", "word": word, **told}
    answer = daemon.command(settings_of(context, config), request)
    if not answer.get("ok"):
        raise click.ClickException(str(answer.get("error")))
    count = answer["breaks"]
    click.echo(
        f"Decided: {word} {told['night']}, {count} set-up{'' if count == 1 else 's'}. "
        "A running daemon acts on it at once, else `ingestd scan`."
    )
