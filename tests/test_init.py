"""`ingestd init` writes settings that `ingestd scan` works with, and never touches the frames or another's file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date

import pytest
from astropy.io import fits

from ingestd.api import open_catalogue
from ingestd.flow.surveying import spread, survey_directory
from ingestd.settings import Limits, load_settings
from ingestd.simulator import Camera, Plan, Sensor, night, write
from tests.flow.observatory import tree

EVENING = date(2025, 3, 1)
PLAN = Plan(biases=3, evening_darks=3, filters=("V",), flats=2, lights=2, dawn_darks=0, dawn_biases=0)


def ingestd(directory, *arguments, status=0):
    """Run the program in a directory; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "ingestd", *map(str, arguments)],
        cwd=directory, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture
def frames(tmp_path):
    """A night of a synthetic camera."""
    camera = Camera(Sensor(shape=(96, 128), dust_grains=2))
    directory = tmp_path / "frames"
    directory.mkdir()
    for shot in night(camera, EVENING, PLAN):
        exposure = camera.expose(shot)
        write(directory / exposure.file_name, exposure)
    return directory


@pytest.fixture
def home(tmp_path):
    """The working directory of the observatory."""
    directory = tmp_path / "observatory"
    directory.mkdir()
    return directory


def rewrite(directory, edit):
    """Rewrite the header of every frame."""
    for path in sorted(directory.iterdir()):
        with fits.open(path, mode="update", memmap=False, do_not_scale_image_data=True) as hdus:
            edit(hdus[0].header, path)


# --- the settings work ------------------------------------------------------------------------------------------------


def test_scan_reduces_a_new_camera_without_an_edit(home, frames):
    before = tree(frames)
    printed = ingestd(home, "init", frames)
    assert "minimum" not in printed
    assert load_settings(home / "config.toml").masters.flat.minimum == 2
    ingestd(home, "config", "check")
    ingestd(home, "scan", "--quiet")
    with open_catalogue(home / "data" / "catalogue.sqlite") as catalogue:
        lights = catalogue.frame_rows(kind="light")
        assert [(row["state"], row["reason"]) for row in lights] == [("done", "reduced")] * 2
        assert {row["kind"] for row in catalogue.master_rows()} == {"bias", "dark", "flat"}
    assert tree(frames) == before


def test_camera_that_no_dialect_knows_is_reduced_without_an_edit(home, frames):
    """Words of its own for the kinds, the exposure in milliseconds, temperature and filter under other names."""

    def edit(header, path):
        for old, new in (("EXPTIME", "EXPDURMS"), ("CCD-TEMP", "CHIPTMPA"), ("FILTER", "FILTRNAM")):
            if old in header:
                header[new] = header[old] * 1000 if old == "EXPTIME" else header[old]
        header["IMAGETYP"] = {"bias": "Cero", "dark": "Sombra", "flat": "Plano"}.get(path.name.split("_")[0], "LIGHT")
        for card in ("EXPTIME", "EXPOSURE", "CCD-TEMP", "SET-TEMP", "FILTER"):
            header.remove(card, ignore_missing=True)

    rewrite(frames, edit)
    ingestd(home, "init", frames)
    keywords = load_settings(home / "config.toml").camera[0].keywords
    assert (keywords.exposure, keywords.exposure_unit) == (("EXPDURMS",), "ms")
    assert (keywords.ccd_temp, keywords.filter) == (("CHIPTMPA",), ("FILTRNAM",))
    assert dict(keywords.words) == {"Cero": "bias", "Sombra": "dark", "Plano": "flat"}
    ingestd(home, "scan", "--quiet")
    with open_catalogue(home / "data" / "catalogue.sqlite") as catalogue:
        assert {row["reason"] for row in catalogue.frame_rows(kind="light")} == {"reduced"}


def test_settings_mean_the_same_from_any_directory(home, frames, tmp_path):
    ingestd(tmp_path, "init", frames, "--output", "observatory/x.toml")
    ingestd(frames.parent, "scan", "--quiet", "--config", "observatory/x.toml")
    assert ingestd("/", "frames", "--json", "--config", home / "x.toml") != "[]"
    assert sorted(os.listdir(home)) == ["data", "x.toml"]


def test_data_directory_of_the_command_line_is_taken_from_where_it_was_typed(home, frames, tmp_path):
    ingestd(tmp_path, "init", frames, "--output", "observatory/x.toml", "--data", "products")
    assert load_settings(home / "x.toml").data_dir == tmp_path / "products"


def test_relative_directory_stands_absolute_in_the_settings(home, frames):
    ingestd(home, "init", "../frames")
    assert load_settings(home / "config.toml").camera[0].directories == (str(frames),)


# --- what it prints ---------------------------------------------------------------------------------------------------


def test_json_tells_cameras_frames_and_what_was_not_understood(home, frames):
    (frames / "broken.fits").write_bytes(b"no FITS at all")
    found = json.loads(ingestd(home, "init", frames, "--json"))
    assert (found["found"], found["read"], found["config"]) == (11, 10, "config.toml")
    assert sum(row["frames"] for row in found["frames"]) == 10
    assert [row["camera"] for row in found["cameras"]] == [load_settings(home / "config.toml").camera[0].name]
    assert [(row["what"], row["example"]) for row in found["not_understood"]] == [
        ("cannot be read: not_fits", "broken.fits")
    ]
    assert {row["kind"] for row in found["masters"]} == {"bias", "dark", "flat"}


def test_missing_card_is_named_with_the_setting_that_supplies_it(home, frames):
    rewrite(frames, lambda header, _: [header.remove(card, ignore_missing=True) for card in ("EXPTIME", "EXPOSURE")])
    printed = ingestd(home, "init", frames)
    assert "looked for EXPTIME, EXPOSURE" in printed
    assert '[camera.keywords] exposure = ["CARD"]' in printed


def test_headers_cannot_send_control_characters_to_the_terminal(home, frames):
    rewrite(frames, lambda header, _: header.set("INSTRUME", "cam"))
    for path in frames.iterdir():
        path.write_bytes(path.read_bytes().replace(b"'cam     '", b"'c\x1b[2Jm  '"))
    assert "\x1b" not in ingestd(home, "init", frames)


# --- where it refuses -------------------------------------------------------------------------------------------------


def test_existing_settings_are_kept_unless_forced(home, frames):
    (home / "config.toml").write_text("mine")
    assert "--force" in ingestd(home, "init", frames, status=1)
    assert (home / "config.toml").read_text() == "mine"
    ingestd(home, "init", frames, "--force")
    assert load_settings(home / "config.toml").camera
    assert sorted(os.listdir(home)) == ["config.toml"]


def test_nothing_is_written_where_frames_arrive(home, frames):
    before = tree(frames)
    assert "--output" in ingestd(frames, "init", ".", "--data", home, status=1)
    assert "--data" in ingestd(frames, "init", ".", "--output", home / "config.toml", "--data", "data", status=1)
    assert "--data" in ingestd(home, "init", frames, "--data", frames / "products", status=1)
    assert tree(frames) == before
    assert os.listdir(home) == []


def test_directory_without_frames_gives_no_settings(home, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no frames below it" in ingestd(home, "init", tmp_path / "empty", status=1)
    ingestd(home, "init", tmp_path / "missing", status=2)
    assert os.listdir(home) == []


def test_links_are_not_followed_and_told(home, tmp_path, frames):
    links = tmp_path / "links"
    links.mkdir()
    for frame in frames.iterdir():
        (links / frame.name).symlink_to(frame)
    count = len(list(links.iterdir()))
    assert f"{count} symbolic links are not followed, such as" in ingestd(home, "init", links, status=1)
    (frames / "link.fits").symlink_to("/elsewhere.fits")
    assert "Left out: 1 symbolic link is not followed, such as" in ingestd(home, "init", frames)


def test_output_in_a_directory_that_is_not_there_is_refused(home, frames):
    assert "no such directory" in ingestd(home, "init", frames, "--output", "etc/config.toml", status=1)


# --- the survey -------------------------------------------------------------------------------------------------------


def test_sample_gives_every_folder_its_share():
    """10 of 103 files: the folder of 3 gives all, the other two share the remaining 7 as 3 and 4."""
    paths = [f"/a/{i:02d}" for i in range(50)] + [f"/b/{i:02d}" for i in range(50)] + [f"/c/{i}" for i in range(3)]
    chosen = spread(paths, 10)
    assert [sum(path.startswith(folder) for path in chosen) for folder in ("/a", "/b", "/c")] == [3, 4, 3]
    assert [path for path in chosen if path.startswith("/a")] == ["/a/00", "/a/16", "/a/33"]


def test_all_files_are_read_if_there_are_few():
    assert spread(["/b", "/a"], 2) == ["/a", "/b"]


def test_survey_follows_no_link_and_reports_progress(frames, tmp_path):
    (tmp_path / "elsewhere.fits").write_bytes((next(frames.iterdir())).read_bytes())
    (frames / "link.fits").symlink_to(tmp_path / "elsewhere.fits")
    seen = []
    survey = survey_directory(frames, 4, Limits(), lambda done, total: seen.append((done, total)))
    assert (survey.found, len(survey.samples), survey.is_complete) == (10, 4, False)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


# --- explain ----------------------------------------------------------------------------------------------------------


def test_explain_names_cards_and_setting_for_a_missing_field(home, frames):
    ingestd(home, "init", frames)
    path = min(frames.glob("M13*"))
    with fits.open(path, mode="update", memmap=False, do_not_scale_image_data=True) as hdus:
        hdus[0].header["EXPDUR"] = hdus[0].header["EXPTIME"]
        for card in ("EXPTIME", "EXPOSURE"):
            hdus[0].header.remove(card, ignore_missing=True)
    ingestd(home, "scan", "--quiet")
    printed = ingestd(home, "explain", path.name)
    assert "not in the header; looked for EXPTIME, EXPOSURE" in printed
    assert "may be it: EXPDUR = " in printed
    assert 'exposure = ["EXPDUR"]' in printed
    (found,) = json.loads(ingestd(home, "explain", path.name, "--json"))
    assert [field["field"] for field in found["missing"]] == ["exposure"]
