"""What stands in a product: the arithmetic on its pixels, what its header says, its links, and how long it is kept."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from ingestd import simulator
from ingestd.flow.verifying import verify
from ingestd.records import Kind, MaskBit
from tests.flow.observatory import CAMERA, header, observatory, sha256, signal, with_cards, write_night, write_shot

LIGHT = "light.fit"
OVERSCAN = replace(CAMERA, sensor=replace(CAMERA.sensor, overscan_px=24, bias_drift_adu=5.0))


def write_light(place, index=1, name=LIGHT, **more):
    return write_shot(place.incoming, Kind.LIGHT, index, exposure_s=60.0, hours=20.5, name=name, **more)


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


@pytest.fixture
def reduced(place):
    """A frame reduced with bias, scaled dark and flat."""
    write_light(place)
    write_night(place.incoming, lights=0)
    place.settle()
    return place


def master(place, name, kind):
    return place.data / place.used(name)[kind]["path"]


# --- arithmetic -------------------------------------------------------------------------------------------------------


def test_signal_is_raw_minus_bias_minus_scaled_dark_over_flat_in_electrons(reduced):
    raw = signal(reduced.incoming / LIGHT)
    bias, dark, flat = (signal(master(reduced, LIGHT, kind)) for kind in ("bias", "dark", "flat"))
    expected = (raw - bias - 60 / 120 * (dark - bias)) / flat * CAMERA.sensor.gain_e_per_adu
    # float32 arithmetic on values up to 65535: relative 6e-8 at each of five steps
    assert np.allclose(signal(reduced.product(LIGHT)), expected, rtol=1e-6, atol=0.05)


def test_signal_with_an_exact_dark_is_raw_minus_dark_over_flat(reduced):
    write_night(reduced.incoming, biases=0, evening_darks=0, flats=0, lights=0, dawn_darks=3)
    reduced.settle()
    raw = signal(reduced.incoming / LIGHT)
    dark, flat = (signal(master(reduced, LIGHT, kind)) for kind in ("dark", "flat"))
    expected = (raw - dark) / flat * CAMERA.sensor.gain_e_per_adu
    assert np.allclose(signal(reduced.product(LIGHT)), expected, rtol=1e-6, atol=0.05)


def test_uncertainty_is_photon_noise_read_noise_and_that_of_the_masters(reduced):
    raw = signal(reduced.incoming / LIGHT)
    paths = {kind: master(reduced, LIGHT, kind) for kind in ("bias", "dark", "flat")}
    bias, dark, flat = (signal(paths[kind]) for kind in paths)
    bias_error, dark_error, flat_error = (
        np.nan_to_num(fits.getdata(paths[kind], "UNCERT").astype(float)) for kind in paths
    )
    gain, ratio = CAMERA.sensor.gain_e_per_adu, 60 / 120
    read_noise_adu = header(paths["bias"])["RDNOISEA"]
    variance = np.maximum(raw - bias, 0) / gain + read_noise_adu**2 + 1 / 12  # the converter rounds to 1 ADU
    variance += ((1 - ratio) * bias_error) ** 2 + (ratio * dark_error) ** 2
    light = (raw - bias - ratio * (dark - bias)) / flat
    expected = gain * np.sqrt(variance / flat**2 + (light * flat_error / flat) ** 2)
    found = fits.getdata(reduced.product(LIGHT), "UNCERT")
    assert np.allclose(found, expected, rtol=1e-6)


def test_read_noise_of_the_master_bias_is_that_of_the_sensor(tmp_path):
    with observatory(tmp_path) as place:
        write_night(place.incoming, biases=9, lights=0, flats=0, evening_darks=0)
        place.settle()
        (row,) = place.qa("read_noise_electrons")
        # 8 independent differences of 12,288 pixels: relative error 1 / sqrt(2 * 8 * 12288) = 0.23 %, five of them
        assert row["value"] == pytest.approx(7.5, rel=5 / math.sqrt(2 * 8 * 12_288))


def test_error_of_a_master_of_five_frames_is_moderated_in_its_file(tmp_path):
    """One per cent of the scatters of 5 frames are below 0.27 sigma; with v as ten frames more, below 0.86."""
    with observatory(tmp_path) as place:
        write_night(place.incoming, biases=5, evening_darks=5, flats=5, lights=0)
        place.settle()
        sensor = CAMERA.sensor
        levels = {"bias": 0.0, "dark": float(np.median(sensor.dark(CAMERA.set_temp_c))) * 120.0}
        for kind, charge_e in levels.items():
            (path,) = place.data.glob(f"masters/*/{kind}/*.fits")
            variance = (sensor.read_noise_e**2 + charge_e) / sensor.gain_e_per_adu**2 + 1 / 12
            # v is known from 192 pixels of a box to 5 %, and dark current is not the same everywhere
            error = fits.getdata(path, "UNCERT") / math.sqrt(variance / 5)
            assert np.percentile(error, 1) == pytest.approx(0.86, abs=0.08), kind
            assert np.median(error) == pytest.approx(1.0, abs=0.07), kind
            assert "moderated" in str(header(path)["HISTORY"])
        (path,) = place.data.glob("masters/*/flat/*.fits")
        error = fits.getdata(path, "UNCERT")[24:-24, 32:-32].astype(float)
        assert np.percentile(error, 1) > 0.7 * np.median(error)


def test_master_of_a_coarse_converter_is_a_mean_with_an_error(tmp_path):
    """Seven biases with a noise of 0.4 ADU: in most pixels the MAD is 0, and the median alone would be kept."""
    coarse = replace(CAMERA, sensor=replace(CAMERA.sensor, gain_e_per_adu=5.0, read_noise_e=2.0, bias_drift_adu=0.0))
    with observatory(tmp_path) as place:
        write_night(place.incoming, camera=coarse, biases=7, lights=0, flats=0, evening_darks=0)
        place.settle()
        (path,) = place.data.glob("masters/*/bias/*.fits")
        noise = math.hypot(0.4, 1 / math.sqrt(12)) / math.sqrt(7)
        found = signal(path) - coarse.sensor.bias()
        # the structure of the bias spreads the phases of the rounding evenly
        assert found.std() == pytest.approx(noise, rel=0.05)
        error = fits.getdata(path, "UNCERT").astype(float)
        assert math.sqrt((error**2).mean()) == pytest.approx(noise, rel=0.05)
        (result,) = place.catalogue.current_results()
        (against,) = verify(place.catalogue, place.settings, result, reference=True).against
        assert against.largest < 1e-3


def test_a_saturated_pixel_is_masked(place):
    bright = replace(CAMERA, sensor=replace(CAMERA.sensor, full_well_e=1e9), sky=simulator.Sky(sky_e_per_s=3000.0))
    write_light(place, camera=bright)
    place.settle()
    raw = signal(place.incoming / LIGHT)
    mask = fits.getdata(place.product(LIGHT), "MASK")
    assert (raw == 65535).any()
    assert np.array_equal((mask & MaskBit.SATURATED) > 0, raw == 65535)


def test_overscan_takes_the_drift_of_the_level_away(tmp_path):
    with observatory(tmp_path, masters={kind: {"minimum": 3} for kind in ("bias",)}) as place:
        write_night(place.incoming, camera=OVERSCAN)
        place.settle()
        light = place.light()
        product = place.data / light["product"]
        assert place.steps(Path(light["path"]).name)["overscan"][0] == "applied"
        # sky of 2 e-/s through V (0.8) for 60 s; a drift of 5 ADU would be 7.5 e-; stars lie above the median
        assert np.median(signal(product)) == pytest.approx(2.0 * 0.8 * 60, abs=3.0)
        assert signal(product).shape == CAMERA.sensor.shape


def test_without_gain_a_product_is_in_adu_and_has_no_uncertainty(place):
    write_light(place, camera=replace(CAMERA, tells_gain=False))
    place.settle()
    path = place.product(LIGHT)
    assert header(path)["BUNIT"] == "adu"
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK"]
    status, why = place.steps(LIGHT)["uncertainty"]
    assert (status, why) == ("skipped", "gain unknown")


# --- what a reader finds ----------------------------------------------------------------------------------------------


def test_astropy_reads_a_product_with_uncertainty_and_mask(reduced):
    ccd = CCDData.read(reduced.product(LIGHT))
    assert ccd.unit == "electron"
    assert isinstance(ccd.uncertainty, StdDevUncertainty)
    assert ccd.uncertainty.array.shape == ccd.mask.shape == ccd.data.shape == CAMERA.sensor.shape


def test_astropy_reads_a_master_with_uncertainty_and_mask(reduced):
    for row in reduced.masters():
        ccd = CCDData.read(reduced.data / row["path"], unit=None if row["kind"] != "flat" else "")
        assert ccd.uncertainty is not None
        assert ccd.mask is not None


def test_the_header_names_every_master_with_hash_age_temperature_and_exposure_ratio(reduced):
    cards = header(reduced.product(LIGHT))
    used = reduced.used(LIGHT)
    assert set(used) == {"bias", "dark", "flat"}
    for kind, row in used.items():
        path, prefix = reduced.data / row["path"], kind.upper()
        assert cards[f"{prefix}MST"] == path.name
        assert cards[f"{prefix}SHA"] == row["sha256"] == sha256(path)
        assert cards[f"{prefix}AGE"] == pytest.approx(row["age_h"], abs=1e-3)
        assert cards[f"{prefix}DT"] == pytest.approx(row["delta_temp_c"], abs=1e-3)
    assert cards["DARKRAT"] == pytest.approx(60 / 120)
    # the last bias began at 17:30:16, the frame at 20:30
    assert cards["BIASAGE"] == pytest.approx(3 - 16 / 3600, abs=1e-3)


def test_a_master_names_every_member_and_parent(reduced):
    (flat,) = reduced.masters("flat")
    cards = header(reduced.data / flat["path"])
    members = {row["frame_id"] for row in reduced.frames(kind="flat")}
    assert {cards[f"MEMB{number:04d}"] for number in range(1, 4)} == members
    parents = {cards[f"PAR{number:05d}"] for number in range(1, 3)}
    made_with = [row for kind in ("bias", "dark") for row in reduced.masters(kind)]
    assert parents == {f"{row['kind']} {row['sha256']}" for row in made_with}


def test_cards_of_the_raw_frame_are_copied_but_those_that_hold_no_longer(place):
    path = write_light(place, camera=OVERSCAN)
    with_cards(path, OBSERVER="Hypatia", CHECKSUM="nonsense", CTYPE1="RA---TAN")
    place.settle()
    cards = header(place.product(LIGHT))
    assert cards["OBSERVER"] == "Hypatia"
    assert cards["CTYPE1"] == "RA---TAN"
    for keyword in ("BIASSEC", "TRIMSEC", "DATASEC", "BZERO", "BSCALE", "CHECKSUM", "DATASUM"):
        assert keyword not in cards


def test_reference_pixels_of_every_wcs_follow_the_trim(place):
    path = write_light(place, camera=OVERSCAN)
    with_cards(
        path, TRIMSEC="[5:128,3:96]", DATASEC="[5:128,3:96]", CRPIX1=64.5, CRPIX2=48.25, CRPIX1A=10.0, CRVAL1=250.4
    )
    place.settle()
    cards = header(place.product(LIGHT))
    assert (cards["NAXIS1"], cards["NAXIS2"]) == (124, 94)
    # TRIMSEC [5:128,3:96] drops 4 columns and 2 rows
    assert (cards["CRPIX1"], cards["CRPIX2"], cards["CRPIX1A"]) == (60.5, 46.25, 6.0)
    assert cards["CRVAL1"] == 250.4


def test_a_product_holds_no_clock_and_no_path(tmp_path):
    results = []
    for name in ("here", "elsewhere"):
        with observatory(tmp_path / name) as place:
            place.now = place.now.replace(year=2025 + len(results))
            write_light(place)
            write_night(place.incoming, lights=0)
            place.settle()
            results.append(place.result())
    assert results[0] == results[1]


# --- several planes ---------------------------------------------------------------------------------------------------


def write_mosaic(place, kind, index, name):
    """Write a frame as a file of two image extensions, the type in the primary header."""
    path = write_shot(
        place.incoming,
        kind,
        index,
        exposure_s=60.0 if kind == Kind.LIGHT else 0.0,
        hours=18 + 0.01 * index,
        name=name,
    )
    with fits.open(path, memmap=False) as hdus:
        pixels, cards = hdus[0].data.copy(), hdus[0].header.copy()
    primary = fits.PrimaryHDU()
    for keyword in ("DATE-OBS", "EXPTIME", "CCD-TEMP", "FILTER", "IMAGETYP", "INSTRUME", "OBJECT", "READOUTM"):
        if keyword in cards:
            primary.header[keyword] = cards[keyword]
    halves = [fits.ImageHDU(half, name=f"CHIP{number}") for number, half in enumerate(np.split(pixels, 2), 1)]
    fits.HDUList([primary, *halves]).writeto(path, overwrite=True)
    return path


def test_each_plane_of_a_mosaic_gets_its_own_bias(place):
    for number in range(3):
        write_mosaic(place, Kind.BIAS, number, f"bias{number}.fits")
    write_mosaic(place, Kind.LIGHT, 9, "light.fits")
    place.settle()
    product = place.product("light.fits")
    bias = master(place, "light.fits", "bias")
    for number in (1, 2):
        raw = fits.getdata(place.incoming / "light.fits", number).astype(float)
        expected = raw - fits.getdata(bias, f"SCI_{number}")
        assert np.allclose(fits.getdata(product, f"SCI_{number}"), expected, rtol=0, atol=0.01)
    with fits.open(product) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI_1", "MASK_1", "SCI_2", "MASK_2"]


# --- links and retention ----------------------------------------------------------------------------------------------


def link_of(place, name):
    frame = place.frame(name)
    stem = Path(name).stem
    return place.data / "current" / "test" / frame["night"] / f"{stem}_{frame['frame_id'][:8]}.fits"


def test_the_stable_link_points_to_the_current_product(place):
    write_light(place)
    place.settle()
    link = link_of(place, LIGHT)
    first = place.product(LIGHT)
    assert link.resolve() == first.resolve()
    assert not link.readlink().is_absolute()
    write_night(place.incoming, lights=0)
    place.settle()
    assert place.product(LIGHT) != first
    assert link.resolve() == place.product(LIGHT).resolve()


def test_a_renamed_frame_has_one_stable_link(place):
    path = write_light(place)
    place.settle()
    former = link_of(place, LIGHT)
    path.rename(path.with_name("renamed.fit"))
    place.settle()
    write_night(place.incoming, lights=0)
    place.settle()
    assert place.light()["state"] == "done"
    assert link_of(place, "renamed.fit").resolve() == place.product("renamed.fit").resolve()
    assert not former.is_symlink()


def test_a_start_puts_links_right_and_removes_what_was_never_recorded(tmp_path):
    with observatory(tmp_path) as place:
        write_light(place)
        place.settle()
        link, product = link_of(place, LIGHT), place.product(LIGHT)
    link.unlink()
    stray = link.with_name("stray_01234567.fits")
    stray.symlink_to("nowhere")
    leftovers = [
        product.with_name(".ingestd-12345-1.tmp"),
        product.with_name("never_recorded_89abcdef.fits"),
        tmp_path / "data" / "masters" / "test" / "bias" / "2025-03-01_89abcdef.fits",
    ]
    foreign = product.with_name("notes of the observer.txt")
    for path in (*leftovers, foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with observatory(tmp_path) as place:
        assert link.resolve() == product.resolve()
        assert not stray.is_symlink()
        assert [path for path in leftovers if path.exists()] == []
        assert foreign.exists()
        assert product.exists()


def test_retention_removes_superseded_products_once_the_fact_is_recorded(tmp_path):
    with observatory(tmp_path, retention={"revisions": 0, "masters": 0}) as place:
        write_light(place)
        place.settle()
        former = place.product(LIGHT)
        write_night(place.incoming, lights=0)
        place.settle()
        write_night(place.incoming, lights=0, flats=0, evening_darks=0, biases=5)
        place.settle()
        everything = {row["path"] for row in place.catalogue.master_rows(all=True)}
        current = {row["path"] for row in place.masters()}
        assert former.exists()
        assert everything - current
        place.tidy()
        assert not former.exists()
        standing = {str(path.relative_to(place.data)) for path in place.data.glob("masters/**/*.fits")}
        assert standing == current
        recorded = set(place.catalogue.product_paths())
        assert recorded == standing | {str(place.product(LIGHT).relative_to(place.data))}
        before = place.result()
        place.settle()
        assert place.result() == before, "what was pruned is not made again"


def test_retention_keeps_as_many_revisions_as_it_is_told(tmp_path):
    with observatory(tmp_path, retention={"revisions": 1}) as place:
        write_light(place)
        place.settle()
        for stage in ({"biases": 3}, {"evening_darks": 3}, {"flats": 3}):
            write_night(place.incoming, **{"biases": 0, "evening_darks": 0, "flats": 0, "lights": 0, **stage})
            place.settle()
        assert len(place.catalogue.product_rows(place.frame(LIGHT)["frame_id"])) >= 3
        place.tidy()
        assert len(list(place.data.glob("reduced/**/*.fits"))) == 1 + 1


def test_products_of_old_nights_are_removed_by_setting_and_not_made_again(tmp_path):
    with observatory(tmp_path, retention={"reduced_d": 10.0}) as place:
        write_light(place)
        place.settle()
        place.now = place.now.replace(month=4)
        place.tidy()
        assert list(place.data.glob("reduced/**/*.fits")) == []
        place.settle()
        assert list(place.data.glob("reduced/**/*.fits")) == []
        assert not link_of(place, LIGHT).exists()
        assert not link_of(place, LIGHT).is_symlink(), "a link to nothing is removed with its product"
