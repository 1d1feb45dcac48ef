"""Cosmic rays: by hand, equal to a slow implementation, equal to the reference, and no pixel lost to the bound."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.pixels import cosmics
from ingestd.pixels.cosmics import detect_cosmics
from tests.pixels import lacosmic_oracle as oracle

SENSOR = {"gain_e_per_adu": 1.0, "read_noise_e": 5.0, "saturation_e": math.inf}


def field(shape, seed=1, sky=100.0, read_noise_e=5.0, stars=0.002, rays=0.004, width_px=1.0):
    """Return a field in electrons: sky, Gaussian stars, tracks of cosmic rays, photon and read noise; float32."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    y, x = np.mgrid[:ny, :nx]
    light = np.full(shape, float(sky))
    for _ in range(rng.poisson(stars * ny * nx)):
        centre_y, centre_x, flux = rng.uniform(0, ny), rng.uniform(0, nx), 300 * rng.pareto(1.2)
        light += flux * np.exp(-0.5 * ((y - centre_y) ** 2 + (x - centre_x) ** 2) / width_px**2)
    image = rng.poisson(light) + rng.normal(0, read_noise_e, shape)
    for _ in range(rng.poisson(rays * ny * nx)):
        centre_y, centre_x, angle = rng.uniform(0, ny), rng.uniform(0, nx), rng.uniform(0, 2 * np.pi)
        for step in range(rng.integers(1, 8)):
            at = int(centre_y + step * np.sin(angle)), int(centre_x + step * np.cos(angle))
            if 0 <= at[0] < ny and 0 <= at[1] < nx:
                image[at] += 60 + rng.exponential(1500)
    return image.astype(np.float32)


def assert_as_oracle(image, mask=None, *, gain=1.0, read_noise_e=5.0, saturation_e=math.inf, **limits):
    """Compare mask and cleaned pixels, all of them and in all bits."""
    limits = {"sigclip": 4.5, "sigfrac": 0.3, "objlim": 5.0, "niter": 4} | limits
    found = detect_cosmics(
        image, gain_e_per_adu=gain, read_noise_e=read_noise_e, saturation_e=saturation_e, mask=mask, **limits
    )
    bad = np.zeros(image.shape, bool) if mask is None else mask
    electrons = image.astype(np.float32) * np.float32(gain)
    expected, cleaned = oracle.lacosmic(electrons, read_noise_e, saturation_e, bad, **limits)
    np.testing.assert_array_equal(found.mask, expected)
    np.testing.assert_array_equal(found.cleaned, np.where(expected, cleaned / np.float32(gain), image))
    return found


# by hand


def test_scatter_is_that_of_the_good_neighbours():
    image = np.tile(np.float32([96, 98, 100, 102, 104]), (15, 3))
    image[7, 7] = 5000
    found = detect_cosmics(image, **SENSOR)
    assert np.argwhere(found.mask).tolist() == [[7, 7]]
    # five rows of 96, 98, 100, 102, 104 without the middle one: 2 x 5 x (4**2 + 2**2) = 200 over 24 - 1
    assert found.scatter == pytest.approx([math.sqrt(200 / 23)], rel=1e-6)


def test_scatter_of_less_than_two_good_neighbours_is_not_known():
    image = np.full((15, 15), 100, np.float32)
    image[7, 7] = 5000
    mask = np.ones(image.shape, bool)
    mask[5:10, 5:10] = False  # grown by one pixel: 3 x 3 remain
    assert detect_cosmics(image, **SENSOR, mask=mask).scatter == pytest.approx([0.0])
    mask = np.ones(image.shape, bool)
    mask[6:9, 6:9] = False
    assert np.isnan(detect_cosmics(image, **SENSOR, mask=mask).scatter).all()


def test_single_pixel_on_a_flat_background_is_found_and_takes_its_neighbours_value():
    image = np.full((40, 50), 100.0, np.float32)
    image[20, 30] = 1000
    # L+ = 2 (1000 - 100), noise = sqrt(100 + 25), S = 80; the neighbours' 4 x 100 - ... is negative, L+ = 0
    found = detect_cosmics(image, **SENSOR)
    assert np.argwhere(found.mask).tolist() == [[20, 30]]
    assert (found.cleaned == 100).all()


@pytest.mark.parametrize(("height", "is_hit"), [(0.99, False), (1.01, True)])
def test_limit_is_where_the_formula_puts_it(height, is_hit):
    # S' = S = 2 h / (2 sqrt(100 + 25)) > 5, fine structure 0.01: hit from h = 55.9 electrons on
    image = np.full((40, 50), 100.0, np.float32)
    image[20, 30] += height * 5 * math.sqrt(125)
    assert detect_cosmics(image, **SENSOR, sigclip=5.0).mask.any() == is_hit


def test_neighbour_of_a_hit_has_the_lower_limit():
    image = np.full((40, 50), 100.0, np.float32)
    image[20, 30] = 1000
    image[21, 31] = image[10, 10] = 100 + 3 * math.sqrt(125)  # S = 3, between 0.3 x 5 and 5
    assert np.argwhere(detect_cosmics(image, **SENSOR, sigclip=5.0).mask).tolist() == [[20, 30], [21, 31]]


def test_star_is_spared_and_the_ray_beside_it_is_not():
    y, x = np.mgrid[:60, :60]
    image = (100 + 5000 * np.exp(-0.5 * ((y - 30) ** 2 + (x - 30) ** 2) / 1.5**2)).astype(np.float32)
    image[30, 40] += 2000
    assert np.argwhere(detect_cosmics(image, **SENSOR).mask).tolist() == [[30, 40]]


def test_ray_without_a_good_neighbour_takes_the_background():
    image = np.full((40, 50), 100.0, np.float32)
    mask = np.zeros(image.shape, bool)
    mask[18:23, 28:33] = True
    mask[19:22, 29:32] = False  # a ring at a distance of 2 px; grown by one it leaves the middle alone
    image[mask] = 7
    image[20, 30] = 1000
    found = detect_cosmics(image, **SENSOR, mask=mask)
    assert np.argwhere(found.mask).tolist() == [[20, 30]]
    assert found.cleaned[20, 30] == 100


def test_masked_pixel_and_its_neighbours_are_neither_flagged_nor_used():
    image = np.full((40, 50), 100.0, np.float32)
    image[20, 30] = image[20, 33] = 1000
    mask = np.zeros(image.shape, bool)
    mask[20, 30] = True
    found = detect_cosmics(image, **SENSOR, mask=mask)
    assert np.argwhere(found.mask).tolist() == [[20, 33]]
    assert found.cleaned[20, 33] == 100
    image[20, 31] = 1000
    assert not detect_cosmics(image, **SENSOR, mask=mask).mask[20, 31]


def test_saturated_star_is_left_alone_and_a_saturated_ray_is_not():
    y, x = np.mgrid[:60, :60]
    star = 300_000 * np.exp(-0.5 * ((y - 20) ** 2 + (x - 20) ** 2) / 3.0**2)
    image = np.minimum(100 + star, 60_000).astype(np.float32)
    image[20, 20:22] = 64_000
    image[45, 45] = 64_000
    found = detect_cosmics(image, gain_e_per_adu=1.0, read_noise_e=5.0, saturation_e=60_000.0)
    assert np.argwhere(found.mask).tolist() == [[45, 45]]


def test_frame_of_three_pixels_is_never_flagged():
    image = np.full((40, 50), 100.0, np.float32)
    for distance in range(5):
        image[distance, 8 + 8 * distance] = 5000
    assert np.argwhere(detect_cosmics(image, **SENSOR).mask).tolist() == [[3, 32], [4, 40]]


# any numbers


def test_number_that_is_not_finite_is_masked_and_counts_as_the_median():
    image = field((60, 70))
    holes = np.zeros(image.shape, bool)
    holes[20:23, 30:33] = holes[41, :] = holes[0, 0] = True
    broken = image.copy()
    broken[holes] = np.nan
    broken[21, 31], broken[21, 30], broken[22, 31] = np.inf, -np.inf, 3e38
    filled = np.where(holes, oracle.lower_median(image[~holes]), image)
    found = detect_cosmics(broken, **SENSOR)
    expected = detect_cosmics(filled, **SENSOR, mask=holes)
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_array_equal(found.cleaned, np.where(holes, broken, expected.cleaned))


def test_image_without_a_finite_number_has_no_rays():
    found = detect_cosmics(np.full((20, 20), np.nan), **SENSOR)
    assert not found.mask.any()
    assert np.isnan(found.cleaned).all()


@pytest.mark.parametrize("dtype", ["u2", ">i2", "i4", ">f4", "f8", "f2", "i8"])
def test_every_type_of_number_gives_the_same(dtype):
    image = np.rint(field((50, 60)).clip(0, 2000))
    expected = detect_cosmics(image, gain_e_per_adu=1.7, read_noise_e=5.0, saturation_e=3000.0)
    found = detect_cosmics(image.astype(dtype), gain_e_per_adu=1.7, read_noise_e=5.0, saturation_e=3000.0)
    assert expected.mask.any()
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_array_equal(found.cleaned, expected.cleaned)


def test_input_is_neither_changed_nor_required_contiguous():
    wide = field((80, 120))
    view = wide[::2, 5:115:2]
    view.flags.writeable = False
    before = view.copy()
    found = detect_cosmics(view, **SENSOR)
    np.testing.assert_array_equal(view, before)
    np.testing.assert_array_equal(found.mask, detect_cosmics(before, **SENSOR).mask)
    assert not np.shares_memory(found.cleaned, wide)


def test_pixels_that_are_not_flagged_come_back_untouched_for_any_gain():
    image = field((50, 60))
    found = detect_cosmics(image, gain_e_per_adu=1.3, read_noise_e=5.0, saturation_e=math.inf)
    assert found.mask.any()
    np.testing.assert_array_equal(found.cleaned[~found.mask], image[~found.mask])


def test_cleaned_image_is_made_only_on_request():
    assert detect_cosmics(field((30, 30)), **SENSOR, clean=False).cleaned is None


@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (1, 1), (6, 100), (100, 6)])
def test_image_smaller_than_a_window_has_no_rays(shape):
    image = np.full(shape, 100.0, np.float32)
    image[..., shape[1] // 2 :][: shape[0] // 2] = 9000
    found = detect_cosmics(image, **SENSOR, mask=image > 9e9)
    assert not found.mask.any()
    np.testing.assert_array_equal(found.cleaned, image)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gain_e_per_adu": 0.0}, "gain_e_per_adu is 0.0"),
        ({"read_noise_e": -1.0}, "read_noise_e is -1.0"),
        ({"read_noise_e": math.nan}, "read_noise_e is nan"),
        ({"saturation_e": 0.0}, "saturation_e is 0.0"),
        ({"saturation_e": math.nan}, "saturation_e is nan"),
        ({"sigclip": 0.0}, "sigclip is 0.0"),
        ({"niter": -1}, "niter is -1"),
        ({"mask": np.zeros((3, 4), bool)}, "mask has shape"),
        ({"image": np.zeros(5)}, "two dimensions"),
        ({"image": np.zeros((9, 9), complex)}, "integers or floats"),
    ],
)
def test_wrong_input_is_named(changed, said):
    with pytest.raises(ValueError, match=said):
        detect_cosmics(**({"image": np.zeros((9, 9))} | SENSOR | changed))


def test_example_of_the_docstring():
    assert doctest.testmod(cosmics).failed == 0
    assert doctest.testmod(cosmics).attempted > 0


# the slow implementation


@given(data=st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_image_equals_the_slow_implementation(data):
    shape = data.draw(st.tuples(st.integers(7, 48), st.integers(7, 48)))
    seed = data.draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    read_noise_e = data.draw(st.sampled_from([0.0, 1.0, 5.0, 20.0]))
    image = field(
        shape,
        seed,
        sky=data.draw(st.sampled_from([0.0, 10.0, 300.0, 30_000.0])),
        read_noise_e=read_noise_e,
        stars=data.draw(st.sampled_from([0.0, 0.003, 0.03])),
        rays=data.draw(st.sampled_from([0.002, 0.02])),
        width_px=data.draw(st.sampled_from([0.4, 0.8, 1.5])),
    )
    image -= data.draw(st.sampled_from([0, 0, 200, 50_000]))
    image *= data.draw(st.sampled_from([1, 1, 1e-3, 1e6]))
    if data.draw(st.booleans()):
        image[:, rng.integers(0, shape[1], 2)] = data.draw(st.sampled_from([0, 5000]))
    assert_as_oracle(
        image,
        mask=rng.random(shape) < data.draw(st.sampled_from([0, 0.01, 0.2])),
        gain=data.draw(st.sampled_from([1.0, 1.0, 0.37, 2.0])),
        read_noise_e=read_noise_e,
        saturation_e=data.draw(st.sampled_from([math.inf, 2000.0])),
        sigclip=data.draw(st.sampled_from([1.0, 4.5, 5.0, 8.0])),
        sigfrac=data.draw(st.sampled_from([0.0, 0.3, 1.0])),
        objlim=data.draw(st.sampled_from([0.0, 2.0, 5.0])),
        niter=data.draw(st.integers(0, 4)),
    )


def test_rays_everywhere_equal_the_slow_implementation():
    found = assert_as_oracle(field((90, 70), rays=0.05), sigclip=4.5)
    assert found.mask.mean() > 0.1


def test_noise_far_above_the_stated_read_noise_equals_the_slow_implementation():
    image = np.random.default_rng(3).normal(0, 10, (70, 60)).astype(np.float32)
    found = assert_as_oracle(image, read_noise_e=0.1)
    assert found.mask.mean() > 0.5


def test_saturated_image_equals_the_slow_implementation():
    assert not assert_as_oracle(field((40, 40), sky=3000.0), saturation_e=2000.0).mask.any()


def test_cleaning_below_the_darkest_pixel_of_a_cell_lowers_its_limit():
    # rays beside a dark half: their means fall below all that the bound has seen in their cells
    image = field((64, 64), sky=3000.0, stars=0.0, rays=0.02)
    image[:, :32] = field((64, 32), sky=5.0, stars=0.0, rays=0.02)
    image[16:24, 32:40] = 4000
    image[16:24, 33] = 20_000
    assert_as_oracle(image)
