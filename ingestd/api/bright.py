"""Flats that are too bright for a master flat, read for the upper end of the photon transfer curve."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ingestd.api.choosing import calibration_now
from ingestd.doors.catalogue import Catalogue
from ingestd.errors import IngestdError
from ingestd.jobs.transfer import pair_points
from ingestd.records import FrameInput, FrameRecord, Kind, Metric
from ingestd.rules import addresses, electronics, windows
from ingestd.settings import Camera, Settings

_MOST_FLATS = 60
"""Of each set-up, the newest: a curve needs no more."""


def bright_pairs(catalogue: Catalogue, settings: Settings, camera: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield level and variance of pairs of flats that were too bright, as `Catalogue.figure_history` yields others.

    Two flats of one night, filter and exposure are a pair; one whose file has gone, or that has no bias, tells nothing.
    """
    flats = sorted(catalogue.bright_flats(camera), key=_set_up)
    for (name, configuration), own in groupby(flats, key=_set_up):
        newest = list(own)[-_MOST_FLATS:]
        waiting: FrameRecord | None = None
        for frame in newest:
            if waiting is None or _light(waiting) != _light(frame):
                waiting = frame
                continue
            for metric in _points(catalogue, settings, waiting, frame):
                yield {
                    "name": metric.name,
                    "value": metric.value,
                    "error": metric.error,
                    "camera": name,
                    "setup": windows.setup_of(configuration),
                    "plane": metric.plane,
                    "channel": metric.channel,
                    "subject": f"{waiting.frame_id} {frame.frame_id}",
                }
            waiting = None


def _points(catalogue: Catalogue, settings: Settings, first: FrameRecord, second: FrameRecord) -> list[Metric]:
    """Return the points of a pair, none where it cannot be read or has no bias."""
    paths = [catalogue.path_of(frame.frame_id) for frame in (first, second)]
    if first.obs_start is None or None in paths:
        return []
    camera = next((it for it in settings.camera if it.name == first.camera), Camera(first.camera))
    chosen = calibration_now(catalogue, settings, first, first.obs_start, [Kind.BIAS])
    inputs = addresses.inputs_of(chosen, settings)
    one, other = (FrameInput(frame, str(path), inputs) for frame, path in zip((first, second), paths, strict=True))
    linearity = electronics.linearity_of(camera, Kind.FLAT)
    try:
        return pair_points((one, other), addresses.arithmetic_of(settings), linearity, settings.limits)
    except (IngestdError, OSError):
        return []


def _set_up(frame: FrameRecord) -> tuple[str, str]:
    """Return camera and configuration."""
    return frame.camera, frame.configuration.key()


def _light(frame: FrameRecord) -> tuple[str | None, str | None, float | None]:
    """Return what flats of one pair have in common."""
    return frame.night, frame.filter_name, frame.exposure_s
