"""Windows: what the key of a configuration tells of them, and the part of a master that is a frame's window."""

from __future__ import annotations

import pytest

from ingestd.records import Kind, Match, Section, Wait
from ingestd.rules import matching, windows
from ingestd.settings import Camera, Settings
from tests.rules.builders import configuration, frame, master

CAMERA = Camera("main")
SETTINGS = Settings(camera=(CAMERA,))


def key(x, y, width, height, **changes):
    return configuration(window=None if x is None else (x, y), width_px=width, height_px=height, **changes).key()


def test_key_is_set_up_and_window():
    full = configuration(
        instrument="A | B @ C", window=(3, 4), image_px=(90, 80), width_px=100, height_px=80, extra=(("P", "x @ y"),)
    )
    assert full.key() == "A %7C B %40 C | bin 1x1 | P = x %40 y @ 100x80 image 90x80 origin 3,4"
    assert windows.setup_of(full.key()) == "A %7C B %40 C | bin 1x1 | P = x %40 y"
    assert windows.window_of(full.key()) == windows.Window(90, 80, (3, 4))
    assert windows.window_of(configuration().key()) == windows.Window(765, 510, None)


@pytest.mark.parametrize("text", ["", "no window", "a @ b", "a @ 1x2 origin 3", " @ "])
def test_text_that_is_no_key_has_no_window(text):
    assert windows.window_of(text) is None
    assert windows.cut_of(text, key(0, 0, 9, 9)) is None


@pytest.mark.parametrize(
    ("wanted", "held", "cut"),
    [
        (key(10, 20, 30, 40), key(0, 0, 100, 100), Section(20, 60, 10, 40)),
        (key(10, 20, 30, 40), key(10, 20, 30, 40), Section(0, 40, 0, 30)),
        (key(10, 20, 30, 40), key(10, 20, 31, 40), Section(0, 40, 0, 30)),
        (key(-5, 0, 30, 40), key(-10, -10, 100, 100), Section(10, 50, 5, 35)),
        (key(10, 20, 30, 40), key(0, 0, 39, 100), None),
        (key(10, 20, 30, 40), key(11, 20, 100, 100), None),
        (key(10, 20, 30, 40), key(0, 21, 100, 100), None),
        (key(10, 20, 30, 40), key(None, None, 100, 100), None),
        (key(None, None, 30, 40), key(0, 0, 100, 100), None),
        (key(10, 20, 30, 40), key(0, 0, 100, 100, x_binning=2), None),
        (key(10, 20, 30, 40, readout_mode="fast"), key(0, 0, 100, 100), None),
        (key(10, 20, 30, 40, planes=2), key(0, 0, 100, 100, planes=2), None),
        (key(10, 20, 62, 40, image_px=(30, 40)), key(0, 0, 132, 100, image_px=(100, 100)), Section(20, 60, 10, 40)),
        (key(90, 20, 42, 40, image_px=(10, 40)), key(0, 0, 132, 100, image_px=(99, 100)), None),
    ],
)
def test_cut_is_the_window_of_the_frame_in_the_image_of_the_master(wanted, held, cut):
    assert windows.cut_of(wanted, held) == cut


def choose(subject, *biases):
    return matching.calibration_for(subject, {Kind.BIAS: biases}, SETTINGS, CAMERA).bias


def test_match_carries_the_cut_and_says_so():
    subject = frame(configuration=configuration(window=(5, 6), width_px=100, height_px=80), exposure_s=0.5)
    full = master(Kind.BIAS, "full", configuration=key(0, 0, 765, 510))
    choice = choose(subject, full)
    assert isinstance(choice, Match)
    assert choice.cut == Section(6, 86, 5, 105)
    assert choice.candidates[0].reason.endswith("cut to the window of the frame out of 765x510 at 0,0")


def test_own_window_goes_before_a_better_grade_of_a_larger_one():
    subject = frame(configuration=configuration(window=(5, 6), width_px=100, height_px=80), exposure_s=0.5)
    full = master(Kind.BIAS, "full", configuration=key(0, 0, 765, 510))
    own = master(Kind.BIAS, "own", age_d=80, grade="red", configuration=subject.configuration.key())
    choice = choose(subject, full, own)
    assert isinstance(choice, Match)
    assert (choice.master, choice.cut) == (own, None)


def test_frame_without_a_master_of_its_window_waits_and_is_told_the_nearest():
    subject = frame(configuration=configuration(window=(0, 0)), exposure_s=0.5)
    small = master(Kind.BIAS, "small", configuration=key(5, 6, 100, 80))
    choice = choose(subject, small)
    assert isinstance(choice, Wait)
    assert "window 100x80 at 5,6 does not hold 765x510 at 0,0" in choice.reason
