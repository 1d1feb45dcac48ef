"""The states of a science frame as its masters come, and what calibration frames do to masters."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ingestd import simulator
from ingestd.records import Kind
from tests.flow.observatory import CAMERA, NIGHT, header, observatory, signal, write_night, write_shot

LIGHT = "light.fit"


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


def write_light(place, name=LIGHT, **more):
    return write_shot(place.incoming, Kind.LIGHT, 1, exposure_s=60.0, hours=20.5, name=name, **more)


def write_biases(place, number=3, first=0, **more):
    return [
        write_shot(place.incoming, Kind.BIAS, first + i, hours=17.5 + 0.01 * (first + i), **more) for i in range(number)
    ]


def write_darks(place, exposure_s, number=3, first=0, hours=18.0):
    return [
        write_shot(place.incoming, Kind.DARK, first + i, exposure_s=exposure_s, hours=hours + 0.05 * (first + i))
        for i in range(number)
    ]


def write_flats(place, number=3, first=0, **more):
    more = {"exposure_s": 7.0, "level_adu": 22_000.0, **more}
    return [
        write_shot(place.incoming, Kind.FLAT, first + i, hours=19 + 0.01 * (first + i), **more) for i in range(number)
    ]


# --- one science frame ------------------------------------------------------------------------------------------------


def test_a_frame_waits_from_its_arrival_until_its_product_is_recorded(place):
    write_light(place)
    seen = []
    while not seen or seen[-1][0] == "waiting":
        place.tick()
        if place.frames():
            seen.append(place.state(LIGHT))
        assert len(seen) < 100
    assert seen[0] == ("waiting", "due")
    assert seen[-1] == ("provisional", "missing_master")


def test_a_frame_without_any_master_is_reduced_provisionally_and_says_what_is_missing(place):
    write_light(place)
    place.settle()
    assert place.state(LIGHT) == ("provisional", "missing_master")
    steps = place.steps(LIGHT)
    for name in ("bias", "dark", "flat"):
        assert steps[name][0] == "skipped"
        assert name in steps[name][1]
    cards = header(place.product(LIGHT))
    assert cards["INGSTATE"] == "provisional"
    assert cards["CALSTAT"] == ""


def test_a_frame_waits_for_its_masters_if_the_settings_say_so(tmp_path):
    with observatory(tmp_path, reduction={"when_missing": "wait"}) as place:
        write_light(place)
        place.settle()
        frame = place.frame(LIGHT)
        assert (frame["state"], frame["reason"], frame["product"]) == ("waiting", "needs_master", None)
        assert frame["detail"]
        assert not list(place.data.glob("reduced/**/*.fits"))
        write_night(place.incoming, lights=0)
        place.settle()
        assert place.state(LIGHT) == ("done", "reduced")
        assert len(place.catalogue.product_rows(frame["frame_id"])) == 1


def test_a_provisional_frame_is_reduced_again_when_its_masters_come(place):
    write_light(place)
    place.settle()
    former = place.product(LIGHT)
    write_night(place.incoming, lights=0)
    place.settle()
    assert place.state(LIGHT) == ("done", "reduced")
    assert place.product(LIGHT) != former
    assert former.exists(), "a revision is kept"
    assert set(place.used(LIGHT)) == {"bias", "dark", "flat"}
    products = place.catalogue.product_rows(place.frame(LIGHT)["frame_id"])
    assert [bool(product["provisional"]) for product in products].count(False) == 1


def test_a_scaled_dark_is_done_and_an_exact_one_is_preferred_when_it_comes(place):
    write_light(place)
    write_night(place.incoming, lights=0)
    place.settle()
    dark = place.used(LIGHT)["dark"]
    assert (dark["how"], dark["exposure_ratio"]) == ("scaled_down", pytest.approx(60 / 120))
    assert place.state(LIGHT) == ("done", "reduced")
    assert "an exact dark" in place.catalogue.product_rows(place.frame(LIGHT)["frame_id"])[0]["better_possible"]
    write_darks(place, 60.0, first=10, hours=28.0)
    place.settle()
    assert place.used(LIGHT)["dark"]["how"] == "exact"
    assert place.used(LIGHT).get("bias", {}).get("how") in (None, "noise_only")
    assert place.steps(LIGHT)["bias"] == ("not needed", "the exact dark carries it")
    assert "exact" not in place.catalogue.product_rows(place.frame(LIGHT)["frame_id"])[0]["better_possible"]
    assert header(place.product(LIGHT))["CALSTAT"] == "BDF"


def test_a_better_master_leaves_frames_of_other_filters_alone(place):
    write_night(place.incoming)
    write_light(place, name="red.fit", filter_name="R")
    place.settle()
    assert place.state("red.fit") == ("provisional", "missing_master")
    red = place.product("red.fit")
    write_flats(place, first=20)
    place.settle()
    assert place.product("red.fit") == red
    assert len(place.catalogue.product_rows(place.frame("red.fit")["frame_id"])) == 1


def test_masters_of_a_window_that_does_not_hold_the_frame_are_not_used(place):
    write_night(place.incoming, lights=0)
    large = simulator.Camera(simulator.Sensor(shape=(128, 128), dust_grains=2))
    write_light(place, camera=large)
    place.settle()
    assert place.state(LIGHT) == ("provisional", "missing_master")
    assert place.used(LIGHT) == {}


def test_a_camera_that_requires_less_is_done_with_less(tmp_path):
    camera = {"name": "test", "directories": [str(tmp_path / "incoming")], "requires": ["bias"]}
    with observatory(tmp_path, camera=[camera]) as place:
        write_light(place)
        write_biases(place)
        place.settle()
        assert place.state(LIGHT) == ("done", "reduced")
        assert place.steps(LIGHT)["flat"][0] == "skipped"


def test_a_frame_is_explained_by_every_candidate(place):
    write_light(place)
    write_night(place.incoming, lights=0)
    place.settle()
    text = place.catalogue.explanation(place.frame(LIGHT)["frame_id"])
    assert place.masters("dark")[0]["master_id"] in text


# --- masters ----------------------------------------------------------------------------------------------------------


def test_a_burst_of_frames_makes_one_master(place):
    for i in range(5):
        write_biases(place, 1, first=i)
        place.run(1.0)
    place.settle()
    assert [row["members"] for row in place.catalogue.master_rows(all=True)] == [5]


def test_two_frames_make_no_master_and_a_third_does(place):
    write_biases(place, 2)
    place.settle()
    assert place.masters() == []
    assert {row["state"] for row in place.frames()} == {"done"}
    assert {row["reason"] for row in place.frames()} == {"catalogued"}
    write_biases(place, 1, first=2)
    place.settle()
    assert [row["members"] for row in place.masters()] == [3]
    assert {row["reason"] for row in place.frames()} == {"member"}


def test_a_burst_is_combined_at_once_if_a_science_frame_needs_it(tmp_path):
    with observatory(tmp_path, masters={"quiet_s": 1000.0}) as place:
        write_biases(place)
        place.run(10.0)
        assert place.masters() == []
        write_light(place)
        place.run(10.0)
        assert [row["kind"] for row in place.masters()] == ["bias"]
        assert set(place.used(LIGHT)) == {"bias"}


def test_a_new_bias_leaves_master_darks_as_they_are(place):
    write_night(place.incoming, lights=0)
    place.settle()
    (dark,) = place.masters("dark")
    bias, flat = place.masters("bias"), place.masters("flat")
    write_biases(place, 1, first=30)
    place.settle()
    assert place.masters("dark") == [dark]
    assert place.masters("bias") != bias
    assert place.masters("flat") != flat, "a flat is built with the bias that is valid for its night"


def test_a_late_frame_changes_the_masters_whose_window_it_enters_and_no_other(place):
    for evening in (date(2025, 1, 25), date(2025, 2, 20), date(2025, 3, 1)):
        write_night(place.incoming, evening=evening, lights=0, flats=0, evening_darks=0)
    place.settle()
    before = {row["night"]: row for row in place.masters("bias")}
    # the window is 30 days: the second night sees the first, 26 days before; the third only the second, 9 days before
    assert {night: row["members"] for night, row in before.items()} == {
        "2025-01-25": 3,
        "2025-02-20": 6,
        "2025-03-01": 6,
    }
    write_shot(place.incoming, Kind.BIAS, 99, hours=18.0 - 9 * 24)
    place.settle()
    after = {row["night"]: row for row in place.masters("bias")}
    assert after["2025-01-25"] == before["2025-01-25"]
    assert after["2025-02-20"]["members"] == after["2025-03-01"]["members"] == 7


def test_a_master_is_the_clipped_mean_of_its_members(place):
    paths = write_biases(place, 5)
    place.settle()
    (master,) = place.masters("bias")
    stack = np.array([signal(path) for path in paths])
    median = np.median(stack, axis=0)
    deviation = np.abs(stack - median)
    kept = deviation <= 5 * 1.4826 * np.median(deviation, axis=0)
    mean = (stack * kept).sum(axis=0) / kept.sum(axis=0)
    assert np.allclose(signal(place.data / master["path"]), mean, rtol=0, atol=2e-4)  # float32 of 1000: 6e-5


def test_flats_that_cannot_be_calibrated_make_no_master(place):
    write_flats(place)
    place.settle()
    assert place.masters() == []
    assert {place.state(row["path"].rsplit("/", 1)[1]) for row in place.frames()} == {("done", "catalogued")}


def test_a_flat_without_light_is_quarantined_and_the_others_are_combined(place):
    write_night(place.incoming, lights=0, evening_darks=0)
    darker = replace(CAMERA, sensor=replace(CAMERA.sensor, bias_adu=900.0))  # 100 ADU below the master bias
    (dark,) = write_flats(place, 1, first=50, level_adu=0.0, camera=darker)
    place.settle()
    assert place.state(dark.name) == ("quarantined", "flat_without_light")
    assert [row["members"] for row in place.masters("flat")] == [3]


def test_masters_of_two_exposures_are_two(place):
    write_biases(place)
    write_darks(place, 60.0)
    write_darks(place, 120.0, first=10)
    place.settle()
    assert sorted(row["exposure_s"] for row in place.masters("dark")) == [60.0, 120.0]


def test_every_master_dark_is_measured_against_the_bias(place):
    write_night(place.incoming, lights=0, flats=0, evening_darks=5, biases=5)
    place.settle()
    (rate,) = place.qa("dark_rate_electrons_per_second")
    # 0.4 e-/s in the median over 12,288 pixels; each has the noise of a mean of 5 darks and of 5 biases over 120 s:
    # sqrt((7.5**2 + 48) / 5 + 7.5**2 / 5) / 120 = 0.047 e-/s, so the median is good to 0.001; 0.15 C of wobble is 1.7 %
    assert rate["value"] == pytest.approx(0.4, abs=0.02)


# --- what is not calibrated -------------------------------------------------------------------------------------------


def test_a_frame_of_no_known_kind_is_catalogued_and_says_what_was_looked_for(place):
    unknown = simulator.Camera(CAMERA.sensor, program="CCDSoft")
    write_light(place, name="x1.fit", camera=unknown)
    place.settle()
    frame = place.frame("x1.fit")
    assert (frame["kind"], frame["state"], frame["reason"]) == ("unknown", "done", "catalogued")
    assert frame["detail"]


def test_the_file_name_tells_the_kind_where_no_card_does(place):
    unknown = simulator.Camera(CAMERA.sensor, program="CCDSoft")
    write_shot(place.incoming, Kind.BIAS, 1, camera=unknown, name="bias_001.fit")
    place.settle()
    frame = place.frame("bias_001.fit")
    assert frame["kind"] == "bias"
    assert "name" in frame["kind_source"]


def test_a_frame_of_no_camera_is_catalogued(tmp_path):
    camera = {"name": "test", "directories": [str(tmp_path / "incoming")], "match": {"INSTRUME": "Another"}}
    with observatory(tmp_path, camera=[camera]) as place:
        write_light(place)
        place.settle()
        frame = place.frame(LIGHT)
        assert (frame["camera"], frame["state"], frame["reason"]) == ("unassigned", "done", "catalogued")
        assert "[[camera]]" in frame["detail"]


def test_two_cameras_in_one_directory_are_told_apart_by_a_card(tmp_path):
    directories = [str(tmp_path / "incoming")]
    cameras = [
        {"name": "left", "directories": directories, "match": {"INSTRUME": "Left"}},
        {"name": "right", "directories": directories, "match": {"INSTRUME": "Right"}},
    ]
    with observatory(tmp_path, camera=cameras) as place:
        for name in ("Left", "Right"):
            camera = simulator.Camera(CAMERA.sensor, instrument=name)
            write_light(place, name=f"{name}.fit", camera=camera, object_name=name)
        place.settle()
        assert [place.frame(f"{name}.fit")["camera"] for name in ("Left", "Right")] == ["left", "right"]


def test_a_frame_of_the_future_joins_no_master(place):
    write_night(place.incoming, lights=0, flats=0, evening_darks=0)
    write_night(place.incoming, evening=date(2025, 3, 9), lights=1, flats=0, evening_darks=0)
    place.settle()
    assert [row["night"] for row in place.masters()] == [NIGHT]
    late = [row for row in place.frames() if row["night"] == "2025-03-09"]
    assert {(row["state"], row["reason"]) for row in late} == {("done", "catalogued")}
    assert all("future" in row["detail"] for row in late)


# --- the operator -----------------------------------------------------------------------------------------------------


def test_a_requeued_frame_comes_to_the_same_product(place):
    write_night(place.incoming)
    place.settle()
    light = place.light()
    before = place.result()
    assert place.command(command="requeue", frames=[light["frame_id"]]) == {"ok": True, "frames": 1, "nights": 0}
    assert place.catalogue.status()["queue"]["lights"] == 1
    place.settle()
    assert place.light()["state"] == "done"
    assert place.result() == before


def test_requeue_of_everything_comes_to_the_same_result(place):
    write_night(place.incoming)
    place.settle()
    before = place.result()
    answer = place.command(command="requeue")
    assert (answer["frames"], answer["nights"]) == (1, 3)
    place.settle()
    assert place.result() == before


def test_requeue_of_an_unknown_frame_is_refused_by_name(place):
    answer = place.command(command="requeue", frames=["nowhere.fits"])
    assert not answer["ok"]
    assert "nowhere.fits" in answer["error"]


def test_an_unknown_command_is_refused(place):
    assert not place.command(command="explode")["ok"]
