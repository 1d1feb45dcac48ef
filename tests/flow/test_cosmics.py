"""Cosmic rays from settings to product: flagged, cleaned, or left alone with the reason."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from ingestd import simulator
from ingestd.flow import verifying
from ingestd.records import MaskBit
from tests.flow.observatory import EVENING, header, observatory, write_night
from tests.flow.structured_frames import ONE, Bench

SENSOR = simulator.Sensor(shape=(160, 200), dust_grains=2, read_noise_e=5.0)
CAMERA = simulator.Camera(SENSOR, sky=simulator.Sky(sky_e_per_s=3.0, stars=30.0, fwhm_px=3.5, cosmics_per_s=2.0))
LIGHT = next(
    shot for shot in simulator.night(CAMERA, EVENING, simulator.Plan(filters=("V",), lights=1)) if shot.object_name
)
COSMIC, CLEANED = MaskBit.COSMIC, MaskBit.COSMIC | MaskBit.INTERPOLATED


@contextmanager
def one_night(directory, camera=CAMERA, **settings):
    with observatory(directory, camera=[settings_of(directory, **settings)]) as place:
        write_night(place.incoming, camera=camera)
        place.settle()
        yield place


def settings_of(directory, **settings):
    return {"name": "test", "directories": [str(directory / "incoming")], **settings}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The same night with cosmic rays left alone, flagged and cleaned."""
    with (
        one_night(tmp_path_factory.mktemp("off")) as off,
        one_night(tmp_path_factory.mktemp("flag"), cosmics="flag") as flag,
        one_night(tmp_path_factory.mktemp("clean"), cosmics="clean") as clean,
    ):
        yield {"off": off, "flag": flag, "clean": clean}


def planes(place):
    """Return signal, uncertainty and mask of the light of a place."""
    with fits.open(product(place), memmap=False) as hdus:
        return hdus[0].data.astype(float), hdus["UNCERT"].data.astype(float), hdus["MASK"].data


def product(place):
    return place.data / place.light()["product"]


def step(place):
    return place.steps(place.light()["path"]).get("cosmics")


def test_hits_are_found_and_little_else(places):
    hit = (planes(places["flag"])[2] & COSMIC) != 0
    truth = CAMERA.cosmics_e(LIGHT)
    # a hit of 100 e- or more on a sky of about 180 e- with 14 e- of noise: 7 sigma; the outermost 3 px are left alone
    strong = np.zeros_like(hit)
    strong[3:-3, 3:-3] = (truth > 150)[3:-3, 3:-3]
    bad = (planes(places["off"])[2] & (MaskBit.HOT | MaskBit.BAD)) != 0
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            strong &= ~np.roll(bad, (dy, dx), (0, 1))
    assert strong.sum() > 100
    assert (hit & strong).sum() >= 0.95 * strong.sum()
    assert (hit & (truth == 0)).sum() <= 0.2 * hit.sum()  # neighbours of hits, above the lower limit


def test_flagging_changes_the_mask_and_nothing_else(places):
    off, flag = planes(places["off"]), planes(places["flag"])
    np.testing.assert_array_equal(flag[0], off[0])
    np.testing.assert_array_equal(flag[1], off[1])
    np.testing.assert_array_equal(flag[2] & ~np.uint8(COSMIC), off[2])


def test_cleaning_replaces_the_hits_and_leaves_the_rest(places):
    flag, clean = planes(places["flag"]), planes(places["clean"])
    hit = (flag[2] & COSMIC) != 0
    np.testing.assert_array_equal((clean[2] & CLEANED) == CLEANED, hit)
    for ours, before in zip(clean[:2], flag[:2], strict=True):
        np.testing.assert_array_equal(ours[~hit], before[~hit])


def test_a_cleaned_pixel_is_the_mean_of_its_good_neighbours_and_its_uncertainty_their_scatter(places):
    before, _, mask = planes(places["flag"])
    after, uncertainty, _ = planes(places["clean"])
    hit, bad = (mask & COSMIC) != 0, (mask & ~np.uint8(COSMIC)) != 0
    compared = 0
    for y, x in np.argwhere(hit):
        around = np.s_[y - 2 : y + 3, x - 2 : x + 3]
        if np.any(bad[y - 4 : y + 5, x - 4 : x + 5]):
            continue  # what lies beside a bad pixel is no neighbour either
        good = before[around][~hit[around]]
        # sums of 25 float32 of some 200 e-
        assert after[y, x] == pytest.approx(good.mean(), rel=1e-5)
        assert uncertainty[y, x] == pytest.approx(good.std(ddof=1), rel=1e-5)
        compared += 1
    assert compared > 50


def test_what_was_done_stands_in_header_steps_and_figures(places):
    for mode in ("flag", "clean"):
        place = places[mode]
        number = int(np.count_nonzero(planes(place)[2] & COSMIC))
        cards = header(product(place))
        assert (cards["COSMICS"], cards["COSMICNP"]) == (mode, number)
        status, words = step(place)
        assert (status, words.startswith(f"{number} pixels ")) == ("applied", True)
        assert "sigclip 4.5, sigfrac 0.3, objlim 5, niter 4" in words
        assert [row["value"] for row in place.qa("cosmic_ray_pixels")] == [number]


def test_no_word_of_cosmic_rays_where_they_are_left_alone(places):
    place = places["off"]
    assert step(place) is None
    assert "COSMICS" not in header(product(place))
    assert place.qa("cosmic_ray_pixels") == []


def test_only_products_have_other_addresses(places):
    results = {mode: place.result() for mode, place in places.items()}
    masters = {mode: {p: s for p, s in found.items() if p.startswith("masters")} for mode, found in results.items()}
    assert masters["off"] == masters["flag"] == masters["clean"]
    names = {product(place).name for place in places.values()}
    assert len(names) == 3


def test_products_are_made_again_byte_for_byte_and_agree_with_the_reference(places):
    place = places["clean"]
    (result,) = [it for it in place.catalogue.current_results() if it.what == "product"]
    found = verifying.verify(place.catalogue, place.settings, result, reference=True)
    assert found.status == "same"
    assert found.against[0].largest < 0.05  # float32 of up to 1e5 e-


def test_frame_of_too_low_a_read_noise_is_left_alone(tmp_path):
    dark = replace(CAMERA, sky=simulator.Sky(sky_e_per_s=0.0, stars=0.0, cosmics_per_s=0.0))
    with one_night(tmp_path, dark, cosmics="clean", read_noise_e=0.5) as place:
        status, words = step(place)
        assert status == "skipped"
        # 5 e- and 24 e- of dark; half of three darks of 120 s and three biases, (5**2 + 48) / 12 + 5**2 / 12; the flat
        expected = np.sqrt((25 + 24 + 73 / 12 + 25 / 12) * np.mean(SENSOR.flat("V") ** -2.0))
        noise = float(words.removeprefix("the noise of the sky is ").split()[0])
        assert noise == pytest.approx(expected, rel=0.05)
        assert "check camera.gain_e_per_adu and camera.read_noise_e" in words
        assert not np.any(planes(place)[2] & CLEANED)
        assert place.light()["state"] == "done"


def test_noise_of_the_dark_current_is_no_cosmic_ray(tmp_path):
    """A warm sensor: 10 e-/s leave 25 e- of noise after 60 s where the read noise is 5 e-."""
    warm = replace(
        CAMERA,
        sensor=replace(SENSOR, dark_e_per_s=10.0),
        sky=simulator.Sky(sky_e_per_s=0.0, stars=0.0, cosmics_per_s=0.0),
    )
    with one_night(tmp_path, warm, cosmics="flag") as place:
        status, words = step(place)
        assert status == "applied"
        # sqrt(5**2 + 10 e-/s x 60 s) = 25 e-
        assert float(words.split("noise without sky ")[1].split()[0]) == pytest.approx(25.0, rel=0.05)
        assert np.count_nonzero(planes(place)[2] & COSMIC) < 1e-3 * SENSOR.shape[0] * SENSOR.shape[1]


def test_more_hits_than_can_be_are_none(tmp_path):
    storm = replace(CAMERA, sky=replace(CAMERA.sky, cosmics_per_s=20.0))
    with one_night(tmp_path, storm, cosmics="clean") as place:
        status, words = step(place)
        assert status == "skipped"
        assert "% of the pixels would be hits" in words
        assert not np.any(planes(place)[2] & CLEANED)


def test_frame_without_gain_is_left_alone(tmp_path):
    with one_night(tmp_path, replace(CAMERA, tells_gain=False), cosmics="flag") as place:
        assert step(place) == ("skipped", "gain unknown: set camera.gain_e_per_adu")


def test_mosaic_is_left_alone(tmp_path):
    cards = {"BAYERPAT": "RGGB", "EGAIN": 1.5, "RDNOISE": 6.0}
    with observatory(tmp_path, camera=[settings_of(tmp_path, cosmics="clean")]) as place:
        Bench(ONE, cards=cards).night(place.incoming)
        place.settle()
        assert step(place) == ("skipped", "the neighbours of a pixel of a Bayer mosaic have other colours")


def test_saturated_star_is_no_cosmic_ray(tmp_path):
    """The core of a star that saturates the converter has the sharpest edges of all."""
    quiet = replace(CAMERA, sky=replace(CAMERA.sky, cosmics_per_s=0.0))
    with observatory(tmp_path, camera=[settings_of(tmp_path, cosmics="flag")]) as place:
        light = write_night(place.incoming, camera=quiet)[-1]
        with fits.open(light, mode="update", memmap=False) as hdus:
            y, x = np.mgrid[: SENSOR.shape[0], : SENSOR.shape[1]]
            star = 500_000 * np.exp(-((y - 80.3) ** 2 + (x - 90.6) ** 2) / (2 * 1.5**2))
            hdus[0].data = np.minimum(hdus[0].data + star, 65535).astype(np.uint16)
        place.settle()
        mask = planes(place)[2]
        # 500000 exp(-r^2 / 4.5) > 65535 for r < 3.02: an area of 28.7 px
        assert np.count_nonzero(mask & MaskBit.SATURATED) == pytest.approx(28.7, abs=4)
        assert not np.any(mask[70:91, 80:102] & COSMIC)


def test_hits_are_found_under_every_amplifier(tmp_path):
    electronics = {"GAINA": 1.5, "GAINB": 2.4, "RDNOISEA": 6.0, "RDNOISEB": 9.0}
    bench = Bench(cards=electronics)
    with observatory(tmp_path, camera=[settings_of(tmp_path, cosmics="flag")]) as place:
        bench.night(place.incoming)
        light = place.incoming / "light0.fits"
        with fits.open(light, mode="update", memmap=False, do_not_scale_image_data=False) as hdus:
            # 1000 ADU: at least 1500 e- on a sky of 3000 e- with 58 e- of noise; columns of A and of B in the raw image
            for y, x in ((40, 30), (70, 130)):
                hdus[0].data[y, x] += 1000
        place.settle()
        hit = (planes(place)[2] & COSMIC) != 0
        # B reads columns 113 to 192 of the raw image into 81 to 160 of the product
        assert hit[40, 30]
        assert hit[70, 130 - 32]
        assert hit.sum() < 20
        _, words = step(place)
        # the larger read noise, and 30 e- of dark
        assert float(words.split("noise without sky ")[1].split()[0]) == pytest.approx(
            np.hypot(9, np.sqrt(30)), rel=0.1
        )
