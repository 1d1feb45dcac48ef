"""The Python API for people: open the calibration database beside a running daemon, or without one, and read.

>>> from datetime import UTC, datetime
>>> from ingestd import api
>>> settings = api.load_settings("config.toml")
>>> catalogue = api.open_catalogue("data/catalogue.sqlite")

Science frames, and what became of them:

>>> for frame in api.frames(catalogue, kind="light", night="2026-01-15"):
...     print(frame.obs_start, frame.filter_name, frame.state, frame.product)
2026-01-15 20:30:00+00:00 V done reduced/camera1/2026-01-15/M13_V_60s_20260115_203000_....fits
2026-01-15 20:31:08+00:00 V done reduced/camera1/2026-01-15/M13_V_60s_20260115_203108_....fits

Masters that are valid at a time, and the best one for given conditions, with the reason in numbers:

>>> noon = datetime(2026, 1, 20, 12, tzinfo=UTC)
>>> [(master.kind.value, master.night) for master in api.masters_at(catalogue, settings, noon)]
[('bias', '2026-01-15'), ('dark', '2026-01-15'), ('flat', '2026-01-15')]
>>> choice = api.best_master(
...     catalogue, settings, kind="dark", camera="camera1", configuration=frame.configuration,
...     time=noon, exposure_s=30.0, ccd_temp_c=-10.0,
... )
>>> choice.how, round(choice.exposure_ratio, 3), choice.master.path
('scaled_down', 0.25, 'masters/camera1/dark/2026-01-15_....fits')

Quality figures as arrays, or as a table of astropy with units and times:

>>> series = api.qa_series(catalogue, "read_noise_adu", camera="camera1")
>>> series.time.dtype, series.value.shape, series.unit
(dtype('<M8[ms]'), (1,), 'ADU')
>>> series.table()["value"].unit
Unit("adu")

What all nights say of the sensor, or why they do not:

>>> (sensor,) = api.sensor_history(catalogue, camera="camera1")
>>> sensor.figure("gain_e_per_adu").unit, sensor.figure("dark_doubling_c").reason
('e-/ADU', 'temperatures of darks: 1, over 0.0 C; needed are 3, over 3 C')

What to take tonight:

>>> [need.kind.value for need in api.coverage(catalogue, settings, noon).needs]
[]
>>> catalogue.close()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd import settings as _settings
from ingestd.api.sensor import Points, SensorFigure, SensorHistory, sensor_history
from ingestd.doors.catalogue import Catalogue, decode_path
from ingestd.doors.control import lock_holder
from ingestd.errors import CatalogueUnusable
from ingestd.records import CALIBRATION_KINDS, Choice, Kind, Master, Match, NotNeeded, State, Wait
from ingestd.rules import groups, matching, windows
from ingestd.rules.coverage import Coverage
from ingestd.rules.coverage import survey as coverage
from ingestd.settings import Camera, Settings

__all__ = [
    "Catalogue",
    "Coverage",
    "Frame",
    "Master",
    "Match",
    "NotNeeded",
    "Points",
    "QaSeries",
    "SensorFigure",
    "SensorHistory",
    "Settings",
    "Wait",
    "best_master",
    "coverage",
    "frames",
    "load_settings",
    "masters_at",
    "open_catalogue",
    "qa_series",
    "sensor_history",
]


def open_catalogue(path: str | Path) -> Catalogue:
    """Return the calibration database, opened for reading only.

    Parameters
    ----------
    path : str or Path
        ``catalogue.sqlite`` in the data directory.

    Returns
    -------
    Catalogue
        Give it to the functions of this module, or use its ``frame_rows``, ``master_rows``, ``qa_rows``,
        ``find_frames``, ``status``, ``asking``; close it, or use it as a context manager. It belongs to the thread that
        opened it.

    Raises
    ------
    CatalogueUnusable
        If there is no database yet, or it cannot be read safely.
    """
    path = Path(path)
    if not path.exists():
        raise CatalogueUnusable(f"{path}: there is no database yet. `ingestd run` or `ingestd scan` makes it.")
    is_free = lock_holder(path.with_name("ingestd.lock")) is None
    has_journal = path.with_name(f"{path.name}-wal").exists()
    return Catalogue.open(path, read_only=True, immutable=is_free and not has_journal)


def load_settings(path: str | Path) -> Settings:
    """Return the settings in a file: validities, tolerances, cameras.

    Raises
    ------
    SettingsInvalid
        If the file cannot be read or a value is not allowed.
    """
    return _settings.load_settings(Path(path))


# --- frames -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: what its header says, where it lies, how it stands.

    ``path`` is absolute, ``product`` (None where there is none) relative to the data directory. ``state`` and
    ``reason`` are those of ``ingestd frames``.
    """

    frame_id: str
    path: Path
    kind: Kind
    label: str
    state: State
    reason: str
    detail: str
    camera: str
    configuration: str
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    object_name: str | None
    obs_start: datetime | None
    night: str | None
    gain_e_per_adu: float | None
    product: Path | None


def frames(
    catalogue: Catalogue,
    *,
    kind: Kind | str | None = None,
    camera: str | None = None,
    night: str | None = None,
    state: State | str | None = None,
    filter_name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Frame]:
    """Return frames, the oldest observation first.

    Parameters
    ----------
    catalogue : Catalogue
    kind, camera, night, state, filter_name : str, optional
        Only frames with this value; ``night`` is the date on which it began, YYYY-MM-DD.
    since, until : datetime, optional
        Only frames whose exposure began in this interval (aware).
    """
    rows = catalogue.exported(
        "frames",
        kind=kind,
        camera=camera,
        night=night,
        state=state,
        filter_name=filter_name,
        since=since,
        until=until,
    )
    return [_frame(row) for row in rows]


def _frame(row: Mapping[str, Any]) -> Frame:
    """Return a row as a frame."""
    values = {name: row[name] for name in Frame.__slots__}
    values["kind"], values["state"] = Kind(row["kind"]), State(row["state"])
    values["path"] = Path(decode_path(row["path"] or ""))
    values["obs_start"] = _time(row["obs_start"])
    values["product"] = None if row["product"] is None else Path(decode_path(row["product"]))
    return Frame(**values)


def _time(text: str | None) -> datetime | None:
    """Return a time of the database, aware."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


# --- masters ----------------------------------------------------------------------------------------------------------


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
    masters, setup = {}, windows.setup_of(configuration)
    for one in CALIBRATION_KINDS:
        rule = settings.rules_of(camera).master(one)
        reach = timedelta(days=2 * rule.longest_d + rule.window_d)
        masters[one] = catalogue.masters_of_setup(camera, setup, one, since=time - reach, until=time + reach)
    settings_of = {each.name: each for each in settings.camera}
    breaks = catalogue.breaks(camera, setup)
    calibration = matching.calibration_for(frame, masters, settings, settings_of.get(camera) or Camera(camera), breaks)
    choices = {Kind.BIAS: calibration.bias, Kind.DARK: calibration.dark, Kind.FLAT: calibration.flat}
    return choices[Kind(kind)]


# --- quality figures --------------------------------------------------------------------------------------------------

_ASTROPY_UNITS = {"ADU": "adu", "ADU/s": "adu/s", "e-": "electron", "e-/s": "electron/s", "e-/ADU": "electron/adu"}
_ASTROPY_UNITS |= {"C": "deg_C", "pixels": "pix", "px": "pix", "ADU2": "adu2", "sources": ""}


@dataclass(frozen=True, slots=True, eq=False)
class QaSeries:
    """The values of one quality figure in time, arrays of equal length, the oldest observation first.

    ``time`` is datetime64[ms] (UTC, NaT where unknown), ``value`` and ``error`` are float64 (NaN where unknown),
    ``plane`` is the HDU number, -1 for the only one; the others are texts, ``filter_name`` empty for none, ``channel``
    the amplifier or colour inside the plane, empty for all of it. ``subject`` is the frame_id or master_id that it was
    measured on.
    """

    metric: str
    unit: str
    time: NDArray[np.datetime64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    camera: NDArray[np.str_]
    kind: NDArray[np.str_]
    filter_name: NDArray[np.str_]
    plane: NDArray[np.int64]
    channel: NDArray[np.str_]
    subject: NDArray[np.str_]

    def table(self) -> Any:  # noqa: ANN401 - astropy has no types
        """Return the series as an ``astropy.table.Table``: ``time`` as Time (UTC), ``value`` and ``error`` with unit.

        Rows without a time are left out.
        """
        from astropy import units  # noqa: PLC0415 - half a second, only who asks for a table waits for it
        from astropy.table import Column, Table  # noqa: PLC0415
        from astropy.time import Time  # noqa: PLC0415

        dated = ~np.isnat(self.time)
        unit = units.Unit(_ASTROPY_UNITS.get(self.unit, self.unit), parse_strict="silent")
        columns: dict[str, Any] = {"time": Time(self.time[dated], format="datetime64", scale="utc")}
        columns["time"].format = "isot"
        for name in ("value", "error"):
            columns[name] = Column(getattr(self, name)[dated], unit=unit)
        for name in ("camera", "kind", "filter_name", "plane", "channel", "subject"):
            columns[name] = Column(getattr(self, name)[dated])
        return Table(columns, meta={"metric": self.metric})


def qa_series(
    catalogue: Catalogue,
    metric: str,
    *,
    camera: str | None = None,
    kind: Kind | str | None = None,
    filter_name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QaSeries:
    """Return the values of one quality figure that are in force.

    Parameters
    ----------
    catalogue : Catalogue
    metric : str
        Name of a row of ``ingestd.metrics.METRICS``.
    camera, kind, filter_name : str, optional
        Only values of this camera, kind of frame, filter.
    since, until : datetime, optional
        Only observations of this interval (aware).
    """
    rows = list(
        catalogue.exported(
            "qa", metric=metric, camera=camera, kind=kind, filter_name=filter_name, since=since, until=until
        )
    )

    def texts(name: str) -> NDArray[np.str_]:
        """Return a column of texts."""
        return np.array([row[name] or "" for row in rows], dtype=np.str_)

    return QaSeries(
        metric=metric,
        unit=rows[0]["unit"] if rows else "",
        time=np.array([(row["time"] or "NaT").removesuffix("Z") for row in rows], dtype="datetime64[ms]"),
        value=np.array([row["value"] for row in rows], dtype=np.float64),
        error=np.array([row["error"] for row in rows], dtype=np.float64),
        camera=texts("camera"),
        kind=texts("kind"),
        filter_name=texts("filter_name"),
        plane=np.array([-1 if row["plane"] is None else row["plane"] for row in rows], dtype=np.int64),
        channel=texts("channel"),
        subject=np.array([row["frame_id"] or row["master_id"] or "" for row in rows], dtype=np.str_),
    )
