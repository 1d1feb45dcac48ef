"""The verdict on one frame: what is wrong with it by itself, and what its references say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingestd.records import Finding, FrameRecord, Kind, Metric, Plane, Verdict
from ingestd.rules.screening.comparing import against_reference
from ingestd.rules.screening.references import Figures, References, figures_of, plane_labels
from ingestd.settings import Screening, Settings

_NO_LIGHT_SIGMA = 6.0


def verdict(frame: FrameRecord, figures: Sequence[Metric], references: References, settings: Settings) -> Verdict:
    """Return what the pixels of a calibration frame say against its header.

    Parameters
    ----------
    frame : FrameRecord
        A bias, dark or flat.
    figures : sequence of Metric
        As measured, with the comparison if the reference is alike.
    references : References
    settings : Settings
        Limits (``screening``), and whether overscan is used (``reduction``).
    """
    table, limits = figures_of(figures), settings.screening
    found = [*_exposure(frame, limits)]
    for plane, label in zip(frame.planes, plane_labels(frame), strict=True):
        own = list(_alone(frame, plane, label, table, limits))
        if not any(finding.keeps_out for finding in own):
            pedestal = _pedestal(plane, label, table, references, settings)
            own += _level(frame, plane, label, table, pedestal, limits)
            own += against_reference(frame, plane, label, table, references, settings)
        own += _overscan(frame, label, table, limits)
        found += own if label is None else [_of_plane(finding, label) for finding in own]
    return Verdict(
        frame.frame_id,
        tuple(found),
        "" if references.own is None else references.own.master.master_id,
        "" if references.bias is None else references.bias.master.master_id,
    )


def light_findings(frame: FrameRecord, figures: Sequence[Metric], settings: Settings) -> tuple[Finding, ...]:
    """Return what is odd about a science frame that was reduced; nothing here keeps it from anything."""
    table, limit = figures_of(figures), settings.screening.light_max_level
    found = []
    for plane, label in zip(frame.planes, plane_labels(frame), strict=True):
        sky, full = table.get(("sky_level_adu", label)), _full_scale_adu(frame, plane)
        if sky is not None and full is not None and sky > limit * full:
            text = (
                f"the sky is {sky:.0f} ADU, {_percent(sky / full)} of saturation (noted from {_percent(limit)}): "
                "a flat, twilight, or the Moon?"
            )
            found.append(Finding("bright_sky", keeps_out=False, text=text))
    return tuple(found)


def _full_scale_adu(frame: FrameRecord, plane: Plane) -> float | None:
    """Return the level of saturation: that of the frame, else the end of 8 or 16 bits, else None."""
    if frame.saturation_adu is not None:
        return frame.saturation_adu
    largest = {8: 255, 16: 32767}.get(plane.bitpix)
    return None if largest is None else plane.bzero + plane.bscale * largest


def _of_plane(finding: Finding, label: int) -> Finding:
    """Return a finding that names its plane."""
    return Finding(finding.code, finding.keeps_out, f"HDU {label}: {finding.text}")


def _exposure(frame: FrameRecord, limits: Screening) -> Iterator[Finding]:
    """Look at the exposure of a bias."""
    if frame.kind is Kind.BIAS and frame.exposure_s is not None and frame.exposure_s > limits.bias_max_exposure_s:
        text = (
            f"exposed {frame.exposure_s:g} s: a bias has at most screening.bias_max_exposure_s = "
            f"{limits.bias_max_exposure_s:g} s"
        )
        yield Finding("bias_exposure", keeps_out=True, text=text)


def _alone(
    frame: FrameRecord, plane: Plane, label: int | None, figures: Figures, limits: Screening
) -> Iterator[Finding]:
    """Look for what is wrong with an image whatever it is of."""
    rows, columns = plane.image_shape
    shares = {
        name: figures.get((name, label), 0.0) / (rows * columns)
        for name in ("saturated_pixels", "ceiling_pixels", "floor_pixels")
    }
    limit = f"at most screening.saturated_max_ratio = {_percent(limits.saturated_max_ratio)}"
    if shares["ceiling_pixels"] == 1:
        level = figures.get((f"{frame.kind.value}_level_adu", label), 0.0)
        yield Finding("constant_image", keeps_out=True, text=f"every pixel has the same value, {level:g} ADU")
    elif shares["floor_pixels"] > limits.saturated_max_ratio:
        share = _percent(shares["floor_pixels"])
        text = f"{share} of the pixels share the smallest value, as if they were not read out; {limit}"
        yield Finding("not_read_out", keeps_out=True, text=text)
    elif shares["saturated_pixels"] > limits.saturated_max_ratio:
        text = f"{_percent(shares['saturated_pixels'])} of the pixels are saturated; {limit}"
        yield Finding("saturated", keeps_out=True, text=text)
    elif frame.kind is Kind.FLAT and shares["ceiling_pixels"] > limits.saturated_max_ratio:
        text = f"{_percent(shares['ceiling_pixels'])} of the pixels share the largest value; {limit}"
        yield Finding("saturated", keeps_out=True, text=text)


def _pedestal(
    plane: Plane, label: int | None, figures: Figures, references: References, settings: Settings
) -> float | None:
    """Return what lies below the light of a raw flat, ADU: its overscan, and the masters above that."""
    overscan = figures.get(("overscan_level_adu", label))
    is_corrected = settings.reduction.overscan and plane.has_overscan
    below = references.pedestal_adu(label)
    if not is_corrected:
        return below
    return None if overscan is None else overscan + (below or 0.0)


def _level(
    frame: FrameRecord,
    plane: Plane,
    label: int | None,
    figures: Figures,
    pedestal_adu: float | None,
    limits: Screening,
) -> Iterator[Finding]:
    """Look at the level of a frame against saturation, and of a flat against its noise."""
    level, full = figures.get((f"{frame.kind.value}_level_adu", label)), _full_scale_adu(frame, plane)
    if level is None:
        return
    if frame.kind is Kind.FLAT:
        noise = figures.get(("frame_noise_adu", label), 0.0)
        yield from _flat_level(level, noise, pedestal_adu, full, limits)
        return
    name, limit, code = {
        Kind.BIAS: ("bias_max_level", limits.bias_max_level, "bias_with_flux"),
        Kind.DARK: ("dark_max_level", limits.dark_max_level, "light_leak"),
    }[frame.kind]
    if full is not None and level > limit * full:
        text = f"the level is {level:.0f} ADU, {_percent(level / full)} of saturation; at most screening.{name} = "
        yield Finding(code, keeps_out=True, text=f"{text}{_percent(limit)}")


def _flat_level(
    level: float, noise: float, pedestal_adu: float | None, full: float | None, limits: Screening
) -> Iterator[Finding]:
    """Look at the light of a flat. Without a known pedestal the raw level is its upper limit."""
    signal = level - (pedestal_adu or 0.0)
    most = "at most " if pedestal_adu is None else ""
    if signal <= _NO_LIGHT_SIGMA * noise:
        text = f"the light is {most}{signal:.1f} ADU at a noise of {noise:.1f} ADU, as with the lamp off"
        yield Finding("flat_without_light", keeps_out=True, text=text)
    elif signal < limits.flat_min_signal_to_noise * noise:
        text = (
            f"signal to noise of a pixel is {most}{signal / noise:.1f} ({signal:.0f} / {noise:.1f} ADU); at least "
            f"screening.flat_min_signal_to_noise = {limits.flat_min_signal_to_noise:g}"
        )
        yield Finding("flat_too_faint", keeps_out=True, text=text)
    elif full is not None and signal < limits.flat_min_level * full:
        text = (
            f"the light is {most}{signal:.0f} ADU, {_percent(signal / full)} of saturation; at least "
            f"screening.flat_min_level = {_percent(limits.flat_min_level)}"
        )
        yield Finding("flat_too_faint", keeps_out=True, text=text)
    elif full is not None and level > limits.flat_max_level * full:
        text = (
            f"the level is {level:.0f} ADU, {_percent(level / full)} of saturation; at most "
            f"screening.flat_max_level = {_percent(limits.flat_max_level)}"
        )
        yield Finding("flat_too_bright", keeps_out=True, text=text)


def _overscan(frame: FrameRecord, label: int | None, figures: Figures, limits: Screening) -> Iterator[Finding]:
    """Note where a bias differs from its own overscan: then subtracting one does not do for the other."""
    level, overscan = figures.get(("bias_level_adu", label)), figures.get(("overscan_level_adu", label))
    noise = figures.get(("frame_noise_adu", label))
    if frame.kind is not Kind.BIAS or level is None or overscan is None or noise is None:
        return
    if abs(level - overscan) > limits.overscan_jump_sigma * noise:
        text = (
            f"the image lies {level - overscan:+.1f} ADU from its overscan, more than screening.overscan_jump_sigma = "
            f"{limits.overscan_jump_sigma:g} times the noise of {noise:.1f} ADU"
        )
        yield Finding("overscan_differs", keeps_out=False, text=text)


def _percent(share: float) -> str:
    """Return a share as text."""
    return f"{100 * share:.3g} %"
