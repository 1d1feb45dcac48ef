"""Several amplifiers, in one image and as extensions: from raw files to product, each with its own electronics."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from astropy.io import fits

from ingestd.flow import verifying
from ingestd.records import Kind
from tests.flow.observatory import observatory
from tests.flow.structured_frames import SHAPE, TWO, Bench

AMPLIFIERS = [
    {"section": "[1:80,1:120]", "overscan": "[81:96,1:120]", "gain_e_per_adu": 1.5, "read_noise_e": 6.0, "name": "A"},
    {
        "section": "[113:192,1:120]",
        "overscan": "[97:112,1:120]",
        "gain_e_per_adu": 2.4,
        "read_noise_e": 9.0,
        "name": "B",
    },
]
ELECTRONICS = {"GAINA": 1.5, "GAINB": 2.4, "RDNOISEA": 6.0, "RDNOISEB": 9.0}


def camera(directory, **settings):
    return [{"name": "test", "directories": [str(directory / "incoming")], **settings}]


@contextmanager
def one_night(directory, bench, write="write_single", **settings):
    """Let a night of the bench go through the daemon."""
    with observatory(directory, camera=camera(directory, **settings)) as place:
        bench.night(place.incoming, write)
        place.settle()
        yield place


@pytest.fixture(scope="module")
def by_cards(tmp_path_factory):
    """A night of a camera whose cards tell sections, gains and read noises of two amplifiers in one image."""
    with one_night(tmp_path_factory.mktemp("cards"), Bench(drift_adu=5.0, cards=ELECTRONICS)) as place:
        yield place


def figures(place, metric, kind):
    return {row["channel"]: row for row in place.qa(metric) if row["kind"] == kind and row["frame_id"] is None}


def test_product_is_the_image_without_what_lies_between_the_amplifiers(by_cards):
    with fits.open(by_cards.product("light0.fits")) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "UNCERT", "MASK"]
        assert hdus[0].data.shape == SHAPE
        assert hdus[0].header["BUNIT"] == "electron"
        assert (hdus[0].header["CHAN01"], hdus[0].header["CHSEC02"]) == ("A", "[81:160,1:120]")
        assert (hdus[0].header["EGAIN01"], hdus[0].header["EGAIN02"]) == (1.5, 2.4)
        assert "EGAIN" not in hdus[0].header
        assert "DATASECA" not in hdus[0].header


def test_both_amplifiers_show_the_same_sky_in_electrons(by_cards):
    signal = fits.getdata(by_cards.product("light0.fits")).astype(float)
    left, right = signal[:, :80], signal[:, 80:]
    # 3000 e- times the mean of the flat over its centre, which is 1; noise of a pixel about 58 e-, 9600 pixels each:
    # 0.6 e-; the flats' level is known to 1.25 sqrt(20000) / sqrt(2400) / 20000 = 0.02 %: 0.5 e-
    assert left.mean() == pytest.approx(3000, abs=6)
    assert right.mean() == pytest.approx(3000, abs=6)
    assert abs(signal[:, 78:80].mean() - signal[:, 80:82].mean()) < 5 * 58 * np.sqrt(2 / 240)


def test_uncertainty_is_that_of_each_amplifier(by_cards):
    product = by_cards.product("light0.fits")
    truth = Bench(cards=ELECTRONICS).flat()
    pull = (fits.getdata(product) - 3000.0) / fits.getdata(product, "UNCERT")
    for columns in (np.s_[:80], np.s_[80:]):
        # standard deviation of 9600 pulls: 1 +- 1 / sqrt(2 x 9600) = 0.7 %; the correlated masters add a few percent
        assert pull[:, columns].std() == pytest.approx(1.0, abs=0.06)
    uncertainty = fits.getdata(product, "UNCERT")
    for x, amp in ((10, TWO[0]), (150, TWO[1])):
        light = 3000 * truth[:, x].mean()
        # sqrt(light + 30 e- of dark + read noise^2) / flat, and a few percent from bias, dark and flat
        expected = np.sqrt(light + 30 + amp.noise_e**2) / truth[:, x].mean()
        assert uncertainty[:, x].mean() == pytest.approx(expected, rel=0.04)


def test_bias_level_and_read_noise_are_measured_for_each_amplifier(by_cards):
    levels = figures(by_cards, "bias_level_adu", "bias")
    assert set(levels) == {"", "A", "B"}
    # the overscan was subtracted: what remains is the pattern, 3 ADU / sqrt(9600) = 0.03 ADU
    assert levels["A"]["value"] == pytest.approx(0.0, abs=0.25)
    assert levels["B"]["value"] == pytest.approx(0.0, abs=0.25)
    noise = figures(by_cards, "read_noise_electrons", "bias")
    # 5 biases of 9600 pixels: 6 / 2 sqrt(3 / (5 x 9600)) = 0.4 %
    assert noise["A"]["value"] == pytest.approx(6.0, rel=0.03)
    assert noise["B"]["value"] == pytest.approx(9.0, rel=0.03)
    assert noise[""]["value"] == pytest.approx(np.sqrt((36 + 81) / 2), rel=0.03)
    frames = [row for row in by_cards.qa("overscan_level_adu") if row["kind"] == "bias"]
    assert {row["channel"] for row in frames} == {"", "A", "B"}
    assert np.mean([row["value"] for row in frames if row["channel"] == "B"]) == pytest.approx(1400, abs=10)


def test_gain_dark_rate_and_sky_are_measured_for_each_amplifier(by_cards):
    gains = figures(by_cards, "gain_electrons_per_adu", "flat")
    assert gains["A"]["value"] == pytest.approx(1.5, abs=5 * gains["A"]["error"])
    assert gains["B"]["value"] == pytest.approx(2.4, abs=5 * gains["B"]["error"])
    assert gains["A"]["error"] < 0.1
    rates = figures(by_cards, "dark_rate_electrons_per_second", "dark")
    assert rates["A"]["value"] == pytest.approx(0.5, abs=0.05)
    assert rates["B"]["value"] == pytest.approx(0.5, abs=0.05)
    sky = {row["channel"]: row["value"] for row in by_cards.qa("sky_level_electrons")}
    assert sky["A"] == pytest.approx(3000, abs=10)
    assert sky["B"] == pytest.approx(3000, abs=10)
    assert sky[""] == pytest.approx((sky["A"] + sky["B"]) / 2)


def test_steps_say_what_was_done(by_cards):
    steps = by_cards.steps("light0.fits")
    assert steps["overscan"] == ("applied", "median of the overscan of each row")
    assert steps["trim"] == ("applied", "2 amplifiers put together to 160 x 120 pixels")
    assert steps["gain"][1].startswith("1.5, 2.4 e-/adu")


def test_amplifiers_of_the_settings_give_the_same_product_as_those_of_cards(by_cards, tmp_path):
    with one_night(tmp_path, Bench(drift_adu=5.0), amplifiers=AMPLIFIERS) as place:
        for name in (0, "UNCERT", "MASK"):
            ours = fits.getdata(place.product("light0.fits"), name)
            assert np.array_equal(ours, fits.getdata(by_cards.product("light0.fits"), name))


def test_without_any_gain_the_flat_evens_the_amplifiers_out(tmp_path):
    with one_night(tmp_path, Bench()) as place, fits.open(place.product("light0.fits")) as hdus:
        assert hdus[0].header["BUNIT"] == "adu"
        signal = hdus[0].data.astype(float)
    # mean over the members of the levels in ADU: 20000 / 1.5 and 20000 / 2.4 with the sensitivities 0.9 and 1.1
    left, right = 3000 * 0.9 / 1.5, 3000 * 1.1 / 2.4
    assert signal[:, :80].mean() == pytest.approx((left + right) / 2, rel=5e-3)
    assert signal[:, 80:].mean() == pytest.approx((left + right) / 2, rel=5e-3)


def test_gains_of_earlier_nights_serve_where_nothing_tells_them(tmp_path):
    with observatory(tmp_path, camera=camera(tmp_path)) as place:
        bench = Bench()
        for day in range(3):
            bench.cards = {"DATE-OBS": f"2025-03-0{day + 1}T20:{day:02d}:00"}
            for n in range(4):
                bench.cards["DATE-OBS"] = f"2025-03-0{day + 1}T20:{n:02d}:00"
                bench.write_single(place.incoming / f"bias{day}{n}.fits", Kind.BIAS)
                bench.cards["DATE-OBS"] = f"2025-03-0{day + 1}T21:{n:02d}:00"
                bench.write_single(place.incoming / f"flat{day}{n}.fits", Kind.FLAT, 2.0, 20_000.0)
        bench.cards["DATE-OBS"] = "2025-03-04T22:00:00"
        bench.write_single(place.incoming / "light.fits", Kind.LIGHT, 60.0, 3000.0)
        place.now = place.now.replace(day=5)
        place.settle()
        product = place.product("light.fits")
        measured = {row["channel"]: row["value"] for row in figures_of_all(place)}
    cards = fits.getheader(product)
    assert cards["BUNIT"] == "electron"
    assert cards["EGAIN01"] == pytest.approx(measured["A"], rel=0.05)
    signal = fits.getdata(product).astype(float)
    # dark of 30 e- is part of it; the flats were compared in ADU: one factor for all, the median of the two gains
    expected = (
        (3000 * 0.9 / 1.5 + 3000 * 1.1 / 2.4 + 30 / 1.5 + 30 / 2.4) / 2 * (cards["EGAIN01"] + cards["EGAIN02"]) / 2
    )
    assert signal[:, :80].mean() == pytest.approx(signal[:, 80:].mean(), rel=5e-3)
    assert signal.mean() == pytest.approx(expected, rel=5e-3)


def figures_of_all(place):
    return [row for row in place.qa("gain_electrons_per_adu") if row["channel"]]


# --- extensions -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    """A night of a camera that writes each amplifier as an extension."""
    with one_night(tmp_path_factory.mktemp("mosaic"), Bench(drift_adu=5.0), "write_mosaic") as place:
        yield place


def test_mosaic_goes_from_raw_files_to_masters_and_product(mosaic):
    product = mosaic.product("light0.fits")
    with fits.open(product) as hdus:
        names = [f"{what}_{number}" for number in (1, 2) for what in ("SCI", "UNCERT", "MASK")]
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *names]
        assert [hdus[f"SCI_{number}"].header["EGAIN"] for number in (1, 2)] == [1.5, 2.4]
        assert "EGAIN" not in hdus[0].header
        for number in (1, 2):
            assert hdus[f"SCI_{number}"].data.shape == (120, 80)
            assert hdus[f"SCI_{number}"].data.mean() == pytest.approx(3000, abs=6)
    for row in mosaic.masters():
        with fits.open(mosaic.data / row["path"]) as hdus:
            assert {"SCI_1", "UNCERT_1", "MASK_1", "SCI_2", "UNCERT_2", "MASK_2"} < {hdu.name for hdu in hdus}
            assert [hdus[f"SCI_{number}"].header["RAWHDU"] for number in (1, 2)] == [1, 2]


def test_mosaic_with_one_unknown_gain_stays_in_adu(tmp_path):
    with observatory(tmp_path) as place:
        camera = Bench()
        for n in range(3):
            camera.write_mosaic(place.incoming / f"bias{n}.fits", Kind.BIAS)
        path = camera.write_mosaic(place.data / "light.fits", Kind.LIGHT, 60.0, 3000.0)
        with fits.open(path, mode="update") as hdus:
            del hdus[2].header["EGAIN"]
        path.rename(place.incoming / path.name)
        place.settle()
        with fits.open(place.product("light.fits")) as hdus:
            assert [hdus[f"SCI_{number}"].header["BUNIT"] for number in (1, 2)] == ["adu", "adu"]
            assert "UNCERT_1" not in [hdu.name for hdu in hdus]


def test_figures_of_a_mosaic_have_the_number_of_their_hdu(mosaic):
    for metric, kind, expected in (
        ("read_noise_electrons", "bias", {1: 6.0, 2: 9.0}),
        ("gain_electrons_per_adu", "flat", {1: 1.5, 2: 2.4}),
        ("dark_rate_electrons_per_second", "dark", {1: 0.5, 2: 0.5}),
    ):
        found = {row["plane"]: row["value"] for row in mosaic.qa(metric) if row["kind"] == kind}
        assert found == {plane: pytest.approx(value, rel=0.1) for plane, value in expected.items()}
        assert {row["channel"] for row in mosaic.qa(metric)} == {""}


def test_mosaic_and_single_image_of_the_same_charge_are_the_same_image(mosaic, by_cards):
    whole = fits.getdata(by_cards.product("light0.fits"))
    with fits.open(mosaic.product("light0.fits")) as hdus:
        halves = np.hstack([hdus["SCI_1"].data, hdus["SCI_2"].data])
    # members are summed in the order of their hashes: float32 of 3000 e-
    assert np.allclose(halves, whole, rtol=1e-6, atol=0)


# --- the same again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", ["write_single", "write_mosaic"])
def test_masters_and_products_are_made_again_byte_for_byte(tmp_path, write):
    with one_night(tmp_path, Bench(drift_adu=5.0, cards=ELECTRONICS), write) as place:
        names = [row["path"] for row in place.masters()] + [str(place.product("light0.fits"))]
        found = [verifying.find(place.catalogue, place.settings, str(place.data / name)) for name in names]
        verdicts = [verifying.verify(place.catalogue, place.settings, result) for (result,) in found]
    assert [verdict.status for verdict in verdicts] == ["same"] * 4
