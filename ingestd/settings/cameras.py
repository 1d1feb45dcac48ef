"""[[camera]]: one section for each camera, with its keywords and amplifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestd.settings.association import MasterRules, Matching
from ingestd.settings.keys import key


@dataclass(frozen=True, slots=True)
class Keywords:
    """[camera.keywords]: header keywords that override the built-in dialects, most trusted first."""

    kind: tuple[str, ...] = key(())
    exposure: tuple[str, ...] = key(())
    ccd_temp: tuple[str, ...] = key(())
    set_temp: tuple[str, ...] = key(())
    filter: tuple[str, ...] = key(())
    gain_setting: tuple[str, ...] = key(())
    gain_e_per_adu: tuple[str, ...] = key(())
    read_noise_e: tuple[str, ...] = key(())
    offset: tuple[str, ...] = key(())
    readout_mode: tuple[str, ...] = key(())
    instrument: tuple[str, ...] = key(())
    obs_start: tuple[str, ...] = key(())
    object: tuple[str, ...] = key(())
    exposure_unit: str = key("s", choices=("s", "ms", "us", "min"))
    temperature_unit: str = key("c", choices=("c", "k"))
    words: Mapping[str, str] = key({})
    file_names: Mapping[str, str] = key({})


@dataclass(frozen=True, slots=True)
class Amplifier:
    """[[camera]] amplifiers: one of several that read one image.

    ``section`` is the image that it read, ``overscan`` its own columns or rows without light, both as in FITS headers;
    ``name`` stands in quality figures, by default its number in the list. ``nonlinearity`` is that of the camera unless
    it has its own.
    """

    section: str = key()
    overscan: str | None = key(None)
    gain_e_per_adu: float | None = key(None, low=1e-4, high=1e4)
    read_noise_e: float | None = key(None, low=0, high=1e5)
    name: str = key("")
    nonlinearity: tuple[float, ...] = key((), low=-1, high=1)


@dataclass(frozen=True, slots=True)
class Camera:
    """[[camera]]: one camera; the first section whose directories hold the file and whose ``match`` cards agree wins.

    ``flats``: which of them make a master flat; ``combined`` takes pixels from the dome, what is smooth from twilight.
    ``requires``: steps without which a product is only provisional. ``extra_match``: header keywords that must be equal
    between a frame and its calibrations, beyond the configuration. ``masters`` and ``matching`` are the full rules of a
    camera that has some of its own; None means those of all (``Settings.rules_of``). ``nonlinearity``: c1, c2, ...
    (1/ADU, 1/ADU**2, ...) in x (1 + c1 x + c2 x**2 + ...), the true signal where x ADU were read above the bias; a raw
    sample above ``linear_max_adu`` is marked nonlinear.
    ``cosmics`` looks for cosmic rays in science frames by L.A.Cosmic, whose parameters follow under the names that
    astroscrappy gives them.
    """

    name: str = key()
    directories: tuple[str, ...] = key(("incoming",))
    match: Mapping[str, str] = key({})
    extra_match: tuple[str, ...] = key(())
    dark_policy: str = key("auto", choices=("auto", "exact", "scalable"))
    requires: tuple[str, ...] = key(("bias", "dark", "flat"))
    flats: str = key("any", choices=("any", "dome", "twilight", "combined"))
    gain_e_per_adu: float | None = key(None, low=1e-4, high=1e4)
    read_noise_e: float | None = key(None, low=0, high=1e5)
    saturation_adu: float | None = key(None, low=1, high=1e10)
    nonlinearity: tuple[float, ...] = key((), low=-1, high=1)
    linear_max_adu: float | None = key(None, low=1, high=1e10)
    overscan_section: str | None = key(None)
    trim_section: str | None = key(None)
    cosmics: str = key("off", choices=("off", "flag", "clean"))
    cosmics_sigclip: float = key(4.5, low=1, high=100)
    cosmics_sigfrac: float = key(0.3, low=0.01, high=1)
    cosmics_objlim: float = key(5.0, low=0, high=1000)
    cosmics_niter: int = key(4, low=1, high=20)
    amplifiers: tuple[Amplifier, ...] = key(())
    keywords: Keywords = key(Keywords())
    masters: MasterRules | None = key(None)
    matching: Matching | None = key(None)
