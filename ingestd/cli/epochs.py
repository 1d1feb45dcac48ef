"""``epochs``: the breaks between hardware epochs, and the operator's word on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ingestd import daemon
from ingestd.api import open_catalogue
from ingestd.cli.options import Command, check_camera, config_option, config_path, json_option, settings_of
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


def _decision(*more: str, must_say_why: bool = True) -> Callable[[Command], Command]:
    """Add what every decision takes: NIGHT and more arguments, why, and which cameras and set-ups are meant."""
    why: dict[str, Any] = {"required": True} if must_say_why else {"default": ""}
    parts: tuple[Callable[[Any], Any], ...] = (
        *(click.argument(name) for name in ("night", *more)),
        click.option("--reason", help="Why; it is kept with the decision.", **why),
        _camera_option,
        click.option("--setup", help="Only this set-up, as `ingestd epochs --json` has it."),
        config_option,
        click.pass_context,
    )

    def decorate(command: Command) -> Command:
        """Add them in this order."""
        for part in reversed(parts):
            command = part(command)
        return command

    return decorate


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
@_decision(must_say_why=False)
def confirm(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Let the break at NIGHT stand whatever is seen later, also one that is suspected or was undone."""
    _decide(context, config, told)


@epochs.command()
@_decision()
def undo(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Take the break at NIGHT away: calibrations of both sides belong together. It does not come back."""
    _decide(context, config, told)


@epochs.command()
@_decision("to")
def move(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Move the break at NIGHT: the new epoch begins with the night TO."""
    _decide(context, config, told)


@epochs.command("open")
@_decision()
def open_epoch(context: click.Context, /, config: str | None, **told: str | None) -> None:
    """Begin a new epoch with NIGHT, for all set-ups of a camera or for one."""
    _decide(context, config, told)


def _decide(context: click.Context, config: str | None, told: dict[str, str | None]) -> None:
    """Have the decision of this command recorded, by the daemon if one runs, and say what follows."""
    word = context.command.name
    request: dict[str, Any] = {"command": "epochs", "word": word, **told}
    answer = daemon.command(settings_of(context, config), request)
    if not answer.get("ok"):
        raise click.ClickException(str(answer.get("error")))
    count = answer["breaks"]
    click.echo(
        f"Decided: {word} {told['night']}, {count} set-up{'' if count == 1 else 's'}. "
        "A running daemon acts on it at once, else `ingestd scan`."
    )
