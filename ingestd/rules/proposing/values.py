"""What a survey of a directory brings, and what is proposed from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestd.records import CardValue, FileHeader, FrameRecord, Kind
from ingestd.settings import Camera, Settings


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of a directory: its path below the directory, and its headers."""

    path: str
    header: FileHeader


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be read as FITS: its path below the directory, the reason code and the detail."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What was read of a directory that holds ``found`` files with the name of a frame.

    ``left_out`` says what was not looked into: links, directories that cannot be read.
    """

    found: int
    samples: tuple[Sample, ...]
    refused: tuple[Refused, ...]
    left_out: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """True if every file was looked at: only then do counts of frames say how many there are."""
        return self.found == len(self.samples) + len(self.refused)


@dataclass(frozen=True, slots=True)
class Look:
    """One sample as it is understood: its record and the cards that it was read from."""

    sample: Sample
    frame: FrameRecord
    cards: Mapping[str, CardValue]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A setting that may help but is for a person to decide; it is written as a comment."""

    key: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something that was not understood, with how often, an example, what was looked for, and what would supply it."""

    what: str
    frames: int
    example: str
    looked_for: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class CameraProposal:
    """A ``[[camera]]`` section with the reason of each key, and how its frames are understood with it."""

    camera: Camera
    reasons: Mapping[str, str]
    suggestions: tuple[Suggestion, ...]
    unclear: tuple[Unclear, ...]
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True)
class MasterOutlook:
    """A master that the frames seen are enough for."""

    camera: str
    kind: Kind
    night: str
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    members: int


@dataclass(frozen=True, slots=True)
class LightOutlook:
    """Science frames that share a fate: which masters they will get, and what they lack with an example's words."""

    camera: str
    frames: int
    applied: tuple[Kind, ...]
    lacking: tuple[tuple[Kind, str], ...]
    is_provisional: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a scan of the frames seen will make of them."""

    masters: tuple[MasterOutlook, ...]
    lights: tuple[LightOutlook, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings for an observatory, the reasons for them, and what was not understood."""

    directory: str
    survey: Survey
    settings: Settings
    reasons: Mapping[str, str]
    suggestions: tuple[Suggestion, ...]
    cameras: tuple[CameraProposal, ...]
    others: tuple[Unclear, ...]
    outlook: Outlook
