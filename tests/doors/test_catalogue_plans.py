"""No question that is asked on every tick reads a whole table, whatever the catalogue holds."""

import pytest

from ingestd.doors.catalogue import Catalogue
from ingestd.records import Break, ChartPoint, EpochWord, Finding, Kind, Metric, Standing, Verdict
from tests.doors.catalogue_samples import (
    EVENING,
    KEY,
    NOW,
    SETUP,
    build,
    frame,
    group,
    master,
    measure,
    measure_master,
    reduce,
    renamed,
    scans,
    statements,
    taken,
)

BIAS, FLAT = group(Kind.BIAS), group(Kind.FLAT, "V")
B, D, F, L = frame("b"), frame("d", Kind.DARK), frame("f", Kind.FLAT), frame("l", Kind.LIGHT)
MADE = {record.kind: master(f"master {record.kind}", [record]) for record in (B, D, F)}

CONTRADICTED = Verdict(B.frame_id, (Finding("bias_with_flux", keeps_out=True, text="bright"),), "", "")

POINT = ChartPoint(Kind.BIAS, KEY, "2026-01-10", 3, 0.0, -10.0, None, (("", 1000.0, 5.0),))
BREAK = Break("main", SETUP, "2026-01-12", "2026-01-10", "detected", "it jumped")

QUESTIONS = {
    "unmeasured": lambda c: c.unmeasured(100, NOW),
    "has_unmeasured": lambda c: c.has_unmeasured("main", SETUP),
    "stale_nights": lambda c: c.stale_nights(),
    "stale_lights": lambda c: c.stale_lights(100, now=NOW),
    "stale_masters": lambda c: c.stale_masters(),
    "usable_frames": lambda c: c.usable_frames(FLAT, "2026-01-01", "2026-01-31"),
    "sound_masters": lambda c: c.sound_masters(FLAT, "2026-01-10"),
    "measured_frames": lambda c: c.measured_frames(BIAS, "2026-01-10"),
    "master_figures": lambda c: c.master_figures(MADE[Kind.BIAS].master_id),
    "masters": lambda c: c.masters("main", KEY, Kind.DARK, since=EVENING, until=NOW),
    "masters_of_setup": lambda c: c.masters_of_setup("main", SETUP, Kind.DARK, since=EVENING, until=NOW),
    "known_masters": lambda c: c.known_masters([MADE[Kind.BIAS].master_id]),
    "master": lambda c: c.master(MADE[Kind.FLAT].master_id),
    "measured_job": lambda c: c.measured_job(MADE[Kind.DARK].master_id),
    "standing": lambda c: c.standing(MADE[Kind.DARK].master_id),
    "current_reduction": lambda c: c.current_reduction(L.frame_id),
    "former_product": lambda c: c.former_product(L.frame_id),
    "next_delayed": lambda c: c.next_delayed(NOW),
    "gains": lambda c: c.gains("main", SETUP, "2026-01-20"),
    "uncharted_nights": lambda c: c.uncharted_nights("main", SETUP, 10),
    "chart": lambda c: c.chart("main", SETUP),
    "breaks": lambda c: c.breaks("main", SETUP),
    "epoch_words": lambda c: c.epoch_words("main", SETUP),
    "failure": lambda c: c.failure("job"),
    "path_of": lambda c: c.path_of(L.frame_id),
    "frame": lambda c: c.frame(L.frame_id),
    "find_frames": lambda c: c.find_frames("/raw/x.fits"),
}
CHANGES = {
    "add_frames": lambda c: c.add_frames([taken(renamed(B, "again"), "/raw/new.fits", 2_000_000_000)], NOW),
    "mark_gone": lambda c: c.mark_gone([f"/raw/{B.frame_id[:12]}.fits"], NOW),
    "record_measured": lambda c: measure(c, F),
    "record_master": lambda c: build(c, master("another", [F], (MADE[Kind.BIAS].master_id,)), Metric("level", 1.0)),
    "settle_night": lambda c: c.settle_night(FLAT, "2026-01-10", [], NOW),
    "settle_bias_night": lambda c: c.settle_night(BIAS, "2026-01-10", [], NOW),
    "record_master_measured": lambda c: measure_master(
        c, MADE[Kind.DARK], "job 2", Metric("dark_rate", 1), bias=MADE[Kind.BIAS]
    ),
    "record_standing": lambda c: c.record_standing(Standing(MADE[Kind.BIAS].master_id, "", "red", ""), NOW),
    "record_reduction": lambda c: reduce(c, "job 2", L, MADE[Kind.DARK]),
    "keep_reduction": lambda c: c.keep_reduction(L.frame_id, c.current_reduction(L.frame_id), "{}", NOW),
    "record_verdict": lambda c: c.record_verdict(CONTRADICTED, NOW),
    "decide_frames": lambda c: c.decide_frames([B.frame_id, L.frame_id], "rejected", "test", NOW),
    "decide_masters": lambda c: c.decide_masters([MADE[Kind.DARK].master_id], "rejected", "test", NOW),
    "limit_masters": lambda c: c.limit_masters([MADE[Kind.FLAT].master_id], NOW, None, "test", NOW),
    "delay_reduction": lambda c: c.delay_reduction(L.frame_id, NOW),
    "record_wait": lambda c: c.record_wait(L.frame_id, "needs_master", "", "{}", NOW),
    "record_failure": lambda c: c.record_failure("job", L.frame_id, "io_error", NOW, False, False, NOW),
    "quarantine": lambda c: c.quarantine(B.frame_id, "saturated", "", NOW),
    "requeue": lambda c: c.requeue([L.frame_id, B.frame_id], NOW),
    "record_chart": lambda c: c.record_chart(BIAS, "2026-01-10", [POINT]),
    "record_breaks": lambda c: c.record_breaks("main", SETUP, [BREAK], NOW),
    "decide_epoch": lambda c: c.decide_epoch("main", SETUP, EpochWord("set", "2026-01-12", "", "test"), NOW),
    "add_event": lambda c: c.add_event("info", "test", "", "", NOW),
}


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "catalogue.sqlite") as catalogue:
        catalogue.add_frames([taken(record) for record in (B, D, F, L)], NOW)
        measure(catalogue, B, D)
        for kind, made in MADE.items():
            build(catalogue, made, Metric("gain_electrons_per_adu", 1.3, 0.01))
            catalogue.settle_night(group(kind, made.filter_name), made.night, [made.master_id], NOW)
        reduce(catalogue, "job", L, MADE[Kind.BIAS])
        yield catalogue


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_scans_no_table(catalogue, name):
    with statements(catalogue) as queries:
        QUESTIONS[name](catalogue)
    assert queries
    assert scans(catalogue, queries) == []


@pytest.mark.parametrize("name", CHANGES)
def test_change_scans_no_table(catalogue, name):
    with statements(catalogue) as queries:
        CHANGES[name](catalogue)
    assert len(queries) > 1
    assert scans(catalogue, queries) == []


def test_scan_would_be_noticed(catalogue):
    assert scans(catalogue, ["SELECT * FROM frames WHERE object_name = 'M31'"]) != []


def test_question_works_on_a_catalogue_that_holds_nothing(tmp_path):
    with Catalogue.open(tmp_path / "empty.sqlite") as empty:
        for ask in QUESTIONS.values():
            assert not ask(empty)
