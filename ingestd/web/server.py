"""The HTTP server: a bounded number of connections, a few read-only pages, and never a reason to stop the ingest."""

from __future__ import annotations

import ipaddress
import logging
import socket
import socketserver
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from ingestd.web.handler import JSON, TEXT, Handler, Reply, Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingestd.settings import Web
    from ingestd.web.health import Health

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
METRICS = "text/plain; version=0.0.4; charset=utf-8"

_INDEX = (
    b"ingestd\n\n/metrics  quality figures and state for Prometheus\n/live     is the daemon making progress\n"
    b"/ready    will a frame that arrives now be processed\n"
)
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"


class WebServer:
    """Serves /metrics, /live and /ready on a thread of its own.

    Parameters
    ----------
    web : Web
        Host and port; port 0 takes a free one.
    health : callable
        Returns the verdict on the daemon's newest facts; called on a thread of the server for each request.
    render_metrics : callable
        Returns the metrics in Prometheus' text format; called on a thread of the server for each request.
    """

    def __init__(self, web: Web, health: Callable[[], Health], render_metrics: Callable[[], bytes]) -> None:
        self._web = web
        pages = {
            "/": lambda: Reply(HTTPStatus.OK, TEXT, _INDEX),
            "/metrics": lambda: Reply(HTTPStatus.OK, METRICS, render_metrics()),
            "/live": lambda: _live(health()),
            "/ready": lambda: _ready(health()),
        }
        self._site = Site(pages, _host_names(web.host))
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why the pages are not served although they are enabled, or an empty text."""
        return self._problem

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that are served, or None."""
        if self._server is None:
            return None
        host, port = self._server.socket.getsockname()[:2]
        return str(host), int(port)

    def start(self) -> bool:
        """Begin to serve; return whether the pages are served now.

        A port that cannot be had is a warning and ``problem``, not an error: the ingest goes on, and ``start`` may be
        called again later.
        """
        if self._server is not None or not self._web.enabled:
            return self._server is not None
        try:
            server = _Server(self._web.host, self._web.port, self._site)
        except OSError as error:
            self._report(f"{self._web.host}:{self._web.port} cannot be had: {error.strerror or error}")
            return False
        self._problem = ""
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="web", daemon=True)
        self._thread.start()
        host, port = server.socket.getsockname()[:2]
        log.info("Metrics and health on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            log.warning(
                "web.host = %r: metrics and health can be read from the network; they have no password", self._web.host
            )
        return True

    def _report(self, problem: str) -> None:
        """Warn once about a problem."""
        if problem != self._problem:
            log.warning("No metrics and health pages: %s. Frames are processed; free the port or set web.port", problem)
        self._problem = problem

    def stop(self) -> None:
        """Stop to serve; requests in flight are cut off with the process."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()


def _live(health: Health) -> Reply:
    """Return the page that a supervisor restarts the daemon by."""
    status = HTTPStatus.OK if health.is_live else HTTPStatus.SERVICE_UNAVAILABLE
    return Reply(status, TEXT, b"live\n" if health.is_live else b"no progress\n")


def _ready(health: Health) -> Reply:
    """Return the page that says what is wrong."""
    status = HTTPStatus.OK if health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return Reply(status, JSON, health.as_json())


def _host_names(configured: str) -> frozenset[str]:
    """Return the names that this machine is called by: localhost, the configured host, its own host name."""
    own = socket.gethostname().lower()
    return frozenset({"localhost", configured.lower(), own, f"{own.partition('.')[0]}.local"} - {""})


class _Server(socketserver.ThreadingTCPServer):
    """A thread for each connection, at most ``MAX_CONNECTIONS``; more are turned away at once."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, site: Site) -> None:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = found[0]
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._pause = threading.Event()
        super().__init__(address, type("SiteHandler", (Handler,), {"site": site}))  # type: ignore[arg-type]

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; where that fails (no file descriptor left), breathe before the next attempt."""
        try:
            return super().get_request()
        except OSError:
            self._pause.wait(0.1)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Answer on a thread of its own, or turn away."""
        if not self._free.acquire(blocking=False):
            request.settimeout(0.0)
            try:
                request.send(_BUSY)
            finally:
                self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - see above
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - see above
        """Drop a connection that the client broke; nothing of it is worth a line above debug."""
        del request, client_address
        log.debug("A connection was dropped", exc_info=True)  # noqa: LOG014 - called by socketserver inside its except block
