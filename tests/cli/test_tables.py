"""Tables fit the terminal: a long path gives way, its name stands; elsewhere paths are whole."""

import pytest

from ingestd.cli.tables import table

LONG = "/srv/observatory/cameras/the_northern_one/incoming/2026/01/15/M13_V_60s_20260115_203000.fit"


def second_line(path, *, other="x" * 60, width=120):
    row = {"other": other, "path": path, "last": 1}
    return table([row], {"other": "o", "path": "path", "last": "l"}, width=width).splitlines()[1]


def test_a_long_path_is_cut_before_its_name():
    line = second_line(LONG)
    # 60 + 2 + path + 2 + 1 = 120
    shown = line.split()[1]
    assert (len(line), len(shown)) == (120, 55)
    assert shown == LONG[:22] + ".../M13_V_60s_20260115_203000.fit"


def test_a_path_that_fits_stands_whole():
    assert second_line(LONG, other="x").split()[1] == LONG


@pytest.mark.parametrize("name", [LONG.rpartition("/")[2], "n" * 300 + ".fit"])
def test_the_name_is_never_cut(name):
    assert second_line(f"/srv/observatory/{name}", other="x" * 100).split()[1] == f".../{name}"


def test_a_path_that_cutting_makes_no_shorter_stands_whole():
    assert second_line("/s/M13_V_60s_20260115_203000.fit", other="x" * 110).split()[1].startswith("/s/M13")


def test_a_wide_terminal_has_room_for_all(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert second_line(LONG, width=None).split()[1] == LONG
    monkeypatch.setenv("COLUMNS", "80")
    assert second_line(LONG, width=None).split()[1] == ".../M13_V_60s_20260115_203000.fit"


def test_nothing_is_cut_where_no_terminal_is(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert second_line(LONG, other="x" * 100, width=None).split()[1] == LONG


def test_a_path_cannot_send_control_characters_to_the_terminal():
    assert "\\x1b" in second_line("/a\x1b[2J.fit")


def test_a_temperature_has_one_decimal():
    """As measured it has a dozen, which mean nothing."""
    (_, line) = table([{"ccd_temp_c": -25.111424250000002}], {"ccd_temp_c": "temp C"}).splitlines()
    assert line.split() == ["-25.1"]
