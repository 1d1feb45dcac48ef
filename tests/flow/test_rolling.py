"""Rolling masters: after every arrival and veto they are those of a catalogue that never knew otherwise.

A file that departs changes nothing; while one is missing, what comes may be held up, and when all are back nothing is.
"""

from __future__ import annotations

import random
from datetime import date

import pytest

from ingestd import simulator
from tests.flow.observatory import observatory, write_night

SENSOR = simulator.Sensor(shape=(24, 32), dust_grains=1)
CAMERA = simulator.Camera(SENSOR)
EVENINGS = (date(2025, 2, 20), date(2025, 2, 27), date(2025, 3, 1))
RULES = {"minimum": 3, "maximum": 5, "window_d": 20.0, "valid_d": 90.0}
MASTERS = {"masters": {"bias": RULES, "dark": RULES}}
EVENTS = 16


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Name and content of biases and darks of three nights, two of which share a window with the last."""
    directory = tmp_path_factory.mktemp("source")
    for evening in EVENINGS:
        write_night(directory, camera=CAMERA, evening=evening, biases=4, evening_darks=4, flats=0, lights=0)
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


class Sequence:
    """What has happened so far: which files have come, which of them are gone, and which an operator rejects."""

    def __init__(self, source, chance):
        self.source, self.chance = source, chance
        self.known, self.gone, self.rejected = set(), set(), set()

    def step(self, place):
        """Do something to a place; return what."""
        aside, live = sorted(set(self.source) - self.known), sorted(self.known - self.gone)
        accepted, vetoed = sorted(self.known - self.rejected), sorted(self.rejected)
        chances = {"arrive": aside, "leave": live, "return": sorted(self.gone), "veto": accepted, "accept": vetoed}
        weights = {"arrive": 3, "return": 3}
        event = self.chance.choice([it for it, names in chances.items() if names for _ in range(weights.get(it, 1))])
        name = self.chance.choice(chances[event])
        path = place.incoming / name
        if event in ("arrive", "return"):
            path.write_bytes(self.source[name])
            self.known.add(name)
            self.gone.discard(name)
        elif event == "leave":
            path.unlink()
            self.gone.add(name)
        else:
            command = {"veto": "reject", "accept": "restore"}[event]
            assert place.command(command=command, names=[name], reason="chance")["ok"]
            self.rejected ^= {name}
        return f"{event} {name}"

    def afresh(self, directory):
        """Return the masters of a catalogue that is given all that ever came, at once."""
        with observatory(directory, **MASTERS) as place:
            for name in self.known:
                (place.incoming / name).write_bytes(self.source[name])
            place.settle()
            for name in sorted(self.rejected):
                assert place.command(command="reject", names=[name], reason="chance")["ok"]
            place.settle()
            return place.result()


@pytest.mark.parametrize("seed", [1, 2])
def test_every_update_equals_a_build_from_nothing(source, tmp_path, seed):
    sequence = Sequence(source, random.Random(seed))  # noqa: S311 - reproducible, not secret
    with observatory(tmp_path / "rolling", **MASTERS) as place:
        for name in sequence.chance.sample(sorted(source), 14):
            (place.incoming / name).write_bytes(source[name])
            sequence.known.add(name)
        place.settle()
        happened, seen, compared, found = [], set(), 0, place.result()
        for number in range(EVENTS):
            before = found
            happened.append(sequence.step(place))
            place.settle()
            found = place.result()
            seen.add(tuple(found.values()))
            if happened[-1].startswith("leave"):
                assert found == before, happened
            if not sequence.gone:
                compared += 1
                assert found == sequence.afresh(tmp_path / str(number)), happened
            rejected = {place.frame(name)["frame_id"] for name in sequence.rejected}
            for row in place.masters():
                assert rejected.isdisjoint(place.catalogue.master(row["master_id"]).members), happened
        assert len(seen) > EVENTS / 3, "masters change"
        assert compared > EVENTS / 3, "often nothing is missing"


def test_masters_that_go_with_their_files_are_noticed(source, tmp_path):
    """The comparison above is worth something: a program that does not count files that are gone fails it."""
    with observatory(tmp_path / "rolling", **MASTERS) as place:
        for name, content in source.items():
            (place.incoming / name).write_bytes(content)
        place.settle()
        before = place.result()
        usable_frames = place.catalogue.usable_frames
        place.catalogue.usable_frames = lambda *which, with_gone: usable_frames(*which, with_gone=not with_gone)
        member = next(name for name in sorted(source) if place.state(name) == ("done", "member"))
        (place.incoming / member).unlink()
        place.settle()
        assert place.result() != before
