"""The server of the control socket: polled by the daemon between two ticks, it never blocks it.

Who may connect is a matter of the socket's file mode.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingestd.doors.control.wire import MAX_REPLY_BYTES, MAX_REQUEST_BYTES, socket_address
from ingestd.errors import LockHeld

MAX_CONNECTIONS = 16

REQUEST_S = 5.0
"""Time for a client to send its line."""

REPLY_S = 60.0
"""Time from the request until the answer is delivered; then the connection is closed."""

Request = dict[str, Any]
Reply = Callable[[Request], None]


class ControlServer:
    """Takes requests from operators; belongs to one thread.

    Parameters
    ----------
    path : path
        Of the socket; a stale one is replaced.
    mode : int
        0o600, or 0o660 for a group of operators.

    Raises
    ------
    LockHeld
        If another process answers on this socket.
    OSError
        If the socket cannot be made, or something else than a socket has its name.
    """

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self._path = path
        _remove_stale(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            with socket_address(path) as address:
                self._listener.bind(address)
            path.chmod(mode)  # before listen: nobody can have connected
            self._listener.listen(MAX_CONNECTIONS)
            self._inode = path.lstat().st_ino
        except BaseException:
            self._listener.close()
            raise
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, _Connection] = {}

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``requests`` has something to do."""
        return self._epoll.fileno()

    def requests(self) -> list[tuple[Request, Reply]]:
        """Return the complete requests, each with what takes its answer; call the latter once, at any later time.

        What is no JSON object in one line of at most 64 KiB is answered with ``{"ok": false, "error": ...}`` here.
        """
        arrived: list[tuple[Request, Reply]] = []
        for fd, _ in self._epoll.poll(0):
            if fd == self._listener.fileno():
                self._accept()
            elif (connection := self._connections.get(fd)) is not None:
                request = connection.attend()
                if request is not None:
                    arrived.append((request, connection.reply))
        now = time.monotonic()
        for fd, connection in list(self._connections.items()):
            if connection.is_over or now > connection.deadline:
                del self._connections[fd]
                connection.close()
        self._watch_listener()
        return arrived

    def close(self) -> None:
        """Close all connections and remove the socket, unless another process has replaced it."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._epoll.close()
        self._listener.close()
        with suppress(OSError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        """Take the connections that wait, up to the limit; the others wait longer."""
        while len(self._connections) < MAX_CONNECTIONS:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setblocking(False)
            connection = _Connection(client, self._epoll)
            self._connections[client.fileno()] = connection

    def _watch_listener(self) -> None:
        """Listen only while there is room: a full house must not keep the descriptor readable."""
        has_room = len(self._connections) < MAX_CONNECTIONS
        self._epoll.modify(self._listener, select.EPOLLIN if has_room else 0)


class _Connection:
    """One client: its line as it comes in, its answer as it goes out."""

    def __init__(self, client: socket.socket, epoll: select.epoll) -> None:
        self._client = client
        self._epoll = epoll
        self._received = bytearray()
        self._outgoing = memoryview(b"")
        self._is_asked = False
        self._is_answered = False
        self.is_over = False
        self.deadline = time.monotonic() + REQUEST_S
        epoll.register(client, select.EPOLLIN)

    def attend(self) -> Request | None:
        """Read or write what is possible; return the request when it is complete."""
        if self._is_answered:
            self._flush()
            return None
        try:
            data = self._client.recv(MAX_REQUEST_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if self._is_asked:  # the client hung up, or says more than one line
            self.is_over = not data
            return None
        self._received += data
        line, end, _ = bytes(self._received).partition(b"\n")
        if len(line) > MAX_REQUEST_BYTES:
            self._refuse(f"the request is longer than {MAX_REQUEST_BYTES} bytes")
        elif end:
            return self._parse(line)
        elif not data:
            self.is_over = True
        return None

    def _parse(self, line: bytes) -> Request | None:
        """Return the request in a line, or refuse it."""
        self._is_asked = True
        self.deadline = time.monotonic() + REPLY_S
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            self._refuse("the request is not a line of JSON")
            return None
        if not isinstance(request, dict):
            self._refuse("the request is not a JSON object")
            return None
        self._epoll.modify(self._client, 0)  # wait for the answer; a client that hangs up is still noticed
        return request

    def _refuse(self, error: str) -> None:
        self._is_asked = True
        self.reply({"ok": False, "error": error})

    def reply(self, answer: Request) -> None:
        """Send the answer, now as far as the client takes it, the rest as it reads."""
        if self._is_answered or self.is_over:
            return
        line = json.dumps(answer).encode() + b"\n"
        self._is_answered = True
        if len(line) > MAX_REPLY_BYTES:
            line = (
                json.dumps({"ok": False, "error": f"the answer has {len(line)} bytes: ask for less"}).encode() + b"\n"
            )
        self._outgoing = memoryview(line)
        self._flush()

    def _flush(self) -> None:
        """Send as much as the client takes."""
        try:
            while self._outgoing:
                self._outgoing = self._outgoing[self._client.send(self._outgoing) :]
        except BlockingIOError:
            self._epoll.modify(self._client, select.EPOLLOUT)
            return
        except OSError:
            pass
        self.is_over = True
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self.is_over = True
        with suppress(OSError, ValueError):
            self._epoll.unregister(self._client)
        self._client.close()


def _remove_stale(path: Path) -> None:
    """Remove the socket that a dead process left behind."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "is in the way of the control socket and not a socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as probe:
        try:
            with socket_address(path) as address:
                probe.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # its queue is full: somebody lives there
            pass
    raise LockHeld(f"{path}: another process answers on this control socket")
