"""Overscan from raw files to product: settings and cards, medians and polynomials, corners, and where it is at odds."""

from __future__ import annotations

from contextlib import contextmanager

import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Polynomial1D
from astropy.nddata import CCDData

from ingestd.records import Kind
from tests.flow.observatory import observatory
from tests.flow.structured_frames import Amp, Bench

WITH_OVERSCAN = (Amp("A", 0, 160, 1000.0, 1.5, 6.0, 16),)
CARDS = {"EGAIN": 1.5, "RDNOISE": 6.0, "TRIMSEC": "[1:160,1:120]", "BIASSEC": "[161:176,1:120]"}


def bench(**changes):
    return Bench(WITH_OVERSCAN, **{"cards": dict(CARDS), "drift_adu": 5.0, **changes})


@contextmanager
def go(directory, camera, *, reduction=None, settings=None):
    """Let biases and a light go through the daemon."""
    cameras = [{"name": "test", "directories": [str(directory / "incoming")], **(settings or {})}]
    with observatory(directory, reduction=reduction or {}, camera=cameras) as place:
        camera.night(place.incoming, darks=0, flats=0)
        place.settle()
        yield place


def reduced(place):
    """Return the product in ADU, the raw light, and the master bias."""
    signal = fits.getdata(place.product("light0.fits")).astype(float) / 1.5
    raw = fits.getdata(place.incoming / "light0.fits").astype(float)
    (bias,) = place.masters("bias")
    return signal, raw, fits.getdata(place.data / bias["path"]).astype(float)


def by_ccdproc(raw, columns, *, model=None, keep=160):
    whole = CCDData(raw, unit="adu")
    return ccdproc.subtract_overscan(whole, overscan=whole[:, columns], median=True, model=model).data[:, :keep]


@pytest.mark.parametrize(
    ("reduction", "model"),
    [
        ({}, None),
        ({"overscan_fit": "polynomial", "overscan_degree": 2}, Polynomial1D(2, domain=(0, 119), window=(-1, 1))),
        ({"overscan_fit": "polynomial", "overscan_degree": 0}, Polynomial1D(0)),
    ],
)
def test_overscan_is_that_of_ccdproc_without_its_first_columns(tmp_path, reduction, model):
    with go(tmp_path, bench(), reduction=reduction) as place:
        signal, raw, bias = reduced(place)
        # overscan_skip_px = 5: columns 165 to 176
        expected = by_ccdproc(raw, slice(165, 176), model=model) - bias
        assert np.allclose(signal, expected, rtol=0, atol=2e-3)  # float32 of 3000 e-
        words = place.steps("light0.fits")["overscan"][1]
        degree = reduction.get("overscan_degree")
        assert words == (
            "median of the overscan of each row"
            if degree is None
            else f"polynomial of degree {degree} through the medians of the overscan of each row"
        )


def test_overscan_of_the_settings_goes_before_the_cards(tmp_path):
    with go(tmp_path, bench(), settings={"overscan_section": "[167:176,1:120]"}) as place:
        signal, raw, bias = reduced(place)
        # skip 5 of these 10 columns
        assert np.allclose(signal, by_ccdproc(raw, slice(171, 176)) - bias, rtol=0, atol=2e-3)


def test_overscan_a_row_short_is_that_of_all_rows(tmp_path):
    camera = bench(cards={**CARDS, "BIASSEC": "[161:176,1:119]"})
    with go(tmp_path, camera) as place:
        signal, raw, bias = reduced(place)
        assert np.allclose(signal, by_ccdproc(raw, slice(165, 176)) - bias, rtol=0, atol=2e-3)
        frame = place.catalogue.frame(place.frame("light0.fits")["frame_id"])
        assert any("1 row(s) short" in note for note in frame.notes)


def test_overscan_of_a_corner_is_one_level_for_all_rows(tmp_path):
    camera = bench(cards={**CARDS, "BIASSEC": "[161:176,91:120]", "TRIMSEC": "[1:160,1:120]"})
    with go(tmp_path, camera) as place:
        signal, raw, bias = reduced(place)
        level = np.median(raw[90:120, 165:176])
        assert np.allclose(signal, raw[:, :160] - level - bias, rtol=0, atol=2e-3)
        assert place.steps("light0.fits")["overscan"][1] == "median of the overscan, one level for all rows"


def test_drift_of_the_level_is_followed(tmp_path):
    """The level drifts by 5 ADU from frame to frame: without overscan that is in the product."""
    with go(tmp_path / "with", bench(seed=4)) as place:
        signal, _, _ = reduced(place)
        # sky of 3000 e- and 30 e- of dark; the level of a row is known to 1.25 x 4 / sqrt(11) = 1.5 ADU, of 120: 0.14
        assert signal.mean() == pytest.approx(2020, abs=1.5)
        levels = [row for row in place.qa("overscan_level_adu") if row["kind"] == "light"]
        (raw,) = [fits.getdata(place.incoming / "light0.fits")]
        assert [row["value"] for row in levels] == [pytest.approx(np.median(raw[:, 165:]), abs=0.5)]
        assert place.steps("light0.fits")["overscan"][1] == "median of the overscan of each row"


def test_overscan_at_odds_with_the_bias_is_said(tmp_path):
    with go(tmp_path, bench(overscan_offset_adu=-20.0)) as place:
        signal, _, bias = reduced(place)
        assert bias.mean() == pytest.approx(20.0, abs=1.0)
        assert signal.mean() == pytest.approx(2020, abs=1.5), "the master bias holds the difference: nothing is lost"
        words = place.steps("light0.fits")["overscan"][1]
        assert "the bias lies +2" in words or "the bias lies +19" in words
        assert "ADU from its overscan, read noise 4." in words or "read noise 3.9" in words
        doubts = [row for row in place.catalogue.events() if row["event"] == "doubtful"]
        assert ["from their overscan" in row["detail"] for row in doubts] == [True]
        assert doubts[0]["subject"] == "master bias of night 2025-03-01"


def test_overscan_in_line_with_the_bias_is_not_remarked_on(tmp_path):
    with go(tmp_path, bench(overscan_offset_adu=-1.0)) as place:
        assert place.steps("light0.fits")["overscan"][1] == "median of the overscan of each row"
        assert "doubtful" not in place.events()


def test_level_that_drifted_is_said_where_the_overscan_is_not_used(tmp_path):
    with observatory(tmp_path, reduction={"overscan": False}) as place:
        camera = bench(drift_adu=0.0)
        camera.night(place.incoming, darks=0, flats=0, lights=0)
        camera.amps = (Amp("A", 0, 160, 1030.0, 1.5, 6.0, 16),)
        camera.write_single(place.incoming / "light0.fits", Kind.LIGHT, 60.0, 3000.0)
        place.settle()
        status, words = place.steps("light0.fits")["overscan"]
        assert status == "not needed"
        assert words.startswith("reduction.overscan is false; the overscan of this frame lies +")
        assert "from the master bias, read noise" in words
