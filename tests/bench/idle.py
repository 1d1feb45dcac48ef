"""The daemon at rest: how soon it is ready, what it holds in memory, what it costs to wait."""

from __future__ import annotations

import statistics
import time

from tests.bench import service
from tests.bench.report import Goal, Options, Table

_REST_S = 5.0
_WATCHED_S = 20.0
_READY_S = 0.6
_RESIDENT_MIB = 80.0


def measure(options: Options) -> Table:
    """Start the daemon on an empty directory several times; watch it at rest the last time."""
    table = Table(f"The daemon at rest: start to READY=1, median of {options.runs}; CPU over {_WATCHED_S:.0f} s")
    table.notes.append("with its modules compiled, as an installed program has them: a first start does not count")
    ready = []
    for run in range(options.runs + 1):
        with service.running(service.fresh(options.scratch / f"idle-{run}")) as daemon:
            ready += [daemon.ready_s] if run else []
            if run == options.runs:
                _watch(daemon, table)
    table.rows.append({"what": "start to READY=1, s", "figure": statistics.median(ready)})
    table.goals.append(Goal("start to READY=1", statistics.median(ready), _READY_S, "s"))
    return table


def _watch(daemon: service.Service, table: Table) -> None:
    """Add memory and CPU of a daemon that has nothing to do."""
    time.sleep(_REST_S)
    pids = {"parent": daemon.process.pid} | {f"child {n}": pid for n, pid in enumerate(daemon.workers, 1)}
    before = {name: service.cpu_s(pid) for name, pid in pids.items()}
    time.sleep(_WATCHED_S)
    for name, pid in pids.items():
        share = (service.cpu_s(pid) - before[name]) / _WATCHED_S
        table.rows.append({"what": f"{name}: resident, MiB", "figure": service.resident_mib(pid)})
        table.rows.append({"what": f"{name}: CPU, % of a core", "figure": 100 * share})
    table.goals.append(
        Goal("resident memory of the parent", service.resident_mib(pids["parent"]), _RESIDENT_MIB, "MiB")
    )
