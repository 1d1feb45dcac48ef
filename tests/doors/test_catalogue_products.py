"""Science frames, failures and the operator's word: what a record settles and what stays due."""

from datetime import timedelta

import pytest

from ingestd.records import Kind
from tests.doors.catalogue_samples import (
    NOW,
    SETUP,
    add,
    add_measured,
    frame,
    lights,
    reason,
    reduce,
    settled_master,
    sha,
    small_windows,
)

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def catalogue(tmp_path):
    with small_windows(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


# --- science frames ---------------------------------------------------------------------------------------------------


def test_product_is_recorded_with_masters_steps_and_state(catalogue):
    b, l = frame("b"), frame("l", Kind.LIGHT)  # noqa: E741 - a light
    add_measured(catalogue, b)
    add(catalogue, l)
    bias = settled_master(catalogue, "bias", [b])
    job = reduce(catalogue, "job", l, bias)
    assert reason(catalogue, l) == "done reduced"
    assert catalogue.current_reduction(l.frame_id) == job
    [product] = catalogue.product_rows(l.frame_id)
    assert (product["path"], product["current"], product["provisional"]) == ("reduced/job.fits", 1, 0)
    assert [(used["kind"], used["master_id"], used["age_h"]) for used in product["masters"]] == [
        ("bias", bias.master_id, 2.5)
    ]
    assert [(step["name"], step["status"]) for step in product["steps"]] == [("bias", "applied")]
    assert catalogue.explanation(l.frame_id) == '{"why": "test"}'


def test_provisional_product_says_what_is_missing(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    reduce(catalogue, "job", record, provisional=True)
    assert reason(catalogue, record) == "provisional missing_master"


def test_product_says_what_would_be_better_and_why_it_was_made_again(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    job = reduce(catalogue, "job", record, better="an exact dark", again="dark was missing")
    row = catalogue.product_rows(record.frame_id)[0]
    assert (row["better_possible"], row["again"]) == ("an exact dark", "dark was missing")
    catalogue.keep_reduction(record.frame_id, job, "{}", NOW, better="")
    assert catalogue.product_rows(record.frame_id)[0]["better_possible"] == ""


def test_former_product_tells_its_masters_and_whether_they_are_withdrawn(catalogue):
    d, l = frame("d", Kind.DARK), frame("l", Kind.LIGHT)  # noqa: E741 - a light
    add_measured(catalogue, d)
    add(catalogue, l)
    assert catalogue.former_product(l.frame_id) is None
    made = settled_master(catalogue, "dark", [d])
    job = reduce(catalogue, "job", l, made, how="exact")
    former = catalogue.former_product(l.frame_id)
    assert (former.job_id, former.made_at, former.doubt) == (job, NOW, "")
    assert [(it.master_id, it.kind, it.how, it.is_withdrawn) for it in former.masters] == [
        (made.master_id, Kind.DARK, "exact", False)
    ]
    catalogue.decide_frames([d.frame_id], "rejected", "a test", NOW)
    assert catalogue.former_product(l.frame_id).masters[0].is_withdrawn


def test_delayed_frame_is_due_later_or_when_a_master_changes(catalogue):
    b, l = frame("b"), frame("l", Kind.LIGHT)  # noqa: E741 - a light
    add_measured(catalogue, b)
    add(catalogue, l)
    catalogue.delay_reduction(l.frame_id, NOW + timedelta(hours=1))
    assert catalogue.stale_lights(10, now=NOW) == []
    assert len(catalogue.stale_lights(10, now=NOW, delayed=True)) == 1
    assert len(catalogue.stale_lights(10, now=NOW + timedelta(hours=1))) == 1
    assert catalogue.next_delayed(NOW) == NOW + timedelta(hours=1)
    settled_master(catalogue, "bias", [b])
    assert len(catalogue.stale_lights(10, now=NOW)) == 1
    assert catalogue.next_delayed(NOW) is None


def test_frame_let_in_again_waits_for_no_delay(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    catalogue.delay_reduction(record.frame_id, LATER)
    for word in ("rejected", "restored"):
        catalogue.decide_frames([record.frame_id], word, "a test", NOW)
    assert [it.frame_id for it in catalogue.stale_lights(10, now=NOW)] == [record.frame_id]


def test_reduced_frame_stays_due_until_planning_confirms_it(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    job = reduce(catalogue, "job", record)
    assert lights(catalogue) == [record.frame_id]
    assert catalogue.keep_reduction(record.frame_id, job, "{}", LATER)
    assert lights(catalogue) == []


def test_master_that_comes_while_the_worker_runs_is_not_missed(catalogue):
    b, l = frame("b"), frame("l", Kind.LIGHT)  # noqa: E741 - a light
    add_measured(catalogue, b)
    add(catalogue, l)
    settled_master(catalogue, "bias", [b])  # after the order was given, before its product is recorded
    reduce(catalogue, "job", l)
    assert lights(catalogue) == [l.frame_id]


def test_product_recorded_twice_settles_the_frame(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    reduce(catalogue, "job", record)
    reduce(catalogue, "job", record)
    assert lights(catalogue) == []
    assert len(catalogue.product_rows(record.frame_id)) == 1


def test_new_product_takes_the_place_of_the_old_and_so_do_its_figures(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    reduce(catalogue, "old", record)
    new = reduce(catalogue, "new", record)
    assert catalogue.current_reduction(record.frame_id) == new
    assert [path for _, path, _ in catalogue.current_products()] == ["reduced/new.fits"]
    assert len(catalogue.qa_rows(metric="sky_level")) == 1


def test_earlier_product_can_become_current_again(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    old = reduce(catalogue, "old", record, provisional=True)
    reduce(catalogue, "new", record)
    assert catalogue.keep_reduction(record.frame_id, old, "{}", LATER)
    assert catalogue.current_reduction(record.frame_id) == old
    assert reason(catalogue, record) == "provisional missing_master"
    assert len(catalogue.qa_rows(metric="sky_level")) == 1


def test_pruned_product_cannot_become_current_again(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    old = reduce(catalogue, "old", record)
    reduce(catalogue, "new", record)
    catalogue.mark_pruned(reduction_ids=[old], now=NOW)
    assert not catalogue.keep_reduction(record.frame_id, old, "{}", LATER)
    assert lights(catalogue) == [record.frame_id]


def test_waiting_frame_is_not_looked_at_again_by_itself(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    catalogue.record_wait(record.frame_id, "needs_master", "no dark within 0.5 C", "{}", NOW)
    assert reason(catalogue, record) == "waiting needs_master"
    assert lights(catalogue) == []


def test_frame_that_waits_for_space_stays_due(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    catalogue.record_wait(record.frame_id, "disk_full", "3 MB left", "{}", NOW)
    assert reason(catalogue, record) == "waiting disk_full"
    assert lights(catalogue) == [record.frame_id]


def test_newest_science_frame_comes_first(catalogue):
    add(catalogue, *(frame(f"l{n}", Kind.LIGHT, minute=n) for n in (2, 3, 1)))
    assert lights(catalogue) == [sha("l3"), sha("l2"), sha("l1")]
    assert [record.frame_id for record in catalogue.stale_lights(2, newest_first=False)] == [sha("l1"), sha("l2")]


# --- failures ---------------------------------------------------------------------------------------------------------


def fail(catalogue, record, *, final=False, death=False, next_try=LATER):
    return catalogue.record_failure("job", record.frame_id, "io_error", next_try, final, death, NOW, detail="EIO")


@pytest.mark.parametrize("kind", [Kind.LIGHT, Kind.BIAS])
def test_failed_frame_is_due_again_after_its_back_off(catalogue, kind):
    record = frame("x", kind)
    add(catalogue, record)
    fail(catalogue, record)
    ask = catalogue.stale_lights if kind is Kind.LIGHT else catalogue.unmeasured
    assert reason(catalogue, record) == "failed io_error"
    assert ask(10, now=NOW) == []
    assert ask(10, now=LATER) == [record]


def test_failures_are_counted_and_forgotten_on_success(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    fail(catalogue, record)
    found = fail(catalogue, record, death=True)
    assert (found.attempts, found.deaths, found.next_try, found.is_final) == (2, 1, LATER, False)
    assert catalogue.failure("job") == found
    reduce(catalogue, "job", record)
    assert catalogue.failure("job") is None
    assert reason(catalogue, record) == "done reduced"


def test_last_failure_ends_the_trying(catalogue):
    record = frame("l", Kind.LIGHT)
    add(catalogue, record)
    fail(catalogue, record, final=True, next_try=None)
    assert lights(catalogue) == []
    assert catalogue.failure("job").is_final


def test_failing_frame_does_not_hold_up_the_masters_of_its_night(catalogue):
    record = frame("b")
    add(catalogue, record)
    fail(catalogue, record)
    assert not catalogue.has_unmeasured("main", SETUP)


def test_failed_master_has_no_frame(catalogue):
    found = catalogue.record_failure("job", None, "io_error", LATER, False, False, NOW, master_group="bias 2026-01-10")
    assert (found.frame_id, found.master_group) == (None, "bias 2026-01-10")
    catalogue.requeue(None, NOW)
    assert catalogue.failure("job") is None
