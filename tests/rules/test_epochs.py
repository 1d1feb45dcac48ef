"""The control chart: lasting jumps are found, drift, scatter and light are not; the order of the frames is nothing."""

import math
import random
from datetime import date, timedelta

import pytest

from ingestd.records import Break, ChartPoint, EpochWord, Kind, MeasuredFrame, Metric, Plane, Section
from ingestd.rules import breaks, epochs
from ingestd.rules.epochs.detecting import _Detector, _orders
from ingestd.settings import Camera, parse_settings
from tests.rules.builders import night_frame

SETTINGS = parse_settings({"camera": [{"name": "main"}]})
CONFIGURATION = "CCD | bin 1x1 @ 100x100"
LEVEL, NOISE, GAIN = 1000.0, 5.0, 1.5
HISTORIES = 1000


def night(number):
    return (date(2025, 1, 1) + timedelta(days=number)).isoformat()


def point(number, level=LEVEL, noise=NOISE, frames=5, kind=Kind.BIAS, **changes):
    fields = {
        "configuration": CONFIGURATION,
        "exposure_s": 0.0 if kind is Kind.BIAS else 60.0,
        "ccd_temp_c": -10.0,
        "gain_e_per_adu": GAIN,
        "parts": (("", level, noise),),
    }
    return ChartPoint(kind=kind, night=night(number), frames=frames, **(fields | changes))


def lit(number, adu, **changes):
    """Return biases on which so much light fell: the variance of its photons is light over gain."""
    return point(number, LEVEL + adu, math.sqrt(NOISE**2 + adu / GAIN), **changes)


def quiet(nights=5, first=0):
    return [point(first + i, LEVEL + (0.3, -0.2, 0.1)[i % 3]) for i in range(nights)]


def found(points, words=(), settings=SETTINGS):
    return epochs.breaks_of("main", "CCD | bin 1x1", points, words, settings)


def told(points, words=(), settings=SETTINGS):
    return [(it.night, it.status) for it in found(points, words, settings)]


def stationary(chance, scatter_adu, nights=30):
    """Return nights with gaps whose level scatters by so much and whose noise by 1 %."""
    days = 0
    points = []
    for _ in range(nights):
        noise = NOISE * (1 + 0.01 * chance.gauss(0, 1))
        points.append(point(days, LEVEL + scatter_adu * chance.gauss(0, 1), noise))
        days += chance.choice((1, 1, 1, 2, 5, 20))
    return points


# --- what is a jump ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scatter_sigma", [0.02, 0.2, 1.0, 3.0])
def test_no_stationary_camera_has_a_break(scatter_sigma):
    """In 1,000 histories of 30 nights, up to a scatter of three times the noise of a pixel.

    Two nights without known scatter differ by gauss(0, 1.41 x 3) of the noise: 15 of it are 3.5 sigma, P = 4e-4, and a
    third night would have to show the same.
    """
    chance = random.Random(7)  # noqa: S311 - reproducible, not secret
    histories = [stationary(chance, scatter_sigma * NOISE) for _ in range(HISTORIES)]
    assert sum(any(it.is_open for it in found(points)) for points in histories) == 0


def test_limits_that_are_too_tight_would_be_noticed():
    chance = random.Random(7)  # noqa: S311 - reproducible, not secret
    epochs_table = {"scatter_sigma": 3.0, "level_jump_sigma": 3.0, "level_step_sigma": 0.5}
    tight = parse_settings({"camera": [{"name": "main"}], "epochs": epochs_table})
    histories = [stationary(chance, 3.0 * NOISE) for _ in range(50)]
    assert sum(any(it.is_open for it in found(points, settings=tight)) for points in histories) > 0


@pytest.mark.parametrize(
    ("level", "noise"),
    [
        (LEVEL, NOISE / 2),
        (LEVEL + 200, NOISE),
        (LEVEL - 200, NOISE),
        (LEVEL + 200, NOISE / 2),
        (LEVEL - 200, 2 * NOISE),
    ],
    ids=["gain doubled", "offset up", "offset down", "both", "down and noisier"],
)
def test_what_cannot_be_light_opens_with_its_first_night(level, noise):
    assert told([*quiet(), point(5, level, noise)]) == [(night(5), "detected")]


@pytest.mark.parametrize(
    ("level", "noise"),
    [(LEVEL, 2 * NOISE), (LEVEL, 1.5 * NOISE), (LEVEL + 200, math.sqrt(NOISE**2 + 200 / GAIN))],
    ids=["gain halved", "read noise x 1.5", "offset up, as noisy as light"],
)
def test_what_may_be_light_or_disturbance_opens_with_the_second_night_from_the_first(level, noise):
    assert told([*quiet(), point(5, level, noise)]) == [(night(5), "suspected")]
    assert told([*quiet(), point(5, level, noise), point(9, level, noise)]) == [(night(5), "detected")]


def test_the_cause_has_the_numbers_and_the_nights():
    (it,) = found([*quiet(), point(8, LEVEL + 212)])
    assert (it.night, it.after) == (night(8), night(4))
    assert it.cause.startswith("bias level jumped by +211.9 ADU (1000.1 to 1212.0, limit ")
    assert it.cause.endswith("5 nights before")


@pytest.mark.parametrize("rate_adu_per_d", [-8.0, 0.5, 2.0, 8.0])
@pytest.mark.parametrize("every_d", [1, 3])
def test_a_slow_drift_is_no_jump(rate_adu_per_d, every_d):
    # 8 ADU a day are 1.6 times the noise of a pixel: in 60 days 96 times
    chance = random.Random(3)  # noqa: S311 - reproducible, not secret
    days = range(0, 60, every_d)
    assert told([point(day, LEVEL + rate_adu_per_d * day + chance.gauss(0, 1)) for day in days]) == []


def test_a_small_step_opens_when_the_scatter_is_known():
    chance = random.Random(5)  # noqa: S311 - reproducible, not secret
    before = [point(i, LEVEL + chance.gauss(0, 1)) for i in range(12)]
    after = [point(12 + i, LEVEL + 25 + chance.gauss(0, 1)) for i in range(2)]
    # 25 ADU are 5 times the noise: below the 15 of one night, above the 3 of two
    assert told([*before, after[0]]) == []
    assert told([*before, *after]) == [(night(12), "detected")]
    assert told([*before[:4], *after]) == []


def test_with_little_history_a_jump_is_only_suspected():
    assert told([*quiet(2), point(2, LEVEL - 200)]) == [(night(2), "suspected")]
    assert told([*quiet(2), point(2, LEVEL - 200), point(3, LEVEL - 200)]) == [(night(2), "detected")]


def test_too_few_frames_wait_for_more():
    few = point(5, LEVEL - 200, frames=1)
    assert told([*quiet(), few]) == [(night(5), "suspected")]
    assert told([*quiet(), few, point(6, LEVEL - 200, frames=1)]) == [(night(5), "suspected")]
    assert told([*quiet(), few, *(point(6 + i, LEVEL - 200, frames=1) for i in range(2))]) == [(night(5), "detected")]


def test_the_level_drifts_further_in_a_long_pause():
    # limit 15 of the noise, and 0.2 of it for each of 200 days: 55 times 5 ADU
    assert told([*quiet(), point(204, LEVEL - 270)]) == []
    assert told([*quiet(), point(204, LEVEL - 280)]) == [(night(204), "detected")]


# --- light ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adu", [100, 900, 20_000])
@pytest.mark.parametrize("gain", [GAIN, 2 * GAIN, GAIN / 2, None], ids=["true", "twice", "half", "unknown"])
def test_one_night_with_the_lights_on_is_no_epoch(adu, gain):
    bad = lit(5, adu, gain_e_per_adu=gain)
    assert told([*quiet(), bad]) == [(night(5), "suspected")]
    assert told([*quiet(), bad, point(6)]) == []


def test_another_light_the_next_night_is_no_second_witness():
    assert told([*quiet(), lit(5, 900), lit(6, 300)]) == [(night(5), "suspected")]
    assert told([*quiet(), lit(5, 900), lit(6, 300), point(7)]) == []


def test_good_frames_of_a_night_outweigh_its_bad_ones():
    assert told([*quiet(), lit(5, 900, frames=20), point(5)]) == []


def test_a_first_night_with_lit_and_good_frames_counts_by_the_good_ones():
    assert told([lit(0, 900, frames=20), *quiet(), point(5)]) == []


def test_a_first_night_with_light_only_ends_with_the_second_good_night():
    assert told([lit(0, 900), *quiet(1, 1)]) == [(night(1), "suspected")]
    assert told([lit(0, 900), *quiet(4, 1)]) == [(night(1), "detected")]


# --- which frames are compared ----------------------------------------------------------------------------------------


def test_darks_count_only_where_no_biases_are_taken():
    darks = [point(i, kind=Kind.DARK) for i in range(5)]
    other = point(5, LEVEL - 200, kind=Kind.DARK)
    assert told([*darks, other]) == [(night(5), "detected")]
    assert told([*quiet(), *darks, other]) == []
    longer = point(5, LEVEL + 900, 2 * NOISE, kind=Kind.DARK, exposure_s=600.0)
    assert told([*darks, longer]) == []


def test_other_temperatures_and_windows_are_other_charts():
    assert told([*quiet(), point(5, LEVEL - 200, ccd_temp_c=0.0)]) == []
    assert told([*quiet(), point(5, LEVEL - 200, configuration="CCD | bin 1x1 @ 50x50")]) == []
    assert told([*quiet(), point(5, LEVEL - 200, ccd_temp_c=-10.42)]) == [(night(5), "detected")]


def test_one_amplifier_of_several_is_enough():
    def both(number, right):
        return point(number, parts=(("1/left", LEVEL, NOISE), ("1/right", right, NOISE)))

    (it,) = found([*(both(i, LEVEL) for i in range(4)), both(4, LEVEL - 200)])
    assert it.status == "detected"
    assert "of 1/right" in it.cause


def test_each_change_opens_an_epoch_of_its_own():
    points = [*quiet(), *(point(5 + i, LEVEL + 200) for i in range(4)), *(point(9 + i, LEVEL) for i in range(4))]
    assert told(points) == [(night(5), "detected"), (night(9), "detected")]


# --- the operator's word ----------------------------------------------------------------------------------------------

CHANGED = [*quiet(), *(point(5 + i, LEVEL + 200) for i in range(4))]
WORDS = {
    "confirmed": EpochWord("confirmed", night(5), "", "seen"),
    "undone": EpochWord("undone", night(5), night(4), "not so"),
    "moved": EpochWord("moved", night(5), night(7), "later"),
    "set": EpochWord("set", night(2), "", "filter"),
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["confirmed"], [(5, "confirmed")]),
        (["undone"], [(5, "undone")]),
        (["undone", "confirmed"], [(5, "confirmed")]),
        (["moved"], [(5, "undone"), (7, "moved")]),
        (["set"], [(2, "set"), (5, "detected")]),
        (["set", "undone"], [(2, "set"), (5, "undone")]),
    ],
)
def test_words_are_heard_in_their_order(words, expected):
    assert told(CHANGED, [WORDS[name] for name in words]) == [(night(n), status) for n, status in expected]


def test_an_undone_break_does_not_come_back_with_an_earlier_night():
    # frames of a night between the last of the old and the first of the new epoch come late
    sparse = [*quiet(), *(point(8 + i, LEVEL + 200) for i in range(3))]
    undone = EpochWord("undone", night(8), night(4), "not so")
    assert told([*sparse, point(6, LEVEL + 200)], [undone]) == [(night(6), "undone"), (night(8), "undone")]


def test_a_suspicion_that_was_undone_leaves_the_chart_as_it_was():
    undone = EpochWord("undone", night(5), night(4), "the lights were on")
    assert told([*quiet(), lit(5, 900), *quiet(4, 6)], [undone]) == [(night(5), "undone")]
    changed = [point(10 + i, LEVEL - 200) for i in range(2)]
    assert told([*quiet(), lit(5, 900), *quiet(4, 6), *changed], [undone]) == [
        (night(5), "undone"),
        (night(10), "detected"),
    ]


def test_a_word_holds_without_any_frame():
    assert told([], [WORDS["set"]]) == [(night(2), "set")]
    assert told(quiet(), [EpochWord("set", night(40), "", "to come")]) == [(night(40), "set")]


def test_nothing_is_detected_where_the_settings_say_so():
    off = parse_settings({"camera": [{"name": "main"}], "epochs": {"detect": False}})
    assert told(CHANGED, settings=off) == []
    assert told(CHANGED, [WORDS["set"]], settings=off) == [(night(2), "set")]


# --- order ------------------------------------------------------------------------------------------------------------


def random_history(chance):
    """Return a history with jumps, light, gaps and several sets a night."""
    level, noise, points = LEVEL, NOISE, []
    for number in range(chance.randint(3, 25)):
        if chance.random() < 0.1:
            level, noise = level + chance.choice((-150, 80, 200)), noise * chance.choice((0.5, 1.0, 2.0))
        if chance.random() < 0.8:
            points.append(point(number, level + chance.gauss(0, 1), noise, chance.randint(1, 6)))
        if chance.random() < 0.15:
            points.append(lit(number, chance.choice((100, 900))))
        if chance.random() < 0.3:
            points.append(point(number, level + 40, noise, kind=Kind.DARK))
    return points


def arrival_dependent(points, words):
    """Detect as one would who takes the nights as they come; time that runs backwards must not widen the limits."""
    steady = parse_settings({"camera": [{"name": "main"}], "epochs": {"level_drift_sigma_per_d": 0.0}})
    detector = _Detector("main", "CCD | bin 1x1", _orders(words), steady)
    for it in points:
        detector.see(it.night, [it])
    return detector.result()


def differing(detect):
    """Return how many of 300 random histories depend on the order in which their points are given."""
    chance = random.Random(11)  # noqa: S311 - reproducible, not secret
    count = 0
    for _ in range(300):
        points = random_history(chance)
        words = [WORDS[name] for name in chance.sample(sorted(WORDS), chance.choice((0, 0, 1, 2)))]
        shuffled = chance.sample(points, len(points))
        count += detect(points, words) != detect(shuffled, words)
    return count


def test_the_order_of_the_points_is_nothing():
    assert differing(found) == 0


def test_a_dependence_on_the_order_would_be_noticed():
    assert differing(arrival_dependent) > 0


# --- what is asked of breaks ------------------------------------------------------------------------------------------


def a_break(number, status="detected", cause="it jumped"):
    return Break("main", "CCD", night(number), night(number - 1), status, cause)


def test_a_break_is_crossed_between_its_night_and_the_one_before():
    both = [a_break(3), a_break(6)]
    assert breaks.crossed(both, night(2), night(3)) == both[0]
    assert breaks.crossed(both, night(3), night(5)) is None
    assert breaks.crossed(both, night(7), night(1)) == both[1]
    assert breaks.crossed(both, night(1), night(7)) == both[0]
    assert breaks.crossed(both, None, night(7)) is None


@pytest.mark.parametrize("status", ["suspected", "undone"])
def test_what_is_only_suspected_or_undone_closes_nothing(status):
    assert breaks.crossed([a_break(3, status)], night(1), night(5)) is None
    assert breaks.first_night([a_break(3, status)], night(5)) == ""


def test_the_first_night_of_an_epoch_is_that_of_the_latest_break():
    both = [a_break(3), a_break(6)]
    assert [breaks.first_night(both, night(n)) for n in (2, 3, 5, 6, 9)] == ["", night(3), night(3), night(6), night(6)]


def test_masters_with_a_member_before_a_suspected_break_are_doubtful():
    suspected = [a_break(3, "suspected")]
    assert "it jumped" in breaks.doubt(suspected, night(4), [night(3), night(1)])
    assert breaks.doubt(suspected, night(4), [night(3)]) == ""
    assert breaks.doubt(suspected, night(2), [night(1)]) == ""
    assert breaks.doubt([a_break(3)], night(4), [night(1)]) == ""


# --- the points of a night --------------------------------------------------------------------------------------------


def plane(**changes):
    fields = {"index": 0, "name": "", "shape": (100, 100), "bitpix": 16, "bzero": 32768.0, "bscale": 1.0}
    fields |= {"blank": None, "offset": 2880, "encoding": "raw", "overscan": None, "trim": None}
    fields |= {"gain_e_per_adu": None, "read_noise_e": None}
    return Plane(**(fields | changes))


def measured(name, level, noise=NOISE, overscan=None, **changes):
    section = None if overscan is None else Section(0, 100, 100, 110)
    fields = {"exposure_s": 0.0, "planes": (plane(overscan=section),), **changes}
    figures = [Metric("bias_level_adu", level), Metric("frame_noise_adu", noise), Metric("ceiling_pixels", 1.0)]
    figures += [] if overscan is None else [Metric("overscan_level_adu", overscan)]
    return MeasuredFrame(night_frame(Kind.BIAS, name, **fields), name, tuple(figures), None)


def points_of(*frames):
    return epochs.points_of("2024-03-09", frames, Camera("main"), SETTINGS)


def test_frames_that_agree_are_one_point_and_others_another():
    frames = [measured(f"{level}", level) for level in (1000.0, 1002.0, 1001.0, 1900.0, 1903.0)]
    assert [(it.frames, it.parts) for it in points_of(*frames)] == [
        (3, (("", 1001.0, NOISE),)),
        (2, (("", 1901.5, NOISE),)),
    ]
    halves = [measured("a", 1000.0), measured("b", 1000.0, 2 * NOISE)]
    assert [it.frames for it in points_of(*halves)] == [1, 1]


def test_temperatures_are_points_of_their_own():
    frames = [measured("a", 1000.0), measured("b", 1000.0, ccd_temp_c=-20.0)]
    assert [it.ccd_temp_c for it in points_of(*frames)] == [-20.0, -10.0]


def test_the_level_is_that_above_the_overscan():
    frames = [measured("a", 1000.0, overscan=990.0), measured("b", 1080.0, overscan=1070.0)]
    assert [(it.frames, it.parts[0][1]) for it in points_of(*frames)] == [(2, 10.0)]


def test_frames_that_are_wrong_by_themselves_are_no_points():
    constant = MeasuredFrame(
        night_frame(Kind.BIAS, "constant", exposure_s=0.0, planes=(plane(),)),
        "constant",
        (Metric("bias_level_adu", 0.0), Metric("frame_noise_adu", 0.0), Metric("ceiling_pixels", 10_000.0)),
        None,
    )
    assert points_of(constant, measured("too long", 1000.0, exposure_s=5.0)) == []
