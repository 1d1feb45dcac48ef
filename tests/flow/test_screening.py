"""Frames whose pixels contradict their headers enter no master, say why, and an operator has the last word."""

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ingestd import simulator
from ingestd.cli import program
from ingestd.records import Kind
from tests.flow.observatory import CAMERA, SENSOR, Observatory, observatory, settings_for, with_cards, write_night

FIRST, SECOND, THIRD = date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 2)
LIT_ADU = 900.0
HALF_GAIN = replace(CAMERA, sensor=replace(SENSOR, gain_e_per_adu=2 * SENSOR.gain_e_per_adu))
OTHER_OFFSET = replace(CAMERA, sensor=replace(SENSOR, bias_adu=SENSOR.bias_adu + 300))


def lit(pixels, adu=LIT_ADU):
    """Return a frame on which light fell through the optics: vignetted, with its photon noise."""
    random_of = np.random.default_rng(int(pixels.sum()) % 1000)
    charge = random_of.poisson(SENSOR.flat("V") * adu * SENSOR.gain_e_per_adu)
    return np.clip(pixels + np.rint(charge / SENSOR.gain_e_per_adu), 0, 65535).astype(np.uint16)


def all_zero(pixels):
    return np.zeros_like(pixels)


def saturated(pixels):
    return np.full_like(pixels, 65535) - (np.arange(pixels.size).reshape(pixels.shape) % 7 == 0)


def half_read(pixels):
    """Return a frame of which the upper third of the rows was never read out."""
    return np.where(np.arange(len(pixels))[:, np.newaxis] < len(pixels) // 3, 0, pixels).astype(np.uint16)


def striped(pixels):
    """Return a frame whose odd columns were amplified 10 % more than the even ones."""
    return (pixels * np.where(np.arange(pixels.shape[1]) % 2, 1.1, 1.0)).astype(np.uint16)


def write(place, kind, index, evening=SECOND, *, camera=CAMERA, change=None, name=None, **more):
    """Write one frame of an evening, its pixels changed; return its name."""
    hours = {Kind.BIAS: 17.5, Kind.DARK: 18.0, Kind.FLAT: 19.0, Kind.LIGHT: 20.5}[kind]
    midnight = datetime(evening.year, evening.month, evening.day, tzinfo=UTC)
    start = midnight + timedelta(hours=hours, seconds=200 * index)
    fields = {
        Kind.BIAS: {"exposure_s": 0.0},
        Kind.DARK: {"exposure_s": 120.0},
        Kind.FLAT: {"exposure_s": 7.0, "filter_name": "V", "level_adu": 22_000.0},
        Kind.LIGHT: {"exposure_s": 60.0, "filter_name": "V", "object_name": "M13"},
    }[kind]
    shot = simulator.Shot(kind, evening.day * 1000 + 500 + index, obs_start=start, **{**fields, **more})
    exposure = camera.expose(shot)
    if change is not None:
        exposure = replace(exposure, pixels=change(exposure.pixels))
    directory = place.incoming if isinstance(place, Observatory) else place
    path = directory / (name or f"{kind.value}_{evening.day}_{index}.fit")
    simulator.write(path, exposure)
    return path.name


def write_good(place, kind, evening=SECOND, number=3, first=10, **more):
    return [write(place, kind, first + i, evening, **more) for i in range(number)]


def verdict(place, name):
    """Return state and reason of a frame that is set aside, or its state alone."""
    row = place.frame(name)
    return (row["state"], row["reason"]) if row["state"] == "quarantined" else (row["state"],)


def ever_members(place):
    """Return the names of all frames that were ever a member of a recorded master."""
    rows = place.catalogue._rows("SELECT DISTINCT frame_id FROM members")
    ids = {row["frame_id"] for row in rows}
    return {Path(row["path"]).name for row in place.frames() if row["frame_id"] in ids}


def members_of_current(place, kind):
    ids = {frame_id for row in place.masters(kind) for frame_id in place.catalogue.master(row["master_id"]).members}
    return {Path(row["path"]).name for row in place.frames() if row["frame_id"] in ids}


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


@pytest.fixture
def second_evening(place):
    """An observatory whose first night has given a master of every kind."""
    write_night(place.incoming, evening=FIRST, lights=0)
    place.settle()
    assert {row["kind"] for row in place.masters()} == {"bias", "dark", "flat"}
    return place


# --- what is wrong by itself, on the first night of a camera ---------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (Kind.BIAS, {"change": all_zero}, "constant_image"),
        (Kind.BIAS, {"change": half_read}, "not_read_out"),
        (Kind.BIAS, {"exposure_s": 5.0}, "bias_exposure"),
        (Kind.BIAS, {"change": lambda pixels: lit(pixels, 45_000)}, "bias_with_flux"),
        (Kind.DARK, {"change": lambda pixels: lit(pixels, 45_000)}, "light_leak"),
        (Kind.DARK, {"change": all_zero}, "constant_image"),
        (Kind.FLAT, {"level_adu": 0.0}, "flat_without_light"),
        (Kind.FLAT, {"level_adu": 60.0}, "flat_too_faint"),
        (Kind.FLAT, {"change": saturated}, "saturated"),
        (Kind.FLAT, {"level_adu": 62_000.0}, "flat_too_bright"),
        (Kind.FLAT, {"change": half_read}, "not_read_out"),
    ],
)
def test_what_is_wrong_by_itself_is_kept_out_on_the_first_night(place, kind, fields, reason):
    write_night(place.incoming, evening=FIRST, lights=0)
    name = write(place, kind, 0, FIRST, **fields)
    place.settle()
    assert verdict(place, name) == ("quarantined", reason)
    assert name not in ever_members(place)
    assert [row["members"] for row in place.masters()] == [3, 3, 3]


def test_the_first_night_of_a_camera_needs_no_operator(place):
    write_night(place.incoming, evening=FIRST)
    place.settle()
    assert {row["state"] for row in place.frames()} == {"done"}
    assert not [row for row in place.frames() if place.catalogue.findings(row["frame_id"])]


# --- what the master of an earlier night shows ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (Kind.BIAS, {"change": lit}, "bias_with_flux"),
        (Kind.BIAS, {"change": lambda pixels: lit(pixels, 150.0)}, "bias_with_flux"),
        (Kind.BIAS, {"camera": HALF_GAIN}, "noise_jump"),
        (Kind.BIAS, {"camera": OTHER_OFFSET}, "level_jump"),
        (Kind.DARK, {"change": lambda pixels: lit(pixels, 300.0)}, "light_leak"),
        (Kind.DARK, {"exposure_s": 60.0, "change": lambda pixels: lit(pixels, 300.0)}, "light_leak"),
        (Kind.DARK, {"camera": OTHER_OFFSET}, "light_leak"),
        (Kind.FLAT, {"change": striped}, "pattern"),
    ],
    ids=["lights on", "dusk", "gain", "offset", "leak", "leak, new exposure", "offset of a dark", "stripes"],
)
def test_what_the_master_of_the_earlier_night_contradicts_is_kept_out(second_evening, kind, fields, reason):
    place = second_evening
    bad = write_good(place, kind, number=3, first=0, **fields)
    good = write_good(place, kind)
    place.settle()
    for name in bad:
        assert verdict(place, name) == ("quarantined", reason), place.frame(name)["detail"]
    for name in good:
        assert verdict(place, name) == ("done",), place.frame(name)["detail"]
    assert not ever_members(place) & set(bad)
    assert members_of_current(place, kind.value) >= set(good)


def test_a_burst_of_bad_frames_alone_gives_no_master(second_evening):
    place = second_evening
    before = place.result()
    write_good(place, Kind.BIAS, change=lit)
    place.settle()
    assert place.result() == before


def test_the_detail_has_the_numbers_the_limits_and_what_to_do(second_evening):
    place = second_evening
    name = write(place, Kind.BIAS, 0, change=lit)
    place.settle()
    row = place.frame(name)
    # light that is 900 ADU at the centre of a flat with 25 % vignetting has a median somewhat below
    offset = float(row["detail"].split("lies +")[1].split()[0])
    assert 0.8 * LIT_ADU < offset < LIT_ADU
    for words in ("master bias of 2025-02-28", "limit", f"ingestd accept {row['frame_id'][:8]}"):
        assert words in row["detail"]
    assert "contradicted" in place.events()


def test_figures_of_a_frame_that_was_kept_out_are_no_part_of_the_series(second_evening):
    place = second_evening
    name = write(place, Kind.BIAS, 0, change=lit)
    place.settle()
    assert place.frame(name)["frame_id"] not in {row["frame_id"] for row in place.qa("bias_level_adu")}


def test_good_frames_of_the_next_nights_pass_without_a_word(second_evening):
    place = second_evening
    write_night(place.incoming, evening=SECOND, filters=("V", "R"), dawn_darks=3)
    write_night(place.incoming, evening=THIRD, filters=("R",), dawn_darks=3)
    place.settle()
    assert {row["state"] for row in place.frames()} == {"done"}
    assert not [row for row in place.frames() if place.catalogue.findings(row["frame_id"])]


def test_good_frames_are_not_kept_out_because_the_first_master_was_taken_with_light(place):
    lit_names = write_good(place, Kind.BIAS, FIRST, change=lit)
    place.settle()
    good = write_good(place, Kind.BIAS, SECOND)
    place.settle()
    for name in good:
        assert verdict(place, name) == ("done",)
        (finding,) = place.catalogue.findings(place.frame(name)["frame_id"])
        assert finding.code == "reference_in_doubt"
    assert place.command(command="reject", names=lit_names, reason="dome lights on")["ok"]
    place.settle()
    assert members_of_current(place, "bias") == set(good)
    assert not [found for name in good for found in place.catalogue.findings(place.frame(name)["frame_id"])]


def test_a_science_frame_as_bright_as_a_flat_is_reduced_and_noted(second_evening):
    place = second_evening
    name = write(place, Kind.LIGHT, 0, change=lambda pixels: lit(pixels, 30_000))
    place.settle()
    row = place.frame(name)
    assert (row["state"], row["reason"]) == ("done", "reduced")
    assert [found.code for found in place.catalogue.findings(row["frame_id"])] == ["bright_sky"]


# --- the order of arrival ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Three nights with bad frames among the good: name and content of every file."""
    directory = tmp_path_factory.mktemp("nights")
    for evening in (FIRST, SECOND, THIRD):
        write_night(directory, evening=evening)
    write_good(directory, Kind.BIAS, SECOND, number=2, first=0, change=lit)
    write(directory, Kind.DARK, 0, SECOND, change=lambda pixels: lit(pixels, 300.0))
    write(directory, Kind.FLAT, 0, FIRST, level_adu=0.0)
    write(directory, Kind.FLAT, 1, THIRD, change=striped)
    write(directory, Kind.BIAS, 0, THIRD, camera=HALF_GAIN)
    return [(path.name, path.read_bytes()) for path in sorted(directory.iterdir())]


def converged(place):
    """Return what must not depend on the way: bytes, verdicts, findings."""
    verdicts = {
        Path(row["path"]).name: (row["state"], row["reason"], row["detail"], place.catalogue.findings(row["frame_id"]))
        for row in place.frames()
    }
    return place.result(), verdicts


@pytest.fixture(scope="module")
def at_once(nights, tmp_path_factory):
    with observatory(tmp_path_factory.mktemp("at_once")) as place:
        for name, content in nights:
            (place.incoming / name).write_bytes(content)
        place.settle()
        return converged(place)


def test_every_bad_frame_of_three_nights_is_found_and_no_other(at_once):
    aside = {name: found[1] for name, found in at_once[1].items() if found[0] == "quarantined"}
    assert aside == {
        "bias_1_0.fit": "bias_with_flux",
        "bias_1_1.fit": "bias_with_flux",
        "dark_1_0.fit": "light_leak",
        "flat_28_0.fit": "flat_without_light",
        "flat_2_1.fit": "pattern",
        "bias_2_0.fit": "noise_jump",
    }


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_arrival_ends_with_the_same_verdicts_and_bytes(nights, at_once, tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with observatory(tmp_path) as place:
        for name, content in chance.sample(nights, len(nights)):
            (place.incoming / name).write_bytes(content)
            place.run(chance.choice((0.0, 0.5, 3.0, 12.0)))
        place.settle()
        assert converged(place) == at_once


def test_a_live_replay_ends_with_the_same_verdicts_and_bytes(nights, at_once, tmp_path):
    evenings = (("_28_", "20250228"), ("_1_", "20250301"), ("_2_", "20250302"))
    by_night = [item for words in evenings for item in nights if any(word in item[0] for word in words)]
    assert len(by_night) == len(nights)
    with observatory(tmp_path) as place:
        for name, content in by_night:
            (place.incoming / name).write_bytes(content)
            place.run(4.0)
        place.settle()
        assert converged(place) == at_once


# --- the operator's word ----------------------------------------------------------------------------------------------


def test_an_accepted_frame_enters_the_master_and_restoring_takes_it_out_again(second_evening):
    place = second_evening
    name = write(place, Kind.BIAS, 0, camera=OTHER_OFFSET)
    write_good(place, Kind.BIAS)
    place.settle()
    before = place.result()
    assert place.command(command="accept", names=[name], reason="the offset was changed")["ok"]
    place.settle()
    assert name in members_of_current(place, "bias")
    assert place.state(name) == ("done", "member")
    assert place.command(command="restore", names=[name])["ok"]
    place.settle()
    assert verdict(place, name) == ("quarantined", "level_jump")
    assert place.result() == before


def test_a_rejected_member_leaves_its_masters_and_returns_when_restored(second_evening):
    place = second_evening
    name, *_ = write_good(place, Kind.BIAS)
    write(place, Kind.LIGHT, 0)
    place.settle()
    before = place.result()
    assert place.command(command="reject", names=[name], reason="shutter stuck")["ok"]
    row = place.frame(name)
    assert (row["state"], row["reason"]) == ("quarantined", "rejected")
    assert "shutter stuck" in row["detail"]
    place.settle()
    assert name not in members_of_current(place, "bias")
    assert place.result() != before
    place.command(command="restore", names=[name])
    place.settle()
    assert place.result() == before


def test_a_rejected_science_frame_has_no_current_product_until_it_is_restored(second_evening):
    place = second_evening
    name = write(place, Kind.LIGHT, 0)
    place.settle()
    before = place.result()
    (link,) = (place.data / "current").rglob("*.fits")
    place.command(command="reject", names=[name], reason="satellite")
    assert place.frame(name)["product"] is None
    assert not link.is_symlink()
    write_night(place.incoming, evening=SECOND, lights=0)
    place.settle()
    assert verdict(place, name) == ("quarantined", "rejected")
    assert place.frame(name)["product"] is None
    place.command(command="restore", names=[name])
    place.settle()
    assert place.state(name) == ("done", "reduced")
    assert link.resolve() == place.product(name).resolve()
    assert len([path for path in before if path.startswith("reduced/")]) == 1


def test_a_science_frame_rejected_while_it_is_reduced_gets_no_current_product(second_evening):
    place = second_evening
    name = write(place, Kind.LIGHT, 0)
    place.run(1.0)
    while not place.executor.in_flight and place.frame(name)["product"] is None:
        place.tick()
    place.command(command="reject", names=[name], reason="clouds")
    place.settle()
    assert (verdict(place, name), place.frame(name)["product"]) == (("quarantined", "rejected"), None)
    assert not list((place.data / "current").rglob("*.fits"))


def test_a_rejected_frame_stays_rejected_when_its_header_is_rewritten(second_evening):
    place = second_evening
    name, *_ = write_good(place, Kind.BIAS)
    place.settle()
    place.command(command="reject", names=[name], reason="shutter stuck")
    with_cards(place.incoming / name, OBSERVER="somebody")
    place.settle()
    (standing,) = [row for row in place.catalogue.find_frames(name) if row["live"]]
    assert (standing["state"], standing["reason"]) == ("quarantined", "rejected")
    assert name not in members_of_current(place, "bias")


def test_requeue_overrules_neither_a_verdict_nor_the_operator(second_evening):
    place = second_evening
    contradicted = write(place, Kind.BIAS, 0, change=lit)
    rejected = write(place, Kind.BIAS, 1)
    place.settle()
    place.command(command="reject", names=[rejected], reason="test")
    place.command(command="requeue", frames=[contradicted, rejected])
    place.settle()
    assert verdict(place, contradicted) == ("quarantined", "bias_with_flux")
    assert verdict(place, rejected) == ("quarantined", "rejected")


def test_every_word_is_kept_with_time_and_reason(second_evening):
    place = second_evening
    name = write(place, Kind.BIAS, 0, change=lit)
    place.settle()
    place.command(command="accept", names=[name], reason="it is all right")
    place.command(command="restore", names=[name], reason="it was not")
    said = place.catalogue.decisions(frame_id=place.frame(name)["frame_id"])
    assert [(row["decision"], row["reason"]) for row in said] == [
        ("restored", "it was not"),
        ("accepted", "it is all right"),
    ]
    assert all(row["time"].startswith("2025-03-02T") for row in said)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"command": "reject", "names": ["nowhere.fit"], "reason": "x"}, "nowhere.fit"),
        ({"command": "reject", "names": ["bias*"], "reason": ""}, "reason"),
        ({"command": "accept", "names": []}, "names"),
        ({"command": "accept", "names": "bias"}, "names"),
        ({"command": "pin", "names": ["nowhere"]}, "no master"),
    ],
)
def test_a_word_that_cannot_be_carried_out_is_refused(second_evening, request_, words):
    answer = second_evening.command(**request_)
    assert not answer["ok"]
    assert words in answer["error"]


def test_a_file_that_cannot_be_read_cannot_be_accepted(second_evening):
    (second_evening.incoming / "text.fits").write_bytes(b"not a FITS file at all\n" * 200)
    second_evening.settle()
    answer = second_evening.command(command="accept", names=["text.fits"])
    assert not answer["ok"]
    assert "not_fits" in answer["error"]


# --- masters ----------------------------------------------------------------------------------------------------------


def test_a_rejected_master_is_chosen_for_nothing_until_it_is_restored(second_evening):
    place = second_evening
    write_good(place, Kind.BIAS)
    name = write(place, Kind.LIGHT, 0)
    place.settle()
    before, used = place.result(), place.used(name)["bias"]["master_id"]
    assert place.command(command="reject", names=[used[:12]], reason="odd")["masters"] == 1
    place.settle()
    assert place.used(name)["bias"]["master_id"] != used
    place.command(command="requeue")
    place.settle()
    assert used not in {row["master_id"] for row in place.masters()}
    place.command(command="restore", names=[used[:12]])
    place.settle()
    assert place.result() == before


def test_a_pinned_master_is_chosen_first_also_when_it_was_replaced(second_evening):
    place = second_evening
    (old,) = [row["master_id"] for row in place.masters("bias")]
    write_good(place, Kind.BIAS, FIRST)
    write_good(place, Kind.BIAS)
    name = write(place, Kind.LIGHT, 0)
    place.settle()
    before = place.result()
    assert place.used(name)["bias"]["master_id"] != old
    assert place.command(command="pin", names=[old[:12]], reason="the best there is")["ok"]
    place.settle()
    assert place.used(name)["bias"]["master_id"] == old
    place.command(command="restore", names=[old[:12]])
    place.settle()
    assert place.result() == before


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path):
    """A function that runs a command on an observatory at rest, in which one bias was taken with light."""
    with observatory(tmp_path) as place:
        write_night(place.incoming, evening=FIRST, lights=0)
        place.settle()
        name = write(place, Kind.BIAS, 0, change=lit)
        place.settle()
    config = tmp_path / "config.toml"
    config.write_text(
        f'[paths]\ndata = "{tmp_path / "data"}"\n[[camera]]\nname = "test"\ndirectories = ["{tmp_path / "incoming"}"]\n'
    )

    def tell(*arguments):
        result = CliRunner().invoke(program, [*arguments, "--config", str(config)])
        return result.exit_code, result.output

    return name, tell


def test_explain_shows_the_verdict_and_what_the_operator_said(told):
    name, tell = told
    assert "bias_with_flux" in tell("explain", name)[1]
    assert tell("accept", name, "--reason", "only a test")[0] == 0
    text = tell("explain", name)[1]
    assert "only a test" in text
    (described,) = json.loads(tell("explain", name, "--json")[1])
    assert described["pixels"][0]["code"] == "bias_with_flux"
    assert [said["decision"] for said in described["decisions"]] == ["accepted"]


def test_decisions_are_listed(told):
    name, tell = told
    assert tell("decisions") == (0, "Nothing was decided.\n")
    tell("reject", name, "--reason", "dome lights")
    tell("restore", name)
    rows = json.loads(tell("decisions", "--json")[1])
    assert [(row["decision"], row["reason"], Path(row["path"]).name) for row in rows] == [
        ("restored", "", name),
        ("rejected", "dome lights", name),
    ]


def test_a_rejection_needs_a_reason(told):
    name, tell = told
    code, text = tell("reject", name)
    assert code == 2
    assert "--reason" in text


# --- settings ---------------------------------------------------------------------------------------------------------


def test_a_changed_limit_changes_the_verdicts_without_reading_a_file(tmp_path):
    with observatory(tmp_path) as place:
        write_night(place.incoming, evening=FIRST, lights=0)
        place.settle()
        name = write(place, Kind.BIAS, 0, camera=OTHER_OFFSET)
        place.settle()
        assert verdict(place, name) == ("quarantined", "level_jump")
    read = []

    def run(job):
        read.append(type(job).__name__)
        return worker(job)

    settings = settings_for(tmp_path, screening={"level_jump_sigma": 1000.0})
    worker = simulator_worker(settings)
    place = Observatory(settings, run=run)
    try:
        place.catalogue.touch_nights(place.now)
        place.settle()
        assert verdict(place, name) == ("done",)
        assert set(read) <= {"BuildMaster", "MeasureMaster"}
    finally:
        place.close()


def simulator_worker(settings):
    from ingestd.jobs import Worker  # noqa: PLC0415 - named beside its only use

    return Worker(settings.limits)
