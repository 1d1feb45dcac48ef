"""``verify``: proof that masters and products are what the raw frames give."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator

import click

from ingestd.api import Catalogue, open_catalogue
from ingestd.cli.options import as_recorded, config_option, json_option, printable, settings_of
from ingestd.doors.catalogue import Result
from ingestd.flow import verifying
from ingestd.flow.verifying import Verification
from ingestd.settings import Settings


@click.command()
@click.argument("names", nargs=-1, metavar="[MASTER|PRODUCT]...")
@config_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Every master and product in force.")
@click.option(
    "--reference", is_flag=True, help="Also compute it with ccdproc and plain numpy, and tell the largest difference."
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def verify(
    context: click.Context,
    config: str | None,
    *,
    names: tuple[str, ...],
    as_json: bool,
    everything: bool,
    reference: bool,
    quiet: bool,
) -> None:
    """Build masters or products once more and compare.

    Each is made from its raw frames by the order that is recorded with it, into a temporary file (TMPDIR), and the
    bytes are compared; the exit status is 1 unless all are the same. Names are paths, file names or the first digits of
    an address; a raw frame means its current product. Nothing is changed, and a running daemon does not mind.
    """
    if bool(names) == everything:
        raise click.UsageError("Name masters or products, or give --all.")
    settings = settings_of(context, config)
    with open_catalogue(settings.catalogue_path) as catalogue:
        results = catalogue.current_results() if everything else _named(catalogue, settings, names)
        found = list(_verified(catalogue, settings, results, reference=reference, quiet=quiet))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(it) for it in found], indent=2, ensure_ascii=False))
    else:
        click.echo(printable("\n".join(map(_text, found))) or "There are no masters or products yet.")
        tally = Counter(it.status for it in found)
        if len(found) > 1:
            click.echo(f"{len(found)} in all: {', '.join(f'{count} {status}' for status, count in tally.items())}")
    bad = sum(not it.is_good for it in found)
    if bad:
        raise click.ClickException(f"{bad} of {len(found)} could not be proven.")


def _named(catalogue: Catalogue, settings: Settings, names: tuple[str, ...]) -> list[Result]:
    """Return what is meant by names, each once."""
    found: dict[str, Result] = {}
    for name in names:
        results = verifying.find(catalogue, settings, as_recorded(name, settings))
        if not results:
            raise click.ClickException(
                f"{name}: no master or product of this name. `ingestd masters` and `ingestd frames --json` list them."
            )
        found |= {result.path: result for result in results}
    return list(found.values())


def _verified(
    catalogue: Catalogue, settings: Settings, results: list[Result], *, reference: bool, quiet: bool
) -> Iterator[Verification]:
    """Yield what became of each, with a bar where there are several."""
    with click.progressbar(results, label="Verifying", file=sys.stderr, hidden=quiet or len(results) < 2) as bar:  # noqa: PLR2004
        for result in bar:
            yield verifying.verify(catalogue, settings, result, reference=reference)


def _text(it: Verification) -> str:
    """Return one verification for a person."""
    lines = [f"{it.status:8} {it.path}: {it.detail}"]
    for plane in it.against:
        unit = plane.unit or "of the level"
        lines.append(
            f"{'':8} reference: largest difference {plane.largest:.3g} {unit} at (y, x) = ({plane.y}, {plane.x}), "
            f"typical {plane.typical:.2g}, in plane {plane.plane} of median {plane.level:.6g}"
        )
    return "\n".join(lines)
