"""A master that was made elsewhere: what it stands for, by its header and by what the operator says of it.

The operator's word goes before the header. What neither says is not guessed: without a kind, a camera or a time nothing
is adopted. Masters of the house are in ADU and hold their bias; what does not is refused, with what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestd.errors import IngestdError
from ingestd.records import CALIBRATION_KINDS, CardValue, FrameRecord, Group, Kind, Master
from ingestd.rules import addresses, groups
from ingestd.rules.cards import of_members
from ingestd.settings import Camera, Settings

_KIND_CARDS = ("IMAGETYP", "FRAME", "OBSTYPE", "EXPTYPE", "FRAMETYP")
_WORDS = {Kind.BIAS: ("BIAS", "ZERO"), Kind.DARK: ("DARK",), Kind.FLAT: ("FLAT",)}
_COUNT_CARDS = ("NCOMBINE", "NCOMB", "STACKCNT", "NUMCOMB", "NSTACK", "SNAPSHOT")
_END_CARDS = ("DATE-END",)
_ELECTRONS = re.compile(r"^(e-?|electrons?)(/s|/adu)?$", re.IGNORECASE)
_MOST_MEMBERS = 100_000


class NotAdopted(IngestdError):
    """A file cannot be taken as a master; the text says what is missing or wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the operator says of a master; None where the header is to speak.

    ``scale`` is what its pixels are multiplied by: 65535 where a program wrote 0 to 1.
    """

    kind: Kind | None = None
    camera: str | None = None
    exposure_s: float | None = None
    ccd_temp_c: float | None = None
    filter_name: str | None = None
    first_obs: datetime | None = None
    last_obs: datetime | None = None
    members: int | None = None
    grade: str | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Adoption:
    """A master as it will be recorded, but for its file; ``members`` is 0 where nobody knows how many there were."""

    master: Master
    members: int
    notes: tuple[str, ...]


def camera_of(told: Told, found: Camera | None, settings: Settings) -> Camera:
    """Return the camera of a master: the one that is named, the one that the header fits, or the only one there is.

    Raises
    ------
    NotAdopted
        If it cannot be told.
    """
    cameras = {camera.name: camera for camera in settings.camera}
    if told.camera is not None:
        if told.camera not in cameras:
            raise NotAdopted(f"there is no [[camera]] {told.camera!r} in the settings; there are {', '.join(cameras)}")
        return cameras[told.camera]
    if found is not None:
        return found
    if len(cameras) == 1:
        return settings.camera[0]
    raise NotAdopted(f"it cannot be told which camera it is of: give --camera, one of {', '.join(cameras)}")


def kind_of(told: Told, cards: Mapping[str, CardValue]) -> Kind:
    """Return the kind of a master, by the operator or by the one word in its type card.

    Raises
    ------
    NotAdopted
        If it is neither told nor clear.
    """
    if told.kind is not None:
        return told.kind
    for keyword in _KIND_CARDS:
        text = str(cards.get(keyword) or "").upper()
        kinds = [kind for kind, words in _WORDS.items() if any(word in text for word in words)]
        if len(kinds) == 1:
            return kinds[0]
    raise NotAdopted("its header does not say whether it is a bias, a dark or a flat: give --kind")


def adopt(
    record: FrameRecord,
    cards: Mapping[str, CardValue],
    told: Told,
    settings: Settings,
    *,
    like: FrameRecord | None = None,
) -> Adoption:
    """Return what a file becomes as a master.

    Parameters
    ----------
    record : FrameRecord
        What the header says, read as that of any frame; ``frame_id`` is the SHA-256 of the file.
    cards : mapping
        Of its first image.
    told : Told
        What the operator says.
    settings : Settings
        Numbers of members for the grade, the longitude.
    like : FrameRecord, optional
        A frame whose set-up the master is for, where the header of the master does not tell it completely.

    Raises
    ------
    NotAdopted
        If something is missing, or the file is no master as the house has them.
    """
    kind = kind_of(told, cards)
    if kind not in CALIBRATION_KINDS:
        raise NotAdopted(f"a master is a bias, a dark or a flat, not a {kind.value}")
    _check_processing(kind, record, cards, told)
    first, last = _interval(record, cards, told)
    members = told.members or _count(cards)
    if not members and record.kind in CALIBRATION_KINDS and record.may_join_master:
        raise NotAdopted(
            f"it looks like one raw {record.kind.value} frame, not a master: put it into a directory of its camera, or "
            "give --members if it was made of several"
        )
    notes = [] if members else ["how many frames it was made of is unknown: its grade is red unless you give --members"]
    frame = like or record
    exposure_s = _dark_exposure_s(record, told) if kind is Kind.DARK else None
    rules = settings.rules_of(record.camera)
    ccd_temp_c = _first(told.ccd_temp_c, record.ccd_temp_c)
    if ccd_temp_c is None and (kind is not Kind.FLAT or rules.matching.flat.max_delta_temp_c is not None):
        notes.append("its temperature is unknown: it serves frames without one only, unless you give --temperature")
    filter_name = (told.filter_name or record.filter_name) if kind is Kind.FLAT else None
    group = Group(record.camera, kind, frame.configuration.key(), filter_name)
    is_told = told.first_obs is not None or told.last_obs is not None
    night = None if is_told else record.night
    night = night or groups.night_of(last, settings.site.longitude_deg)
    rule = rules.master(kind)
    conditions, floor = (exposure_s, ccd_temp_c), settings.masters.flat_floor
    address = addresses.of_external(group, record.frame_id, conditions, (first, last), members, told.scale, floor)
    master = Master(
        master_id=address,
        kind=kind,
        camera=record.camera,
        configuration=group.configuration,
        exposure_s=exposure_s,
        ccd_temp_c=ccd_temp_c,
        filter_name=filter_name,
        night=night,
        first_obs=first,
        last_obs=last,
        members=(),
        parents=(),
        path=addresses.master_path(settings, group, night, address),
        sha256="",
        grade=told.grade or (groups.grade(members, rule) if members else groups.GRADES[-1]),
        cards=of_members([record.cards], kind, rules),
    )
    return Adoption(master, members, tuple(notes))


def _check_processing(kind: Kind, record: FrameRecord, cards: Mapping[str, CardValue], told: Told) -> None:
    """Refuse what was made by another convention."""
    done = set(record.flags) & {"bias_subtracted", "dark_subtracted"}
    if kind is not Kind.FLAT and done:
        raise NotAdopted(
            f"its header says that something was taken out of it ({', '.join(sorted(done))}), but the {kind.value} "
            "masters of ingestd hold their bias level: make it again without that step"
        )
    is_in_electrons = _ELECTRONS.match(str(cards.get("BUNIT") or "").strip()) and kind is not Kind.FLAT
    if is_in_electrons and told.scale == 1.0:
        raise NotAdopted("it is in electrons (BUNIT), masters are in ADU: give --scale, one over the gain in e-/ADU")


def _dark_exposure_s(record: FrameRecord, told: Told) -> float:
    """Return the exposure of a dark, which must be known."""
    exposure_s = _first(told.exposure_s, record.exposure_s)
    if exposure_s is None:
        raise NotAdopted("the exposure of this dark is not in its header: give --exposure")
    return exposure_s


def _interval(record: FrameRecord, cards: Mapping[str, CardValue], told: Told) -> tuple[datetime, datetime]:
    """Return the observation times of the first and the last frame that it was made of."""
    first = told.first_obs or record.obs_start
    if first is None:
        raise NotAdopted("its header does not say when its frames were taken: give --first, and --last if it was later")
    if told.last_obs is not None:
        last = told.last_obs
    elif told.first_obs is not None:
        last = first
    else:
        ends = [end for keyword in _END_CARDS if (end := _moment(cards.get(keyword))) is not None]
        last = max([first, *(end for end in ends if end - first < timedelta(days=3650))])
    if last < first:
        raise NotAdopted(f"its last frame ({last:%Y-%m-%d}) was taken before its first ({first:%Y-%m-%d})")
    return first, last


def _moment(value: CardValue) -> datetime | None:
    """Return an ISO time of a card, UTC, or None."""
    try:
        return datetime.fromisoformat(f"{str(value).strip().removesuffix('Z')}+00:00")
    except ValueError:
        return None


def _count(cards: Mapping[str, CardValue]) -> int:
    """Return how many frames the header says that it was made of, 0 if it does not."""
    for keyword in _COUNT_CARDS:
        value = cards.get(keyword)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_MEMBERS:
            return value
    return 0


def _first(told: float | None, read: float | None) -> float | None:
    """Return the operator's number, else that of the header."""
    return read if told is None else told
