"""Opening what an order names: raw frames, masters, and the calibration of one plane made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ingestd.doors import fitsfile
from ingestd.errors import FrameRejected
from ingestd.pixels.blocks import Float32, RowReader
from ingestd.pixels.steps import Amplifier, PlaneCalibration
from ingestd.records import Arithmetic, FrameInput, FrameRecord, Kind, Linearity, MaskBit, MasterInput, Plane
from ingestd.settings import Limits

_LARGEST_STEP = 256
_STEP_ROWS = 16


@contextmanager
def opened(member: FrameInput, limits: Limits) -> Iterator[fitsfile.FrameReader]:
    """Open a raw frame whose bytes are those of the order; an error of its content names the frame."""
    frame_id = member.frame.frame_id
    try:
        with fitsfile.FrameReader(Path(member.path), member.frame, limits) as reader:
            yield reader
    except FrameRejected as error:
        raise FrameRejected(error.reason, error.detail, error.frame_id or frame_id) from error


@lru_cache(maxsize=4)
def master_planes(path: str, sha256: str) -> fitsfile.MasterPlanes:
    """Return a master's arrays; the last few stay in the worker, because a night uses the same ones again and again."""
    return fitsfile.read_master(Path(path), sha256)


@lru_cache(maxsize=4)
def _errors(path: str, sha256: str) -> tuple[Float32 | None, ...]:
    """Return the standard deviations of a master's planes, 0 where they are unknown: there they add nothing."""
    errors = (plane.uncertainty for plane in master_planes(path, sha256).planes)
    return tuple(
        np.nan_to_num(error, nan=0.0) if error is not None and not np.isfinite(error).all() else error
        for error in errors
    )


def planes_of(master: MasterInput) -> tuple[fitsfile.MasterPlane, ...]:
    """Return a master's arrays, cut to the window of what they are for; uncertainties are 0 where they are unknown."""
    found = master_planes(master.path, master.sha256).planes
    errors = _errors(master.path, master.sha256)
    cut = master.cut
    if cut is None:
        return tuple(replace(plane, uncertainty=error) for plane, error in zip(found, errors, strict=True))
    rows, columns = slice(cut.y0, cut.y1), slice(cut.x0, cut.x1)
    return tuple(
        fitsfile.MasterPlane(
            plane.signal[rows, columns],
            None if error is None else error[rows, columns],
            None if plane.mask is None else plane.mask[rows, columns],
            plane.cards,
        )
        for plane, error in zip(found, errors, strict=True)
    )


def calibration_of(
    plane: Plane,
    index: int,
    masters: Sequence[MasterInput],
    arithmetic: Arithmetic,
    linearity: Linearity | None = None,
) -> PlaneCalibration:
    """Return sections and masters for one plane of a frame; gain, read noise and saturation are the caller's.

    Parameters
    ----------
    plane : Plane
    index : int
        Its position among the planes of the frame: masters hold their planes in the same order.
    masters : sequence of MasterInput
    arithmetic : Arithmetic
    linearity : Linearity, optional
    """
    arrays: dict[str, Any] = {}
    masks = []
    for master in masters:
        part = planes_of(master)[index]
        name = master.kind.value
        arrays[name] = part.signal
        if master.how == "noise_only":
            if part.mask is not None and (noisy := part.mask & np.uint8(MaskBit.BAD)).any():
                masks.append(noisy)
            continue
        if part.uncertainty is not None:
            arrays[f"{name}_error"] = part.uncertainty
        if part.mask is not None:
            masks.append(part.mask)
        if master.kind == Kind.DARK:
            arrays["dark_frames"] = _frames_of(master)
            if master.how != "exact":
                arrays["dark_ratio"] = master.exposure_ratio
    linearity = linearity or Linearity()
    return PlaneCalibration(
        overscan=plane.overscan if arithmetic.overscan else None,
        overscan_skip_px=arithmetic.overscan_skip_px,
        overscan_degree=arithmetic.overscan_degree,
        trim=plane.trim,
        amplifiers=tuple(
            Amplifier(
                section=channel.section,
                place=plane.place_of(channel),
                overscan=channel.overscan if arithmetic.overscan else None,
                nonlinearity=linearity.of(channel.name),
            )
            for channel in plane.channels
        ),
        masks=tuple(masks),
        nonlinearity=linearity.common,
        linear_max_adu=linearity.max_adu,
        **arrays,
    )


def _frames_of(master: MasterInput) -> int:
    """Return how many frames made a master; 0 for one of another program, whose errors may mean something else."""
    header = master_planes(master.path, master.sha256).header
    frames = header.get("NCOMBINE")
    return frames if isinstance(frames, int) and header.get("PROVENAN") != "external" else 0


def saturation_of(frame: FrameRecord, reader: RowReader) -> float:
    """Return the level at which a sample is saturated: the frame's own, else the end of the range of the file.

    Samples of 12 bits that are stored times 16 end at 65520 and not at 65535: one step of them is all that is left off.
    """
    if frame.saturation_adu is not None:
        return frame.saturation_adu
    if reader.is_integer:
        return float(np.iinfo(reader.dtype).max + reader.offset + 1 - _stored_step(reader))
    return float("inf")


def _stored_step(reader: RowReader) -> int:
    """Return the power of two, a 256th of the range at most, by which the samples of some rows are apart."""
    ny, nx = reader.shape
    info = np.iinfo(reader.dtype)
    first, row = np.empty((2, 1, nx), reader.dtype)
    reader.read_raw(0, first)
    bits = min(_LARGEST_STEP, (info.max - info.min + 1) // _LARGEST_STEP)
    for y in range(0, ny, max(1, ny // _STEP_ROWS)):
        reader.read_raw(y, row)
        bits |= int(np.bitwise_or.reduce(row ^ first[0, 0], axis=None))
    return bits & -bits
