"""A whole observatory in one process: watcher, flow, catalogue, workers in line, and a clock that is set by hand.

Nothing is replaced: files are real, the catalogue is SQLite, pixels are reduced. Only time is told, so nothing sleeps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from ingestd import simulator
from ingestd.doors.catalogue import Catalogue, CatalogueBusy
from ingestd.doors.executors import Executor, InlineExecutor
from ingestd.doors.exporter import Telemetry
from ingestd.doors.watcher import Watcher
from ingestd.flow import Flow, carry_out, recover, tidy
from ingestd.jobs import Worker
from ingestd.records import Job, Kind, Outcome
from ingestd.rules.matching import reach_rule
from ingestd.settings import Settings, parse_settings

EVENING = date(2025, 3, 1)
NIGHT = "2025-03-01"
AFTERWARDS = datetime(2025, 3, 2, 12, 0, tzinfo=UTC)
STEP_S = 0.5
QUIET_S = 2.0
LONGEST_S = 3600.0

Run = Callable[[Job], Outcome]


def settings_for(directory: Path, **sections: Any) -> Settings:
    """Return settings for a directory: polled and quick to settle; each section updates the keys that it names."""
    table: dict[str, Any] = {
        "paths": {"data": str(directory / "data")},
        "arrival": {"polling": "always", "settle_polled_s": 0.4, "scan_interval_polled_s": 0.4, "give_up_s": 60.0},
        "limits": {"min_free_bytes": 0},
        "masters": {"quiet_s": QUIET_S},
        "reduction": {"again_s": 0.0},
        "retention": {"revisions": 100, "masters": 100},
        "camera": [{"name": "test", "directories": [str(directory / "incoming")]}],
    }
    for name, section in sections.items():
        table[name] = section if isinstance(section, list) else _merged(table.get(name, {}), section)
    return parse_settings(table)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with the keys of another put into it, tables inside tables likewise."""
    nested = {key: _merged(old.get(key, {}), value) for key, value in new.items() if isinstance(value, Mapping)}
    return {**old, **new, **nested}


class Observatory:
    """One data directory and one watched directory, and the daemon's path of a frame between them."""

    def __init__(self, settings: Settings, *, run: Run | None = None, executor: Executor | None = None) -> None:
        self.settings = settings
        self.incoming = settings.roots[0]
        self.data = settings.data_dir
        for folder in (self.incoming, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        self.now = AFTERWARDS
        self.monotonic = 1000.0
        self.refusals: list[str] = []
        self.catalogue = Catalogue.open(settings.catalogue_path, rules=settings, reach=reach_rule(settings))
        recover(self.catalogue, settings, self.now)
        self.watcher = Watcher(
            settings.roots, settings.arrival, known=self.catalogue.known_files(), threaded=False, max_settled=128
        )
        self.watcher.start()
        self.executor: Executor = executor or InlineExecutor(run or Worker(settings.limits))
        self.telemetry = Telemetry(settings, lambda: self.now)
        self.flow = Flow(settings, self.catalogue, self.watcher, self.executor, self.telemetry)

    def close(self) -> None:
        """Stop everything."""
        self.flow.stop()
        self.executor.stop(0.0)
        self.watcher.stop()
        self.catalogue.close()

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self, seconds: float = STEP_S) -> bool:
        """Let time pass, then tick; return whether anything moved. A database that refuses is tried again later."""
        self.now += timedelta(seconds=seconds)
        self.monotonic += seconds
        try:
            moved = self.flow.tick(self.now, self.monotonic)
        except CatalogueBusy as error:
            self.refusals.append(str(error))
            return True
        if self.executor.in_flight:
            self.executor.wait(5.0)
        return moved

    def run(self, seconds: float) -> None:
        """Tick for so long."""
        for _ in range(round(seconds / STEP_S)):
            self.tick()

    def settle(self, quiet_s: float = 4 * QUIET_S) -> None:
        """Tick until nothing has moved for a while."""
        still_s = waited_s = 0.0
        while still_s < quiet_s:
            still_s = 0.0 if self.tick() or self.executor.in_flight else still_s + STEP_S
            waited_s += STEP_S
            assert waited_s < LONGEST_S, f"never at rest: {self.words()}"

    # --- what an operator does ----------------------------------------------------------------------------------------

    def command(self, **request: Any) -> dict[str, Any]:
        """Carry out an operator's command between two ticks, as the daemon does."""
        answer = carry_out(self.catalogue, self.settings, request, self.now)
        self.flow.look_soon()
        return answer

    def tidy(self) -> None:
        """Remove what the retention settings do not keep."""
        tidy(self.catalogue, self.settings, self.now)

    # --- what can be seen ---------------------------------------------------------------------------------------------

    def frames(self, **filters: str) -> list[dict[str, Any]]:
        """Return the frames as ``ingestd frames --json`` has them."""
        return self.catalogue.frame_rows(**filters)

    def frame(self, name: str) -> dict[str, Any]:
        """Return the one frame of a file name."""
        (row,) = self.catalogue.find_frames(name)
        return row

    def light(self) -> dict[str, Any]:
        """Return the one science frame."""
        (row,) = self.frames(kind="light")
        return row

    def state(self, name: str) -> tuple[str, str]:
        """Return state and reason of the one frame of a file name."""
        row = self.frame(name)
        return row["state"], row["reason"]

    def masters(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the current masters."""
        return self.catalogue.master_rows(kind=kind)

    def product(self, name: str) -> Path:
        """Return the current product of the one frame of a file name."""
        product = self.frame(name)["product"]
        assert product is not None, f"{name} has no product: {self.state(name)}"
        return self.data / product

    def used(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the masters of the current product of a frame by kind, each with how it was used."""
        current = self.catalogue.product_rows(self.frame(name)["frame_id"])[0]
        return {row["kind"]: row for row in current["masters"]}

    def steps(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the steps of the current product of a frame: status and detail by name."""
        current = self.catalogue.product_rows(self.frame(name)["frame_id"])[0]
        return {step["name"]: (step["status"], step["detail"]) for step in current["steps"]}

    def qa(self, metric: str) -> list[dict[str, Any]]:
        """Return the current figures of one name."""
        return self.catalogue.qa_rows(metric=metric)

    def events(self) -> list[str]:
        """Return the names of all events, oldest first."""
        return [row["event"] for row in reversed(self.catalogue.events())]

    def words(self) -> str:
        """Return what is going on, for a failing test."""
        rows = [f"{Path(row['path']).name}: {row['state']} {row['reason']} {row['detail']}" for row in self.frames()]
        return "\n".join([json.dumps(self.catalogue.status()["queue"]), *rows])

    # --- what converged -----------------------------------------------------------------------------------------------

    def result(self) -> dict[str, str]:
        """Return the SHA-256 of every current master and product by its path: what must not depend on the way to it."""
        paths = [row["path"] for row in self.masters()] + [path for _, path, _ in self.catalogue.current_products()]
        return {path: sha256(self.data / path) for path in sorted(paths)}


@contextmanager
def observatory(directory: Path, *, run: Run | None = None, **sections: Any) -> Iterator[Observatory]:
    """Open an observatory in a directory and close it in the end."""
    place = Observatory(settings_for(directory, **sections), run=run)
    try:
        yield place
    finally:
        place.close()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, modification time and SHA-256 of every regular file below a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.stat().st_mtime_ns, sha256(path)) for path in files
    }


# --- frames of a small synthetic camera -------------------------------------------------------------------------------

SENSOR = simulator.Sensor(shape=(96, 128), dust_grains=2)
CAMERA = simulator.Camera(SENSOR)
BIASES, DARKS, DAWN_DARKS, FLATS, LIGHTS = "bias*", "dark_120s*", "dark_60s*", "flat*", "M13*"


def write_night(
    directory: Path,
    *,
    camera: simulator.Camera = CAMERA,
    evening: date = EVENING,
    manner: simulator.Manner = simulator.Manner.RENAME,
    **plan: Any,
) -> list[Path]:
    """Write a short night (3 biases, 3 darks of 120 s, 3 flats in V, 1 light of 60 s); return its files in order."""
    counts = {"biases": 3, "evening_darks": 3, "flats": 3, "lights": 1, "dawn_darks": 0, "dawn_biases": 0}
    shots = simulator.night(camera, evening, simulator.Plan(**{"filters": ("V",), **counts, **plan}))
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for shot in shots:
        exposure = camera.expose(shot)
        path = directory / exposure.file_name
        simulator.write(path, exposure, manner)
        written.append(path)
    return written


def write_shot(
    directory: Path,
    kind: Kind,
    index: int,
    *,
    camera: simulator.Camera = CAMERA,
    exposure_s: float = 0.0,
    hours: float = 20.0,
    name: str | None = None,
    **more: Any,
) -> Path:
    """Write one frame, begun so many hours after the midnight before the night; return its path."""
    start = datetime(EVENING.year, EVENING.month, EVENING.day, tzinfo=UTC) + timedelta(hours=hours)
    filter_name = "V" if kind in (Kind.FLAT, Kind.LIGHT) else None
    object_name = "M13" if kind == Kind.LIGHT else ""
    shot = simulator.Shot(
        kind, index, exposure_s, start, **{"filter_name": filter_name, "object_name": object_name, **more}
    )
    exposure = camera.expose(shot)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / (name or exposure.file_name)
    simulator.write(path, exposure)
    return path


def with_cards(path: Path, **cards: str | float) -> None:
    """Edit the header in place, as a plate solver does: the data unit keeps its bytes."""
    with fits.open(path, mode="update", memmap=False, do_not_scale_image_data=True) as hdus:
        for keyword, value in cards.items():
            hdus[0].header[keyword.replace("_", "-")] = value


def signal(path: Path) -> np.ndarray:
    """Return the signal of a single-plane master or product as float64."""
    with fits.open(path, memmap=False) as hdus:
        return np.asarray(hdus[0].data, float)


def header(path: Path) -> fits.Header:
    """Return the primary header of a product."""
    return fits.getheader(path, memmap=False)
