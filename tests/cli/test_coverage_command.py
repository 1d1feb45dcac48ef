"""``ingestd coverage``: the same answer as text, JSON and CSV."""

import csv
import io

import pytest

from tests.scanned import NIGHT, Scanned

SOON = "2026-01-20"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a scanned night with lights in V and R but flats in V only."""
    place = Scanned(tmp_path_factory.mktemp("coverage"))
    for path in place.night(filters=("V", "R")):
        if path.name.startswith("flat_R"):
            path.unlink()
    place.scan()
    return place


def test_text_lists_combinations_and_what_to_take(place):
    lines = place.output("coverage", "--at", SOON).splitlines()
    assert lines[0] == "Science of 2026-01-02 to 2026-01-15, masters as at 2026-01-20 00:00 UTC."
    assert lines[3].split()[3:8] == ["R", "2", "covered", "covered", "missing"]
    assert lines[4].split()[3:8] == ["V", "2", "covered", "covered", "covered"]
    assert lines[-1] == "  1. camera1: 3 flats in R (10 for a green master). For 2 science frames"


def test_all_covered_says_so(place):
    settings = place.settings.camera[0]
    assert settings.name == "camera1"
    text = place.config.read_text().replace('name = "camera1"', 'name = "camera1"\nrequires = ["bias", "dark"]')
    relaxed = place.directory / "relaxed.toml"
    relaxed.write_text(text)
    result = place.run("coverage", "--config", str(relaxed), "--at", SOON)
    assert result.stdout.splitlines()[-1] == "All covered for 7 days and more."


def test_expiring_flats_are_asked_for_with_those_that_count_already(place):
    """The flats of 15 January are valid for 30 days; three of them are in the window of 14 days."""
    lines = place.output("coverage", "--at", SOON, "--expiring", "30").splitlines()
    expected = "  2. camera1: 1 flat in V (7 for a green master); 3 there. For 2 science frames, expiring"
    assert lines[-1] == expected


def test_json_holds_conditions_verdicts_and_needs(place):
    found = place.json("coverage", "--at", SOON)
    assert (found["first_night"], found["last_night"]) == ("2026-01-02", NIGHT)
    red, visual = found["combinations"]
    assert (red["filter_name"], red["exposure_s"], red["frames"]) == ("R", 60.0, 2)
    assert red["kinds"]["flat"]["status"] == "missing"
    assert red["kinds"]["flat"]["take"] == found["take"][0]["number"] == 1
    assert visual["kinds"]["dark"]["how"] == "scaled_down"
    assert visual["kinds"]["flat"]["path"].startswith("masters/camera1/flat/2026-01-15_")
    assert (found["take"][0]["to_minimum"], found["take"][0]["to_good"]) == (3, 10)


def test_csv_has_a_row_for_each_combination_and_kind(place):
    rows = list(csv.DictReader(io.StringIO(place.output("coverage", "--at", SOON, "--csv"))))
    assert [(row["filter_name"], row["kind"], row["status"]) for row in rows] == [
        (name, kind, "missing" if (name, kind) == ("R", "flat") else "covered")
        for name in ("R", "V")
        for kind in ("bias", "dark", "flat")
    ]
    assert [row["take_minimum"] for row in rows] == ["", "", "3", "", "", ""]


def test_now_is_the_clock(place):
    """Whenever this test runs, it runs more than 180 days after that night, or masters are still valid."""
    found = place.json("coverage")
    statuses = {cover["status"] for row in found["combinations"] for cover in row["kinds"].values()}
    assert statuses <= {"covered", "expiring", "missing"}
    assert found["at"] > "2026-01-16"


def test_nothing_to_say_before_the_first_science_frame(tmp_path):
    place = Scanned(tmp_path)
    place.night(lights=0)
    place.scan()
    assert place.output("coverage") == "No science frames yet.\n"
    assert place.output("coverage", "--csv").count("\n") == 1
    assert place.json("coverage")["take"] == []


def test_a_catalogue_that_is_not_there_is_told(tmp_path):
    result = Scanned(tmp_path).run("coverage")
    assert "there is no database yet" in str(result.exception)


@pytest.mark.parametrize("wrong", [("--nights", "0"), ("--expiring", "-1"), ("--json", "--csv"), ("--at", "tomorrow")])
def test_wrong_options_are_refused(place, wrong):
    assert place.run("coverage", *wrong).exit_code == 2
