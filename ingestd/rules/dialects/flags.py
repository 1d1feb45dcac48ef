"""What keeps a frame out of masters, and what a person should know of it: structure, processing, temperature, clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from ingestd.records import CALIBRATION_KINDS, HeaderUnit, Kind
from ingestd.rules.dialects.calibrated import Processing
from ingestd.rules.dialects.fields import Cards, number, text
from ingestd.rules.dialects.kinds import Decision
from ingestd.rules.dialects.planes import Image
from ingestd.rules.dialects.words import DARK_SUBTRACTED_CODE

UNSTABLE_C = 0.5
"""Difference of measured and set temperature from which a sensor was not stable (BANZAI)."""

_ROUNDING_C = 1e-6
_FUTURE = timedelta(days=1)


def by_structure(
    decision: Decision, processing: Processing, units: tuple[HeaderUnit, ...], images: tuple[Image, ...],
    planes: tuple[Image, ...],
) -> Decision:  # fmt: skip
    """Return the decision after a look at the structure: no plane or a combination is never a frame of the night."""
    if not planes:
        if images:
            axes = " x ".join(map(str, reversed(images[0].axes)))
            return Decision("cube" if len(images[0].axes) > 2 else "spectrum", f"image of {axes} pixels",  # noqa: PLR2004
                            notes=(f"no image of two axes: {axes}",))  # fmt: skip
        tables = any(text(unit.cards.get("XTENSION")).upper() in {"BINTABLE", "TABLE", "A3DTABLE"} for unit in units)
        return Decision("table" if tables else "no-image", "no image in the file", notes=("the file holds no image",))
    if processing.combined:
        if decision.kind in CALIBRATION_KINDS:
            return Decision("master", processing.combined, notes=(f"a combined {decision.label}: {decision.source}",))
        if decision.kind in {Kind.LIGHT, Kind.UNKNOWN}:
            return Decision("stack", processing.combined, notes=("a combination of several frames",))
    return decision


def reason_codes(
    decision: Decision, processing: Processing, *, is_auto_dark: bool, is_unstable: bool, start: datetime | None,
    now: datetime,
) -> tuple[str, ...]:  # fmt: skip
    """Return the reason codes that keep the frame out of masters, sorted."""
    flags = {*decision.flags, *processing.flags}
    if is_auto_dark:
        flags |= {"calibrated", "dark_subtracted"}
    if is_unstable and decision.kind is Kind.DARK:
        flags.add("unstable_temperature")
    if start is None and decision.kind in CALIBRATION_KINDS:
        flags.add("no_date")
    if start is not None and start > now + _FUTURE:
        flags.add("future_date")
    return tuple(sorted(flags))


def warning_notes(
    cards: Cards, processing: Processing, temperatures: tuple[float | None, float | None], start: datetime | None,
    now: datetime,
) -> tuple[str, ...]:  # fmt: skip
    """Return sentences on what a person should know of this frame."""
    notes = []
    if processing.origins:
        notes.append(f"already processed: {'; '.join(processing.origins)}")
    pedestal = number(cards.get("PEDESTAL"))
    if pedestal is not None and pedestal[0]:
        notes.append(f"PEDESTAL = {pedestal[0]:g} is to be added to the pixels")
    measured, wanted = temperatures
    if measured is not None and wanted is not None and is_unstable(measured, wanted):
        away = abs(measured - wanted)
        notes.append(f"sensor at {measured:.2f} C, {away:.2f} C from its set point {wanted:.2f} C")
    if start is not None and start > now + _FUTURE:
        notes.append(f"taken at {start.isoformat()}, after now: the clock of the camera's computer is wrong")
    return tuple(notes)


def is_unstable(measured: float | None, wanted: float | None) -> bool:
    """Return whether the sensor was away from its set point."""
    return measured is not None and wanted is not None and abs(measured - wanted) >= UNSTABLE_C - _ROUNDING_C


def is_auto_dark(cards: Cards) -> bool:
    """Return whether CCDSoft or TheSkyX subtracted a dark as the frame arrived."""
    code = number(cards.get("CCDSFPT", cards.get("PICTTYPE")))
    return code is not None and code[0] == DARK_SUBTRACTED_CODE
