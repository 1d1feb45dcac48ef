"""What ``inspect`` prints for a person: frames and sets as tables, histograms as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ingestd.cli.tables import Row, table
from ingestd.jobs.inspecting import FrameSet, LookedFrame, LookedPlane, PlaneFigures
from ingestd.pixels.inspecting import Bar, Description, NoiseWays, Spot
from ingestd.pixels.quality import Estimate
from ingestd.records import FrameRecord, Kind, Section

_WIDTH = 50
_AREA_COLUMNS = {
    "area": "ADU of",
    "pixels": "pixels",
    "mean": "mean",
    "median": "median",
    "deviation": "std",
    "mad_deviation": "1.4826 MAD",
    "clipped_mean": "clipped mean",
    "clipped_deviation": "clipped std",
    "noise": "neighbours",
}
_BRIEF_COLUMNS = {
    "path": "frame",
    "kind": "kind",
    "exposure_s": "s",
    "ccd_temp_c": "C",
    "filter_name": "filter",
    "mean": "ADU: mean",
    "median": "median",
    "clipped_mean": "clipped mean",
    "clipped_deviation": "clipped std",
    "lowest": "lowest",
    "brightest": "brightest",
}
_SPOT_COLUMNS = {"area": "area", "what": "pixel", "value": "ADU", "numpy": "[y, x]", "fits": "FITS x,y"}
_BY_HAND = "((F1+F2) - (B1+B2)) / (var(F1-F2) - var(B1-B2))"
_NOISE_COLUMNS = {"adu": "ADU", "how": "how", "remark": ""}


def frame_text(frame: LookedFrame, *, header: bool) -> str:
    """Return one frame for a person."""
    several = len(frame.planes) > 1
    lines = [_title(frame)]
    for plane in frame.planes:
        if several:
            lines.append(f"HDU {plane.plane.index} {plane.plane.name}".rstrip())
        lines += _plane_lines(plane)
    if header:
        for number, cards in enumerate(frame.headers):
            lines += [f"Header of HDU {number}", *cards]
    return "\n".join(lines)


def brief_text(frames: Sequence[LookedFrame]) -> str:
    """Return all frames as one table, a line for each plane: its last area, which is what sets are measured in."""
    rows: list[Row] = []
    for frame in frames:
        record = frame.record
        for plane in frame.planes:
            name = frame.path if len(frame.planes) == 1 else f"{frame.path}[{plane.plane.index}]"
            row: dict[str, object] = {
                "path": name,
                "kind": record.label or record.kind,
                "exposure_s": record.exposure_s,
                "ccd_temp_c": record.ccd_temp_c,
                "filter_name": record.filter_name,
            }
            if plane.areas:
                it = plane.areas[-1].description
                row |= {**_area_row("", it), "lowest": it.lowest.value, "brightest": it.brightest[0].value}
            rows.append(row)
    return table(rows, _BRIEF_COLUMNS) if rows else ""


def set_text(own: FrameSet, figures: Sequence[PlaneFigures], frames: Sequence[LookedFrame]) -> str:
    """Return a set for a person."""
    lines = [f"{len(own.frames)} frames of kind {_words(own)}"]
    for number, plane in enumerate(figures):
        if len(figures) > 1:
            lines.append(f"HDU {plane.plane}")
        lines += _image_lines(plane, own.areas[number])
        looked = [frames[place].planes[number] for place in own.frames]
        lines += _pixel_lines(looked)
        if plane.noise is not None:
            lines += _noise_lines(own, plane.noise, looked)
        if plane.dark is not None:
            lines += _dark_lines(plane)
        if own.kind is Kind.FLAT:
            lines += _gain_lines(own, plane, frames[own.frames[0]].record)
        lines += plane.missing
    return "\n".join(lines)


# --- one frame --------------------------------------------------------------------------------------------------------


def _title(frame: LookedFrame) -> str:
    """Return name, kind and why, and what the header says of the exposure."""
    record = frame.record
    facts = [
        "" if record.exposure_s is None else f"{record.exposure_s:g} s",
        "" if record.ccd_temp_c is None else f"{record.ccd_temp_c:.1f} C",
        f"filter {record.filter_name}" if record.filter_name else "",
        ""
        if record.gain_e_per_adu is None
        else f"{record.gain_e_per_adu:g} e-/ADU by {record.source('gain_e_per_adu')}",
        f"{record.obs_start:%Y-%m-%d %H:%M:%S} UTC" if record.obs_start else "",
    ]
    lines = [
        frame.path,
        f"  {record.label or record.kind}, by {record.source('kind') or 'nothing'} (dialect {record.dialect}"
        + (f", by {record.source('dialect')})" if record.source("dialect") else ")"),
        "  " + ", ".join(fact for fact in facts if fact),
        *(f"  note: {note}" for note in (*record.flags, *record.notes, *frame.doubts)),
    ]
    return "\n".join(line for line in lines if line.strip())


def _plane_lines(plane: LookedPlane) -> list[str]:
    """Return areas, extremes and histogram of a plane."""
    if not plane.areas:
        return list(plane.missing)
    measured = plane.areas[-1]
    lines = [table([_area_row(area.name, area.description) for area in plane.areas], _AREA_COLUMNS)]
    spots = [row for area in plane.areas for row in _spot_rows(area.name, area.description, area.section)]
    lines += [table(spots, _SPOT_COLUMNS), *_bar_lines(measured.name, measured.description.bars)]
    unusable = plane.areas[0].description.unusable
    if unusable:
        lines.append(f"{unusable} pixels are not finite and left out")
    for name, noise in plane.overscan_noise.items():
        lines.append(f"overscan{' ' + name if name else ''}: noise {noise:.4g} ADU without the step of the converter")
    if plane.pixel is not None:
        lines.append(f"the pixel asked for: {plane.pixel:g} ADU")
    return lines + list(plane.missing)


def _area_row(name: str, it: Description) -> Row:
    """Return a row of the table of areas."""
    return {key: getattr(it, key) for key in _AREA_COLUMNS if key != "area"} | {"area": name}


def _spot_rows(name: str, it: Description, section: Section) -> list[Row]:
    """Return the extremes and the brightest pixels as rows; places are those of the whole plane."""
    named = [("lowest", it.lowest), *((f"brightest {n}", spot) for n, spot in enumerate(it.brightest, 1))]
    return [_spot_row(name, what, spot, section) for what, spot in named]


def _spot_row(name: str, what: str, spot: Spot, section: Section) -> Row:
    """Return a pixel as a row."""
    y, x = spot.y + section.y0, spot.x + section.x0
    return {"area": name, "what": what, "value": spot.value, "numpy": f"[{y}, {x}]", "fits": f"{x + 1},{y + 1}"}


def _bar_lines(name: str, bars: Sequence[Bar]) -> list[str]:
    """Return the histogram: # for pixels, | where the Gaussian of equal mean, width and number ends."""
    most = max(max(bar.pixels, bar.gaussian) for bar in bars)
    lines = [f"{name}: histogram (#) and its Gaussian (|), from clipped mean and std"]
    for bar in bars:
        filled, mark = (round(_WIDTH * value / most) for value in (bar.pixels, bar.gaussian))
        drawn = ("#" * filled).ljust(_WIDTH + 1)
        drawn = f"{drawn[:mark]}|{drawn[mark + 1 :]}"
        lines.append(f"{bar.low:12.6g} {drawn} {bar.pixels:9d} {bar.gaussian:11.1f}")
    return lines


# --- a set ------------------------------------------------------------------------------------------------------------


def _image_lines(plane: PlaneFigures, origin: Section) -> list[str]:
    """Return mean image and image of standard deviations in numbers, as far as they can be measured."""
    described = {"mean image": plane.mean, "std image": plane.deviation}
    areas = {name: it for name, it in described.items() if it is not None}
    if not areas:
        return []
    spots = [row for name, it in areas.items() for row in _spot_rows(name, it, origin)]
    return [table([_area_row(name, it) for name, it in areas.items()], _AREA_COLUMNS), table(spots, _SPOT_COLUMNS)]


def _words(own: FrameSet) -> str:
    """Return what the frames of a set share."""
    words = [str(own.kind)]
    if own.kind in (Kind.BIAS, Kind.DARK) and own.exposure_s is not None:
        words.append(f"{own.exposure_s:g} s")
    if own.filter_name:
        words.append(f"filter {own.filter_name}")
    return ", ".join(words)


def _pixel_lines(looked: Sequence[LookedPlane]) -> list[str]:
    """Return one pixel through the set."""
    values = [plane.pixel for plane in looked if plane.pixel is not None]
    if len(values) < 2:  # noqa: PLR2004 - through a set
        return []
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return [f"the pixel: mean {mean:.6g}, std {deviation:.6g} ADU; {' '.join(f'{value:g}' for value in values)}"]


def _noise_lines(own: FrameSet, ways: NoiseWays, looked: Sequence[LookedPlane]) -> list[str]:
    """Return the noise of one pixel each way."""
    what = "read noise" if own.kind is Kind.BIAS else "noise of one pixel of a dark"
    step = f"the step of {ways.step:g} ADU taken out" if ways.step else ""
    rows: list[Row] = [
        {"adu": _with_error(ways.pairs), "how": "pairs: clipped std of differences / sqrt(2)", "remark": step},
        {"adu": _with_error(ways.stack), "how": "stack: root mean square over pixels", "remark": step},
        {
            "adu": f"{ways.plain_mean:.4g}",
            "how": "stack: plain mean over pixels",
            "remark": f"biased: times c4({ways.frames}) = {ways.mean_factor:.4f}",
        },
        {
            "adu": f"{ways.plain_median:.4g}",
            "how": "stack: plain median over pixels",
            "remark": f"biased: times {ways.median_factor:.4f}",
        },
        {
            "adu": "" if ways.neighbours is None else f"{ways.neighbours:.4g}",
            "how": "first frame: vertical neighbours",
            "remark": "too few of them" if ways.neighbours is None else "holds rows and pixels",
        },
        {
            "adu": f"{ways.image_deviation:.4g}",
            "how": "first frame: std over the image",
            "remark": "no read noise: it contains the structure of the image",
        },
    ]
    overscans = [noise for plane in looked for noise in plane.overscan_noise.values()]
    if overscans:
        mean = math.sqrt(math.fsum(noise**2 for noise in overscans) / len(overscans))
        rows.insert(2, {"adu": f"{mean:.4g}", "how": "overscan: clipped std, all frames", "remark": step})
    return [f"{what}, {ways.frames} frames", table(rows, _NOISE_COLUMNS)]


def _dark_lines(plane: PlaneFigures) -> list[str]:
    """Return the dark rate each way."""
    dark = plane.dark
    if dark is None:
        return []
    lines = [
        "dark rate, (mean dark - mean bias) / exposure",
        f"  {_with_error(dark.median)} ADU/s median over pixels",
        f"  {_with_error(dark.mean)} ADU/s mean over pixels, hot ones included",
        f"  {dark.clipped_mean:.4g} ADU/s mean clipped at 5 sigma",
    ]
    if dark.bias_exposure_s:
        lines.append(f"  the biases of {dark.bias_exposure_s:g} s hold {dark.in_bias_adu:.3g} ADU of it")
    return lines


def _gain_lines(own: FrameSet, plane: PlaneFigures, record: FrameRecord) -> list[str]:
    """Return the gain each way, beside what the header says."""
    lines, gain, ways = [], plane.gain, plane.gain_by_hand
    where = "box" if own.is_boxed else "middle"
    if gain is not None:
        lines.append(f"gain {_with_error(gain)} e-/ADU in boxes of 16 px, level scaled, mean over pairs")
    if ways is not None:
        off = 100 * (ways.quick / ways.janesick - 1)
        first, second = ways.levels_adu
        neglected = (
            f"the pedestal of {ways.pedestal_adu:.1f} ADU below {first:.0f} and {second:.0f}, and the read noise"
        )
        lines += [
            f"gain {ways.janesick:.4g} e-/ADU by hand over the {where}: {_BY_HAND}",
            f"gain {ways.clipped:.4g} e-/ADU by hand, both differences clipped at 3 sigma;",
            f"    times {ways.clipped_factor:.3f}, as the cut takes the tails of the noise too",
            f"gain {ways.quick:.4g} e-/ADU in the quick form (F1+F2) / var(F1-F2): off by {off:+.1f} %;",
            f"    it neglects {neglected}",
        ]
    if record.gain_e_per_adu is not None:
        lines.append(f"gain {record.gain_e_per_adu:g} e-/ADU says the header ({record.source('gain_e_per_adu')})")
    return lines


def _with_error(it: Estimate) -> str:
    """Return a figure with its standard error."""
    return f"{it.value:.4g}" if it.error is None else f"{it.value:.4g} +- {it.error:.2g}"
