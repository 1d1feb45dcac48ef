"""Clusters and members of a master, for any values, against their definition taken word for word."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.records import Kind
from ingestd.rules import clusters, groups
from ingestd.settings import MasterRule, Matching
from tests.rules.builders import EPOCH, NIGHT, frame

TENTHS = st.integers(-100, 100)
"""Temperatures in tenths of a degree: exact in the oracle, and full of ties."""


def oracle_clusters(tenths: list[int], tolerance: int) -> list[list[int]]:
    """Return sorted distinct integers as clusters: the rule as a recursion."""
    for i in range(1, len(tenths)):
        if tenths[i] - tenths[i - 1] > tolerance:
            return oracle_clusters(tenths[:i], tolerance) + oracle_clusters(tenths[i:], tolerance)
    if not tenths or tenths[-1] - tenths[0] <= 2 * tolerance:
        return [tenths] if tenths else []
    centre = Decimal(tenths[0] + tenths[-1]) / 2
    gaps = [(tenths[i] - tenths[i - 1], i) for i in range(1, len(tenths))]
    largest = [i for gap, i in gaps if gap == max(gaps)[0]]
    cut = min(largest, key=lambda i: (abs(Decimal(tenths[i] + tenths[i - 1]) / 2 - centre), i))
    return oracle_clusters(tenths[:cut], tolerance) + oracle_clusters(tenths[cut:], tolerance)


@given(st.lists(TENTHS), st.integers(1, 20))
def test_clusters_are_those_of_the_oracle(tenths, tolerance):
    found = clusters.clusters([it / 10 for it in tenths], tolerance / 10)
    assert [sorted({tenths[i] for i in part}) for part in found] == oracle_clusters(sorted(set(tenths)), tolerance)


@given(st.lists(st.none() | TENTHS))
def test_every_value_is_in_exactly_one_cluster(tenths):
    found = clusters.clusters([None if it is None else it / 10 for it in tenths], 0.5)
    assert sorted(i for part in found for i in part) == list(range(len(tenths)))


@given(st.lists(st.floats(-200, 200)))
def test_no_cluster_is_wider_than_two_tolerances(values):
    for part in clusters.clusters(values, 0.5):
        inside = [values[i] for i in part]
        assert max(inside) - min(inside) <= 1.0 + 1e-6  # differences are rounded to 1e-6


@given(st.lists(st.none() | TENTHS), st.randoms())
def test_clusters_do_not_depend_on_the_order(tenths, shuffler):
    values = [None if it is None else it / 10 for it in tenths]
    shuffled = shuffler.sample(values, len(values))

    def as_values(given_values):
        return [sorted(str(given_values[i]) for i in part) for part in clusters.clusters(given_values, 0.5)]

    assert as_values(shuffled) == as_values(values)


def dated(index: int, hours_ago: int, tenths: int | None, exposure_s: int):
    start = EPOCH - timedelta(hours=hours_ago)
    night = (start - timedelta(hours=12)).date().isoformat()
    temp = None if tenths is None else tenths / 10
    return frame(
        Kind.DARK, f"dark {index}", obs_start=start, night=night, ccd_temp_c=temp, exposure_s=float(exposure_s)
    )


CATALOGUES = st.lists(
    st.tuples(st.integers(-30, 240), st.none() | st.integers(-104, -90), st.sampled_from([10, 60])), max_size=40
)
RULES = st.builds(
    MasterRule,
    window_d=st.integers(0, 10).map(float),
    minimum=st.integers(1, 4),
    maximum=st.integers(4, 12),
    valid_d=st.just(90.0),
)


@settings(max_examples=300)
@given(CATALOGUES, RULES, st.randoms())
def test_members_of_a_night_are_those_of_the_definition(catalogue, rule, shuffler):
    frames = [dated(i, *entry) for i, entry in enumerate(catalogue)]
    found = groups.select_members(shuffler.sample(frames, len(frames)), NIGHT, rule, Matching(), Kind.DARK)
    assert [{it.frame_id for it in members} for members in found] == oracle_members(frames, rule)


def oracle_members(frames, rule):
    """Return the members of each master, from the definition: exposures are 10 s or 60 s, never near each other."""
    first_night = (EPOCH - timedelta(days=rule.window_d, hours=12)).date().isoformat()
    usable = [it for it in frames if first_night <= it.night <= NIGHT]
    found = []
    for exposure_s in (10.0, 60.0):
        same = [it for it in usable if it.exposure_s == exposure_s]
        tenths = sorted({round(it.ccd_temp_c * 10) for it in same if it.ccd_temp_c is not None})
        parts = [[it / 10 for it in part] for part in oracle_clusters(tenths, 5)] + [[None]]
        for part in parts:
            cluster = [it for it in same if it.ccd_temp_c in part]
            newest = sorted(cluster, key=lambda it: (it.obs_start, it.frame_id), reverse=True)[: rule.maximum]
            if len(newest) >= rule.minimum and NIGHT in {it.night for it in newest}:
                found.append({it.frame_id for it in newest})
    return found
