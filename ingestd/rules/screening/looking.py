"""One look at a night: which of its frames must be measured against another reference, and what the verdicts are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from datetime import date as calendar_date
from typing import Protocol

from ingestd.records import (
    Break,
    Calibration,
    FrameInput,
    FrameRecord,
    Group,
    Kind,
    Master,
    MasterInput,
    MeasuredFrame,
    MeasureFrame,
    Metric,
    Verdict,
)
from ingestd.rules import addresses, breaks, groups, windows
from ingestd.rules.screening.judging import verdict
from ingestd.rules.screening.references import (
    Chosen,
    References,
    Standard,
    figures_of,
    plane_labels,
    references_for,
)
from ingestd.settings import Rules, Settings


class View(Protocol):
    """What the second look reads of the catalogue."""

    def measured_frames(self, group: Group, night: str) -> list[MeasuredFrame]:
        """Return the frames of a group and night whose pixels were looked at."""

    def master_figures(self, master_id: str) -> tuple[Metric, ...]:
        """Return the figures of a master."""

    def masters(
        self,
        camera: str,
        configuration: str,
        kind: Kind,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Master]:
        """Return the current masters of one configuration."""

    def path_of(self, frame_id: str) -> str | None:
        """Return where the frame was last seen, if it is still there."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a night needs: frames to be measured again, and verdicts that differ from those in force.

    ``is_settled`` is True if neither changes which frames are good.
    """

    to_measure: tuple[MeasureFrame, ...]
    verdicts: tuple[Verdict, ...]
    is_settled: bool


def possible_references(
    view: View, camera: str, configuration: str, kind: Kind, night: str, known: Sequence[Break], rules: Rules
) -> list[Master]:
    """Return the masters of a kind that may judge what is of a night: of its hardware epoch, recent enough or later.

    Parameters
    ----------
    view : View
    camera, configuration : str
        As in a group.
    kind : Kind
        Of the masters.
    night : str
        ISO date.
    known : sequence of Break
        Of the set-up.
    rules : Rules
        Of the camera; how long a master is valid after its last frame.
    """
    evening = datetime.combine(calendar_date.fromisoformat(night), time(), UTC)
    since, until = evening - timedelta(days=rules.master(kind).after_d + 2), evening + timedelta(days=2)
    found = view.masters(camera, configuration, kind, since=since, until=until)
    return [it for it in found if breaks.crossed(known, night, it.night) is None]


class Screener:
    """Looks at one night after the other.

    Parameters
    ----------
    view : View
    settings : Settings
    calibrate : callable
        The masters that a flat is calibrated with before it is combined.
    can_measure : callable
        Whether a job may be tried now, given its address; what cannot be measured is judged by what is known of it.
    breaks_of : callable
        The breaks of a camera and set-up: a master of another hardware epoch judges nobody.
    """

    def __init__(
        self,
        view: View,
        settings: Settings,
        calibrate: Callable[[FrameRecord], Calibration],
        can_measure: Callable[[str], bool],
        breaks_of: Callable[[str, str], Sequence[Break]],
    ) -> None:
        self._view = view
        self._settings = settings
        self._calibrate = calibrate
        self._can_measure = can_measure
        self._breaks_of = breaks_of
        self._standards: dict[str, Standard] = {}

    def look(self, group: Group, night: str) -> Look:
        """Return what the frames of a group and night need, and the verdicts on those that need nothing."""
        own, biases = self._masters(group.kind, group, night), self._masters(Kind.BIAS, group, night)
        jobs, verdicts, is_settled = [], [], True
        for measured in self._view.measured_frames(group, night):
            chosen = self._chosen(measured.frame, own, biases)
            job = self._job(measured.frame, chosen)
            if job is not None and job.job_id != measured.job_id and self._can_measure(job.job_id):
                jobs.append(job)
                continue
            found = verdict(measured.frame, measured.figures, self._references(chosen), self._settings)
            if found != measured.verdict:
                verdicts.append(found)
                is_settled &= measured.verdict is not None and found.reason == measured.verdict.reason
        return Look(tuple(jobs), tuple(verdicts), is_settled and not jobs)

    def measurement(self, frame: FrameRecord) -> MeasureFrame | None:
        """Return the order to measure a calibration frame against its reference of now, or None if it is gone."""
        group, night = groups.group_of(frame), frame.night or ""
        own, biases = (self._masters(kind, group, night) if night else [] for kind in (frame.kind, Kind.BIAS))
        return self._job(frame, self._chosen(frame, own, biases))

    def _chosen(self, frame: FrameRecord, own: list[Master], biases: list[Master]) -> Chosen:
        """Return the masters that a frame is judged by."""
        chosen = references_for(frame, own, biases, self._settings)
        return chosen if frame.kind is not Kind.FLAT else replace(chosen, calibration=self._calibrate(frame))

    def _masters(self, kind: Kind, group: Group, night: str) -> list[Master]:
        """Return the masters of a kind that may be a reference in a night."""
        known = self._breaks_of(group.camera, windows.setup_of(group.configuration))
        rules = self._settings.rules_of(group.camera)
        return possible_references(self._view, group.camera, group.configuration, kind, night, known, rules)

    def _job(self, frame: FrameRecord, chosen: Chosen) -> MeasureFrame | None:
        """Return the order to measure a frame against its reference."""
        path = self._view.path_of(frame.frame_id)
        if path is None:
            return None
        inputs: tuple[MasterInput, ...] = ()
        levels: tuple[float | None, ...] = ()
        own = self._standard(chosen.own) if chosen.is_alike else None
        if own is not None:
            inputs = (addresses.reference_input(own.master, self._settings),)
            inputs += addresses.inputs_of(chosen.calibration, self._settings)
            levels = tuple(own.figures.get(("flat_level_adu", label)) for label in plane_labels(frame))
        arithmetic = addresses.arithmetic_of(self._settings)
        member, sigma = FrameInput(frame, path, inputs), self._settings.screening.outlier_sigma
        job_id = addresses.of_measurement(member, arithmetic, sigma)
        return MeasureFrame(job_id, member, arithmetic, sigma, levels if frame.kind is Kind.FLAT else ())

    def _references(self, chosen: Chosen) -> References:
        """Return the masters with their figures."""
        own = self._standard(chosen.own)
        if chosen.calibration is None:
            return References(own, chosen.is_alike, self._standard(chosen.bias))
        used = {match.master.kind: match for match in chosen.calibration.matches}
        bias, dark = used.get(Kind.BIAS), used.get(Kind.DARK)
        return References(
            own,
            chosen.is_alike,
            None if bias is None else self._standard(bias.master),
            None if dark is None else self._standard(dark.master),
            None if dark is None or dark.how == "exact" else dark.exposure_ratio,
        )

    def _standard(self, master: Master | None) -> Standard | None:
        """Return a master with its figures, read once in a look."""
        if master is None:
            return None
        if master.master_id not in self._standards:
            figures = figures_of(self._view.master_figures(master.master_id))
            self._standards[master.master_id] = Standard(master, figures)
        return self._standards[master.master_id]
