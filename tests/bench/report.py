"""What a benchmark is asked for and what it answers: rows of figures, and goals with the word whether they hold."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

GOALS_SIZE = 4096
"""Goals are stated for frames of so many rows and columns; smaller ones are for a quick look."""

_MANY = 100


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure: size of frames, numbers of frames to combine, runs, peers to leave out, files of a burst, frames
    of the large catalogue.
    """

    scratch: Path
    size: int
    counts: tuple[int, ...]
    runs: int
    without: tuple[str, ...]
    files: int
    frames: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured figure beside its goal; ``is_floor``: it should be at least that, not at most."""

    what: str
    measured: float
    goal: float
    unit: str = ""
    is_floor: bool = False

    @property
    def holds(self) -> bool:
        """True if the goal is reached."""
        return self.measured >= self.goal if self.is_floor else self.measured <= self.goal

    def as_text(self) -> str:
        """Return the goal in one line."""
        word = "at least" if self.is_floor else "at most"
        verdict = "holds" if self.holds else "MISSED"
        return f"  {verdict:6}  {self.what}: {self.measured:.4g} {self.unit} ({word} {self.goal:g})".replace(" ()", "")


@dataclass(slots=True)
class Table:
    """The figures of one benchmark: rows with equal keys, the goals, sentences on what was done."""

    title: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    load: tuple[float, float] = (0.0, 0.0)

    def as_text(self) -> str:
        """Return the table for people."""
        cores = len(os.sched_getaffinity(0))
        lines = [f"\n{self.title}", f"  {cores} cores, load {self.load[0]:.1f} before and {self.load[1]:.1f} after"]
        lines += [f"  {note}" for note in self.notes]
        lines += _aligned(self.rows) + [goal.as_text() for goal in self.goals]
        return "\n".join(lines)

    def as_record(self) -> dict[str, Any]:
        """Return the table for programs."""
        goals = [{**asdict(goal), "holds": goal.holds} for goal in self.goals]
        return {"title": self.title, "load": self.load, "notes": self.notes, "rows": self.rows, "goals": goals}


def _aligned(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as lines: texts to the left, numbers to the right."""
    if not rows:
        return []
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    is_text = [all(isinstance(row.get(name, ""), str) for row in rows) for name in names]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(line, widths, is_text, strict=True)
        ).rstrip()
        for line in cells
    ]


def _cell(value: object) -> str:
    """Return a figure with as many digits as it deserves."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < _MANY else f"{value:.0f}"
