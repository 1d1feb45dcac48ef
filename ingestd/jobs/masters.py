"""Building a master: members -> one immutable file of signal, uncertainty and mask, with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.doors import fitsfile
from ingestd.errors import FrameRejected
from ingestd.jobs import headers
from ingestd.jobs.flats import build_flats, relative_gains
from ingestd.jobs.inputs import calibration_of
from ingestd.jobs.measuring import figures, figures_if, known_or_none, structure_figures
from ingestd.jobs.members import (
    BuiltPlane,
    Source,
    coarse_deviation,
    combined,
    label_of,
    moderate,
    nominal_gain,
    open_members,
    raw_samples,
)
from ingestd.jobs.parts import Part, amplifiers_of, disagreement, mean_level, mean_noise
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, RowReader
from ingestd.pixels.combine import Combined
from ingestd.pixels.quality import Estimate
from ingestd.pixels.steps import CalibratedReader
from ingestd.records import BuildMaster, Kind, MaskBit, Metric, Outcome
from ingestd.settings import Limits

_NO_RATE = "masters.hot_rate_e is not used: gain or exposure is unknown; set camera.gain_e_per_adu"
_LEVEL_WORDS = "the biases lie {:+.1f} ADU from their overscan"


def build_master(job: BuildMaster, limits: Limits) -> Outcome:
    """Combine the members of an order, plane by plane, and write the master.

    Members are combined in the order of their hashes; what goes by time (pairs of frames) in the order of observation.
    """
    with ExitStack() as stack:
        sources = open_members(job, limits, stack)
        first = job.members[0].frame
        shapes = {tuple(plane.image_shape for plane in member.frame.planes) for member in job.members}
        if len(shapes) > 1:
            raise FrameRejected("shape", f"members of one master differ in shape: {sorted(shapes)}", first.frame_id)
        built = _build_planes(job, sources)
        for _, source in sources:
            source.check_unchanged()
    unit = "" if job.group.kind == Kind.FLAT else "adu"
    images = [fitsfile.ImageSpec(shape, unit, plane.cards) for shape, plane in zip(shapes.pop(), built, strict=True)]
    norm = headers.flat_cards(is_in_electrons=relative_gains(job) is not None) if _is_evened(job) else []
    hdus, places = fitsfile.lay_out([*headers.master_cards(job), *headers.light_cards(job), *norm], images)
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
    doubts = tuple(doubt for plane in built for doubt in plane.doubts)
    return Outcome(job.job_id, "done", sha256=sha256, size_bytes=size, metrics=metrics, doubts=doubts)


def _is_evened(job: BuildMaster) -> bool:
    """Return whether the master is a flat that evens several amplifiers out."""
    planes = job.members[0].frame.planes
    return job.group.kind == Kind.FLAT and (len(planes) > 1 or len(planes[0].channels) > 1)


def _build_planes(job: BuildMaster, sources: list[Source]) -> list[BuiltPlane]:
    """Return the planes of the master."""
    if job.group.kind == Kind.FLAT:
        return build_flats(job, sources)
    build = _build_dark if job.group.kind == Kind.DARK else _build_bias
    return [build(job, sources, index) for index in range(len(job.members[0].frame.planes))]


def _raw_readers(job: BuildMaster, sources: list[Source], index: int) -> list[RowReader]:
    """Return the raw planes, overscan-corrected and trimmed where the camera has overscan."""
    readers: list[RowReader] = []
    for member, source in sources:
        plane, reader = member.frame.planes[index], source.planes[index]
        calibration = calibration_of(plane, index, (), job.arithmetic)
        has_overscan = any(part.overscan is not None for part in calibration.amplifiers or (calibration,))
        is_plain = not has_overscan and plane.image_shape == plane.shape
        readers.append(reader if is_plain else CalibratedReader(reader, calibration))
    return readers


def _build_bias(job: BuildMaster, sources: list[Source], index: int) -> BuiltPlane:
    """Return a plane of a master bias, with the read noise of its members."""
    master = combined(job, _raw_readers(job, sources, index), least_deviation=coarse_deviation(sources, index))
    plane, label = job.members[0].frame.planes[index], label_of(job, index)
    parts = amplifiers_of(plane)
    names = [part.name for part in parts]
    levels = [known_or_none(quality.bias_level_adu, part.of_image(0, master.mean)) for part in parts]
    metrics = figures_if("bias_level_adu", levels, mean_level, names, label)
    metrics += structure_figures([_sampled(part.of_image(0, master.mean)) for part in parts], names, label)
    noises: list[Estimate | None] = [None] * len(parts)
    steps: list[float | None] = [None] * len(parts)
    if len(sources) > 1:
        samples = [raw_samples(sources, index, part) for part in parts]
        noises = [known_or_none(quality.read_noise_adu, frames) for frames in samples]
        metrics += figures_if("read_noise_adu", noises, mean_noise, names, label)
        metrics += _stack_figures(samples, names, label)
        metrics += _noise_in_electrons(job, index, parts, noises, label)
        own_steps = [quality.histogram(frames[0]).converter_step() for frames in samples]
        metrics += _mark_noisy(job, master, parts, own_steps, label)
        steps = list(own_steps)
    facts = [
        headers.AmplifierFacts(
            part,
            nominal_gain(job, index, part),
            None if noise is None else noise.value,
            step,
            level.value if plane.has_overscan and level is not None else None,
        )
        for part, noise, step, level in zip(parts, noises, steps, levels, strict=True)
    ]
    doubts = [
        words
        for fact in facts
        if job.arithmetic.overscan
        and (words := disagreement(_LEVEL_WORDS, fact.level_adu, fact.read_noise_adu, fact.part, label))
    ]
    cards = headers.plane_cards(facts, label)
    moderate(master, parts, len(sources))
    return BuiltPlane(master.mean, master.error, master.mask, tuple(metrics), cards, tuple(doubts))


def _mark_noisy(
    job: BuildMaster, master: Combined, parts: Sequence[Part], steps_adu: Sequence[float], label: int | None
) -> list[Metric]:
    """Mark the pixels of a master bias whose members scatter too much; return how many there are."""
    scatter = master.error * np.sqrt(master.count, dtype=np.float32)
    found = []
    for part, step_adu in zip(parts, steps_adu, strict=True):
        own = part.of_image(0, scatter)
        noisy = quality.noisy_pixel_map(own, len(job.members), job.arithmetic.noisy_sigma, step_adu)
        part.of_image(0, master.mask)[noisy] |= np.uint8(MaskBit.BAD)
        found.append(quality.noisy_pixels(noisy))
    whole = Estimate(sum(it.value for it in found), None)
    return figures("noisy_pixels", found, whole, [part.name for part in parts], label)


def _stack_figures(samples: Sequence[Sequence[NDArray[Any]]], names: Sequence[str], label: int | None) -> list[Metric]:
    """Return the read noise from the scatter of each pixel, as it should be taken and as it is often quoted."""
    found: list[Metric] = []
    try:
        stacks = [quality.stack_scatter(frames) for frames in samples]
    except ValueError:  # a frame of which no sampled pixel is finite
        return found
    for estimator in (
        quality.read_noise_stack_adu,
        quality.read_noise_stack_mean_adu,
        quality.read_noise_stack_median_adu,
    ):
        noises = [known_or_none(estimator, stack) for stack in stacks]
        found += figures_if(estimator.__name__, noises, mean_noise, names, label)
    return found


def _sampled(plane: Float32) -> Float32:
    """Return the rows of an image that are enough for its structure."""
    return np.concatenate([plane[band] for band in quality.sampled_rows((plane.shape[0], plane.shape[1]))])


def _noise_in_electrons(
    job: BuildMaster, index: int, parts: tuple[Part, ...], noises: Sequence[Estimate | None], label: int | None
) -> list[Metric]:
    """Return the read noises in electrons, if every gain is known."""
    gains = [nominal_gain(job, index, part) for part in parts]
    found = [
        None if noise is None or gain is None else known_or_none(quality.read_noise_electrons, noise, gain)
        for noise, gain in zip(noises, gains, strict=True)
    ]
    return figures_if("read_noise_electrons", found, mean_noise, [part.name for part in parts], label)


def _build_dark(job: BuildMaster, sources: list[Source], index: int) -> BuiltPlane:
    """Return a plane of a master dark, which keeps its bias, with its hot pixels marked."""
    master = combined(job, _raw_readers(job, sources, index), least_deviation=coarse_deviation(sources, index))
    plane, label = job.members[0].frame.planes[index], label_of(job, index)
    parts = amplifiers_of(plane)
    moderate(master, parts, len(sources))
    gains = [nominal_gain(job, index, part) for part in parts]
    mask = master.mask
    for part, gain in zip(parts, gains, strict=True):
        least_adu = job.arithmetic.hot_least_adu(job.exposure_s, gain)
        own = part.of_image(0, master.mean)
        if np.isfinite(own).any():
            hot = quality.hot_pixel_map(own, 0.0, job.arithmetic.hot_sigma, least_adu)
            part.of_image(0, mask)[hot] |= np.uint8(MaskBit.HOT)
    doubts = (_NO_RATE,) if job.arithmetic.hot_rate_e is not None and None in (*gains, job.exposure_s) else ()
    levels = [known_or_none(quality.dark_level_adu, part.of_image(0, master.mean)) for part in parts]
    names = [part.name for part in parts]
    metrics = figures_if("dark_level_adu", levels, mean_level, names, label)
    if len(sources) > 1:
        noises = [known_or_none(quality.dark_noise_adu, raw_samples(sources, index, part)) for part in parts]
        metrics += figures_if("dark_noise_adu", noises, mean_noise, names, label)
    facts = [headers.AmplifierFacts(part, gain) for part, gain in zip(parts, gains, strict=True)]
    return BuiltPlane(master.mean, master.error, mask, tuple(metrics), headers.plane_cards(facts, label), doubts)
