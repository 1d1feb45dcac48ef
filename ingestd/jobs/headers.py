"""What a product says of itself in its header: no clock and no directory, so that equal work gives equal bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ingestd.doors.fitsfile import card, copied_cards
from ingestd.jobs.parts import Part
from ingestd.pixels.steps import PlaneCalibration
from ingestd.records import (
    ALGORITHMS,
    BuildMaster,
    CardValue,
    FrameRecord,
    Kind,
    MasterInput,
    Plane,
    ReduceFrame,
    Section,
    Step,
)
from ingestd.rules import groups

_MAX_AMPLIFIERS = 64
_LETTERS = {"bias": "B", "dark": "D", "flat": "F"}
_MODERATED = "UNCERT: standard error of the mean, moderated by pixels around (README)"
OURS = ("BUNIT", "CALSTAT", "PEDESTAL", "INGSTATE", "FRAMEID", "EGAIN", "RDNOISEA", "COSMICS", "COSMICNP")


def master_cards(job: BuildMaster) -> list[bytes]:
    """Return the primary cards of a master: what it is, its conditions, every member and parent by hash."""
    frame = job.members[0].frame
    kind = job.group.kind.value
    cards: list[tuple[str, CardValue, str]] = [
        ("IMAGETYP", f"Master {kind.capitalize()}", "kind of frame"),
        ("COMBINED", True, "mean of several frames after clipping"),
        ("NCOMBINE", len(job.members), "frames combined"),
        ("CAMERA", job.group.camera, "camera in the settings"),
        ("INSTRUME", frame.configuration.instrument, "camera in the header"),
        ("CONFIG", job.group.configuration, "configuration"),
        ("NIGHT", job.night, "night of the newest frames"),
        ("CLIPSIG", job.arithmetic.sigma, "clipping about the median, 1.4826 MAD"),
        ("CLIPITER", job.arithmetic.iterations, "rounds of clipping"),
        ("ALGORITH", ALGORITHMS[kind], "version of the arithmetic"),
        ("MASTERID", job.job_id, "address: hash of all that enters"),
    ]
    if job.exposure_s is not None and job.group.kind != Kind.FLAT:
        cards.append(("EXPTIME", job.exposure_s, "exposure (s)"))
    if job.ccd_temp_c is not None:
        cards.append(("CCD-TEMP", job.ccd_temp_c, "median of the members (C)"))
    if job.group.filter_name is not None:
        cards.append(("FILTER", job.group.filter_name, "filter"))
    times = sorted(member.frame.obs_start for member in job.members if member.frame.obs_start is not None)
    if times:
        cards.append(("DATE-OBS", times[0].replace(tzinfo=None).isoformat(), "first member (UTC)"))
        cards.append(("DATE-END", times[-1].replace(tzinfo=None).isoformat(), "last member, start (UTC)"))
    taken = {name for name, _, _ in cards}
    cards += [(name, value, "of its members") for name, value in job.cards if name not in taken]
    members = sorted(member.frame.frame_id for member in job.members)
    parents = sorted({(m.kind.value, m.sha256) for member in job.members for m in member.masters})
    cards += [(f"MEMB{number:04d}", frame_id, "") for number, frame_id in enumerate(members, 1)]
    cards += [(f"PAR{number:05d}", f"{kind} {sha256}", "") for number, (kind, sha256) in enumerate(parents, 1)]
    notes = [card("HISTORY", _MODERATED)] if len(job.members) > 1 else []
    return [*(card(*entry) for entry in cards), *notes]


def light_cards(job: BuildMaster) -> list[bytes]:
    """Return which light a master flat is made of, where the camera's settings ask for one."""
    if job.flats == "any":
        return []
    lights = sorted({groups.light_of(member.frame) for member in job.members})
    return [card("FLATLITE", " and ".join(lights), "light of the flats")]


def flat_cards(*, is_in_electrons: bool) -> list[bytes]:
    """Return how a master flat of several amplifiers compares their levels."""
    return [card("FLATNORM", "electron" if is_in_electrons else "adu", "unit in which amplifiers are compared")]


@dataclass(frozen=True, slots=True)
class AmplifierFacts:
    """What a master tells of one amplifier: name and place in its image, gain, and what its members showed.

    ``step_adu`` is that of the converter, which is not in the read noise. ``level_adu`` is that of a bias, above its
    overscan where that was subtracted; it is told only where there is one. What is None is not told.
    """

    part: Part
    gain_e_per_adu: float | None = None
    read_noise_adu: float | None = None
    step_adu: float | None = None
    level_adu: float | None = None


def plane_cards(facts: Sequence[AmplifierFacts], hdu: int | None) -> list[bytes]:
    """Return what is known of the amplifiers of one plane of a master, and of which HDU of the raw frames it is.

    One amplifier has plain keywords, several number theirs: CHAN01 and CHSEC01 (columns and rows of the master's
    image), EGAIN01, RDNOIS01, ADSTEP01, BIASLV01.
    """
    cards = [] if hdu is None else [card("RAWHDU", hdu, "HDU of the raw frames")]
    for number, fact in enumerate(facts, 1):
        suffix = f"{number:02d}" if len(facts) > 1 else ""
        if suffix:
            cards.append(card(f"CHAN{suffix}", fact.part.name, "amplifier"))
            cards.append(card(f"CHSEC{suffix}", section_words(fact.part.place), "its part of this image"))
        noise_word, level_word = (f"RDNOIS{suffix}", f"BIASLV{suffix}") if suffix else ("RDNOISEA", "BIASLEVL")
        if fact.read_noise_adu is not None:
            cards.append(card(noise_word, fact.read_noise_adu, "read noise of one frame (adu)"))
        if fact.step_adu is not None:
            cards.append(card(f"ADSTEP{suffix}", fact.step_adu, "step of the converter (adu)"))
        if fact.gain_e_per_adu is not None:
            cards.append(card(f"EGAIN{suffix}", fact.gain_e_per_adu, "gain (e-/adu)"))
        if fact.level_adu is not None:
            cards.append(card(level_word, fact.level_adu, "level of the bias (adu)"))
    return cards


def amplifier_facts(cards: Mapping[str, CardValue], shape: tuple[int, int]) -> tuple[AmplifierFacts, ...]:
    """Return what a plane of a master tells of its amplifiers: `plane_cards` read back.

    Parameters
    ----------
    cards : mapping
        Of the plane's signal.
    shape : (int, int)
        Rows and columns of the plane.
    """
    whole = Section(0, shape[0], 0, shape[1])
    if "CHAN01" not in cards:
        names = ("EGAIN", "RDNOISEA", "ADSTEP", "BIASLEVL")
        return (AmplifierFacts(Part("", 0, whole, whole, None), *(_number(cards.get(name)) for name in names)),)
    found = []
    for number in range(1, _MAX_AMPLIFIERS + 1):
        suffix = f"{number:02d}"
        if f"CHAN{suffix}" not in cards:
            break
        x0, x1, y0, y1 = (int(word) for word in re.findall(r"\d+", str(cards[f"CHSEC{suffix}"])))
        place = Section(y0 - 1, y1, x0 - 1, x1)
        values = (_number(cards.get(f"{stem}{suffix}")) for stem in ("EGAIN", "RDNOIS", "ADSTEP", "BIASLV"))
        found.append(AmplifierFacts(Part(str(cards[f"CHAN{suffix}"]), number - 1, place, place, None), *values))
    return tuple(found)


def section_words(section: Section) -> str:
    """Return a section as FITS has it: columns first, from 1, both ends included."""
    return f"[{section.x0 + 1}:{section.x1},{section.y0 + 1}:{section.y1}]"


def _number(value: CardValue) -> float | None:
    """Return the number in a card, or None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def gain_cards(plane: Plane, calibration: PlaneCalibration) -> list[bytes]:
    """Return the gain of each amplifier of one plane of a product: EGAIN, or EGAIN01, ... with name and place."""
    if not calibration.has_gain:
        return []
    if not plane.channels:
        return [card("EGAIN", calibration.gain_e_per_adu, "e-/adu used")]
    cards = []
    for number, channel in enumerate(plane.channels, 1):
        cards.append(card(f"CHAN{number:02d}", channel.name, "amplifier"))
        cards.append(card(f"CHSEC{number:02d}", section_words(plane.place_of(channel)), "its part of this image"))
        gain = calibration.amplifiers[number - 1].gain_e_per_adu
        cards.append(card(f"EGAIN{number:02d}", gain, "e-/adu used"))
    return cards


def product_cards(
    raw: Sequence[bytes], job: ReduceFrame, steps: Sequence[Step], first: Plane, cosmic_px: int | None
) -> list[bytes]:
    """Return the primary cards of a product: those of the raw frame that still hold, then what was done to it.

    Of the choice of masters only what follows from the frame and the chosen masters is told: how each was matched, how
    far it is, and the values of both that were compared. The ranked alternatives and the tolerances stay in the
    catalogue: they change while the product, and with it the bytes under its address, stays the same.
    ``cosmic_px`` is how many pixels were hit by cosmic rays, None if none were looked for.
    """
    applied = {step.name for step in steps if step.status == "applied"}
    carried = {master.kind.value for master in job.member.masters if master.kind.value in applied}
    if any(master.kind == Kind.DARK and master.how == "exact" for master in job.member.masters):
        carried.add("bias")
    cards: list[tuple[str, CardValue, str]] = [
        (
            "CALSTAT",
            "".join(letter for name, letter in _LETTERS.items() if name in carried),
            "bias, dark, flat applied",
        ),
        ("INGSTATE", "provisional" if job.provisional else "complete", "state of the calibration"),
        ("FRAMEID", job.member.frame.frame_id, "SHA-256 of the raw frame"),
        ("ALGORITH", ALGORITHMS["reduce"], "version of the arithmetic"),
    ]
    if job.gain_e_per_adu is not None and len(job.member.frame.planes) == 1 and not first.channels:
        cards.append(("EGAIN", job.gain_e_per_adu, f"e-/adu used; {job.gain_source}"[:47]))
    for master in job.member.masters:
        cards += _master_entries(master)
    if job.cosmics is not None and cosmic_px is not None:
        cards.append(("COSMICS", job.cosmics.mode, "cosmic rays: flagged, or cleaned as well"))
        cards.append(("COSMICNP", cosmic_px, "pixels hit by cosmic rays"))
    lines = [f"ingestd {step.name}: {step.status}{': ' if step.detail else ''}{step.detail}" for step in steps]
    lines += [_compared(job.member.frame, master) for master in job.member.masters]
    lines += [f"ingestd provisional: {job.doubt}"] if job.doubt else []
    own = [card(*entry) for entry in cards]
    return [
        *copied_cards(raw, (*OURS, *(entry[0] for entry in cards)), first.trim, first.gaps),
        *own,
        *(card("HISTORY", line) for line in lines),
    ]


def _compared(frame: FrameRecord, master: MasterInput) -> str:
    """Return the values of a frame and of one of its masters that were compared: the frame's first."""
    values: list[tuple[str, object, object]] = [("CCD-TEMP", frame.ccd_temp_c, master.ccd_temp_c)]
    if master.kind is Kind.DARK:
        values.append(("EXPTIME", frame.exposure_s, master.exposure_s))
    own = dict(frame.cards)
    values += [(name, own.get(name), value) for name, value in master.cards]
    words = ", ".join(f"{name} {_value(first)} | {_value(second)}" for name, first, second in values)
    return f"ingestd {master.kind.value} {master.master_id[:8]}: frame | master: {words}"


def _value(value: object) -> str:
    """Return a value as a header tells it."""
    return "none" if value is None else f"{value:.8g}" if isinstance(value, float) else str(value)


def _master_entries(master: MasterInput) -> list[tuple[str, CardValue, str]]:
    """Return which master was used for a step, by name and hash, and how far it is from the frame."""
    prefix = master.kind.value.upper()
    entries: list[tuple[str, CardValue, str]] = [
        (f"{prefix}MST", PurePath(master.path).name, f"master {master.kind.value}"),
        (f"{prefix}SHA", master.sha256, "its SHA-256"),
        (f"{prefix}HOW", master.how, "how it was matched"),
        (f"{prefix}AGE", round(master.age_h, 3), "its distance in time (h)"),
    ]
    if master.delta_temp_c is not None:
        entries.append((f"{prefix}DT", round(master.delta_temp_c, 4), "its difference in temperature (C)"))
    if master.cut is not None:
        entries.append((f"{prefix}CUT", section_words(master.cut), "the part of it that was used"))
    if master.kind == Kind.DARK and master.exposure_ratio is not None:
        entries.append((f"{prefix}RAT", master.exposure_ratio, "exposure of the frame over its exposure"))
    return entries
