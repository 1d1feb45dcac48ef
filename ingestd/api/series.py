"""Quality figures as arrays in time, or as a table of astropy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.doors.catalogue import Catalogue
from ingestd.records import Kind

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
