"""Cosmic rays in one frame, in one warm process: ours in one thread against astroscrappy in two.

``python -m tests.bench.cosmics SIZE RUNS`` measures in a process of its own, whose environment sets the threads of
astroscrappy before its library is loaded, and prints rows as JSON; ``measure`` makes a table of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import statistics
import sys
import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.cosmics import Cosmics, detect_cosmics
from tests.bench import timing
from tests.bench.report import GOALS_SIZE, Goal, Options, Table

_ORDINARY = "ordinary"
_OVER_ORDINARY, _OVER_WORST = 80.0, 6.0
_THREADS = "2"
_READ_NOISE_E, _SATURATION_E = 5.0, 60_000.0
_LIMITS = {"sigclip": 5.0, "sigfrac": 0.3, "objlim": 5.0, "niter": 4}


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame: stars in 4096 x 4096 px, rays and hot ones per pixel, scatter of a flat, share of bad columns."""

    sky_e: float = 300.0
    stars: int = 3000
    width_px: float = 0.92
    rays: float = 3e-5
    hot: float = 0.0
    scatter: float = 0.0
    columns: float = 0.0


SCENES = {
    _ORDINARY: Scene(),
    "bias": Scene(sky_e=0.0, stars=0, rays=2e-6),
    "dark": Scene(sky_e=6.0, stars=0, rays=5e-5, hot=1e-4),
    "flat": Scene(sky_e=25_000.0, stars=0, rays=5e-6, scatter=0.01),
    "sky 0": Scene(sky_e=0.0),
    "cosmic rays x 20": Scene(rays=6e-4),
    "crowded": Scene(stars=80_000, width_px=1.5),
    "undersampled": Scene(stars=80_000, width_px=0.55),
    "dead and bright columns": Scene(columns=0.02),
}


def measure(options: Options) -> Table:
    """Measure an ordinary frame, and harder ones of half its side."""
    rows = json.loads(timing.run("cosmics", str(options.size), str(options.runs)))
    table = Table(f"Cosmic rays, an ordinary frame of {options.size} x {options.size}, harder ones half as large", rows)
    table.notes.append(f"ours: one thread, numpy alone; astroscrappy: {_THREADS} threads, the same parameters")
    if "astroscrappy s" not in rows[0]:
        table.notes.append("astroscrappy is not installed: left out")
        return table
    if options.size == GOALS_SIZE:
        worst = min(rows, key=lambda row: row["times faster"])
        table.goals = [
            Goal("times faster, ordinary frame", rows[0]["times faster"], _OVER_ORDINARY, is_floor=True),
            Goal(f"times faster, worst: {worst['frame']}", worst["times faster"], _OVER_WORST, is_floor=True),
        ]
    table.goals.append(Goal("pixels of all masks that differ", sum(row["differ"] for row in rows), 0))
    return table


def draw(scene: Scene, size: int) -> NDArray[np.float32]:
    """Return a frame in electrons, integers like those of a camera of gain 1."""
    rng = np.random.default_rng([size, list(SCENES.values()).index(scene)])
    shape = (size, size)
    light = np.full(shape, scene.sky_e) * rng.normal(1, scene.scatter, shape)
    is_hot = rng.random(shape) < scene.hot
    light[is_hot] += rng.exponential(6000, is_hot.sum())
    reach = 6
    steps = np.arange(-reach, reach + 1)
    for y, x in rng.uniform(reach + 1, size - reach - 1, (round(scene.stars * (size / 4096) ** 2), 2)):
        in_y, in_x = (np.exp(-0.5 * ((int(at) - at + steps) / scene.width_px) ** 2) for at in (y, x))
        flux = min(200 * (rng.pareto(1.2) + 1), 4e4)
        light[int(y) - reach :, int(x) - reach :][: steps.size, : steps.size] += flux * np.outer(in_y, in_x)
    frame = rng.poisson(light) + rng.normal(0, _READ_NOISE_E, shape)
    for y, x in rng.uniform(0, size, (rng.poisson(scene.rays * size**2), 2)):
        along, angle = np.arange(rng.integers(1, 12)), rng.uniform(0, 2 * np.pi)
        at = np.array([y + along * np.sin(angle), x + along * np.cos(angle)]).astype(int)
        at = at[:, ((at >= 0) & (at < size)).all(axis=0)]
        frame[at[0], at[1]] += 60 + rng.exponential(1500, at.shape[1])
    columns = rng.choice(size, round(scene.columns * size), replace=False)
    frame[:, columns] = rng.choice([0, 5000], columns.size)
    return np.rint(frame).astype(np.float32)


def _ours(frame: NDArray[np.float32]) -> Cosmics:
    return detect_cosmics(frame, gain_e_per_adu=1.0, read_noise_e=_READ_NOISE_E, saturation_e=_SATURATION_E, **_LIMITS)


def _row(name: str, size: int, runs: int, theirs: Any) -> dict[str, str | int | float]:
    """Measure one frame."""
    frame = draw(SCENES[name], size)
    masks: dict[str, NDArray[np.bool_]] = {}

    def ours() -> None:
        masks["ours s"] = _ours(frame).mask

    def reference() -> None:
        masks["astroscrappy s"], _ = theirs.detect_cosmics(
            frame, gain=1.0, readnoise=_READ_NOISE_E, satlevel=_SATURATION_E, **_LIMITS
        )

    functions = {"ours s": ours} | ({"astroscrappy s": reference} if theirs else {})
    seconds = {name: statistics.median(measured) for name, measured in timing.in_turn(functions, runs).items()}
    tracemalloc.start()
    ours()
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    row = {"frame": name, "side px": size, "hit px": int(masks["ours s"].sum()), "ours MiB": round(peak_mib), **seconds}
    if theirs:
        row["times faster"] = seconds["astroscrappy s"] / seconds["ours s"]
        row["differ"] = int((masks["ours s"] != masks["astroscrappy s"]).sum())
    return row


def _main(size: int, runs: int) -> None:
    """Print the rows."""
    os.environ["OMP_NUM_THREADS"] = _THREADS
    theirs = importlib.import_module("astroscrappy") if importlib.util.find_spec("astroscrappy") else None
    sides = {name: size if name == _ORDINARY else size // 2 for name in SCENES}
    json.dump([_row(name, side, runs, theirs) for name, side in sides.items()], sys.stdout)


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
