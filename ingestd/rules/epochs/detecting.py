"""From the chart of a set-up and the operator's words to its breaks: a function of both, whatever came first.

Nights are gone through in time. A night is judged by its biases; by its darks where the camera takes none. Of several
sets of frames of a night the one nearest to the epoch so far counts: what lies off beside it is a bad burst. A night
that lies off begins a new epoch

- at once, if neither light nor chance explains it and enough frames agree;
- else together with a later night that shows the same: the epoch then begins with the first of them;
- not at all, if the next night is as before: it was a bad burst.

Until then it is suspected. A slow drift moves the centre along and is no jump. A break lies between two nights, because
hardware is changed by day; frames that were taken before a change in the middle of a night are kept apart by screening.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ingestd.records import Break, BreakStatus, ChartPoint, EpochWord, Kind
from ingestd.rules import clusters, groups
from ingestd.rules.epochs.comparing import NIGHTS_COMPARED, Deviation, agree, compare
from ingestd.settings import Epochs, Matching, Settings

_Charts = dict[tuple[Kind, str], list[list[ChartPoint]]]
"""For each kind and configuration the charts of its temperatures and exposures."""

_Judged = tuple[ChartPoint, Deviation | None]

_POINTS_KEPT = 2 * NIGHTS_COMPARED
_UNCERTAIN = "this may be light or a disturbed read-out: a second night must show it too"


@dataclass(slots=True)
class _Orders:
    """What the operator's words come to: where breaks are (by night: status and reason), and where none are to be."""

    put: dict[str, tuple[BreakStatus, str]] = field(default_factory=dict)
    barred: dict[str, tuple[str, str]] = field(default_factory=dict)

    def nights(self) -> list[str]:
        """Return the nights with which the chart begins anew."""
        return sorted({*self.put, *self.barred})

    def bars(self, night: str) -> str | None:
        """Return the reason for which no break is to be at a night, or None."""
        found = [reason for last, (after, reason) in self.barred.items() if after < night <= last]
        return found[0] if found else None


@dataclass(slots=True)
class _Suspicion:
    """Nights that lie off and agree with each other; ``since`` is the first that lies off in whatever way."""

    points: list[ChartPoint]
    jump: Deviation
    since: str

    @property
    def frames(self) -> int:
        """How many frames stand behind the points."""
        return sum(point.frames for point in self.points)


def breaks_of(
    camera: str, setup: str, points: Iterable[ChartPoint], words: Sequence[EpochWord], settings: Settings
) -> tuple[Break, ...]:
    """Return the breaks of a set-up, by night.

    Parameters
    ----------
    camera, setup : str
        Whose they are.
    points : iterable of ChartPoint
        All its nights, in any order.
    words : sequence of EpochWord
        What operators said, the oldest first.
    settings : Settings
        ``epochs``, ``matching`` (equal conditions), ``masters.bias.valid_d``.

    Returns
    -------
    tuple of Break
        With those that are suspected and those that an operator has undone.
    """
    detector = _Detector(camera, setup, _orders(words), settings)
    by_night: dict[str, list[ChartPoint]] = {}
    for point in points:
        by_night.setdefault(point.night, []).append(point)
    for night in sorted(by_night):
        detector.see(night, sorted(by_night[night], key=_order))
    return detector.result()


def _order(point: ChartPoint) -> tuple[object, ...]:
    """Order the points of a night."""
    return point.kind, point.configuration, point.exposure_s or -1.0, point.ccd_temp_c or -999.0, point.parts


def _orders(words: Sequence[EpochWord]) -> _Orders:
    """Return what the words come to, each taking back what it contradicts."""
    found = _Orders()
    for said in words:
        found.put.pop(said.night, None)
        if said.word in ("confirmed", "set"):
            found.barred.pop(said.night, None)
            found.put[said.night] = ("set" if said.word == "set" else "confirmed", said.reason)
            continue
        after = said.other if said.word == "undone" else ""
        found.barred[said.night] = (after or groups.night_before(said.night, 1), said.reason)
        if said.word == "moved":
            found.barred.pop(said.other, None)
            found.put[said.other] = ("moved", said.reason)
    return found


class _Detector:
    """Goes through the nights of a set-up."""

    def __init__(self, camera: str, setup: str, orders: _Orders, settings: Settings) -> None:
        self._camera = camera
        self._setup = setup
        self._orders = orders
        self._left = orders.nights()
        self._limits: Epochs = settings.epochs
        rules = settings.rules_of(camera)
        self._matching: Matching = rules.matching
        self._bias_valid_d = rules.masters.bias.longest_d
        self._charts: _Charts = {}
        self._others: list[_Charts] = []
        self._last_bias = ""
        self._last_night = ""
        self._suspicion: _Suspicion | None = None
        self._found: dict[str, Break] = {}

    def result(self) -> tuple[Break, ...]:
        """Return what was found; words on nights that no frame followed count as well."""
        for night in self._left:
            self._obey(night, "")
        if self._suspicion is not None and self._suspicion.jump.is_large:
            self._put(self._suspicion.since, "suspected", f"{self._suspicion.jump.words}; {_UNCERTAIN}")
        return tuple(self._found[night] for night in sorted(self._found))

    def see(self, night: str, points: Sequence[ChartPoint]) -> None:
        """Take the next night."""
        judged = self._compared(night, points)
        best = self._judge(night, judged)
        while self._left and self._left[0] <= night:
            self._obey(self._left.pop(0), best[1].words if best is not None else "")
            judged, best = [(point, None) for point in points], None
        if best is not None and best[1].excess > 1 and self._limits.detect:
            self._doubt(*best)
            return
        if best is not None:
            self._suspicion = None
        self._keep(night, judged)

    def _compared(self, night: str, points: Sequence[ChartPoint]) -> list[_Judged]:
        """Return how each point lies off the chart, or off one that an operator said belongs to it if that fits."""
        judged = [(point, self._compare(point)) for point in points]
        best = self._judge(night, judged)
        for number, other in enumerate(self._others if best is not None and best[1].excess > 1 else []):
            before, self._charts = self._charts, other
            found = [(point, self._compare(point)) for point in points]
            best = self._judge(night, found)
            if best is not None and best[1].excess <= 1:
                self._others[number] = before
                return found
            self._charts = before
        return judged

    def _judge(self, night: str, judged: Sequence[_Judged]) -> tuple[ChartPoint, Deviation] | None:
        """Return the point by which a night is judged, and how it lies off; None if nothing can be compared."""
        takes_biases = self._last_bias >= groups.night_before(night, self._bias_valid_d)
        for kind in (Kind.BIAS,) if takes_biases else (Kind.BIAS, Kind.DARK):
            found = [(point, jump) for point, jump in judged if point.kind is kind and jump is not None]
            if found:
                return min(found, key=lambda it: (it[0].frames < self._limits.minimum, it[1].excess))
        return None

    def _compare(self, point: ChartPoint) -> Deviation | None:
        """Return how a point lies off the chart of its conditions, or None if there is none."""
        return compare(point, self._series_of(point), self._limits)

    def _series_of(self, point: ChartPoint) -> list[ChartPoint]:
        """Return the chart of the conditions of a point; a new one stays empty until a point is added."""
        charts = self._charts.setdefault((point.kind, point.configuration), [])
        found = next((chart for chart in charts if not chart or self._is_alike(chart[-1], point)), None)
        if found is None:
            found = []
            charts.append(found)
        return found

    def _is_alike(self, first: ChartPoint, second: ChartPoint) -> bool:
        """Return whether two points have equal exposure and temperature."""
        if not clusters.is_near(first.ccd_temp_c, second.ccd_temp_c, groups.CLUSTER_TEMP_C):
            return False
        reach_s = clusters.exposure_tolerance_s(first.exposure_s, self._matching.dark)
        return first.kind is Kind.BIAS or clusters.is_near(first.exposure_s, second.exposure_s, reach_s)

    def _keep(self, night: str, judged: Sequence[_Judged]) -> None:
        """Add what agrees to the chart; of several sets that nothing before can tell apart the faintest."""
        kept = [point for point, jump in judged if jump is not None and jump.excess <= 1]
        new = [point for point, jump in judged if jump is None]
        for point in sorted(new, key=lambda it: (it.frames < self._limits.minimum, it.parts[0][1])):
            if not any(it.kind is point.kind and self._is_one_series(it, point) for it in kept):
                kept.append(point)
        self._add(kept)
        self._last_night = night

    def _is_one_series(self, first: ChartPoint, second: ChartPoint) -> bool:
        """Return whether two points of a night belong to one chart."""
        return first.configuration == second.configuration and self._is_alike(first, second)

    def _add(self, points: Iterable[ChartPoint]) -> None:
        """Add points to the chart."""
        for point in points:
            chart = self._series_of(point)
            chart.append(point)
            del chart[:-_POINTS_KEPT]
            if point.kind is Kind.BIAS:
                self._last_bias = point.night
            self._last_night = point.night

    def _doubt(self, point: ChartPoint, jump: Deviation) -> None:
        """Take a night that lies off: a break, or a suspicion."""
        known = self._suspicion
        if known is not None and agree(point, known.points[-1], jump, self._limits):
            known = _Suspicion([*known.points, point], known.jump, known.since)
        else:
            known = _Suspicion([point], jump, point.night if known is None else known.since)
        is_certain = jump.is_certain or len(known.points) > 1
        if not is_certain or known.frames < self._limits.minimum:
            self._suspicion = known
            return
        night = known.points[0].night
        self._put(night, "detected", known.jump.words)
        self._restart(has_others=self._orders.bars(night) is not None)
        self._add(known.points)

    def _obey(self, night: str, cause: str) -> None:
        """Carry out what the operator said of a night: the chart begins anew with it."""
        if night in self._orders.put:
            status, reason = self._orders.put[night]
            self._put(night, status, cause, reason)
        else:
            self._put(night, "undone", cause, self._orders.barred[night][1])
        self._restart(has_others=night not in self._orders.put)

    def _restart(self, *, has_others: bool) -> None:
        """Begin a new chart; where no epoch begins the former ones hold as well: a bad burst may have been undone."""
        self._others = [*self._others, self._charts] if has_others else []
        self._charts = {}
        self._suspicion = None
        self._last_bias = ""

    def _put(self, night: str, status: BreakStatus, cause: str, reason: str = "") -> None:
        """Note a break."""
        barred = self._orders.bars(night)
        if status in ("detected", "suspected") and barred is not None:
            status, reason = "undone", barred
        self._found[night] = Break(self._camera, self._setup, night, self._last_night, status, cause, reason)
