"""What calibrates a science frame, plane by plane and amplifier by amplifier, and the same in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ingestd.jobs.counting import sampled_overscan
from ingestd.jobs.headers import AmplifierFacts, amplifier_facts, section_words
from ingestd.jobs.inputs import calibration_of, master_planes, planes_of, saturation_of
from ingestd.jobs.measuring import known_or_none
from ingestd.jobs.parts import Part, amplifiers_of, disagreement
from ingestd.pixels import quality
from ingestd.pixels.blocks import RowReader
from ingestd.pixels.steps import PlaneCalibration, takes_overscan
from ingestd.records import Electronics, Kind, MasterInput, Plane, ReduceFrame, Step

_Key = tuple[int, int]
"""Position of a plane, and of an amplifier in it."""


def calibrations_of(job: ReduceFrame, readers: Sequence[RowReader]) -> list[PlaneCalibration]:
    """Return everything that calibrates the planes of a frame."""
    planes = job.member.frame.planes
    scales = gain_scales(job)
    return [
        _calibration(job, plane, index, reader, scales)
        for index, (plane, reader) in enumerate(zip(planes, readers, strict=True))
    ]


def _calibration(
    job: ReduceFrame, plane: Plane, index: int, reader: RowReader, scales: dict[_Key, float]
) -> PlaneCalibration:
    """Return everything that calibrates one plane."""
    saturation_adu = saturation_of(job.member.frame, reader)
    calibration = replace(
        calibration_of(plane, index, job.member.masters, job.arithmetic, job.linearity),
        saturation_adu=saturation_adu if np.isfinite(saturation_adu) else None,
    )
    if plane.channels:
        amplifiers = [
            replace(
                amplifier,
                gain_e_per_adu=gain_of(job, index, number),
                read_noise_e=_read_noise_e(job, index, number),
                gain_scale=scales.get((index, number), 1.0),
            )
            for number, amplifier in enumerate(calibration.amplifiers)
        ]
        return replace(calibration, amplifiers=tuple(amplifiers))
    return replace(
        calibration,
        gain_e_per_adu=gain_of(job, index, 0),
        read_noise_e=_read_noise_e(job, index, 0),
        gain_scale=scales.get((index, 0), 1.0),
    )


def gain_of(job: ReduceFrame, index: int, number: int) -> float | None:
    """Return the gain of an amplifier, e-/ADU, or None if it or that of another is unknown: a product has one unit."""
    own = _electronics(job, index, number)
    if own is None:
        return job.gain_e_per_adu
    return None if any(it.gain_e_per_adu is None for it in job.electronics) else own.gain_e_per_adu


def _read_noise_e(job: ReduceFrame, index: int, number: int) -> float | None:
    """Return the read noise of an amplifier, electrons: of settings or header, or of the master bias in use.

    What is stated is taken as it is: who measures read noise has the step of the converter in it. That of the bias is
    without, and a pixel has both.
    """
    own, gain = _electronics(job, index, number), gain_of(job, index, number)
    stated = job.read_noise_e if own is None else own.read_noise_e
    if stated is not None or gain is None:
        return stated
    fact = _bias_fact(job, index, number)
    if fact is None or fact.read_noise_adu is None:
        return None
    return gain * math.hypot(fact.read_noise_adu, (fact.step_adu or 0.0) / math.sqrt(12.0))


def _electronics(job: ReduceFrame, index: int, number: int) -> Electronics | None:
    """Return gain and read noise of one of several amplifiers, or None if there is only one."""
    return next((it for it in job.electronics if (it.plane, it.channel) == (index, number)), None)


def _bias_fact(job: ReduceFrame, index: int, number: int) -> AmplifierFacts | None:
    """Return what the master bias of the order tells of an amplifier, or None without one."""
    bias = next((master for master in job.member.masters if master.kind == Kind.BIAS), None)
    if bias is None:
        return None
    plane = planes_of(bias)[index]
    facts = amplifier_facts(plane.cards, plane.signal.shape)
    return facts[number] if number < len(facts) else None


def gain_scales(job: ReduceFrame) -> dict[_Key, float]:
    """Return what the flat of the order has taken of the gain of each amplifier already; nothing for one alone.

    The flat compares amplifiers in electrons by the gains w that it was made with, or in ADU (w = 1). Divided by it, a
    frame of gains g is in a common unit, that of w; one factor for all, the median of g / w, makes electrons of it. So
    each amplifier is to be multiplied by w median(g / w) and not by g: the same where w and g are.
    """
    planes = job.member.frame.planes
    flat = next((master for master in job.member.masters if master.kind == Kind.FLAT), None)
    if flat is None or (len(planes) == 1 and not planes[0].channels):
        return {}
    content = master_planes(flat.path, flat.sha256)
    is_in_electrons = content.header.get("FLATNORM") == "electron"
    gains: dict[_Key, float] = {}
    weights: dict[_Key, float] = {}
    for index, own in enumerate(content.planes):
        for number, fact in enumerate(amplifier_facts(own.cards, own.signal.shape)):
            gain = gain_of(job, index, number)
            if gain is None:
                return {}
            gains[index, number] = gain
            weights[index, number] = fact.gain_e_per_adu or 1.0 if is_in_electrons else 1.0
    common = statistics.median(gains[key] / weights[key] for key in gains)
    return {key: weights[key] * common / gains[key] for key in gains}


# --- in words ---------------------------------------------------------------------------------------------------------


def steps_of(job: ReduceFrame, calibrations: list[PlaneCalibration], readers: Sequence[RowReader]) -> list[Step]:
    """Return every step of the calibration as it will be carried out, with the reason for what is skipped."""
    first = calibrations[0]
    masters = {master.kind.value: master for master in job.member.masters if master.how != "noise_only"}
    skipped = dict(job.skipped)
    steps = [_overscan_step(job, calibrations, readers), _trim_step(job.member.frame.planes[0])]
    if job.linearity is not None and job.linearity.is_polynomial:
        steps.append(_nonlinearity_step(calibrations))
    for name in ("bias", "dark", "flat"):
        if name in masters:
            steps.append(Step(name, "applied", _master_words(masters[name])))
        elif name in skipped:
            steps.append(Step(name, "skipped", skipped[name]))
        else:
            steps.append(Step(name, "not needed", dict(job.not_needed).get(name, "")))
    if not first.has_gain:
        steps.append(Step("gain", "skipped", f"gain {job.gain_source}"))
    else:
        steps.append(Step("gain", "applied", f"{_gain_words(calibrations)} e-/adu; {job.gain_source}"))
    if first.has_uncertainty:
        steps.append(Step("uncertainty", "applied", "Poisson, read noise and the masters' own"))
    else:
        lacking = "read noise unknown: set camera.read_noise_e" if first.has_gain else "gain unknown"
        steps.append(Step("uncertainty", "skipped", lacking))
    steps.append(Step("mask", "applied", _mask_words(job, first)))
    return steps


def _mask_words(job: ReduceFrame, calibration: PlaneCalibration) -> str:
    """Return what is marked, and whether it is only the file that says where saturation begins."""
    level, linear = calibration.saturation_adu, calibration.linear_max_adu
    saturated = "saturation unknown" if level is None else f"saturated from {level:g} adu on"
    if job.member.frame.saturation_adu is None:
        why = "" if level is None else "the end of the file's range; if that of the camera is less, "
        saturated += f" ({why}set camera.saturation_adu)"
    nonlinear = "" if linear is None else f"nonlinear above {linear:g} adu, "
    return f"{saturated}, {nonlinear}no data, and the masters' masks"


def _master_words(master: MasterInput) -> str:
    """Return how a master was used."""
    words = [
        master.how.replace("_", " "),
        Path(master.path).name,
        f"SHA-256 {master.sha256[:16]}",
        f"{master.age_h:.1f} h",
    ]
    if master.delta_temp_c is not None:
        words.append(f"{master.delta_temp_c:+.2f} C")
    if master.kind == Kind.DARK and master.exposure_ratio is not None:
        words.append(f"exposure ratio {master.exposure_ratio:.4g}")
    if master.cut is not None:
        words.append(f"cut to {section_words(master.cut)}")
    return ", ".join(words)


def _trim_step(plane: Plane) -> Step:
    """Return what trimming does."""
    rows, columns = plane.image_shape
    if len(plane.channels) > 1:
        return Step("trim", "applied", f"{len(plane.channels)} amplifiers put together to {columns} x {rows} pixels")
    if plane.trim is None:
        return Step("trim", "not needed", "")
    return Step("trim", "applied", f"to {section_words(plane.trim)}")


def _nonlinearity_step(calibrations: Sequence[PlaneCalibration]) -> Step:
    """Return by which polynomial the signal was made linear, or why it was not."""
    if not all(calibration.is_linearised for calibration in calibrations):
        why = "neither a master bias nor an overscan tells the level above which the signal counts: take biases"
        return Step("nonlinearity", "skipped", why)
    found = dict.fromkeys(part.nonlinearity for it in calibrations for part in it.amplifiers or (it,))
    words = ["x (1" + "".join(f" {c:+g} x^{power}" for power, c in enumerate(own, 1)) + ")" for own in found]
    return Step("nonlinearity", "applied", f"{', '.join(words)}; x in adu above the bias")


def _overscan_step(job: ReduceFrame, calibrations: Sequence[PlaneCalibration], readers: Sequence[RowReader]) -> Step:
    """Return how the overscan was used, and where it and the bias disagree."""
    planes = job.member.frame.planes
    notes = list(_disagreements(job, readers))
    if not any(takes_overscan(calibration) for calibration in calibrations):
        has_any = any(part.overscan is not None for plane in planes for part in amplifiers_of(plane))
        why = "reduction.overscan is false" if has_any else "no overscan section"
        return Step("overscan", "not needed", "; ".join([why, *notes]))
    degree = job.arithmetic.overscan_degree
    words = "median of the overscan of each row"
    if degree is not None:
        words = f"polynomial of degree {degree} through the medians of the overscan of each row"
    first = next(part for plane in planes for part in amplifiers_of(plane) if part.overscan is not None)
    section = first.overscan
    if section is not None and (section.y0 > first.section.y0 or section.y1 < first.section.y1):
        words = "median of the overscan, one level for all rows"
    return Step("overscan", "applied", "; ".join([words, *notes]))


def _disagreements(job: ReduceFrame, readers: Sequence[RowReader]) -> Iterator[str]:
    """Yield where overscan and master bias differ by more than the read noise of a pixel.

    Where the overscan is subtracted, the master bias holds what its members lay above theirs. Where it is not, the
    overscan of this frame tells how far its level is from that of the master bias.
    """
    planes = job.member.frame.planes
    for index, (plane, reader) in enumerate(zip(planes, readers, strict=True)):
        label = plane.index if len(planes) > 1 else None
        for part in amplifiers_of(plane):
            fact = _bias_fact(job, index, part.amplifier)
            if part.overscan is None or fact is None:
                continue
            offset, words = fact.level_adu, "the bias lies {:+.1f} ADU from its overscan"
            if not job.arithmetic.overscan:
                offset = _drift(reader, part, job.arithmetic.overscan_skip_px, fact.level_adu)
                words = "the overscan of this frame lies {:+.1f} ADU from the master bias"
            said = disagreement(words, offset, fact.read_noise_adu, part, label)
            if said:
                yield said


def _drift(reader: RowReader, part: Part, skip_px: int, level_adu: float | None) -> float | None:
    """Return how far the overscan of a frame is from the level of a master bias, or None if one is unknown."""
    samples = sampled_overscan(reader, part, skip_px)
    if samples is None or level_adu is None:
        return None
    level = known_or_none(quality.overscan_level_adu, samples)
    return None if level is None else level.value - level_adu


def _gain_words(calibrations: Sequence[PlaneCalibration]) -> str:
    """Return the gains of all amplifiers, each once."""
    gains = [
        part.gain_e_per_adu
        for calibration in calibrations
        for part in calibration.amplifiers or (calibration,)
        if part.gain_e_per_adu is not None
    ]
    return ", ".join(f"{gain:g}" for gain in dict.fromkeys(gains))
