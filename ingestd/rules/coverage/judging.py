"""How a combination stands with bias, dark and flat, for a frame that would be taken now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingestd.records import CALIBRATION_KINDS, Break, Calibration, FrameRecord, Kind, Master, Match, Wait
from ingestd.rules import groups, lacking, matching, windows
from ingestd.rules.coverage.values import Combination, Cover, Status, View
from ingestd.settings import Camera, Settings

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Subject:
    """A combination as a frame that is taken now, and the masters that it may get."""

    combination: Combination
    frame: FrameRecord
    camera: Camera
    masters: Mapping[Kind, Sequence[Master]]
    breaks: Sequence[Break] = ()

    @property
    def is_scalable(self) -> bool:
        """True if darks of another exposure can serve it."""
        return matching.dark_policy(self.frame, self.camera).scalable


class Judge:
    """Judges combinations one by one, by the rules of matching.

    Parameters
    ----------
    view : View
    settings : Settings
    now : datetime
        When the frame would be taken.
    expiring_d : float, day
        What serves for less than this is expiring.
    """

    def __init__(self, view: View, settings: Settings, now: datetime, expiring_d: float) -> None:
        self.now = now
        self._view = view
        self._settings = settings
        self._horizon = now + timedelta(days=expiring_d)
        self._cameras = {camera.name: camera for camera in settings.camera}
        self._masters: dict[tuple[str, str, bool], dict[Kind, list[Master]]] = {}

    def subjects(self, found: Sequence[Combination]) -> Iterator[Subject]:
        """Yield the combinations as frames; one whose example has left the catalogue is left out."""
        for it in found:
            example = self._view.frame(it.example)
            if example is not None:
                frame = replace(example, exposure_s=it.exposure_s, ccd_temp_c=it.ccd_temp_c, filter_name=it.filter_name)
                camera = self._cameras.get(it.camera) or Camera(it.camera)
                breaks = self._view.breaks(it.camera, windows.setup_of(it.configuration))
                yield Subject(it, frame, camera, self._masters_of(it), breaks)

    def covers(self, subject: Subject) -> Iterator[Cover]:
        """Yield how a combination stands with each kind that its frames need."""
        calibration = self.calibration(subject, self.now, subject.masters)
        for kind in _needed_kinds(subject, calibration):
            choice = calibration.choice(kind)
            if isinstance(choice, Match):
                best = choice.candidates[0]
                until = self._lasts_until(subject, kind, choice)
                status = Status.COVERED if until > self._horizon else Status.EXPIRING
                yield Cover(
                    subject.combination, kind, status, choice.how, best.grade, choice.master, until, best.reason
                )
            elif isinstance(choice, Wait):
                reason = self._why_missing(subject, kind)
                yield Cover(subject.combination, kind, Status.MISSING, "", "", None, None, reason)

    def _why_missing(self, subject: Subject, kind: Kind) -> str:
        """Return why no master serves: the nearest of all there are, however old, and the frames that there are."""
        it = subject.combination
        choice = self.calibration(subject, self.now, self._masters_of(it, every=True)).choice(kind)
        group = groups.group_of(replace(subject.frame, kind=kind))
        rules = self._settings.rules_of(it.camera)
        tonight = groups.night_of(self.now, self._settings.site.longitude_deg)
        first, _ = lacking.nights_of_use(group, tonight, rules)
        frames = lacking.frames_in_words(self._view, group, (first, tonight), it.ccd_temp_c, rules, subject.camera)
        return f"{choice.reason} Frames there: {frames}." if isinstance(choice, Wait) else ""

    def calibration(self, subject: Subject, at: datetime, masters: Mapping[Kind, Sequence[Master]]) -> Calibration:
        """Return the choice among masters for a frame of the combination taken at a time."""
        night = groups.night_of(at, self._settings.site.longitude_deg)
        frame = replace(subject.frame, obs_start=at, night=night)
        return matching.calibration_for(frame, masters, self._settings, subject.camera, subject.breaks)

    def _masters_of(self, combination: Combination, *, every: bool = False) -> dict[Kind, list[Master]]:
        """Return the masters of a set-up that may be valid now, or every one, to tell the nearest however old."""
        key = (combination.camera, windows.setup_of(combination.configuration))
        if (*key, every) not in self._masters:
            self._masters[*key, every] = {
                kind: self._view.masters_of_setup(
                    *key, kind, since=None if every else self.now - self._valid(combination.camera, kind)
                )
                for kind in CALIBRATION_KINDS
            }
        return self._masters[*key, every]

    def _lasts_until(self, subject: Subject, kind: Kind, choice: Match) -> datetime:
        """Return when the last of the masters that serve ceases to be valid, or a time beyond the horizon."""
        valid = self._valid(subject.combination.camera, kind)
        until = choice.master.last_obs + valid
        while until <= self._horizon:
            later = self.calibration(subject, until + _SECOND, subject.masters).choice(kind)
            if isinstance(later, Wait):
                break
            until = later.master.last_obs + valid if isinstance(later, Match) else self._horizon + _SECOND
        return until

    def _valid(self, camera: str, kind: Kind) -> timedelta:
        """Return for how long after their last frame masters of a kind are valid."""
        return timedelta(days=self._settings.rules_of(camera).master(kind).after_d)


def _needed_kinds(subject: Subject, calibration: Calibration) -> list[Kind]:
    """Return the kinds that a combination needs.

    Those that its camera requires; with darks also the bias, without which none is scaled. Where only an exact dark
    will do, it carries the bias: to miss the dark is to miss both.
    """
    needed = {Kind(name) for name in subject.camera.requires}
    if Kind.DARK in needed:
        needed.add(Kind.BIAS)
    if isinstance(calibration.dark, Wait) and not subject.is_scalable:
        needed.discard(Kind.BIAS)
    return [kind for kind in CALIBRATION_KINDS if kind in needed]
