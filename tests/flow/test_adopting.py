"""Masters made elsewhere: copied, recorded, chosen, never settled away, and their files left as they were."""

from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty

from ingestd.flow import adopting, verifying
from ingestd.records import Kind, MaskBit
from ingestd.rules.external import NotAdopted, Told
from tests.flow.observatory import CAMERA, SENSOR, observatory, sha256, signal, write_night, write_shot

LIGHT = "light.fit"
FLAT = np.linspace(0.5, 1.5, SENSOR.shape[0] * SENSOR.shape[1]).reshape(SENSOR.shape).astype(np.float32)


@pytest.fixture
def place(tmp_path):
    """A night with a light in R for which there is no flat."""
    with observatory(tmp_path) as found:
        write_night(found.incoming, lights=0)
        write_shot(found.incoming, Kind.LIGHT, 1, exposure_s=60.0, hours=20.5, filter_name="R", name=LIGHT)
        found.settle()
        yield found


def foreign(directory, data, name="foreign.fits", mask=None, uncertainty=None, **cards):
    """Write a master as another program has it."""
    header = fits.Header({"IMAGETYP": "Master Flat", "DATE-OBS": "2025-03-01T19:00:00", "NCOMBINE": 12, "FILTER": "R"})
    header.update({key.replace("_", "-"): value for key, value in cards.items()})
    directory.mkdir(exist_ok=True)
    path = directory / name
    CCDData(data, unit="adu", mask=mask, uncertainty=uncertainty, header=header).write(path, overwrite=True)
    return path


def add(place, path, like=LIGHT, **told):
    """Add a master and let everything follow; return the answer and the notes."""
    request, notes = adopting.prepare(path, Told(**told), place.settings, place.catalogue, place.now, like=like)
    answer = place.command(**request)
    assert answer["ok"], answer
    place.settle()
    return answer, notes


# --- what becomes of it -----------------------------------------------------------------------------------------------


def test_a_frame_that_missed_it_is_reduced_with_it(place, tmp_path):
    assert place.state(LIGHT) == ("provisional", "missing_master")
    before = signal(place.product(LIGHT))
    answer, notes = add(place, foreign(tmp_path / "elsewhere", 20_000 * FLAT))
    assert notes == ()
    assert place.state(LIGHT) == ("done", "reduced")
    assert place.used(LIGHT)["flat"]["master_id"] == answer["master_id"]
    # the level of the linear flat is its value in the middle, 1.0
    assert np.allclose(signal(place.product(LIGHT)), before / FLAT, rtol=1e-4)


def test_its_source_is_left_as_it_was(place, tmp_path):
    path = foreign(tmp_path / "elsewhere", 20_000 * FLAT)
    path.chmod(0o444)
    digest, times = sha256(path), path.stat().st_mtime_ns
    add(place, path)
    assert (sha256(path), path.stat().st_mtime_ns) == (digest, times)
    assert sorted(it.name for it in path.parent.iterdir()) == ["foreign.fits"]


def test_it_is_shown_as_external_with_grade_and_members(place, tmp_path):
    answer, _ = add(place, foreign(tmp_path / "elsewhere", 20_000 * FLAT))
    (row,) = [row for row in place.masters("flat") if row["master_id"] == answer["master_id"]]
    assert (row["provenance"], row["members"], row["grade"], row["filter_name"]) == ("external", 12, "green", "R")
    assert {row["provenance"] for row in place.masters("bias")} == {"built"}
    assert "master_added" in place.events()


def test_the_file_has_our_layout_and_says_where_it_comes_from(place, tmp_path):
    path = foreign(tmp_path / "elsewhere", 20_000 * FLAT)
    answer, _ = add(place, path)
    copy = place.data / answer["path"]
    header = fits.getheader(copy)
    assert (header["PROVENAN"], header["SRCSHA"], header["MASTERID"]) == ("external", sha256(path), answer["master_id"])
    assert CCDData.read(copy, unit="").shape == SENSOR.shape


def test_it_survives_a_restart_and_everything_being_looked_at_again(place, tmp_path):
    answer, _ = add(place, foreign(tmp_path / "elsewhere", 20_000 * FLAT))
    place.command(command="requeue")
    place.settle()
    place.tidy()
    directory = place.data.parent
    place.close()
    with observatory(directory) as again:
        again.settle()
        assert again.used(LIGHT)["flat"]["master_id"] == answer["master_id"]
        result = again.catalogue.find_results(answer["master_id"])[0]
        assert verifying.verify(again.catalogue, again.settings, result).status == "external"


def test_a_night_of_its_group_does_not_settle_it_away(place, tmp_path):
    add(place, foreign(tmp_path / "elsewhere", 20_000 * FLAT, FILTER="V"))
    for number in range(3):
        write_shot(
            place.incoming, Kind.FLAT, 50 + number, exposure_s=7.0, hours=19.5 + 0.01 * number, level_adu=22_000.0
        )
    place.settle()
    assert sorted(row["provenance"] for row in place.masters("flat")) == ["built", "external"]


def test_it_can_be_rejected_and_restored(place, tmp_path):
    answer, _ = add(place, foreign(tmp_path / "elsewhere", 20_000 * FLAT))
    place.command(command="reject", names=[answer["master_id"]], reason="dust moved")
    place.settle()
    assert place.state(LIGHT) == ("provisional", "missing_master")
    place.tidy()
    place.command(command="restore", names=[answer["master_id"]])
    place.settle()
    assert place.used(LIGHT)["flat"]["master_id"] == answer["master_id"]


def test_adding_it_twice_adds_it_once(place, tmp_path):
    path = foreign(tmp_path / "elsewhere", 20_000 * FLAT)
    first, _ = add(place, path)
    again, _ = add(place, path.rename(path.with_name("renamed.fits")))
    assert first == again
    assert len(place.masters("flat")) == 2


def test_an_external_dark_is_measured_against_the_bias(place, tmp_path):
    dark = signal(place.data / place.masters("dark")[0]["path"])
    cards = {"IMAGETYP": "Master Dark", "EXPTIME": 60.0, "CCD_TEMP": -10.0}
    answer, _ = add(place, foreign(tmp_path / "elsewhere", dark.astype(np.float32), **cards))
    figures = [row for row in place.qa("dark_rate_adu_per_second") if row["master_id"] == answer["master_id"]]
    assert len(figures) == 1
    assert place.used(LIGHT)["dark"]["how"] == "exact"


def test_it_judges_no_frame_of_ours(place, tmp_path):
    """A foreign bias 300 ADU too high says nothing against the biases of the next night."""
    bias = signal(place.data / place.masters("bias")[0]["path"]).astype(np.float32)
    cards = {"IMAGETYP": "Master Bias", "DATE_OBS": "2025-02-27T19:00:00", "CCD_TEMP": -10.0}
    add(place, foreign(tmp_path / "elsewhere", bias + 300, **cards))
    write_shot(place.incoming, Kind.BIAS, 90, hours=19.0, name="late.fit")
    place.settle()
    assert place.state("late.fit") == ("done", "member")


# --- pixels -----------------------------------------------------------------------------------------------------------


def copied(place, answer):
    return fits.open(place.data / answer["path"], memmap=False)


@pytest.mark.parametrize(
    "uncertainty",
    [
        StdDevUncertainty(np.full(SENSOR.shape, 200.0)),
        VarianceUncertainty(np.full(SENSOR.shape, 200.0**2)),
        InverseVariance(np.full(SENSOR.shape, 200.0**-2)),
    ],
)
def test_uncertainty_becomes_a_standard_deviation_divided_by_the_level(place, tmp_path, uncertainty):
    answer, notes = add(place, foreign(tmp_path / "elsewhere", 20_000 * FLAT, uncertainty=uncertainty))
    assert notes == ()
    with copied(place, answer) as hdus:
        assert np.allclose(hdus["UNCERT"].data, 200 / 20_000, rtol=1e-4)


def test_masked_and_missing_pixels_are_marked(place, tmp_path):
    data, mask = 20_000 * FLAT, np.zeros(SENSOR.shape, bool)
    data[1, 1], mask[2, 3] = np.nan, True
    answer, _ = add(place, foreign(tmp_path / "elsewhere", data, mask=mask))
    with copied(place, answer) as hdus:
        found = hdus["MASK"].data
        assert found[2, 3] & MaskBit.BAD
        assert found[1, 1] & MaskBit.NO_DATA
        assert np.count_nonzero(found) == 2
        assert "UNCERT" not in hdus


def test_integers_are_read_with_their_scale(place, tmp_path):
    path = foreign(tmp_path / "elsewhere", (20_000 * FLAT).astype(np.uint16), IMAGETYP="Master Bias", CCD_TEMP=-10.0)
    answer, _ = add(place, path)
    with copied(place, answer) as hdus:
        assert np.array_equal(hdus[0].data, (20_000 * FLAT).astype(np.uint16))


def test_a_bias_between_0_and_1_needs_a_scale(place, tmp_path):
    path = foreign(tmp_path / "elsewhere", FLAT / 65535, IMAGETYP="Master Bias", CCD_TEMP=-10.0)
    with pytest.raises(NotAdopted, match="give --scale"):
        add(place, path)
    answer, _ = add(place, path, scale=65535.0)
    with copied(place, answer) as hdus:
        assert np.allclose(hdus[0].data, FLAT, rtol=1e-6)


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(place, path, words, like=LIGHT, **told):
    before = sorted(place.data.rglob("*.fits"))
    with pytest.raises(NotAdopted, match=words):
        adopting.prepare(path, Told(**told), place.settings, place.catalogue, place.now, like=like)
    assert sorted(place.data.rglob("*.fits")) == before


def test_another_shape_is_refused(place, tmp_path):
    refused(place, foreign(tmp_path / "elsewhere", FLAT[:-1]), "shapes of its images")


def test_a_flat_without_light_is_refused(place, tmp_path):
    refused(place, foreign(tmp_path / "elsewhere", 0 * FLAT), "nothing to divide by")


def test_what_is_no_fits_file_is_refused(place, tmp_path):
    path = tmp_path / "text.fits"
    path.write_text("not a FITS file\n" * 500)
    refused(place, path, "not_fits")


def test_a_raw_frame_is_no_master_unless_its_members_are_told(place, tmp_path):
    raw = tmp_path / "elsewhere" / "dark.fit"
    raw.parent.mkdir()
    write_shot(raw.parent, Kind.DARK, 9, exposure_s=60.0, hours=18.0, name=raw.name)
    refused(place, raw, "looks like one raw dark frame, not a master", like=None)
    adopting.prepare(raw, Told(members=5), place.settings, place.catalogue, place.now)


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_a_master_of_this_catalogue_is_not_added_again(place, tmp_path, kind):
    own = place.data / place.masters(kind)[0]["path"]
    copy = tmp_path / "copy.fits"
    copy.write_bytes(own.read_bytes())
    for path in (own, copy):
        refused(place, path, "is a master of this catalogue already", like=None)


def test_a_frame_that_is_not_there_lends_nothing(place, tmp_path):
    refused(place, foreign(tmp_path / "elsewhere", 20_000 * FLAT), "0 frames in the catalogue", like="nothing.fit")


def test_an_unknown_set_up_is_told(place, tmp_path):
    path = foreign(tmp_path / "elsewhere", 20_000 * FLAT)
    _, notes = adopting.prepare(path, Told(), place.settings, place.catalogue, place.now)
    assert "--like FRAME takes the set-up of a frame" in notes[0]


def test_a_master_of_another_ingestd_names_its_set_up(place, tmp_path):
    own = place.data / place.masters("flat")[0]["path"]
    path = tmp_path / "from_elsewhere.fits"
    path.write_bytes(own.read_bytes())
    answer, notes = add(place, path, like=None, filter_name="R")
    assert (notes, place.used(LIGHT)["flat"]["master_id"]) == ((), answer["master_id"])


@pytest.mark.parametrize("change", [{"path": "../outside.fits"}, {"sha256": "0" * 64}, {"kind": "nothing"}])
def test_a_request_that_does_not_fit_the_file_is_refused(place, tmp_path, change):
    path = foreign(tmp_path / "elsewhere", 20_000 * FLAT)
    request, _ = adopting.prepare(path, Told(), place.settings, place.catalogue, place.now, like=LIGHT)
    answer = place.command(**{**request, "master": {**request["master"], **change}})
    assert not answer["ok"]
    assert len(place.masters("flat")) == 1


def test_it_can_be_the_first_thing_that_ever_was(tmp_path):
    with observatory(tmp_path) as place:
        path = foreign(tmp_path / "elsewhere", 20_000 * FLAT)
        request, notes = adopting.prepare(path, Told(), place.settings, None, datetime(2025, 3, 2, tzinfo=UTC))
        assert place.command(**request)["ok"]
        assert len(notes) == 1
        assert CAMERA.instrument not in place.masters("flat")[0]["configuration"]
