"""A lasting change of the camera begins a new epoch: nothing mixes across it, no hand is needed, and one can say no."""

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from ingestd import simulator
from ingestd.cli import program
from ingestd.records import Kind
from tests.flow.observatory import SENSOR, header, observatory, write_night, write_shot

FIRST = date(2025, 2, 24)
NIGHTS = [(FIRST + timedelta(days=i)).isoformat() for i in range(6)]
BEFORE, AFTER = NIGHTS[:3], NIGHTS[3:]
CAMERA = simulator.Camera(SENSOR, tells_gain=False)
"""Its header does not tell the gain: only the pixels show that it changed."""

HALF_NOISE = replace(CAMERA, sensor=replace(SENSOR, gain_e_per_adu=2 * SENSOR.gain_e_per_adu))
OFFSET = replace(CAMERA, sensor=replace(SENSOR, bias_adu=SENSOR.bias_adu + 200))
NOISY = replace(CAMERA, sensor=replace(SENSOR, read_noise_e=1.5 * SENSOR.read_noise_e))
LIT_ADU = 900.0


def evening(i, directory, camera=CAMERA, **plan):
    """Write night i; its light is called light_i.fit."""
    paths = write_night(directory, camera=camera, evening=FIRST + timedelta(days=i), **plan)
    lights = [path for path in paths if path.name.startswith("M13")]
    for number, path in enumerate(lights):
        path.rename(path.with_name(f"light_{i}{'' if number == 0 else f'_{number}'}.fit"))


def story(directory, camera=HALF_NOISE):
    """Write six nights, the camera changed after the third."""
    for i in range(6):
        evening(i, directory, CAMERA if i < 3 else camera)


def lit(path):
    """Let light fall on a frame that was written: uniform, with its photon noise."""
    with fits.open(path, mode="update", memmap=False, do_not_scale_image_data=True) as hdus:
        raw = hdus[0].data
        random_of = np.random.default_rng(int(raw.astype(int).sum()) % 1000)
        photons = random_of.poisson(LIT_ADU * SENSOR.gain_e_per_adu, raw.shape) / SENSOR.gain_e_per_adu
        hdus[0].data = (raw + np.rint(photons)).astype(raw.dtype)


def breaks(place):
    return [(row["night"], row["status"]) for row in place.catalogue.break_rows()]


def side(night):
    return night >= AFTER[0]


def mixed(place, lights=range(6)):
    """Return the current masters with members from both sides, and the lights with a master of the other side."""
    nights = {row["frame_id"]: row["night"] for row in place.frames()}
    found = [
        row["path"]
        for row in place.masters()
        if len({side(nights[it]) for it in place.catalogue.master(row["master_id"]).members}) > 1
    ]
    for i in lights:
        paths = [used["path"] for used in place.used(f"light_{i}.fit").values()]
        found += [(i, path) for path in paths if side(Path(path).name[:10]) != side(NIGHTS[i])]
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("source")
    story(directory)
    return sorted(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    """What comes out when the six nights lie there at the start."""
    with observatory(tmp_path_factory.mktemp("at_once")) as place:
        for path in source:
            (place.incoming / path.name).write_bytes(path.read_bytes())
        place.settle()
        assert breaks(place) == [(AFTER[0], "detected")]
        assert {row["state"] for row in place.frames()} == {"done"}, place.words()
        assert mixed(place) == []
        assert "epoch_detected" in place.events()
        return place.result()


def test_a_gain_change_mixes_nothing_and_needs_no_operator(expected):
    # six nights of a bias, a dark and a flat, and a product each
    assert sum(path.startswith("masters/") for path in expected) == 18
    assert sum(path.startswith("reduced/") for path in expected) == 6


def test_live_nights_end_with_the_same_bytes(expected, tmp_path):
    with observatory(tmp_path) as place:
        for i in range(6):
            evening(i, place.incoming, CAMERA if i < 3 else HALF_NOISE)
            place.settle()
            # neither light nor chance: the first night of the new state is known for what it is at once
            assert breaks(place) == ([] if i < 3 else [(AFTER[0], "detected")])
        assert place.result() == expected


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_arrival_ends_with_the_same_bytes(source, expected, tmp_path, seed):
    source_of_chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with observatory(tmp_path) as place:
        for path in source_of_chance.sample(source, len(source)):
            (place.incoming / path.name).write_bytes(path.read_bytes())
            place.run(source_of_chance.choice((0.0, 0.5, 2.0, 10.0)))
        place.settle()
        assert place.result() == expected
        assert breaks(place) == [(AFTER[0], "detected")]


def test_the_gain_of_earlier_nights_ends_with_its_epoch(expected, tmp_path):  # noqa: ARG001 - the same story
    with observatory(tmp_path) as place:
        story(place.incoming)
        place.settle()
        sources = [header(place.product(f"light_{i}.fit")).get("BUNIT") for i in range(6)]
        # three nights must have given it: the fourth of the camera would be the first with a gain
        assert sources == ["adu"] * 6


def test_explain_says_in_numbers_why_a_master_of_the_other_epoch_does_not_fit(place):
    story(place.incoming)
    place.settle()
    explained = json.loads(place.catalogue.explanation(place.frame("light_3.fit")["frame_id"]))
    (wrong, *_) = [it["reason"] for it in explained["bias"]["candidates"] if f"({BEFORE[-1]})" in it["reason"]]
    said = wrong.partition(f"of the epoch before {AFTER[0]}: bias noise of a pixel ")[2]
    # half of 5 ADU, and the rows' offsets of 0.5 ADU and the step of the converter of 1/sqrt(12) ADU, which stay
    assert float(said.split()[0]) == pytest.approx(np.hypot(2.5, 0.58) / np.hypot(5.0, 0.58), abs=0.02)


# --- what may be light ------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


@pytest.fixture
def third_night(place):
    """An observatory after three good nights."""
    for i in range(3):
        evening(i, place.incoming)
    place.settle()
    return place


def test_an_offset_is_no_light_and_opens_at_once(third_night):
    place = third_night
    evening(3, place.incoming, OFFSET)
    place.settle()
    assert breaks(place) == [(AFTER[0], "detected")]
    assert {row["state"] for row in place.frames()} == {"done"}, place.words()
    assert mixed(place, range(4)) == []
    # 200 ADU to a fraction of the noise of a pixel of 5 ADU
    (row,) = place.catalogue.break_rows()
    assert float(row["cause"].split("jumped by ")[1].split()[0]) == pytest.approx(200.0, abs=1.0)


def test_nights_whose_files_are_archived_keep_their_break(third_night, tmp_path):
    place = third_night
    evening(3, place.incoming, OFFSET)
    place.settle()
    before = place.result()
    for i in (0, 1, 2, 3):
        for path in place.incoming.glob(f"*{NIGHTS[i].replace('-', '')}*"):
            path.rename(tmp_path / path.name)
        place.settle()
        assert breaks(place) == [(AFTER[0], "detected")]
        assert place.result() == before


def test_more_read_noise_is_suspected_until_the_second_night_and_science_says_so(third_night):
    place = third_night
    evening(3, place.incoming, NOISY)
    place.settle()
    assert breaks(place) == [(AFTER[0], "suspected")]
    assert "epoch_suspected" in place.events()
    row = place.frame("light_3.fit")
    assert (row["state"], row["reason"]) == ("provisional", "epoch_suspected")
    assert f"from before {AFTER[0]}" in row["detail"]
    # 7.5 ADU instead of 5 ADU, both with what does not change: 0.58 ADU
    factor = float(row["detail"].split("noise of a pixel ")[1].split()[0])
    assert factor == pytest.approx(np.hypot(7.5, 0.58) / np.hypot(5.0, 0.58), abs=0.03)
    cards = header(place.product("light_3.fit"))
    assert cards["INGSTATE"] == "provisional"
    assert "hardware may have changed" in "".join(map(str, cards["HISTORY"])).replace("\n", "")
    evening(4, place.incoming, NOISY)
    place.settle()
    assert breaks(place) == [(AFTER[0], "detected")]
    assert {row["state"] for row in place.frames()} == {"done"}, place.words()
    assert mixed(place, range(5)) == []
    assert "holds frames of another hardware epoch" in place.catalogue.product_rows(row["frame_id"])[0]["again"]


def test_a_frame_of_a_suspected_night_waits_where_the_settings_say_so(tmp_path):
    with observatory(tmp_path, reduction={"when_missing": "wait"}) as place:
        for i in range(4):
            evening(i, place.incoming, NOISY if i == 3 else CAMERA)
        place.settle()
        assert place.state("light_3.fit") == ("waiting", "epoch_suspected")
        evening(4, place.incoming, NOISY)
        place.settle()
        assert place.state("light_3.fit") == ("done", "reduced")


def test_biases_with_the_lights_on_begin_no_epoch(third_night, tmp_path):
    place = third_night
    evening(3, tmp_path / "aside")
    for path in (tmp_path / "aside").iterdir():
        if path.name.startswith("bias"):
            lit(path)
        path.rename(place.incoming / path.name)
    place.settle()
    assert breaks(place) == [(AFTER[0], "suspected")]
    assert place.state("light_3.fit") == ("provisional", "epoch_suspected")
    lit_ones = [row for row in place.frames(kind="bias") if row["night"] == AFTER[0]]
    assert [(row["state"], row["reason"]) for row in lit_ones] == [("quarantined", "bias_with_flux")] * 3
    evening(4, place.incoming)
    place.settle()
    assert breaks(place) == []
    assert place.state("light_3.fit") == ("done", "reduced")
    assert [(row["state"], row["reason"]) for row in place.frames(kind="bias") if row["night"] == AFTER[0]] == [
        ("quarantined", "bias_with_flux")
    ] * 3


def test_a_camera_without_biases_is_told_by_its_darks(place):
    for i in range(6):
        camera = CAMERA if i < 3 else HALF_NOISE
        evening(i, place.incoming, camera, biases=0, evening_dark_s=60.0)
    place.settle()
    assert breaks(place) == [(AFTER[0], "detected")]
    assert mixed(place) == []


# --- the operator's word ----------------------------------------------------------------------------------------------


def decide(place, word, night, reason="looked at it", **more):
    answer = place.command(command="epochs", word=word, night=night, reason=reason, **more)
    place.settle()
    return answer


def members(place, kind, night):
    """Return the nights of the members of a night's master."""
    nights = {row["frame_id"]: row["night"] for row in place.frames()}
    (row,) = [row for row in place.masters(kind) if row["night"] == night]
    return {nights[it] for it in place.catalogue.master(row["master_id"]).members}


def test_an_undone_break_does_not_come_back(place):
    story(place.incoming, OFFSET)
    place.settle()
    assert members(place, "dark", NIGHTS[5]) == set(AFTER)
    assert decide(place, "undo", AFTER[0]) == {"ok": True, "breaks": 1}
    assert breaks(place) == [(AFTER[0], "undone")]
    # frames of the new level are judged by the masters before it again, and kept out, as without epochs
    evening(6, place.incoming, OFFSET)
    place.settle()
    assert breaks(place) == [(AFTER[0], "undone")]
    assert decide(place, "confirm", AFTER[0])["ok"]
    assert breaks(place) == [(AFTER[0], "confirmed")]
    assert members(place, "dark", NIGHTS[5]) == set(AFTER)


def test_a_break_stays_where_it_was_moved_to(place):
    story(place.incoming)
    place.settle()
    assert decide(place, "move", AFTER[0], to=NIGHTS[4])["ok"]
    assert breaks(place) == [(AFTER[0], "undone"), (NIGHTS[4], "moved")]
    assert members(place, "bias", NIGHTS[5]) == set(NIGHTS[4:])
    evening(6, place.incoming, HALF_NOISE)
    place.settle()
    assert breaks(place) == [(AFTER[0], "undone"), (NIGHTS[4], "moved")]


def test_an_operator_opens_an_epoch_that_no_figure_shows(third_night):
    place = third_night
    assert members(place, "flat", BEFORE[2]) == set(BEFORE)
    assert decide(place, "open", BEFORE[1], "new filter wheel")["ok"]
    assert breaks(place) == [(BEFORE[1], "set")]
    for kind in ("bias", "dark", "flat"):
        assert members(place, kind, BEFORE[2]) == set(BEFORE[1:])
    assert decide(place, "undo", BEFORE[1], "the old one is back")["ok"]
    assert members(place, "flat", BEFORE[2]) == set(BEFORE)


def test_a_suspected_break_opens_when_it_is_confirmed(third_night):
    place = third_night
    evening(3, place.incoming, NOISY)
    place.settle()
    assert decide(place, "confirm", AFTER[0])["ok"]
    assert breaks(place) == [(AFTER[0], "confirmed")]
    assert {row["state"] for row in place.frames()} == {"done"}, place.words()
    assert mixed(place, range(4)) == []


def test_a_doubt_that_ends_does_not_wait_for_noon_although_a_master_is_hardly_nearer(tmp_path, caplog):
    caplog.set_level("INFO", "ingestd.flow.recording")
    with observatory(tmp_path, reduction={"again_s": 600.0}) as place:
        for i in range(3):
            evening(i, place.incoming)
        place.settle()
        place.now = datetime(2025, 2, 27, 22, 30, tzinfo=UTC)
        evening(3, place.incoming, NOISY)
        place.settle()
        assert place.state("light_3.fit") == ("provisional", "epoch_suspected")
        assert "Reduced: light_3.fit (provisional, hardware in doubt)" in caplog.text
        assert decide(place, "undo", AFTER[0])["ok"]
        for index in range(20, 23):  # 48 h before the evening that the hours count from
            more = {"exposure_s": 7.0, "level_adu": 22_000.0, "hours": 17.9 - 48 + index / 1000}
            write_shot(place.incoming, Kind.FLAT, index, camera=NOISY, **more)
        place.settle()
        assert place.state("light_3.fit")[0] == "provisional"
        place.tick(600.0)
        place.settle()
        assert place.state("light_3.fit") == ("done", "reduced")
        (newest, *_) = sorted(
            place.catalogue.product_rows(place.frame("light_3.fit")["frame_id"]), key=lambda row: row["created_at"]
        )[::-1]
        assert "hardly nearer" in newest["again"]
        assert "no doubt about the hardware any more" in newest["again"]


def test_words_give_the_same_bytes_before_and_after_the_frames(tmp_path):
    results = []
    for early in (True, False):
        with observatory(tmp_path / str(early)) as place:
            if early:
                evening(0, place.incoming)
                place.settle()
                assert place.command(command="epochs", word="open", night=NIGHTS[2], reason="new cable")["ok"]
            for i in range(4):
                evening(i, place.incoming)
            place.settle()
            if not early:
                assert decide(place, "open", NIGHTS[2], "new cable")["ok"]
            results.append(place.result())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"word": "undo", "night": "2025-02-01", "reason": "x"}, "no break of epochs at 2025-02-01; known: none"),
        ({"word": "undo", "night": BEFORE[1]}, "needs a reason"),
        ({"word": "open", "night": "yesterday", "reason": "x"}, "'yesterday' is not the date of a night"),
        ({"word": "open", "night": BEFORE[1], "reason": "x", "camera": "other"}, "--camera: test"),
        ({"word": "open", "night": BEFORE[1], "reason": "x", "setup": "other"}, "known: Synthetic CCD"),
        ({"word": "forget", "night": BEFORE[1]}, "unknown word 'forget'"),
    ],
)
def test_what_cannot_be_done_is_refused(third_night, request_, words):
    answer = third_night.command(command="epochs", **request_)
    assert not answer["ok"]
    assert words in answer["error"]
    assert breaks(third_night) == []


def test_the_commands_list_decide_and_are_remembered(tmp_path):
    (tmp_path / "config.toml").write_text(
        f"""
        paths.data = "{tmp_path / "data"}"
        limits.min_free_bytes = 0
        [[camera]]
        name = "test"
        directories = ["{tmp_path / "incoming"}"]
        """
    )

    def tell(*words):
        done = CliRunner().invoke(program, ["--config", str(tmp_path / "config.toml"), *words])
        return done.exit_code, done.output

    with observatory(tmp_path) as place:
        story(place.incoming)
        place.settle()
    code, text = tell("epochs")
    assert code == 0
    assert "detected" in text
    assert "2025-02-27" in text
    assert "Epoch:    detected: test from night 2025-02-27 on: bias noise" in tell("status")[1]
    code, text = tell("epochs", "undo", "2025-02-27", "--reason", "the cable was loose")
    assert (code, text.splitlines()[0][:30]) == (0, "Decided: undo 2025-02-27, 1 se")
    (row,) = json.loads(tell("epochs", "--json")[1])
    assert (row["status"], row["reason"], row["after_night"]) == ("undone", "the cable was loose", "2025-02-26")
    (said,) = json.loads(tell("decisions", "--json")[1])
    assert (said["decision"], said["reason"]) == ("undone", "the cable was loose")
    assert said["path"] == "test, epoch of 2025-02-27 and 2025-02-26"
