"""A frame is its bytes: copies, moves, rewrites, edited headers, files that go and come back, and restarts."""

import os
import shutil

import pytest

from ingestd import simulator
from ingestd.jobs.inputs import master_planes
from ingestd.records import Kind
from tests.flow.observatory import (
    Observatory,
    header,
    observatory,
    settings_for,
    sha256,
    with_cards,
    write_night,
    write_shot,
)

LIGHT = "light.fit"


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


def write_light(place, index=1, name=LIGHT, **more):
    return write_shot(place.incoming, Kind.LIGHT, index, exposure_s=60.0, hours=20.5, name=name, **more)


def rows(place, sql):
    return [tuple(row) for row in place.catalogue._rows(sql)]


# --- the same bytes ---------------------------------------------------------------------------------------------------


def test_the_same_bytes_under_two_names_are_one_frame_with_two_sightings(place):
    path = write_light(place)
    shutil.copy(path, place.incoming / "copy.fit")
    place.settle()
    assert len(place.frames()) == 1
    assert rows(place, "SELECT count(*) FROM sightings WHERE gone_at IS NULL") == [(2,)]
    assert len(place.catalogue.product_rows(place.frame(LIGHT)["frame_id"])) == 1
    assert place.frame("copy.fit")["frame_id"] == place.frame(LIGHT)["frame_id"]


def test_a_copy_never_counts_twice_in_a_master(place):
    for path in write_night(place.incoming, lights=0, flats=0, evening_darks=0):
        shutil.copy(path, path.with_name(f"copy_{path.name}"))
    place.settle()
    assert [row["members"] for row in place.masters()] == [3]


def test_a_moved_file_is_the_same_frame_with_the_same_product(place):
    path = write_light(place)
    place.settle()
    before = place.result()
    (place.incoming / "sorted").mkdir()
    path.rename(place.incoming / "sorted" / "other.fit")
    place.settle()
    assert place.result() == before
    (frame,) = place.frames()
    assert frame["path"].endswith("sorted/other.fit")
    assert frame["live"]


def test_a_restart_finds_nothing_to_do(tmp_path):
    with observatory(tmp_path) as place:
        write_night(place.incoming)
        place.settle()
        before = place.result(), place.frames(), rows(place, "SELECT count(*) FROM sightings")
    with observatory(tmp_path) as place:
        jobs = []
        place.executor.submit = jobs.append
        place.run(10.0)
        assert jobs == []
        assert (place.result(), place.frames(), rows(place, "SELECT count(*) FROM sightings")) == before


def test_a_deleted_database_is_made_again_from_the_raw_frames(tmp_path):
    with observatory(tmp_path) as place:
        write_night(place.incoming)
        place.settle()
        before = place.result()
        frames = [(row["frame_id"], row["state"], row["reason"], row["product"]) for row in place.frames()]
    for path in tmp_path.glob("data/catalogue.sqlite*"):
        path.unlink()
    with observatory(tmp_path) as place:
        place.settle()
        assert place.result() == before
        assert [(row["frame_id"], row["state"], row["reason"], row["product"]) for row in place.frames()] == frames


# --- other bytes under the same name ----------------------------------------------------------------------------------


def test_a_file_rewritten_in_place_is_a_new_version(place):
    write_light(place)
    place.settle()
    former = place.frame(LIGHT)
    write_light(place, index=2)
    place.settle()
    found = {row["frame_id"]: row for row in place.frames()}
    assert len(found) == 2
    old = found.pop(former["frame_id"])
    (new,) = found.values()
    assert (bool(old["live"]), bool(new["live"])) == (False, True)
    assert old["product"] == former["product"], "it stays attributable to the old bytes"
    assert header(place.data / old["product"])["FRAMEID"] == old["frame_id"]
    assert header(place.data / new["product"])["FRAMEID"] == new["frame_id"]
    versions = rows(place, "SELECT frame_id, gone_at IS NULL FROM sightings ORDER BY sighting_id")
    assert versions == [(old["frame_id"], 0), (new["frame_id"], 1)]


def test_a_member_rewritten_in_place_leaves_the_master(place):
    paths = write_night(place.incoming, lights=0, flats=0, evening_darks=0)
    place.settle()
    (before,) = place.masters()
    write_shot(place.incoming, Kind.BIAS, 77, hours=18.0, name=paths[0].name)
    place.settle()
    (after,) = place.masters()
    assert after["members"] == 3
    assert after["master_id"] != before["master_id"]


def test_an_edited_header_supersedes_the_frame_of_equal_pixels(place):
    path = write_light(place)
    place.settle()
    old = place.frame(LIGHT)
    with_cards(path, OBJCTRA="16 41 41", PLTSOLVD="T")
    place.settle()
    states = {row["frame_id"]: (row["state"], row["reason"], row["product"]) for row in place.frames()}
    assert len(states) == 2
    assert states.pop(old["frame_id"]) == ("done", "superseded", None)
    ((state, reason, product),) = states.values()
    assert (state, reason) == ("provisional", "missing_master")
    assert header(place.data / product)["OBJCTRA"] == "16 41 41"


def test_an_edited_calibration_frame_counts_once(place):
    paths = write_night(place.incoming, lights=0, flats=0, evening_darks=0)
    place.settle()
    with_cards(paths[0], OBSERVER="somebody")
    place.settle()
    assert [row["members"] for row in place.masters()] == [3]
    assert sum(row["reason"] == "superseded" for row in place.frames()) == 1


def test_a_solved_copy_beside_the_frame_is_the_only_one_with_a_current_product(place):
    path = write_light(place)
    place.settle()
    copy = place.incoming / "solved.fit"
    shutil.copyfile(path, copy)
    with_cards(copy, OBJCTRA="16 41 41")
    # the newest file counts, by its modification time: the copy's is later, whatever the grain of the file system
    stamp = path.stat().st_mtime_ns + 10**9
    os.utime(copy, ns=(stamp, stamp))
    place.settle()
    assert place.state(LIGHT) == ("done", "superseded")
    assert place.frame("solved.fit")["product"] is not None
    assert len(place.catalogue.current_products()) == 1
    links = [link for link in (place.data / "current").rglob("*") if link.is_symlink()]
    assert [link.resolve() for link in links if link.exists()] == [place.product("solved.fit").resolve()]


def test_when_the_newer_copy_goes_the_older_frame_counts_again(place):
    path = write_light(place)
    place.settle()
    before = place.frame(LIGHT)
    copy = place.incoming / "solved.fit"
    shutil.copyfile(path, copy)
    with_cards(copy, OBJCTRA="16 41 41")
    stamp = path.stat().st_mtime_ns + 10**9
    os.utime(copy, ns=(stamp, stamp))
    place.settle()
    copy.unlink()
    place.settle()
    assert place.frame(LIGHT) == before


# --- files that go ----------------------------------------------------------------------------------------------------


def test_a_file_that_is_gone_keeps_its_product(place):
    path = write_light(place)
    place.settle()
    before = place.result()
    path.unlink()
    place.settle()
    assert place.result() == before
    assert not place.frame(LIGHT)["live"]
    assert place.state(LIGHT) == ("provisional", "missing_master")


def test_a_gone_frame_is_no_member_of_a_new_master_and_heals_when_it_returns(place):
    paths = write_night(place.incoming, lights=0, flats=0, evening_darks=0, biases=4)
    place.settle()
    four = place.result()
    content = paths[0].read_bytes()
    paths[0].unlink()
    place.settle()
    assert place.result() == four
    for index in (1, 2):
        write_shot(place.incoming, Kind.BIAS, 90 + index, hours=20.0 + index)
    place.settle()
    assert [row["members"] for row in place.masters()] == [3 + 2]
    (place.incoming / "restored.fit").write_bytes(content)
    place.settle()
    assert [row["members"] for row in place.masters()] == [4 + 2]


def test_a_frame_that_goes_before_it_is_reduced_is_reduced_when_it_returns(tmp_path):
    with observatory(tmp_path, reduction={"when_missing": "wait"}) as place:
        path = write_light(place)
        place.settle()
        content = path.read_bytes()
        path.unlink()
        write_night(place.incoming, lights=0)
        place.settle()
        assert place.frame(LIGHT)["product"] is None
        path.write_bytes(content)
        place.settle()
        assert place.state(LIGHT) == ("done", "reduced")


def test_a_file_that_changes_under_the_workers_hands_is_taken_in_anew(tmp_path):
    settings = settings_for(tmp_path)
    place = Observatory(settings)
    path = write_light(place)
    run = place.executor._run

    def change_first(job):
        write_light(place, index=2)
        place.executor._run = run
        return run(job)

    place.executor._run = change_first
    place.settle()
    new = next(row for row in place.frames() if row["live"])
    assert len(place.frames()) == 2
    assert (new["state"], new["path"]) == ("provisional", str(path))
    assert header(place.data / new["product"])["FRAMEID"] == new["frame_id"]
    place.close()


# --- how programs write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", list(simulator.Manner))
def test_a_night_is_reduced_however_the_program_writes_its_files(place, manner):
    write_night(place.incoming, manner=manner)
    place.settle()
    assert place.light()["state"] == "done"
    assert not place.catalogue.arrivals()


def test_a_growing_file_waits_and_blocks_no_other(place):
    exposure = simulator.Camera().expose(
        simulator.Shot(Kind.LIGHT, 5, 60.0, place.now.replace(day=1, hour=21), "V", object_name="M13")
    )
    slow = place.incoming / "slow.fit"
    writing = simulator.writing(slow, exposure, simulator.Manner.GROWING, chunk_bytes=60_000)
    for _ in range(3):
        next(writing)
        place.run(1.0)
    write_light(place)
    place.run(5.0)
    assert place.state("slow.fit")[0] == "waiting"
    assert place.state("slow.fit")[1] in ("growing", "incomplete")
    assert place.frame("slow.fit")["frame_id"] is None
    assert place.state(LIGHT) == ("provisional", "missing_master")
    for _ in writing:
        place.run(0.5)
    place.settle(60.0)
    assert place.state("slow.fit") == ("provisional", "missing_master")


def test_a_file_cut_for_ever_is_quarantined_when_patience_ends(place):
    path = write_light(place)
    path.write_bytes(path.read_bytes()[:-4000])
    place.run(30.0)
    assert place.state(LIGHT) == ("waiting", "incomplete")
    place.run(120.0)
    assert place.state(LIGHT) == ("quarantined", "incomplete")
    write_light(place)
    place.settle()
    assert {row["state"] for row in place.frames() if row["live"]} == {"provisional"}


def test_temporary_and_hidden_files_and_other_suffixes_are_not_looked_at(place):
    path = write_light(place)
    content = path.read_bytes()
    path.unlink()
    for name in (".light.fit", "light.fit.part", "light.tmp", "light.txt", "light.fit~"):
        (place.incoming / name).write_bytes(content)
    place.settle()
    assert place.frames() == []
    assert place.catalogue.arrivals() == []


@pytest.mark.parametrize("name", ["light.FITS", "light.Fts", "sub/dir/light.fit"])
def test_every_suffix_in_any_case_and_depth_is_taken(place, name):
    path = place.incoming / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_light(place).rename(path)
    place.settle()
    assert place.frame(path.name)["state"] == "provisional"


# --- a master that is gone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["removed", "damaged"])
def test_a_master_that_is_lost_is_built_again_with_the_same_bytes(place, harm):
    write_night(place.incoming)
    place.settle()
    before = place.result()
    (bias,) = place.masters("bias")
    master_planes.cache_clear()  # the worker of this test lives in the same process
    path = place.settings.data_dir / bias["path"]
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-2880])
    write_light(place, index=77, name="late.fit")
    place.run(120.0)
    place.settle()
    assert sha256(path) == bias["sha256"]
    assert before.items() <= place.result().items()
    assert place.used("late.fit")
