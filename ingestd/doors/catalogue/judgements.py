"""Rows <-> what was judged: findings, verdicts, the chart and the breaks of epochs, failures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.texts import as_json, finite, read_optional_time
from ingestd.records import Break, ChartPoint, Failure, Finding, Kind, Verdict

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence


def findings_json(findings: Sequence[Finding]) -> str:
    """Return findings as a JSON list of [code, keeps out, text]."""
    return as_json([[finding.code, finding.keeps_out, finding.text] for finding in findings])


def read_findings(text: str | None) -> tuple[Finding, ...]:
    """Return the findings that ``findings_json`` wrote."""
    return tuple(Finding(code, bool(keeps_out), text) for code, keeps_out, text in json.loads(text or "[]"))


def read_verdict(row: sqlite3.Row) -> Verdict | None:
    """Return the verdict in a row of table ``frames``, or None if none was given."""
    if row["screened"] is None:
        return None
    findings = read_findings(row["findings"])
    return Verdict(row["frame_id"], findings, row["reference_id"] or "", row["pedestal_id"] or "")


# --- hardware epochs --------------------------------------------------------------------------------------------------


def chart_json(points: Iterable[ChartPoint]) -> str:
    """Return points of one group and night as JSON: frames, exposure, temperature, gain, parts."""
    return as_json(
        [
            [
                point.frames,
                finite(point.exposure_s),
                finite(point.ccd_temp_c),
                finite(point.gain_e_per_adu),
                point.parts,
            ]
            for point in points
        ]
    )


def read_chart(row: sqlite3.Row) -> list[ChartPoint]:
    """Return the points in a row of table ``nights``."""
    return [
        ChartPoint(
            Kind(row["kind"]),
            row["configuration"],
            row["night"],
            frames,
            exposure_s,
            ccd_temp_c,
            gain_e_per_adu,
            tuple((name, level, noise) for name, level, noise in parts),
        )
        for frames, exposure_s, ccd_temp_c, gain_e_per_adu, parts in json.loads(row["chart"])
    ]


def read_break(row: sqlite3.Row) -> Break:
    """Return the break in a row of table ``breaks``."""
    return Break(
        row["camera"], row["setup"], row["night"], row["after_night"], row["status"], row["cause"], row["reason"]
    )


def read_failure(row: sqlite3.Row) -> Failure:
    """Return the failure in a row of table ``failures``."""
    return Failure(
        job_id=row["job_id"],
        frame_id=row["frame_id"],
        master_group=row["master_group"],
        attempts=row["attempts"],
        deaths=row["deaths"],
        next_try=read_optional_time(row["next_try"]),
        reason=row["reason"],
        is_final=bool(row["final"]),
    )
