"""What one look at the catalogue found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ingestd.records import Calibration, FrameRecord, Group, Job, Standing, Verdict
from ingestd.rules.epochs import EpochPlan


@dataclass(frozen=True, slots=True)
class SettledNight:
    """A night that has all the masters it should have."""

    group: Group
    night: str
    master_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A science frame whose current product is the one that is due."""

    frame: FrameRecord
    job_id: str
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Held:
    """A science frame that waits: by setting for a master or the end of a doubt, else for its file to come back."""

    frame: FrameRecord
    calibration: Calibration
    detail: str
    reason: str = "needs_master"


@dataclass(frozen=True, slots=True)
class Delayed:
    """A science frame that is to be reduced again, but not before a time."""

    frame_id: str
    until: datetime


@dataclass(slots=True)
class Plan:
    """What one look found: jobs to submit and facts to record; ``next_look`` is the earliest time something is due.

    ``again`` tells by job why a frame is reduced once more.
    """

    jobs: list[Job] = field(default_factory=list)
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    settled_nights: list[SettledNight] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    delayed: list[Delayed] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    epochs: EpochPlan = field(default_factory=EpochPlan)
    next_look: datetime | None = None

    def look_again(self, when: datetime) -> None:
        """Remember the earliest time at which another look is worth while."""
        self.next_look = when if self.next_look is None else min(self.next_look, when)
