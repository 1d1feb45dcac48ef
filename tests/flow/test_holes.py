"""Pixels without a value (NaN in floats, BLANK in integers) and huge ones: masters and products are made anyhow."""

import math

import numpy as np
import pytest
from astropy.io import fits

from tests.flow.observatory import CAMERA, observatory, write_night

HOLE = (7, 9)
BLANK = -32768
NIGHT = {"biases": 4, "evening_darks": 4, "flats": 4, "lights": 1}


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


def rewrite(path, pixels, **cards):
    """Write other samples under the cards of a frame."""
    header = fits.getheader(path)
    for keyword in ("BSCALE", "BZERO"):
        header.remove(keyword, ignore_missing=True)
    header.update(cards)
    path.unlink()
    fits.PrimaryHDU(pixels, header).writeto(path)


def with_hole(path, how, has_hole):
    """Write a frame anew as floats or as signed integers, one pixel without a value."""
    pixels = fits.getdata(path)
    if how == "BLANK":
        # Half the level: what is above 32767 in unsigned samples does not fit into signed ones.
        samples, hole, cards = (pixels // 2).astype(np.int16), BLANK, {"BLANK": BLANK}
    else:
        samples, hole, cards = pixels.astype(np.float32), float(how), {}
    if has_hole:
        samples[HOLE] = hole
    rewrite(path, samples, **cards)


def build(place, how, kind):
    """Process a night in which one frame of a kind has a hole; return its masters and light."""
    paths = write_night(place.incoming, **NIGHT)
    starts = {"bias": "bias", "dark": "dark", "flat": "flat", "light": "M13"}
    named = {it: [path for path in paths if path.name.startswith(start)] for it, start in starts.items()}
    for path in paths:
        with_hole(path, how, path == named[kind][0])
    place.settle()
    return named


@pytest.mark.parametrize("kind", ["bias", "dark", "flat", "light"])
@pytest.mark.parametrize("how", ["nan", "inf", "BLANK"])
def test_one_pixel_without_a_value_costs_no_master(place, how, kind):
    named = build(place, how, kind)
    assert sorted(master["kind"] for master in place.masters()) == ["bias", "dark", "flat"]
    light = place.frame(named["light"][0].name)
    assert (light["state"], light["reason"]) == ("done", "reduced")


def test_the_master_has_the_mean_of_the_others_where_one_has_no_value(place):
    named = build(place, "nan", "bias")
    (master,) = place.masters("bias")
    members = np.array([fits.getdata(path)[HOLE] for path in named["bias"][1:]], np.float64)
    image, error = (fits.getdata(place.data / master["path"], number)[HOLE] for number in (0, 1))
    assert image == pytest.approx(members.mean(), abs=1e-3)  # float32
    assert 0 < error < math.inf


def test_the_read_noise_is_that_of_the_other_pixels(place):
    build(place, "nan", "bias")
    noises = {name: place.qa(name)[0]["value"] for name in ("read_noise_adu", "read_noise_stack_adu")}
    sensor = CAMERA.sensor
    truth = math.hypot(sensor.read_noise_e / sensor.gain_e_per_adu, 1 / math.sqrt(12))  # floats tell no step
    # Of 4 frames each pixel has 3 degrees of freedom: 1 / sqrt(2 x 3 x pixels), below 1 % for the simulated sensor.
    assert noises["read_noise_adu"] == pytest.approx(truth, rel=0.04)
    assert noises["read_noise_stack_adu"] == pytest.approx(truth, rel=0.04)


@pytest.mark.parametrize("factor", [1e15, 1e16, 1e30, 1e34])
def test_huge_samples_give_a_master_or_a_reason(place, factor):
    """1e15 x 65535 is 6.6e19, whose square no float32 holds; 1e34 is close to the largest float32 itself."""
    for path in write_night(place.incoming, **NIGHT):
        rewrite(path, fits.getdata(path).astype(np.float32) * np.float32(factor))
    place.settle()
    built = {master["kind"] for master in place.masters()}
    for frame in place.frames():
        assert frame["kind"] in built or frame["state"] in ("quarantined", "provisional", "waiting", "done"), frame
    assert built >= {"bias", "dark"}
    assert not [row for row in place.catalogue.events() if "program error" in str(row)]


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (2, 2)])
def test_a_bias_of_one_line_is_a_bias(place, shape):
    rng = np.random.default_rng(3)
    for path in write_night(place.incoming, biases=4, evening_darks=0, flats=0, lights=0):
        rewrite(path, rng.normal(1000.0, 5.0, shape).astype(np.float32))
    place.settle()
    (master,) = place.masters("bias")
    assert fits.getdata(place.data / master["path"]).shape == shape
