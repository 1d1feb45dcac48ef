"""Samples for the tests of proposals: headers as a camera's program writes them, one directory at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingestd.rules.proposing import Refused, Sample, Survey, propose
from tests.rules.dialect_headers import header

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVENING = datetime(2024, 3, 1, 20, 0, tzinfo=UTC)
TYPES = {"bias": "Bias Frame", "dark": "Dark Frame", "flat": "Flat Frame", "light": "Light Frame"}


def sample(path, *extensions, minute=0, day=0, comments=(), **cards):
    """One file of a camera that writes what every program does; a card of None is left out, '_' stands for '-'."""
    start = (EVENING + timedelta(days=day, minutes=minute)).replace(tzinfo=None).isoformat()
    common = {
        "SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": 100, "NAXIS2": 80, "BZERO": 32768, "DATE-OBS": start,
        "INSTRUME": "Apogee Alta", "EXPTIME": 60.0, "CCD-TEMP": -20.0, "SET-TEMP": -20.0, "XBINNING": 1, "YBINNING": 1,
    }  # fmt: skip
    own = {keyword.replace("_", "-"): value for keyword, value in cards.items()}
    merged = {keyword: value for keyword, value in {**common, **own}.items() if value is not None}
    return Sample(path, header(merged, *extensions, comments=comments))


def shots(kind, count, *, name=None, first_minute=0, **cards):
    """So many frames of a kind, a minute apart: biases without exposure, flats and lights in V."""
    exposure = {"bias": 0.0, "dark": 60.0, "flat": 5.0, "light": 60.0}[kind]
    defaults = {"EXPTIME": exposure, "IMAGETYP": TYPES[kind], "FILTER": "V" if kind in {"flat", "light"} else None}
    return [
        sample(f"{name or kind}_{i:03d}.fits", minute=first_minute + i, **{**defaults, **cards}) for i in range(count)
    ]


def night(*, biases=3, darks=3, flats=3, lights=2, **cards):
    """A whole night of one camera."""
    return [
        *shots("bias", biases, first_minute=0, **cards),
        *shots("dark", darks, first_minute=20, **cards),
        *shots("flat", flats, first_minute=40, **cards),
        *shots("light", lights, first_minute=60, **cards),
    ]


def proposal(samples, *, found=None, refused=()):
    """The proposal for a directory that holds these files."""
    survey = Survey(len(samples) + len(refused) if found is None else found, tuple(samples), tuple(refused))
    return propose(survey, directory="/frames", data="/data", now=NOW)


def camera(samples):
    """The proposed section of the only camera."""
    (found,) = proposal(samples).cameras
    return found


def refused(path, reason="not_fits", detail="it begins with b'hello'"):
    """A file that is no FITS."""
    return Refused(path, reason, detail)
