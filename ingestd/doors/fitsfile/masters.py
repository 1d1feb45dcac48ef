"""Masters read back whole, their bytes hashed on the way into memory."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.doors.fitsfile.header import read_header
from ingestd.doors.fitsfile.pixels import SAMPLE_TYPES, to_native
from ingestd.doors.fitsfile.rawfile import open_raw, pread_exactly
from ingestd.errors import FrameNotReady, FrameRejected, MasterLost
from ingestd.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ingestd.records import CardValue, HeaderUnit

_LIMITS = Limits(max_header_bytes=1 << 24, max_pixels=10**10, max_file_bytes=1 << 40)
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MasterPlane:
    """One image of a master: signal and standard deviation (float32), mask (uint8), each of shape (ny, nx)."""

    signal: NDArray[np.float32]
    uncertainty: NDArray[np.float32] | None
    mask: NDArray[np.uint8] | None
    cards: Mapping[str, CardValue]


@dataclass(frozen=True, slots=True)
class MasterPlanes:
    """The images of a master in the order of the camera's planes, and the cards of its primary header."""

    planes: tuple[MasterPlane, ...]
    header: Mapping[str, CardValue]


def read_master(path: Path, sha256: str | None) -> MasterPlanes:
    """Read a master that ``ProductWriter`` wrote.

    Parameters
    ----------
    path : Path
    sha256 : str or None
        What the file's bytes must hash to; None to believe it.

    Raises
    ------
    MasterLost
        If the file is missing, damaged or not one of ours: it must be built again.
    OSError
        If it cannot be read.
    """
    try:
        fd = open_raw(path)
    except (FileNotFoundError, FrameRejected) as error:
        raise MasterLost(str(path), "the master is missing") from error
    try:
        header = read_header(fd, _LIMITS)
        found, images = _read_images(fd, header.units, header.stamp.size_bytes)
    except (FrameNotReady, FrameRejected, EOFError) as error:
        raise MasterLost(str(path), f"the master is damaged: {error}") from error
    finally:
        os.close(fd)
    if sha256 is not None and found != sha256:
        raise MasterLost(str(path), f"the master is damaged: SHA-256 {found[:8]} instead of {sha256[:8]}")
    return _group(path, header.units, images)


def _read_images(fd: int, units: tuple[HeaderUnit, ...], size: int) -> tuple[str, list[NDArray[Any] | None]]:
    """Return the SHA-256 of the whole file and the image of each HDU, in one pass."""
    whole = hashlib.sha256()
    offset = 0
    images: list[NDArray[Any] | None] = []

    def take(buffer: memoryview) -> None:
        """Fill the buffer with the next bytes of the file, and hash them."""
        nonlocal offset
        pread_exactly(fd, buffer, offset)
        whole.update(buffer)
        offset += len(buffer)

    for unit in units:
        take(memoryview(bytearray(unit.data_offset - offset)))
        image = _empty_image(unit)
        flat = image.reshape(-1)
        step = _CHUNK_BYTES // image.itemsize
        for first in range(0, flat.size, step):
            part = flat[first : first + step]
            take(part.view(np.uint8).data)
            to_native(part)
        images.append(image if image.size else None)
    take(memoryview(bytearray(size - offset)))
    return whole.hexdigest(), images


def _empty_image(unit: HeaderUnit) -> NDArray[Any]:
    """Return an array for the image of an HDU, of size 0 if there is none."""
    columns, rows = (unit.cards.get(keyword, 0) for keyword in ("NAXIS1", "NAXIS2"))
    shape = (int(str(rows)), int(str(columns))) if unit.data_bytes else (0, 0)
    image = np.empty(shape, SAMPLE_TYPES[int(str(unit.cards["BITPIX"]))])
    if image.nbytes != unit.data_bytes:
        raise FrameRejected("bad_structure", f"HDU {unit.index} is no image of two axes")
    return image


def _group(path: Path, units: tuple[HeaderUnit, ...], images: list[NDArray[Any] | None]) -> MasterPlanes:
    """Return the images by plane: the primary with UNCERT and MASK, or SCI_i with UNCERT_i and MASK_i."""
    named = {str(unit.cards.get("EXTNAME", "SCI")): unit.index for unit in units if images[unit.index] is not None}
    suffixes = [name.removeprefix("SCI") for name in named if name.startswith("SCI")]
    if not suffixes:
        raise MasterLost(str(path), "the master holds no image")

    def image(name: str) -> NDArray[Any] | None:
        """Return the image of this name, if there is one."""
        return images[named[name]] if name in named else None

    planes = []
    for suffix in suffixes:
        signal = image(f"SCI{suffix}")
        if signal is None or signal.dtype != np.float32:
            raise MasterLost(str(path), f"the master's image SCI{suffix} is not float32")
        cards = units[named[f"SCI{suffix}"]].cards
        planes.append(MasterPlane(signal, image(f"UNCERT{suffix}"), image(f"MASK{suffix}"), cards))
    return MasterPlanes(tuple(planes), units[0].cards)
