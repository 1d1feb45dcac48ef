"""The bad-pixel map of a camera: what the masks of its masters say together, as numbers and as a FITS file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.doors import fitsfile
from ingestd.errors import MasterLost
from ingestd.pixels.blocks import Mask
from ingestd.records import Kind, MaskBit, Master

CAUSES = {Kind.BIAS: (MaskBit.BAD, "noisy"), Kind.DARK: (MaskBit.HOT, "hot"), Kind.FLAT: (MaskBit.BAD, "dead or low")}
"""By kind of master: the bit of its mask that tells a defect, and the word for it."""


Counts = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Telling:
    """What the masters of one kind and filter tell.

    Attributes
    ----------
    masters : tuple of Master
        Of as many nights, the newest first: it alone says which pixels are bad now.
    cause : str
    pixels : int
        Bad ones.
    age_h : float or None
        From the newest master's last member to the newest frame of the set-up.
    always : int
        Bad in each of the nights.
    new, gone : int or None
        Bad now and not in the night before, and the other way round; None where there is only one night.
    """

    masters: tuple[Master, ...]
    cause: str
    pixels: int
    age_h: float | None
    always: int
    new: int | None
    gone: int | None

    @property
    def master(self) -> Master:
        """The newest."""
        return self.masters[0]


@dataclass(frozen=True, slots=True, eq=False)
class BadPixels:
    """The bad pixels of a set-up.

    ``planes`` are BAD and HOT of the newest masters together, uint8. ``nights`` says of each pixel in how many nights
    it was bad, those included in which it no longer is: the largest of what biases, darks and the flats of each filter
    say, int16.
    """

    camera: str
    configuration: str
    tellings: tuple[Telling, ...]
    planes: tuple[Mask, ...]
    nights: tuple[Counts, ...]

    @property
    def pixels(self) -> int:
        """How many are bad in one way or another."""
        return sum(int(np.count_nonzero(plane)) for plane in self.planes)

    @property
    def share(self) -> float:
        """Their share of all pixels."""
        return self.pixels / max(1, sum(plane.size for plane in self.planes))


def bad_pixels(histories: Sequence[tuple[Master, ...]], data_dir: Path, newest_obs: datetime | None) -> BadPixels:
    """Return what the masters of one set-up tell of its pixels.

    Parameters
    ----------
    histories : sequence of tuple of Master
        Of one camera and configuration, at least one; each of one kind and filter, the newest first.
    data_dir : Path
        Where they lie.
    newest_obs : datetime or None
        When the newest frame of the set-up was begun: ages are those of the frames, not of the clock.

    Raises
    ------
    MasterLost
        If the file of a newest master is missing or not what is recorded; an earlier one is left out then.
    """
    planes: list[Mask] = []
    nights: list[Counts] = []
    tellings = []
    for history in histories:
        newest, counts, telling = _told_by(history, data_dir, newest_obs)
        tellings.append(telling)
        planes = [np.bitwise_or(*pair) for pair in zip(planes, newest, strict=True)] if planes else newest
        nights = [np.maximum(*pair) for pair in zip(nights, counts, strict=True)] if nights else counts
    first = histories[0][0]
    return BadPixels(first.camera, first.configuration, tuple(tellings), tuple(planes), tuple(nights))


def _told_by(
    history: tuple[Master, ...], data_dir: Path, newest_obs: datetime | None
) -> tuple[list[Mask], list[Counts], Telling]:
    """Return the bits that the newest master sets, in how many nights each pixel was bad, and the numbers."""
    newest = _masks(history[0], data_dir)
    counts = [(mask != 0).astype(np.int16) for mask in newest]
    kept, new, gone = [history[0]], None, None
    for master in history[1:]:
        try:
            earlier = _masks(master, data_dir)
        except MasterLost:
            continue  # the map is that of the newest
        if len(kept) == 1:
            new = _number(now & ~before for now, before in zip(newest, earlier, strict=True))
            gone = _number(before & ~now for now, before in zip(newest, earlier, strict=True))
        kept.append(master)
        for count, mask in zip(counts, earlier, strict=True):
            count += mask != 0  # noqa: PLW2901 - in place
    always = _number(count == len(kept) for count in counts)
    age_h = None if newest_obs is None else (newest_obs - history[0].last_obs).total_seconds() / 3600.0
    cause = CAUSES[history[0].kind][1]
    return newest, counts, Telling(tuple(kept), cause, _number(newest), age_h, always, new, gone)


def _masks(master: Master, data_dir: Path) -> list[Mask]:
    """Return of each plane the bit by which this kind of master tells a bad pixel."""
    bit, _ = CAUSES[master.kind]
    return [
        np.zeros(plane.signal.shape, np.uint8) if plane.mask is None else plane.mask & np.uint8(bit)
        for plane in fitsfile.read_master(data_dir / master.path, master.sha256).planes
    ]


def _number(planes: Iterable[NDArray[Any]]) -> int:
    """Return how many pixels are not 0."""
    return sum(int(np.count_nonzero(plane)) for plane in planes)


def write_map(path: Path, found: BadPixels) -> None:
    """Write a bad-pixel map: uint8 images, 0 is good, the other values are the bits that the header names.

    One plane is the primary image; several are extensions BPM_1, BPM_2, .... Behind them stands for each the number of
    nights in which a pixel was bad, int16: NIGHTS, or NIGHTS_1, NIGHTS_2, .... The same masters give the same bytes.

    Raises
    ------
    ProductNotWritten
        If the file system fails.
    """
    cards, ends = list(_cards(found)), [f"_{n}" for n in range(1, len(found.planes) + 1)]
    if len(found.planes) == 1:
        hdus, ends = [fitsfile.HduSpec("PRIMARY", np.uint8, found.planes[0].shape, cards)], [""]
    else:
        hdus = [fitsfile.HduSpec("PRIMARY", None, None, cards)]
        hdus += [fitsfile.HduSpec(f"BPM{end}", np.uint8, it.shape) for end, it in zip(ends, found.planes, strict=True)]
    first = len(hdus) - len(found.planes)
    hdus += [fitsfile.HduSpec(f"NIGHTS{end}", np.int16, it.shape) for end, it in zip(ends, found.nights, strict=True)]
    with fitsfile.ProductWriter(path, hdus) as writer:
        images: list[NDArray[Any]] = [*found.planes, *found.nights]
        for number, image in enumerate(images, first):
            writer.write(number, 0, image)
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
        yield fitsfile.card(f"NGT{number:05d}", len(it.masters), "nights looked at, with this one")
        yield fitsfile.card(f"FST{number:05d}", it.masters[-1].night, "the first of them")
