"""``requeue``: what an operator can order."""

from __future__ import annotations

import click

from ingestd import daemon
from ingestd.cli.options import as_recorded, config_option, settings_of
from ingestd.rules.groups import night_groups


@click.command()
@click.argument("frames", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All science frames, and the masters of every night.")
@config_option
@click.pass_context
def requeue(context: click.Context, config: str | None, *, frames: tuple[str, ...], everything: bool) -> None:
    """Work on FRAMES again, also on quarantined ones.

    FRAMES are file names, paths, or the first digits of frame ids.
    """
    if bool(frames) == everything:
        raise click.UsageError("Name frames, or give --all.")
    settings = settings_of(context, config)
    request = {"command": "requeue", "frames": None if everything else [as_recorded(it, settings) for it in frames]}
    answer = daemon.command(settings, request)
    if not answer.get("ok"):
        raise click.ClickException(str(answer.get("error")))
    frames_due = f"{answer['frames']} frame{'' if answer['frames'] == 1 else 's'}"
    masters = f" and the masters of {night_groups(answer['nights'])}" if answer.get("nights") else ""
    click.echo(f"Due again: {frames_due}{masters}. A running daemon begins at once, else `ingestd scan`.")
