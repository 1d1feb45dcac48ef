"""Header cards that association rules name: what fits, which frames are alike, what a master stands for."""

from hypothesis import given
from hypothesis import strategies as st

from ingestd.records import Kind
from ingestd.rules import cards, clusters, groups
from ingestd.settings import BiasMatching, FlatMatching, MasterRule, MasterRules, Matching, Rules
from tests.rules.builders import NIGHT, frame

ANGLE = FlatMatching(numbers={"ROTATOR": 0.5}, periods={"ROTATOR": 360.0})
GRATING = FlatMatching(exact=("grating",))


def at(angle):
    return () if angle is None else (("ROTATOR", angle),)


def test_angles_compare_the_shorter_way_round():
    (found,) = cards.compared(at(359.8), at(0.1), ANGLE)
    assert (found.difference, found.tolerance, found.fits) == (0.3, 0.5, True)
    assert not cards.fit(at(359.8), at(0.4), ANGLE)


def test_number_without_a_period_does_not_begin_again():
    assert not cards.fit(at(359.8), at(0.1), FlatMatching(numbers={"ROTATOR": 0.5}))


def test_missing_card_is_a_value_of_its_own():
    assert cards.fit((), (), ANGLE)
    assert not cards.fit(at(0.0), (), ANGLE)
    assert not cards.fit((("GRATING", "B600"),), (), GRATING)


def test_text_where_a_number_is_wanted_is_a_missing_number():
    assert cards.fit((("ROTATOR", "parked"),), (), ANGLE)


def test_exact_cards_are_equal_or_not_and_their_case_in_the_settings_does_not_count():
    assert cards.fit((("GRATING", "B600"),), (("GRATING", "B600"),), GRATING)
    assert not cards.fit((("GRATING", "B600"),), (("GRATING", "R400"),), GRATING)


def test_angles_cluster_across_zero():
    parts = cards.alike([359.9, 180.0, 0.1, None, 0.4, 180.3], at, ANGLE)
    assert parts == [[180.0, 180.3], [359.9, 0.1, 0.4], [None]]


def test_a_full_turn_of_near_angles_is_cut_somewhere_and_loses_none():
    angles = [float(it) for it in range(360)]
    parts = cards.alike(angles, at, FlatMatching(numbers={"ROTATOR": 2.0}, periods={"ROTATOR": 360.0}))
    assert sorted(it for part in parts for it in part) == angles
    assert max(len(part) for part in parts) <= 5  # twice the tolerance


@given(st.lists(st.integers(0, 3599), min_size=1, max_size=30), st.integers(0, 3599))
def test_clusters_of_angles_turn_with_the_rotator(tenths, turn):
    """Where a gap parts the angles anyway, a turn of all of them by the same angle changes no cluster."""
    levels = sorted(set(tenths))
    gaps = [second - first for first, second in zip(levels, [*levels[1:], levels[0] + 3600], strict=True)]
    if gaps.count(max(gaps)) > 1:
        return

    def parts(values):
        found = cards.alike(list(enumerate(values)), lambda it: at(it[1] / 10), ANGLE)
        return {frozenset(index for index, _ in part) for part in found}

    assert parts(tenths) == parts([(it + turn) % 3600 for it in tenths])


def test_unrolled_numbers_are_on_one_line():
    assert clusters.unrolled([359.0, 1.0, None], 360.0) == [-1.0, 1.0, None]
    assert clusters.unrolled([10.0, 20.0], 360.0) == [10.0, 20.0]
    assert clusters.unrolled([725.0], 360.0) == [5.0]


def test_master_stands_for_the_median_and_for_what_all_members_share():
    rules = Rules(MasterRules(), Matching(bias=BiasMatching(exact=("SPEED",)), flat=ANGLE))
    members = [(("ROTATOR", angle), ("SPEED", "fast")) for angle in (359.0, 1.0, 2.0)]
    assert cards.of_members(members, "flat", rules) == (("ROTATOR", 1.0),)
    assert cards.of_members(members, "dark", rules) == (("SPEED", "fast"),)
    assert cards.of_members([*members, (("SPEED", "slow"),)], "bias", rules) == ()
    assert cards.of_members([at(359.0), at(0.0)], "flat", rules) == (("ROTATOR", 359.5),)


def test_members_of_one_master_share_their_cards():
    names = ("B600", "R400", "B600", "B600", "R400", "B600", "R400")
    frames = [frame(Kind.FLAT, f"f{i}", cards=(("GRATING", name),)) for i, name in enumerate(names)]
    rule = MasterRule(30.0, 3, 50, 90.0)
    found = groups.select_members(frames, NIGHT, rule, Matching(flat=GRATING), Kind.FLAT)
    assert [{it.cards[0][1] for it in members} for members in found] == [{"B600"}, {"R400"}]
    assert [len(members) for members in found] == [4, 3]
