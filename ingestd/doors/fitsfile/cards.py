"""Header cards: 80 bytes of text <-> keyword, value and comment (FITS 4.0, sections 4.1 and 4.2).

Reading is total: any 80 characters give a result and nothing raises. What is no valid FITS value is returned as its
text, a number that is not finite or a value left blank as None.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestd.records import CardValue

CARD_BYTES = 80
"""Length of a card."""

BLOCK_BYTES = 2880
"""Headers and data units are padded to a multiple of this (FITS 4.0, section 3.1)."""

PRINTABLE = b" " + b"?" * 31 + bytes(range(32, 127)) + b"?" * 129
"""Translation of bytes to what a card may hold: NUL becomes a blank, other forbidden bytes a question mark."""

_NUMBER_CHARACTERS = frozenset("0123456789+-.EeDd")
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})
_INT64_LIMIT = 1 << 63
_PROGRAMS = re.compile(
    r"INDI|KStars|Ekos|N\.I\.N\.A|MaxIm|Sequence Generator|SharpCap|CCDSoft|CCDOps|TheSky|Voyager|SBIG|APT|pyobs|azcam"
)
_COMMENTARY = ("COMMENT ", "HISTORY ")


def padded(length: int) -> int:
    """Return a length in bytes rounded up to whole blocks."""
    return -(-length // BLOCK_BYTES) * BLOCK_BYTES


# --- reading ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def parse_card(card: str) -> tuple[str, CardValue, str]:
    """Return keyword, value and remark of one card; frames of a night share most cards, hence the cache.

    Parameters
    ----------
    card : str
        80 characters, decoded as Latin-1.

    Returns
    -------
    keyword : str
        Upper case, without ``HIERARCH``; empty for a card that holds no value.
    value : str, int, float, bool or None
        The typed value. An integer beyond 64 bits becomes a float.
    remark : str
        The text of a COMMENT or HISTORY card, or a value's comment that names a program; else empty.
    """
    if card[8:9] == "=":
        keyword, field = card[:8].strip().upper(), card[9:]
    else:
        keyword, field = _split_odd_card(card)
        if not keyword:
            return "", None, field
    value, comment = parse_value(field)
    return keyword, value, comment if comment and _PROGRAMS.search(comment) else ""


def _split_odd_card(card: str) -> tuple[str, str]:
    """Return keyword and value field of a card without ``=`` in column 9; the remark stands for the field if none."""
    head = card[:8].upper()
    if head in _COMMENTARY:
        return "", _mend_text(card[8:].strip())
    if head == "CONTINUE":
        return head, card[8:]
    before, equals, after = card.partition("=")
    if equals and head == "HIERARCH":
        return before[8:].strip().upper(), after
    if equals and len(before) < len(head) and before.strip() and after[:1] == " ":
        return before.strip().upper(), after
    return "", ""


def parse_value(field: str) -> tuple[CardValue, str]:
    """Return the typed value and the comment of the field after the value indicator.

    A quote that is never closed takes the rest of the card; a doubled quote is a quote; trailing blanks do not count.
    """
    field = field.lstrip()
    if field[:1] != "'":
        word, _, comment = field.partition("/")
        return _parse_word(word.rstrip()), comment.strip()
    end = field.find("'", 1)
    while end >= 0 and field[end + 1 : end + 2] == "'":
        end = field.find("'", end + 2)
    if end < 0:
        return _mend_text(field[1:].replace("''", "'").rstrip()), ""
    text = field[1:end]
    if "''" in text:
        text = text.replace("''", "'")
    return _mend_text(text.rstrip()), field[end + 1 :].partition("/")[2].strip()


def _parse_word(word: str) -> CardValue:
    """Return the value of a field without quotes: logical, integer, real, or its text."""
    if word in {"T", "F"}:
        return word == "T"
    if not word or word.lstrip("+-").lower() in _NOT_FINITE:
        return None
    if not _NUMBER_CHARACTERS.issuperset(word):
        return _mend_text(word)
    try:
        number = int(word) if word.lstrip("+-").isdigit() else float(word.upper().replace("D", "E"))
    except ValueError:
        return word
    if isinstance(number, int) and not -_INT64_LIMIT <= number < _INT64_LIMIT:
        return float(number)
    return number if math.isfinite(number) else None


def _mend_text(text: str) -> str:
    """Return the text, read as UTF-8 if it holds such characters: some programs write it against the standard."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text


def parse_cards(text: str) -> tuple[dict[str, CardValue], tuple[str, ...]]:
    """Return the values by keyword (the first occurrence wins) and the remarks of a header without its END card.

    Long strings are joined over their CONTINUE cards; NUL bytes, which some cameras pad with, read as blanks.
    """
    if "\0" in text:
        text = text.replace("\0", " ")
    cards: dict[str, CardValue] = {}
    remarks: list[str] = []
    parts: dict[str, list[str]] = {}
    last = ""
    for start in range(0, len(text), CARD_BYTES):
        keyword, value, remark = parse_card(text[start : start + CARD_BYTES])
        if remark:
            remarks.append(remark)
        if keyword == "CONTINUE":
            if last and isinstance(value, str):
                parts.setdefault(last, [str(cards[last])]).append(value)
        elif keyword and keyword not in cards:
            cards[keyword] = value
            last = keyword if isinstance(value, str) else ""
        else:
            last = ""
    for keyword, strings in parts.items():
        cards[keyword] = _join_parts(strings)
    return cards, tuple(remarks)


def _join_parts(strings: list[str]) -> str:
    """Return a long string from its parts: each but the last gives up its ``&``; without one the string ends."""
    joined: list[str] = []
    for number, part in enumerate(strings):
        if number + 1 == len(strings) or not part.endswith("&"):
            joined.append(part)
            break
        joined.append(part[:-1])
    return "".join(joined)


# --- writing ----------------------------------------------------------------------------------------------------------

_MAX_KEYWORD = 8
_MAX_STRING = 68


def card(keyword: str, value: CardValue, comment: str = "") -> bytes:
    """Return one card, or several for a string longer than 68 characters (CONTINUE): a multiple of 80 bytes.

    Keywords longer than eight characters use the HIERARCH convention. Characters outside printable ASCII become
    ``?``. A number that is not finite is written as a blank value. COMMENT and HISTORY take the value as their text.
    """
    keyword = keyword.upper()
    if keyword in {"COMMENT", "HISTORY"}:
        return _commentary(keyword, str(value))
    head = f"{keyword:8}= " if len(keyword) <= _MAX_KEYWORD else f"HIERARCH {keyword} = "
    if isinstance(value, str):
        return _string_cards(head, value, comment)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        text = ""
    elif isinstance(value, bool):
        text = "T" if value else "F"
    else:
        text = repr(value).upper()
    return _finish(f"{head}{text:>20}", comment)


def _commentary(keyword: str, text: str) -> bytes:
    """Return the text as commentary cards of 72 characters each."""
    width = CARD_BYTES - _MAX_KEYWORD
    pieces = [text[start : start + width] for start in range(0, len(text), width)] or [""]
    return b"".join(_finish(f"{keyword:8}{piece}", "") for piece in pieces)


def _string_cards(head: str, value: str, comment: str) -> bytes:
    """Return the card of a string, continued if it does not fit."""
    quoted = value.encode("ascii", "replace").translate(PRINTABLE).decode("ascii").replace("'", "''")
    room = CARD_BYTES - len(head) - 2
    if len(quoted) <= room:
        return _finish(f"{head}'{quoted:8}'", comment)
    cards: list[bytes] = []
    while len(quoted) > room:
        cut = room - 1
        if quoted[:cut].count("'") % 2:
            cut -= 1
        cards.append(_finish(f"{head}'{quoted[:cut]}&'", ""))
        quoted, head, room = quoted[cut:], "CONTINUE  ", _MAX_STRING
    return b"".join([*cards, _finish(f"{head}'{quoted}'", comment)])


def _finish(text: str, comment: str) -> bytes:
    """Return the text as one card, with as much of the comment as fits."""
    if comment and len(text) + 4 < CARD_BYTES:
        text = f"{text:30} / {comment}"
    return text.encode("ascii", "replace").translate(PRINTABLE)[:CARD_BYTES].ljust(CARD_BYTES)
