"""Gain, read noise and linearity of the amplifiers of a frame: settings, header, earlier flats, or nowhere."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from ingestd.records import Electronics, FrameRecord, Kind, Linearity, Plane
from ingestd.settings import Camera

Measured = Callable[[int | None, str], Sequence[tuple[float, float | None]]]
"""Given the HDU number of a plane (None for the only one) and an amplifier: what flats of earlier nights gave."""

_MIN_MEASUREMENTS = 3
_MAX_ERROR_RATIO = 0.05


def gain_of(frame: FrameRecord, camera: Camera, measured: Measured) -> tuple[float | None, str]:
    """Return the gain of a frame in e-/ADU and where it comes from."""
    if camera.gain_e_per_adu is not None:
        return camera.gain_e_per_adu, "settings: camera.gain_e_per_adu"
    if frame.gain_e_per_adu is not None:
        return frame.gain_e_per_adu, f"header: {frame.source('gain_e_per_adu')}"
    return median_gain(measured(None, ""))


def electronics_of(frame: FrameRecord, camera: Camera, measured: Measured | None) -> tuple[Electronics, ...]:
    """Return gain and read noise of every amplifier, in the order of planes and channels; empty where there is one.

    Parameters
    ----------
    frame : FrameRecord
    camera : Camera
        Its settings: a gain or read noise for all amplifiers, unless it has ``amplifiers`` with their own.
    measured : callable or None
        Gains of flats, for amplifiers of which neither settings nor header tell any; None to do without.
    """
    planes = frame.planes
    if sum(max(1, len(plane.channels)) for plane in planes) < 2:  # noqa: PLR2004 - several
        return ()
    return tuple(
        found for index, plane in enumerate(planes) for found in _of_plane(frame, camera, measured, index, plane)
    )


def linearity_of(camera: Camera, kind: Kind) -> Linearity | None:
    """Return what the settings say of the linearity of a camera's frames of a kind, or None if that is nothing.

    Light is made linear, in science frames and flats; biases and darks are combined as they were read. Only in the
    product of a science frame a level is marked.
    """
    if kind not in (Kind.LIGHT, Kind.FLAT):
        return None
    own = tuple(
        (it.name or str(position), it.nonlinearity)
        for position, it in enumerate(camera.amplifiers, 1)
        if it.nonlinearity
    )
    found = Linearity(camera.nonlinearity, own, camera.linear_max_adu if kind is Kind.LIGHT else None)
    return found if found.is_polynomial or found.max_adu is not None else None


def mean_gain(electronics: Sequence[Electronics]) -> float | None:
    """Return the mean of the gains, or None if one is unknown."""
    gains = [it.gain_e_per_adu for it in electronics if it.gain_e_per_adu is not None]
    return round(statistics.fmean(gains), 6) if gains and len(gains) == len(electronics) else None


def median_gain(measured: Sequence[tuple[float, float | None]]) -> tuple[float | None, str]:
    """Return the median of gains measured on earlier nights, if there are enough and they agree.

    The error is that of a median of n values: 1.2533 times their standard deviation over sqrt(n).
    """
    values = [value for value, _ in measured]
    if len(values) < _MIN_MEASUREMENTS:
        # how many there are is not said: one more flat changes no pixel, so it must not change the product's words
        return None, f"unknown: no setting, no card, fewer than {_MIN_MEASUREMENTS} master flats of earlier nights"
    gain = statistics.median(values)
    error = 1.2533 * statistics.stdev(values) / len(values) ** 0.5
    if gain <= 0 or error >= _MAX_ERROR_RATIO * gain:
        return None, f"unknown: {len(values)} measurements scatter: {gain:.3g} +- {error:.2g} e-/ADU"
    return gain, f"measured: median of {len(values)} flats of earlier nights"


def _of_plane(
    frame: FrameRecord, camera: Camera, measured: Measured | None, index: int, plane: Plane
) -> list[Electronics]:
    """Return gain and read noise of the amplifiers of one plane; what a header says of all of them is in its record."""
    label = plane.index if len(frame.planes) > 1 else None
    known = [(it.name, it.gain_e_per_adu, it.read_noise_e) for it in plane.channels]
    found = []
    for number, (name, gain, noise) in enumerate(known or [("", plane.gain_e_per_adu, plane.read_noise_e)]):
        if not camera.amplifiers:
            gain = camera.gain_e_per_adu or gain  # noqa: PLW2901
            noise = noise if camera.read_noise_e is None else camera.read_noise_e  # noqa: PLW2901
        if gain is None and measured is not None:
            gain, _ = median_gain(measured(label, name))  # noqa: PLW2901
        found.append(Electronics(index, number, gain, noise))
    return found
