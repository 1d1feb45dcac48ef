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

``listing`` has the frames, ``choosing`` the masters, ``series`` the quality figures, ``sensor`` what nights say of one.
"""

from __future__ import annotations

from pathlib import Path

from ingestd import settings as _settings
from ingestd.api.choosing import best_master, masters_at
from ingestd.api.listing import Frame, frames
from ingestd.api.sensor import ASSUMED_ERRORS, Points, SensorFigure, SensorHistory, sensor_history
from ingestd.api.series import QaSeries, qa_series
from ingestd.doors.catalogue import Catalogue
from ingestd.doors.control import lock_holder
from ingestd.errors import CatalogueUnusable
from ingestd.records import Master, Match, NotNeeded, Wait
from ingestd.rules.coverage import Coverage
from ingestd.rules.coverage import survey as coverage
from ingestd.settings import Settings

__all__ = [
    "ASSUMED_ERRORS",
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
        raise CatalogueUnusable(f"{path}: there is no database yet. Run `ingestd scan` first, or `ingestd run`.")
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
