"""The choice for 10,000 random catalogues against a slow oracle that filters in stages and counts in whole numbers.

Temperatures and angles are tenths of a degree, exposures hundredths of a second, times hours, so that the oracle never
rounds, and values come from small sets, so that every step of the order of choosing has to break ties. A third of the
catalogues belong to a camera with association rules of its own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.records import Kind, Match
from ingestd.rules import matching
from ingestd.rules.matching import DarkPolicy, verdicts
from ingestd.rules.matching.limits import Subject, bias_limits, dark_limits, flat_limits
from ingestd.settings import ORDER, Camera, MasterRules, Matching, Rules, Settings
from tests.rules.builders import EPOCH, configuration, frame, master

CATALOGUES = 10_000
CAMERA = Camera("main")
DEFAULT_ORDER = ("policy", "grade", "time", "temperature", "exposure", "numbers", "members")
VALID_D = {Kind.BIAS: 90, Kind.DARK: 180, Kind.FLAT: 30}
GRADES = ("green", "yellow", "orange", "red")
WINDOWS = {
    "own": {"window": (10, 20)},
    "larger": {"window": (0, 20), "width_px": 775, "height_px": 800},
    "smaller": {"window": (10, 20), "width_px": 764},
    "beside": {"window": (11, 20)},
    "unknown": {"window": None, "width_px": 2000, "height_px": 2000},
}
"""What a master shows of the sensor; the frame has its ``own`` window of 765 x 510 pixels."""


def setup_key(window: str, *, cmos: bool):
    """Return the configuration of a frame or master."""
    return configuration(gain_setting=100.0 if cmos else None, **WINDOWS[window])


@dataclass(frozen=True)
class Facts:
    """A frame or a master in whole numbers; hours are counted from EPOCH."""

    name: str
    tenths_c: int | None
    hundredths_s: int | None
    filter_name: str | None
    first_h: int = 0
    last_h: int = 0
    members: int = 3
    grade: int = 0
    camera: str = "main"
    window: str = "own"
    angle: int | None = None
    grating: str | None = None
    range_h: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True)
class OwnRules:
    """The association rules of a camera in whole numbers, for each kind; without an entry those of all hold.

    ``angles`` is the tolerance of an angle in tenths of a degree.
    """

    order: dict[Kind, tuple[str, ...]] = field(default_factory=dict)
    sides_d: dict[Kind, tuple[int, int]] = field(default_factory=dict)
    ages_d: dict[Kind, tuple[int, int, int]] = field(default_factory=dict)
    angles: dict[Kind, int] = field(default_factory=dict)
    gratings: tuple[Kind, ...] = ()

    def valid_h(self, kind: Kind, facts: Facts) -> int:
        """Return for how many hours a master serves on the side of its members where the frame, at hour 0, lies."""
        before, after = self.sides_d.get(kind, (VALID_D[kind], VALID_D[kind]))
        if facts.first_h <= 0 <= facts.last_h:
            return 24 * max(before, after)
        return 24 * (before if facts.first_h > 0 else after)

    def camera(self) -> Camera:
        """Return the camera with these rules."""
        masters, tables = MasterRules(), Matching()
        for kind in VALID_D:
            rule, table = getattr(masters, kind.value), getattr(tables, kind.value)
            if kind in self.sides_d:
                before, after = self.sides_d[kind]
                rule = replace(rule, valid_before_d=float(before), valid_after_d=float(after))
            rule = replace(rule, grade_age_d=tuple(map(float, self.ages_d.get(kind, ()))))
            if kind in self.angles:
                table = replace(table, numbers={"rotator": self.angles[kind] / 10}, periods={"rotator": 360.0})
            exact = ("GRATING",) if kind in self.gratings else ()
            table = replace(table, order=self.order.get(kind, ORDER), exact=exact)
            masters = replace(masters, **{kind.value: rule})
            tables = replace(tables, **{kind.value: table})
        return replace(CAMERA, masters=masters, matching=tables)


# --- random catalogues ------------------------------------------------------------------------------------------------

TEMPERATURES = (-100, -100, -100, -103, -97, -105, -95, -106, -150, None)
EXPOSURES = (30000, 30000, 30300, 29700, 30301, 60000, 60000, 15000, 14900, 3000000, 3100000, 50, 0, None)
HOURS = (0, 0, 5, 24, 24, 71, 72, 73, 168, 169, 504, 505, 719, 720, 721, 1000, 2160, 2161, 4320, 4321)


def dice_of(seed: int) -> random.Random:
    """Return dice that always fall the same way for a seed."""
    return random.Random(seed)  # noqa: S311 - a catalogue, not a secret


ANGLES = (0, 0, 3, 5, 6, 3597, 3595, 3594, 1800, None)
GRATINGS = ("B600", "B600", "R400", None)


def random_rules(dice: random.Random) -> OwnRules:
    if dice.random() < 2 / 3:
        return OwnRules()
    kinds = list(VALID_D)
    return OwnRules(
        {kind: tuple(dice.sample(ORDER, len(ORDER))) for kind in kinds if dice.random() < 0.7},
        {kind: dice.choice(((0, 30), (7, 90), (90, 7), (180, 180))) for kind in kinds if dice.random() < 0.5},
        {kind: dice.choice(((1, 3, 30), (0, 0, 7), (7, 7, 7))) for kind in kinds if dice.random() < 0.5},
        {kind: dice.choice((0, 5, 5, 3600)) for kind in kinds if dice.random() < 0.5},
        tuple(kind for kind in kinds if dice.random() < 0.5),
    )


def random_frame(dice: random.Random) -> Facts:
    exposure = dice.choice((30000, 30000, 30000, 6000, 100, 50, 0, None))
    facts = Facts("frame", dice.choice(TEMPERATURES), exposure, dice.choice(("V", "V", "R", None)))
    return replace(facts, angle=dice.choice(ANGLES), grating=dice.choice(GRATINGS))


def random_masters(dice: random.Random, kind: Kind) -> list[Facts]:
    return [random_master(dice, f"{kind.value} {i}") for i in range(dice.choice((0, 1, 2, 3, 5, 8, 8, 8, 40)))]


def random_master(dice: random.Random, name: str) -> Facts:
    near, length = dice.choice(HOURS), dice.choice((0, 0, 24, 500))
    first, last = dice.choice(((near, near + length), (-near - length, -near)))
    return Facts(
        name,
        dice.choice(TEMPERATURES),
        dice.choice(EXPOSURES),
        dice.choice(("V", "V", "R", None)),
        first,
        last,
        dice.choice((3, 3, 10)),
        dice.choice((0, 0, 0, 1, 2, 3)),
        dice.choice(("main",) * 9 + ("other",)),
        dice.choice(("own",) * 5 + ("larger", "larger", "smaller", "beside", "unknown")),
        dice.choice(ANGLES),
        dice.choice(GRATINGS),
        dice.choice(((None, None),) * 7 + ((0, None), (None, 0), (1, None), (None, -1), (-5, 5))),
    )


def cards_of(facts: Facts):
    angle = None if facts.angle is None else facts.angle / 10
    return tuple((name, it) for name, it in (("GRATING", facts.grating), ("ROTATOR", angle)) if it is not None)


def as_frame(facts: Facts, *, cmos: bool):
    return frame(
        exposure_s=None if facts.hundredths_s is None else facts.hundredths_s / 100,
        ccd_temp_c=None if facts.tenths_c is None else facts.tenths_c / 10,
        filter_name=facts.filter_name,
        configuration=setup_key("own", cmos=cmos),
        cards=cards_of(facts),
    )


def as_master(kind: Kind, facts: Facts, *, cmos: bool):
    return master(
        kind,
        facts.name,
        members=facts.members,
        exposure_s=None if facts.hundredths_s is None else facts.hundredths_s / 100,
        ccd_temp_c=None if facts.tenths_c is None else facts.tenths_c / 10,
        filter_name=facts.filter_name,
        first_obs=EPOCH + timedelta(hours=facts.first_h),
        last_obs=EPOCH + timedelta(hours=facts.last_h),
        grade=GRADES[facts.grade],
        camera=facts.camera,
        configuration=setup_key(facts.window, cmos=cmos).key(),
        cards=cards_of(facts),
        **{name: time_of(hour) for name, hour in zip(("valid_from", "valid_until"), facts.range_h, strict=True)},
    )


def time_of(hour: int | None):
    return None if hour is None else EPOCH + timedelta(hours=hour)


# --- the oracle -------------------------------------------------------------------------------------------------------


def gap_h(facts: Facts) -> int:
    """Return the hours between the frame, at hour 0, and the interval of the master."""
    if facts.first_h <= 0 <= facts.last_h:
        return 0
    return min(abs(facts.first_h), abs(facts.last_h))


def combined_grade(kind: Kind, facts: Facts, rules: OwnRules) -> int:
    """Return the worse of the master's grade and that of its age: days of the rules, or parts of the validity."""
    if kind in rules.ages_d:
        steps = [gap_h(facts) <= 24 * days for days in rules.ages_d[kind]]
    else:
        steps = [30 * gap_h(facts) <= parts * rules.valid_h(kind, facts) for parts in (3, 7, 30)]
    return max(facts.grade, [*steps, True].index(True))


def angle_apart(subject: Facts, facts: Facts) -> int:
    """Return the shorter way round in tenths of a degree; an unknown one is far from a known."""
    if subject.angle is None or facts.angle is None:
        return 0 if subject.angle == facts.angle else 10**9
    return min((subject.angle - facts.angle) % 3600, (facts.angle - subject.angle) % 3600)


def has_the_cards(kind: Kind, subject: Facts, facts: Facts, rules: OwnRules) -> bool:
    if kind in rules.gratings and subject.grating != facts.grating:
        return False
    return kind not in rules.angles or angle_apart(subject, facts) <= rules.angles[kind]


def is_in_range(facts: Facts) -> bool:
    first, last = facts.range_h
    return (first is None or first <= 0) and (last is None or last >= 0)


def same_temperature(subject: Facts, facts: Facts) -> bool:
    if subject.tenths_c is None or facts.tenths_c is None:
        return subject.tenths_c == facts.tenths_c
    return abs(subject.tenths_c - facts.tenths_c) <= 5


def apart(first: int | None, second: int | None) -> int:
    if first is None or second is None:
        return 0 if first == second else 10**9
    return abs(first - second)


def dark_use(subject: Facts, facts: Facts, *, scalable: bool) -> str | None:
    """Return how a dark can be used: exact, scaled_down, scaled_up or not at all."""
    wanted, has = subject.hundredths_s, facts.hundredths_s
    if wanted is None or has is None:
        return None
    if abs(wanted - has) <= 5 or 100 * abs(wanted - has) <= wanted:
        return "exact"
    if not scalable:
        return None
    if has > wanted:
        return "scaled_down" if has <= 100 * wanted else None
    return "scaled_up" if wanted <= 2 * has else None


def oracle(kind: Kind, subject: Facts, masters: list[Facts], uses: dict[str, int], rules: OwnRules) -> Facts | None:
    """Return the best of the masters that ``uses`` names (with the rank of their use), stage by stage."""
    left = [
        it
        for it in masters
        if it.name in uses
        and it.camera == "main"
        and it.window in {"own", "larger"}
        and gap_h(it) <= rules.valid_h(kind, it)
        and is_in_range(it)
        and has_the_cards(kind, subject, it, rules)
        and (kind is Kind.FLAT or same_temperature(subject, it))
        and (kind is not Kind.FLAT or it.filter_name == subject.filter_name)
    ]
    by_word = {
        "policy": (lambda it: uses[it.name], lambda it: it.window != "own"),
        "grade": (lambda it: combined_grade(kind, it, rules),),
        "time": (gap_h,),
        "temperature": (lambda it: apart(subject.tenths_c, it.tenths_c),),
        "exposure": (lambda it: apart(subject.hundredths_s, it.hundredths_s) if kind is Kind.DARK else 0,),
        "numbers": (lambda it: angle_apart(subject, it) if kind in rules.angles else 0,),
        "members": (lambda it: -it.members,),
    }
    stages = (
        *(stage for word in rules.order.get(kind, DEFAULT_ORDER) for stage in by_word[word]),
        lambda it: it.first_h,
        lambda it: it.last_h,
        lambda it: as_master(kind, it, cmos=False).sha256,
    )
    for stage in stages:
        least = min((stage(it) for it in left), default=0)
        left = [it for it in left if stage(it) == least]
    return left[0] if left else None


def oracle_says(
    subject: Facts, catalogue: dict[Kind, list[Facts]], rules: OwnRules, *, scalable: bool
) -> tuple[str, str, str]:
    """Return the outcome for bias, dark and flat: a name (for a dark with its use), 'wait' or 'not needed'."""
    every = {it.name: 0 for masters in catalogue.values() for it in masters}
    bias = oracle(Kind.BIAS, subject, catalogue[Kind.BIAS], every, rules)
    flat = oracle(Kind.FLAT, subject, catalogue[Kind.FLAT], every, rules)
    uses = {it.name: dark_use(subject, it, scalable=scalable) for it in catalogue[Kind.DARK]}
    order = ["exact"] if bias is None else ["exact", "scaled_down", "scaled_up"]
    ranks = {name: order.index(use) for name, use in uses.items() if use in order}
    dark = oracle(Kind.DARK, subject, catalogue[Kind.DARK], ranks, rules)
    bias_words = bias.name if bias else "wait"
    flat_words = flat.name if flat else "wait"
    if dark is not None:
        use = uses[dark.name]
        return "not needed" if use == "exact" else bias_words, f"{dark.name} {use}", flat_words
    short = subject.hundredths_s is not None and subject.hundredths_s <= 100
    return bias_words, "not needed" if short else "wait", flat_words


# --- the comparison ---------------------------------------------------------------------------------------------------


def in_words(choice) -> str:
    if isinstance(choice, Match):
        name = choice.master.path.rsplit("/", 1)[1].removesuffix(".fits")
        return f"{name} {choice.how}" if choice.master.kind is Kind.DARK else name
    return "wait" if hasattr(choice, "candidates") else "not needed"


def nearest_in_time(subject, masters, settings, camera):
    """Choose as a deliberately broken variant: whatever fits and is nearest in time, the rank of darks ignored."""
    found = matching.calibration_for(subject, masters, settings, camera)
    if not isinstance(found.dark, Match):
        return found
    fitting = [it for it in found.dark.candidates if it.fits]
    nearest = min(fitting, key=lambda it: (it.age_h, it.master_id))
    chosen = next(it for it in masters[Kind.DARK] if it.master_id == nearest.master_id)
    dark = Match(chosen, nearest.how, None, None, nearest.age_h, ())
    return type(found)(found.bias, dark, found.flat)


def disagreements(choose, seeds: range) -> list[int]:
    """Return the seeds of the catalogues for which the choice is not the oracle's, or depends on the order."""
    return [seed for seed in seeds if not agrees(choose, dice_of(seed))]


def agrees(choose, dice: random.Random) -> bool:
    cmos = dice.random() < 0.3
    rules, subject = random_rules(dice), random_frame(dice)
    catalogue = {kind: random_masters(dice, kind) for kind in VALID_D}
    camera = rules.camera()
    settings = Settings((camera,))
    masters = {kind: [as_master(kind, it, cmos=cmos) for it in found] for kind, found in catalogue.items()}
    shuffled = {kind: dice.sample(found, len(found)) for kind, found in masters.items()}
    first = choose(as_frame(subject, cmos=cmos), masters, settings, camera)
    second = choose(as_frame(subject, cmos=cmos), shuffled, settings, camera)
    said = oracle_says(subject, catalogue, rules, scalable=not cmos)
    return first == second and (in_words(first.bias), in_words(first.dark), in_words(first.flat)) == said


@pytest.mark.parametrize("start", range(0, CATALOGUES, CATALOGUES // 10))
def test_choice_is_the_oracles_in_any_order(start):
    assert disagreements(matching.calibration_for, range(start, start + CATALOGUES // 10)) == []


def test_oracle_catches_a_choice_by_time_alone():
    assert disagreements(nearest_in_time, range(300))


def general_rules_only(subject, masters, _settings, _camera):
    """Choose as a deliberately broken variant: the rules of all cameras, not those of this one."""
    return matching.calibration_for(subject, masters, Settings((CAMERA,)), CAMERA)


def test_oracle_catches_a_choice_that_ignores_the_rules_of_the_camera():
    assert disagreements(general_rules_only, range(300))


def test_random_catalogues_reach_every_outcome():
    outcomes = set()
    for seed in range(1000):
        dice = dice_of(seed)
        cmos = dice.random() < 0.3
        rules, subject = random_rules(dice), random_frame(dice)
        catalogue = {kind: random_masters(dice, kind) for kind in VALID_D}
        bias, dark, flat = oracle_says(subject, catalogue, rules, scalable=not cmos)
        outcomes |= {("bias", bias.split()[0]), ("dark", dark.split()[-1]), ("flat", flat.split()[0])}
    assert outcomes == {
        *(("bias", it) for it in ("bias", "wait", "not")),
        *(("dark", it) for it in ("exact", "scaled_down", "scaled_up", "wait", "needed")),
        *(("flat", it) for it in ("flat", "wait")),
    }


# --- the sieve --------------------------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.sampled_from(list(VALID_D)), st.integers(15, 120), st.permutations(ORDER))
def test_sieve_changes_nothing_in_the_ranking(dice, kind, count, order):
    """Most masters fit, so that the fast way through ``rank`` is taken as well as the slow one."""
    hours = [dice.choice((-1, 1)) * hour for hour in dice.choices(HOURS, k=count)]
    near = [
        Facts(
            name=f"m{i}",
            tenths_c=dice.choice((-100, -105, -106)),
            hundredths_s=dice.choice((30000, 30300, 60000)),
            filter_name=dice.choice("VVVR"),
            first_h=hour,
            last_h=hour,
            grade=dice.randrange(4),
            window=dice.choice(("own", "own", "larger", "beside")),
        )
        for i, hour in enumerate(hours)
    ]
    masters = [as_master(kind, it, cmos=False) for it in near]
    policy = DarkPolicy(scalable=True, reason="")
    camera = OwnRules(order={kind: tuple(order)}).camera()
    rules = Rules(camera.masters, camera.matching)
    limits = {
        Kind.BIAS: bias_limits(rules),
        Kind.DARK: dark_limits(rules, policy, has_bias=True),
        Kind.FLAT: flat_limits(rules),
    }[kind]
    subject = Subject("main", setup_key("own", cmos=False).key(), 300.0, -10.0, "V", EPOCH, EPOCH)
    every = sorted((verdicts.judge(subject, it, limits) for it in masters), key=lambda it: it.key)
    assert verdicts.rank(subject, masters, limits) == (count, every[: verdicts.MAX_CANDIDATES])
