"""Messages to the service manager over ``$NOTIFY_SOCKET``: ready, reloading, progress, stopping (sd_notify(3))."""

from __future__ import annotations

import os
import socket


class ServiceManager:
    """Sends notifications where a service manager asked for them; elsewhere it does nothing."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def notify(self, *lines: str) -> None:
        """Send one datagram of ``KEY=value`` lines; a manager that does not listen, or read, is no error."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.connect(self._address)
                sender.sendall("\n".join(lines).encode())
            except OSError:
                return
