"""Measuring calibration frames: one look at every pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.errors import FrameRejected
from ingestd.jobs.comparing import compare_plane
from ingestd.jobs.counting import count_plane, overscan_of
from ingestd.jobs.inputs import opened, saturation_of
from ingestd.jobs.parts import amplifiers_of, mean_level, mean_noise
from ingestd.pixels import quality
from ingestd.pixels.blocks import RowReader
from ingestd.pixels.quality import Estimate, Tally
from ingestd.records import FrameRecord, Kind, MeasureFrame, Metric, Outcome, Plane
from ingestd.settings import Limits


def metric(name: str, estimate: Estimate, plane: int | None = None) -> Metric:
    """Return a measured figure under its declared name."""
    return Metric(name, estimate.value, estimate.error, plane)


def figures(
    name: str, estimates: Sequence[Estimate], whole: Estimate, names: Sequence[str], label: int | None
) -> list[Metric]:
    """Return a figure of a plane, and where it has several parts that of each under its name."""
    if len(estimates) == 1:
        return [metric(name, estimates[0], label)]
    own = [
        Metric(name, estimate.value, estimate.error, label, part)
        for part, estimate in zip(names, estimates, strict=True)
    ]
    return [metric(name, whole, label), *own]


def figures_if(
    name: str,
    estimates: Sequence[Estimate | None],
    whole: Callable[[Sequence[Estimate]], Estimate],
    names: Sequence[str],
    label: int | None,
) -> list[Metric]:
    """Return a figure of a plane and of its parts as `figures` if it could be measured on every part, else nothing."""
    known = [estimate for estimate in estimates if estimate is not None]
    return figures(name, known, whole(known), names, label) if known and len(known) == len(estimates) else []


def known_or_none(estimator: Callable[..., Estimate], *arguments: Any) -> Estimate | None:  # noqa: ANN401 - any of them
    """Return an estimate, or None where it cannot be measured: too few pixels, none that is finite, no light."""
    try:
        return estimator(*arguments)
    except ValueError:
        return None


def structure_figures(planes: Sequence[NDArray[Any]], names: Sequence[str], label: int | None) -> list[Metric]:
    """Return row and column structure of the parts of a bias, each given by its sampled rows."""
    found: list[Metric] = []
    for estimator in (quality.row_structure_adu, quality.column_structure_adu):
        estimates = [known_or_none(estimator, plane) for plane in planes]
        found += figures_if(estimator.__name__, estimates, mean_noise, names, label)
    return found


def plane_label(frame: FrameRecord, plane: Plane) -> int | None:
    """Return the HDU number of a plane where there are several, else None."""
    return plane.index if len(frame.planes) > 1 else None


def temperature_metrics(frame: FrameRecord) -> Iterable[Metric]:
    """Return how far the sensor was from its set point, if both are known."""
    if frame.ccd_temp_c is not None and frame.set_temp_c is not None:
        estimate = quality.sensor_temp_offset_celsius(frame.ccd_temp_c, frame.set_temp_c)
        yield metric("sensor_temp_offset_celsius", estimate)


def measure_frame(job: MeasureFrame, limits: Limits) -> Outcome:
    """Read every pixel of a calibration frame: level, noise, saturated pixels, and what its reference says to it."""
    frame = job.member.frame
    metrics = list(temperature_metrics(frame))
    with opened(job.member, limits) as source:
        for index, (plane, reader) in enumerate(zip(frame.planes, source.planes, strict=True)):
            metrics += _plane_metrics(job, plane, index, reader)
        source.check_unchanged()
    return Outcome(job.job_id, "done", metrics=tuple(metrics), doubts=tuple(source.doubts))


def _plane_metrics(job: MeasureFrame, plane: Plane, index: int, reader: RowReader) -> list[Metric]:
    """Return the figures of one plane, and where it has several amplifiers or colours those of each."""
    frame, label = job.member.frame, plane_label(job.member.frame, plane)
    is_flat = frame.kind is Kind.FLAT
    is_bias = frame.kind is Kind.BIAS
    counted = count_plane(reader, plane, frame.configuration.bayer if is_flat else "", keeps_rows=is_bias)
    name, estimator = {
        Kind.BIAS: ("bias_level_adu", quality.bias_level_adu),
        Kind.DARK: ("dark_level_adu", quality.dark_level_adu),
        Kind.FLAT: ("flat_level_adu", quality.flat_level_adu),
    }[frame.kind]
    saturation_adu = saturation_of(frame, reader)
    names = [it.part.name for it in counted.parts]
    try:
        levels = [estimator(it.centre if is_flat else it.all) for it in counted.parts]
        noises = [known_or_none(quality.frame_noise_adu, it.all) for it in counted.parts]
        saturated = [quality.saturated_pixels(it.all, saturation_adu) for it in counted.parts]
        return [
            *figures(name, levels, mean_level(levels), names, label),
            *figures_if("frame_noise_adu", noises, mean_noise, names, label),
            *figures(
                "saturated_pixels", saturated, quality.saturated_pixels(counted.all, saturation_adu), names, label
            ),
            *figures_if("floor_pixels", [known_or_none(quality.floor_pixels, counted.all)], mean_level, [""], label),
            metric("ceiling_pixels", quality.ceiling_pixels(counted.all), label),
            *(structure_figures([np.concatenate(it.rows) for it in counted.parts], names, label) if is_bias else ()),
            *_overscan_metrics(job, plane, reader, counted.all.values().converter_step(), label),
            *_comparison_metrics(job, index, reader, counted.all, label),
        ]
    except ValueError as error:
        raise FrameRejected("unmeasurable", f"HDU {plane.index}: {error}") from error


def _overscan_metrics(
    job: MeasureFrame, plane: Plane, reader: RowReader, step_adu: float, label: int | None
) -> list[Metric]:
    """Return level and read noise of the overscan of every amplifier, if each has one."""
    amplifiers = amplifiers_of(plane)
    found = [overscan_of(reader, part, job.arithmetic.overscan_skip_px) for part in amplifiers]
    if any(samples is None for samples in found):
        return []
    levels = [known_or_none(quality.overscan_level_adu, samples) for samples in found]
    names = [part.name for part in amplifiers]
    noises = [known_or_none(quality.read_noise_overscan_adu, samples, step_adu) for samples in found]
    return [
        *figures_if("overscan_level_adu", levels, mean_level, names, label),
        *figures_if("read_noise_overscan_adu", noises, mean_noise, names, label),
    ]


def _comparison_metrics(
    job: MeasureFrame, index: int, reader: RowReader, tally: Tally, label: int | None
) -> Iterable[Metric]:
    """Return what the comparison with the reference of the order gave, as far as it is known."""
    try:
        found = compare_plane(job, index, reader, tally.values().converter_step())
    except ValueError:  # no pixel is finite in both
        return
    if found is None:
        return
    for estimator in (
        quality.offset_from_master_adu,
        quality.structure_from_master_adu,
        quality.noise_from_master_adu,
        quality.outlier_pixels,
    ):
        estimate = known_or_none(estimator, found)
        if estimate is not None:
            yield metric(estimator.__name__, estimate, label)
