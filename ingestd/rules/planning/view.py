"""What planning asks of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from ingestd.records import (
    Failure,
    FormerProduct,
    FrameRecord,
    Group,
    Kind,
    Master,
    StaleNight,
    Standing,
)
from ingestd.rules import epochs, screening


class View(epochs.View, screening.View, Protocol):
    """What planning reads of the catalogue, beyond what the breaks of epochs and the looks at pixels ask."""

    def unmeasured(self, limit: int, now: datetime | None = None) -> list[FrameRecord]:
        """Return calibration frames whose pixels were never looked at, without those that pause after a failure."""

    def has_unmeasured(self, camera: str, setup: str) -> bool:
        """Return whether such frames exist for this set-up, in whatever window."""

    def stale_nights(self) -> list[StaleNight]:
        """Return the nights whose masters must be looked at again."""

    def usable_frames(
        self, group: Group, first_night: str, last_night: str, *, with_gone: bool = False
    ) -> list[FrameRecord]:
        """Return the frames of a group that may be members."""

    def frame(self, frame_id: str) -> FrameRecord | None:
        """Return the record of a frame, or None."""

    def sound_masters(self, group: Group, night: str) -> list[Master]:
        """Return the masters built for a group and night, current or not, that hold nothing that is kept out."""

    def master(self, master_id: str) -> Master | None:
        """Return a master, or None."""

    def masters_of_setup(
        self,
        camera: str,
        setup: str,
        kind: Kind,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Master]:
        """Return those of one set-up, in whatever window."""

    def known_masters(self, master_ids: list[str]) -> set[str]:
        """Return those of the masters that are recorded and whose file stands."""

    def stale_masters(self) -> list[Master]:
        """Return the masters whose bias, or that of the previous night, may have changed since they were measured."""

    def measured_job(self, master_id: str) -> str | None:
        """Return the job that last measured a master."""

    def standing(self, master_id: str) -> Standing | None:
        """Return how a master was last found to stand to that of the previous night."""

    def stale_lights(  # newest_first is positional as the catalogue has it
        self,
        limit: int,
        newest_first: bool = True,  # noqa: FBT001, FBT002
        now: datetime | None = None,
        *,
        delayed: bool = False,
    ) -> list[FrameRecord]:
        """Return science frames whose masters must be chosen again, without those that pause, or are delayed."""

    def current_reduction(self, frame_id: str) -> str | None:
        """Return the job that made the current product of a frame."""

    def former_product(self, frame_id: str) -> FormerProduct | None:
        """Return the current product of a frame with its masters."""

    def next_delayed(self, now: datetime) -> datetime | None:
        """Return when the first of the delayed science frames may be reduced again."""

    def failure(self, job_id: str) -> Failure | None:
        """Return what is known of failed attempts at a job."""

    def next_retry(self, now: datetime) -> datetime | None:
        """Return when the first of the failed jobs that pause may be tried again."""

    def suspects(self, deaths: int) -> Mapping[str, str | None]:
        """Return the jobs beside which the daemon died so many times in a row: they run last and alone."""

    def gains(
        self,
        camera: str,
        setup: str,
        before_night: str,
        *,
        since_night: str = "",
        plane: int | None = None,
        channel: str = "",
    ) -> list[tuple[float, float | None]]:
        """Return the gains (e-/ADU, error) that flats of earlier nights gave, those of one amplifier."""
