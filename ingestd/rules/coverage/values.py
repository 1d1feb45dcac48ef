"""What coverage says, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ingestd.records import FrameRecord, Kind, Master, ScienceUse
from ingestd.rules import lacking

NIGHTS = 14
"""For how many nights back science is looked at, unless said otherwise."""

EXPIRING_D = 7.0
"""A master that serves for fewer days than this is expiring, unless said otherwise."""


class Status(StrEnum):
    """How a combination stands with one kind of calibration."""

    COVERED = "covered"
    EXPIRING = "expiring"
    MISSING = "missing"


class View(lacking.View, Protocol):
    """What coverage reads of the catalogue."""

    def newest_science_night(self) -> str | None:
        """Return the newest night with a science frame."""

    def science_uses(self, first_night: str, last_night: str) -> list[ScienceUse]:
        """Return the conditions of the science frames in a range of nights."""

    def frame(self, frame_id: str) -> FrameRecord | None:
        """Return the record of a frame."""

    def masters_of_setup(
        self,
        camera: str,
        setup: str,
        kind: Kind,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Master]:
        """Return the current masters of one set-up, in whatever window, by the time of their last member."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Science frames that need the same calibrations; ``example`` is the newest of them."""

    camera: str
    configuration: str
    ccd_temp_c: float | None
    exposure_s: float | None
    filter_name: str | None
    frames: int
    newest: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Cover:
    """One kind of calibration for a combination.

    ``how`` and ``grade`` are those of the master that a frame would get now; ``valid_until`` is when the last master
    that serves ceases to be valid. ``take`` is the number of the need that serves it, 0 if it is covered.
    """

    combination: Combination
    kind: Kind
    status: Status
    how: str
    grade: str
    master: Master | None
    valid_until: datetime | None
    reason: str
    take: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """Frames to take: what, how many, and for how many science frames it is good.

    ``have`` frames of the window are there already; ``to_minimum`` more make a master, ``to_good`` more a green one.
    ``science_frames`` counts those of all combinations that it serves and nothing before it in the list does.
    """

    number: int
    status: Status
    camera: str
    configuration: str
    kind: Kind
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    have: int
    to_minimum: int
    to_good: int
    science_frames: int
    note: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The whole answer; ``needs`` in the order in which they serve most science frames."""

    at: datetime
    first_night: str | None
    last_night: str | None
    expiring_d: float
    combinations: tuple[Combination, ...]
    covers: tuple[Cover, ...]
    needs: tuple[Need, ...]

    def covers_of(self, combination: Combination) -> tuple[Cover, ...]:
        """Return how one combination stands with each kind that it needs."""
        return tuple(cover for cover in self.covers if cover.combination == combination)
