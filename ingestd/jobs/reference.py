"""An order carried out by ccdproc and plain numpy, and how far its result is from the file that we wrote."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.doors import fitsfile
from ingestd.jobs.calibrating import gain_of, gain_scales
from ingestd.jobs.inputs import opened, planes_of
from ingestd.jobs.members import coarse_deviation
from ingestd.pixels import reference
from ingestd.pixels.blocks import Float32, Float64
from ingestd.records import Arithmetic, BuildMaster, FrameInput, Kind, MaskBit, MasterInput, ReduceFrame
from ingestd.rules import groups
from ingestd.settings import Limits

Image = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest difference of a plane from the reference, in ``unit``, and where.

    Pixels without a value are left out. ``typical`` is the median of all differences, ``level`` that of the reference.
    A single pixel far off is one where a sample lay just at the limit of clipping.
    """

    plane: int
    largest: float
    typical: float
    y: int
    x: int
    level: float
    unit: str


def differences(job: BuildMaster | ReduceFrame, path: Path, limits: Limits) -> tuple[Difference, ...]:
    """Return for each plane how far the file at ``path`` is from what the reference makes of the order.

    Raises
    ------
    ValueError
        If what the order asks for has none: several amplifiers or colours, a curve through an overscan.
    FrameChanged, FrameRejected, ProductNotWritten, OSError
        If a raw frame or a master cannot be read.
    """
    ours = fitsfile.read_master(path, None).planes
    with ExitStack() as stack:
        members = job.members if isinstance(job, BuildMaster) else (job.member,)
        sources = [(member, stack.enter_context(opened(member, limits))) for member in members]
        return tuple(_difference(number, plane, _reference(job, sources, number)) for number, plane in enumerate(ours))


def _difference(number: int, plane: fitsfile.MasterPlane, theirs: Float64) -> Difference:
    """Return the largest difference of one plane, cleaned pixels left out."""
    ours, unit = plane.signal, str(plane.cards.get("BUNIT", ""))
    if ours.shape != theirs.shape:
        raise ValueError(f"the reference has the shape {theirs.shape}, the file {ours.shape}")
    apart = np.abs(ours - theirs)
    apart[~np.isfinite(apart)] = 0.0
    if plane.mask is not None:
        apart[(plane.mask & np.uint8(MaskBit.INTERPOLATED)) != 0] = 0.0
    y, x = (int(place) for place in np.unravel_index(int(np.argmax(apart)), apart.shape))
    return Difference(number, float(apart[y, x]), float(np.median(apart)), y, x, float(np.nanmedian(theirs)), unit)


_Sources = list[tuple[FrameInput, fitsfile.FrameReader]]


def _reference(job: BuildMaster | ReduceFrame, sources: _Sources, index: int) -> Float64:
    """Return one plane of the reference."""
    images = [_corrected(job, member, source, index) for member, source in sources]
    if isinstance(job, ReduceFrame):
        gain = gain_of(job, index, 0)
        scale = gain_scales(job).get((index, 0), 1.0)
        return _calibrated(job, images[0], job.member, index, None if gain is None else gain * scale)
    if job.group.kind is not Kind.FLAT:
        return reference.combined(images, job.arithmetic.sigma, coarse_deviation(sources, index))
    if job.members[0].frame.configuration.bayer:
        raise ValueError("the colours of a mosaic have levels of their own")
    if len(job.members[0].frame.planes) > 1:
        raise ValueError("the planes of a flat have levels relative to one another")
    lit = [
        (groups.light_of(member.frame), _calibrated(job, image, member, index, None))
        for image, (member, _) in zip(images, sources, strict=True)
    ]
    dome, twilight = ([image for light, image in lit if light == one] for one in ("dome", "twilight"))
    if job.flats != "combined" or not (dome and twilight):
        flat = _flat([image for _, image in lit], job.arithmetic)
    else:
        flat = _joined(_flat(dome, job.arithmetic), _flat(twilight, job.arithmetic), job.arithmetic.flat_normalise)
    return np.nan_to_num(flat, nan=1.0)


def _flat(lit: list[Float64], arithmetic: Arithmetic) -> Float64:
    """Return the flat of frames of one light, NaN where it is dead."""
    normalise = arithmetic.flat_normalise
    flat = reference.combined([image / reference.level(image, normalise) for image in lit], arithmetic.sigma)
    flat /= reference.level(flat, normalise)
    flat[~(flat > arithmetic.flat_floor)] = np.nan
    return flat


def _joined(dome: Float64, twilight: Float64, normalise: str) -> Float64:
    """Return the pixels of the dome with the smooth light of twilight and its level."""
    flat = dome * reference.smooth_part(dome, twilight)
    flat *= reference.level(twilight, normalise) / reference.level(flat, normalise)
    return flat


def _corrected(job: BuildMaster | ReduceFrame, member: FrameInput, source: fitsfile.FrameReader, index: int) -> Image:
    """Return a raw plane without overscan."""
    plane, reader = member.frame.planes[index], source.planes[index]
    if plane.channels:
        raise ValueError("several amplifiers read this plane")
    if plane.overscan is not None and job.arithmetic.overscan and job.arithmetic.overscan_degree is not None:
        raise ValueError("a polynomial goes through the overscan")
    raw: Float32 = np.empty(reader.shape, np.float32)
    reader.read(0, raw)
    overscan = plane.overscan if job.arithmetic.overscan else None
    return reference.corrected(raw, overscan, plane.trim, job.arithmetic.overscan_skip_px)


def _calibrated(
    job: BuildMaster | ReduceFrame, image: Image, member: FrameInput, index: int, gain_e_per_adu: float | None
) -> Float64:
    """Return a plane after the masters of its order, made linear where the order says so."""
    masters = {it.kind: it for it in member.masters if it.how != "noise_only"}
    dark = masters.get(Kind.DARK)
    below: Image | None = _signal(masters.get(Kind.BIAS), index)
    charge: Image | None = _signal(dark, index)
    pedestal = _signal(next((it for it in member.masters if it.kind == Kind.BIAS), None), index)
    has_overscan = job.arithmetic.overscan and member.frame.planes[index].overscan is not None
    if job.linearity is not None and job.linearity.common and (pedestal is not None or has_overscan):
        image = reference.linear(image, pedestal, job.linearity.common)
        charge = None if charge is None else reference.linear(charge, pedestal, job.linearity.common)
        below = None
    return reference.calibrated(
        image,
        bias=below,
        dark=charge,
        dark_ratio=None if dark is None or dark.how == "exact" else dark.exposure_ratio,
        flat=_signal(masters.get(Kind.FLAT), index),
        gain_e_per_adu=gain_e_per_adu,
    )


def _signal(master: MasterInput | None, index: int) -> Float32 | None:
    """Return one plane of a master."""
    return None if master is None else planes_of(master)[index].signal
