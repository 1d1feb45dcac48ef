"""Why frames make no master: how many of a group there are, how many are needed, and what keeps the others out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ingestd.records import Break, FrameRecord, Group, Kind
from ingestd.rules import breaks, clusters, groups, windows
from ingestd.settings import Camera, Rules

_PLURALS = {Kind.BIAS: "biases", Kind.DARK: "darks", Kind.FLAT: "flats"}
_FLAWS = (
    ("decision", "rejected", "rejected by an operator"),
    ("state", "quarantined", "quarantined"),
    ("live", 0, "the raw file is gone"),
    ("superseded", 1, "the same pixels came again with another header"),
)


class View(Protocol):
    """What is read of the catalogue."""

    def usable_frames(self, group: Group, first_night: str, last_night: str) -> list[FrameRecord]:
        """Return the frames of a group that may be members."""

    def group_rows(self, group: Group, first_night: str, last_night: str) -> list[dict[str, Any]]:
        """Return what each frame of a group is, with what keeps it out of masters."""

    def breaks(self, camera: str, setup: str) -> list[Break]:
        """Return the breaks between hardware epochs of a set-up."""


def flaw(frame: Mapping[str, Any]) -> str:
    """Return what keeps a calibration frame (a row of ``group_rows``) out of every master, or an empty text."""
    for name, value, words in _FLAWS:
        if frame[name] == value:
            return f"{words}: {frame['reason']}" if name == "state" else words
    is_accepted = frame["decision"] == "accepted"
    if frame["screened"] and not is_accepted:
        return str(frame["screened"])
    if json.loads(frame["flags"]):
        return ", ".join(json.loads(frame["flags"]))
    if not frame["measured"]:
        return "not measured yet"
    return "" if is_accepted or frame["screened"] is not None else "not compared with others yet (masters.quiet_s)"


def nights_of_use(group: Group, night: str, rules: Rules) -> tuple[str, str]:
    """Return the first and the last night whose masters may be valid for a frame of a night."""
    rule = rules.master(group.kind)
    return groups.night_before(night, rule.after_d), groups.night_before(night, -rule.before_d)


def nights_together(group: Group, night: str, rules: Rules) -> tuple[str, str]:
    """Return the first and the last night whose frames may be members beside a frame of a night."""
    window_d = rules.master(group.kind).window_d
    return groups.night_before(night, window_d), groups.night_before(night, -window_d)


def frames_in_words(
    view: View, group: Group, nights: tuple[str, str], ccd_temp_c: float | None, rules: Rules, camera: Camera
) -> str:
    """Return how many frames of a group one master could have, how many it needs, and what keeps others out.

    Parameters
    ----------
    view : View
    group : Group
    nights : (str, str)
        The first and the last night of the frames that count.
    ccd_temp_c : float or None
        Only frames of about this temperature count, as far as the kind looks at it.
    rules : Rules
        Of the camera: windows, minimum numbers, tolerances.
    camera : Camera
        Its ``flats``.
    """
    reach_c = rules.match(group.kind).max_delta_temp_c
    good = [it for it in view.usable_frames(group, *nights) if _is_near(it.ccd_temp_c, ccd_temp_c, reach_c)]
    rows = [it for it in view.group_rows(group, *nights) if _is_near(it["ccd_temp_c"], ccd_temp_c, reach_c)]
    known = view.breaks(group.camera, windows.setup_of(group.configuration))
    most = _most_together(good, group, rules, camera, known)
    kept_out = Counter(words for it in rows if (words := flaw(it)))
    text = _counted(group, most)
    if not most:
        text = f"no {'good ' if kept_out else ''}{text} of this configuration in nights {nights[0]} to {nights[1]}"
    if most or kept_out:
        text += f", {rules.master(group.kind).minimum} needed (masters.{group.kind.value}.minimum)"
    if len(most) >= rules.master(group.kind).minimum:
        text += f": enough{', if a master bias or dark fits them' if group.kind is Kind.FLAT else ''}"
    if len(good) > len(most):
        text += f"; {len(good) - len(most)} more of other conditions or nights"
    if kept_out:
        text += f"; kept out: {', '.join(f'{count} {words}' for words, count in sorted(kept_out.items()))}"
    return text


def _most_together(
    frames: Sequence[FrameRecord], group: Group, rules: Rules, camera: Camera, known: Sequence[Break]
) -> tuple[FrameRecord, ...]:
    """Return the frames of the newest night that would make a master; if there is none, of that with the most."""
    rule = rules.master(group.kind)
    most: tuple[FrameRecord, ...] = ()
    for night in sorted({it.night for it in frames if it.night is not None}, reverse=True):
        own = [it for it in frames if (it.night or "") >= breaks.first_night(known, night)]
        found = groups.select_members(own, night, replace(rule, minimum=1), rules.matching, group.kind, camera.flats)
        most = max(most, *found, key=len)
        if len(most) >= rule.minimum:
            break
    return most


def _counted(group: Group, frames: Sequence[FrameRecord]) -> str:
    """Return frames with their number, if there are any, and conditions: ``2 flats in sdss_r``."""
    kind = group.kind
    what = kind.value if len(frames) == 1 else _PLURALS[kind]
    what = f"{len(frames)} {what}" if frames else what
    if kind is Kind.FLAT:
        return f"{what} in {group.filter_name}" if group.filter_name else f"{what} without a filter"
    if not frames:
        return what
    exposure_s, ccd_temp_c, _, _ = groups.master_conditions(frames)
    exposure = f" of {exposure_s:g} s" if kind is Kind.DARK and exposure_s is not None else ""
    return f"{what}{exposure}{'' if ccd_temp_c is None else f' at {ccd_temp_c:.1f} C'}"


def _is_near(value: float | None, wanted: float | None, reach: float | None) -> bool:
    """Return whether a temperature is about that which is wanted, where both are known and it counts."""
    return reach is None or value is None or wanted is None or clusters.is_near(value, wanted, reach)
