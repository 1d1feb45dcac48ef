"""How few frames may make a master, and what a scan will make: decided by playing the rules through."""

from __future__ import annotations

from datetime import timedelta

from ingestd.records import Kind
from ingestd.rules.proposing import light_rows, outlook_rows
from ingestd.settings import Masters
from tests.rules.proposing_samples import EVENING, night, proposal, shots


def minima(found):
    masters = found.settings.masters
    return masters.bias.minimum, masters.dark.minimum, masters.flat.minimum


# --- smallest numbers -------------------------------------------------------------------------------------------------


def test_three_of_each_keep_the_defaults():
    found = proposal(night())
    assert found.settings.masters == Masters()
    assert not [key for key in found.reasons if key.startswith("masters")]


def test_pairs_lower_the_minimum_of_their_kind_only():
    found = proposal(night(flats=2))
    assert minima(found) == (3, 3, 2)
    assert "2 frames would have no master flat otherwise" in found.reasons["masters.flat.minimum"]


def test_pair_of_one_filter_counts_although_another_has_many():
    red = [*shots("flat", 2, name="r", first_minute=80, FILTER="R"), *shots("light", 1, name="m", FILTER="R")]
    assert minima(proposal([*night(flats=5), *red])) == (3, 3, 2)


def test_pair_that_no_frame_needs_changes_nothing():
    blue = shots("flat", 2, name="b", first_minute=80, FILTER="B")
    assert minima(proposal([*night(flats=5), *blue])) == (3, 3, 3)


def test_pair_is_combined_where_there_is_no_science_frame_at_all():
    assert minima(proposal(shots("bias", 2))) == (2, 3, 3)


def test_lone_dark_serves_where_every_dark_is_alone():
    """One dark of 60 s for lights of 60 s, one of 5 s: no two of them belong together."""
    samples = [*shots("dark", 1), *shots("dark", 1, name="short", EXPTIME=5.0), *shots("light", 2, first_minute=9)]
    found = proposal(samples)
    assert minima(found) == (3, 1, 3)
    assert "cosmic rays" in found.reasons["masters.dark.minimum"]


def test_lone_dark_beside_a_pair_stays_alone():
    """The lights are of 60 s, with one dark; the pair is of 5 s. Two of a kind exist, so one is not made a master."""
    samples = [*shots("dark", 1), *shots("dark", 2, name="short", EXPTIME=5.0), *shots("light", 2, first_minute=9)]
    assert minima(proposal(samples))[1] != 1


def test_lone_frame_that_nothing_needs_stays_alone():
    assert minima(proposal([*shots("bias", 1), *shots("light", 1, INSTRUME="another")])) == (3, 3, 3)


def test_sample_of_a_directory_says_nothing_of_numbers():
    found = proposal(night(flats=2), found=1000)
    assert minima(found) == (3, 3, 3)


# --- validity ---------------------------------------------------------------------------------------------------------


def library(days):
    """Darks so many days before a night with its own biases and flats."""
    taken = (EVENING - timedelta(days=days)).replace(tzinfo=None).isoformat()
    return [*shots("dark", 3, name="lib", DATE_OBS=taken), *night(darks=0)]


def test_library_of_darks_is_valid_as_long_as_it_is_needed():
    """250 d before the night and at most 62 minutes more: the next full ten days are 260."""
    found = proposal(library(250))
    assert found.settings.masters.dark.valid_d == 260.0
    assert found.settings.masters.bias.valid_d == Masters().bias.valid_d
    assert "library" in found.reasons["masters.dark.valid_d"]


def test_darks_of_years_ago_stay_invalid():
    assert proposal(library(900)).settings.masters == Masters()


def test_fresh_darks_keep_the_default_validity():
    assert proposal(library(100)).settings.masters.dark.valid_d == Masters().dark.valid_d


# --- outlook ----------------------------------------------------------------------------------------------------------


def test_whole_night_is_reduced_with_every_master():
    found = proposal(night())
    assert [(row["kind"], row["members"]) for row in outlook_rows(found)] == [("bias", 3), ("dark", 3), ("flat", 3)]
    (row,) = light_rows(found)
    assert (row["frames"], row["applied"], row["lacking"], row["result"]) == (2, "dark, flat", "", "reduced")


def test_missing_master_is_told_with_its_reason():
    (row,) = light_rows(proposal(night(flats=0)))
    assert (row["applied"], row["lacking"], row["result"]) == ("dark", "flat", "reduced")
    assert "filter V" in row["why"]["flat"]


def test_flat_alone_is_not_applied_to_a_frame_that_holds_its_bias_level():
    """Flats of 5 s have their darks, lights of 60 s have neither bias nor dark."""
    samples = [
        *shots("dark", 3, EXPTIME=5.0),
        *shots("flat", 3, first_minute=9),
        *shots("light", 2, first_minute=20),
    ]
    (row,) = light_rows(proposal(samples))
    assert (row["applied"], row["lacking"], row["result"]) == ("", "bias, dark, flat", "provisional")


def test_flats_without_bias_and_dark_make_no_master():
    found = proposal([*shots("flat", 3), *shots("light", 1)])
    assert outlook_rows(found) == []
    assert found.outlook.lights[0].is_provisional


def test_frame_processed_already_is_taken_as_it_is():
    (row,) = light_rows(proposal(shots("light", 2, CALSTAT="BDF")))
    assert row["result"] == "as they are: processed already"


def test_masters_are_told_as_they_are_after_the_last_night():
    samples = [*shots("bias", 3), *shots("bias", 3, name="next", DATE_OBS="2024-03-02T20:00:00")]
    (row,) = outlook_rows(proposal(samples))
    assert (row["kind"], row["members"], row["night"]) == (Kind.BIAS, 6, "2024-03-02")
