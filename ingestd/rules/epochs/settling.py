"""The part of planning that keeps the breaks up to date: the nights whose raw frames changed, and what follows.

Nothing of a set-up is planned before its breaks are settled. A look reads the frames of the nights that changed and the
points of all the others, and only where a night is about to be planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ingestd.records import (
    Break,
    Calibration,
    ChartPoint,
    EpochWord,
    FrameRecord,
    Group,
    Master,
    MeasuredFrame,
    UsedMaster,
)
from ingestd.rules import breaks, groups, windows
from ingestd.rules.epochs.charting import points_of
from ingestd.rules.epochs.detecting import breaks_of
from ingestd.settings import Camera, Settings

_NIGHTS_AT_ONCE = 100


class View(Protocol):
    """What it reads of the catalogue."""

    def uncharted_nights(self, camera: str, setup: str, limit: int) -> list[tuple[Group, str]]:
        """Return groups and nights of a set-up whose raw frames changed since they were charted."""

    def measured_frames(self, group: Group, night: str, *, for_chart: bool = False) -> list[MeasuredFrame]:
        """Return the frames of a group and night whose pixels were looked at."""

    def chart(self, camera: str, setup: str) -> list[ChartPoint]:
        """Return every point of the chart of a set-up."""

    def breaks(self, camera: str, setup: str) -> list[Break]:
        """Return the breaks of a set-up."""

    def epoch_words(self, camera: str, setup: str) -> list[EpochWord]:
        """Return what operators said of the epochs of a set-up, the oldest first."""


@dataclass(slots=True)
class EpochPlan:
    """Facts to record: points of nights (group, night, points); the breaks of each (camera, set-up) that changed."""

    charts: list[tuple[Group, str, list[ChartPoint]]] = field(default_factory=list)
    breaks: dict[tuple[str, str], tuple[Break, ...]] = field(default_factory=dict)


class EpochKeeper:
    """Answers for one look at the catalogue.

    Parameters
    ----------
    view : View
    settings : Settings
    cameras : mapping of str to Camera
        By name.

    Attributes
    ----------
    plan : EpochPlan
        What was found on the way.
    """

    def __init__(self, view: View, settings: Settings, cameras: Mapping[str, Camera]) -> None:
        self.plan = EpochPlan()
        self._view = view
        self._settings = settings
        self._cameras = cameras
        self._settled: dict[tuple[str, str], bool] = {}
        self._breaks: dict[tuple[str, str], tuple[Break, ...]] = {}

    def breaks(self, camera: str, setup: str) -> tuple[Break, ...]:
        """Return the recorded breaks of a set-up, read once in a look."""
        key = camera, setup
        if key not in self._breaks:
            self._breaks[key] = tuple(self._view.breaks(camera, setup))
        return self._breaks[key]

    def breaks_for(self, frame: FrameRecord) -> tuple[Break, ...]:
        """Return the breaks of the set-up of a frame."""
        return self.breaks(frame.camera, windows.setup_of(frame.configuration.key()))

    def first_night(self, camera: str, configuration: str, night: str) -> str:
        """Return the first night of the epoch that a night belongs to, an empty text if no break lies before it."""
        return breaks.first_night(self.breaks(camera, windows.setup_of(configuration)), night)

    def doubt(self, frame: FrameRecord, calibration: Calibration) -> str:
        """Return why the masters chosen for a frame may be of other hardware, or an empty text."""
        longitude = self._settings.site.longitude_deg
        oldest = [min(it.master.night, groups.night_of(it.master.first_obs, longitude)) for it in calibration.matches]
        return breaks.doubt(self.breaks_for(frame), frame.night, oldest)

    def foreign(self, frame: FrameRecord, masters: Iterable[UsedMaster | Master]) -> set[str]:
        """Return those of the masters that hold frames of another epoch than that of a frame."""
        known, longitude = self.breaks_for(frame), self._settings.site.longitude_deg
        return {
            it.master_id
            for it in masters
            if breaks.crossed(known, frame.night, it.night)
            or breaks.crossed(known, frame.night, groups.night_of(it.first_obs, longitude))
        }

    def is_settled(self, camera: str, setup: str) -> bool:
        """Return whether the breaks of a set-up are up to date; find those that are not, for the plan."""
        key = camera, setup
        if key not in self._settled:
            self._settled[key] = self._settle(camera, setup)
        return self._settled[key]

    def _settle(self, camera: str, setup: str) -> bool:
        """Chart the nights that changed; if that was all of them, return whether the breaks stay as they are."""
        nights = self._view.uncharted_nights(camera, setup, _NIGHTS_AT_ONCE)
        if not nights:
            return True
        fresh = [(group, night, self._points(group, night)) for group, night in nights]
        self.plan.charts += fresh
        if len(nights) == _NIGHTS_AT_ONCE:
            return False
        changed = {(group.kind, group.configuration, night) for group, night, _ in fresh}
        points = [
            point
            for point in self._view.chart(camera, setup)
            if (point.kind, point.configuration, point.night) not in changed
        ]
        points += [point for _, _, own in fresh for point in own]
        found = breaks_of(camera, setup, points, self._view.epoch_words(camera, setup), self._settings)
        if found == self.breaks(camera, setup):
            return True
        self.plan.breaks[camera, setup] = found
        return False

    def _points(self, group: Group, night: str) -> list[ChartPoint]:
        """Return the points that the frames of a group and night make."""
        measured = self._view.measured_frames(group, night, for_chart=True)
        return points_of(night, measured, self._cameras.get(group.camera) or Camera(group.camera), self._settings)
