"""``ingestd explain`` of a master: what it is made of, what was left out and why, what it serves."""

import pytest

from ingestd.records import Kind
from tests.flow.observatory import write_shot
from tests.scanned import NIGHT, Scanned


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a scanned night of 3 frames of each kind and 2 lights, one bias of which an operator rejected."""
    place = Scanned(tmp_path_factory.mktemp("explained"))
    paths = place.night(biases=4)
    place.scan()
    rejected = next(path for path in paths if path.name.startswith("bias"))
    place.output("reject", rejected.name, "--reason", "shutter open")
    place.scan()
    return place, rejected.name


def test_members_and_what_was_left_out_are_told(place):
    place, rejected = place
    (bias,) = place.json("masters", "--kind", "bias")
    (told,) = place.json("explain", bias["master_id"][:8])
    assert (told["grade"], len(told["frames"]), told["members"]) == ("orange", 3, 3)
    assert told["window"]["last_night"] == NIGHT
    (out,) = told["left_out"]
    assert out["path"].endswith(rejected)
    assert out["why"] == "rejected by an operator"


def test_text_names_parents_and_what_is_served(place):
    place, _ = place
    (flat,) = place.json("masters", "--kind", "flat")
    text = place.output("explain", flat["path"].rpartition("/")[2])
    assert text.splitlines()[0] == flat["path"]
    assert "  made with      bias masters/camera1/bias/" in text
    assert "  serves         2 current products" in text
    assert text.count("  member         ") == 3


def test_json_and_text_name_the_same_frames(place):
    place, _ = place
    for row in place.json("masters"):
        text = place.output("explain", row["master_id"])
        (told,) = place.json("explain", row["master_id"])
        assert all(frame["path"] in text for frame in [*told["frames"], *told["left_out"]])


def test_the_grade_tells_both_that_it_is_the_worse_of(place):
    """Of three members it is orange, for green needs ten; beside no earlier master nothing speaks against it."""
    place, _ = place
    (bias,) = place.json("masters", "--kind", "bias")
    lines = place.output("explain", bias["path"]).splitlines()
    first = lines.index("  grade          orange, the worse of:")
    assert lines[first + 1] == "                 orange by number: 3 members, green needs 10"
    assert lines[first + 2] == "                 green by comparison: no earlier master to compare with"


def test_a_flat_that_nothing_calibrates_is_told_so(tmp_path):
    """Without biases a flat takes a dark of its own exposure only, and there are those of 120 s alone."""
    place = Scanned(tmp_path)
    place.night(biases=0)
    place.scan()
    flat = next(row for row in place.json("frames") if row["kind"] == "flat")
    (told,) = place.json("explain", flat["path"])
    assert "enough, if a master bias or dark fits them; it cannot be calibrated: needs a bias" in told["why_not"]
    assert "needs a dark of" in told["why_not"]


def test_a_flat_that_nothing_calibrates_is_left_out_for_that(tmp_path):
    """Three flats of 20 s have their darks, one of 7 s has none: the master holds three, far from 30."""
    place = Scanned(tmp_path)
    for index in range(3):
        hours = 20.0 + index / 60.0
        write_shot(place.incoming, Kind.DARK, index, exposure_s=20.0, hours=hours)
        write_shot(place.incoming, Kind.FLAT, index, exposure_s=20.0, level_adu=20_000.0, hours=hours + 0.5)
    short = write_shot(place.incoming, Kind.FLAT, 3, exposure_s=7.0, level_adu=20_000.0, hours=20.25)
    write_shot(place.incoming, Kind.LIGHT, 0, exposure_s=20.0, hours=22.0)
    place.scan()
    (flat,) = place.json("masters", "--kind", "flat")
    (told,) = place.json("explain", flat["master_id"])
    (out,) = told["left_out"]
    assert out["path"] == str(short)
    assert out["why"].startswith("it cannot be calibrated: needs a bias")


def test_frames_of_a_night_that_is_still_open_are_there(tmp_path):
    """Nothing asks for the night before ``masters.quiet_s`` is over, so its darks wait for their comparison."""
    place = Scanned(tmp_path)
    for index in range(3):
        write_shot(place.incoming, Kind.DARK, index, exposure_s=20.0, hours=20.0 + index / 60.0)
    place.scan()
    (told, *_) = place.json("explain", place.json("frames")[0]["path"])
    assert told["why_not"].startswith("no good darks of this configuration")
    assert told["why_not"].endswith("kept out: 3 not compared with others yet (masters.quiet_s)")
