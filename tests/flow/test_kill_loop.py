"""SIGKILL at random instants loses nothing, and the harness that says so finds four deliberate faults."""

import pytest

from tests.flow.kill_loop import KillLoop
from tests.flow.unsafe_daemon import VARIANTS

KILLS = 40


def test_kills_at_random_instants_leave_no_violation_and_the_bytes_of_an_undisturbed_run(tmp_path):
    report = KillLoop(tmp_path / "loop", kills=KILLS, seed=2026).run()
    assert report.violations == [], report.words()
    assert (report.kills_at_work, report.kills_at_start) == (KILLS // 2, KILLS // 2)
    # 11 frames a night and a copy of one; a night makes 1 bias, 2 darks, 1 flat and 2 products
    assert report.products == report.frames // 12 * 6 > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_loop_finds_a_deliberate_fault(tmp_path, variant):
    report = KillLoop(tmp_path / "loop", kills=60, seed=7, variant=variant, stop_at_first=True).run()
    assert report.violations, f"the fault {variant!r} went unseen through {report.kills} kills"
