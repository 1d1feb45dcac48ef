"""A directory with settings and a small synthetic night that was scanned: what commands and the Python API look at."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ingestd import simulator
from ingestd.cli import program
from ingestd.settings import load_settings
from tests.flow.observatory import CAMERA, Observatory, write_night

EVENING = date(2026, 1, 15)
NIGHT = "2026-01-15"
PLAN = {"biases": 3, "evening_darks": 3, "filters": ("V",), "flats": 3, "lights": 2}

_CONFIG = """
[site]
longitude_deg = 0.0
[paths]
data = "{directory}/data"
[arrival]
polling = "always"
settle_polled_s = 0.4
scan_interval_polled_s = 0.4
[limits]
min_free_bytes = 0
[web]
port = 0
{more}
[[camera]]
name = "camera1"
directories = ["{directory}/incoming"]
"""


class Scanned:
    """A directory in which ``ingestd`` was at work."""

    def __init__(self, directory: Path, more: str = "") -> None:
        self.directory = directory
        self.config = directory / "config.toml"
        self.config.write_text(_CONFIG.format(directory=directory, more=more), "utf-8")
        self.settings = load_settings(self.config)
        self.incoming, self.data = directory / "incoming", directory / "data"
        self.catalogue_path = self.settings.catalogue_path

    def night(self, evening: date = EVENING, camera: simulator.Camera = CAMERA, **plan: Any) -> list[Path]:
        """Write a night of frames (3 biases, 3 darks of 120 s, 3 flats, 2 lights of 60 s) and return them."""
        return write_night(self.incoming, camera=camera, evening=evening, **{**PLAN, **plan})

    def scan(self) -> None:
        """Take in what lies there, build masters and reduce, in this process and without waiting."""
        place = Observatory(self.settings)
        place.now += timedelta(days=500)
        try:
            place.settle()
        finally:
            place.close()

    def run(self, *arguments: str, **options: Any) -> Result:
        """Run a command; errors of the house come back as ``result.exception``."""
        return CliRunner().invoke(program, ["--config", str(self.config), *arguments], **options)

    def output(self, *arguments: str) -> str:
        """Return what a command that succeeds prints."""
        result = self.run(*arguments)
        assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """Return what a command prints as JSON."""
        return json.loads(self.output(*arguments, "--json"))


def fields(rows: Iterable[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Return some fields of each row."""
    return [tuple(row[name] for name in names) for row in rows]
