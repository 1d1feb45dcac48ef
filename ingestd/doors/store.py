"""The data directory: free space, the stable links, removal of products, and what a crash left behind.

Only files whose names follow our own scheme are ever removed here, and only below the data directory.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ingestd.errors import ProductNotWritten

_OURS = re.compile(r"^[A-Za-z0-9._+-]+_[0-9a-f]{8}\.fits$")
_TEMPORARY = re.compile(r"^\.ingestd-\d+-\d+\.tmp$")


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


def repair_links(data_dir: Path, links: Mapping[str, str]) -> int:
    """Point every stable link at its product and remove dangling ones; return how many were wrong.

    Parameters
    ----------
    data_dir : Path
    links : mapping of str to str
        Absolute link path to absolute product path, of every current product.
    """
    repaired = 0
    for link, target in links.items():
        path = Path(link)
        if not path.is_symlink() or str(path.readlink()) != os.path.relpath(target, path.parent):
            point_link(path, Path(target))
            repaired += 1
    for path in _files_below(data_dir / "current"):
        if path.is_symlink() and str(path) not in links:
            path.unlink(missing_ok=True)
            repaired += 1
    return repaired


def remove_leftovers(data_dir: Path, recorded: Collection[str]) -> list[Path]:
    """Remove our temporary files and products that were never recorded; return what was removed.

    Parameters
    ----------
    data_dir : Path
    recorded : collection of str
        Paths, relative to the data directory, of all masters and products in the database.
    """
    removed = []
    for folder in ("masters", "reduced", "current"):
        for path in _files_below(data_dir / folder):
            ours = folder != "current" and _OURS.match(path.name) and not path.is_symlink()
            unrecorded = ours and str(path.relative_to(data_dir)) not in recorded
            if _TEMPORARY.match(path.name) or unrecorded:
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


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
