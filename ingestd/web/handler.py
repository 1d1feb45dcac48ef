"""One HTTP request: read its head within bounds, check it, answer with a page that owes nothing to its content."""

from __future__ import annotations

import io
import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
MAX_HEAD_BYTES = 8192
MAX_URL_BYTES = 1024
MAX_HEADERS = 50

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

SECURITY_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a page answers."""

    status: HTTPStatus
    content_type: str
    body: bytes


Page = Callable[[], Reply]


@dataclass(frozen=True, slots=True)
class Site:
    """What a handler needs to know: the pages by path and the host names that they are served under."""

    pages: Mapping[str, Page]
    host_names: frozenset[str]


def refusal(status: HTTPStatus) -> Reply:
    """Return the plain page of an error: the standard phrase, nothing of the request."""
    return Reply(status, TEXT, f"{status.value} {status.phrase}\n".encode("ascii"))


def is_own_host(value: str, host_names: frozenset[str]) -> bool:
    """Return whether a Host header names this machine: a number, ``localhost`` or a configured name, any port.

    A page of a foreign site cannot read ours by pointing its own name at our address (DNS rebinding).
    """
    host = value.strip().lower()
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket:
            return False
        port = rest.removeprefix(":")
    else:
        host, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdecimal()):
        return False
    if host.rstrip(".") in host_names:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Handler(BaseHTTPRequestHandler):
    """Answers one request and closes the connection; the whole head must arrive within ``TIMEOUT_S``."""

    protocol_version = "HTTP/1.0"
    timeout = TIMEOUT_S
    site: Site

    def handle(self) -> None:
        """Read the request, answer it."""
        self.close_connection = True
        self.command = ""
        self._send(self._answer())

    def _answer(self) -> Reply:
        """Return the answer to the request on this connection."""
        head = self._read_head()
        if isinstance(head, HTTPStatus):
            return refusal(head)
        problem = self._parse(head)
        if problem is not None:
            return refusal(problem)
        page = self.site.pages.get(self.path.partition("?")[0])
        if page is None:
            return refusal(HTTPStatus.NOT_FOUND)
        try:
            return page()
        except Exception:
            log.exception("A page could not be made")
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _read_head(self) -> bytes | HTTPStatus:
        """Return request line and headers, or the status that refuses them."""
        connection: socket.socket = self.connection
        deadline = time.monotonic() + TIMEOUT_S
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            if len(head) >= MAX_HEAD_BYTES:
                is_long_url = b"\n" not in head
                return HTTPStatus.REQUEST_URI_TOO_LONG if is_long_url else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return HTTPStatus.REQUEST_TIMEOUT
            connection.settimeout(left_s)
            try:
                received = connection.recv(MAX_HEAD_BYTES - len(head))
            except TimeoutError:
                return HTTPStatus.REQUEST_TIMEOUT
            if not received:
                return HTTPStatus.BAD_REQUEST
            head += received
        return head

    def _parse(self, head: bytes) -> HTTPStatus | None:
        """Parse the head; return the status that refuses it, or None."""
        self._refused: HTTPStatus | None = None
        self.rfile: Any = io.BytesIO(head)
        self.raw_requestline = self.rfile.readline()
        if len(self.raw_requestline) > MAX_URL_BYTES:
            return HTTPStatus.REQUEST_URI_TOO_LONG
        if not self.parse_request():
            return self._refused or HTTPStatus.BAD_REQUEST
        return self._refusal_of_headers()

    def _refusal_of_headers(self) -> HTTPStatus | None:
        """Return the status that refuses the parsed request, or None."""
        if self.request_version == "HTTP/0.9":
            return HTTPStatus.BAD_REQUEST
        if self.command not in {"GET", "HEAD"}:
            return HTTPStatus.METHOD_NOT_ALLOWED
        if len(self.headers) > MAX_HEADERS:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1:
            return HTTPStatus.BAD_REQUEST
        return None if is_own_host(hosts[0], self.site.host_names) else HTTPStatus.FORBIDDEN

    def handle_expect_100(self) -> bool:
        """Ask for no body: none is read."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Note the status that the parser found; its message quotes the request and is dropped."""
        del message, explain
        self._refused = HTTPStatus(code)

    def _send(self, reply: Reply) -> None:
        """Send a reply in one piece, without its body for HEAD."""
        lines = [
            f"HTTP/1.0 {reply.status.value} {reply.status.phrase}",
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(reply.body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in SECURITY_HEADERS),
        ]
        if reply.status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
        self.connection.settimeout(TIMEOUT_S)
        self.connection.sendall(head if self.command == "HEAD" else head + reply.body)
