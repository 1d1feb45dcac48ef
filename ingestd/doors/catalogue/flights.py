"""Jobs that workers hold, so that a start knows what was in flight when the daemon died.

A row is the fact that a job was handed out; it goes with the outcome. At a start, every row left is a death of the
daemon beside that job. Deaths in a row are counted; nothing follows from one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestd.doors.catalogue.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable


class Flights(Reading):
    """What is out, and how often the daemon died meanwhile."""

    def take_off(self, jobs: Iterable[tuple[str, str | None]]) -> None:
        """Record that jobs are handed out, each with the frame that it is about, if it is about one."""
        with self.transaction():
            self._write_many(_TAKE_OFF, [{"job_id": job_id, "frame_id": frame_id} for job_id, frame_id in jobs])

    def land(self, job_ids: Iterable[str]) -> None:
        """Record that jobs came back, whatever became of them: their count of deaths begins anew."""
        with self.transaction():
            self._write_many(_LAND, [{"job_id": job_id} for job_id in job_ids])

    def count_deaths(self) -> int:
        """Record, at a start, that the daemon died beside every job still out; return how many those are."""
        with self.transaction():
            return self._write(_COUNT_DEATHS, {})

    def ground(self) -> None:
        """Record, at a graceful stop, that the jobs still out were abandoned: no death."""
        with self.transaction():
            self._write("UPDATE flights SET is_out = 0", {})

    def suspects(self, deaths: int) -> dict[str, str | None]:
        """Return the jobs beside which the daemon died at least so many times in a row, each with its frame."""
        return {row["job_id"]: row["frame_id"] for row in self._rows(_SUSPECTS, {"deaths": deaths})}


_TAKE_OFF = """INSERT INTO flights (job_id, frame_id) VALUES (:job_id, :frame_id)
    ON CONFLICT (job_id) DO UPDATE SET is_out = 1"""
_LAND = "DELETE FROM flights WHERE job_id = :job_id"
_COUNT_DEATHS = "UPDATE flights SET deaths = deaths + 1, is_out = 0 WHERE is_out = 1"
_SUSPECTS = "SELECT job_id, frame_id FROM flights INDEXED BY flights_deaths WHERE deaths >= :deaths"
