"""Science frames: the choice of their masters becomes a job, a wait, or the finding that all is as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ingestd.records import (
    Calibration,
    FormerProduct,
    FrameInput,
    FrameRecord,
    Kind,
    MasterInput,
    NotNeeded,
    ReduceFrame,
    Wait,
)
from ingestd.rules import addresses, electronics
from ingestd.rules.planning import again
from ingestd.rules.planning.desk import Desk, instrument_of
from ingestd.rules.planning.plan import Delayed, Held, Kept
from ingestd.settings import Settings

_PEDESTAL = "a frame that still holds its bias level is not divided by a flat"


def plan_light(desk: Desk, frame: FrameRecord) -> None:
    """Choose the masters of one science frame: a job, a wait, or nothing to do."""
    calibration = desk.calibration(frame)
    requires = desk.camera(frame.camera).requires
    missing = [wait for wait in calibration.waits if wait.kind.value in requires]
    doubt = desk.epochs.doubt(frame, calibration)
    path = desk.view.path_of(frame.frame_id)
    waits = desk.settings.reduction.when_missing == "wait"
    if path is None or (waits and (missing or doubt)):
        desk.plan.held.append(_held(frame, calibration, missing if waits else (), doubt if waits else ""))
        return
    job = _order(desk, frame, path, calibration, doubt, is_provisional=bool(missing or doubt))
    if desk.view.current_reduction(frame.frame_id) == job.job_id:
        desk.plan.kept.append(Kept(frame, job.job_id, calibration))
    elif desk.gave_up(job.job_id):
        desk.plan.given_up.append(frame.frame_id)
    elif not _is_put_off(desk, frame, job):
        desk.plan.calibrations[job.job_id] = calibration
        desk.submit(job)


def _order(
    desk: Desk, frame: FrameRecord, path: str, calibration: Calibration, doubt: str, *, is_provisional: bool
) -> ReduceFrame:
    """Return the order to reduce a frame with the masters chosen for it."""
    camera = desk.camera(frame.camera)
    measured = _measured_gains(desk, frame)
    amplifiers = electronics.electronics_of(frame, camera, measured)
    gain, gain_source = electronics.gain_of(frame, camera, measured)
    if amplifiers:
        gain = electronics.mean_gain(amplifiers)
    inputs = addresses.inputs_of(calibration, desk.settings)
    linearity = electronics.linearity_of(camera, Kind.LIGHT)
    if calibration.noise is not None and (gain is not None or linearity is not None):
        inputs += (addresses.match_input(calibration.noise, desk.settings),)
    skipped = _skipped(calibration)
    if not _loses_its_pedestal(frame, inputs, desk.settings):
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
        provisional=is_provisional,
        arithmetic=addresses.arithmetic_of(desk.settings),
        product="",
        electronics=amplifiers,
        linearity=linearity,
        cosmics=addresses.cosmics_of(camera),
        doubt=doubt,
    )
    job_id = addresses.of_reduction(job)
    return replace(job, job_id=job_id, product=addresses.product_path(desk.settings, frame, path, job_id))


def _is_put_off(desk: Desk, frame: FrameRecord, job: ReduceFrame) -> bool:
    """Return whether a frame that has a product is not made again yet; note why it is, or until when it is not."""
    former = desk.view.former_product(frame.frame_id)
    if former is None:
        return False
    foreign = desk.epochs.foreign(frame, former.masters)
    found = again.reasons(former, job.member.masters, job.doubt, desk.settings.reduction, foreign)
    until = _wait_until(desk, former, found, frame)
    if until is None:
        desk.plan.again[job.job_id] = "; ".join(reason.words for reason in found)
        return False
    desk.plan.delayed.append(Delayed(frame.frame_id, until))
    desk.plan.look_again(until)
    return True


def _held(frame: FrameRecord, calibration: Calibration, missing: Sequence[Wait], doubt: str) -> Held:
    """Return for what a frame waits: for a master, for a doubt about the hardware, for its file."""
    if missing:
        return Held(frame, calibration, missing[0].reason)
    if doubt:
        return Held(frame, calibration, doubt, "epoch_suspected")
    return Held(frame, calibration, "the raw file is gone; put it back to reduce it")


def _wait_until(
    desk: Desk, former: FormerProduct, found: Sequence[again.Reason], frame: FrameRecord
) -> datetime | None:
    """Return when a frame may be reduced once more, None for at once."""
    if desk.drain:
        return None
    longitude_deg = desk.settings.site.longitude_deg
    return again.wait_until(former, found, frame, desk.now, desk.settings.reduction, longitude_deg)


def _measured_gains(desk: Desk, frame: FrameRecord) -> electronics.Measured:
    """Return what tells the gains that flats of nights before that of a frame gave."""
    night = frame.night or ""
    epoch = desk.epochs.first_night(frame.camera, frame.configuration.key(), night)

    def gains(plane: int | None, channel: str) -> list[tuple[float, float | None]]:
        """Return the gains of one amplifier."""
        return desk.view.gains(*instrument_of(frame), night, since_night=epoch, plane=plane, channel=channel)

    return gains


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
