"""What is found out about frames, masters and the hardware, and what planning must look at again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ingestd.records.frames import FrameRecord, Group
from ingestd.records.kinds import Kind
from ingestd.records.work import Metric


@dataclass(frozen=True, slots=True)
class Finding:
    """What the pixels of a frame say against its header: a reason code, and a sentence with the numbers and the limit.

    One that does not keep the frame out of masters is a note for a person.
    """

    code: str
    keeps_out: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The second look at a frame: every finding, and the masters that it was compared with, "" for none.

    ``reference_id`` is the master of its own group, ``pedestal_id`` the bias that lies under a dark or a flat.
    """

    frame_id: str
    findings: tuple[Finding, ...]
    reference_id: str
    pedestal_id: str

    @property
    def reason(self) -> str:
        """The reason code that keeps the frame out of masters, or an empty text."""
        return next((finding.code for finding in self.findings if finding.keeps_out), "")

    @property
    def detail(self) -> str:
        """What keeps the frame out, in sentences, and what to do about it; else an empty text."""
        texts = "; ".join(finding.text for finding in self.findings if finding.keeps_out)
        return f"{texts}. If it is good all the same: ingestd accept {self.frame_id[:8]}" if texts else ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a master stands to that of the previous night (``previous_id``, "" for none): a grade and, in words, why."""

    master_id: str
    previous_id: str
    grade: str
    text: str


@dataclass(frozen=True, slots=True)
class MeasuredFrame:
    """A calibration frame whose pixels were looked at: the job that did, its figures, the verdict in force, if any."""

    frame: FrameRecord
    job_id: str
    figures: tuple[Metric, ...]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """Raw biases or darks of one night and of equal conditions whose figures agree: a point of a control chart.

    ``frames`` is how many they are. ``parts`` holds, for every plane and amplifier by name, medians over the frames:
    level (above the overscan where that is subtracted) and noise of a pixel, ADU. ``gain_e_per_adu`` is that of the
    settings or the header, which may lie.
    """

    kind: Kind
    configuration: str
    night: str
    frames: int
    exposure_s: float | None
    ccd_temp_c: float | None
    gain_e_per_adu: float | None
    parts: tuple[tuple[str, float, float], ...]


BreakStatus = Literal["detected", "suspected", "confirmed", "moved", "set", "undone"]


@dataclass(frozen=True, slots=True)
class Break:
    """The boundary between two hardware epochs of a set-up: ``night`` is the first of the new one.

    ``after`` is the last night that showed the old one, an empty text if none did; hardware is changed by day, between
    the two. ``cause`` says in words and numbers what changed, ``reason`` is what an operator said. ``suspected``: what
    was seen may be light, a second night must show it too; nothing is closed off yet. ``moved`` and ``set``: where an
    operator put it. ``undone``: an operator said that calibrations of both sides belong together.
    """

    camera: str
    setup: str
    night: str
    after: str
    status: BreakStatus
    cause: str
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """True if calibrations of one side are not for the other."""
        return self.status not in ("suspected", "undone")


@dataclass(frozen=True, slots=True)
class EpochWord:
    """What an operator said of the epochs of a set-up: ``confirmed``, ``undone``, ``moved`` or ``set`` a break.

    ``night`` is that of the break; ``other`` where it was moved to, or, of one undone, the last night of the old epoch.
    """

    word: str
    night: str
    other: str
    reason: str


@dataclass(frozen=True, slots=True)
class StaleNight:
    """A group and night whose masters must be looked at again, and when its newest frame came."""

    group: Group
    night: str
    touched_at: datetime
