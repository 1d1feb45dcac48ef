"""Why a frame is reduced once more, in words, and which of the reasons wait until the night is over."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ingestd.records import FormerProduct, Kind, MasterInput, UsedMaster
from ingestd.rules import groups
from ingestd.rules.planning import again
from ingestd.settings import Reduction
from tests.rules.builders import EPOCH, frame

LIMITS = Reduction(again_s=60.0, nearer_h=1.0, closer_c=0.1)
OLD = UsedMaster(
    "a" * 64, Kind.BIAS, "nearest", 5.0, -0.4, is_withdrawn=False, night=f"{EPOCH:%Y-%m-%d}", first_obs=EPOCH
)
NEW = MasterInput("b" * 64, Kind.BIAS, "", "", None, "nearest", -0.4, None, 5.0)


def former(*masters):
    return FormerProduct("job", EPOCH, masters, doubt="")


@pytest.mark.parametrize(
    ("old", "new", "words", "urgent"),
    [
        ((), (NEW,), "bias bbbbbbbb was missing", True),
        ((OLD,), (), "bias aaaaaaaa no longer used", True),
        ((OLD,), (replace(NEW, delta_temp_c=0.25),), "closer in temperature by 0.15 C", True),
        ((OLD,), (replace(NEW, delta_temp_c=0.3),), "hardly nearer", False),
        ((OLD,), (replace(NEW, age_h=3.9),), "nearer in time by 1.1 h", True),
        ((OLD,), (replace(NEW, age_h=4.0),), "hardly nearer", False),
        ((OLD,), (replace(NEW, age_h=9.0),), "preferred now", False),
        ((replace(OLD, is_withdrawn=True),), (NEW,), "was rejected or holds a frame that is kept out", True),
        ((replace(OLD, how="scaled_up"),), (replace(NEW, how="exact"),), "exact instead of scaled up", True),
        (
            (OLD,),
            (replace(NEW, master_id=OLD.master_id),),
            "gain, settings or arithmetic changed",
            True,
        ),
    ],
)
def test_reason_names_what_is_better_and_whether_it_waits(old, new, words, urgent):
    (found,) = again.reasons(former(*old), new, "", LIMITS)
    assert words in found.words
    assert found.urgent is urgent


def test_a_doubt_that_comes_or_goes_is_urgent_beside_a_master_that_is_hardly_nearer():
    hardly, gone = again.reasons(replace(former(OLD), doubt="suspected"), (NEW,), "", LIMITS)
    assert (hardly.urgent, gone.urgent, gone.words) == (False, True, "no doubt about the hardware any more")
    _, come = again.reasons(former(OLD), (NEW,), "suspected", LIMITS)
    assert (come.urgent, come.words) == (True, "a new doubt about the hardware")


def wait_until(minutes, *, urgent):
    now = EPOCH + timedelta(minutes=minutes)
    return again.wait_until(former(OLD), [again.Reason("", urgent)], frame(), now, LIMITS, None)


def test_interval_counts_from_the_last_reduction_and_a_clock_set_back_holds_nobody_up():
    assert wait_until(0.5, urgent=True) == EPOCH + timedelta(seconds=60)
    assert wait_until(1, urgent=True) is None
    assert wait_until(-1, urgent=True) is None


def test_what_is_not_urgent_waits_for_the_noon_after_the_night():
    noon = EPOCH.replace(hour=12)  # EPOCH is 03:00 of the night that began the day before
    assert wait_until(60, urgent=False) == noon
    assert wait_until(60 * 9, urgent=False) is None


@pytest.mark.parametrize(("longitude_deg", "hour"), [(None, 12), (0.0, 12), (-105.0, 19), (150.0, 2)])
def test_night_ends_at_noon_of_local_mean_time(longitude_deg, hour):
    end = groups.end_of_night("2024-03-09", longitude_deg)
    assert end == EPOCH.replace(hour=hour)
    assert groups.night_of(end, longitude_deg) == "2024-03-10"
    assert groups.night_of(end - timedelta(seconds=1), longitude_deg) == "2024-03-09"
