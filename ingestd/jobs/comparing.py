"""A calibration frame against the master of the latest earlier night of its group, plane by plane."""

from __future__ import annotations

import numpy as np

from ingestd.jobs.inputs import calibration_of, master_planes
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, RowReader
from ingestd.pixels.quality import Comparison
from ingestd.pixels.steps import CalibratedReader, flat_level
from ingestd.records import Kind, MeasureFrame


def compare_plane(job: MeasureFrame, index: int, reader: RowReader, step_adu: float) -> Comparison | None:
    """Return how one plane of the member differs from its reference.

    Parameters
    ----------
    job : MeasureFrame
    index : int
        Position of the plane among those of the frame.
    reader : RowReader
        The raw plane.
    step_adu : float
        Step of the converter.

    Returns
    -------
    Comparison or None
        None without a reference, or where nothing can be compared: the reference has another shape, or a flat has no
        light or nothing that takes its pedestal out.
    """
    frame = job.member.frame
    reference = next((master for master in job.member.masters if master.how == "reference"), None)
    if reference is None:
        return None
    below = tuple(master for master in job.member.masters if master is not reference)
    calibrated = CalibratedReader(reader, calibration_of(frame.planes[index], index, below, job.arithmetic))
    master = master_planes(reference.path, reference.sha256)
    plane = master.planes[index]
    if plane.signal.shape != calibrated.shape:
        return None
    combined = master.header.get("NCOMBINE")
    members = combined if isinstance(combined, int) else 1
    if frame.kind is not Kind.FLAT:
        return quality.compare(
            _whole(calibrated),
            plane.signal,
            plane.uncertainty,
            members=members,
            sigma=job.outlier_sigma,
            step_adu=step_adu,
        )
    if not below and not (frame.planes[index].has_overscan and job.arithmetic.overscan):
        return None
    level = flat_level(calibrated)
    if not level > 0:
        return None
    reference_level = job.reference_levels_adu[index] if job.reference_levels_adu else None
    return quality.compare_flat(
        _whole(calibrated),
        plane.signal,
        plane.uncertainty,
        plane.mask,
        members=members,
        level_ratio=1.0 if reference_level is None else max(reference_level, 0.0) / level,
        is_mosaic=bool(frame.configuration.bayer),
        sigma=job.outlier_sigma,
    )


def _whole(reader: RowReader) -> Float32:
    """Return all rows of a plane."""
    rows = np.empty(reader.shape, np.float32)
    reader.read(0, rows)
    return rows
