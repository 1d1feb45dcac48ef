"""Quality figures as rows of one long table: those of a frame, a master, a product; NaN is no figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.staleness import Staleness
from ingestd.doors.catalogue.texts import clean_text, finite, optional_text, optional_time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingestd.records import FrameRecord, Master, Metric, Outcome


class Figures(Staleness):
    """Replace what a job measured, inside the transaction that records the job."""

    def _replace_figures_of_frame(
        self, frame_id: str, outcome: Outcome, units: Mapping[str, str], *, is_current: bool
    ) -> None:
        """Record what was measured on a calibration frame."""
        frame = self.frame(frame_id)
        if frame is None:
            raise ValueError(f"no frame {frame_id}")
        self._write(_DROP_FIGURES_OF_FRAME, {"frame_id": frame_id})
        self._put_figures(_subject_of_frame(frame, outcome.job_id, is_current=is_current), outcome, units)

    def _replace_figures_of_reduction(
        self, frame: FrameRecord, job_id: str, outcome: Outcome, units: Mapping[str, str]
    ) -> None:
        """Record what was measured on a product; the figures of the frame's other products stay, not current."""
        self._write(_DROP_FIGURES_OF_REDUCTION, {"frame_id": frame.frame_id, "job_id": job_id})
        self._put_figures(_subject_of_frame(frame, job_id, is_current=False), outcome, units)

    def _replace_figures_of_master(
        self, master: Master, job_id: str, outcome: Outcome, units: Mapping[str, str]
    ) -> None:
        """Record what was measured while a master was built."""
        self._write(_DROP_FIGURES_OF_BUILD, {"master_id": master.master_id})
        self._put_figures(self._subject_of_master(master, job_id), outcome, units)

    def _replace_figures_of_standing(
        self, master_id: str, job_id: str, outcome: Outcome, units: Mapping[str, str]
    ) -> None:
        """Record what a master gave against other masters."""
        master = self.master(master_id)
        if master is None:
            raise ValueError(f"no master {master_id}")
        self._write(_DROP_FIGURES_OF_STANDING, {"master_id": master_id})
        self._put_figures(self._subject_of_master(master, job_id), outcome, units)

    def _forget_failures(self, frame_id: str) -> None:
        """Forget the failures of a frame whose job has succeeded."""
        self._write(_FORGET_FAILURES, {"frame_id": frame_id})

    def _subject_of_master(self, master: Master, job_id: str) -> dict[str, object]:
        """Return the columns that figures of a master have in common."""
        return {
            "frame_id": None,
            "master_id": master.master_id,
            "job_id": job_id,
            "camera": clean_text(master.camera),
            "configuration": clean_text(master.configuration),
            "kind": master.kind.value,
            "filter_name": optional_text(master.filter_name),
            "night": master.night,
            "time": optional_time_text(master.last_obs),
            "current": self._value(_IS_CURRENT, {"master_id": master.master_id}),
        }

    def _put_figures(self, subject: dict[str, object], outcome: Outcome, units: Mapping[str, str]) -> None:
        """Insert the finite figures of an outcome."""
        for metric in outcome.metrics:
            if math.isfinite(metric.value):
                row = {**subject, **_figure(metric, units)}
                self._write(_PUT_SERIES, row)
                self._write(_PUT_FIGURE, row)


def _subject_of_frame(frame: FrameRecord, job_id: str, *, is_current: bool) -> dict[str, object]:
    """Return the columns that figures of a frame have in common."""
    return {
        "frame_id": frame.frame_id,
        "master_id": None,
        "job_id": job_id,
        "camera": clean_text(frame.camera),
        "configuration": clean_text(frame.configuration.key()),
        "kind": frame.kind.value,
        "filter_name": optional_text(frame.filter_name),
        "night": frame.night,
        "time": optional_time_text(frame.obs_start),
        "current": is_current,
    }


def _figure(metric: Metric, units: Mapping[str, str]) -> dict[str, object]:
    """Return the columns of one figure."""
    return {
        "name": metric.name,
        "value": metric.value,
        "error": finite(metric.error),
        "unit": units.get(metric.name, ""),
        "plane": metric.plane,
        "channel": clean_text(metric.channel),
    }


_DROP_FIGURES_OF_FRAME = "DELETE FROM metrics WHERE frame_id = :frame_id"
_DROP_FIGURES_OF_REDUCTION = "DELETE FROM metrics WHERE frame_id = :frame_id AND job_id = :job_id"
_DROP_FIGURES_OF_BUILD = """DELETE FROM metrics WHERE master_id = :master_id
    AND job_id IS NOT (SELECT measured_job FROM masters WHERE master_id = :master_id)"""
_DROP_FIGURES_OF_STANDING = """DELETE FROM metrics WHERE master_id = :master_id
    AND job_id = (SELECT measured_job FROM masters WHERE master_id = :master_id)"""
_FORGET_FAILURES = "DELETE FROM failures WHERE frame_id = :frame_id"
_IS_CURRENT = "SELECT current FROM masters WHERE master_id = :master_id"
_PUT_SERIES = """INSERT INTO series (name, camera, kind, filter_name, plane, channel)
    VALUES (:name, :camera, :kind, ifnull(:filter_name, ''), ifnull(:plane, -1), :channel) ON CONFLICT DO NOTHING"""
_PUT_FIGURE = """INSERT INTO metrics (name, value, error, unit, plane, channel, frame_id, master_id, job_id, camera,
        configuration, kind, filter_name, night, time, current, series_id)
    VALUES (:name, :value, :error, :unit, :plane, :channel, :frame_id, :master_id, :job_id, :camera, :configuration,
        :kind, :filter_name, :night, :time, :current, (SELECT series_id FROM series WHERE name = :name
            AND camera = :camera AND kind = :kind AND filter_name = ifnull(:filter_name, '')
            AND plane = ifnull(:plane, -1) AND channel = :channel))"""
