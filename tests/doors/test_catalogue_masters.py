"""Masters -> what they serve: science frames, flat nights, master darks; and the gain that flats give."""

import pytest

from ingestd.metrics import METRICS
from ingestd.records import Kind, Metric, Standing
from tests.doors.catalogue_samples import (
    NOW,
    SETUP,
    add,
    add_measured,
    build,
    frame,
    group,
    lights,
    measure_master,
    reduce,
    settle_all,
    settled_master,
    sha,
    small_windows,
    stale_nights,
)

BIAS = group(Kind.BIAS)


@pytest.fixture
def catalogue(tmp_path):
    with small_windows(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


# --- masters -> what they serve ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK])
def test_new_master_makes_science_frames_within_its_validity_stale(catalogue, kind):
    days = (4, 5, 10, 15, 17)
    science = {day: frame(f"l{day}", Kind.LIGHT, day=day) for day in days}
    record = frame("c", kind)
    add_measured(catalogue, record)
    add(catalogue, *science.values(), frame("other", Kind.LIGHT, camera="guide"))
    settle_all(catalogue)
    settled_master(catalogue, "m", [record])
    # 5 days and one for the night's edge on each side of 10 January
    assert set(lights(catalogue)) == {sha("l4"), sha("l5"), sha("l10"), sha("l15")}


def test_new_flat_makes_science_frames_of_its_filter_stale(catalogue):
    record = frame("f", Kind.FLAT)
    add_measured(catalogue, record)
    add(catalogue, frame("v", Kind.LIGHT), frame("r", Kind.LIGHT, filter_name="R"))
    settle_all(catalogue)
    settled_master(catalogue, "m", [record])
    assert lights(catalogue) == [sha("v")]


def test_flat_that_gives_a_gain_makes_later_science_frames_without_gain_stale(catalogue):
    record = frame("f", Kind.FLAT)
    add_measured(catalogue, record)
    add(
        catalogue,
        frame("earlier", Kind.LIGHT, day=9, filter_name="R"),
        frame("same", Kind.LIGHT, day=10, filter_name="R"),
        frame("later", Kind.LIGHT, day=30, filter_name="R"),
        frame("has gain", Kind.LIGHT, day=30, filter_name="R", gain_e_per_adu=1.3),
    )
    settle_all(catalogue)
    settled_master(catalogue, "m", [record], Metric("gain_electrons_per_adu", 1.3, 0.01))
    assert lights(catalogue) == [sha("later")]


@pytest.mark.parametrize(("kind", "darks"), [(Kind.BIAS, ["dark"]), (Kind.DARK, [])])
def test_new_parent_makes_flat_nights_stale_and_a_bias_also_the_darks(catalogue, kind, darks):
    d, v, far = frame("d", Kind.DARK), frame("v", Kind.FLAT, day=12), frame("far", Kind.FLAT, day=20)
    add_measured(catalogue, d, v, far)
    made = {settled_master(catalogue, "dark", [d]).master_id: "dark"}
    settle_all(catalogue)
    record = frame("c", kind, day=11)
    add_measured(catalogue, record)
    new = settled_master(catalogue, "new", [record])
    assert stale_nights(catalogue) == [("flat", "12")]
    found = [made[dark.master_id] for dark in catalogue.stale_masters() if dark.master_id != new.master_id]
    assert found == darks


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK, Kind.FLAT])
def test_new_master_is_to_be_graded(catalogue, kind):
    record = frame("r", kind)
    add_measured(catalogue, record)
    made = settled_master(catalogue, "new", [record])
    assert catalogue.stale_masters() == [made]


def test_withdrawn_master_makes_science_frames_stale_too(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    settled_master(catalogue, "m", [record])
    add(catalogue, frame("l", Kind.LIGHT))
    settle_all(catalogue)
    catalogue.settle_night(BIAS, "2026-01-10", [], NOW)
    assert lights(catalogue) == [sha("l")]


def test_quarantined_science_frame_is_not_made_stale(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    add(catalogue, frame("l", Kind.LIGHT))
    catalogue.quarantine(sha("l"), "crashed", "", NOW)
    settled_master(catalogue, "m", [record])
    assert lights(catalogue) == []


# --- how a master stands to others ------------------------------------------------------------------------------------


def standing(made, grade="green", previous=None):
    return Standing(made.master_id, previous.master_id if previous else "", grade, f"it is {grade}")


def test_measured_master_stays_stale_until_it_is_graded(catalogue):
    b, d = frame("b"), frame("d", Kind.DARK, minute=5)
    add_measured(catalogue, b, d)
    bias, dark = settled_master(catalogue, "bias", [b]), settled_master(catalogue, "dark", [d])
    catalogue.record_standing(standing(bias), NOW)
    measure_master(catalogue, dark, "job 1", Metric("dark_rate", 0.358, 0.02), bias=bias)
    assert catalogue.measured_job(dark.master_id) == "job 1"
    assert catalogue.stale_masters() == [dark]
    catalogue.record_standing(standing(dark), NOW)
    assert catalogue.stale_masters() == []


def test_second_measurement_of_a_master_replaces_the_first(catalogue):
    b, d = frame("b"), frame("d", Kind.DARK, minute=5)
    add_measured(catalogue, b, d)
    bias = settled_master(catalogue, "bias", [b])
    dark = settled_master(catalogue, "dark", [d], Metric("bias_level_adu", 1300.0))
    for job, rate in (("job 1", 0.3), ("job 2", 0.4)):
        measure_master(catalogue, dark, job, Metric("dark_rate", rate), bias=bias)
    found = {(row["metric"], row["value"]) for row in catalogue.qa_rows() if row["master_id"] == dark.master_id}
    assert found == {("bias_level_adu", 1300.0), ("dark_rate", 0.4)}


@pytest.mark.parametrize(
    ("by_count", "by_comparison", "grade"),
    [
        ("green", "green", "green"),
        ("green", "red", "red"),
        ("orange", "yellow", "orange"),
        ("yellow", "orange", "orange"),
        ("red", "green", "red"),
        ("yellow", "green", "yellow"),
    ],
)
def test_grade_is_the_worse_of_count_and_comparison(catalogue, by_count, by_comparison, grade):
    record = frame("b")
    add_measured(catalogue, record)
    made = settled_master(catalogue, "m", [record], grade=by_count)
    catalogue.record_standing(standing(made, by_comparison), NOW)
    found = catalogue.master(made.master_id)
    assert (found.grade, found.grade_reason) == (grade, "" if by_comparison == "green" else f"it is {by_comparison}")
    # built once more after its file was lost: what the comparison said still holds
    build(catalogue, made)
    assert catalogue.master(made.master_id).grade == grade


def test_changed_grade_makes_stale_what_the_master_serves_and_an_equal_one_does_not(catalogue):
    record = frame("b")
    add_measured(catalogue, record)
    made = settled_master(catalogue, "m", [record])
    add(catalogue, frame("l", Kind.LIGHT))
    settle_all(catalogue)
    assert catalogue.record_standing(standing(made, "green"), NOW) is False
    assert lights(catalogue) == []
    assert catalogue.record_standing(standing(made, "red"), NOW) is True
    assert lights(catalogue) == [sha("l")]


@pytest.mark.parametrize(("grade", "is_withdrawn"), [("orange", False), ("red", True)])
def test_product_with_a_master_that_turned_red_is_not_delayed(catalogue, grade, is_withdrawn):
    record, light = frame("b"), frame("l", Kind.LIGHT)
    add_measured(catalogue, record)
    made = settled_master(catalogue, "m", [record])
    add(catalogue, light)
    reduce(catalogue, "job", light, made)
    catalogue.record_standing(standing(made, grade), NOW)
    (used,) = catalogue.former_product(light.frame_id).masters
    assert used.is_withdrawn is is_withdrawn


def test_master_makes_those_of_later_nights_stale_that_it_may_be_compared_with(catalogue):
    records = {day: frame(f"b{day}", day=day) for day in (8, 9, 10, 12)}
    add_measured(catalogue, *records.values())
    made = {day: settled_master(catalogue, f"m{day}", [records[day]]) for day in (8, 10, 12)}
    previous = {8: None, 10: 8, 12: 10}
    for day, before in previous.items():
        catalogue.record_standing(standing(made[day], previous=made.get(before)), NOW)
    new = settled_master(catalogue, "m9", [records[9]])
    # that of the 10th had the one of the 8th; that of the 12th keeps the one of the 10th, that of the 8th is earlier
    assert catalogue.stale_masters() == [new, made[10]]


# --- the gain ---------------------------------------------------------------------------------------------------------


def test_gains_are_those_of_current_flats_of_earlier_nights(catalogue):
    flats = [frame(f"f{day}", Kind.FLAT, day=day) for day in (8, 9, 10)]
    add_measured(catalogue, *flats)
    for record, gain in zip(flats, (1.30, 1.32, 1.40), strict=True):
        settled_master(catalogue, f"m{record.night}", [record], Metric("gain_electrons_per_adu", gain, 0.01))
    assert catalogue.gains("main", SETUP, "2026-01-10") == [(1.32, 0.01), (1.30, 0.01)]
    catalogue.settle_night(group(Kind.FLAT, "V"), "2026-01-08", [], NOW)
    assert catalogue.gains("main", SETUP, "2026-01-10") == [(1.32, 0.01)]
    assert catalogue.gains("guide", SETUP, "2026-01-10") == []


def test_figure_that_gives_the_gain_is_a_declared_metric():
    assert "gain_electrons_per_adu" in {declaration.name for declaration in METRICS}


# --- masters that may stay where raw files are gone -------------------------------------------------------------------


@pytest.mark.parametrize("word", [None, "bias frame", "flat frame", "bias"])
def test_a_master_is_sound_unless_it_or_a_parent_holds_what_is_kept_out(catalogue, word):
    below, own = frame("b"), frame("f", Kind.FLAT, filter_name="V")
    add_measured(catalogue, below, own)
    bias = settled_master(catalogue, "bias", [below])
    flat = settled_master(catalogue, "flat", [own], parents=(bias.master_id,))
    catalogue.mark_gone([f"/raw/{it.frame_id[:12]}.fits" for it in (below, own)], NOW)
    if word == "bias":
        catalogue.decide_masters([bias.master_id], "rejected", "test", NOW)
    elif word:
        frame_id = {"bias frame": below, "flat frame": own}[word].frame_id
        catalogue.decide_frames([frame_id], "rejected", "test", NOW)
    found = [it.master_id for it in catalogue.sound_masters(group(Kind.FLAT, "V"), flat.night)]
    assert found == ([] if word else [flat.master_id])
