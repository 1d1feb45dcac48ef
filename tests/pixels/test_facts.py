"""The formulas of the field on synthetic frames of three known cameras, and how far the naive figures are off.

Sizes are reduced where a formula does not depend on them. Tolerances are standard errors.
"""

import math

import numpy as np
import pytest

from ingestd.pixels.combine import combine
from ingestd.pixels.inspecting import Stack, describe, gain_ways, noise_ways
from ingestd.pixels.quality import (
    bias_level_adu,
    c4,
    dark_rate_adu_per_second,
    frame_noise_adu,
    gain_electrons_per_adu,
    overscan_level_adu,
    read_noise_adu,
    read_noise_overscan_adu,
    read_noise_stack_adu,
)
from ingestd.pixels.steps import CalibratedReader, PlaneCalibration, flat_level, normalise_flat, reduce_plane
from ingestd.records import Section
from tests.pixels.array_reader import ArrayReader


def rounded(values):
    """Return samples as a converter of one ADU delivers them."""
    return np.clip(np.rint(values), 0, 65535).astype(np.uint16)


def stacked(frames):
    stack = Stack()
    for frame in frames:
        stack.add(frame)
    return stack


def reduced(raw, calibration):
    """Return a whole plane after all steps."""
    blocks = []
    reduce_plane(ArrayReader(raw), calibration, lambda _row, signal, _error, _mask: blocks.append(signal.copy()))
    return np.concatenate(blocks)


# --- SBIG ST-402: 510 x 765, 10 'biases' of 0.04 s, 29 darks of 10 s --------------------------------------------------

NOISE = 10.854  # 10.558, the mean over pixels of the deviation of 10 frames, over c4(10) = 0.9727
RATE = 1.3815
HOT = (308, 628)
GRADIENT = 55.2  # sqrt(12 (19.31**2 - 10.854**2)): what makes one bias scatter by 19.31 ADU
HOT_ADU = 838.0  # 1918 - 1080
HOT_GAIN = HOT_ADU / (34.07**2 - NOISE**2)  # 0.80 e-/ADU make its 838 ADU scatter by 34.07
ST402_SHAPE = (510, 765)
ST402_PX = 510 * 765


class St402:
    def __init__(self):
        self.random = np.random.default_rng(402)
        self.bias = 1080.117 + GRADIENT * np.linspace(-0.5, 0.5, 765) + np.zeros((510, 1))
        self.biases = [self.expose(0.04) for _ in range(10)]
        self.darks = [self.expose(10.0) for _ in range(29)]

    def expose(self, exposure_s):
        adu = self.bias + RATE * exposure_s + self.random.normal(0.0, NOISE, ST402_SHAPE)
        adu[HOT] += self.random.poisson(HOT_ADU * HOT_GAIN) / HOT_GAIN
        return rounded(adu)


@pytest.fixture(scope="module")
def st402():
    return St402()


def test_brightest_pixel_of_a_bias_is_the_hot_one(st402):
    assert np.ravel_multi_index(HOT, ST402_SHAPE) == 236248
    found = describe(st402.biases[0])
    assert (found.highest.y, found.highest.x) == HOT
    assert int(st402.biases[0].argmax()) == 236248
    # a Poisson charge of 838 ADU at 0.80 e-/ADU on top of half the gradient of its column
    assert found.highest.value == pytest.approx(1918 + GRADIENT * (628 / 764 - 0.5), abs=4 * 34.07)


def test_deviation_of_one_bias_contains_its_gradient(st402):
    found = describe(st402.biases[0])
    with_step = math.hypot(NOISE, 1 / math.sqrt(12))
    assert found.deviation == pytest.approx(math.hypot(with_step, GRADIENT / math.sqrt(12)), rel=0.005)
    assert found.deviation == pytest.approx(19.31, rel=0.005)
    # 19.31 where 10.85 is the noise: 78 % too much. Differences of neighbours are blind to the gradient.
    assert found.noise == pytest.approx(with_step, rel=5 / math.sqrt(ST402_PX))


def test_mean_and_median_over_pixels_of_the_deviation_are_low(st402):
    deviations = stacked(st402.biases).deviation()
    with_step = math.hypot(NOISE, 1 / math.sqrt(12))
    assert c4(10) == pytest.approx(0.9727, abs=5e-5)
    # A deviation of ten samples scatters by 24 %; over all pixels its mean is good to 0.04 %.
    assert deviations.mean() == pytest.approx(0.9727 * with_step, rel=5 * 0.24 / math.sqrt(ST402_PX))
    assert deviations.mean() == pytest.approx(10.558, rel=0.002)
    # The median of chi-squared of 9 degrees is 8.343 (tables): sqrt(8.343 / 9) = 0.9628; the camera showed 10.429.
    assert np.median(deviations) == pytest.approx(0.9628 * with_step, rel=0.002)
    assert np.median(deviations) == pytest.approx(10.429, rel=0.005)
    ways = noise_ways(st402.biases)
    assert (ways.plain_mean, ways.plain_median) == (
        pytest.approx(deviations.mean()),
        pytest.approx(np.median(deviations)),
    )
    assert ways.plain_mean / ways.mean_factor == pytest.approx(with_step, rel=0.002)
    assert ways.plain_median / ways.median_factor == pytest.approx(with_step, rel=0.002)


def test_read_noise_of_pairs_and_of_the_stack_is_the_true_one(st402):
    assert read_noise_adu(st402.biases).value == pytest.approx(NOISE, rel=5 * 0.5 * math.sqrt(3 / (10 * ST402_PX)))
    assert read_noise_stack_adu(st402.biases).value == pytest.approx(NOISE, rel=5 / math.sqrt(2 * 9 * ST402_PX))


def test_with_29_darks_the_mean_deviation_is_low_by_a_hundredth(st402):
    deviations = stacked(st402.darks).deviation()
    assert c4(29) == pytest.approx(1 - 1 / (4 * 28), abs=1e-4)  # 0.9911
    assert deviations.mean() == pytest.approx(c4(29) * math.hypot(NOISE, 1 / math.sqrt(12)), rel=0.001)


def test_one_pixel_through_the_stack(st402):
    deviations = stacked(st402.biases).deviation()
    # the deviation of ten samples is good to 1 / sqrt(18) = 24 %: one pixel may well show 12.168
    assert deviations[100, 150] == pytest.approx(NOISE, rel=4 / math.sqrt(18))
    assert abs(12.168 / NOISE - 1) < 1 / math.sqrt(18)
    assert deviations[HOT] == pytest.approx(34.07, rel=4 / math.sqrt(18))


def test_mean_image_is_better_by_the_root_of_the_number(st402):
    noise = describe(stacked(st402.biases).mean()).noise
    assert noise == pytest.approx(math.hypot(NOISE, 1 / math.sqrt(12)) / math.sqrt(10), rel=5 / math.sqrt(ST402_PX))


def test_dark_rate_of_one_dark_and_of_all(st402):
    bias, dark = stacked(st402.biases).mean(), stacked(st402.darks).mean()
    # The 'biases' of 0.04 s hold 0.055 ADU of dark current: 0.4 % are missing in (dark - bias) / 10 s.
    held = RATE * 0.04
    assert held == pytest.approx(0.055, abs=5e-4)
    of_one = st402.darks[0] - bias
    error = math.hypot(NOISE, 1 / math.sqrt(12)) * math.sqrt((1 + 1 / 10) / ST402_PX)
    assert of_one.mean() == pytest.approx(10 * RATE - held, abs=5 * error)
    of_all = dark_rate_adu_per_second(dark, bias, 10.0)
    assert of_all.value == pytest.approx(RATE - held / 10, abs=5 * 1.2533 * NOISE * math.sqrt(1 / 10 + 1 / 29) / 6246)


def test_a_level_of_one_frame_hides_how_far_frames_drift(st402):
    # The first dark stood 15.132 ADU above the biases, all 29 13.815: 1.3 ADU is no noise of a mean of 390 150 pixels.
    error = NOISE * math.sqrt((1 + 1 / 10) / ST402_PX)
    assert (15.132 - 13.815) / error > 70
    drifted = [(frame + np.uint16(1)) for frame in st402.biases[:1]] + st402.biases[1:]
    # A drift of the level is no read noise: it is in the mean of a difference, and each frame has its own level.
    assert read_noise_adu(drifted).value == pytest.approx(read_noise_adu(st402.biases).value, rel=1e-3)
    assert read_noise_stack_adu(drifted).value == pytest.approx(read_noise_stack_adu(st402.biases).value, rel=1e-3)


def test_mad_of_integers_moves_in_steps_of_one_adu(st402):
    one, other = (frame.astype(int) for frame in st402.biases[:2])
    difference = one - other
    mad = 1.4826 * np.median(np.abs(difference - np.median(difference))) / math.sqrt(2)
    assert 1.4826 / math.sqrt(2) == pytest.approx(1.05, abs=0.002)
    assert mad / 1.0484 == pytest.approx(round(mad / 1.0484), abs=1e-3)
    assert abs(mad - NOISE) > 3 * abs(read_noise_adu([one, other]).value - NOISE)


# --- Palomar LFC: overscan one row short, gain header 1.1, true 2.0 ---------------------------------------------------

LFC_GAIN = 2.0
LFC_NOISE = 3.82
LFC_SHAPE = (400, 512)
OVERSCAN = Section(0, 399, 480, 512)  # [481:512,1:399]: one row short of the frame
LFC_STRUCTURE = math.sqrt(43.3**2 - 3.82**2)  # 43.1 ADU


class Lfc:
    """A chip reduced to 400 x 480 with 32 columns of overscan, whose first five hold residual charge."""

    residual = 40.0 * 0.5 ** np.arange(5)

    def __init__(self, seed=1):
        self.random = np.random.default_rng(seed)
        y, x = np.mgrid[0:400, 0:512]
        # A half-cosine along the rows scatters by its amplitude over sqrt(2) and is even near its middle.
        self.bias = 1138.0 + LFC_STRUCTURE * math.sqrt(2) * np.cos(2 * math.pi * x / 512) + 0.0 * y

    def expose(self, light_adu=0.0, *, structure=True):
        adu = (self.bias if structure else np.full(LFC_SHAPE, 1138.0)) + self.random.normal(0.0, LFC_NOISE, LFC_SHAPE)
        adu[:, :480] += self.random.poisson(light_adu * LFC_GAIN, (400, 480)) / LFC_GAIN
        adu[:, 480:485] += self.residual * (light_adu > 0)
        return rounded(adu)


def test_deviation_of_the_whole_frame_is_that_of_its_structure():
    frame = Lfc().expose()
    assert describe(frame).deviation == pytest.approx(43.3, rel=0.01)
    # 43.3 ADU over the frame, 3.8 in a clean box: eleven times the read noise
    box = describe(frame[150:250, 250:262])
    assert box.deviation == pytest.approx(math.hypot(LFC_NOISE, 0.29), rel=0.1)
    assert frame_noise_adu(frame).value == pytest.approx(math.hypot(LFC_NOISE, 0.29), rel=5 / math.sqrt(frame.size))


def test_overscan_without_its_first_columns_gives_the_level():
    frame = Lfc().expose(light_adu=20_000.0, structure=False)
    columns = frame[OVERSCAN.y0 : OVERSCAN.y1, OVERSCAN.x0 : OVERSCAN.x1]
    error = 5 * 1.2533 * LFC_NOISE / math.sqrt(399 * 27)
    assert overscan_level_adu(columns[:, 5:]).value == pytest.approx(1138.0, abs=error)
    # The mean of all columns is too high by the residual charge of five: 77.5 / 32 = 2.4 ADU.
    assert columns.mean() - 1138.0 == pytest.approx(Lfc.residual.sum() / 32, abs=error)
    noise = read_noise_overscan_adu(columns[:, 5:], 1.0).value
    assert noise == pytest.approx(LFC_NOISE, rel=5 / math.sqrt(2 * 199 * 13))


def test_overscan_one_row_short_serves_all_rows():
    frame = Lfc().expose(light_adu=1000.0, structure=False)
    complete = Section(0, 400, OVERSCAN.x0, OVERSCAN.x1)  # what rules make of it: columns are read with every row
    reader = CalibratedReader(
        ArrayReader(frame.astype(np.int32)),
        PlaneCalibration(overscan=complete, overscan_skip_px=5, trim=Section(0, 400, 0, 480)),
    )
    rows = np.empty((400, 480), np.float32)
    reader.read(0, rows)
    error = math.sqrt(1000 / LFC_GAIN + LFC_NOISE**2) / math.sqrt(480) + 1.2533 * LFC_NOISE / math.sqrt(27)
    assert np.all(np.abs(rows.mean(axis=1) - 1000.0) < 5 * error)


@pytest.mark.parametrize("level", [21_550, 22_240])
def test_janesick_gives_the_gain_and_the_header_does_not(level):
    camera = Lfc(seed=level)
    biases = tuple(camera.expose(structure=False)[100:300, 100:300] for _ in range(2))
    flats = tuple(camera.expose(level - 1138.0, structure=False)[100:300, 100:300] for _ in range(2))
    ways = gain_ways(flats, biases)
    error = math.sqrt(2 / 40_000)
    assert ways.janesick == pytest.approx(LFC_GAIN, rel=5 * error)
    assert abs(ways.janesick - 1.1) > 60 * error
    # Quick: (F1 + F2) / var(F1 - F2) = G L / (L - B + G R**2). Of 21 550 ADU 1138 are pedestal: 5.4 % too much.
    factor = level / (level - 1138 + LFC_GAIN * (LFC_NOISE**2 + 1 / 12))
    assert factor == pytest.approx(1.054 if level == 21_550 else 1.052, abs=0.001)
    assert ways.quick / ways.janesick == pytest.approx(factor, rel=0.002)
    whole = [frame[:, :480] for frame in (camera.expose(level - 1138.0, structure=False) for _ in range(2))]
    assert gain_electrons_per_adu(whole, 1138.0, LFC_NOISE).value == pytest.approx(
        LFC_GAIN, rel=5 * math.sqrt(2 / 192_000)
    )


def test_quick_gain_is_2_37_where_the_pedestal_is_a_sixth_of_the_level():
    # G L / (L - B + G R**2) = 2.37 for G = 2, B = 1138, R = 5.47 at L = (B - G R**2) / (1 - 2 / 2.37) = 6906 ADU.
    noise, pedestal = 5.47, 1138.0
    level = (pedestal - LFC_GAIN * noise**2) / (1 - LFC_GAIN / 2.37)
    assert level == pytest.approx(6906, abs=1)
    random = np.random.default_rng(237)

    def expose(light):
        return rounded(
            pedestal + random.poisson(light * LFC_GAIN, (500, 500)) / LFC_GAIN + random.normal(0, noise, (500, 500))
        )

    ways = gain_ways((expose(level - pedestal), expose(level - pedestal)), (expose(0.0), expose(0.0)))
    assert ways.janesick == pytest.approx(2.0, rel=5 * math.sqrt(2) / 500)
    assert ways.quick == pytest.approx(2.37, rel=5 * math.sqrt(2) / 500)


def test_gain_of_flats_of_different_level_needs_the_scale():
    random = np.random.default_rng(8)
    response = random.normal(1.0, 0.02, (500, 500))

    def expose(light):
        return rounded(
            1138 + random.poisson(light * response * LFC_GAIN) / LFC_GAIN + random.normal(0, 3.82, (500, 500))
        )

    flats, biases = (expose(20_000), expose(18_400)), (expose(0), expose(0))
    assert gain_ways(flats, biases).janesick == pytest.approx(2.0, rel=5 * math.sqrt(2) / 500)
    # Unscaled, 8 % of 2 % of sensitivity stay in the difference: (1600 * 0.02)**2 = 1024 on top of 19 200 ADU**2.
    plain = np.subtract(*flats, dtype=float).var() - np.subtract(*biases, dtype=float).var()
    assert plain == pytest.approx(38_400 / 2 + 1024, rel=5 * math.sqrt(2) / 500)


def test_gain_of_differences_clipped_at_three_sigma_is_a_thirtieth_too_large():
    random = np.random.default_rng(3)

    def expose(light, cosmics=0):
        adu = 1138 + random.poisson(light * LFC_GAIN, (500, 500)) / LFC_GAIN + random.normal(0, 3.82, (500, 500))
        adu.flat[random.choice(adu.size, cosmics, replace=False)] += 20_000
        return rounded(adu)

    flats, biases = (expose(15_000, 100), expose(8_000, 100)), (expose(0), expose(0))
    ways = gain_ways(flats, biases)
    # The iterated cut leaves v of the variance of a Gaussian, v = 1 - 6 sqrt(v) phi(3 sqrt(v)) / erf(3 sqrt(v / 2)).
    v, k = ways.clipped_factor, 3 * math.sqrt(ways.clipped_factor)
    assert v == pytest.approx(1 - 2 * k * math.exp(-k * k / 2) / math.sqrt(2 * math.pi) / math.erf(k / math.sqrt(2)))
    assert v == pytest.approx(0.970, abs=0.001)
    assert ways.clipped == pytest.approx(LFC_GAIN / v, rel=5 * math.sqrt(2) / 500)
    # 200 hits of 20 000 (1.9 times that in the second flat) among 250 000 pixels: 37 000 ADU**2 for 14 100 of photons.
    hits = 20_000**2 * 100 * (1 + (15 / 8) ** 2) / 500**2
    photons = 15_000 * (1 + 15 / 8) / LFC_GAIN
    assert ways.janesick == pytest.approx(LFC_GAIN * photons / (photons + hits), rel=0.05)
    own = gain_electrons_per_adu(flats, 1138.0, 3.82)
    assert own.value == pytest.approx(LFC_GAIN, rel=5 * math.sqrt(2) / 500)


def test_bias_drifts_by_more_than_a_short_dark_collects():
    # Levels 1198 (300 s) and 1186 (70 s): 12 ADU in 230 s, so a dark of 7 s collects 0.37 ADU, and stood at 1169.
    rate = (1198 - 1186) / (300 - 70)
    assert 7 * rate == pytest.approx(0.365, abs=0.001)
    random = np.random.default_rng(7)

    def expose(level, exposure_s):
        adu = level + random.normal(0.0, 5.47, (300, 332))
        adu[:, :300] += rate * exposure_s
        return rounded(adu)

    bias, dark = expose(1176.0, 0.0), expose(1169.0 - 7 * rate, 7.0)
    naive = dark_rate_adu_per_second(dark[:, :300], bias_level_adu(bias[:, :300]).value, 7.0).value
    error = 1.2533 * 5.47 / 300
    assert naive == pytest.approx((1169 - 1176) / 7, abs=8 * error / 7)  # -1 ADU/s: no dark current is negative
    over = [overscan_level_adu(frame[:, 305:]).value for frame in (bias, dark)]
    net = (bias_level_adu(dark[:, :300]).value - over[1]) - (bias_level_adu(bias[:, :300]).value - over[0])
    assert net / 7 == pytest.approx(rate, abs=5 * 1.2533 * 5.47 * math.sqrt(2 / 90_000 + 2 / 8100) / 7)


# --- Magellan IFUM: an overscan in the corner, 40 biases with cosmic rays everywhere ---------------------------------

IFUM_NOISE = 2.7 / 0.68  # ENOISE / EGAIN, ADU


def ifum_biases(number=40, shape=(120, 160)):
    """Return biases at 817 ADU, each with cosmic rays of 300 ADU on half a per cent of its pixels, and where."""
    random = np.random.default_rng(817)
    frames = random.normal(817.0, IFUM_NOISE, (number, *shape))
    hit = random.random(frames.shape) < 0.005
    return rounded(frames + 300.0 * hit), hit


def test_plain_mean_keeps_the_cosmic_rays_and_clipping_does_not():
    frames, hit = ifum_biases()
    touched = hit.any(axis=0)
    assert touched.mean() == pytest.approx(1 - 0.995**40, abs=0.02)  # everywhere: 18 % of the pixels
    plain = frames.mean(axis=0)
    noise = math.hypot(IFUM_NOISE, 1 / math.sqrt(12)) / math.sqrt(40)
    once = hit.sum(axis=0) == 1
    # One ray of 300 ADU in forty frames lifts the mean by 7.5 ADU, twelve times its noise.
    assert (plain[once] - 817).mean() == pytest.approx(300 / 40, abs=5 * noise / math.sqrt(once.sum()))
    clipped = combine([ArrayReader(frame) for frame in frames], sigma=5.0)
    assert (clipped.mean[touched] - 817).mean() == pytest.approx(0.0, abs=5 * noise / math.sqrt(touched.sum()))
    assert clipped.mean.std() == pytest.approx(noise, rel=0.03)
    # The median lacks them too; its noise is 1.253 times that of the mean, its shift of one ray in forty is
    # 1.2533 sigma / 40.
    median = np.median(frames, axis=0)
    assert (median[once] - 817).mean() == pytest.approx(1.2533 * IFUM_NOISE / 40, abs=0.05)


@pytest.mark.parametrize(("number", "centre"), [(26, np.mean), (23, np.median)])
def test_clipping_with_the_standard_deviation_rejects_nothing_of_few_frames(number, centre):
    frames, _ = ifum_biases(number)
    values = frames.astype(float)
    reach = 5 * values.std(axis=0)
    assert not (np.abs(values - centre(values, axis=0)) > reach).any()
    # With the MAD the rays are found in the same frames.
    assert (combine([ArrayReader(frame) for frame in frames], sigma=5.0).count < number).mean() > 0.1


def test_overscan_in_a_corner_gives_one_level():
    random = np.random.default_rng(1156)
    frame = rounded(
        random.normal(817.0, IFUM_NOISE, (145, 272)) + np.pad(np.full((129, 256), 50.0), ((0, 16), (0, 16)))
    )
    corner = Section(129, 145, 256, 272)
    reader = CalibratedReader(
        ArrayReader(frame.astype(np.int32)), PlaneCalibration(overscan=corner, trim=Section(0, 129, 0, 256))
    )
    rows = np.empty((129, 256), np.float32)
    reader.read(0, rows)
    assert rows.mean() == pytest.approx(50.0, abs=5 * 1.2533 * IFUM_NOISE / 16)
    assert np.ptp(frame[:129, :256] - rows) < 1e-3  # the same level in all rows


# --- section 1: combining and flats -----------------------------------------------------------------------------------


def test_mean_has_sigma_over_root_n_and_the_median_a_quarter_more():
    frames = np.random.default_rng(2).normal(0.0, 10.0, (101, 120, 120))
    assert frames.mean(axis=0).std() == pytest.approx(10 / math.sqrt(101), rel=5 / math.sqrt(2 * 14_400))
    # sqrt(pi / 2) = 1.2533 in the limit of many
    assert np.median(frames, axis=0).std() == pytest.approx(1.2533 * 10 / math.sqrt(101), rel=0.03)


def test_light_is_raw_less_bias_and_dark_over_flat():
    calibration = PlaneCalibration(
        bias=np.full((2, 2), 1000.0, np.float32),
        dark=np.full((2, 2), 1000.0 + 0.5 * 300, np.float32),
        dark_ratio=60 / 300,
        flat=np.full((2, 2), 0.8, np.float32),
    )
    # raw = bias + dark current + flat x light: 1000 + 0.5 x 60 + 0.8 x 200
    rows = reduced(np.full((2, 2), 1190.0, np.float32), calibration)
    assert rows == pytest.approx(np.full((2, 2), 200.0), rel=1e-6)


def test_stars_in_twilight_flats_clip_only_where_frames_are_scaled_first():
    random = np.random.default_rng(5)
    response = 1.0 + 0.02 * random.standard_normal((96, 96))
    levels = [10_000, 14_000, 20_000, 28_000, 40_000]
    frames = [random.poisson(level * response).astype(np.float32) for level in levels]
    for number, frame in enumerate(frames):
        frame[40, 10 + 10 * number] *= 1.5  # a star, elsewhere in each
    readers = [ArrayReader(frame) for frame in frames]
    scaled = combine(readers, sigma=5.0, scales=[1 / flat_level(reader) for reader in readers])
    flat = normalise_flat(scaled.mean, scaled.error, floor=0.05).flat
    stars = flat[40, 10:60:10] / (response[40, 10:60:10] / np.median(response[24:72, 24:72]))
    assert stars == pytest.approx(np.ones(5), abs=5 * 0.01)
    # Unscaled, levels that differ by four hide the stars: that of the brightest frame stays with its share, 18 %.
    plain = combine(readers, sigma=5.0)
    assert plain.count[40, 50] == 5
    assert plain.mean[40, 50] / plain.mean[40, 51] * response[40, 51] / response[40, 50] == pytest.approx(
        1 + 0.5 * 40_000 / sum(levels), abs=0.02
    )


def test_profiles_of_a_reduced_sky_are_flatter_than_those_of_the_raw_frame():
    random = np.random.default_rng(6)
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    response = (1 - 0.3 * (x**2 + y**2)).astype(np.float32)
    raw = (random.poisson(1000 * response) + 500).astype(np.float32)
    calibration = PlaneCalibration(bias=np.full(raw.shape, 500, np.float32), flat=response)
    rows = reduced(raw, calibration)
    for axis in (0, 1):
        raw_profile, profile = (image.mean(axis=axis) for image in (raw - 500, rows))
        # 128 pixels a point: 1000 counts each leave 2.8 ADU, more at the dark edges
        assert profile.std() < 2 * math.sqrt(1000 / 128)
        assert raw_profile.std() / raw_profile.mean() > 10 * profile.std() / profile.mean()
