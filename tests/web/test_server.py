"""The HTTP server over real sockets: three pages, and nothing that a stranger sends does more than get refused."""

from __future__ import annotations

import json
import logging
import socket
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ingestd.settings import Web
from ingestd.web import Check, Health, WebServer
from ingestd.web import handler as handler_module
from ingestd.web.handler import is_own_host
from ingestd.web.server import MAX_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCAL = Web(host="127.0.0.1", port=0)
WELL = Health((Check("progress", ok=True, text="Last round 1 s ago."), Check("disk", ok=True, text="5 GB free.")))
UNREADY = Health((WELL.checks[0], Check("disk", ok=False, text="0.5 GB free, 1 GB needed.")))
HUNG = Health((Check("progress", ok=False, text="Last round 400 s ago."),))
METRICS = b"# TYPE ingestd_frames gauge\ningestd_frames 3\n"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(LOCAL, lambda: WELL, lambda: METRICS) as running:
        yield running


def connect(server: WebServer) -> socket.socket:
    assert server.address is not None
    connection = socket.create_connection(server.address, timeout=20)
    connection.settimeout(20)
    return connection


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def send(server: WebServer, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to raw bytes."""
    with connect(server) as connection:
        connection.sendall(request)
        answer = read_all(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def get(
    server: WebServer, path: str, method: str = "GET", host: str = "localhost"
) -> tuple[int, dict[str, str], bytes]:
    return send(server, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def test_metrics_are_served_as_prometheus_text(server: WebServer) -> None:
    status, headers, body = get(server, "/metrics")
    assert (status, body) == (200, METRICS)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_query_is_ignored(server: WebServer) -> None:
    assert get(server, "/metrics?name=x")[2] == METRICS


def test_head_has_the_length_and_no_body(server: WebServer) -> None:
    status, headers, body = get(server, "/metrics", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(METRICS)), b"")


@pytest.mark.parametrize(
    ("health", "live", "ready"), [(WELL, 200, 200), (UNREADY, 200, 503), (HUNG, 503, 503)], ids=["well", "disk", "hung"]
)
def test_health_pages_tell_the_verdict(health: Health, live: int, ready: int) -> None:
    with WebServer(LOCAL, lambda: health, lambda: b"") as server:
        assert get(server, "/live")[0] == live
        status, _, body = get(server, "/ready")
    assert status == ready
    report = json.loads(body)
    assert report["ready"] == (ready == 200)
    assert {name: check["ok"] for name, check in report["checks"].items()} == {c.name: c.ok for c in health.checks}


def test_the_index_names_the_pages(server: WebServer) -> None:
    status, _, body = get(server, "/")
    assert status == 200
    assert all(page in body for page in (b"/metrics", b"/live", b"/ready"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_only_get_and_head_are_allowed(server: WebServer, method: str) -> None:
    status, headers, _ = get(server, "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/../etc/passwd", "http://evil.example/metrics"])
def test_other_paths_are_not_found(server: WebServer, path: str) -> None:
    assert get(server, path)[0] == 404


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /<script>alert(1)</script> HTTP/nine\r\nHost: localhost\r\n\r\n",
        b"<script>alert(1)</script> /x y z HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: <script>alert(1)</script>\r\n\r\n",
        b"GET /<script>alert(1)</script>\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n<script>alert(1)</script>\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00script\r\n\r\n",
    ],
)
def test_nothing_of_a_request_comes_back(server: WebServer, request_bytes: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(request_bytes)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.0 ")
    assert b"script>" not in answer


def test_every_answer_carries_the_security_headers(server: WebServer) -> None:
    for path in ("/", "/metrics", "/ready", "/nothing"):
        headers = get(server, path)[1]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers
        assert "Server" not in headers


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        ("localhost", True),
        ("LOCALHOST:9750", True),
        ("127.0.0.1:9750", True),
        ("192.0.2.7", True),
        ("[::1]:9750", True),
        ("observatory.example", True),
        ("observatory.example.", True),
        ("evil.example", False),
        ("evil.example:9750", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:9750@evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_host_header_must_name_this_machine(value: str, is_ours: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_own_host(value, frozenset({"localhost", "observatory.example"})) == is_ours


def test_a_foreign_host_name_is_refused(server: WebServer) -> None:
    assert get(server, "/metrics", host="evil.example")[0] == 403
    assert send(server, b"GET /metrics HTTP/1.0\r\n\r\n")[0] == 400
    assert send(server, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")[0] == 400


def test_long_urls_and_headers_are_refused(server: WebServer) -> None:
    assert get(server, "/" + "x" * 2000)[0] == 414
    assert get(server, "/" + "x" * 20000)[0] == 414
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(60))
    assert send(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")[0] == 431
    assert send(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 8192 + b"\r\n\r\n")[0] == 431


def test_a_request_that_trickles_in_is_cut_off(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each byte comes within the limit for one receive, the whole head does not come within the limit for all.
    monkeypatch.setattr(handler_module, "TIMEOUT_S", 0.3)
    stop = threading.Event()
    with connect(server) as connection:

        def trickle() -> None:
            while not stop.wait(0.02):
                try:
                    connection.send(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        answer = read_all(connection)
        stop.set()
        thread.join()
    assert answer.startswith(b"HTTP/1.0 408") or answer == b""


def test_more_connections_than_places_are_turned_away_and_places_come_back(server: WebServer) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(MAX_CONNECTIONS)]
        turned_away = [read_all(stack.enter_context(connect(server))) for _ in range(50)]
        assert all(answer.startswith(b"HTTP/1.0 503") for answer in turned_away)
        for connection in idle:
            connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert all(read_all(connection).startswith(b"HTTP/1.0 200") for connection in idle)
    wait_for(lambda: get(server, "/live")[0] == 200)


def wait_for(is_true: Callable[[], bool]) -> None:
    """Try until it holds; a place is given back a moment after the answer has been read."""
    for _ in range(1000):
        if is_true():
            return
    pytest.fail("did not become true in 1000 attempts")


def test_a_page_that_fails_is_an_error_page_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> bytes:
        raise RuntimeError("no figures")

    with WebServer(LOCAL, lambda: WELL, broken) as server:
        status, _, body = get(server, "/metrics")
        assert (status, body) == (500, b"500 Internal Server Error\n")
        assert get(server, "/live")[0] == 200
    assert "no figures" in caplog.text


def test_a_port_in_use_is_reported_and_can_be_tried_again(server: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    assert server.address is not None
    second = WebServer(replace(LOCAL, port=server.address[1]), lambda: WELL, lambda: METRICS)
    assert not second.start()
    assert not second.start()
    assert second.address is None
    assert "Address already in use" in second.problem
    assert caplog.text.count("free the port or set web.port") == 1
    server.stop()
    try:
        assert second.start()
        assert second.problem == ""
        assert get(second, "/live")[0] == 200
    finally:
        second.stop()


def test_an_unknown_host_is_a_problem_not_an_error() -> None:
    server = WebServer(Web(host="host.invalid", port=0), lambda: WELL, lambda: METRICS)
    assert not server.start()
    assert server.problem


def test_a_disabled_server_opens_nothing() -> None:
    server = WebServer(Web(enabled=False), lambda: WELL, lambda: METRICS)
    assert not server.start()
    assert (server.address, server.problem) == (None, "")


def test_a_stopped_server_leaves_no_thread_and_no_port(server: WebServer) -> None:
    address = server.address
    assert address is not None
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    assert not any(thread.name == "web" for thread in threading.enumerate())


def test_serving_the_network_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with WebServer(Web(host="0.0.0.0", port=0), lambda: WELL, lambda: METRICS):  # noqa: S104 - the case under test
        assert "can be read from the network" in caplog.text
    caplog.clear()
    with WebServer(LOCAL, lambda: WELL, lambda: METRICS):
        assert caplog.text == ""
