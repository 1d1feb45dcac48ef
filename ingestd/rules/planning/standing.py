"""Masters whose standing may have changed: each is measured against the previous night's, a dark against its bias."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ingestd.records import Kind, Master, Match, MeasureMaster
from ingestd.rules import addresses, grading, matching, screening, windows
from ingestd.rules.planning.desk import Desk


def measure_masters(desk: Desk, pending: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Measure and grade the masters that need it; return the instruments whose grades are not final yet.

    Parameters
    ----------
    desk : Desk
    pending : collection of (camera, set-up)
        Instruments whose masters are not final: theirs are left for a later look.
    """
    open_ones = set()
    for master in desk.view.stale_masters():
        instrument = (master.camera, windows.setup_of(master.configuration))
        if instrument not in pending and not _settle(desk, master):
            open_ones.add(instrument)
    return open_ones


def _settle(desk: Desk, master: Master) -> bool:
    """Hand out the measurement of a master, or grade it; return whether its grade stays as it is for now."""
    previous = _previous(desk, master)
    job = _measurement(desk, master, previous)
    measured_job = desk.view.measured_job(master.master_id)
    is_measured = job.job_id == measured_job
    if job.bias is None and job.previous is None and measured_job is None:
        is_measured = True  # there is nothing to measure, and nothing measured to be taken back
    elif not is_measured and not desk.gave_up(job.job_id):
        desk.submit(job)
        return desk.must_pause(job.job_id)
    figures, former = (
        desk.view.master_figures(it.master_id) if it is not None and is_measured else () for it in (master, previous)
    )
    found = grading.standing_of(master, figures, previous, former, desk.settings.grading)
    desk.plan.standings.append(found)
    before = desk.view.standing(master.master_id)
    return before is not None and before.grade == found.grade


def _measurement(desk: Desk, master: Master, previous: Master | None) -> MeasureMaster:
    """Return the order to measure a master."""
    bias = _bias_below(desk, master) if master.kind is Kind.DARK else None
    job = MeasureMaster(
        "",
        addresses.master_input(master, desk.settings),
        None if bias is None else addresses.match_input(bias, desk.settings),
        None if previous is None else addresses.reference_input(previous, desk.settings),
        desk.camera(master.camera).gain_e_per_adu,
        addresses.arithmetic_of(desk.settings),
    )
    return replace(job, job_id=addresses.of_master_measurement(job))


def _bias_below(desk: Desk, dark: Master) -> Match | None:
    """Return the bias that is valid for a master dark now."""
    setup = windows.setup_of(dark.configuration)
    biases = desk.view.masters_of_setup(dark.camera, setup, Kind.BIAS)
    choice = matching.bias_for(dark, biases, desk.settings, desk.epochs.breaks(dark.camera, setup))
    return choice if isinstance(choice, Match) else None


def _previous(desk: Desk, master: Master) -> Master | None:
    """Return the master that a night's master is compared with: one of its own hardware epoch."""
    rules, known = desk.rules(master.camera), desk.epochs.breaks(master.camera, windows.setup_of(master.configuration))
    own = screening.possible_references(
        desk.view, master.camera, master.configuration, master.kind, master.night, known, rules
    )
    return screening.previous_master(master, own, rules)
