"""Real frames of real cameras keep their true type, or are unknown with a reason; the confusion table is printed.

The data lie beside the checkout or where INGESTD_REAL_DATA says; without them these tests are skipped.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ingestd.doors.fitsfile import open_raw, read_header
from ingestd.doors.fitsfile.cards import parse_cards
from ingestd.errors import IngestdError
from ingestd.records import CALIBRATION_KINDS, Kind
from ingestd.rules.dialects import classify
from ingestd.settings import Limits, Site
from tests.rules.dialect_headers import NOW, header

ROOT = Path(os.environ.get("INGESTD_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
pytestmark = pytest.mark.skipif(not (ROOT / "MANIFEST.tsv").is_file(), reason=f"no real frames in {ROOT}")

JUDGED = {"bias", "dark", "flat", "light", "arc", "processed"}
LYING_ON_PURPOSE = ("msumastro-tests/darktest", "msumastro-tests/flattest")

HEADERS_THAT_LIE = {
    # the header says 'Light Frame', the file name says flat: unknown, contradiction
    "st402-spec-ccdsoft-2017/L2-flat-hg-360.00000000.FIT": "unknown",
    "st402-spec-ccdsoft-2017/L2-flat-hg-360.00000001.FIT": "unknown",
    "st402-spec-ccdsoft-2017/L2-flat-hg-360.00000002.FIT": "unknown",
    "st402-spec-ccdsoft-2017/L2-flat-red-180.00000000.FIT": "unknown",
    "st402-spec-ccdsoft-2017/L2-flat-red-180.00000001.FIT": "unknown",
    "st402-bin3-ccdsoft-2017/flat-Neg5-tel-expo2min30s.00000000.FIT": "unknown",
    "st402-bin3-ccdsoft-2017/flat-Neg5-tel-expo2min30s.00000001.FIT": "unknown",
    "st402-bin3-ccdsoft-2017/flat-Neg5-tel-expo2min30s.00000002.FIT": "unknown",
    "st7-maxim4-2013/Night1/Flat1_300sec.fit": "unknown",
    # an arc that header and file name both call a light
    "st402-bin3-ccdsoft-2017/spec-Neg5-tel-expo30s-3x3.00000003.FIT": "light",
}
"""Frames whose header is wrong, with the kind they get. No other judged frame may differ from its true type."""

WITHOUT_A_TYPE = {
    "pocs-tests/noheader.fits",
    "pocs-tests/solved.fits.fz",
    "pocs-tests/tiny.fits",
    "pocs-tests/unsolved.fits",
}
"""Lights of which neither header nor name says anything: unknown."""


def rows(*, header_texts):
    with (ROOT / "MANIFEST.tsv").open(encoding="utf-8") as lines:
        table = list(csv.DictReader(lines, delimiter="\t"))
    return [row for row in table if (row["set"] == "headers") is header_texts]


def true_type(row):
    """The true type, or '' for a row that is not judged."""
    kind = row["true_type"].partition("(")[0]
    return kind if kind in JUDGED and not row["path"].startswith(LYING_ON_PURPOSE) else ""


def frame_of(file_header, path):
    return classify(
        file_header, path=path, camera=None, site=Site(), frame_id="f" * 64, data_sha256="d" * 64, now=NOW
    )  # fmt: skip


def frame_of_file(path):
    """The record of a file, None if it cannot be read."""
    descriptor = -1
    try:
        descriptor = open_raw(ROOT / path)
        file_header = read_header(descriptor, Limits())
    except IngestdError:
        return None
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return frame_of(file_header, path)


def is_true(frame, kind):
    if kind == "arc":
        return (frame.kind, frame.label) == (Kind.OTHER, "arc")
    if kind == "processed":
        return frame.kind is Kind.OTHER or "calibrated" in frame.flags
    return frame.kind == kind


def test_every_frame_has_its_true_type_or_is_unknown_with_a_reason(capsys):
    confusion, wrong = Counter(), {}
    for row in rows(header_texts=False):
        truth = true_type(row)
        if not truth:
            continue
        frame = frame_of_file(row["path"])
        assert frame is not None, row["path"]
        confusion[truth, frame.label] += 1
        if not is_true(frame, truth):
            wrong[row["path"]] = frame
            assert frame.kind not in CALIBRATION_KINDS, f"{row['path']}: {truth} taken for {frame.kind}"
    with capsys.disabled():
        print("\n  true type  given label  frames")  # noqa: T201 - a table for a person
        for (truth, label), count in sorted(confusion.items()):
            print(f"  {truth:9}  {label:11}  {count:6}")  # noqa: T201
    assert {path: frame.kind for path, frame in wrong.items() if path not in WITHOUT_A_TYPE} == HEADERS_THAT_LIE
    assert {path for path in wrong if path not in HEADERS_THAT_LIE} == WITHOUT_A_TYPE
    for path, frame in wrong.items():
        if frame.kind is Kind.UNKNOWN:
            assert frame.notes, path
            assert "contradiction" in frame.flags or path in WITHOUT_A_TYPE


def test_headers_edited_on_purpose_are_judged_by_header():
    for row in rows(header_texts=False):
        if row["path"].startswith(LYING_ON_PURPOSE):
            claimed = row["notes"].partition("hdr:")[2].partition(";")[0]
            assert frame_of_file(row["path"]).kind == claimed.lower()


def test_odd_files_end_without_harm():
    for row in rows(header_texts=False):
        if row["true_type"] == "-":
            frame = frame_of_file(row["path"])
            assert frame is None or frame.source("kind")


def test_frame_without_an_image_is_other():
    for name in ("table", "random_groups", "arange", "ascii"):
        assert frame_of_file(f"odd-astropy/{name}.fits").kind is Kind.OTHER


# --- what the README of the data says of single sets ------------------------------------------------------------------


def test_dark_subtracted_frames_never_feed_a_master():
    for row in rows(header_texts=False):
        if "Auto-Dark" in row["notes"]:
            assert "dark_subtracted" in frame_of_file(row["path"]).flags, row["path"]


def test_real_darks_and_biases_pass_the_set_point_check():
    for row in rows(header_texts=False):
        if row["set"].startswith(("arcsat", "st402", "st7", "lco")) and row["true_type"] in {"bias", "dark"}:
            assert frame_of_file(row["path"]).flags == (), row["path"]


def test_exposure_temperature_and_binning_agree_with_the_manifest():
    for row in rows(header_texts=False):
        if not true_type(row):
            continue
        frame = frame_of_file(row["path"])
        if row["exptime"]:
            assert frame.exposure_s == pytest.approx(float(row["exptime"]), abs=1e-6), row["path"]
        measured = row["temp/setpoint"].partition("/")[0]
        if measured:
            assert frame.ccd_temp_c == pytest.approx(float(measured), abs=1e-6), row["path"]
        if "x" in row["binning"]:
            x, y = row["binning"].split("x")
            assert (frame.configuration.x_binning, frame.configuration.y_binning) == (int(x), int(y)), row["path"]


def test_one_complete_night_is_one_configuration_and_one_night():
    frames = [frame_of_file(row["path"]) for row in rows(header_texts=False) if row["set"].startswith("arcsat")]
    assert Counter(frame.kind for frame in frames) == {"bias": 3, "dark": 3, "flat": 4, "light": 2}
    assert len({frame.configuration.key() for frame in frames}) == 1
    assert {frame.night for frame in frames} == {"2019-05-02"}
    assert {frame.flags for frame in frames} == {()}
    assert {frame.filter_name for frame in frames if frame.kind is Kind.FLAT} == {"sdss_r", "sdss_i"}


def test_sections_of_a_cut_out_are_ignored_with_a_note():
    frame = frame_of_file("lco-raw-fz/coj1m011-fl08-20151216-0049-b00.fits.fz")
    assert (frame.planes[0].shape, frame.planes[0].encoding) == ((1024, 1040), "tile")
    assert (frame.planes[0].overscan, frame.planes[0].trim) == (None, None)
    assert frame.gain_e_per_adu == pytest.approx(2.0175, abs=1e-9)  # mean of 2.01, 1.99, 2.05, 2.02
    assert any("reaches beyond" in note for note in frame.notes)


# --- header texts -----------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Reads the property lists of the LSST stack as plain lists."""


_Loader.add_constructor("lsst.daf.base.PropertyList", lambda loader, node: loader.construct_sequence(node, deep=True))


def cards_of(path):
    """Cards and comments of a header text, with the structure of an image where the text leaves it out; or None."""
    text = path.read_text("utf-8")
    if path.suffix == ".hdr":
        lines = [line for line in text.split("\n") if line.strip() != "END"]
        return parse_cards("".join(f"{line[:80]:80}" for line in lines))
    if path.suffix == ".json":
        found = json.loads(text)
        pairs = list(found.items()) if isinstance(found, dict) and "SIMPLE" in found else None
    else:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        pairs = list(found.items()) if isinstance(found, dict) else [(line[0], line[2]) for line in found]
    if pairs is None:
        return None
    remarks = [str(value) for keyword, value in pairs if keyword in {"COMMENT", "HISTORY"}]
    cards = {str(keyword).upper(): value for keyword, value in reversed(pairs) if not isinstance(value, list | dict)}
    if "ZIMAGE" not in cards or "ZNAXIS1" not in cards:
        cards = {"NAXIS1": 100, "NAXIS2": 80, **cards, "NAXIS": 2, "BITPIX": 16}
        for keyword in ("XTENSION", "ZIMAGE"):
            cards.pop(keyword, None)
    return cards, tuple(remarks)


def test_header_texts_keep_their_true_type():
    seen = Counter()
    for row in rows(header_texts=True):
        found = cards_of(ROOT / row["path"])
        if found is None:
            continue
        cards, remarks = found
        frame = frame_of(header(cards, comments=remarks), Path(row["path"]).name)
        if true_type(row):
            assert frame.kind == row["true_type"], (row["path"], frame.source("kind"))
            assert frame.obs_start is not None, row["path"]
            if row["exptime"]:
                assert frame.exposure_s == pytest.approx(float(row["exptime"])), row["path"]
            seen[row["true_type"]] += 1
        else:
            assert frame.kind not in CALIBRATION_KINDS, row["path"]
    assert seen["light"] >= 15
    assert seen["bias"] == 1
