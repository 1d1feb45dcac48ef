"""Building a master flat: frames without their pedestal, scaled to the level 1, combined, and made a relative response.

Amplifiers differ in gain, colours of a Bayer mosaic in the colour of the lamp. Before combining, every part of a member
is scaled to its own level, so that clipping sees like beside like. After it

- each of the four positions of a Bayer mosaic keeps the level 1. A science frame is divided by the flat without being
  debayered: the lamp's colour must not become that of the sky, and equal treatment of all frames keeps colours
  comparable between them;
- amplifiers get back their level relative to the mean of all of them, over the planes too, so that a step between them
  that is the sensor's is corrected like any other. Their levels are compared in electrons where settings or header tell
  every gain (FLATNORM = 'electron'); where not, in ADU ('adu'): the flat then evens the gains out as well, and the
  conversion of a science frame to electrons takes that into account.

Flats of dome and twilight to be combined are made into two masters so; the result is that of the dome times the smooth
part of twilight over dome, with the level of that of twilight. The noise of the ten numbers that make up the smooth
part is neglected beside that of a pixel. Figures are those of the dome: twilight has stars.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ingestd.errors import FrameRejected
from ingestd.jobs import headers
from ingestd.jobs.inputs import calibration_of
from ingestd.jobs.measuring import figures, figures_if, known_or_none
from ingestd.jobs.members import BuiltPlane, Source, combined, label_of, moderate, nominal_gain
from ingestd.jobs.parts import Part, amplifiers_of, mean_noise, parts_of
from ingestd.jobs.transfer import transfer_metrics
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, RowReader
from ingestd.pixels.quality import Estimate
from ingestd.pixels.steps import (
    CalibratedReader,
    EvenedReader,
    central_level,
    flat_level,
    illumination,
    normalise_flat,
)
from ingestd.records import Arithmetic, BuildMaster, MaskBit, Metric
from ingestd.rules import groups

_Levels = dict[tuple[int, int], list[float]]
"""By plane and part: the level of each member above its pedestal, ADU."""


def build_flats(job: BuildMaster, sources: list[Source]) -> list[BuiltPlane]:
    """Return the planes of a master flat, of one light or of both."""
    lights = [own for light in ("dome", "twilight") if (own := _of_light(sources, light))]
    if job.flats != "combined":
        return _build_light(job, sources)
    if len(lights) == 1:
        present, missing = sorted(("dome", "twilight"), key=lambda light: not _of_light(sources, light))
        doubt = f"no {missing} flats within the window: made of {present} flats alone"
        first, *others = _build_light(job, sources)
        return [replace(first, doubts=(*first.doubts, doubt)), *others]
    bayer = job.members[0].frame.configuration.bayer
    return [
        _joined(dome, twilight, parts_of(plane, bayer), job.arithmetic)
        for plane, dome, twilight in zip(
            job.members[0].frame.planes, *(_build_light(job, own) for own in lights), strict=True
        )
    ]


def _of_light(sources: list[Source], light: str) -> list[Source]:
    """Return the members of one light."""
    return [source for source in sources if groups.light_of(source[0].frame) == light]


def _joined(dome: BuiltPlane, twilight: BuiltPlane, parts: Sequence[Part], arithmetic: Arithmetic) -> BuiltPlane:
    """Return a plane of the dome with the smooth light of twilight; each colour of a mosaic has its own."""
    dead = (dome.mask & np.uint8(MaskBit.BAD | MaskBit.NO_DATA)) != 0
    good = (dome.mask | twilight.mask) == 0
    flat, error = dome.signal.copy(), dome.error.copy()
    everything = (slice(None), slice(None))
    regions = [(part.cells, [part]) for part in parts] if parts[0].phase else [(everything, list(parts))]
    for cells, own in regions:
        smooth = illumination(dome.signal[cells], twilight.signal[cells], good[cells])
        flat[cells] *= smooth
        error[cells] *= smooth
        wanted, found = (
            statistics.fmean(central_level(image[part.cells], arithmetic.flat_normalise) for part in own)
            for image in (twilight.signal, flat)
        )
        flat[cells] *= np.float32(wanted / found)
        error[cells] *= np.float32(wanted / found)
    flat[dead] = 1
    return replace(dome, signal=flat, error=error)


def _build_light(job: BuildMaster, sources: list[Source]) -> list[BuiltPlane]:
    """Return the planes of a master flat of these members."""
    planes = job.members[0].frame.planes
    parts = [parts_of(plane, job.members[0].frame.configuration.bayer) for plane in planes]
    readers = [_calibrated(job, sources, index) for index in range(len(planes))]
    levels = {
        (index, number): _levels_of(own, part, sources, job.arithmetic.flat_normalise)
        for index, own in enumerate(readers)
        for number, part in enumerate(parts[index])
    }
    weights = _weights(job, parts, levels)
    return [
        _build_plane(job, sources, index, readers[index], parts[index], levels, weights) for index in range(len(planes))
    ]


def relative_gains(job: BuildMaster) -> dict[tuple[int, int], float] | None:
    """Return the gain of each amplifier by plane and position, or None if one of them is unknown."""
    found = {}
    for index, plane in enumerate(job.members[0].frame.planes):
        for part in amplifiers_of(plane):
            gain = nominal_gain(job, index, part)
            if gain is None:
                return None
            found[index, part.amplifier] = gain
    return found


def _calibrated(job: BuildMaster, sources: list[Source], index: int) -> list[CalibratedReader]:
    """Return one plane of every member after its masters."""
    return [
        CalibratedReader(
            source.planes[index],
            calibration_of(member.frame.planes[index], index, member.masters, job.arithmetic, job.linearity),
        )
        for member, source in sources
    ]


def _levels_of(readers: list[CalibratedReader], part: Part, sources: list[Source], normalise: str) -> list[float]:
    """Return the level of a part in every member."""
    levels = []
    for reader, (member, _) in zip(readers, sources, strict=True):
        level = flat_level(reader, part.cells, normalise)
        if not (np.isfinite(level) and level > 0):
            detail = f"the level above bias and dark is {level:.1f} ADU: nothing to normalise with"
            raise FrameRejected("flat_without_light", detail, member.frame.frame_id)
        levels.append(level)
    return levels


def _weights(job: BuildMaster, parts: Sequence[Sequence[Part]], levels: _Levels) -> dict[tuple[int, int], float]:
    """Return the level of each part over the mean of all amplifiers in the same colour, median over the members."""
    gains = relative_gains(job) or {}
    colours: dict[tuple[int, int] | None, list[tuple[int, int]]] = {}
    for index, own in enumerate(parts):
        for number, part in enumerate(own):
            colour = None if part.phase is None else _colour_place(part)
            colours.setdefault(colour, []).append((index, number))
    found = {}
    for keys in colours.values():
        signal = np.array([np.array(levels[key]) * gains.get(_amplifier(parts, key), 1.0) for key in keys])
        for key, ratio in zip(keys, signal / signal.mean(axis=0), strict=True):
            found[key] = float(np.median(ratio))
    return found


def _colour_place(part: Part) -> tuple[int, int]:
    """Return row and column of a colour in the raw plane, modulo 2."""
    row, column = part.phase or (0, 0)
    return (part.section.y0 + row) % 2, (part.section.x0 + column) % 2


def _amplifier(parts: Sequence[Sequence[Part]], key: tuple[int, int]) -> tuple[int, int]:
    """Return plane and amplifier of a part."""
    index, number = key
    return index, parts[index][number].amplifier


def _build_plane(
    job: BuildMaster,
    sources: list[Source],
    index: int,
    readers: list[CalibratedReader],
    parts: tuple[Part, ...],
    levels: _Levels,
    weights: dict[tuple[int, int], float],
) -> BuiltPlane:
    """Return one plane of a master flat, and its figures."""
    own = [levels[index, number] for number in range(len(parts))]
    if len(parts) == 1:
        master = combined(job, list(readers), [1.0 / level for level in own[0]])
    else:
        evened: list[RowReader] = [
            EvenedReader(reader, [(part.cells, level[i]) for part, level in zip(parts, own, strict=True)])
            for i, reader in enumerate(readers)
        ]
        master = combined(job, evened)
    moderate(master, parts, len(sources))
    flat, error, mask = np.empty_like(master.mean), np.empty_like(master.error), master.mask
    deads, lows = [], []
    for number, part in enumerate(parts):
        normal = normalise_flat(
            master.mean[part.cells],
            master.error[part.cells],
            job.arithmetic.flat_floor,
            job.arithmetic.flat_normalise,
        )
        weight = np.float32(weights[index, number])
        dead = normal.mask != 0
        flat[part.cells] = normal.flat if weight == 1 else np.where(dead, 1, normal.flat * weight)
        error[part.cells] = normal.error if weight == 1 else normal.error * weight
        low = quality.low_pixel_map(normal.flat, job.arithmetic.flat_low) & ~dead
        mask[part.cells] |= normal.mask | low.astype(np.uint8) * np.uint8(MaskBit.BAD)
        deads.append(quality.dead_pixels(dead))
        lows.append(quality.low_pixels(low))
    plane, label = job.members[0].frame.planes[index], label_of(job, index)
    metrics = _level_metrics(parts, own, label)
    for name, counts in (("dead_pixels", deads), ("low_pixels", lows)):
        whole = Estimate(sum(it.value for it in counts), None)
        metrics += figures(name, counts, whole, [part.name for part in parts], label)
    metrics += _quality_metrics(flat, error, len(sources), parts, label)
    metrics += _lamp_metrics(job, sources, parts, own, label)
    metrics += transfer_metrics(job, sources, index, label)
    facts = [headers.AmplifierFacts(part, nominal_gain(job, index, part)) for part in amplifiers_of(plane)]
    return BuiltPlane(flat, error, mask, tuple(metrics), headers.plane_cards(facts, label))


# --- figures ----------------------------------------------------------------------------------------------------------


def _level_metrics(parts: Sequence[Part], levels: Sequence[Sequence[float]], label: int | None) -> list[Metric]:
    """Return the level of a plane and that of each of its parts, medians over the members."""
    medians = [float(np.median(level)) for level in levels]
    found = [Metric("flat_level_adu", statistics.fmean(medians), None, label)]
    if len(parts) > 1:
        found += [
            Metric("flat_level_adu", level, None, label, part.name) for part, level in zip(parts, medians, strict=True)
        ]
    return found


def _quality_metrics(
    flat: Float32, error: Float32, members: int, parts: Sequence[Part], label: int | None
) -> list[Metric]:
    """Return curvature and signal-to-noise of a plane, and of its parts where there are several."""
    found = []
    named = [("", flat, error)]
    if len(parts) > 1:
        named += [(part.name, flat[part.cells], error[part.cells]) for part in parts]
    for channel, signal, noise in named:
        for name, estimate in (
            ("flat_curvature_ratio", known_or_none(quality.flat_curvature_ratio, signal)),
            (
                "flat_signal_to_noise_ratio",
                known_or_none(quality.flat_signal_to_noise_ratio, signal, noise, members),
            ),
        ):
            if estimate is not None:
                found.append(Metric(name, estimate.value, estimate.error, label, channel))
    return found


def _lamp_metrics(
    job: BuildMaster, sources: list[Source], parts: Sequence[Part], levels: Sequence[Sequence[float]], label: int | None
) -> list[Metric]:
    """Return how steady the lamp was in the night of the master."""
    tonight = [i for i, (member, _) in enumerate(sources) if member.frame.night == job.night]
    exposures = [sources[i][0].frame.exposure_s for i in tonight]
    scatters = [known_or_none(quality.lamp_scatter_ratio, [own[i] for i in tonight], exposures) for own in levels]
    return figures_if("lamp_scatter_ratio", scatters, mean_noise, [part.name for part in parts], label)
