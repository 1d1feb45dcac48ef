"""Two arithmetics for one block of samples: exact for integers, float64 where it matters for anything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.combine.clipping import ClipBound, clip_columns
from ingestd.pixels.combine.network import ColumnSorter

if TYPE_CHECKING:
    from ingestd.pixels.blocks import Float32, Float64, RowReader

_BLOCK_SAMPLES = 480_000
"""Samples sorted at a time: of 16 bits, 1 MB. A little over a second-level cache of 1 MiB is still best: it takes fewer
calls, and threads wait less often for each other's turn in the interpreter. With 160 000, two threads gain nothing."""

_MIN_WIDTH, _MAX_WIDTH = 64, 32768

_EXACT_SAMPLES = 1 << 18
"""Samples of doubtful columns clipped at a time: few calls, and a frame of NaN costs time but no memory."""

Count = NDArray[np.uint16]


class Kernel(ABC):
    """Combines blocks of pixels; holds the buffers, so one kernel serves one thread.

    Parameters
    ----------
    count : int
        Frames.
    dtype : numpy dtype
        Type of the samples.
    sigma, iterations, least
        As in ``combine``; least is its ``least_deviation``.
    block_px : int or None
        Pixels in a block; None for what suits the cache.
    """

    def __init__(
        self, count: int, dtype: np.dtype[Any], sigma: float, iterations: int, block_px: int | None, least: float
    ) -> None:
        width = block_px or min(_MAX_WIDTH, _BLOCK_SAMPLES // count)
        self._sorter = ColumnSorter(count, max(_MIN_WIDTH, width), dtype)
        self._sigma, self._iterations, self._least = sigma, iterations, least
        self._slab = np.empty((0,), dtype)

    @property
    def samples(self) -> NDArray[Any]:
        """The samples to be sorted, shape (frames, pixels of a block)."""
        return self._sorter.samples

    def slab(self, pixels: int) -> NDArray[Any]:
        """Return a buffer for that many pixels of every frame, shape (frames, pixels); overwritten by the next."""
        count = len(self.samples)
        if self._slab.size < count * pixels:
            self._slab = np.empty(count * pixels, self.samples.dtype)
        return self._slab[: count * pixels].reshape(count, pixels)

    @abstractmethod
    def read(self, reader: RowReader, first_row: int, out: NDArray[Any]) -> None:
        """Fill ``out``, shape (rows, nx), with samples of one frame."""

    def combine(self, slab: NDArray[Any], mean: Float32, error: Float32, count: Count) -> None:
        """Fill mean, standard error and count, shape (pixels,), from samples of shape (frames, pixels)."""
        frames, pixels = slab.shape
        width = self.samples.shape[1]
        doubtful = np.empty(pixels, np.bool_)
        for start in range(0, pixels, width):
            some = slice(start, min(start + width, pixels))
            self._combine_block(slab[:, some], mean[some], error[some], doubtful[some])
        count[:] = frames
        places = np.flatnonzero(doubtful)
        columns = _EXACT_SAMPLES // frames
        for start in range(0, len(places), columns):
            at = places[start : start + columns]
            self._combine_exactly(self._exact(slab[:, at]), mean, error, count, at)

    @abstractmethod
    def _combine_block(self, block: NDArray[Any], mean: Float32, error: Float32, doubtful: NDArray[np.bool_]) -> None:
        """Fill mean and error of complete columns, and which columns must be looked at exactly."""

    @abstractmethod
    def _exact(self, samples: NDArray[Any]) -> Float64:
        """Return samples as the physical values, times their scales, that the clipping rule speaks of."""

    def _combine_exactly(self, samples: Float64, mean: Float32, error: Float32, count: Count, at: NDArray[Any]) -> None:
        """Clip the columns of ``samples`` by the exact rule; their results go to the places ``at``."""
        kept = clip_columns(samples, self._sigma, self._iterations, self._least)
        number = kept.sum(axis=0)
        divisor = np.where(number > 0, number, np.nan)
        average = np.where(kept, samples, 0.0).sum(axis=0) / divisor
        squares = (np.where(kept, samples - average, 0.0) ** 2).sum(axis=0)
        mean[at] = average
        error[at] = np.sqrt(squares / np.where(number > 1, number - 1, np.nan) / divisor)
        count[at] = number


class IntegerKernel(Kernel):
    """Raw integers of equal offset: nothing is rounded before the division by the count.

    Parameters
    ----------
    count, dtype, sigma, iterations, block_px, least
        As for `Kernel`; ``dtype`` is uint8, int16 or int32.
    offset : int
        Value of a raw sample of zero.
    """

    def __init__(
        self,
        count: int,
        dtype: np.dtype[Any],
        sigma: float,
        iterations: int,
        block_px: int | None,
        least: float,
        *,
        offset: int,
    ) -> None:
        super().__init__(count, dtype, sigma, iterations, block_px, least)
        width = self.samples.shape[1]
        # 24 bits hold the sum of 256 differences of 16-bit samples, 53 bits that of 2 million of 32-bit samples.
        work = np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)  # noqa: PLR2004 - bytes of 16 bits
        self._offset = offset
        self._differences = np.zeros((count, width), work)
        self._middle, self._sum, self._squares = np.zeros((3, width), work)
        self._total = np.zeros(width)
        self._bound = ClipBound(count, width, work, sigma, least)

    def read(self, reader: RowReader, first_row: int, out: NDArray[Any]) -> None:
        """Fill ``out`` with raw samples."""
        reader.read_raw(first_row, out)

    def _combine_block(self, block: NDArray[Any], mean: Float32, error: Float32, doubtful: NDArray[np.bool_]) -> None:
        """Sort, bound and add up; the sum is exact."""
        frames, pixels = block.shape
        self.samples[:, :pixels] = block
        differences = self._differences
        np.copyto(differences, self._sorter.sort())
        np.copyto(self._middle, differences[(frames - 1) // 2])
        np.subtract(differences, self._middle, out=differences)
        np.add.reduce(differences, axis=0, out=self._sum)
        doubtful[:] = self._bound.doubtful(differences)[:pixels]
        self._write_mean(frames, mean)
        _write_error(differences, self._sum, self._squares, error)

    def _exact(self, samples: NDArray[Any]) -> Float64:
        """Return the values of raw samples."""
        return samples.astype(np.float64) + self._offset

    def _write_mean(self, frames: int, mean: Float32) -> None:
        """Fill the mean of complete columns: an exact sum divided once, in float64."""
        total = self._total
        np.add(self._middle, self._offset, out=total, dtype=np.float64)
        np.multiply(total, frames, out=total)
        np.add(total, self._sum, out=total)
        np.divide(total, frames, out=total)
        mean[:] = total[: len(mean)]


class FloatKernel(Kernel):
    """Float32 samples, each frame with a factor; sums and decisions are made in float64 from the unrounded products.

    Parameters
    ----------
    scales : ndarray, shape (frames,), float64
        Factor of each frame.
    sigma, iterations, block_px, least
        As for `Kernel`.
    """

    def __init__(self, scales: Float64, sigma: float, iterations: int, block_px: int | None, least: float) -> None:
        dtype = np.dtype(np.float32)
        super().__init__(len(scales), dtype, sigma, iterations, block_px, least)
        width = self.samples.shape[1]
        self._scales = scales[:, np.newaxis]
        self._narrow_scales = self._scales.astype(np.float32)
        self._middle, self._sum, self._squares, self._rounding = np.zeros((4, width), dtype)
        self._total, self._term = np.zeros((2, width))
        self._bound = ClipBound(len(scales), width, dtype, sigma, least)

    def read(self, reader: RowReader, first_row: int, out: NDArray[Any]) -> None:
        """Fill ``out`` with physical values."""
        reader.read(first_row, out)

    def _combine_block(self, block: NDArray[Any], mean: Float32, error: Float32, doubtful: NDArray[np.bool_]) -> None:
        """Sort and bound in float32, with a margin for its rounding; add up in float64."""
        frames, pixels = block.shape
        with np.errstate(invalid="ignore", over="ignore"):
            np.multiply(block, self._narrow_scales, out=self.samples[:, :pixels])
            differences = self._sorter.sort()
            self._estimate_rounding(differences)
            np.copyto(self._middle, differences[(frames - 1) // 2])
            np.subtract(differences, self._middle, out=differences)
            np.add.reduce(differences, axis=0, out=self._sum)
            doubtful[:] = self._bound.doubtful(differences, self._rounding)[:pixels]
            total = self._add_up(block)
            np.logical_or(doubtful, ~np.isfinite(total), out=doubtful)
            _write_error(differences, self._sum, self._squares, error)
            np.divide(total, frames, out=total)
            mean[:] = total

    def _exact(self, samples: NDArray[Any]) -> Float64:
        """Return the values times their scales, without rounding."""
        exact: Float64 = samples * self._scales
        return exact

    def _estimate_rounding(self, ordered: Float32) -> None:
        """Bound the rounding of a difference of scaled samples: factor, product and difference, 2**-24 each, twice."""
        np.maximum(np.abs(ordered[0]), np.abs(ordered[-1]), out=self._rounding)
        np.multiply(self._rounding, np.float32(2.0**-21), out=self._rounding)

    def _add_up(self, block: Float32) -> Float64:
        """Return the sum of the scaled samples of every column, frame by frame in float64."""
        total, term = (array[: block.shape[1]] for array in (self._total, self._term))
        total[:] = 0.0
        for samples, scale in zip(block, self._scales[:, 0], strict=True):
            np.copyto(term, samples)
            if scale != 1.0:
                np.multiply(term, scale, out=term)
            np.add(total, term, out=total)
        return total


def _write_error(differences: NDArray[Any], total: NDArray[Any], squares: NDArray[Any], error: Float32) -> None:
    """Fill the standard error of complete columns; ``differences`` are squared in place, ``total`` is their sum.

    The differences are taken from the median, so the shifted sum of squares loses nothing to cancellation.
    """
    frames = len(differences)
    np.multiply(differences, differences, out=differences)
    np.add.reduce(differences, axis=0, out=squares)
    np.multiply(total, total, out=total)
    np.divide(total, frames, out=total)
    np.subtract(squares, total, out=squares)
    np.maximum(squares, 0, out=squares)
    np.divide(squares, frames * (frames - 1), out=squares)
    np.sqrt(squares, out=squares)
    error[:] = squares[: len(error)]
