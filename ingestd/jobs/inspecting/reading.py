"""One file looked at: opened within bounds, classified as the daemon would, its planes in numbers."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.doors import fitsfile
from ingestd.errors import FrameChanged, FrameNotReady, FrameRejected, IngestdError
from ingestd.jobs.counting import overscan_of
from ingestd.jobs.parts import amplifiers_of, raw_rows
from ingestd.pixels import quality
from ingestd.pixels.blocks import RowReader
from ingestd.pixels.inspecting import Description, describe
from ingestd.records import FrameRecord, Kind, Plane, Section
from ingestd.rules import dialects
from ingestd.settings import Limits, Reduction, Site

_WIDE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the frames; sections and the pixel (y, x) are zero-based.

    ``kind`` is what the frames are, whatever their headers say; None for what they say.
    """

    box: Section | None = None
    pixel: tuple[int, int] | None = None
    kind: Kind | None = None
    brightest: int = 5


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a plane in numbers; places in the description count from the corner of the section."""

    name: str
    section: Section
    description: Description


@dataclass(frozen=True, slots=True)
class LookedPlane:
    """One plane: its areas, the noise of the overscan of each amplifier, ADU, the value of the pixel asked for.

    ``missing`` says what could not be measured and why.
    """

    plane: Plane
    areas: tuple[Area, ...]
    overscan_noise: dict[str, float]
    pixel: float | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LookedFrame:
    """A frame that was read: what it is, its planes in numbers and as arrays of shape (ny, nx), its cards as text."""

    path: str
    record: FrameRecord
    planes: tuple[LookedPlane, ...]
    images: tuple[NDArray[Any], ...]
    headers: tuple[tuple[str, ...], ...]
    doubts: tuple[str, ...]

    def without_images(self) -> LookedFrame:
        """Return the frame without its arrays."""
        return replace(self, images=())


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that cannot be looked at, and why."""

    path: str
    reason: str
    detail: str


def look_at(path: Path, request: Request, limits: Limits, now: datetime) -> LookedFrame | Unread:
    """Return a frame in numbers, or why it cannot be looked at.

    Parameters
    ----------
    path : Path
        Opened for reading only. A person names it, so a link is followed, as those in ``current`` to products.
    request : Request
    limits : Limits
        What header and pixels may cost.
    now : datetime
        Only to notice observation times in the future.
    """
    try:
        file = Path(os.path.realpath(path))
        record = _classify(file, limits, now)
        if request.kind is not None:
            record = replace(
                record, kind=request.kind, label=str(request.kind), sources=(*record.sources, ("kind", "--kind"))
            )
        if not record.planes:
            raise FrameRejected("no_image", "; ".join(record.notes) or "there is no image in it")
        with fitsfile.FrameReader(file, record, limits) as source:
            images = tuple(_values(reader) for reader in source.planes)
            planes = tuple(
                _look_at_plane(plane, image, reader, request)
                for plane, image, reader in zip(record.planes, images, source.planes, strict=True)
            )
            if not any(plane.areas for plane in planes):
                raise FrameRejected("unmeasurable", planes[0].missing[0])
            headers = tuple(_texts(source.cards(index)) for index in range(len(source.header.units)))
            return LookedFrame(str(path), record, planes, images, headers, tuple(source.doubts))
    except (IngestdError, ValueError, OSError, MemoryError) as error:
        return _unread(path, error)


def _unread(path: Path, error: Exception) -> Unread:
    """Return why a file cannot be looked at."""
    match error:
        case FrameNotReady() | FrameRejected():
            return Unread(str(path), error.reason, error.detail)
        case FrameChanged():
            return Unread(str(path), "changed", str(error))
        case ValueError():
            return Unread(str(path), "unmeasurable", str(error))
        case OSError():
            return Unread(str(path), "unreadable", error.strerror or str(error))
        case _:
            return Unread(str(path), "too_large", "its pixels do not fit into memory")


def _classify(path: Path, limits: Limits, now: datetime) -> FrameRecord:
    """Return what the header says, without any settings; file and folder name count where it is silent."""
    descriptor = fitsfile.open_raw(path)
    try:
        header = fitsfile.read_header(descriptor, limits)
        frame_id, data_sha256 = fitsfile.hash_file(descriptor, header)
    finally:
        os.close(descriptor)
    name = str(Path(path.absolute().parent.name, path.name))
    return dialects.classify(
        header, path=name, camera=None, site=Site(), frame_id=frame_id, data_sha256=data_sha256, now=now
    )


def _values(reader: RowReader) -> NDArray[Any]:
    """Return all pixels of a plane as they are meant: integers where the samples are, else float32."""
    rows = raw_rows(reader, 0, reader.shape[0])
    if not reader.is_integer:
        return rows
    wide = np.int64 if rows.dtype.itemsize >= _WIDE_BYTES else np.int32
    values: NDArray[Any] = np.add(rows, reader.offset, dtype=wide)
    return values


def _look_at_plane(plane: Plane, image: NDArray[Any], reader: RowReader, request: Request) -> LookedPlane:
    """Return one plane in numbers."""
    whole = Section(0, plane.shape[0], 0, plane.shape[1])
    sections = {"whole": whole}
    for part in amplifiers_of(plane):
        if part.section != whole:
            sections[part.name or "image"] = part.section
    if request.box is not None:
        sections["box"] = _inside(request.box, plane)
    areas, missing = [], []
    for name, section in sections.items():
        try:
            areas.append(Area(name, section, describe(cut(image, section), brightest=request.brightest)))
        except ValueError as error:
            missing.append(f"{name}: {error}")
    noises = _noise_of_overscans(plane, reader, missing)
    return LookedPlane(plane, tuple(areas), noises, _pixel(plane, image, request, missing), tuple(missing))


def cut(image: NDArray[Any], section: Section) -> NDArray[Any]:
    """Return a section of an image."""
    return image[section.y0 : section.y1, section.x0 : section.x1]


def _inside(box: Section, plane: Plane) -> Section:
    """Return a box that lies inside a plane."""
    ny, nx = plane.shape
    if box.y1 > ny or box.x1 > nx:
        raise ValueError(
            f"the box ends at x = {box.x1}, y = {box.y1}, HDU {plane.index} has {nx} columns and {ny} rows"
        )
    return box


def _pixel(plane: Plane, image: NDArray[Any], request: Request, missing: list[str]) -> float | None:
    """Return the pixel that was asked for, None if it has no value, which is added to ``missing``."""
    if request.pixel is None:
        return None
    (y, x), (ny, nx) = request.pixel, plane.shape
    if y >= ny or x >= nx:
        raise ValueError(f"there is no pixel x = {x + 1}, y = {y + 1}: HDU {plane.index} has {nx} columns, {ny} rows")
    value = float(image[y, x])
    if math.isfinite(value):
        return value
    missing.append(f"the pixel asked for has no value: {value:g}")
    return None


def _noise_of_overscans(plane: Plane, reader: RowReader, missing: list[str]) -> dict[str, float]:
    """Return the noise of the overscan of each amplifier that has one, and add to ``missing`` why there is none."""
    found = {}
    for part in amplifiers_of(plane):
        samples = overscan_of(reader, part, Reduction().overscan_skip_px)
        if samples is None:
            continue
        known = np.isfinite(samples).all()
        whole = np.rint(samples).astype(np.int64) if reader.is_integer and known else samples
        try:
            step = quality.histogram(whole).converter_step()
            found[part.name] = quality.read_noise_overscan_adu(samples, step).value
        except ValueError as error:
            missing.append(f"{f'overscan {part.name}'.strip()}: {error}")
    return found


def _texts(cards: list[bytes]) -> tuple[str, ...]:
    """Return cards as text."""
    return tuple(card.decode("latin-1").replace("\0", " ").rstrip() for card in cards)
