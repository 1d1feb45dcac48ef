"""The bad-pixel map of a camera: what the masks of its masters say together, as numbers and as a FITS file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath

import numpy as np

from ingestd.doors import fitsfile
from ingestd.pixels.blocks import Mask
from ingestd.records import Kind, MaskBit, Master

CAUSES = {Kind.BIAS: (MaskBit.BAD, "noisy"), Kind.DARK: (MaskBit.HOT, "hot"), Kind.FLAT: (MaskBit.BAD, "dead or low")}
"""By kind of master: the bit of its mask that tells a defect, and the word for it."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What one master tells: so many bad pixels; ``age_h`` from its last member to the newest frame of the set-up."""

    master: Master
    cause: str
    pixels: int
    age_h: float | None


@dataclass(frozen=True, slots=True, eq=False)
class BadPixels:
    """The bad pixels of a set-up: what each master tells, and for each plane BAD and HOT of all of them, uint8."""

    camera: str
    configuration: str
    tellings: tuple[Telling, ...]
    planes: tuple[Mask, ...]

    @property
    def pixels(self) -> int:
        """How many are bad in one way or another."""
        return sum(int(np.count_nonzero(plane)) for plane in self.planes)

    @property
    def share(self) -> float:
        """Their share of all pixels."""
        return self.pixels / max(1, sum(plane.size for plane in self.planes))


def bad_pixels(masters: Sequence[Master], data_dir: Path, newest_obs: datetime | None) -> BadPixels:
    """Return what the masters of one set-up tell of its pixels.

    Parameters
    ----------
    masters : sequence of Master
        Of one camera and configuration, at least one.
    data_dir : Path
        Where they lie.
    newest_obs : datetime or None
        When the newest frame of the set-up was begun: ages are those of the frames, not of the clock.

    Raises
    ------
    MasterLost
        If a file is missing or not what is recorded.
    """
    planes: list[Mask] = []
    tellings = []
    for master in masters:
        bit, cause = CAUSES[master.kind]
        content = fitsfile.read_master(data_dir / master.path, master.sha256).planes
        masks = [
            np.zeros(plane.signal.shape, np.uint8) if plane.mask is None else plane.mask & np.uint8(bit)
            for plane in content
        ]
        count = sum(int(np.count_nonzero(mask)) for mask in masks)
        age_h = None if newest_obs is None else (newest_obs - master.last_obs).total_seconds() / 3600.0
        tellings.append(Telling(master, cause, count, age_h))
        planes = [np.bitwise_or(*pair) for pair in zip(planes, masks, strict=True)] if planes else masks
    return BadPixels(masters[0].camera, masters[0].configuration, tuple(tellings), tuple(planes))


def write_map(path: Path, found: BadPixels) -> None:
    """Write a bad-pixel map: uint8 images, 0 is good, the other values are the bits that the header names.

    One plane is the primary image; several are extensions BPM_1, BPM_2, ... The same masters give the same bytes.

    Raises
    ------
    ProductNotWritten
        If the file system fails.
    """
    cards = list(_cards(found))
    if len(found.planes) == 1:
        hdus = [fitsfile.HduSpec("PRIMARY", np.uint8, found.planes[0].shape, cards)]
    else:
        hdus = [fitsfile.HduSpec("PRIMARY", None, None, cards)]
        hdus += [fitsfile.HduSpec(f"BPM_{n}", np.uint8, plane.shape) for n, plane in enumerate(found.planes, 1)]
    first = len(hdus) - len(found.planes)
    with fitsfile.ProductWriter(path, hdus) as writer:
        for number, plane in enumerate(found.planes, first):
            writer.write(number, 0, plane)
        writer.commit()


def _cards(found: BadPixels) -> Iterable[bytes]:
    """Yield the cards of a map: its bits, and the master behind each part of it."""
    yield fitsfile.card("IMAGETYP", "BPM", "bad-pixel map: 0 is a good pixel")
    yield fitsfile.card("CAMERA", found.camera, "camera in the settings")
    yield fitsfile.card("CONFIG", found.configuration, "configuration")
    yield fitsfile.card("BITBAD", int(MaskBit.BAD), "bit of noisy, dead and low pixels")
    yield fitsfile.card("BITHOT", int(MaskBit.HOT), "bit of hot pixels")
    yield fitsfile.card("NBAD", found.pixels, "bad pixels")
    for number, it in enumerate(found.tellings, 1):
        yield fitsfile.card(f"MST{number:05d}", PurePath(it.master.path).name, f"master {it.master.kind}")
        yield fitsfile.card(f"SHA{number:05d}", it.master.sha256, "its SHA-256")
        yield fitsfile.card(f"NPX{number:05d}", it.pixels, it.cause)
