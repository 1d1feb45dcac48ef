"""Photon transfer: gain, level and variance from pairs of flats, also of flats that are too bright for a master."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingestd.doors.fitsfile import FrameReader
from ingestd.jobs import headers
from ingestd.jobs.inputs import calibration_of, opened, planes_of, saturation_of
from ingestd.jobs.measuring import known_or_none
from ingestd.jobs.members import Source, by_time
from ingestd.jobs.parts import Part, amplifiers_of, mean_level, raw_bands
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32
from ingestd.pixels.quality import Estimate, FlatPair
from ingestd.pixels.steps import CalibratedReader
from ingestd.records import Arithmetic, BuildMaster, FrameInput, Kind, Linearity, MasterInput, Metric
from ingestd.settings import Limits

_LOWEST_SCALE = 0.8
_PILED_SHARE = 1e-3


def transfer_metrics(job: BuildMaster, sources: list[Source], index: int, label: int | None) -> list[Metric]:
    """Return the gain of a plane of a master flat, that of its amplifiers, and the pairs of the night one by one."""
    ordered = sorted(sources, key=by_time)
    parts = amplifiers_of(ordered[0][0].frame.planes[index])
    couples = list(zip(ordered[0::2], ordered[1::2], strict=False))
    saturation_adu = saturation_of(ordered[0][0].frame, ordered[0][1].planes[index])
    gains, found = [], []
    for part in parts:
        pairs = [
            (couple, _pair(job.arithmetic, job.linearity, couple, index, part, saturation_adu)) for couple in couples
        ]
        known = [(couple, pair) for couple, pair in pairs if pair is not None]
        gains.append(known_or_none(quality.gain_of_pairs, [pair for _, pair in known]))
        for couple, pair in known:
            if all(member.frame.night == job.night for member, _ in couple):
                found += _points(pair, part, label)
    return [*_gain_metrics(parts, gains, label), *found]


def pair_points(
    couple: tuple[FrameInput, FrameInput], arithmetic: Arithmetic, linearity: Linearity | None, limits: Limits
) -> list[Metric]:
    """Return level and variance of two flats as far up as the converter goes, whatever the settings call saturated.

    Parameters
    ----------
    couple : two FrameInput
        Of equal light, one after the other; with the bias of the first.
    arithmetic : Arithmetic
    linearity : Linearity or None
    limits : Limits

    Returns
    -------
    list of Metric
        Of each plane and amplifier ``flat_pair_level_adu`` and ``flat_pair_variance_adu2``; none where the converter
        cuts the samples off: what is left of their noise would pass for a full well.

    Raises
    ------
    FrameRejected, FrameNotReady, MasterLost, OSError
        If a file cannot be read.
    """
    found = []
    with opened(couple[0], limits) as first, opened(couple[1], limits) as second:
        sources = (couple[0], first), (couple[1], second)
        planes = couple[0].frame.planes
        for index, plane in enumerate(planes):
            for part in amplifiers_of(plane):
                ceiling = min(_ceiling_adu(source, index, part) for _, source in sources)
                pair = _pair(arithmetic, linearity, sources, index, part, ceiling)
                if pair is not None:
                    found += _points(pair, part, plane.index if len(planes) > 1 else None)
        first.check_unchanged()
        second.check_unchanged()
    return found


def _ceiling_adu(source: FrameReader, index: int, part: Part) -> float:
    """Return the highest sample of an amplifier: boxes that hold it are left out; 0 where many pixels lie there."""
    reader = source.planes[index]
    samples = raw_bands(reader, part.section, quality.sampled_rows(part.section.shape))
    samples = samples[np.isfinite(samples)]
    if not samples.size:
        return 0.0
    highest = samples.max()
    if np.count_nonzero(samples == highest) > _PILED_SHARE * samples.size:
        return 0.0
    return float(highest) + (reader.offset if reader.is_integer else 0)


def _gain_metrics(parts: Sequence[Part], gains: Sequence[Estimate | None], label: int | None) -> list[Metric]:
    """Return the gain of a plane and that of each of its amplifiers, as far as they could be measured."""
    known = [gain for gain in gains if gain is not None]
    found = []
    if known and len(known) == len(gains):
        whole = known[0] if len(known) == 1 else mean_level(known)
        found.append(Metric("gain_electrons_per_adu", whole.value, whole.error, label))
    if len(parts) > 1:
        found += [
            Metric("gain_electrons_per_adu", gain.value, gain.error, label, part.name)
            for part, gain in zip(parts, gains, strict=True)
            if gain is not None
        ]
    return found


def _points(pair: FlatPair, part: Part, label: int | None) -> list[Metric]:
    """Return level and variance of a pair.

    Flats whose levels differ by more than a fifth are no point: where the curve bends, the mean of both lies off it.
    """
    if not _LOWEST_SCALE <= pair.scale <= 1.0 / _LOWEST_SCALE:
        return []
    return [
        Metric(estimator.__name__, estimate.value, estimate.error, label, part.name)
        for estimator in (quality.flat_pair_level_adu, quality.flat_pair_variance_adu2)
        if (estimate := known_or_none(estimator, pair)) is not None
    ]


def _pair(
    arithmetic: Arithmetic,
    linearity: Linearity | None,
    couple: tuple[Source, Source],
    index: int,
    part: Part,
    saturation_adu: float,
) -> FlatPair | None:
    """Return what an amplifier of two flats says, or None: no bias with a read noise, no light, unlike structure.

    Only the bias is subtracted: dark current is charge like any other and its noise counts with its level.
    """
    (first, source), _ = couple
    bias = next((master for master in first.masters if master.kind == Kind.BIAS), None)
    if bias is None:
        return None
    below = planes_of(bias)[index]
    noise = headers.amplifier_facts(below.cards, below.signal.shape)[part.amplifier].read_noise_adu
    if noise is None:
        return None
    raw = source.planes[index]
    bands = quality.sampled_rows(part.section.shape)
    step = quality.histogram(raw_bands(raw, part.section, bands)).converter_step()
    flats = [_rows(arithmetic, linearity, item, index, bias, part, bands) for item in couple]
    try:
        limit_adu = saturation_adu - quality.bias_level_adu(part.of_image(0, below.signal)).value
        return quality.flat_pairs(flats, 0.0, noise, saturation_adu=limit_adu, step_adu=step)[0]
    except ValueError:
        return None


def _rows(
    arithmetic: Arithmetic,
    linearity: Linearity | None,
    item: Source,
    index: int,
    bias: MasterInput,
    part: Part,
    bands: tuple[slice, ...],
) -> Float32:
    """Return bands of rows of one amplifier of a flat above its bias."""
    member, source = item
    calibration = calibration_of(member.frame.planes[index], index, (bias,), arithmetic, linearity)
    reader = CalibratedReader(source.planes[index], calibration)
    rows = np.empty((sum(band.stop - band.start for band in bands), reader.shape[1]), np.float32)
    filled = 0
    for band in bands:
        height = band.stop - band.start
        reader.read(part.place.y0 + band.start, rows[filled : filled + height])
        filled += height
    return rows[:, part.place.x0 : part.place.x1]
