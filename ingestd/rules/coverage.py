"""What science used lately against the masters that are valid: covered, expiring, missing, and what to take tonight.

A combination is what its frames share: camera, configuration, temperature, exposure, filter. "Lately" counts back from
the newest science frame, so that neither a cloudy month nor an archive empties the list; "valid" is asked for a frame
that would be taken now. Whether a master serves, the rules of matching say, here as for any frame.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from ingestd.records import (
    CALIBRATION_KINDS,
    Calibration,
    Choice,
    FrameRecord,
    Group,
    Kind,
    Master,
    Match,
    ScienceUse,
    Wait,
)
from ingestd.rules import groups, matching
from ingestd.settings import Camera, MasterRule, Matching, Settings

NIGHTS = 14
"""For how many nights back science is looked at, unless said otherwise."""

EXPIRING_D = 7.0
"""A master that serves for fewer days than this is expiring, unless said otherwise."""

_SECOND = timedelta(seconds=1)
_BY_LONGITUDE = timedelta(days=1) / 360


class Status(StrEnum):
    """How a combination stands with one kind of calibration."""

    COVERED = "covered"
    EXPIRING = "expiring"
    MISSING = "missing"


class View(Protocol):
    """What coverage reads of the catalogue."""

    def newest_science_night(self) -> str | None:
        """Return the newest night with a science frame."""

    def science_uses(self, first_night: str, last_night: str) -> list[ScienceUse]:
        """Return the conditions of the science frames in a range of nights."""

    def frame(self, frame_id: str) -> FrameRecord | None:
        """Return the record of a frame."""

    def masters(
        self,
        camera: str,
        configuration: str,
        kind: Kind,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Master]:
        """Return the current masters of one configuration, by the time of their last member."""

    def usable_frames(self, group: Group, first_night: str, last_night: str) -> list[FrameRecord]:
        """Return the frames of a group that may be members."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Science frames that need the same calibrations; ``example`` is the newest of them."""

    camera: str
    configuration: str
    ccd_temp_c: float | None
    exposure_s: float | None
    filter_name: str | None
    frames: int
    newest: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Cover:
    """One kind of calibration for a combination.

    ``valid_until`` is when the last master that serves ceases to be valid (None where none serves); ``take`` is the
    number of the need that would serve it, 0 if it is covered.
    """

    combination: Combination
    kind: Kind
    status: Status
    how: str
    grade: str
    master: Master | None
    valid_until: datetime | None
    reason: str
    take: int


@dataclass(frozen=True, slots=True)
class Need:
    """Frames to take: what, how many, and for how many science frames it is good.

    ``have`` frames of the window are there already; ``to_minimum`` more make a master, ``to_good`` more a green one.
    ``science_frames`` counts the frames of all combinations that it serves and nothing before it in the list does.
    """

    number: int
    status: Status
    camera: str
    configuration: str
    kind: Kind
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    have: int
    to_minimum: int
    to_good: int
    science_frames: int
    note: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The whole answer; ``covers`` by camera and conditions, ``needs`` in the order in which they serve most."""

    at: datetime
    first_night: str | None
    last_night: str | None
    expiring_d: float
    combinations: tuple[Combination, ...]
    covers: tuple[Cover, ...]
    needs: tuple[Need, ...]


def survey(
    view: View, settings: Settings, now: datetime, *, nights: int = NIGHTS, expiring_d: float = EXPIRING_D
) -> Coverage:
    """Return which calibrations of the combinations that science used are covered, expiring or missing.

    Parameters
    ----------
    view : View
        Reads of the catalogue.
    settings : Settings
        Which steps a camera requires, tolerances, validity, minimum numbers.
    now : datetime
        When the next frame would be taken.
    nights : int
        How many nights count, back from that of the newest science frame.
    expiring_d : float, day
        For how long a master must still serve.

    Returns
    -------
    Coverage
        Empty where there is no science frame yet.
    """
    last_night = view.newest_science_night()
    if last_night is None:
        return Coverage(now, None, None, expiring_d, (), (), ())
    first_night = groups.night_before(last_night, nights - 1)
    found = combinations(view.science_uses(first_night, last_night), settings.matching)
    covers, needs = _Survey(view, settings, now, expiring_d).of(found)
    return Coverage(now, first_night, last_night, expiring_d, found, covers, needs)


# --- combinations -----------------------------------------------------------------------------------------------------


def combinations(uses: Sequence[ScienceUse], rules: Matching) -> tuple[Combination, ...]:
    """Return the combinations of science frames: temperatures and exposures cluster as those of darks do.

    The conditions of a cluster are the medians of its frames, in all filters, so that filters share darks.
    """
    found = []
    for (camera, configuration), members in _by(uses, lambda use: (use.camera, use.configuration)):
        for ccd_temp_c, warm in _clusters(members, "ccd_temp_c", rules):
            for exposure_s, equal in _clusters(warm, "exposure_s", rules):
                for (name,), same in _by(equal, lambda use: (use.filter_name or "",)):
                    newest = max(same, key=lambda use: (use.newest, use.frame_id))
                    count = sum(use.frames for use in same)
                    found.append(
                        Combination(
                            camera,
                            configuration,
                            ccd_temp_c,
                            exposure_s,
                            name or None,
                            count,
                            newest.newest,
                            newest.frame_id,
                        )
                    )
    return tuple(found)


def _by(uses: Sequence[ScienceUse], key: object) -> Iterator[tuple[tuple[str, ...], list[ScienceUse]]]:
    """Yield uses with equal keys (texts), in the order of the keys."""
    assert callable(key)  # noqa: S101 - a function of this module
    for value, members in itertools.groupby(sorted(uses, key=key), key):
        yield value, list(members)


def _clusters(
    uses: Sequence[ScienceUse], field: str, rules: Matching
) -> Iterator[tuple[float | None, list[ScienceUse]]]:
    """Yield uses by clusters of their temperature or exposure, each with the median over its frames."""
    values = [getattr(use, field) for use in uses]
    found = groups.clusters(values, groups.CLUSTER_TEMP_C if field == "ccd_temp_c" else _exposure_reach(rules))
    for cluster in found:
        members = [uses[index] for index in cluster]
        known = [value for use in members if (value := getattr(use, field)) is not None for _ in range(use.frames)]
        yield (statistics.median_low(known) if known else None), members


def _exposure_reach(rules: Matching) -> groups.Reach:
    """Return how far exposures of one cluster may be apart."""
    tolerance_s = min(groups.CLUSTER_EXPOSURE_S, rules.dark.exposure_tolerance_s)
    tolerance_ratio = min(groups.CLUSTER_EXPOSURE_RATIO, rules.dark.exposure_tolerance_ratio)
    return lambda exposure_s: groups.exposure_tolerance_s(exposure_s, tolerance_s, tolerance_ratio)
