"""Measuring masters: each against that of the previous night, a dark also against the bias that is valid for it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ingestd.doors.fitsfile import MasterPlane
from ingestd.jobs.headers import AmplifierFacts, amplifier_facts
from ingestd.jobs.inputs import planes_of
from ingestd.jobs.measuring import metric
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32
from ingestd.records import Kind, MeasureMaster, Metric, Outcome


def measure_master(job: MeasureMaster) -> Outcome:
    """Measure a master against those that its order names: dark rate and hot pixels, level and patches."""
    planes = planes_of(job.master)
    biases = (None,) * len(planes) if job.bias is None else planes_of(job.bias)
    previous = (None,) * len(planes) if job.previous is None else planes_of(job.previous)
    metrics: list[Metric] = []
    for number, (plane, bias, other) in enumerate(zip(planes, biases, previous, strict=True)):
        hdu = plane.cards.get("RAWHDU", number)
        label = int(hdu) if len(planes) > 1 and isinstance(hdu, int) else None
        own = [] if bias is None else _above_bias(job, plane, bias)
        own += [] if other is None else _agreement(job.master.kind, plane, other)
        metrics += [replace(figure, plane=label) for figure in own]
    return Outcome(job.job_id, "done", metrics=tuple(metrics))


def _agreement(kind: Kind, plane: MasterPlane, previous: MasterPlane) -> Iterable[Metric]:
    """Return by how much a master differs from that of the previous night; nothing if their shapes do."""
    if plane.signal.shape != previous.signal.shape:
        return []
    try:
        if kind is Kind.FLAT:
            agreement = quality.agree_flats(plane.signal, previous.signal)
            return [metric("patches_from_previous_ratio", agreement.patches)]
        agreement = quality.agree(plane.signal, previous.signal)
    except ValueError:  # no pixel is finite in both
        return []
    return [
        metric("level_from_previous_adu", agreement.level),
        metric("patches_from_previous_adu", agreement.patches),
    ]


def _above_bias(job: MeasureMaster, dark: MasterPlane, bias: MasterPlane) -> list[Metric]:
    """Return the figures of a plane of a dark above its bias, and where it has several amplifiers those of each."""
    facts = amplifier_facts(dark.cards, dark.signal.shape)
    metrics: list[Metric] = []
    for fact in facts if len(facts) > 1 else ():
        own = _dark_metrics(job, fact.part.of_image(0, dark.signal), fact.part.of_image(0, bias.signal), fact)
        metrics += [replace(figure, channel=fact.part.name) for figure in own]
    return metrics + _dark_metrics(job, dark.signal, bias.signal, AmplifierFacts(facts[0].part, _mean_gain(facts)))


def _dark_metrics(job: MeasureMaster, dark: Float32, bias: Float32, fact: AmplifierFacts) -> list[Metric]:
    """Return the figures of a dark, or of a part of it, above its bias."""
    exposure_s, gain = job.master.exposure_s, job.gain_e_per_adu or fact.gain_e_per_adu
    signal = quality.dark_signal(dark, bias)
    if not signal.counted.total:
        return []
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
