"""The sections that say which frames make a master and which masters fit a frame, one table per calibration kind.

``[masters.KIND]`` and ``[matching.KIND]`` hold for every camera; ``[camera.masters.KIND]`` and
``[camera.matching.KIND]`` replace single keys of them for one. ``Settings.rules_of`` gives what holds for a camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestd.settings.keys import key

ORDER = ("policy", "grade", "time", "temperature", "exposure", "numbers", "members")
"""By what masters that fit are compared, the most important first; ``policy`` holds the window of the read-out too."""


@dataclass(frozen=True, slots=True)
class MasterRule:
    """[masters.bias], [masters.dark], [masters.flat]: which frames make a night's master, and how long it is valid.

    Members are frames of the night and of ``window_d`` nights before it.
    ``valid_d`` days before its first and after its last frame, unless ``valid_before_d`` or ``valid_after_d`` is set.
    ``grade_members``: fewest members of a green, yellow and orange master. ``grade_age_d``: the greatest age of these
    grades in days; where it is not set, 3, 7 and 30 thirtieths of the validity (BlackBOX, for flats valid 30 days).
    """

    window_d: float = key(30.0, low=0, high=3650)
    minimum: int = key(3, low=1, high=200)
    maximum: int = key(50, low=1, high=200)
    valid_d: float = key(90.0, low=0, high=3650)
    valid_before_d: float | None = key(None, low=0, high=3650)
    valid_after_d: float | None = key(None, low=0, high=3650)
    grade_members: tuple[int, ...] = key((10, 5, 3), low=1, high=10000)
    grade_age_d: tuple[float, ...] = key((), low=0, high=3650)

    @property
    def before_d(self) -> float:
        """Days that a master is valid before its first member."""
        return self.valid_d if self.valid_before_d is None else self.valid_before_d

    @property
    def after_d(self) -> float:
        """Days that a master is valid after its last member."""
        return self.valid_d if self.valid_after_d is None else self.valid_after_d

    @property
    def longest_d(self) -> float:
        """The longer of both."""
        return max(self.before_d, self.after_d)


@dataclass(frozen=True, slots=True)
class MasterRules:
    """The rules of all kinds; [camera.masters] of one camera."""

    bias: MasterRule = key(MasterRule(30.0, 3, 50, 90.0))
    dark: MasterRule = key(MasterRule(90.0, 3, 40, 180.0))
    flat: MasterRule = key(MasterRule(14.0, 3, 30, 30.0))


@dataclass(frozen=True, slots=True)
class Masters(MasterRules):
    """[masters]: rolling masters. ``quiet_s``: a burst of frames is combined once it has been quiet this long."""

    sigma: float = key(5.0, low=1, high=100)
    iterations: int = key(1, low=1, high=20)
    quiet_s: float = key(10.0, low=0, high=86400)
    flat_floor: float = key(0.05, low=0, high=0.9)
    flat_normalise: str = key("median", choices=("median", "mode"))
    flat_low: float = key(0.8, low=0, high=0.99)
    hot_sigma: float = key(10.0, low=3, high=1000)
    hot_rate_e: float | None = key(None, low=0, high=1e6)
    noisy_sigma: float = key(10.0, low=3, high=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindMatching:
    """What [matching.bias], [matching.dark] and [matching.flat] have in common.

    ``exact`` are header cards that must be equal, beyond the configuration; ``numbers`` header cards with a number and
    how far it may be off; ``periods`` says after how much such a number begins again (360 for an angle); ``order`` by
    what masters that fit are compared, the most important first. A card that is not there is a value of its own.
    """

    exact: tuple[str, ...] = key(())
    numbers: Mapping[str, float] = key({}, low=0, high=1e9)
    periods: Mapping[str, float] = key({}, low=1e-9, high=1e9)
    order: tuple[str, ...] = key(ORDER, choices=ORDER)


@dataclass(frozen=True, slots=True)
class BiasMatching(KindMatching):
    """[matching.bias]: how far a master bias may be from the frame."""

    max_delta_temp_c: float = key(0.5, low=0, high=100)


@dataclass(frozen=True, slots=True)
class DarkMatching(KindMatching):
    """[matching.dark]: how far a master dark may be from the frame, and how far it may be scaled.

    Exposures are equal within the larger of ``exposure_tolerance_s`` and ``exposure_tolerance_ratio`` times the
    exposure. ``max_scale_up`` and ``max_scale_down`` bound frame exposure over dark exposure and its inverse.
    """

    max_delta_temp_c: float = key(0.5, low=0, high=100)
    exposure_tolerance_s: float = key(0.05, low=0, high=3600)
    exposure_tolerance_ratio: float = key(0.01, low=0, high=1)
    max_scale_up: float = key(2.0, low=1, high=1000)
    max_scale_down: float = key(100.0, low=1, high=100000)
    bias_only_max_s: float = key(1.0, low=0, high=3600)


@dataclass(frozen=True, slots=True)
class FlatMatching(KindMatching):
    """[matching.flat]: a master flat need not share the temperature of the frame unless a limit is set."""

    max_delta_temp_c: float | None = key(None, low=0, high=100)


@dataclass(frozen=True, slots=True)
class Matching:
    """[matching]: which masters fit a frame, one table per calibration kind; [camera.matching] of one camera."""

    bias: BiasMatching = key(BiasMatching())
    dark: DarkMatching = key(DarkMatching())
    flat: FlatMatching = key(FlatMatching())


@dataclass(frozen=True, slots=True)
class Rules:
    """The association rules of one camera, its own keys in the place of the general ones."""

    masters: MasterRules
    matching: Matching

    def master(self, kind: str) -> MasterRule:
        """Return which frames make a master of a kind, and how long it is valid."""
        return {"bias": self.masters.bias, "dark": self.masters.dark, "flat": self.masters.flat}[kind]

    def match(self, kind: str) -> BiasMatching | DarkMatching | FlatMatching:
        """Return which masters of a kind fit a frame."""
        tables: dict[str, BiasMatching | DarkMatching | FlatMatching]
        tables = {"bias": self.matching.bias, "dark": self.matching.dark, "flat": self.matching.flat}
        return tables[kind]

    def cards(self, *kinds: str) -> tuple[str, ...]:
        """Return the header cards that the rules of some kinds compare, by default of all, sorted, upper case."""
        tables = [self.match(kind) for kind in kinds or ("bias", "dark", "flat")]
        return tuple(sorted({name.upper() for table in tables for name in (*table.exact, *table.numbers)}))
