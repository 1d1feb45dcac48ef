"""watchdog events and a reconciling scan -> settled paths.

``core`` is the watcher, ``settle`` the rule when a file is complete, ``side`` what is asked of a directory next,
``root`` everything that may block on it, ``walk`` what a frame is called, ``events`` the subscription, ``once`` the
single scan.
"""

from ingestd.doors.watcher.core import Poll, Watcher
from ingestd.doors.watcher.settle import Settled, Waiting
from ingestd.doors.watcher.side import RootState
from ingestd.doors.watcher.walk import is_frame_name

__all__ = ["Poll", "RootState", "Settled", "Waiting", "Watcher", "is_frame_name"]
