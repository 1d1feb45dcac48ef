"""What the builders of masters share: the members as they were opened, a plane as it was built."""

from __future__ import annotations

from dataclasses import dataclass

from ingestd.doors import fitsfile
from ingestd.jobs.parts import Part
from ingestd.pixels.blocks import Float32, Mask, RowReader
from ingestd.pixels.combine import Combined, combine
from ingestd.records import BuildMaster, FrameInput, Metric, Plane

Source = tuple[FrameInput, fitsfile.FrameReader]


@dataclass(frozen=True, slots=True, eq=False)
class BuiltPlane:
    """One plane of a master, float32, float32, uint8, what was measured on it, and its own cards."""

    signal: Float32
    error: Float32
    mask: Mask
    metrics: tuple[Metric, ...]
    cards: list[bytes]


def combined(job: BuildMaster, readers: list[RowReader], scales: list[float] | None = None) -> Combined:
    """Combine with the clipping of the settings."""
    return combine(readers, sigma=job.arithmetic.sigma, iterations=job.arithmetic.iterations, scales=scales)


def label_of(job: BuildMaster, index: int) -> int | None:
    """Return the HDU number of a plane where there are several, else None."""
    planes = job.members[0].frame.planes
    return planes[index].index if len(planes) > 1 else None


def nominal_gain(job: BuildMaster, plane: Plane, part: Part) -> float | None:
    """Return the gain of an amplifier by settings or header, e-/ADU, or None."""
    if plane.channels:
        return plane.channels[part.amplifier].gain_e_per_adu
    if len(job.members[0].frame.planes) > 1 and plane.gain_e_per_adu is not None:
        return plane.gain_e_per_adu
    return job.gain_e_per_adu


def by_time(item: Source) -> tuple[str, str]:
    """Order members by observation time, then hash."""
    frame = item[0].frame
    return (frame.obs_start.isoformat() if frame.obs_start else "", frame.frame_id)
