"""SIGKILL at random instants loses nothing, and the harness that says so finds four deliberate faults."""

import pytest

from tests.flow.kill_loop import KillLoop
from tests.flow.unsafe_daemon import VARIANTS

KILLS, BUDGET_S = 40, 75.0


def test_kills_at_random_instants_leave_no_violation_and_the_bytes_of_an_undisturbed_run(tmp_path):
    report = KillLoop(tmp_path / "loop", kills=KILLS, seed=2026, budget_s=BUDGET_S).run()
    assert report.violations == [], report.words()
    assert report.kills >= KILLS // 4, "too slow a machine to say anything"
    assert abs(report.kills_at_work - report.kills_at_start) <= 1
    assert report.products > report.kills, "there was work to interrupt"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_loop_finds_a_deliberate_fault(tmp_path, variant):
    report = KillLoop(
        tmp_path / "loop", kills=60, seed=7, variant=variant, stop_at_first=True, budget_s=2 * BUDGET_S
    ).run()
    assert report.violations, f"the fault {variant!r} went unseen through {report.kills} kills"
