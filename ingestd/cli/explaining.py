"""``explain``: what a frame is, card by card, and why it got the masters that it got."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from ingestd.api import open_catalogue, sensor_history
from ingestd.cli.lineage import camera_of, held_by, held_lines, master_account, master_text
from ingestd.cli.options import as_recorded, config_option, json_option, printable, settings_of
from ingestd.cli.tables import failed_build_words
from ingestd.flow.surveying import read_sample
from ingestd.records import FrameRecord, Kind
from ingestd.rules import groups, lacking, windows
from ingestd.rules.matching import explain_lines, with_named_fields
from ingestd.rules.proposing import Sample, header_cards, missing_fields
from ingestd.settings import Settings

_WIDTH = 100
_FIELDS = (
    ("kind", "kind", ""),
    ("label", "label", ""),
    ("camera", "camera", ""),
    ("configuration", "configuration", ""),
    ("exposure_s", "exposure", "s"),
    ("ccd_temp_c", "temperature", "C"),
    ("set_temp_c", "set point", "C"),
    ("filter_name", "filter", ""),
    ("obs_start", "start", "UTC"),
    ("night", "night", ""),
    ("gain_e_per_adu", "gain", "e-/adu"),
    ("read_noise_e", "read noise", "e-"),
    ("object_name", "object", ""),
)


@click.command()
@click.argument("file")
@click.option("--fields", "every_field", is_flag=True, help="Every candidate field by field, not only the best.")
@config_option
@json_option
@click.pass_context
def explain(context: click.Context, config: str | None, *, file: str, every_field: bool, as_json: bool) -> None:
    """Say why: the kind of FILE, its masters, its steps; or what a master is made of.

    Where each field comes from, what to write in config.toml for one that is missing, and why each master was chosen
    or rejected. Of a master: its members, frames that were left out and why, its grade, what it serves.
    FILE is a path, a file name, or the first digits of the id of a frame, master or product; a product is explained by
    its raw frame.
    """
    settings = settings_of(context, config)
    name = as_recorded(file, settings)
    with open_catalogue(settings.catalogue_path) as catalogue:
        found = [_described(catalogue, row, settings) for row in catalogue.find_frames(name)]
        masters = [] if found else [master_account(catalogue, row, settings) for row in catalogue.find_masters(name)]
        if not found and not masters:
            found = [
                _described(catalogue, row, settings) | {"asked_for": product["path"], "is_current": product["current"]}
                for product in catalogue.find_products(name)
                for row in catalogue.find_frames(product["frame_id"])
            ]
    if masters:
        whole = json.dumps(masters, indent=2, default=str)
        click.echo(whole if as_json else "\n\n".join(printable(master_text(master)) for master in masters))
        return
    if not found:
        raise click.ClickException(
            f"{file}: not in the catalogue. Is it below a directory of a [[camera]], and named .fits, .fit or .fts?"
        )
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return
    click.echo("\n\n".join(printable(_text(frame, every_field=every_field)) for frame in found))


def _described(catalogue: Any, row: dict[str, Any], settings: Settings) -> dict[str, Any]:  # noqa: ANN401 - a Catalogue
    """Return everything that is known of one frame."""
    described = dict(row)
    frame = catalogue.frame(row["frame_id"]) if row["frame_id"] else None
    if frame is None:
        return described
    explanation = catalogue.explanation(frame.frame_id)
    described |= held_by(catalogue, frame, row, settings) | {
        "gone_since": catalogue.gone_since(frame.frame_id),
        "configuration": frame.configuration.key(),
        "set_temp_c": frame.set_temp_c,
        "gain_e_per_adu": frame.gain_e_per_adu,
        "read_noise_e": frame.read_noise_e,
        "dialect": frame.dialect,
        "sources": dict(frame.sources),
        "flags": list(frame.flags),
        "notes": list(frame.notes),
        "missing": _missing(frame, str(row["path"]), settings),
        "pixels": [asdict(finding) for finding in catalogue.findings(frame.frame_id)],
        "decisions": catalogue.decisions(frame_id=frame.frame_id),
        "products": (products := catalogue.product_rows(frame.frame_id)),
        "gain_hint": _gain_hint(catalogue, frame) if _lacks_gain(products) else None,
        "masters": _choices(catalogue, frame, explanation, settings) if explanation else None,
        "failed_builds": catalogue.failed_builds(str(frame.camera), windows.setup_of(frame.configuration.key())),
    }
    return described


def _lacks_gain(products: list[dict[str, Any]]) -> bool:
    """Return whether the current product is in ADU for want of a gain."""
    return any(
        product["current"] and any((it["name"], it["status"]) == ("gain", "skipped") for it in product["steps"])
        for product in products
    )


def _gain_hint(catalogue: Any, frame: FrameRecord) -> str:  # noqa: ANN401 - a Catalogue
    """Return what flats of all nights say of a gain that neither settings nor header tell, and what to do."""
    setup = windows.setup_of(frame.configuration.key())
    found = [it for it in sensor_history(catalogue, camera=frame.camera) if it.setup == setup]
    figures = (it.figure("gain_e_per_adu").value for it in found)
    gains = [f"{value:.4g}" for value in figures if value is not None]
    if not gains:
        return "set gain_e_per_adu below its [[camera]], or take pairs of flats: `ingestd sensor` measures it then"
    return f"`ingestd sensor` measures {', '.join(gains)} e-/ADU: set gain_e_per_adu below its [[camera]]"


def _choices(
    catalogue: Any,  # noqa: ANN401 - a Catalogue
    frame: FrameRecord,
    explanation: str,
    settings: Settings,
) -> dict[str, Any]:
    """Return the choice of masters as it was recorded, and for what is missing the frames that there are now."""
    found = with_named_fields(json.loads(explanation))
    rules = settings.rules_of(frame.camera)
    for name, choice in found.items():
        if choice["choice"] == "wait" and frame.night is not None:
            kind = Kind(name)
            group = groups.group_of(replace(frame, kind=kind))
            nights = lacking.nights_of_use(group, frame.night, rules)
            camera = camera_of(frame, settings)
            choice["frames"] = lacking.frames_in_words(catalogue, group, nights, frame.ccd_temp_c, rules, camera)
    return found


def _missing(frame: FrameRecord, path: str, settings: Settings) -> list[dict[str, Any]]:
    """Return the fields that the header does not say, with cards that may hold them if the file is still there."""
    own = camera_of(frame, settings).keywords
    if not missing_fields(frame, own):
        return []
    sample = read_sample(Path(path), Path(path).name, settings.limits)
    cards = header_cards(sample) if isinstance(sample, Sample) else None
    return [asdict(found) for found in missing_fields(frame, own, cards)]


def _text(frame: dict[str, Any], *, every_field: bool) -> str:
    """Return the description for a person."""
    lines = [str(frame["path"]), f"  {'state':14} {frame['state']}: {frame['reason']}"]
    if "asked_for" in frame:
        state = "the current" if frame["is_current"] else "a superseded"
        lines.insert(0, f"{frame['asked_for']} is {state} product of this frame:")
    if frame.get("detail"):
        lines.append(f"  {'':14} {frame['detail']}")
    if frame["frame_id"] is None:
        return "\n".join(lines)
    if frame.get("gone_since"):
        lines.append(f"  {'':14} the file is gone since {frame['gone_since'][:19]} UTC; what was made of it stays")
    lines.append(f"  {'frame id':14} {frame['frame_id']}")
    if frame.get("dialect"):
        lines.append(f"  {'written by':14} {frame['dialect']}")
    sources = frame.get("sources", {})
    for key, name, unit in _FIELDS:
        value = frame.get(key)
        if key == "label" and value == frame["kind"]:
            continue
        if value is not None and value != "":
            value = f"{value:.1f}" if unit == "C" else value
            origin = f"   ({sources[key]})" if key in sources else ""
            lines.append(f"  {name:14} {value}{' ' + unit if unit else ''}{origin}")
    lines += [line for field in frame.get("missing", []) for line in _missing_lines(field)]
    lines += [f"  {'note':14} {note}" for note in [*frame.get("flags", []), *frame.get("notes", [])]]
    lines += [f"  {'pixels':14} {found['code']}: {found['text']}" for found in frame.get("pixels", [])]
    lines += [
        f"  {'operator':14} {said['decision']} at {said['time']}: {said['reason'] or 'no reason given'}"
        for said in frame.get("decisions", [])
    ]
    lines += held_lines(frame) + _product_lines(frame.get("products", []))
    if frame.get("gain_hint"):
        lines.append(f"  {'gain':14} {frame['gain_hint']}")
    lines += explain_lines(frame.get("masters") or {}, every_field=every_field)
    lines += [f"  {'not built':14} {failed_build_words(build)}" for build in frame.get("failed_builds", [])]
    return "\n".join(lines)


def _missing_lines(field: dict[str, Any]) -> list[str]:
    """Return which cards were looked for, which may hold the field, and what to write in config.toml."""
    words = f"not in the header; looked for {', '.join(field['looked_for'])}"
    looked_for = textwrap.wrap(words, _WIDTH, break_on_hyphens=False, break_long_words=False)
    unusable = ", ".join(f"{card} = {value}" for card, value in field["unusable"])
    candidates = ", ".join(f"{card} = {value}" for card, value in field["candidates"])
    lines = [f"  {field['name']:14} {looked_for[0]}", *(f"  {'':14} {line}" for line in looked_for[1:])]
    if unusable:
        lines.append(f"  {'':14} there, but of no use: {unusable}")
    if candidates:
        lines.append(f"  {'':14} may be it: {candidates}")
    lines.append(f"  {'':14} to supply it, below its [[camera]] in config.toml: [camera.keywords]")
    return lines + [f"  {'':18} {line}" for line in field["write"]]


def _product_lines(products: list[dict[str, Any]]) -> list[str]:
    """Return the current product with its steps."""
    current = [product for product in products if product["current"]]
    lines = []
    for product in current:
        state = "provisional" if product["provisional"] else "complete"
        lines.append(f"  {'product':14} {product['path']} ({state})")
        if product["better_possible"]:
            lines.append(f"  {'better':14} with {product['better_possible']}")
        if product["again"]:
            lines.append(f"  {'made again':14} {product['again']}")
        lines += [
            f"    {step['name']:12} {step['status']}{': ' if step['detail'] else ''}{step['detail']}"
            for step in product["steps"]
        ]
    return lines
