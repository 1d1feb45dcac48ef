"""The parts of the cosmic-ray filter: medians, the guarantee of the bound, shared patches, lists of neighbours."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from ingestd.pixels.cosmics import bound, patches
from ingestd.pixels.cosmics.bound import Bound, median_floor
from ingestd.pixels.cosmics.cleaning import Cleaner
from ingestd.pixels.cosmics.excluding import exclude
from ingestd.pixels.cosmics.exposure import CROSS, ROUNDED_5, SQUARE_3, SQUARE_5, distinct
from ingestd.pixels.cosmics.loading import load
from ingestd.pixels.cosmics.measures import EXCESS, FINE_STRUCTURE, LAPLACIAN, SIGNIFICANCE, TYPICAL
from ingestd.pixels.cosmics.medians import lower_median, median_of_5, median_of_7, median_of_9, separable_median
from tests.pixels import lacosmic_oracle as oracle
from tests.pixels.test_cosmics import field

INNER = slice(3, -3)


def exposure_of(image, read_noise_e=5.0):
    loaded = load(image, None, np.float32(1), np.float32(read_noise_e))
    return loaded.exposure, loaded.lowest


def inner_pixels(shape):
    return np.arange(shape[0] * shape[1]).reshape(shape)[INNER, INNER].ravel()


@pytest.mark.parametrize(("median", "width"), [(median_of_5, 5), (median_of_7, 7), (median_of_9, 9)])
@pytest.mark.parametrize("windows", [1, 2, 3, 4, 7, 20])
def test_network_is_the_median_of_zeros_and_ones_and_so_of_all(median, width, windows):
    # a network of minima and maxima that is right for all zeros and ones is right for all numbers (Knuth 5.3.4)
    length = width + windows - 1
    every = (np.arange(2**width) >> np.arange(width)[:, np.newaxis] & 1).astype(np.float32)
    for first in range(windows):
        values = np.random.default_rng(0).integers(0, 2, (length, 2**width)).astype(np.float32)
        values[first : first + width] = every
        expected = np.median(sliding_window_view(values, width, axis=0), axis=-1)
        np.testing.assert_array_equal(median(values), expected)


@pytest.mark.parametrize("width", [5, 7, 9])
def test_separable_median_takes_rows_first(width):
    image = np.random.default_rng(2).normal(size=(14, 17)).astype(np.float32)
    half = width // 2
    expected = oracle.separable_median(image, width)[half:-half, half:-half]
    np.testing.assert_array_equal(separable_median(image[..., np.newaxis], width)[..., 0], expected)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 1000, 300_001])
@pytest.mark.parametrize("kind", ["noise", "steps", "sorted"])
def test_lower_median_of_any_list(count, kind):
    values = np.random.default_rng(count).normal(100, 10, count).astype(np.float32)
    if kind == "steps":
        values = np.rint(values / 20)
    if kind == "sorted":
        values.sort()
        values[count // 2 :] = 1e6  # the bracket of a regular sample misses such a jump at times
    assert lower_median(values) == oracle.lower_median(values)


@given(data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_bound_loses_no_pixel(data):
    shape = data.draw(st.tuples(st.integers(7, 60), st.integers(7, 60)))
    read_noise_e = data.draw(st.sampled_from([0.0, 1.0, 5.0]))
    sky = data.draw(st.sampled_from([0.0, 1.0, 300.0, 60_000.0]))
    image = field(shape, data.draw(st.integers(0, 999)), sky, read_noise_e, stars=0.01, rays=0.01)
    image *= np.float32(data.draw(st.sampled_from([1.0, 1.7, 1e-4, 1e5, 1e12])))
    image -= np.float32(data.draw(st.sampled_from([0.0, 100.3, 1e6])))
    exposure, lowest = exposure_of(image, read_noise_e)
    limit = np.float32(data.draw(st.sampled_from([0.5, 4.5, 20.0])))
    pixels = inner_pixels(shape)
    needed = pixels[patches.evaluate(exposure, pixels, SIGNIFICANCE) > limit]
    assert np.isin(needed, Bound(exposure, lowest).search(limit)).all()


@given(data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_bound_loses_no_pixel_when_cleaning_changed_the_image(data):
    seed = data.draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    image = field((50, 60), seed, sky=data.draw(st.sampled_from([300.0, 5000.0])), stars=0.01, rays=0.01)
    exposure, lowest = exposure_of(image)
    limits = Bound(exposure, lowest)
    before = limits.search(np.float32(4.5))
    pixels = inner_pixels(image.shape)
    changed = distinct(rng.choice(pixels, data.draw(st.sampled_from([1, 5, 60]))))
    if data.draw(st.booleans()):
        changed = distinct(np.concatenate([changed, (changed[0] // 60 + np.arange(9)) % 44 * 60 + 200]))
        changed = exposure.neighbours(changed, CROSS)
    exposure.electrons.ravel()[changed] = data.draw(st.sampled_from([0.0, 280.0, -900.0]))
    exposure.cleaned_variance = np.zeros(image.shape, np.float32)
    exposure.cleaned_variance.ravel()[changed] = data.draw(st.sampled_from([30.0, 1e-30, 320.0]))
    looked_at = np.concatenate([before, exposure.neighbours(changed, CROSS), limits.lower(changed)])
    needed = pixels[patches.evaluate(exposure, pixels, SIGNIFICANCE) > np.float32(4.5)]
    assert np.isin(needed, looked_at).all()
    assert np.isin(needed, limits.search(np.float32(4.5))).all()


def test_limits_are_kept_unless_a_cell_gets_darker():
    exposure, lowest = exposure_of(field((50, 60)))
    limits = Bound(exposure, lowest)
    pixel = np.array([20 * 60 + 30])
    exposure.electrons.ravel()[pixel] = 200
    assert not limits.lower(pixel).size
    exposure.electrons.ravel()[pixel] = -1000
    assert np.isin(exposure.neighbours(pixel, SQUARE_5), limits.lower(pixel)).all()


def test_cleaned_pixels_and_their_variance_are_means_of_their_own():
    image = field((40, 50), sky=20.0)
    exposure, _ = exposure_of(image, 2.3)
    exposure.excluded[10:12, 20:30] = True
    cleaner = Cleaner(exposure)
    hits = np.zeros(image.shape, bool)
    for struck in (np.s_[8:14, 18], np.s_[9:12, 19:21], np.s_[30, 30:36]):
        hits[struck] = True
        fresh = np.flatnonzero(hits & ~exposure.flagged & ~exposure.excluded)
        exposure.flagged.ravel()[fresh] = True
        changed = cleaner.clean(fresh)
        assert np.isin(fresh, changed).all()
    unusable = exposure.flagged | exposure.excluded
    variance = image + np.float32(2.3) * np.float32(2.3)
    expected = oracle.cleaned(image, exposure.flagged, unusable, 0)
    expected_variance = oracle.cleaned(variance, exposure.flagged, unusable, 0)
    np.testing.assert_array_equal(exposure.electrons, expected)
    everywhere = np.arange(image.size)
    np.testing.assert_array_equal(exposure.variance_of(everywhere), expected_variance.ravel())
    typical = np.sqrt(oracle.separable_median(expected_variance, 7))
    found = patches.evaluate(exposure, inner_pixels(image.shape), SIGNIFICANCE)
    np.testing.assert_array_equal(found, (oracle.laplacian(expected) / (2 * typical))[INNER, INNER].ravel())


def lost_pixels(image, limit):
    exposure, lowest = exposure_of(image)
    pixels = inner_pixels(image.shape)
    needed = pixels[patches.evaluate(exposure, pixels, SIGNIFICANCE) > limit]
    return np.setdiff1d(needed, Bound(exposure, lowest).search(limit)).size


def test_bound_that_is_too_high_is_caught(monkeypatch):
    # on a constant image the limit of the noise is the noise itself: nothing is left for a bound 1 % too high
    image = np.full((50, 60), 1000.0, np.float32)
    for place, share in enumerate(np.linspace(1.0, 1.02, 20)):
        image[10 + place, 5 + 2 * place] += np.float32(share * 5 * np.sqrt(1025))
    assert lost_pixels(image, np.float32(5)) == 0
    monkeypatch.setattr(bound, "_PRODUCTS", 1.01)
    assert lost_pixels(image, np.float32(5)) > 0


@pytest.mark.parametrize("level", [1e3, 1e7, 1e10])
def test_margin_for_rounding_scales_with_the_level(level):
    # as many pixels as fit within rounding of the limit on either side
    rng = np.random.default_rng(4)
    image = np.full((200, 300), level, np.float32)
    rows, columns = (part.ravel() for part in np.mgrid[8:192:8, 8:292:8])
    step = np.float32(5 * np.sqrt(level + 25.0))
    image[rows, columns] += step + np.spacing(np.float32(level)) * rng.integers(-3, 4, rows.size)
    assert lost_pixels(image, np.float32(5)) == 0


def test_floor_of_the_median_holds():
    image = field((80, 72), sky=50.0, stars=0.01)
    image[:, 20] = 0
    exposure, lowest = exposure_of(image)
    pixels = inner_pixels(image.shape)
    y, x = exposure.rows_and_columns(pixels)
    assert (median_floor(lowest)[y // 8, x // 8] <= patches.evaluate(exposure, pixels, TYPICAL)).all()


@pytest.mark.parametrize("measure", [LAPLACIAN, SIGNIFICANCE, TYPICAL, EXCESS, FINE_STRUCTURE])
def test_shared_patches_and_edges_agree_with_single_ones_in_all_bits(measure, monkeypatch):
    image = field((45, 53))
    exposure, _ = exposure_of(image)
    exposure.cleaned_variance = np.where(image > 500, image + np.float32(26), np.float32(0))
    pixels = inner_pixels(image.shape)
    shared = patches.evaluate(exposure, pixels, measure)
    monkeypatch.setattr(patches, "_CROWD", 65)
    np.testing.assert_array_equal(patches.evaluate(exposure, pixels, measure), shared)
    monkeypatch.setattr(patches, "_PIXELS", 100)
    np.testing.assert_array_equal(patches.evaluate(exposure, pixels, measure), shared)


def test_measures_are_those_of_the_slow_implementation():
    image = field((45, 53))
    exposure, _ = exposure_of(image)
    noise = np.sqrt(oracle.separable_median(image + np.float32(25), 7))
    significance = oracle.laplacian(image) / (2 * noise)
    smooth = oracle.separable_median(image, 5)
    expected = {
        LAPLACIAN: oracle.laplacian(image),
        SIGNIFICANCE: significance,
        EXCESS: significance - oracle.separable_median(significance, 7),
        FINE_STRUCTURE: np.maximum((smooth - oracle.separable_median(smooth, 9)) / noise, np.float32(0.01)),
    }
    for measure, values in expected.items():
        found = patches.evaluate(exposure, inner_pixels(image.shape), measure)
        np.testing.assert_array_equal(found, values[INNER, INNER].ravel())


@given(data=st.data())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_listed_and_marked_neighbours_are_those_of_the_plane(data):
    ny, nx = data.draw(st.tuples(st.integers(7, 20), st.integers(7, 20)))
    exposure, _ = exposure_of(np.zeros((ny, nx), np.float32))
    offsets, margin = data.draw(st.sampled_from([(CROSS, 1), (SQUARE_3, 3), (SQUARE_5, 2), (ROUNDED_5, 2)]))
    pixels = distinct(np.array(data.draw(st.lists(st.integers(0, ny * nx - 1), min_size=1)), np.intp))
    expected = {
        (y + dy) * nx + x + dx
        for y, x in (divmod(int(pixel), nx) for pixel in pixels)
        for dy, dx in offsets
        if margin <= y + dy < ny - margin and margin <= x + dx < nx - margin
    }
    assert exposure.neighbours(pixels[:1], offsets, margin).tolist() == sorted(
        exposure._marked_neighbours(pixels[:1], offsets, margin)
    )
    assert exposure.neighbours(pixels, offsets, margin).tolist() == sorted(expected)
    assert exposure._marked_neighbours(pixels, offsets, margin).tolist() == sorted(expected)
    assert not exposure.marks.any()


@pytest.mark.parametrize("ny", [7, 64, 65, 66, 67, 129, 130])
@pytest.mark.parametrize("share", [0.003, 0.3, 1.0])
def test_bad_pixels_are_excluded_with_their_eight_neighbours(ny, share):
    bad = np.random.default_rng(ny).random((ny, 23)) < share
    bad[0, 5] = bad[-1, 9] = bad[ny // 2, 0] = True  # edges take no neighbour, and are no neighbours of the other edge
    loaded = load(np.zeros(bad.shape, np.float32), None, np.float32(1), np.float32(5))
    exclude(loaded, bad, np.float32(np.inf))
    np.testing.assert_array_equal(loaded.exposure.excluded, oracle.dilated(bad, SQUARE_3, 1))


def test_excluding_every_pixel_takes_no_list_of_them():
    loaded = load(np.zeros((2048, 1024), np.float32), None, np.float32(1), np.float32(5))
    bad = np.ones((2048, 1024), bool)
    tracemalloc.start()
    exclude(loaded, bad, np.float32(np.inf))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the floor of the median has 20 bytes for each cell of 64 pixels; a list would have 8 for each pixel
    assert peak < bad.size / 2
