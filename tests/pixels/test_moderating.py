"""Errors of masters of few frames: steadier than a pixel's own scatter, and no smaller where that is large.

Pulls here are those of a frame of known noise less the master, over the root of both variances: as in a reduction.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from ingestd.pixels.combine import combine
from ingestd.pixels.moderating import moderate_errors
from tests.pixels.array_reader import ArrayReader

SHAPE = (256, 256)
NOISE = 8.0


@dataclass(frozen=True, eq=False)
class Sensor:
    """Level and noise of each pixel, ADU; where it jumps by how much in three frames of ten; which pixels differ."""

    level: np.ndarray
    noise: np.ndarray
    jump: np.ndarray
    odd: np.ndarray

    def expose(self, random):
        jumps = self.jump * (random.random(SHAPE) < 0.3)
        return self.level + jumps + self.noise * random.standard_normal(SHAPE)

    @property
    def mean(self):
        return self.level + 0.3 * self.jump

    @property
    def sigma(self):
        return np.sqrt(self.noise**2 + 0.21 * self.jump**2 + 1 / 12)


def sensor(kind):
    random = np.random.default_rng(3)
    one, some = np.ones(SHAPE), random.random(SHAPE) < 0.01
    level, noise, jump, odd = 1000 + random.normal(0, 3, SHAPE), NOISE * one, 0 * one, some
    match kind:
        case "noisy":
            noise = np.where(some, 5 * NOISE, NOISE)
        case "rather noisy":
            noise = np.where(some, 2 * NOISE, NOISE)
        case "jumping":
            jump = np.where(some, 8 * NOISE, 0)
        case "hot":
            charge = np.where(some, 10 ** random.uniform(2, 4, SHAPE), 0)
            level, noise = level + charge, np.sqrt(NOISE**2 + charge)
        case "two amplifiers":
            odd = np.arange(SHAPE[1])[np.newaxis] >= SHAPE[1] // 2 + 0 * one
            noise = np.where(odd, 3 * NOISE, NOISE)
        case "all unlike":
            noise = NOISE * random.lognormal(0, 0.3, SHAPE)
            odd = noise > 1.3 * NOISE
    return Sensor(level, noise, jump, odd)


def master(subject, frames, seed=1):
    random = np.random.default_rng(seed)
    return combine([ArrayReader(np.rint(subject.expose(random)).astype(np.int32)) for _ in range(frames)], sigma=5.0)


def moderated(plain, frames, **how):
    error = plain.error.copy()
    moderate_errors(plain.mean, error, plain.count, frames, **how)
    return error


def deviation(subject, plain, error, chosen):
    frame = subject.expose(np.random.default_rng(2))
    pulls = (frame - plain.mean) / np.sqrt(subject.sigma**2 + np.nan_to_num(error) ** 2)
    return float(pulls[chosen].std())


KINDS = ["noisy", "rather noisy", "jumping", "hot", "two amplifiers", "all unlike"]


# --- pixels that are alike --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [2, 3, 5, 10, 40])
def test_error_is_steadier_than_the_scatter_and_right_in_the_mean(frames):
    plain = master(sensor("alike"), frames)
    complete = plain.count == frames
    variance = moderated(plain, frames)[complete].astype(np.float64) ** 2 * frames / (NOISE**2 + 1 / 12)
    freedom = frames - 1
    # 1024 pixels in a box: v is off by sqrt(2 / (1024 d)), 64 boxes; what is above the limit is 0.13 %
    assert variance.mean() == pytest.approx(1.0, abs=5 * math.sqrt(2 / (freedom * complete.sum())) + 0.002)
    expected = freedom / (10 + freedom) * math.sqrt(2 / freedom)
    ordinary = variance < np.percentile(variance, 99.8)
    assert variance[ordinary].std() == pytest.approx(expected, abs=0.2 * expected)


@pytest.mark.parametrize("frames", [4, 5, 7, 10])
def test_mean_that_lost_samples_is_as_uncertain_as_it_is(frames):
    """Its own scatter says 0.2 sigma^2 and less; the variance of the mean is 1.33 to 1.8 sigma^2 / count."""
    subject = sensor("alike")
    plain = master(subject, frames)
    clipped = plain.count < frames
    pulls = (plain.mean - subject.mean)[clipped]
    assert (pulls / moderated(plain, frames)[clipped]).std() == pytest.approx(1.0, abs=0.07)
    assert np.median(np.abs(pulls) / np.maximum(plain.error[clipped], 1e-6)) > 1.5  # of normal pulls 0.67


def test_pixel_that_kept_one_sample_has_the_error_of_one():
    mean, error = np.full(SHAPE, 100.0, np.float32), np.full(SHAPE, 2.0, np.float32)
    count = np.full(SHAPE, 5, np.uint16)
    count[3, 4], error[3, 4] = 1, np.nan
    count[7, 8], error[7, 8], mean[7, 8] = 0, np.nan, np.nan
    moderate_errors(mean, error, count, 5)
    # five samples with an error of the mean of 2 scatter by 2 sqrt(5); 1.5 is for the choice of what is clipped
    assert error[3, 4] == pytest.approx(2.0 * math.sqrt(5 * 1.5), rel=1e-6)
    assert np.isnan(error[7, 8])
    assert error[0, 0] == pytest.approx(2.0, rel=1e-6)


def test_a_single_frame_still_tells_no_error():
    error = np.full(SHAPE, np.nan, np.float32)
    moderate_errors(np.ones(SHAPE, np.float32), error, np.ones(SHAPE, np.uint16), 1)
    assert np.isnan(error).all()


def test_nothing_is_known_of_a_box_without_a_complete_pixel():
    error = np.random.default_rng(1).normal(2, 0.1, SHAPE).astype(np.float32)
    before = error.copy()
    moderate_errors(np.ones(SHAPE, np.float32), error, np.full(SHAPE, 4, np.uint16), 5)
    assert np.array_equal(error, before)


def test_equal_samples_have_no_error():
    error = np.zeros(SHAPE, np.float32)
    moderate_errors(np.ones(SHAPE, np.float32), error, np.full(SHAPE, 5, np.uint16), 5)
    assert not error.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2), (17, 9)])
def test_any_shape_is_moderated(shape):
    error = np.random.default_rng(1).normal(2, 0.5, shape).astype(np.float32)
    before = error.copy()
    moderate_errors(np.ones(shape, np.float32), error, np.full(shape, 5, np.uint16), 5)
    assert error.std() <= 0.5 * before.std()


def test_threads_and_strides_change_nothing():
    plain = master(sensor("hot"), 5)
    with ThreadPoolExecutor(3) as pool:
        assert np.array_equal(moderated(plain, 5, each=pool.map), moderated(plain, 5), equal_nan=True)
    error, wide = moderated(plain, 5), np.zeros((2 * SHAPE[0], 2 * SHAPE[1]), np.float32)
    mosaic = wide[1::2, ::2]
    mosaic[:] = plain.error
    moderate_errors(plain.mean, mosaic, plain.count, 5)
    assert np.array_equal(mosaic, error, equal_nan=True)


# --- pixels that differ -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [3, 5, 10, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_that_differ_are_no_worse_off_nor_are_the_others(kind, frames):
    subject = sensor(kind)
    plain = master(subject, frames)
    error = moderated(plain, frames)
    before, after = (deviation(subject, plain, it, subject.odd) for it in (plain.error, error))
    assert abs(after - 1) <= abs(before - 1) + 0.02
    before, after = (deviation(subject, plain, it, ~subject.odd) for it in (plain.error, error))
    assert abs(after - 1) <= max(abs(before - 1), 0.02)


def test_hot_and_noisy_pixels_are_never_more_certain_than_their_scatter():
    for kind in ("hot", "noisy"):
        subject = sensor(kind)
        plain = master(subject, 5)
        error = moderated(plain, 5)
        hot = plain.mean > 1100
        noisy = plain.error**2 > 5.0 * NOISE**2 / 5  # the limit is 4.5 v; v of 1024 pixels is good to 2.2 %
        assert (hot | noisy).sum() > 250
        assert (error >= plain.error * np.float32(1 - 1e-6))[hot | noisy].all()


def test_one_error_for_all_is_caught():
    """The harness is not blind: a typical error in every pixel is wrong for the noisy ones."""
    subject = sensor("two amplifiers")
    plain = master(subject, 5)
    typical = np.full(SHAPE, NOISE / math.sqrt(5))
    before, after = (deviation(subject, plain, it, subject.odd) for it in (plain.error, typical))
    assert abs(after - 1) > abs(before - 1) + 0.02
