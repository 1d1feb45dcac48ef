"""What a master is wanted for, and how far it may be from that: the rules of its kind, the dark policy of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ingestd.records import Break, Cards, FrameRecord, Kind
from ingestd.settings import Camera, DarkMatching, KindMatching, MasterRule, Rules


class DarkPolicy(NamedTuple):
    """Whether darks of a camera may be scaled to another exposure, and the card or setting that says so."""

    scalable: bool
    reason: str


_NO_DARK = DarkPolicy(scalable=False, reason="not a dark")


def dark_policy(frame: FrameRecord, camera: Camera) -> DarkPolicy:
    """Return the dark policy for a frame.

    ``auto`` means exact darks only where the header has a gain setting or an offset, which CMOS drivers write (their
    amplifier glow does not scale), and otherwise scalable ones.
    """
    if camera.dark_policy != "auto":
        return DarkPolicy(camera.dark_policy == "scalable", f'dark_policy = "{camera.dark_policy}" in the settings')
    settings = (
        ("gain_setting", "gain setting", frame.configuration.gain_setting),
        ("offset_setting", "offset setting", frame.configuration.offset_setting),
    )
    for field, words, value in settings:
        if value is not None:
            card = frame.source(field) or "the header"
            return DarkPolicy(scalable=False, reason=f"{words} {value:g} ({card}) is that of a CMOS driver")
    return DarkPolicy(scalable=True, reason="no gain or offset setting in the header")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a master is wanted for: a frame, or a master dark (whose observations have a length).

    ``night`` and ``breaks`` tell its hardware epoch.
    """

    camera: str
    configuration: str
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    first_obs: datetime
    last_obs: datetime
    cards: Cards = ()
    night: str | None = None
    breaks: tuple[Break, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a master may be from its subject: the rules of its kind; for darks the policy, and whether a bias fits.

    ``rule`` is the section masters of the kind, ``table`` its section matching, both of the subject's camera; ``dark``
    is that table for darks only, ``max_delta_temp_c`` None where there is no limit.
    """

    kind: Kind
    rule: MasterRule
    table: KindMatching
    max_delta_temp_c: float | None
    dark: DarkMatching | None = None
    policy: DarkPolicy = _NO_DARK
    has_bias: bool = False


def bias_limits(rules: Rules) -> Limits:
    """Return the limits for a master bias."""
    table = rules.matching.bias
    return Limits(Kind.BIAS, rules.masters.bias, table, table.max_delta_temp_c)


def dark_limits(rules: Rules, policy: DarkPolicy, *, has_bias: bool) -> Limits:
    """Return the limits for a master dark; one that must be scaled needs a bias."""
    table = rules.matching.dark
    return Limits(Kind.DARK, rules.masters.dark, table, table.max_delta_temp_c, table, policy, has_bias)


def flat_limits(rules: Rules) -> Limits:
    """Return the limits for a master flat."""
    table = rules.matching.flat
    return Limits(Kind.FLAT, rules.masters.flat, table, table.max_delta_temp_c)
