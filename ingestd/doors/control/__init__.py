"""The operator's way in: a Unix socket, one JSON line in, one out; and the lock of the data directory.

``server`` is polled by the daemon, ``client`` is what the commands use, ``wire`` what both agree on, ``lock`` says who
may write.
"""

from ingestd.doors.control.client import send
from ingestd.doors.control.lock import DataLock, lock_holder
from ingestd.doors.control.server import ControlServer, Reply, Request

__all__ = ["ControlServer", "DataLock", "Reply", "Request", "lock_holder", "send"]
