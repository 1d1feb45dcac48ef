"""Header cards that the association rules name beyond the configuration: some must be equal, some nearly.

They are recorded with a frame when it arrives (``FrameRecord.cards``) and with a master when it is built. They are no
part of the configuration: they have tolerances, and a kind may ignore what another needs (the grating for flats only).
What the configuration holds (window, binning, read-out mode, gain and offset setting) is exact for every kind: such
frames differ in their pixels, not only in what they are good for. A card that is not there is a value of its own.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from ingestd.records import Cards
from ingestd.rules.clusters import apart, clusters, unrolled
from ingestd.settings import KindMatching, Rules

T = TypeVar("T")


class Compared(NamedTuple):
    """One card of a frame and a master; ``tolerance`` and ``difference`` are None for one that must be equal."""

    name: str
    frame: float | str | None
    master: float | str | None
    difference: float | None
    tolerance: float | None
    fits: bool


def compared(frame: Cards, master: Cards, table: KindMatching) -> Iterator[Compared]:
    """Yield how each card that the rules of a kind name compares, exact ones first, in the order of the settings."""
    if not (table.exact or table.numbers):
        return
    of_frame, of_master = dict(frame), dict(master)
    for name in table.exact:
        first, second = of_frame.get(name.upper()), of_master.get(name.upper())
        yield Compared(name, first, second, None, None, first == second)
    for name, tolerance in table.numbers.items():
        one, other = (_number(it.get(name.upper())) for it in (of_frame, of_master))
        if one is None or other is None:
            yield Compared(name, one, other, None, tolerance, one is other)
        else:
            difference = apart(one, other, table.periods.get(name))
            yield Compared(name, one, other, difference, tolerance, difference <= tolerance)


def fit(frame: Cards, master: Cards, table: KindMatching) -> bool:
    """Return whether all cards that the rules of a kind name fit."""
    return all(it.fits for it in compared(frame, master, table))


def alike(items: Sequence[T], cards_of: Callable[[T], Cards], table: KindMatching) -> list[list[T]]:
    """Return the items in clusters of equal exact cards and near numbers, in a cluster in the order of the items."""
    parts = [list(items)]
    for name in table.exact:
        parts = [
            equal for part in parts for equal in _equal(part, [dict(cards_of(it)).get(name.upper()) for it in part])
        ]
    for name, tolerance in table.numbers.items():
        parts = [
            [part[i] for i in cluster]
            for part in parts
            for cluster in clusters(
                unrolled([_number(dict(cards_of(it)).get(name.upper())) for it in part], table.periods.get(name)),
                tolerance,
            )
        ]
    return parts


def of_members(members: Iterable[Cards], kind: str, rules: Rules) -> Cards:
    """Return the cards that a master stands for: the median of a number, else the value if all members share it.

    A master dark is matched with a bias itself, so it keeps what the rules of biases name too.
    """
    kinds = ("bias", "dark") if kind == "dark" else (kind,)
    values = [dict(cards) for cards in members]
    periods = {name.upper(): period for it in kinds for name, period in rules.match(it).periods.items()}
    numbers = {name.upper() for it in kinds for name in rules.match(it).numbers}
    found: list[tuple[str, float | str]] = []
    for name in rules.cards(*kinds):
        own = [cards.get(name) for cards in values]
        known = [number for it in own if (number := _number(it)) is not None]
        if name in numbers and known:
            line = [it for it in unrolled(known, periods.get(name)) if it is not None]
            median = statistics.median(line)
            found.append((name, round(median % periods[name] if name in periods else median, 9)))
        elif own and own[0] is not None and all(it == own[0] for it in own):
            found.append((name, own[0]))
    return tuple(found)


def _equal(items: list[T], values: list[float | str | None]) -> list[list[T]]:
    """Return items of equal value together, by their values as text, those without one last."""
    found: dict[float | str | None, list[T]] = {}
    for it, value in zip(items, values, strict=True):
        found.setdefault(value, []).append(it)
    return [found[value] for value in sorted(found, key=lambda value: (value is None, str(value)))]


def _number(value: float | str | None) -> float | None:
    """Return the value if it is a number."""
    return value if isinstance(value, float) else None
