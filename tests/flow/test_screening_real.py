"""No good frame of a real camera is kept out of masters: by itself, or against a master of an earlier night."""

import os
import shutil
from pathlib import Path

import pytest

from tests.flow.observatory import observatory, with_cards

CHECKOUT = Path(__file__).parents[2]
DATA = Path(os.environ.get("INGESTD_REAL_DATA") or CHECKOUT.parent / "shared" / "data")

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real frames in {DATA}; set INGESTD_REAL_DATA to their directory"
)

SETS = (
    "arcsat-apogee-2019",
    "st402-spec-ccdsoft-2017",
    "st402-bin3-ccdsoft-2017",
    "st7-nokeys-2019",
    "st7-maxim4-2013",
    "lco-raw-fz",
    "asi-voyager-2019",
    "pocs-tests",
)
ANY_NUMBER = {kind: {"minimum": 1, "valid_d": 3650.0} for kind in ("bias", "dark", "flat")}
LATER = {
    "arcsat-apogee-2019": ("Bias*", "Dark*", "domeflat_sdss_i*", "domeflat_sdss_r*"),
    "st402-spec-ccdsoft-2017": ("L2-dark-flat-360*", "L2-dark-hg-240*", "L2-dark-neon-1200*"),
}


def kept_out(place):
    """Return the frames that are set aside, each with the reason."""
    return {Path(row["path"]).name: row["detail"] for row in place.frames(state="quarantined")}


@pytest.mark.parametrize("name", SETS)
def test_no_good_frame_is_kept_out(tmp_path, name):
    with observatory(tmp_path, masters=ANY_NUMBER) as place:
        shutil.copytree(DATA / name, place.incoming, dirs_exist_ok=True)
        place.settle()
        assert len(place.frames()) >= 2
        assert kept_out(place) == {}


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("position", [0, -1])
def test_no_good_frame_is_kept_out_against_a_master_of_an_earlier_night(tmp_path, name, position):
    """One frame of each group is dated a day later: the others give the master that it is compared with."""
    with observatory(tmp_path, masters=ANY_NUMBER) as place:
        shutil.copytree(DATA / name, place.incoming, dirs_exist_ok=True)
        moved = [sorted(place.incoming.glob(pattern))[position] for pattern in LATER[name]]
        for path in moved:
            with_cards(path, DATE_OBS="2019-06-01T08:00:00" if "arcsat" in name else "2017-12-01T08:00:00.000")
        place.settle()
        assert kept_out(place) == {}
        for path in moved:
            row = place.frame(path.name)
            assert (row["state"], row["reason"]) == ("done", "member")
            rows = place.catalogue._rows(
                "SELECT name FROM metrics WHERE frame_id = :frame_id", {"frame_id": row["frame_id"]}
            )
            assert "outlier_pixels" in {found["name"] for found in rows}
