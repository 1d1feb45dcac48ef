"""Header -> FrameRecord: every field with the card or rule that it came from. Total, deterministic, never raises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingestd.records import FileHeader, FrameRecord, Kind, Plane
from ingestd.rules.dialects.calibrated import read_processing
from ingestd.rules.dialects.configuration import SetUp, read_setup
from ingestd.rules.dialects.fields import (
    Cards,
    celsius,
    comparable,
    exposure_seconds,
    first_number,
    first_text,
    number,
    text,
)
from ingestd.rules.dialects.flags import by_structure, is_auto_dark, is_unstable, reason_codes, warning_notes
from ingestd.rules.dialects.kinds import decide_kind
from ingestd.rules.dialects.observation import read_observation
from ingestd.rules.dialects.planes import Detector, Image, build_plane, find_images, is_auxiliary, positive_mean
from ingestd.rules.dialects.recognise import keywords_of, merge_units, recognise, remarks_of
from ingestd.rules.dialects.table import UNIT_SECONDS, Dialect
from ingestd.rules.dialects.type_cards import KindRules
from ingestd.settings import Camera, Keywords, Site

UNASSIGNED = "unassigned"
"""Name of the camera of a file that no camera in the settings claims."""

_NO_CAMERA = Camera(name=UNASSIGNED)
_CLEAR_WORDS = ("clear", "open", "air", "none", "empty", "no filter", "nofilter")
_WHEELS = ("FILTER1", "FILTER2", "FILTER3")


def classify(
    header: FileHeader,
    *,
    path: str,
    camera: Camera | None,
    site: Site,
    frame_id: str,
    data_sha256: str,
    now: datetime,
    named: tuple[str, ...] = (),
) -> FrameRecord:
    """Return everything the header says of one frame.

    Parameters
    ----------
    header : FileHeader
        All headers of the file.
    path : str
        Path below the watched directory: file and folder names are read where the header is silent.
    camera : Camera or None
        The camera of the settings; None for ``unassigned``.
    site : Site
        Its longitude decides where a night begins.
    frame_id, data_sha256 : str
        SHA-256 of the file's bytes and of its data units.
    now : datetime
        Aware UTC; a frame of the future is flagged.
    named : tuple of str
        Further cards to be kept, upper case: those that the association rules of the camera compare.

    Returns
    -------
    FrameRecord
        Of kind unknown, with what was looked for, where nothing or contradictory things are said.
    """
    settings = camera or _NO_CAMERA
    own = settings.keywords
    images = find_images(header)
    plane_images = tuple(image for image in images if image.is_plane and not is_auxiliary(image))
    first = (plane_images or images)[0].unit.index if images else 0
    cards = merge_units(header, first)
    remarks = remarks_of(header)
    dialect, recognised_by = recognise(cards, remarks)
    seen = _Seen(cards, dialect.name, own)

    object_name = seen.text("object", own.object)
    processing = read_processing(cards, remarks, header.units, tuple(image.unit.index for image in images))
    decision = decide_kind(cards, _kind_rules(own, dialect.name), path, object_name or "")
    decision = by_structure(decision, processing, header.units, images, plane_images)
    exposure = seen.exposure()
    ccd_temp = seen.temperature("ccd_temp", own.ccd_temp)
    set_temp = seen.temperature("set_temp", own.set_temp)
    filter_name = seen.filter(decision.kind)
    observation = read_observation(cards, dialect.name, own.obs_start, site)
    start = observation.obs_start
    planes, setup, plane_notes = _planes_and_setup(seen, dialect, settings, header, plane_images)
    flags = reason_codes(
        decision, processing, is_auto_dark=is_auto_dark(cards), is_unstable=is_unstable(ccd_temp, set_temp),
        start=start, now=now,
    )  # fmt: skip
    warnings = warning_notes(cards, processing, (ccd_temp, set_temp), start, now)
    origins = (("dialect", recognised_by), ("processing", "; ".join(processing.origins)))
    return FrameRecord(
        frame_id=frame_id,
        data_sha256=data_sha256,
        kind=decision.kind,
        label=decision.label,
        camera=settings.name,
        configuration=setup.configuration,
        exposure_s=exposure,
        ccd_temp_c=ccd_temp,
        set_temp_c=set_temp,
        filter_name=filter_name,
        object_name=object_name,
        obs_start=start,
        night=observation.night,
        gain_e_per_adu=seen.gain(settings, setup, planes),
        read_noise_e=seen.noise(settings, planes),
        saturation_adu=seen.saturation(settings),
        planes=planes,
        dialect=dialect.name,
        container=header.container,
        sources=(
            ("kind", decision.source or "no card, no rule"),
            *seen.sources,
            *(it for it in origins if it[1]),
            *setup.sources,
            *observation.sources,
        ),
        flags=flags,
        notes=(*decision.notes, *warnings, *seen.notes, *setup.notes, *plane_notes, *observation.notes),
        cards=tuple((name, value) for name in named if (value := comparable(cards.get(name))) is not None),
    )


@dataclass(slots=True)
class _Seen:
    """The merged header being read: where each field was found is written down as it is read."""

    cards: Cards
    dialect: str
    own: Keywords
    sources: list[tuple[str, str]]
    notes: list[str]

    def __init__(self, cards: Cards, dialect: str, own: Keywords) -> None:
        self.cards, self.dialect, self.own = cards, dialect, own
        self.sources, self.notes = [], []

    def text(self, field: str, own: tuple[str, ...]) -> str | None:
        """Return the text of a field."""
        found = first_text(self.cards, (*own, *keywords_of(self.dialect, field)))
        if found is None:
            return None
        self.sources.append((field, found[1]))
        return found[0]

    def exposure(self) -> float | None:
        """Return the exposure in seconds from the first card with a possible one."""
        own = self.own.exposure
        declared = _UNIT_FACTORS.get(self.own.exposure_unit, 1.0)
        for keyword in (*own, *keywords_of(self.dialect, "exposure")):
            if keyword not in self.cards:
                continue
            found = number(self.cards[keyword])
            if found is None:
                continue
            factor = declared if keyword in own or not own else 1.0
            seconds = exposure_seconds(found[0], found[1], UNIT_SECONDS.get(keyword, factor))
            if seconds is not None:
                self.sources.append(("exposure_s", keyword))
                return seconds
            self.notes.append(f"{keyword} = {text(self.cards[keyword])[:40]} is no exposure and is not used")
        return None

    def temperature(self, field: str, own: tuple[str, ...]) -> float | None:
        """Return a temperature in degrees Celsius from the first card with a possible one."""
        kelvin = self.own.temperature_unit == "k"
        for keyword in (*own, *keywords_of(self.dialect, field)):
            if keyword not in self.cards:
                continue
            found = number(self.cards[keyword])
            if found is None:
                continue
            degrees = celsius(found[0], found[1], kelvin=kelvin)
            if degrees is not None:
                if degrees != found[0]:
                    degrees = round(degrees, 6)
                    self.notes.append(f"{keyword} = {text(self.cards[keyword])[:40]} is {degrees:.2f} C")
                self.sources.append((f"{field}_c", keyword))
                return degrees
            self.notes.append(f"{keyword} = {text(self.cards[keyword])[:40]} is no sensor temperature and is not used")
        return None

    def filter(self, kind: Kind) -> str | None:
        """Return the optical filter; bias and dark have none, whatever stood in the wheel."""
        if kind in {Kind.BIAS, Kind.DARK}:
            return None
        found = first_text(self.cards, (*self.own.filter, *keywords_of(self.dialect, "filter")))
        if found is not None:
            self.sources.append(("filter_name", found[1]))
            return found[0]
        names = [(keyword, text(self.cards[keyword])) for keyword in _WHEELS if keyword in self.cards]
        names = [(keyword, name) for keyword, name in names if name]
        used = [pair for pair in names if not pair[1].lower().startswith(_CLEAR_WORDS)] or names[:1]
        if not used:
            return None
        self.sources.append(("filter_name", " + ".join(keyword for keyword, _ in used)))
        return "+".join(name for _, name in used)

    def gain(self, camera: Camera, setup: SetUp, planes: tuple[Plane, ...]) -> float | None:
        """Return e-/ADU: settings, EGAIN and its kin, GAIN where the dialect declares it."""
        if camera.gain_e_per_adu is not None:
            self.sources.append(("gain_e_per_adu", "settings gain_e_per_adu"))
            return camera.gain_e_per_adu
        keywords = _gain_keywords(self.own, self.dialect, is_e_per_adu=setup.gain_is_e_per_adu)
        return self._of_planes("gain_e_per_adu", keywords, [plane.gain_e_per_adu for plane in planes])

    def noise(self, camera: Camera, planes: tuple[Plane, ...]) -> float | None:
        """Return the read noise in electrons: settings, else a card."""
        if camera.read_noise_e is not None:
            self.sources.append(("read_noise_e", "settings read_noise_e"))
            return camera.read_noise_e
        keywords = (*self.own.read_noise_e, *keywords_of(self.dialect, "read_noise_e"))
        return self._of_planes("read_noise_e", keywords, [plane.read_noise_e for plane in planes])

    def _of_planes(self, field: str, keywords: tuple[str, ...], values: list[float | None]) -> float | None:
        """Return the value of the whole file, else that of the first plane that has one."""
        value, keyword = positive_mean(self.cards, keywords)
        if value is None:
            value = next((each for each in values if each is not None), None)
            keyword = "a plane"
        if value is not None:
            self.sources.append((field, keyword))
        return value

    def saturation(self, camera: Camera) -> float | None:
        """Return the saturation level in ADU: settings, else a card that is not zero."""
        if camera.saturation_adu is not None:
            self.sources.append(("saturation_adu", "settings saturation_adu"))
            return camera.saturation_adu
        for keyword in keywords_of(self.dialect, "saturation"):
            found = first_number(self.cards, (keyword,))
            if found is not None and found[0] > 1:
                self.sources.append(("saturation_adu", keyword))
                return found[0]
        return None


_UNIT_FACTORS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}


def _kind_rules(own: Keywords, dialect: str) -> KindRules:
    """Return what tells the kind: the settings before the dialect."""
    return KindRules(
        keywords=(*own.kind, *keywords_of(dialect, "kind")),
        codes=keywords_of(dialect, "kind_code"),
        classes=keywords_of(dialect, "class"),
        words=own.words,
        file_names=own.file_names,
    )


def _gain_keywords(own: Keywords, dialect: str, *, is_e_per_adu: bool) -> tuple[str, ...]:
    """Return the keywords of e-/ADU in the order of trust."""
    return (*own.gain_e_per_adu, *keywords_of(dialect, "gain_e_per_adu"), *(("GAIN",) if is_e_per_adu else ()))


def _planes_and_setup(
    seen: _Seen, dialect: Dialect, camera: Camera, header: FileHeader, images: tuple[Image, ...]
) -> tuple[tuple[Plane, ...], SetUp, tuple[str, ...]]:
    """Return the planes, the configuration and notes on both."""
    inherited = header.units[0].cards if header.units and images and images[0].unit.index > 0 else {}
    detector = Detector(
        gain_keywords=_gain_keywords(seen.own, seen.dialect, is_e_per_adu=dialect.gain == "e_per_adu"),
        noise_keywords=(*seen.own.read_noise_e, *keywords_of(seen.dialect, "read_noise_e")),
        gain_e_per_adu=camera.gain_e_per_adu,
        read_noise_e=camera.read_noise_e,
        overscan_section=camera.overscan_section,
        trim_section=camera.trim_section,
        amplifiers=camera.amplifiers,
    )
    built = [build_plane(image, inherited, detector, is_only=len(images) == 1) for image in images]
    planes = tuple(plane for plane, _ in built)
    notes = tuple(dict.fromkeys(note for _, own_notes in built for note in own_notes))
    setup = read_setup(seen.cards, dialect, seen.own, camera.extra_match, planes)
    if len({plane.shape for plane in planes}) > 1:
        notes = (*notes, "the planes differ in shape")
    return planes, setup, notes
