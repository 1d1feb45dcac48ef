"""The Python API: its examples run, and its answers are those of the rules."""

import doctest
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy import units

from ingestd import api
from ingestd.api.series import _ASTROPY_UNITS
from ingestd.metrics import METRICS
from tests.scanned import NIGHT, Scanned

NOON = datetime(2026, 1, 16, 12, tzinfo=UTC)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Scanned(tmp_path_factory.mktemp("api"))
    place.night()
    place.scan()
    return place


@pytest.fixture
def catalogue(place):
    with api.open_catalogue(place.catalogue_path) as opened:
        yield opened


def conditions(catalogue, **changes):
    light = api.frames(catalogue, kind="light")[0]
    found = {
        "camera": light.camera,
        "configuration": light.configuration,
        "time": light.obs_start,
        "exposure_s": light.exposure_s,
        "ccd_temp_c": light.ccd_temp_c,
        "filter_name": light.filter_name,
    }
    return {**found, **changes}


def test_examples_are_true(place, monkeypatch):
    monkeypatch.chdir(place.directory)
    failed, tried = doctest.testmod(api, optionflags=OPTIONS)
    assert (failed, tried > 10) == (0, True)


def test_frames_are_typed(catalogue, place):
    light = api.frames(catalogue, kind="light")[0]
    assert (light.kind, light.state, light.exposure_s, light.night) == ("light", "done", 60.0, NIGHT)
    assert light.obs_start.tzinfo is UTC
    assert light.path.is_file()
    assert (place.data / light.product).is_file()
    with pytest.raises(FrozenInstanceError):
        light.exposure_s = 1.0


def test_frames_are_filtered_by_time(catalogue):
    first, second = api.frames(catalogue, kind="light")
    assert api.frames(catalogue, kind="light", since=second.obs_start) == [second]
    assert api.frames(catalogue, kind="light", until=first.obs_start) == [first]
    assert api.frames(catalogue, kind="light", filter_name="R") == []


@pytest.mark.parametrize(("days", "kinds"), [(29, "bias dark flat"), (31, "bias dark"), (91, "dark"), (181, "")])
def test_masters_are_valid_so_long_after_their_last_member(catalogue, place, days, kinds):
    """Biases are valid for 90 d, darks for 180 d, flats for 30 d; all were taken on one evening before NOON."""
    found = api.masters_at(catalogue, place.settings, NOON - timedelta(hours=17) + timedelta(days=days))
    assert [master.kind.value for master in found] == kinds.split()


def test_masters_are_valid_before_their_first_member_too(catalogue, place):
    found = api.masters_at(catalogue, place.settings, NOON - timedelta(days=29))
    assert [master.kind.value for master in found] == ["bias", "dark", "flat"]


def test_masters_of_one_kind_and_camera(catalogue, place):
    assert [it.kind for it in api.masters_at(catalogue, place.settings, NOON, kind="flat")] == ["flat"]
    assert api.masters_at(catalogue, place.settings, NOON, camera="another") == []


def test_the_best_master_is_the_one_that_the_product_has(catalogue, place):
    light = api.frames(catalogue, kind="light")[0]
    used = {row["kind"]: row for row in catalogue.product_rows(light.frame_id)[0]["masters"]}
    assert set(used) == {"bias", "dark", "flat"}
    for kind, row in used.items():
        choice = api.best_master(catalogue, place.settings, kind=kind, **conditions(catalogue))
        assert (choice.master.master_id, choice.how) == (row["master_id"], row["how"])
        assert choice.age_h == pytest.approx(row["age_h"])


def test_a_condition_that_no_master_meets_waits_with_the_reason(catalogue, place):
    choice = api.best_master(catalogue, place.settings, kind="dark", **conditions(catalogue, ccd_temp_c=5.0))
    assert isinstance(choice, api.Wait)
    assert choice.reason.startswith("needs a dark of 60 s at 5.0 C. Nearest of 1:")


def test_an_unknown_configuration_is_an_error_that_names_the_known_ones(catalogue, place):
    with pytest.raises(ValueError, match="known: Synthetic CCD"):
        api.best_master(catalogue, place.settings, kind="bias", **conditions(catalogue, configuration="?"))


def test_a_series_is_arrays_of_equal_length(catalogue):
    series = api.qa_series(catalogue, "bias_level_adu", kind="bias")
    # three frames and their master
    assert {len(getattr(series, name)) for name in series.__slots__[2:]} == {4}
    assert series.unit == "ADU"
    assert np.all(np.diff(series.time) >= np.timedelta64(0, "s"))
    # the synthetic sensor has a bias of about 1000 ADU
    assert np.all(np.abs(series.value - 1000) < 100)


def test_an_unknown_figure_is_an_empty_series(catalogue):
    series = api.qa_series(catalogue, "nothing")
    assert (series.value.shape, series.time.dtype, len(series.table())) == ((0,), "<M8[ms]", 0)


def test_a_table_has_times_and_units(catalogue):
    table = api.qa_series(catalogue, "bias_level_adu").table()
    assert table["value"].unit == "adu"
    assert table["time"].isot[0].startswith("2026-01-15T17:30")
    assert table.colnames == ["time", "value", "error", "camera", "kind", "filter_name", "plane", "channel", "subject"]


def test_every_unit_of_a_figure_is_one_of_astropy():
    for row in METRICS:
        units.Unit(_ASTROPY_UNITS.get(row.unit, row.unit))
