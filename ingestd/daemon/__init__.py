"""The process: lock, signals, the loop of ticks, the one writer of the catalogue, and a graceful stop.

``service`` is ``ingestd run``, ``scanning`` is ``ingestd scan``, ``commanding`` an operator's word, ``writing`` what
they have in common. This is the only room that asks what time it is; everything below is told.
"""

from ingestd.daemon.commanding import command
from ingestd.daemon.scanning import run_scan
from ingestd.daemon.service import Daemon
from ingestd.daemon.writing import control_path, lock_path, utc_now, writing

__all__ = ["Daemon", "command", "control_path", "lock_path", "run_scan", "utc_now", "writing"]
