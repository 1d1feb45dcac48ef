"""Raw rows to calibrated rows: every step by its formula, the whole against ccdproc and against a known truth."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import ccdproc
import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData, StdDevUncertainty

from ingestd.pixels.combine import combine
from ingestd.pixels.steps import (
    STEPS,
    CalibratedReader,
    PlaneCalibration,
    flat_level,
    normalise_flat,
    reduce_plane,
)
from ingestd.records import MaskBit, Section
from tests.pixels.array_reader import ArrayReader

SHAPE = (30, 40)


def reduce(raw, calibration, offset=0, **options):
    """Return signal, uncertainty (None without one), mask and counts of a whole plane."""
    blocks = []

    def write_block(first_row, signal, uncertainty, mask):
        blocks.append((first_row, signal.copy(), None if uncertainty is None else uncertainty.copy(), mask.copy()))

    counts = reduce_plane(ArrayReader(np.asarray(raw), offset), calibration, write_block, **options)
    rows = [first_row for first_row, *_ in blocks]
    assert rows == sorted(rows)
    signal, uncertainty, mask = zip(*(block[1:] for block in blocks), strict=True)
    joined = None if uncertainty[0] is None else np.concatenate(uncertainty)
    return np.concatenate(signal), joined, np.concatenate(mask), counts


def pixel(calibration, raw=1500.0):
    """Return signal and uncertainty of a plane of one pixel."""
    signal, uncertainty, _, _ = reduce(np.array([[raw]], np.float32), calibration)
    return signal[0, 0], None if uncertainty is None else uncertainty[0, 0]


def one(value):
    return np.array([[value]], np.float32)


def masters(seed=3, shape=SHAPE):
    """Return everything that calibrates a plane, with structure in each."""
    rng = np.random.default_rng(seed)

    def plane(mean, scatter):
        return rng.normal(mean, scatter, shape).astype(np.float32)

    return {
        "bias": plane(1000, 5),
        "bias_error": plane(1, 0.1),
        "dark": plane(1060, 5),
        "dark_error": plane(1.5, 0.1),
        "flat": plane(1, 0.02),
        "flat_error": plane(0.003, 0.0003),
    }


def raw_frame(seed=4, shape=SHAPE):
    return np.random.default_rng(seed).integers(2000, 30000, shape).astype(np.uint16)


# --- the table --------------------------------------------------------------------------------------------------------


def applied(calibration):
    return [step.name for step in STEPS if step.applies(calibration)]


def test_steps_come_in_the_order_of_the_field():
    names = ["overscan", "trim", "nonlinearity", "uncertainty", "bias", "dark", "flat", "gain", "mask"]
    assert [step.name for step in STEPS] == names


def test_an_exact_dark_makes_the_bias_unnecessary():
    bias, dark = one(1000), one(1060)
    assert "bias" in applied(PlaneCalibration(bias=bias))
    assert "bias" not in applied(PlaneCalibration(bias=bias, dark=dark))
    assert "bias" in applied(PlaneCalibration(bias=bias, dark=dark, dark_ratio=0.5))


# --- by hand: one pixel of raw value 1500 -----------------------------------------------------------------------------


def test_bias_is_subtracted():
    assert pixel(PlaneCalibration(bias=one(1000))) == (500, None)


def test_exact_dark_is_subtracted_with_its_bias():
    assert pixel(PlaneCalibration(bias=one(1000), dark=one(1060)))[0] == 440


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, 470), (2, 380), (0, 500)])
def test_scaled_dark_scales_the_dark_current_only(ratio, expected):
    # S - B - r (D - B) = 1500 - 1000 - r 60
    assert pixel(PlaneCalibration(bias=one(1000), dark=one(1060), dark_ratio=ratio))[0] == expected


def test_flat_divides_and_gain_multiplies():
    calibration = PlaneCalibration(bias=one(1000), flat=one(0.8), gain_e_per_adu=2)
    assert pixel(calibration) == (pytest.approx(500 / 0.8 * 2, rel=1e-6), None)


def test_noise_of_the_raw_signal_is_poisson_and_read_noise():
    calibration = PlaneCalibration(bias=one(1000), gain_e_per_adu=2, read_noise_e=10)
    # 500 ADU are 1000 e-: sqrt(1000 + 100)
    assert pixel(calibration)[1] == pytest.approx(np.sqrt(1100), rel=1e-6)


def test_dark_current_is_subtracted_but_not_its_noise():
    calibration = PlaneCalibration(bias=one(1000), dark=one(1060), gain_e_per_adu=2, read_noise_e=10)
    assert pixel(calibration) == (880, pytest.approx(np.sqrt(1100), rel=1e-6))


def test_a_signal_below_the_bias_has_read_noise_only():
    calibration = PlaneCalibration(bias=one(1600), gain_e_per_adu=2, read_noise_e=10)
    assert pixel(calibration) == (-200, pytest.approx(10, rel=1e-6))


def test_without_a_bias_level_the_dark_stands_in_for_it():
    calibration = PlaneCalibration(dark=one(1060), gain_e_per_adu=1, read_noise_e=0)
    assert pixel(calibration)[1] == pytest.approx(np.sqrt(440), rel=1e-6)


def test_error_of_the_bias_is_added():
    calibration = PlaneCalibration(bias=one(1000), bias_error=one(3), gain_e_per_adu=2, read_noise_e=10)
    # 3 ADU are 6 e-
    assert pixel(calibration)[1] == pytest.approx(np.sqrt(1100 + 36), rel=1e-6)


@pytest.mark.parametrize("ratio", [0.25, 1, 2])
def test_bias_in_a_scaled_dark_is_correlated_with_the_bias(ratio):
    calibration = PlaneCalibration(
        bias=one(1000),
        bias_error=one(3),
        dark=one(1060),
        dark_error=one(4),
        dark_ratio=ratio,
        gain_e_per_adu=1,
        read_noise_e=10,
    )
    # S - (1 - r) B - r D
    expected = np.sqrt(500 + 100 + (1 - ratio) ** 2 * 9 + ratio**2 * 16)
    assert pixel(calibration)[1] == pytest.approx(expected, rel=1e-6)


def test_error_of_the_flat_grows_with_the_signal():
    calibration = PlaneCalibration(
        bias=one(1000), flat=one(0.8), flat_error=one(0.01), gain_e_per_adu=2, read_noise_e=10
    )
    # 1000 e- before the flat, 1250 e- after; relative error of the flat 0.0125
    assert pixel(calibration)[1] == pytest.approx(np.sqrt(1100 / 0.8**2 + (1250 * 0.0125) ** 2), rel=1e-6)


def test_unknown_error_of_a_master_stays_unknown():
    calibration = PlaneCalibration(bias=one(1000), bias_error=one(np.nan), gain_e_per_adu=2, read_noise_e=10)
    signal, uncertainty = pixel(calibration)
    assert signal == 1000
    assert np.isnan(uncertainty)


@pytest.mark.parametrize("known", [{}, {"gain_e_per_adu": 2.0}, {"read_noise_e": 5.0}])
def test_without_gain_or_read_noise_there_is_no_uncertainty(known):
    assert pixel(PlaneCalibration(bias=one(1000), bias_error=one(1), **known))[1] is None


# --- mask -------------------------------------------------------------------------------------------------------------


def test_mask_unites_masters_saturation_and_missing_data():
    raw = np.array([[100, 60000, 60001, np.nan]], np.float32)
    bias = np.array([[10, 10, 10, 10]], np.float32)
    first = np.array([[MaskBit.HOT, 0, 0, MaskBit.BAD]], np.uint8)
    second = np.array([[MaskBit.BAD, 0, MaskBit.HOT, 0]], np.uint8)
    calibration = PlaneCalibration(bias=bias, masks=(first, second), saturation_adu=60000)
    signal, _, mask, counts = reduce(raw, calibration)
    assert mask.tolist() == [
        [
            MaskBit.HOT | MaskBit.BAD,
            MaskBit.SATURATED,
            MaskBit.SATURATED | MaskBit.HOT,
            MaskBit.BAD | MaskBit.NO_DATA,
        ]
    ]
    assert np.isnan(signal[0, 3])
    assert (counts.pixels, counts.saturated, counts.no_data, counts.masked) == (4, 2, 1, 4)


def test_saturation_is_judged_on_the_raw_value():
    # Overscan 100, flat 0.5: the calibrated values are far from the raw ones.
    raw = np.array([[100, 100, 999, 1000]], np.uint16)
    calibration = PlaneCalibration(
        overscan=Section(0, 1, 0, 2),
        trim=Section(0, 1, 2, 4),
        flat=np.full((1, 2), 0.5, np.float32),
        saturation_adu=1000,
    )
    signal, _, mask, _ = reduce(raw, calibration)
    assert signal.tolist() == [[1798, 1800]]
    assert mask.tolist() == [[0, MaskBit.SATURATED]]


def test_infinite_signal_is_no_data():
    calibration = PlaneCalibration(flat=np.array([[0, 1]], np.float32))
    signal, _, mask, _ = reduce(np.array([[5, 5]], np.float32), calibration)
    assert np.isnan(signal[0, 0])
    assert mask.tolist() == [[MaskBit.NO_DATA, 0]]


# --- overscan ---------------------------------------------------------------------------------------------------------


def test_overscan_level_is_the_median_of_each_row():
    raw = np.array([[9, 9, 1, 2, 9], [9, 9, 4, 6, 5]], np.float32)
    calibration = PlaneCalibration(overscan=Section(0, 2, 2, 5), trim=Section(0, 2, 0, 2))
    assert reduce(raw, calibration)[0].tolist() == [[7, 7], [4, 4]]


def test_columns_next_to_the_image_are_skipped():
    raw = np.array([[10, 10, 7, 2, 2, 3]], np.float32)
    right = PlaneCalibration(overscan=Section(0, 1, 2, 6), trim=Section(0, 1, 0, 2), overscan_skip_px=1)
    assert reduce(raw, right)[0].tolist() == [[8, 8]]
    left = PlaneCalibration(overscan=Section(0, 1, 0, 4), trim=Section(0, 1, 4, 6), overscan_skip_px=1)
    assert reduce(raw[:, ::-1], left)[0].tolist() == [[8, 8]]


def test_at_most_half_of_a_narrow_overscan_is_skipped():
    raw = np.array([[10, 7, 2]], np.float32)
    calibration = PlaneCalibration(overscan=Section(0, 1, 1, 3), trim=Section(0, 1, 0, 1), overscan_skip_px=5)
    assert reduce(raw, calibration)[0].tolist() == [[8]]


@pytest.mark.parametrize("section", [Section(0, 2, 2, 4), Section(2, 3, 2, 4), Section(0, 2, 3, 4)])
def test_an_overscan_that_does_not_span_the_rows_has_one_level(section):
    raw = np.array([[9, 9, 1, 1], [9, 9, 1, 1], [9, 9, 1, 1]], np.float32)
    calibration = PlaneCalibration(overscan=section, trim=Section(0, 3, 0, 2))
    assert reduce(raw, calibration)[0].tolist() == [[8, 8], [8, 8], [8, 8]]
    # A drift of the rows is not followed.
    raw[:2, 2:] = [[0], [2]]
    raw[2, 2:] = 1
    assert reduce(raw, calibration)[0].tolist() == [[8, 8], [8, 8], [8, 8]]


def test_an_overscan_above_the_image_has_one_level_without_its_first_row():
    raw = np.array([[9, 8], [9, 8], [7, 7], [2, 3], [3, 2]], np.float32)
    calibration = PlaneCalibration(overscan=Section(2, 5, 0, 2), trim=Section(0, 2, 0, 2), overscan_skip_px=1)
    assert reduce(raw, calibration)[0].tolist() == [[6.5, 5.5], [6.5, 5.5]]


def test_missing_overscan_samples_are_left_out():
    raw = np.array([[9, np.nan, 3, 1], [9, np.nan, np.nan, np.nan]], np.float32)
    calibration = PlaneCalibration(overscan=Section(0, 2, 1, 4), trim=Section(0, 2, 0, 1))
    signal, _, mask, _ = reduce(raw, calibration)
    assert signal[0, 0] == 7
    assert np.isnan(signal[1, 0])
    assert mask.tolist() == [[0], [MaskBit.NO_DATA]]


# --- blocks -----------------------------------------------------------------------------------------------------------


def overscanned(seed=6):
    """Return a raw frame with overscan on the right and what calibrates it."""
    raw = np.hstack([raw_frame(seed), np.random.default_rng(seed).integers(990, 1010, (SHAPE[0], 8)).astype(np.uint16)])
    calibration = PlaneCalibration(
        overscan=Section(0, 30, 40, 48),
        overscan_skip_px=2,
        trim=Section(0, 30, 0, 40),
        **masters() | {"bias": np.zeros(SHAPE, np.float32)},
        dark_ratio=0.3,
        gain_e_per_adu=1.5,
        read_noise_e=6,
        saturation_adu=29000,
    )
    return raw, calibration


@pytest.mark.parametrize("block_px", [1, 100, 333, 10**6])
def test_any_block_size_gives_the_same_bits(block_px):
    raw, calibration = overscanned()
    whole, parts = reduce(raw, calibration), reduce(raw, calibration, block_px=block_px)
    assert all(one.tobytes() == other.tobytes() for one, other in zip(whole[:3], parts[:3], strict=True))
    assert whole[3] == parts[3]


def test_calibrated_rows_are_those_of_the_reduction():
    raw, calibration = overscanned()
    reader = CalibratedReader(ArrayReader(raw), calibration)
    assert (reader.shape, reader.is_integer, reader.dtype) == (SHAPE, False, np.float32)
    out = np.empty((7, 40), np.float32)
    reader.read(11, out)
    unflattened = replace(calibration, flat=None, gain_e_per_adu=None)
    assert np.array_equal(out, reduce(raw, unflattened)[0][11:18])
    with pytest.raises(TypeError, match="no raw samples"):
        reader.read_raw(0, out)


def test_masters_can_be_combined_from_calibrated_readers():
    # Two frames with levels 100 and 120, known from their overscan, hold the same image.
    frames = [np.array([[level + 5, level + 7, level]], np.uint16) for level in (100, 120)]
    calibration = PlaneCalibration(overscan=Section(0, 1, 2, 3), trim=Section(0, 1, 0, 2))
    result = combine([CalibratedReader(ArrayReader(frame), calibration) for frame in frames], sigma=5)
    assert result.mean.tolist() == [[5, 7]]
    assert result.error.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overscan": Section(0, 31, 0, 2)}, "overscan section"),
        ({"trim": Section(0, 30, 5, 5)}, "trim section"),
        ({"bias": np.zeros((30, 41), np.float32)}, "bias has shape"),
        ({"masks": (np.zeros((1, 1), np.uint8),)}, "mask 0 has shape"),
        ({"dark": np.zeros(SHAPE, np.float32), "dark_ratio": 0.5}, "cannot be scaled"),
        ({"dark": np.zeros(SHAPE, np.float32), "dark_ratio": np.nan}, "dark_ratio = nan"),
        ({"gain_e_per_adu": 0.0}, "gain_e_per_adu = 0"),
        ({"read_noise_e": np.inf}, "read_noise_e = inf"),
    ],
)
def test_what_does_not_fit_together_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        reduce(raw_frame(), PlaneCalibration(**options))


# --- flats ------------------------------------------------------------------------------------------------------------


def test_level_of_a_flat_is_the_median_of_its_central_half():
    frame = np.zeros((8, 8), np.float32)
    frame[2:6, 2:6] = np.arange(16).reshape(4, 4)
    frame[2, 2] = np.nan
    # 1 to 15 remain
    assert flat_level(ArrayReader(frame)) == 8


def test_level_of_a_large_flat_is_sampled_over_all_colours_of_a_mosaic():
    frame = np.tile(np.array([[1, 2], [2, 3]], np.float32), (1024, 1024))
    # The centre has 1024 x 1024 pixels, every third row and column is sampled: an even step would see one colour only.
    assert flat_level(ArrayReader(frame)) == 2


def test_level_without_data_is_unknown():
    assert np.isnan(flat_level(ArrayReader(np.full((4, 4), np.nan, np.float32))))


def test_flat_is_normalised_and_dead_pixels_are_masked():
    mean = np.full((8, 8), 200, np.float32)
    mean[0, :5] = [100, 10, 0, -5, np.nan]
    result = normalise_flat(mean, np.full((8, 8), 4, np.float32), floor=0.05)
    assert result.level == 200
    assert result.flat[0, :6].tolist() == [0.5, 1, 1, 1, 1, 1]
    assert result.mask[0, :6].tolist() == [0, 1, 1, 1, 1, 0]
    assert result.error[0, :6].tolist() == [np.float32(0.02), 0, 0, 0, 0, np.float32(0.02)]


@pytest.mark.parametrize("level", [0, -1, np.nan])
def test_a_flat_without_light_is_refused(level):
    with pytest.raises(ValueError, match="level of the flat"):
        normalise_flat(np.full((4, 4), level, np.float32), np.zeros((4, 4), np.float32), floor=0.05)


# --- against ccdproc --------------------------------------------------------------------------------------------------


def as_ccd(signal, error, unit=u.electron, exposure_s=None):
    ccd = CCDData(signal.astype(np.float64), unit=unit, uncertainty=StdDevUncertainty(error.astype(np.float64)))
    ccd.meta["EXPTIME"] = exposure_s
    return ccd


def ccd_process(raw, gain, read_noise_e, **options):
    frame = CCDData(raw.astype(np.float64), unit="adu", meta={"EXPTIME": 60.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ccdproc.ccd_process(
            frame, error=True, gain=gain * u.electron / u.adu, readnoise=read_noise_e * u.electron, **options
        )


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.7])
def test_overscan_trim_exact_dark_flat_and_noise_equal_ccdproc(gain):
    raw, calibration = overscanned()
    known = masters()
    dark = known["dark"] - np.float32(1000)
    ours = replace(
        calibration, bias=None, bias_error=None, dark=dark, dark_ratio=1.0, gain_e_per_adu=gain, overscan_skip_px=0
    )
    signal, uncertainty, _, _ = reduce(raw, ours)
    reference = ccd_process(
        raw,
        gain,
        6 * math.sqrt(1 + math.pi / (2 * (8 - 1) + math.pi)),  # ccdproc leaves out the noise of a median of 8 columns
        oscan="[41:48, 1:30]",
        trim="[1:40, 1:30]",
        dark_frame=as_ccd(dark * np.float64(gain), known["dark_error"] * np.float64(gain), exposure_s=60.0),
        exposure_key="EXPTIME",
        exposure_unit=u.s,
        # ccdproc divides the flat by its mean: given ready-made by a flat of mean 1.
        master_flat=as_ccd(known["flat"] / known["flat"].mean(dtype=float), known["flat_error"] / known["flat"].mean()),
    )
    mean = known["flat"].mean(dtype=float)
    np.testing.assert_allclose(signal * mean, reference.data, rtol=1e-6)
    np.testing.assert_allclose(uncertainty * mean, reference.uncertainty.array, rtol=1e-6)


def test_scaled_dark_signal_equals_ccdproc():
    raw, known = raw_frame(), masters()
    calibration = PlaneCalibration(
        bias=known["bias"], dark=known["dark"], dark_ratio=0.2, gain_e_per_adu=1.5, read_noise_e=5
    )
    bias = known["bias"].astype(float) * 1.5
    reference = ccd_process(
        raw,
        1.5,
        5,
        master_bias=as_ccd(bias, known["bias_error"]),
        dark_frame=as_ccd(known["dark"] * 1.5 - bias, known["dark_error"], exposure_s=300.0),
        exposure_key="EXPTIME",
        exposure_unit=u.s,
        dark_scale=True,
    )
    np.testing.assert_allclose(reduce(raw, calibration)[0], reference.data, rtol=1e-6)


# --- against the truth ------------------------------------------------------------------------------------------------


class Sensor:
    """A sensor of known truth, 512 x 512: gain 1.3 e-/ADU, read noise 6 e-, structure in bias, dark and response."""

    gain_e_per_adu = 1.3
    read_noise_e = 6.0
    shape = (512, 512)

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.bias_adu = 1000 + self.rng.normal(0, 3, self.shape)
        self.dark_e_s = self.rng.exponential(0.5, self.shape)
        self.response = self.rng.normal(1, 0.02, self.shape)
        self.response /= np.median(self.response[128:384, 128:384])

    def expose(self, exposure_s, light_e=0.0):
        charge = self.rng.poisson(self.dark_e_s * exposure_s + self.response * light_e)
        level = self.bias_adu + (charge + self.rng.normal(0, self.read_noise_e, self.shape)) / self.gain_e_per_adu
        return ArrayReader((np.rint(level) - 32768).astype(np.int16), 32768)

    def masters(self, dark_exposure_s, ratio):
        bias = combine([self.expose(0) for _ in range(20)], sigma=5)
        dark = combine([self.expose(dark_exposure_s) for _ in range(20)], sigma=5)
        pedestal = PlaneCalibration(bias=bias.mean, dark=dark.mean, dark_ratio=1 / dark_exposure_s)
        lamp = [CalibratedReader(self.expose(1, 25000), pedestal) for _ in range(20)]
        lit = combine(lamp, sigma=5, scales=[1 / flat_level(reader) for reader in lamp])
        flat = normalise_flat(lit.mean, lit.error, floor=0.05)
        # The sensor's samples are rounded to whole ADU: 1/12 ADU**2 on top of the read noise, as any measurement has.
        read_noise_e = np.hypot(self.read_noise_e, self.gain_e_per_adu / np.sqrt(12))
        return PlaneCalibration(
            bias=bias.mean,
            bias_error=bias.error,
            dark=dark.mean,
            dark_error=dark.error,
            dark_ratio=ratio,
            flat=flat.flat,
            flat_error=flat.error,
            masks=(bias.mask, dark.mask, flat.mask),
            gain_e_per_adu=self.gain_e_per_adu,
            read_noise_e=float(read_noise_e),
        )


def pulls(sensor, calibration, exposure_s, light_e):
    frame = sensor.expose(exposure_s, light_e)
    signal, uncertainty, mask, _ = reduce(frame.array, calibration, frame.offset)
    return ((signal - light_e) / uncertainty)[mask == 0]


@pytest.mark.parametrize(("dark_exposure_s", "ratio"), [(100, 1.0), (300, 1 / 3), (50, 2.0)])
def test_pulls_against_the_truth_are_standard_normal(dark_exposure_s, ratio):
    sensor = Sensor(seed=11)
    calibration = sensor.masters(dark_exposure_s, ratio)
    found = pulls(sensor, calibration, 100, 5000)
    # 262144 pixels: 0.002 of statistical error in the mean, 0.0014 in the standard deviation.
    assert abs(found.mean()) < 0.02
    assert abs(found.std() - 1) < 0.02


def test_mean_of_the_pulls_at_low_signal_is_the_known_bias():
    sensor = Sensor(seed=12)
    sensor.dark_e_s = np.zeros(sensor.shape)
    sensor.response = np.ones(sensor.shape)
    calibration = PlaneCalibration(
        bias=sensor.bias_adu.astype(np.float32), gain_e_per_adu=1.3, read_noise_e=float(np.hypot(6, 1.3 / np.sqrt(12)))
    )
    found = pulls(sensor, calibration, 1, 300)
    variance = 300 + 36 + 1.3**2 / 12
    # 262144 pixels: 0.002 of statistical error; the next orders of the expansion are of 1 / V**1.5.
    assert found.mean() == pytest.approx(-1 / (2 * np.sqrt(variance)), abs=0.01)


def test_result_does_not_depend_on_the_threads_that_share_a_plane():
    rng = np.random.default_rng(8)
    raw = rng.integers(900, 3000, (50, 70)).astype(np.uint16)
    calibration = PlaneCalibration(
        overscan=Section(0, 50, 60, 70),
        trim=Section(2, 48, 0, 60),
        bias=rng.normal(10, 1, (46, 60)).astype(np.float32),
        gain_e_per_adu=1.5,
        read_noise_e=5.0,
        saturation_adu=2900.0,
    )

    def reduced(parts, each):
        planes = np.empty((2, 46, 60), np.float32), np.empty((46, 60), np.uint8)

        def keep(first_row, signal, uncertainty, mask):
            rows = np.s_[first_row : first_row + len(signal)]
            planes[0][0, rows], planes[0][1, rows], planes[1][rows] = signal, uncertainty, mask

        return reduce_plane(ArrayReader(raw), calibration, keep, parts=parts, each=each, block_px=210), planes

    counts, (values, mask) = reduced(1, map)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            shared, (theirs, bits) = reduced(4, pool.map)
            assert shared == counts
            np.testing.assert_array_equal(theirs, values)
            np.testing.assert_array_equal(bits, mask)


def test_error_in_one_of_several_threads_is_raised():
    def refuse(first_row, *_):
        if first_row >= 20:
            raise OSError("no room")

    raw = np.full((50, 70), 1000, np.uint16)
    with ThreadPoolExecutor(2) as pool, pytest.raises(OSError, match="no room"):
        reduce_plane(ArrayReader(raw), PlaneCalibration(), refuse, parts=2, each=pool.map, block_px=210)
