"""A choice of masters for people (lines of text) and for programs (plain values for JSON)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ingestd.records import Calibration, Candidate, Choice, FieldVerdict, Kind, Match, NotNeeded
from ingestd.rules.matching.words import celsius


def explain_record(calibration: Calibration) -> dict[str, object]:
    """Return the choices as plain values for JSON: one entry for each of bias, dark and flat."""
    return {kind.value: _choice_record(choice) for kind, choice in _choices(calibration)}


def _choices(calibration: Calibration) -> tuple[tuple[Kind, Choice], ...]:
    """Return the choices with their kinds, in the order of the steps."""
    return (Kind.BIAS, calibration.bias), (Kind.DARK, calibration.dark), (Kind.FLAT, calibration.flat)


def _choice_record(choice: Choice) -> dict[str, object]:
    """Return one choice as plain values."""
    if isinstance(choice, NotNeeded):
        return {"choice": "not_needed", "reason": choice.reason, "candidates": []}
    candidates = [_candidate_record(it) for it in choice.candidates]
    if not isinstance(choice, Match):
        return {"choice": "wait", "reason": choice.reason, "candidates": candidates}
    return {
        "choice": "match",
        "master_id": choice.master.master_id,
        "sha256": choice.master.sha256,
        "path": choice.master.path,
        "night": choice.master.night,
        "how": choice.how,
        "delta_temp_c": choice.delta_temp_c,
        "exposure_ratio": choice.exposure_ratio,
        "age_h": choice.age_h,
        "cut": None if choice.cut is None else asdict(choice.cut),
        "candidates": candidates,
    }


def _candidate_record(it: Candidate) -> dict[str, object]:
    """Return one candidate as plain values."""
    return {
        "master_id": it.master_id,
        "how": it.how,
        "fits": it.fits,
        "reason": it.reason,
        "delta_temp_c": it.delta_temp_c,
        "exposure_ratio": it.exposure_ratio,
        "age_h": it.age_h,
        "grade": it.grade,
        "fields": [list(field) for field in it.fields],
    }


def with_named_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices with the fields of every candidate as objects; they are kept as lists to save space."""
    return {
        kind: choice | {"candidates": [it | {"fields": _named(it)} for it in choice["candidates"]]}
        for kind, choice in record.items()
    }


def _named(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of one candidate."""
    return [dict(zip(FieldVerdict._fields, field, strict=True)) for field in candidate["fields"]]


_UNITS = {"ccd_temp_c": "C", "exposure_s": "s", "obs_start": "h"}
"""Units of the numbers in a field."""


# --- for people -------------------------------------------------------------------------------------------------------


def explain_lines(record: Mapping[str, Any], *, every_field: bool = False) -> list[str]:
    """Return why each master was chosen or rejected, as lines of text without line ends.

    Parameters
    ----------
    record : mapping
        What `with_named_fields` gave; ``frames`` of a choice that waits tells the frames that there are for it.
    every_field : bool
        Show the fields of all candidates, not of the best of each kind only.
    """
    lines = []
    for kind, choice in record.items():
        what = f"{choice['how']}: {choice['path']}" if "path" in choice else choice["reason"]
        lines.append(f"  {'master ' + kind:14} {choice['choice'].replace('_', ' ')}: {what}")
        if choice.get("frames"):
            lines.append(f"    frames there: {choice['frames']}")
        for rank, it in enumerate(choice["candidates"], 1):
            lines.append(f"    {rank:2}. {'fits' if it['fits'] else 'no':4} {it['master_id'][:8]} {it['reason']}")
            if every_field or rank == 1:
                lines += [f"        {_field_words(**field)}" for field in it["fields"]]
    return lines


def _field_words(
    *,
    field: str,
    frame: float | str | None,
    master: float | str | None,
    difference: float | None,
    tolerance: float | str | None,
    fits: bool,
) -> str:
    """Return one field in a line."""
    unit = _UNITS.get(field, "")
    own, other = (celsius(it) if unit == "C" and isinstance(it, float) else _value(it, unit) for it in (frame, master))
    words = [f"{'ok' if fits else 'NO':3}{field:13} frame {own}, master {other}"]
    if difference is not None:
        words.append(f"difference {_value(difference, unit)}")
    if tolerance is not None:
        words.append(f"tolerance {_value(tolerance, unit)}")
    return ", ".join(words)


def _value(value: float | str | None, unit: str) -> str:
    """Return a value of a field; what has a unit is a measurement, and needs no more digits than a person reads."""
    if value is None or isinstance(value, str):
        return value or "none"
    return f"{value:.6g} {unit}" if unit else f"{value:.10g}"
