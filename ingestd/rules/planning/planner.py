"""One look at the catalogue: what is due, most urgent first."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ingestd.rules import screening
from ingestd.rules.planning.desk import Desk, instrument_of
from ingestd.rules.planning.lights import plan_light
from ingestd.rules.planning.nights import NightPlanner
from ingestd.rules.planning.plan import Plan
from ingestd.rules.planning.standing import measure_masters
from ingestd.rules.planning.view import View
from ingestd.settings import Settings

_LIGHTS_AT_ONCE = 50


class Planner:
    """One look at the catalogue.

    Parameters
    ----------
    view : View
        Reads of the catalogue.
    settings : Settings
    now : datetime
        Decides only whether a burst is quiet, and whether a failed job may be tried or a frame reduced again.
    in_flight : collection of str
        Job addresses that workers hold.
    capacity : int
        How many jobs may be handed out at most.
    drain : bool
        Treat every burst as quiet and delay nothing (``ingestd scan``).
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
        self._desk = Desk(view, settings, now, in_flight=in_flight, capacity=capacity, drain=drain)
        desk = self._desk
        self._screener = screening.Screener(view, settings, desk.calibration, desk.can_measure, desk.epochs.breaks)

    def due(self) -> Plan:
        """Return the jobs that are due, most urgent first, and the facts found on the way."""
        desk = self._desk
        if any(job_id in desk.suspects for job_id in desk.in_flight):
            desk.capacity = 0
        lights = desk.view.stale_lights(max(desk.capacity * 4, _LIGHTS_AT_ONCE), now=desk.now, delayed=desk.drain)
        wanted = {instrument_of(frame) for frame in lights}
        nights = NightPlanner(desk, self._screener).plan(wanted)
        unmeasured = {instrument for instrument in wanted if desk.view.has_unmeasured(*instrument)}
        ungraded = measure_masters(desk, nights.pending)
        for frame in lights:
            if instrument_of(frame) not in nights.pending | unmeasured | ungraded and desk.has_room():
                plan_light(desk, frame)
        self._measure_frames()
        for job in nights.jobs:
            desk.submit(job)
        if desk.suspected and not desk.plan.jobs and not desk.in_flight:
            desk.plan.jobs.append(desk.suspected[0])
        for later in (desk.view.next_retry(desk.now), desk.view.next_delayed(desk.now)):
            if later is not None:
                desk.plan.look_again(later)
        return desk.plan

    def _measure_frames(self) -> None:
        """Hand out every calibration frame that was never measured."""
        room = self._desk.capacity + len(self._desk.in_flight)
        for frame in self._desk.view.unmeasured(room, self._desk.now):
            job = self._screener.measurement(frame)
            if job is not None:
                self._desk.submit(job)
