"""``ingestd inspect`` of odd frames: what cannot be measured is told in a line, and the rest is shown."""

import json

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from ingestd.cli import program

CARDS = {"INSTRUME": "Camera", "EXPTIME": 0.0, "CCD-TEMP": -20.0}
GAIN = 1.5


def write(folder, name, pixels, kind="Bias Frame", **cards):
    """Write a frame; return its path."""
    path = folder / f"{name}.fits"
    header = fits.Header({**CARDS, "IMAGETYP": kind, "DATE-OBS": "2026-01-15T20:00:00", **cards})
    fits.PrimaryHDU(pixels, header).writeto(path)
    return path


def biases(folder, shape=(64, 64), number=4, spoil=None):
    """Write biases of 1000 ADU with 5 ADU of noise, as floats; ``spoil`` changes the pixels of the second."""
    rng, paths = np.random.default_rng(5), []
    for i in range(number):
        pixels = rng.normal(1000.0, 5.0, shape).astype(np.float32)
        if spoil is not None and i == 1:
            spoil(pixels)
        paths.append(write(folder, f"bias{i}", pixels))
    return paths


def run(*arguments):
    result = CliRunner().invoke(program, ["inspect", "--quiet", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def output(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def noise_of(*arguments):
    return json.loads(output(*arguments, "--json"))["sets"][0]["planes"][0]["noise"]


def test_a_pixel_asked_for_that_has_no_value_is_told(tmp_path):
    def spoil(pixels):
        pixels[3, 5] = np.nan

    paths = biases(tmp_path, spoil=spoil)
    text = output(*paths, "--pixel", "6,4")
    assert text.count("the pixel asked for has no value: nan") == 1
    others = [fits.getdata(path)[3, 5] for path in paths if path.name != "bias1.fits"]
    assert f"the pixel: mean {np.mean(others, dtype=float):.6g}" in text
    assert "NaN" not in output(*paths, "--pixel", "6,4", "--json")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_without_a_value_is_left_out(tmp_path, value):
    def spoil(pixels):
        pixels[3, 5] = value

    noise = noise_of(*biases(tmp_path, spoil=spoil))
    # 3 degrees of freedom in 4096 pixels: 0.64 % of relative error, five of them
    assert noise["pairs"]["value"] == pytest.approx(5.0, rel=0.032)
    assert noise["stack"]["value"] == pytest.approx(5.0, rel=0.032)


def test_one_row_has_a_read_noise_but_no_vertical_neighbours(tmp_path):
    paths = biases(tmp_path, shape=(1, 300))
    noise = noise_of(*paths)
    # 3 degrees of freedom in 300 pixels: 2.4 % of relative error, four of them
    assert noise["stack"]["value"] == pytest.approx(5.0, rel=0.10)
    assert noise["neighbours"] is None
    assert "too few of them" in output(*paths)


def test_one_pixel_tells_its_mean_but_no_noise(tmp_path):
    text = output(*biases(tmp_path), "--box", "[3:3,3:3]")
    assert "no noise of one pixel: a single pixel tells no noise" in text
    assert "mean image" in text
    (tmp_path / "one").mkdir()
    assert "no noise of one pixel: a single pixel" in output(*biases(tmp_path / "one", shape=(1, 1)))


def test_a_box_without_a_value_is_told_and_the_rest_is_shown(tmp_path):
    def spoil(pixels):
        pixels[:8, :8] = np.nan

    text = output(*biases(tmp_path, spoil=spoil), "--box", "[1:8,1:8]")
    assert "box: no finite pixel to measure" in text
    assert "no mean image: no finite pixel to measure" in text
    assert text.count("brightest 1") == 2 * 3 + 1  # whole frame and box, of three; the whole of the other


def test_a_plane_without_a_value_is_told_and_the_other_is_shown(tmp_path):
    path = tmp_path / "two.fits"
    good, bad = np.full((8, 8), 7.0, np.float32), np.full((8, 8), np.nan, np.float32)
    header = fits.Header({**CARDS, "IMAGETYP": "Bias Frame"})
    fits.HDUList([fits.PrimaryHDU(None, header), fits.ImageHDU(good), fits.ImageHDU(bad)]).writeto(path)
    text = output(path)
    assert "whole: no finite pixel to measure" in text
    assert "7" in text


def test_gain_by_hand_is_that_of_the_whole_box(tmp_path):
    """A quarter of the box has half the light, in both flats: that is in the mean, not in the noise."""
    paths, rng = biases(tmp_path, number=2), np.random.default_rng(6)
    light = np.full((64, 64), 20_000.0)
    light[:16] = 10_000.0
    for i in range(2):
        pixels = (1000.0 + rng.poisson(light * GAIN) / GAIN + rng.normal(0, 5.0, light.shape)).astype(np.float32)
        paths.append(write(tmp_path, f"flat{i}", pixels, "Flat Field", EXPTIME=1.0, FILTER="V"))

    def level(*arguments):
        found = json.loads(output(*paths, "--json", *arguments))["sets"]
        return next(it for it in found if it["kind"] == "flat")["planes"][0]["gain_by_hand"]["levels_adu"][0]

    assert level() == pytest.approx(20_000.0, rel=0.001)  # the middle half
    assert level("--box", "[1:64,1:64]") == pytest.approx(17_500.0, rel=0.001)  # a quarter has half the light
    assert "by hand over the box" in output(*paths, "--box", "[1:64,1:64]")
    assert "by hand over the middle" in output(*paths)
