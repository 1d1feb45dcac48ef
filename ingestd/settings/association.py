"""The sections that say which frames make a master and which masters fit a frame, one table per calibration kind."""

from __future__ import annotations

from dataclasses import dataclass

from ingestd.settings.keys import key


@dataclass(frozen=True, slots=True)
class MasterRule:
    """[masters.bias], [masters.dark], [masters.flat]: which frames make a night's master, and how long it is valid."""

    window_d: float = key(30.0, low=0, high=3650)
    minimum: int = key(3, low=1, high=200)
    maximum: int = key(50, low=1, high=200)
    valid_d: float = key(90.0, low=0, high=3650)


@dataclass(frozen=True, slots=True)
class Masters:
    """[masters]: rolling masters. ``quiet_s``: a burst of frames is combined once it has been quiet this long."""

    sigma: float = key(5.0, low=1, high=100)
    iterations: int = key(1, low=1, high=20)
    quiet_s: float = key(10.0, low=0, high=86400)
    flat_floor: float = key(0.05, low=0, high=0.9)
    hot_sigma: float = key(10.0, low=3, high=1000)
    bias: MasterRule = key(MasterRule(30.0, 3, 50, 90.0))
    dark: MasterRule = key(MasterRule(90.0, 3, 40, 180.0))
    flat: MasterRule = key(MasterRule(14.0, 3, 30, 30.0))


@dataclass(frozen=True, slots=True)
class BiasMatching:
    """[matching.bias]: how far a master bias may be from the frame."""

    max_delta_temp_c: float = key(0.5, low=0, high=100)


@dataclass(frozen=True, slots=True)
class DarkMatching:
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
class FlatMatching:
    """[matching.flat]: a master flat need not share the temperature of the frame unless a limit is set."""

    max_delta_temp_c: float | None = key(None, low=0, high=100)


@dataclass(frozen=True, slots=True)
class Matching:
    """[matching]: association rules, one table per calibration kind."""

    bias: BiasMatching = key(BiasMatching())
    dark: DarkMatching = key(DarkMatching())
    flat: FlatMatching = key(FlatMatching())
