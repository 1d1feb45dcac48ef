"""Frames of one kind together: mean and scatter of each pixel, read noise, dark rate and gain each way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingestd.doors import fitsfile
from ingestd.doors.fitsfile import HduSpec, ProductWriter
from ingestd.jobs.inspecting.reading import LookedFrame, Request, cut
from ingestd.pixels import quality
from ingestd.pixels.inspecting import Description, GainWays, NoiseWays, Stack, describe, gain_ways, noise_ways
from ingestd.pixels.quality import Estimate
from ingestd.records import Kind, Plane, Section

_T = TypeVar("_T")
_MOST_SAMPLED = 50
"""Frames whose rows are kept for noise and gain: more cost memory and tell nothing new."""


@dataclass(slots=True)
class FrameSet:
    """Frames of one kind and shape (darks: and exposure; flats: and filter), put together while they pass by.

    ``frames`` are their positions in what was looked at; by plane, ``areas`` is what is measured, ``stacks`` are of
    whole planes, and ``samples`` some rows of the area of the first frames. ``is_boxed`` is True for an area that was
    named.
    """

    kind: Kind
    exposure_s: float | None
    filter_name: str | None
    planes: tuple[Plane, ...]
    areas: tuple[Section, ...]
    is_boxed: bool
    frames: list[int] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    samples: list[list[NDArray[Any]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DarkRates:
    """Dark rate of mean image minus mean bias image, ADU/s, the exposure of the bias counting as 0.

    ``in_bias_adu`` is what a bias of its exposure collects all the same: the rates are low by that over the exposure.
    """

    median: Estimate
    mean: Estimate
    clipped_mean: float
    bias_exposure_s: float
    in_bias_adu: float


@dataclass(frozen=True, slots=True)
class PlaneFigures:
    """One plane of a set: mean image and image of standard deviations in numbers, and what its kind allows.

    ``missing`` says why something is not there.
    """

    plane: int
    mean: Description | None
    deviation: Description | None
    noise: NoiseWays | None
    dark: DarkRates | None
    gain: Estimate | None
    gain_by_hand: GainWays | None
    missing: tuple[str, ...]


class Sets:
    """Puts frames together, one after the other; the frames themselves are not kept."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._sets: dict[object, FrameSet] = {}
        self._seen = 0

    def add(self, frame: LookedFrame) -> None:
        """Add a frame to its set."""
        record = frame.record
        exposure_s = record.exposure_s if record.kind is Kind.DARK else None
        filter_name = record.filter_name if record.kind is Kind.FLAT else None
        areas = tuple(self._area(plane) for plane in record.planes)
        key = (
            record.kind,
            exposure_s,
            filter_name,
            tuple((plane.index, plane.shape) for plane in record.planes),
            areas,
        )
        if key not in self._sets:
            boxed = self._request.box is not None
            self._sets[key] = FrameSet(record.kind, record.exposure_s, filter_name, record.planes, areas, boxed)
            self._sets[key].stacks = [Stack() for _ in areas]
            self._sets[key].samples = [[] for _ in areas]
        own = self._sets[key]
        for stack, samples, area, image in zip(own.stacks, own.samples, areas, frame.images, strict=True):
            stack.add(image)
            if len(samples) < _MOST_SAMPLED:
                samples.append(_rows(image, area))
        own.frames.append(self._seen)
        self._seen += 1

    def all(self) -> list[FrameSet]:
        """Return the sets, in the order of their first frames."""
        return list(self._sets.values())

    def _area(self, plane: Plane) -> Section:
        """Return what is measured of a plane: the box, else the image without overscan."""
        return self._request.box or plane.trim or Section(0, plane.shape[0], 0, plane.shape[1])


def measure_set(own: FrameSet, sets: Sequence[FrameSet], brightest: int) -> list[PlaneFigures]:
    """Return the figures of each plane of a set; biases for darks and flats are those of the same shape in ``sets``."""
    shapes = [plane.shape for plane in own.planes]
    biases = (it for it in sets if it.kind is Kind.BIAS and [plane.shape for plane in it.planes] == shapes)
    bias = next(biases, None)
    return [_measure_plane(own, bias, index, brightest) for index in range(len(own.planes))]


def _measure_plane(own: FrameSet, bias: FrameSet | None, index: int, brightest: int) -> PlaneFigures:
    """Return the figures of one plane."""
    missing: list[str] = []
    stack, area = own.stacks[index], own.areas[index]
    mean = _tried("mean image", missing, lambda: describe(cut(stack.mean(), area), brightest=brightest))
    deviation = noise = None
    if stack.count > 1:
        deviation = _tried("std image", missing, lambda: describe(cut(stack.deviation(), area), brightest=brightest))
    if stack.count > 1 and own.kind in (Kind.BIAS, Kind.DARK):
        noise = _tried("noise of one pixel", missing, lambda: noise_ways(own.samples[index]))
    dark = _dark_rates(own, bias, index, missing) if own.kind is Kind.DARK else None
    gain, by_hand = _gains(own, bias, index, missing) if own.kind is Kind.FLAT else (None, None)
    return PlaneFigures(own.planes[index].index, mean, deviation, noise, dark, gain, by_hand, tuple(missing))


def _tried(what: str, missing: list[str], measure: Callable[[], _T]) -> _T | None:
    """Return what can be measured, else None, with the reason in ``missing``."""
    try:
        return measure()
    except ValueError as error:
        missing.append(f"no {what}: {error}")
        return None


def _dark_rates(own: FrameSet, bias: FrameSet | None, index: int, missing: list[str]) -> DarkRates | None:
    """Return the dark rate each way, if there are biases and an exposure."""
    if bias is None or not own.exposure_s:
        missing.append("no dark rate: name biases of the same size beside the darks, or with --bias")
        return None
    dark, pedestal = (cut(it.stacks[index].mean(), own.areas[index]) for it in (own, bias))
    exposure_s, short_s = own.exposure_s, bias.exposure_s or 0.0

    def measured() -> DarkRates:
        """Return the rates of both medians, both means and the clipped mean."""
        median = quality.dark_rate_adu_per_second(dark, pedestal, exposure_s)
        mean = quality.dark_rate_mean_adu_per_second(dark, pedestal, exposure_s)
        clipped, _, _ = quality.dark_signal(dark, pedestal).counted.clipped()
        return DarkRates(median, mean, clipped / exposure_s, short_s, median.value * short_s)

    return _tried("dark rate", missing, measured)


def _gains(
    own: FrameSet, bias: FrameSet | None, index: int, missing: list[str]
) -> tuple[Estimate | None, GainWays | None]:
    """Return the gain in many small boxes, and by hand over one, if there are two flats and two biases."""
    flats, biases = own.samples[index], bias.samples[index] if bias is not None else []
    if len(flats) < 2 or len(biases) < 2:  # noqa: PLR2004 - pairs
        missing.append(
            f"no gain: it needs two flats of one filter and two biases, here are {len(flats)} and {len(biases)}"
        )
        return None, None
    shape = flats[0].shape[0], flats[0].shape[1]
    middle = Section(0, shape[0], 0, shape[1]) if own.is_boxed else quality.central_section(shape)
    pairs = [(cut(pair[0], middle), cut(pair[1], middle)) for pair in (flats, biases)]

    def in_boxes() -> Estimate:
        """Return the gain over all boxes."""
        pedestal = np.asarray(np.mean(biases, axis=0, dtype=np.float32))
        return quality.gain_electrons_per_adu(flats, pedestal, quality.read_noise_adu(biases))

    return _tried("gain", missing, in_boxes), _tried("gain by hand", missing, lambda: gain_ways(*pairs))


def _rows(image: NDArray[Any], area: Section) -> NDArray[Any]:
    """Return the rows of an area that stand for it."""
    part = cut(image, area)
    return np.concatenate([part[band] for band in quality.sampled_rows(area.shape)])


def write_image(path: Path, images: Sequence[NDArray[Any]], own: FrameSet, what: str, names: Sequence[str]) -> None:
    """Write an image of a set as FITS, float32: one plane in the primary HDU, several as extensions.

    Raises
    ------
    ProductNotWritten
        If the file system fails.
    """
    cards = [
        fitsfile.card("BUNIT", "adu"),
        fitsfile.card("NCOMBINE", len(own.frames), "frames, nothing clipped"),
        fitsfile.card("IMTYPE", what),
        *(fitsfile.card("HISTORY", name) for name in names),
    ]
    alone = len(images) == 1
    hdus = [] if alone else [HduSpec("PRIMARY", None, None, cards)]
    hdus += [HduSpec(f"HDU{plane.index}", np.float32, plane.shape, cards if alone else []) for plane in own.planes]
    with ProductWriter(path, hdus) as writer:
        for number, image in enumerate(images):
            writer.write(number + (not alone), 0, image.astype(np.float32))
        writer.commit()
