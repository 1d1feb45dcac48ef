"""Cosmic rays in a science frame: looked for in the whole plane, before the pass that writes the product.

L.A.Cosmic needs the neighbours of every pixel, and the header says what was found before the first pixel is written. So
each plane is reduced twice, once to be looked at and once into the product; what is kept in between are the hits alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingestd.jobs import threads
from ingestd.jobs.measuring import metric, plane_label
from ingestd.jobs.parts import is_mosaic
from ingestd.pixels import quality
from ingestd.pixels.blocks import Float32, Mask, RowReader
from ingestd.pixels.cosmics import Cosmics, detect_cosmics
from ingestd.pixels.quality import SkyBoxes
from ingestd.pixels.steps import PlaneCalibration, reduce_plane
from ingestd.records import CosmicFilter, FrameRecord, MaskBit, Metric, ReduceFrame, Step

_BAD = np.uint8(MaskBit.BAD | MaskBit.HOT | MaskBit.NO_DATA)
"""Bits of pixels that are neither hits nor good neighbours of hits."""

_MOST_RATIO = 0.02
"""More hits than these are none: an hour on a thick sensor leaves half as many, and a read noise stated at half its
value makes as many of the pixels of a dark sky significant."""

_MOST_NOISE = 1.5
"""Measured noise of the sky over what gain and read noise leave. Beyond, noise would be taken for hits: a limit of 4.5
sigma has become one of 3."""

_SKY_ROWS, _SKY_STEP = 64, 512
"""Every eighth band of rows tells the noise of the sky."""

_DARK_PX = 1 << 18
"""So many pixels tell the charge of the dark, of a large one those of every second, third ... row."""


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The pixels of one plane that were hit.

    Attributes
    ----------
    width : int
        Columns of the plane.
    pixels : ndarray of int, shape (n,)
        Flat indices, sorted.
    values, errors : ndarray of float32, shape (n,), or None
        What takes their place, and its uncertainty; None if they are only flagged.
    """

    width: int
    pixels: NDArray[np.intp]
    values: Float32 | None
    errors: Float32 | None

    def mark(self, first_row: int, signal: Float32, uncertainty: Float32 | None, mask: Mask) -> None:
        """Mark the hits in a block of rows and put the cleaned values in their place."""
        start = first_row * self.width
        low, high = np.searchsorted(self.pixels, (start, start + signal.size))
        at, bits = self.pixels[low:high] - start, MaskBit.COSMIC
        if self.values is not None:
            bits |= MaskBit.INTERPOLATED
            signal.reshape(-1)[at] = self.values[low:high]
        if uncertainty is not None and self.errors is not None:
            uncertainty.reshape(-1)[at] = self.errors[low:high]
        mask.reshape(-1)[at] |= np.uint8(bits)


@dataclass(frozen=True, slots=True, eq=False)
class CosmicRays:
    """What the search of a frame gave: for each plane its hits or None, the step in words, the figures."""

    hits: tuple[Hits | None, ...]
    steps: tuple[Step, ...] = ()
    metrics: tuple[Metric, ...] = ()

    @property
    def number(self) -> int | None:
        """Hit pixels of all planes, None if none were looked for."""
        found = [hits.pixels.size for hits in self.hits if hits is not None]
        return sum(found) if found else None


class _NotLookedFor(Exception):
    """Why cosmic rays cannot be told from the rest of a frame."""


def find_cosmics(
    job: ReduceFrame, readers: Sequence[RowReader], calibrations: Sequence[PlaneCalibration]
) -> CosmicRays:
    """Look for cosmic rays in all planes of a frame, if the order wants it; where that cannot be right, say why."""
    none = CosmicRays((None,) * len(readers))
    if job.cosmics is None:
        return none
    frame = job.member.frame
    hits, noises, metrics = [], [], []
    try:
        for plane, reader, calibration in zip(frame.planes, readers, calibrations, strict=True):
            noise_e = _noise_e(frame, calibration)
            found = _search(job.cosmics, reader, calibration, noise_e, plane.image_shape)
            hits.append(_as_hits(found))
            noises.append(noise_e)
            metrics.append(
                metric("cosmic_ray_pixels", quality.cosmic_ray_pixels(found.mask), plane_label(frame, plane))
            )
    except _NotLookedFor as error:
        return replace(none, steps=(Step("cosmics", "skipped", str(error)),))
    step = Step("cosmics", "applied", _words(job.cosmics, sum(it.pixels.size for it in hits), noises))
    return CosmicRays(tuple(hits), (step,), tuple(metrics))


def _words(wanted: CosmicFilter, number: int, noises: Sequence[float]) -> str:
    """Return what was done."""
    done = "replaced by the mean of their neighbours" if wanted.mode == "clean" else "flagged"
    noise = ", ".join(f"{noise:.3g}" for noise in dict.fromkeys(noises))
    return (
        f"{number} pixels {done}; L.A.Cosmic with sigclip {wanted.sigclip:g}, sigfrac {wanted.sigfrac:g}, "
        f"objlim {wanted.objlim:g}, niter {wanted.niter}, noise without sky {noise} e-"
    )


def _noise_e(frame: FrameRecord, calibration: PlaneCalibration) -> float:
    """Return the noise of a pixel without sky, electron: read noise and that of the dark current.

    Of several amplifiers the largest: then the limit is nowhere below that of the settings. Raises if noise or
    neighbours are not those of one image in electrons.
    """
    if is_mosaic(frame.configuration.bayer):
        raise _NotLookedFor("the neighbours of a pixel of a Bayer mosaic have other colours")
    amplifiers = calibration.amplifiers or (calibration,)
    read_noises = [it.read_noise_e for it in amplifiers if it.read_noise_e is not None]
    if not calibration.has_gain:
        raise _NotLookedFor("gain unknown: set camera.gain_e_per_adu")
    if len(read_noises) < len(amplifiers):
        raise _NotLookedFor("read noise unknown: set camera.read_noise_e")
    if calibration.bias is None and calibration.dark is None and not calibration.has_overscan:
        raise _NotLookedFor("the frame still holds its bias level")
    return math.hypot(max(read_noises), math.sqrt(_dark_charge_adu(calibration) * _largest_gain(calibration)))


def _dark_charge_adu(calibration: PlaneCalibration) -> float:
    """Return the median of the dark charge that was subtracted, ADU; 0 where nothing tells it from the bias level."""
    dark, bias = calibration.dark, calibration.bias
    if dark is None or (bias is None and not calibration.has_overscan):
        return 0.0
    rows = slice(None, None, max(1, dark.size // _DARK_PX))
    charge = dark[rows] if bias is None else dark[rows] - bias[rows]
    known = charge[np.isfinite(charge)]
    return max(0.0, float(np.median(known)) * calibration.dark_ratio) if known.size else 0.0


def _largest_gain(calibration: PlaneCalibration) -> float:
    """Return the largest number that any part of the plane is multiplied by."""
    amplifiers = calibration.amplifiers or (calibration,)
    return max((it.gain_e_per_adu or 1.0) * it.gain_scale for it in amplifiers)


def _search(
    wanted: CosmicFilter, reader: RowReader, calibration: PlaneCalibration, noise_e: float, shape: tuple[int, int]
) -> Cosmics:
    """Return the cosmic rays of one plane, whose trimmed image has that shape."""
    signal, mask = _reduced(reader, calibration, shape)
    _check_noise(signal, mask, noise_e)
    saturation_e = math.inf
    if calibration.saturation_adu is not None:
        saturation_e = calibration.saturation_adu * _largest_gain(calibration)
        is_saturated = (mask & np.uint8(MaskBit.SATURATED)) != 0
        # what the raw value says, whatever the flat and the amplifier have made of it
        signal[is_saturated] = np.maximum(signal[is_saturated], np.float32(saturation_e))
    found = detect_cosmics(
        signal,
        gain_e_per_adu=1.0,
        read_noise_e=noise_e,
        saturation_e=saturation_e,
        mask=(mask & _BAD) != 0,
        sigclip=wanted.sigclip,
        sigfrac=wanted.sigfrac,
        objlim=wanted.objlim,
        niter=wanted.niter,
        clean=wanted.mode == "clean",
    )
    ratio = np.count_nonzero(found.mask) / found.mask.size
    if ratio > _MOST_RATIO:
        raise _NotLookedFor(
            f"{100 * ratio:.1f} % of the pixels would be hits, more than {100 * _MOST_RATIO:g} % is not believed: "
            "raise camera.cosmics_objlim or camera.cosmics_sigclip"
        )
    return found


def _reduced(reader: RowReader, calibration: PlaneCalibration, shape: tuple[int, int]) -> tuple[Float32, Mask]:
    """Return signal and mask of a whole plane, electron; no uncertainty, which takes time."""
    without_noise = replace(
        calibration,
        read_noise_e=None,
        amplifiers=tuple(replace(it, read_noise_e=None) for it in calibration.amplifiers),
    )
    signal, mask = np.empty(shape, np.float32), np.empty(shape, np.uint8)

    def keep(first_row: int, rows: Float32, _uncertainty: Float32 | None, bits: Mask) -> None:
        """Take a block of rows."""
        signal[first_row : first_row + len(rows)] = rows
        mask[first_row : first_row + len(rows)] = bits

    with threads.pool() as pool:
        reduce_plane(reader, without_noise, keep, parts=threads.THREADS, each=pool.map)
    return signal, mask


def _check_noise(signal: Float32, mask: Mask, noise_e: float) -> None:
    """Refuse a plane that is far noisier than gain and read noise say: its noise would pass for hits."""
    boxes = SkyBoxes(pixels=signal.size * _SKY_ROWS // _SKY_STEP)
    for row in range(0, len(signal), _SKY_STEP):
        boxes.add(signal[row : row + _SKY_ROWS], mask[row : row + _SKY_ROWS])
    try:
        sky = boxes.figures()
    except ValueError:  # no box is free of bad pixels
        return
    expected_e = math.sqrt(max(sky.level.value, 0.0) + noise_e**2)
    if sky.noise.value > _MOST_NOISE * expected_e:
        raise _NotLookedFor(
            f"the noise of the sky is {sky.noise.value:.3g} e-, gain and read noise leave {expected_e:.3g} e-: "
            "check camera.gain_e_per_adu and camera.read_noise_e"
        )


def _as_hits(found: Cosmics) -> Hits:
    """Return the hits as a list."""
    pixels = np.flatnonzero(found.mask)
    values = None if found.cleaned is None else found.cleaned.reshape(-1)[pixels]
    return Hits(found.mask.shape[1], pixels, values, found.scatter)
