"""``accept``, ``reject``, ``restore``, ``pin``, ``valid``, ``decisions``: the operator's word on frames and masters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import click

from ingestd import daemon
from ingestd.api import open_catalogue
from ingestd.cli.options import TIME, as_recorded, config_option, json_option, settings_of
from ingestd.cli.tables import print_rows

_COLUMNS = {
    "time": "time (UTC)",
    "decision": "decision",
    "reason": "reason",
    "frame_id": "frame",
    "master_id": "master",
    "path": "path",
}


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--reason", default="", help="Why; it is kept with the decision.")
@config_option
@click.pass_context
def accept(context: click.Context, config: str | None, *, files: tuple[str, ...], reason: str) -> None:
    """Let FILES enter masters although their pixels contradict their headers.

    FILES are file names, paths, or the first digits of frame ids. `ingestd explain FILE` shows what speaks against it.
    """
    _decide(context, config, "accept", files, reason)


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; it is kept with the decision.")
@config_option
@click.pass_context
def reject(context: click.Context, config: str | None, *, files: tuple[str, ...], reason: str) -> None:
    """Keep FILES from being used: no master holds them, a science frame has no product.

    FILES are file names, paths, or the first digits of the ids of frames or masters. A rejected master is chosen for
    nothing.
    """
    _decide(context, config, "reject", files, reason)


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--reason", default="", help="Why; it is kept with the decision.")
@config_option
@click.pass_context
def restore(context: click.Context, config: str | None, *, files: tuple[str, ...], reason: str) -> None:
    """Take back what was decided about FILES: they stand as if nothing had been said.

    FILES are file names, paths, or the first digits of the ids of frames or masters.
    """
    _decide(context, config, "restore", files, reason)


@click.command()
@click.argument("masters", nargs=-1, required=True)
@click.option("--reason", default="", help="Why; it is kept with the decision.")
@config_option
@click.pass_context
def pin(context: click.Context, config: str | None, *, masters: tuple[str, ...], reason: str) -> None:
    """Choose MASTERS before all others that fit a frame, until they are restored.

    MASTERS are paths, file names, or the first digits of master ids: `ingestd masters --all` lists them.
    """
    _decide(context, config, "pin", masters, reason)


@click.command()
@click.argument("masters", nargs=-1, required=True)
@click.option("--from", "first", type=TIME, help="Not for frames taken before (UTC).")
@click.option("--until", "last", type=TIME, help="Not for frames taken after (UTC).")
@click.option("--reason", required=True, help="Why; it is kept with the decision.")
@config_option
@click.pass_context
def valid(
    context: click.Context,
    config: str | None,
    *,
    masters: tuple[str, ...],
    first: datetime | None,
    last: datetime | None,
    reason: str,
) -> None:
    """Let MASTERS serve only frames of a range of times, both ends included, until they are restored.

    MASTERS are paths, file names, or the first digits of master ids. The limits of the settings hold as well, and the
    range replaces a former one.
    """
    ends = {"from": first, "until": last}
    _decide(
        context, config, "valid", masters, reason, {k: None if t is None else t.isoformat() for k, t in ends.items()}
    )


@click.command()
@config_option
@json_option
@click.pass_context
def decisions(context: click.Context, config: str | None, *, as_json: bool) -> None:
    """List what operators decided, the newest first."""
    with open_catalogue(settings_of(context, config).catalogue_path) as catalogue:
        rows = catalogue.decisions()
    print_rows(rows, _COLUMNS, as_json=as_json, empty="Nothing was decided.")


def _decide(
    context: click.Context,
    config: str | None,
    command: str,
    names: tuple[str, ...],
    reason: str,
    more: Mapping[str, str | None] | None = None,
) -> None:
    """Have the decision recorded, by the daemon if one runs, and say what follows."""
    settings = settings_of(context, config)
    recorded = [as_recorded(name, settings) for name in names]
    answer = daemon.command(settings, {"command": command, "names": recorded, "reason": reason, **(more or {})})
    if not answer.get("ok"):
        raise click.ClickException(str(answer.get("error")))
    counts = [(answer.get("frames", 0), "frame"), (answer.get("masters", 0), "master")]
    words = " and ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)
    click.echo(f"Decided: {command} {words}. A running daemon acts on it at once, else `ingestd scan`.")
