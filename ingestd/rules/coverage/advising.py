"""What to take: for each set of frames that could be taken, the combinations that a master of it would serve.

The list is greedy: what serves most science frames that lack a master comes first, then what serves most of those that
will lack one soon. A dark of a camera whose darks scale serves the shorter exposures too, so a few sets may do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingestd.records import CALIBRATION_KINDS, Group, Kind, Master, Match
from ingestd.rules import breaks, cards, clusters, groups, windows
from ingestd.rules.coverage.judging import Judge, Subject
from ingestd.rules.coverage.values import Combination, Cover, Need, Status, View
from ingestd.settings import Rules, Settings

_Key = tuple[Combination, Kind]


@dataclass(frozen=True, slots=True)
class _Act:
    """Frames that could be taken: the master that they would make, and the covers that it serves.

    ``strain`` counts the science frames by how well it serves them: scaled up, scaled down (the fewer the better).
    """

    subject: Subject
    wanted: Master
    serves: tuple[_Key, ...]
    strain: tuple[int, int]

    def place(self, lacking: Mapping[_Key, Cover]) -> tuple[int, int, int, tuple[int, int], str]:
        """Return the place in the list, the smallest first."""
        covers = [lacking[key] for key in self.serves if key in lacking]
        missing = sum(it.combination.frames for it in covers if it.status is Status.MISSING)
        expiring = sum(it.combination.frames for it in covers if it.status is Status.EXPIRING)
        kind = CALIBRATION_KINDS.index(self.wanted.kind)
        return -missing, -expiring, kind, self.strain, self.wanted.master_id


class Advice:
    """Finds what to take for covers that are expiring or missing."""

    def __init__(self, view: View, settings: Settings, judge: Judge) -> None:
        self._view = view
        self._settings = settings
        self._judge = judge
        self._tonight = groups.night_of(judge.now, settings.site.longitude_deg)

    def of(self, judged: Sequence[tuple[Subject, Cover]]) -> tuple[tuple[Need, ...], tuple[Cover, ...]]:
        """Return what to take in its order, and the covers with the numbers of what serves them."""
        lacking = {(it.combination, it.kind): it for _, it in judged if it.status is not Status.COVERED}
        acts = self._acts([(subject, it) for subject, it in judged if it.status is not Status.COVERED])
        needs: list[Need] = []
        taken: dict[_Key, int] = {}
        while acts:
            best = min(acts, key=lambda act: act.place(lacking))
            covers = [lacking.pop(key) for key in best.serves if key in lacking]
            needs.append(self._need(best, covers, len(needs) + 1))
            taken |= {(it.combination, it.kind): len(needs) for it in covers}
            acts = [act for act in acts if any(key in lacking for key in act.serves)]
        numbered = [replace(it, take=taken.get((it.combination, it.kind), 0)) for _, it in judged]
        return tuple(needs), tuple(numbered)

    def _acts(self, lacking: Sequence[tuple[Subject, Cover]]) -> list[_Act]:
        """Return everything that could be taken; each combination asks for its own conditions."""
        acts: dict[str, _Act] = {}
        for subject, cover in lacking:
            wanted = self._wanted(subject, cover.kind)
            if wanted.master_id in acts:
                continue
            uses = [
                (it.combination, how)
                for it, other in lacking
                if other.kind is cover.kind and (how := self._how_it_serves(wanted, it))
            ]
            up, down = (sum(it.frames for it, how in uses if how == scaled) for scaled in ("scaled_up", "scaled_down"))
            if uses:
                keys = tuple((it, cover.kind) for it, _ in uses)
                acts[wanted.master_id] = _Act(subject, wanted, keys, (up, down))
        return list(acts.values())

    def _wanted(self, subject: Subject, kind: Kind) -> Master:
        """Return the master that frames taken now under the conditions of a combination would make."""
        it, rules = subject.combination, self._settings.rules_of(subject.combination.camera)
        conditions = (
            it.exposure_s if kind is Kind.DARK else None,
            it.ccd_temp_c if kind is not Kind.FLAT or rules.matching.flat.max_delta_temp_c is not None else None,
            it.filter_name if kind is Kind.FLAT else None,
        )
        own = cards.of_members([subject.frame.cards], kind, rules)
        return Master(
            master_id=repr((kind.value, it.camera, it.configuration, *conditions, own)),
            kind=kind,
            camera=it.camera,
            configuration=it.configuration,
            exposure_s=conditions[0],
            ccd_temp_c=conditions[1],
            filter_name=conditions[2],
            night=self._tonight,
            first_obs=self._judge.now,
            last_obs=self._judge.now,
            members=(),
            parents=(),
            path="",
            sha256="",
            grade=groups.GRADES[0],
            cards=own,
        )

    def _how_it_serves(self, wanted: Master, subject: Subject) -> str:
        """Return how a master would serve a combination, or an empty text; a dark is given the bias that it needs."""
        masters = {wanted.kind: [wanted]}
        if wanted.kind is Kind.DARK:
            masters[Kind.BIAS] = [self._wanted(subject, Kind.BIAS)]
        choice = self._judge.calibration(subject, self._judge.now, masters).choice(wanted.kind)
        return choice.how if isinstance(choice, Match) else ""

    def _need(self, act: _Act, covers: Sequence[Cover], number: int) -> Need:
        """Return one line of the list."""
        wanted, rules = act.wanted, self._settings.rules_of(act.wanted.camera)
        rule = rules.master(wanted.kind)
        have = self._at_hand(wanted, rules, act.subject.camera.flats)
        good = min(rule.maximum, max(rule.minimum, rule.grade_members[0]))
        is_missing = any(it.status is Status.MISSING for it in covers)
        return Need(
            number=number,
            status=Status.MISSING if is_missing else Status.EXPIRING,
            camera=wanted.camera,
            configuration=wanted.configuration,
            kind=wanted.kind,
            exposure_s=wanted.exposure_s,
            ccd_temp_c=wanted.ccd_temp_c,
            filter_name=wanted.filter_name,
            have=have,
            to_minimum=max(1, rule.minimum - have),
            to_good=max(1, good - have),
            science_frames=sum(it.combination.frames for it in covers),
            note=_note(act),
        )

    def _at_hand(self, wanted: Master, rules: Rules, flats: str) -> int:
        """Return how many frames that a master of tonight would combine are there already, of one light if flats."""
        rule = rules.master(wanted.kind)
        group = Group(wanted.camera, wanted.kind, wanted.configuration, wanted.filter_name)
        known = self._view.breaks(wanted.camera, windows.setup_of(wanted.configuration))
        first = max(groups.night_before(self._tonight, rule.window_d), breaks.first_night(known, self._tonight))
        frames = self._view.usable_frames(group, first, self._tonight)
        frames = [it for it in frames if cards.fit(it.cards, wanted.cards, rules.match(wanted.kind))]
        if wanted.kind is Kind.FLAT:
            frames = max(groups.by_light(frames, flats), key=len)
        else:
            frames = [it for it in frames if clusters.is_near(it.ccd_temp_c, wanted.ccd_temp_c, groups.CLUSTER_TEMP_C)]
        if wanted.kind is Kind.DARK:
            reach_s = groups.exposure_reach(rules.matching.dark)(wanted.exposure_s or 0.0)
            frames = [it for it in frames if clusters.is_near(it.exposure_s, wanted.exposure_s, reach_s)]
        return min(len(frames), rule.maximum)


def _note(act: _Act) -> str:
    """Return what to mind when the frames are taken."""
    if act.wanted.kind is Kind.FLAT and not act.subject.is_scalable:
        return "and darks of the exposure of these flats: darks of this camera are not scaled"
    if act.wanted.kind is Kind.DARK and len({it.exposure_s for it, _ in act.serves}) > 1:
        return "other exposures are served by scaling it"
    return ""
