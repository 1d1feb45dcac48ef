"""Rolling masters: after every arrival, departure and veto they are those of a catalogue that never knew otherwise."""

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
    """What has happened so far: which files lie there, and which of them an operator rejects."""

    def __init__(self, source, chance):
        self.source, self.chance = source, chance
        self.live, self.rejected = set(), set()

    def step(self, place):
        """Do something to a place; return what."""
        aside = sorted(set(self.source) - self.live)
        accepted, vetoed = sorted(self.live - self.rejected), sorted(self.live & self.rejected)
        choices = ["arrive"] * (3 if aside else 0) + ["leave", "veto"] * bool(accepted) + ["accept"] * bool(vetoed)
        event = self.chance.choice(choices)
        name = self.chance.choice(
            {"arrive": aside, "leave": sorted(self.live), "veto": accepted, "accept": vetoed}[event]
        )
        path = place.incoming / name
        if event == "arrive":
            path.write_bytes(self.source[name])
            self.live.add(name)
        elif event == "leave":
            path.unlink()
            self.live.discard(name)
        else:
            command = {"veto": "reject", "accept": "restore"}[event]
            assert place.command(command=command, names=[name], reason="chance")["ok"]
            self.rejected ^= {name}
        return f"{event} {name}"

    def afresh(self, directory):
        """Return the masters of a catalogue that is given what lies there now, all at once."""
        with observatory(directory, **MASTERS) as place:
            for name in self.live:
                (place.incoming / name).write_bytes(self.source[name])
            place.settle()
            for name in sorted(self.rejected & self.live):
                assert place.command(command="reject", names=[name], reason="chance")["ok"]
            place.settle()
            return place.result()


@pytest.mark.parametrize("seed", [1, 2])
def test_every_update_equals_a_build_from_nothing(source, tmp_path, seed):
    sequence = Sequence(source, random.Random(seed))  # noqa: S311 - reproducible, not secret
    with observatory(tmp_path / "rolling", **MASTERS) as place:
        for name in sequence.chance.sample(sorted(source), 14):
            (place.incoming / name).write_bytes(source[name])
            sequence.live.add(name)
        place.settle()
        happened, seen = [], set()
        for number in range(EVENTS):
            happened.append(sequence.step(place))
            place.settle()
            found = place.result()
            assert found == sequence.afresh(tmp_path / str(number)), happened
            seen.add(tuple(found.values()))
        assert len(seen) > EVENTS / 2, "masters change"


def test_a_departure_that_is_missed_is_noticed(source, tmp_path):
    """The comparison above is worth something: a program that does not see files go fails it."""
    sequence = Sequence(source, random.Random(3))  # noqa: S311 - reproducible, not secret
    sequence.live = set(source)
    with observatory(tmp_path / "rolling", **MASTERS) as place:
        for name in sequence.live:
            (place.incoming / name).write_bytes(source[name])
        place.settle()
        assert place.result() == sequence.afresh(tmp_path / "before")
        place.catalogue.mark_gone = lambda *_: []
        member = next(name for name in sorted(source) if place.state(name) == ("done", "member"))
        (place.incoming / member).unlink()
        sequence.live.discard(member)
        place.settle()
        assert place.result() != sequence.afresh(tmp_path / "after")
