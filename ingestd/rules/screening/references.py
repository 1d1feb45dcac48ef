"""The masters that a frame is compared with, chosen in observation time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingestd.records import Calibration, FrameRecord, Kind, Master, Metric
from ingestd.rules import cards, clusters, groups
from ingestd.settings import Rules, Settings

Figures = Mapping[tuple[str, int | None], float]
"""Values by the name of the figure and the HDU of the plane, None where there is one plane only."""


@dataclass(frozen=True, slots=True)
class Standard:
    """A master and its figures."""

    master: Master
    figures: Figures


@dataclass(frozen=True, slots=True)
class References:
    """What a frame is compared with, each None where there is none.

    ``own`` is the master of its group; ``is_alike`` says that their pixels can be compared, which a dark of another
    exposure cannot. ``bias`` lies under a dark or a flat; ``dark`` under a flat, scaled by ``dark_ratio`` unless that
    is None: an exact dark carries its bias.
    """

    own: Standard | None
    is_alike: bool
    bias: Standard | None
    dark: Standard | None = None
    dark_ratio: float | None = None

    def pedestal_adu(self, label: int | None) -> float | None:
        """Return what lies under the light of a flat, ADU above the overscan where there is one; None if unknown."""
        bias = None if self.bias is None else self.bias.figures.get(("bias_level_adu", label))
        dark = None if self.dark is None else self.dark.figures.get(("dark_level_adu", label))
        if dark is None or (self.dark_ratio is not None and bias is None):
            return bias
        return dark if self.dark_ratio is None or bias is None else bias + self.dark_ratio * (dark - bias)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The masters of ``References`` without their figures; for a flat those that it is calibrated with."""

    own: Master | None
    is_alike: bool
    bias: Master | None
    calibration: Calibration | None = None


def figures_of(metrics: Iterable[Metric]) -> Figures:
    """Return the figures of whole planes; those of their amplifiers and colours are left out."""
    return {(metric.name, metric.plane): metric.value for metric in metrics if not metric.channel}


def plane_labels(frame: FrameRecord) -> tuple[int | None, ...]:
    """Return under which number the figures of each plane stand: its HDU, None where there is one plane only."""
    return tuple(plane.index if len(frame.planes) > 1 else None for plane in frame.planes)


def references_for(frame: FrameRecord, own: Sequence[Master], biases: Sequence[Master], settings: Settings) -> Chosen:
    """Return the reference of a calibration frame and, for a dark, the bias below it.

    Given a frame and the masters of its camera and configuration, the reference is that of the latest earlier night at
    its temperature (and, of a dark, at its exposure; failing that, at any), no older than such a master is valid. The
    bias may be of the same night: biases are settled before darks and flats.

    Parameters
    ----------
    frame : FrameRecord
        With a night.
    own, biases : sequence of Master
        Of the frame's group, and biases of its configuration, in any order.
    settings : Settings
        The association rules of the camera.
    """
    own, biases = (
        [it for it in masters if it.member_count] for masters in (own, biases)
    )  # made elsewhere: judges nobody
    night = frame.night or ""
    rules = settings.rules_of(frame.camera)
    earlier = [master for master in own if master.night < night and _fits(frame, master, rules)]
    alike = [master for master in earlier if _is_alike(frame, master, rules)]
    below = [master for master in biases if master.night <= night and _fits(frame, master, rules)]
    reference = _latest(frame, alike or earlier)
    return Chosen(reference, bool(alike), _latest(frame, below) if frame.kind is Kind.DARK else None)


def previous_master(master: Master, own: Sequence[Master], rules: Rules) -> Master | None:
    """Return the master that a night's master is compared with, or None.

    Given the masters of its camera and configuration, it is the one that a frame of its conditions is judged by: of the
    latest earlier night, alike in temperature, exposure and filter, no older than such a master is valid.
    """
    if not master.member_count:  # made elsewhere
        return None
    earlier = [it for it in own if it.member_count and it.night < master.night]
    return _latest(master, [it for it in earlier if _fits(master, it, rules) and _is_alike(master, it, rules)])


def _fits(frame: FrameRecord | Master, master: Master, rules: Rules) -> bool:
    """Return whether a master is recent enough, and of the same temperature or filter and header cards."""
    age_d = groups.night_number(frame.night or "") - groups.night_number(master.night)
    if age_d > rules.master(master.kind).after_d:
        return False
    if not cards.fit(frame.cards, master.cards, rules.match(master.kind)):
        return False
    if master.kind is Kind.FLAT:
        return master.filter_name == frame.filter_name
    limits = rules.matching
    limit_c = limits.bias.max_delta_temp_c if master.kind is Kind.BIAS else limits.dark.max_delta_temp_c
    return clusters.is_near(frame.ccd_temp_c, master.ccd_temp_c, limit_c)


def _is_alike(frame: FrameRecord | Master, master: Master, rules: Rules) -> bool:
    """Return whether pixels of frame and master hold the same: darks of one exposure, any biases, any flats."""
    if frame.kind is not Kind.DARK:
        return True
    reach_s = clusters.exposure_tolerance_s(frame.exposure_s, rules.matching.dark)
    return clusters.is_near(frame.exposure_s, master.exposure_s, reach_s)


def _latest(frame: FrameRecord | Master, masters: Sequence[Master]) -> Master | None:
    """Return the master of the latest night; of several the nearest in exposure, then in temperature."""

    def order(master: Master) -> tuple[int, float, float, str]:
        """Put the latest first."""
        return (
            -groups.night_number(master.night),
            clusters.distance(frame.exposure_s or 0.0, master.exposure_s or 0.0),
            clusters.distance(frame.ccd_temp_c or 0.0, master.ccd_temp_c or 0.0),
            master.master_id,
        )

    return min(masters, key=order, default=None)
