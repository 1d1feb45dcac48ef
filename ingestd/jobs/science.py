"""Reducing one science frame: one pass over its rows, streamed into an immutable product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ingestd.doors import fitsfile
from ingestd.jobs import headers, threads
from ingestd.jobs.calibrating import calibrations_of, steps_of
from ingestd.jobs.cosmics import Hits, find_cosmics
from ingestd.jobs.counting import sampled_overscan
from ingestd.jobs.inputs import opened
from ingestd.jobs.measuring import figures, figures_if, known_or_none, metric, plane_label, temperature_metrics
from ingestd.jobs.parts import Part, amplifiers_of, is_mosaic, mean_level, mean_noise, parts_of
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, Mask, RowReader
from ingestd.pixels.quality import Estimate, SkyBoxes, StarField
from ingestd.pixels.steps import PlaneCalibration, ReducedPlane, reduce_plane
from ingestd.records import Metric, Outcome, Plane, ReduceFrame
from ingestd.settings import Limits


def reduce_frame(job: ReduceFrame, limits: Limits) -> Outcome:
    """Reduce the frame of an order with the masters of the order, and write the product."""
    frame = job.member.frame
    metrics: list[Metric] = list(temperature_metrics(frame))
    with opened(job.member, limits) as source:
        calibrations = calibrations_of(job, source.planes)
        rays = find_cosmics(job, source.planes, calibrations)
        metrics += rays.metrics
        steps = [*steps_of(job, calibrations, source.planes), *rays.steps]
        cards = headers.product_cards(source.cards(), job, steps, frame.planes[0], rays.number)
        hdus, places = fitsfile.lay_out(cards, _images(job, source, calibrations))
        with fitsfile.ProductWriter(Path(job.product), hdus) as writer:
            figures_of = [
                _reduce_plane(job, plane, reader, calibration, writer, place, hits)
                for plane, reader, calibration, place, hits in zip(
                    frame.planes, source.planes, calibrations, places, rays.hits, strict=True
                )
            ]
            source.check_unchanged()
            with threads.pool() as pool:
                committed = pool.submit(writer.commit)  # waits for the disk, while the figures need the processor
                metrics += [it for plane_figures in figures_of for it in plane_figures()]
                sha256, size = committed.result()
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
        unit = "electron" if calibration.has_gain else "adu"
        cards = (
            fitsfile.copied_cards(source.cards(plane.index), headers.OURS, plane.trim, plane.gaps)
            if plane.index
            else []
        )
        if len(calibrations) > 1 or plane.channels:
            cards += headers.gain_cards(plane, calibration)
        specs.append(fitsfile.ImageSpec(plane.image_shape, unit, cards, calibration.has_uncertainty))
    return specs


def _reduce_plane(
    job: ReduceFrame,
    plane: Plane,
    reader: RowReader,
    calibration: PlaneCalibration,
    writer: fitsfile.ProductWriter,
    place: fitsfile.ImageHdus,
    hits: Hits | None,
) -> Callable[[], list[Metric]]:
    """Reduce one plane into the product and return what gives its figures."""
    parts = parts_of(plane, job.member.frame.configuration.bayer)
    rows, columns = plane.image_shape
    boxes = [SkyBoxes(_conversion(calibration, part) or 1.0, rows * columns // len(parts)) for part in parts]
    field = StarField(plane.image_shape, is_mosaic=is_mosaic(job.member.frame.configuration.bayer))

    def write_block(first_row: int, signal: Float32, uncertainty: Float32 | None, mask: Mask) -> None:
        """Mark, write and measure a block of rows."""
        if hits is not None:
            hits.mark(first_row, signal, uncertainty, mask)
        writer.write(place.signal, first_row, signal)
        if uncertainty is not None and place.uncertainty is not None:
            writer.write(place.uncertainty, first_row, uncertainty)
        if place.mask is not None:
            writer.write(place.mask, first_row, mask)
        for part, own in zip(parts, boxes, strict=True):
            sigma = None if uncertainty is None else part.of_image(first_row, uncertainty)
            own.add(part.of_image(first_row, signal), part.of_image(first_row, mask), first_row, sigma)
        field.add(first_row, signal, mask)

    with threads.pool() as pool:
        counts = reduce_plane(reader, calibration, write_block, parts=threads.THREADS, each=pool.map)
    overscans = _overscan_metrics(plane, reader, calibration, plane_label(job.member.frame, plane))
    return partial(_plane_metrics, job, plane, overscans, calibration, counts, parts, boxes, field)


def _plane_metrics(
    job: ReduceFrame,
    plane: Plane,
    overscans: list[Metric],
    calibration: PlaneCalibration,
    counts: ReducedPlane,
    parts: Sequence[Part],
    boxes: Sequence[SkyBoxes],
    field: StarField,
) -> list[Metric]:
    """Return the figures of a plane that was reduced."""
    label = plane_label(job.member.frame, plane)
    gains = [_conversion(calibration, part) for part in parts]
    metrics = [
        metric("saturated_pixels", Estimate(float(counts.saturated), None), label),
        *overscans,
    ]
    for estimator in (quality.detected_sources, quality.fwhm_px, quality.ellipticity_ratio):
        estimate = known_or_none(estimator, field)
        if estimate is not None:
            metrics.append(metric(estimator.__name__, estimate, label))
    return metrics + _sky_metrics(parts, boxes, gains, label)


def _sky_metrics(
    parts: Sequence[Part], boxes: Sequence[SkyBoxes], gains: Sequence[float | None], label: int | None
) -> list[Metric]:
    """Return level, noise and flatness of the sky, none where no box shows it."""
    try:
        sky = [own.figures() for own in boxes]
    except ValueError:
        return []
    names = [part.name for part in parts]
    levels, noises = [own.level for own in sky], [own.noise for own in sky]
    metrics = figures("sky_level_adu", levels, mean_level(levels), names, label)
    metrics += figures("sky_noise_adu", noises, mean_noise(noises), names, label)
    for estimator in (
        quality.sky_noise_to_model_ratio,
        quality.sky_row_structure_adu,
        quality.sky_column_structure_adu,
    ):
        estimates = [known_or_none(estimator, own) for own in boxes]
        metrics += figures_if(estimator.__name__, estimates, mean_noise, names, label)
    known = [gain for gain in gains if gain is not None]
    if len(known) == len(parts):
        levels = [quality.sky_level_electrons(level, gain) for level, gain in zip(levels, known, strict=True)]
        noises = [quality.sky_noise_electrons(noise, gain) for noise, gain in zip(noises, known, strict=True)]
        metrics += figures("sky_level_electrons", levels, mean_level(levels), names, label)
        metrics += figures("sky_noise_electrons", noises, mean_noise(noises), names, label)
    return metrics


def _conversion(calibration: PlaneCalibration, part: Part) -> float | None:
    """Return what a part of the result was multiplied by, or None for a result in ADU."""
    if not calibration.has_gain:
        return None
    it = calibration.amplifiers[part.amplifier] if calibration.amplifiers else calibration
    return None if it.gain_e_per_adu is None else it.gain_e_per_adu * it.gain_scale


def _overscan_metrics(
    plane: Plane, reader: RowReader, calibration: PlaneCalibration, label: int | None
) -> list[Metric]:
    """Return the level of the overscan of every amplifier, if each has one."""
    amplifiers = amplifiers_of(plane)
    found = [sampled_overscan(reader, part, calibration.overscan_skip_px) for part in amplifiers]
    levels = [None if samples is None else known_or_none(quality.overscan_level_adu, samples) for samples in found]
    return figures_if("overscan_level_adu", levels, mean_level, [part.name for part in amplifiers], label)
