"""``inspect``: what people compute by hand of a frame or a set, without any settings."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ingestd import daemon
from ingestd.cli.options import check_target, json_option, printable
from ingestd.cli.picturing import brief_text, frame_text, set_text
from ingestd.jobs import inspecting
from ingestd.jobs.inspecting import FrameSet, LookedFrame, PlaneFigures, Request, Sets, Unread
from ingestd.records import Kind, Section
from ingestd.rules.dialects.sections import parse_section
from ingestd.settings import Limits

_KINDS = [kind.value for kind in (Kind.BIAS, Kind.DARK, Kind.FLAT, Kind.LIGHT)]
_PATH = click.Path(path_type=Path)


def _section(_context: click.Context, _option: click.Parameter, value: str | None) -> Section | None:
    """Return a section as headers write it, zero-based and half-open."""
    section = parse_section(value) if value is not None else None
    if value is not None and section is None:
        raise click.BadParameter(f"{value!r}: write it as in BIASSEC, [x1:x2,y1:y2], counted from 1")
    return section


def _pixel(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Return a pixel X,Y, counted from 1, as zero-based (y, x)."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", value, re.ASCII)
    if found is None or not (int(found[1]) and int(found[2])):
        raise click.BadParameter(f"{value!r}: write X,Y, counted from 1 as image viewers do")
    return int(found[2]) - 1, int(found[1]) - 1


@dataclass(frozen=True, slots=True)
class _Images:
    """Where mean and standard deviation of a set go."""

    mean: Path | None
    std: Path | None


@click.command(name="inspect")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_PATH)
@click.option("--bias", "biases", multiple=True, type=_PATH, help="A bias, whatever its header says; several times.")
@click.option("--kind", type=click.Choice(_KINDS), help="What FILE... are, whatever their headers say.")
@click.option("--box", metavar="[x1:x2,y1:y2]", callback=_section, help="Measure this part: as in BIASSEC, from 1.")
@click.option("--pixel", metavar="X,Y", callback=_pixel, help="One pixel through all frames, counted from 1, x first.")
@click.option("--brightest", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many are named.")
@click.option("--brief", is_flag=True, help="One line for each frame, then the sets.")
@click.option("--header", is_flag=True, help="Print the headers too.")
@click.option("--mean", type=_PATH, help="Write the mean image of a set, as FITS.")
@click.option("--std", type=_PATH, help="Write the image of standard deviations of a set, as FITS.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@json_option
def inspect(
    *,
    files: tuple[Path, ...],
    biases: tuple[Path, ...],
    kind: str | None,
    box: Section | None,
    pixel: tuple[int, int] | None,
    brightest: int,
    brief: bool,
    header: bool,
    mean: Path | None,
    std: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Print figures of frames: levels, scatter, histogram; of sets also read noise, dark rate, gain.

    No settings and no database are needed, and FILE... are only read. Frames of one kind and size (darks: and exposure;
    flats: and filter) are a set; name biases with darks for the dark rate, with flats for the gain.
    """
    if brief and header:
        raise click.UsageError("--brief has no room for headers; leave out one of --brief and --header")
    images = _Images(mean, std)
    _check_targets(images, [*files, *biases])
    request = Request(box, pixel, Kind(kind) if kind else None, brightest)
    frames, unread, sets = _look(files, biases, request, quiet=quiet)
    found = [(own, inspecting.measure_set(own, sets, brightest)) for own in sets]
    if as_json:
        click.echo(json.dumps(_as_json(frames, unread, found, with_header=header), indent=2, default=str))
    else:
        texts = [brief_text(frames)] if brief else [frame_text(frame, header=header) for frame in frames]
        texts += [set_text(own, figures, frames) for own, figures in found if len(own.frames) > 1]
        click.echo(printable("\n\n".join(text for text in texts if text)))
    _write(images, sets, frames)
    for it in unread:
        click.echo(printable(f"{it.path}: {it.reason}: {it.detail}"), err=True)
    if unread:
        raise click.ClickException(f"{len(unread)} of {len(unread) + len(frames)} files could not be looked at.")


def _look(
    files: Sequence[Path], biases: Sequence[Path], request: Request, *, quiet: bool
) -> tuple[list[LookedFrame], list[Unread], list[FrameSet]]:
    """Read the files one by one, with a bar where there are several; pixels of one frame are in memory at a time."""
    frames: list[LookedFrame] = []
    unread: list[Unread] = []
    sets, now, limits = Sets(request), daemon.utc_now(), Limits()
    as_bias = Request(request.box, request.pixel, Kind.BIAS, request.brightest)
    orders = [(path, request) for path in files] + [(path, as_bias) for path in biases]
    hidden = quiet or len(orders) < 2  # noqa: PLR2004 - one file needs no bar
    with click.progressbar(orders, label="Reading", file=sys.stderr, hidden=hidden) as bar:
        for path, order in bar:
            found = inspecting.look_at(path, order, limits, now)
            if isinstance(found, Unread):
                unread.append(found)
            else:
                sets.add(found)
                frames.append(found.without_images())
    return frames, unread, sets.all()


def _check_targets(images: _Images, files: Sequence[Path]) -> None:
    """Refuse to write over a file or beside raw frames."""
    folders = {Path(os.path.realpath(path)).parent for path in files}  # unlike Path.resolve, it bears a loop of links
    targets = [target for target in (images.mean, images.std) if target is not None]
    if len({target.resolve() for target in targets}) < len(targets):
        raise click.ClickException("--mean and --std name the same file")
    for target in targets:
        check_target(target, folders)
        if target.exists():
            raise click.ClickException(f"{target} exists; name another file")


def _write(images: _Images, sets: Sequence[FrameSet], frames: Sequence[LookedFrame]) -> None:
    """Write the images that were asked for."""
    if images.mean is None and images.std is None:
        return
    several = [own for own in sets if len(own.frames) > 1]
    if len(several) != 1:
        raise click.ClickException(
            f"--mean and --std need one set of two or more frames of one kind and size; here are {len(several)}"
        )
    own = several[0]
    names = [Path(frames[place].path).name for place in own.frames]
    if images.mean is not None:
        inspecting.write_image(images.mean, [stack.mean() for stack in own.stacks], own, "mean", names)
    if images.std is not None:
        inspecting.write_image(images.std, [stack.deviation() for stack in own.stacks], own, "std", names)


# --- for programs -----------------------------------------------------------------------------------------------------


def _as_json(
    frames: Sequence[LookedFrame],
    unread: Sequence[Unread],
    found: Sequence[tuple[FrameSet, list[PlaneFigures]]],
    *,
    with_header: bool,
) -> dict[str, Any]:
    """Return everything that was measured; places are zero-based (y, x), sections zero-based and half-open."""
    return {
        "frames": [_frame_json(frame, with_header=with_header) for frame in frames],
        "sets": [
            {
                "kind": own.kind,
                "exposure_s": own.exposure_s,
                "filter_name": own.filter_name,
                "frames": [frames[place].path for place in own.frames],
                "planes": [asdict(plane) for plane in figures],
            }
            for own, figures in found
            if len(own.frames) > 1
        ],
        "unread": [asdict(it) for it in unread],
    }


def _frame_json(frame: LookedFrame, *, with_header: bool) -> dict[str, Any]:
    """Return one frame."""
    record = frame.record
    row: dict[str, Any] = {
        "path": frame.path,
        "kind": record.kind,
        "label": record.label,
        "kind_source": record.source("kind"),
        "dialect": record.dialect,
        "exposure_s": record.exposure_s,
        "ccd_temp_c": record.ccd_temp_c,
        "filter_name": record.filter_name,
        "obs_start": record.obs_start,
        "gain_e_per_adu": record.gain_e_per_adu,
        "read_noise_e": record.read_noise_e,
        "flags": record.flags,
        "notes": record.notes,
        "doubts": frame.doubts,
        "planes": [asdict(plane) for plane in frame.planes],
    }
    if with_header:
        row["headers"] = frame.headers
    return row
