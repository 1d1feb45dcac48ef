"""Master darks whose bias changed: they are measured against the one that is valid for them now."""

from __future__ import annotations

from collections.abc import Collection

from ingestd.records import Kind, Match, MeasureDark
from ingestd.rules import addresses, matching, windows
from ingestd.rules.planning.desk import Desk


def measure_darks(desk: Desk, pending: Collection[tuple[str, str]]) -> None:
    """Measure master darks against the bias that is valid for them now."""
    for dark in desk.view.stale_darks():
        setup = windows.setup_of(dark.configuration)
        if (dark.camera, setup) in pending:
            continue
        biases = desk.view.masters_of_setup(dark.camera, setup, Kind.BIAS)
        choice = matching.bias_for(dark, biases, desk.settings)
        bias = choice.master.master_id if isinstance(choice, Match) else None
        arithmetic = addresses.arithmetic_of(desk.settings)
        job_id = addresses.of_dark_measurement(dark, bias, arithmetic)
        if bias is None or bias == desk.view.measured_with(dark.master_id) or desk.gave_up(job_id):
            desk.plan.settled_darks.append(dark.master_id)
        elif isinstance(choice, Match):
            desk.submit(
                MeasureDark(
                    job_id,
                    dark.master_id,
                    addresses.master_input(dark, desk.settings),
                    addresses.match_input(choice, desk.settings),
                    desk.camera(dark.camera).gain_e_per_adu,
                    arithmetic,
                )
            )
