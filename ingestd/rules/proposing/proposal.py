"""Samples of a directory -> settings for the observatory, each with its reason, and what was not understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ingestd.records import CALIBRATION_KINDS, Kind
from ingestd.rules.proposing.cameras import Seed, look, tell_apart
from ingestd.rules.proposing.choices import choose_dark_policy, choose_extra_match, choose_site, suggest_sections
from ingestd.rules.proposing.keywords import ambiguous_gains, find_keywords
from ingestd.rules.proposing.outlook import choose_rules, outlook_of, play
from ingestd.rules.proposing.values import (
    CameraProposal,
    Look,
    Outlook,
    Proposal,
    Refused,
    Suggestion,
    Survey,
    Unclear,
)
from ingestd.settings import Camera, Keywords, Paths, Settings, Site

_ALL_STEPS = tuple(kind.value for kind in CALIBRATION_KINDS)


def propose(survey: Survey, *, directory: str, data: str, now: datetime) -> Proposal:
    """Return the settings that the frames of a directory ask for.

    Parameters
    ----------
    survey : Survey
        Headers of some or all files of the directory.
    directory : str
        As it is to stand in the settings.
    data : str
        Likewise the data directory.
    now : datetime
        Aware UTC; only to notice frames of the future.

    Returns
    -------
    Proposal
        With at least one camera, also if no frame was understood.
    """
    looks = [look(sample, None, Site(), now) for sample in survey.samples]
    site, site_reasons, site_suggestions = choose_site(looks)
    seeds = tell_apart(looks) or (Seed("camera1", {}, "no image was read", ()),)
    cameras = [_propose_camera(seed, directory, site, now) for seed in seeds]
    frames = [each.frame for camera in cameras for each in camera.looks]
    settings = Settings(camera=tuple(each.camera for each in cameras), site=site, paths=Paths(data))
    rule_reasons: dict[str, str] = {}
    played = play(frames, settings)
    if survey.is_complete:
        settings, played, rule_reasons = choose_rules(frames, settings, played)
    outlook = outlook_of(played, settings)
    cameras = [_with_requirements(camera, outlook) for camera in cameras]
    settings = replace(settings, camera=tuple(each.camera for each in cameras))
    return Proposal(
        directory=directory,
        survey=survey,
        settings=settings,
        reasons={**{f"site.{key}": reason for key, reason in site_reasons.items()}, **rule_reasons},
        suggestions=tuple(replace(each, key=f"site.{each.key}") for each in site_suggestions),
        cameras=tuple(cameras),
        others=(*_without_image(looks), *_refusals(survey.refused)),
        outlook=outlook_of(played, settings),
    )


def _propose_camera(seed: Seed, directory: str, site: Site, now: datetime) -> CameraProposal:
    """Return the section of one camera."""
    camera = Camera(name=seed.name, directories=(directory,), match=dict(seed.match))

    def relook(keywords: Keywords) -> list[Look]:
        """Look at the same headers with these keywords."""
        changed = replace(camera, keywords=keywords)
        return [look(each.sample, changed, site, now) for each in seed.looks]

    found = find_keywords(relook(Keywords()), relook)
    camera = replace(camera, keywords=found.keywords)
    policy = choose_dark_policy(found.looks, camera)
    extra, extra_reason, extra_suggestions = choose_extra_match(found.looks)
    values: dict[str, Any] = {"dark_policy": policy.value or "auto", "extra_match": extra}
    camera = replace(camera, **values)
    reasons = {
        "match" if seed.match else "name": seed.reason,
        "dark_policy": policy.reason,
        **({"extra_match": f"{extra_reason}: frames calibrate each other only where they agree"} if extra else {}),
        **found.reasons,
    }
    return CameraProposal(
        camera=camera,
        reasons=reasons,
        suggestions=(
            *suggest_sections(found.looks),
            *extra_suggestions,
            *_suggest_values(found.looks),
            *found.suggestions,
            *ambiguous_gains(found.looks),
        ),
        unclear=(*found.unclear, *_ignored_sections(found.looks)),
        looks=tuple(look(each.sample, camera, site, now) for each in seed.looks),
    )


def _suggest_values(looks: Sequence[Look]) -> list[Suggestion]:
    """Return the values of the sensor that no header tells."""
    frames = [each.frame for each in looks if each.frame.kind is Kind.LIGHT or each.frame.kind in CALIBRATION_KINDS]
    if not frames:
        return []
    suggestions = []
    if all(frame.gain_e_per_adu is None for frame in frames):
        reason = "no header tells the gain in e-/ADU; without it, or three nights of flats, products are in ADU"
        suggestions.append(Suggestion("gain_e_per_adu", "1.0", reason))
    if all(frame.read_noise_e is None for frame in frames):
        reason = "no header tells the read noise in electrons; without it products have no uncertainties"
        suggestions.append(Suggestion("read_noise_e", "5.0", reason))
    return suggestions


def _ignored_sections(looks: Sequence[Look]) -> list[Unclear]:
    """Return the notes on sections that were not used, each once with how often."""
    notes = Counter(note for each in looks for note in each.frame.notes if "SEC " in note and "not used" in note)
    example = {note: each.sample.path for each in reversed(looks) for note in each.frame.notes}
    remedy = "[[camera]] overscan_section and trim_section, if there is an overscan"
    return [Unclear(note, count, example[note], (), remedy) for note, count in notes.most_common()]


# --- required steps ---------------------------------------------------------------------------------------------------


def _with_requirements(proposal: CameraProposal, outlook: Outlook) -> CameraProposal:
    """Return the section with the steps that its products must have not to be provisional."""
    built = Counter(master.kind for master in outlook.masters if master.camera == proposal.camera.name)
    is_exact = proposal.camera.dark_policy == "exact"
    seen = Counter(each.frame.kind for each in proposal.looks if each.frame.kind in CALIBRATION_KINDS)
    counts = ", ".join(f"{seen[kind] or 'no'} {_plural(kind, seen[kind])}" for kind in CALIBRATION_KINDS)
    steps = tuple(kind.value for kind in CALIBRATION_KINDS if built[kind])
    if is_exact:
        steps = tuple(step for step in steps if step != "bias")
    if not steps:
        steps = tuple(step for step in _ALL_STEPS if step != "bias" or not is_exact)
        reason = f"{counts} seen, which make no master: products stay provisional until there are some"
    else:
        reason = f"{counts} seen"
        left = [step for step in _ALL_STEPS if step not in steps and not (is_exact and step == "bias")]
        if left:
            names = " and ".join(f'"{step}"' for step in left)
            reason += f"; add {names} when you take such frames, so that products without them are provisional"
    if is_exact:
        reason += "; darks of the same exposure hold the bias"
    return replace(
        proposal, camera=replace(proposal.camera, requires=steps), reasons={**proposal.reasons, "requires": reason}
    )


def _plural(kind: Kind, count: int) -> str:
    """Return the name of a kind for so many frames."""
    if count == 1:
        return kind.value
    return "biases" if kind is Kind.BIAS else f"{kind.value}s"


# --- files that are no frames -----------------------------------------------------------------------------------------


def _without_image(looks: Sequence[Look]) -> list[Unclear]:
    """Return the files without an image, by what they are."""
    frames = [each for each in looks if not each.frame.planes]
    labels = Counter(each.frame.label for each in frames)
    example = {each.frame.label: each.sample.path for each in reversed(frames)}
    remedy = "nothing: they are catalogued and left alone"
    return [Unclear(f"no image: {label}", count, example[label], (), remedy) for label, count in labels.most_common()]


_REMEDIES: Mapping[str, str] = {
    "too_large": "raise the limit in [limits] that the detail names",
    "header_too_long": "raise max_header_bytes in [limits]",
    "incomplete": "nothing: the file is cut, or is still being written",
    "container": "unpack it: gzip and tile-compressed .fz are read as they are",
}


def _refusals(refused: Sequence[Refused]) -> list[Unclear]:
    """Return the files that cannot be read, by reason."""
    counts = Counter(each.reason for each in refused)
    example = {each.reason: each for each in reversed(refused)}
    return [
        Unclear(
            f"cannot be read: {reason}",
            count,
            example[reason].path,
            (example[reason].detail,),
            _REMEDIES.get(reason, "nothing: it is quarantined with this reason"),
        )
        for reason, count in counts.most_common()
    ]
