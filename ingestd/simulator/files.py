"""FITS bytes of an exposure, and the manners in which programs put them on disk."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ingestd.simulator.headers import Card

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ingestd.simulator.camera import Exposure

_BLOCK = 2880
_CARD = 80
_TEXT_END = 68


class Manner(StrEnum):
    """How a program writes a file. All but the first are seen half-done by whoever looks at the directory."""

    RENAME = "rename"
    """Under a temporary name, then renamed: rsync."""
    GROWING = "growing"
    """Growing at its final name: MaxIm DL, INDI, azcam."""
    HEADER_LAST = "header last"
    """Pixels under a bare header first, then the cards: N.I.N.A.; half-done it is a valid FITS without a type."""
    EMPTY_FIRST = "empty first"
    """An empty file at its final name, closed, then the real write: Ekos."""


def file_bytes(pixels: NDArray[np.uint16], cards: Sequence[Card]) -> bytes:
    """Return a FITS file with one unsigned 16-bit image.

    Parameters
    ----------
    pixels : array of uint16, shape (ny, nx)
    cards : sequence of Card
        Without the structural ones.
    """
    return header_bytes(pixels.shape, cards) + data_bytes(pixels)


def header_bytes(shape: tuple[int, ...], cards: Sequence[Card]) -> bytes:
    """Return the header of an unsigned 16-bit image, padded to whole blocks."""
    structure = [
        Card("SIMPLE", value=True),
        Card("BITPIX", 16),
        Card("NAXIS", len(shape)),
        *(Card(f"NAXIS{axis}", length) for axis, length in enumerate(reversed(shape), 1)),
        Card("BSCALE", 1.0, "physical = BZERO + BSCALE*array_value"),
        Card("BZERO", 32768.0, "physical = BZERO + BSCALE*array_value"),
    ]
    text = b"".join(card_bytes(card) for card in (*structure, *cards)) + b"END".ljust(_CARD)
    return text + b" " * (-len(text) % _BLOCK)


def data_bytes(pixels: NDArray[np.uint16]) -> bytes:
    """Return the data unit: big-endian signed samples less 32768, padded to whole blocks."""
    stored = (pixels ^ np.uint16(0x8000)).astype(">u2").tobytes()
    return stored + b"\0" * (-len(stored) % _BLOCK)


def card_bytes(card: Card) -> bytes:
    """Return the 80 bytes of a card; a text too long for them is cut, a comment too."""
    if card.keyword in {"COMMENT", "HISTORY"}:
        return f"{card.keyword:<8}{card.value}"[:_CARD].ljust(_CARD).encode("ascii")
    value = card.value
    if isinstance(value, bool):
        shown = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        shown = f"'{value.replace(chr(39), chr(39) * 2)[: _TEXT_END - 2]:<8}'".ljust(20)
    elif isinstance(value, float):
        shown = f"{float_text(value):>20}"
    else:
        shown = f"{value!s:>20}"
    comment = f" / {card.comment}" if card.comment else ""
    return f"{card.keyword:<8}= {shown}{comment}"[:_CARD].ljust(_CARD).encode("ascii")


def float_text(value: float) -> str:
    """Return the shortest text of a float that reads back equal, with a decimal point and a capital exponent."""
    text = repr(value).upper()
    mantissa, mark, exponent = text.partition("E")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{mark}{exponent}"


def writing(path: Path, exposure: Exposure, manner: Manner, *, chunk_bytes: int = 65536) -> Iterator[None]:
    """Write the file of an exposure step by step; between two steps it is as an onlooker may find it.

    Parameters
    ----------
    path : Path
        The final name.
    exposure : Exposure
    manner : Manner
    chunk_bytes : int
        How much of a growing file each step adds.

    Yields
    ------
    None
        After each step, so that the caller may wait, look, or stop for good.
    """
    content = file_bytes(exposure.pixels, exposure.cards)
    if manner is Manner.RENAME:
        temporary = path.with_name(f".{path.name}.tmp")
        yield from _grow(temporary, content, chunk_bytes)
        temporary.rename(path)
        yield
    elif manner is Manner.HEADER_LAST:
        yield from _grow(path, file_bytes(exposure.pixels, ()), chunk_bytes)
        with path.open("r+b", buffering=0) as file:
            file.write(content)
        yield
    else:
        if manner is Manner.EMPTY_FIRST:
            path.write_bytes(b"")
            yield
        yield from _grow(path, content, chunk_bytes)


def write(path: Path, exposure: Exposure, manner: Manner = Manner.RENAME) -> None:
    """Write the file of an exposure to the end."""
    for _ in writing(path, exposure, manner):
        pass


def _grow(path: Path, content: bytes, chunk_bytes: int) -> Iterator[None]:
    """Write a file chunk by chunk at its name."""
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), chunk_bytes):
            file.write(content[start : start + chunk_bytes])
            yield
