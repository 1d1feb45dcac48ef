"""Raw rows -> calibrated rows: the ordered table ``STEPS`` and the single pass over a plane that applies it.

A step is one function in ``arithmetic`` and one row here. The order is that of ``ccdproc.ccd_process``: the noise of
the raw signal is taken before anything is subtracted from it, and every later step carries it along. Only a sensor that
is not linear is made so before: counts tell the charge, and with it the noise, no sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.blocks import Float32, Mask, RowReader
from ingestd.pixels.steps import arithmetic
from ingestd.pixels.steps.flats import Cells, EvenedReader, NormalisedFlat, central_level, flat_level, normalise_flat
from ingestd.pixels.steps.illumination import illumination
from ingestd.pixels.steps.overscan import Overscan, measure_overscan
from ingestd.pixels.steps.plane import Amplifier, Band, Block, PlaneCalibration, bands_of, check_plane, image_shape
from ingestd.records import MaskBit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "STEPS",
    "Amplifier",
    "CalibratedReader",
    "Cells",
    "EvenedReader",
    "NormalisedFlat",
    "Overscan",
    "PlaneCalibration",
    "ReducedPlane",
    "StepRow",
    "WriteBlock",
    "central_level",
    "flat_level",
    "illumination",
    "measure_overscan",
    "normalise_flat",
    "reduce_plane",
]

_BLOCK_PX = 1 << 18
"""Pixels of a row block: its buffers and the masters' rows stay in the caches, and calls are few."""

Each = Callable[[Callable[[int], "NDArray[np.int64]"], Iterable[int]], Iterable["NDArray[np.int64]"]]
"""Calls a function with each of several numbers, perhaps at the same time: ``map`` or that of a pool of threads."""

WriteBlock = Callable[[int, Float32, Float32 | None, Mask], None]
"""Receives first row, signal, uncertainty or None, mask; may change the arrays, must not keep them."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One calibration step: its name, whether a calibration takes it, and what it does to a block."""

    name: str
    applies: Callable[[PlaneCalibration], bool]
    apply: Callable[[Block, PlaneCalibration], None]


def takes_overscan(calibration: PlaneCalibration) -> bool:
    """Return whether some amplifier of a plane has an overscan."""
    return any(part.overscan is not None for part in calibration.amplifiers or (calibration,))


STEPS: tuple[StepRow, ...] = (
    StepRow("overscan", takes_overscan, arithmetic.estimate_overscan),
    StepRow("trim", lambda _: True, arithmetic.trim),
    StepRow("nonlinearity", lambda c: c.is_linearised, arithmetic.linearise),
    StepRow("uncertainty", lambda c: c.has_uncertainty, arithmetic.start_uncertainty),
    StepRow("bias", lambda c: c.bias is not None and (c.dark is None or c.dark_is_scaled), arithmetic.subtract_bias),
    StepRow("dark", lambda c: c.dark is not None, arithmetic.subtract_dark),
    StepRow("flat", lambda c: c.flat is not None, arithmetic.divide_by_flat),
    StepRow("gain", lambda c: c.has_gain, arithmetic.convert_to_electrons),
    StepRow("mask", lambda _: True, arithmetic.mark_pixels),
)
"""The steps in the order in which they are applied."""


@dataclass(frozen=True, slots=True)
class ReducedPlane:
    """What the pass over a plane counted, in pixels."""

    pixels: int
    saturated: int
    no_data: int
    masked: int


def reduce_plane(
    reader: RowReader,
    calibration: PlaneCalibration,
    write_block: WriteBlock,
    *,
    parts: int = 1,
    each: Each = map,
    block_px: int = _BLOCK_PX,
) -> ReducedPlane:
    """Calibrate a plane in one pass over blocks of rows and hand each block on.

    Parameters
    ----------
    reader : RowReader
        The raw plane, ADU.
    calibration : PlaneCalibration
        What to apply.
    write_block : callable
        Is given the first row in the trimmed image, the signal (electrons with a gain, else ADU), its standard
        deviation or None, and the mask; arrays of shape (rows, nx). It may change them and must not keep them. Blocks
        come from the first row to the last, with several parts nearly so and from several threads.
    parts : int
        How many take blocks at the same time, each with buffers of its own.
    each : callable
        ``map``, or that of a pool of ``parts`` threads. The result does not depend on either.
    block_px : int
        Pixels in a block. The result does not depend on it.

    Returns
    -------
    ReducedPlane
        Counts over the plane.

    Raises
    ------
    ValueError
        If sections, masters and plane do not fit together (`check_plane`).
    """
    passage = _Passage(reader, calibration)
    spans = iter(passage.spans(0, passage.shape[0], block_px))

    def take(_part: int) -> NDArray[np.int64]:
        """Reduce blocks until none is left, and count their mask bits."""
        counts = np.zeros(4, np.int64)
        for block in passage.blocks(spans):
            uncertainty = np.sqrt(block.variance, out=block.variance) if calibration.has_uncertainty else None
            counts += _count(block.mask)
            write_block(block.first_row, block.signal, uncertainty, block.mask)
        return counts

    return ReducedPlane(*np.sum(list(each(take, range(parts))), axis=0).tolist())


class CalibratedReader:
    """Rows of another reader after overscan, trim, linearity, bias and dark: what masters are combined from.

    Parameters
    ----------
    reader : RowReader
        The raw plane, ADU.
    calibration : PlaneCalibration
        Its flat, gain, read noise, saturation and masks are not used.

    Raises
    ------
    ValueError
        If sections, masters and plane do not fit together.
    """

    is_integer = False
    offset = 0
    dtype: np.dtype[Any] = np.dtype(np.float32)

    def __init__(self, reader: RowReader, calibration: PlaneCalibration) -> None:
        pedestal = replace(
            calibration,
            flat=None,
            flat_error=None,
            masks=(),
            gain_e_per_adu=None,
            read_noise_e=None,
            saturation_adu=None,
            linear_max_adu=None,
            amplifiers=tuple(
                replace(amplifier, gain_e_per_adu=None, read_noise_e=None) for amplifier in calibration.amplifiers
            ),
        )
        self._passage = _Passage(reader, pedestal)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns after trimming."""
        return self._passage.shape

    def read_raw(self, first_row: int, out: NDArray[Any]) -> None:
        """Raise TypeError: calibrated rows are not integers."""
        raise TypeError(f"calibrated rows have no raw samples (rows {first_row} to {first_row + len(out)} asked for)")

    def read(self, first_row: int, out: Float32) -> None:
        """Fill ``out``, shape (rows, nx), float32, with calibrated values in ADU."""
        for block in self._passage.blocks(iter(self._passage.spans(first_row, first_row + len(out), _BLOCK_PX))):
            start = block.first_row - first_row
            out[start : start + len(block.signal)] = block.signal


class _Passage:
    """The steps that a calibration takes, ready to be applied to any rows of a plane."""

    def __init__(self, reader: RowReader, calibration: PlaneCalibration) -> None:
        check_plane(reader, calibration)
        self._reader, self._calibration = reader, calibration
        self._steps = [step.apply for step in STEPS if step.applies(calibration)]
        self._bands = bands_of(reader, calibration)
        self.shape = image_shape(calibration, reader.shape)

    def spans(self, first: int, end: int, block_px: int) -> list[tuple[Band, int, int]]:
        """Divide the rows ``first`` to ``end`` of the trimmed image: band, first row, number of rows of each block."""
        rows = max(1, min(end - first, block_px // self._reader.shape[1]))
        return [
            (band, row, min(rows, min(end, band.end) - row))
            for band in self._bands
            for row in range(max(first, band.first), min(end, band.end), rows)
        ]

    def blocks(self, spans: Iterator[tuple[Band, int, int]]) -> Iterator[Block]:
        """Yield the spans that nobody else has taken, calibrated: one block, used again and again."""
        block = None
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for band, row, rows in spans:
                if block is None or rows > block.capacity:
                    block = Block(rows, self._reader.shape[1], self.shape[1])
                block.place(band, row, rows)
                block.read(self._reader)
                for apply in self._steps:
                    apply(block, self._calibration)
                yield block


def _count(mask: Mask) -> tuple[int, int, int, int]:
    """Return how many pixels there are, and how many are saturated, without data, masked."""
    bits = int(np.bitwise_or.reduce(mask, axis=None))
    saturated, no_data = (
        int(np.count_nonzero(mask & np.uint8(bit))) if bits & bit else 0 for bit in (MaskBit.SATURATED, MaskBit.NO_DATA)
    )
    return mask.size, saturated, no_data, int(np.count_nonzero(mask)) if bits else 0
