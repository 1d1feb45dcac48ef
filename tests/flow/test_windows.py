"""Windows: a master of more of the sensor is cut to the window of a frame, and its own window is preferred."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ingestd.flow import verifying
from ingestd.records import Kind
from tests.flow.observatory import observatory
from tests.flow.structured_frames import ONE, Bench

ROWS, COLUMNS = slice(30, 90), slice(25, 125)
WINDOW = {"XORGSUBF": 25, "YORGSUBF": 30}
FULL = {"XORGSUBF": 0, "YORGSUBF": 0, "EGAIN": 1.5, "RDNOISE": 6.0}


class WindowBench(Bench):
    """A bench that reads out all of its sensor or a window, as the cards of its header say."""

    window: tuple[slice, slice] | None = None

    def parts(self, kind, exposure_s, level_e):
        ((image, over),) = super().parts(kind, exposure_s, level_e)
        return [(image, over) if self.window is None else (image[self.window], over[self.window[0]])]

    def in_window(self, rows=ROWS, columns=COLUMNS, **cards):
        """Read out a window from now on."""
        self.window = rows, columns
        self.cards = {**self.cards, "XORGSUBF": columns.start, "YORGSUBF": rows.start, **cards}
        return self

    def in_full(self):
        self.window = None
        self.cards = {**self.cards, **FULL}
        return self


def bench():
    return WindowBench(ONE, cards=dict(FULL))


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


def used(place, name="light0.fits"):
    return place.used(name)


def test_full_frame_masters_are_cut_to_the_window_of_a_light(place):
    camera = bench()
    camera.night(place.incoming, lights=0)
    camera.in_window().write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    assert place.state("light.fits") == ("done", "reduced")
    product = place.product("light.fits")
    signal = fits.getdata(product).astype(float)
    assert signal.shape == (60, 100)
    # the flat's gradient makes another window show another level: 60 000 pixels of 58 e- and the flat's level
    assert signal.mean() == pytest.approx(3000, abs=6)
    raw = fits.getdata(place.incoming / "light.fits").astype(float)
    arrays = {
        kind: fits.getdata(place.data / place.used("light.fits")[kind]["path"])[ROWS, COLUMNS]
        for kind in ("dark", "flat")
    }
    assert np.allclose(signal, (raw - arrays["dark"]) / arrays["flat"] * 1.5, rtol=1e-6, atol=0.01)


def test_the_match_says_that_and_what_was_cut(place):
    camera = bench()
    camera.night(place.incoming, lights=0)
    camera.in_window().write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    product = place.product("light.fits")
    cards = fits.getheader(product)
    assert cards["DARKCUT"] == cards["FLATCUT"] == "[26:125,31:90]"
    assert place.steps("light.fits")["dark"][1].endswith("cut to [26:125,31:90]")
    assert place.used("light.fits")["flat"]["cut"] == "30:90,25:125"
    explanation = place.catalogue.explanation(place.frame("light.fits")["frame_id"])
    assert "cut to the window of the frame out of 160x120 at 0,0" in explanation


def test_masters_of_the_same_window_are_preferred(place):
    camera = bench()
    camera.night(place.incoming, lights=0)
    camera.in_window()
    for n in range(3):
        camera.write_single(place.incoming / f"small{n}.fits", Kind.DARK, 60.0)
    camera.write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    found = place.used("light.fits")
    assert (found["dark"]["cut"], found["flat"]["cut"]) == (None, "30:90,25:125")
    assert fits.getdata(place.data / found["dark"]["path"]).shape == (60, 100)


def test_full_frame_dark_of_the_exposure_goes_before_one_of_the_window_to_be_scaled(place):
    camera = bench()
    camera.night(place.incoming, lights=0)
    camera.in_window()
    for n in range(3):
        camera.write_single(place.incoming / f"small{n}.fits", Kind.DARK, 300.0)
    camera.write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    assert (place.used("light.fits")["dark"]["how"], place.used("light.fits")["dark"]["cut"]) == (
        "exact",
        "30:90,25:125",
    )


def test_master_of_a_window_serves_a_window_inside_it_and_no_other(place):
    camera = bench().in_window()
    camera.night(place.incoming, lights=0)
    inside = camera.in_window(slice(40, 80), slice(25, 105))
    inside.write_single(place.incoming / "inside.fits", Kind.LIGHT, 60.0, 3000.0)
    beyond = camera.in_window(slice(40, 80), slice(24, 104))
    beyond.write_single(place.incoming / "beyond.fits", Kind.LIGHT, 60.0, 3000.0)
    camera.in_full().write_single(place.incoming / "full.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    assert place.state("inside.fits") == ("done", "reduced")
    assert place.used("inside.fits")["dark"]["cut"] == "10:50,0:80"
    for name in ("beyond.fits", "full.fits"):
        assert place.state(name) == ("provisional", "missing_master")
        assert place.used(name) == {}
    words = place.catalogue.explanation(place.frame("beyond.fits")["frame_id"])
    assert "window 100x60 at 25,30 does not hold 80x40 at 24,40" in words


def test_a_light_in_a_window_is_reduced_again_when_full_frame_masters_come(place):
    camera = bench()
    camera.in_window().write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    assert place.state("light.fits") == ("provisional", "missing_master")
    camera.in_full().night(place.incoming, lights=0)
    place.settle()
    assert place.state("light.fits") == ("done", "reduced")


def test_flats_of_a_window_are_built_with_full_frame_darks(place):
    camera = bench()
    camera.night(place.incoming, flats=0, lights=0)
    camera.in_window().night(place.incoming, biases=0, darks=0)
    place.settle()
    assert place.state("light0.fits") == ("done", "reduced")
    found = place.used("light0.fits")
    assert (found["dark"]["cut"], found["flat"]["cut"]) == ("30:90,25:125", None)
    (gain,) = place.qa("gain_electrons_per_adu")
    assert gain["value"] == pytest.approx(1.5, abs=5 * gain["error"])


def test_another_binning_is_no_window(place):
    camera = bench()
    camera.night(place.incoming, lights=0)
    camera.in_window(XBINNING=2, YBINNING=2).write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    assert place.used("light.fits") == {}


def test_windows_are_known_from_sections_of_the_detector(place):
    camera = WindowBench(ONE, cards={"EGAIN": 1.5, "RDNOISE": 6.0, "CCDSEC": "[1:160,1:120]"})
    camera.night(place.incoming, lights=0)
    camera.window = ROWS, COLUMNS
    camera.cards["CCDSEC"] = "[26:125,31:90]"
    camera.write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    camera.cards["CCDSEC"] = "[125:26,31:90]"
    camera.write_single(place.incoming / "mirrored.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    assert place.used("light.fits")["dark"]["cut"] == "30:90,25:125"
    assert place.used("mirrored.fits") == {}


def test_product_with_cut_masters_is_made_again_byte_for_byte(place):
    camera = bench()
    camera.night(place.incoming, lights=0)
    camera.in_window().write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
    place.settle()
    (result,) = verifying.find(place.catalogue, place.settings, str(place.product("light.fits")))
    verdict = verifying.verify(place.catalogue, place.settings, result, reference=True)
    assert verdict.status == "same"
    # float32 of 3000 e-
    assert [against.largest < 2e-3 for against in verdict.against] == [True]
