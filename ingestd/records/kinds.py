"""The words that everything else is sorted by: kinds of frames, states, mask bits, versions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag, StrEnum

VERSION = "0.1.0"

ALGORITHMS: Mapping[str, int] = {"measure": 2, "bias": 3, "dark": 3, "flat": 2, "reduce": 3}
"""Version of the arithmetic behind each kind of job; raise it when the same inputs would give other bytes."""


class Kind(StrEnum):
    """What a frame is for. ``other`` is recognised but never combined or reduced; ``unknown`` is not recognised."""

    BIAS = "bias"
    DARK = "dark"
    FLAT = "flat"
    LIGHT = "light"
    OTHER = "other"
    UNKNOWN = "unknown"


CALIBRATION_KINDS = (Kind.BIAS, Kind.DARK, Kind.FLAT)


class State(StrEnum):
    """Where a frame stands. Everything finer is a reason code."""

    WAITING = "waiting"
    DONE = "done"
    PROVISIONAL = "provisional"
    QUARANTINED = "quarantined"
    FAILED = "failed"


class MaskBit(IntFlag):
    """Bits of the data-quality mask (uint8) of masters and products; 0 is a good pixel."""

    BAD = 1
    SATURATED = 2
    HOT = 4
    COSMIC = 8
    NO_DATA = 16
    CLIPPED_MASTER = 32
    INTERPOLATED = 64
    NONLINEAR = 128
