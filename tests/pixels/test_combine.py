"""Members to a master: equal to the reference, exact by hand, the same for any block."""

from __future__ import annotations

import itertools
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.stats import mad_std, sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.pixels.combine import combine
from ingestd.pixels.combine.network import ColumnSorter, merge_network
from ingestd.records import MaskBit
from tests.pixels.array_reader import ArrayReader


def sensor_frames(count, shape=(40, 50), seed=1, dtype=np.int16):
    """Return raw frames of a bias with structure, hot pixels and cosmic rays; int16 raw of unsigned values."""
    rng = np.random.default_rng(seed)
    level = 1000 + rng.normal(0, 8, shape)
    frames = rng.normal(level, rng.choice([0.2, 3, 30], shape), (count, *shape))
    struck = rng.random(frames.shape) < 0.02
    frames[struck] += rng.exponential(3000, struck.sum())
    return (np.rint(frames.clip(0, 65535)) - 32768).astype(dtype)


def raw_readers(frames, offset=32768):
    return [ArrayReader(frame, offset) for frame in frames]


def physical(frames, offset=32768):
    return frames.astype(np.float64) + offset


def guide_combine(values):
    """Combine as the CCD guide does."""
    frames = [CCDData(value, unit="adu") for value in values]
    return ccdproc.combine(
        frames,
        method="average",
        sigma_clip=True,
        sigma_clip_low_thresh=5,
        sigma_clip_high_thresh=5,
        sigma_clip_func="median",
        sigma_clip_dev_func="mad_std",
    )


def nanmedian(values, axis):
    return np.nanmedian(values, axis=axis)


def nan_mad_std(values, axis):
    return mad_std(values, axis=axis, ignore_nan=True)


def same_bits(one, other):
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ("mean", "error", "count", "mask")
    )


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "comparators"), [(10, 31), (20, 97), (40, 283), (160, 2079)])
def test_network_has_the_known_number_of_comparators(count, comparators):
    assert sum(map(len, merge_network(count))) == comparators


@pytest.mark.parametrize("count", range(2, 12))
def test_sorter_sorts_every_sequence_of_zeros_and_ones(count):
    # Knuth's 0-1 principle: a network that sorts all of them sorts everything.
    cases = np.array(list(itertools.product([0, 1], repeat=count)), np.uint8).T
    sorter = ColumnSorter(count, cases.shape[1], np.uint8)
    sorter.samples[:] = cases
    assert np.array_equal(sorter.sort(), np.sort(cases, axis=0))


@pytest.mark.parametrize("count", [2, 13, 40, 64, 65, 127, 200])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_sorter_sorts_columns_again_and_again(count, dtype):
    rng = np.random.default_rng(count)
    sorter = ColumnSorter(count, 100, dtype)
    for _ in range(2):
        samples = rng.integers(-32768, 32768, (count, 100)).astype(dtype)
        sorter.samples[:] = samples
        assert np.array_equal(sorter.sort(), np.sort(samples, axis=0))


# --- against the reference --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 11, 20, 41, 100])
def test_integer_frames_equal_ccdproc_bit_for_bit(count):
    frames = sensor_frames(count)
    result = combine(raw_readers(frames), sigma=5)
    reference = guide_combine(physical(frames))
    assert np.array_equal(result.mean, reference.data.astype(np.float32))


@pytest.mark.parametrize("count", [5, 20])
def test_error_is_that_of_ccdproc_with_one_degree_of_freedom_less(count):
    frames = sensor_frames(count)
    result = combine(raw_readers(frames), sigma=5)
    kept = result.count.astype(float)
    several = kept >= 2
    expected = guide_combine(physical(frames)).uncertainty.array[several] * np.sqrt(kept / (kept - 1))[several]
    # float32 sums of at most 20 squares: 20 half-units in the last place at worst.
    np.testing.assert_allclose(result.error[several], expected, rtol=20 * 2**-24, atol=1e-12)


@pytest.mark.parametrize(("dtype", "offset"), [(np.uint8, 0), (np.int32, 0), (np.int32, 2**31)])
def test_other_integers_equal_ccdproc(dtype, offset):
    rng = np.random.default_rng(4)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    frames = rng.integers(low, high, (7, 30, 30), dtype, endpoint=True)
    frames[:, :15] = rng.integers(90, 110, (7, 15, 30))
    frames[3, :10, ::3] = high
    result = combine(raw_readers(frames, offset), sigma=5)
    assert np.array_equal(result.mean, guide_combine(physical(frames, offset)).data.astype(np.float32))


@pytest.mark.parametrize("count", [2, 3, 10, 11, 20, 41])
@pytest.mark.parametrize("scaled", [False, True])
def test_float_frames_equal_ccdproc_within_one_unit_in_the_last_place(count, scaled):
    rng = np.random.default_rng(count)
    frames = (physical(sensor_frames(count)) + rng.random((count, 40, 50))).astype(np.float32)
    scales = list(1 / rng.uniform(9000, 30000, count)) if scaled else None
    result = combine([ArrayReader(frame) for frame in frames], sigma=5, scales=scales)
    # ccdproc's own ``scale`` is applied after clipping, which leaves stars in flats; so it is given scaled frames.
    factors = np.array(scales or [1.0] * count)[:, np.newaxis, np.newaxis]
    reference = guide_combine(frames.astype(np.float64) * factors)
    expected = reference.data.astype(np.float32)
    assert np.all(np.abs(result.mean - expected) <= np.spacing(np.abs(expected)))


def test_frames_of_unequal_offset_are_combined_as_values():
    frames = sensor_frames(5)
    readers = raw_readers(frames)
    readers[2] = ArrayReader((frames[2] + np.int16(100)), 32668)
    assert np.array_equal(combine(readers, sigma=5).mean, combine(raw_readers(frames), sigma=5).mean)


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("as_float", [False, True])
def test_more_iterations_equal_astropy(iterations, as_float):
    frames = sensor_frames(12)
    readers = [ArrayReader(f) for f in physical(frames).astype(np.float32)] if as_float else raw_readers(frames)
    result = combine(readers, sigma=3, iterations=iterations)
    values = physical(frames)
    clipped = sigma_clip(values, sigma=3, maxiters=iterations, cenfunc=nanmedian, stdfunc=nan_mad_std, axis=0)
    assert np.array_equal(result.count, (~clipped.mask).sum(axis=0))
    assert np.array_equal(result.mean, np.ma.mean(clipped, axis=0).filled(np.nan).astype(np.float32))


def test_missing_samples_are_left_out():
    rng = np.random.default_rng(8)
    frames = rng.normal(100, 3, (9, 20, 30)).astype(np.float32)
    frames[rng.random(frames.shape) < 0.2] = np.nan
    frames[2, 5, 5] = np.inf
    frames[:, 7, 7] = np.nan
    result = combine([ArrayReader(frame) for frame in frames], sigma=5)
    with np.errstate(invalid="ignore"):
        finite = np.ma.masked_invalid(frames.astype(np.float64))
        clipped = sigma_clip(finite, sigma=5, maxiters=1, cenfunc="median", stdfunc="mad_std", axis=0)
    assert np.array_equal(result.count, (~clipped.mask).sum(axis=0))
    expected = np.ma.mean(clipped, axis=0).filled(np.nan).astype(np.float32)
    np.testing.assert_array_equal(result.mean, expected)
    assert np.isnan(result.mean[7, 7])
    assert result.mask[7, 7] == MaskBit.NO_DATA


# --- by hand ----------------------------------------------------------------------------------------------------------


def combine_column(values, **options):
    """Combine frames of one pixel."""
    arguments = {"sigma": 5} | options
    return combine([ArrayReader(np.array([[value]], np.float32)) for value in values], **arguments)


def test_error_is_the_standard_error_of_the_mean():
    result = combine_column([1, 2, 3, 4])
    # s**2 = (2.25 + 0.25 + 0.25 + 2.25) / 3 = 5 / 3; s / sqrt(4) = 0.6454972
    assert result.mean[0, 0] == 2.5
    assert result.error[0, 0] == pytest.approx(np.sqrt(5 / 3 / 4), rel=1e-6)
    assert result.count[0, 0] == 4


def test_mad_rejects_what_a_standard_deviation_cannot():
    values = [9, 10, 11, 9, 10, 11, 9, 10, 11, 100000]
    # One deviant of ten is never further than (N - 1) / sqrt(N) = 2.85 ddof-1 standard deviations from the mean.
    assert abs(values[-1] - np.mean(values)) / np.std(values) <= np.sqrt(9)
    result = combine_column(values)
    assert (result.mean[0, 0], result.count[0, 0]) == (10, 9)


@pytest.mark.parametrize(("count", "about"), [(26, "mean"), (23, "median")])
def test_largest_deviation_in_standard_deviations_is_bounded(count, about):
    # The bounds of the room's docstring: sqrt(N-1) about the mean, N/sqrt(N-1) about the median; one frame more passes.
    for number, can_reject in ((count, False), (count + 1, True)):
        values = np.zeros(number)
        values[0] = 1e6
        centre = np.mean(values) if about == "mean" else np.median(values)
        limit = 5 * (1 + 1e-12)
        assert ((values[0] - centre) / np.std(values) > limit) is np.bool_(can_reject)


def test_with_a_mad_of_zero_only_the_median_is_kept():
    result = combine_column([7, 7, 7, 9])
    assert (result.mean[0, 0], result.error[0, 0], result.count[0, 0]) == (7, 0, 3)


def test_least_deviation_keeps_neighbours_of_a_mad_of_zero_and_no_more():
    # 5 x 0.5 = 2.5 to either side of the median
    kept, cut = (combine_column(values, least_deviation=0.5) for values in ([7, 7, 7, 9], [7, 7, 7, 10]))
    assert (kept.mean[0, 0], kept.count[0, 0]) == (7.5, 4)
    assert (cut.mean[0, 0], cut.count[0, 0]) == (7, 3)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("count", [3, 7, 10, 25])
def test_least_deviation_enters_the_bound_as_the_rule(count, dtype):
    frames = np.rint(np.random.default_rng(count).normal(0.3, 0.6, (count, 40, 50))).astype(dtype)
    frames[0, ::7, ::5] = 4
    result = combine([ArrayReader(frame) for frame in frames], sigma=5, least_deviation=0.66)
    values = frames.astype(float)
    distance = np.abs(values - np.median(values, axis=0))
    kept = distance <= 5 * np.maximum(1.4826 * np.median(distance, axis=0), 0.66)
    np.testing.assert_array_equal(result.count, kept.sum(axis=0))
    np.testing.assert_allclose(result.mean, (values * kept).sum(axis=0) / kept.sum(axis=0), rtol=1e-6, atol=1e-7)


def test_scales_are_applied_before_clipping():
    # Three flats of one sky at three levels agree once scaled; a star in the fourth does not.
    result = combine_column([1000, 2020, 3960, 9000], scales=[1 / 1000, 1 / 2000, 1 / 4000, 1 / 3000])
    assert result.count[0, 0] == 3
    assert result.mean[0, 0] == pytest.approx((1 + 1.01 + 0.99) / 3, rel=1e-6)


def test_extremes_of_200_frames_add_up_exactly():
    frames = np.full((200, 2, 3), -32768, np.int16)
    frames[100:] = 32767
    result = combine(raw_readers(frames), sigma=5)
    assert np.all(result.mean == np.float32(32767.5))
    # s**2 = 200 * 32767.5**2 / 199; s / sqrt(200) = 32767.5 / sqrt(199)
    np.testing.assert_allclose(result.error, 32767.5 / np.sqrt(199), rtol=1e-5)


def test_a_single_frame_is_returned_with_unknown_error():
    frame = sensor_frames(1)[0]
    result = combine(raw_readers([frame]), sigma=5)
    assert np.array_equal(result.mean, physical(frame).astype(np.float32))
    assert np.all(np.isnan(result.error))
    assert np.all(result.count == 1)
    assert not result.mask.any()


def test_a_single_frame_is_scaled_and_its_gaps_marked():
    result = combine([ArrayReader(np.array([[4.0, np.inf]], np.float32))], sigma=5, scales=[0.5])
    assert result.mean[0, 0] == 2
    assert np.isnan(result.mean[0, 1])
    assert result.count.tolist() == [[1, 0]]
    assert result.mask.tolist() == [[0, MaskBit.NO_DATA]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, np.nan], 0),
        ([1, 2, np.nan, np.nan], 0),
        ([1, 2, np.nan, np.nan, np.nan], MaskBit.CLIPPED_MASTER),
        ([1, np.nan], MaskBit.CLIPPED_MASTER),
        ([np.nan, np.nan, np.nan], MaskBit.NO_DATA),
    ],
)
def test_mask_says_where_fewer_than_half_of_the_frames_are_left(values, expected):
    assert combine_column(values).mask[0, 0] == expected


@pytest.mark.parametrize(
    ("readers", "options", "message"),
    [
        ([], {}, "0 frames"),
        ([ArrayReader(np.zeros((1, 1), np.int16))] * 201, {}, "201 frames"),
        ([ArrayReader(np.zeros((2, 3))), ArrayReader(np.zeros((3, 2)))], {}, "different shapes"),
        ([ArrayReader(np.zeros((1, 1)))] * 2, {"scales": [1.0]}, "1 scales for 2"),
        ([ArrayReader(np.zeros((1, 1)))] * 2, {"scales": [1.0, 0.0]}, "finite and positive"),
    ],
)
def test_impossible_orders_are_refused(readers, options, message):
    with pytest.raises(ValueError, match=message):
        combine(readers, sigma=5, **options)


# --- blocks and memory ------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 30),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    block_px=st.integers(1, 500),
    kind=st.sampled_from(["int16", "float32", "nan", "scaled"]),
)
def test_any_block_size_gives_the_same_bits(seed, count, shape, block_px, kind):
    frames = sensor_frames(count, shape, seed)
    scales = None
    readers = raw_readers(frames)
    if kind != "int16":
        values = physical(frames).astype(np.float32) - np.float32(999.7)
        if kind == "nan":
            values[np.random.default_rng(seed).random(values.shape) < 0.1] = np.nan
        scales = [1 / (1 + i / 7) for i in range(count)] if kind == "scaled" else None
        readers = [ArrayReader(value) for value in values]
    whole = combine(readers, sigma=5, scales=scales)
    assert same_bits(whole, combine(readers, sigma=5, scales=scales, block_px=block_px))


@pytest.mark.parametrize("parts", [1, 2, 3, 40, 99])
@pytest.mark.parametrize("scales", [None, [0.5, 1.0, 2.0, 0.9, 1.1]])
def test_threads_that_share_the_rows_give_the_same_bits(parts, scales):
    readers = raw_readers(sensor_frames(5))  # 40 rows: 99 parts are more than there are rows
    whole = combine(readers, sigma=5, scales=scales)
    with ThreadPoolExecutor(2) as pool:
        assert same_bits(whole, combine(readers, sigma=5, scales=scales, parts=parts, each=pool.map))


def test_an_error_in_one_part_is_not_lost():
    class Broken(ArrayReader):
        def read_raw(self, first_row, out):
            if first_row >= 20:
                raise OSError("unreadable")
            super().read_raw(first_row, out)

    frames = sensor_frames(3)
    readers = [Broken(frame, 32768) for frame in frames]
    with ThreadPoolExecutor(2) as pool, pytest.raises(OSError, match="unreadable"):
        combine(readers, sigma=5, parts=2, each=pool.map)


def test_memory_does_not_grow_with_the_number_of_frames():
    shape = (512, 1024)
    frame = sensor_frames(1, shape)[0]

    def peak(count):
        readers = raw_readers([frame] * count)
        tracemalloc.start()
        combine(readers, sigma=5)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    # 11 bytes a pixel of result, one slab of 16 MiB, buffers of a few MiB; the cube would be 200 MiB.
    assert peak(200) < 11 * frame.size + (16 << 20) + (16 << 20)


@pytest.mark.parametrize("sigma", [1, 3, 100])
def test_rounding_never_hides_a_sample_to_be_clipped(sigma):
    # Noise of a few units in the last place of float32 on a high level: decisions must be those of float64.
    rng = np.random.default_rng(5)
    frames = (60000 + rng.integers(-3, 4, (7, 40, 50)) / 128).astype(np.float32)
    frames[0, ::2] += rng.integers(0, 200, (20, 50)) / np.float32(128)
    scales = rng.uniform(0.3, 3, 7)
    frames = (frames / scales[:, np.newaxis, np.newaxis]).astype(np.float32)
    result = combine([ArrayReader(frame) for frame in frames], sigma=sigma, scales=list(scales))
    values = frames.astype(np.float64) * scales[:, np.newaxis, np.newaxis]
    clipped = sigma_clip(values, sigma=sigma, maxiters=1, cenfunc="median", stdfunc="mad_std", axis=0)
    assert np.array_equal(result.count, (~clipped.mask).sum(axis=0))
