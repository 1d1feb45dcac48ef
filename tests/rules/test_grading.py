"""A night's master against the previous one: the grade by hand, with limits of 2, 4 and 7 sigma."""

import pytest

from ingestd.records import Kind, Metric
from ingestd.rules.grading import standing_of
from ingestd.rules.screening import previous_master
from ingestd.settings import Grading, parse_settings
from tests.rules.builders import master

BIAS, DARK, FLAT = (master(kind, kind.value, age_d=0) for kind in (Kind.BIAS, Kind.DARK, Kind.FLAT))
RULES = parse_settings({"camera": [{"name": "main", "directories": ["/raw"]}]}).rules_of("main")


def bias(level=0.0, patches=0.0, noise=5.0, *, error=0.01, plane=None):
    return (
        Metric("read_noise_adu", noise, 0.005, plane),
        Metric("level_from_previous_adu", level, error, plane),
        Metric("patches_from_previous_adu", patches, error, plane),
    )


FORMER = (Metric("read_noise_adu", 5.0, 0.005),)


def graded(figures, former=FORMER, of=BIAS, **limits):
    return standing_of(of, figures, of, former, Grading(**limits))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("level", "grade"), [(9.9, "green"), (10.1, "yellow"), (19.9, "yellow"), (20.1, "orange"), (35.1, "red")]
)
def test_level_is_graded_in_units_of_the_noise_of_one_frame(level, grade, sign):
    assert graded(bias(sign * level)).grade == grade


@pytest.mark.parametrize(
    ("patches", "grade"), [(2.4, "green"), (2.6, "yellow"), (4.9, "yellow"), (5.1, "orange"), (8.8, "red")]
)
def test_patches_are_graded_in_units_of_a_quarter_of_that_noise(patches, grade):
    assert graded(bias(patches=patches)).grade == grade


@pytest.mark.parametrize(
    ("noise", "grade"), [(5.24, "green"), (5.26, "yellow"), (4.74, "yellow"), (5.51, "orange"), (5.9, "red")]
)
def test_noise_is_graded_by_its_ratio(noise, grade):
    assert graded(bias(noise=noise)).grade == grade


def test_an_error_larger_than_the_floor_is_one_sigma():
    # 10.1 ADU are 2.02 noises, but the difference is known to 6 ADU only
    assert graded(bias(10.1, error=6.0)).grade == "green"


def test_largest_deviation_decides_and_every_one_is_told():
    found = graded(bias(12.3, patches=9.0))
    assert found.grade == "red"
    night = f"that of {BIAS.night}"
    assert found.text == (
        f"level 12.3 ADU above {night} (limit 2 sigma = 10.0 ADU), "
        f"patches off by 9.0 ADU from {night} (limit 7 sigma = 8.8 ADU)"
    )


def test_agreement_is_told_with_its_numbers():
    found = graded(bias(-0.3, patches=0.2))
    night = f"that of {BIAS.night}"
    words = "level 0.3 ADU below, patches off by 0.2 ADU from, noise 1.00 times it"
    assert (found.grade, found.text) == ("green", f"agrees with {night}: {words}")


def test_worst_plane_counts_and_is_named():
    figures = (*bias(plane=1), *bias(50.0, plane=2))
    former = [Metric("read_noise_adu", 5.0, None, plane) for plane in (1, 2)]
    found = graded(figures, former)
    assert (found.grade, found.text.startswith("HDU 2: level 50.0 ADU above")) == ("red", True)


def test_amplifiers_inside_a_plane_do_not_count_by_themselves():
    lonely = Metric("level_from_previous_adu", 500.0, 0.0, None, "A")
    assert graded((*bias(), lonely)).grade == "green"


def test_signal_of_a_dark_may_drift_with_half_a_degree():
    # 400 ADU of dark signal in 300 s; 2.5 % of it are 10 ADU, 4 sigma 40 ADU
    figures = (
        Metric("dark_noise_adu", 5.0),
        Metric("level_from_previous_adu", 39.0, 0.01),
        Metric("patches_from_previous_adu", 0.0, 0.01),
        Metric("dark_rate_adu_per_second", 400 / 300),
    )
    former = (Metric("dark_noise_adu", 5.0),)
    assert graded(figures, former, of=DARK).grade == "yellow"
    assert graded(figures[:3], former, of=DARK).grade == "red"


@pytest.mark.parametrize(("part", "grade"), [(0.009, "green"), (0.011, "yellow"), (0.021, "orange"), (0.036, "red")])
def test_flat_is_graded_in_units_of_half_a_percent(part, grade):
    found = graded((Metric("patches_from_previous_ratio", part, 0.001),), (), of=FLAT)
    assert found.grade == grade


def test_limits_are_settings():
    assert graded(bias(10.1), level_floor=2.0).grade == "green"
    assert graded(bias(10.1), red_sigma=2.0, orange_sigma=2.0).grade == "red"


def test_first_master_is_green():
    found = standing_of(BIAS, bias(), None, (), Grading())
    assert (found.previous_id, found.grade, found.text) == ("", "green", "no earlier master to compare with")


def test_masters_that_could_not_be_compared_say_so():
    assert graded(()).grade == "green"
    assert "could not be compared" in graded(()).text


# --- which master is the previous one ---------------------------------------------------------------------------------


def previous(of, *others):
    found = previous_master(of, others, RULES)
    return None if found is None else found.master_id


def test_previous_master_is_that_of_the_latest_earlier_night():
    nights = {age: master(Kind.BIAS, f"bias {age}", age_d=age) for age in (0, 1, 3, 20)}
    assert previous(nights[1], *nights.values()) == nights[3].master_id
    assert previous(nights[20], *nights.values()) is None


def test_previous_master_is_alike_in_temperature_exposure_and_filter():
    own = master(Kind.DARK, "own", age_d=0)
    for other in ({"ccd_temp_c": own.ccd_temp_c + 0.6}, {"exposure_s": own.exposure_s * 1.1}):
        assert previous(own, master(Kind.DARK, "other", age_d=1, **other)) is None
    flat = master(Kind.FLAT, "flat", age_d=0, filter_name="V")
    assert previous(flat, master(Kind.FLAT, "other", age_d=1, filter_name="R")) is None


def test_previous_master_is_no_older_than_it_is_valid():
    own = master(Kind.FLAT, "own", age_d=0)
    old, older = (master(Kind.FLAT, f"{age}", age_d=age) for age in (30, 31))
    assert previous(own, old, older) == old.master_id
    assert previous(own, older) is None


def test_master_made_elsewhere_is_not_compared_and_judges_nobody():
    own, elsewhere = master(Kind.BIAS, "own", age_d=0), master(Kind.BIAS, "elsewhere", age_d=1, members=0)
    assert previous(own, elsewhere) is None
    assert previous(elsewhere, master(Kind.BIAS, "old", age_d=2)) is None
