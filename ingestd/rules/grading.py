"""The grade of a night's master by comparison with that of the previous night: green to red, with the numbers.

A grade is a function of recorded figures and limits, so a changed limit reads no file again. A master is compared with
that of the previous night whatever the grade of that: after a jump one night is red, and the next agrees with it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingestd.records import Kind, Master, Metric, Standing
from ingestd.rules import groups
from ingestd.settings import Grading

_NOISES = {Kind.BIAS: "read_noise_adu", Kind.DARK: "dark_noise_adu"}
_FIGURES = ("level_from_previous_adu", "patches_from_previous_adu", "patches_from_previous_ratio")
_SMALLEST_NOISE_ADU = 0.3

_Figures = Mapping[tuple[str, int | None], Metric]


@dataclass(frozen=True, slots=True)
class _Deviation:
    """One thing in which two masters differ, with its one sigma; ``words`` go on with the name of the other master."""

    size: float
    sigma: float
    words: str
    is_part: bool = False

    def limit_words(self, sigmas: float) -> str:
        """Return a limit in sigma and in the unit of the deviation."""
        limit = sigmas * self.sigma
        return f"limit {sigmas:g} sigma = {f'{100 * limit:.2g} %' if self.is_part else f'{limit:.1f} ADU'}"


def standing_of(
    master: Master,
    figures: Sequence[Metric],
    previous: Master | None,
    previous_figures: Sequence[Metric],
    limits: Grading,
) -> Standing:
    """Return the grade of a master against that of the previous night.

    Parameters
    ----------
    master : Master
    figures : sequence of Metric
        Its own, with those of its comparison; without these nothing can be said, and the grade is green.
    previous : Master or None
        What it was compared with.
    previous_figures : sequence of Metric
        Those of that.
    limits : Grading

    Returns
    -------
    Standing
        The grade of the largest deviation. One sigma is the error of the figure, but of level and patches no less than
        ``level_floor`` and ``patch_floor`` times the noise of one frame, of a dark also no less than ``ratio_floor``
        times its signal above the bias: within half a degree it changes by so much.
    """
    if previous is None:
        return Standing(master.master_id, "", groups.GRADES[0], "no earlier master to compare with")
    own, other = _of_planes(figures), _of_planes(previous_figures)
    planes = sorted({plane for _, plane in own}, key=lambda plane: -1 if plane is None else plane)
    found = [it for plane in planes for it in _deviations(master, own, other, plane, limits)]
    grade = groups.GRADES[max((len(_limits_exceeded(it, limits)) for it in found), default=0)]
    return Standing(master.master_id, previous.master_id, grade, _in_words(found, previous, limits))


def _of_planes(figures: Iterable[Metric]) -> _Figures:
    """Return the figures of whole planes by name and plane."""
    return {(it.name, it.plane): it for it in figures if not it.channel}


def _deviations(
    master: Master, own: _Figures, other: _Figures, plane: int | None, limits: Grading
) -> Iterator[_Deviation]:
    """Return everything in which a plane differs from that of the previous night."""
    where = "" if plane is None else f"HDU {plane}: "
    level, patches, flat = (own.get((name, plane)) for name in _FIGURES)
    if flat is not None:
        sigma = max(limits.flat_ratio_floor, flat.error or 0.0)
        yield _Deviation(flat.value, sigma, f"{where}patches off by {100 * flat.value:.2g} % from", is_part=True)
    if level is None or patches is None:
        return
    name = _NOISES[master.kind]
    noise, former = own.get((name, plane)), other.get((name, plane))
    noise_adu = max(_SMALLEST_NOISE_ADU, former.value if former is not None else 0.0)
    drift_adu = limits.ratio_floor * _signal_adu(master, own, plane)
    sigma = max(limits.level_floor * noise_adu, drift_adu, level.error or 0.0)
    side = "above" if level.value >= 0 else "below"
    yield _Deviation(abs(level.value), sigma, f"{where}level {abs(level.value):.1f} ADU {side}")
    sigma = max(limits.patch_floor * noise_adu, drift_adu, patches.error or 0.0)
    yield _Deviation(patches.value, sigma, f"{where}patches off by {patches.value:.1f} ADU from")
    if noise is not None and former is not None:
        yield _noise(noise, former, where, limits)


def _noise(own: Metric, former: Metric, where: str, limits: Grading) -> _Deviation:
    """Return by how much the noise of one frame has changed, up or down."""
    ratio = max(own.value, _SMALLEST_NOISE_ADU) / max(former.value, _SMALLEST_NOISE_ADU)
    error = math.hypot(own.error or 0.0, former.error or 0.0) / max(former.value, _SMALLEST_NOISE_ADU)
    sigma = max(limits.ratio_floor, error)
    return _Deviation(abs(ratio - 1), sigma, f"{where}noise {ratio:.2f} times", is_part=True)


def _signal_adu(master: Master, own: _Figures, plane: int | None) -> float:
    """Return the signal of a dark above its bias, 0 where it is unknown."""
    rate = own.get(("dark_rate_adu_per_second", plane))
    return 0.0 if rate is None else max(rate.value, 0.0) * (master.exposure_s or 0.0)


def _limits_exceeded(deviation: _Deviation, limits: Grading) -> list[float]:
    """Return the limits that a deviation exceeds, in sigma; their number is the rank of its grade."""
    sigmas = (limits.yellow_sigma, limits.orange_sigma, limits.red_sigma)
    return [limit for limit in sigmas if deviation.size > limit * deviation.sigma]


def _in_words(found: Sequence[_Deviation], previous: Master, limits: Grading) -> str:
    """Return what is too much, each with the highest limit that it exceeds, or that the masters agree."""
    night = f"that of {previous.night}"
    if not found:
        return f"{night} could not be compared with"
    bad = [
        f"{it.words} {night} ({it.limit_words(exceeded[-1])})"
        for it in found
        if (exceeded := _limits_exceeded(it, limits))
    ]
    return ", ".join(bad) if bad else f"agrees with {night}: {', '.join(it.words for it in found)} it"
