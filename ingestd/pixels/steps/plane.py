"""What calibrates one plane, and the buffers of one row block on its way through the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.steps.overscan import Overscan, measure_overscan
from ingestd.records import Section

if TYPE_CHECKING:
    from ingestd.pixels.blocks import Float32, Mask, RowReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Amplifier:
    """One of several amplifiers of a plane: the ``section`` that it read, and its ``place`` in the trimmed image.

    ``overscan`` is its own; gain (e-/ADU) and read noise (e-) are None where they are unknown; ``gain_scale`` as in
    `PlaneCalibration`, ``nonlinearity`` too.
    """

    section: Section
    place: Section
    overscan: Section | None = None
    gain_e_per_adu: float | None = None
    read_noise_e: float | None = None
    gain_scale: float = 1.0
    nonlinearity: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneCalibration:
    """The masters and numbers for one plane; None is a step that is not taken.

    ``overscan`` and ``trim`` are sections of the raw plane; ``overscan_skip_px`` columns next to the image are left
    out; ``overscan_degree`` is that of a polynomial through the medians of the rows, None for the medians themselves.
    Where several ``amplifiers`` read the plane, they take the place of overscan, trim, gain and read noise: their
    sections, put to their places, are the trimmed image.

    All arrays have the shape of the trimmed image. ``bias``, ``dark`` and their errors are float32, ADU, combined from
    raw (overscan-corrected) frames: the dark still contains the bias. ``dark_ratio`` is the exposure of the frame over
    that of the dark, **1.0 for an exact dark**: then ``bias`` is not subtracted and only serves the Poisson noise.
    ``dark_frames`` is how many frames made the dark, 0 if that is unknown: where it is the only master below the light,
    its error tells their noise. ``flat`` is relative response, float32, with its error; ``masks`` are those of the
    masters. Without ``gain_e_per_adu`` the result stays in ADU; without gain or ``read_noise_e`` there is no
    uncertainty. The result is multiplied by gain times ``gain_scale``, which undoes what a flat has evened out already.
    A raw sample at or above ``saturation_adu`` is saturated, one above ``linear_max_adu`` nonlinear. ``nonlinearity``
    is c1, c2, ... in x (1 + c1 x + c2 x**2 + ...), the linear signal of x ADU above the bias; it needs to know that
    level.
    """

    overscan: Section | None = None
    overscan_skip_px: int = 0
    overscan_degree: int | None = None
    trim: Section | None = None
    amplifiers: tuple[Amplifier, ...] = ()
    bias: Float32 | None = None
    bias_error: Float32 | None = None
    dark: Float32 | None = None
    dark_error: Float32 | None = None
    dark_ratio: float = 1.0
    dark_frames: int = 0
    flat: Float32 | None = None
    flat_error: Float32 | None = None
    masks: tuple[Mask, ...] = ()
    gain_e_per_adu: float | None = None
    read_noise_e: float | None = None
    gain_scale: float = 1.0
    saturation_adu: float | None = None
    nonlinearity: tuple[float, ...] = ()
    linear_max_adu: float | None = None

    @property
    def dark_is_scaled(self) -> bool:
        """True if there is a dark and it is scaled to the exposure."""
        return self.dark is not None and self.dark_ratio != 1.0

    @property
    def has_gain(self) -> bool:
        """True if the gain of every amplifier is known."""
        parts = self.amplifiers or (self,)
        return all(part.gain_e_per_adu is not None for part in parts)

    @property
    def has_uncertainty(self) -> bool:
        """True if gain and read noise of every amplifier are known."""
        parts = self.amplifiers or (self,)
        return self.has_gain and all(part.read_noise_e is not None for part in parts)

    @property
    def has_overscan(self) -> bool:
        """True if the overscan takes the bias level out of every part of the plane."""
        parts = self.amplifiers or (self,)
        return all(part.overscan is not None for part in parts)

    @property
    def is_linearised(self) -> bool:
        """True if some amplifier is nonlinear and bias or overscan tell where its signal begins."""
        parts = self.amplifiers or (self,)
        return any(part.nonlinearity for part in parts) and (self.bias is not None or self.has_overscan)


def amplifiers_of(calibration: PlaneCalibration, shape: tuple[int, int]) -> tuple[Amplifier, ...]:
    """Return the amplifiers of a raw plane of that shape: those of the calibration, or the one that read all of it."""
    if calibration.amplifiers:
        return calibration.amplifiers
    section = calibration.trim or Section(0, shape[0], 0, shape[1])
    rows, columns = section.shape
    return (
        Amplifier(
            section=section,
            place=Section(0, rows, 0, columns),
            overscan=calibration.overscan,
            gain_e_per_adu=calibration.gain_e_per_adu,
            read_noise_e=calibration.read_noise_e,
            gain_scale=calibration.gain_scale,
            nonlinearity=calibration.nonlinearity,
        ),
    )


def image_shape(calibration: PlaneCalibration, shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the trimmed image of a raw plane of that shape."""
    places = [amplifier.place for amplifier in amplifiers_of(calibration, shape)]
    return max(place.y1 for place in places), max(place.x1 for place in places)


def check_plane(reader: RowReader, calibration: PlaneCalibration) -> None:
    """Check that sections lie inside the plane and that masters fit the trimmed image.

    Raises
    ------
    ValueError
        If they do not, if amplifiers do not fill the image, if a ratio, gain or read noise is out of range, or if a
        dark is to be scaled together with its pedestal: neither a bias nor an overscan is there to tell them apart.
    """
    ny, nx = reader.shape
    amplifiers = amplifiers_of(calibration, reader.shape)
    for amplifier in amplifiers:
        for name, section in (("overscan", amplifier.overscan), ("trim", amplifier.section)):
            if section is not None and not (0 <= section.y0 < section.y1 <= ny and 0 <= section.x0 < section.x1 <= nx):
                raise ValueError(f"{name} section {section} does not lie inside the plane of {ny} x {nx} pixels")
    shape = image_shape(calibration, reader.shape)
    _check_places(amplifiers, shape)
    arrays = {
        "bias": calibration.bias,
        "bias error": calibration.bias_error,
        "dark": calibration.dark,
        "dark error": calibration.dark_error,
        "flat": calibration.flat,
        "flat error": calibration.flat_error,
    } | {f"mask {number}": mask for number, mask in enumerate(calibration.masks)}
    for name, array in arrays.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, the trimmed image {shape}")
    _check_numbers(calibration, amplifiers)


def _check_places(amplifiers: tuple[Amplifier, ...], shape: tuple[int, int]) -> None:
    """Check that amplifiers fill an image, each pixel once, and that those side by side read the same raw rows."""
    filled = np.zeros(shape, np.uint8) if len(amplifiers) > 1 else None
    for amplifier in amplifiers:
        place, section = amplifier.place, amplifier.section
        if place.shape != section.shape or place.y0 < 0 or place.x0 < 0:
            raise ValueError(f"{section} does not fit its place {place}")
        if filled is not None:
            filled[place.y0 : place.y1, place.x0 : place.x1] += 1
    if filled is not None and not (filled == 1).all():
        raise ValueError(f"the amplifiers do not fill the image of {shape[0]} x {shape[1]} pixels, each pixel once")
    shifts = {(place.y0, place.y1, it.section.y0) for it in amplifiers if (place := it.place)}
    if len({(y0, y1) for y0, y1, _ in shifts}) < len(shifts):
        raise ValueError("amplifiers side by side must read the same rows of the raw plane")


def _check_numbers(calibration: PlaneCalibration, amplifiers: tuple[Amplifier, ...]) -> None:
    """Check ratio, gains and read noises."""
    if not (np.isfinite(calibration.dark_ratio) and calibration.dark_ratio >= 0):
        raise ValueError(f"dark_ratio = {calibration.dark_ratio}: must be finite and not negative")
    for amplifier in amplifiers:
        if amplifier.gain_e_per_adu is not None and not 0 < amplifier.gain_e_per_adu < np.inf:
            raise ValueError(f"gain_e_per_adu = {amplifier.gain_e_per_adu}: must be finite and positive")
        if amplifier.read_noise_e is not None and not 0 <= amplifier.read_noise_e < np.inf:
            raise ValueError(f"read_noise_e = {amplifier.read_noise_e}: must be finite and not negative")
        if not np.isfinite(amplifier.nonlinearity).all():
            raise ValueError(f"nonlinearity = {amplifier.nonlinearity}: must be finite")
    if calibration.dark_is_scaled and calibration.bias is None and not calibration.has_overscan:
        raise ValueError("a dark that contains the bias level cannot be scaled without a bias or an overscan")


# --- bands and blocks -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Columns of one amplifier, ``raw`` in the plane and ``out`` in the trimmed image, and how its level is found."""

    raw: slice
    out: slice
    overscan: Overscan | None


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Rows of the trimmed image, ``first`` to ``end``, that the same amplifiers read, from ``raw_row`` on.

    The numbers are float32: one, or a row of shape (width,) where amplifiers side by side differ. ``gain`` and its
    square are what the result is multiplied by, ``adu_per_e`` the inverse of the gain of the amplifier, and
    ``noise_variance`` the square of its read noise and of the noise of its overscan's level, ADU**2; ``is_unity`` if
    every gain is exactly 1. ``nonlinearity`` is c1, c2, ... of x (1 + c1 x + c2 x**2 + ...).
    """

    first: int
    end: int
    raw_row: int
    pieces: tuple[Piece, ...]
    gain: Any
    gain_squared: Any
    adu_per_e: Any
    noise_variance: Any
    is_unity: bool
    nonlinearity: tuple[Any, ...]


def bands_of(reader: RowReader, calibration: PlaneCalibration) -> tuple[Band, ...]:
    """Return the bands of a plane from the first row of the trimmed image to the last; overscans are prepared."""
    amplifiers = amplifiers_of(calibration, reader.shape)
    places = sorted({(it.place.y0, it.place.y1) for it in amplifiers})
    return tuple(
        _band([it for it in amplifiers if (it.place.y0, it.place.y1) == rows], reader, calibration) for rows in places
    )


def _band(amplifiers: list[Amplifier], reader: RowReader, calibration: PlaneCalibration) -> Band:
    """Return the band of amplifiers side by side."""
    ordered = sorted(amplifiers, key=lambda it: it.place.x0)
    pieces = []
    for it in ordered:
        overscan = None
        if it.overscan is not None:
            skip, degree = calibration.overscan_skip_px, calibration.overscan_degree
            overscan = measure_overscan(reader, it.overscan, it.section, skip, degree)
        pieces.append(Piece(slice(it.section.x0, it.section.x1), slice(it.place.x0, it.place.x1), overscan))
    gains = [it.gain_e_per_adu or 1.0 for it in ordered]
    scaled = [gain * it.gain_scale for gain, it in zip(gains, ordered, strict=True)]
    noises = [(it.read_noise_e or 0.0) / (it.gain_e_per_adu or 1.0) for it in ordered]
    shares = [0.0 if piece.overscan is None else piece.overscan.variance for piece in pieces]
    widths = [it.place.x1 - it.place.x0 for it in ordered]
    degree = max(len(it.nonlinearity) for it in ordered)
    polynomials = [it.nonlinearity + (0.0,) * (degree - len(it.nonlinearity)) for it in ordered]
    first = ordered[0]
    return Band(
        first=first.place.y0,
        end=first.place.y1,
        raw_row=first.section.y0,
        pieces=tuple(pieces),
        gain=_across(scaled, widths),
        gain_squared=_across([gain * gain for gain in scaled], widths),
        adu_per_e=_across([1 / gain for gain in gains], widths),
        noise_variance=_across([noise**2 * (1 + share) for noise, share in zip(noises, shares, strict=True)], widths),
        is_unity=all(gain == 1.0 for gain in (*gains, *scaled)),
        nonlinearity=tuple(_across(list(values), widths) for values in zip(*polynomials, strict=True)),
    )


def _across(values: list[float], widths: list[int]) -> Any:  # noqa: ANN401 - a number or a row of them
    """Return one number, or a row with the number of each amplifier in its columns; infinite beyond float32."""
    with np.errstate(over="ignore"):
        numbers = np.array(values, np.float32)
    return numbers[0] if len(values) == 1 else np.repeat(numbers, widths)


class Block:
    """A few rows on their way through the steps: buffers that are made once and used for every block.

    ``frame`` holds the raw values of whole rows, float32, ADU, and is left as it was read; ``signal``, ``variance`` and
    ``scratch`` are float32, ``mask`` uint8, all of the trimmed width; ``zeros`` is one row, for numpy compares arrays
    four times as fast as an array and a number. ``levels`` is what the overscan of each piece of
    ``band`` says of the bias level: one number, or a column with one for each row. ``slope`` is by how much the signal
    grew with its raw value where it was made linear, None where it was not. ``capacity`` is the number of rows that
    there is room for.

    Parameters
    ----------
    rows : int
        Rows of the largest block.
    frame_width, width : int
        Columns of the raw plane and of the trimmed image.
    """

    def __init__(self, rows: int, frame_width: int, width: int) -> None:
        self.capacity = rows
        self._frame = np.empty((rows, frame_width), np.float32)
        self._signal, self._variance, self._scratch = np.empty((3, rows, width), np.float32)
        self.zeros = np.zeros(width, np.float32)
        self._mask = np.empty((rows, width), np.uint8)
        self._flags = np.empty((rows, width), np.bool_)

    def place(self, band: Band, first_row: int, rows: int) -> None:
        """Point the block at ``rows`` rows of the trimmed image from ``first_row``, all within a band."""
        self.band = band
        self.first_row = first_row
        self.raw_row = band.raw_row + first_row - band.first
        self.rows = slice(first_row, first_row + rows)
        self.frame = self._frame[:rows]
        self.signal, self.variance, self.scratch = self._signal[:rows], self._variance[:rows], self._scratch[:rows]
        self.mask, self.flags = self._mask[:rows], self._flags[:rows]
        self.levels: list[float | Float32] = [0.0] * len(band.pieces)
        self.slope: Float32 | None = None

    def read(self, reader: RowReader) -> None:
        """Fill ``frame`` with the rows that the block points at."""
        reader.read(self.raw_row, self.frame)
