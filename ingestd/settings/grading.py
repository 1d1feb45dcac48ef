"""The section that says how far a night's master may be from that of the previous night."""

from __future__ import annotations

from dataclasses import dataclass

from ingestd.settings.keys import key


@dataclass(frozen=True, slots=True)
class Grading:
    """[grading]: a night's master against that of the previous night of its group.

    A difference is yellow, orange or red above so many sigma (BlackBOX). One sigma is the error of the difference, but
    never less than what a camera drifts by: of the level ``level_floor`` and of patches ``patch_floor`` times the noise
    of one frame; of noise and dark signal the part ``ratio_floor`` (Rubin: 5 %), of a flat ``flat_ratio_floor``.
    """

    yellow_sigma: float = key(2.0, low=0.1, high=10000)
    orange_sigma: float = key(4.0, low=0.1, high=10000)
    red_sigma: float = key(7.0, low=0.1, high=10000)
    level_floor: float = key(1.0, low=0, high=1000)
    patch_floor: float = key(0.25, low=0, high=1000)
    ratio_floor: float = key(0.025, low=0, high=1)
    flat_ratio_floor: float = key(0.005, low=0, high=1)
