"""Workers that crash, hang, eat memory or outlive their parent; real processes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingestd.doors.executors import InlineExecutor, ProcessExecutor, default_processes
from ingestd.records import Arithmetic, Kind, MasterInput, MeasureMaster
from tests.doors import executor_jobs

ROOM = Path(__file__).parents[2]
DEADLINE_S = 60.0
ARITHMETIC = Arithmetic(5.0, 1, overscan=True, overscan_skip_px=5, flat_floor=0.05, hot_sigma=10.0)


def job(job_id):
    """A real job; the functions of ``executor_jobs`` read only its id."""
    master = MasterInput("m", Kind.DARK, "/none.fits", "0" * 64, 1.0, "exact", None, None, 0.0)
    return MeasureMaster(job_id, master, master, None, None, ARITHMETIC)


@contextmanager
def executor(processes=1, *, max_job_s=DEADLINE_S, max_worker_bytes=4 << 30, initializer=executor_jobs.prepare):
    pool = ProcessExecutor(
        processes, executor_jobs.run, max_job_s=max_job_s, max_worker_bytes=max_worker_bytes, initializer=initializer
    )
    try:
        yield pool
    finally:
        pool.stop(0.0)


def collect(pool, count):
    """Wait until so many outcomes have come; return them by job id."""
    end = time.monotonic() + DEADLINE_S
    outcomes = {}
    while len(outcomes) < count:
        assert time.monotonic() < end, f"only {outcomes}"
        pool.wait(1.0)
        outcomes.update({outcome.job_id: outcome for outcome in pool.finished()})
    return outcomes


def run_one(pool, job_id):
    pool.submit(job(job_id))
    return collect(pool, 1)[job_id]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- inline -----------------------------------------------------------------------------------------------------------


def test_inline_runs_at_once_and_holds_one_outcome():
    inline = InlineExecutor(executor_jobs.run)
    assert inline.free_slots == 1
    inline.submit(job("done a"))
    assert (inline.free_slots, list(inline.in_flight)) == (0, ["done a"])
    with pytest.raises(ValueError, match="no free slot"):
        inline.submit(job("done b"))
    assert inline.wait(0.0)
    [outcome] = inline.finished()
    assert (outcome.status, outcome.reason) == ("done", "a")
    assert (inline.free_slots, inline.finished(), inline.in_flight) == (1, [], {})


@pytest.mark.parametrize("what", ["unpicklable", "mute", "exit"])
def test_inline_turns_errors_into_outcomes(what):
    inline = InlineExecutor(executor_jobs.run)
    inline.submit(job(f"raise {what}"))
    [outcome] = inline.finished()
    assert outcome.status == "failed"
    assert len(outcome.reason) <= 500


def test_inline_wakes_for_a_descriptor():
    inline = InlineExecutor(executor_jobs.run)
    reader, writer = os.pipe()
    assert not inline.wait(0.0, [reader])
    os.write(writer, b"x")
    assert inline.wait(DEADLINE_S, [reader])
    os.close(reader)
    os.close(writer)


# --- processes --------------------------------------------------------------------------------------------------------


def test_job_runs_in_another_process_that_stays_and_is_prepared():
    with executor() as pool:
        first, second = run_one(pool, "done a"), run_one(pool, "done b")
        assert (first.status, first.reason, first.size_bytes) == ("done", "a", 1)
        assert first.sha256 == second.sha256 == str(pool.pids[0])
        assert int(first.sha256) != os.getpid()


def test_slots_and_jobs_in_flight():
    with executor(2) as pool:
        assert (pool.processes, pool.free_slots) == (2, 2)
        before = time.monotonic()
        pool.submit(job("done a"))
        assert pool.free_slots == 1
        assert before <= pool.in_flight["done a"] <= time.monotonic()
        with pytest.raises(ValueError, match="in flight already"):
            pool.submit(job("done a"))
        pool.submit(job("done b"))
        with pytest.raises(ValueError, match="no free slot"):
            pool.submit(job("done c"))
        assert set(collect(pool, 2)) == {"done a", "done b"}
        assert (pool.free_slots, pool.in_flight) == (2, {})


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("kill 11", "signal 11 (SIGSEGV)"),
        ("kill 9", "signal 9 (SIGKILL)"),  # as the kernel does when memory is short
        ("exit 3", "exit status 3"),
        ("exit 0", "exit status 0"),
    ],
)
def test_death_costs_one_job_and_the_worker_is_replaced(what, reason):
    with executor(2) as pool:
        pool.submit(job("sleep 1"))
        pool.submit(job(what))
        outcomes = collect(pool, 2)
        assert (outcomes[what].status, outcomes[what].reason) == ("crashed", reason)
        assert outcomes["sleep 1"].status == "done"
        assert run_one(pool, "done again").status == "done"


def test_deadline_kills_one_worker_and_no_other():
    with executor(2, max_job_s=1.5) as pool:
        pool.submit(job("sleep 600"))
        pool.submit(job("done b"))
        outcomes = collect(pool, 2)
        assert (outcomes["sleep 600"].status, outcomes["sleep 600"].reason) == ("crashed", "deadline 1.5 s")
        assert outcomes["sleep 600"].seconds >= 1.5
        assert outcomes["done b"].status == "done"
        assert run_one(pool, "done again").status == "done"


def test_stopped_worker_does_not_hold_up_the_caller():
    with executor(max_job_s=1.5) as pool:
        run_one(pool, "done a")
        os.kill(pool.pids[0], signal.SIGSTOP)
        outcome = run_one(pool, "done b")
        assert (outcome.status, outcome.reason) == ("crashed", "deadline 1.5 s")


def test_worker_that_died_idle_costs_no_job():
    with executor() as pool:
        run_one(pool, "done a")
        pid = pool.pids[0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid))
        assert run_one(pool, "done b").status == "done"


def test_outcome_sent_before_the_death_counts():
    with executor() as pool:
        pool.submit(job("done a"))
        wait_until(lambda: pool._slots[0].running_since or pool.finished())
        wait_until(pool._slots[0].worker.outcomes.poll)
        os.kill(pool.pids[0], signal.SIGKILL)
        pool._slots[0].worker.process.join()
        assert [outcome.status for outcome in pool.finished()] == ["done"]


def test_memory_is_limited_and_the_worker_renewed():
    limit = 1 << 30
    with executor(max_worker_bytes=limit) as pool:
        assert run_one(pool, "limits x").reason == f"{limit} 0"
        pid = pool.pids[0]
        outcome = run_one(pool, f"allocate {2 * limit}")
        assert outcome.status == "failed"
        assert outcome.reason.startswith("MemoryError")
        assert run_one(pool, "done b").status == "done"
        assert pool.pids[0] != pid


@pytest.mark.parametrize(
    ("what", "start"),
    [
        ("raise unpicklable", "Unpicklable: long long"),
        ("raise mute", "Mute: (its text cannot be read)"),
        ("raise exit", "SystemExit"),
        ("raise interrupt", "KeyboardInterrupt"),
        ("nothing", "the job returned NoneType"),
        ("huge", "the outcome of 94"),  # 9 MiB are 9437184 bytes
        ("odd", "the outcome cannot be sent"),
        ("talkative", "word word"),
    ],
)
def test_whatever_a_job_does_in_python_becomes_a_failed_outcome(what, start):
    with executor() as pool:
        outcome = run_one(pool, what)
        assert outcome.status == "failed"
        assert outcome.reason.startswith(start)
        assert len(outcome.reason) <= 500
        assert run_one(pool, "done after").status == "done"


def test_job_that_cannot_be_pickled_fails():
    with executor() as pool:
        run_one(pool, "done a")
        odd = job("odd job")
        object.__setattr__(odd, "gain_e_per_adu", lambda: None)
        pool.submit(odd)
        [outcome] = collect(pool, 1).values()
        assert outcome.status == "failed"
        assert outcome.reason.startswith("the job cannot be sent")
        assert run_one(pool, "done b").status == "done"


def test_signals_to_the_group_leave_a_worker_alone():
    with executor() as pool:
        assert run_one(pool, "signals x").status == "done"


def test_workers_that_cannot_start_fail_the_job_after_some_tries(monkeypatch):
    monkeypatch.setattr("ingestd.doors.executors.processes.MAX_STARTS", 2)
    with executor(initializer=executor_jobs.prepare_badly) as pool:
        outcome = run_one(pool, "done a")
        assert outcome.status == "failed"
        assert "exit status 3" in outcome.reason


def test_wait_wakes_for_a_descriptor_and_for_a_deadline():
    reader, writer = os.pipe()
    with executor(max_job_s=1.0) as pool:
        run_one(pool, "done a")
        assert not pool.wait(0.0, [reader])
        os.write(writer, b"x")
        assert pool.wait(None, [reader])
        pool.submit(job("sleep 600"))
        pool.wait(None)  # without a time limit: the deadline ends it
        assert collect(pool, 1)["sleep 600"].status == "crashed"
    os.close(reader)
    os.close(writer)


def test_stop_lets_a_job_finish_within_the_grace():
    with executor(2) as pool:
        run_one(pool, "done a")
        pids = pool.pids
        pool.submit(job("sleep 0.5"))
        pool.stop(DEADLINE_S)
        assert [outcome.job_id for outcome in pool.finished()] == ["sleep 0.5"]
        assert pool.free_slots == 0
        assert not any(is_running(pid) for pid in pids)


def test_stop_abandons_a_job_after_the_grace():
    with executor() as pool:
        run_one(pool, "done a")
        [pid] = pool.pids
        pool.submit(job("sleep 600"))
        started = time.monotonic()
        pool.stop(0.2)
        assert time.monotonic() - started < 5.0
        assert (pool.finished(), pool.in_flight) == ([], {})
        assert not is_running(pid)


def test_default_leaves_one_core():
    assert default_processes() == max(1, len(os.sched_getaffinity(0)) - 1)


PARENT = """
import sys
from ingestd.doors.executors import ProcessExecutor
from tests.doors import executor_jobs
from tests.doors.test_executors import job
if __name__ == "__main__":
    pool = ProcessExecutor(1, executor_jobs.run, max_job_s=600, max_worker_bytes=4 << 30)
    pool.submit(job("touch " + sys.argv[1]))
    while True:
        pool.wait(None)
        pool.finished()
"""


def parent(tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    return subprocess.Popen([sys.executable, program, tmp_path / "pid"], env={**os.environ, "PYTHONPATH": str(ROOM)})


def test_workers_die_with_a_killed_parent(tmp_path):
    with parent(tmp_path) as daemon:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        worker = int((tmp_path / "pid").read_text())
        assert is_running(worker)
        daemon.kill()
        daemon.wait()
    wait_until(lambda: not is_running(worker))


def test_parent_that_forgets_to_stop_ends_all_the_same(tmp_path):
    with parent(tmp_path) as daemon:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        worker = int((tmp_path / "pid").read_text())
        daemon.send_signal(signal.SIGINT)  # KeyboardInterrupt: an ordinary end of the interpreter
        daemon.wait(DEADLINE_S)
    wait_until(lambda: not is_running(worker))
