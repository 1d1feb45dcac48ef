"""Cards copied from a raw frame to a product: what still holds, every card valid FITS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingestd.doors.fitsfile.cards import CARD_BYTES, PRINTABLE, card, parse_card

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ingestd.records import CardValue, Section

DROPPED = frozenset(
    """
    SIMPLE XTENSION BITPIX NAXIS EXTEND PCOUNT GCOUNT GROUPS BLOCKED BZERO BSCALE BLANK BUNIT DATAMIN DATAMAX
    CHECKSUM DATASUM EXTNAME EXTVER EXTLEVEL INHERIT NEXTEND BIASSEC TRIMSEC DATASEC TFIELDS THEAP LONGSTRN
    ZIMAGE ZCMPTYPE ZBITPIX ZNAXIS ZQUANTIZ ZDITHER0 ZSIMPLE ZTENSION ZEXTEND ZPCOUNT ZGCOUNT ZBLOCKED ZHECKSUM
    ZDATASUM ZBLANK ZSCALE ZZERO ZMASKCMP FZALGOR FZTILE FZQLEVEL FZQMETHD FZDTHRSD
    """.split()  # noqa: SIM905 - a list literal would take fifty lines
)
"""Cards of a raw frame that do not hold for a product: structure, scaling, sections, checksums, compression."""

_DROPPED_INDEXED = re.compile(
    r"(Z?NAXIS|ZTILE|ZNAME|ZVAL|TTYPE|TFORM|TUNIT|TDIM|TNULL|TSCAL|TZERO|TDISP|TBCOL)\d+$"
    r"|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[3-9][A-Z]?$"  # a product has two axes
    r"|(CD|PC)(\d_[3-9]|[3-9]_\d)[A-Z]?$"
    r"|WCSAXES[A-Z]?$"
    r"|([ABDT]SEC|BIASSEC|TRIMSEC|DATASEC|AMPSEC)(\d{1,2}|[A-H])$"  # amplifiers in the raw image
)
_CRPIX = re.compile(r"CRPIX([12])[A-Z]?$")
_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}$")
_VALUE = (
    rb"(?:'(?:[^']|'')*'|[TF]|[+-]?\d+|[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?|\([^()/']*\))? *(?:/.*)?$"  # FITS 4.2
)
_VALID = re.compile(rb"(?:(?=[A-Z0-9_-]+ *= )[A-Z0-9_ -]{8}|HIERARCH [A-Z0-9_ -]+)= *" + _VALUE)


Gaps = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
"""Columns, and rows, of a raw image that lie between the parts of a product, each as (start, end)."""


def copied_cards(
    raw_cards: Iterable[bytes], dropped: Iterable[str] = (), trim: Section | None = None, gaps: Gaps = ((), ())
) -> list[bytes]:
    """Return the cards of a raw header that hold for a product, in their order, every one valid FITS.

    Parameters
    ----------
    raw_cards : iterable of bytes
        The 80-byte cards of the raw frame.
    dropped : iterable of str
        Keywords to leave out beyond ``DROPPED``, because the product states them itself.
    trim : Section, optional
        The part of the raw image that the product holds: CRPIX1 and CRPIX2 of every alternate WCS are reduced by its
        origin.
    gaps : pair of tuples of (start, end), optional
        Columns and rows inside it that the product leaves out; those before a reference pixel reduce it too.

    Notes
    -----
    The WCS is copied as text and never built. A malformed value is written anew as it was understood, a card that is
    no card becomes a COMMENT, and the CONTINUE cards of a dropped string are dropped with it.
    """
    unwanted = DROPPED.union(keyword.upper() for keyword in dropped)
    copied: list[bytes] = []
    may_continue = False
    for raw in raw_cards:
        image = raw[:CARD_BYTES].ljust(CARD_BYTES).translate(PRINTABLE)
        keyword, value, _ = parse_card(image.decode("ascii"))
        if keyword == "CONTINUE":
            if may_continue and isinstance(value, str):
                copied.append(image)
            continue
        kept = (
            [] if keyword in unwanted or _DROPPED_INDEXED.match(keyword) else _copy(image, keyword, value, trim, gaps)
        )
        may_continue = kept == [image]
        copied += kept
    return copied


def _copy(image: bytes, keyword: str, value: CardValue, trim: Section | None, gaps: Gaps) -> list[bytes]:
    """Return the card or cards of the product that stand for one printable card of the raw frame."""
    if not keyword:
        if not image.strip():
            return []
        is_commentary = image[:8] in {b"COMMENT ", b"HISTORY ", b" " * 8}
        return [image] if is_commentary else [card("COMMENT", image.decode("ascii").strip())]
    reference = _CRPIX.match(keyword)
    if reference and (trim is not None or any(gaps)) and isinstance(value, int | float):
        axis = int(reference[1]) - 1
        origin = (trim.x0, trim.y0)[axis] if trim is not None else 0
        origin += sum(end - start for start, end in gaps[axis] if end < value)
        return [card(keyword, value - origin, "reduced by the trimmed pixels")]
    if _VALID.match(image):
        return [image]
    if _KEYWORD.match(keyword):
        return [card(keyword, value)]
    return [card("COMMENT", image.decode("ascii").strip())]
