"""The sections of config.toml that concern the whole observatory: the range of a key stands beside the field."""

from __future__ import annotations

from dataclasses import dataclass

from ingestd.settings.keys import key


@dataclass(frozen=True, slots=True)
class Site:
    """[site]: the observatory. Longitude (degrees, east positive) decides where a night begins."""

    name: str = key("")
    longitude_deg: float | None = key(None, low=-180.0, high=360.0)


@dataclass(frozen=True, slots=True)
class Paths:
    """[paths]: where masters, products and the calibration database live. Never inside a camera's directory."""

    data: str = key("data")


@dataclass(frozen=True, slots=True)
class Arrival:
    """[arrival]: when a file counts as completely written, and how often the directories are scanned."""

    settle_s: float = key(1.0, low=0.05, high=600)
    settle_closed_s: float = key(0.2, low=0.05, high=600)
    settle_polled_s: float = key(5.0, low=0.05, high=600)
    scan_interval_s: float = key(60.0, low=0.2, high=86400)
    scan_interval_polled_s: float = key(10.0, low=0.2, high=86400)
    give_up_s: float = key(3600.0, low=1, high=30 * 86400)
    polling: str = key("auto", choices=("auto", "always", "never"))


@dataclass(frozen=True, slots=True)
class Limits:
    """[limits]: what a single file may cost."""

    max_header_bytes: int = key(1 << 20, low=2880, high=1 << 28)
    max_pixels: int = key(200_000_000, low=1, high=10**10)
    max_file_bytes: int = key(2 << 30, low=2880, high=1 << 40)
    max_job_s: float = key(300.0, low=1, high=86400)
    max_worker_bytes: int = key(6 << 30, low=1 << 28, high=1 << 42)
    min_free_bytes: int = key(1 << 30, low=0, high=1 << 50)


@dataclass(frozen=True, slots=True)
class Screening:
    """[screening]: when the pixels of a calibration frame contradict what its header says.

    ``..._level`` is a fraction of saturation; ``..._sigma`` is in units of the noise of one frame of the master that a
    frame is compared with, the one of the latest earlier night; ``..._ratio`` a share of the pixels, or a factor.
    """

    bias_max_exposure_s: float = key(0.1, low=0, high=3600)
    bias_max_level: float = key(0.5, low=0, high=1)
    dark_max_level: float = key(0.5, low=0, high=1)
    flat_min_level: float = key(0.005, low=0, high=1)
    flat_max_level: float = key(0.9, low=0, high=1)
    flat_min_signal_to_noise: float = key(15.0, low=0, high=10000)
    saturated_max_ratio: float = key(0.05, low=0, high=1)
    outlier_sigma: float = key(6.0, low=3, high=100)
    outlier_max_ratio: float = key(0.05, low=0, high=1)
    level_jump_sigma: float = key(20.0, low=3, high=10000)
    structure_jump_sigma: float = key(3.0, low=0.1, high=10000)
    noise_jump_ratio: float = key(1.5, low=1.05, high=1000)
    dark_jump_ratio: float = key(1.5, low=1.05, high=1000)
    overscan_jump_sigma: float = key(1.0, low=0, high=10000)
    light_max_level: float = key(0.3, low=0, high=1)


@dataclass(frozen=True, slots=True)
class Epochs:
    """[epochs]: when a jump of the bias level or of the noise begins a new hardware epoch.

    ``..._sigma`` is in units of the noise of a pixel of one frame, but ``scatter_sigma`` in units of the scatter of the
    level, and of the logarithm of the noise, from night to night. ``nights``: how many are needed before that scatter
    is known well enough to notice jumps smaller than ``level_jump_sigma``.
    """

    detect: bool = key(True)
    minimum: int = key(3, low=1, high=200)
    nights: int = key(8, low=3, high=20)
    scatter_sigma: float = key(6.0, low=3, high=1000)
    level_jump_sigma: float = key(15.0, low=3, high=10000)
    level_step_sigma: float = key(3.0, low=0.1, high=10000)
    level_drift_sigma_per_d: float = key(0.2, low=0, high=1000)
    noise_jump_ratio: float = key(1.25, low=1.02, high=1000)


@dataclass(frozen=True, slots=True)
class Reduction:
    """[reduction]: science frames.

    ``when_missing``: a frame without a valid master is reduced provisionally, or waits. ``overscan_fit``: the median of
    the overscan of each row, or a polynomial of ``overscan_degree`` through these medians. A frame is reduced again at
    most once in ``again_s``; for masters nearer by no more than ``nearer_h`` and ``closer_c`` only after its night.
    """

    when_missing: str = key("provisional", choices=("provisional", "wait"))
    overscan: bool = key(True)
    overscan_skip_px: int = key(5, low=0, high=1000)
    overscan_fit: str = key("median", choices=("median", "polynomial"))
    overscan_degree: int = key(3, low=0, high=20)
    again_s: float = key(60.0, low=0, high=86400)
    nearer_h: float = key(1.0, low=0, high=8760)
    closer_c: float = key(0.1, low=0, high=100)


@dataclass(frozen=True, slots=True)
class Retention:
    """[retention]: how many superseded products are kept. Raw frames are never touched.

    ``revisions``: older products of one frame; ``masters``: superseded masters of one group that nothing current uses;
    ``reduced_d``: age in days (observation time) after which products of science frames are removed, 0 for never.
    """

    revisions: int = key(1, low=0, high=10000)
    masters: int = key(3, low=0, high=10000)
    reduced_d: float = key(0.0, low=0, high=36500)


@dataclass(frozen=True, slots=True)
class Workers:
    """[workers]: processes that read and compute. 0 means one less than the number of cores, at least one."""

    processes: int = key(0, low=0, high=256)


@dataclass(frozen=True, slots=True)
class Web:
    """[web]: metrics and health over HTTP."""

    enabled: bool = key(True)
    host: str = key("127.0.0.1")
    port: int = key(9750, low=0, high=65535)


@dataclass(frozen=True, slots=True)
class Log:
    """[log]: where it is read by journald, plain text is best; JSON lines suit a log collector."""

    level: str = key("info", choices=("debug", "info", "warning", "error"))
    format: str = key("text", choices=("text", "json"))
