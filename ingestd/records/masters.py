"""Masters, and the choice among them for one frame with the reason in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ingestd.records.frames import Cards, Section
from ingestd.records.kinds import Kind


@dataclass(frozen=True, slots=True)
class Master:
    """A combined calibration. ``master_id`` is its address: a SHA-256 of members, parents, arithmetic and versions.

    ``grade`` is the worse of that by the number of members and that by comparison with the previous night's master;
    ``grade_reason`` says what the comparison holds against it. ``is_pinned``: an operator wants it chosen before all
    others that fit. ``valid_from`` and ``valid_until`` are the range of observation times that an operator gave it,
    None where it is open. ``cards`` as of a frame: medians, and what all members share. ``member_count`` is the number
    of members, 0 where it was made elsewhere: who only chooses among hundreds of masters has no ``members`` and
    ``parents`` read.
    """

    master_id: str
    kind: Kind
    camera: str
    configuration: str
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    night: str
    first_obs: datetime
    last_obs: datetime
    members: tuple[str, ...] = field(compare=False)
    parents: tuple[str, ...] = field(compare=False)
    path: str
    sha256: str
    grade: str
    is_pinned: bool = False
    cards: Cards = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    member_count: int = 0
    grade_reason: str = ""

    def __post_init__(self) -> None:
        """Count the members where they are known."""
        if self.members:
            object.__setattr__(self, "member_count", len(self.members))


class FieldVerdict(NamedTuple):
    """One field of a frame and of a master: values as JSON has them, how far apart and how far they may be.

    ``difference`` and ``tolerance`` are in the unit of the field; None where values must be equal or have no limit.
    """

    field: str
    frame: float | str | None
    master: float | str | None
    difference: float | None
    tolerance: float | str | None
    fits: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """Which science frames can gain or lose by a master, beyond set-up, filter and validity.

    ``temp_c`` and ``exposure_s`` are intervals; without ``temp_c`` a temperature limit leaves frames of unknown
    temperature only. ``can_serve`` is False if it fits no frame. ``outranked_by`` are the grades with which an uncut,
    unscaled master that is nearer in time comes before this one in the order of choosing; none if that cannot be said.
    The default reaches every frame.
    """

    has_temp_limit: bool = False
    temp_c: tuple[float, float] | None = None
    exposure_s: tuple[float, float] | None = None
    can_serve: bool = True
    outranked_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One master that was looked at for a frame: its distances, its rank if it fits, the reason if not.

    ``fields`` are the same, field by field.
    """

    master_id: str
    kind: Kind
    how: str
    fits: bool
    reason: str
    delta_temp_c: float | None
    exposure_ratio: float | None
    age_h: float
    grade: str
    fields: tuple[FieldVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """The master chosen for a frame. ``how``: exact, scaled_down, scaled_up, bias_only or nearest.

    ``cut`` is the part of its image that is the window of the frame, None if it is all of it.
    """

    master: Master
    how: str
    delta_temp_c: float | None
    exposure_ratio: float | None
    age_h: float
    candidates: tuple[Candidate, ...]
    cut: Section | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """No master fits: what is missing, in a sentence with numbers and advice, and everything that was looked at."""

    kind: Kind
    reason: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class NotNeeded:
    """The step is not part of this frame's calibration, and why."""

    kind: Kind
    reason: str


Choice = Match | Wait | NotNeeded


@dataclass(frozen=True, slots=True)
class Calibration:
    """The choice of masters for one frame.

    ``noise`` is the bias beside an exact dark, which carries the bias itself: it is not subtracted, but tells the read
    noise, and collected charge from pedestal, for the uncertainty.
    """

    bias: Choice
    dark: Choice
    flat: Choice
    noise: Match | None = None

    def choice(self, kind: Kind) -> Choice:
        """Return the choice of one kind: bias, dark or flat."""
        return {Kind.BIAS: self.bias, Kind.DARK: self.dark, Kind.FLAT: self.flat}[kind]

    @property
    def matches(self) -> tuple[Match, ...]:
        """The masters that will be applied, in the order bias, dark, flat."""
        return tuple(choice for choice in (self.bias, self.dark, self.flat) if isinstance(choice, Match))

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The steps for which no master fits."""
        return tuple(choice for choice in (self.bias, self.dark, self.flat) if isinstance(choice, Wait))

    @property
    def better_possible(self) -> str:
        """What would be better, in words: a master that is missing, an exact dark, one of a better grade."""
        words = [f"a {wait.kind.value}" for wait in self.waits]
        for match in self.matches:
            kind, grade = match.master.kind.value, match.candidates[0].grade if match.candidates else "green"
            if match.master.kind is Kind.DARK and match.how != "exact":
                words.append("an exact dark")
            elif match.master.grade_reason:
                words.append(f"a {kind} of a better grade (this one is {grade}: {match.master.grade_reason})")
            elif grade != match.master.grade:  # the grade is the worse of that of the master and that of its age
                words.append(f"a {kind} that is nearer in time (this one is {grade})")
            elif grade != "green":
                words.append(f"a {kind} made of more frames (this one is {grade})")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class UsedMaster:
    """A master that a product was made with.

    ``is_withdrawn``: it turned red beside that of the previous night, an operator rejected it since, or one of its
    members is kept out of masters now. ``first_obs`` is when its first member was taken, ``night`` the night that it
    was made for.
    """

    master_id: str
    kind: Kind
    how: str
    age_h: float
    delta_temp_c: float | None
    is_withdrawn: bool
    night: str
    first_obs: datetime


@dataclass(frozen=True, slots=True)
class FormerProduct:
    """The current product of a frame, before it is made again.

    ``made_at`` is when the frame was last reduced, ``doubt`` why its masters may be of other hardware.
    """

    job_id: str
    made_at: datetime
    masters: tuple[UsedMaster, ...]
    doubt: str
