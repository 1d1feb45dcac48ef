"""The data directory: free space, the stable links, removal of products, and what a crash left behind.

Only files whose names follow our own scheme are ever removed here, and only below the data directory.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from ingestd.doors.fitsfile import is_temporary
from ingestd.errors import ProductNotWritten

_OURS = re.compile(r"^[A-Za-z0-9._+-]+_[0-9a-f]{8}\.fits$")


def free_bytes(directory: Path) -> int:
    """Return the bytes that an ordinary user may still write on the file system of a directory."""
    return shutil.disk_usage(directory).free


def ensure_directory(directory: Path) -> None:
    """Create a directory (mode 0750) and its parents.

    Raises
    ------
    ProductNotWritten
        If it cannot be created.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ProductNotWritten(f"{directory}: cannot be created: {error.strerror}") from error


def point_link(link: Path, target: Path) -> None:
    """Make ``link`` a relative symbolic link to ``target``, atomically; an equal link is left as it is.

    Raises
    ------
    ProductNotWritten
        If the link cannot be made.
    """
    relative = os.path.relpath(target, link.parent)
    temporary = link.parent / f".ingestd-{os.getpid()}-0.tmp"
    try:
        if link.is_symlink() and str(link.readlink()) == relative:
            return
        ensure_directory(link.parent)
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(relative)
        temporary.replace(link)
    except OSError as error:
        raise ProductNotWritten(f"{link}: the link to the product cannot be made: {error.strerror}") from error


def remove_link(link: Path, target: Path) -> None:
    """Remove a stable link if it points to ``target``, which is no current product any more."""
    if link.is_symlink() and str(link.readlink()) == os.path.relpath(target, link.parent):
        link.unlink(missing_ok=True)


def repair_links(data_dir: Path, links: Mapping[str, str], recorded: Collection[str]) -> int:
    """Point every stable link at its product, remove dangling and superseded ones; return how many were wrong.

    Parameters
    ----------
    data_dir : Path
    links : mapping of str to str
        Absolute link path to absolute product path, of every current product.
    recorded : collection of str
        Paths, relative to the data directory, of all products in the database: a link to any other is left alone.
    """
    repaired = 0
    for link, target in links.items():
        path = Path(link)
        if not path.is_symlink() or str(path.readlink()) != os.path.relpath(target, path.parent):
            point_link(path, Path(target))
            repaired += 1
    for path in _files_below(data_dir / "current"):
        if not path.is_symlink() or str(path) in links:
            continue
        target = os.path.relpath(os.path.normpath(path.parent / path.readlink()), data_dir)
        if not path.exists() or target in recorded:
            path.unlink(missing_ok=True)
            repaired += 1
    return repaired


def remove_leftovers(data_dir: Path, recorded: Collection[str], born: datetime) -> tuple[list[Path], list[Path]]:
    """Remove our temporary files, and products that were written under this catalogue but never recorded.

    Parameters
    ----------
    data_dir : Path
    recorded : collection of str
        Paths, relative to the data directory, of all masters and products in the database.
    born : datetime
        When the catalogue was made: an older product belongs to a catalogue that was lost, and is kept.

    Returns
    -------
    removed, kept : list of Path
        What was removed, and the products of a former catalogue.
    """
    removed, kept = [], []
    for folder in ("masters", "reduced", "current"):
        for path in _files_below(data_dir / folder):
            is_product = folder != "current" and bool(_OURS.match(path.name)) and not path.is_symlink()
            is_unrecorded = is_product and str(path.relative_to(data_dir)) not in recorded
            if is_unrecorded and path.stat().st_mtime < born.timestamp():
                kept.append(path)
            elif is_unrecorded or is_temporary(path.name):
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed, kept


def remove_product(data_dir: Path, relative: str) -> None:
    """Remove one recorded master or product whose removal the catalogue has already noted."""
    path = data_dir / relative
    if path.resolve().is_relative_to(data_dir.resolve()) and _OURS.match(path.name):
        path.unlink(missing_ok=True)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield files and links below a folder, in order, without following links to folders."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            yield Path(parent) / name
