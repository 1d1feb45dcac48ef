"""Label values from closed sets, and metrics of bounded size: no header can make a scrape grow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from ingestd.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_SERIES = 100
MAX_FILTERS = 50
MAX_CAMERAS = 14  # with `unassigned` and `other` 16; times 6 kinds stays below MAX_SERIES
MAX_PLANES = 64
MAX_CHANNELS = 40

_NOT_IN_A_SLUG = re.compile(r"[^A-Za-z0-9._+-]")


class Labels:
    """The closed sets that label values are taken from; everything else becomes ``other``."""

    def __init__(self, cameras: Iterable[str]) -> None:
        self._cameras = frozenset([*list(cameras)[:MAX_CAMERAS], "unassigned"])
        self._filters: set[str] = set()
        self._channels: set[str] = set()

    def set_cameras(self, cameras: Iterable[str]) -> None:
        """Take the camera names of new settings."""
        self._cameras = frozenset([*list(cameras)[:MAX_CAMERAS], "unassigned"])

    def camera(self, name: str) -> str:
        """Return the name of a configured camera, ``unassigned`` or ``other``."""
        return name if name in self._cameras else "other"

    def filter(self, name: str | None) -> str:
        """Return a filter name in safe characters; empty for none, ``other`` beyond the first ``MAX_FILTERS`` seen."""
        return _bounded(name or "", self._filters, MAX_FILTERS)

    def channel(self, name: str) -> str:
        """Return the name of an amplifier or colour likewise; ``other`` beyond the first ``MAX_CHANNELS`` seen."""
        return _bounded(name, self._channels, MAX_CHANNELS)

    @staticmethod
    def kind(name: str) -> str:
        """Return the kind of a frame, or ``other``."""
        return name if name in set(Kind) else Kind.OTHER

    @staticmethod
    def plane(number: int | None) -> str:
        """Return the number of an HDU as text, empty for none, ``other`` from ``MAX_PLANES`` on."""
        if number is None:
            return ""
        return str(int(number)) if 0 <= number < MAX_PLANES else "other"


def _bounded(name: str, seen: set[str], limit: int) -> str:
    """Return a name in safe characters, or ``other`` if it is none of the first names seen."""
    slug = _NOT_IN_A_SLUG.sub("_", name)[:32]
    if slug and slug not in seen:
        if len(seen) >= limit:
            return "other"
        seen.add(slug)
    return slug


class Family:
    """A gauge with labels: the first value of a series stays, at most ``MAX_SERIES`` series are kept."""

    def __init__(self, name: str, help_text: str, label_names: Sequence[str]) -> None:
        self.metric = GaugeMetricFamily(name, help_text, labels=label_names)
        self._seen: set[tuple[str, ...]] = set()
        self.cut = 0

    def put(self, labels: tuple[str, ...], value: float) -> None:
        """Add a series, unless it is there or the family is full."""
        if labels in self._seen:
            return
        if len(self._seen) >= MAX_SERIES:
            self.cut += 1
            return
        self._seen.add(labels)
        self.metric.add_metric(labels, value)
