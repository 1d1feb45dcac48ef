"""What the builders of masters share: the members as they were opened, a plane as it was built."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ingestd.doors import fitsfile
from ingestd.jobs import threads
from ingestd.jobs.inputs import opened
from ingestd.jobs.parts import Part, amplifiers_of, raw_bands
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, Mask, RowReader
from ingestd.pixels.combine import Combined, combine
from ingestd.pixels.moderating import moderate_errors
from ingestd.records import BuildMaster, FrameInput, Metric
from ingestd.settings import Limits

Source = tuple[FrameInput, fitsfile.FrameReader]

_MANY_PX, _FEW_PX = 1 << 20, 1 << 16
"""Pixels for a figure, good to 0.07 %, and for a decision, good to 0.3 %."""


@dataclass(frozen=True, slots=True, eq=False)
class BuiltPlane:
    """One plane of a master, float32, float32, uint8, what was measured on it, its own cards, what is odd about it."""

    signal: Float32
    error: Float32
    mask: Mask
    metrics: tuple[Metric, ...]
    cards: list[bytes]
    doubts: tuple[str, ...] = ()


def open_members(job: BuildMaster, limits: Limits, stack: ExitStack) -> list[Source]:
    """Return the members of an order, opened and hashed; they are closed with the stack."""

    def enter(member: FrameInput) -> Source:
        """Open one member and check its bytes."""
        source = stack.enter_context(opened(member, limits))
        source.check_content()
        return member, source

    with threads.pool() as pool:
        return list(pool.map(enter, job.members))


def combined(
    job: BuildMaster, readers: list[RowReader], scales: list[float] | None = None, least_deviation: float = 0.0
) -> Combined:
    """Combine with the clipping of the settings."""
    with threads.pool() as pool:
        return combine(
            readers,
            sigma=job.arithmetic.sigma,
            iterations=job.arithmetic.iterations,
            scales=scales,
            least_deviation=least_deviation,
            parts=threads.THREADS,
            each=pool.map,
        )


def moderate(master: Combined, parts: Sequence[Part], frames: int) -> None:
    """Moderate the errors of a master of so many frames, each part by itself: they no longer tell a pixel's scatter."""
    with threads.pool() as pool:
        for part in parts:
            mean, error, count = (part.of_image(0, plane) for plane in (master.mean, master.error, master.count))
            moderate_errors(mean, error, count, frames, each=pool.map)


def coarse_deviation(sources: Sequence[Source], index: int) -> float:
    """Return the noise of the first two frames where the converter of every amplifier hardly resolves it, else 0."""
    if len(sources) < 2:  # noqa: PLR2004 - nothing is clipped
        return 0.0
    pair = sorted(sources, key=by_time)[:2]
    parts = amplifiers_of(pair[0][0].frame.planes[index])
    samples = [raw_samples(pair, index, part, _FEW_PX) for part in parts]
    found = [quality.coarse_deviation(first, second, len(sources)) for first, second in samples]
    return max(found) if all(found) else 0.0


def raw_samples(sources: Sequence[Source], index: int, part: Part, pixels: int = _MANY_PX) -> list[NDArray[Any]]:
    """Return the same raw rows of one amplifier in every member, at least so many pixels, in the order of time."""
    bands = quality.sampled_rows(part.section.shape, pixels=pixels)
    return [
        raw_bands(source.planes[index], amplifiers_of(member.frame.planes[index])[part.amplifier].section, bands)
        for member, source in sorted(sources, key=by_time)
    ]


def label_of(job: BuildMaster, index: int) -> int | None:
    """Return the HDU number of a plane where there are several, else None."""
    planes = job.members[0].frame.planes
    return planes[index].index if len(planes) > 1 else None


def nominal_gain(job: BuildMaster, index: int, part: Part) -> float | None:
    """Return the gain of an amplifier of a plane by settings or header, e-/ADU, or None."""
    own = next((it for it in job.electronics if (it.plane, it.channel) == (index, part.amplifier)), None)
    return job.gain_e_per_adu if own is None else own.gain_e_per_adu


def by_time(item: Source) -> tuple[str, str]:
    """Order members by observation time, then hash."""
    frame = item[0].frame
    return (frame.obs_start.isoformat() if frame.obs_start else "", frame.frame_id)
