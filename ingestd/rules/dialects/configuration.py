"""The instrument set-up of a frame: window, binning, read-out mode, gain and offset setting, colour pattern."""

from __future__ import annotations

from dataclasses import dataclass

from ingestd.records import Configuration, Plane
from ingestd.rules.dialects.fields import Cards, first_number, first_text, number, pair_of_binnings, text
from ingestd.rules.dialects.recognise import keywords_of
from ingestd.rules.dialects.sections import is_reversed, parse_section
from ingestd.rules.dialects.table import (
    BAYER_PATTERNS,
    BINNING_PAIRS,
    BINNING_TEXTS,
    DETECTOR_SECTIONS,
    GENERIC,
    WINDOW_PAIRS,
    Dialect,
)
from ingestd.settings import Keywords

_MAX_BINNING = 64
_MAX_PIXEL = 1 << 31
_SMALLEST_SETTING = 10.0


@dataclass(frozen=True, slots=True)
class SetUp:
    """A configuration, the cards it came from, the keyword of e-/ADU if GAIN is that, and notes."""

    configuration: Configuration
    sources: tuple[tuple[str, str], ...]
    gain_is_e_per_adu: bool
    notes: tuple[str, ...]


def read_setup(
    cards: Cards, dialect: Dialect, own: Keywords, extra_match: tuple[str, ...], planes: tuple[Plane, ...]
) -> SetUp:
    """Return the configuration of a frame.

    Parameters
    ----------
    cards : mapping
        The merged header.
    dialect : Dialect
        Where the fields are, and what the GAIN card means.
    own : Keywords
        Keywords of the settings, which go before the dialect's.
    extra_match : tuple of str
        Further keywords that the camera's settings want to be equal.
    planes : tuple of Plane
        The planes; the first one gives width and height.
    """
    notes: list[str] = []
    instrument = first_text(cards, (*own.instrument, *keywords_of(dialect.name, "instrument")))
    mode = first_text(cards, (*own.readout_mode, *keywords_of(dialect.name, "readout_mode")))
    offset = first_number(cards, (*own.offset, *keywords_of(dialect.name, "offset")))
    x_binning, y_binning, binning_source = read_binning(cards)
    window, window_source = _window(cards)
    if window is None and len(planes) == 1:
        window, window_source = _window_of_sections(cards, planes[0], (x_binning, y_binning))
    bayer, bayer_source = _bayer(cards, planes[0].shape[0] if planes else 0, notes)
    setting, setting_source, is_e_per_adu = _gain_setting(cards, dialect, own, notes)
    sources = (
        ("instrument", instrument[1] if instrument else ""),
        ("readout_mode", mode[1] if mode else ""),
        ("offset_setting", offset[2] if offset else ""),
        ("binning", binning_source),
        ("window", window_source),
        ("bayer", bayer_source),
        ("gain_setting", setting_source),
    )
    configuration = Configuration(
        instrument=instrument[0] if instrument else "",
        width_px=planes[0].shape[1] if planes else 0,
        height_px=planes[0].shape[0] if planes else 0,
        x_binning=x_binning,
        y_binning=y_binning,
        window=window,
        readout_mode=mode[0] if mode else "",
        gain_setting=setting,
        offset_setting=offset[0] if offset else None,
        bayer=bayer,
        planes=len(planes),
        extra=_extra(cards, extra_match, planes),
        amplifiers=max(1, len(planes[0].channels)) if planes else 1,
        image_px=planes[0].image_shape[::-1] if planes and planes[0].image_shape != planes[0].shape else None,
    )
    return SetUp(configuration, tuple(it for it in sources if it[1]), is_e_per_adu, tuple(notes))


def _extra(cards: Cards, extra_match: tuple[str, ...], planes: tuple[Plane, ...]) -> tuple[tuple[str, str], ...]:
    """Return what else must be equal: detector and orientation where a card tells them, and what the settings want."""
    told = [(keyword, text(cards.get(keyword))) for keyword in (*GENERIC["detector"], *GENERIC["orientation"])]
    extra = [it for it in told if it[1]] + [(keyword, text(cards.get(keyword.upper()))) for keyword in extra_match]
    if any(plane.has_overscan for plane in planes):
        # a master of such frames lost its level to the overscan: it must never meet a frame that keeps it
        extra.append(("overscan", "yes"))
    return tuple(dict.fromkeys(extra))


def read_binning(cards: Cards) -> tuple[int, int, str]:
    """Return x and y binning and where they were found, in whatever notation; 1 x 1, '' if nothing says it."""
    for x_keyword, y_keyword in BINNING_PAIRS:
        if x_keyword in cards:
            x = pair_of_binnings(cards[x_keyword])
            y = pair_of_binnings(cards.get(y_keyword, cards[x_keyword]))
            if x is not None and y is not None:
                return x[0], y[-1], x_keyword
    for keyword in BINNING_TEXTS:
        if keyword in cards:
            pair = pair_of_binnings(cards[keyword])
            if pair is not None:
                return pair[0], pair[1], keyword
    if "CTYPE1" not in cards and "CUNIT1" not in cards and "CDELT1" in cards:
        step = number(cards["CDELT1"]), number(cards.get("CDELT2"))
        if step[0] is not None and step[1] is not None and _is_binning(step[0][0]) and _is_binning(step[1][0]):
            return int(step[0][0]), int(step[1][0]), "CDELT1"
    return 1, 1, ""


def _is_binning(value: float) -> bool:
    """Return whether a number can be a binning factor."""
    return value == int(value) and 1 <= value <= _MAX_BINNING


def _window(cards: Cards) -> tuple[tuple[int, int] | None, str]:
    """Return the origin of the read-out window in binned pixels, zero-based, and its keyword."""
    for x_keyword, y_keyword, first in WINDOW_PAIRS:
        if x_keyword in cards and y_keyword in cards:
            x, y = number(cards[x_keyword]), number(cards[y_keyword])
            if x is not None and y is not None and max(abs(x[0]), abs(y[0])) < _MAX_PIXEL:
                return (int(x[0]) - first, int(y[0]) - first), x_keyword
    return None, ""


def _window_of_sections(cards: Cards, plane: Plane, binning: tuple[int, int]) -> tuple[tuple[int, int] | None, str]:
    """Return the origin of the image by its section of the detector (unbinned pixels), and the keyword.

    A section that is mirrored, or has not the size of the image without overscan, tells nothing.
    """
    rows, columns = plane.image_shape
    for keyword in DETECTOR_SECTIONS:
        words = text(cards.get(keyword))
        section = parse_section(words)
        if section is None or is_reversed(words):
            continue
        sizes = (section.x1 - section.x0) / binning[0], (section.y1 - section.y0) / binning[1]
        if abs(sizes[0] - columns) < 1 and abs(sizes[1] - rows) < 1:
            return (section.x0 // binning[0], section.y0 // binning[1]), keyword
    return None, ""


def _bayer(cards: Cards, height_px: int, notes: list[str]) -> tuple[str, str]:
    """Return the colours of the first two rows as they stand in the file ('RGGB'), and the keyword they came from.

    XBAYROFF and YBAYROFF say where the first pixel is in the pattern. The pattern is told from the top of the image:
    with ROWORDER = 'BOTTOM-UP' the first row of the file is the last of the image, and RGGB of an even number of rows
    is GBRG in the file (Siril, N.I.N.A.); without ROWORDER, and with 'TOP-DOWN', the file begins at the top.
    """
    for keyword in (*GENERIC["bayer"], "FILTER"):
        if keyword not in cards:
            continue
        pattern = text(cards[keyword]).upper()
        if pattern not in BAYER_PATTERNS:
            continue
        offsets = [number(cards.get(name)) for name in ("XBAYROFF", "YBAYROFF")]
        column, row = (int(it[0]) if it is not None and abs(it[0]) < _MAX_PIXEL else 0 for it in offsets)
        if text(cards.get("ROWORDER")).upper().startswith("BOTTOM"):
            notes.append(f"ROWORDER = BOTTOM-UP: {pattern} is counted from the last row of the file")
            rows = [height_px - 1 + row, height_px - 2 + row]
        else:
            rows = [row, row + 1]
        return "".join(pattern[2 * (y % 2) + (column + x) % 2] for y in rows for x in (0, 1)), keyword
    return "", ""


def _gain_setting(cards: Cards, dialect: Dialect, own: Keywords, notes: list[str]) -> tuple[float | None, str, bool]:
    """Return the gain setting, its keyword, and whether the GAIN card is in e-/ADU instead.

    Where no dialect declares it, a GAIN beside EGAIN, an OFFSET or a whole number from 10 is a setting of the camera;
    any other is left alone.
    """
    found = first_number(cards, own.gain_setting)
    if found is not None:
        return found[0], found[2], False
    value = number(cards["GAIN"]) if "GAIN" in cards else None
    if dialect.gain == "e_per_adu" or "GAIN" in own.gain_e_per_adu:
        return None, "", dialect.gain == "e_per_adu"
    if value is not None:
        whole = value[0] == int(value[0])
        is_setting = dialect.gain == "setting" or "OFFSET" in cards
        if is_setting or (whole and ("EGAIN" in cards or value[0] >= _SMALLEST_SETTING)):
            return value[0], "GAIN", False
        notes.append(
            f"GAIN = {value[0]:g} is either a setting or e-/ADU and is not used: name it in [camera.keywords] "
            "gain_setting or gain_e_per_adu"
        )
    other = first_number(cards, keywords_of(dialect.name, "gain_setting"))
    return (other[0], other[2], False) if other is not None else (None, "", False)
