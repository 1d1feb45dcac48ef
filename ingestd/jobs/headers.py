"""What a product says of itself in its header: no clock and no directory, so that equal work gives equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from ingestd.doors.fitsfile import card, copied_cards
from ingestd.records import ALGORITHMS, BuildMaster, CardValue, Kind, MasterInput, ReduceFrame, Section, Step

_LETTERS = {"bias": "B", "dark": "D", "flat": "F"}
_OURS = ("BUNIT", "CALSTAT", "PEDESTAL", "INGSTATE", "FRAMEID", "EGAIN", "RDNOISEA")


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
    members = sorted(member.frame.frame_id for member in job.members)
    parents = sorted({(m.kind.value, m.sha256) for member in job.members for m in member.masters})
    cards += [(f"MEMB{number:04d}", frame_id, "") for number, frame_id in enumerate(members, 1)]
    cards += [(f"PAR{number:05d}", f"{kind} {sha256}", "") for number, (kind, sha256) in enumerate(parents, 1)]
    return [card(*entry) for entry in cards]


def plane_cards(read_noise_adu: float | None, gain_e_per_adu: float | None) -> list[bytes]:
    """Return what is known of the amplifier of one plane of a master."""
    cards = []
    if read_noise_adu is not None:
        cards.append(card("RDNOISEA", read_noise_adu, "read noise of one frame (adu)"))
    if gain_e_per_adu is not None:
        cards.append(card("EGAIN", gain_e_per_adu, "gain (e-/adu)"))
    return cards


def product_cards(raw: Sequence[bytes], job: ReduceFrame, steps: Sequence[Step], trim: Section | None) -> list[bytes]:
    """Return the primary cards of a product: those of the raw frame that still hold, then what was done to it."""
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
    if job.gain_e_per_adu is not None:
        cards.append(("EGAIN", job.gain_e_per_adu, f"e-/adu used; {job.gain_source}"[:47]))
    for master in job.member.masters:
        cards += _master_entries(master)
    lines = [f"ingestd {step.name}: {step.status}{': ' if step.detail else ''}{step.detail}" for step in steps]
    own = [card(*entry) for entry in cards]
    return [
        *copied_cards(raw, (*_OURS, *(entry[0] for entry in cards)), trim),
        *own,
        *(card("HISTORY", line) for line in lines),
    ]


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
    if master.kind == Kind.DARK and master.exposure_ratio is not None:
        entries.append((f"{prefix}RAT", master.exposure_ratio, "exposure of the frame over its exposure"))
    return entries
