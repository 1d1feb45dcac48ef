"""The same frames end as the same bytes, in whatever order they arrive, with restarts, and whatever was in between."""

import random
from datetime import date

import pytest

from ingestd import simulator
from tests.flow.observatory import CAMERA, SENSOR, observatory, write_night

EVENINGS = (date(2025, 2, 20), date(2025, 3, 1))


def frames_of_two_nights(directory):
    """Write two nights with everything: two filters, dawn darks on one of them; return the files in order of time."""
    first = write_night(directory, evening=EVENINGS[0], filters=("V", "R"), lights=1)
    return first + write_night(
        directory, evening=EVENINGS[1], filters=("V", "R"), lights=2, dawn_darks=3, dawn_biases=2
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("source")
    return [(path.name, path.read_bytes()) for path in frames_of_two_nights(directory)]


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    """What comes out when everything lies there at the start."""
    with observatory(tmp_path_factory.mktemp("at_once")) as place:
        for name, content in source:
            (place.incoming / name).write_bytes(content)
        place.settle()
        assert {row["state"] for row in place.frames()} == {"done"}
        return place.result()


def test_two_nights_have_the_masters_and_products_that_are_due(expected):
    # per night: one bias, one dark of 120 s, a flat in V and one in R; on the second also a dark of 60 s
    assert sum(path.startswith("masters/") for path in expected) == 4 + 5
    assert sum(path.startswith("reduced/") for path in expected) == 2 + 4


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_arrival_ends_with_the_same_bytes(source, expected, tmp_path, seed):
    source_of_chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with observatory(tmp_path) as place:
        for name, content in source_of_chance.sample(source, len(source)):
            (place.incoming / name).write_bytes(content)
            place.run(source_of_chance.choice((0.0, 0.5, 2.0, 10.0)))
        place.settle()
        assert place.result() == expected


@pytest.mark.parametrize("seed", range(2))
def test_restarts_in_between_change_nothing(source, expected, tmp_path, seed):
    source_of_chance = random.Random(100 + seed)  # noqa: S311 - reproducible, not secret
    left = source_of_chance.sample(source, len(source))
    while left:
        with observatory(tmp_path) as place:
            for name, content in left[:6]:
                (place.incoming / name).write_bytes(content)
            left = left[6:]
            place.run(source_of_chance.uniform(1.0, 12.0))
    with observatory(tmp_path) as place:
        place.settle()
        assert place.result() == expected


def test_frames_that_are_gone_and_come_back_change_nothing(source, expected, tmp_path):
    with observatory(tmp_path) as place:
        for name, content in source:
            (place.incoming / name).write_bytes(content)
        place.settle()
        some = source[::4]
        for name, _ in some:
            (place.incoming / name).unlink()
        place.settle()
        assert place.result() == expected
        assert {row["live"] for row in place.frames()} == {0, 1}
        for name, content in some:
            (place.incoming / name).write_bytes(content)
        place.settle()
        assert place.result() == expected


def test_overscan_frames_end_with_the_same_bytes_in_any_order(tmp_path):
    sensor = simulator.Sensor(shape=SENSOR.shape, dust_grains=2, overscan_px=16, bias_drift_adu=4.0)
    results = []
    for name, step in (("forwards", 1), ("backwards", -1)):
        with observatory(tmp_path / name) as place:
            paths = write_night(tmp_path / name / "aside", camera=simulator.Camera(sensor, seed=CAMERA.seed))
            for path in paths[::step]:
                path.rename(place.incoming / path.name)
                place.run(1.5)
            place.settle()
            results.append(place.result())
    assert results[0] == results[1]
