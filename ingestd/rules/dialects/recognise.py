"""Which program or observatory wrote a header, and where its fields are looked for."""

from __future__ import annotations

from functools import lru_cache

from ingestd.records import FileHeader
from ingestd.rules.dialects.fields import Cards, text
from ingestd.rules.dialects.table import DIALECTS, GENERIC, SIGNATURE_CARDS, UNRECOGNISED, Dialect

_MAX_REMARKS = 2000


def merge_units(header: FileHeader, first_image: int) -> Cards:
    """Return the cards that speak for the whole file: the primary's, completed by those of the first image.

    A card of the primary that is empty does not hide one of the image.
    """
    units = header.units
    if not units:
        return {}
    if not 0 < first_image < len(units):
        return units[0].cards
    merged = dict(units[first_image].cards)
    for keyword, value in units[0].cards.items():
        if value not in {None, ""} or keyword not in merged:
            merged[keyword] = value
    return merged


def remarks_of(header: FileHeader) -> str:
    """Return the COMMENT and HISTORY texts of all units in lower case, one a line, bounded."""
    lines: list[str] = []
    for unit in header.units:
        lines.extend(unit.comments[: _MAX_REMARKS - len(lines)])
    return "\n".join(lines).lower()


def recognise(cards: Cards, remarks: str) -> tuple[Dialect, str]:
    """Return the dialect of a header and the card or comment that it was recognised by."""
    signature = " | ".join([text(cards[keyword]) for keyword in SIGNATURE_CARDS if keyword in cards]).lower()
    if signature:
        for dialect in DIALECTS:
            for program in dialect.programs:
                if program in signature:
                    return dialect, program
    for dialect in DIALECTS:
        for phrase in dialect.comments:
            if phrase in remarks:
                return dialect, f'comment "{phrase}"'
        if dialect.cards and all(_holds(cards, keyword, part) for keyword, part in dialect.cards):
            return dialect, ", ".join(keyword for keyword, _ in dialect.cards)
    return UNRECOGNISED, ""


def _holds(cards: Cards, keyword: str, part: str) -> bool:
    """Return whether a card is there and its value contains the text, any case."""
    return keyword in cards and (not part or part in text(cards[keyword]).lower())


@lru_cache(maxsize=1024)
def keywords_of(dialect: str, field: str) -> tuple[str, ...]:
    """Return the keywords of a field in the order of trust: the dialect's, then the generic ones."""
    own = next((entry.fields.get(field, ()) for entry in DIALECTS if entry.name == dialect), ())
    return tuple(dict.fromkeys((*own, *GENERIC.get(field, ()))))
