"""``init``: what a directory of frames says, and a commented settings file for the observatory that wrote them."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from ingestd import daemon
from ingestd.cli.options import DEFAULT_CONFIG, json_option, printable
from ingestd.cli.tables import table
from ingestd.flow.surveying import survey_directory
from ingestd.rules import proposing
from ingestd.settings import Limits, parse_settings, plain_path

_CAMERA_COLUMNS = {
    "camera": "camera",
    "frames": "frames",
    "written_by": "written by",
    "size_px": "pixels",
    "planes": "planes",
    "amplifiers": "amplifiers",
    "overscan": "overscan",
    "readout_mode": "mode",
    "gain_e_per_adu": "e-/adu",
    "read_noise_e": "noise e-",
    "nights": "nights",
}
_FRAME_COLUMNS = {
    "camera": "camera",
    "kind": "kind",
    "frames": "frames",
    "exposure_s": "exp s",
    "ccd_temp_c": "temp C",
    "filter": "filter",
    "binning": "bin",
    "gain_setting": "gain",
    "said_by": "said by",
    "kept_out": "kept out of masters",
}
_MASTER_COLUMNS = {
    "camera": "camera",
    "kind": "master",
    "exposure_s": "exp s",
    "ccd_temp_c": "temp C",
    "filter": "filter",
    "members": "members",
    "night": "night",
}
_LIGHT_COLUMNS = {
    "camera": "camera",
    "frames": "science frames",
    "applied": "calibrated with",
    "lacking": "lacking",
    "result": "result",
}
_DEFAULT_LIMIT = 2000
_MOST_CARDS = 12


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--output", metavar="FILE", default=None, help=f"Settings file to write.  [default: {DEFAULT_CONFIG}]")
@click.option("--force", is_flag=True, help="Overwrite an existing settings file.")
@click.option(
    "--data",
    metavar="DIR",
    default=None,
    help="Where masters, products and database shall live.  [default: data beside the settings file]",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=_DEFAULT_LIMIT,
    show_default=True,
    help="Read at most N headers, spread over the directory.",
)
@json_option
@click.pass_context
def init(
    context: click.Context,
    *,
    directory: Path,
    output: str | None,
    force: bool,
    data: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Read the headers of the frames in DIRECTORY and write a commented settings file for this observatory.

    Nothing is written to DIRECTORY. `ingestd scan` then works with the new file.
    """
    directory = plain_path(directory)
    target = Path(output or context.find_root().obj or DEFAULT_CONFIG)
    data = "data" if data is None else str(plain_path(Path(data)))
    _check_places(directory, target, data, force=force)
    survey = _survey(directory, limit, hidden=as_json)
    if not survey.found:
        raise click.ClickException(
            "; ".join((f"{directory}: no frames below it (.fits, .fit or .fts, also .fz or .gz)", *survey.left_out))
            + "; name a directory that holds some"
        )
    proposal = proposing.propose(survey, directory=str(directory), data=data, now=daemon.utc_now())
    try:
        text = proposing.config_text(proposal)
    except ValueError as error:
        raise click.ClickException(printable(str(error))) from error
    parse_settings(tomllib.loads(text), str(target), target.parent)
    _write(target, text, force=force)
    if as_json:
        click.echo(json.dumps(_as_json(proposal, target), indent=2, default=str))
    else:
        click.echo(printable(_report(proposal, target)))


def _check_places(directory: Path, target: Path, data: str, *, force: bool) -> None:
    """Refuse to write where frames arrive, or over an existing file."""
    watched = directory.resolve()
    if target.resolve().is_relative_to(watched):
        raise click.ClickException(
            f"{target} lies inside {directory}, and nothing is ever written there; choose another place with --output"
        )
    if (target.parent / data).resolve().is_relative_to(watched):
        raise click.ClickException(
            f"the data directory {data} lies inside {directory}, where products would be taken for new frames; "
            "choose another place with --data"
        )
    if target.exists() and not force:
        raise click.ClickException(f"{target} exists; overwrite it with --force, or name another file with --output")
    if not target.parent.is_dir():
        raise click.ClickException(f"{target.parent}: there is no such directory to write {target.name} to")


def _survey(directory: Path, limit: int, *, hidden: bool) -> proposing.Survey:
    """Read the headers behind a progress bar."""
    with click.progressbar([0], label="Reading headers", file=sys.stderr, hidden=hidden, show_eta=False) as bar:

        def progress(done: int, total: int) -> None:
            """Show how many headers were read."""
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        try:
            return survey_directory(directory, limit, Limits(), progress)
        except OSError as error:
            raise click.ClickException(f"{directory}: cannot be read: {error.strerror}") from error


def _write(target: Path, text: str, *, force: bool) -> None:
    """Write the settings: complete or not at all, and over another file only if that was asked for."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.write_text(text, "utf-8")
            if force:
                temporary.replace(target)
            else:
                target.hardlink_to(temporary)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise click.ClickException(f"{target} exists; overwrite it with --force") from error
    except OSError as error:
        raise click.ClickException(f"{target}: cannot be written: {error.strerror}") from error


# --- the report -------------------------------------------------------------------------------------------------------


def _as_json(proposal: proposing.Proposal, target: Path) -> dict[str, Any]:
    """Return what was understood and proposed, for programs."""
    return {
        "config": str(target),
        "directory": proposal.directory,
        "found": proposal.survey.found,
        "read": len(proposal.survey.samples),
        "cameras": proposing.camera_rows(proposal),
        "frames": proposing.frame_rows(proposal),
        "not_understood": proposing.unclear_rows(proposal),
        "masters": proposing.outlook_rows(proposal),
        "science": proposing.light_rows(proposal),
    }


def _report(proposal: proposing.Proposal, target: Path) -> str:
    """Return what was understood, what was not, and what a scan will make of it, as tables."""
    survey = proposal.survey
    parts = [
        f"{len(survey.samples)} of {survey.found} files below {proposal.directory} were read.",
        "\n".join(f"Left out: {words}." for words in survey.left_out),
        _section("Cameras", proposing.camera_rows(proposal), _CAMERA_COLUMNS),
        _section("Frames", proposing.frame_rows(proposal), _FRAME_COLUMNS),
        _not_understood(proposing.unclear_rows(proposal)),
        _section(
            "Masters that a scan will make, after their last night", proposing.outlook_rows(proposal), _MASTER_COLUMNS
        ),
        _science(proposing.light_rows(proposal)),
        f"Written: {target}, with the reason for each setting. Next: ingestd scan"
        + ("" if str(target) == DEFAULT_CONFIG else f" --config {target}"),
    ]
    return "\n\n".join(part for part in parts if part)


def _section(title: str, rows: list[dict[str, object]], columns: Mapping[str, str]) -> str:
    """Return a table under its title, without columns in which nothing stands; '' without rows."""
    if not rows:
        return ""
    used = {key: name for key, name in columns.items() if any(row.get(key) not in _usual(key) for row in rows)}
    return f"{title}\n{table(rows, used)}"


def _usual(key: str) -> set[object]:
    """Return the values of a column that need no mention."""
    return {None, "", "1"} if key in {"planes", "amplifiers"} else {None, ""}


def _not_understood(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return what was not understood: which cards were looked for, and what would supply it."""
    lines = []
    for row in rows:
        camera = f"{row['camera']}: " if row["camera"] else ""
        lines.append(f"  {camera}{row['what']} ({row['frames']}), as in {row['example']}")
        if row["looked_for"]:
            more = len(row["looked_for"]) - _MOST_CARDS
            rest = f" and {more} more" if more > 0 else ""
            lines.append(f"      looked for {', '.join(row['looked_for'][:_MOST_CARDS])}{rest}")
        lines.append(f"      write {row['remedy']}")
    return "\n".join(["Not understood", *lines]) if lines else ""


def _science(rows: list[dict[str, Any]]) -> str:
    """Return what becomes of the science frames, and why some lack a master."""
    if not rows:
        return ""
    reasons = [f"  {row['camera']}: {reason}" for row in rows for reason in row["why"].values()]
    return "\n".join([_section("Science frames", rows, _LIGHT_COLUMNS), *dict.fromkeys(reasons)])
