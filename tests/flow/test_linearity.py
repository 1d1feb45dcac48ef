"""A camera that is not linear, from settings to product: what is corrected, what is left alone, what is said."""

from dataclasses import replace

import numpy as np
import pytest

from ingestd.flow.verifying import verify
from ingestd.records import Kind
from ingestd.simulator import Sky
from tests.flow.observatory import CAMERA, SENSOR, observatory, signal, write_night, write_shot

C1, C2 = 3e-6, -2e-11
SKY_E_PER_S = 400.0
LIGHT_S = 60.0
BENT = replace(CAMERA, sensor=replace(SENSOR, nonlinearity=(C1, C2)), sky=Sky(SKY_E_PER_S, stars=0, cosmics_per_s=0))


def camera(place, **keys):
    return [{"name": "test", "directories": [str(place / "incoming")], **keys}]


def reduced_sky_e(directory, **keys):
    """Return the median of a reduced frame of 24 000 e- of sky (through V: 19 200), its steps and its mask word."""
    with observatory(directory, camera=camera(directory, **keys)) as place:
        write_night(place.incoming, camera=BENT, flats=5, lights=1, dawn_darks=3)
        place.settle()
        (light,) = place.frames(kind="light")
        product = place.data / light["product"]
        steps = {step["name"]: step for step in place.catalogue.product_rows(light["frame_id"])[0]["steps"]}
        masters = {row["kind"] + str(row["exposure_s"]): row["master_id"] for row in place.masters()}
        return float(np.median(signal(product))), steps, masters


def test_the_sky_of_a_nonlinear_camera_is_true(tmp_path):
    truth_e = SKY_E_PER_S * 0.8 * LIGHT_S
    corrected, steps, made = reduced_sky_e(tmp_path / "a", nonlinearity=[C1, C2])
    plain, other_steps, others = reduced_sky_e(tmp_path / "b")
    # 12 288 pixels of sqrt(19 200) = 139 e-, median: 1.25 * 139 / 111 = 1.6 e-; a median of flats with 0.3 % noise over
    # 5 members and 3 072 central pixels: 0.005 %; level of the bias 0.1 ADU: all below 0.1 %
    assert corrected == pytest.approx(truth_e, rel=1e-3)
    # x (1 + c1 x + c2 x^2) at 12 800 ADU: what was read is 3.4 % too small
    assert plain == pytest.approx(truth_e * (1 - 0.034), rel=3e-3)
    assert steps["nonlinearity"]["status"] == "applied"
    assert "x (1 +3e-06 x^1 -2e-11 x^2)" in steps["nonlinearity"]["detail"]
    assert "nonlinearity" not in other_steps
    same = {kind for kind in made if made[kind] == others[kind]}
    assert {kind[:4] for kind in same} == {"bias", "dark"}, "biases and darks are combined as they were read"


def test_a_level_that_only_is_marked_changes_no_master(tmp_path):
    _, steps, made = reduced_sky_e(tmp_path / "a", linear_max_adu=40_000.0)
    assert "nonlinear above 40000 adu" in steps["mask"]["detail"]
    assert made == reduced_sky_e(tmp_path / "b")[2]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        # 16 bits with BZERO 32768 end at 65535
        ({}, "saturated from 65535 adu on (the end of the file's range; if that of the camera is less, set camera."),
        ({"saturation_adu": 16383.0}, "saturated from 16383 adu on, no data"),
    ],
)
def test_the_product_says_where_saturation_begins_and_whether_that_is_known(tmp_path, keys, words):
    with observatory(tmp_path, camera=camera(tmp_path, **keys)) as place:
        write_night(place.incoming, camera=BENT, biases=3, flats=0, lights=1, evening_darks=0)
        place.settle()
        (light,) = place.frames(kind="light")
        assert place.steps(light["path"].rsplit("/", 1)[-1])["mask"][1].startswith(words)


def test_without_a_bias_an_exact_dark_leaves_the_signal_as_it_is_and_says_so(tmp_path):
    with observatory(tmp_path, camera=camera(tmp_path, nonlinearity=[C1], dark_policy="exact")) as place:
        write_night(place.incoming, camera=BENT, biases=0, flats=0, lights=1, evening_darks=0, dawn_darks=3)
        place.settle()
        (light,) = place.frames(kind="light")
        status, detail = place.steps(light["path"].rsplit("/", 1)[-1])["nonlinearity"]
    assert (status, "take biases" in detail) == ("skipped", True)


@pytest.mark.parametrize(("policy", "bias_step"), [("scalable", "applied"), ("exact", "not needed")])
def test_what_was_made_linear_is_that_of_the_reference(tmp_path, policy, bias_step):
    with observatory(tmp_path, camera=camera(tmp_path, nonlinearity=[C1, C2], dark_policy=policy)) as place:
        write_night(place.incoming, camera=BENT, flats=5, lights=1)
        if policy == "exact":
            for index in range(3):
                write_shot(
                    place.incoming, Kind.DARK, 70 + index, camera=BENT, exposure_s=LIGHT_S, hours=30 + index / 10
                )
        place.settle()
        (light,) = place.frames(kind="light")
        assert place.steps(light["path"].rsplit("/", 1)[-1])["bias"][0] == bias_step
        results = place.catalogue.current_results()
        verified = {it.path: verify(place.catalogue, place.settings, it, reference=True).against for it in results}
    # Some ten steps of float32 below 32 768 ADU, a relative rounding of 2**-24 each: 0.02 ADU or 0.03 e-, 1 % of what
    # the polynomial changes; 1e-6 of a flat but for a sample at the limit of clipping, one of five more or less.
    for path, (found,) in verified.items():
        assert found.typical < (1e-6 if "/flat/" in path else 0.03)
        assert found.largest < 0.03


def test_what_a_nonlinear_camera_made_can_be_made_again(tmp_path):
    """The order that is recorded holds the coefficients and which flats are joined."""
    keys = {"nonlinearity": [C1, C2], "linear_max_adu": 40_000.0, "flats": "combined"}
    with observatory(tmp_path, camera=camera(tmp_path, **keys)) as place:
        write_night(place.incoming, camera=BENT, flats=3, lights=1, dawn_darks=3)
        for index in range(3):
            write_shot(
                place.incoming, Kind.FLAT, 90 + index, camera=BENT, exposure_s=5.0, hours=19.5 + index / 60,
                level_adu=20_000.0, label="skyflat",
            )  # fmt: skip
        place.settle()
        (flat,) = place.masters("flat")
        assert flat["members"] == 6
        results = place.catalogue.current_results()
        verified = [verify(place.catalogue, place.settings, result) for result in results]
    assert len(verified) == 5
    assert [it.path for it in verified if not it.is_good] == []
