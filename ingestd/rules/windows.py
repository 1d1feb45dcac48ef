"""Windows of a read-out: which part of a master serves a frame that was read out in part.

The key of a configuration is the set-up, ' @ ' and the window (``Configuration.key``). Where everything but the window
is equal, the arrays of a master that holds the window of a frame are cut to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ingestd.records import WINDOW_MARK, Section

_WINDOW = re.compile(r"(\d+)x(\d+)(?: image (\d+)x(\d+))?(?: origin (-?\d+),(-?\d+))?", re.ASCII)
_SEVERAL_PLANES = re.compile(r" \| planes \d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """A window: size of the image without overscan, and its origin on the sensor, binned pixels; None if unknown."""

    width: int
    height: int
    origin: tuple[int, int] | None

    def words(self) -> str:
        """Return size and origin."""
        where = "an unknown origin" if self.origin is None else f"{self.origin[0]},{self.origin[1]}"
        return f"{self.width}x{self.height} at {where}"


def setup_of(key: str) -> str:
    """Return the set-up in the key of a configuration: all but the window."""
    return key.partition(WINDOW_MARK)[0]


@lru_cache(maxsize=4096)
def window_of(key: str) -> Window | None:
    """Return the window in the key of a configuration, or None if there is none."""
    found = _WINDOW.fullmatch(key.partition(WINDOW_MARK)[2])
    if found is None:
        return None
    width, height, image_width, image_height, x, y = (None if text is None else int(text) for text in found.groups())
    origin = None if x is None or y is None else (x, y)
    return Window(image_width or width or 0, image_height or height or 0, origin)


@lru_cache(maxsize=4096)
def cut_of(wanted: str, master: str) -> Section | None:
    """Return the part of a master's image that is the window of a frame, or None if it does not hold it.

    Parameters
    ----------
    wanted, master : str
        Keys of configurations. The set-ups must be equal, and both origins known; a file of several planes has more
        than one window and none of them in its key.
    """
    if setup_of(wanted) != setup_of(master) or _SEVERAL_PLANES.search(wanted):
        return None
    inner, outer = window_of(wanted), window_of(master)
    if inner is None or outer is None or inner.origin is None or outer.origin is None:
        return None
    x0, y0 = inner.origin[0] - outer.origin[0], inner.origin[1] - outer.origin[1]
    cut = Section(y0, y0 + inner.height, x0, x0 + inner.width)
    is_inside = y0 >= 0 and cut.y1 <= outer.height and x0 >= 0 and cut.x1 <= outer.width
    return cut if is_inside else None
