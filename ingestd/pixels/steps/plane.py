"""What calibrates one plane, and the buffers of one row block on its way through the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingestd.records import Section

if TYPE_CHECKING:
    from ingestd.pixels.blocks import Float32, Mask, RowReader
    from ingestd.pixels.steps.overscan import Overscan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneCalibration:
    """The masters and numbers for one plane; None is a step that is not taken.

    ``overscan`` and ``trim`` are sections of the raw plane; ``overscan_skip_px`` columns next to the image are left
    out. All arrays have the shape of the trimmed image. ``bias``, ``dark`` and their errors are float32, ADU, combined
    from raw (overscan-corrected) frames: the dark still contains the bias. ``dark_ratio`` is the exposure of the frame
    over that of the dark, **1.0 for an exact dark**: then ``bias`` is not subtracted and only serves the Poisson noise.
    ``flat`` is relative response, float32, with its error; ``masks`` are those of the masters. Without
    ``gain_e_per_adu`` the result stays in ADU; without gain or ``read_noise_e`` there is no uncertainty. A raw sample
    at or above ``saturation_adu`` is saturated.
    """

    overscan: Section | None = None
    overscan_skip_px: int = 0
    trim: Section | None = None
    bias: Float32 | None = None
    bias_error: Float32 | None = None
    dark: Float32 | None = None
    dark_error: Float32 | None = None
    dark_ratio: float = 1.0
    flat: Float32 | None = None
    flat_error: Float32 | None = None
    masks: tuple[Mask, ...] = ()
    gain_e_per_adu: float | None = None
    read_noise_e: float | None = None
    saturation_adu: float | None = None

    @property
    def dark_is_scaled(self) -> bool:
        """True if there is a dark and it is scaled to the exposure."""
        return self.dark is not None and self.dark_ratio != 1.0

    @property
    def has_uncertainty(self) -> bool:
        """True if gain and read noise are known."""
        return self.gain_e_per_adu is not None and self.read_noise_e is not None


def image_section(calibration: PlaneCalibration, shape: tuple[int, int]) -> Section:
    """Return the part of a raw plane of that shape that is kept."""
    return calibration.trim or Section(0, shape[0], 0, shape[1])


def check_plane(reader: RowReader, calibration: PlaneCalibration) -> None:
    """Check that sections lie inside the plane and that masters fit the trimmed image.

    Raises
    ------
    ValueError
        If they do not, if a ratio, gain or read noise is out of range, or if a dark is to be scaled together with its
        pedestal: neither a bias nor an overscan is there to tell them apart.
    """
    ny, nx = reader.shape
    for name, section in (("overscan", calibration.overscan), ("trim", calibration.trim)):
        if section is not None and not (0 <= section.y0 < section.y1 <= ny and 0 <= section.x0 < section.x1 <= nx):
            raise ValueError(f"{name} section {section} does not lie inside the plane of {ny} x {nx} pixels")
    shape = image_section(calibration, reader.shape).shape
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
    _check_numbers(calibration)


def _check_numbers(calibration: PlaneCalibration) -> None:
    """Check ratio, gain and read noise."""
    if not (np.isfinite(calibration.dark_ratio) and calibration.dark_ratio >= 0):
        raise ValueError(f"dark_ratio = {calibration.dark_ratio}: must be finite and not negative")
    if calibration.gain_e_per_adu is not None and not 0 < calibration.gain_e_per_adu < np.inf:
        raise ValueError(f"gain_e_per_adu = {calibration.gain_e_per_adu}: must be finite and positive")
    if calibration.read_noise_e is not None and not 0 <= calibration.read_noise_e < np.inf:
        raise ValueError(f"read_noise_e = {calibration.read_noise_e}: must be finite and not negative")
    if calibration.dark_is_scaled and calibration.bias is None and calibration.overscan is None:
        raise ValueError("a dark that contains the bias level cannot be scaled without a bias or an overscan")


class Block:
    """A few rows on their way through the steps: buffers that are made once and used for every block.

    ``frame`` holds the raw values of whole rows, float32, ADU, and is left as it was read; ``signal``, ``variance`` and
    ``scratch`` are float32, ``mask`` uint8, all of the trimmed width. ``level`` is what the overscan says of the bias
    level: one number, or a column with one for each row.

    Parameters
    ----------
    rows : int
        Rows of the largest block.
    frame_width : int
        Columns of the raw plane.
    image : Section
        The part of the raw plane that is kept.
    overscan : Overscan or None
        How the level is found; without it, it is 0.
    """

    def __init__(self, rows: int, frame_width: int, image: Section, overscan: Overscan | None) -> None:
        width = image.x1 - image.x0
        self._frame = np.empty((rows, frame_width), np.float32)
        self._signal, self._variance, self._scratch = np.empty((3, rows, width), np.float32)
        self._mask = np.empty((rows, width), np.uint8)
        self._flags = np.empty((rows, width), np.bool_)
        self._image = image
        self.overscan = overscan
        self.place(0, rows)

    def place(self, first_row: int, rows: int) -> None:
        """Point the block at ``rows`` rows of the trimmed image from ``first_row``."""
        self.first_row = first_row
        self.rows = slice(first_row, first_row + rows)
        self.frame = self._frame[:rows]
        self.raw = self.frame[:, self._image.x0 : self._image.x1]
        self.signal, self.variance, self.scratch = self._signal[:rows], self._variance[:rows], self._scratch[:rows]
        self.mask, self.flags = self._mask[:rows], self._flags[:rows]
        self.level: float | Float32 = 0.0

    def read(self, reader: RowReader) -> None:
        """Fill ``frame`` with the rows that the block points at."""
        reader.read(self._image.y0 + self.first_row, self.frame)
