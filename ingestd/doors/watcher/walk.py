"""Which files in a directory tree are frames, found without following a link and without opening anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from ingestd.records import FileStamp

MAX_DEPTH = 64
"""Directories deeper than this below the root are not searched."""

_SUFFIXES = tuple(f"{image}{packed}" for image in (".fits", ".fit", ".fts") for packed in ("", ".fz", ".gz"))


def is_frame_name(name: str) -> bool:
    """Return whether a file of this name may be a frame.

    .fits, .fit and .fts in any case, each also with .fz or .gz. Hidden files and the temporary names ``*.tmp``,
    ``*.part`` and ``*~`` of programs that write and rename are not.
    """
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


def is_frame_path(inner: str) -> bool:
    """Return whether a path relative to a root may be a frame: its name fits and no directory on the way is hidden."""
    parts = inner.strip("/").split("/")
    return is_frame_name(parts[-1]) and not any(part.startswith(".") for part in parts)


def is_searched(inner: str) -> bool:
    """Return whether a scan enters a directory, given relative to its root: nothing on the way is hidden."""
    return not any(part.startswith(".") for part in inner.strip("/").split("/"))


def stamp_of(status: os.stat_result) -> FileStamp:
    """Return what settles and identifies a file from its status."""
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def has_stamp(status: os.stat_result, stamp: FileStamp) -> bool:
    """Return whether a status agrees with a stamp, cheaper than building one: it runs for every known file."""
    return (
        status.st_mtime_ns == stamp.mtime_ns
        and status.st_size == stamp.size_bytes
        and status.st_ctime_ns == stamp.ctime_ns
        and status.st_ino == stamp.inode
    )


@dataclass(slots=True)
class LeftOut:
    """What a walk did not look into.

    ``unread``: each directory that exists and could not be read, and what the system said. The ``lost+found`` that a
    disk has at its top is for root alone and holds no frames. ``links``: how many symbolic links there are to
    directories, or with the name of a frame; ``a_link``: the first of them.
    """

    unread: dict[str, str] = field(default_factory=dict)
    links: int = 0
    a_link: str = ""

    def note_link(self, entry: os.DirEntry[str]) -> None:
        """Count a symbolic link if frames may lie behind it."""
        if is_frame_name(entry.name) or entry.is_dir():
            self.links += 1
            self.a_link = self.a_link or entry.path

    def note_error(self, directory: str, error: OSError) -> None:
        """Note what the system said of a directory."""
        if not directory.endswith("/lost+found"):
            self.unread[directory] = error.strerror or str(error)

    @property
    def link_words(self) -> str:
        """How many links there are, and one of them."""
        are = "symbolic link is" if self.links == 1 else "symbolic links are"
        return f"{self.links} {are} not followed, such as {self.a_link!a}"

    def words(self) -> list[str]:
        """Return one line for each that a person should know of."""
        unread = [f"{path!a} cannot be read: {why}" for path, why in self.unread.items()]
        return unread + [self.link_words] * bool(self.links)


def walk_frames(top: str, skip: Container[str], left_out: LeftOut) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and status of every regular file below a directory whose name may be a frame's.

    Parameters
    ----------
    top : str
        Absolute directory; only this one may be a symbolic link.
    skip : container of str
        Directories that are not entered.
    left_out : LeftOut
        Grows by what is not looked into.
    """
    pending = [(top, 0)]
    while pending:
        directory, depth = pending.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH and entry.path not in skip:
                            pending.append((entry.path, depth + 1))
                    elif entry.is_symlink():
                        left_out.note_link(entry)
                    elif is_frame_name(entry.name) and (status := _regular(entry)) is not None:
                        yield entry.path, status
        except OSError as error:
            if directory == top or not isinstance(error, FileNotFoundError):
                left_out.note_error(directory, error)


def _regular(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of a regular file; None for a link, pipe, socket or device, and for one that is gone."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def look_at(path: str) -> FileStamp | None:
    """Return the stamp of a regular file, or None if there is none at this path.

    Raises
    ------
    OSError
        If the file system does not answer the question (no permission, stale handle, I/O error).
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stamp_of(status) if stat.S_ISREG(status.st_mode) else None
