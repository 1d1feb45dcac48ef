"""After a fortnight every science frame is reduced as an expert would do it, in whatever order its frames arrived."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from ingestd.records import Kind
from tests.flow.fortnight import converged, differences, live
from tests.flow.fortnight_expert import COLD_C, Expert
from tests.flow.fortnight_story import AFTER, BEFORE, Taken, fortnight, night_of
from tests.flow.observatory import observatory

STORY = fortnight(BEFORE + AFTER)
LIGHTS = [frame for frame in STORY if frame.shot.kind is Kind.LIGHT]
WOBBLE_C, DOUBLING_C = 0.15, 6.0
"""How far the sensor is from its set point at most, and in how many degrees the dark current doubles."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The observatory after the fortnight, night by night: ``place``, its ``result``, the members of every master."""
    with observatory(tmp_path_factory.mktemp("live")) as place:
        live(place, STORY)
        names = {row["frame_id"]: Path(row["path"]).name for row in place.frames()}
        frames = {frame.name: frame for frame in STORY}
        members: dict[str, list[Taken]] = {}
        for row in place.catalogue._rows("SELECT master_id, frame_id FROM members"):
            members.setdefault(row["master_id"], []).append(frames[names[row["frame_id"]]])
        yield SimpleNamespace(place=place, result=place.result(), members=members)


@pytest.fixture(scope="module")
def expert():
    return Expert(STORY)


def lights(night, filter_name, exposure_s=None):
    """Return the science frames of a night in a filter, of one exposure or of any."""
    found = [frame for frame in LIGHTS if frame.night == night and frame.shot.filter_name == filter_name]
    return [frame for frame in found if exposure_s in (None, frame.shot.exposure_s)]


def used(ended, light):
    """Return how each master was used that took part in the calibration of a science frame, by its kind."""
    found = ended.place.used(light.name).items()
    return {kind: SimpleNamespace(**row) for kind, row in found if row["how"] != "noise_only"}


def dark_of(ended, light):
    """Return exposure and use of the dark of a science frame, and the frames in it."""
    row = used(ended, light)["dark"]
    members = ended.members[row.master_id]
    return members[0].shot.exposure_s, row.how, members


def name_of(ended, master_id):
    """Return what the expert would call a master."""
    master = ended.place.catalogue.master(master_id)
    more = (
        f" {master.exposure_s:g} s" if master.kind is Kind.DARK else f" {master.filter_name}" * bool(master.filter_name)
    )
    return f"{master.kind}{more} of {master.night}, {len(master.members)} frames"


def products(ended, light):
    """Return every product of a science frame, the first one first."""
    rows = ended.place.catalogue.product_rows(ended.place.frame(light.name)["frame_id"])
    return sorted(rows, key=lambda row: row["created_at"])


def history(ended, light):
    """Return what became of a science frame: of each product when it was made, whether provisional, its masters."""
    return [
        SimpleNamespace(
            is_provisional=bool(row["provisional"]),
            created_at=row["created_at"],
            how={used["kind"]: used["how"] for used in row["masters"]},
        )
        for row in products(ended, light)
    ]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_every_science_frame_is_done_and_none_is_provisional(ended):
    rows = ended.place.frames(kind="light")
    assert len(rows) == len(LIGHTS)
    assert {(row["state"], row["reason"]) for row in rows} == {("done", "reduced")}


def test_every_science_frame_has_the_masters_that_an_expert_would_choose(ended, expert):
    disagreements = {}
    for light in LIGHTS:
        rows, choice = used(ended, light), expert.choose(light)
        found = {kind: name_of(ended, row.master_id) for kind, row in rows.items()}, rows["dark"].how
        if found != (choice.used(), choice.how):
            disagreements[light.name] = found, (choice.used(), choice.how)
    assert disagreements == {}


def test_the_gain_change_before_the_eleventh_night_began_an_epoch_and_the_lights_did_not(ended):
    (row,) = ended.place.catalogue.break_rows()
    assert (row["night"], row["after_night"], row["status"]) == (night_of(11), night_of(10), "detected")
    current = [ended.members[row["master_id"]] for row in ended.place.masters()]
    assert all(len({frame.night > len(BEFORE) for frame in members}) == 1 for members in current)


def test_the_masters_of_every_night_are_those_that_the_expert_lays_out(ended, expert):
    found = sorted(name_of(ended, row["master_id"]) for row in ended.place.masters())
    assert found == sorted(sheet.name for sheet in expert.sheets)


def test_every_product_shows_the_sky_as_it_was(ended, expert):
    """The mean over the pixels is right within 4 of its standard errors and what the temperature may do to the dark.

    Its scatter is that of photons, read-out and masters within 4 standard errors, 1 / sqrt(2 n) each.
    """
    for light in LIGHTS:
        choice = expert.choose(light)
        electrons, good = reduced(ended, light)
        sigma = np.sqrt(expected_variance(light, choice)[good])
        residual = (electrons - light.electrons)[good]
        error = np.sqrt(np.mean(sigma**2) / good.sum()) + flat_level_error(light, choice)
        assert abs(residual.mean()) < 4 * error + dark_error(light, choice), light.name
        assert np.std(residual / sigma) == pytest.approx(1.0, abs=4 / np.sqrt(2 * good.sum())), light.name


def reduced(ended, light):
    """Return a reduced frame in true electrons, whatever gain was measured, and which of its pixels are good."""
    (gain,) = [row["gain_e_per_adu"] for row in products(ended, light) if row["current"]]
    with fits.open(ended.place.product(light.name), memmap=False) as hdus:
        in_adu = np.asarray(hdus[0].data, float) / (1.0 if gain is None else gain)
        return in_adu * light.sensor.gain_e_per_adu, hdus["MASK"].data == 0


def expected_variance(light, choice):
    """Return the variance of a reduced frame, electrons squared, from photons, read-out and masters.

    A dark D is scaled by r between biases B: ``S - B - r (D - B)``; an exact one is ``S - D``.
    """
    sensor, exposure_s = light.sensor, light.shot.exposure_s
    rate, sensitivity = sensor.dark(light.temp_c).astype(float), sensor.flat(light.shot.filter_name).astype(float)
    read = sensor.read_noise_e**2 + sensor.gain_e_per_adu**2 / 12  # rounding to whole ADU
    seen = light.electrons * sensitivity
    variance = seen + rate * exposure_s + read
    ratio = exposure_s / choice.dark.exposure_s
    variance += ratio**2 * (rate * choice.dark.exposure_s + read) / len(choice.dark.members)
    if choice.how != "exact":
        variance += (1 - ratio) ** 2 * read / len(choice.bias.members)
    flats = choice.flat.members
    charge = sum(frame.shot.level_adu for frame in flats) * sensor.gain_e_per_adu * sensitivity
    variance += seen**2 * (1 / charge + len(flats) * read / charge**2)
    return variance / sensitivity**2


def flat_level_error(light, choice):
    """Return the error of the level by which the flat was divided: that of a median over the central quarter."""
    ny, nx = light.sensor.shape
    charge = sum(frame.shot.level_adu for frame in choice.flat.members) * light.sensor.gain_e_per_adu
    return 1.2533 / np.sqrt(charge * ny * nx / 4) * light.electrons.mean()


def dark_error(light, choice):
    """Return the most that the dark current can be off, electrons: the temperatures differ, and both wobble."""
    degrees = abs(light.temp_c - choice.dark.temp_c) + 2 * WOBBLE_C
    warmest = max([light.temp_c, *(frame.temp_c for frame in choice.dark.members)])
    return float(light.sensor.dark(warmest).mean()) * light.shot.exposure_s * (2 ** (degrees / DOUBLING_C) - 1)


# --- temperatures that drift and step ---------------------------------------------------------------------------------


def test_nights_of_the_drift_share_their_masters_while_the_drift_is_within_tolerance(ended):
    (bias,) = [row for row in ended.place.masters("bias") if row["night"] == night_of(4)]
    assert {frame.night for frame in ended.members[bias["master_id"]]} == {1, 2, 3, 4}


def test_dark_from_which_the_sensor_has_drifted_is_not_used(ended):
    # 60 s darks were taken at -10.0 C; on the fifth night the sensor was at -9.4 C
    for light in lights(5, "V", 60):
        assert dark_of(ended, light)[:2] == (120.0, "scaled_down")


def test_lights_of_the_cold_nights_got_darks_of_their_own_temperature(ended):
    cold = [light for light in LIGHTS if light.temp_c < COLD_C]
    assert {light.night for light in cold} == {6, 7}
    for light in cold:
        assert {frame.temp_c for frame in dark_of(ended, light)[2]} == {-15.0}


def test_no_master_bias_or_dark_mixes_the_cold_nights_with_others(ended):
    for members in ended.members.values():
        if members[0].shot.kind is not Kind.FLAT:
            assert len({frame.temp_c < COLD_C for frame in members}) == 1


# --- darks missing for two exposures ----------------------------------------------------------------------------------


def test_exposure_without_darks_was_scaled_from_the_longer_dark_with_bias(ended):
    (light,) = lights(2, "V", 45)
    assert dark_of(ended, light)[1] == "scaled_down"
    assert "bias" in used(ended, light)


def test_exposure_longer_than_any_dark_was_scaled_up_and_says_that_better_is_possible(ended):
    for light in lights(3, "V", 200) + lights(8, "V", 200):
        assert dark_of(ended, light)[:2] == (120.0, "scaled_up")
        assert products(ended, light)[-1]["better_possible"]


def test_cold_frames_were_scaled_until_darks_of_their_exposure_came_the_next_night(ended):
    for light in lights(6, "V", 60):
        revisions = history(ended, light)
        assert revisions[0].how["dark"] == "scaled_down"
        assert revisions[0].created_at < f"{night_of(7)}T12"
        assert revisions[-1].how["dark"] == "exact"


# --- a filter without flats until dawn --------------------------------------------------------------------------------


def test_ha_frames_waited_provisional_until_dawn_flats_and_were_reduced_again(ended):
    dawn = f"{night_of(4)}T04"
    for light in lights(3, "Ha"):
        revisions = history(ended, light)
        before = [revision for revision in revisions if revision.created_at < dawn]
        assert before
        assert all(revision.is_provisional and "flat" not in revision.how for revision in before)
        assert not any(revision.is_provisional for revision in revisions[len(before) :])
        assert revisions[len(before)].created_at < f"{night_of(4)}T12"


def test_frames_in_other_filters_did_not_wait_that_night(ended):
    assert not any(revision.is_provisional for light in lights(3, "V") for revision in history(ended, light))


# --- biases with the lights on ----------------------------------------------------------------------------------------


def test_biases_with_the_lights_on_are_in_no_master(ended):
    assert not [frame.name for members in ended.members.values() for frame in members if frame.is_lit]


def test_biases_with_the_lights_on_are_quarantined_and_nothing_else_is(ended):
    quarantined = {Path(row["path"]).name: row["reason"] for row in ended.place.frames(state="quarantined")}
    assert quarantined == {frame.name: "bias_with_flux" for frame in STORY if frame.is_lit}


def test_lights_of_that_night_were_reduced_with_a_bias_of_another(ended):
    for light in lights(5, "V", 60):
        bias = used(ended, light)["bias"]
        assert {frame.night for frame in ended.members[bias.master_id]} <= {1, 2, 3, 4, 8, 9, 10}


# --- any order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "seed"), [("backwards", 0), ("late frames", 1), ("shuffled", 2)])
def test_any_order_of_arrival_ends_with_the_same_masters_and_products(ended, tmp_path, order, seed):
    assert differences(converged(tmp_path, STORY, order, seed), ended.result) == []


def test_a_planner_that_prefers_the_first_master_recorded_is_found_out(ended, tmp_path):
    assert differences(converged(tmp_path, STORY, "backwards", 0, "first_recorded"), ended.result) != []
