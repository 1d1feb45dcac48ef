"""Which jobs are due now: a function of what the catalogue says, the settings and the time.

Facts become stale when their inputs change (a frame came, a master changed); planning looks at what is stale, and only
at that: calibration frames that were never measured, nights whose masters may differ, master darks whose bias changed,
science frames whose best masters may differ. A look ends with a job, with a wait, or with the finding that all is as it
should be. Masters come before the frames that need them; a burst of frames is combined when it has been quiet, or at
once when a science frame needs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from ingestd.records import (
    BuildMaster,
    Calibration,
    Failure,
    FrameInput,
    FrameRecord,
    Group,
    Job,
    Kind,
    Master,
    MasterInput,
    Match,
    MeasureDark,
    MeasuredFrame,
    Metric,
    NotNeeded,
    ReduceFrame,
    StaleNight,
    Verdict,
)
from ingestd.rules import addresses, electronics, groups, matching, screening, windows
from ingestd.settings import Camera, MasterRule, Settings

SUSPICIOUS_DEATHS = 3
"""Deaths of the daemon in a row beside a job that make it run last and alone."""

_LIGHTS_AT_ONCE = 50
_PEDESTAL = "a frame that still holds its bias level is not divided by a flat"
_ORDER = {Kind.BIAS: 0, Kind.DARK: 1, Kind.FLAT: 2}


class View(Protocol):
    """What planning reads of the catalogue."""

    def unmeasured(self, limit: int, now: datetime | None = None) -> list[FrameRecord]:
        """Return calibration frames whose pixels were never looked at, without those that pause after a failure."""

    def has_unmeasured(self, camera: str, setup: str) -> bool:
        """Return whether such frames exist for this set-up, in whatever window."""

    def stale_nights(self) -> list[StaleNight]:
        """Return the nights whose masters must be looked at again."""

    def usable_frames(self, group: Group, first_night: str, last_night: str) -> list[FrameRecord]:
        """Return the frames of a group that may be members."""

    def measured_frames(self, group: Group, night: str) -> list[MeasuredFrame]:
        """Return the frames of a group and night whose pixels were looked at, with figures and verdict."""

    def master_figures(self, master_id: str) -> tuple[Metric, ...]:
        """Return the figures of a master."""

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

    def masters_of_setup(
        self,
        camera: str,
        setup: str,
        kind: Kind,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Master]:
        """Return those of one set-up, in whatever window."""

    def known_masters(self, master_ids: list[str]) -> set[str]:
        """Return those of the masters that are recorded and whose file stands."""

    def stale_darks(self) -> list[Master]:
        """Return master darks whose bias may have changed since they were measured."""

    def measured_with(self, master_id: str) -> str | None:
        """Return the bias that a master dark was last measured against."""

    def stale_lights(self, limit: int, newest_first: bool = True, now: datetime | None = None) -> list[FrameRecord]:  # noqa: FBT001, FBT002 - as the catalogue has it
        """Return science frames whose masters must be chosen again, without those that pause after a failure."""

    def current_reduction(self, frame_id: str) -> str | None:
        """Return the job that made the current product of a frame."""

    def failure(self, job_id: str) -> Failure | None:
        """Return what is known of failed attempts at a job."""

    def next_retry(self, now: datetime) -> datetime | None:
        """Return when the first of the failed jobs that pause may be tried again."""

    def path_of(self, frame_id: str) -> str | None:
        """Return where the frame was last seen, if it is still there."""

    def suspects(self, deaths: int) -> Mapping[str, str | None]:
        """Return the jobs beside which the daemon died so many times in a row: they run last and alone."""

    def gains(
        self, camera: str, setup: str, before_night: str, *, plane: int | None = None, channel: str = ""
    ) -> list[tuple[float, float | None]]:
        """Return the gains (e-/ADU, error) that flats of earlier nights gave, those of one amplifier."""


@dataclass(frozen=True, slots=True)
class SettledNight:
    """A night that has all the masters it should have."""

    group: Group
    night: str
    master_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A science frame whose current product is the one that is due."""

    frame: FrameRecord
    job_id: str
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Held:
    """A science frame that waits for a master, by setting."""

    frame: FrameRecord
    calibration: Calibration
    detail: str


@dataclass(slots=True)
class Plan:
    """What one look found: jobs to submit and facts to record; ``next_look`` is the earliest time something is due."""

    jobs: list[Job] = field(default_factory=list)
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    settled_nights: list[SettledNight] = field(default_factory=list)
    settled_darks: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    next_look: datetime | None = None

    def look_again(self, when: datetime) -> None:
        """Remember the earliest time at which another look is worth while."""
        self.next_look = when if self.next_look is None else min(self.next_look, when)


@dataclass(slots=True)
class _Nights:
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


class Planner:
    """One look at the catalogue.

    Parameters
    ----------
    view : View
        Reads of the catalogue.
    settings : Settings
    now : datetime
        Decides only whether a burst is quiet and whether a failed job may be tried again.
    in_flight : collection of str
        Job addresses that workers hold.
    capacity : int
        How many jobs may be handed out at most.
    drain : bool
        Treat every burst as quiet (``ingestd scan``).
    """

    def __init__(
        self,
        view: View,
        settings: Settings,
        now: datetime,
        *,
        in_flight: Collection[str] = (),
        capacity: int = 1,
        drain: bool = False,
    ) -> None:
        self._view = view
        self._settings = settings
        self._now = now
        self._in_flight = in_flight
        self._capacity = capacity
        self._drain = drain
        self._cameras = {camera.name: camera for camera in settings.camera}
        self._plan = Plan()
        self._planned: set[str] = set()
        self._screener = screening.Screener(view, settings, self._calibration, self._can_measure)
        self._suspects = view.suspects(SUSPICIOUS_DEATHS)
        self._suspected: list[Job] = []

    def due(self) -> Plan:
        """Return the jobs that are due, most urgent first, and the facts found on the way."""
        if any(job_id in self._suspects for job_id in self._in_flight):
            self._capacity = 0
        lights = self._view.stale_lights(max(self._capacity * 4, _LIGHTS_AT_ONCE), now=self._now)
        wanted = {_instrument(frame) for frame in lights}
        nights = self._plan_nights(wanted)
        unmeasured = {instrument for instrument in wanted if self._view.has_unmeasured(*instrument)}
        for frame in lights:
            if _instrument(frame) not in nights.pending | unmeasured and self._has_room():
                self._plan_light(frame)
        self._measure_frames()
        for job in nights.jobs:
            self._submit(job)
        self._measure_darks(nights.pending)
        if self._suspected and not self._plan.jobs and not self._in_flight:
            self._plan.jobs.append(self._suspected[0])
        retry = self._view.next_retry(self._now)
        if retry is not None:
            self._plan.look_again(retry)
        return self._plan

    # --- calibration frames -------------------------------------------------------------------------------------------

    def _measure_frames(self) -> None:
        """Hand out every calibration frame that was never measured."""
        room = self._capacity + len(self._in_flight)
        for frame in self._view.unmeasured(room, self._now):
            job = self._screener.measurement(frame)
            if job is not None:
                self._submit(job)

    def _plan_nights(self, wanted: Collection[tuple[str, str]]) -> _Nights:
        """Look at every stale night; those of a wanted instrument (camera, set-up) are not put off."""
        nights = _Nights()
        for stale in sorted(self._view.stale_nights(), key=_night_order):
            instrument = (stale.group.camera, windows.setup_of(stale.group.configuration))
            if nights.must_wait(stale.group) or self._has_enough(nights):
                nights.put_off(stale.group)
                continue
            if not self._is_quiet(stale, forced=instrument in wanted) or self._view.has_unmeasured(*instrument):
                nights.put_off(stale.group)
                continue
            if not self._screen(stale, nights):
                nights.put_off(stale.group)
                nights.unjudged.add(stale.group)
                continue
            missing = self._missing_masters(stale.group, stale.night)
            possible = [job for job in missing if not self._must_pause(job.job_id)]
            nights.jobs += possible
            if possible or not missing:
                # even a night settled now may change what depends on it: that is looked at once it is recorded
                nights.put_off(stale.group)
        return nights

    def _has_enough(self, nights: _Nights) -> bool:
        """Return whether the nights looked at so far give work to every free worker."""
        free = [job for job in nights.jobs if job.job_id not in self._in_flight and job.job_id not in self._suspects]
        return len(free) >= max(self._capacity, 1)

    def _screen(self, stale: StaleNight, nights: _Nights) -> bool:
        """Take the second look at the frames of a night; return whether it leaves the good ones as they are."""
        look = self._screener.look(stale.group, stale.night)
        nights.jobs += look.to_measure
        self._plan.verdicts += look.verdicts
        return look.is_settled

    def _can_measure(self, job_id: str) -> bool:
        """Return whether a measurement may be tried now: it did not fail lately, or too often."""
        return not self._gave_up(job_id) and not self._must_pause(job_id)

    def _is_quiet(self, stale: StaleNight, *, forced: bool) -> bool:
        """Return whether no frame of the burst came for a while; a clock that was set back counts as quiet."""
        quiet_at = stale.touched_at + timedelta(seconds=self._settings.masters.quiet_s)
        if self._drain or forced or not stale.touched_at <= self._now < quiet_at:
            return True
        self._plan.look_again(quiet_at)
        return False

    def _missing_masters(self, group: Group, night: str) -> list[BuildMaster]:
        """Return the masters that a night lacks; settle the night if it lacks none."""
        rule = self._rule(group.kind)
        frames = self._view.usable_frames(group, groups.night_before(night, rule.window_d), night)
        wanted = groups.select_members(frames, night, rule, self._settings.matching, group.kind)
        jobs = [job for members in wanted if (job := self._build(group, night, members, rule)) is not None]
        known = self._view.known_masters([job.job_id for job in jobs])
        missing = [job for job in jobs if job.job_id not in known and not self._gave_up(job.job_id)]
        if not missing:
            self._plan.settled_nights.append(SettledNight(group, night, tuple(sorted(known))))
        return missing

    def _build(self, group: Group, night: str, members: Sequence[FrameRecord], rule: MasterRule) -> BuildMaster | None:
        """Return the order for one master, or None if it would have too few readable or calibratable members."""
        inputs = []
        for frame in members:
            path = self._view.path_of(frame.frame_id)
            if path is None:
                continue
            masters = self._calibration(frame) if group.kind == Kind.FLAT else None
            if masters is not None and masters.waits and not masters.matches:
                continue
            inputs.append(FrameInput(frame, path, addresses.inputs_of(masters, self._settings)))
        if len(inputs) < rule.minimum:
            return None
        exposure_s, ccd_temp_c, _, _ = groups.master_conditions([member.frame for member in inputs])
        arithmetic = addresses.arithmetic_of(self._settings)
        amplifiers = electronics.electronics_of(inputs[0].frame, self._camera(group.camera), None)
        gain = self._camera(group.camera).gain_e_per_adu or inputs[0].frame.gain_e_per_adu
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
        )
        job_id = addresses.of_master(job)
        return replace(job, job_id=job_id, product=addresses.master_path(self._settings, group, night, job_id))

    def _measure_darks(self, pending: Collection[tuple[str, str]]) -> None:
        """Measure master darks against the bias that is valid for them now."""
        for dark in self._view.stale_darks():
            setup = windows.setup_of(dark.configuration)
            if (dark.camera, setup) in pending:
                continue
            biases = self._view.masters_of_setup(dark.camera, setup, Kind.BIAS)
            choice = matching.bias_for(dark, biases, self._settings)
            bias = choice.master.master_id if isinstance(choice, Match) else None
            arithmetic = addresses.arithmetic_of(self._settings)
            job_id = addresses.of_dark_measurement(dark, bias, arithmetic)
            if bias is None or bias == self._view.measured_with(dark.master_id) or self._gave_up(job_id):
                self._plan.settled_darks.append(dark.master_id)
            elif isinstance(choice, Match):
                self._submit(
                    MeasureDark(
                        job_id,
                        dark.master_id,
                        addresses.master_input(dark, self._settings),
                        addresses.match_input(choice, self._settings),
                        self._camera(dark.camera).gain_e_per_adu,
                        arithmetic,
                    )
                )

    # --- science frames -----------------------------------------------------------------------------------------------

    def _plan_light(self, frame: FrameRecord) -> None:
        """Choose the masters of one science frame: a job, a wait, or nothing to do."""
        calibration = self._calibration(frame)
        camera = self._camera(frame.camera)
        missing = [wait for wait in calibration.waits if wait.kind.value in camera.requires]
        if missing and self._settings.reduction.when_missing == "wait":
            self._plan.held.append(Held(frame, calibration, missing[0].reason))
            return
        path = self._view.path_of(frame.frame_id)
        if path is None:
            self._plan.held.append(Held(frame, calibration, "the raw file is gone; put it back to reduce it"))
            return
        measured = self._measured_gains(frame)
        amplifiers = electronics.electronics_of(frame, camera, measured)
        gain, gain_source = electronics.gain_of(frame, camera, measured)
        if amplifiers:
            gain = electronics.mean_gain(amplifiers)
        inputs = addresses.inputs_of(calibration, self._settings)
        if gain is not None and calibration.noise is not None:
            inputs += (addresses.match_input(calibration.noise, self._settings),)
        skipped = _skipped(calibration)
        if not _loses_its_pedestal(frame, inputs, self._settings):
            skipped += tuple((master.kind.value, _PEDESTAL) for master in inputs)
            inputs = ()
        job = ReduceFrame(
            job_id="",
            member=FrameInput(frame, path, inputs),
            skipped=skipped,
            not_needed=_not_needed(calibration),
            gain_e_per_adu=gain,
            gain_source=gain_source,
            read_noise_e=camera.read_noise_e if camera.read_noise_e is not None else frame.read_noise_e,
            provisional=bool(missing),
            arithmetic=addresses.arithmetic_of(self._settings),
            product="",
            electronics=amplifiers,
        )
        job_id = addresses.of_reduction(job)
        if self._view.current_reduction(frame.frame_id) == job_id:
            self._plan.kept.append(Kept(frame, job_id, calibration))
            return
        if self._gave_up(job_id):
            self._plan.given_up.append(frame.frame_id)
            return
        product = addresses.product_path(self._settings, frame, path, job_id)
        self._plan.calibrations[job_id] = calibration
        self._submit(replace(job, job_id=job_id, product=product))

    def _calibration(self, frame: FrameRecord) -> Calibration:
        """Return the masters chosen for a science or flat frame."""
        kinds = (Kind.BIAS, Kind.DARK, Kind.FLAT) if frame.kind == Kind.LIGHT else (Kind.BIAS, Kind.DARK)
        masters = {kind: self._masters_near(frame, kind) for kind in kinds}
        return matching.calibration_for(frame, masters, self._settings, self._camera(frame.camera))

    def _masters_near(self, frame: FrameRecord, kind: Kind) -> list[Master]:
        """Return the masters that may be valid for a frame, and those of about as much time more, to be shown."""
        if frame.obs_start is None:
            return []
        rule = self._rule(kind)
        reach = timedelta(days=2 * rule.valid_d + rule.window_d)
        since, until = frame.obs_start - reach, frame.obs_start + reach
        return self._view.masters_of_setup(*_instrument(frame), kind, since=since, until=until)

    def _measured_gains(self, frame: FrameRecord) -> electronics.Measured:
        """Return what tells the gains that flats of nights before that of a frame gave."""

        def gains(plane: int | None, channel: str) -> list[tuple[float, float | None]]:
            return self._view.gains(*_instrument(frame), frame.night or "", plane=plane, channel=channel)

        return gains

    def _camera(self, name: str) -> Camera:
        """Return the settings of a camera; one that left the settings keeps the defaults."""
        return self._cameras.get(name) or Camera(name)

    # --- handing out --------------------------------------------------------------------------------------------------

    def _rule(self, kind: Kind) -> MasterRule:
        """Return the settings of one kind of master."""
        masters = self._settings.masters
        return {Kind.BIAS: masters.bias, Kind.DARK: masters.dark, Kind.FLAT: masters.flat}[kind]

    def _has_room(self) -> bool:
        """Return whether another job may be handed out."""
        return len(self._plan.jobs) < self._capacity

    def _gave_up(self, job_id: str) -> bool:
        """Return whether a job failed so often that it is not tried again by itself."""
        failure = self._view.failure(job_id)
        return failure is not None and failure.is_final

    def _must_pause(self, job_id: str) -> bool:
        """Return whether a job failed lately; remember when it may be tried again."""
        failure = self._view.failure(job_id)
        if failure is None or failure.next_try is None or failure.next_try <= self._now:
            return False
        self._plan.look_again(failure.next_try)
        return True

    def _submit(self, job: Job) -> None:
        """Hand out a job unless a worker holds it, it must wait after a failure, or there is no room."""
        is_out = job.job_id in self._in_flight or job.job_id in self._planned
        if is_out or not self._has_room() or self._gave_up(job.job_id) or self._must_pause(job.job_id):
            return
        self._planned.add(job.job_id)
        (self._suspected if job.job_id in self._suspects else self._plan.jobs).append(job)


def _instrument(frame: FrameRecord) -> tuple[str, str]:
    """Return camera and set-up: what frames must share to calibrate each other, in whatever window."""
    return frame.camera, windows.setup_of(frame.configuration.key())


def _night_order(stale: StaleNight) -> tuple[int, str, str, str, str]:
    """Order nights so that parents come before what is built with them."""
    group = stale.group
    return _ORDER[group.kind], stale.night, group.camera, group.configuration, group.filter_name or ""


def _skipped(calibration: Calibration) -> tuple[tuple[str, str], ...]:
    """Return each step that has no master, with the reason."""
    return tuple((wait.kind.value, wait.reason) for wait in calibration.waits)


def _not_needed(calibration: Calibration) -> tuple[tuple[str, str], ...]:
    """Return each step that this frame does without, with the reason."""
    choices = (calibration.bias, calibration.dark, calibration.flat)
    return tuple((choice.kind.value, choice.reason) for choice in choices if isinstance(choice, NotNeeded))


def _loses_its_pedestal(frame: FrameRecord, inputs: Sequence[MasterInput], settings: Settings) -> bool:
    """Return whether bias, dark or overscan takes the bias level out of the frame, or did so before it came."""
    if "dark_subtracted" in frame.flags:
        return True
    has_overscan = settings.reduction.overscan and all(plane.has_overscan for plane in frame.planes)
    return has_overscan or any(master.kind in (Kind.BIAS, Kind.DARK) for master in inputs)
