"""Health: what follows from the daemon's facts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ingestd.web import HealthFacts, assess

WELL = HealthFacts(
    taken_s=1000.0,
    tick_limit_s=60.0,
    roots=("/incoming",),
    missing_roots=(),
    dead_emitters=(),
    scan_age_s=30.0,
    scan_limit_s=180.0,
    database_problem="",
    free_bytes=5_000_000_000,
    min_free_bytes=1_000_000_000,
    oldest_pending_s=None,
    pending_limit_s=900.0,
)


def failing(facts: HealthFacts, monotonic_s: float = 1001.0) -> list[str]:
    return [check.name for check in assess(facts, monotonic_s).checks if not check.ok]


def test_a_daemon_without_a_problem_is_live_and_ready() -> None:
    health = assess(WELL, 1001.0)
    assert health.is_live
    assert health.is_ready


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"missing_roots": ("/incoming",)}, "watched_roots"),
        ({"dead_emitters": ("/incoming",)}, "emitters"),
        ({"scan_age_s": None}, "scan"),
        ({"scan_age_s": 179.5}, "scan"),  # 179.5 s when taken, 180.5 s one second later, limit 180 s
        ({"database_problem": "disk I/O error"}, "database"),
        ({"free_bytes": 999_999_999}, "disk"),
        ({"oldest_pending_s": 899.5}, "pending"),
    ],
)
def test_one_problem_makes_it_unready_but_not_dead(change: dict[str, object], check: str) -> None:
    facts = replace(WELL, **change)
    assert failing(facts) == [check]
    assert assess(facts, 1001.0).is_live


def test_a_directory_that_cannot_be_read_degrades_and_does_not_stop() -> None:
    health = assess(replace(WELL, unread=("/incoming/private",)), 1001.0)
    report = json.loads(health.as_json())
    assert (report["ready"], report["degraded"]) == (True, True)
    assert "/incoming/private" in report["checks"]["readable"]["text"]
    assert not assess(WELL, 1001.0).is_degraded


def test_ages_grow_while_the_daemon_publishes_nothing() -> None:
    # Facts 61 s old: no round within 60 s. At 151 s the last scan (30 s before the facts) is 181 s ago.
    assert failing(WELL, 1061.0) == ["progress"]
    assert failing(WELL, 1151.0) == ["progress", "scan"]
    assert not assess(WELL, 1061.0).is_live


def test_an_announced_long_round_is_progress() -> None:
    assert failing(replace(WELL, busy_until_s=1300.0), 1100.0) == []
    assert failing(replace(WELL, busy_until_s=1099.0), 1100.0) == ["progress"]


def test_a_starting_daemon_is_live_and_not_ready() -> None:
    health = assess(None, 5.0)
    assert health.is_live
    assert not health.is_ready


def test_the_json_names_every_check_even_with_an_unprintable_path() -> None:
    facts = replace(WELL, missing_roots=("/incoming/\udcff",))
    report = json.loads(assess(facts, 1001.0).as_json())
    assert not report["ready"]
    assert not report["checks"]["watched_roots"]["ok"]
    assert list(report["checks"]) == [
        "progress",
        "watched_roots",
        "emitters",
        "readable",
        "scan",
        "database",
        "disk",
        "pending",
    ]
