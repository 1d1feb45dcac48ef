"""Building a master: members -> one immutable file of signal, uncertainty and mask, with its figures."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingestd.doors import fitsfile
from ingestd.errors import FrameRejected
from ingestd.jobs import headers
from ingestd.jobs.inputs import calibration_of, image_of, master_planes, opened, raw_rows, saturation_of
from ingestd.jobs.measuring import metric
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, Mask, RowReader
from ingestd.pixels.combine import Combined, combine
from ingestd.pixels.quality import Estimate
from ingestd.pixels.steps import CalibratedReader, flat_level, normalise_flat
from ingestd.records import BuildMaster, FrameInput, Kind, MaskBit, MasterInput, Metric, Outcome, Plane
from ingestd.settings import Limits

_Source = tuple[FrameInput, fitsfile.FrameReader]


@dataclass(frozen=True, slots=True)
class _BuiltPlane:
    """One plane of a master, float32, float32, uint8, and what was measured on it."""

    signal: Float32
    error: Float32
    mask: Mask
    metrics: tuple[Metric, ...]
    read_noise_adu: float | None


def build_master(job: BuildMaster, limits: Limits) -> Outcome:
    """Combine the members of an order, plane by plane, and write the master.

    Members are combined in the order of their hashes; what goes by time (pairs of frames) in the order of observation.
    """
    with ExitStack() as stack:
        sources = [(member, stack.enter_context(opened(member, limits))) for member in job.members]
        first = job.members[0].frame
        shapes = {tuple(image_of(plane).shape for plane in member.frame.planes) for member in job.members}
        if len(shapes) > 1:
            raise FrameRejected("shape", f"members of one master differ in shape: {sorted(shapes)}", first.frame_id)
        images = [fitsfile.ImageSpec(shape, _unit(job)) for shape in shapes.pop()]
        built = [_build_plane(job, sources, index, len(images)) for index in range(len(images))]
        for _, source in sources:
            source.check_unchanged()
    images = [
        fitsfile.ImageSpec(image.shape, image.unit, headers.plane_cards(plane.read_noise_adu, job.gain_e_per_adu))
        for image, plane in zip(images, built, strict=True)
    ]
    hdus, places = fitsfile.lay_out(headers.master_cards(job), images)
    with fitsfile.ProductWriter(Path(job.product), hdus) as writer:
        for place, plane in zip(places, built, strict=True):
            for number, array in (
                (place.signal, plane.signal),
                (place.uncertainty, plane.error),
                (place.mask, plane.mask),
            ):
                if number is not None:
                    writer.write(number, 0, array)
        sha256, size = writer.commit()
    metrics = tuple(figure for plane in built for figure in plane.metrics)
    return Outcome(job.job_id, "done", sha256=sha256, size_bytes=size, metrics=metrics)


def _unit(job: BuildMaster) -> str:
    """Return the unit of a master: a flat is a ratio."""
    return "" if job.group.kind == Kind.FLAT else "adu"


def _build_plane(job: BuildMaster, sources: list[_Source], index: int, count: int) -> _BuiltPlane:
    """Return one plane of the master."""
    label = job.members[0].frame.planes[index].index if count > 1 else None
    match job.group.kind:
        case Kind.FLAT:
            return _build_flat(job, sources, index, label)
        case Kind.DARK:
            return _build_dark(job, sources, index, label)
        case _:
            return _build_bias(job, sources, index, label)


def _combined(job: BuildMaster, readers: list[RowReader], scales: list[float] | None = None) -> Combined:
    """Combine with the clipping of the settings."""
    return combine(readers, sigma=job.arithmetic.sigma, iterations=job.arithmetic.iterations, scales=scales)


def _raw_readers(job: BuildMaster, sources: list[_Source], index: int) -> list[RowReader]:
    """Return the raw planes, overscan-corrected and trimmed where the camera has overscan."""
    readers: list[RowReader] = []
    for member, source in sources:
        plane, reader = member.frame.planes[index], source.planes[index]
        calibration = calibration_of(plane, index, (), job.arithmetic)
        is_plain = calibration.overscan is None and calibration.trim is None
        readers.append(reader if is_plain else CalibratedReader(reader, calibration))
    return readers


def _build_bias(job: BuildMaster, sources: list[_Source], index: int, label: int | None) -> _BuiltPlane:
    """Return a plane of a master bias, with the read noise of its members."""
    master = _combined(job, _raw_readers(job, sources, index))
    metrics = [metric("bias_level_adu", quality.bias_level_adu(master.mean), label)]
    read_noise = None
    if len(sources) > 1:
        samples = _samples(sources, index)
        read_noise = quality.read_noise_adu(samples)
        metrics += [
            metric("read_noise_adu", read_noise, label),
            metric("read_noise_stack_adu", quality.read_noise_stack_adu(samples), label),
        ]
        if job.gain_e_per_adu is not None:
            electrons = quality.read_noise_electrons(read_noise, job.gain_e_per_adu)
            metrics.append(metric("read_noise_electrons", electrons, label))
    value = None if read_noise is None else read_noise.value
    return _BuiltPlane(master.mean, master.error, master.mask, tuple(metrics), value)


def _build_dark(job: BuildMaster, sources: list[_Source], index: int, label: int | None) -> _BuiltPlane:
    """Return a plane of a master dark, which keeps its bias, with its hot pixels marked."""
    master = _combined(job, _raw_readers(job, sources, index))
    hot = quality.hot_pixel_map(master.mean, 0.0, job.arithmetic.hot_sigma)
    mask = master.mask | hot.astype(np.uint8) * np.uint8(MaskBit.HOT)
    metrics = (metric("dark_level_adu", quality.dark_level_adu(master.mean), label),)
    return _BuiltPlane(master.mean, master.error, mask, metrics, None)


def _build_flat(job: BuildMaster, sources: list[_Source], index: int, label: int | None) -> _BuiltPlane:
    """Return a plane of a master flat: frames calibrated, scaled to their own level, combined, divided by the level."""
    readers: list[RowReader] = []
    levels = []
    for member, source in sources:
        calibration = calibration_of(member.frame.planes[index], index, member.masters, job.arithmetic)
        reader = CalibratedReader(source.planes[index], calibration)
        level = flat_level(reader)
        if not (np.isfinite(level) and level > 0):
            detail = f"the level above bias and dark is {level:.1f} ADU: nothing to normalise with"
            raise FrameRejected("flat_without_light", detail, member.frame.frame_id)
        readers.append(reader)
        levels.append(level)
    master = _combined(job, readers, [1.0 / level for level in levels])
    flat = normalise_flat(master.mean, master.error, job.arithmetic.flat_floor)
    metrics = [metric("flat_level_adu", Estimate(float(np.median(levels)), None), label)]
    gain = _gain(job, sources, index)
    if gain is not None:
        metrics.append(metric("gain_electrons_per_adu", gain, label))
    return _BuiltPlane(flat.flat, flat.error, flat.mask | master.mask, tuple(metrics), None)


def _gain(job: BuildMaster, sources: list[_Source], index: int) -> Estimate | None:
    """Return the gain from pairs of flats above the bias, or None where it cannot be measured.

    Only the bias is subtracted: dark current is charge like any other and its noise counts with its level.
    """
    ordered = sorted(sources, key=_by_time)
    bias = next((master for master in ordered[0][0].masters if master.kind == Kind.BIAS), None)
    if len(ordered) < 2 or bias is None:  # noqa: PLR2004 - a difference needs two
        return None
    noise = master_planes(bias.path, bias.sha256).planes[index].cards.get("RDNOISEA")
    if not isinstance(noise, int | float):
        return None
    plane = ordered[0][0].frame.planes[index]
    raw = ordered[0][1].planes[index]
    bands = quality.sampled_rows(image_of(plane).shape)
    step = quality.histogram(raw_rows(raw, image_of(plane), bands)).converter_step()
    flats = [_calibrated_rows(member, source, index, (bias,), job, bands) for member, source in ordered]
    pedestal = float(np.median(master_planes(bias.path, bias.sha256).planes[index].signal))
    saturation_adu = saturation_of(ordered[0][0].frame, raw) - pedestal
    try:
        return quality.gain_electrons_per_adu(flats, 0.0, float(noise), saturation_adu=saturation_adu, step_adu=step)
    except ValueError:
        return None


def _calibrated_rows(
    member: FrameInput,
    source: fitsfile.FrameReader,
    index: int,
    masters: tuple[MasterInput, ...],
    job: BuildMaster,
    bands: tuple[slice, ...],
) -> Float32:
    """Return bands of rows of one member after the given masters."""
    reader = CalibratedReader(
        source.planes[index], calibration_of(member.frame.planes[index], index, masters, job.arithmetic)
    )
    rows = np.empty((sum(band.stop - band.start for band in bands), reader.shape[1]), np.float32)
    filled = 0
    for band in bands:
        height = band.stop - band.start
        reader.read(band.start, rows[filled : filled + height])
        filled += height
    return rows


def _samples(sources: list[_Source], index: int) -> list[Float32]:
    """Return the same raw rows of every member, in the order of time."""
    plane: Plane = sources[0][0].frame.planes[index]
    bands = quality.sampled_rows(image_of(plane).shape)
    return [
        raw_rows(source.planes[index], image_of(member.frame.planes[index]), bands)
        for member, source in sorted(sources, key=_by_time)
    ]


def _by_time(item: _Source) -> tuple[str, str]:
    """Order members by observation time, then hash."""
    frame = item[0].frame
    return (frame.obs_start.isoformat() if frame.obs_start else "", frame.frame_id)
