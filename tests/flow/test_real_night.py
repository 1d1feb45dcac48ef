"""One real night of an Apogee camera, dropped into a watched directory in any order, becomes the same products."""

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.flow.observatory import Observatory, header, settings_for, tree

CHECKOUT = Path(__file__).parents[2]
SOURCE = Path(os.environ.get("INGESTD_REAL_DATA") or CHECKOUT.parent / "shared" / "data") / "arcsat-apogee-2019"

pytestmark = pytest.mark.skipif(
    not SOURCE.is_dir(), reason=f"no real frames in {SOURCE}; set INGESTD_REAL_DATA to their directory"
)

MASTERS = {kind: {"minimum": 2} for kind in ("bias", "dark", "flat")}


def given(paths):
    return paths


def backwards(paths):
    return paths[::-1]


def lights_first(paths):
    return sorted(paths, key=lambda path: (not path.name.startswith("M13"), path.name))


def shuffled(paths):
    return random.Random(20190503).sample(paths, len(paths))  # noqa: S311 - reproducible, not secret


ORDERS = (given, backwards, lights_first, shuffled)


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """The same night in each order, one frame after the other, each given time to be worked on before the next."""
    places = {}
    for order in ORDERS:
        place = Observatory(settings_for(tmp_path_factory.mktemp(order.__name__), masters=MASTERS))
        for path in order(sorted(SOURCE.glob("*.fits"))):
            shutil.copy(path, place.incoming / path.name)
            place.run(1.5)
        place.settle()
        places[order.__name__] = place
    yield places
    for place in places.values():
        place.close()


@pytest.fixture(scope="module", params=[order.__name__ for order in ORDERS])
def night(nights, request):
    return nights[request.param]


def figure(night, metric):
    """Return the one current value of a master's figure."""
    (row,) = [row for row in night.qa(metric) if row["master_id"] is not None]
    return row["value"]


def test_every_frame_is_classified(night):
    counts = {kind: len(night.frames(kind=kind)) for kind in ("bias", "dark", "flat", "light")}
    assert counts == {"bias": 3, "dark": 3, "flat": 4, "light": 2}
    assert len(night.frames()) == 12


def test_every_group_has_its_master(night):
    masters = sorted((row["kind"], row["filter_name"], row["members"]) for row in night.masters())
    by_kind = {(kind, members) for kind, _, members in masters}
    assert by_kind == {("bias", 3), ("dark", 3), ("flat", 2)}
    assert len(masters) == 4
    assert len({filter_name for kind, filter_name, _ in masters if kind == "flat"}) == 2


def test_both_science_frames_are_reduced_with_bias_scaled_dark_and_flat(night):
    for frame in night.frames(kind="light"):
        name = Path(frame["path"]).name
        assert night.state(name) == ("done", "reduced"), frame["detail"]
        used = night.used(name)
        assert set(used) == {"bias", "dark", "flat"}
        assert used["dark"]["how"] == "scaled_down"
        assert used["dark"]["exposure_ratio"] == pytest.approx(60 / 80)
        assert header(night.product(name))["CALSTAT"] == "BDF"


def test_read_noise_is_that_of_the_camera(night):
    assert figure(night, "read_noise_adu") == pytest.approx(5.84, abs=0.1)


def test_bias_level_is_that_of_the_camera(night):
    assert figure(night, "bias_level_adu") == pytest.approx(1310.5, abs=1.5)


def test_gain_is_that_of_the_camera(night):
    for row in night.qa("gain_electrons_per_adu"):
        assert row["value"] == pytest.approx(1.30, abs=0.05)
    assert {row["filter_name"] for row in night.qa("gain_electrons_per_adu")} == {
        row["filter_name"] for row in night.masters("flat")
    }


def test_dark_rate_is_that_of_the_camera(night):
    assert figure(night, "dark_rate_adu_per_second") == pytest.approx(0.358, abs=0.02)


def test_every_order_of_arrival_ends_with_the_same_bytes(nights):
    results = {name: night.result() for name, night in nights.items()}
    assert len(results["given"]) == 4 + 2
    for name, result in results.items():
        assert result == results["given"], name


def test_every_order_of_arrival_ends_with_the_same_figures(nights):
    figures = {
        name: sorted(
            (row["metric"], row["frame_id"] or row["master_id"], row["value"], row["error"] or 0.0)
            for row in night.catalogue.qa_rows()
        )
        for name, night in nights.items()
    }
    for name, rows in figures.items():
        assert rows == figures["given"], name


def test_lights_first_are_provisional_products_that_are_replaced(nights):
    night = nights["lights_first"]
    for frame in night.frames(kind="light"):
        products = night.catalogue.product_rows(frame["frame_id"])
        assert not products[0]["provisional"]
        assert any(product["provisional"] for product in products[1:])


def test_raw_frames_are_left_as_they_were(night):
    before = {path.name: path.read_bytes() for path in SOURCE.glob("*.fits")}
    assert {path.name: path.read_bytes() for path in night.incoming.iterdir()} == before
    assert not [name for name in tree(night.data) if name.endswith(".tmp")]
