"""Tables fit a terminal of 120 columns: a long path gives way, its name stands."""

import pytest

from ingestd.cli.tables import table

LONG = "/srv/observatory/cameras/the_northern_one/incoming/2026/01/15/M13_V_60s_20260115_203000.fit"


def second_line(path, *, other="x" * 60):
    return table([{"other": other, "path": path, "last": 1}], {"other": "o", "path": "path", "last": "l"}).splitlines()[
        1
    ]


def test_a_long_path_is_cut_before_its_name():
    line = second_line(LONG)
    # 60 + 2 + path + 2 + 1 = 120
    shown = line.split()[1]
    assert (len(line), len(shown)) == (120, 55)
    assert shown == LONG[:22] + ".../M13_V_60s_20260115_203000.fit"


def test_a_path_that_fits_stands_whole():
    assert second_line(LONG, other="x").split()[1] == LONG


@pytest.mark.parametrize("path", [LONG, "/" + "n" * 300 + ".fit"])
def test_32_characters_of_a_path_stand_in_any_case(path):
    shown = second_line(path, other="x" * 100).split()[1]
    assert len(shown) == 32
    assert shown.startswith("...")
    assert shown.endswith(path[-29:])


def test_a_path_cannot_send_control_characters_to_the_terminal():
    assert "\\x1b" in second_line("/a\x1b[2J.fit")
