"""Stars in the middle of a reduced frame: how many sources there are, how wide and how round their images are.

Sources are found by sep (Barbary 2016, after Bertin & Arnouts' SExtractor). It is imported when the first frame needs
it: only workers pay for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.quality.histogram import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Float64 = NDArray[np.float64]

_SIDE_PX = 1024
_MESH_PX = 128
_OPEN_PX = 1 << 18
"""Pixels of sources that sep has in hand at once, enough but for a field full of light; room for all takes 15 ms."""

_DETECT_SIGMA = 5.0
_FEWEST_PX = 5
_DEBLEND_LEVELS = 8
_STAR_SIGNAL_TO_NOISE = 30.0
_MOST_STARS = 100
_FEWEST_STARS = 5
_ROUNDS = 16
_STAMP_SIGMAS = 4.0
_SMALLEST_REACH_PX, _LARGEST_REACH_PX = 5, 25
_CORE_PX = 3
_PIXEL_VARIANCE = 1.0 / 12.0
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_MEDIAN_ERROR = 1.2533
_MAD_TO_SIGMA = 1.482602218505602


@dataclass(frozen=True, slots=True)
class Stars:
    """Number of sources, width and ellipticity of the stars among them; None where fewer than 5 can be measured."""

    sources: int
    fwhm_px: Estimate | None
    ellipticity: Estimate | None


class StarField:
    """The middle of a reduced plane, 1024 x 1024 pixels at most, collected while its row blocks pass by.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the plane.
    is_mosaic : bool
        Rows and columns take turns in colour (Bayer): squares of 2 x 2 pixels are measured together.

    Notes
    -----
    Blocks of disjoint rows may be added by several threads.
    """

    def __init__(self, shape: tuple[int, int], *, is_mosaic: bool = False) -> None:
        self._y0, self._x0 = (max(length - _SIDE_PX, 0) // 2 for length in shape)
        size = min(shape[0], _SIDE_PX), min(shape[1], _SIDE_PX)
        self._signal, self._mask = np.zeros(size, np.float32), np.ones(size, np.bool_)
        self._is_mosaic = is_mosaic
        self._stars: Stars | None = None

    def add(self, first_row: int, rows: NDArray[Any], mask: NDArray[Any]) -> None:
        """Collect a block of whole rows from ``first_row`` on; ``mask`` is not 0 at bad pixels."""
        ny, nx = self._signal.shape
        start, end = max(first_row, self._y0), min(first_row + len(rows), self._y0 + ny)
        if start < end:
            self._stars = None
            theirs = slice(start - first_row, end - first_row), slice(self._x0, self._x0 + nx)
            ours = slice(start - self._y0, end - self._y0)
            self._signal[ours], self._mask[ours] = rows[theirs], mask[theirs] != 0

    def stars(self) -> Stars:
        """Return what was found.

        Raises
        ------
        ValueError
            If there is no good pixel, no noise, or too much for sep.
        """
        if self._stars is None:
            signal, mask, step = self._signal, self._mask | ~np.isfinite(self._signal), 1
            if self._is_mosaic:
                mask, step = np.any(_squares(mask), axis=(1, 3)), 2
                with np.errstate(invalid="ignore", over="ignore"):
                    signal = _squares(signal).mean(axis=(1, 3))
                mask |= ~np.isfinite(signal)
            self._stars = _measure(np.where(mask, np.float32(0.0), signal), np.asarray(mask), step)
        return self._stars


def detected_sources(field: StarField) -> Estimate:
    """Return the number of sources in the middle of a frame (a count, no error).

    Raises
    ------
    ValueError
        As `StarField.stars`.

    Notes
    -----
    Groups of 5 or more pixels that are 5 sigma above the local background once smoothed, blends divided at 8 levels.
    Cosmic rays of that size count unless they are masked.
    """
    return Estimate(float(field.stars().sources), None)


def fwhm_px(field: StarField) -> Estimate:
    """Return the full width at half maximum of the stars, pixels.

    Raises
    ------
    ValueError
        As `StarField.stars`, or if there are fewer than 5 stars.

    Notes
    -----
    Median over up to 100 of the brightest isolated stars (signal-to-noise 30 and more) of 2.3548 det(M - 1/12)^(1/4),
    with the adaptive second moments M under the elliptical Gaussian that matches the star (Bernstein & Jarvis 2002, AJ
    123, 583), less the variance 1/12 of a pixel: the width before pixels sampled it. Without bias for Gaussian stars
    from 2 px up; below that it depends on where on a pixel a star falls (1.3 px come out as 1.4 to 1.5). Of a Moffat
    profile it is the width of the Gaussian that fits best.
    """
    return _known(field.stars().fwhm_px)


def ellipticity_ratio(field: StarField) -> Estimate:
    """Return the ellipticity 1 - b/a that the stars have in common: tracking, tilt, wind.

    Raises
    ------
    ValueError
        As `fwhm_px`.

    Notes
    -----
    From the medians over the stars of (Mxx - Myy) / (Mxx + Myy) and 2 Mxy / (Mxx + Myy), so stars that are elongated in
    unlike directions (noise, coma) cancel; the squared error of the medians is taken from the sum of their squares.
    Round stars have some of its error: it cannot be negative.
    """
    return _known(field.stars().ellipticity)


def _known(estimate: Estimate | None) -> Estimate:
    """Return a figure that was measured."""
    if estimate is None:
        raise ValueError(f"fewer than {_FEWEST_STARS} stars to measure")
    return estimate


def _squares(plane: NDArray[Any]) -> NDArray[Any]:
    """Return squares of 2 x 2 pixels, shape (ny / 2, 2, nx / 2, 2)."""
    ny, nx = plane.shape[0] // 2, plane.shape[1] // 2
    return plane[: 2 * ny, : 2 * nx].reshape(ny, 2, nx, 2)


def _measure(signal: Float32, mask: NDArray[np.bool_], step: int) -> Stars:
    """Return the stars of an image whose pixels are ``step`` pixels of the frame wide."""
    import sep  # noqa: PLC0415 - 25 ms and 5 MB that only a worker needs

    good = signal[~mask]
    if not good.size or good.min() == good.max():
        raise ValueError("no image to find stars on")
    try:
        background = sep.Background(signal, mask=mask, bw=_MESH_PX, bh=_MESH_PX)
        background.subfrom(signal)
        noise = float(background.globalrms)
        found = _sources(signal, mask, noise)
    except Exception as error:
        # sep raises nothing finer: a field too crowded for its buffers, an image smaller than its kernel
        raise ValueError(f"no stars: {error}") from error
    signal[mask] = 0.0
    moments = _moments(signal, mask, found, noise)
    if len(moments) < _FEWEST_STARS:
        return Stars(len(found), None, None)
    return Stars(len(found), _width(moments).scaled(step), _common_ellipticity(moments))


def _sources(signal: Float32, mask: NDArray[np.bool_], noise: float) -> NDArray[Any]:
    """Return sep's table of the sources above a background of 0."""
    import sep  # noqa: PLC0415

    def extracted() -> NDArray[Any]:
        """Return what sep finds with the room that it has."""
        found: NDArray[Any] = sep.extract(
            signal, _DETECT_SIGMA * noise, mask=mask, minarea=_FEWEST_PX, deblend_nthresh=_DEBLEND_LEVELS
        )
        return found

    sep.set_extract_pixstack(_OPEN_PX)
    try:
        return extracted()
    except Exception:
        if signal.size <= _OPEN_PX:
            raise
        sep.set_extract_pixstack(signal.size)
        return extracted()


def _moments(signal: Float32, mask: NDArray[np.bool_], found: NDArray[Any], noise: float) -> Float64:
    """Return the moments (xx, yy, xy) of the stars, without the variance of a pixel, shape (stars, 3)."""
    ratio = found["flux"] / (noise * np.sqrt(np.maximum(found["npix"], 1)))
    bright = (found["flag"] == 0) & (ratio >= _STAR_SIGNAL_TO_NOISE)
    if not bright.any():
        return np.empty((0, 3))
    size = float(np.median(found["a"][bright]))
    reach = min(max(math.ceil(_STAMP_SIGMAS * size), _SMALLEST_REACH_PX), _LARGEST_REACH_PX)
    x, y = found["x"], found["y"]
    ny, nx = signal.shape
    inside = (x >= reach) & (x < nx - reach - 1) & (y >= reach) & (y < ny - reach - 1)
    chosen = np.flatnonzero(bright & inside)
    chosen = chosen[np.argsort(-found["flux"][chosen], kind="stable")][: 2 * _MOST_STARS]
    apart = np.hypot(x[chosen, np.newaxis] - x, y[chosen, np.newaxis] - y)
    chosen = chosen[np.count_nonzero(apart < 2 * reach, axis=1) == 1]
    chosen = chosen[[not _core(mask, y[i], x[i]).any() for i in chosen]][:_MOST_STARS]
    if not chosen.size:
        return np.empty((0, 3))
    rows, columns = np.rint(y[chosen]).astype(int), np.rint(x[chosen]).astype(int)
    offsets = np.arange(-reach, reach + 1)
    stamps = signal[
        rows[:, np.newaxis, np.newaxis] + offsets[:, np.newaxis], columns[:, np.newaxis, np.newaxis] + offsets
    ].astype(np.float64)
    centres = np.stack([x[chosen] - columns, y[chosen] - rows], axis=1)
    start = np.stack([found["x2"][chosen], found["y2"][chosen], found["xy"][chosen]], axis=1)
    return _adapted(stamps, offsets.astype(np.float64), centres, start)


def _core(mask: NDArray[np.bool_], y: float, x: float) -> NDArray[np.bool_]:
    """Return the mask around a place."""
    row, column = round(y), round(x)
    return mask[row - _CORE_PX : row + _CORE_PX + 1, column - _CORE_PX : column + _CORE_PX + 1]


def _adapted(stamps: Float64, offsets: Float64, centres: Float64, start: Float64) -> Float64:
    """Return the adaptive moments of stamps, shape (stars, side, side), of those for which they converge."""
    moments, centre = start.copy(), centres.copy()
    with np.errstate(all="ignore"):
        for _ in range(_ROUNDS):
            dx = offsets - centre[:, 0, np.newaxis, np.newaxis]
            dy = offsets[:, np.newaxis] - centre[:, 1, np.newaxis, np.newaxis]
            xx, yy, xy = (moments[:, i, np.newaxis, np.newaxis] for i in range(3))
            weight = np.exp(-0.5 * (yy * dx * dx + xx * dy * dy - 2.0 * xy * dx * dy) / (xx * yy - xy * xy)) * stamps
            total = weight.sum(axis=(1, 2))
            shift = np.stack([(weight * dx).sum(axis=(1, 2)), (weight * dy).sum(axis=(1, 2))], axis=1)
            squares = [(weight * product).sum(axis=(1, 2)) for product in (dx * dx, dy * dy, dx * dy)]
            centre = centre + 2.0 * shift / total[:, np.newaxis]
            moments = 2.0 * np.stack(squares, axis=1) / total[:, np.newaxis]
        moments[:, :2] -= _PIXEL_VARIANCE
        good = np.isfinite(moments).all(axis=1) & (moments[:, :2] > 0).all(axis=1)
        good &= (moments[:, 0] * moments[:, 1] > moments[:, 2] ** 2) & (np.abs(centre - centres).max(axis=1) < 1.0)
    found: Float64 = moments[good]
    return found


def _width(moments: Float64) -> Estimate:
    """Return the median width of stars."""
    return _median(_FWHM_PER_SIGMA * (moments[:, 0] * moments[:, 1] - moments[:, 2] ** 2) ** 0.25)


def _common_ellipticity(moments: Float64) -> Estimate:
    """Return the ellipticity of the median shape of stars."""
    total = moments[:, 0] + moments[:, 1]
    first = _median((moments[:, 0] - moments[:, 1]) / total)
    second = _median(2.0 * moments[:, 2] / total)
    variance = (first.error or 0.0) ** 2 + (second.error or 0.0) ** 2
    shape = math.sqrt(max(first.value**2 + second.value**2 - variance, 0.0))
    error = math.sqrt(0.5 * variance)
    return Estimate(1.0 - math.sqrt((1.0 - shape) / (1.0 + shape)), error / ((1.0 + shape) * math.sqrt(1.0 - shape**2)))


def _median(values: Float64) -> Estimate:
    """Return the median of values and its error for Gaussian scatter."""
    centre = float(np.median(values))
    scatter = _MAD_TO_SIGMA * float(np.median(np.abs(values - centre)))
    return Estimate(centre, _MEDIAN_ERROR * scatter / math.sqrt(len(values)))
