"""Verdicts on pixels and the operator's word as rows: what they put aside, what they make stale, what stays."""

from datetime import timedelta

import pytest

from ingestd.records import Finding, Kind, Metric, Verdict
from tests.doors.catalogue_samples import (
    NOW,
    UNITS,
    add,
    add_measured,
    frame,
    group,
    lights,
    night_masters,
    outcome,
    reason,
    reduce,
    renamed,
    settle_all,
    settled_master,
    sha,
    small_windows,
    stale_nights,
    taken,
)

LATER = NOW + timedelta(hours=1)
BAD = Finding("bias_with_flux", keeps_out=True, text="846 ADU too bright")
NOTE = Finding("overscan_differs", keeps_out=False, text="7 ADU")


@pytest.fixture
def catalogue(tmp_path):
    with small_windows(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


def judge(catalogue, record, *findings, reference="", pedestal=""):
    return catalogue.record_verdict(Verdict(record.frame_id, findings, reference, pedestal), LATER)


def usable(catalogue, kind=Kind.BIAS):
    return [found.frame_id for found in catalogue.usable_frames(group(kind), "2026-01-01", "2026-01-31")]


def measured(catalogue, record):
    (found,) = [it for it in catalogue.measured_frames(group(record.kind), record.night) if it.frame == record]
    return found


def test_frame_is_usable_only_after_a_verdict(catalogue):
    record = frame("b")
    add(catalogue, record)
    catalogue.record_measured(record.frame_id, outcome("job", Metric("bias_level_adu", 1310.5)), UNITS, NOW)
    assert usable(catalogue) == []
    assert measured(catalogue, record).verdict is None
    judge(catalogue, record, NOTE)
    assert usable(catalogue) == [record.frame_id]


def test_verdict_and_figures_are_read_as_they_were_written(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    judge(catalogue, record, BAD, NOTE, reference=sha("r"), pedestal=sha("p"))
    found = measured(catalogue, record)
    assert found.verdict == Verdict(record.frame_id, (BAD, NOTE), sha("r"), sha("p"))
    assert found.job_id == sha(f"measure {record.frame_id}")
    assert found.figures == (Metric("bias_level_adu", 1310.5, 0.5, 0),)
    assert catalogue.findings(record.frame_id) == (BAD, NOTE)


def test_contradicted_frame_is_put_aside_and_its_nights_are_stale(catalogue):
    good, bad = frame("good"), frame("bad", minute=1)
    add_measured(catalogue, good, bad, frame("later", day=13), frame("too late", day=14))
    settle_all(catalogue)
    assert judge(catalogue, bad, BAD) == "kept out"
    assert reason(catalogue, bad) == "quarantined bias_with_flux"
    assert "846 ADU too bright" in catalogue.standing_frame(bad.frame_id).detail
    assert bad.frame_id not in usable(catalogue)
    assert bad.frame_id not in {row["frame_id"] for row in catalogue.qa_rows()}
    assert stale_nights(catalogue) == [("bias", "10"), ("bias", "13")]


def test_same_verdict_again_touches_nothing(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    judge(catalogue, record, BAD)
    settle_all(catalogue)
    assert not judge(catalogue, record, BAD, NOTE)
    assert stale_nights(catalogue) == []


def test_verdict_that_is_lifted_lets_the_frame_in_again(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    judge(catalogue, record, BAD)
    settle_all(catalogue)
    assert judge(catalogue, record) == "let in"
    assert (reason(catalogue, record), usable(catalogue)) == ("done catalogued", [record.frame_id])
    assert record.frame_id in {row["frame_id"] for row in catalogue.qa_rows()}
    assert stale_nights(catalogue) == [("bias", "10")]


def test_frame_measured_again_keeps_its_verdict_until_the_next(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    judge(catalogue, record, BAD)
    catalogue.record_measured(record.frame_id, outcome("job 2", Metric("bias_level_adu", 1.0)), UNITS, LATER)
    assert (reason(catalogue, record), measured(catalogue, record).job_id) == ("quarantined bias_with_flux", "job 2")


def test_unreadable_frame_has_no_verdict_and_cannot_be_let_in(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    judge(catalogue, record, BAD)
    catalogue.quarantine(record.frame_id, "corrupt", "", LATER)
    catalogue.decide_frames([record.frame_id], "accepted", "", LATER)
    assert reason(catalogue, record) == "quarantined corrupt"
    assert catalogue.standing_frame(record.frame_id).is_unreadable
    assert usable(catalogue) == []


def master_of(catalogue, name, *days):
    """Let biases of these days arrive and be the master of the last night."""
    members = [frame(f"{name} {day}", day=day) for day in days]
    add_measured(catalogue, *members)
    return settled_master(catalogue, name, members)


# --- which nights a master makes stale --------------------------------------------------------------------------------


def judged_nights(catalogue, references):
    """Let one bias of each day be judged by a master, and settle everything."""
    for day, reference in references.items():
        record = frame(f"b{day}", day=day)
        add_measured(catalogue, record)
        judge(catalogue, record, reference=reference)
    settle_all(catalogue)


def test_master_makes_stale_the_nights_that_are_judged_by_an_older_one_or_by_none(catalogue):
    old = master_of(catalogue, "old", 8)
    new = master_of(catalogue, "new", 11)
    between = frame("between", day=10)
    add_measured(catalogue, between)
    judged_nights(catalogue, {9: old.master_id, 12: new.master_id, 13: old.master_id, 14: ""})
    settled_master(catalogue, "between", [between])
    assert stale_nights(catalogue) == [("bias", "11"), ("bias", "13"), ("bias", "14")]


def test_master_that_is_withdrawn_makes_stale_the_nights_that_are_judged_by_it(catalogue):
    made = master_of(catalogue, "made", 10)
    judged_nights(catalogue, {12: made.master_id})
    catalogue.settle_night(group(Kind.BIAS), "2026-01-10", [], LATER)
    assert stale_nights(catalogue) == [("bias", "12")]


def test_bias_makes_stale_the_darks_of_its_own_night(catalogue):
    bias, dark, earlier = frame("b"), frame("d", Kind.DARK), frame("e", Kind.DARK, day=9)
    add_measured(catalogue, bias, dark, earlier)
    settle_all(catalogue)
    settled_master(catalogue, "bias", [bias])
    assert stale_nights(catalogue) == [("dark", "10")]


# --- decisions --------------------------------------------------------------------------------------------------------


def test_accepted_frame_is_usable_whatever_its_pixels_say(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    judge(catalogue, record, BAD)
    settle_all(catalogue)
    catalogue.decide_frames([record.frame_id], "accepted", "looks fine", LATER)
    assert (reason(catalogue, record), usable(catalogue)) == ("done catalogued", [record.frame_id])
    assert stale_nights(catalogue) == [("bias", "10")]
    assert not judge(catalogue, record, NOTE, BAD)
    assert usable(catalogue) == [record.frame_id]


def test_rejected_science_frame_loses_its_product_and_is_not_planned(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    job = reduce(catalogue, "job", record)
    catalogue.decide_frames([record.frame_id], "rejected", "clouds", LATER)
    assert (reason(catalogue, record), catalogue.current_reduction(record.frame_id)) == ("quarantined rejected", None)
    assert (lights(catalogue), catalogue.requeue(None, LATER)) == ([], 0)
    assert not catalogue.keep_reduction("nothing", job, "{}", LATER)
    assert reduce(catalogue, "job 2", record)
    assert (reason(catalogue, record), catalogue.current_reduction(record.frame_id)) == ("quarantined rejected", None)
    catalogue.decide_frames([record.frame_id], "restored", "", LATER)
    assert (reason(catalogue, record), lights(catalogue)) == ("waiting due", [record.frame_id])


def test_frame_rejected_before_it_was_measured_is_measured_when_it_is_restored(catalogue):
    record = frame("b")
    add(catalogue, record)
    catalogue.decide_frames([record.frame_id], "rejected", "", LATER)
    assert catalogue.unmeasured(10) == []
    catalogue.decide_frames([record.frame_id], "restored", "", LATER)
    assert [found.frame_id for found in catalogue.unmeasured(10)] == [record.frame_id]


@pytest.mark.parametrize("decision", ["rejected", "accepted"])
def test_word_on_a_frame_holds_for_the_one_with_the_same_pixels(catalogue, decision):
    record = frame("b")
    add_measured(catalogue, record)
    catalogue.decide_frames([record.frame_id], decision, "the same pixels", LATER)
    heir = renamed(record, "rewritten")
    catalogue.add_frames([taken(heir, mtime_s=1_800_000_000)], LATER)
    assert catalogue.standing_frame(heir.frame_id).decision == decision
    assert [row["reason"] for row in catalogue.decisions(frame_id=heir.frame_id)] == ["the same pixels"]


def test_rejected_master_is_not_current_and_does_not_become_so(catalogue):
    made = master_of(catalogue, "made", 10)
    settle_all(catalogue)
    catalogue.decide_masters([made.master_id], "rejected", "odd", LATER)
    assert stale_nights(catalogue) == [("bias", "10")]
    assert night_masters(catalogue, group(Kind.BIAS), made.night) == []
    catalogue.settle_night(group(Kind.BIAS), made.night, [made.master_id], LATER)
    assert night_masters(catalogue, group(Kind.BIAS), made.night) == []
    catalogue.decide_masters([made.master_id], "restored", "", LATER)
    catalogue.settle_night(group(Kind.BIAS), made.night, [made.master_id], LATER)
    assert [found.master_id for found in night_masters(catalogue, group(Kind.BIAS), made.night)] == [made.master_id]


def test_pinned_master_stays_current_beside_the_one_that_replaced_it(catalogue):
    old = master_of(catalogue, "old", 10)
    catalogue.decide_masters([old.master_id], "pinned", "", LATER)
    new = master_of(catalogue, "new", 9, 10)
    found = {it.master_id: it.is_pinned for it in night_masters(catalogue, group(Kind.BIAS), old.night)}
    assert found == {old.master_id: True, new.master_id: False}


def test_master_whose_file_was_removed_cannot_be_pinned(catalogue):
    old = master_of(catalogue, "old", 10)
    catalogue.settle_night(group(Kind.BIAS), old.night, [], LATER)
    catalogue.mark_pruned(master_ids=[old.master_id], now=LATER)
    with pytest.raises(ValueError, match="removed"):
        catalogue.decide_masters([old.master_id], "pinned", "", LATER)
    assert catalogue.decisions(master_id=old.master_id) == []


def test_masters_are_found_by_path_file_name_and_digits(catalogue):
    made = master_of(catalogue, "made", 10)
    for text in (made.path, made.path.rsplit("/", 1)[1], made.master_id[:4], made.master_id.upper()):
        assert [row["master_id"] for row in catalogue.find_masters(text)] == [made.master_id]
    for text in (made.master_id[:3], "%", "nothing.fits", ""):
        assert catalogue.find_masters(text) == []
