"""Masters and products are built once more from their orders and raw frames, and give the same bytes."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from astropy.io import fits

from ingestd.doors.catalogue import Catalogue
from ingestd.flow import verifying
from ingestd.records import ALGORITHMS, Kind
from ingestd.rules import orders
from ingestd.simulator import headers
from tests.flow.observatory import CAMERA, observatory, sha256, with_cards, write_night, write_shot

OVERSCAN = replace(CAMERA, instrument="Another CCD", sensor=replace(CAMERA.sensor, overscan_px=24, bias_drift_adu=5.0))
LATER = datetime(2025, 3, 10, tzinfo=UTC)
CMOS = replace(CAMERA, program="N.I.N.A.", instrument="Synthetic CMOS")


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Nights of a CCD, one with overscan and a CMOS camera: darks exact and scaled, a light without its flat."""
    assert CMOS.program in headers.PROGRAMS
    directory = tmp_path_factory.mktemp("verify")
    with observatory(directory) as place:
        place.now = LATER
        write_night(place.incoming / "plain", dawn_darks=3)
        write_night(place.incoming / "overscan", camera=OVERSCAN, evening=date(2025, 3, 2))
        write_night(place.incoming / "cmos", camera=CMOS, evening=date(2025, 3, 3), dawn_darks=3)
        write_shot(place.incoming, Kind.LIGHT, 77, exposure_s=60.0, hours=21.0, filter_name="R", name="red.fit")
        place.settle()
    return directory


@pytest.fixture
def place(nights, tmp_path):
    """A copy of the nights, for a test to spoil."""
    shutil.copytree(nights, tmp_path, dirs_exist_ok=True, symlinks=True)
    with sqlite3.connect(tmp_path / "data" / "catalogue.sqlite") as connection:
        connection.execute("UPDATE sightings SET path = replace(path, ?, ?)", (str(nights), str(tmp_path)))
    connection.close()
    with observatory(tmp_path) as found:
        found.now = LATER
        yield found


def results(place, what=None, kind=""):
    return [it for it in place.catalogue.current_results() if what in (None, it.what) and f"/{kind}" in it.path]


def verified(place, result, **options):
    return verifying.verify(place.catalogue, place.settings, result, **options)


def change(place, sql, *values):
    with sqlite3.connect(place.settings.catalogue_path) as connection:
        connection.execute(sql, values)
    connection.close()


# --- the same bytes ---------------------------------------------------------------------------------------------------


def test_everything_is_built_again_byte_for_byte(place):
    before = place.result()
    found = [verified(place, it) for it in results(place)]
    # three masters and the dark at dawn, three masters, three and the dark at dawn; four lights
    assert len(found) == len(before) == 4 + 3 + 4 + 4
    assert [it.detail for it in found if it.status != "same"] == []
    hows = {row["how"] for it in place.frames(kind="light") for row in place.used(it["path"]).values()}
    assert {"exact", "scaled_down", "nearest"} <= hows
    assert place.result() == before


def test_a_verification_leaves_nothing_behind(place, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert verified(place, results(place)[0]).is_good
    assert list(scratch.iterdir()) == []


def test_an_order_is_restored_exactly(place):
    for it in results(place):
        job = orders.read_order(it.order, it.job_id, place.catalogue, place.data, str(place.data / it.path))
        assert orders.order_text(job) == it.order
        again = orders.read_order(orders.order_text(job), it.job_id, place.catalogue, place.data, job.product)
        assert again == job


def test_a_product_of_other_settings_keeps_its_own(place):
    """What the settings say now does not matter: the order holds the arithmetic that it was carried out with."""
    with observatory(place.settings.data_dir.parent, masters={"sigma": 2.0}, reduction={"overscan": False}) as other:
        assert {verified(other, it).status for it in results(other)} == {"same"}


# --- names ------------------------------------------------------------------------------------------------------------


def test_files_are_found_by_path_name_address_link_and_raw_frame(place):
    (red,) = [it for it in results(place, "product") if "/red_" in it.path]
    path = place.data / red.path
    link = place.data / "current" / "test" / "2025-03-01" / f"{path.name.rsplit('_', 1)[0]}.fits"
    for name in (str(path), red.path, path.name, red.job_id, red.job_id[:8], str(link), "red.fit"):
        assert verifying.find(place.catalogue, place.settings, name) == [red], name
    assert verifying.find(place.catalogue, place.settings, "nothing.fits") == []
    assert verifying.find(place.catalogue, place.settings, "%") == []


# --- other bytes ------------------------------------------------------------------------------------------------------


def spoil(path, y=3, x=5, value=7.0):
    """Add to one pixel of a file, and return its new hash."""
    with fits.open(path, mode="update", memmap=False) as hdus:
        hdus[0].data[y, x] += value
    return sha256(path)


def test_a_file_that_was_changed_is_damaged_though_the_frames_give_it(place):
    (dark, *_) = results(place, "master", "dark")
    spoil(place.data / dark.path)
    found = verified(place, dark)
    assert (found.status, found.is_good) == ("damaged", False)
    assert found.detail.endswith("the raw frames still give what was written")


def test_a_file_that_its_order_does_not_give_differs_and_says_where(place):
    (bias, *_) = results(place, "master", "bias")
    change(place, "UPDATE masters SET sha256 = ? WHERE master_id = ?", spoil(place.data / bias.path), bias.job_id)
    found = verified(place, place.catalogue.find_results(bias.job_id)[0])
    assert (found.status, found.detail) == ("differs", "plane 0: signal differs by up to 7 in 1 pixels")


def test_a_header_alone_that_differs_is_told(place):
    (bias, *_) = results(place, "master", "bias")
    with fits.open(place.data / bias.path, mode="update", memmap=False) as hdus:
        hdus[0].header["NIGHT"] = "2000-01-01"
    digest = sha256(place.data / bias.path)
    change(place, "UPDATE masters SET sha256 = ? WHERE master_id = ?", digest, bias.job_id)
    found = verified(place, place.catalogue.find_results(bias.job_id)[0])
    assert (found.status, found.detail) == ("differs", "all pixels are equal, the headers differ")


def test_a_file_that_is_gone_is_missing(place):
    (flat, *_) = results(place, "master", "flat")
    (place.data / flat.path).unlink()
    assert verified(place, flat).status == "missing"


def test_without_its_raw_frame_an_order_is_lost(place):
    (red,) = [it for it in results(place, "product") if "/red_" in it.path]
    (place.incoming / "red.fit").rename(place.data / "elsewhere")
    found = verified(place, red)
    assert (found.status, "cannot be made again" in found.detail) == ("lost", True)
    place.settle()
    found = verified(place, red)
    assert (found.status, "put the file back" in found.detail) == ("lost", True)


def test_a_raw_frame_with_other_bytes_is_no_proof(place):
    (red,) = [it for it in results(place, "product") if "/red_" in it.path]
    spoil(place.incoming / "red.fit", value=1)
    found = verified(place, red)
    assert (found.status, "has other content" in found.detail) == ("lost", True)


def test_without_its_master_an_order_is_lost(place):
    (flat, *_) = results(place, "master", "flat")
    (bias, *_) = results(place, "master", "bias")
    assert bias.job_id in flat.order
    (place.data / bias.path).unlink()
    assert verified(place, flat).status == "lost"


def test_a_newer_arithmetic_does_not_pretend(place, monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "bias", ALGORITHMS["bias"] + 1)
    (bias, *_) = results(place, "master", "bias")
    found = verified(place, bias)
    version = ALGORITHMS["bias"]
    expected = f"it was made by version {version - 1} of the arithmetic; this program has version {version}"
    assert (found.status, found.detail) == ("lost", expected)


def test_what_is_known_of_a_frame_must_not_have_changed(place):
    (overscan,) = [it for it in results(place, "product") if "2025-03-02" in it.path]
    change(place, "UPDATE planes SET overscan = NULL")
    found = verified(place, overscan)
    assert (found.status, "no longer what it was then" in found.detail) == ("lost", True)


def test_a_row_without_an_order_is_lost(place):
    (bias, *_) = results(place, "master", "bias")
    found = verified(place, replace(bias, order=""))
    assert (found.status, "does not hold the order" in found.detail) == ("lost", True)


def test_a_reader_beside_the_daemon_can_verify(place):
    with Catalogue.open(place.settings.catalogue_path, read_only=True) as reader:
        result = reader.current_results()[0]
        assert verifying.verify(reader, place.settings, result).status == "same"


# --- the reference ----------------------------------------------------------------------------------------------------


def test_biases_and_darks_are_those_of_ccdproc_rounded_to_float32(place):
    """Sums of integers are exact, overscan medians halves: what is left is the rounding of the mean to float32."""
    for result in results(place, "master", "bias") + results(place, "master", "dark"):
        (found,) = verified(place, result, reference=True).against
        largest = float(np.nanmax(fits.getdata(place.data / result.path)))
        assert found.largest <= np.spacing(np.float32(largest))
        assert found.level == pytest.approx(np.median(fits.getdata(place.data / result.path)), abs=1e-3)


def test_products_are_those_of_ccdproc_within_float32(place):
    """Five steps of float32 arithmetic on samples below 65536 ADU at 1.5 e-/ADU: 5 * 2**-8 * 1.5 = 0.03 e-."""
    for result in results(place, "product"):
        (found,) = verified(place, result, reference=True).against
        assert found.largest < 0.03
        assert found.unit == "electron"


def test_flats_are_those_of_ccdproc_but_for_samples_at_the_limit_of_clipping(place):
    for result in results(place, "master", "flat"):
        (found,) = verified(place, result, reference=True).against
        assert found.typical < 1e-6
        # one of three samples more or less in the mean of a flat with 1 % noise
        assert found.largest < 0.02


def test_what_ccdproc_has_no_word_for_has_no_reference(tmp_path):
    """Each colour of a mosaic has a level of its own; the bytes are compared all the same."""
    with observatory(tmp_path) as mosaic:
        for path in write_night(mosaic.incoming, lights=0):
            with_cards(path, BAYERPAT="RGGB")
        mosaic.settle()
        (flat,) = results(mosaic, "master", "flat")
        found = verified(mosaic, flat, reference=True)
        assert (found.status, found.against) == ("same", ())
        assert found.detail.endswith("no reference: the colours of a mosaic have levels of their own")
