"""The values that pass this door besides the records: what arrives, what was taken in, how a frame stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestd.records import Configuration, FrameRecord, Kind

if TYPE_CHECKING:
    from datetime import datetime

    from ingestd.records import FileStamp, State

NO_CONFIGURATION = Configuration("", 0, 0, 0, 0, None, "", None, None, "", 0, ())


@dataclass(frozen=True, slots=True)
class ArrivalRow:
    """A file that is still arriving: why it is not taken yet and when to look again.

    ``path`` is the name as ``os.fsdecode`` gives it; ``first_seen`` of a known path is kept.
    """

    path: str
    reason: str
    detail: str
    size_bytes: int
    first_seen: datetime
    next_look: datetime


@dataclass(frozen=True, slots=True)
class TakenFrame:
    """A file that has arrived: its record, where it lies, and how it stands.

    ``state`` waiting means that it is to be measured (bias, dark, flat) or reduced (light).
    """

    record: FrameRecord
    path: str
    stamp: FileStamp
    state: State
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AddedFrame:
    """What adding a file did: ``is_new`` if its content was not known; the frame that its path held before, if any."""

    frame_id: str
    path: str
    is_new: bool
    replaced: str | None


@dataclass(frozen=True, slots=True)
class StandingFrame:
    """A frame with its place in the catalogue.

    ``takes_part``: it is to be measured or reduced. ``decision`` is the operator's word in force, or an empty text;
    ``is_unreadable`` says that it is quarantined because of its bytes, which no word can mend.
    """

    record: FrameRecord
    state: State
    reason: str
    detail: str
    is_live: bool
    superseded_by: str | None
    takes_part: bool = True
    decision: str = ""
    is_unreadable: bool = False


def rejected_record(frame_id: str, camera: str) -> FrameRecord:
    """Return the record of a file that could not become a frame: nothing is known but its bytes."""
    return FrameRecord(
        frame_id=frame_id,
        data_sha256=frame_id,
        kind=Kind.UNKNOWN,
        label=Kind.UNKNOWN.value,
        camera=camera,
        configuration=NO_CONFIGURATION,
        exposure_s=None,
        ccd_temp_c=None,
        set_temp_c=None,
        filter_name=None,
        object_name=None,
        obs_start=None,
        night=None,
        gain_e_per_adu=None,
        read_noise_e=None,
        saturation_adu=None,
        planes=(),
        dialect="",
        container="plain",
        sources=(),
        flags=(),
        notes=(),
    )
