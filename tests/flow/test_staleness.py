"""Only frames for which a change of masters can matter are looked at again, and none is missed.

Random changes in a real catalogue; after each, every science frame that was not marked is planned all the same, and
must be found to have the product that is due. Reaches and queries broken on purpose are caught by the same runs.
"""

import random
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from ingestd.doors.catalogue import Catalogue, epochs, staleness
from ingestd.records import Break, Group, Kind, Reach, Standing
from ingestd.rules import groups, windows
from ingestd.rules.matching import reach_rule
from ingestd.rules.planning.desk import Desk
from ingestd.rules.planning.lights import plan_light
from ingestd.settings import parse_settings
from tests.doors.catalogue_samples import NOW, UNITS, add, build, frame, master, measure, outcome
from tests.rules.builders import configuration

SETTINGS = parse_settings(
    {
        "camera": [{"name": "main", "directories": ["/raw"]}],
        "masters": {kind: {"valid_d": valid_d} for kind, valid_d in (("bias", 15), ("dark", 20), ("flat", 10))},
        "matching": {"dark": {"max_scale_up": 2.0, "max_scale_down": 6.0}},
    }
)
OWN, LARGER = configuration(window=(10, 20)), configuration(window=(0, 20), width_px=775, height_px=800)
SETUP = windows.setup_of(OWN.key())
TEMPERATURES = (-10.0, -10.0, -10.0, -10.4, -10.5, None)
EXPOSURES = (60.0, 60.0, 60.0, 30.0, 120.0, 300.0, None)
SEEDS, STEPS, LIGHTS = range(4), 50, 15


class World:
    """A catalogue in which anything may change, and what was marked by it."""

    def __init__(self, catalogue, seed):
        self.catalogue = catalogue
        self.chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.lights, self.masters = [], []
        self.marked = 0
        self.missed = Counter()

    def new_frame(self, kind, name, **more):
        day, minute = self.chance.randrange(4, 27), self.chance.choice((0, 0, 30, 60 * 13))
        return frame(
            name,
            kind,
            day=day,
            minute=minute,
            configuration=OWN if kind is Kind.LIGHT else self.chance.choice((OWN, LARGER)),
            ccd_temp_c=self.chance.choice(TEMPERATURES),
            exposure_s=0.0 if kind is Kind.BIAS else self.chance.choice(EXPOSURES),
            filter_name=self.chance.choice(("V", "V", "R")) if kind in {Kind.FLAT, Kind.LIGHT} else None,
            **more,
        )

    def new_light(self):
        gain = self.chance.choice((1.5, 1.5, None))
        self.lights.append(self.new_frame(Kind.LIGHT, f"light {len(self.lights)}", gain_e_per_adu=gain))
        add(self.catalogue, self.lights[-1])

    def new_master(self):
        kind = self.chance.choice((Kind.BIAS, Kind.DARK, Kind.DARK, Kind.FLAT))
        name = f"{kind.value} {len(self.masters)}"
        member = self.new_frame(kind, f"member of {name}")
        add(self.catalogue, member)
        measure(self.catalogue, member)
        last = member.obs_start + timedelta(hours=self.chance.choice((0, 1, 30)))
        grade = self.chance.choice(groups.GRADES)
        made = replace(master(name, [member]), last_obs=last, grade=grade)
        self.masters.append(build(self.catalogue, made))
        self.settle(made)

    def settle(self, like):
        """Make some of the masters of one group and night the current ones."""
        of = Group(like.camera, like.kind, like.configuration, like.filter_name)
        same = [it for it in self.masters if (it.configuration, it.kind, it.filter_name, it.night) == (
            like.configuration, like.kind, like.filter_name, like.night)]  # fmt: skip
        chosen = [it.master_id for it in same if self.chance.random() < 0.7]
        self.catalogue.settle_night(of, like.night, chosen, NOW)

    def change(self):
        """Let one thing change."""
        usual = ("master", "master", "settle", "grade", "decide", "light")
        what = self.chance.choice((*usual, *usual, "limit", "break"))
        if what == "master" or not self.masters:
            self.new_master()
        elif what == "light":
            self.new_light()
        elif what == "settle":
            self.settle(self.chance.choice(self.masters))
        elif what == "grade":
            made = self.chance.choice(self.masters)
            self.catalogue.record_standing(Standing(made.master_id, "", self.chance.choice(groups.GRADES), ""), NOW)
        elif what == "limit":
            made = self.chance.choice(self.masters)
            ends = (self.chance.choice((None, at + timedelta(days=self.chance.randrange(-9, 9))))
                    for at in (made.first_obs, made.last_obs))  # fmt: skip
            self.catalogue.limit_masters([made.master_id], *ends, "", NOW)
        elif what == "break":
            self.break_epochs()
        else:
            decision = self.chance.choice(("pinned", "rejected", "restored", "restored"))
            self.catalogue.decide_masters([self.chance.choice(self.masters).master_id], decision, "", NOW)

    def break_epochs(self):
        """Let other nights begin an epoch, or be suspected of it, or be undone."""
        found = [
            Break("main", SETUP, f"2026-01-{day:02d}", "", self.chance.choice(("detected", "suspected", "undone")), "")
            for day in sorted(self.chance.sample(range(4, 27), self.chance.choice((0, 1, 1, 2))))
        ]
        self.catalogue.record_breaks("main", SETUP, found, NOW)

    def check(self):
        """Count the frames that were not marked though another product is due."""
        stale = {light.frame_id for light in self.catalogue.stale_lights(1000)}
        self.marked += len(stale)
        for light in self.lights:
            if light.frame_id not in stale and not self.is_as_it_should_be(light):
                self.missed["frames"] += 1

    def is_as_it_should_be(self, light):
        desk = self.desk()
        plan_light(desk, light)
        return not desk.plan.jobs and len(desk.plan.kept) == 1

    def desk(self):
        return Desk(self.catalogue, SETTINGS, NOW, in_flight=(), capacity=1000, drain=True)

    def work(self):
        """Reduce what is marked, as the daemon does: the order, then a look that confirms it."""
        for _ in range(2):
            desk = self.desk()
            for light in self.catalogue.stale_lights(1000):
                plan_light(desk, light)
            for job in desk.plan.jobs:
                self.catalogue.record_reduction(
                    job.member.frame, job, outcome(job.job_id), f"{job.job_id}.fits", "{}", NOW, units=UNITS
                )
            for kept in desk.plan.kept:
                self.catalogue.keep_reduction(kept.frame.frame_id, kept.job_id, "{}", NOW)
        assert self.catalogue.stale_lights(1000) == []


@contextmanager
def world(directory, seed, reach):
    with Catalogue.open(directory / f"{seed}.sqlite", rules=SETTINGS, reach=reach) as catalogue:
        yield World(catalogue, seed)


def run(directory, seed, reach=None):
    """Return a world after many changes."""
    with world(directory, seed, reach) as place:
        for _ in range(LIGHTS):
            place.new_light()
        for _ in range(STEPS):
            place.work()
            place.change()
            place.check()
        return place


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_that_are_not_marked_have_the_product_that_is_due(tmp_path, seed):
    assert run(tmp_path, seed, reach_rule(SETTINGS)).missed == Counter()


def test_fewer_frames_are_marked_than_share_the_set_up(tmp_path):
    narrow, broad = (run(tmp_path / name, 1, reach).marked for name, reach in places(tmp_path))
    assert narrow < 0.75 * broad


def places(directory):
    found = (("narrow", reach_rule(SETTINGS)), ("broad", None))
    for name, _ in found:
        (directory / name).mkdir()
    return found


# --- broken on purpose ------------------------------------------------------------------------------------------------


def without_grades(reach: Reach) -> Reach:
    return replace(reach, outranked_by=groups.GRADES if reach.outranked_by else ())


def without_pins(reach: Reach) -> Reach:
    return replace(reach, outranked_by=reach.outranked_by or groups.GRADES)


def without_scaling(reach: Reach) -> Reach:
    if reach.exposure_s is None:
        return reach
    low, high = reach.exposure_s
    return replace(reach, exposure_s=(low * 6 * 0.9, high / 2 * 1.1))  # the limits of scaling taken back


def without_half_the_tolerance(reach: Reach) -> Reach:
    if reach.temp_c is None:
        return reach
    low, high = reach.temp_c
    return replace(reach, temp_c=(low + 0.25, high - 0.25))


@pytest.mark.parametrize(
    "broken", [without_grades, without_pins, without_scaling, without_half_the_tolerance], ids=lambda it: it.__name__
)
def test_broken_reach_is_caught(tmp_path, broken):
    rule = reach_rule(SETTINGS)
    assert any(run(tmp_path, seed, lambda it: broken(rule(it))).missed for seed in range(12))


@pytest.mark.parametrize(
    "condition",
    [
        " AND u.cut IS NULL",
        " AND u.how NOT IN ('scaled_down', 'scaled_up')",
        " > u.age_h + 0.01",
    ],
)
def test_query_without_one_of_its_conditions_is_caught(tmp_path, monkeypatch, condition):
    assert condition in staleness._NOT_OUTRANKED
    monkeypatch.setattr(staleness, "_NOT_OUTRANKED", staleness._NOT_OUTRANKED.replace(condition, ""))
    assert any(run(tmp_path, seed, reach_rule(SETTINGS)).missed for seed in range(12))


def test_break_that_marks_no_frames_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "_MARK_LIGHTS", f"{epochs._MARK_LIGHTS} AND 0")
    assert any(run(tmp_path, seed, reach_rule(SETTINGS)).missed for seed in range(12))
