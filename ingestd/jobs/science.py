"""Reducing one science frame: one pass over its rows, streamed into an immutable product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ingestd.doors import fitsfile
from ingestd.jobs import headers
from ingestd.jobs.inputs import calibration_of, image_of, master_planes, opened, saturation_of
from ingestd.jobs.measuring import metric, plane_label, temperature_metrics
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, Mask, RowReader
from ingestd.pixels.quality import Estimate, SkyBoxes
from ingestd.pixels.steps import PlaneCalibration, reduce_plane
from ingestd.records import Kind, MasterInput, Metric, Outcome, Plane, ReduceFrame, Step
from ingestd.settings import Limits


def reduce_frame(job: ReduceFrame, limits: Limits) -> Outcome:
    """Reduce the frame of an order with the masters of the order, and write the product."""
    frame = job.member.frame
    metrics: list[Metric] = list(temperature_metrics(frame))
    with opened(job.member, limits) as source:
        calibrations = [
            _calibration(job, plane, index, reader)
            for index, (plane, reader) in enumerate(zip(frame.planes, source.planes, strict=True))
        ]
        steps = _steps(job, calibrations)
        hdus, places = fitsfile.lay_out(
            headers.product_cards(source.cards(), job, steps, frame.planes[0].trim), _images(job, source, calibrations)
        )
        with fitsfile.ProductWriter(Path(job.product), hdus) as writer:
            for plane, reader, calibration, place in zip(
                frame.planes, source.planes, calibrations, places, strict=True
            ):
                metrics += _reduce_plane(job, plane, reader, calibration, writer, place)
            source.check_unchanged()
            sha256, size = writer.commit()
    return Outcome(
        job.job_id,
        "done",
        sha256=sha256,
        size_bytes=size,
        steps=tuple(steps),
        metrics=tuple(metrics),
        doubts=tuple(source.doubts),
    )


def _images(
    job: ReduceFrame, source: fitsfile.FrameReader, calibrations: list[PlaneCalibration]
) -> list[fitsfile.ImageSpec]:
    """Return what the product holds for each plane; planes of an extension keep the cards of that extension."""
    specs = []
    for plane, calibration in zip(job.member.frame.planes, calibrations, strict=True):
        unit = "adu" if calibration.gain_e_per_adu is None else "electron"
        cards = fitsfile.copied_cards(source.cards(plane.index), (), plane.trim) if plane.index else []
        specs.append(fitsfile.ImageSpec(image_of(plane).shape, unit, cards, calibration.has_uncertainty))
    return specs


def _calibration(job: ReduceFrame, plane: Plane, index: int, reader: RowReader) -> PlaneCalibration:
    """Return everything that calibrates one plane."""
    gain = job.gain_e_per_adu if len(job.member.frame.planes) == 1 else plane.gain_e_per_adu or job.gain_e_per_adu
    saturation_adu = saturation_of(job.member.frame, reader)
    return replace(
        calibration_of(plane, index, job.member.masters, job.arithmetic),
        gain_e_per_adu=gain,
        read_noise_e=_read_noise_e(job, plane, index, gain),
        saturation_adu=saturation_adu if np.isfinite(saturation_adu) else None,
    )


def _read_noise_e(job: ReduceFrame, plane: Plane, index: int, gain: float | None) -> float | None:
    """Return the read noise in electrons: of the settings, the header, or the master bias in use; else None."""
    stated = job.read_noise_e if job.read_noise_e is not None else plane.read_noise_e
    if stated is not None or gain is None:
        return stated
    bias = next((master for master in job.member.masters if master.kind == Kind.BIAS), None)
    measured = None if bias is None else master_planes(bias.path, bias.sha256).planes[index].cards.get("RDNOISEA")
    return float(measured) * gain if isinstance(measured, int | float) else None


def _reduce_plane(
    job: ReduceFrame,
    plane: Plane,
    reader: RowReader,
    calibration: PlaneCalibration,
    writer: fitsfile.ProductWriter,
    place: fitsfile.ImageHdus,
) -> list[Metric]:
    """Reduce one plane into the product and return its figures."""
    gain = calibration.gain_e_per_adu
    boxes = SkyBoxes(gain or 1.0)

    def write_block(first_row: int, signal: Float32, uncertainty: Float32 | None, mask: Mask) -> None:
        writer.write(place.signal, first_row, signal)
        if uncertainty is not None and place.uncertainty is not None:
            writer.write(place.uncertainty, first_row, uncertainty)
        if place.mask is not None:
            writer.write(place.mask, first_row, mask)
        boxes.add(signal, mask)

    counts = reduce_plane(reader, calibration, write_block)
    label = plane_label(job.member.frame, plane)
    metrics = [metric("saturated_pixels", Estimate(float(counts.saturated), None), label)]
    try:
        level, noise = boxes.figures()
    except ValueError:
        return metrics
    metrics += [metric("sky_level_adu", level, label), metric("sky_noise_adu", noise, label)]
    if gain is not None:
        metrics += [
            metric("sky_level_electrons", quality.sky_level_electrons(level, gain), label),
            metric("sky_noise_electrons", quality.sky_noise_electrons(noise, gain), label),
        ]
    return metrics


def _steps(job: ReduceFrame, calibrations: list[PlaneCalibration]) -> list[Step]:
    """Return every step of the calibration as it will be carried out, with the reason for what is skipped."""
    first = calibrations[0]
    masters = {master.kind.value: master for master in job.member.masters if master.how != "noise_only"}
    skipped = dict(job.skipped)
    steps = [
        Step("overscan", "applied", "median of the overscan of each row")
        if first.overscan is not None
        else Step("overscan", "not needed", "no overscan section"),
        Step("trim", "applied", f"to {first.trim}") if first.trim is not None else Step("trim", "not needed", ""),
    ]
    for name in ("bias", "dark", "flat"):
        if name in masters:
            steps.append(Step(name, "applied", _master_words(masters[name])))
        elif name in skipped:
            steps.append(Step(name, "skipped", skipped[name]))
        else:
            steps.append(Step(name, "not needed", dict(job.not_needed).get(name, "")))
    if first.gain_e_per_adu is None:
        steps.append(Step("gain", "skipped", f"gain {job.gain_source}"))
    else:
        steps.append(Step("gain", "applied", f"{first.gain_e_per_adu:g} e-/adu; {job.gain_source}"))
    if first.has_uncertainty:
        steps.append(Step("uncertainty", "applied", "Poisson, read noise and the masters' own"))
    else:
        lacking = "gain unknown" if first.gain_e_per_adu is None else "read noise unknown: set camera.read_noise_e"
        steps.append(Step("uncertainty", "skipped", lacking))
    steps.append(Step("mask", "applied", "saturated, no data, and the masters' masks"))
    return steps


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
    return ", ".join(words)
