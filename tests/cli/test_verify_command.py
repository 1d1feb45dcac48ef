"""``ingestd verify``: what it prints and how it exits."""

import pytest

from tests.scanned import Scanned


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Scanned(tmp_path_factory.mktemp("verify"))
    place.night()
    place.scan()
    return place


def test_all_are_the_same(place):
    *lines, tally = place.output("verify", "--all").splitlines()
    assert [line.split()[0] for line in lines] == ["same"] * 5
    assert tally == "5 in all: 5 same"
    assert lines[0].split()[1].startswith("masters/camera1/bias/2026-01-15_")


def test_json_has_a_record_for_each(place):
    (found,) = place.json("verify", place.json("masters")[0]["path"], "--reference")
    assert (found["what"], found["status"]) == ("master", "same")
    assert found["against"][0]["unit"] == "adu"


def test_the_reference_is_told_in_a_line(place):
    lines = place.output("verify", "--reference", "--all", "--quiet").splitlines()
    assert sum("reference: largest difference" in line for line in lines) == 5


def test_a_bar_is_shown_where_there_are_several(place):
    paths = [row["path"] for row in place.json("masters")]
    assert "Verifying" in place.run("verify", *paths).stderr
    assert "Verifying" not in place.run("verify", *paths, "--quiet").stderr
    assert "Verifying" not in place.run("verify", paths[0]).stderr


def test_what_is_not_proven_exits_with_one(place):
    path = place.data / place.json("masters")[0]["path"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    try:
        result = place.run("verify", "--all")
    finally:
        path.write_bytes(whole)
    assert result.exit_code == 1
    assert result.stdout.startswith("damaged")
    assert "1 of 5 could not be proven." in result.stderr


@pytest.mark.parametrize(("arguments", "code"), [((), 2), (("--all", "x"), 2), (("nothing.fits",), 1)])
def test_names_or_all(place, arguments, code):
    assert place.run("verify", *arguments).exit_code == code
