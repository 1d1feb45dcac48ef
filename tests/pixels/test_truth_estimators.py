"""Every estimator of METRICS on sensors of known truth: bias below 1 %, or within 4 standard errors of 200 nights."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ingestd.metrics import METRICS
from tests.pixels.truth import FLAT_ADU, SUBJECTS, Bias, Case, measured
from tests.pixels.truth_cases import CASES, STEP_VARIANCE


@cache
def found(subject) -> dict[str, Bias]:
    return {it.case.name: it for it in measured(CASES, subject)}


def test_every_metric_has_its_truth_here_or_in_a_test_of_its_own():
    others = "".join(path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    missing = {row.name for row in METRICS} - {case.name for case in CASES}
    assert {name for name in missing if name not in others} == set()


def test_sensors_span_what_cameras_are():
    sensors = [subject.sensor for subject in SUBJECTS]
    assert {min(it.gain_e_per_adu for it in sensors), max(it.gain_e_per_adu for it in sensors)} == {0.5, 5.0}
    assert {min(it.read_noise_e for it in sensors), max(it.read_noise_e for it in sensors)} == {2.0, 20.0}
    assert {min(it.frames for it in SUBJECTS), max(it.frames for it in SUBJECTS)} == {5, 40}
    assert all(it.bias_adu and it.bias_gradient_adu and it.hot_fraction and it.prnu for it in sensors)


@pytest.mark.parametrize("name", [case.name for case in CASES])
@pytest.mark.parametrize("subject", SUBJECTS, ids=[subject.name for subject in SUBJECTS])
def test_bias_is_small_or_known(subject, name):
    it = found(subject)[name]
    assert it.is_small, (
        f"{it.mean:.6g} +- {it.error:.2g} where {it.truth:.6g} is true and {it.known:.3g} too much known"
    )


# --- the same harness catches what is wrong ---------------------------------------------------------------------------


def plain_mean_of_deviations(night):
    return float(np.std(night.biases, axis=0, ddof=1).mean())


def deviation_of_the_image(night):
    return float(night.biases[0].std())


def gain_with_the_pedestal(night):
    sensor = night.subject.sensor
    flats = night.images(2, FLAT_ADU * sensor.gain_e_per_adu * sensor.flat("V").astype(np.float64))
    one, other = (flat[24:40, 32:64].astype(np.float64) for flat in flats)
    return (one.mean() + other.mean()) / float((one - other).var(ddof=1))


def median_of_integers(night):
    return 1.4826 * float(np.median(np.abs(night.biases[0] - np.median(night.biases[0]))))


def c4(number):
    return math.sqrt(2 / (number - 1)) * math.gamma(number / 2) / math.gamma((number - 1) / 2)


def with_step(subject):
    return math.sqrt(subject.noise_adu**2 + STEP_VARIANCE)


BIASED = (
    # Low by c4 of 5 samples, 6.0 %; a drift of 0.15 ADU against a noise of 4 ADU does not show.
    (
        Case("mean of deviations", plain_mean_of_deviations, with_step),
        lambda subject: (c4(subject.frames) - 1) * with_step(subject),
    ),
    # The gradient of 12 ADU, columns of 2 and rows of 0.5 are counted as noise.
    (
        Case("image deviation", deviation_of_the_image, with_step),
        lambda subject: math.hypot(with_step(subject), subject.bias_adu.std()) - with_step(subject),
    ),
    # The pedestal of 1000 ADU counts as light in flats of 20 000 ADU: 5 %.
    (
        Case("gain with the pedestal", gain_with_the_pedestal, lambda subject: subject.sensor.gain_e_per_adu),
        lambda subject: subject.sensor.gain_e_per_adu * 1000 / FLAT_ADU,
    ),
)


@pytest.mark.parametrize(("case", "bias"), BIASED, ids=[case.name for case, _ in BIASED])
def test_biased_estimator_is_caught_and_is_as_biased_as_derived(case, bias):
    subject = SUBJECTS[0]
    (it,) = measured([case], subject)
    assert not it.is_small
    assert it.mean - it.truth == pytest.approx(bias(subject), rel=0.15, abs=4 * it.error)


def test_median_deviation_of_integers_moves_in_whole_steps():
    (it,) = measured([Case("MAD of integers", median_of_integers, with_step)], SUBJECTS[0], trials=20)
    assert it.mean / 1.4826 == pytest.approx(round(it.mean / 1.4826), abs=0.2)
    assert not it.is_small
