"""A choice of masters for people (lines of text) and for programs (plain values for JSON)."""

from __future__ import annotations

from dataclasses import asdict

from ingestd.records import Calibration, Candidate, Choice, FrameRecord, Kind, Match, NotNeeded
from ingestd.rules.matching.words import celsius, seconds


def explain_lines(frame: FrameRecord, calibration: Calibration) -> list[str]:
    """Return why each master was chosen or rejected, as lines of text without line ends."""
    lines = [_frame_line(frame), f"  configuration {frame.configuration.key()}"]
    for kind, choice in _choices(calibration):
        lines.append(f"{kind.value:4}  {_headline(choice)}")
        lines += [_candidate_line(number, it) for number, it in enumerate(_candidates(choice), start=1)]
    return lines


def explain_record(calibration: Calibration) -> dict[str, object]:
    """Return the choices as plain values for JSON: one entry for each of bias, dark and flat."""
    return {kind.value: _choice_record(choice) for kind, choice in _choices(calibration)}


def _choices(calibration: Calibration) -> tuple[tuple[Kind, Choice], ...]:
    """Return the choices with their kinds, in the order of the steps."""
    return (Kind.BIAS, calibration.bias), (Kind.DARK, calibration.dark), (Kind.FLAT, calibration.flat)


def _candidates(choice: Choice) -> tuple[Candidate, ...]:
    """Return what was looked at, best first."""
    return () if isinstance(choice, NotNeeded) else choice.candidates


def _frame_line(frame: FrameRecord) -> str:
    """Return the conditions of a frame."""
    when = "no date" if frame.obs_start is None else f"{frame.obs_start:%Y-%m-%d %H:%M:%S} UTC"
    name = f"filter {frame.filter_name}" if frame.filter_name else "no filter"
    exposure, temperature = seconds(frame.exposure_s), celsius(frame.ccd_temp_c)
    return f"{frame.kind.value} of {exposure} at {temperature}, {name}, {when}, camera {frame.camera}"


def _headline(choice: Choice) -> str:
    """Return one choice in a line."""
    if isinstance(choice, Match):
        cut = "" if choice.cut is None else ", cut to the window of the frame"
        return f"{choice.how.replace('_', ' ')}: {choice.master.path}{cut}"
    return f"{'not needed' if isinstance(choice, NotNeeded) else 'waits'}: {choice.reason}"


def _candidate_line(number: int, it: Candidate) -> str:
    """Return one candidate in a line."""
    return f"  {number:2}. {'fits' if it.fits else 'no  '} {it.master_id[:8]} {it.reason}"


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
    }
