"""What the metrics show of the catalogue, read on a connection of its own that cannot write."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from ingestd.doors.catalogue import Catalogue
from ingestd.doors.exporter import BreakCount, CoverageCount, Figures, FrameCount, MasterInUse, QaValue
from ingestd.records import CALIBRATION_KINDS, BreakStatus, Choice, FrameRecord, Kind, Match, Wait
from ingestd.rules import coverage
from ingestd.rules.coverage import Coverage, Status
from ingestd.rules.groups import grade_rank, night_of
from ingestd.rules.matching import calibration_for
from ingestd.rules.windows import setup_of
from ingestd.settings import Camera, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# The newest frames of a camera among which its filters in use are looked for.
_RECENT_LIGHTS = 200

_SURVEY_KEPT = timedelta(seconds=60)


def catalogue_query(settings: Callable[[], Settings], now: Callable[[], datetime]) -> Callable[[], Figures]:
    """Return the query of ``Telemetry``: it opens the catalogue for reading, reads once, and closes it.

    Parameters
    ----------
    settings : callable
        Returns the settings in force: data directory, cameras, validities and tolerances.
    now : callable
        Returns the time (aware UTC) at which "the master in use" is asked for.

    Returns
    -------
    callable
        Raises ``CatalogueUnusable`` where the catalogue cannot be read now.
    """
    surveyed: tuple[datetime, Settings, Coverage] | None = None

    def query() -> Figures:
        """Return a reading; the survey of coverage is kept while it is fresh."""
        nonlocal surveyed
        in_force, time = settings(), now()
        with Catalogue.open(in_force.catalogue_path, read_only=True) as catalogue:
            if surveyed is None or surveyed[1] != in_force or not _is_fresh(surveyed[0], time):
                surveyed = time, in_force, coverage.survey(catalogue, in_force, time)
            return read_figures(catalogue, in_force, time, surveyed[2])

    return query


def _is_fresh(surveyed_at: datetime, now: datetime) -> bool:
    """Return whether a survey of so long ago still stands: it looks at every combination and changes slowly."""
    return surveyed_at <= now < surveyed_at + _SURVEY_KEPT


def read_figures(catalogue: Catalogue, settings: Settings, now: datetime, surveyed: Coverage | None = None) -> Figures:
    """Return one reading of an open catalogue; ``surveyed`` where the coverage is known already."""
    if surveyed is None:
        surveyed = coverage.survey(catalogue, settings, now)
    frames = [FrameCount(row["state"], row["kind"], row["frames"]) for row in catalogue.counts()]
    quality = [_qa_value(row) for row in catalogue.qa_rows(latest=True)]
    masters = list(_MastersInUse(catalogue, settings, now).of_all_cameras())
    breaks = list(_break_counts(catalogue.break_rows(), settings))
    return Figures(frames, quality, masters, list(_coverage_counts(surveyed)), breaks)


def _break_counts(rows: Sequence[Mapping[str, Any]], settings: Settings) -> Iterator[BreakCount]:
    """Yield the number of breaks of each status for every camera in the settings, also where it is 0."""
    for camera in settings.camera:
        statuses = [row["status"] for row in rows if row["camera"] == camera.name]
        for status in get_args(BreakStatus):
            yield BreakCount(camera.name, status, statuses.count(status))


def _coverage_counts(surveyed: Coverage) -> Iterator[CoverageCount]:
    """Yield how the combinations of each camera stand with each kind."""
    for camera in sorted({cover.combination.camera for cover in surveyed.covers}):
        for kind in CALIBRATION_KINDS:
            statuses = [it.status for it in surveyed.covers if (it.combination.camera, it.kind) == (camera, kind)]
            needs = [it for it in surveyed.needs if (it.camera, it.kind) == (camera, kind)]
            yield CoverageCount(
                camera=camera,
                kind=kind.value,
                covered=statuses.count(Status.COVERED),
                expiring=statuses.count(Status.EXPIRING),
                missing=statuses.count(Status.MISSING),
                frames_to_take=sum(it.to_minimum for it in needs if it.status is Status.MISSING),
            )


def _qa_value(row: Mapping[str, Any]) -> QaValue:
    """Return one row of the view ``qa_latest``."""
    return QaValue(
        metric=row["metric"],
        value=row["value"],
        camera=row["camera"],
        kind=row["kind"],
        filter_name=row["filter_name"] or None,
        plane=row["plane"],
        channel=row["channel"],
        time=datetime.fromisoformat(row["time"]) if row["time"] else None,
    )


# --- the masters in use -----------------------------------------------------------------------------------------------


class _MastersInUse:
    """The masters that a repetition of each camera's newest science frames would get now."""

    def __init__(self, catalogue: Catalogue, settings: Settings, now: datetime) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._now = now

    def of_all_cameras(self) -> Iterator[MasterInUse]:
        """Yield those of every camera in the settings, and of every other that has masters."""
        current = self._catalogue.master_rows()
        cameras = {camera.name: camera for camera in self._settings.camera}
        for row in current:
            cameras.setdefault(row["camera"], Camera(row["camera"]))
        for camera in cameras.values():
            rows = [row for row in current if row["camera"] == camera.name]
            lights = self._newest_lights(camera.name)
            yield from self._for_lights(lights, rows, camera) if lights else self._without_lights(rows)

    def _newest_lights(self, camera: str) -> list[FrameRecord]:
        """Return the newest science frame of each filter in use, the newest first."""
        found: dict[str, str] = {}
        for row in reversed(self._catalogue.frame_rows(kind=Kind.LIGHT, camera=camera, limit=_RECENT_LIGHTS)):
            found.setdefault(row["filter_name"] or "", row["frame_id"])
        records = (self._catalogue.frame(frame_id) for frame_id in found.values())
        return [record for record in records if record is not None]

    def _for_lights(
        self, lights: Sequence[FrameRecord], rows: Sequence[Mapping[str, Any]], camera: Camera
    ) -> Iterator[MasterInUse]:
        """Yield bias and dark of the newest science frame, and the flat of each filter."""
        for light in lights:
            key = light.configuration.key()
            masters = {
                kind: self._catalogue.masters_of_setup(
                    light.camera, setup_of(key), kind, since=self._now - self._validity(camera.name, kind)
                )
                for kind in CALIBRATION_KINDS
            }
            breaks = self._catalogue.breaks(light.camera, setup_of(key))
            night = night_of(self._now, self._settings.site.longitude_deg)
            repeated = replace(light, obs_start=self._now, night=night)
            calibration = calibration_for(repeated, masters, self._settings, camera, breaks)
            own = [row for row in rows if row["configuration"] == key]
            if light is lights[0]:
                yield from _in_use(calibration.bias, Kind.BIAS, light, own)
                yield from _in_use(calibration.dark, Kind.DARK, light, own)
            yield from _in_use(calibration.flat, Kind.FLAT, light, own)

    def _without_lights(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[MasterInUse]:
        """Yield the newest master of each kind and filter: nobody knows what the first science frame will need."""
        seen = set()
        for row in sorted(rows, key=lambda row: str(row["last_obs"]), reverse=True):
            filter_name = row["filter_name"] or None
            if (row["kind"], filter_name) in seen:
                continue
            seen.add((row["kind"], filter_name))
            first_obs, last_obs = _interval(row)
            is_valid = self._now - last_obs <= self._validity(row["camera"], Kind(row["kind"]))
            rank = grade_rank(row["grade"])
            yield MasterInUse(row["camera"], row["kind"], filter_name, first_obs, last_obs, is_valid, rank)

    def _validity(self, camera: str, kind: Kind) -> timedelta:
        """Return for how long after its last frame a master of the kind is valid."""
        return timedelta(days=self._settings.rules_of(camera).master(kind).after_d)


def _in_use(choice: Choice, kind: Kind, light: FrameRecord, rows: Sequence[Mapping[str, Any]]) -> Iterator[MasterInUse]:
    """Yield the chosen master; where none was, the newest of the kind, so that its age shows how long ago it was."""
    filter_name = light.filter_name if kind is Kind.FLAT else None
    if isinstance(choice, Match):
        master = choice.master
        rank = grade_rank(master.grade)
        yield MasterInUse(light.camera, kind, filter_name, master.first_obs, master.last_obs, grade=rank)
        return
    same = [row for row in rows if row["kind"] == kind and (kind is not Kind.FLAT or row["filter_name"] == filter_name)]
    newest = max(same, key=lambda row: str(row["last_obs"]), default=None)
    is_available = not isinstance(choice, Wait)
    if newest is not None:
        first_obs, last_obs = _interval(newest)
        rank = grade_rank(newest["grade"])
        yield MasterInUse(light.camera, kind, filter_name, first_obs, last_obs, is_available, rank)
    elif not is_available:
        yield MasterInUse(light.camera, kind, filter_name, None, None, is_available=False)


def _interval(row: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the observation times of the first and the last member."""
    return datetime.fromisoformat(row["first_obs"]), datetime.fromisoformat(row["last_obs"])
