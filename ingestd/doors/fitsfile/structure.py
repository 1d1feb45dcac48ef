"""What the structural cards of a header say of its data: bytes and pixels, checked before they are paid."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ingestd.errors import FrameRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingestd.records import CardValue

_MAX_AXES = 99
_BITPIX = frozenset({8, 16, 32, 64, -32, -64})
_RICE = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4, 8)}
_MAX_PARAMETERS = 99


def measure_data(cards: Mapping[str, CardValue], index: int) -> tuple[int, int]:
    """Return the bytes of the data unit, unpadded, and the pixels of the image in it (FITS 4.0, equations 1, 2 and 4).

    Raises
    ------
    FrameRejected
        ``not_fits`` or ``bad_structure`` if a mandatory card is missing or out of range.
    """
    if index == 0 and cards.get("SIMPLE") not in {True, "T"}:
        raise FrameRejected("not_fits", f"SIMPLE = {cards.get('SIMPLE')!r}")
    bitpix = _integer(cards, "BITPIX", index, -64, 64)
    if bitpix not in _BITPIX:
        raise FrameRejected("bad_structure", f"HDU {index}: BITPIX = {bitpix}")
    axes = _axes(cards, "NAXIS", index)
    has_groups = bool(axes) and axes[0] == 0 and cards.get("GROUPS") is True
    samples = prod(axes[1:] if has_groups else axes) if axes else 0
    groups = _integer(cards, "GCOUNT", index, 1, 1 << 40, default=1)
    parameters = _integer(cards, "PCOUNT", index, 0, 1 << 48, default=0)
    data_bytes = abs(bitpix) // 8 * groups * (parameters + samples) if axes else 0
    if cards.get("ZIMAGE") is True:
        return data_bytes, _tile_pixels(cards, index)
    is_table = index > 0 and cards.get("XTENSION") != "IMAGE"
    return data_bytes, 0 if is_table else samples


def _tile_pixels(cards: Mapping[str, CardValue], index: int) -> int:
    """Return the pixels of a tile-compressed image, which its decoder will allocate (FITS 4.0, section 10.1)."""
    bitpix = _integer(cards, "ZBITPIX", index, -64, 64)
    if bitpix not in _BITPIX:
        raise FrameRejected("bad_structure", f"HDU {index}: ZBITPIX = {bitpix}")
    axes = _axes(cards, "ZNAXIS", index)
    if str(cards.get("ZCMPTYPE")).startswith("RICE"):
        _check_rice(cards, index)
    tile = [_integer(cards, f"ZTILE{n}", index, 1, 1 << 40, default=1) for n in range(1, len(axes) + 1)]
    return max(prod(axes), prod(tile)) if axes else 0


def _check_rice(cards: Mapping[str, CardValue], index: int) -> None:
    """Check the parameters of RICE_1, whose decoder believes them: a wrong one makes it read outside its memory."""
    for n in range(1, _MAX_PARAMETERS + 1):
        name, value = str(cards.get(f"ZNAME{n}", "")).upper(), cards.get(f"ZVAL{n}")
        if name in _RICE and (type(value) is not int or value not in _RICE[name]):
            raise FrameRejected("bad_structure", f"HDU {index}: {name} = {value!r}")


def _axes(cards: Mapping[str, CardValue], keyword: str, index: int) -> list[int]:
    """Return the lengths of the axes, the fastest first."""
    count = _integer(cards, keyword, index, 0, _MAX_AXES)
    return [_integer(cards, f"{keyword}{n}", index, 0, 1 << 48) for n in range(1, count + 1)]


def _integer(
    cards: Mapping[str, CardValue], keyword: str, index: int, low: int, high: int, *, default: int | None = None
) -> int:
    """Return the value of a structural card, which must be an integer in the range."""
    value = cards.get(keyword, default)
    if type(value) is not int or not low <= value <= high:
        raise FrameRejected("bad_structure", f"HDU {index}: {keyword} = {value!r}")
    return value
