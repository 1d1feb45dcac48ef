"""What client and server of the control socket agree on: the longest lines, and an address for a path of any length."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_REQUEST_BYTES = 64 << 10
MAX_REPLY_BYTES = 64 << 20

_MAX_ADDRESS_BYTES = 107
"""What ``sockaddr_un`` holds besides its final zero byte (unix(7))."""


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Lend a socket address for a path of any length.

    A long one goes through /proc/self/fd and a descriptor of the directory, which lives as long as the context.
    """
    plain = os.fspath(path)
    if len(os.fsencode(plain)) <= _MAX_ADDRESS_BYTES:
        yield plain
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = f"/proc/self/fd/{directory}/{path.name}"
        if len(os.fsencode(short)) > _MAX_ADDRESS_BYTES:
            raise OSError(errno.ENAMETOOLONG, "the name of the socket is too long", plain)
        yield short
    finally:
        os.close(directory)
