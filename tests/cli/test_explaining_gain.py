"""Without a gain ``ingestd explain`` says what was looked for, and what the flats that are there measure."""

import re
from dataclasses import replace

import pytest

from tests.flow.observatory import CAMERA
from tests.scanned import Scanned

GAIN = CAMERA.sensor.gain_e_per_adu


def explained(place, **plan):
    """Return what is said of the light of a night whose headers tell no gain."""
    place.night(camera=replace(CAMERA, tells_gain=False), lights=1, **plan)
    place.scan()
    (frame,) = [it for it in place.json("frames") if it["kind"] == "light"]
    return place.output("explain", frame["path"])


def test_what_is_counted_is_named_and_what_is_measured(tmp_path):
    """The flats of the night itself tell its gain, but one night is not the three that are trusted unasked."""
    place = Scanned(tmp_path)
    text = explained(place, flats=4)
    assert "gain unknown: no setting, no card, fewer than 3 master flats of earlier nights" in text
    (sensor,) = place.json("sensor")
    figure = sensor["figures"]["gain_e_per_adu"]
    (told,) = re.findall(r"`ingestd sensor` measures (\S+) e-/ADU: set gain_e_per_adu below its", text)
    assert told == f"{figure['value']:.4g}"
    assert figure["value"] == pytest.approx(GAIN, abs=5 * figure["error"])


def test_without_flats_there_is_nothing_to_measure(tmp_path):
    assert "or take pairs of flats: `ingestd sensor` measures it then" in explained(Scanned(tmp_path), flats=0)
