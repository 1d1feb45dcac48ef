"""Where jobs are handed out: what every part of a look works with."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ingestd.records import Calibration, FrameRecord, Job, Kind, Master
from ingestd.rules import epochs, matching, windows
from ingestd.rules.planning.plan import Plan
from ingestd.rules.planning.view import View
from ingestd.settings import Camera, Rules, Settings

SUSPICIOUS_DEATHS = 3
"""Deaths of the daemon in a row beside a job that make it run last and alone."""


class Desk:
    """One look's view of the catalogue, its settings, and the plan that it fills; parameters as those of a Planner."""

    def __init__(
        self, view: View, settings: Settings, now: datetime, *, in_flight: Collection[str], capacity: int, drain: bool
    ) -> None:
        self.view = view
        self.settings = settings
        self.now = now
        self.in_flight = in_flight
        self.capacity = capacity
        self.drain = drain
        self.plan = Plan()
        self.suspects = view.suspects(SUSPICIOUS_DEATHS)
        self.suspected: list[Job] = []
        self._cameras = {camera.name: camera for camera in settings.camera}
        self.epochs = epochs.EpochKeeper(view, settings, self._cameras)
        self.plan.epochs = self.epochs.plan
        self._planned: set[str] = set()

    def calibration(self, frame: FrameRecord) -> Calibration:
        """Return the masters chosen for a science or flat frame."""
        kinds = (Kind.BIAS, Kind.DARK, Kind.FLAT) if frame.kind == Kind.LIGHT else (Kind.BIAS, Kind.DARK)
        masters = {kind: self.masters_near(frame, kind) for kind in kinds}
        camera, breaks = self.camera(frame.camera), self.epochs.breaks_for(frame)
        return matching.calibration_for(frame, masters, self.settings, camera, breaks)

    def masters_near(self, frame: FrameRecord, kind: Kind) -> list[Master]:
        """Return the masters that may be valid for a frame, and those of about as much time more, to be shown."""
        if frame.obs_start is None:
            return []
        since, until = matching.looked_at(frame.obs_start, self.rules(frame.camera).master(kind))
        return self.view.masters_of_setup(*instrument_of(frame), kind, since=since, until=until)

    def camera(self, name: str) -> Camera:
        """Return the settings of a camera; one that left the settings keeps the defaults."""
        return self._cameras.get(name) or Camera(name)

    def rules(self, camera: str) -> Rules:
        """Return the association rules of a camera."""
        return self.settings.rules_of(camera)

    def has_room(self) -> bool:
        """Return whether another job may be handed out."""
        return len(self.plan.jobs) < self.capacity

    def gave_up(self, job_id: str) -> bool:
        """Return whether a job failed so often that it is not tried again by itself."""
        failure = self.view.failure(job_id)
        return failure is not None and failure.is_final

    def must_pause(self, job_id: str) -> bool:
        """Return whether a job failed lately; remember when it may be tried again."""
        failure = self.view.failure(job_id)
        if failure is None or failure.next_try is None or failure.next_try <= self.now:
            return False
        self.plan.look_again(failure.next_try)
        return True

    def can_measure(self, job_id: str) -> bool:
        """Return whether a measurement may be tried now: it did not fail lately, or too often."""
        return not self.gave_up(job_id) and not self.must_pause(job_id)

    def submit(self, job: Job) -> None:
        """Hand out a job unless a worker holds it, it must wait after a failure, or there is no room."""
        is_out = job.job_id in self.in_flight or job.job_id in self._planned
        if is_out or not self.has_room() or self.gave_up(job.job_id) or self.must_pause(job.job_id):
            return
        self._planned.add(job.job_id)
        (self.suspected if job.job_id in self.suspects else self.plan.jobs).append(job)


def instrument_of(frame: FrameRecord) -> tuple[str, str]:
    """Return camera and set-up: what frames must share to calibrate each other, in whatever window."""
    return frame.camera, windows.setup_of(frame.configuration.key())
