"""Measuring jobs: one look at every calibration frame, and every master dark against the bias that is valid for it."""

from __future__ import annotations

from collections.abc import Iterable

from ingestd.errors import FrameRejected
from ingestd.jobs.inputs import image_of, master_planes, opened, raw_blocks, saturation_of
from ingestd.pixels import quality
from ingestd.pixels.blocks import RowReader
from ingestd.pixels.quality import Estimate, Tally
from ingestd.records import FrameRecord, Kind, MeasureDark, MeasureFrame, Metric, Outcome, Plane
from ingestd.settings import Limits


def metric(name: str, estimate: Estimate, plane: int | None = None) -> Metric:
    """Return a measured figure under its declared name."""
    return Metric(name, estimate.value, estimate.error, plane)


def plane_label(frame: FrameRecord, plane: Plane) -> int | None:
    """Return the HDU number of a plane where there are several, else None."""
    return plane.index if len(frame.planes) > 1 else None


def temperature_metrics(frame: FrameRecord) -> Iterable[Metric]:
    """Return how far the sensor was from its set point, if both are known."""
    if frame.ccd_temp_c is not None and frame.set_temp_c is not None:
        estimate = quality.sensor_temp_offset_celsius(frame.ccd_temp_c, frame.set_temp_c)
        yield metric("sensor_temp_offset_celsius", estimate)


def measure_frame(job: MeasureFrame, limits: Limits) -> Outcome:
    """Read every pixel of a calibration frame once: its level, noise and saturated pixels."""
    frame = job.member.frame
    metrics = list(temperature_metrics(frame))
    with opened(job.member, limits) as source:
        for plane, reader in zip(frame.planes, source.planes, strict=True):
            metrics += _plane_metrics(frame, plane, reader)
        source.check_unchanged()
    return Outcome(job.job_id, "done", metrics=tuple(metrics), doubts=tuple(source.doubts))


def _plane_metrics(frame: FrameRecord, plane: Plane, reader: RowReader) -> list[Metric]:
    """Return the figures of one plane."""
    offset = float(reader.offset) if reader.is_integer else 0.0
    image, label = image_of(plane), plane_label(frame, plane)
    whole, centre = Tally(offset), Tally(offset)
    middle = quality.central_section(image.shape)
    row = 0
    for rows in raw_blocks(reader, image):
        whole.add(rows)
        inside = slice(max(middle.y0 - row, 0), max(middle.y1 - row, 0))
        if rows[inside].size:
            centre.add(rows[inside, middle.x0 : middle.x1])
        row += len(rows)
    try:
        level = {
            Kind.BIAS: ("bias_level_adu", quality.bias_level_adu, whole),
            Kind.DARK: ("dark_level_adu", quality.dark_level_adu, whole),
            Kind.FLAT: ("flat_level_adu", quality.flat_level_adu, centre),
        }[frame.kind]
        name, estimator, tally = level
        return [
            metric(name, estimator(tally), label),
            metric("frame_noise_adu", quality.frame_noise_adu(whole), label),
            metric("saturated_pixels", quality.saturated_pixels(whole, saturation_of(frame, reader)), label),
        ]
    except ValueError as error:
        raise FrameRejected("unmeasurable", f"HDU {plane.index}: {error}") from error


def measure_dark(job: MeasureDark) -> Outcome:
    """Measure dark rate and hot pixels of a master dark above a master bias."""
    exposure_s = job.dark.exposure_s
    darks = master_planes(job.dark.path, job.dark.sha256).planes
    biases = master_planes(job.bias.path, job.bias.sha256).planes
    metrics: list[Metric] = []
    for number, (dark, bias) in enumerate(zip(darks, biases, strict=True)):
        label = number if len(darks) > 1 else None
        metrics.append(
            metric("hot_pixels", quality.hot_pixels(dark.signal, bias.signal, job.arithmetic.hot_sigma), label)
        )
        if exposure_s is None or exposure_s <= 0:
            continue
        rate = quality.dark_rate_adu_per_second(dark.signal, bias.signal, exposure_s)
        mean = quality.dark_rate_mean_adu_per_second(dark.signal, bias.signal, exposure_s)
        metrics += [
            metric("dark_rate_adu_per_second", rate, label),
            metric("dark_rate_mean_adu_per_second", mean, label),
        ]
        gain = job.gain_e_per_adu or dark.cards.get("EGAIN")
        if isinstance(gain, int | float) and gain > 0:
            in_electrons = quality.dark_rate_electrons_per_second(rate, float(gain))
            metrics.append(metric("dark_rate_electrons_per_second", in_electrons, label))
    return Outcome(job.job_id, "done", metrics=tuple(metrics))
