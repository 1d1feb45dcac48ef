"""Association rules of the settings and an operator's range of times, from the header to the product."""

import pytest

from ingestd import simulator
from ingestd.records import Kind
from tests.flow.observatory import SENSOR, header, observatory, with_cards, write_night, write_shot

FLAT_RULES = {"flat": {"exact": ["GRATING"], "numbers": {"ROTATOR": 0.5}, "periods": {"ROTATOR": 360.0}}}


def write_flats(place, first, **cards):
    """Write three flats with further cards, and let them in."""
    for index in range(first, first + 3):
        path = write_shot(
            place.data / "aside", Kind.FLAT, index, exposure_s=2.0, hours=18 + index / 100, level_adu=20000.0
        )
        with_cards(path, **cards)
        path.rename(place.incoming / path.name)


def write_light(place, index, name, **cards):
    path = write_shot(place.data / "aside", Kind.LIGHT, index, exposure_s=60.0, hours=22.0, name=name)
    with_cards(path, **cards)
    path.rename(place.incoming / name)


@pytest.fixture
def spectrograph(tmp_path):
    with observatory(tmp_path, matching=FLAT_RULES) as place:
        write_night(place.incoming, flats=0, lights=0)
        yield place


def conditions_of_flats(place):
    """Return the cards of the current master flats."""
    return sorted(place.catalogue.master(row["master_id"]).cards for row in place.masters("flat"))


def test_flats_of_one_night_are_parted_by_a_card_and_an_angle(spectrograph):
    place = spectrograph
    write_flats(place, 0, GRATING="B600", ROTATOR=359.9)
    write_flats(place, 3, GRATING="B600", ROTATOR=0.2)
    write_flats(place, 6, GRATING="B600", ROTATOR=90)
    write_flats(place, 10, GRATING="R400", ROTATOR=90.0)
    place.settle()
    # 359.9 and 0.2 are 0.3 apart: one master of six, whose median lies between -0.1 and 0.2
    assert conditions_of_flats(place) == [
        (("GRATING", "B600"), ("ROTATOR", 0.05)),
        (("GRATING", "B600"), ("ROTATOR", 90.0)),
        (("GRATING", "R400"), ("ROTATOR", 90.0)),
    ]


def test_frame_takes_the_flat_of_its_card_and_angle_and_one_without_any_waits(spectrograph):
    place = spectrograph
    write_flats(place, 0, GRATING="B600", ROTATOR=359.9)
    write_flats(place, 3, GRATING="R400", ROTATOR=359.9)
    angles = (("same.fit", {"ROTATOR": 0.3}), ("turned.fit", {"ROTATOR": 0.5}), ("unknown.fit", {}))
    for index, (name, cards) in enumerate(angles):
        write_light(place, index, name, GRATING="R400", **cards)
    place.settle()
    used = place.catalogue.master(place.used("same.fit")["flat"]["master_id"])
    assert used.cards == (("GRATING", "R400"), ("ROTATOR", 359.9))
    assert header(place.data / used.path)["ROTATOR"] == 359.9
    history = str(header(place.product("same.fit"))["HISTORY"]).replace("\n", "")
    assert f"flat {used.master_id[:8]}: frame | master: " in history
    assert "GRATING R400 | R400, ROTATOR 0.3 | 359.9" in history
    # 0.4 is within the tolerance of 0.5; 0.6 is not, and no angle is a value of its own
    assert {name: place.state(name)[0] for name in ("same.fit", "turned.fit", "unknown.fit")} == {
        "same.fit": "done",
        "turned.fit": "provisional",
        "unknown.fit": "provisional",
    }


def test_rules_of_one_camera_leave_the_others_alone(tmp_path):
    own = {"masters": {"bias": {"minimum": 2}}, "matching": {"bias": {"order": ORDER_BY_TIME}}}
    cameras = [{"name": name, "directories": [str(tmp_path / name)], **more} for name, more in (("a", own), ("b", {}))]
    with observatory(tmp_path, camera=cameras) as place:
        for name in ("a", "b"):
            camera = simulator.Camera(SENSOR, seed=ord(name))
            write_night(tmp_path / name, camera=camera, biases=2, evening_darks=0, flats=0, lights=0)
        place.settle()
        assert [(row["camera"], row["members"]) for row in place.masters("bias")] == [("a", 2)]
        assert place.settings.rules_of("a").master("bias").minimum == 2
        assert place.settings.rules_of("b").master("bias").minimum == 3


ORDER_BY_TIME = ["time", "policy", "grade", "temperature", "exposure", "numbers", "members"]


def test_range_of_a_master_puts_it_out_of_use_for_frames_outside_until_it_is_restored(tmp_path):
    with observatory(tmp_path) as place:
        write_night(place.incoming)
        place.settle()
        (light,) = [row["path"].rsplit("/", 1)[1] for row in place.frames(kind="light")]
        first = place.product(light)
        (flat,) = place.masters("flat")
        answer = place.command(command="valid", names=[flat["path"]], until="2025-03-01T12:00:00", reason="new dust")
        assert answer == {"ok": True, "frames": 0, "masters": 1}
        place.settle()
        assert place.state(light) == ("provisional", "missing_master")
        explanation = place.catalogue.explanation(place.frame(light)["frame_id"])
        assert "an operator made it valid until 2025-03-01 12:00:00 only" in explanation
        assert place.catalogue.decisions(master_id=flat["master_id"])[0]["decision"] == "limited"
        place.command(command="restore", names=[flat["path"]])
        place.settle()
        assert place.product(light) == first


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "needs a beginning or an end"),
        ({"from": "tomorrow"}, "'tomorrow' is no time"),
        ({"from": "2025-03-02", "until": "2025-03-01"}, "before it begins"),
    ],
)
def test_range_that_is_none_is_refused(tmp_path, request_, words):
    with observatory(tmp_path) as place:
        answer = place.command(command="valid", names=["any.fits"], **request_)
        assert answer["ok"] is False
        assert words in answer["error"]
