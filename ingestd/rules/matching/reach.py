"""How far masters and frames look for each other in time, temperature and exposure.

Which science frames a master can serve at all, and which have a better one whatever becomes of it.

Both follow from ``verdicts``: a frame outside the reach of a master misses it, whatever else is there; and in the order
of choosing a master that is uncut, unscaled, of no worse grade and nearer in time comes first, for its age is graded no
worse either. Limits are a little wider than those of ``verdicts``: one frame too many costs a look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ingestd.records import Kind, Master, Reach
from ingestd.rules import groups
from ingestd.settings import ORDER, DarkMatching, MasterRule, Settings

_SLACK = 1e-5
"""Above the 1e-6 to which differences are rounded."""


def looked_at(time: datetime, rule: MasterRule) -> tuple[datetime, datetime]:
    """Return from when to when masters are looked at for a frame: those that may be valid, and as many to be shown."""
    reach = timedelta(days=2 * rule.longest_d + rule.window_d)
    return time - reach, time + reach


def reach_rule(settings: Settings) -> Callable[[Master], Reach]:
    """Return what tells the reach of a master under these settings."""

    def reach(master: Master) -> Reach:
        """Return the reach of one master."""
        rules = settings.rules_of(master.camera)
        table, kind = rules.match(master.kind), master.kind
        is_ranked = not master.is_pinned and _ranks_by_time(rules.master(kind), table.order)
        return Reach(
            has_temp_limit=table.max_delta_temp_c is not None,
            temp_c=_around(master.ccd_temp_c, table.max_delta_temp_c),
            exposure_s=_exposures_s(master, table) if isinstance(table, DarkMatching) else None,
            can_serve=kind is not Kind.DARK or master.exposure_s is not None,
            outranked_by=groups.GRADES[: groups.grade_rank(master.grade) + 1] if is_ranked else (),
        )

    return reach


def _ranks_by_time(rule: MasterRule, order: Sequence[str]) -> bool:
    """Return whether of two masters as they are, of equal grade, the nearer in time always comes first.

    That is so in the usual order of choosing, if ages before and after the members are graded alike.
    """
    return tuple(order[:3]) == ORDER[:3] and (bool(rule.grade_age_d) or rule.before_d == rule.after_d)


def _around(value: float | None, tolerance: float | None) -> tuple[float, float] | None:
    """Return the interval about a value, None without a value or a limit."""
    if value is None or tolerance is None:
        return None
    return value - tolerance - _SLACK, value + tolerance + _SLACK


def _exposures_s(dark: Master, limits: DarkMatching) -> tuple[float, float] | None:
    """Return the exposures of frames that a master dark fits, as it is or scaled either way."""
    if dark.exposure_s is None:
        return None
    exposure_s, tolerance_s, ratio = dark.exposure_s, limits.exposure_tolerance_s, limits.exposure_tolerance_ratio
    low = min(exposure_s - tolerance_s, exposure_s / (1 + ratio), exposure_s / limits.max_scale_down)
    highs = [exposure_s + tolerance_s, exposure_s * limits.max_scale_up]
    high = max([*highs, exposure_s / (1 - ratio)] if ratio < 1 else [float("inf")])
    return low * (1 - _SLACK) - _SLACK, high * (1 + _SLACK) + _SLACK
