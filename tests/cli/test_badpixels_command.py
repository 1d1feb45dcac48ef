"""``ingestd badpixels``: what the masters of a sensor of known defects say, and the map of it."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from astropy.io import fits

from ingestd.records import MaskBit
from tests.flow.observatory import CAMERA, SENSOR
from tests.scanned import NIGHT, Scanned

DEFECTIVE = replace(
    CAMERA,
    sensor=replace(
        SENSOR, hot_fraction=0.01, hot_e_per_s=500.0, noisy_fraction=0.01, noisy_factor=40.0, low_fraction=0.01
    ),
    sky=replace(CAMERA.sky, cosmics_per_s=0.0),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a scanned night of a sensor with hot, noisy and low pixels, 5 frames of each kind."""
    place = Scanned(tmp_path_factory.mktemp("badpixels"))
    place.night(camera=DEFECTIVE, biases=5, evening_darks=5, flats=5)
    place.scan()
    return place


def masks():
    """Return where hot, noisy and low pixels are in truth; hot: at least 20 e-/s."""
    sensor = DEFECTIVE.sensor
    dark = sensor.dark(DEFECTIVE.set_temp_c)
    return dark > np.median(dark) + 20, sensor.noisy(), sensor.low()


def test_every_master_tells_its_cause(place):
    (found,) = place.json("badpixels")
    told = {row["cause"]: row for row in found["masters"]}
    assert set(told) == {"noisy", "hot", "dead or low"}
    assert {row["night"] for row in told.values()} == {NIGHT}
    assert all(row["members"] == 5 for row in told.values())
    _, noisy, low = masks()
    # 5 frames of 40 times the noise: chi-square (4) below 4 (4.7 / 40)^2 = 0.055 in 4e-4 of them
    assert told["noisy"]["pixels"] == pytest.approx(noisy.sum(), abs=3)
    assert told["dead or low"]["pixels"] == pytest.approx(low.sum(), abs=3)
    assert 2 < told["noisy"]["age_d"] * 24 < 4, "biases at 17:30, lights from 20:30"


def test_map_holds_the_bits_of_all_and_names_its_masters(place, tmp_path):
    path = tmp_path / "map.fits"
    text = place.output("badpixels", "camera1", "--out", str(path))
    assert text.splitlines()[-1] == f"Written: {path}"
    with fits.open(path) as hdus:
        image, header = hdus[0].data, hdus[0].header
    hot, noisy, low = masks()
    is_hot, is_bad = (image & header[f"BIT{name}"] > 0 for name in ("HOT", "BAD"))
    assert (header["BITBAD"], header["BITHOT"]) == (MaskBit.BAD, MaskBit.HOT)
    assert image.dtype == np.uint8
    assert is_hot[hot].all()
    # (a noisy pixel may be hot by chance in the mean of five darks)
    assert not is_hot[(DEFECTIVE.sensor.dark(DEFECTIVE.set_temp_c) < 1) & ~noisy].any()
    # a low pixel that is hot or noisy has light or noise enough to pass once in a while; a good one is never called bad
    assert is_bad[noisy | low].mean() > 0.98
    assert not is_bad[~(noisy | low | hot)].any()
    assert header["NBAD"] == np.count_nonzero(image)
    for number, kind in enumerate(("bias", "dark", "flat"), 1):
        assert (place.data / "masters" / "camera1" / kind / header[f"MST{number:05d}"]).exists()
    again = tmp_path / "again.fits"
    place.output("badpixels", "--out", str(again))
    assert again.read_bytes() == path.read_bytes()


def test_products_carry_the_same_bits(place):
    product = next((place.data / "reduced").rglob("*.fits"))
    hot, noisy, low = masks()
    with fits.open(product) as hdus:
        mask = hdus["MASK"].data
    assert (mask[hot] & MaskBit.HOT > 0).all()
    assert (mask[noisy | low] & MaskBit.BAD > 0).mean() > 0.98


def test_figures_count_them(place):
    figures = {row["metric"]: row["value"] for row in place.json("qa", "--latest")}
    (found,) = place.json("badpixels")
    told = {row["cause"]: row["pixels"] for row in found["masters"]}
    assert figures["noisy_pixels"] == told["noisy"]
    assert figures["dead_pixels"] + figures["low_pixels"] == told["dead or low"]
    assert figures["dead_pixels"] > 0
    (flat,) = (row for row in found["masters"] if row["kind"] == "flat")
    assert flat["dead"] == figures["dead_pixels"]
    low = flat["pixels"] - flat["dead"]
    assert f"{flat['dead']} dead, {low} low" in place.output("badpixels")


def test_one_night_has_nothing_before_it(place):
    (found,) = place.json("badpixels")
    for row in found["masters"]:
        assert (row["nights"], row["first_night"], row["new"], row["gone"]) == (1, NIGHT, None, None)
        assert row["always"] == row["pixels"]


@pytest.fixture(scope="module")
def three_nights(tmp_path_factory):
    """Return three scanned nights: the hot pixels are there in the second only, the low and noisy ones in all."""
    place = Scanned(tmp_path_factory.mktemp("nights"))
    cool = replace(DEFECTIVE, sensor=replace(DEFECTIVE.sensor, hot_fraction=0.0))
    for day, camera in ((15, cool), (16, DEFECTIVE), (17, cool)):
        place.night(date(2026, 1, day), camera, biases=5, evening_darks=5, flats=5)
    place.scan()
    return place


def test_what_is_new_and_gone_since_the_night_before_is_told(three_nights):
    (found,) = three_nights.json("badpixels", "--nights", "2")
    told = {row["cause"]: row for row in found["masters"]}
    hot, _, low = masks()
    assert {(row["nights"], row["first_night"]) for row in told.values()} == {(2, "2026-01-16")}
    # 5 hot frames of 15 are clipped: the dark of the third night has none of them, that of the second has all.
    assert told["hot"]["gone"] >= hot.sum()
    assert told["hot"]["always"] == told["hot"]["pixels"] - told["hot"]["new"]
    # Low pixels are low in every night; 3 of them may be so near the limit, or hot, that noise decides.
    assert told["dead or low"]["always"] == pytest.approx(low.sum(), abs=3)
    assert told["dead or low"]["new"] + told["dead or low"]["gone"] <= 3
    assert "new  gone  always  of nights  since" in three_nights.output("badpixels")


def test_map_counts_the_nights_of_every_pixel(three_nights, tmp_path):
    path = tmp_path / "map.fits"
    three_nights.output("badpixels", "--out", str(path))
    with fits.open(path) as hdus:
        header, nights = hdus[0].header, hdus["NIGHTS"].data
    hot, noisy, low = masks()
    assert nights.dtype.kind == "i"
    assert (header["NGT00002"], header["FST00002"]) == (3, "2026-01-15")
    assert (nights[low] == 3).mean() > 0.98
    alone = hot & ~(low | noisy)
    assert (nights[alone] == 1).all()
    assert not nights[(DEFECTIVE.sensor.dark(DEFECTIVE.set_temp_c) < 1) & ~(noisy | low)].any()


def test_a_file_that_is_there_is_not_overwritten(place, tmp_path):
    path = tmp_path / "map.fits"
    path.write_text("mine")
    result = place.run("badpixels", "--out", str(path))
    assert (result.exit_code, path.read_text()) == (1, "mine")
    assert "Remove it, or name another" in result.output


def test_a_map_is_of_one_configuration(place, tmp_path):
    result = place.run("badpixels", "--setup", "no such", "--out", str(tmp_path / "map.fits"))
    assert result.exit_code == 1
    assert "here are 0 (none)" in result.output
    assert place.output("badpixels", "--setup", "no such") == "There are no masters yet that could tell.\n"


def test_a_lost_master_of_an_earlier_night_is_left_out(three_nights):
    (path,) = (three_nights.data / "masters").glob("*/bias/2026-01-16_*.fits")
    away = path.rename(path.with_suffix(".away"))
    try:
        (found,) = three_nights.json("badpixels")
    finally:
        away.rename(path)
    told = {row["kind"]: row["nights"] for row in found["masters"]}
    assert told["bias"] == 2
    assert told["dark"] == 3
