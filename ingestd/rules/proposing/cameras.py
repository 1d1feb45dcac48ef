"""Which cameras wrote the frames of a directory, and the cards that tell them apart."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingestd.records import CardValue
from ingestd.rules.dialects import classify
from ingestd.rules.dialects.fields import text
from ingestd.rules.dialects.planes import find_images
from ingestd.rules.dialects.recognise import merge_units
from ingestd.rules.proposing.values import Look, Sample
from ingestd.settings import Camera, Site

SERIAL_CARDS = (
    "SERIALNO", "SERNO", "CAMSN", "CAMERASN", "CAM-SN", "CAM-ID", "CAMID", "CAMERAID", "SERIAL", "SERIALNB", "SERNUM",
    "CAMSER", "DET-ID", "DETSER", "CCDSERNO", "BODYSN",
)  # fmt: skip
"""Cards that tell two cameras of one model apart."""

_LONGEST_NAME = 40
_NOT_NAME = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(frozen=True, slots=True)
class Seed:
    """One camera: its name, the cards that pick its frames (none if it is the only one), why, and its frames."""

    name: str
    match: Mapping[str, str]
    reason: str
    looks: tuple[Look, ...]


def header_cards(sample: Sample) -> Mapping[str, CardValue]:
    """Return the cards that speak for a whole file, as the dialects and the ``match`` of a camera read them."""
    images = find_images(sample.header)
    return merge_units(sample.header, images[0].unit.index if images else 0)


def look(sample: Sample, camera: Camera | None, site: Site, now: datetime) -> Look:
    """Return a sample as it is understood with the settings of a camera; its path stands for its hash."""
    digest = hashlib.sha256(sample.path.encode("utf-8", "surrogateescape")).hexdigest()
    frame = classify(
        sample.header, path=sample.path, camera=camera, site=site, frame_id=digest, data_sha256=digest, now=now
    )
    return Look(sample, frame, header_cards(sample))


def tell_apart(looks: Sequence[Look]) -> tuple[Seed, ...]:
    """Return the cameras of the frames, the one with most frames first, one without a name last.

    Cameras are told apart by the card that names the instrument, and those of one name by a serial number that every
    one of their frames bears. Files without an image belong to none.
    """
    models: dict[tuple[str, str], list[Look]] = {}
    for each in looks:
        if each.frame.planes:
            instrument = each.frame.configuration.instrument
            keyword = each.frame.source("instrument") if instrument else ""
            models.setdefault((keyword, instrument.lower()), []).append(each)
    named = sorted(((key, group) for key, group in models.items() if key[0]), key=lambda item: -len(item[1]))
    seeds = [seed for (keyword, _), group in named for seed in _by_serial(keyword, group)]
    unnamed = models.get(("", ""), [])
    if len(seeds) + bool(unnamed) <= 1 or (len(seeds) == 1 and unnamed):
        return _only_one(seeds, unnamed)
    if unnamed:
        card = Counter(keyword for (keyword, _), _ in named).most_common(1)[0][0]
        reason = f"the {len(unnamed)} frames that do not name their camera"
        seeds.append(Seed("unnamed", {card: ""}, reason, tuple(unnamed)))
    return _distinct(seeds)


def _only_one(seeds: Sequence[Seed], unnamed: Sequence[Look]) -> tuple[Seed, ...]:
    """Return the only camera: it takes whatever is in the directory."""
    if not seeds:
        return (Seed("camera1", {}, "no header names the camera", tuple(unnamed)),) if unnamed else ()
    (seed,) = seeds
    reason = f"the only camera, by its name in {_headers(len(seed.looks))}"
    if unnamed:
        reason += f"; {_headers(len(unnamed))} without a name"
    return (Seed(seed.name, {}, reason, (*seed.looks, *unnamed)),)


def _by_serial(keyword: str, looks: Sequence[Look]) -> list[Seed]:
    """Return the cameras of one name: several if all their frames bear a serial number and it differs."""
    instrument = looks[0].frame.configuration.instrument
    for card in SERIAL_CARDS:
        serials = [text(each.cards.get(card)) for each in looks]
        if card == keyword or not all(serials) or len(set(serials)) == 1:
            continue
        return [
            Seed(
                name_of(f"{instrument}-{serial}"),
                {keyword: instrument, card: serial},
                f"{keyword} = {instrument} is the name of {len(set(serials))} cameras; {card} tells them apart",
                tuple(each for each, own in zip(looks, serials, strict=True) if own == serial),
            )
            for serial in sorted(set(serials))
        ]
    reason = f"cameras share the directory: this one is named in {_headers(len(looks))}"
    return [Seed(name_of(instrument), {keyword: instrument}, reason, tuple(looks))]


def name_of(instrument: str) -> str:
    """Return a camera's name for settings and directories: letters, digits, dots and hyphens of what it calls itself.

    ``Apogee USB/Net`` becomes ``Apogee-USB-Net``.
    """
    name = _NOT_NAME.sub("-", instrument)[:_LONGEST_NAME].strip("-.")
    return name if name and name.lower() != "unassigned" else "camera1"


def _distinct(seeds: Iterable[Seed]) -> tuple[Seed, ...]:
    """Return the cameras with names that differ, also where case does not count."""
    taken: set[str] = set()
    result = []
    for seed in seeds:
        name, number = seed.name, 1
        while name.lower() in taken:
            number += 1
            name = f"{seed.name}-{number}"
        taken.add(name.lower())
        result.append(Seed(name, seed.match, seed.reason, seed.looks))
    return tuple(result)


def _headers(count: int) -> str:
    """Return a number of headers in words."""
    return "1 header" if count == 1 else f"{count} headers"
