"""Two flats of one sensor joined: the pixels of the dome, the light of the sky.

A lamp shows every pixel with little noise, but a screen is not as even as the sky; twilight is even, but short and full
of stars. The dome flat times the smooth part of twilight over dome is both (CCD Data Reduction Guide).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import legendre

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ingestd.pixels.blocks import Float32, Float64

_BOXES = 32
_SMALLEST_BOX_PX = 8
_DEGREE = 3
_BEYOND = 0.25


def illumination(dome: Float32, twilight: Float32, good: NDArray[np.bool_]) -> Float32:
    """Return the smooth part of twilight over dome: what the dome flat is to be multiplied by.

    Parameters
    ----------
    dome, twilight : ndarray, shape (ny, nx), float32
        Master flats of one filter.
    good : ndarray of bool, shape (ny, nx)
        Pixels that are neither dead nor clipped in either.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        A polynomial of degree 3 in both axes together (10 terms).

    Raises
    ------
    ValueError
        If no box of pixels is good.

    Notes
    -----
    Fitted to the medians of the ratio in at most 32 x 32 boxes, each of at least 8 x 8 pixels; a box counts if half of
    its pixels are good. Stars that were not clipped and dust that moved are a small part of a box. Where there is
    nothing to fit to, in dark corners, the polynomial may go a quarter of the range of the medians beyond them.
    """
    places, medians = _box_medians(dome, twilight, good)
    terms = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    matrix = np.stack(
        [_legendre(i, places[:, 0]) * _legendre(j, places[:, 1]) for i, j in terms],
        axis=1,
    )
    found, *_ = np.linalg.lstsq(matrix, medians, rcond=None)
    coefficients = np.zeros((_DEGREE + 1, _DEGREE + 1))
    for (i, j), value in zip(terms, found, strict=True):
        coefficients[i, j] = value
    reach = _BEYOND * float(np.ptp(medians))
    smooth = _evaluated(coefficients, dome.shape)
    return np.clip(smooth, medians.min() - reach, medians.max() + reach, out=smooth)


def _box_medians(dome: Float32, twilight: Float32, good: NDArray[np.bool_]) -> tuple[Float64, Float64]:
    """Return the centres of the boxes that count, rows and columns from -1 to 1, and the medians of the ratio there."""
    rows, columns = (
        np.linspace(0, size, max(1, min(_BOXES, size // _SMALLEST_BOX_PX)) + 1, dtype=int) for size in dome.shape
    )
    places, medians = [], []
    for y0, y1 in itertools.pairwise(rows.tolist()):
        for x0, x1 in itertools.pairwise(columns.tolist()):
            box = slice(y0, y1), slice(x0, x1)
            chosen = good[box]
            if 2 * np.count_nonzero(chosen) < chosen.size:
                continue
            centre = (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2
            places.append([_unit(at, size) for at, size in zip(centre, dome.shape, strict=True)])
            medians.append(float(np.median(twilight[box][chosen] / dome[box][chosen])))
    if not medians:
        raise ValueError("dome and twilight flats have no part in common where both are good")
    return np.array(places), np.array(medians)


def _evaluated(coefficients: Float64, shape: tuple[int, ...]) -> Float32:
    """Return the polynomial at every pixel, row by row."""
    ny, nx = shape
    columns = np.array([_legendre(j, _unit(np.arange(nx), nx)) for j in range(_DEGREE + 1)])
    rows = np.array([_legendre(i, _unit(np.arange(ny), ny)) for i in range(_DEGREE + 1)])
    image = np.empty((ny, nx), np.float32)
    for y in range(ny):
        across = [sum(rows[i, y] * coefficients[i, j] for i in range(_DEGREE + 1)) for j in range(_DEGREE + 1)]
        image[y] = sum(value * column for value, column in zip(across, columns, strict=True))
    return image


def _unit(at: ArrayLike, size: int) -> Float64:
    """Return where pixels lie between the centres of the first and the last, from -1 to 1."""
    places: Float64 = 2 * np.asarray(at, np.float64) / max(size - 1, 1) - 1
    return places


def _legendre(degree: int, at: Float64) -> Float64:
    """Return a Legendre polynomial."""
    return np.asarray(legendre.legval(at, [0] * degree + [1]), np.float64)
