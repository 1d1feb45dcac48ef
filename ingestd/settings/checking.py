"""What concerns several keys at once, and texts of a certain form; an error names key, value and what is allowed."""

from __future__ import annotations

import re

from ingestd.errors import SettingsInvalid
from ingestd.settings.association import MasterRule
from ingestd.settings.cameras import Camera
from ingestd.settings.whole import Settings


def check_together(settings: Settings, origin: str) -> None:
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
