"""What planning asks on every tick: what is due, and what it could be done with. Each question is one index look-up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.judgements import read_failure, read_verdict
from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.rows import read_metric
from ingestd.doors.catalogue.texts import frames_key, masters_key, optional_time_text, read_time, time_text
from ingestd.records import FormerProduct, Group, Kind, MeasuredFrame, StaleNight, Standing, UsedMaster

if TYPE_CHECKING:
    from datetime import datetime

    from ingestd.records import Failure, FrameRecord, Master, Metric

_EVER = "9999"
_NEVER = ""


class Planning(Reading):
    """Read-only questions about due work and usable inputs."""

    def unmeasured(self, limit: int, now: datetime | None = None) -> list[FrameRecord]:
        """Return calibration frames that are to be measured, the newest observation first.

        Parameters
        ----------
        limit : int
            At most so many.
        now : datetime, optional
            Leave out frames whose back-off after a failure ends later; by default none are left out.
        """
        return self._frames(self._rows(_UNMEASURED, {"limit": limit, "now": optional_time_text(now) or _EVER}))

    def has_unmeasured(self, camera: str, setup: str) -> bool:
        """Return whether a calibration frame of the set-up waits to be measured; one that failed does not count."""
        return bool(self._value(_HAS_UNMEASURED, {"camera": camera, "setup": setup}))

    def stale_nights(self, limit: int = -1) -> list[StaleNight]:
        """Return the groups and nights whose masters must be settled again, the longest quiet first."""
        return [
            StaleNight(
                Group(row["camera"], Kind(row["kind"]), row["configuration"], row["filter_name"] or None),
                row["night"],
                read_time(row["touched_at"]),
            )
            for row in self._rows(_STALE_NIGHTS, {"limit": limit})
        ]

    def stale_lights(
        self,
        limit: int,
        newest_first: bool = True,  # noqa: FBT001, FBT002 - reads well
        now: datetime | None = None,
        *,
        delayed: bool = False,
    ) -> list[FrameRecord]:
        """Return science frames that are to be planned again.

        Parameters
        ----------
        limit : int
            At most so many.
        newest_first : bool
            By observation time: what arrives now goes before the backlog.
        now : datetime, optional
            Leave out frames whose back-off after a failure, or whose delay, ends later; by default none are left out.
        delayed : bool
            Do not leave out those that are delayed.
        """
        query = _STALE_LIGHTS_NEWEST if newest_first else _STALE_LIGHTS_OLDEST
        parameters = {"limit": limit, "now": optional_time_text(now) or _EVER, "delayed": delayed}
        return self._frames(self._rows(query, parameters))

    def stale_masters(self) -> list[Master]:
        """Return current masters that must be graded again: biases, then darks, then flats, each in order of time."""
        return self._masters(self._texts(_STALE_MASTERS))

    def usable_frames(
        self, group: Group, first_night: str, last_night: str, *, with_gone: bool = False
    ) -> list[FrameRecord]:
        """Return the good frames of a group in a range of nights, ordered by observation time and frame_id.

        Good: measured, its pixels not contradicting its header (or accepted all the same), still there (or
        ``with_gone``), newest of its pixels, not quarantined, and no flag keeps it out of masters.
        """
        parameters = {
            **frames_key(group),
            "first_night": first_night,
            "last_night": last_night,
            "with_gone": with_gone,
        }
        return self._frames(self._rows(_USABLE, parameters))

    def sound_masters(self, group: Group, night: str) -> list[Master]:
        """Return the masters built for a group and night, current or not, that hold nothing that is kept out.

        Neither they nor their parents have a member that is not good (``usable_frames``, gone or not), no parent was
        rejected, and their files have not been pruned.
        """
        parameters = {
            **masters_key(group),
            "night": night,
        }
        found = (self.master(master_id) for master_id in self._texts(_SOUND_MASTERS, parameters))
        return [master for master in found if master is not None]

    def measured_frames(self, group: Group, night: str, *, for_chart: bool = False) -> list[MeasuredFrame]:
        """Return the frames of a group and night that would be good but for their pixels, with what is known of those.

        Ordered by observation time and frame_id. ``for_chart``, what an operator has rejected is left out, and what is
        gone is not: it has shown the hardware all the same.
        """
        parameters = {
            **frames_key(group),
            "night": night,
            "for_chart": for_chart,
        }
        rows = self._rows(_MEASURED_FRAMES, parameters)
        figures: dict[str, list[Metric]] = {row["frame_id"]: [] for row in rows}
        for row in self._rows(_FIGURES_OF_FRAMES, {"ids": json.dumps(list(figures))}):
            figures[row["frame_id"]].append(read_metric(row))
        return [
            MeasuredFrame(frame, row["measured_job"] or "", tuple(figures[frame.frame_id]), read_verdict(row))
            for frame, row in zip(self._frames(rows), rows, strict=True)
        ]

    def master_figures(self, master_id: str) -> tuple[Metric, ...]:
        """Return what was measured on a master."""
        return tuple(read_metric(row) for row in self._rows(_FIGURES_OF_MASTER, {"master_id": master_id}))

    def masters(
        self,
        camera: str,
        configuration: str,
        kind: Kind,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Master]:
        """Return the current masters of a kind for a set-up, ordered by last observation and master_id.

        Parameters
        ----------
        camera, configuration : str
            The set-up; ``Configuration.key()``.
        kind : Kind
            Bias, dark or flat.
        since, until : datetime, optional
            Only masters whose last member was observed in this interval. A master is valid for a frame at ``t`` only if
            it ends after ``t - valid_d`` and begins before ``t + valid_d``, so ends before ``t + valid_d + window_d``.
        """
        parameters = {
            "camera": camera,
            "configuration": configuration,
            "kind": kind.value,
            "since": optional_time_text(since) or _NEVER,
            "until": optional_time_text(until) or _EVER,
        }
        return self._masters(self._texts(_MASTERS, parameters))

    def masters_of_setup(
        self,
        camera: str,
        setup: str,
        kind: Kind,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Master]:
        """Return the current masters of a kind for a set-up in whatever window: parameters and order as `masters`.

        Parameters
        ----------
        setup : str
            The configuration without its window.
        """
        parameters = {
            "camera": camera,
            "setup": setup,
            "kind": kind.value,
            "since": optional_time_text(since) or _NEVER,
            "until": optional_time_text(until) or _EVER,
        }
        return self._masters(self._texts(_MASTERS_OF_SETUP, parameters))

    def known_masters(self, master_ids: list[str]) -> set[str]:
        """Return those of the masters that are recorded and whose file has not been pruned."""
        return {row[0] for row in self._rows(_KNOWN_MASTERS, {"ids": json.dumps(master_ids)})}

    def measured_job(self, master_id: str) -> str | None:
        """Return the job that last measured a master against others, or None."""
        found = self._value(_MEASURED_JOB, {"master_id": master_id})
        return None if found is None else str(found)

    def standing(self, master_id: str) -> Standing | None:
        """Return how a master was last found to stand to that of the previous night, or None if it was never graded."""
        row = self._row(_STANDING, {"master_id": master_id})
        if row is None or row["comparison_grade"] is None:
            return None
        return Standing(master_id, row["compared_with"] or "", row["comparison_grade"], row["comparison"])

    def current_reduction(self, frame_id: str) -> str | None:
        """Return the job that made the frame's current product, or None."""
        found = self._value(_CURRENT_REDUCTION, {"frame_id": frame_id})
        return None if found is None else str(found)

    def former_product(self, frame_id: str) -> FormerProduct | None:
        """Return the current product of a frame with its masters, and when the frame was last reduced; None if none."""
        row = self._row(_FORMER_PRODUCT, {"frame_id": frame_id})
        if row is None:
            return None
        masters = [
            UsedMaster(
                master_id=used["master_id"],
                kind=Kind(used["kind"]),
                how=used["how"],
                age_h=used["age_h"],
                delta_temp_c=used["delta_temp_c"],
                is_withdrawn=bool(used["withdrawn"]),
                night=used["night"],
                first_obs=read_time(used["first_obs"]),
            )
            for used in self._rows(_FORMER_MASTERS, {"reduction_id": row["reduction_id"]})
        ]
        return FormerProduct(row["reduction_id"], read_time(row["made_at"]), tuple(masters), row["doubt"])

    def next_delayed(self, now: datetime) -> datetime | None:
        """Return when the first of the delayed science frames may be reduced again, or None if none is delayed."""
        found = self._value(_NEXT_DELAYED, {"now": time_text(now)})
        return None if found is None else read_time(found)

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
        """Return the gains (electron per ADU) and their errors that flats of earlier nights gave, the newest 100.

        Parameters
        ----------
        camera, setup : str
            The configuration without its window.
        before_night : str
            Only earlier nights.
        since_night : str
            Only this night and later ones.
        plane : int, optional
            HDU number, where the set-up has several planes.
        channel : str
            Name of the amplifier, where a plane has several.
        """
        parameters = {
            "camera": camera,
            "setup": setup,
            "night": before_night,
            "since": since_night,
            "plane": plane,
            "channel": channel,
        }
        return [(row["value"], row["error"]) for row in self._rows(_GAINS, parameters)]

    def failure(self, job_id: str) -> Failure | None:
        """Return how often a job has failed, or None if it never has."""
        row = self._row(_FAILURE, {"job_id": job_id})
        return None if row is None else read_failure(row)

    def next_retry(self, now: datetime) -> datetime | None:
        """Return when the first of the failed jobs that pause may be tried again, or None if none does."""
        found = self._value(_NEXT_RETRY, {"now": time_text(now)})
        return None if found is None else read_time(found)


_UNMEASURED = """SELECT * FROM frames INDEXED BY frames_to_measure
    WHERE stale = 1 AND live = 1 AND kind <> 'light' AND (retry_at IS NULL OR retry_at <= :now)
    ORDER BY obs_start DESC, frame_id DESC LIMIT :limit"""
_HAS_UNMEASURED = """SELECT EXISTS (SELECT 1 FROM frames INDEXED BY frames_unmeasured
    WHERE stale = 1 AND live = 1 AND kind <> 'light' AND camera = :camera AND setup = :setup
    AND retry_at IS NULL)"""
_STALE_NIGHTS = "SELECT * FROM nights WHERE stale = 1 ORDER BY touched_at, night LIMIT :limit"
_STALE_LIGHTS_NEWEST = """SELECT * FROM frames INDEXED BY frames_to_reduce
    WHERE stale = 1 AND live = 1 AND kind = 'light' AND (retry_at IS NULL OR retry_at <= :now)
    AND (:delayed OR again_at IS NULL OR again_at <= :now)
    ORDER BY obs_start DESC, frame_id DESC LIMIT :limit"""
_STALE_LIGHTS_OLDEST = """SELECT * FROM frames INDEXED BY frames_to_reduce
    WHERE stale = 1 AND live = 1 AND kind = 'light' AND (retry_at IS NULL OR retry_at <= :now)
    AND (:delayed OR again_at IS NULL OR again_at <= :now)
    ORDER BY obs_start, frame_id LIMIT :limit"""
_STALE_MASTERS = """SELECT master_id FROM masters INDEXED BY masters_stale
    WHERE stale = 1 AND current = 1 AND pruned_at IS NULL ORDER BY kind, last_obs, master_id"""
_USABLE = """SELECT * FROM frames INDEXED BY frames_usable
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND group_filter = :group_filter
    AND night BETWEEN :first_night AND :last_night AND measured = 1 AND (live = 1 OR :with_gone) AND takes_part = 1
    AND superseded_by IS NULL AND state <> 'quarantined' AND flags = '[]'
    AND (screened = '' OR decision = 'accepted')
    ORDER BY obs_start, frame_id"""
_SOUND_MASTERS = """SELECT m.master_id FROM masters m INDEXED BY masters_night
    WHERE m.camera = :camera AND m.kind = :kind AND m.configuration = :configuration
    AND m.filter_name IS :filter_name AND m.night = :night AND m.provenance = 'built' AND m.pruned_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM parents p JOIN masters parent ON parent.master_id = p.parent_id
        WHERE p.master_id = m.master_id AND parent.decision IS 'rejected')
    AND NOT EXISTS (SELECT 1 FROM members JOIN frames f USING (frame_id)
        WHERE members.master_id IN (SELECT m.master_id UNION ALL
            SELECT p.parent_id FROM parents p WHERE p.master_id = m.master_id)
        AND NOT (f.measured = 1 AND f.takes_part = 1 AND f.superseded_by IS NULL AND f.state <> 'quarantined'
            AND f.flags = '[]' AND (f.screened IS '' OR f.decision IS 'accepted')))"""
_MEASURED_FRAMES = """SELECT * FROM frames INDEXED BY frames_usable
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND group_filter = :group_filter
    AND night = :night AND measured = 1 AND (live = 1 OR :for_chart) AND takes_part = 1 AND superseded_by IS NULL
    AND flags = '[]' AND NOT (:for_chart AND decision IS 'rejected')
    ORDER BY obs_start, frame_id"""
_FIGURES_OF_FRAMES = """SELECT frame_id, name, value, error, plane, channel FROM metrics
    WHERE frame_id IN (SELECT value FROM json_each(:ids)) ORDER BY metric_id"""
_FIGURES_OF_MASTER = """SELECT name, value, error, plane, channel FROM metrics WHERE master_id = :master_id
    ORDER BY metric_id"""
_MASTERS = """SELECT master_id FROM masters INDEXED BY masters_current
    WHERE camera = :camera AND configuration = :configuration AND kind = :kind
    AND last_obs BETWEEN :since AND :until AND current = 1 AND pruned_at IS NULL
    ORDER BY last_obs, master_id"""
_MASTERS_OF_SETUP = """SELECT master_id FROM masters INDEXED BY masters_setup
    WHERE camera = :camera AND setup = :setup AND kind = :kind
    AND last_obs BETWEEN :since AND :until AND current = 1 AND pruned_at IS NULL
    ORDER BY last_obs, master_id"""
_KNOWN_MASTERS = """SELECT master_id FROM masters
    WHERE master_id IN (SELECT value FROM json_each(:ids)) AND pruned_at IS NULL"""
_MEASURED_JOB = "SELECT measured_job FROM masters WHERE master_id = :master_id"
_STANDING = "SELECT compared_with, comparison_grade, comparison FROM masters WHERE master_id = :master_id"
_CURRENT_REDUCTION = """SELECT reduction_id FROM reductions
    WHERE frame_id = :frame_id AND current = 1 AND pruned_at IS NULL"""
_FORMER_PRODUCT = """SELECT reduction_id, doubt,
        (SELECT max(created_at) FROM reductions WHERE frame_id = :frame_id) AS made_at
    FROM reductions WHERE frame_id = :frame_id AND current = 1 AND pruned_at IS NULL"""
_FORMER_MASTERS = """SELECT u.kind, u.master_id, u.how, u.age_h, u.delta_temp_c, made.night, made.first_obs,
        made.decision IS 'rejected' OR made.comparison_grade IS 'red' OR EXISTS (
            SELECT 1 FROM members m JOIN frames f USING (frame_id) WHERE m.master_id = u.master_id
            AND (f.state = 'quarantined' OR f.superseded_by IS NOT NULL)) AS withdrawn
    FROM used_masters u JOIN masters made ON made.master_id = u.master_id WHERE u.reduction_id = :reduction_id"""
_NEXT_DELAYED = """SELECT min(again_at) FROM frames INDEXED BY frames_delayed
    WHERE again_at > :now AND stale = 1 AND live = 1"""
_GAINS = """SELECT value, error FROM metrics INDEXED BY metrics_gain
    WHERE current = 1 AND name = 'gain_electrons_per_adu' AND kind = 'flat' AND camera = :camera
    AND setup = :setup AND night >= :since AND night < :night AND master_id IS NOT NULL
    AND plane IS :plane AND channel = :channel ORDER BY night DESC, value, error LIMIT 100"""
_FAILURE = "SELECT * FROM failures WHERE job_id = :job_id"
_NEXT_RETRY = "SELECT min(next_try) FROM failures WHERE final = 0 AND next_try > :now"
