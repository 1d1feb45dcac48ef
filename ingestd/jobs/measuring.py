"""Measuring jobs: one look at every calibration frame, and every master dark against the bias that is valid for it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.errors import FrameRejected
from ingestd.jobs.comparing import compare_plane
from ingestd.jobs.counting import count_plane, overscan_of
from ingestd.jobs.headers import AmplifierFacts, amplifier_facts
from ingestd.jobs.inputs import opened, planes_of, saturation_of
from ingestd.jobs.parts import amplifiers_of, mean_level, mean_noise
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, RowReader
from ingestd.pixels.quality import Estimate, Tally
from ingestd.records import FrameRecord, Kind, MeasureDark, MeasureFrame, Metric, Outcome, Plane
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
        estimate = estimator(*arguments)
    except ValueError:
        return None
    return estimate if math.isfinite(estimate.value) else None


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
        noises = [quality.frame_noise_adu(it.all) for it in counted.parts]
        saturated = [quality.saturated_pixels(it.all, saturation_adu) for it in counted.parts]
        return [
            *figures(name, levels, mean_level(levels), names, label),
            *figures("frame_noise_adu", noises, mean_noise(noises), names, label),
            *figures(
                "saturated_pixels", saturated, quality.saturated_pixels(counted.all, saturation_adu), names, label
            ),
            metric("floor_pixels", quality.floor_pixels(counted.all), label),
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
    levels = [quality.overscan_level_adu(samples) for samples in found if samples is not None]
    if len(levels) < len(amplifiers):
        return []
    names = [part.name for part in amplifiers]
    noises = [known_or_none(quality.read_noise_overscan_adu, samples, step_adu) for samples in found]
    return [
        *figures("overscan_level_adu", levels, mean_level(levels), names, label),
        *figures_if("read_noise_overscan_adu", noises, mean_noise, names, label),
    ]


def _comparison_metrics(
    job: MeasureFrame, index: int, reader: RowReader, tally: Tally, label: int | None
) -> Iterable[Metric]:
    """Return what the comparison with the reference of the order gave, as far as it is known."""
    found = compare_plane(job, index, reader, tally.values().converter_step())
    if found is None:
        return
    for estimator in (
        quality.offset_from_master_adu,
        quality.structure_from_master_adu,
        quality.noise_from_master_adu,
        quality.outlier_pixels,
    ):
        estimate = estimator(found)
        if math.isfinite(estimate.value):
            yield metric(estimator.__name__, estimate, label)


def measure_dark(job: MeasureDark) -> Outcome:
    """Measure dark rate and hot pixels of a master dark above a master bias."""
    darks, biases = planes_of(job.dark), planes_of(job.bias)
    metrics: list[Metric] = []
    for number, (dark, bias) in enumerate(zip(darks, biases, strict=True)):
        hdu = dark.cards.get("RAWHDU", number)
        label = int(hdu) if len(darks) > 1 and isinstance(hdu, int) else None
        facts = amplifier_facts(dark.cards, dark.signal.shape)
        for fact in facts if len(facts) > 1 else ():
            own = _dark_metrics(job, fact.part.of_image(0, dark.signal), fact.part.of_image(0, bias.signal), fact)
            metrics += [replace(figure, plane=label, channel=fact.part.name) for figure in own]
        whole = AmplifierFacts(facts[0].part, _mean_gain(facts))
        metrics += [replace(figure, plane=label) for figure in _dark_metrics(job, dark.signal, bias.signal, whole)]
    return Outcome(job.job_id, "done", metrics=tuple(metrics))


def _dark_metrics(job: MeasureDark, dark: Float32, bias: Float32, fact: AmplifierFacts) -> list[Metric]:
    """Return the figures of a dark, or of a part of it, above its bias."""
    exposure_s, gain = job.dark.exposure_s, job.gain_e_per_adu or fact.gain_e_per_adu
    signal = quality.dark_signal(dark, bias)
    limit = job.arithmetic.hot_sigma, job.arithmetic.hot_least_adu(exposure_s, gain)
    found = [metric(each.__name__, each(signal, 0.0, *limit)) for each in (quality.hot_pixels, quality.warm_pixels)]
    if exposure_s is None or exposure_s <= 0:
        return found
    rate = quality.dark_rate_adu_per_second(signal, 0.0, exposure_s)
    found.append(metric("dark_rate_adu_per_second", rate))
    others = (
        quality.dark_rate_mean_adu_per_second,
        quality.dark_rate_p95_adu_per_second,
        quality.dark_rate_p99_adu_per_second,
    )
    found += [metric(each.__name__, each(signal, 0.0, exposure_s)) for each in others]
    if gain is not None and gain > 0:
        in_electrons = quality.dark_rate_electrons_per_second(rate, gain)
        found.append(metric("dark_rate_electrons_per_second", in_electrons))
    return found


def _mean_gain(facts: Sequence[AmplifierFacts]) -> float | None:
    """Return the mean gain of amplifiers, or None if one of them is unknown."""
    gains = [fact.gain_e_per_adu for fact in facts if fact.gain_e_per_adu is not None]
    return statistics.fmean(gains) if len(gains) == len(facts) else None
