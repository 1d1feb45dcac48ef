"""The client of the control socket."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from ingestd.doors.control.wire import MAX_REPLY_BYTES, MAX_REQUEST_BYTES, socket_address


def send(path: Path, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Send a request to the daemon and return its answer.

    Parameters
    ----------
    path : path
        Of the daemon's socket.
    request : dict
        Anything that JSON can hold, at most 64 KiB.
    timeout_s : float, second
        For the whole exchange.

    Raises
    ------
    ConnectionError
        If nobody answers: no socket, no permission, no answer in time, or no JSON object.
    ValueError
        If the request is too long or cannot be written as JSON.
    """
    line = json.dumps(request).encode() + b"\n"
    if len(line) > MAX_REQUEST_BYTES + 1:
        raise ValueError(f"a request of {len(line)} bytes is too long: {MAX_REQUEST_BYTES} are allowed")
    end = time.monotonic() + timeout_s
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as client:
            client.settimeout(timeout_s)
            with socket_address(path) as address:
                client.connect(address)
            client.sendall(line)
            answer = json.loads(_receive_line(client, end))
    except TimeoutError as error:
        raise ConnectionError(f"{path}: the daemon does not answer within {timeout_s:g} s") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConnectionError(f"{path}: no answer from a daemon: {error}") from error
    if not isinstance(answer, dict):
        raise ConnectionError(f"{path}: the answer is not a JSON object")
    return answer


def _receive_line(client: socket.socket, end: float) -> bytes:
    """Return the line that the server sends."""
    received = bytearray()
    while not received.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        client.settimeout(left)
        data = client.recv(1 << 16)
        if not data:
            raise ConnectionResetError("it closed the connection")
        received += data
        if len(received) > MAX_REPLY_BYTES:
            raise ConnectionResetError("its answer is too long")
    return bytes(received)
