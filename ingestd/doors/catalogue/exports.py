r"""Whole tables, row by row, for files and for the Python API; one SELECT each, so what is read belongs together.

Paths are as the database holds them: printable text, odd bytes as ``\xNN``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.texts import optional_time_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

Exported = Literal["frames", "masters", "qa"]


class Exports(Reading):
    """Read-only streams; a reader that stops early leaves nothing behind."""

    def exported(
        self,
        what: Exported,
        *,
        kind: str | None = None,
        camera: str | None = None,
        night: str | None = None,
        state: str | None = None,
        metric: str | None = None,
        filter_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield frames, masters (superseded ones too) or quality figures, the oldest observation first.

        Parameters
        ----------
        what : str
            ``frames``, ``masters`` or ``qa``.
        kind, camera, night, state, metric, filter_name : str, optional
            Only rows with this value; ``state`` is of frames, ``metric`` of quality figures.
        since, until : datetime, optional
            Only observations of this interval, both ends included; of a master its last member counts.

        Raises
        ------
        ValueError
            If these rows have no such column.
        """
        filters = {
            "kind": kind,
            "camera": camera,
            "night": night,
            "state": state,
            "metric": metric,
            "filter_name": filter_name,
            "since": optional_time_text(since),
            "until": optional_time_text(until),
        }
        chosen = {name: value for name, value in filters.items() if value is not None}
        source = _SOURCES[what]
        strange = sorted(set(chosen) - set(source.filters))
        if strange:
            raise ValueError(f"{what} have no {strange[0]!r}; they have {', '.join(source.filters)}")
        where = " AND ".join([source.where, *(source.filters[name] for name in chosen)])
        return map(dict, self._stream(f"{source.select} WHERE {where} ORDER BY {source.order}", chosen))

    def exported_columns(self, what: Exported) -> tuple[str, ...]:
        """Return the names of the columns of what is exported, in their order."""
        cursor = self._db.conn.execute(f"{_SOURCES[what].select} LIMIT 0")
        return tuple(column[0] for column in cursor.description)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where rows come from, which of them count, their order, and what they can be filtered by."""

    select: str
    where: str
    order: str
    filters: Mapping[str, str]


def _equals(table: str, *names: str) -> dict[str, str]:
    """Return the clause ``column = :column`` of each column."""
    return {name: f"{table}.{name} = :{name}" for name in names}


def _times(column: str) -> dict[str, str]:
    """Return the clauses of an interval of a column of times."""
    return {"since": f"{column} >= :since", "until": f"{column} <= :until"}


_SOURCES = {
    "frames": _Source(
        """SELECT f.frame_id,
            (SELECT s.path FROM sightings s WHERE s.frame_id = f.frame_id
                ORDER BY s.gone_at IS NULL DESC, s.first_seen DESC, s.sighting_id DESC LIMIT 1) AS path,
            f.kind, f.label, f.state, f.reason, f.detail, f.camera, f.configuration, f.exposure_s, f.ccd_temp_c,
            f.set_temp_c, f.filter_name, f.object_name, f.obs_start, f.night, f.gain_e_per_adu, f.read_noise_e,
            (SELECT r.path FROM reductions r
                WHERE r.frame_id = f.frame_id AND r.current = 1 AND r.pruned_at IS NULL) AS product
        FROM frames f""",
        "1",
        "f.obs_start, f.frame_id",
        {**_equals("f", "kind", "camera", "night", "state", "filter_name"), **_times("f.obs_start")},
    ),
    "masters": _Source(
        """SELECT m.master_id, m.kind, m.camera, m.configuration, m.exposure_s, m.ccd_temp_c, m.filter_name, m.night,
            m.first_obs, m.last_obs, m.member_count AS members, m.grade, m.path, m.sha256, m.size_bytes, m.current,
            m.provenance, m.pruned_at
        FROM masters m""",
        "1",
        "m.last_obs, m.master_id",
        {**_equals("m", "kind", "camera", "night", "filter_name"), **_times("m.last_obs")},
    ),
    "qa": _Source(
        """SELECT m.name AS metric, m.value, m.error, m.unit, m.camera, m.configuration, m.kind, m.filter_name, m.plane,
            m.channel, m.night, m.time, m.frame_id, m.master_id
        FROM metrics m""",
        "m.current = 1",
        "m.time, m.metric_id",
        {
            **_equals("m", "kind", "camera", "night", "filter_name"),
            "metric": "m.name = :metric",
            **_times("m.time"),
        },
    ),
}
