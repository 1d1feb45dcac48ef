"""The nights whose masters may differ: what of them must be measured or combined."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ingestd.records import BuildMaster, FrameInput, FrameRecord, Group, Job, Kind, Master, StaleNight
from ingestd.rules import addresses, cards, electronics, groups, windows
from ingestd.rules.planning.desk import Desk
from ingestd.rules.planning.plan import SettledNight
from ingestd.rules.screening import Screener
from ingestd.settings import Rules

_ORDER = {Kind.BIAS: 0, Kind.DARK: 1, Kind.FLAT: 2}

_Merit = tuple[int, bool, datetime, str]


@dataclass(slots=True)
class Nights:
    """What the stale nights lack, and the instruments (camera, set-up) whose masters are not final yet."""

    jobs: list[Job] = field(default_factory=list)
    pending: set[tuple[str, str]] = field(default_factory=set)
    unjudged: set[Group] = field(default_factory=set)
    _kinds: set[tuple[str, str, Kind]] = field(default_factory=set)

    def put_off(self, group: Group) -> None:
        """Note that the masters of a group are not final yet."""
        setup = windows.setup_of(group.configuration)
        self.pending.add((group.camera, setup))
        self._kinds.add((group.camera, setup, group.kind))

    def must_wait(self, group: Group) -> bool:
        """Return whether a group waits: for the biases and darks below it, for frames of an earlier night."""
        below = (Kind.BIAS, Kind.DARK)[: _ORDER[group.kind]]
        setup = windows.setup_of(group.configuration)
        return group in self.unjudged or any((group.camera, setup, kind) in self._kinds for kind in below)


class NightPlanner:
    """Looks at one stale night after the other."""

    def __init__(self, desk: Desk, screener: Screener) -> None:
        self._desk = desk
        self._screener = screener

    def plan(self, wanted: Collection[tuple[str, str]]) -> Nights:
        """Look at every stale night; those of a wanted instrument (camera, set-up) are not put off."""
        nights = Nights()
        for stale in sorted(self._desk.view.stale_nights(), key=_night_order):
            if not self._is_ready(stale, nights, wanted):
                nights.put_off(stale.group)
                continue
            if not self._screen(stale, nights):
                nights.put_off(stale.group)
                nights.unjudged.add(stale.group)
                continue
            missing = self._missing_masters(stale.group, stale.night)
            possible = [job for job in missing if not self._desk.must_pause(job.job_id)]
            nights.jobs += possible
            if possible or not missing:
                # even a night settled now may change what depends on it: that is looked at once it is recorded
                nights.put_off(stale.group)
        return nights

    def _is_ready(self, stale: StaleNight, nights: Nights, wanted: Collection[tuple[str, str]]) -> bool:
        """Return whether a night can be looked at: nothing before it is open, its burst is over, its epoch is known."""
        instrument = (stale.group.camera, windows.setup_of(stale.group.configuration))
        if nights.must_wait(stale.group) or self._has_enough(nights):
            return False
        if not self._is_quiet(stale, forced=instrument in wanted) or self._desk.view.has_unmeasured(*instrument):
            return False
        return self._desk.epochs.is_settled(*instrument)

    def _has_enough(self, nights: Nights) -> bool:
        """Return whether the nights looked at so far give work to every free worker."""
        free = [
            job
            for job in nights.jobs
            if job.job_id not in self._desk.in_flight and job.job_id not in self._desk.suspects
        ]
        return len(free) >= max(self._desk.capacity, 1)

    def _screen(self, stale: StaleNight, nights: Nights) -> bool:
        """Take the second look at the frames of a night; return whether it leaves the good ones as they are."""
        look = self._screener.look(stale.group, stale.night)
        nights.jobs += look.to_measure
        self._desk.plan.verdicts += look.verdicts
        return look.is_settled

    def _is_quiet(self, stale: StaleNight, *, forced: bool) -> bool:
        """Return whether no frame of the burst came for a while; a clock that was set back counts as quiet."""
        quiet_at = stale.touched_at + timedelta(seconds=self._desk.settings.masters.quiet_s)
        if self._desk.drain or forced or not stale.touched_at <= self._desk.now < quiet_at:
            return True
        self._desk.plan.look_again(quiet_at)
        return False

    def _missing_masters(self, group: Group, night: str) -> list[BuildMaster]:
        """Return the masters that a night lacks; settle the night if it lacks none."""
        rules = self._desk.rules(group.camera)
        rule = rules.master(group.kind)
        epoch = self._desk.epochs.first_night(group.camera, group.configuration, night)
        first = max(groups.night_before(night, rule.window_d), epoch)
        frames = self._desk.view.usable_frames(group, first, night, with_gone=True)
        flats = self._desk.camera(group.camera).flats
        wanted = groups.select_members(frames, night, rule, rules.matching, group.kind, flats)
        due = [self._due(group, night, members, rules) for members in wanted]
        jobs = [it for it in due if isinstance(it, BuildMaster)]
        known = self._desk.view.known_masters([job.job_id for job in jobs])
        missing = [job for job in jobs if job.job_id not in known and not self._desk.gave_up(job.job_id)]
        if not missing:
            known |= {it.master_id for it in due if isinstance(it, Master)}
            self._desk.plan.settled_nights.append(SettledNight(group, night, tuple(sorted(known))))
        return missing

    def _due(
        self, group: Group, night: str, members: Sequence[FrameRecord], rules: Rules
    ) -> BuildMaster | Master | None:
        """Return the order for the master of these members, or the master that stands in for it, or None.

        Members whose raw files are gone count all the same, so what was made of them stays. A master of all that was
        never made cannot be any more: then a new one of those that are left is due, if it is not worse than the masters
        which that night has had.
        """
        whole = self._build(group, night, members, rules)
        if whole is None or all(it.path for it in whole.members) or self._desk.view.known_masters([whole.job_id]):
            return whole
        left = [it.frame for it in whole.members if it.path]
        possible = self._build(group, night, left, rules) if any(it.night == night for it in left) else None
        if possible is not None and self._desk.gave_up(possible.job_id):
            possible = None
        standing = {self._merit(group, it, rules): it for it in self._standing(group, night, members)}
        if possible is not None and all(_merit_of_new(possible) >= merit for merit in standing):
            return possible
        return standing[max(standing)] if standing else None

    def _standing(self, group: Group, night: str, members: Sequence[FrameRecord]) -> list[Master]:
        """Return the masters that a night has had of some of these members and that nothing speaks against."""
        own, frame = {it.frame_id for it in members}, next(it for it in members if it.night == night)
        found = []
        for master in self._desk.view.sound_masters(group, night):
            parents = [it for parent in master.parents if (it := self._desk.view.master(parent)) is not None]
            if not own.isdisjoint(master.members) and not self._desk.epochs.foreign(frame, [master, *parents]):
                found.append(master)
        return found

    def _merit(self, group: Group, master: Master, rules: Rules) -> _Merit:
        """Return what masters of one night are preferred by: members, parents and settings of now, the newest."""
        members = [it for frame_id in master.members if (it := self._desk.view.frame(frame_id)) is not None]
        again = self._build(group, master.night, members, rules)
        is_of_now = again is not None and again.job_id == master.master_id
        return len(members), is_of_now, master.last_obs, master.master_id

    def _build(self, group: Group, night: str, members: Sequence[FrameRecord], rules: Rules) -> BuildMaster | None:
        """Return the order for one master, or None if it would have too few calibratable members.

        A member whose raw file is gone has an empty path.
        """
        inputs, rule = [], rules.master(group.kind)
        camera = self._desk.camera(group.camera)
        linearity = electronics.linearity_of(camera, group.kind)
        for frame in members:
            masters = self._desk.calibration(frame) if group.kind == Kind.FLAT else None
            if masters is not None and masters.waits and not masters.matches:
                continue
            used = addresses.inputs_of(masters, self._desk.settings)
            if linearity is not None and masters is not None and masters.noise is not None:
                used += (addresses.match_input(masters.noise, self._desk.settings),)
            inputs.append(FrameInput(frame, self._desk.view.path_of(frame.frame_id) or "", used))
        if len(inputs) < rule.minimum:
            return None
        exposure_s, ccd_temp_c, _, _ = groups.master_conditions([member.frame for member in inputs])
        arithmetic = addresses.arithmetic_of(self._desk.settings)
        amplifiers = electronics.electronics_of(inputs[0].frame, camera, None)
        gain = camera.gain_e_per_adu or inputs[0].frame.gain_e_per_adu
        job = BuildMaster(
            job_id="",
            group=group,
            night=night,
            exposure_s=exposure_s,
            ccd_temp_c=ccd_temp_c,
            members=tuple(inputs),
            gain_e_per_adu=electronics.mean_gain(amplifiers) if amplifiers else gain,
            arithmetic=arithmetic,
            grade=groups.grade(len(inputs), rule),
            product="",
            electronics=amplifiers,
            cards=cards.of_members([member.frame.cards for member in inputs], group.kind, rules),
            linearity=linearity,
            flats=camera.flats if group.kind == Kind.FLAT else "any",
        )
        job_id = addresses.of_master(job)
        return replace(job, job_id=job_id, product=addresses.master_path(self._desk.settings, group, night, job_id))


def _merit_of_new(job: BuildMaster) -> _Merit:
    """Return the merit of a master that can be built now."""
    _, _, _, last_obs = groups.master_conditions([member.frame for member in job.members])
    return len(job.members), True, last_obs, job.job_id


def _night_order(stale: StaleNight) -> tuple[int, str, str, str, str]:
    """Order nights so that parents come before what is built with them."""
    group = stale.group
    return _ORDER[group.kind], stale.night, group.camera, group.configuration, group.filter_name or ""
