"""A large catalogue through the real schema: years of nights of several cameras, every fact a function of its number.

Of four cameras two change their binning from night to night. A camera's night has 10 biases, 10
darks of one of three exposures, 10 flats in each of two of five filters, and 160 science frames, reduced; and a master
bias, a master dark and two master flats with as many members as the default windows hold.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ingestd.doors.catalogue import Catalogue
from ingestd.doors.catalogue.rows import frame_row, master_row, plane_row
from ingestd.doors.schema.first_version import INDEXES
from ingestd.records import Configuration, FrameRecord, Group, Kind, Master, Plane
from ingestd.rules import groups
from ingestd.rules.matching import reach_rule
from ingestd.settings import MasterRule, Settings, parse_settings

FRAMES_OF_NIGHT, MASTERS_OF_NIGHT = 200, 4
"""Frames and masters that a night of a camera brings."""

_CAMERAS = ("north", "south", "guide", "spectro")
_FILTERS = ("L", "R", "G", "B", "Ha")
_DARKS_S = (60.0, 300.0, 600.0)
_FIRST = date(2021, 1, 1)
_CALIBRATIONS, _LIGHTS = 10, 160
_KEPT = {Kind.BIAS: 50, Kind.DARK: 40, Kind.FLAT: 30}
_GAIN = "gain_electrons_per_adu"


@dataclass(frozen=True, slots=True)
class Night:
    """One night of one camera."""

    camera: str
    night: str
    evening: datetime
    configuration: Configuration
    dark_s: float
    filters: tuple[str, str]
    temp_c: float


def settings_of(directory: Path) -> Settings:
    """Return settings with the cameras of the catalogue."""
    cameras = [{"name": name, "directories": [str(directory / name)]} for name in _CAMERAS]
    return parse_settings({"paths": {"data": str(directory / "data")}, "camera": cameras})


def nights(count: int) -> Iterator[Night]:
    """Yield so many nights of cameras, in the order of time."""
    for number in range(count):
        day, place = divmod(number, len(_CAMERAS))
        binning = 1 + (day % 2 if place > 1 else 0)
        evening = datetime(_FIRST.year, _FIRST.month, _FIRST.day, 18, tzinfo=UTC) + timedelta(days=day)
        yield Night(
            camera=_CAMERAS[place],
            night=(_FIRST + timedelta(days=day)).isoformat(),
            evening=evening,
            configuration=Configuration(
                f"Bench CCD {place}",
                4096 // binning,
                4096 // binning,
                binning,
                binning,
                (0, 0),
                "slow",
                None,
                None,
                "",
                1,
                (),
            ),
            dark_s=_DARKS_S[day // 2 % len(_DARKS_S)],
            filters=(_FILTERS[day // 2 % 5], _FILTERS[(day // 2 + 1) % 5]),
            temp_c=-10.0 + 0.1 * (number % 3),
        )


def frames_of(night: Night) -> Iterator[FrameRecord]:
    """Yield the records of a night: biases, darks, flats, science frames."""
    shots = [(Kind.BIAS, 0.0, None)] * _CALIBRATIONS + [(Kind.DARK, night.dark_s, None)] * _CALIBRATIONS
    shots += [(Kind.FLAT, 7.0, name) for name in night.filters for _ in range(_CALIBRATIONS)]
    shots += [(Kind.LIGHT, _DARKS_S[i % 3], _FILTERS[i // 3 % 5]) for i in range(_LIGHTS)]
    for number, (kind, exposure_s, filter_name) in enumerate(shots):
        yield FrameRecord(
            frame_id=_sha("frame", night.camera, night.night, number),
            data_sha256=_sha("pixels", night.camera, night.night, number),
            kind=kind,
            label=kind.value,
            camera=night.camera,
            configuration=night.configuration,
            exposure_s=exposure_s,
            ccd_temp_c=night.temp_c,
            set_temp_c=-10.0,
            filter_name=filter_name,
            object_name="M13" if kind is Kind.LIGHT else None,
            obs_start=night.evening + timedelta(minutes=3 * number),
            night=night.night,
            gain_e_per_adu=None,
            read_noise_e=None,
            saturation_adu=None,
            planes=(_plane(night.configuration),),
            dialect="maxim",
            container="plain",
            sources=(("kind", "IMAGETYP"), ("exposure_s", "EXPTIME"), ("ccd_temp_c", "CCD-TEMP"), ("filter", "FILTER")),
            flags=(),
            notes=(),
        )


def write_large(path: Path, settings: Settings, count: int) -> None:
    """Write a quiet catalogue of so many nights of cameras: everything is measured, settled and reduced.

    While the rows are written there is neither journal nor index; the indexes are made again as the schema has them.
    """
    with Catalogue.open(path, rules=settings, reach=reach_rule(settings)) as catalogue:
        conn = catalogue._db.conn
        conn.execute("PRAGMA journal_mode = OFF")
        conn.execute("PRAGMA foreign_keys = OFF")
        for index in INDEXES:
            conn.execute(f"DROP INDEX {index.partition(' ON ')[0].split()[-1]}")
        with catalogue.transaction():
            conn.execute(
                "INSERT INTO series (series_id, name, camera, kind, filter_name, plane, channel) "
                "VALUES (1, :name, '', 'flat', '', 0, '')",
                {"name": _GAIN},
            )
            windows: dict[tuple[object, ...], deque[FrameRecord]] = {}
            for night in nights(count):
                rows = _Rows()
                _add_night(rows, night, windows, settings)
                for table, found in rows.tables.items():
                    _insert(conn, table, found)
        for index in INDEXES:
            conn.execute(index)
        conn.execute("PRAGMA journal_mode = WAL")


class _Rows:
    """Rows by table."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Mapping[str, object]]] = {}

    def add(self, table: str, row: Mapping[str, object]) -> None:
        """Add one row."""
        self.tables.setdefault(table, []).append(row)


def _insert(conn: Any, table: str, rows: list[Mapping[str, object]]) -> None:
    """Insert rows with equal columns."""
    names = list(rows[0])
    marks = ", ".join(f":{name}" for name in names)
    conn.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)  # noqa: S608 - our own names


def _add_night(
    rows: _Rows, night: Night, windows: dict[tuple[object, ...], deque[FrameRecord]], settings: Settings
) -> None:
    """Add the frames of a night, then its masters."""
    masters = settings.masters
    rules = {Kind.BIAS: masters.bias, Kind.DARK: masters.dark, Kind.FLAT: masters.flat}
    seen: dict[tuple[object, ...], deque[FrameRecord]] = {}
    for frame in frames_of(night):
        _add_frame(rows, frame, night)
        if frame.kind is not Kind.LIGHT:
            key = (frame.camera, frame.kind, frame.configuration, frame.exposure_s, frame.filter_name)
            window = windows.setdefault(key, deque(maxlen=_KEPT[frame.kind]))
            window.append(frame)
            seen[key] = window
    parents: dict[Kind, Master] = {}
    for window in seen.values():
        kind = window[-1].kind
        made = _master(night, window, rules[kind], (parents[Kind.BIAS],) if kind is Kind.FLAT else ())
        parents.setdefault(kind, made)
        _add_master(rows, made, parents[Kind.BIAS].master_id)


def _add_frame(rows: _Rows, frame: FrameRecord, night: Night) -> None:
    """Add a frame with plane and sighting; a calibration frame is measured and good, a science frame reduced."""
    when = f"{night.night}T23:00:00.000Z"
    is_light = frame.kind is Kind.LIGHT
    state = {
        "state": "done",
        "reason": "reduced" if is_light else "member",
        "detail": "",
        "takes_part": 1,
        "measured": int(not is_light),
        "screened": None if is_light else "",
        "first_seen": when,
        "changed_at": when,
    }
    rows.add("frames", frame_row(frame) | state)
    rows.add("planes", plane_row(frame.frame_id, frame.planes[0]))
    name = f"{frame.kind}_{frame.frame_id[:12]}.fits"
    rows.add(
        "sightings",
        {
            "path": f"/raw/{frame.camera}/{frame.night}/{name}",
            "file_name": name,
            "size_bytes": 33_557_760,
            "mtime_ns": 1,
            "ctime_ns": 1,
            "inode": 1,
            "first_seen": when,
            "last_seen": when,
            "frame_id": frame.frame_id,
        },
    )
    if is_light:
        rows.add(
            "reductions",
            {
                "reduction_id": _sha("product", frame.frame_id),
                "frame_id": frame.frame_id,
                "night": frame.night,
                "path": f"reduced/{frame.camera}/{frame.night}/{name}",
                "sha256": _sha("file", frame.frame_id),
                "size_bytes": 150_000_000,
                "provisional": 0,
                "better_possible": "",
                "again": "",
                "current": 1,
                "gain_source": "flats",
                "created_at": when,
            },
        )


def _master(night: Night, window: Iterable[FrameRecord], rule: MasterRule, parents: tuple[Master, ...]) -> Master:
    """Return the master of a window of frames."""
    since = groups.night_before(night.night, rule.window_d)
    members = [frame for frame in window if frame.night is not None and frame.night >= since]
    last = members[-1]
    exposure_s, ccd_temp_c, first_obs, last_obs = groups.master_conditions(members)
    identity = _sha("master", night.camera, night.night, last.kind, last.filter_name or "")
    return Master(
        master_id=identity,
        kind=last.kind,
        camera=night.camera,
        configuration=night.configuration.key(),
        exposure_s=exposure_s,
        ccd_temp_c=ccd_temp_c,
        filter_name=last.filter_name,
        night=night.night,
        first_obs=first_obs,
        last_obs=last_obs,
        members=tuple(sorted(frame.frame_id for frame in members)),
        parents=tuple(parent.master_id for parent in parents),
        path=f"masters/{night.camera}/{last.kind}/{night.night}_{identity[:8]}.fits",
        sha256=_sha("bytes", identity),
        grade=groups.grade(len(members), rule),
    )


def _add_master(rows: _Rows, made: Master, bias_id: str) -> None:
    """Add a current master with members, parents, the settled night and, of a flat, the gain that it gave."""
    when = f"{made.night}T23:30:00.000Z"
    row = master_row(made)
    row["measured_with"] = bias_id if made.kind is Kind.DARK else None
    row |= {"comparison_grade": "green", "comparison": "", "size_bytes": 134_000_000, "current": 1, "created_at": when}
    rows.add("masters", row)
    for position, frame_id in enumerate(made.members):
        rows.add("members", {"master_id": made.master_id, "position": position, "frame_id": frame_id})
    for position, parent_id in enumerate(made.parents):
        rows.add("parents", {"master_id": made.master_id, "position": position, "parent_id": parent_id})
    group = Group(made.camera, made.kind, made.configuration, made.filter_name)
    rows.add(
        "nights",
        {
            "camera": group.camera,
            "kind": group.kind.value,
            "configuration": group.configuration,
            "filter_name": group.filter_name or "",
            "night": made.night,
            "stale": 0,
            "charted": 1,
            "touched_at": when,
        },
    )
    if made.kind is Kind.FLAT:
        rows.add(
            "metrics",
            {
                "name": _GAIN,
                "value": 1.5,
                "error": 0.01,
                "unit": "electron/adu",
                "channel": "",
                "master_id": made.master_id,
                "job_id": made.master_id,
                "camera": made.camera,
                "configuration": made.configuration,
                "kind": "flat",
                "filter_name": made.filter_name,
                "night": made.night,
                "time": when,
                "current": 1,
                "series_id": 1,
            },
        )


def _plane(configuration: Configuration) -> Plane:
    """Return the plane of a frame."""
    shape = (configuration.height_px, configuration.width_px)
    return Plane(0, "", shape, 16, 32768.0, 1.0, None, 2880, "raw", None, None, None, None)


def _sha(*words: object) -> str:
    """Return an identity that follows from the words."""
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()
