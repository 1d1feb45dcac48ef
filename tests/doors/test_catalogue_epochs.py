"""The chart of a set-up, its breaks and the words on them in the catalogue, and what a break makes due."""

from datetime import timedelta

import pytest

from ingestd.records import Break, ChartPoint, EpochWord, Kind, Metric
from tests.doors.catalogue_samples import (
    KEY,
    NOW,
    SETUP,
    UNITS,
    add,
    add_measured,
    frame,
    group,
    lights,
    measure,
    outcome,
    settle_all,
    settled_master,
    sha,
    small_windows,
    stale_nights,
)

BIAS = group(Kind.BIAS)
NIGHT = "2026-01-10"


@pytest.fixture
def catalogue(tmp_path):
    with small_windows(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue


def a_break(day=10, status="detected", cause="it jumped"):
    return Break("main", SETUP, f"2026-01-{day:02d}", "2026-01-08", status, cause)


def point(**changes):
    fields = {"frames": 3, "exposure_s": 0.0, "ccd_temp_c": None, "gain_e_per_adu": 1.0 / 3.0}
    fields |= {"parts": (("1/left", 1000.1, 5.03), ("1/right", 999.9, 1.0 / 7.0))}
    return ChartPoint(kind=Kind.BIAS, configuration=KEY, night=NIGHT, **(fields | changes))


def uncharted(catalogue):
    return [(it.kind.value, night[-2:]) for it, night in catalogue.uncharted_nights("main", SETUP, 100)]


def chart(catalogue):
    for it, night in catalogue.uncharted_nights("main", SETUP, 100):
        catalogue.record_chart(it, night, [])


# --- the chart --------------------------------------------------------------------------------------------------------


def test_points_come_back_as_they_were(catalogue):
    add_measured(catalogue, frame("b"))
    catalogue.record_chart(BIAS, NIGHT, [point(), point(frames=1, ccd_temp_c=-9.95)])
    assert catalogue.chart("main", SETUP) == [point(), point(frames=1, ccd_temp_c=-9.95)]
    assert catalogue.chart("guide", SETUP) == []


def test_a_night_is_charted_again_when_its_frames_change(catalogue):
    one, other = frame("one"), frame("other")
    add_measured(catalogue, one, frame("dark", Kind.DARK), frame("flat", Kind.FLAT))
    assert uncharted(catalogue) == [("bias", "10"), ("dark", "10")]
    for change in (
        lambda: add(catalogue, other),
        lambda: measure(catalogue, other),
        lambda: catalogue.decide_frames([other.frame_id], "rejected", "test", NOW),
        lambda: catalogue.mark_gone([f"/raw/{other.frame_id[:12]}.fits"], NOW),
        lambda: catalogue.quarantine(one.frame_id, "corrupt", "", NOW),
    ):
        chart(catalogue)
        settle_all(catalogue)
        assert uncharted(catalogue) == []
        change()
        assert uncharted(catalogue) == [("bias", "10")]
        assert ("bias", "10") in stale_nights(catalogue)


def test_a_verdict_changes_no_chart(catalogue):
    add_measured(catalogue, frame("b"))
    chart(catalogue)
    measure(catalogue, frame("b"))
    assert uncharted(catalogue) == []


def test_a_frame_measured_otherwise_is_charted_again(catalogue):
    one = frame("b")
    add_measured(catalogue, one)
    chart(catalogue)

    def measured_as(*figures):
        catalogue.record_measured(one.frame_id, outcome(sha(repr(figures)), *figures), UNITS, NOW)
        return uncharted(catalogue)

    level = Metric("bias_level_adu", 1310.5, 0.5, 0)  # what the sample is measured as
    assert measured_as(level, Metric("offset_from_master_adu", 3.0, None, 0)) == []
    assert measured_as(Metric("bias_level_adu", 1310.0, 0.5, 0)) == [("bias", "10")]


def test_rejected_frames_are_left_out_of_the_chart(catalogue):
    one, other = frame("one"), frame("other")
    add_measured(catalogue, one, other)
    catalogue.decide_frames([other.frame_id], "rejected", "test", NOW)
    assert len(catalogue.measured_frames(BIAS, NIGHT)) == 2
    assert [it.frame for it in catalogue.measured_frames(BIAS, NIGHT, for_chart=True)] == [one]


# --- breaks -----------------------------------------------------------------------------------------------------------


def test_breaks_come_back_and_changes_of_status_are_told(catalogue):
    suspected = a_break(status="suspected")
    assert catalogue.record_breaks("main", SETUP, [suspected], NOW) == [(None, suspected)]
    assert catalogue.record_breaks("main", SETUP, [suspected], NOW) == []
    assert catalogue.record_breaks("main", SETUP, [a_break()], NOW) == [(suspected, a_break())]
    assert catalogue.record_breaks("main", SETUP, [a_break(cause="by 212 ADU")], NOW) == []
    assert catalogue.breaks("main", SETUP) == [a_break(cause="by 212 ADU")]
    assert catalogue.record_breaks("main", SETUP, [], NOW) == [(a_break(cause="by 212 ADU"), None)]
    assert catalogue.breaks("main", SETUP) == []


def test_a_break_makes_due_what_is_within_reach_of_it(catalogue):
    # windows of 3 days and validities of 5: 9 days on either side
    near = [frame(f"near {day}", Kind.LIGHT, day) for day in (6, 15, 24)]
    far = [frame(f"far {day}", Kind.LIGHT, day) for day in (5, 25)]
    far = [*far, frame("own gain", Kind.LIGHT, 28, gain_e_per_adu=1.5)]
    add(catalogue, *near, *far)
    biases = [frame(f"bias {day}", Kind.BIAS, day) for day in (5, 6, 24, 25)]
    dark = frame("dark", Kind.DARK, 15)
    add_measured(catalogue, *biases, dark)
    made = settled_master(catalogue, "dark", [dark])
    settle_all(catalogue)
    assert catalogue.record_breaks("main", SETUP, [a_break(15)], NOW)
    # a science frame without a gain of its own takes that of any earlier flat of the epoch
    assert set(lights(catalogue)) == {it.frame_id for it in [*near, far[1]]}
    assert stale_nights(catalogue) == [("bias", "06"), ("bias", "24"), ("dark", "15")]
    assert [it.master_id for it in catalogue.stale_masters()] == [made.master_id]


@pytest.mark.parametrize(
    ("before", "after", "is_due"),
    [
        ("detected", "confirmed", False),
        ("detected", "undone", True),
        ("suspected", "detected", True),
        ("undone", "undone", False),
    ],
)
def test_only_what_changes_masters_or_products_makes_them_due(catalogue, before, after, is_due):
    add_measured(catalogue, frame("b"))
    catalogue.record_breaks("main", SETUP, [a_break(status=before)], NOW)
    chart(catalogue)
    settle_all(catalogue)
    catalogue.record_breaks("main", SETUP, [a_break(status=after)], NOW)
    assert bool(stale_nights(catalogue)) == is_due


def test_gains_of_earlier_epochs_are_left_out(catalogue):
    for day, gain in ((8, 1.5), (10, 3.0)):
        flat = frame(f"flat {day}", Kind.FLAT, day)
        add_measured(catalogue, flat)
        settled_master(catalogue, f"flat {day}", [flat], Metric("gain_electrons_per_adu", gain, 0.01))
    assert catalogue.gains("main", SETUP, "2026-01-20") == [(3.0, 0.01), (1.5, 0.01)]
    assert catalogue.gains("main", SETUP, "2026-01-20", since_night=NIGHT) == [(3.0, 0.01)]


# --- words ------------------------------------------------------------------------------------------------------------


def test_words_are_kept_in_their_order_for_each_set_up(catalogue):
    words = [EpochWord("undone", NIGHT, "2026-01-08", "not so"), EpochWord("moved", NIGHT, "2026-01-12", "")]
    for word in words:
        catalogue.decide_epoch("main", SETUP, word, NOW)
    catalogue.decide_epoch("main", "another", EpochWord("set", NIGHT, "", ""), NOW)
    assert catalogue.epoch_words("main", SETUP) == words
    assert [row["decision"] for row in catalogue.decisions()] == ["set", "moved", "undone"]
    assert catalogue.decisions()[0]["path"] == f"main, epoch of {NIGHT}"


@pytest.mark.parametrize("gain", [None, 1.5], ids=["gain measured", "gain known"])
def test_a_break_ends_the_delay_of_a_frame(catalogue, gain):
    light = frame("l", Kind.LIGHT, day=12, gain_e_per_adu=gain)
    add(catalogue, light)
    catalogue.delay_reduction(light.frame_id, NOW + timedelta(hours=6))
    assert catalogue.stale_lights(10, now=NOW) == []
    catalogue.record_breaks("main", SETUP, [a_break(10)], NOW)
    assert [it.frame_id for it in catalogue.stale_lights(10, now=NOW)] == [light.frame_id]
