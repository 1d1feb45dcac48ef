"""The Python API for people: open the calibration database beside a running daemon, or without one, and read.

from ingestd.api import open_catalogue

with open_catalogue("data/catalogue.sqlite") as catalogue:
    for row in catalogue.qa_rows(metric="read_noise_adu"):
        print(row["time"], row["value"])
"""

from __future__ import annotations

from pathlib import Path

from ingestd.doors.catalogue import Catalogue
from ingestd.doors.control import lock_holder
from ingestd.errors import CatalogueUnusable

__all__ = ["Catalogue", "open_catalogue"]


def open_catalogue(path: str | Path) -> Catalogue:
    """Return the calibration database, opened for reading only.

    Parameters
    ----------
    path : str or Path
        ``catalogue.sqlite`` in the data directory.

    Returns
    -------
    Catalogue
        Use its ``frame_rows``, ``master_rows``, ``qa_rows``, ``find_frames``, ``status``; close it, or use it as a
        context manager. It belongs to the thread that opened it.

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
