"""Where jobs run: inline, or in processes of which a deadline or a death costs exactly one.

``inline`` runs a job when it is submitted, ``processes`` owns the worker processes, ``worker`` is what runs in one.
"""

from ingestd.doors.executors.inline import Executor, InlineExecutor
from ingestd.doors.executors.processes import ProcessExecutor, default_processes
from ingestd.doors.executors.worker import Run

__all__ = ["Executor", "InlineExecutor", "ProcessExecutor", "Run", "default_processes"]
