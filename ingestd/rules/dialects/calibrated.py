"""Signs that a frame has been through a reduction already, or is a combination: it must never feed a master."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingestd.records import HeaderUnit
from ingestd.rules.dialects.fields import Cards, number, text
from ingestd.rules.dialects.table import PROCESSED_PLANES

_CALSTAT_LETTERS = frozenset("BDFM ,")
_STEP_FLAGS = {"B": "bias_subtracted", "D": "dark_subtracted", "F": "flat_divided"}

_STEP = r"(?: frame| level| current)?[- ](?:sub|corr)"
_SPOKEN = (
    ("dark_subtracted", rf"auto[- ]?dark sub|dark{_STEP}|subtracted (?:the )?(?:\w+ )?dark"),
    ("bias_subtracted", rf"(?:bias|zero){_STEP}|subtracted (?:the )?(?:\w+ )?(?:bias|zero)"),
    ("flat_divided", r"flat[- ]?(?:field)?(?:ed|ing)?(?: frame)?[- ](?:corr|div|appl)"),
    ("flat_divided", r"flat[- ]fielded|divided by (?:\w+ )?flat|^\s*flat field \("),
    ("calibrated", r"(?:calibrated|reduced) (?:with|by|using)|imagecalibration|calibration applied|ccd_?process\b"),
    ("combined", r"imageintegration|integration with pixinsight|deepskystacker|stacked \d+|combined \d+ (?:fr|im)"),
    ("combined", r"(?:median|average|mean)[- ]combin|imcombine|(?:zero|dark|flat)combine"),
)
"""What CCDSoft, CCDOps, MaxIm, AstroImageJ, IRAF, PixInsight and their kin write into HISTORY."""

_PHRASES = tuple((flag, re.compile(pattern, re.MULTILINE)) for flag, pattern in _SPOKEN)
_ANY_PHRASE = re.compile("|".join(f"(?:{pattern})" for _, pattern in _SPOKEN), re.MULTILINE)
_DENIED = re.compile(r"\b(?:no|not|none|without|off|disabled|skipped|omitted|false|failed|never)\b")

_IRAF_STEPS = (
    ("ZEROCOR", "bias_subtracted"), ("BIASCOR", "bias_subtracted"), ("DARKCOR", "dark_subtracted"),
    ("FLATCOR", "flat_divided"), ("CCDPROC", "calibrated"), ("OVERSCAN", "calibrated"), ("BIASIM", "bias_subtracted"),
    ("DARKIM", "dark_subtracted"), ("FLATIM", "flat_divided"), ("L1IDBIAS", "bias_subtracted"),
    ("L1IDDARK", "dark_subtracted"), ("L1IDFLAT", "flat_divided"), ("SUBBIAS", "bias_subtracted"),
    ("SUBDARK", "dark_subtracted"), ("SUBOSCAN", "calibrated"), ("GAINCOR", "calibrated"),
)  # fmt: skip
"""Cards that IRAF, Gemini, BANZAI and ccdproc write when a step is done; the value is a date or a master's name."""

_USED_COUNTS = (("BIAS_CNT", "bias_subtracted"), ("DARK_CNT", "dark_subtracted"), ("FLAT_CNT", "flat_divided"))
"""How many frames stand behind the master that ASTAP applied."""

_HST_STEPS = (
    ("BIASCORR", "bias_subtracted"), ("BLEVCORR", "bias_subtracted"), ("DARKCORR", "dark_subtracted"),
    ("FLATCORR", "flat_divided"),
)  # fmt: skip
_COUNT_CARDS = ("NCOMBINE", "NCOMB", "STACKCNT", "NUMCOMB", "ICNCOMB", "STACKNUM", "NSTACK", "LIGH_CNT", "SNAPSHOT")
_COMBINED_CARDS = ("COMBINED", "ISMASTER", "STACKED")
_LEVEL_CARDS = ("PROCTYPE", "PROCSTAT", "RLEVEL", "PROCLEVL")
_RAW_LEVELS = frozenset({"", "RAW", "0", "0.0", "L0", "LEVEL0", "UNPROCESSED", "QL"})
_OFF = frozenset({"", "0", "F", "FALSE", "NO", "N", "OMIT", "PERFORM", "OFF", "SKIPPED", "UNCALIBRATED"})
_PRODUCT_UNITS = frozenset({"ELECTRON", "ELECTRONS", "E-", "E", "PHOTON", "JY", "MJY/SR", "COUNTS/S", "ELECTRON/S",
                            "ELECTRONS/S", "E-/S", "ADU/S", "NANOMAGGY"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Processing:
    """Flags and the cards that they were read from; ``combined`` names the sign of a combination, '' for none."""

    flags: tuple[str, ...]
    origins: tuple[str, ...]
    combined: str


_RAW = Processing((), (), "")


def read_processing(cards: Cards, remarks: str, units: tuple[HeaderUnit, ...], pixels: tuple[int, ...]) -> Processing:
    """Return what the header says of earlier processing.

    Parameters
    ----------
    cards : mapping
        The merged header.
    remarks : str
        COMMENT and HISTORY texts in lower case, one a line.
    units : tuple of HeaderUnit
        All units, for the names of their planes.
    pixels : tuple of int
        Indices of the units that hold pixels.
    """
    found: dict[str, str] = {}
    _add_steps(found, cards)
    _add_levels(found, cards)
    _add_planes(found, units, pixels)
    status = text(cards["CALSTAT"]).upper() if "CALSTAT" in cards else ""
    status = status if _CALSTAT_LETTERS.issuperset(status) else ""
    combined = _combined(cards) or (f"CALSTAT = {status}" if "M" in status else "")
    for letter, flag in _STEP_FLAGS.items():
        if letter in status:
            found.setdefault(flag, f"CALSTAT = {status}")
    if remarks and _ANY_PHRASE.search(remarks):
        combined = _add_phrases(found, remarks) or combined
    if not found and not combined:
        return _RAW
    if found:
        found.setdefault("calibrated", next(iter(found.values())))
    if combined:
        found.setdefault("combined", combined)
    return Processing(tuple(sorted(found)), tuple(dict.fromkeys(found.values())), combined)


def _add_steps(found: dict[str, str], cards: Cards) -> None:
    """Add the steps for which a reduction program has written a card."""
    for keyword, flag in _IRAF_STEPS:
        if keyword in cards and not _is_off(cards, keyword):
            found.setdefault(flag, keyword)
    for keyword, flag in _USED_COUNTS:
        count = number(cards[keyword]) if keyword in cards else None
        if count is not None and count[0] > 0:
            found.setdefault(flag, f"{keyword} = {count[0]:g}")
    for keyword, flag in _HST_STEPS:
        if keyword in cards and text(cards[keyword]).upper() == "COMPLETE":
            found.setdefault(flag, f"{keyword} = COMPLETE")


def _add_levels(found: dict[str, str], cards: Cards) -> None:
    """Add a flag if a processing level, a product category or the unit is not that of a raw frame."""
    for keyword in _LEVEL_CARDS:
        if keyword in cards and text(cards[keyword]).upper() not in _RAW_LEVELS:
            found.setdefault("calibrated", f"{keyword} = {text(cards[keyword])}")
    if "ESO PRO CATG" in cards:
        found.setdefault("calibrated", f"ESO PRO CATG = {text(cards['ESO PRO CATG'])}")
    if "BUNIT" in cards and text(cards["BUNIT"]).upper() in _PRODUCT_UNITS:
        found.setdefault("calibrated", f"BUNIT = {text(cards['BUNIT'])}")


def _is_off(cards: Cards, keyword: str) -> bool:
    """Return whether a step's card says that the step was not done; a number counts something else."""
    value = cards[keyword]
    if isinstance(value, bool):
        return not value
    return not isinstance(value, str) or text(value).upper() in _OFF


def _combined(cards: Cards) -> str:
    """Return the card that says that several frames were combined, or ''."""
    for keyword in _COUNT_CARDS:
        if keyword in cards:
            count = number(cards[keyword])
            if count is not None and count[0] > 1:
                return f"{keyword} = {count[0]:g}"
    for keyword in _COMBINED_CARDS:
        if keyword in cards and not _is_off(cards, keyword):
            return keyword
    for keyword in ("IMCMB001", "IMCMB002"):
        if keyword in cards:
            return keyword
    return ""


def _add_planes(found: dict[str, str], units: tuple[HeaderUnit, ...], pixels: tuple[int, ...]) -> None:
    """Add a flag if an uncertainty or a mask with pixels stands beside the image."""
    if len(pixels) < 2:  # noqa: PLR2004 - an image and its mask
        return
    for index in pixels:
        name = text(units[index].cards.get("EXTNAME")).upper()
        if name.partition("_")[0] in PROCESSED_PLANES:
            found.setdefault("calibrated", f"extension {name}")
            return


def _add_phrases(found: dict[str, str], remarks: str) -> str:
    """Add the steps that HISTORY lines speak of; return the line of a combination, or ''."""
    combined = ""
    for line in remarks.split("\n"):
        if not _ANY_PHRASE.search(line) or _DENIED.search(line):
            continue
        origin = f"HISTORY {line.strip()[:60]}"
        for flag, pattern in _PHRASES:
            if pattern.search(line):
                if flag == "combined":
                    combined = combined or origin
                else:
                    found.setdefault(flag, origin)
    return combined
