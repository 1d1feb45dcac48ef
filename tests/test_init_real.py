"""Real directories of frames: `ingestd init`, then `ingestd scan`, reduces or combines what each set allows, unedited.

The data lie beside the checkout or where INGESTD_REAL_DATA says; without them these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingestd.api import open_catalogue
from ingestd.settings import load_settings
from tests.flow.observatory import tree

ROOT = Path(os.environ.get("INGESTD_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
pytestmark = pytest.mark.skipif(not (ROOT / "MANIFEST.tsv").is_file(), reason=f"no real frames in {ROOT}")


@dataclass(frozen=True)
class Allowed:
    """What a set allows: current masters by kind, science frames complete and provisional, kinds of the rest."""

    cameras: int = 1
    masters: dict[str, int] = field(default_factory=dict)
    complete: tuple[str, ...] = ()
    provisional: tuple[str, ...] = ()
    unknown: int = 0


SETS = {
    # two flats per filter, darks of 80 s for lights of 60 s
    "arcsat-apogee-2019": Allowed(
        masters={"bias": 1, "dark": 1, "flat": 2},
        complete=("M13_sdss_i_20190503_084455.fits", "M13_sdss_r_20190503_084324.fits"),
    ),
    # no bias: exact darks; flats that the header calls light; stars and arcs were dark-subtracted by the camera
    "st402-spec-ccdsoft-2017": Allowed(
        masters={"dark": 3, "flat": 1},
        complete=tuple(f"L2-sci-{name}.0000000{i}.FIT" for name in ("hg-240", "neon-1200") for i in (0, 1)),
    ),
    # flats without bias or dark, and one frame that was dark-subtracted by the camera
    "st402-bin3-ccdsoft-2017": Allowed(),
    # biases of two nights, flats of which two are of the second night: no science frame
    "st7-nokeys-2019": Allowed(masters={"bias": 2, "flat": 1}),
    # single darks of 120 and 300 s, one flat; no bias, so the light of 15 s has no dark
    "st7-maxim4-2013": Allowed(
        masters={"dark": 2, "flat": 1}, complete=("Scheat_2min_01.fit",), provisional=("Vega02_15sec.fit",), unknown=1
    ),
    # one bias and one dark of another camera than the light
    "lco-raw-fz": Allowed(cameras=2, provisional=("cpt1m012-fl10-20151216-0073-e00.fits.fz",)),
    # lights of a CMOS camera without calibrations
    "asi-voyager-2019": Allowed(
        provisional=(
            "Target_LIGHT_7350_3s_BIN1_-15C_001_20190513_214817_006_W.FIT",
            "Target_LIGHT_7925_0s_BIN1_-15C_001_20190513_213322_748_W.FIT",
        )
    ),
    # no card and no name says what they are
    "pocs-tests": Allowed(unknown=4),
    # lights of two cameras, and two files of 1928
    "ccdproc-tests": Allowed(cameras=3, provisional=("a8280271.fits", "sip-wcs.fit")),
    # cut-outs of many cameras; biases, and 'darks' that are biases under another label
    "msumastro-tests": Allowed(
        cameras=6,
        masters={"bias": 1, "dark": 1},
        provisional=("celestron_nightscape_10100_astro_fx_v106.fit", "maximdl_6_18_header.fit"),
    ),
}


@pytest.fixture(scope="module", params=SETS)
def scanned(request, tmp_path_factory):
    """A set after init and scan, and the state of its files before."""
    home, source = tmp_path_factory.mktemp(request.param), ROOT / request.param
    before = tree(source)
    for command in (("init", str(source)), ("scan", "--quiet")):
        done = subprocess.run(
            [sys.executable, "-m", "ingestd", *command],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with open_catalogue(home / "data" / "catalogue.sqlite") as catalogue:
        yield SETS[request.param], home, catalogue
    assert tree(source) == before


def states(catalogue):
    """State and reason of each science frame by its file name."""
    return {Path(row["path"]).name: (row["state"], row["reason"]) for row in catalogue.frame_rows(kind="light")}


def test_settings_name_every_camera(scanned):
    allowed, home, catalogue = scanned
    assert len(load_settings(home / "config.toml").camera) == allowed.cameras
    images = [row for row in catalogue.frame_rows() if row["kind"] not in {"other", None}]
    assert "unassigned" not in {row["camera"] for row in images}


def test_calibrations_are_combined(scanned):
    allowed, _, catalogue = scanned
    assert Counter(row["kind"] for row in catalogue.master_rows()) == allowed.masters


def test_science_frames_are_reduced(scanned):
    allowed, _, catalogue = scanned
    found = states(catalogue)
    assert {name: found[name] for name in allowed.complete} == dict.fromkeys(allowed.complete, ("done", "reduced"))
    assert {name: found[name][0] for name in allowed.provisional} == dict.fromkeys(allowed.provisional, "provisional")


def test_nothing_fails_and_what_is_unknown_says_why(scanned):
    allowed, _, catalogue = scanned
    rows = catalogue.frame_rows()
    assert not [row for row in rows if row["state"] in {"failed", "quarantined"}]
    unknown = [row for row in rows if row["kind"] == "unknown"]
    assert len(unknown) == allowed.unknown
    assert all(row["detail"] for row in unknown)


def test_odd_files_end_without_harm(tmp_path):
    for command in (("init", str(ROOT / "odd-astropy")), ("scan", "--quiet")):
        done = subprocess.run(
            [sys.executable, "-m", "ingestd", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with open_catalogue(tmp_path / "data" / "catalogue.sqlite") as catalogue:
        assert not catalogue.master_rows()
