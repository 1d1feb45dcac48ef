"""Which file system a path lies on: SQLite's write-ahead log needs shared memory, which no network file system has."""

from __future__ import annotations

import re

_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse", "gfs", "gfs2", "glusterfs", "gpfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs"}
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def network_filesystem(mountinfo: str, path: str) -> str | None:
    """Return the type of the network file system that holds the path, or None if it is a local one.

    Parameters
    ----------
    mountinfo : str
        The text of ``/proc/self/mountinfo`` (proc(5)).
    path : str
        Absolute, without symbolic links.

    Returns
    -------
    str or None
        The type as the kernel calls it: ``nfs4``, ``cifs``, ``fuse.sshfs``, ... Of mounts on one point the last counts.
    """
    best, found = -1, ""
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(" - ")
        fields, kind = mount.split(" "), filesystem.split(" ")[0]
        point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]) if len(fields) > 4 else ""  # noqa: PLR2004
        if point and _holds(point, path) and len(point) >= best:
            best, found = len(point), kind
    return found if found in _NETWORK or found.startswith("fuse.") else None


def _holds(point: str, path: str) -> bool:
    """Return whether the path is the mount point or lies below it."""
    return point in {"/", path} or path.startswith(f"{point}/")
