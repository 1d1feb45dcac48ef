"""What concerns several keys at once, and texts of a certain form; an error names key, value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingestd.settings.association import ORDER, Rules
from ingestd.settings.cameras import Camera
from ingestd.settings.whole import Settings


def mistakes_together(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with several keys at once."""
    if not settings.camera:
        yield "camera: no [[camera]] section; add one with a name and its directories"
    yield from _check_cameras(settings.camera)
    for path, rules in _tables(settings):
        yield from _check_rules(rules, path)
    screening = settings.screening
    if screening.flat_min_level >= screening.flat_max_level:
        yield (
            f"screening.flat_min_level = {screening.flat_min_level}: not below flat_max_level = "
            f"{screening.flat_max_level}: no flat would be good"
        )
    grading = settings.grading
    if not grading.yellow_sigma <= grading.orange_sigma <= grading.red_sigma:
        yield (
            f"grading.orange_sigma = {grading.orange_sigma}: must lie between yellow_sigma = "
            f"{grading.yellow_sigma} and red_sigma = {grading.red_sigma}"
        )
    data = settings.data_dir.resolve()
    for root in settings.roots:
        if data.is_relative_to(root.resolve()):
            yield (
                f"paths.data = {settings.paths.data!r}: lies inside the watched directory {root}; "
                "products would be taken for new frames"
            )


def _tables(settings: Settings) -> list[tuple[str, Rules]]:
    """Return the association rules of all and of each camera with its own, each with the path that errors name."""
    own = [("camera.", settings.rules_of(it.name)) for it in settings.camera if it.masters or it.matching]
    return [("", Rules(settings.masters, settings.matching)), *own]


def _check_rules(rules: Rules, path: str) -> Iterator[str]:
    """Yield what is wrong with the association rules of all kinds."""
    for kind in ("bias", "dark", "flat"):
        rule, match = rules.master(kind), rules.match(kind)
        at = f"{path}masters.{kind}"
        if rule.minimum > rule.maximum:
            yield f"{at}.minimum = {rule.minimum}: larger than maximum = {rule.maximum}"
        yield from _check_grades(
            f"{at}.grade_members", rule.grade_members[::-1], "green, yellow, orange; none above the one before"
        )
        if rule.grade_age_d:
            yield from _check_grades(
                f"{at}.grade_age_d", rule.grade_age_d, "green, yellow, orange; none below the one before"
            )
        at = f"{path}matching.{kind}"
        if sorted(match.order) != sorted(ORDER):
            yield f"{at}.order = {list(match.order)}: must name each of {', '.join(ORDER)} once"
        strange = sorted(set(match.periods) - set(match.numbers)) or sorted(set(match.exact) & set(match.numbers))
        if strange:
            yield (
                f"{at}: {strange[0]}: a card stands either in exact or in numbers, and only one in numbers has a period"
            )


def _check_grades(at: str, rising: tuple[float, ...], words: str) -> Iterator[str]:
    """Yield what is wrong with the three bounds of the grades."""
    if len(rising) != _GRADE_BOUNDS or list(rising) != sorted(rising):
        yield f"{at}: must be three numbers: {words}"


_GRADE_BOUNDS = 3


def _check_cameras(cameras: tuple[Camera, ...]) -> Iterator[str]:
    """Yield what is wrong with names, directories and required steps of all cameras."""
    names = [camera.name for camera in cameras]
    for camera in cameras:
        if not camera.name or camera.name == "unassigned" or not set(camera.name) <= _NAME_CHARACTERS:
            yield (f"camera.name = {camera.name!r}: use letters, digits, '.', '_' and '-'; 'unassigned' is taken")
        if names.count(camera.name) > 1:
            yield f"camera.name = {camera.name!r}: two cameras share this name"
        unknown = sorted(set(camera.requires) - {"bias", "dark", "flat"})
        if unknown:
            yield f"camera.requires = {unknown[0]!r}: allowed are bias, dark and flat"
        if not camera.directories:
            yield f"camera.directories: camera {camera.name!r} has none; name at least one"
        yield from _check_amplifiers(camera)


def _check_amplifiers(camera: Camera) -> Iterator[str]:
    """Yield what is wrong with the sections and the names of the amplifiers of a camera."""
    for amplifier in camera.amplifiers:
        for name, section in (("section", amplifier.section), ("overscan", amplifier.overscan)):
            if section is not None and not _SECTION.fullmatch(section):
                yield (
                    f"camera.amplifiers.{name} = {section!r}: must be like '[1:1024,1:2048]', columns first, "
                    "from 1, both ends included"
                )
        if not set(amplifier.name) <= _NAME_CHARACTERS:
            yield (f"camera.amplifiers.name = {amplifier.name!r}: use letters, digits, '.', '_' and '-'")
    names = [amplifier.name or str(position) for position, amplifier in enumerate(camera.amplifiers, 1)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        yield f"camera.amplifiers.name = {twice!r}: two amplifiers share this name"


_SECTION = re.compile(r"\[\s*[1-9]\d{0,8}\s*:\s*[1-9]\d{0,8}\s*,\s*[1-9]\d{0,8}\s*:\s*[1-9]\d{0,8}\s*\]", re.ASCII)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
