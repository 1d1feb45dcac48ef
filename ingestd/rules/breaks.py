"""Which side of a break of hardware epochs: what matching, planning and screening ask of the breaks of a set-up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingestd.records import Break


def crossed(breaks: Iterable[Break], first: str | None, second: str | None) -> Break | None:
    """Return a break that is open between two nights, of several that nearest to the first, or None.

    Parameters
    ----------
    breaks : iterable of Break
        Of one set-up, in any order.
    first, second : str or None
        ISO dates, either of which may be the later; where one is unknown nothing is crossed.
    """
    if first is None or second is None:
        return None
    low, high = sorted((first, second))
    between = [it for it in breaks if it.is_open and low < it.night <= high]
    if not between:
        return None
    return min(between, key=_night) if first < second else max(between, key=_night)


def first_night(breaks: Iterable[Break], night: str) -> str:
    """Return the first night of the epoch that a night belongs to, an empty text if no break lies before it."""
    return max((it.night for it in breaks if it.is_open and it.night <= night), default="")


def words(found: Break, night: str) -> str:
    """Return of which epoch a master of a night is that lies beyond a break, and what changed."""
    side = f"before {found.night}" if night < found.night else f"from {found.night} on"
    why = "; ".join(text for text in (found.cause, found.reason) if text)
    return f"of the epoch {side}{f': {why}' if why else ''}"


def doubt(breaks: Sequence[Break], night: str | None, oldest_members: Iterable[str]) -> str:
    """Return why masters may be of other hardware than a frame: one has a member from before a suspected break.

    Parameters
    ----------
    breaks : sequence of Break
        Of the set-up of the frame.
    night : str or None
        Of the frame.
    oldest_members : iterable of str
        The nights of the first members of the masters that it gets.
    """
    oldest = min(oldest_members, default="9999")
    for it in breaks:
        if it.status == "suspected" and night is not None and oldest < it.night <= night:
            return (
                f"its masters are from before {it.night}, when the hardware may have changed: {it.cause}. "
                f"ingestd epochs confirm {it.night}, or undo"
            )
    return ""


def _night(it: Break) -> str:
    """Order breaks by night."""
    return it.night
