"""What a scan would make of the frames seen: the rules of groups and matching, played through without a pixel.

The smallest numbers of frames for a master follow from it: as they are by default, lowered only where that gives
frames a master that they would not have, and only if every frame of the directory was seen.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingestd.records import CALIBRATION_KINDS, Calibration, FrameRecord, Group, Kind, Master, Match, Wait
from ingestd.rules import groups, matching
from ingestd.rules.proposing.values import LightOutlook, MasterOutlook, Outlook
from ingestd.settings import MasterRule, Settings

LONGEST_VALID_D = 400.0
"""A library of biases and darks is renewed once a year."""

_LOWER_MINIMA = (2, 1)
_PEDESTAL = "needs a bias, a dark or an overscan first: a frame that holds its bias level is not divided by a flat."
_PLURALS = {Kind.BIAS: "biases", Kind.DARK: "darks", Kind.FLAT: "flats"}


@dataclass(frozen=True, slots=True)
class Played:
    """Masters that would be built, and the choice for each science frame and each flat."""

    masters: tuple[Master, ...]
    choices: tuple[tuple[FrameRecord, Calibration], ...]


def play(frames: Sequence[FrameRecord], settings: Settings) -> Played:
    """Return what a scan with these settings would make of the frames, biases first, then darks, flats and lights."""
    by_group: defaultdict[Group, list[FrameRecord]] = defaultdict(list)
    for frame in frames:
        if frame.may_join_master:
            by_group[groups.group_of(frame)].append(frame)
    chooser = _Chooser(settings)
    choices: list[tuple[FrameRecord, Calibration]] = []
    for kind in CALIBRATION_KINDS:
        for group, members in by_group.items():
            if group.kind is not kind:
                continue
            usable = members
            if kind is Kind.FLAT:
                chosen = [(frame, chooser.choose(frame)) for frame in members]
                choices += chosen
                usable = [frame for frame, choice in chosen if choice.matches or not choice.waits]
            chooser.add(_masters_of(group, usable, settings))
    lights = [frame for frame in frames if frame.kind is Kind.LIGHT and frame.obs_start is not None]
    choices += [(frame, chooser.choose(frame)) for frame in lights]
    return Played(tuple(chooser.masters), tuple(choices))


class _Chooser:
    """Chooses masters among those built so far, once for frames that differ in nothing that counts."""

    def __init__(self, settings: Settings) -> None:
        self.masters: list[Master] = []
        self._settings = settings
        self._cameras = {camera.name: camera for camera in settings.camera}
        self._near: defaultdict[tuple[str, str], list[Master]] = defaultdict(list)
        self._known: dict[tuple[object, ...], Calibration] = {}

    def add(self, masters: Sequence[Master]) -> None:
        """Add masters; they count for what is chosen afterwards, which is of another kind."""
        self.masters += masters
        for master in masters:
            self._near[master.camera, master.configuration].append(master)

    def choose(self, frame: FrameRecord) -> Calibration:
        """Return the choice for a frame with a time."""
        setup = frame.configuration.key()
        temperature = None if frame.ccd_temp_c is None else round(frame.ccd_temp_c, 1)
        conditions = (frame.kind, frame.exposure_s, temperature, frame.filter_name, frame.night, frame.flags)
        key = (frame.camera, setup, *conditions)
        if key not in self._known:
            self._known[key] = self._choose(frame, self._near[frame.camera, setup])
        return self._known[key]

    def _choose(self, frame: FrameRecord, masters: Sequence[Master]) -> Calibration:
        """Return the choice for a frame among the masters of its configuration."""
        by_kind = {kind: [master for master in masters if master.kind is kind] for kind in CALIBRATION_KINDS}
        choice = matching.calibration_for(frame, by_kind, self._settings, self._cameras[frame.camera])
        return choice if _loses_its_pedestal(frame, choice) else replace(choice, flat=Wait(Kind.FLAT, _PEDESTAL, ()))


def _loses_its_pedestal(frame: FrameRecord, choice: Calibration) -> bool:
    """Return whether the flat can be applied: bias, dark or overscan takes the bias level out of the frame first."""
    if frame.kind is not Kind.LIGHT or not isinstance(choice.flat, Match) or "dark_subtracted" in frame.flags:
        return True
    has_overscan = all(plane.has_overscan for plane in frame.planes)
    return has_overscan or len(choice.matches) > 1


def _masters_of(group: Group, frames: Sequence[FrameRecord], settings: Settings) -> list[Master]:
    """Return the masters of every night of a group."""
    rule = rule_of(settings, group.kind)
    found = []
    for night in sorted({frame.night for frame in frames if frame.night is not None}):
        for members in groups.select_members(frames, night, rule, settings.matching, group.kind):
            exposure_s, ccd_temp_c, first_obs, last_obs = groups.master_conditions(members)
            name = f"{group.kind.value} {night} {members[0].frame_id}"
            master = Master(
                master_id=name,
                kind=group.kind,
                camera=group.camera,
                configuration=group.configuration,
                exposure_s=exposure_s,
                ccd_temp_c=ccd_temp_c,
                filter_name=group.filter_name,
                night=night,
                first_obs=first_obs,
                last_obs=last_obs,
                members=tuple(frame.frame_id for frame in members),
                parents=(),
                path="",
                sha256=name,
                grade=groups.grade(len(members), rule),
            )
            found.append(master)
    return found


def rule_of(settings: Settings, kind: Kind) -> MasterRule:
    """Return the settings of one kind of master."""
    rule: MasterRule = getattr(settings.masters, kind.value)
    return rule


def with_rule(settings: Settings, kind: Kind, rule: MasterRule) -> Settings:
    """Return the settings with another rule for one kind of master."""
    changed: dict[str, Any] = {kind.value: rule}
    return replace(settings, masters=replace(settings.masters, **changed))


# --- smallest numbers and validity ------------------------------------------------------------------------------------


def choose_rules(
    frames: Sequence[FrameRecord], settings: Settings, played: Played
) -> tuple[Settings, Played, dict[str, str]]:
    """Return the settings with the rules for masters that these frames call for, and the reason of each changed key.

    Parameters
    ----------
    frames : sequence of FrameRecord
        All frames of the directory, as the settings' cameras understand them.
    settings : Settings
        With the default rules.
    played : Played
        What comes of them; what comes of the settings returned is returned with them.
    """
    reasons: dict[str, str] = {}
    for kind in CALIBRATION_KINDS:
        settings, played = _choose_minimum(frames, settings, kind, played, reasons)
        if kind is not Kind.FLAT:
            settings, played = _choose_validity(frames, settings, kind, played, reasons)
    return settings, played, reasons


def _choose_minimum(
    frames: Sequence[FrameRecord], settings: Settings, kind: Kind, before: Played, reasons: dict[str, str]
) -> tuple[Settings, Played]:
    """Return the settings with the smallest number of members lowered if frames would have no master otherwise.

    To 2 where two frames are all there is for some frame or of the whole kind; to 1 only where not even two frames of
    the kind belong together anywhere and a lone one would be used.
    """
    has_none = not any(master.kind is kind for master in before.masters)
    is_seen = any(frame.kind is kind and frame.may_join_master for frame in frames)
    if not is_seen or not (has_none or _is_wanting(before, kind)):
        return settings, before
    for minimum in _LOWER_MINIMA:
        lower = with_rule(settings, kind, replace(rule_of(settings, kind), minimum=minimum))
        after = play(frames, lower)
        gained = served(after, kind) - served(before, kind)
        is_first = has_none and any(master.kind is kind for master in after.masters)
        if (gained > 0 and (minimum > 1 or has_none)) or (is_first and minimum > 1):
            reasons[f"masters.{kind.value}.minimum"] = _few(kind, minimum, gained, rule_of(settings, kind).minimum)
            return lower, after
    return settings, before


def _is_wanting(played: Played, kind: Kind) -> bool:
    """Return whether a science frame or a flat waits for a master of a kind."""
    return any(isinstance(getattr(choice, kind.value), Wait) for _, choice in played.choices)


def _few(kind: Kind, minimum: int, gained: int, default: int) -> str:
    """Return why the smallest number was lowered, and what it costs."""
    plural = _PLURALS[kind]
    whom = f", and {_frames(gained)} would have no master {kind.value} otherwise" if gained > 0 else ""
    if minimum == 1:
        return (
            f"every {kind.value} seen stands alone{whom}. A single frame cannot be cleaned of cosmic rays and adds its "
            f"whole noise: take at least {default} of each, then remove this line"
        )
    return (
        f"some {plural} come in pairs only{whom}. Two frames cannot outvote a cosmic ray: take at least {default} of "
        "each, then remove this line"
    )


def served(played: Played, kind: Kind) -> int:
    """Return how many science frames and flats get a master of a kind."""
    return sum(isinstance(getattr(choice, kind.value), Match) for _, choice in played.choices)


def _choose_validity(
    frames: Sequence[FrameRecord], settings: Settings, kind: Kind, before: Played, reasons: dict[str, str]
) -> tuple[Settings, Played]:
    """Return the settings with a longer validity if older biases or darks are all there is for some frames."""
    rule = rule_of(settings, kind)
    if not _is_wanting(before, kind) or not any(master.kind is kind for master in before.masters):
        return settings, before
    after = play(frames, with_rule(settings, kind, replace(rule, valid_d=LONGEST_VALID_D)))
    gained = served(after, kind) - served(before, kind)
    if gained <= 0:
        return settings, before
    ages_h = [found.age_h for _, choice in after.choices if isinstance(found := getattr(choice, kind.value), Match)]
    oldest_d = max(ages_h) / 24
    reasons[f"masters.{kind.value}.valid_d"] = (
        f"a library: the {_PLURALS[kind]} are up to {oldest_d:.0f} d away from {_frames(gained)} that have no nearer "
        f"ones (by default they are valid for {rule.valid_d:g} d)"
    )
    valid_d = min(LONGEST_VALID_D, 10.0 * math.ceil(oldest_d / 10))
    settings = with_rule(settings, kind, replace(rule, valid_d=valid_d))
    return settings, play(frames, settings)


# --- what will come of it ---------------------------------------------------------------------------------------------


def outlook_of(played: Played, settings: Settings) -> Outlook:
    """Return the masters and the fate of the science frames, alike ones together."""
    masters = sorted(played.masters, key=_master_order)
    required = {camera.name: set(camera.requires) for camera in settings.camera}
    fates: dict[tuple[str, tuple[Kind, ...], tuple[Kind, ...]], list[Calibration]] = defaultdict(list)
    for frame, choice in played.choices:
        if frame.kind is Kind.LIGHT:
            applied = tuple(match.master.kind for match in choice.matches)
            fates[frame.camera, applied, tuple(wait.kind for wait in choice.waits)].append(choice)
    lights = [
        LightOutlook(
            camera=camera,
            frames=len(found),
            applied=applied,
            lacking=tuple((wait.kind, wait.reason) for wait in found[0].waits),
            is_provisional=any(kind.value in required[camera] for kind in lacking),
        )
        for (camera, applied, lacking), found in fates.items()
    ]
    return Outlook(tuple(_as_outlook(master) for master in masters), tuple(lights))


def _master_order(master: Master) -> tuple[str, int, str, str, float]:
    """Order masters for a list."""
    place = CALIBRATION_KINDS.index(master.kind)
    return master.camera, place, master.night, master.filter_name or "", master.exposure_s or 0.0


def _as_outlook(master: Master) -> MasterOutlook:
    """Return a master for the list."""
    return MasterOutlook(
        camera=master.camera,
        kind=master.kind,
        night=master.night,
        exposure_s=master.exposure_s,
        ccd_temp_c=master.ccd_temp_c,
        filter_name=master.filter_name,
        members=_size(master),
    )


def _size(master: Master) -> int:
    """Return the number of members."""
    return master.member_count


def _frames(count: int) -> str:
    """Return a number of frames in words."""
    return "1 frame" if count == 1 else f"{count} frames"
