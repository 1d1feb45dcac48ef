"""A frame: where its pixels lie, the instrument set-up, and everything that its header says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from ingestd.records.kinds import CALIBRATION_KINDS, Kind


@dataclass(frozen=True, slots=True)
class Section:
    """A rectangle of an image, zero-based and half-open: rows ``y0:y1``, columns ``x0:x1``."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0


@dataclass(frozen=True, slots=True)
class Channel:
    """One amplifier of a plane that several read.

    ``section`` is the part of the image that it read, in raw coordinates and without overscan; ``overscan`` its own
    columns or rows without light. What is None is unknown or not there.
    """

    name: str
    section: Section
    overscan: Section | None
    gain_e_per_adu: float | None
    read_noise_e: float | None


@dataclass(frozen=True, slots=True)
class Plane:
    """One image HDU of a file: where its pixels lie and what is known of its amplifiers.

    ``encoding`` is ``raw`` (big-endian samples at ``offset``) or ``tile`` (tile-compressed, ``shape`` is that of the
    image, ``bitpix`` its ZBITPIX). ``shape`` is (ny, nx); leading axes of length 1 are dropped.

    ``channels`` is empty where one amplifier reads the plane. Where there are several, each has its own overscan and
    their sections, in the order in which they lie and without what lies between them, are the image: ``trim`` is the
    rectangle around them (None if that is the whole plane), ``overscan`` None, gain and read noise are means.
    """

    index: int
    name: str
    shape: tuple[int, int]
    bitpix: int
    bzero: float
    bscale: float
    blank: int | None
    offset: int
    encoding: Literal["raw", "tile"]
    overscan: Section | None
    trim: Section | None
    gain_e_per_adu: float | None
    read_noise_e: float | None
    channels: tuple[Channel, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of the image without overscan."""
        if not self.channels:
            return self.trim.shape if self.trim is not None else self.shape
        rows, columns = self._spans()
        return sum(end - start for start, end in rows), sum(end - start for start, end in columns)

    @property
    def has_overscan(self) -> bool:
        """True if an overscan takes the bias level out of every part of the image."""
        if not self.channels:
            return self.overscan is not None
        return all(channel.overscan is not None for channel in self.channels)

    def place_of(self, channel: Channel) -> Section:
        """Return where the section of a channel lies in the image without overscan."""
        rows, columns = self._spans()
        y0 = sum(end - start for start, end in rows if end <= channel.section.y0)
        x0 = sum(end - start for start, end in columns if end <= channel.section.x0)
        height, width = channel.section.shape
        return Section(y0, y0 + height, x0, x0 + width)

    @property
    def gaps(self) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """Columns, and rows, inside ``trim`` that lie between channels and are left out, each as (start, end)."""
        rows, columns = (sorted(spans) for spans in self._spans())
        between = [
            tuple((first[1], second[0]) for first, second in pairwise(spans) if first[1] < second[0])
            for spans in (columns, rows)
        ]
        return between[0], between[1]

    def _spans(self) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        """Return the rows and the columns that channels cover, each as (start, end)."""
        sections = [channel.section for channel in self.channels]
        return {(it.y0, it.y1) for it in sections}, {(it.x0, it.x1) for it in sections}


WINDOW_MARK = " @ "
"""Stands between set-up and window in the key of a configuration."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The instrument set-up: frames of unequal configuration never calibrate each other.

    ``window`` is the origin of the image on the sensor in binned pixels; an unknown number is None, an unknown text "".
    ``image_px`` is columns and rows of the image without overscan, None if that is all of ``width_px`` and
    ``height_px``. ``bayer`` is the colours of the first two rows as they stand in the file.
    ``extra`` holds the keywords that the camera's settings add, with their values; ``amplifiers`` is how many read the
    first plane.
    """

    instrument: str
    width_px: int
    height_px: int
    x_binning: int
    y_binning: int
    window: tuple[int, int] | None
    readout_mode: str
    gain_setting: float | None
    offset_setting: float | None
    bayer: str
    planes: int
    extra: tuple[tuple[str, str], ...]
    amplifiers: int = 1
    image_px: tuple[int, int] | None = None

    def key(self) -> str:
        """Return the configuration as one line of text, equal for equal configurations: the key in the database.

        It is the set-up, ``WINDOW_MARK`` and the window: frames of equal set-up were read out in different parts.
        """
        words = [f"bin {self.x_binning}x{self.y_binning}"]
        if self.readout_mode:
            words.append(f"mode {_escape(self.readout_mode)}")
        if self.gain_setting is not None:
            words.append(f"gain {self.gain_setting:g}")
        if self.offset_setting is not None:
            words.append(f"offset {self.offset_setting:g}")
        if self.bayer:
            words.append(f"bayer {_escape(self.bayer)}")
        if self.planes != 1:
            words.append(f"planes {self.planes}")
        if self.amplifiers != 1:
            words.append(f"amplifiers {self.amplifiers}")
        words += [f"{_escape(name)} = {_escape(value)}" for name, value in self.extra]
        window = f"{self.width_px}x{self.height_px}"
        if self.image_px is not None:
            window += f" image {self.image_px[0]}x{self.image_px[1]}"
        if self.window is not None:
            window += f" origin {self.window[0]},{self.window[1]}"
        return " | ".join([_escape(self.instrument) or "-", *words]) + WINDOW_MARK + window


def _escape(text: str) -> str:
    """Return the text with the separators of configuration keys made harmless."""
    return text.replace("%", "%25").replace("|", "%7C").replace("@", "%40").strip()


Cards = tuple[tuple[str, float | str], ...]
"""Header cards that the association rules name, upper case and sorted, each with a number or a text."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """Everything the header says of one frame, each field with the card or rule it came from.

    ``frame_id`` is the SHA-256 of the file's bytes, ``data_sha256`` that of its data units. ``label`` is the finer word
    (``dark-flat``, ``arc``, ``master``, ...; else equal to ``kind``). ``sources`` pairs a field with its origin;
    ``flags`` are reason codes that keep the frame out of masters (``calibrated``, ``no_date``, ``future_date``,
    ``unstable_temperature``, ...); ``notes`` are sentences for a person: what was looked for, what was ignored.
    ``cards`` are those that the association rules of its camera name.
    """

    frame_id: str
    data_sha256: str
    kind: Kind
    label: str
    camera: str
    configuration: Configuration
    exposure_s: float | None
    ccd_temp_c: float | None
    set_temp_c: float | None
    filter_name: str | None
    object_name: str | None
    obs_start: datetime | None
    night: str | None
    gain_e_per_adu: float | None
    read_noise_e: float | None
    saturation_adu: float | None
    planes: tuple[Plane, ...]
    dialect: str
    container: Literal["plain", "gzip"]
    sources: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    cards: Cards = ()

    def source(self, field: str) -> str:
        """Return the card or rule that the field came from, or an empty text."""
        return dict(self.sources).get(field, "")

    @property
    def may_join_master(self) -> bool:
        """True if nothing in the header forbids this frame to be a member of a master."""
        return self.kind in CALIBRATION_KINDS and not self.flags and self.night is not None


@dataclass(frozen=True, slots=True)
class Group:
    """Frames that one series of masters is made of, before clustering by temperature and exposure.

    ``filter_name`` is the filter for flats and None for biases and darks.
    """

    camera: str
    kind: Kind
    configuration: str
    filter_name: str | None


@dataclass(frozen=True, slots=True)
class ScienceUse:
    """Science frames of exactly equal conditions: how many, and the newest of them."""

    camera: str
    configuration: str
    ccd_temp_c: float | None
    exposure_s: float | None
    filter_name: str | None
    frames: int
    newest: datetime
    frame_id: str
    cards: Cards = ()
