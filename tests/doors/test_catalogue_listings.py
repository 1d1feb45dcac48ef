"""Lists for people, quality figures and retention."""

import math
from datetime import timedelta

import pytest

from ingestd.doors.catalogue import ArrivalRow, Catalogue
from ingestd.records import Kind, Metric, State
from tests.doors.catalogue_samples import (
    NOW,
    UNITS,
    build,
    frame,
    group,
    master,
    measure,
    measure_master,
    outcome,
    reduce,
    sha,
    taken,
)

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


@pytest.fixture
def night(catalogue):
    """A night: a bias with its master, a reduced light, a light that waits, a file of unknown kind, one arriving."""
    bias, done, waits = frame("b"), frame("done", Kind.LIGHT, minute=1), frame("waits", Kind.LIGHT, minute=2)
    catalogue.add_frames([taken(record, f"/raw/{n}.fits") for n, record in enumerate((bias, done, waits))], NOW)
    unknown = frame("u", Kind.UNKNOWN, obs_start=None, night=None)
    catalogue.add_frames([taken(unknown, "/raw/notes.fits", state=State.DONE, reason="catalogued")], NOW)
    measure(catalogue, bias)
    made = build(catalogue, master("m", [bias]), Metric("bias_level_adu", 1310.0, 0.1, 0))
    catalogue.settle_night(group(Kind.BIAS), "2026-01-10", [made.master_id], NOW)
    reduce(catalogue, "job", done, made)
    catalogue.record_wait(waits.frame_id, "needs_master", "no dark", "{}", NOW)
    catalogue.note_arrivals([ArrivalRow("/raw/new.fits", "growing", "", 0, NOW, LATER)], NOW)
    return catalogue


def names(rows):
    return [row["path"] for row in rows]


# --- frames -----------------------------------------------------------------------------------------------------------


def test_frames_are_listed_by_observation_and_arriving_files_last(night):
    assert names(night.frame_rows()) == [
        "/raw/notes.fits",
        "/raw/0.fits",
        "/raw/1.fits",
        "/raw/2.fits",
        "/raw/new.fits",
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"kind": "light"}, ["/raw/1.fits", "/raw/2.fits"]),
        ({"state": "waiting"}, ["/raw/2.fits", "/raw/new.fits"]),
        ({"camera": "guide"}, []),
        ({"night": "2026-01-10", "kind": "bias"}, ["/raw/0.fits"]),
        ({"limit": 1, "kind": "light"}, ["/raw/2.fits"]),
    ],
)
def test_frames_are_filtered(night, filters, expected):
    assert names(night.frame_rows(**filters)) == expected


def test_frame_row_names_its_product_and_the_source_of_its_kind(night):
    [row] = night.find_frames("/raw/1.fits")
    assert (row["product"], row["kind_source"], row["state"], row["reason"]) == (
        "reduced/job.fits",
        "IMAGETYP",
        "done",
        "reduced",
    )
    assert row["obs_start"] == "2026-01-10T20:01:00.000Z"


@pytest.mark.parametrize("text", ["/raw/2.fits", "2.fits", sha("waits"), sha("waits")[:8], sha("waits")[:8].upper()])
def test_frame_is_found_by_path_name_and_identity(night, text):
    assert names(night.find_frames(text)) == ["/raw/2.fits"]


@pytest.mark.parametrize("text", ["new.fits", "/raw/new.fits"])
def test_arriving_file_is_found_too(night, text):
    assert [(row["frame_id"], row["reason"]) for row in night.find_frames(text)] == [(None, "growing")]


@pytest.mark.parametrize("text", ["", "%", "_.fits", "zzz", "gggggggg"])
def test_wildcards_find_nothing(night, text):
    assert night.find_frames(text) == []


def test_last_night_and_uncalibrated_are_views_for_people(night):
    seen = night._rows("SELECT kind FROM last_night")
    assert sorted(row["kind"] for row in seen) == ["bias", "light", "light"]
    assert [(row["path"], row["reason"]) for row in night._rows("SELECT * FROM uncalibrated")] == [
        ("/raw/2.fits", "needs_master")
    ]


def test_frame_of_the_future_does_not_make_the_last_night(night):
    night.add_frames([taken(frame("f", Kind.LIGHT, night="2030-01-01", flags=("future_date",)))], NOW)
    assert {row["night"] for row in night._rows("SELECT night FROM last_night")} == {"2026-01-10"}


def test_counts_are_by_camera_kind_state_and_reason(night):
    found = {(row["kind"], row["state"], row["reason"]): row["frames"] for row in night.counts()}
    assert found == {
        ("bias", "done", "member"): 1,
        ("light", "done", "reduced"): 1,
        ("light", "waiting", "needs_master"): 1,
        ("unknown", "done", "catalogued"): 1,
    }


def test_status_tells_what_is_due_and_what_it_costs(night):
    night.add_event("info", "started", "", "version 1", NOW)
    found = night.status()
    assert found["queue"] == {"lights": 1, "calibrations": 0, "nights": 0, "masters": 1}
    assert (found["queue_depth"], found["arrivals"]) == (2, 1)
    assert found["frames"] == {"done": 3, "waiting": 1}
    assert found["product_bytes"] == [{"night": "2026-01-10", "products": 1, "bytes": 1000}]
    assert found["last_frame"]["path"] == "/raw/notes.fits"
    assert found["last_event"]["event"] == "started"


# --- masters ----------------------------------------------------------------------------------------------------------


def test_superseded_masters_are_listed_on_request(night):
    record = frame("b2", minute=3)
    night.add_frames([taken(record)], NOW)
    new = build(night, master("new", [record]))
    night.settle_night(group(Kind.BIAS), "2026-01-10", [new.master_id], NOW)
    assert [(row["master_id"], row["members"], row["current"]) for row in night.master_rows()] == [
        (new.master_id, 1, 1)
    ]
    assert len(night.master_rows(all=True)) == 2
    assert night.master_rows(kind="dark") == []


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_carry_unit_error_and_subject(night):
    found = {(row["metric"], row["kind"], row["frame_id"] is None): row for row in night.qa_rows()}
    assert set(found) == {
        ("bias_level_adu", "bias", False),
        ("bias_level_adu", "bias", True),
        ("sky_level", "light", False),
    }
    row = found["bias_level_adu", "bias", True]
    assert (row["value"], row["error"], row["unit"], row["plane"]) == (1310.0, 0.1, "adu", 0)
    assert (row["master_id"], row["time"]) == (sha("m"), "2026-01-10T20:00:00.000Z")


def test_figures_are_filtered_and_limited(night):
    assert [row["metric"] for row in night.qa_rows(metric="sky_level")] == ["sky_level"]
    assert len(night.qa_rows(limit=1)) == 1
    assert night.qa_rows(camera="guide") == []


def test_nan_is_no_figure_and_no_error(catalogue):
    record = frame("b")
    catalogue.add_frames([taken(record)], NOW)
    metrics = (Metric("bias_level_adu", math.nan), Metric("read_noise", 5.8, math.inf))
    catalogue.record_measured(record.frame_id, outcome("job", *metrics), UNITS, NOW)
    assert [(row["metric"], row["error"]) for row in catalogue.qa_rows()] == [("read_noise", None)]


def test_latest_figure_of_each_series_is_the_newest_observation(catalogue):
    late, early, red = (
        frame("late", Kind.FLAT, minute=9),
        frame("early", Kind.FLAT, minute=1),
        frame("red", Kind.FLAT, filter_name="R"),
    )
    catalogue.add_frames([taken(record) for record in (late, early, red)], NOW)
    for record, value in ((late, 9.0), (early, 1.0), (red, 5.0)):
        result = outcome(record.frame_id, Metric("level", value, plane=0), Metric("level", value + 100, plane=1))
        catalogue.record_measured(record.frame_id, result, UNITS, NOW)
    found = {(row["filter_name"], row["plane"]): row["value"] for row in catalogue.qa_rows(latest=True)}
    assert found == {("V", 0): 9.0, ("V", 1): 109.0, ("R", 0): 5.0, ("R", 1): 105.0}


def test_figures_of_a_superseded_master_are_not_shown(night):
    night.settle_night(group(Kind.BIAS), "2026-01-10", [], NOW)
    assert [row["frame_id"] for row in night.qa_rows(metric="bias_level_adu", latest=True)] == [sha("b")]
    assert all(row["master_id"] is None for row in night.qa_rows())


def test_measuring_again_replaces_the_figures_of_a_frame(catalogue):
    record = frame("b")
    catalogue.add_frames([taken(record)], NOW)
    measure(catalogue, record)
    measure(catalogue, record)
    assert len(catalogue.qa_rows()) == 1


# --- retention --------------------------------------------------------------------------------------------------------


def test_products_beyond_the_revisions_to_keep_may_go(catalogue):
    record = frame("l", Kind.LIGHT)
    catalogue.add_frames([taken(record)], NOW)
    jobs = [reduce(catalogue, f"job {n}", record) for n in range(4)]
    for minutes, job in enumerate(jobs):
        catalogue._db.execute(
            "UPDATE reductions SET created_at = ? WHERE reduction_id = ?", [f"2026-02-01T12:0{minutes}:00.000Z", job]
        )
    assert sorted(catalogue.superseded_products(1)) == sorted(
        (job, f"reduced/job {n}.fits") for n, job in enumerate(jobs[:2])
    )
    catalogue.mark_pruned(reduction_ids=jobs[:2], now=NOW)
    assert catalogue.superseded_products(1) == []
    assert set(catalogue.product_paths()) == {"reduced/job 2.fits", "reduced/job 3.fits"}


def test_old_nights_expire_by_observation(catalogue):
    old, new = frame("old", Kind.LIGHT, day=1), frame("new", Kind.LIGHT, day=20)
    catalogue.add_frames([taken(old), taken(new)], NOW)
    job = reduce(catalogue, "old", old)
    reduce(catalogue, "new", new)
    assert catalogue.expired_products("2026-01-20") == [(job, "reduced/old.fits")]


def superseded_bias(catalogue, count):
    """Build bias masters of one night one after the other; the last is current."""
    records = [frame(f"b{n}", minute=n) for n in range(count)]
    catalogue.add_frames([taken(record) for record in records], NOW)
    made = [build(catalogue, master(f"m{n}", records[: n + 1])) for n in range(count)]
    for found in made:
        catalogue.settle_night(group(Kind.BIAS), "2026-01-10", [found.master_id], NOW)
    return made


def test_masters_that_nothing_current_uses_may_go(catalogue):
    made = superseded_bias(catalogue, 3)
    assert {found for found, _ in catalogue.unused_masters(0)} == {made[0].master_id, made[1].master_id}
    assert len(catalogue.unused_masters(1)) == 1
    assert catalogue.unused_masters(2) == []


def test_master_of_a_current_product_stays(catalogue):
    made = superseded_bias(catalogue, 2)
    record = frame("l", Kind.LIGHT)
    catalogue.add_frames([taken(record)], NOW)
    reduce(catalogue, "job", record, made[0])
    assert catalogue.unused_masters(0) == []
    reduce(catalogue, "better", record, made[1])
    assert [found for found, _ in catalogue.unused_masters(0)] == [made[0].master_id]


def test_parent_of_a_current_flat_and_bias_of_a_current_dark_stay(catalogue):
    made = superseded_bias(catalogue, 3)
    f, d = frame("f", Kind.FLAT), frame("d", Kind.DARK)
    catalogue.add_frames([taken(f), taken(d)], NOW)
    flat, dark = build(catalogue, master("flat", [f], (made[0].master_id,))), build(catalogue, master("dark", [d]))
    catalogue.settle_night(group(Kind.FLAT, "V"), "2026-01-10", [flat.master_id], NOW)
    catalogue.settle_night(group(Kind.DARK), "2026-01-10", [dark.master_id], NOW)
    measure_master(catalogue, dark, "job", bias=made[1])
    assert catalogue.unused_masters(0) == []


def test_pruned_master_is_not_known_and_can_be_built_again(catalogue):
    made = superseded_bias(catalogue, 2)[0]
    catalogue.mark_pruned(master_ids=[made.master_id], now=NOW)
    assert catalogue.known_masters([made.master_id]) == set()
    assert made.path not in catalogue.product_paths()
    build(catalogue, made)
    assert catalogue.known_masters([made.master_id]) == {made.master_id}


def test_current_master_is_never_pruned(catalogue):
    made = superseded_bias(catalogue, 1)[0]
    catalogue.mark_pruned(master_ids=[made.master_id], now=NOW)
    assert catalogue.known_masters([made.master_id]) == {made.master_id}
