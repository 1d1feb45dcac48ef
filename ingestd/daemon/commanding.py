"""An operator's commands: the daemon carries them out if one runs, else the process that asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestd.daemon.writing import control_path, lock_path, utc_now, writing
from ingestd.doors.control import lock_holder, send
from ingestd.flow import carry_out
from ingestd.settings import Settings

_COMMAND_TIMEOUT_S = 60.0


def command(settings: Settings, request: Mapping[str, Any]) -> dict[str, Any]:
    """Have a command carried out: by the daemon if one runs, else here with the lock held.

    Returns
    -------
    dict
        ``ok`` and, if not, ``error``; else what was done.
    """
    if lock_holder(lock_path(settings)) is not None:
        try:
            return send(control_path(settings), dict(request), _COMMAND_TIMEOUT_S)
        except ConnectionError as error:
            return {"ok": False, "error": str(error)}
    with writing(settings) as catalogue:
        return carry_out(catalogue, settings, request, utc_now())
