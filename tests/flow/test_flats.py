"""Dome and twilight flats of one night, from labels to a master: what is taken, what is joined, what is said."""

from dataclasses import replace

import numpy as np
import pytest

from ingestd.flow.verifying import verify
from ingestd.records import Kind
from ingestd.simulator import Sky
from tests.flow.observatory import CAMERA, SENSOR, header, observatory, signal, write_night, write_shot

LAMP = (0.06, -0.04)
LEVEL_ADU = 22_000.0
MEMBERS = 5
UNEVEN = replace(CAMERA, sensor=replace(SENSOR, seed=5), lamp=LAMP, sky=Sky(stars=400.0, cosmics_per_s=0.0))
PIXEL_NOISE = 1 / np.sqrt(MEMBERS * LEVEL_ADU * SENSOR.gain_e_per_adu)
"""Of a master: 0.25 % at the centre."""

BINS = 16


def camera(directory, flats):
    return [{"name": "test", "directories": [str(directory / "incoming")], "flats": flats}]


def write_flats(place, light, number=MEMBERS, first=100, hours=19.0):
    for index in range(number):
        write_shot(
            place.incoming,
            Kind.FLAT,
            first + index,
            camera=UNEVEN,
            exposure_s=5.0,
            hours=hours + index / 60,
            level_adu=LEVEL_ADU * (1 + 0.02 * index),
            label=light,
        )


def master_flat(directory, flats, *lights):
    """Return the current master flats of a night with dome (or other) flats as asked for, and the events."""
    with observatory(directory, camera=camera(directory, flats)) as place:
        write_night(place.incoming, camera=UNEVEN, flats=0, lights=0)
        for number, light in enumerate(lights):
            write_flats(place, light, first=100 * (number + 1), hours=19.0 + number)
        place.settle()
        rows = place.masters("flat")
        events = [row["detail"] for row in place.catalogue.events()]
        return [(place.data / row["path"], row["members"]) for row in rows], events


def unevenness(path):
    """Return the largest deviation of a master from the true flat in bins of 16 x 16 pixels."""
    ratio = signal(path) / UNEVEN.sensor.flat("V")
    ny, nx = ratio.shape
    bins = ratio.reshape(ny // BINS, BINS, nx // BINS, BINS).mean(axis=(1, 3))
    return float(np.abs(bins / np.median(bins) - 1).max())


# A bin of 256 pixels scatters by PIXEL_NOISE / 16 times 1.2 (fainter corners); the cubic from two masters adds
# sqrt(2) 1.2533 PIXEL_NOISE sqrt(4 * 10 / 12 288) in a corner. Of 48 bins none is beyond five of both.
TOLERANCE = 5 * PIXEL_NOISE * np.hypot(1.2 / BINS, np.sqrt(2) * 1.2533 * np.sqrt(40 / 12_288))


def test_dome_and_twilight_combined_are_the_true_flat(tmp_path):
    ((path, members),), _ = master_flat(tmp_path, "combined", "domeflat", "skyflat")
    assert members == 2 * MEMBERS
    assert header(path)["FLATLITE"] == "dome and twilight"
    assert TOLERANCE < 0.003
    assert unevenness(path) < TOLERANCE
    ratio = signal(path) / UNEVEN.sensor.flat("V")
    # pixels are those of the dome alone: mean of sqrt of the vignetted light 0.9: 1.06 times the noise at the centre
    assert ratio.std() == pytest.approx(1.06 * PIXEL_NOISE, rel=0.1)
    centre = signal(path)[24:72, 32:96]
    assert np.median(centre) == pytest.approx(1, abs=5 * PIXEL_NOISE * 1.2533 / np.sqrt(centre.size) + 1e-6)


@pytest.mark.parametrize("normalise", ["median", "mode"])
def test_dome_and_twilight_combined_are_the_flat_of_the_reference(tmp_path, normalise):
    keys = {"camera": camera(tmp_path, "combined"), "masters": {"flat_normalise": normalise}}
    with observatory(tmp_path, **keys) as place:
        write_night(place.incoming, camera=UNEVEN, flats=0, lights=0)
        for number, light in enumerate(("domeflat", "skyflat")):
            write_flats(place, light, first=100 * (number + 1), hours=19.0 + number)
        place.settle()
        (flat,) = [it for it in place.catalogue.current_results() if "/flat/" in it.path]
        verified = verify(place.catalogue, place.settings, flat, reference=True)
    (found,) = verified.against
    # No pixel is dead or clipped: what is left is the rounding of some twenty steps of float32 to 2**-24 each.
    assert found.largest < 20 * 2.0**-24


def test_dome_alone_has_the_light_of_its_lamp(tmp_path):
    ((path, members),), _ = master_flat(tmp_path, "dome", "domeflat", "skyflat")
    assert (members, header(path)["FLATLITE"]) == (MEMBERS, "dome")
    assert unevenness(path) > 0.08  # a corner of the lamp: 6 % and 4 %, the centre of the last bin 0.9 of the way


def test_twilight_alone_is_free_of_its_stars(tmp_path):
    ((path, members),), _ = master_flat(tmp_path, "twilight", "domeflat", "skyflat")
    assert (members, header(path)["FLATLITE"]) == (MEMBERS, "twilight")
    # clipping five samples at 5 sigma leaves what of a star is below some ten sigma of the noise of one frame: the
    # wings. Their mean over a bin is less than the scatter of a pixel of the master.
    assert unevenness(path) < PIXEL_NOISE + TOLERANCE


def test_any_flats_make_one_master_unless_told_otherwise(tmp_path):
    ((path, members),), _ = master_flat(tmp_path, "any", "domeflat", "skyflat")
    assert members == 2 * MEMBERS
    assert "FLATLITE" not in header(path)


@pytest.mark.parametrize(
    ("present", "word", "missing"), [("flat", "dome", "twilight"), ("skyflat", "twilight", "dome")]
)
def test_without_one_light_the_other_stands_alone_and_it_is_said(tmp_path, present, word, missing):
    ((path, members),), events = master_flat(tmp_path, "combined", present)
    assert (members, header(path)["FLATLITE"]) == (MEMBERS, word)
    assert [text for text in events if f"no {missing} flats within the window: made of {word} flats alone" in text]


def test_the_master_does_not_depend_on_which_light_came_first(tmp_path):
    results = []
    for folder, order in (("a", ("domeflat", "skyflat")), ("b", ("skyflat", "domeflat"))):
        directory = tmp_path / folder
        with observatory(directory, camera=camera(directory, "combined")) as place:
            write_night(place.incoming, camera=UNEVEN, flats=0, lights=0)
            for light in order:
                write_flats(place, light, first=100 if light == "domeflat" else 200, hours=19.0 + (light == "skyflat"))
                place.settle()
            results.append(place.result())
    assert results[0] == results[1]
