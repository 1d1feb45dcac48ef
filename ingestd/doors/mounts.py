"""On which file systems a path lies, from /proc/self/mountinfo.

A remote writer sends no events to this host, and SQLite's write-ahead log needs memory shared by all who open it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

NETWORK_TYPES = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "coda", "davfs", "glusterfs", "lustre"),
        *("beegfs", "gpfs", "orangefs", "pvfs2", "ocfs2", "gfs", "gfs2", "ncpfs"),
    }
)
"""File systems that another computer can write to."""

GUEST_TYPES = frozenset({"virtiofs", "vboxsf", "vmhgfs", "prl_fs"})
"""File systems of a virtual machine that its host can write to."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system: where, which kind, from what device or share, and which directory of it."""

    point: str
    fs_type: str
    source: str
    fs_root: str

    @property
    def is_network(self) -> bool:
        """True if other computers have it mounted too. FUSE counts; ``fuseblk`` is a local disk."""
        return self.fs_type in NETWORK_TYPES or self.fs_type == "fuse" or self.fs_type.startswith("fuse.")

    @property
    def has_remote_writers(self) -> bool:
        """True if files can change without an event on this host."""
        return self.is_network or self.fs_type in GUEST_TYPES


def parse_mountinfo(text: bytes) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo table in its order, the latest last (proc(5)); odd lines are left out."""
    return tuple(mount for line in text.splitlines() if (mount := _parse_line(line.split(b" "))) is not None)


def _parse_line(fields: list[bytes]) -> Mount | None:
    """Return one mount; optional fields end at a single hyphen, then come type and source."""
    try:
        hyphen = fields.index(b"-", 6)
        return Mount(
            point=_unescape(fields[4]),
            fs_type=_unescape(fields[hyphen + 1]),
            source=_unescape(fields[hyphen + 2]),
            fs_root=_unescape(fields[3]),
        )
    except (ValueError, IndexError):
        return None


def _unescape(field: bytes) -> str:
    """Return a field with its octal escapes (blank, tab, newline, backslash) undone."""
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field))


def read_mounts() -> tuple[Mount, ...]:
    """Return the mounts that this process sees, or none where the kernel does not tell."""
    try:
        return parse_mountinfo(_MOUNTINFO.read_bytes())
    except OSError:
        return ()


def mount_of(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount that holds a path (absolute, resolved); of several on one point only the latest is visible."""
    holding = [mount for mount in _visible(mounts) if is_below(path, mount.point)]
    return max(holding, key=lambda mount: len(mount.point), default=None)


def mounts_of(directory: str, mounts: tuple[Mount, ...]) -> frozenset[Mount]:
    """Return the mount that holds a directory (absolute, resolved) and all mounts below it."""
    own = mount_of(directory, mounts)
    inside = {mount for mount in _visible(mounts) if is_below(mount.point, directory)}
    return frozenset(inside if own is None else {*inside, own})


def _visible(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return the latest mount of each point."""
    return tuple({mount.point: mount for mount in mounts}.values())


def is_below(path: str, directory: str) -> bool:
    """Return whether a path is the directory or lies in it."""
    return path == directory or path.startswith(directory if directory.endswith("/") else directory + "/")
