"""The frames of a fortnight, in the order of time or in any other, must end as the same masters and products.

``python -m tests.flow.fortnight --orders 20 --seed 3`` lets them arrive in so many orders and compares every byte with
the run in which they came night by night.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ingestd.doors.catalogue import Catalogue
from ingestd.records import Kind, Master
from tests.flow.fortnight_story import Taken, bursts, fortnight
from tests.flow.observatory import Observatory, observatory

Delivery = list[list[Taken]]
"""What arrives together, in the order of arrival."""

PAUSE_S = 3.0
"""Longer than a burst must be quiet to be combined."""


@contextmanager
def telescope(directory: Path, story: Sequence[Taken]) -> Iterator[Observatory]:
    """Open an observatory whose clock stands behind the fortnight: what arrives is an archive."""
    with observatory(directory) as place:
        place.now = story[-1].ends + timedelta(days=1)
        yield place


def live(place: Observatory, story: Sequence[Taken]) -> None:
    """Let the frames arrive when they were taken, each set or science frame worked off before the next."""
    place.now = story[0].ends
    for burst in bursts(story):
        place.now = max(place.now, burst[-1].ends)
        deliver(place, burst)
        place.settle(PAUSE_S)


def deliver(place: Observatory, frames: Iterable[Taken]) -> None:
    """Put frames into the watched directory."""
    for frame in frames:
        (place.incoming / frame.name).write_bytes(frame.content)


def pour(place: Observatory, delivery: Delivery) -> None:
    """Let frames arrive in portions, with as much time between them as a burst must be quiet, and work them off."""
    for portion in delivery:
        deliver(place, portion)
        place.run(PAUSE_S)
    place.settle()


# --- orders of arrival ------------------------------------------------------------------------------------------------


def at_once(story: Sequence[Taken], _: random.Random) -> Delivery:
    """Everything lies there at the start, as an archive does."""
    return [list(story)]


def backwards(story: Sequence[Taken], _: random.Random) -> Delivery:
    """The last set comes first."""
    return bursts(story)[::-1]


def lights_first(story: Sequence[Taken], _: random.Random) -> Delivery:
    """No calibration frame arrives before all science frames are there."""
    lights = [frame for frame in story if frame.shot.kind is Kind.LIGHT]
    return [lights, *(burst for burst in bursts(story) if burst[0].shot.kind is not Kind.LIGHT)]


def late_frames(story: Sequence[Taken], chance: random.Random) -> Delivery:
    """Night by night, but every tenth frame is found some nights later."""
    due: dict[int, list[Taken]] = {}
    for frame in story:
        late = chance.randint(1, 8) if chance.random() < 0.1 else 0
        due.setdefault(frame.night + late, []).append(frame)
    return [due[night] for night in sorted(due)]


def shuffled(story: Sequence[Taken], chance: random.Random) -> Delivery:
    """In any order, in portions of any size."""
    left = chance.sample(list(story), len(story))
    found = []
    while left:
        size = chance.choice((1, 5, 20, 60))
        found.append(left[:size])
        left = left[size:]
    return found


ORDERS: dict[str, Callable[[Sequence[Taken], random.Random], Delivery]] = {
    "at once": at_once,
    "backwards": backwards,
    "lights first": lights_first,
    "late frames": late_frames,
    "shuffled": shuffled,
}
"""The orders of arrival by name; the chance decides what they leave open."""


# --- deliberate faults ------------------------------------------------------------------------------------------------


def _first_recorded(place: Observatory) -> None:
    """Let planning see, of masters that stand for the same, only the one that was recorded first."""
    catalogue = place.catalogue

    def masters_of_setup(*words: Any, **interval: Any) -> list[Master]:
        first: dict[tuple[object, ...], Master] = {}
        for master in Catalogue.masters_of_setup(catalogue, *words, **interval):
            key = master.filter_name, master.exposure_s, round(master.ccd_temp_c or 0.0)
            first[key] = min(first.get(key, master), master, key=lambda it: recorded.index(it.master_id))
        return list(first.values())

    def record_master(master: Master, *words: Any, **more: Any) -> None:
        recorded.append(master.master_id)
        Catalogue.record_master(catalogue, master, *words, **more)

    recorded: list[str] = []
    catalogue.masters_of_setup = masters_of_setup  # type: ignore[method-assign]
    catalogue.record_master = record_master  # type: ignore[method-assign]


VARIANTS: dict[str, Callable[[Observatory], None]] = {"first_recorded": _first_recorded}
"""Faults by name, each put into an observatory before anything arrives."""


# --- comparing --------------------------------------------------------------------------------------------------------


def converged(directory: Path, story: Sequence[Taken], order: str, seed: int, variant: str = "") -> dict[str, str]:
    """Return the SHA-256 of every master and product by its path, after the frames arrived in some order."""
    with telescope(directory, story) as place:
        if variant:
            VARIANTS[variant](place)
        pour(place, ORDERS[order](story, random.Random(seed)))  # noqa: S311 - reproducible, not secret
        return place.result()


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Return what differs, in words."""
    return [
        f"{path}: {found.get(path, 'missing')[:8]} instead of {expected.get(path, 'missing')[:8]}"
        for path in sorted({*found, *expected})
        if found.get(path) != expected.get(path)
    ]


def main() -> None:
    """Compare many orders with the live run; exit status 1 if any ends otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variant", default="", choices=("", *VARIANTS), help="a deliberate fault, to be found")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    story, names = fortnight(), list(ORDERS)
    differing = 0
    with tempfile.TemporaryDirectory(prefix="ingestd-fortnight-") as scratch:
        with observatory(Path(scratch) / "live") as place:
            live(place, story)
            expected = place.result()
        print(f"live: {len(story)} frames, {len(expected)} masters and products", flush=True)  # noqa: T201 - a command
        for number in range(options.orders):
            begun, order = time.monotonic(), names[-1 - number % len(names)]
            found = converged(Path(scratch) / str(number), story, order, options.seed + number, options.variant)
            wrong = differences(found, expected)
            differing += bool(wrong)
            words = f"{order}, seed {options.seed + number}: {len(wrong)} differ, {time.monotonic() - begun:.1f} s"
            print("\n  ".join([words, *wrong[:5]]), flush=True)  # noqa: T201 - a command
            shutil.rmtree(Path(scratch) / str(number))
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
