"""Masters that are valid at a time, and the one that a frame taken under given conditions would get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ingestd.doors.catalogue import Catalogue
from ingestd.records import CALIBRATION_KINDS, Calibration, Choice, FrameRecord, Kind, Master
from ingestd.rules import groups, matching, windows
from ingestd.settings import Camera, Settings


def masters_at(
    catalogue: Catalogue,
    settings: Settings,
    time: datetime,
    *,
    kind: Kind | str | None = None,
    camera: str | None = None,
) -> list[Master]:
    """Return the masters in force that are valid for a frame taken at a time, of every configuration.

    Parameters
    ----------
    catalogue : Catalogue
    settings : Settings
        For how long masters are valid: ``masters.bias.valid_d`` and so on, before the first and after the last member,
        with what single cameras have of their own.
    time : datetime
        Aware.
    kind, camera : str, optional
        Only masters of this kind, of this camera.

    Returns
    -------
    list of Master
        Biases, darks, flats; each by camera, configuration and last member.
    """
    kinds = CALIBRATION_KINDS if kind is None else (Kind(kind),)
    found = []
    for one in kinds:
        found += _valid_masters(catalogue, settings, time, one, camera)
    return found


def _valid_masters(
    catalogue: Catalogue, settings: Settings, time: datetime, kind: Kind, camera: str | None
) -> list[Master]:
    """Return the masters of a kind that are valid at a time, by the rules of their cameras and an operator's word."""
    cameras = [camera] if camera is not None else ["", *(it.name for it in settings.camera)]
    longest = timedelta(days=max(settings.rules_of(name).master(kind).longest_d for name in cameras))
    found = catalogue.valid_masters(kind, time - longest, time + longest, camera=camera)
    return [it for it in found if matching.is_valid_at(it, time, settings.rules_of(it.camera))]


def best_master(
    catalogue: Catalogue,
    settings: Settings,
    *,
    kind: Kind | str,
    camera: str,
    configuration: str,
    time: datetime,
    exposure_s: float | None = None,
    ccd_temp_c: float | None = None,
    filter_name: str | None = None,
) -> Choice:
    """Return the master that a science frame taken under these conditions would get, by the rules that the daemon has.

    Parameters
    ----------
    catalogue : Catalogue
    settings : Settings
        Tolerances, validity, dark policy of the camera.
    kind : str
        ``bias``, ``dark`` or ``flat``.
    camera, configuration : str
        As the catalogue has them: ``Frame.configuration``.
    time : datetime
        When the frame was taken (aware).
    exposure_s, ccd_temp_c : float, optional
        None means unknown, which matches only masters of which it is unknown too.
    filter_name : str, optional
        For a flat.

    Returns
    -------
    Match, Wait or NotNeeded
        A ``Match`` has ``master``, ``how``, ``delta_temp_c``, ``exposure_ratio`` and ``age_h``; a ``Wait`` has a
        ``reason``; both have ``candidates``, every master that was looked at with its verdict.

    Raises
    ------
    ValueError
        If the catalogue has no frame of this camera and configuration.
    """
    example = catalogue.example(camera, configuration)
    if example is None:
        known = "; ".join(catalogue.configurations(camera)) or "none"
        raise ValueError(f"no frame of camera {camera!r} has the configuration {configuration!r}; known: {known}")
    frame = replace(
        example,
        kind=Kind.LIGHT,
        exposure_s=exposure_s,
        ccd_temp_c=ccd_temp_c,
        filter_name=filter_name,
        obs_start=time.astimezone(UTC),
        night=groups.night_of(time.astimezone(UTC), settings.site.longitude_deg),
        flags=(),
    )
    return calibration_now(catalogue, settings, frame, time).choice(Kind(kind))


def calibration_now(
    catalogue: Catalogue,
    settings: Settings,
    frame: FrameRecord,
    time: datetime,
    kinds: Iterable[Kind] = CALIBRATION_KINDS,
) -> Calibration:
    """Return what is chosen for a frame taken at a time among the current masters of its set-up, of ``kinds`` alone."""
    setup, rules = windows.setup_of(frame.configuration.key()), settings.rules_of(frame.camera)
    masters: dict[Kind, Sequence[Master]] = dict.fromkeys(CALIBRATION_KINDS, ())
    for kind in kinds:
        since, until = matching.looked_at(time, rules.master(kind))
        masters[kind] = catalogue.masters_of_setup(frame.camera, setup, kind, since=since, until=until)
    camera = next((it for it in settings.camera if it.name == frame.camera), Camera(frame.camera))
    return matching.calibration_for(frame, masters, settings, camera, catalogue.breaks(frame.camera, setup))
