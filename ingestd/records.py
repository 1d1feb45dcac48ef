"""The values that flow through the house: frozen and picklable, with no behaviour beyond small derivations.

Times are aware UTC datetimes, temperatures degrees Celsius, exposures seconds; a section is zero-based and half-open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntFlag, StrEnum
from itertools import pairwise
from typing import Literal, NamedTuple

VERSION = "0.1.0"

ALGORITHMS: Mapping[str, int] = {"measure": 1, "bias": 2, "dark": 2, "flat": 1, "reduce": 1}
"""Version of the arithmetic behind each kind of job; raise it when the same inputs would give other bytes."""

CardValue = str | int | float | bool | None

Cards = tuple[tuple[str, float | str], ...]
"""Header cards that the association rules name, upper case and sorted, each with a number or a text."""


class Kind(StrEnum):
    """What a frame is for. ``other`` is recognised but never combined or reduced; ``unknown`` is not recognised."""

    BIAS = "bias"
    DARK = "dark"
    FLAT = "flat"
    LIGHT = "light"
    OTHER = "other"
    UNKNOWN = "unknown"


CALIBRATION_KINDS = (Kind.BIAS, Kind.DARK, Kind.FLAT)


class State(StrEnum):
    """Where a frame stands. Everything finer is a reason code."""

    WAITING = "waiting"
    DONE = "done"
    PROVISIONAL = "provisional"
    QUARANTINED = "quarantined"
    FAILED = "failed"


class MaskBit(IntFlag):
    """Bits of the data-quality mask (uint8) of masters and products; 0 is a good pixel."""

    BAD = 1
    SATURATED = 2
    HOT = 4
    COSMIC = 8
    NO_DATA = 16
    CLIPPED_MASTER = 32
    INTERPOLATED = 64
    NONLINEAR = 128


# --- the file as it was found -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What ``fstat`` said of a file: equal stamps mean an unchanged file."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class HeaderUnit:
    """One header of a FITS file, parsed without touching the data.

    ``cards`` maps upper-case keywords to typed values (first occurrence wins); ``comments`` holds the texts of COMMENT
    and HISTORY cards and of value comments that name a program; ``data_offset`` and ``data_bytes`` locate the data
    unit (unpadded) in the uncompressed byte stream.
    """

    index: int
    cards: Mapping[str, CardValue]
    comments: tuple[str, ...]
    data_offset: int
    data_bytes: int


@dataclass(frozen=True, slots=True)
class FileHeader:
    """All headers of a file. ``implied_bytes`` is the padded length that they imply, uncompressed."""

    units: tuple[HeaderUnit, ...]
    container: Literal["plain", "gzip"]
    stamp: FileStamp
    implied_bytes: int


# --- the frame --------------------------------------------------------------------------------------------------------


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


# --- masters and the choice among them --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Master:
    """A combined calibration. ``master_id`` is its address: a SHA-256 of members, parents, arithmetic and versions.

    ``grade`` is the worse of that by the number of members and that by comparison with the previous night's master;
    ``grade_reason`` says what the comparison holds against it. ``is_pinned``: an operator wants it chosen before all
    others that fit. ``valid_from`` and ``valid_until`` are the range of observation times that an operator gave it,
    None where it is open. ``cards`` as of a frame: medians, and what all members share. ``member_count`` is the number
    of members, 0 where it was made elsewhere: who only chooses among hundreds of masters has no ``members`` and
    ``parents`` read.
    """

    master_id: str
    kind: Kind
    camera: str
    configuration: str
    exposure_s: float | None
    ccd_temp_c: float | None
    filter_name: str | None
    night: str
    first_obs: datetime
    last_obs: datetime
    members: tuple[str, ...] = field(compare=False)
    parents: tuple[str, ...] = field(compare=False)
    path: str
    sha256: str
    grade: str
    is_pinned: bool = False
    cards: Cards = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    member_count: int = 0
    grade_reason: str = ""

    def __post_init__(self) -> None:
        """Count the members where they are known."""
        if self.members:
            object.__setattr__(self, "member_count", len(self.members))


class FieldVerdict(NamedTuple):
    """One field of a frame and of a master: values as JSON has them, how far apart and how far they may be.

    ``difference`` and ``tolerance`` are in the unit of the field; None where values must be equal or have no limit.
    """

    field: str
    frame: float | str | None
    master: float | str | None
    difference: float | None
    tolerance: float | str | None
    fits: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """Which science frames can gain or lose by a master, beyond set-up, filter and validity.

    ``temp_c`` and ``exposure_s`` are intervals; without ``temp_c`` a temperature limit leaves frames of unknown
    temperature only. ``can_serve`` is False if it fits no frame. ``outranked_by`` are the grades with which an uncut,
    unscaled master that is nearer in time comes before this one in the order of choosing; none if that cannot be said.
    The default reaches every frame.
    """

    has_temp_limit: bool = False
    temp_c: tuple[float, float] | None = None
    exposure_s: tuple[float, float] | None = None
    can_serve: bool = True
    outranked_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One master that was looked at for a frame: its distances, its rank if it fits, the reason if not.

    ``fields`` are the same, field by field.
    """

    master_id: str
    kind: Kind
    how: str
    fits: bool
    reason: str
    delta_temp_c: float | None
    exposure_ratio: float | None
    age_h: float
    grade: str
    fields: tuple[FieldVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """The master chosen for a frame. ``how``: exact, scaled_down, scaled_up, bias_only or nearest.

    ``cut`` is the part of its image that is the window of the frame, None if it is all of it.
    """

    master: Master
    how: str
    delta_temp_c: float | None
    exposure_ratio: float | None
    age_h: float
    candidates: tuple[Candidate, ...]
    cut: Section | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """No master fits: what is missing, in a sentence with numbers and advice, and everything that was looked at."""

    kind: Kind
    reason: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class NotNeeded:
    """The step is not part of this frame's calibration, and why."""

    kind: Kind
    reason: str


Choice = Match | Wait | NotNeeded


@dataclass(frozen=True, slots=True)
class Calibration:
    """The choice of masters for one frame.

    ``noise`` is the bias beside an exact dark, which carries the bias itself: it is not subtracted, but tells the read
    noise, and collected charge from pedestal, for the uncertainty.
    """

    bias: Choice
    dark: Choice
    flat: Choice
    noise: Match | None = None

    @property
    def matches(self) -> tuple[Match, ...]:
        """The masters that will be applied, in the order bias, dark, flat."""
        return tuple(choice for choice in (self.bias, self.dark, self.flat) if isinstance(choice, Match))

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The steps for which no master fits."""
        return tuple(choice for choice in (self.bias, self.dark, self.flat) if isinstance(choice, Wait))

    @property
    def better_possible(self) -> str:
        """What would be better, in words: a master that is missing, an exact dark, one of a better grade."""
        words = [f"a {wait.kind.value}" for wait in self.waits]
        for match in self.matches:
            kind, grade = match.master.kind.value, match.candidates[0].grade if match.candidates else "green"
            if match.master.kind is Kind.DARK and match.how != "exact":
                words.append("an exact dark")
            elif match.master.grade_reason:
                words.append(f"a {kind} of a better grade (this one is {grade}: {match.master.grade_reason})")
            elif grade != "green":
                words.append(f"a {kind} that is nearer in time or made of more frames (this one is {grade})")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class UsedMaster:
    """A master that a product was made with.

    ``is_withdrawn``: it turned red beside that of the previous night, an operator rejected it since, or one of its
    members is kept out of masters now. ``first_obs`` is when its first member was taken, ``night`` the night that it
    was made for.
    """

    master_id: str
    kind: Kind
    how: str
    age_h: float
    delta_temp_c: float | None
    is_withdrawn: bool
    night: str
    first_obs: datetime


@dataclass(frozen=True, slots=True)
class FormerProduct:
    """The current product of a frame, before it is made again; ``made_at`` is when the frame was last reduced."""

    job_id: str
    made_at: datetime
    masters: tuple[UsedMaster, ...]


# --- work -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The settings that enter the arithmetic; part of every job's address.

    ``sigma`` and ``iterations`` govern clipping; ``overscan_skip_px`` columns next to the image are dropped, and a
    polynomial of ``overscan_degree`` goes through the medians of the rows, None for the medians themselves; a flat
    pixel below ``flat_floor`` of the level is set to 1 and masked, the level being what ``flat_normalise`` says (median
    or mode), one below ``flat_low`` of its surroundings is masked; a pixel is hot above ``hot_sigma`` robust standard
    deviations and ``hot_rate_e`` e-/s, noisy above ``noisy_sigma``.
    """

    sigma: float
    iterations: int
    overscan: bool
    overscan_skip_px: int
    flat_floor: float
    hot_sigma: float
    overscan_degree: int | None = None
    flat_normalise: str = "median"
    flat_low: float = 0.8
    hot_rate_e: float | None = None
    noisy_sigma: float = 10.0

    def hot_least_adu(self, exposure_s: float | None, gain_e_per_adu: float | None) -> float:
        """Return what ``hot_rate_e`` is in a dark, ADU; 0 if it is not set, or exposure or gain are unknown."""
        if self.hot_rate_e is None or not exposure_s or not gain_e_per_adu:
            return 0.0
        return self.hot_rate_e * exposure_s / gain_e_per_adu


@dataclass(frozen=True, slots=True)
class CosmicFilter:
    """How cosmic rays are looked for in a science frame (L.A.Cosmic), and whether they are cleaned or only flagged."""

    mode: Literal["flag", "clean"]
    sigclip: float
    sigfrac: float
    objlim: float
    niter: int


@dataclass(frozen=True, slots=True)
class MasterInput:
    """A master that a worker must read: where it lies (absolute) and how it is to be used; ``cut`` as in ``Match``.

    ``ccd_temp_c`` and ``cards`` are what it stands for, to be told beside the values of the frame.
    """

    master_id: str
    kind: Kind
    path: str
    sha256: str
    exposure_s: float | None
    how: str
    delta_temp_c: float | None
    exposure_ratio: float | None
    age_h: float
    cut: Section | None = None
    ccd_temp_c: float | None = None
    cards: Cards = ()


@dataclass(frozen=True, slots=True)
class FrameInput:
    """A raw frame that a worker must read (absolute path) and the masters to calibrate it with."""

    frame: FrameRecord
    path: str
    masters: tuple[MasterInput, ...]


@dataclass(frozen=True, slots=True)
class Electronics:
    """Gain and read noise of one of several amplifiers, as a job uses them; None if unknown.

    ``plane`` and ``channel`` are positions: of the plane in the frame, of the amplifier in the plane.
    """

    plane: int
    channel: int
    gain_e_per_adu: float | None
    read_noise_e: float | None


@dataclass(frozen=True, slots=True)
class Linearity:
    """How a camera departs from a linear response: the true signal is x (1 + c1 x + c2 x**2 + ...), x above the bias.

    x is in ADU, so the coefficients c1, c2, ... are in 1/ADU, 1/ADU**2, ... ``amplifiers`` names those that have their
    own, every other has ``common``; none is a linear one. A raw sample above ``max_adu`` is marked nonlinear.
    """

    common: tuple[float, ...] = ()
    amplifiers: tuple[tuple[str, tuple[float, ...]], ...] = ()
    max_adu: float | None = None

    @property
    def is_polynomial(self) -> bool:
        """True if there is something to correct."""
        return any((self.common, *(own for _, own in self.amplifiers)))

    def of(self, channel: str) -> tuple[float, ...]:
        """Return the coefficients of an amplifier by its name."""
        return dict(self.amplifiers).get(channel, self.common)


@dataclass(frozen=True, slots=True)
class MeasureFrame:
    """Read the pixels of one calibration frame once: quality figures, and proof that it can be read at all.

    The first master of the member is the one of its own group that it is compared with (``how`` is ``reference``); for
    a flat those follow that take its pedestal out. ``reference_levels_adu`` are the levels of the flats behind the
    reference, for each plane.
    """

    job_id: str
    member: FrameInput
    arithmetic: Arithmetic
    outlier_sigma: float
    reference_levels_adu: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasureMaster:
    """Measure a master against others: that of the previous night, and a dark against the bias that is valid for it."""

    job_id: str
    master: MasterInput
    bias: MasterInput | None
    previous: MasterInput | None
    gain_e_per_adu: float | None
    arithmetic: Arithmetic


@dataclass(frozen=True, slots=True)
class BuildMaster:
    """Combine the members to a master; ``product`` is absolute and a function of ``job_id``.

    ``electronics`` is empty where one amplifier reads the frames: ``gain_e_per_adu`` is its gain, else a mean.
    ``cards`` are those of the master. ``linearity`` is that of the members of a flat; biases and darks are combined as
    they were read. ``flats`` is what the camera's settings say of its flats: any, dome, twilight, combined.
    """

    job_id: str
    group: Group
    night: str
    exposure_s: float | None
    ccd_temp_c: float | None
    members: tuple[FrameInput, ...]
    gain_e_per_adu: float | None
    arithmetic: Arithmetic
    grade: str
    product: str
    electronics: tuple[Electronics, ...] = ()
    cards: Cards = ()
    linearity: Linearity | None = None
    flats: str = "any"


@dataclass(frozen=True, slots=True)
class ReduceFrame:
    """Reduce one science frame; ``skipped`` and ``not_needed`` pair a step with the reason why it has no master.

    ``electronics`` is empty where one amplifier reads the frame: ``gain_e_per_adu`` and ``read_noise_e`` are its own,
    else a mean gain and the read noise of the settings. ``cosmics`` is None where none are looked for. ``doubt`` says
    why the masters may be of other hardware.
    """

    job_id: str
    member: FrameInput
    skipped: tuple[tuple[str, str], ...]
    not_needed: tuple[tuple[str, str], ...]
    gain_e_per_adu: float | None
    gain_source: str
    read_noise_e: float | None
    provisional: bool
    arithmetic: Arithmetic
    product: str
    electronics: tuple[Electronics, ...] = ()
    linearity: Linearity | None = None
    cosmics: CosmicFilter | None = None
    doubt: str = ""


Job = MeasureFrame | MeasureMaster | BuildMaster | ReduceFrame


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quality figure; ``name`` is a row of ``metrics.METRICS``, ``plane`` an HDU number or None.

    ``channel`` names an amplifier or a colour inside the plane; it is empty for the whole plane.
    """

    name: str
    value: float
    error: float | None = None
    plane: int | None = None
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One calibration step as it was carried out: ``applied``, ``skipped`` or ``not needed``, and the detail."""

    name: str
    status: Literal["applied", "skipped", "not needed"]
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job.

    ``lost_master`` is the path of a master that the job needed and did not find whole.
    ``doubts`` are sentences about the raw file that do not stop the job (a DATASUM that does not agree).
    ``status``: ``done``; ``changed`` (the file is no longer the job's frame); ``rejected`` (``frame_id`` names the
    frame whose content is at fault); ``disk_full``; ``failed`` (our side, retried); ``crashed`` (the worker died).
    """

    job_id: str
    status: Literal["done", "changed", "rejected", "disk_full", "failed", "crashed"]
    reason: str = ""
    frame_id: str | None = None
    sha256: str | None = None
    size_bytes: int = 0
    steps: tuple[Step, ...] = ()
    metrics: tuple[Metric, ...] = ()
    doubts: tuple[str, ...] = ()
    lost_master: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What the pixels of a frame say against its header: a reason code, and a sentence with the numbers and the limit.

    One that does not keep the frame out of masters is a note for a person.
    """

    code: str
    keeps_out: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The second look at a frame: every finding, and the masters that it was compared with, "" for none.

    ``reference_id`` is the master of its own group, ``pedestal_id`` the bias that lies under a dark or a flat.
    """

    frame_id: str
    findings: tuple[Finding, ...]
    reference_id: str
    pedestal_id: str

    @property
    def reason(self) -> str:
        """The reason code that keeps the frame out of masters, or an empty text."""
        return next((finding.code for finding in self.findings if finding.keeps_out), "")

    @property
    def detail(self) -> str:
        """What keeps the frame out, in sentences, and what to do about it; else an empty text."""
        texts = "; ".join(finding.text for finding in self.findings if finding.keeps_out)
        return f"{texts}. If it is good all the same: ingestd accept {self.frame_id[:8]}" if texts else ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a master stands to that of the previous night (``previous_id``, "" for none): a grade and, in words, why."""

    master_id: str
    previous_id: str
    grade: str
    text: str


@dataclass(frozen=True, slots=True)
class MeasuredFrame:
    """A calibration frame whose pixels were looked at: the job that did, its figures, the verdict in force, if any."""

    frame: FrameRecord
    job_id: str
    figures: tuple[Metric, ...]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """Raw biases or darks of one night and of equal conditions whose figures agree: a point of a control chart.

    ``frames`` is how many they are. ``parts`` holds, for every plane and amplifier by name, medians over the frames:
    level (above the overscan where that is subtracted) and noise of a pixel, ADU. ``gain_e_per_adu`` is that of the
    settings or the header, which may lie.
    """

    kind: Kind
    configuration: str
    night: str
    frames: int
    exposure_s: float | None
    ccd_temp_c: float | None
    gain_e_per_adu: float | None
    parts: tuple[tuple[str, float, float], ...]


BreakStatus = Literal["detected", "suspected", "confirmed", "moved", "set", "undone"]


@dataclass(frozen=True, slots=True)
class Break:
    """The boundary between two hardware epochs of a set-up: ``night`` is the first of the new one.

    ``after`` is the last night that showed the old one, an empty text if none did; hardware is changed by day, between
    the two. ``cause`` says in words and numbers what changed, ``reason`` is what an operator said. ``suspected``: what
    was seen may be light, a second night must show it too; nothing is closed off yet. ``moved`` and ``set``: where an
    operator put it. ``undone``: an operator said that calibrations of both sides belong together.
    """

    camera: str
    setup: str
    night: str
    after: str
    status: BreakStatus
    cause: str
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """True if calibrations of one side are not for the other."""
        return self.status not in ("suspected", "undone")


@dataclass(frozen=True, slots=True)
class EpochWord:
    """What an operator said of the epochs of a set-up: ``confirmed``, ``undone``, ``moved`` or ``set`` a break.

    ``night`` is that of the break; ``other`` where it was moved to, or, of one undone, the last night of the old epoch.
    """

    word: str
    night: str
    other: str
    reason: str


@dataclass(frozen=True, slots=True)
class StaleNight:
    """A group and night whose masters must be looked at again, and when its newest frame came."""

    group: Group
    night: str
    touched_at: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """How often a job has failed on our side (``deaths``: its worker died), and when it may be tried again."""

    job_id: str
    frame_id: str | None
    master_group: str
    attempts: int
    deaths: int
    next_try: datetime | None
    reason: str
    is_final: bool
