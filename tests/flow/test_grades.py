"""What a night's master is worth beside that of the previous night: simulated trouble, and what is chosen then."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ingestd import simulator
from tests.flow.observatory import CAMERA, SENSOR, Observatory, observatory, settings_for, write_night

EVENINGS = tuple(date(2025, 2, day) for day in (21, 22, 23))
NOISE_ADU = SENSOR.read_noise_adu
"""5 ADU: one sigma of the level; 7 sigma are 35 ADU, 4 sigma of patches 5 ADU."""

OWN_FRAMES = {kind: {"minimum": 3, "maximum": 10} for kind in ("bias", "dark", "flat")}
"""With ten frames a night each master holds the frames of its own night alone."""

COUNTS = {"biases": 10, "evening_darks": 0, "flats": 0, "lights": 1}


def camera_with(**changes):
    return simulator.Camera(replace(SENSOR, **changes), seed=CAMERA.seed)


def take(directory, troubles, **counts):
    """Write one night for each entry; an entry says how the sensor is another that night."""
    return [
        write_night(directory, camera=camera_with(**trouble), evening=evening, **{**COUNTS, **counts})
        for evening, trouble in zip(EVENINGS, troubles, strict=False)
    ]


def grades(place, kind):
    """Return the grade of the current master of each night."""
    return {row["night"][-2:]: row["grade"] for row in place.masters(kind)}


def words(place, kind, night):
    (found,) = [row["comparison"] for row in place.masters(kind) if row["night"].endswith(night)]
    return found


def nights_used(place, files, kind):
    """Return of which night the master is that the science frame of each night got."""
    lights = [path.name for night in files for path in night if path.name.startswith("M13")]
    by_id = {row["master_id"]: row["night"][-2:] for row in place.masters(kind)}
    return [by_id[place.used(name)[kind]["master_id"]] for name in lights]


def explained(place, files, night):
    """Return the recorded choice of the science frame of a night."""
    (name,) = [path.name for path in files[night] if path.name.startswith("M13")]
    return place.catalogue.explanation(place.frame(name)["frame_id"])


def test_ordinary_drift_is_green(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        # 1.5 noises of one frame, up and down again: below 2 sigma
        files = take(place.incoming, [{}, {"bias_adu": 1000 + 1.5 * NOISE_ADU}, {}])
        place.settle()
        assert grades(place, "bias") == {"21": "green", "22": "green", "23": "green"}
        assert nights_used(place, files, "bias") == ["21", "22", "23"]


def test_bias_after_a_level_step_is_red_and_the_older_good_one_is_chosen(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        files = take(place.incoming, [{}, {"bias_adu": 1050.0}])
        place.settle()
        assert grades(place, "bias") == {"21": "green", "22": "red"}
        assert words(place, "bias", "22").startswith("level 50.")
        assert "above that of 2025-02-21 (limit 7 sigma = 3" in words(place, "bias", "22")
        assert nights_used(place, files, "bias") == ["21", "21"]
        assert "red (level 50." in explained(place, files, 1)
        assert ("warning", "graded") in {(it["level"], it["event"]) for it in place.catalogue.events()}


def test_step_that_stays_is_red_for_one_night(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        files = take(place.incoming, [{}, {"bias_adu": 1050.0}, {"bias_adu": 1050.0}])
        place.settle()
        assert grades(place, "bias") == {"21": "green", "22": "red", "23": "green"}
        # the evening after the step is nearer in time than the evening before it, and as good
        assert nights_used(place, files, "bias") == ["21", "23", "23"]


def test_red_master_is_used_and_said_to_be_red_when_nothing_better_is_valid(tmp_path):
    # the biases are taken in the evening before, more than a day before the science frame of the next night
    rules = {**OWN_FRAMES, "bias": {**OWN_FRAMES["bias"], "valid_d": 1.0}}
    with observatory(tmp_path, masters=rules) as place:
        files = take(place.incoming, [{}, {"bias_adu": 1050.0}])
        place.settle()
        assert grades(place, "bias") == {"21": "green", "22": "red"}
        assert nights_used(place, files, "bias") == ["21", "22"]
        assert "red (level 50." in explained(place, files, 1)
        (name,) = [path.name for path in files[1] if path.name.startswith("M13")]
        (product,) = place.catalogue.product_rows(place.frame(name)["frame_id"])
        assert "a bias of a better grade (this one is red: level 50." in product["better_possible"]


def test_another_pattern_is_seen(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        take(place.incoming, [{}, {"bias_gradient_adu": SENSOR.bias_gradient_adu + 14.0}], lights=0)
        place.settle()
        # 7 ADU at the edges less half of one of 16 patches: between 4 and 7 sigma of 1.25 ADU
        assert grades(place, "bias") == {"21": "green", "22": "orange"}
        (row,) = place.catalogue.qa_rows(metric="patches_from_previous_adu")
        # the largest of 16 patches of 12 x 8 pixels, of the difference of two means of ten frames
        error = np.sqrt(np.pi / 2) * NOISE_ADU * np.sqrt(2 / 10) / np.sqrt(12 * 8)
        assert row["value"] == pytest.approx(7 * 15 / 16, abs=4 * error)


def test_another_noise_is_seen(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        take(place.incoming, [{}, {"read_noise_e": 1.3 * SENSOR.read_noise_e}], lights=0)
        place.settle()
        # 30 % more: above 7 sigma of 2.5 %
        assert grades(place, "bias") == {"21": "green", "22": "red"}
        assert "noise 1.3" in words(place, "bias", "22")


def test_flat_of_another_lamp_is_red_and_the_older_one_is_chosen(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        # corners 7 % darker, patches at them some 6 %: above 7 sigma of 0.5 %
        files = take(place.incoming, [{}, {"vignetting": SENSOR.vignetting + 0.07}], flats=10)
        place.settle()
        assert grades(place, "flat") == {"21": "green", "22": "red"}
        assert nights_used(place, files, "flat") == ["21", "21"]


def test_glow_in_the_darks_of_a_night_is_red(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        # 0.5 e-/s in the corner are 40 ADU in 120 s, far above 7 sigma of 1.25 ADU
        take(place.incoming, [{}, {"glow_e_per_s": 0.5}], evening_darks=10, lights=0)
        place.settle()
        assert grades(place, "dark") == {"21": "green", "22": "red"}
        assert grades(place, "bias") == {"21": "green", "22": "green"}


# --- the order of arrival ---------------------------------------------------------------------------------------------


def outcome(place):
    """Return everything that must not depend on the way to it: bytes, and every standing."""
    rows = place.catalogue.master_rows()
    return place.result(), sorted((row["path"], row["grade"], row["comparison"]) for row in rows)


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_grades_do_not_depend_on_the_order_in_which_nights_arrive(tmp_path, order):
    troubles = [{}, {"bias_adu": 1050.0, "vignetting": 0.4}, {"bias_adu": 1050.0}]
    aside = tmp_path / "aside"
    nights = take(aside, troubles, biases=5, evening_darks=5, flats=5)
    results = []
    for name, sequence in (("in_order", (0, 1, 2)), ("other", order)):
        with observatory(tmp_path / name, masters={k: {"minimum": 3, "maximum": 5} for k in OWN_FRAMES}) as place:
            for number in sequence:
                for path in nights[number]:
                    (place.incoming / path.name).write_bytes(path.read_bytes())
                place.settle()
            results.append(outcome(place))
    assert results[0] == results[1]
    assert any(grade == "red" for _, grade, _ in results[0][1])


def test_grade_changes_when_a_master_comes_between(tmp_path):
    with observatory(tmp_path / "place", masters=OWN_FRAMES) as place:
        files = take(tmp_path / "aside", [{}, {"bias_adu": 1050.0}, {"bias_adu": 1050.0}])
        for number in (0, 2):
            for path in files[number]:
                path.rename(place.incoming / path.name)
        place.settle()
        assert grades(place, "bias") == {"21": "green", "23": "red"}
        assert nights_used(place, [files[0], files[2]], "bias") == ["21", "21"]
        for path in files[1]:
            path.rename(place.incoming / path.name)
        place.settle()
        assert grades(place, "bias") == {"21": "green", "22": "red", "23": "green"}
        assert nights_used(place, files, "bias") == ["21", "23", "23"]


def test_changed_limits_grade_again_without_reading_a_file(tmp_path):
    settings = settings_for(tmp_path, masters=OWN_FRAMES)
    place = Observatory(settings)
    take(place.incoming, [{}, {"bias_adu": 1050.0}], lights=0)
    place.settle()
    assert grades(place, "bias") == {"21": "green", "22": "red"}
    place.close()
    ran = []
    place = Observatory(settings_for(tmp_path, masters=OWN_FRAMES, grading={"level_floor": 100.0}), run=ran.append)
    place.catalogue.touch_nights(place.now)
    place.settle()
    assert grades(place, "bias") == {"21": "green", "22": "green"}
    assert ran == []
    place.close()


def test_rejected_previous_master_judges_nobody(tmp_path):
    with observatory(tmp_path, masters=OWN_FRAMES) as place:
        take(place.incoming, [{}, {"bias_adu": 1050.0}], lights=0)
        place.settle()
        (first,) = [row["master_id"] for row in place.masters("bias") if row["night"].endswith("21")]
        place.catalogue.decide_masters([first], "rejected", "lights on", place.now)
        place.flow.look_soon()
        place.settle()
        assert grades(place, "bias") == {"22": "green"}
        assert words(place, "bias", "22") == "no earlier master to compare with"
        names = {row["metric"] for row in place.catalogue.qa_rows(metric="level_from_previous_adu")}
        assert names == set()
