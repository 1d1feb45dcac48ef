"""A frame against its reference: light where there should be none, another gain, another read-out.

Light adds level, photon noise and a pattern; another offset shifts the level alone; another gain changes the noise; a
disturbed read-out changes the pattern. What is fainter and quieter than its reference speaks against the reference:
that was taken with light, and good frames must not be kept out because of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ingestd.records import Finding, FrameRecord, Kind, Plane
from ingestd.rules.screening.references import Figures, References, Standard
from ingestd.settings import Screening, Settings

_DOUBT_SIGMA = 2.0
_SMALLEST_NOISE_ADU = 0.3
_NOISES = {Kind.BIAS: "read_noise_adu", Kind.DARK: "dark_noise_adu"}
_LIGHT = {Kind.BIAS: "bias_with_flux", Kind.DARK: "light_leak"}


@dataclass(frozen=True, slots=True)
class _Differences:
    """How a plane differs from its reference, and what of it is too much.

    ``noise_ratio`` is None if the reference does not tell its noise; ``signal_adu`` is the dark signal of the
    reference, None if unknown.
    """

    offset_adu: float
    noise_adu: float
    noise_ratio: float | None
    structure_adu: float
    outlier_share: float
    signal_adu: float | None


def against_reference(
    frame: FrameRecord,
    plane: Plane,
    label: int | None,
    figures: Figures,
    references: References,
    settings: Settings,
) -> Iterator[Finding]:
    """Return what the masters that a plane is compared with say.

    Parameters
    ----------
    frame : FrameRecord
    plane : Plane
    label : int or None
        Under which its figures stand.
    figures : mapping
        Of the frame.
    references : References
    settings : Settings
    """
    limits, own = settings.screening, references.own
    if own is not None and references.is_alike:
        yield from _pixels(frame, plane, label, figures, own, references.bias, limits)
    elif frame.kind is Kind.DARK and references.bias is not None:
        yield from _rate(frame, plane, label, figures, references, settings)


def _pixels(
    frame: FrameRecord,
    plane: Plane,
    label: int | None,
    figures: Figures,
    own: Standard,
    pedestal: Standard | None,
    limits: Screening,
) -> Iterator[Finding]:
    """Look at the comparison of pixels with a master of the same kind."""
    outliers = figures.get(("outlier_pixels", label))
    if outliers is None:
        return
    rows, columns = plane.image_shape
    share = outliers / (rows * columns)
    offset, noise = figures.get(("offset_from_master_adu", label)), figures.get(("noise_from_master_adu", label))
    name = f"the master {frame.kind.value} of {own.master.night}"
    if offset is None or noise is None:
        if share > limits.outlier_max_ratio:
            yield Finding("pattern", keeps_out=True, text=f"{_outlier_words(share, limits)} against {name}")
        return
    expected = own.figures.get((_NOISES[frame.kind], label))
    noise, ratio = _noise(noise, expected, max(own.master.member_count, 1))
    differences = _Differences(
        offset,
        noise,
        ratio,
        figures.get(("structure_from_master_adu", label), 0.0),
        share,
        _dark_signal(own, pedestal, label) if frame.kind is Kind.DARK else None,
    )
    yield from _judge(frame.kind, differences, name, limits)


def _noise(spread: float, expected: float | None, members: int) -> tuple[float, float | None]:
    """Return the noise of one frame of the reference, and that of this frame over it if the reference tells its own.

    The spread is that of the difference: the master has its share in it, a part of the noise of its members.
    """
    if expected is None:
        return max(spread / (1 + 1 / members) ** 0.5, _SMALLEST_NOISE_ADU), None
    own = max(spread**2 - expected**2 / members, 0.0) ** 0.5
    return max(expected, _SMALLEST_NOISE_ADU), max(own, _SMALLEST_NOISE_ADU) / max(expected, _SMALLEST_NOISE_ADU)


def _judge(kind: Kind, found: _Differences, name: str, limits: Screening) -> Iterator[Finding]:
    """Return the one finding that the differences of a bias or dark amount to, if any."""
    ratio = 1.0 if found.noise_ratio is None else found.noise_ratio
    is_noisy, is_quiet = ratio > limits.noise_jump_ratio, ratio < 1 / limits.noise_jump_ratio
    if is_quiet and found.offset_adu < -_DOUBT_SIGMA * found.noise_adu:
        text = (
            f"{-found.offset_adu:.1f} ADU fainter and {1 / ratio:.1f} times quieter than {name}: "
            "was that taken with light? Look at its members"
        )
        yield Finding("reference_in_doubt", keeps_out=False, text=text)
        return
    is_uneven = found.structure_adu > limits.structure_jump_sigma * found.noise_adu
    has_outliers = found.outlier_share > limits.outlier_max_ratio
    is_bright, is_faint = _jumps(found, limits)
    has_light = (is_bright and (kind is Kind.DARK or is_noisy or is_uneven or has_outliers)) or (
        is_uneven and found.offset_adu > 0
    )
    if has_light:
        code = _LIGHT[kind]
    elif is_bright or is_faint:
        code = "level_jump"
    elif is_uneven or has_outliers:
        code = "pattern"
    elif is_noisy or is_quiet:
        code = "noise_jump"
    else:
        return
    words = []
    if is_bright or is_faint:
        limit = limits.level_jump_sigma * found.noise_adu
        words.append(f"the level lies {found.offset_adu:+.1f} ADU off (limit {limit:.1f})")
    if is_uneven:
        limit = limits.structure_jump_sigma * found.noise_adu
        words.append(f"the difference is uneven by {found.structure_adu:.1f} ADU (limit {limit:.1f})")
    if has_outliers:
        words.append(_outlier_words(found.outlier_share, limits))
    if is_noisy or is_quiet:
        words.append(f"the noise is {ratio:.2f} times as large (limit {limits.noise_jump_ratio:g}, up or down)")
    yield Finding(code, keeps_out=True, text=f"against {name}: {', '.join(words)}")


def _jumps(found: _Differences, limits: Screening) -> tuple[bool, bool]:
    """Return whether the level is too high, and whether it is too low.

    The dark signal must have changed by a factor too: within half a degree a large one changes by more than noise.
    """
    reach = limits.level_jump_sigma * found.noise_adu
    is_bright, is_faint = found.offset_adu > reach, found.offset_adu < -reach
    if found.signal_adu is not None and found.signal_adu > 0:
        factor = (found.signal_adu + found.offset_adu) / found.signal_adu
        is_bright = is_bright and factor > limits.dark_jump_ratio
        is_faint = is_faint and factor < 1 / limits.dark_jump_ratio
    return is_bright, is_faint


def _rate(
    frame: FrameRecord,
    plane: Plane,
    label: int | None,
    figures: Figures,
    references: References,
    settings: Settings,
) -> Iterator[Finding]:
    """Look at the signal of a dark above its bias, and at its rate if there are earlier darks of another exposure."""
    limits, own, pedestal = settings.screening, references.own, references.bias
    level = figures.get(("dark_level_adu", label))
    bias = None if pedestal is None else pedestal.figures.get(("bias_level_adu", label))
    if pedestal is None or level is None or bias is None:
        return
    if settings.reduction.overscan and plane.has_overscan:
        level -= figures.get(("overscan_level_adu", label), 0.0)
    noise = pedestal.figures.get(("read_noise_adu", label), figures.get(("frame_noise_adu", label), 0.0))
    reach = limits.level_jump_sigma * max(noise, _SMALLEST_NOISE_ADU)
    signal = level - bias
    if signal < -reach:
        text = f"the dark lies {-signal:.1f} ADU below the master bias of {pedestal.master.night} (limit {reach:.1f})"
        yield Finding("level_jump", keeps_out=True, text=text)
        return
    expected = _expected_signal(frame, own, pedestal, label)
    if own is None or expected is None:
        return
    limit = max(expected + reach, limits.dark_jump_ratio * expected)
    if signal > limit:
        text = (
            f"{signal:.1f} ADU above the bias, where the master dark of {own.master.night} "
            f"({own.master.exposure_s:g} s) lets expect {expected:.1f} ADU (limit {limit:.1f})"
        )
        yield Finding("light_leak", keeps_out=True, text=text)


def _expected_signal(frame: FrameRecord, own: Standard | None, pedestal: Standard, label: int | None) -> float | None:
    """Return the dark signal of a frame by the rate of a dark of another exposure, ADU, or None if unknown."""
    if own is None or not own.master.exposure_s or frame.exposure_s is None:
        return None
    signal = _dark_signal(own, pedestal, label)
    return None if signal is None else max(signal, 0.0) * frame.exposure_s / own.master.exposure_s


def _dark_signal(own: Standard, pedestal: Standard | None, label: int | None) -> float | None:
    """Return the level of a master dark above that of a master bias, ADU."""
    dark = own.figures.get(("dark_level_adu", label))
    bias = None if pedestal is None else pedestal.figures.get(("bias_level_adu", label))
    return None if dark is None or bias is None else dark - bias


def _outlier_words(share: float, limits: Screening) -> str:
    """Return how many pixels are too far from the reference."""
    return (
        f"{100 * share:.3g} % of the pixels are off by {limits.outlier_sigma:g} sigma and more "
        f"(limit {100 * limits.outlier_max_ratio:g} %)"
    )
