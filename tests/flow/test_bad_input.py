"""Bad input never stops the night: every hostile file ends with a reason, and the next frame is processed."""

import shutil
import time

import numpy as np
import pytest
from astropy.io import fits

from ingestd.records import Kind
from tests.doors.hostile_files import HOSTILE_FILES, write_hostile_files
from tests.flow.observatory import observatory, tree, write_night, write_shot

LIGHT = "light.fit"


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


def write_light(place, index=1, name=LIGHT, **more):
    return write_shot(place.incoming, Kind.LIGHT, index, exposure_s=60.0, hours=20.5, name=name, **more)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The hostile corpus in a watched directory, given up on, and a good night that came after it."""
    with observatory(tmp_path_factory.mktemp("hostile")) as place:
        written = write_hostile_files(place.incoming)
        sparse = {path for path, _ in written if path.is_file() and path.stat().st_size > 1 << 25}
        before = tree_without(place.incoming, sparse)
        begun = time.monotonic()
        place.settle()
        place.run(150.0)
        taken_s = time.monotonic() - begun
        night = write_night(place.incoming)
        place.settle()
        yield place, {file.name: file for _, file in written}, before, sparse, night, taken_s


def tree_without(directory, left_out):
    """Return the files below a directory but the giants, which are too large to hash at every look."""
    names = {str(path.relative_to(directory)) for path in left_out}
    kept = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink() and path not in left_out]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in kept} | dict.fromkeys(names)


@pytest.mark.parametrize("file", HOSTILE_FILES, ids=[ascii(file.name)[1:40] for file in HOSTILE_FILES])
def test_a_hostile_file_ends_with_a_reason(corpus, file):
    place = corpus[0]
    found = place.catalogue.find_frames(str(place.incoming / file.name))
    if file.verdict == "not_a_regular_file":
        assert found == []
        return
    (row,) = found
    if file.verdict == "ok":
        assert row["state"] in ("done", "provisional"), (row["state"], row["reason"], row["detail"])
    elif file.stage == "header":
        assert (row["state"], row["reason"]) == ("quarantined", file.verdict)
    else:  # seen by a worker only, if the frame has one
        assert (row["state"], row["reason"]) in (("quarantined", file.verdict), ("done", "catalogued"))
    assert row["reason"]


def test_the_frames_that_come_after_hostile_ones_are_processed(corpus):
    place, night = corpus[0], corpus[4]
    for path in night:
        frame = place.frame(path.name)
        assert frame["state"] == "done", (path.name, frame["reason"], frame["detail"])


def test_hostile_files_are_left_as_they_were(corpus):
    place, _, before, sparse, night, _ = corpus
    after = tree_without(place.incoming, sparse)
    assert {name: what for name, what in after.items() if name not in {str(path) for path in night}} == before


def test_a_hostile_file_costs_less_than_two_seconds(corpus):
    _, files, _, _, _, taken_s = corpus
    assert taken_s < 2.0 * len(files)


def test_nothing_of_the_corpus_became_a_calibration(corpus):
    place, night = corpus[0], corpus[4]
    mine = {str(path) for path in night}
    members = [row for row in place.frames() if row["reason"] == "member"]
    assert {row["path"] for row in members} <= mine


# --- one at a time ----------------------------------------------------------------------------------------------------


def test_a_bias_of_another_shape_is_no_member_and_stops_no_master(place):
    paths = write_night(place.incoming, lights=0, flats=0, evening_darks=0)
    with fits.open(paths[0], memmap=False) as hdus:
        cards = hdus[0].header.copy()
    for keyword in ("BSCALE", "BZERO"):
        cards.remove(keyword, ignore_missing=True)
    pixels = np.random.default_rng(1).normal(1000, 5, (50, 60)).astype(np.uint16)
    fits.writeto(place.incoming / "odd.fit", pixels, cards)
    place.settle()
    assert [row["members"] for row in place.masters()] == [3]
    assert place.state("odd.fit") == ("done", "catalogued")


@pytest.mark.parametrize(
    "content", [b"", b"SIMPLE", b"not a FITS file at all\n" * 200], ids=["empty", "six bytes", "text"]
)
def test_a_broken_file_waits_or_is_quarantined_and_the_next_frame_is_reduced(place, content):
    (place.incoming / "broken.fits").write_bytes(content)
    place.run(5.0)
    write_light(place)
    place.run(10.0)
    assert place.state("broken.fits")[0] in ("waiting", "quarantined")
    assert place.state("broken.fits")[1]
    assert place.state(LIGHT) == ("provisional", "missing_master")
    place.run(150.0)
    assert place.state("broken.fits")[0] == "quarantined"


def test_a_frame_whose_pixels_are_damaged_is_quarantined_by_the_worker(place):
    pixels = np.random.default_rng(1).normal(1000, 5, (96, 128))
    cards = fits.Header(
        {"IMAGETYP": "Light Frame", "INSTRUME": "Synthetic CCD", "DATE-OBS": "2025-03-01T21:00:00", "EXPTIME": 60.0}
    )
    path = place.incoming / "tiles.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels.astype(np.int16), cards)]).writeto(path, checksum=True)
    data = bytearray(path.read_bytes())
    start = len(data) - 2880 - 4000
    for position in range(start, start + 60):
        data[position] ^= 0xFF
    path.write_bytes(bytes(data))
    write_light(place)
    place.settle()
    assert place.state("tiles.fits.fz")[0] == "quarantined"
    assert place.state(LIGHT) == ("provisional", "missing_master")


def test_a_file_that_is_not_complete_need_not_be_requeued(place):
    path = place.incoming / "cut.fits"
    path.write_bytes(b"SIMPLE  =                    T".ljust(80))
    place.run(5)
    answer = place.command(command="requeue", frames=["cut.fits"])
    assert answer == {"ok": False, "error": f"{path}: waiting, incomplete: it is looked at again by itself"}


def test_a_quarantined_frame_can_be_requeued_and_is_quarantined_again(place):
    (place.incoming / "text.fits").write_bytes(b"not a FITS file at all\n" * 200)
    place.settle()
    first = place.frame("text.fits")
    assert (first["state"], first["reason"]) == ("quarantined", "not_fits")
    assert place.command(command="requeue", frames=["text.fits"])["ok"]
    place.settle()
    again = place.frame("text.fits")
    assert (again["frame_id"], again["state"], again["reason"]) == (first["frame_id"], "quarantined", "not_fits")


def test_a_file_repaired_in_place_is_reduced(place):
    path = write_light(place)
    good = path.read_bytes()
    path.write_bytes(b"not a FITS file at all\n" * 200)
    place.settle()
    assert place.state(LIGHT)[0] == "quarantined"
    path.write_bytes(good)
    place.settle()
    assert {row["state"] for row in place.frames() if row["live"]} == {"provisional"}


@pytest.mark.parametrize("card", ["BDF", "B"])
def test_a_calibrated_flat_never_feeds_a_master(place, card):
    paths = write_night(place.incoming, lights=0)
    for path in paths:
        if path.name.startswith("flat"):
            with fits.open(path, mode="update", memmap=False, do_not_scale_image_data=True) as hdus:
                hdus[0].header["CALSTAT"] = card
    place.settle()
    assert place.masters("flat") == []
    for row in place.frames(kind="flat"):
        assert (row["state"], row["reason"]) == ("done", "catalogued")
        assert "calibrated" in row["detail"]


def test_raw_frames_are_left_as_they_were(place):
    write_night(place.incoming)
    write_light(place)
    (place.incoming / "broken.fits").write_bytes(b"SIMPLE")
    before = tree(place.incoming)
    place.settle()
    place.tidy()
    assert tree(place.incoming) == before


def test_two_hundred_copies_are_one_frame(place):
    path = write_light(place)
    for number in range(200):
        shutil.copy(path, place.incoming / f"copy{number}.fit")
    place.settle()
    assert len(place.frames()) == 1
