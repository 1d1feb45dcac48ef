"""Where a sample counts as saturated, if neither header nor settings say it."""

import numpy as np
import pytest

from ingestd.jobs.inputs import saturation_of
from ingestd.records import Kind
from tests.doors.catalogue_samples import frame
from tests.pixels.array_reader import ArrayReader

LIGHT = frame("light", Kind.LIGHT, saturation_adu=None)


def noisy(step, *, bits=16):
    """Return samples of a converter whose step is stored as ``step``, as FITS has them: int16 less 32768."""
    top = (1 << bits) // step
    samples = np.random.default_rng(1).integers(0, top, (64, 48)) * step
    return ArrayReader((samples - 32768).astype(np.int16), 32768)


@pytest.mark.parametrize(
    ("step", "last"),
    # the largest multiple of the step below 65536: 14 bits times 4, 12 bits times 16, 8 bits times 256
    [(1, 65535), (2, 65534), (4, 65532), (16, 65520), (256, 65280)],
)
def test_samples_stored_times_a_step_end_one_step_below_the_range(step, last):
    reader = noisy(step)
    reader.array[40, 7] = last - 32768
    assert saturation_of(LIGHT, reader) == last


def test_low_bits_that_repeat_the_high_ones_reach_the_end():
    high = np.random.default_rng(2).integers(0, 4096, (64, 48))
    reader = ArrayReader(((high << 4 | high >> 8) - 32768).astype(np.int16), 32768)
    assert saturation_of(LIGHT, reader) == 65535


def test_a_step_on_a_pedestal_is_found_too():
    reader = noisy(16)
    reader.array += 5  # 65525 is the last of 5, 21, 37 ... below 65536
    assert 65509 < saturation_of(LIGHT, reader) <= 65525


def test_eight_bits_end_at_255_even_if_all_are_the_same():
    assert saturation_of(LIGHT, ArrayReader(np.full((8, 8), 64, np.uint8))) == 255


def test_a_stated_level_goes_before():
    assert saturation_of(frame("light", Kind.LIGHT, saturation_adu=16383.0), noisy(16)) == 16383.0


def test_of_floats_nothing_is_known():
    assert saturation_of(LIGHT, ArrayReader(np.ones((8, 8), np.float32))) == float("inf")
