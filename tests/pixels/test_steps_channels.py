"""Several amplifiers in one plane: each as if it were a plane of its own, put together in one pass."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

import ccdproc
import numpy as np
import pytest
from astropy import units as u
from astropy.modeling.models import Polynomial1D
from astropy.nddata import CCDData, StdDevUncertainty

from ingestd.pixels.steps import Amplifier, CalibratedReader, PlaneCalibration, reduce_plane
from ingestd.records import Section
from tests.pixels.array_reader import ArrayReader

GAINS, NOISES = (1.2, 1.9, 0.7, 2.4), (6.0, 8.5, 4.0, 11.0)


def reduce(raw, calibration, **options):
    """Return signal, uncertainty and mask of a whole plane."""
    blocks = []

    def write_block(first_row, signal, uncertainty, mask):
        blocks.append((first_row, signal.copy(), None if uncertainty is None else uncertainty.copy(), mask.copy()))

    reduce_plane(ArrayReader(raw), calibration, write_block, **options)
    rows = [first_row for first_row, *_ in blocks]
    assert rows == sorted(rows)
    signal, uncertainty, mask = zip(*(block[1:] for block in blocks), strict=True)
    return np.concatenate(signal), None if uncertainty[0] is None else np.concatenate(uncertainty), np.concatenate(mask)


# Four amplifiers of 30 x 40, their overscans of 12 columns in the middle of the raw image, two rows between the halves
ROWS, COLUMNS = ((0, 30), (32, 62)), ((0, 40), (64, 104))
OVERSCANS = ((40, 52), (52, 64))
RAW_SHAPE = (62, 104)


def quadrants(**changes):
    found = []
    for number, (row, column) in enumerate(itertools.product(range(2), range(2))):
        (y0, y1), (x0, x1), (o0, o1) = ROWS[row], COLUMNS[column], OVERSCANS[column]
        found.append(
            Amplifier(
                section=Section(y0, y1, x0, x1),
                place=Section(30 * row, 30 * row + 30, 40 * column, 40 * column + 40),
                overscan=Section(y0, y1, o0, o1),
                gain_e_per_adu=GAINS[number],
                read_noise_e=NOISES[number],
            )
        )
    return tuple(replace(amplifier, **changes) for amplifier in found)


def raw_frame(seed=4):
    rng = np.random.default_rng(seed)
    raw = rng.integers(2000, 30000, RAW_SHAPE).astype(np.uint16)
    for (y0, y1), (o0, o1), level in zip(ROWS * 2, sorted(OVERSCANS * 2), (900, 1000, 1100, 1200), strict=True):
        raw[y0:y1, o0:o1] = rng.normal(level, 5, (y1 - y0, o1 - o0)).astype(np.uint16)
    return raw


def masters(seed=3):
    rng = np.random.default_rng(seed)

    def plane(mean, scatter):
        return rng.normal(mean, scatter, (60, 80)).astype(np.float32)

    return {
        "bias": plane(10, 2),
        "bias_error": plane(1, 0.1),
        "dark": plane(60, 5),
        "dark_error": plane(1.5, 0.1),
        "flat": plane(1, 0.02),
        "flat_error": plane(0.003, 0.0003),
        "masks": ((rng.random((60, 80)) < 0.01).astype(np.uint8),),
    }


def parts(calibration, amplifier):
    """Return the calibration of one amplifier alone."""
    place = amplifier.place
    rows, columns = slice(place.y0, place.y1), slice(place.x0, place.x1)
    cut = {
        name: getattr(calibration, name)[rows, columns]
        for name in ("bias", "bias_error", "dark", "dark_error", "flat", "flat_error")
        if getattr(calibration, name) is not None
    }
    return replace(
        calibration,
        **cut,
        masks=tuple(mask[rows, columns] for mask in calibration.masks),
        amplifiers=(),
        overscan=amplifier.overscan,
        trim=amplifier.section,
        gain_e_per_adu=amplifier.gain_e_per_adu,
        read_noise_e=amplifier.read_noise_e,
    )


@pytest.mark.parametrize("ratio", [1.0, 0.4])
@pytest.mark.parametrize("degree", [None, 2])
@pytest.mark.parametrize("block_px", [1 << 18, 7 * 104])
def test_each_amplifier_is_as_if_it_were_a_plane_of_its_own(ratio, degree, block_px):
    raw = raw_frame()
    calibration = PlaneCalibration(
        **masters(), amplifiers=quadrants(), dark_ratio=ratio, saturation_adu=29_000, overscan_skip_px=2,
        overscan_degree=degree,
    )  # fmt: skip
    signal, uncertainty, mask = reduce(raw, calibration, block_px=block_px)
    for amplifier in calibration.amplifiers:
        place = amplifier.place
        where = np.s_[place.y0 : place.y1, place.x0 : place.x1]
        alone = reduce(raw, parts(calibration, amplifier))
        assert np.array_equal(signal[where], alone[0])
        assert np.array_equal(uncertainty[where], alone[1])
        assert np.array_equal(mask[where], alone[2])


def test_amplifiers_are_as_ccdproc_reduces_each_alone():
    raw, calibration = raw_frame(), PlaneCalibration(**masters(), amplifiers=quadrants(), overscan_skip_px=0)
    calibration = replace(calibration, dark=None, dark_error=None, masks=())
    signal, uncertainty, _ = reduce(raw, calibration)
    for number, amplifier in enumerate(calibration.amplifiers):
        section, over, place = amplifier.section, amplifier.overscan, amplifier.place
        where = np.s_[place.y0 : place.y1, place.x0 : place.x1]
        with warnings.catch_warnings(action="ignore"):
            whole = CCDData(raw[section.y0 : section.y1].astype(float), unit="adu")
            ccd = ccdproc.subtract_overscan(whole, overscan=whole[:, over.x0 : over.x1], median=True, model=None)
            ccd = ccd[:, section.x0 : section.x1]
            # the noise of the light above the bias, of reading and of the overscan's median: max(S - B, 0) / g + ...
            light = np.maximum(ccd.data - calibration.bias[where], 0)
            read = (NOISES[number] / GAINS[number]) ** 2 * (1 + np.pi / (2 * (over.x1 - over.x0 - 1) + np.pi))
            ccd.uncertainty = StdDevUncertainty(np.sqrt(light / GAINS[number] + read))
            bias = CCDData(calibration.bias[where].astype(float), unit="adu")
            bias.uncertainty = StdDevUncertainty(calibration.bias_error[where].astype(float))
            flat = CCDData(calibration.flat[where].astype(float), unit="")
            flat.uncertainty = StdDevUncertainty(calibration.flat_error[where].astype(float))
            ccd = ccdproc.subtract_bias(ccd, bias)
            ccd = ccdproc.flat_correct(ccd, flat, norm_value=1.0)
            ccd = ccdproc.gain_correct(ccd, GAINS[number] * u.electron / u.adu)
        assert np.allclose(signal[where], ccd.data, rtol=1e-6, atol=2e-3)  # float32 of 30 000 e-: 0.002
        assert np.allclose(uncertainty[where], ccd.uncertainty.array, rtol=1e-5)


@pytest.mark.parametrize("degree", [0, 1, 3, 5])
def test_polynomial_overscan_is_that_of_ccdproc(degree):
    rng = np.random.default_rng(7)
    rows = np.arange(200)
    level = 1000 + 8 * np.sin(rows / 60) + 0.01 * rows
    raw = (level[:, None] + rng.normal(0, 5, (200, 60))).round().astype(np.uint16)
    calibration = PlaneCalibration(
        overscan=Section(0, 200, 40, 60), trim=Section(0, 200, 0, 40), overscan_degree=degree, overscan_skip_px=0
    )
    signal, _, _ = reduce(raw, calibration, block_px=60 * 32)
    with warnings.catch_warnings(action="ignore"):
        whole = CCDData(raw.astype(float), unit="adu")
        model = Polynomial1D(degree, domain=(0, 199), window=(-1, 1))
        expected = ccdproc.subtract_overscan(whole, overscan=whole[:, 40:60], median=True, model=model)
    assert np.allclose(signal, expected.data[:, :40], rtol=0, atol=2e-4)  # float32 near 1000: 6e-5


def test_polynomial_beats_the_medians_of_rows_where_the_level_is_smooth():
    rng = np.random.default_rng(8)
    truth = 1000 + 5 * np.linspace(-1, 1, 400) ** 2
    raw = (truth[:, None] + rng.normal(0, 6, (400, 50))).astype(np.float32)
    residuals = {}
    for degree in (None, 2):
        calibration = PlaneCalibration(
            overscan=Section(0, 400, 30, 50), trim=Section(0, 400, 0, 30), overscan_degree=degree
        )
        reader = CalibratedReader(ArrayReader(raw), calibration)
        rows = np.empty(reader.shape, np.float32)
        reader.read(0, rows)
        residuals[degree] = (raw[:, :30] - rows - truth[:, None])[:, 0].std()
    # a median of 20 columns: 1.2533 x 6 / sqrt(20) = 1.68 ADU, a little less for so few; the fit of 3 numbers to 400
    # rows: 1.68 sqrt(3 / 400) = 0.15
    assert residuals[None] == pytest.approx(1.65, rel=0.1)
    assert residuals[2] < 0.3


def test_polynomial_passes_over_rows_without_a_value():
    raw = np.full((50, 20), 1000, np.float32)
    raw[10:20, 15:] = np.nan
    calibration = PlaneCalibration(overscan=Section(0, 50, 15, 20), trim=Section(0, 50, 0, 15), overscan_degree=3)
    signal, _, mask = reduce(raw, calibration)
    assert np.allclose(signal, 0, atol=1e-4)
    assert not mask.any()


def test_without_the_gain_of_one_amplifier_all_stays_in_adu():
    several = quadrants()
    one_unknown = (*several[:3], replace(several[3], gain_e_per_adu=None))
    signal, uncertainty, _ = reduce(raw_frame(), PlaneCalibration(amplifiers=one_unknown))
    in_adu, _, _ = reduce(raw_frame(), PlaneCalibration(amplifiers=quadrants(gain_e_per_adu=None)))
    assert np.array_equal(signal, in_adu)
    assert uncertainty is None


def test_amplifiers_must_fill_the_image():
    with pytest.raises(ValueError, match="do not fill the image of 60 x 80"):
        reduce(raw_frame(), PlaneCalibration(amplifiers=quadrants()[1:]))


def test_amplifiers_side_by_side_read_the_same_rows():
    several = quadrants()
    moved = replace(several[1], section=Section(1, 31, 64, 104))
    with pytest.raises(ValueError, match="side by side"):
        reduce(raw_frame(), PlaneCalibration(amplifiers=(several[0], moved, *several[2:])))


def test_amplifier_beyond_the_plane_is_refused():
    several = quadrants()
    with pytest.raises(ValueError, match="does not lie inside the plane"):
        reduce(raw_frame()[:60], PlaneCalibration(amplifiers=several))
