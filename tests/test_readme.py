"""The README is true: its commands run, its settings parse, its queries answer, its tables are those of the code."""

import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
import urllib.request
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import get_args, get_type_hints

import click
import pytest
from astropy.io import fits

from ingestd.api import open_catalogue
from ingestd.cli import EXIT_FAILED, EXIT_LOCKED, EXIT_SETTINGS, program
from ingestd.doors.control import DataLock
from ingestd.doors.watcher.walk import is_frame_name
from ingestd.metrics import METRICS
from ingestd.records import Kind, MaskBit, State
from ingestd.settings import Settings, parse_settings
from ingestd.simulator import Camera, Plan, Sensor, night, write

CHECKOUT = Path(__file__).parents[1]
TEXT = (CHECKOUT / "README.md").read_text("utf-8")
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", PROSE)
PLAN = Plan(biases=3, evening_darks=3, filters=("V",), flats=3, lights=2, dawn_darks=0, dawn_biases=0)
LONGEST_S = 120


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def lines_of_fences():
    lines = "".join(fences("sh") + fences("console")).splitlines()
    return [line.removeprefix("$ ") for line in lines]


def section(title):
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def table(*heading):
    """Return the rows of the table with this heading, each a list of cells."""
    start = f"| {' | '.join(heading)} |\n"
    assert TEXT.count(start) == 1, heading
    rows = TEXT.partition(start)[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def codes(text):
    return re.findall(r"`([^`]+)`", text)


def words(text):
    return re.findall(r"\w+", text)


# --- a night that has been scanned ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Return a directory with the shipped settings and a small synthetic night, scanned; ``ingestd`` is on its PATH."""
    place = tmp_path_factory.mktemp("readme")
    shipped = (CHECKOUT / "config.toml").read_text("utf-8")
    text = shipped.replace("port = 9750", "port = 0").replace("min_free_bytes = 1073741824", "min_free_bytes = 1048576")
    assert text.count("port = 0") == text.count("= 1048576  ") == 1
    (place / "config.toml").write_text(text, "utf-8")
    (place / "incoming").mkdir()
    camera = Camera(Sensor())
    for shot in night(camera, date(2026, 1, 15), PLAN):
        exposure = camera.expose(shot)
        write(place / "incoming" / exposure.file_name, exposure)
    (place / "bin").mkdir()
    (place / "bin" / "ingestd").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ingestd "$@"\n')
    (place / "bin" / "ingestd").chmod(0o755)
    done = run_line("ingestd scan", place)
    assert done.returncode == 0, done.stderr
    return place


def run_line(line, place):
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_S,
    )  # fmt: skip


# --- commands ---------------------------------------------------------------------------------------------------------


RUNNABLE = [line for line in lines_of_fences() if line.startswith(("ingestd ", "sqlite3 "))]
RUNNABLE += [code for code in CODE if code.startswith("sqlite3 ")]


@pytest.mark.parametrize("line", RUNNABLE)
def test_command_works(line, place, tmp_path):
    if line.startswith("sqlite3") and shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    where = place
    if line.startswith("ingestd init"):  # there are no settings yet
        where = tmp_path
        (where / "incoming").symlink_to(place / "incoming")
        (where / "bin").symlink_to(place / "bin")
    done = run_line(line, where)
    assert (done.returncode, done.stdout.count("Traceback")) == (0, 0), done.stderr


def test_every_kind_of_command_is_shown():
    shown = {shlex.split(line)[1] for line in RUNNABLE if line.startswith("ingestd")}
    assert {"scan", "status", "frames", "masters", "qa", "explain", "config"} <= shown


def test_commands_and_options_exist():
    found = [match[1] for text in [*CODE, *lines_of_fences()] if (match := re.search(r"(?:^|bin/)ingestd (.+)", text))]
    seen = set()
    for text in found:
        tokens = shlex.split(text)
        command = program
        while tokens:
            token = tokens.pop(0)
            if token.startswith("-"):
                options = [option for param in command.params for option in param.opts]
                assert token in options, text
                is_flag = next(param for param in command.params if token in param.opts).is_flag
                tokens = tokens if is_flag else tokens[1:]
            elif isinstance(command, click.Group):
                assert token in command.list_commands(None), text
                command = command.get_command(None, token)
        seen.add(command.name)
    missing = {name for name in program.list_commands(None) if name != "config"} | {"check", "show"}
    assert missing - seen == set(), "every command is mentioned"


def test_example_of_explain_is_what_is_printed(place):
    """Line by line, but for numbers and hashes, which follow from numpy's random numbers; ``...`` leaves some out."""
    (block,) = fences("console")
    command, *shown = block.splitlines()
    printed = [pattern(line) for line in run_line(command.removeprefix("$ "), place).stdout.splitlines()]
    for line in shown:
        if line == "...":
            continue
        wanted = pattern(line.removesuffix("...").rstrip())
        is_whole = not line.endswith("...")
        matching = [i for i, text in enumerate(printed) if text == wanted or (not is_whole and text.startswith(wanted))]
        assert matching, line
        printed = printed[matching[0] + 1 :]


def pattern(line):
    """Return a line with its hashes and numbers replaced."""
    return re.sub(r"(?<![A-Za-z])(?=[0-9a-f]*\d)[0-9a-f]+(\.\d+)?|[0-9a-f]{8}", "#", line)


def test_demo_agrees_with_the_truth(place):
    (line,) = [line for line in lines_of_fences() if line.endswith("ingestd demo")]
    done = run_line(line.rpartition("&&")[2].replace(".venv/bin/", ""), place)
    assert done.returncode == 0, done.stdout + done.stderr
    frames = re.search(r"writes a night of (\d+) frames", TEXT)[1]
    assert f"writing {frames} frames" in done.stdout
    assert "12 of 12 science frames reduced" in done.stdout


def test_exit_statuses(place, tmp_path):
    stated = {int(number) for number in re.findall(r"(\d+): ", section("Exit status"))}
    assert stated == {0, EXIT_FAILED, EXIT_SETTINGS, EXIT_LOCKED}
    (tmp_path / "wrong.toml").write_text("[mastres]\n")
    assert run_line("ingestd explain nothing.fits", place).returncode == EXIT_FAILED
    assert run_line(f"ingestd --config {tmp_path}/wrong.toml status", place).returncode == EXIT_SETTINGS
    with DataLock(place / "data" / "ingestd.lock"):
        done = run_line("ingestd scan", place)
    assert (done.returncode, "Traceback" in done.stderr) == (EXIT_LOCKED, False)


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_ci_takes_the_test_command_word_for_word():
    stated = re.search(r"^<!-- test command -->\n```sh\n(.+)\n```$", TEXT, flags=re.MULTILINE)[1]
    script = (CHECKOUT / ".ci" / "run").read_text("utf-8")
    extraction = re.search(r"awk '([^']+)' README.md", script)[1]
    found = subprocess.run(
        ["awk", extraction, CHECKOUT / "README.md"], capture_output=True, text=True, check=True, timeout=LONGEST_S
    )
    assert found.stdout == f"{stated}\n"
    assert stated.endswith(".venv/bin/pytest -n 2 -W error")


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", fences("toml"))
def test_settings_block_is_valid(block):
    assert parse_settings(tomllib.loads(block), "README.md").camera


def test_settings_keys_exist():
    sections = {field.name for field in fields(Settings)}
    keys = [code.strip("[]") for code in CODE if code.startswith("[")]
    keys += [code for code in CODE if re.fullmatch(r"[a-z]+(\.[a-z_]+)+", code) and code.split(".")[0] in sections]
    assert len(keys) > 15, "the pattern finds them"
    for key in keys:
        assert exists(key), key


def exists(key):
    """Return whether a key path leads somewhere in the settings."""
    cls = Settings
    for part in key.split("."):
        hints = get_type_hints(cls) if isinstance(cls, type) else {}
        if part not in hints:
            return False
        cls = get_args(hints[part])[0] if get_args(hints[part]) else hints[part]
    return True


# --- states, cards, paths ---------------------------------------------------------------------------------------------


def test_states_and_reasons_are_those_of_the_code(place):
    rows = table("state", "reason", "meaning")
    assert {row[0] for row in rows} == set(State)
    source = "".join(path.read_text("utf-8") for path in (CHECKOUT / "ingestd").rglob("*.py"))
    for _, reasons, _ in rows:
        for reason in re.findall(r"\w+", reasons):
            assert re.search(rf"['\"]{reason}['\"]", source), reason
    pairs = {(state, reason) for state, reasons, _ in rows for reason in words(reasons)}
    with open_catalogue(place / "data" / "catalogue.sqlite") as catalogue:
        assert {(row["state"], row["reason"]) for row in catalogue.frame_rows()} <= pairs


def test_kinds_are_those_of_the_code():
    named = re.search(r"Kinds are ([^.]+)\.", PROSE)[1]
    assert set(words(named)) - {"and"} == set(Kind)


def test_suffixes_are_those_of_the_watcher():
    named = re.search(r"those named: (.+?)\. Names", PROSE, flags=re.DOTALL)[1]
    images, packed = codes(named)[:3], ["", *codes(named)[3:]]
    assert all(is_frame_name(f"a{image.upper()}{end}") for image in images for end in packed)
    assert sorted(images) == [".fit", ".fits", ".fts"]
    assert not is_frame_name(".a.fits")


def test_mask_bits_are_those_of_the_code():
    rows = table("mask bit", "name", "meaning")
    pairs = {(int(bit), name) for bits, names, _ in rows for bit, name in zip(words(bits), words(names), strict=True)}
    assert pairs == {(bit.value, bit.name) for bit in MaskBit}


def test_cards_are_in_products_and_masters(place):
    data = place / "data"
    products = {key for path in data.glob("reduced/**/*.fits") for key in fits.getheader(path)}
    masters = {key for path in data.glob("masters/**/*.fits") for key in fits.getheader(path)}
    written = (CHECKOUT / "ingestd" / "jobs" / "headers.py").read_text("utf-8")
    for cards, where, _ in table("card", "in", "meaning"):
        for card in codes(cards):
            assert where not in {"products", "both"} or card in products, card
            assert where not in {"masters", "both"} or card in masters, card
            assert card.rstrip("0123456789") in written or card in products | masters, "a card that only some have"


def test_paths_of_products_are_those_on_disk(place):
    found = {str(path.relative_to(place / "data")) for path in (place / "data").rglob("*") if not path.is_dir()}
    patterns = {code: as_pattern(code) for (code,) in (codes(row[0]) for row in table("path", "what"))}
    for code, matches in patterns.items():
        assert any(matches(path) for path in found), code
    passing = {"ingestd.lock", "catalogue.sqlite-wal", "catalogue.sqlite-shm"}
    strange = {path for path in found - passing if not any(matches(path) for matches in patterns.values())}
    assert strange == set()


def as_pattern(code):
    """Return what matches paths like ``masters/<camera>/<night>_<job8>.fits``."""
    text = re.sub(r"<\w+>", "[^/]+", re.sub(r"<\w+8>", "[0-9a-f]{8}", code.replace(".", r"\.")))
    return re.compile(text).fullmatch


def test_files_that_are_named_exist():
    named = [code for code in CODE if re.match(r"(systemd|ingestd|\.ci)/\S+$", code)]
    named += re.findall(r"\]\(([^)]+)\)", PROSE)
    assert len(named) > 5
    for name in named:
        assert (CHECKOUT / name).exists(), name


# --- the service ------------------------------------------------------------------------------------------------------


def test_service_files_go_where_they_say():
    steps = dict(re.findall(r"^install -D -m 644 (systemd/\S+) (\S+)$", TEXT, flags=re.MULTILINE))
    files = sorted((CHECKOUT / "systemd").iterdir())
    assert sorted(steps) == [f"systemd/{path.name}" for path in files]
    comments = "".join(path.read_text("utf-8") for path in files)
    for source, target in steps.items():
        assert target in comments or target == f"/etc/systemd/system/{Path(source).name}", source
    assert "ExecStart=/opt/ingestd/bin/ingestd --config /etc/ingestd/config.toml run" in comments


# --- the database -----------------------------------------------------------------------------------------------------


def statements():
    text = re.sub(r"^--.*$", "", "".join(fences("sql")), flags=re.MULTILINE)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


@pytest.mark.parametrize("statement", statements())
def test_query_is_answered(statement, place):
    database = place / "data" / "catalogue.sqlite"
    if shutil.which("sqlite3") is None:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        rows = connection.execute(statement).fetchall()
        connection.close()
    else:
        done = run_line(f"sqlite3 -readonly {database} {shlex.quote(statement)}", place)
        assert (done.returncode, done.stderr) == (0, "")
        rows = done.stdout.splitlines()
    # Nothing is uncalibrated in a complete night; the other queries have an answer.
    assert bool(rows) != ("uncalibrated" in statement)


def test_views_and_tables_are_those_of_the_schema(place):
    connection = sqlite3.connect(f"file:{place / 'data' / 'catalogue.sqlite'}?mode=ro", uri=True)
    found = connection.execute("SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    connection.close()
    assert {code for row in table("view", "rows") for code in codes(row[0])} == {n for t, n in found if t == "view"}
    stated = set(codes(re.search(r"^The tables: (.+?)\n\n", TEXT, flags=re.MULTILINE | re.DOTALL)[1]))
    assert stated == {name for kind, name in found if kind == "table" and not name.startswith(("_", "sqlite_"))}


@pytest.mark.parametrize("block", fences("python"))
def test_python_block_prints_something(block, place):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=place, capture_output=True, text=True, check=False, timeout=LONGEST_S,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "2026-01-15" in done.stdout


# --- metrics and health -----------------------------------------------------------------------------------------------


def test_table_of_quality_figures_is_that_of_the_code():
    expected = [[f"`{row.name}`", row.unit, f"{row.subject}: {', '.join(row.kinds)}", row.help] for row in METRICS]
    assert table("name", "unit", "measured on", "meaning") == expected


def test_daemon_serves_what_is_stated(place):
    """Health, every metric, SIGHUP and SIGTERM of one real run."""
    log = place / "run.log"
    with log.open("wb") as stream:
        daemon = subprocess.Popen([sys.executable, "-m", "ingestd", "run"], cwd=place, stdout=stream, stderr=stream)
    try:
        address = wait_for(lambda: re.search(r"health on (http://127\.0\.0\.1:\d+)", log.read_text()))[1]
        wait_for(lambda: status_of(f"{address}/ready") == 200)
        assert status_of(f"{address}/live") == 200
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as reply:  # noqa: S310 - our own address
            served = set(re.findall(r"^# TYPE (\S+) ", reply.read().decode(), flags=re.MULTILINE))
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: "Reloaded" in log.read_text())
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
    finally:
        daemon.kill()
        daemon.wait()
    quality = {f"ingestd_{row.name}" for row in METRICS}
    assert served & quality, "quality figures outlive the scan that measured them"
    assert {code for row in table("name", "labels", "meaning") for code in codes(row[0])} == served - quality


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - our own address
            return reply.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def wait_for(question):
    """Return the first true answer to a question about another process."""
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.05)
    pytest.fail("it did not happen")
