"""What a person meets on the first day: slips of the pen are told, files are found by the path that the shell gives."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ingestd import cli
from ingestd.cli import program
from ingestd.errors import IngestdError, SettingsInvalid
from tests.doors.watching import unreadable
from tests.scanned import Scanned


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Scanned(tmp_path_factory.mktemp("first"))
    place.night(lights=1)
    place.scan()
    return place


def test_without_settings_the_command_that_writes_them_is_named(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = place.run("status", "--config", "none.toml")
    assert isinstance(result.exception, SettingsInvalid)
    assert str(result.exception).startswith("none.toml: there is no such file. `ingestd init DIRECTORY` writes one")


def test_a_frame_is_found_by_its_path_from_here(place, monkeypatch):
    monkeypatch.chdir(place.directory)
    path = place.json("frames", "--kind", "light")[0]["path"]
    relative = f"./incoming/{path.rpartition('/')[2]}"
    assert [row["path"] for row in place.json("explain", relative)] == [path]
    assert place.output("requeue", relative).startswith("Due again: 1 frame.")


def test_a_master_is_found_by_its_path_from_here_and_shows_what_was_decided(place, monkeypatch):
    monkeypatch.chdir(place.directory)
    flat = place.json("masters", "--kind", "flat")[0]["path"]
    assert place.output("verify", f"data/{flat}").startswith("same")
    for arguments in (("pin",), ("masters", "valid", "--until", "2026-02-01", "--reason", "dust")):
        place.output(*arguments, f"data/{flat}")
    heading, line = place.output("masters", "--kind", "flat").splitlines()
    assert "built, pinned, limited" in line
    assert heading.endswith("path"), "no column for what speaks against a master where nothing does"
    (row,) = place.json("masters", "--kind", "flat")
    assert (row["decision"], row["valid_from"], row["valid_until"]) == ("pinned", None, "2026-02-01T00:00:00.000Z")


def test_a_file_that_is_no_master_is_named(place):
    path = place.json("frames", "--kind", "light")[0]["path"]
    exception = place.run("masters", "add", path).exception
    assert isinstance(exception, IngestdError)
    assert str(exception).startswith(f"{path}: its header does not say whether it is a bias, a dark or a flat")


def test_a_data_directory_that_is_a_file_is_told(tmp_path):
    place = Scanned(tmp_path)
    place.data.write_text("")
    result = place.run("requeue", "--all")
    assert isinstance(result.exception, IngestdError)
    assert str(result.exception) == f"{place.data}: cannot be created: File exists"


@pytest.mark.parametrize("command", ["frames", "masters", "qa", "epochs"])
def test_a_camera_that_is_not_there_is_told(command, place):
    result = place.run(command, "--camera", "main")
    assert (result.exit_code, result.stderr) == (1, "Error: no [[camera]] is called 'main'; in the settings: camera1\n")


@pytest.mark.parametrize("command", ["badpixels", "sensor"])
def test_a_camera_as_argument_that_is_not_there_is_told(command, place):
    assert "no [[camera]] is called 'main'" in place.run(command, "main").stderr


@pytest.mark.parametrize("arguments", [("--night", "yesterday"), ("--night", "2026-13-01"), ("--limit", "0")])
def test_what_is_no_night_or_number_is_refused(arguments, place):
    result = place.run("frames", *arguments)
    assert result.exit_code == 2
    assert arguments[1] in result.stderr


@pytest.mark.parametrize("command", [("badpixels", "--out"), ("export", "frames", "--output")])
def test_nothing_is_written_beside_raw_frames_or_into_a_directory_that_is_not_there(command, place):
    before = sorted(place.directory.rglob("*"))
    for folder, why in (
        ("incoming", "lies beside raw frames"),
        ("incoming/new", "beside raw frames"),
        ("no", "no directory"),
    ):
        result = place.run(*command, str(place.directory / folder / "map.fits"))
        assert result.exit_code == 1
        assert why in result.stderr
    assert sorted(place.directory.rglob("*")) == before


def test_settings_may_stand_between_epochs_and_its_command(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = place.output("epochs", "--config", str(place.config), "open", "2026-01-20", "--reason", "new amplifier")
    assert text.startswith("Decided: open 2026-01-20, 1 set-up.")
    result = place.run("epochs", "--config", "none.toml", "open", "2026-01-21", "--reason", "new amplifier")
    assert isinstance(result.exception, SettingsInvalid)


def test_an_empty_database_has_nothing_to_verify(tmp_path):
    place = Scanned(tmp_path)
    place.scan()
    assert place.output("verify", "--all") == "There are no masters or products yet.\n"


def test_broken_settings_leave_a_running_daemon_as_it_is(place, tmp_path):
    broken = tmp_path / "config.toml"
    broken.write_text("[web]\nprot = 1\n")
    said = str(place.run("status", "--config", str(broken)).exception)
    assert "web.prot: unknown key" in said
    assert "A daemon that runs goes on with its former settings: put the file right" in said


def test_a_check_tells_what_each_camera_watches_and_where_data_goes(tmp_path):
    (tmp_path / "config.toml").write_text('[[camera]]\nname = "a"\n[[camera]]\nname = "b"\ndirectories = ["raw"]\n')
    (tmp_path / "raw").mkdir()
    assert check(tmp_path) == [
        f"Camera a watches {tmp_path}/incoming: does not exist yet; the daemon waits for it.",
        f"Camera b watches {tmp_path}/raw.",
        f"Data goes to {tmp_path}/data.",
        "The settings are valid.",
    ]


def test_a_check_tells_what_cannot_be_read_or_written(tmp_path):
    (tmp_path / "config.toml").write_text(
        '[paths]\ndata = "closed/data"\n[[camera]]\nname = "a"\ndirectories = ["raw"]\n'
    )
    (tmp_path / "raw").mkdir()
    (tmp_path / "closed").mkdir()
    with unreadable(tmp_path / "closed", tmp_path / "raw"):
        watched, data, _ = check(tmp_path)
    assert f"cannot write to {tmp_path}/closed" in data
    assert f"Camera a watches {tmp_path}/raw: cannot be read by the user" in watched
    (tmp_path / "closed" / "data").write_text("")
    assert f"{tmp_path}/closed/data is no directory" in check(tmp_path)[1]


def check(directory):
    result = CliRunner().invoke(program, ["--config", str(directory / "config.toml"), "config", "check"])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


# --- what the operating system refuses --------------------------------------------------------------------------------


def test_a_full_disk_behind_the_output_is_one_line():
    command = [sys.executable, "-m", "ingestd", "--help"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        "Failed: No space left on device. Make room, or name another place.\n",
    )


def refusal(monkeypatch, capsys, code, *names):
    """Return what is said where a command meets a refusal of the operating system."""

    @click.command()
    def refused():
        raise OSError(code, os.strerror(code), *names)

    monkeypatch.setattr(cli, "program", refused)
    monkeypatch.setattr(sys, "argv", ["ingestd"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == cli.EXIT_FAILED
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EACCES, "Run this as the user that owns it."),
        (errno.ENOTDIR, "A part of the path is a file: correct the path."),
        (errno.EISDIR, "It is a directory: name a file."),
        (errno.EROFS, "Nothing can be written there: name another place, or mount it writable."),
        (errno.ESTALE, "The network share has changed under it: mount it again."),
        (errno.EXDEV, "Put that right and try again."),
    ],
)
def test_a_refusal_of_the_operating_system_names_the_file_and_what_to_do(code, remedy, monkeypatch, capsys):
    said = refusal(monkeypatch, capsys, code, "/data/x\x1b.fits")
    assert said == f"Failed: /data/x\\x1b.fits: {os.strerror(code)}. {remedy}\n"


def test_a_refused_renaming_names_both_files(monkeypatch, capsys):
    said = refusal(monkeypatch, capsys, errno.EISDIR, "a.tmp", None, "a.fits")
    assert said == "Failed: a.tmp -> a.fits: Is a directory. It is a directory: name a file.\n"
