"""Builders for the tests of the dialects: a header from a few cards, and its record."""

from __future__ import annotations

from datetime import UTC, datetime

from ingestd.records import FileHeader, FileStamp, HeaderUnit
from ingestd.rules.dialects import classify
from ingestd.settings import Site

NOW = datetime(2026, 6, 1, tzinfo=UTC)
IMAGE = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": 100, "NAXIS2": 80, "BZERO": 32768}
STARTED = {"DATE-OBS": "2024-03-01T22:00:00"}


def unit(index=0, comments=(), **cards):
    """A header unit."""
    return HeaderUnit(index=index, cards=cards, comments=tuple(comments), data_offset=2880, data_bytes=16000)


def header(cards, *extensions, comments=(), container="plain"):
    """A file of one image with the cards, or of a primary and extensions."""
    units = [unit(0, comments, **cards), *(unit(i + 1, **more) for i, more in enumerate(extensions))]
    return FileHeader(tuple(units), container, FileStamp(0, 0, 0, 0), 0)


def image(**cards):
    """A single image of 100 x 80 pixels taken on 2024-03-01 at 22:00 UTC, with the cards."""
    return {**IMAGE, **STARTED, **cards}


def record(cards, *extensions, path="frame_0001.fits", comments=(), camera=None, site=None, now=NOW):
    """The record of a file."""
    return classify(
        header(cards, *extensions, comments=comments),
        path=path,
        camera=camera,
        site=site or Site(longitude_deg=0.0),
        frame_id="f" * 64,
        data_sha256="d" * 64,
        now=now,
    )


def typed(path="frame_0001.fits", **cards):
    """The record of a single image with the cards."""
    return record(image(**cards), path=path)
