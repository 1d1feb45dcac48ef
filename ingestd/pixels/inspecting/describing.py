"""One image in numbers: levels, scatter, extremes and where they are, histogram against a Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.quality import frame_noise_adu, histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestd.pixels.quality import Histogram

_REACH_SIGMA = 5.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A pixel: its value, ADU, and its place, zero-based (row, column) as numpy counts."""

    value: float
    y: int
    x: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: pixels with ``low`` <= value < ``high``, and how many a Gaussian would have there."""

    low: float
    high: float
    pixels: int
    gaussian: float


@dataclass(frozen=True, slots=True)
class Description:
    """An image in numbers, ADU.

    Attributes
    ----------
    pixels, unusable : int
        Finite ones, and the others, which are left out of all figures.
    mean, median, deviation : float
        Plain, over all finite pixels; the deviation has the divisor n.
    mad_deviation : float
        1.4826 times the median absolute deviation, resolved below the step of the converter.
    clipped_mean, clipped_deviation, clipped_away : float, float, int
        Within 5 standard deviations, until nothing changes.
    noise : float or None
        Of one pixel, from differences of vertical neighbours; None for a single row. Structure is not in it.
    lowest, highest : Spot
        The first of them where several share the value.
    brightest : tuple of Spot
        The brightest pixels, in descending order.
    bars : tuple of Bar
        The values within 5 clipped standard deviations of the clipped mean.
    """

    pixels: int
    unusable: int
    mean: float
    median: float
    deviation: float
    mad_deviation: float
    clipped_mean: float
    clipped_deviation: float
    clipped_away: int
    noise: float | None
    lowest: Spot
    highest: Spot
    brightest: tuple[Spot, ...]
    bars: tuple[Bar, ...]


def describe(image: NDArray[Any], *, brightest: int = 5, number: int = 20) -> Description:
    """Return an image in numbers.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integers or floats, ADU
    brightest : int
        How many of the brightest pixels are named.
    number : int
        How many bars the histogram has at most.

    Raises
    ------
    ValueError
        If no pixel is finite.
    """
    finite = image[np.isfinite(image)] if image.dtype.kind == "f" else image.reshape(-1)
    if not finite.size:
        raise ValueError("no finite pixel to measure")
    counted = histogram(finite)
    centre, sigma, kept = counted.clipped()
    order = _brightest(image, max(brightest, 1))
    return Description(
        pixels=int(finite.size),
        unusable=int(image.size - finite.size),
        mean=float(finite.mean(dtype=np.float64)),
        median=float(np.median(finite.astype(np.float64))),
        deviation=float(finite.std(dtype=np.float64)),
        mad_deviation=counted.mad_std(),
        clipped_mean=centre,
        clipped_deviation=sigma,
        clipped_away=int(finite.size) - kept,
        noise=neighbour_noise(image),
        lowest=_spot(image, _lowest(image)),
        highest=_spot(image, order[0]),
        brightest=tuple(_spot(image, place) for place in order[:brightest]),
        bars=bars(counted, centre, sigma, number=number),
    )


def bars(counted: Histogram, centre: float, sigma: float, *, number: int) -> tuple[Bar, ...]:
    """Return the histogram within 5 sigma of a centre, with the Gaussian of the same number of pixels.

    Bars of integers are a whole number of ADU wide, so that each holds as many of the values that can occur.
    """
    if not sigma > 0:
        return (Bar(centre - 0.5, centre + 0.5, counted.total, float(counted.total)),)
    width = 2.0 * _REACH_SIGMA * sigma / number
    if counted.is_exact:
        step = counted.converter_step() or 1.0
        width = max(math.ceil(width / step), 1) * step
        first = step * round((centre - _REACH_SIGMA * sigma) / step) - 0.5 * step
    else:
        first = centre - _REACH_SIGMA * sigma
    edges = first + width * np.arange(math.ceil(2.0 * _REACH_SIGMA * sigma / width) + 1)
    values, counts = counted.filled()
    inside, _ = np.histogram(values, edges, weights=counts)
    below = np.array([0.5 * math.erfc((centre - edge) / (sigma * math.sqrt(2.0))) for edge in edges])
    expected = np.diff(below) * counted.total
    return tuple(
        Bar(float(low), float(high), int(pixels), float(gaussian))
        for low, high, pixels, gaussian in zip(edges[:-1], edges[1:], inside, expected, strict=True)
    )


def neighbour_noise(image: NDArray[Any]) -> float | None:
    """Return the noise of one pixel from vertical neighbours, or None without any pair."""
    try:
        return frame_noise_adu(image).value
    except ValueError:
        return None


def _lowest(image: NDArray[Any]) -> int:
    """Return the flat place of the lowest pixel that has a value."""
    return int(np.argmin(image if image.dtype.kind != "f" else np.where(np.isfinite(image), image, np.inf)))


def _brightest(image: NDArray[Any], number: int) -> list[int]:
    """Return the flat places of the brightest pixels, the brightest first; equal ones in the order of the file."""
    flat = image.reshape(-1)
    places = np.arange(flat.size)
    if flat.dtype.kind == "f":
        places = np.flatnonzero(np.isfinite(flat))
    if number < places.size:
        edge = np.partition(flat[places], places.size - number)[places.size - number]
        places = places[flat[places] >= edge]
    order = np.argsort(-flat[places].astype(np.float64), kind="stable")
    return [int(place) for place in places[order[:number]]]


def _spot(image: NDArray[Any], place: int) -> Spot:
    """Return the pixel at a flat place."""
    y, x = divmod(place, image.shape[1])
    return Spot(float(image[y, x]), y, x)
