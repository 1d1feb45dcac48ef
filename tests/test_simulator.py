"""The synthetic camera holds its own truth, repeats itself, and writes what the named programs write."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits

from ingestd.pixels.quality import (
    bias_level_adu,
    dark_rate_adu_per_second,
    dark_rate_mean_adu_per_second,
    gain_electrons_per_adu,
    read_noise_adu,
    read_noise_electrons,
    read_noise_stack_adu,
    sky_level_adu,
)
from ingestd.records import Kind
from ingestd.simulator import PROGRAMS, Camera, Manner, Plan, Sensor, Shot, Sky, night, truth, write, writing
from ingestd.simulator.camera import _add_star

EVENING = date(2025, 3, 1)
START = datetime(2025, 3, 1, 20, 0, 0, tzinfo=UTC)
SMALL = Sensor(shape=(120, 160))
DARK_SKY = Sky(stars=0.0, cosmics_per_s=0.0)


def shot(kind, index=0, exposure_s=10.0, filter_name=None, **more):
    return Shot(kind, index, exposure_s, START, filter_name, **more)


def read(path):
    with fits.open(path, memmap=False) as hdus:
        return hdus[0].data, hdus[0].header


def test_a_shot_gives_the_same_bytes_each_time():
    first, again = (Camera(SMALL).expose(shot(Kind.LIGHT, 3, filter_name="V")) for _ in range(2))
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert (first.cards, first.file_name) == (again.cards, again.file_name)


@pytest.mark.parametrize(
    "other",
    [
        (Camera(SMALL), shot(Kind.BIAS, 1)),
        (Camera(SMALL), shot(Kind.DARK, 0, 0.0)),
        (Camera(SMALL, seed=2), shot(Kind.BIAS, 0)),
        (Camera(replace(SMALL, seed=2)), shot(Kind.BIAS, 0)),
    ],
)
def test_another_index_kind_or_seed_gives_another_frame(other):
    camera, ordered = other
    assert not np.array_equal(camera.pixels(ordered), Camera(SMALL).pixels(shot(Kind.BIAS, 0)))


def test_the_truth_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        SMALL.bias()[0, 0] = 0.0


def test_mean_of_biases_is_the_true_bias():
    camera = Camera(replace(SMALL, bias_drift_adu=0.0))
    frames = [camera.pixels(shot(Kind.BIAS, i, 0.0)) for i in range(50)]
    camera_without_rays = Camera(replace(SMALL, bias_drift_adu=0.0), sky=DARK_SKY)
    clean = [camera_without_rays.pixels(shot(Kind.BIAS, i, 0.0)) for i in range(50)]
    sigma = math.hypot(5.0, 0.289) / math.sqrt(50)
    assert np.abs(np.mean(clean, axis=0) - SMALL.bias()).max() < 5.5 * sigma
    assert np.max(frames) > np.max(clean) + 50  # a cosmic ray is 100 e- or more


def test_dark_current_doubles_with_temperature_and_grows_with_time():
    sensor = replace(SMALL, bias_drift_adu=0.0, hot_fraction=0.0)
    assert sensor.dark(-4.0) / sensor.dark(-10.0) == pytest.approx(2.0)
    assert float(np.median(sensor.dark(-10.0))) == pytest.approx(0.4, rel=5 * 1.2533 * 0.1 / math.sqrt(19200))
    camera = Camera(sensor, sky=DARK_SKY)
    taken = shot(Kind.DARK, 1, 600.0)
    expected = float(sensor.dark(camera.sensor_temp_c(taken)).mean()) * 600 / 1.5
    measured = float((camera.pixels(taken) - sensor.bias()).mean())
    noise = math.sqrt(expected / 1.5 + 25 + 1 / 12)
    assert measured == pytest.approx(expected, abs=5 * noise / math.sqrt(19200))


def test_hot_pixels_are_where_the_truth_says():
    sensor = replace(SMALL, hot_fraction=0.01, hot_e_per_s=1e4)
    camera = Camera(sensor, sky=DARK_SKY)
    signal = camera.pixels(shot(Kind.DARK, 0, 100.0)) - sensor.bias()
    assert 0.005 < sensor.hot().mean() < 0.015
    # Ordinary pixels collect 0.4 e-/s * 100 s / 1.5 = 27 ADU; a pixel of 50 e-/s and more collects 3333 ADU.
    assert signal[~sensor.hot()].max() < 27 * 1.6 + 5 * 8
    assert signal[sensor.dark(-10.0) > 50.0].min() > 3000


def test_flat_is_one_in_the_centre_and_dark_in_the_corners():
    field = Sensor(prnu=0.0, dust_grains=0, vignetting=0.3).flat("V")
    ny, nx = field.shape
    assert np.median(field[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]) == pytest.approx(1.0, abs=1e-6)
    # 1 - 0.3 r^2 in half diagonals; the median of r^2 over the central half of the axes is about 0.077.
    assert field[0, 0] == pytest.approx(0.7 / (1 - 0.3 * 0.077), rel=0.01)


def test_dust_is_another_in_another_filter_and_the_pixels_are_the_same():
    v, r = SMALL.flat("V"), SMALL.flat("R")
    assert np.abs(v - r).max() > 0.02
    quiet = replace(SMALL, dust_grains=0)
    assert np.array_equal(quiet.flat("V"), quiet.flat("R"))


def test_flat_has_the_level_that_was_ordered():
    camera = Camera(replace(SMALL, bias_drift_adu=0.0), sky=DARK_SKY)
    frame = camera.pixels(shot(Kind.FLAT, 0, 7.0, "V", level_adu=22000.0)) - SMALL.bias()
    centre = (frame / SMALL.flat("V"))[30:90, 40:120]
    dark = 0.4 * 7 / 1.5
    assert float(centre.mean()) == pytest.approx(22000.0 + dark, abs=5 * math.sqrt(22000 / 1.5) / math.sqrt(4800))


def test_a_star_has_its_flux_place_and_width():
    image = np.zeros((41, 41), np.float32)
    _add_star(image, 20.3, 18.8, 1000.0, 1.1)
    y, x = np.mgrid[0:41, 0:41]
    assert float(image.sum()) == pytest.approx(1000.0, rel=1e-5)
    assert float((image * y).sum() / image.sum()) == pytest.approx(20.3, abs=1e-4)
    assert float((image * x).sum() / image.sum()) == pytest.approx(18.8, abs=1e-4)
    # A Gaussian integrated over pixels is as wide as the Gaussian and a pixel (variance 1/12) together.
    assert float((image * (x - 18.8) ** 2).sum() / image.sum()) == pytest.approx(1.1**2 + 1 / 12, rel=1e-3)


def test_a_star_at_the_edge_loses_what_falls_outside():
    image = np.zeros((20, 20), np.float32)
    _add_star(image, -0.5, 10.0, 1000.0, 1.1)
    assert float(image.sum()) == pytest.approx(500.0, rel=1e-4)


def test_samples_end_at_the_converter_and_at_the_full_well():
    bright = shot(Kind.FLAT, 0, 7.0, "V", level_adu=100_000.0)
    assert Camera(replace(SMALL, full_well_e=1e6)).pixels(bright).max() == 65535
    limited = Camera(replace(SMALL, full_well_e=30_000.0, dust_grains=0, vignetting=0.0)).pixels(bright)
    assert limited.max() < 1000 + 20_000 + 100


def test_twelve_bits_are_stored_times_sixteen():
    frame = Camera(replace(SMALL, adc_bits=12, is_cmos=True)).pixels(shot(Kind.FLAT, 0, 7.0, "V", level_adu=90_000.0))
    assert not (frame % 16).any()
    assert frame.max() == 65520


def test_overscan_sees_no_light_and_follows_the_drift():
    sensor = replace(SMALL, overscan_px=16, bias_drift_adu=50.0)
    camera = Camera(sensor, sky=DARK_SKY)
    taken = shot(Kind.FLAT, 5, 7.0, "V", level_adu=20_000.0)
    frame = camera.pixels(taken)
    assert frame.shape == (120, 176)
    excess = frame[:, 160:] - sensor.bias()[:, 160:]
    assert float(excess.mean()) == pytest.approx(camera.drift_adu(taken), abs=5 * 5.01 / math.sqrt(1920))
    assert abs(camera.drift_adu(taken)) > 1.0


def test_cosmic_rays_are_known():
    taken = shot(Kind.DARK, 2, 1000.0)
    with_rays = Camera(SMALL, sky=Sky(cosmics_per_s=0.5))
    charge = with_rays.cosmics_e(taken)
    difference = with_rays.pixels(taken).astype(float) - Camera(SMALL, sky=DARK_SKY).pixels(taken)
    assert charge.max() > 100.0
    assert difference == pytest.approx(charge / 1.5, abs=1.01)  # two roundings


def test_thermometer_alternates_between_two_steps_around_the_set_point():
    camera = Camera(SMALL)
    readings = {round(camera.measured_temp_c(shot(Kind.BIAS, i)), 6) for i in range(40)}
    assert len(readings) == 2
    assert max(readings) - min(readings) == pytest.approx(0.414)
    assert all(abs(reading + 10.0) < 0.5 for reading in readings)
    assert all(abs(camera.sensor_temp_c(shot(Kind.BIAS, i)) + 10.0) <= 0.15 for i in range(40))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("kind", [Kind.BIAS, Kind.DARK, Kind.FLAT, Kind.LIGHT])
def test_astropy_reads_what_was_written_without_a_complaint(tmp_path, program, kind):
    camera = Camera(replace(SMALL, overscan_px=8), program=program, instrument="O'Neill CCD")
    ordered = shot(kind, 1, 1.5, "r'" if kind in {Kind.FLAT, Kind.LIGHT} else None, level_adu=20_000.0)
    exposure = camera.expose(ordered)
    path = tmp_path / exposure.file_name
    write(path, exposure)
    with fits.open(path) as hdus:
        hdus.verify("exception")
    data, header = read(path)
    assert data.dtype == np.uint16
    assert np.array_equal(data, exposure.pixels)
    assert header["INSTRUME"] == "O'Neill CCD"
    assert header["DATE-OBS"].startswith("2025-03-01T20:00:00")
    assert header.get("EXPTIME", header.get("EXPOSURE")) == 1.5
    assert header.get("FILTER") == ordered.filter_name
    assert header["BIASSEC"] == "[161:168,1:120]"
    assert path.stat().st_size % 2880 == 0


@pytest.mark.parametrize(
    ("program", "cards"),
    [
        ("MaxIm DL", {"IMAGETYP": "Dark Frame", "EGAIN": 1.5, "SET-TEMP": -10.0}),
        ("N.I.N.A.", {"IMAGETYP": "DARK", "EGAIN": 1.5, "SET-TEMP": -10.0}),
        ("INDI", {"IMAGETYP": "Dark Frame", "FRAME": "Dark", "DARKTIME": 10.0}),
        ("Sequence Generator Pro", {"IMAGETYP": "DARK", "CREATOR": "Sequence Generator Pro v4.1.0.784"}),
        ("CCDSoft", {"OBJECT": "", "SET-TEMP": -10.0}),
        ("pyobs", {"IMAGETYP": "dark", "DET-TSET": -10.0, "DAY-OBS": "2025-03-01"}),
        ("LCO", {"OBSTYPE": "DARK", "CCDSTEMP": -10.0, "GAIN": 1.5, "CCDSUM": "1 1"}),
    ],
)
def test_each_program_has_its_dialect(tmp_path, program, cards):
    exposure = Camera(SMALL, program=program).expose(shot(Kind.DARK))
    write(tmp_path / "dark.fits", exposure)
    _, header = read(tmp_path / "dark.fits")
    assert {keyword: header[keyword] for keyword in cards} == cards


def test_ccdsoft_writes_no_type_but_a_telling_name(tmp_path):
    exposure = Camera(SMALL, program="CCDSoft").expose(shot(Kind.FLAT, filter_name="V", level_adu=2e4))
    write(tmp_path / exposure.file_name, exposure)
    _, header = read(tmp_path / exposure.file_name)
    assert "IMAGETYP" not in header
    assert exposure.file_name == "flat_V_10s_20250301_200000.fit"


def test_a_cmos_driver_tells_its_settings_and_a_silent_one_no_gain(tmp_path):
    camera = Camera(replace(SMALL, is_cmos=True), program="N.I.N.A.", tells_gain=False)
    write(tmp_path / "bias.fits", camera.expose(shot(Kind.BIAS)))
    _, header = read(tmp_path / "bias.fits")
    assert (header["GAIN"], header["OFFSET"]) == (100, 30)
    assert "EGAIN" not in header


def stages(path, exposure, manner):
    """Return the size of the file at its final name after each step, None where it does not exist."""
    return [path.stat().st_size if path.exists() else None for _ in writing(path, exposure, manner, chunk_bytes=16384)]


@pytest.fixture
def exposure():
    return Camera(SMALL, program="N.I.N.A.").expose(shot(Kind.BIAS))


WHOLE = 2880 + 40320  # one header block of 27 cards; 120 x 160 x 2 = 38400 bytes, padded


def test_a_growing_file_grows_at_its_final_name(tmp_path, exposure):
    assert stages(tmp_path / "a.fits", exposure, Manner.GROWING) == [16384, 32768, WHOLE]


def test_an_empty_file_stands_first(tmp_path, exposure):
    assert stages(tmp_path / "a.fits", exposure, Manner.EMPTY_FIRST) == [0, 16384, 32768, WHOLE]


def test_a_renamed_file_appears_whole(tmp_path, exposure):
    assert stages(tmp_path / "a.fits", exposure, Manner.RENAME) == [None, None, None, WHOLE]
    assert [path.name for path in tmp_path.iterdir()] == ["a.fits"]


def test_a_header_may_come_last(tmp_path, exposure):
    path = tmp_path / "a.fits"
    steps = writing(path, exposure, Manner.HEADER_LAST, chunk_bytes=1 << 20)
    next(steps)
    data, header = read(path)
    assert np.array_equal(data, exposure.pixels)
    assert "IMAGETYP" not in header
    assert sum(1 for _ in steps) == 1
    assert read(path)[1]["IMAGETYP"] == "BIAS"


@pytest.mark.parametrize("manner", Manner)
def test_every_manner_ends_in_the_same_bytes(tmp_path, exposure, manner):
    write(tmp_path / "a.fits", exposure, manner)
    write(tmp_path / "b.fits", exposure)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


@pytest.mark.parametrize("longitude", [-155.5, 0.0, 149.1])
def test_every_shot_of_a_night_is_of_that_night(longitude):
    shots = night(Camera(SMALL), EVENING, Plan(longitude_deg=longitude))
    for taken in shots:
        assert (taken.obs_start + timedelta(hours=longitude / 15 - 12)).date() == EVENING
    assert all(a.obs_start + timedelta(seconds=a.exposure_s) < b.obs_start for a, b in pairwise(shots))


def test_a_night_has_the_frames_of_its_plan():
    shots = night(Camera(SMALL), EVENING, Plan())
    count = {kind: sum(1 for taken in shots if taken.kind is kind) for kind in Kind}
    assert count == {
        Kind.BIAS: 9, Kind.DARK: 10, Kind.FLAT: 10, Kind.LIGHT: 12, Kind.OTHER: 0, Kind.UNKNOWN: 0,
    }  # fmt: skip
    assert {taken.exposure_s for taken in shots if taken.kind is Kind.DARK} == {120.0, 60.0}
    assert {taken.filter_name for taken in shots if taken.kind is Kind.LIGHT} == {"V", "R"}
    assert len({(taken.kind, taken.index) for taken in shots}) == len(shots)
    names = {Camera(SMALL).expose(taken).file_name for taken in shots}
    assert len(names) == len(shots)


def test_two_nights_share_no_index():
    tonight, tomorrow = (
        {(taken.kind, taken.index) for taken in night(Camera(SMALL), evening, Plan())}
        for evening in (EVENING, EVENING + timedelta(days=1))
    )
    assert not tonight & tomorrow


def test_estimators_find_the_truth_of_a_night():
    camera, plan = Camera(), Plan()
    taken = [camera.expose(ordered) for ordered in night(camera, EVENING, plan)]

    def members(kind, exposure_s=None, filter_name=None):
        return [
            found.pixels
            for found in taken
            if found.shot.kind is kind
            and (exposure_s is None or found.shot.exposure_s == exposure_s)
            and (filter_name is None or found.shot.filter_name == filter_name)
        ]

    biases, expected = members(Kind.BIAS), truth(camera, plan)
    bias = np.mean(np.sort(biases, axis=0)[:-1], axis=0)  # the largest of each pixel is where cosmic rays are
    drift = 0.15 / math.sqrt(len(biases))
    # Without the largest of nine the mean of a Gaussian is low by 1.485 sigma / 8.
    level = bias_level_adu(bias.astype(np.float32)).value + 1.485 * math.sqrt(25 + 1 / 12) / 8
    assert level == pytest.approx(expected["bias_level_adu"], abs=5 * drift)
    read_noise = read_noise_adu(biases)
    assert read_noise.value == pytest.approx(expected["read_noise_adu"], rel=0.005)
    assert read_noise_stack_adu(biases).value == pytest.approx(expected["read_noise_stack_adu"], rel=0.005)
    for filter_name in plan.filters:
        gain = gain_electrons_per_adu(members(Kind.FLAT, filter_name=filter_name), bias, read_noise)
        # sqrt(2 / n) over two pairs, n = 118 400 pixels in whole boxes: 0.29 %.
        assert gain.value == pytest.approx(expected["gain_electrons_per_adu"], rel=5 * 0.0029)
        assert read_noise_electrons(read_noise, gain).value == pytest.approx(7.5, rel=0.02)
    dark = np.mean(members(Kind.DARK, plan.evening_dark_s), axis=0)
    bias = np.mean(biases, axis=0)
    # The temperature wobbles by 0.15 C, 0.9 % (one sigma) of the dark current of a frame, and the bias by 0.15 ADU.
    rate = dark_rate_adu_per_second(dark, bias, plan.evening_dark_s).value
    assert rate == pytest.approx(expected["dark_rate_adu_per_second"], rel=0.03)
    mean = dark_rate_mean_adu_per_second(dark, bias, plan.evening_dark_s).value
    assert mean == pytest.approx(expected["dark_rate_mean_adu_per_second"], rel=0.05)
    first = next(found for found in taken if found.shot.kind is Kind.LIGHT)
    reduced = (first.pixels - bias - (dark - bias) * (60 / 120)) / camera.sensor.flat("V")
    assert sky_level_adu(reduced).value == pytest.approx(expected["sky_level_adu"], abs=0.01 * 64 + 3 * 0.15)


# --- what a sensor may lack -------------------------------------------------------------------------------------------


def test_a_nonlinear_amplifier_reads_what_its_polynomial_undoes():
    c1, c2 = 2e-6, -3e-11
    sensor = replace(SMALL, nonlinearity=(c1, c2))
    signal = np.linspace(0, 50_000, 100, dtype=np.float32)
    read_adu = sensor.read(signal).astype(float)
    assert read_adu[-1] < 0.98 * signal[-1]
    restored = read_adu * (1 + c1 * read_adu + c2 * read_adu**2)
    np.testing.assert_allclose(restored, signal, atol=0.02)  # a few steps of float32 at 50 000: 0.004


def test_an_even_sky_lights_a_twilight_flat_and_the_lamp_any_other():
    camera = Camera(SMALL, lamp=(0.1, -0.05), sky=DARK_SKY)
    dome, sky = (
        camera.light_e(shot(Kind.FLAT, filter_name="V", level_adu=1000.0, label=label))
        for label in ("domeflat", "skyflat")
    )
    ratio = dome / sky
    assert ratio[0, 0] == pytest.approx(0.95, rel=1e-5)
    assert ratio[-1, -1] == pytest.approx(1.05, rel=1e-5)
    assert ratio[0, -1] == pytest.approx(1.15, rel=1e-5)


def test_twilight_flats_have_stars_in_fields_of_their_own():
    camera = Camera(SMALL, sky=Sky(stars=100.0))
    fields = [camera.stars_e_per_s(shot(Kind.FLAT, index, label="skyflat")) for index in (0, 1)]
    assert all(field.max() > 1 for field in fields)
    assert not np.array_equal(*fields)


def test_noisy_and_low_pixels_are_the_ones_that_the_sensor_names():
    sensor = replace(SMALL, noisy_fraction=0.02, low_fraction=0.02)
    biases = np.array([Camera(sensor, sky=DARK_SKY).pixels(shot(Kind.BIAS, i, 0.0)) for i in range(20)], float)
    scatter = biases.std(axis=0, ddof=1) / sensor.read_noise_adu
    # 19 degrees of freedom: chi-square below 2 (scatter 20 x 0.32) or above 120 (2.5) once in 10 million
    assert scatter[sensor.noisy()].min() > 20 * 0.32 / 2
    assert scatter[~sensor.noisy()].max() < 2.5 + 0.5
    flat = sensor.flat("V")
    assert flat[sensor.low()].max() < 0.5 * flat.max()
    assert flat[~sensor.low()].min() > 0.5
