"""Raw files that are moved to an archive: what was made of them stays, and goes on calibrating."""

import random
from datetime import date

import pytest

from ingestd.flow.verifying import verify
from ingestd.records import Kind
from tests.flow.observatory import BIASES, DARKS, FLATS, LIGHTS, observatory, with_cards, write_night, write_shot

LATER = date(2025, 3, 2)


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


@pytest.fixture
def archive(place, tmp_path):
    """Return what moves files out of the watched directory, and waits until that is noticed."""
    directory = tmp_path / "archive"
    directory.mkdir()

    def move(*paths):
        for path in paths:
            path.rename(directory / path.name)
        place.settle()
        return directory

    return move


def files(place, pattern):
    return sorted(place.incoming.glob(pattern))


def biases(place, number, first, hours):
    for index in range(number):
        write_shot(place.incoming, Kind.BIAS, first + index, hours=hours + index / 60)
    place.settle()


def members(place, kind):
    return [row["members"] for row in place.masters(kind)]


def state_of_all(place):
    """Return everything that must not change: files, masters, and what each light was reduced with."""
    lights = {row["frame_id"]: (row["state"], row["reason"], row["product"]) for row in place.frames(kind="light")}
    return place.result(), lights


# --- what is archived changes nothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [BIASES, DARKS, FLATS, LIGHTS, "*", "*[08].fit"])
def test_archiving_raw_files_leaves_masters_and_products_as_they_are(place, archive, pattern):
    write_night(place.incoming)
    place.settle()
    before = state_of_all(place)
    assert files(place, pattern)
    archive(*files(place, pattern))
    assert state_of_all(place) == before


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_archiving_two_nights_changes_nothing(place, archive, seed):
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    write_night(place.incoming, biases=4)
    write_night(place.incoming, evening=LATER, biases=4, dawn_darks=3)
    place.settle()
    before = state_of_all(place)
    left = chance.sample(files(place, "*"), len(files(place, "*")))
    while left:
        number = chance.randint(1, 8)
        archive(*left[:number])
        left = left[number:]
        assert state_of_all(place) == before


def test_a_frame_that_arrives_later_is_calibrated_by_masters_of_archived_frames(place, archive):
    write_night(place.incoming)
    place.settle()
    archive(*files(place, "*"))
    write_shot(place.incoming, Kind.LIGHT, 77, exposure_s=60.0, hours=26.0, name="late.fit")
    place.settle()
    assert place.state("late.fit") == ("done", "reduced")
    assert {kind: row["master_id"] for kind, row in place.used("late.fit").items()} == {
        row["kind"]: row["master_id"] for row in place.masters()
    }


def test_a_night_archived_by_the_next_evening_keeps_its_masters(place, archive):
    write_night(place.incoming)
    place.settle()
    before = place.result()
    archive(*files(place, "*"))
    write_night(place.incoming, evening=LATER)
    place.settle()
    assert before.items() <= place.result().items()
    assert members(place, "bias") == [3, 3]  # made of what is there


@pytest.mark.parametrize("masters", [{"sigma": 4.0}, {"bias": {"window_d": 1}, "flat": {"window_d": 1}}])
def test_other_settings_take_no_master_of_archived_frames_away(tmp_path, masters):
    with observatory(tmp_path) as place:
        write_night(place.incoming, evening=date(2025, 2, 25))
        write_night(place.incoming)
        place.settle()
        before = state_of_all(place)
        for path in files(place, "*"):
            path.unlink()
        place.settle()
    with observatory(tmp_path, masters=masters) as place:
        place.settle()
        assert members(place, "bias") == [3, 6]
        assert state_of_all(place) == before


# --- frames that come later -------------------------------------------------------------------------------------------


def test_a_late_frame_replaces_no_master_of_more_members(place, archive):
    biases(place, 6, first=1, hours=20.0)
    before = place.result()
    archive(*files(place, BIASES)[:4])
    biases(place, 3, first=7, hours=21.0)  # 2 + 3 are left: fewer than 6
    assert place.result() == before
    biases(place, 1, first=10, hours=22.0)  # as many, and newer
    assert members(place, "bias") == [6]
    assert place.result() != before
    newer = place.result()
    archive(*files(place, BIASES))
    assert place.result() == newer


def test_as_many_frames_of_earlier_that_night_replace_nothing(place, archive):
    biases(place, 3, first=1, hours=20.0)
    before = place.result()
    archive(*files(place, BIASES))
    biases(place, 3, first=4, hours=19.0)
    assert place.result() == before
    biases(place, 1, first=7, hours=19.5)
    assert members(place, "bias") == [4]


def test_a_night_that_was_archived_before_its_master_was_made_has_none(place, archive):
    biases(place, 4, first=1, hours=20.0 - 24)
    biases(place, 2, first=5, hours=20.0)
    whole = place.result()
    archive(*files(place, BIASES)[4:])
    biases(place, 1, first=7, hours=19.0 - 24)  # the night before grows; what its files alone give is no other night's
    assert members(place, "bias") == [5, 6]
    assert len(whole.keys() & place.result().keys()) == 1


def test_archived_flats_stay_when_a_better_bias_comes(place, archive):
    write_night(place.incoming)
    place.settle()
    (flat,) = place.masters("flat")
    archive(*files(place, FLATS))
    biases(place, 1, first=90, hours=20.5)
    assert members(place, "bias") == [4]
    assert place.masters("flat") == [flat]
    assert place.state(files(place, LIGHTS)[0].name) == ("done", "reduced")


def test_of_as_many_flats_those_with_the_bias_of_now_are_preferred(place, archive):
    write_night(place.incoming, flats=4)
    place.settle()
    (flat,) = place.masters("flat")
    archive(files(place, FLATS)[0])
    biases(place, 1, first=90, hours=20.5)
    assert place.masters("flat") == [flat]  # of four, with the bias of before: three are left
    write_shot(place.incoming, Kind.FLAT, 91, exposure_s=7.0, hours=18.5, level_adu=20_000.0)
    place.settle()
    (newer,) = place.masters("flat")
    (bias,) = place.masters("bias")
    assert newer["members"] == 4
    assert bias["master_id"] in place.catalogue.master(newer["master_id"]).parents
    archive(*files(place, "*"))
    assert place.masters("flat") == [newer]


@pytest.mark.parametrize("seed", range(3))
def test_files_found_again_heal_masters_whatever_came_in_between(tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    source = write_night(tmp_path / "source", biases=6, evening_darks=4, flats=4, lights=2)
    contents = [(path.name, path.read_bytes()) for path in source]
    results = []
    for way in ("at once", "in between"):
        with observatory(tmp_path / way) as place:
            waiting = chance.sample(contents, len(contents)) if way == "in between" else []
            while waiting:
                for name, content in waiting[:6]:
                    (place.incoming / name).write_bytes(content)
                waiting = waiting[6:]
                place.settle()
                for path in chance.sample(files(place, "*"), 3):
                    path.unlink()
                place.settle()
            for name, content in contents:
                (place.incoming / name).write_bytes(content)
            place.settle()
            results.append(place.result())
    assert results[0] == results[1]


# --- what still withdraws ---------------------------------------------------------------------------------------------


def test_the_operator_withdraws_masters_of_an_archived_frame(place, archive):
    write_night(place.incoming, flats=3)
    place.settle()
    before = place.result()
    name = files(place, BIASES)[0].name
    archive(*files(place, BIASES), *files(place, FLATS))
    assert place.command(command="reject", names=[name], reason="light leak")["ok"]
    place.settle()
    assert place.masters("bias") == []
    assert place.masters("flat") == []  # its bias held the rejected frame
    assert place.command(command="restore", names=[name], reason="it was not")["ok"]
    place.settle()
    assert place.result() == before


def test_a_version_that_supersedes_an_archived_one_withdraws_it(place, archive):
    write_night(place.incoming, lights=0, flats=0, evening_darks=0)
    place.settle()
    path = files(place, BIASES)[0]
    directory = archive(*files(place, BIASES))
    (directory / path.name).rename(path)
    with_cards(path, OBSERVER="somebody else")
    place.settle()
    assert place.masters("bias") == []


@pytest.mark.parametrize("is_archived_first", [False, True])
def test_a_break_of_epochs_cuts_archived_frames_off(place, archive, is_archived_first):
    write_night(place.incoming)
    write_night(place.incoming, evening=LATER)
    place.settle()
    assert members(place, "bias") == [3, 6]
    old = files(place, "*20250301*")
    if is_archived_first:
        archive(*old)
    assert place.command(command="epochs", word="open", night=LATER.isoformat(), reason="new CCD")["ok"]
    place.settle()
    assert members(place, "bias") == [3, 3]
    found = place.result()
    if not is_archived_first:
        archive(*old)
    assert place.result() == found


# --- what is said -----------------------------------------------------------------------------------------------------


def test_verifying_a_master_of_archived_frames_says_that_they_are_gone(place, archive):
    write_night(place.incoming)
    place.settle()
    archive(*files(place, BIASES)[:2])
    (bias,) = [it for it in place.catalogue.current_results() if "/bias/" in it.path]
    found = verify(place.catalogue, place.settings, bias)
    assert found.status == "lost"
    assert found.detail.startswith("2 of its 3 raw frames are gone")
