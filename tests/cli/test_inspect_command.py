"""``ingestd inspect``: what it prints, without settings; the numbers are those of numpy on the same pixels."""

import json
import os

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from ingestd.cli import program
from tests.flow.observatory import CAMERA, write_night

GAIN = CAMERA.sensor.gain_e_per_adu


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Return the files of a night by kind: 5 biases, 3 darks of 120 s, 2 flats."""
    folder = tmp_path_factory.mktemp("night") / "raw"
    written = write_night(folder, biases=5, flats=2)
    return {kind: [path for path in written if path.name.startswith(kind)] for kind in ("bias", "dark", "flat")}


def run(*arguments):
    return CliRunner().invoke(program, ["inspect", *map(str, arguments)])


def output(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def inspected(*arguments):
    return json.loads(output(*arguments, "--json"))


def test_figures_of_a_frame_are_those_of_numpy(frames):
    pixels = fits.getdata(frames["bias"][0]).astype(float)
    (frame,) = inspected(frames["bias"][0])["frames"]
    (area,) = frame["planes"][0]["areas"]
    found = area["description"]
    assert (found["mean"], found["median"]) == (pytest.approx(pixels.mean()), np.median(pixels))
    assert found["deviation"] == pytest.approx(pixels.std())
    highest = found["highest"]
    assert highest["value"] == pixels.max()
    assert [highest["y"], highest["x"]] == list(np.unravel_index(pixels.argmax(), pixels.shape))
    assert [spot["value"] for spot in found["brightest"]] == sorted(pixels.ravel())[:-6:-1]
    assert sum(bar["pixels"] for bar in found["bars"]) == pytest.approx(pixels.size, rel=0.01)


def test_kind_is_told_with_the_card_it_comes_from(frames):
    (frame,) = inspected(frames["dark"][0])["frames"]
    assert (frame["kind"], frame["dialect"]) == ("dark", "MaxIm DL")
    assert "IMAGETYP" in frame["kind_source"]
    assert "dark, by IMAGETYP" in output(frames["dark"][0])


def test_place_is_told_as_numpy_and_as_viewers_count(frames):
    pixels = fits.getdata(frames["bias"][0])
    y, x = np.unravel_index(pixels.argmax(), pixels.shape)
    line = next(line for line in output(frames["bias"][0]).splitlines() if "brightest 1" in line)
    assert f"[{y}, {x}]" in line
    assert line.endswith(f"{x + 1},{y + 1}")


def test_box_is_a_section_as_in_headers(frames):
    pixels = fits.getdata(frames["bias"][0])
    areas = inspected(frames["bias"][0], "--box", "[11:50,21:60]")["frames"][0]["planes"][0]["areas"]
    assert areas[-1]["name"] == "box"
    assert areas[-1]["section"] == {"y0": 20, "y1": 60, "x0": 10, "x1": 50}
    assert areas[-1]["description"]["mean"] == pytest.approx(pixels[20:60, 10:50].mean())


def test_pixel_counts_from_one_with_x_first(frames):
    stack = np.array([fits.getdata(path)[29, 19] for path in frames["bias"]], float)
    found = inspected(*frames["bias"], "--pixel", "20,30")
    assert [frame["planes"][0]["pixel"] for frame in found["frames"]] == list(stack)
    line = next(line for line in output(*frames["bias"], "--pixel", "20,30").splitlines() if "the pixel: " in line)
    assert line.startswith(f"the pixel: mean {stack.mean():.6g}, std {stack.std(ddof=1):.6g} ADU")


def test_read_noise_stands_there_each_way(frames):
    (found,) = inspected(*frames["bias"])["sets"]
    noise = found["planes"][0]["noise"]
    stack = np.array([fits.getdata(path) for path in frames["bias"]], float)
    deviations = stack.std(axis=0, ddof=1)
    true = CAMERA.sensor.read_noise_adu
    # 4 independent deviations of 12 288 pixels: 0.32 % of relative error, five of them.
    assert noise["pairs"]["value"] == pytest.approx(true, rel=0.016)
    assert noise["stack"]["value"] == pytest.approx(true, rel=0.016)
    assert noise["plain_mean"] == pytest.approx(deviations.mean(), rel=1e-5)
    assert noise["plain_median"] == pytest.approx(np.median(deviations), rel=1e-5)
    assert noise["mean_factor"] == pytest.approx(0.9400, abs=1e-4)  # c4(5)
    assert noise["image_deviation"] == pytest.approx(stack[0].std(), rel=1e-5)
    text = output(*frames["bias"])
    assert "biased: times c4(5) = 0.9400" in text
    assert "it contains the structure of the image" in text


def test_dark_rate_needs_biases(frames):
    assert "name biases of the same size" in output(*frames["dark"])
    found = inspected(*frames["dark"], *frames["bias"])["sets"][0]["planes"][0]["dark"]
    truth = CAMERA.sensor.dark(CAMERA.set_temp_c) / GAIN
    # The sensor is within 0.15 C of its set point: 2 % of the dark current.
    assert found["median"]["value"] == pytest.approx(np.median(truth), rel=0.06)
    assert found["mean"]["value"] == pytest.approx(truth.mean(), rel=0.06)


def test_gain_stands_there_each_way(frames):
    planes = inspected(*frames["flat"], *frames["bias"])["sets"][0]["planes"]
    by_hand = planes[0]["gain_by_hand"]
    # A variance of 3072 pixels in the middle is good to 2.6 %, one of 12 288 pixels to 1.3 %; four of each.
    assert by_hand["janesick"] == pytest.approx(GAIN, rel=0.10)
    assert planes[0]["gain"]["value"] == pytest.approx(GAIN, rel=0.05)
    level = by_hand["levels_adu"][0]
    assert by_hand["quick"] / by_hand["janesick"] == pytest.approx(1 + by_hand["pedestal_adu"] / level, rel=0.01)
    text = output(*frames["flat"], *frames["bias"])
    assert "clipped at 3 sigma;\n    times 0.970" in text
    assert "in the quick form (F1+F2) / var(F1-F2): off by" in text
    assert f"gain {GAIN:g} e-/ADU says the header (EGAIN)" in text


def test_frames_without_a_type_are_what_one_says(frames, tmp_path):
    path = tmp_path / "x0001.fit"
    with fits.open(frames["bias"][0]) as hdus:
        del hdus[0].header["IMAGETYP"]
        hdus.writeto(path)
    assert inspected(path)["frames"][0]["kind"] == "unknown"
    assert inspected(path, "--kind", "bias")["frames"][0]["kind_source"] == "--kind"
    found = inspected(*frames["dark"], "--bias", path)["sets"][0]["planes"][0]["dark"]
    assert found["median"]["value"] > 0


def test_header_is_printed_on_demand(frames):
    assert "IMAGETYP= 'Bias Frame'" in output(frames["bias"][0], "--header")
    assert "IMAGETYP= 'Bias Frame'" not in output(frames["bias"][0])


def test_mean_and_standard_deviation_are_written_elsewhere(frames, tmp_path):
    stack = np.array([fits.getdata(path) for path in frames["bias"]], float)
    output(*frames["bias"], "--mean", tmp_path / "mean.fits", "--std", tmp_path / "std.fits")
    assert np.allclose(fits.getdata(tmp_path / "mean.fits"), stack.mean(axis=0), rtol=1e-6)
    assert np.allclose(fits.getdata(tmp_path / "std.fits"), stack.std(axis=0, ddof=1), rtol=1e-5)
    assert fits.getheader(tmp_path / "mean.fits")["NCOMBINE"] == 5


@pytest.mark.parametrize("folder", [".", "below"])
def test_nothing_is_written_beside_raw_frames(frames, folder):
    raw = frames["bias"][0].parent
    before = sorted(raw.rglob("*"))
    result = run(*frames["bias"], "--mean", raw / folder / "mean.fits")
    assert result.exit_code == 1
    assert "beside raw frames" in result.output
    assert sorted(raw.rglob("*")) == before


def test_nothing_is_written_over(frames, tmp_path):
    (tmp_path / "mean.fits").write_text("mine")
    assert run(*frames["bias"], "--mean", tmp_path / "mean.fits").exit_code == 1
    assert (tmp_path / "mean.fits").read_text() == "mine"


def test_brief_is_a_line_for_each_frame_and_then_the_sets(frames):
    heading, *rows = output(*frames["bias"], "--brief").split("\n\n")[0].splitlines()
    assert len(rows) == 5
    for path, row in zip(frames["bias"], rows, strict=True):
        pixels = fits.getdata(path)
        assert row.startswith(f"{path}  bias")
        assert row.split()[-2:] == [str(pixels.min()), str(pixels.max())]
        assert f"{pixels.mean():.6g}" in row
    assert heading.split()[-2:] == ["lowest", "brightest"]
    assert "read noise, 5 frames" in output(*frames["bias"], "--brief")


def test_brief_has_no_room_for_headers(frames):
    result = run(frames["bias"][0], "--brief", "--header")
    assert result.exit_code == 2
    assert "leave out one" in result.output


def test_brief_of_nothing_readable_says_why(tmp_path):
    result = run(tmp_path / "missing.fits", "--brief")
    assert result.exit_code == 1
    assert "unreadable: No such file" in result.stderr


def test_an_image_of_several_sets_is_refused(frames, tmp_path):
    result = run(*frames["bias"], *frames["dark"], "--mean", tmp_path / "mean.fits")
    assert result.exit_code == 1
    assert "need one set" in result.output


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(frames, tmp_path):
    cut = tmp_path / "cut.fits"
    cut.write_bytes(frames["bias"][0].read_bytes()[:5000])
    link, missing = tmp_path / "link.fits", tmp_path / "missing.fits"
    os.symlink(link, link)
    result = run(cut, link, missing, frames["bias"][1])
    assert result.exit_code == 1
    assert f"{cut}: incomplete: " in result.stderr
    assert f"{link}: not_a_regular_file: it is a symbolic link" in result.stderr
    assert f"{missing}: unreadable: No such file" in result.stderr
    assert "3 of 4 files could not be looked at." in result.stderr
    assert str(frames["bias"][1]) in result.stdout


def test_a_link_that_is_named_is_followed(frames, tmp_path):
    """As those in ``current`` to the products; below watched directories none is (tests/doors)."""
    link = tmp_path / "link.fits"
    link.symlink_to(frames["bias"][0])
    (through,), (direct,) = inspected(link)["frames"], inspected(frames["bias"][0])["frames"]
    assert through == {**direct, "path": str(link)}


@pytest.mark.parametrize(
    "arguments", [("--box", "10:20,10:20,3"), ("--box", "[0:5,1:9]"), ("--pixel", "0,4"), ("--pixel", "seven")]
)
def test_wrong_places_are_refused(frames, arguments):
    assert run(frames["bias"][0], *arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [("--box", "[1:4000,1:10]"), ("--pixel", "4000,1")])
def test_places_outside_are_told(frames, arguments):
    result = run(frames["bias"][0], *arguments)
    assert result.exit_code == 1
    assert "4000" in result.stderr


def test_bar_is_shown_where_there_are_several(frames):
    assert "Reading" in run(*frames["bias"]).stderr
    assert "Reading" not in run(*frames["bias"], "--quiet").stderr
    assert "Reading" not in run(frames["bias"][0]).stderr
