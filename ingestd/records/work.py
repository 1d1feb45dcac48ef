"""Orders that a worker carries out without asking for more, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ingestd.records.frames import Cards, FrameRecord, Group, Section
from ingestd.records.kinds import Kind


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
