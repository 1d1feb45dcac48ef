"""What a product consists of: its HDUs, their headers, and where each image stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingestd.doors.fitsfile.cards import card, padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

UNSIGNED_ZERO = 1 << 15
"""BZERO of unsigned 16-bit integers (FITS 4.0, section 4.4.2.5)."""

_BITPIX = {"u1": 8, "i2": 16, "u2": 16, "i4": 32, "f4": -32, "f8": -64}


@dataclass(frozen=True, slots=True)
class HduSpec:
    """One HDU of a product: EXTNAME (not written in the primary), type and shape (ny, nx) of its image, its own cards.

    ``dtype`` is float32, float64, uint8, int16, uint16 or int32; ``shape`` None is an HDU without data. ``cards`` are
    multiples of 80 bytes, from ``card`` and ``copied_cards``.
    """

    name: str
    dtype: DTypeLike | None
    shape: tuple[int, int] | None
    cards: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One image of a product: its shape, unit (BUNIT), own cards, and what comes with it."""

    shape: tuple[int, int]
    unit: str
    cards: Sequence[bytes] = ()
    has_uncertainty: bool = True
    has_mask: bool = True


@dataclass(frozen=True, slots=True)
class ImageHdus:
    """The HDU numbers of one image of a product."""

    signal: int
    uncertainty: int | None
    mask: int | None


def lay_out(primary_cards: Sequence[bytes], images: Sequence[ImageSpec]) -> tuple[list[HduSpec], list[ImageHdus]]:
    """Return the HDUs of a product and where each image stands in them.

    One image: the primary, UNCERT and MASK, which CCDData.read opens. Several: a primary without data, then SCI_i,
    UNCERT_i and MASK_i, i = 1, 2, ... Signal and standard deviation are float32, the mask uint8.
    """
    alone = len(images) == 1
    hdus = [] if alone else [HduSpec("PRIMARY", None, None, primary_cards)]
    places = []
    for number, image in enumerate(images, 1):
        suffix = "" if alone else f"_{number}"
        own = [card("BUNIT", image.unit), *image.cards]
        places.append(_places(len(hdus), image))
        hdus.append(HduSpec(f"SCI{suffix}", np.float32, image.shape, [*primary_cards, *own] if alone else own))
        if image.has_uncertainty:
            kind = [card("UTYPE", "StdDevUncertainty"), card("BUNIT", image.unit)]
            hdus.append(HduSpec(f"UNCERT{suffix}", np.float32, image.shape, kind))
        if image.has_mask:
            hdus.append(HduSpec(f"MASK{suffix}", np.uint8, image.shape))
    return hdus, places


def _places(first: int, image: ImageSpec) -> ImageHdus:
    """Return the HDU numbers of an image whose signal is the given HDU."""
    uncertainty = first + 1 if image.has_uncertainty else None
    mask = first + 1 + image.has_uncertainty if image.has_mask else None
    return ImageHdus(first, uncertainty, mask)


def header_bytes(hdu: HduSpec, index: int, count: int) -> bytes:
    """Return the padded header of one HDU (FITS 4.0, sections 4.4.1 and 7.1)."""
    dtype, shape = np.dtype(hdu.dtype), hdu.shape
    cards = [card("SIMPLE", True, "FITS standard 4.0") if index == 0 else card("XTENSION", "IMAGE", "image extension")]
    cards.append(card("BITPIX", 8 if shape is None else _BITPIX[dtype.str[1:]], "bits per sample"))
    cards.append(card("NAXIS", 0 if shape is None else 2))
    if shape is not None:
        cards += [card("NAXIS1", shape[1], "columns"), card("NAXIS2", shape[0], "rows")]
    if index:
        cards += [card("PCOUNT", 0), card("GCOUNT", 1), card("EXTNAME", hdu.name)]
    elif count > 1:
        cards.append(card("EXTEND", True))
    if shape is not None and dtype == np.uint16:
        cards += [card("BSCALE", 1), card("BZERO", UNSIGNED_ZERO, "unsigned 16-bit integers")]
    header = b"".join([*cards, *hdu.cards, b"END".ljust(80)])
    return header.ljust(padded(len(header)))
