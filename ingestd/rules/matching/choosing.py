"""The choice of masters for a frame: bias first, then the dark (which may need the bias), then the flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ingestd.records import Break, Calibration, Choice, FrameRecord, Kind, Master, Match, NotNeeded, Wait
from ingestd.rules.matching import words
from ingestd.rules.matching.limits import Limits, Subject, bias_limits, dark_limits, dark_policy, flat_limits
from ingestd.rules.matching.verdicts import Verdict, rank
from ingestd.settings import Camera, Rules, Settings

_CALIBRATED = (Kind.LIGHT, Kind.FLAT)


def calibration_for(
    frame: FrameRecord,
    masters: Mapping[Kind, Sequence[Master]],
    settings: Settings,
    camera: Camera,
    breaks: Sequence[Break] = (),
) -> Calibration:
    """Return the masters for a science frame or for a flat before it is combined.

    Given a frame and the masters of its configuration, each kind gets the best by the order of choosing, or the reason
    why none fits. An exact dark carries the bias; a scaled one needs it; without any dark the bias alone is applied.

    Parameters
    ----------
    frame : FrameRecord
        Kinds other than light and flat need no master.
    masters : mapping of Kind to sequence of Master
        In any order. Those of another camera or configuration are recorded as such and never chosen.
    settings : Settings
        The association rules of the camera: tolerances, validity, order of choosing.
    camera : Camera
        Of the frame: its dark policy.
    breaks : sequence of Break
        Of the set-up of the frame: a master of another hardware epoch never fits.

    Returns
    -------
    Calibration
        Each choice with its candidates, best first.
    """
    reason = _no_masters_needed(frame)
    if reason:
        return Calibration(NotNeeded(Kind.BIAS, reason), NotNeeded(Kind.DARK, reason), NotNeeded(Kind.FLAT, reason))
    subject = _subject(frame, tuple(breaks))
    if subject is None:
        return _without_time(frame)
    rules = settings.rules_of(camera.name)
    if "dark_subtracted" in frame.flags:
        flat = _choose_flat(frame, subject, masters.get(Kind.FLAT, ()), rules)
        reason = "the header says that the dark was subtracted"
        return Calibration(NotNeeded(Kind.BIAS, reason), NotNeeded(Kind.DARK, reason), flat)
    bias = _choose(subject, masters.get(Kind.BIAS, ()), bias_limits(rules))
    limits = dark_limits(rules, dark_policy(frame, camera), has_bias=isinstance(bias, Match))
    dark = _choose_dark(subject, masters.get(Kind.DARK, ()), limits)
    flat = _choose_flat(frame, subject, masters.get(Kind.FLAT, ()), rules)
    is_carried = isinstance(dark, Match) and dark.how == "exact" and frame.kind is Kind.LIGHT
    noise = replace(bias, how="noise_only") if is_carried and isinstance(bias, Match) else None
    return Calibration(_bias_beside(dark, bias), dark, flat, noise)


def bias_for(
    master_dark: Master, biases: Sequence[Master], settings: Settings, breaks: Sequence[Break] = ()
) -> Match | Wait:
    """Return the master bias to measure a master dark against; its age is the time between both sets of members."""
    subject = Subject(
        camera=master_dark.camera,
        configuration=master_dark.configuration,
        exposure_s=master_dark.exposure_s,
        ccd_temp_c=master_dark.ccd_temp_c,
        filter_name=None,
        first_obs=master_dark.first_obs,
        last_obs=master_dark.last_obs,
        cards=master_dark.cards,
        night=master_dark.night,
        breaks=tuple(breaks),
    )
    return _choose(subject, biases, bias_limits(settings.rules_of(master_dark.camera)))


def _no_masters_needed(frame: FrameRecord) -> str:
    """Return why a frame is not calibrated at all, or an empty text."""
    if frame.kind not in _CALIBRATED:
        return f"a frame of kind {frame.kind.value} is not calibrated"
    if "calibrated" in frame.flags and not {"dark_subtracted", "flat_divided"} & set(frame.flags):
        card = frame.source("calibrated")
        return f"the header says that the frame is calibrated already{f' ({card})' if card else ''}"
    return ""


def _subject(frame: FrameRecord, breaks: tuple[Break, ...]) -> Subject | None:
    """Return the frame as a subject, or None if it has no time."""
    if frame.obs_start is None:
        return None
    return Subject(
        camera=frame.camera,
        configuration=frame.configuration.key(),
        exposure_s=frame.exposure_s,
        ccd_temp_c=frame.ccd_temp_c,
        filter_name=frame.filter_name,
        first_obs=frame.obs_start,
        last_obs=frame.obs_start,
        cards=frame.cards,
        night=frame.night,
        breaks=breaks,
    )


def _without_time(frame: FrameRecord) -> Calibration:
    """Return the waits of a frame whose masters cannot be told because it has no time."""
    reason = (
        "needs an observation time: without one no master can be told valid. "
        "Name the keyword of its date in camera.keywords.obs_start."
    )
    flat: Choice = _FLAT_OF_FLAT if frame.kind is Kind.FLAT else Wait(Kind.FLAT, reason, ())
    return Calibration(Wait(Kind.BIAS, reason, ()), Wait(Kind.DARK, reason, ()), flat)


_FLAT_OF_FLAT = NotNeeded(Kind.FLAT, "a flat is not divided by a flat")


def _choose_flat(frame: FrameRecord, subject: Subject, flats: Sequence[Master], rules: Rules) -> Choice:
    """Return the flat of the filter; a flat has none, and a frame that was divided by one needs no other."""
    if "flat_divided" in frame.flags:
        return NotNeeded(Kind.FLAT, "the header says that the frame was divided by a flat")
    return _FLAT_OF_FLAT if frame.kind is Kind.FLAT else _choose(subject, flats, flat_limits(rules))


def _choose(subject: Subject, masters: Sequence[Master], limits: Limits) -> Match | Wait:
    """Return the best master of one kind, or why none fits."""
    count, ranked = rank(subject, masters, limits)
    candidates = tuple(words.candidate(subject, limits, verdict) for verdict in ranked)
    if not ranked or ranked[0].misses:
        return Wait(limits.kind, words.wait_reason(subject, limits, count, ranked), candidates)
    best: Verdict = ranked[0]
    return Match(best.master, best.how, best.delta_temp_c, best.exposure_ratio, best.age_h, candidates, best.cut)


def _choose_dark(subject: Subject, darks: Sequence[Master], limits: Limits) -> Choice:
    """Return the best dark; where none fits a short exposure, none is needed."""
    choice = _choose(subject, darks, limits)
    if isinstance(choice, Match) or subject.exposure_s is None or limits.dark is None:
        return choice
    longest_s = limits.dark.bias_only_max_s
    if subject.exposure_s > longest_s:
        return choice
    limit = f"{words.seconds(subject.exposure_s)} is at most matching.dark.bias_only_max_s = {longest_s:g} s"
    return NotNeeded(Kind.DARK, f"bias only: {limit}. Otherwise it {choice.reason}")


def _bias_beside(dark: Choice, bias: Match | Wait) -> Choice:
    """Return what becomes of the bias beside the choice of the dark."""
    if isinstance(dark, Match) and dark.how == "exact":
        return NotNeeded(Kind.BIAS, "the exact dark carries it")
    if isinstance(dark, NotNeeded) and isinstance(bias, Match):
        return replace(bias, how="bias_only")
    return bias
