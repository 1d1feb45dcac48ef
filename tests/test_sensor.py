"""What the history of a camera says of its sensor, against the sensor that made the history."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from ingestd import api
from ingestd.records import Kind
from ingestd.simulator import Camera, Sensor, Shot, write
from tests.scanned import Scanned

SENSOR = Sensor(
    shape=(128, 128), gain_e_per_adu=1.5, read_noise_e=7.5, dark_e_per_s=2.0, dark_reference_c=-10.0,
    dark_doubling_c=6.0, hot_fraction=0.0, dark_scatter=0.02, bias_drift_adu=0.02,
)  # fmt: skip
TEMPERATURES = (-20.0, -16.0, -13.0, -10.0)
EXPOSURES_S = (1.0, 2.0, 4.0, 7.0)


def shots(evening, exposures_s=EXPOSURES_S):
    """Three biases, three darks, and pairs of flats of a steady lamp of 4000 ADU/s."""
    first, at = evening.toordinal() * 100, datetime.combine(evening, datetime.min.time(), UTC) + timedelta(hours=19)
    for i in range(3):
        yield Shot(Kind.BIAS, first + i, 0.0, at + timedelta(minutes=i))
        yield Shot(Kind.DARK, first + i, 300.0, at + timedelta(minutes=10 + 6 * i))
    for i, exposure_s in enumerate(each for each in exposures_s for _ in range(2)):
        yield Shot(Kind.FLAT, first + i, exposure_s, at + timedelta(minutes=60 + i), "V", 4000.0 * exposure_s)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Scanned(tmp_path_factory.mktemp("sensor"), "[masters]\nquiet_s = 0.5")
    place.incoming.mkdir()
    for number, temp_c in enumerate(TEMPERATURES):
        camera = Camera(SENSOR, set_temp_c=temp_c, temp_step_c=0.01, seed=number + 1)
        for shot in shots(date(2026, 1, 15) + timedelta(days=number)):
            exposure = camera.expose(shot)
            write(place.incoming / exposure.file_name, exposure)
    place.scan()
    return place


@pytest.fixture(scope="module")
def history(place):
    with api.open_catalogue(place.catalogue_path) as catalogue:
        (found,) = api.sensor_history(catalogue, reference_c=-10.0)
    return found


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("gain_e_per_adu", 1.5),
        ("read_noise_adu", 5.0),
        ("read_noise_e", 7.5),
        ("nonlinearity_percent", 0.0),
        ("dark_rate_adu_per_s", 2.0 / 1.5),
        ("dark_rate_e_per_s", 2.0),
        ("dark_doubling_c", 6.0),
    ],
)
def test_history_tells_the_truth_within_its_errors(history, name, truth):
    figure = history.figure(name)
    assert figure.value == pytest.approx(truth, abs=4 * figure.error)
    assert figure.points >= 4
    assert figure.error < max(0.05 * truth, 1.0)
    assert figure.reason == ""


def test_points_are_the_pairs_of_flats_and_the_temperatures(history):
    assert history.transfer.x.size == len(TEMPERATURES) * len(EXPOSURES_S)
    # The noise of a level of 4000 to 28000 ADU over the error of a variance of 64 boxes of 256 pixels.
    expected = history.transfer.x / 1.5 + 25.0
    assert ((history.transfer.y - expected) / history.transfer.error).std() == pytest.approx(1.0, abs=0.8)
    assert history.transfer.error == pytest.approx(expected * math.sqrt(2.0 / (64 * 256)), rel=0.5)
    assert sorted(history.dark.x) == pytest.approx(TEMPERATURES, abs=0.25)


def test_what_the_history_does_not_tell_has_its_reason(history):
    well = history.figure("full_well_e")
    assert well.value is None
    assert "still rises" in well.reason


@pytest.fixture
def bright(tmp_path):
    """A night of a sensor whose full well, 63 333 ADU, lies above the 58 981 ADU to which flats are used."""
    place = Scanned(tmp_path, "[masters]\nquiet_s = 0.5")
    place.incoming.mkdir()
    camera = Camera(replace(SENSOR, full_well_e=95_000.0, vignetting=0.0, dust_grains=0), temp_step_c=0.01)
    for shot in shots(date(2026, 1, 15), (2.0, 4.0, 7.0, 10.0, 15.0, 25.0)):
        exposure = camera.expose(shot)
        write(place.incoming / exposure.file_name, exposure)
    place.scan()
    return place


def test_full_well_shows_in_flats_too_bright_for_a_master(bright):
    figures = bright.json("sensor")[0]["figures"]
    # The pair of 15 s (60 000 ADU) is on the straight part, that of 25 s at the full well.
    well = figures["full_well_adu"]
    assert (well["value"] - well["error"], well["value"] + well["error"]) == pytest.approx((60_000, 63_333), rel=0.002)
    assert figures["full_well_e"]["value"] == pytest.approx(1.5 * well["value"], rel=0.02)
    gain = figures["gain_e_per_adu"]
    assert (gain["value"], gain["points"]) == (pytest.approx(1.5, abs=4 * gain["error"]), 5)
    # Flats that the command does not read tell only how far it is up at least.
    with api.open_catalogue(bright.catalogue_path) as catalogue:
        (found,) = api.sensor_history(catalogue)
    reason = found.figure("full_well_adu").reason
    assert float(reason.removeprefix("above ").split()[0]) == pytest.approx(40_000, rel=0.01)


def test_flats_at_the_end_of_the_converter_tell_no_full_well(tmp_path):
    place = Scanned(tmp_path, "[masters]\nquiet_s = 0.5")
    place.incoming.mkdir()
    for shot in shots(date(2026, 1, 15), (4.0, 7.0, 10.0, 16.0)):
        exposure = Camera(SENSOR, temp_step_c=0.01).expose(shot)
        write(place.incoming / exposure.file_name, exposure)
    place.scan()
    with api.open_catalogue(place.catalogue_path) as catalogue:
        assert len(catalogue.bright_flats()) == 2
    well = place.json("sensor")[0]["figures"]["full_well_adu"]
    assert well["value"] is None
    assert well["reason"].startswith("above 3")


def test_a_bright_flat_that_has_gone_tells_nothing(bright):
    for path in bright.incoming.glob("*flat*_25s_*"):
        path.unlink()
    well = bright.json("sensor")[0]["figures"]["full_well_adu"]
    assert well["value"] is None
    assert float(well["reason"].removeprefix("above ").split()[0]) == pytest.approx(60_000, rel=0.01)


def test_one_night_tells_what_it_can(tmp_path):
    place = Scanned(tmp_path)
    place.night(flats=4)
    place.scan()
    (found,) = place.json("sensor")
    figures = found["figures"]
    assert figures["gain_e_per_adu"]["value"] == pytest.approx(1.5, rel=0.1)
    assert figures["dark_doubling_c"]["value"] is None
    assert figures["dark_doubling_c"]["reason"].startswith("temperatures of darks: 1")
    assert figures["dark_rate_e_per_s"]["value"] == pytest.approx(0.4, rel=0.1)
    assert figures["nonlinearity_percent"]["value"] is None


def test_command_prints_a_table_of_one_camera(place):
    text = place.output("sensor", "camera1", "--temperature", "-10")
    assert "Synthetic CCD" in text
    assert "dark rates at -10.0 C" in text
    assert [line.split()[0] for line in text.splitlines()[2:12]] == [
        "gain_e_per_adu", "read_noise_adu", "read_noise_e", "read_noise_of_flats_adu", "full_well_adu", "full_well_e",
        "nonlinearity_percent", "dark_rate_adu_per_s", "dark_rate_e_per_s", "dark_doubling_c",
    ]  # fmt: skip


def test_errors_that_are_assumed_are_told(place):
    words = "0.2% of a flat's level, 2% of a dark rate and 0.2 ADU over its exposure"
    assert words in place.output("sensor", "camera1").splitlines()[-1]
    assumed = place.json("sensor")[0]["assumed_errors"]
    assert assumed == {"flat_level_ratio": 0.002, "dark_rate_ratio": 0.02, "dark_level_adu": 0.2}


def test_a_camera_that_measured_nothing(tmp_path):
    place = Scanned(tmp_path)
    place.scan()
    assert place.output("sensor", "camera1") == "Nothing is measured yet.\n"
    assert place.json("sensor", "camera1") == []


def test_a_camera_that_is_not_in_the_settings_is_refused(place):
    result = place.run("sensor", "other")
    assert result.exit_code != 0
    assert "no [[camera]] is called 'other'; in the settings: camera1" in result.output


def test_a_rejected_frame_is_no_part_of_the_history(tmp_path):
    place = Scanned(tmp_path)
    place.night()
    place.scan()

    def subjects():
        with api.open_catalogue(place.catalogue_path) as catalogue:
            return {row["subject"] for row in catalogue.figure_history(["flat_level_adu"]) if not row["is_of_master"]}

    with api.open_catalogue(place.catalogue_path) as catalogue:
        frames = api.frames(catalogue, kind="flat")
    assert subjects() == {frame.frame_id for frame in frames}
    place.output("reject", str(frames[0].path), "--reason", "a bird")
    assert subjects() == {frame.frame_id for frame in frames[1:]}
