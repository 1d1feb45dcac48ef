"""What every process that writes has in common: the clock, the lock, the one writing connection, the workers."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ingestd.doors import store
from ingestd.doors.catalogue import Catalogue, CatalogueDamaged
from ingestd.doors.control import DataLock
from ingestd.doors.executors import ProcessExecutor
from ingestd.jobs import Worker
from ingestd.rules.groups import night_groups
from ingestd.rules.matching import reach_rule
from ingestd.settings import Settings

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the time; the CLI passes it on to what it calls."""
    return datetime.now(UTC)


@contextmanager
def writing(settings: Settings) -> Iterator[Catalogue]:
    """Hold the lock of the data directory and the one writing connection.

    Raises
    ------
    LockHeld
        If another process holds it.
    CatalogueUnusable
        If the database cannot be opened safely; a damaged one is moved aside and begun anew.
    """
    store.ensure_directory(settings.data_dir)
    with DataLock(lock_path(settings)):
        catalogue = _open_catalogue(settings)
        try:
            yield catalogue
        finally:
            catalogue.close()


def lock_path(settings: Settings) -> Path:
    """Return the lock file of the data directory."""
    return settings.data_dir / "ingestd.lock"


def control_path(settings: Settings) -> Path:
    """Return the control socket of the daemon."""
    return settings.data_dir / "control.sock"


def _open_catalogue(settings: Settings) -> Catalogue:
    """Open the database; move a damaged one aside, for everything in it can be found again from the raw frames."""
    path = settings.catalogue_path
    try:
        return Catalogue.open(path, rules=settings, reach=reach_rule(settings))
    except CatalogueDamaged as error:
        aside = path.with_name(f"{path.name}.damaged-{utc_now():%Y%m%dT%H%M%S}")
        _log.error(
            "%s: %s. It is moved to %s; the catalogue is built again from the raw frames", path, error, aside.name
        )
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                shutil.move(part, aside.with_name(aside.name + suffix))
        return Catalogue.open(path, rules=settings, reach=reach_rule(settings))


def executor_of(settings: Settings) -> ProcessExecutor:
    """Return the worker processes that the settings ask for."""
    limits = settings.limits
    return ProcessExecutor(
        settings.workers.processes,
        Worker(limits),
        max_job_s=limits.max_job_s,
        max_worker_bytes=limits.max_worker_bytes,
    )


def note_settings(catalogue: Catalogue, settings: Settings, now: datetime) -> None:
    """Look at everything again if the settings that decide about masters and products are not those of the last run."""
    parts = (
        settings.masters,
        settings.matching,
        settings.screening,
        settings.grading,
        settings.epochs,
        settings.reduction,
        settings.camera,
    )
    if catalogue.remember("settings", repr(parts)):
        nights, lights = catalogue.touch_nights(now), catalogue.requeue(None, now)
        if nights or lights:
            text = f"{night_groups(nights)} and {lights} science frames are looked at again"
            catalogue.add_event("info", "settings_changed", "", text, now)
            _log.info("Settings changed: %s", text)
