"""config.toml -> frozen sections: every value is checked; an error names the key path, the value and what is allowed.

A section is a dataclass, a key is a field; the range stands beside the field. Relative paths are taken from the working
directory. The values here are the defaults of ``config.toml``, which a test holds against this file.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from ingestd.errors import SettingsInvalid


def _key(
    default: object = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - stands in for the default of a field of any type
    """Declare a settings key with its default and what is allowed."""
    allowed = {"low": low, "high": high, "choices": choices}
    if isinstance(default, dict | list) or is_dataclass(default):
        return field(default_factory=lambda: default, metadata=allowed)
    return field(default=default, metadata=allowed)


@dataclass(frozen=True, slots=True)
class Site:
    """[site]: the observatory. Longitude (degrees, east positive) decides where a night begins."""

    name: str = _key("")
    longitude_deg: float | None = _key(None, low=-180.0, high=360.0)


@dataclass(frozen=True, slots=True)
class Paths:
    """[paths]: where masters, products and the calibration database live. Never inside a camera's directory."""

    data: str = _key("data")


@dataclass(frozen=True, slots=True)
class Arrival:
    """[arrival]: when a file counts as completely written, and how often the directories are scanned."""

    settle_s: float = _key(1.0, low=0.05, high=600)
    settle_closed_s: float = _key(0.2, low=0.05, high=600)
    settle_polled_s: float = _key(5.0, low=0.05, high=600)
    scan_interval_s: float = _key(60.0, low=0.2, high=86400)
    scan_interval_polled_s: float = _key(10.0, low=0.2, high=86400)
    give_up_s: float = _key(3600.0, low=1, high=30 * 86400)
    polling: str = _key("auto", choices=("auto", "always", "never"))


@dataclass(frozen=True, slots=True)
class Limits:
    """[limits]: what a single file may cost."""

    max_header_bytes: int = _key(1 << 20, low=2880, high=1 << 28)
    max_pixels: int = _key(200_000_000, low=1, high=10**10)
    max_file_bytes: int = _key(2 << 30, low=2880, high=1 << 40)
    max_job_s: float = _key(300.0, low=1, high=86400)
    max_worker_bytes: int = _key(6 << 30, low=1 << 28, high=1 << 42)
    min_free_bytes: int = _key(1 << 30, low=0, high=1 << 50)


@dataclass(frozen=True, slots=True)
class MasterRule:
    """[masters.bias], [masters.dark], [masters.flat]: which frames make a night's master, and how long it is valid."""

    window_d: float = _key(30.0, low=0, high=3650)
    minimum: int = _key(3, low=1, high=200)
    maximum: int = _key(50, low=1, high=200)
    valid_d: float = _key(90.0, low=0, high=3650)


@dataclass(frozen=True, slots=True)
class Masters:
    """[masters]: rolling masters. ``quiet_s``: a burst of frames is combined once it has been quiet this long."""

    sigma: float = _key(5.0, low=1, high=100)
    iterations: int = _key(1, low=1, high=20)
    quiet_s: float = _key(10.0, low=0, high=86400)
    flat_floor: float = _key(0.05, low=0, high=0.9)
    hot_sigma: float = _key(10.0, low=3, high=1000)
    bias: MasterRule = _key(MasterRule(30.0, 3, 50, 90.0))
    dark: MasterRule = _key(MasterRule(90.0, 3, 40, 180.0))
    flat: MasterRule = _key(MasterRule(14.0, 3, 30, 30.0))


@dataclass(frozen=True, slots=True)
class BiasMatching:
    """[matching.bias]: how far a master bias may be from the frame."""

    max_delta_temp_c: float = _key(0.5, low=0, high=100)


@dataclass(frozen=True, slots=True)
class DarkMatching:
    """[matching.dark]: how far a master dark may be from the frame, and how far it may be scaled.

    Exposures are equal within the larger of ``exposure_tolerance_s`` and ``exposure_tolerance_ratio`` times the
    exposure. ``max_scale_up`` and ``max_scale_down`` bound frame exposure over dark exposure and its inverse.
    """

    max_delta_temp_c: float = _key(0.5, low=0, high=100)
    exposure_tolerance_s: float = _key(0.05, low=0, high=3600)
    exposure_tolerance_ratio: float = _key(0.01, low=0, high=1)
    max_scale_up: float = _key(2.0, low=1, high=1000)
    max_scale_down: float = _key(100.0, low=1, high=100000)
    bias_only_max_s: float = _key(1.0, low=0, high=3600)


@dataclass(frozen=True, slots=True)
class FlatMatching:
    """[matching.flat]: a master flat need not share the temperature of the frame unless a limit is set."""

    max_delta_temp_c: float | None = _key(None, low=0, high=100)


@dataclass(frozen=True, slots=True)
class Matching:
    """[matching]: association rules, one table per calibration kind."""

    bias: BiasMatching = _key(BiasMatching())
    dark: DarkMatching = _key(DarkMatching())
    flat: FlatMatching = _key(FlatMatching())


@dataclass(frozen=True, slots=True)
class Screening:
    """[screening]: when the pixels of a calibration frame contradict what its header says.

    ``..._level`` is a fraction of saturation; ``..._sigma`` is in units of the noise of one frame of the master that a
    frame is compared with, the one of the latest earlier night; ``..._ratio`` a share of the pixels, or a factor.
    """

    bias_max_exposure_s: float = _key(0.1, low=0, high=3600)
    bias_max_level: float = _key(0.5, low=0, high=1)
    dark_max_level: float = _key(0.5, low=0, high=1)
    flat_min_level: float = _key(0.005, low=0, high=1)
    flat_max_level: float = _key(0.9, low=0, high=1)
    flat_min_signal_to_noise: float = _key(15.0, low=0, high=10000)
    saturated_max_ratio: float = _key(0.05, low=0, high=1)
    outlier_sigma: float = _key(6.0, low=3, high=100)
    outlier_max_ratio: float = _key(0.05, low=0, high=1)
    level_jump_sigma: float = _key(20.0, low=3, high=10000)
    structure_jump_sigma: float = _key(3.0, low=0.1, high=10000)
    noise_jump_ratio: float = _key(1.5, low=1.05, high=1000)
    dark_jump_ratio: float = _key(1.5, low=1.05, high=1000)
    overscan_jump_sigma: float = _key(1.0, low=0, high=10000)
    light_max_level: float = _key(0.3, low=0, high=1)


@dataclass(frozen=True, slots=True)
class Reduction:
    """[reduction]: science frames.

    ``when_missing``: a frame without a valid master is reduced provisionally, or waits. ``overscan_fit``: the median of
    the overscan of each row, or a polynomial of ``overscan_degree`` through these medians.
    """

    when_missing: str = _key("provisional", choices=("provisional", "wait"))
    overscan: bool = _key(True)
    overscan_skip_px: int = _key(5, low=0, high=1000)
    overscan_fit: str = _key("median", choices=("median", "polynomial"))
    overscan_degree: int = _key(3, low=0, high=20)


@dataclass(frozen=True, slots=True)
class Retention:
    """[retention]: how many superseded products are kept. Raw frames are never touched.

    ``revisions``: older products of one frame; ``masters``: superseded masters of one group that nothing current uses;
    ``reduced_d``: age in days (observation time) after which products of science frames are removed, 0 for never.
    """

    revisions: int = _key(1, low=0, high=10000)
    masters: int = _key(3, low=0, high=10000)
    reduced_d: float = _key(0.0, low=0, high=36500)


@dataclass(frozen=True, slots=True)
class Workers:
    """[workers]: processes that read and compute. 0 means one less than the number of cores, at least one."""

    processes: int = _key(0, low=0, high=256)


@dataclass(frozen=True, slots=True)
class Web:
    """[web]: metrics and health over HTTP."""

    enabled: bool = _key(True)
    host: str = _key("127.0.0.1")
    port: int = _key(9750, low=0, high=65535)


@dataclass(frozen=True, slots=True)
class Log:
    """[log]: where it is read by journald, plain text is best; JSON lines suit a log collector."""

    level: str = _key("info", choices=("debug", "info", "warning", "error"))
    format: str = _key("text", choices=("text", "json"))


@dataclass(frozen=True, slots=True)
class Keywords:
    """[camera.keywords]: header keywords that override the built-in dialects, most trusted first."""

    kind: tuple[str, ...] = _key(())
    exposure: tuple[str, ...] = _key(())
    ccd_temp: tuple[str, ...] = _key(())
    set_temp: tuple[str, ...] = _key(())
    filter: tuple[str, ...] = _key(())
    gain_setting: tuple[str, ...] = _key(())
    gain_e_per_adu: tuple[str, ...] = _key(())
    read_noise_e: tuple[str, ...] = _key(())
    offset: tuple[str, ...] = _key(())
    readout_mode: tuple[str, ...] = _key(())
    instrument: tuple[str, ...] = _key(())
    obs_start: tuple[str, ...] = _key(())
    object: tuple[str, ...] = _key(())
    exposure_unit: str = _key("s", choices=("s", "ms", "us", "min"))
    temperature_unit: str = _key("c", choices=("c", "k"))
    words: Mapping[str, str] = _key({})
    file_names: Mapping[str, str] = _key({})


@dataclass(frozen=True, slots=True)
class Amplifier:
    """[[camera]] amplifiers: one of several that read one image.

    ``section`` is the image that it read, ``overscan`` its own columns or rows without light, both as in FITS headers;
    ``name`` stands in quality figures, by default its number in the list.
    """

    section: str = _key()
    overscan: str | None = _key(None)
    gain_e_per_adu: float | None = _key(None, low=1e-4, high=1e4)
    read_noise_e: float | None = _key(None, low=0, high=1e5)
    name: str = _key("")


@dataclass(frozen=True, slots=True)
class Camera:
    """[[camera]]: one camera; the first section whose directories hold the file and whose ``match`` cards agree wins.

    ``requires``: steps without which a product is only provisional. ``extra_match``: header keywords that must be equal
    between a frame and its calibrations, beyond the configuration.
    """

    name: str = _key()
    directories: tuple[str, ...] = _key(("incoming",))
    match: Mapping[str, str] = _key({})
    extra_match: tuple[str, ...] = _key(())
    dark_policy: str = _key("auto", choices=("auto", "exact", "scalable"))
    requires: tuple[str, ...] = _key(("bias", "dark", "flat"))
    gain_e_per_adu: float | None = _key(None, low=1e-4, high=1e4)
    read_noise_e: float | None = _key(None, low=0, high=1e5)
    saturation_adu: float | None = _key(None, low=1, high=1e10)
    overscan_section: str | None = _key(None)
    trim_section: str | None = _key(None)
    amplifiers: tuple[Amplifier, ...] = _key(())
    keywords: Keywords = _key(Keywords())


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole of config.toml."""

    camera: tuple[Camera, ...]
    site: Site = _key(Site())
    paths: Paths = _key(Paths())
    arrival: Arrival = _key(Arrival())
    limits: Limits = _key(Limits())
    masters: Masters = _key(Masters())
    matching: Matching = _key(Matching())
    screening: Screening = _key(Screening())
    reduction: Reduction = _key(Reduction())
    retention: Retention = _key(Retention())
    workers: Workers = _key(Workers())
    web: Web = _key(Web())
    log: Log = _key(Log())

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute."""
        return Path(self.paths.data).absolute()

    @property
    def catalogue_path(self) -> Path:
        """The calibration database, absolute."""
        return self.data_dir / "catalogue.sqlite"

    @property
    def roots(self) -> tuple[Path, ...]:
        """The watched directories of all cameras, absolute, each once."""
        found = [Path(directory).absolute() for camera in self.camera for directory in camera.directories]
        return tuple(dict.fromkeys(found))


# --- reading ----------------------------------------------------------------------------------------------------------


def load_settings(path: Path) -> Settings:
    """Return the settings in a TOML file.

    Raises
    ------
    SettingsInvalid
        If the file cannot be read, is not TOML, or a key is unknown, of the wrong type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsInvalid(f"{path}: cannot be read: {why}. Name another file with --config") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path}: not valid TOML: {error}") from error
    return parse_settings(table, str(path))


def parse_settings(table: Mapping[str, Any], origin: str = "settings") -> Settings:
    """Return the settings in a parsed TOML table; ``origin`` names it in errors."""
    settings = cast("Settings", _section(Settings, table, "", origin))
    _check_together(settings, origin)
    return settings


def _check_together(settings: Settings, origin: str) -> None:
    """Check what concerns several keys at once."""
    if not settings.camera:
        raise SettingsInvalid(f"{origin}: camera: no [[camera]] section; add one with a name and its directories")
    _check_cameras(settings.camera, origin)
    for kind in ("bias", "dark", "flat"):
        rule: MasterRule = getattr(settings.masters, kind)
        if rule.minimum > rule.maximum:
            raise SettingsInvalid(
                f"{origin}: masters.{kind}.minimum = {rule.minimum}: larger than maximum = {rule.maximum}"
            )
    screening = settings.screening
    if screening.flat_min_level >= screening.flat_max_level:
        raise SettingsInvalid(
            f"{origin}: screening.flat_min_level = {screening.flat_min_level}: not below flat_max_level = "
            f"{screening.flat_max_level}: no flat would be good"
        )
    data = settings.data_dir.resolve()
    for root in settings.roots:
        if data.is_relative_to(root.resolve()):
            raise SettingsInvalid(
                f"{origin}: paths.data = {settings.paths.data!r}: lies inside the watched directory {root}; "
                "products would be taken for new frames"
            )


def _check_cameras(cameras: tuple[Camera, ...], origin: str) -> None:
    """Check names, directories and required steps of all cameras."""
    names = [camera.name for camera in cameras]
    for camera in cameras:
        if not camera.name or camera.name == "unassigned" or not set(camera.name) <= _NAME_CHARACTERS:
            raise SettingsInvalid(
                f"{origin}: camera.name = {camera.name!r}: use letters, digits, '.', '_' and '-'; 'unassigned' is taken"
            )
        if names.count(camera.name) > 1:
            raise SettingsInvalid(f"{origin}: camera.name = {camera.name!r}: two cameras share this name")
        unknown = sorted(set(camera.requires) - {"bias", "dark", "flat"})
        if unknown:
            raise SettingsInvalid(f"{origin}: camera.requires = {unknown[0]!r}: allowed are bias, dark and flat")
        if not camera.directories:
            raise SettingsInvalid(f"{origin}: camera.directories: camera {camera.name!r} has none; name at least one")
        _check_amplifiers(camera, origin)


def _check_amplifiers(camera: Camera, origin: str) -> None:
    """Check the sections and the names of the amplifiers of a camera."""
    for amplifier in camera.amplifiers:
        for name, section in (("section", amplifier.section), ("overscan", amplifier.overscan)):
            if section is not None and not _SECTION.fullmatch(section):
                raise SettingsInvalid(
                    f"{origin}: camera.amplifiers.{name} = {section!r}: must be like '[1:1024,1:2048]', columns first, "
                    "from 1, both ends included"
                )
        if not set(amplifier.name) <= _NAME_CHARACTERS:
            raise SettingsInvalid(
                f"{origin}: camera.amplifiers.name = {amplifier.name!r}: use letters, digits, '.', '_' and '-'"
            )
    names = [amplifier.name or str(position) for position, amplifier in enumerate(camera.amplifiers, 1)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingsInvalid(f"{origin}: camera.amplifiers.name = {twice!r}: two amplifiers share this name")


_SECTION = re.compile(r"\[\s*[1-9]\d{0,8}\s*:\s*[1-9]\d{0,8}\s*,\s*[1-9]\d{0,8}\s*:\s*[1-9]\d{0,8}\s*\]", re.ASCII)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def _section(cls: type, table: object, path: str, origin: str) -> object:
    """Return an instance of the dataclass ``cls`` from a TOML table, strictly."""
    if not isinstance(table, Mapping):
        raise SettingsInvalid(f"{origin}: {path} = {table!r}: must be a table, [{path}]")
    hints = get_type_hints(cls)
    known: dict[str, Field[Any]] = {item.name: item for item in fields(cls)}
    for name in table:
        if name not in known:
            raise SettingsInvalid(f"{origin}: {_join(path, name)}: unknown key{_nearest(name, known)}")
    values: dict[str, object] = {}
    for name, item in known.items():
        if name in table:
            values[name] = _value(hints[name], item, table[name], _join(path, name), origin, _default(item))
        elif item.default is MISSING and item.default_factory is MISSING:
            raise SettingsInvalid(f"{origin}: {_join(path, name)}: missing; it has no default")
    return cls(**values)


def _default(item: Field[Any]) -> object:
    """Return the default of a field, or None."""
    if item.default_factory is not MISSING:
        return item.default_factory()
    return None if item.default is MISSING else item.default


def _value(hint: object, item: Field[Any], value: object, path: str, origin: str, default: object) -> object:
    """Return one checked value of the type that the field declares."""
    if get_origin(hint) is UnionType:
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if isinstance(hint, type) and is_dataclass(hint):
        if is_dataclass(default) and isinstance(value, Mapping):
            value = {**{f.name: getattr(default, f.name) for f in fields(hint) if _is_plain(default, f)}, **value}
        return _section(hint, value, path, origin)
    if get_origin(hint) is tuple:
        return _sequence(get_args(hint)[0], item, value, path, origin)
    if get_origin(hint) is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(v, str | int | float | bool) for v in value.values()):
            raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be a table of single values")
        return {str(k): str(v) for k, v in value.items()}
    return _scalar(cast("type", hint), item, value, path, origin)


def _is_plain(section: object, item: Field[Any]) -> bool:
    """Return whether a default can stand in a TOML table as it is."""
    return isinstance(getattr(section, item.name), str | int | float | bool)


def _sequence(part: object, item: Field[Any], value: object, path: str, origin: str) -> tuple[object, ...]:
    """Return a checked list as a tuple; a list of tables becomes sections."""
    if not isinstance(value, list | tuple):
        raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be a list")
    if isinstance(part, type) and is_dataclass(part):
        return tuple(_section(part, entry, path, origin) for entry in value)
    return tuple(_scalar(cast("type", part), item, entry, path, origin) for entry in value)


_TYPE_NAMES = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


def _scalar(hint: type, item: Field[Any], value: object, path: str, origin: str) -> object:
    """Return a checked text, number or boolean."""
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be {_TYPE_NAMES[hint]}")
    allowed = item.metadata
    if allowed["choices"] and value not in allowed["choices"]:
        raise SettingsInvalid(
            f"{origin}: {path} = {value!r}: must be one of {', '.join(map(repr, allowed['choices']))}"
            f"{_nearest(str(value), dict.fromkeys(allowed['choices']))}"
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = allowed["low"], allowed["high"]
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            raise SettingsInvalid(f"{origin}: {path} = {value!r}: must be between {low:g} and {high:g}")
    return value


def _join(path: str, name: str) -> str:
    """Return the key path of a key in a section."""
    return f"{path}.{name}" if path else name


def _nearest(name: str, known: Mapping[str, object]) -> str:
    """Return a hint at the nearest known key, or an empty text."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
