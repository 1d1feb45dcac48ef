"""The parts of a plane: amplifiers and colours, as views of raw rows and of the image without overscan."""

from __future__ import annotations

import numpy as np
import pytest

from ingestd.jobs.headers import AmplifierFacts, amplifier_facts, plane_cards
from ingestd.jobs.parts import amplifiers_of, mean_level, mean_noise, parts_of, raw_parts
from ingestd.pixels.quality import Estimate
from ingestd.pixels.steps import EvenedReader, flat_level
from ingestd.records import Channel, Plane, Section
from tests.pixels.array_reader import ArrayReader


def plane(shape=(6, 10), trim=None, channels=()):
    return Plane(0, "", shape, 16, 32768.0, 1.0, None, 2880, "raw", None, trim, None, None, channels)


TWO = (
    Channel("A", Section(0, 6, 1, 4), Section(0, 6, 4, 5), None, None),
    Channel("B", Section(0, 6, 6, 9), Section(0, 6, 5, 6), None, None),
)


def colours_of(bayer, shape=(4, 4), trim=None):
    """Return the letter of the channel at each pixel of the image."""
    image = np.full(trim.shape if trim else shape, "??")
    for part in parts_of(plane(shape, trim), bayer):
        part.of_image(0, image)[...] = part.name
    return ["".join(f"{name:3}" for name in row).strip() for row in image]


@pytest.mark.parametrize(
    ("bayer", "rows"),
    [
        ("RGGB", ["R  Gr", "Gb B"]),
        ("GRBG", ["Gr R", "B  Gb"]),
        ("GBRG", ["Gb B", "R  Gr"]),
        ("BGGR", ["B  Gb", "Gr R"]),
    ],
)
def test_colours_are_named_after_the_pattern(bayer, rows):
    assert [row[:5].strip() for row in colours_of(bayer)] == [*rows, *rows]


def test_colours_follow_the_raw_plane_and_not_the_trim():
    # the first pixel kept is (1, 1) of the raw plane: blue
    found = colours_of("RGGB", (5, 5), Section(1, 4, 1, 4))
    assert [row.split()[0] for row in found] == ["B", "Gr", "B"]


def test_parts_cover_every_pixel_once_in_blocks_of_any_height():
    several = plane(channels=TWO)
    for start, height in ((0, 6), (1, 4), (3, 1), (5, 1)):
        seen = np.zeros((height, 6), int)
        for part in parts_of(several, "RGGB"):
            part.of_image(start, seen)[...] += 1
        assert (seen == 1).all()


def test_raw_rows_of_parts_are_those_of_the_image():
    raw = np.arange(60, dtype=np.int16).reshape(6, 10)
    several = plane(channels=TWO)
    image = np.hstack([raw[:, 1:4], raw[:, 6:9]])
    parts = parts_of(several, "GRBG")
    assert len(parts) == 8
    found = {part.name: part.of_section(rows) for part, row, rows in raw_parts(ArrayReader(raw), parts) if row == 0}
    assert all(np.array_equal(found[part.name], part.of_image(0, image)) for part in parts)
    assert np.array_equal(found["B R"], raw[0::2, 7:9:2])


def test_text_that_is_no_pattern_divides_nothing():
    for bayer in ("", "RGB", "CYGM", "RGGB+0+1"):
        assert [part.name for part in parts_of(plane(), bayer)] == [""]


def test_level_of_several_parts_is_their_mean_and_noise_their_root_mean_square():
    parts = [Estimate(10.0, 0.3), Estimate(20.0, 0.4)]
    level = mean_level(parts)
    assert (level.value, level.error) == (15.0, pytest.approx(0.25))  # sqrt(0.09 + 0.16) / 2
    noise = mean_noise([Estimate(3.0, 0.1), Estimate(4.0, 0.1)])
    assert noise.value == pytest.approx(np.sqrt(12.5))
    assert noise.error == pytest.approx(0.5 / (2 * np.sqrt(12.5)))  # sqrt((3 x 0.1)^2 + (4 x 0.1)^2) / (n value)


def test_evened_rows_have_the_level_one_in_every_part():
    rng = np.random.default_rng(5)
    image = rng.normal(1.0, 0.01, (40, 60)).astype(np.float32)
    parts = parts_of(plane((40, 60)), "RGGB")
    for part, level in zip(parts, (100, 200, 210, 50), strict=True):
        part.of_image(0, image)[...] *= level
    reader = ArrayReader(image)
    levels = [(part.cells, flat_level(reader, part.cells)) for part in parts]
    assert [level for _, level in levels] == pytest.approx([100, 200, 210, 50], rel=5e-3)
    evened = EvenedReader(reader, levels)
    for start, height in ((0, 40), (7, 5), (39, 1)):
        rows = np.empty((height, 60), np.float32)
        evened.read(start, rows)
        expected = image[start : start + height].copy()
        for (ys, xs), level in levels:
            own = [y - start for y in range(40)[ys] if start <= y < start + height]
            expected[own, xs] *= np.float32(1 / level)
        assert np.array_equal(rows, expected)


def test_cards_of_a_master_tell_its_amplifiers():
    several = plane(channels=TWO)
    facts = tuple(
        AmplifierFacts(part, *values)
        for part, values in zip(amplifiers_of(several), ((1.5, 4.0, 1.0, None), (None, 3.75, 16.0, -0.5)), strict=True)
    )
    text = [card.decode() for card in plane_cards(facts, 3)]
    cards = {line[:8].strip(): line[10:].split("/")[0].strip().strip("'").strip() for line in text}
    assert cards["RAWHDU"] == "3"
    assert (cards["CHAN01"], cards["CHSEC02"]) == ("A", "[4:6,1:6]")
    numbers = {key: float(value) for key, value in cards.items() if key[:5] in {"EGAIN", "RDNOI", "ADSTE", "BIASL"}}
    found = amplifier_facts({**cards, **numbers}, (6, 6))
    assert [(it.part.name, it.part.place) for it in found] == [("A", Section(0, 6, 0, 3)), ("B", Section(0, 6, 3, 6))]
    assert [(it.gain_e_per_adu, it.read_noise_adu, it.step_adu, it.level_adu) for it in found] == [
        (1.5, 4.0, 1.0, None),
        (None, 3.75, 16.0, -0.5),
    ]


def test_master_of_one_amplifier_has_plain_keywords():
    facts = (AmplifierFacts(amplifiers_of(plane())[0], 1.5, 4.0),)
    assert [card[:8] for card in plane_cards(facts, None)] == [b"RDNOISEA", b"EGAIN   "]
    (found,) = amplifier_facts({"EGAIN": 1.5, "RDNOISEA": 4.0}, (6, 10))
    assert (found.gain_e_per_adu, found.read_noise_adu, found.part.place) == (1.5, 4.0, Section(0, 6, 0, 10))
