"""Verdicts on figures that follow from numbers in the test: what keeps a frame out, what is only noted, what passes."""

from dataclasses import replace

import pytest

from ingestd.records import Kind, Metric, Plane, Section
from ingestd.rules.screening import References, Standard, light_findings, references_for, verdict
from ingestd.rules.screening.references import figures_of
from ingestd.settings import Screening, parse_settings
from tests.rules.builders import NIGHT, frame, master, night_frame

SETTINGS = parse_settings({"camera": [{"name": "main"}]})
LIMITS = SETTINGS.screening
PIXELS = 100 * 200
NOISE = 5.0
PLANE = Plane(0, "", (100, 200), 16, 32768.0, 1.0, None, 2880, "raw", None, None, None, None)
OVERSCAN = Section(0, 100, 180, 200)
FULL = 65535.0


def with_settings(**screening):
    return replace(SETTINGS, screening=Screening(**screening))


def metrics(values, plane=None):
    return tuple(Metric(name, float(value), None, plane) for name, value in values.items())


def subject(kind, **changes):
    exposure_s = {Kind.BIAS: 0.0, Kind.DARK: 300.0, Kind.FLAT: 7.0, Kind.LIGHT: 60.0}[kind]
    return frame(kind, **{"exposure_s": exposure_s, "planes": (PLANE,), **changes})


def figures(kind, **changes):
    """Return the figures of a good frame, some of them changed."""
    level = {Kind.BIAS: 1000.0, Kind.DARK: 1100.0, Kind.FLAT: 21_000.0}[kind]
    values = {
        f"{kind.value}_level_adu": level,
        "frame_noise_adu": 130.0 if kind is Kind.FLAT else NOISE,
        "saturated_pixels": 0,
        "floor_pixels": 0,
        "ceiling_pixels": 1,
    }
    return metrics({**values, **changes})


def standard(kind, level=1000.0, noise=NOISE, members=10, **changes):
    values = {"bias": {"read_noise_adu": noise}, "dark": {"dark_noise_adu": noise}, "flat": {}}[kind.value]
    made = master(kind, age_d=1, members=members, **changes)
    return Standard(made, figures_of(metrics({f"{kind.value}_level_adu": level, **values})))


def nothing():
    return References(None, is_alike=False, bias=None)


def judged(kind, references=None, settings=SETTINGS, record=None, **changes):
    record = record or subject(kind)
    return verdict(record, figures(kind, **changes), references or nothing(), settings)


def codes(found):
    return [finding.code for finding in found.findings]


# --- by itself --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK, Kind.FLAT])
def test_good_frame_without_any_reference_passes_without_a_word(kind):
    found = judged(kind)
    assert (found.reason, found.findings, found.reference_id, found.pedestal_id) == ("", (), "", "")


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        (Kind.BIAS, {"ceiling_pixels": PIXELS}, "constant_image"),
        (Kind.DARK, {"ceiling_pixels": PIXELS, "dark_level_adu": 0.0}, "constant_image"),
        (Kind.BIAS, {"saturated_pixels": 0.05 * PIXELS + 1}, "saturated"),
        (Kind.DARK, {"floor_pixels": 0.05 * PIXELS + 1}, "not_read_out"),
        (Kind.FLAT, {"ceiling_pixels": 0.05 * PIXELS + 1}, "saturated"),
        (Kind.BIAS, {"bias_level_adu": 0.5 * FULL + 1}, "bias_with_flux"),
        (Kind.DARK, {"dark_level_adu": 0.5 * FULL + 1}, "light_leak"),
        (Kind.FLAT, {"flat_level_adu": 0.9 * FULL + 1}, "flat_too_bright"),
        (Kind.FLAT, {"flat_level_adu": 6 * 130.0}, "flat_without_light"),
        (Kind.FLAT, {"flat_level_adu": 15 * 130.0 - 1}, "flat_too_faint"),
        (Kind.FLAT, {"flat_level_adu": 0.005 * FULL - 1, "frame_noise_adu": 10.0}, "flat_too_faint"),
    ],
)
def test_what_is_wrong_by_itself_keeps_out(kind, changes, reason):
    found = judged(kind, **changes)
    assert (found.reason, codes(found)) == (reason, [reason])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Kind.BIAS, {"saturated_pixels": 0.05 * PIXELS}),
        (Kind.DARK, {"floor_pixels": 0.05 * PIXELS}),
        (Kind.FLAT, {"ceiling_pixels": 0.05 * PIXELS}),
        (Kind.DARK, {"ceiling_pixels": 0.9 * PIXELS}),
        (Kind.BIAS, {"bias_level_adu": 0.5 * FULL}),
        (Kind.FLAT, {"flat_level_adu": 0.9 * FULL}),
        (Kind.FLAT, {"flat_level_adu": 15 * 130.0}),
        (Kind.FLAT, {"flat_level_adu": 0.005 * FULL, "frame_noise_adu": 10.0}),
    ],
)
def test_what_is_just_at_a_limit_passes(kind, changes):
    assert judged(kind, **changes).reason == ""


@pytest.mark.parametrize(("exposure_s", "reason"), [(None, ""), (0.0, ""), (0.1, ""), (0.11, "bias_exposure")])
def test_exposure_of_a_bias(exposure_s, reason):
    assert judged(Kind.BIAS, record=subject(Kind.BIAS, exposure_s=exposure_s)).reason == reason


def test_exposure_of_a_dark_has_no_limit():
    assert judged(Kind.DARK, record=subject(Kind.DARK, exposure_s=3600.0)).reason == ""


def test_saturation_of_the_settings_counts():
    record = subject(Kind.FLAT, saturation_adu=20_000.0)
    assert judged(Kind.FLAT, record=record).reason == "flat_too_bright"


def test_without_known_saturation_no_level_is_judged_by_it():
    record = subject(Kind.BIAS, planes=(replace(PLANE, bitpix=-32),))
    assert judged(Kind.BIAS, record=record, bias_level_adu=60_000.0).reason == ""


def test_the_detail_has_numbers_limit_setting_and_advice():
    found = judged(Kind.FLAT, flat_level_adu=1000.0, frame_noise_adu=100.0)
    for words in ("10.0", "1000 / 100.0 ADU", "screening.flat_min_signal_to_noise = 15", "ingestd accept"):
        assert words in found.detail
    assert found.frame_id[:8] in found.detail


def test_each_plane_is_judged_and_named():
    planes = (replace(PLANE, index=1), replace(PLANE, index=2))
    values = {"bias_level_adu": 1000.0, "frame_noise_adu": NOISE, "saturated_pixels": 0, "ceiling_pixels": 1}
    found = verdict(
        subject(Kind.BIAS, planes=planes),
        metrics(values, 1) + metrics({**values, "ceiling_pixels": PIXELS}, 2),
        nothing(),
        SETTINGS,
    )
    assert codes(found) == ["constant_image"]
    assert found.findings[0].text.startswith("HDU 2: ")


def test_figures_of_amplifiers_are_no_figures_of_the_plane():
    own = (*figures(Kind.BIAS), Metric("ceiling_pixels", PIXELS, None, None, "A"))
    assert verdict(subject(Kind.BIAS), own, nothing(), SETTINGS).reason == ""


# --- flats and what lies below them -----------------------------------------------------------------------------------


def test_light_of_a_flat_is_counted_above_its_bias():
    """4000 ADU over a bias of 2500 are 1500 at a noise of 130: 11.5, below 15."""
    references = References(None, is_alike=False, bias=standard(Kind.BIAS, 2500.0))
    assert judged(Kind.FLAT, references, flat_level_adu=4000.0).reason == "flat_too_faint"
    assert judged(Kind.FLAT, flat_level_adu=4000.0).reason == ""


def test_light_of_a_flat_is_counted_above_its_overscan_and_the_residual_bias():
    record = subject(Kind.FLAT, planes=(replace(PLANE, overscan=OVERSCAN),))
    references = References(None, is_alike=False, bias=standard(Kind.BIAS, 10.0))
    changes = {"flat_level_adu": 2500.0 + 10.0 + 15 * 130.0, "overscan_level_adu": 2500.0}
    assert judged(Kind.FLAT, references, record=record, **changes).reason == ""
    changes["flat_level_adu"] -= 1
    assert judged(Kind.FLAT, references, record=record, **changes).reason == "flat_too_faint"


@pytest.mark.parametrize(("ratio", "pedestal"), [(None, 1300.0), (0.5, 1150.0), (2.0, 1600.0)])
def test_pedestal_of_a_flat_with_a_dark(ratio, pedestal):
    """An exact dark carries its bias of 1000; one that is scaled adds its 300 ADU times the ratio."""
    bias = None if ratio is None else standard(Kind.BIAS, 1000.0)
    references = References(None, is_alike=False, bias=bias, dark=standard(Kind.DARK, 1300.0), dark_ratio=ratio)
    assert references.pedestal_adu(None) == pedestal


# --- against a master -------------------------------------------------------------------------------------------------


def compared(kind, *, offset=0.0, structure=0.0, noise_ratio=1.0, outliers=0.0, members=10, references=None, **changes):
    """Return the verdict on a frame whose noise is so many times that of the members of its reference."""
    spread = NOISE * (noise_ratio**2 + 1 / members) ** 0.5
    values = {
        "offset_from_master_adu": offset,
        "structure_from_master_adu": structure,
        "noise_from_master_adu": spread,
        "outlier_pixels": outliers * PIXELS,
    }
    own = standard(kind, 1000.0 if kind is Kind.BIAS else 1100.0, members=members)
    references = references or References(own, is_alike=True, bias=None)
    return judged(kind, references, **{**values, **changes})


JUMP, UNEVEN = LIMITS.level_jump_sigma * NOISE, LIMITS.structure_jump_sigma * NOISE


@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK])
def test_frame_like_its_reference_passes(kind):
    found = compared(kind, offset=7.0, structure=3.0, noise_ratio=1.1, outliers=0.001)
    assert (found.reason, found.findings) == ("", ())
    assert found.reference_id == master(kind, age_d=1).master_id


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        (Kind.BIAS, {"offset": JUMP + 1, "noise_ratio": 3.0}, "bias_with_flux"),
        (Kind.BIAS, {"offset": JUMP + 1, "structure": UNEVEN + 1}, "bias_with_flux"),
        (Kind.BIAS, {"offset": 10.0, "structure": UNEVEN + 1}, "bias_with_flux"),
        (Kind.BIAS, {"offset": JUMP + 1, "outliers": 0.06}, "bias_with_flux"),
        (Kind.BIAS, {"offset": JUMP + 1}, "level_jump"),
        (Kind.BIAS, {"offset": -JUMP - 1}, "level_jump"),
        (Kind.BIAS, {"offset": -1.0, "structure": UNEVEN + 1}, "pattern"),
        (Kind.BIAS, {"outliers": 0.06}, "pattern"),
        (Kind.BIAS, {"noise_ratio": 1.6}, "noise_jump"),
        (Kind.BIAS, {"noise_ratio": 0.6}, "noise_jump"),
        (Kind.DARK, {"offset": JUMP + 1}, "light_leak"),
        (Kind.DARK, {"offset": 10.0, "structure": UNEVEN + 1}, "light_leak"),
        (Kind.DARK, {"offset": -JUMP - 1}, "level_jump"),
        (Kind.DARK, {"noise_ratio": 2.0}, "noise_jump"),
    ],
)
def test_what_contradicts_the_reference_keeps_out(kind, changes, reason):
    found = compared(kind, **changes)
    assert (found.reason, codes(found)) == (reason, [reason])
    assert "of 2024-03-08" in found.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": JUMP},
        {"offset": -JUMP},
        {"offset": 10.0, "structure": UNEVEN},
        {"outliers": 0.05},
        {"noise_ratio": 1.49},
        {"noise_ratio": 0.68},
    ],
)
@pytest.mark.parametrize("members", [3, 50])
def test_what_is_just_within_the_limits_passes(changes, members):
    assert compared(Kind.BIAS, members=members, **changes).reason == ""


def test_what_is_fainter_and_quieter_speaks_against_the_reference():
    found = compared(Kind.BIAS, offset=-800.0, structure=200.0, noise_ratio=0.2, outliers=0.9)
    assert (found.reason, codes(found)) == ("", ["reference_in_doubt"])


def test_quieter_at_the_same_level_is_another_gain():
    assert compared(Kind.BIAS, offset=-1.9 * NOISE, noise_ratio=0.5).reason == "noise_jump"


def test_reference_that_tells_no_noise_is_no_measure_of_noise():
    own = Standard(master(Kind.BIAS, age_d=1, members=1), figures_of(metrics({"bias_level_adu": 1000.0})))
    references = References(own, is_alike=True, bias=None)
    assert compared(Kind.BIAS, noise_ratio=5.0, references=references).reason == ""


def test_master_from_elsewhere_without_members_or_figures_is_a_reference_all_the_same():
    own = Standard(master(Kind.BIAS, age_d=1, members=0), {})
    references = References(own, is_alike=True, bias=None)
    assert compared(Kind.BIAS, offset=40 * NOISE, references=references).reason == "level_jump"


@pytest.mark.parametrize(("signal", "reason"), [(100.0, "light_leak"), (1000.0, "")])
def test_level_of_a_dark_must_also_grow_by_a_factor(signal, reason):
    """150 ADU more are 2.5 times a dark signal of 100, but only 1.15 times one of 1000."""
    own = standard(Kind.DARK, 1000.0 + signal)
    references = References(own, is_alike=True, bias=standard(Kind.BIAS, 1000.0))
    assert compared(Kind.DARK, offset=150.0, references=references).reason == reason


def test_flat_with_another_pattern_is_kept_out():
    references = References(standard(Kind.FLAT, 22_000.0), is_alike=True, bias=None)
    assert judged(Kind.FLAT, references, outlier_pixels=0.051 * PIXELS).reason == "pattern"
    assert judged(Kind.FLAT, references, outlier_pixels=0.05 * PIXELS).reason == ""


def test_what_is_broken_by_itself_is_not_compared():
    assert codes(compared(Kind.BIAS, offset=500.0, ceiling_pixels=PIXELS)) == ["constant_image"]


def test_limits_are_those_of_the_settings():
    own = References(standard(Kind.BIAS), is_alike=True, bias=None)
    values = {"offset_from_master_adu": 60.0, "noise_from_master_adu": NOISE, "outlier_pixels": 0}
    assert judged(Kind.BIAS, own, **values).reason == ""
    assert judged(Kind.BIAS, own, with_settings(level_jump_sigma=10.0), **values).reason == "level_jump"


# --- darks of another exposure ----------------------------------------------------------------------------------------


def rate(level, exposure_s=60.0, reference_level=1300.0):
    """Return the verdict on a dark by the rate of one of 300 s over a bias of 1000 ADU."""
    own = standard(Kind.DARK, reference_level, exposure_s=300.0)
    references = References(own, is_alike=False, bias=standard(Kind.BIAS, 1000.0))
    record = subject(Kind.DARK, exposure_s=exposure_s)
    return judged(Kind.DARK, references, record=record, dark_level_adu=level)


def test_rate_of_an_earlier_dark_tells_how_bright_a_dark_may_be():
    """300 ADU in 300 s are 60 in 60 s; the limit is 20 noises of 5 ADU above that, 160."""
    assert rate(1160.0).reason == ""
    assert rate(1161.0).reason == "light_leak"


def test_rate_of_a_bright_dark_may_change_by_a_factor():
    """3000 ADU in 300 s are 6000 in 600 s; half as much again is the limit, 9000."""
    assert rate(10_000.0, 600.0, 4000.0).reason == ""
    assert rate(10_001.0, 600.0, 4000.0).reason == "light_leak"


def test_dark_below_its_bias_is_kept_out_even_without_an_earlier_dark():
    references = References(None, is_alike=False, bias=standard(Kind.BIAS, 1300.0))
    assert judged(Kind.DARK, references).reason == "level_jump"


def test_dark_without_a_bias_below_it_is_not_judged_by_its_rate():
    references = References(standard(Kind.DARK, exposure_s=60.0), is_alike=False, bias=None)
    assert judged(Kind.DARK, references, dark_level_adu=20_000.0).reason == ""


# --- notes ------------------------------------------------------------------------------------------------------------


def test_bias_that_differs_from_its_own_overscan_is_noted():
    record = subject(Kind.BIAS, planes=(replace(PLANE, overscan=OVERSCAN),))
    found = judged(Kind.BIAS, record=record, overscan_level_adu=1000.0 - NOISE - 1)
    assert (found.reason, codes(found), found.detail) == ("", ["overscan_differs"], "")
    assert judged(Kind.BIAS, record=record, overscan_level_adu=1000.0 - NOISE).findings == ()


@pytest.mark.parametrize(("sky", "expected"), [(0.3 * FULL, []), (0.3 * FULL + 1, ["bright_sky"])])
def test_science_frame_as_bright_as_a_flat_is_noted(sky, expected):
    found = light_findings(subject(Kind.LIGHT), metrics({"sky_level_adu": sky}), SETTINGS)
    assert [finding.code for finding in found] == expected
    assert not any(finding.keeps_out for finding in found)


# --- references -------------------------------------------------------------------------------------------------------


def chosen(record, own=(), biases=()):
    return references_for(record, list(own), list(biases), SETTINGS)


def test_reference_is_the_master_of_the_latest_earlier_night():
    masters = [master(Kind.BIAS, str(age_d), age_d=age_d) for age_d in (-1, 0, 1, 2, 30)]
    assert chosen(night_frame(Kind.BIAS, "b"), masters).own == masters[2]


def test_master_of_the_same_night_is_no_reference_but_may_be_the_bias_below_a_dark():
    tonight = master(Kind.BIAS, "tonight", age_d=0)
    tomorrow = master(Kind.BIAS, "tomorrow", age_d=-1)
    found = chosen(night_frame(Kind.DARK, "d"), [], [tomorrow, tonight, master(Kind.BIAS, "old", age_d=3)])
    assert (found.own, found.bias) == (None, tonight)
    assert chosen(night_frame(Kind.BIAS, "b"), [tonight]).own is None
    assert tonight.night == NIGHT


def test_reference_is_no_older_than_it_is_valid():
    old, too_old = master(Kind.BIAS, "old", age_d=90), master(Kind.BIAS, "too old", age_d=91)
    assert chosen(night_frame(Kind.BIAS, "b"), [too_old, old]).own == old
    assert chosen(night_frame(Kind.BIAS, "b"), [too_old]).own is None


@pytest.mark.parametrize(
    ("temp_c", "master_c", "fits"), [(-10, -10.5, True), (-10, -10.51, False), (None, None, True), (None, -10, False)]
)
def test_reference_has_the_temperature_of_the_frame(temp_c, master_c, fits):
    own = master(Kind.BIAS, age_d=1, ccd_temp_c=master_c)
    assert (chosen(night_frame(Kind.BIAS, "b", ccd_temp_c=temp_c), [own]).own == own) is fits


def test_dark_of_the_same_exposure_goes_before_a_later_one_of_another():
    exact = master(Kind.DARK, "exact", age_d=9, exposure_s=300.0)
    other = master(Kind.DARK, "other", age_d=1, exposure_s=60.0)
    found = chosen(night_frame(Kind.DARK, "d", exposure_s=300.0), [other, exact])
    assert (found.own, found.is_alike) == (exact, True)
    found = chosen(night_frame(Kind.DARK, "d", exposure_s=600.0), [other, exact])
    assert (found.own, found.is_alike) == (other, False)


def test_flat_is_compared_with_its_own_filter_at_any_temperature():
    warm = master(Kind.FLAT, "warm", age_d=2, ccd_temp_c=5.0)
    other = master(Kind.FLAT, "other", age_d=1, filter_name="R")
    assert chosen(night_frame(Kind.FLAT, "f"), [other, warm]).own == warm


def test_choice_does_not_depend_on_the_order():
    masters = [master(Kind.BIAS, str(number), age_d=1) for number in range(5)]
    found = {
        chosen(night_frame(Kind.BIAS, "b"), order).own for order in (masters, masters[::-1], masters[2:] + masters[:2])
    }
    assert len(found) == 1
