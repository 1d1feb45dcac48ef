"""What the tests of the FITS door share: headers by hand, frame records of files, the real frames."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ingestd.doors import fitsfile
from ingestd.errors import FrameNotReady, FrameRejected
from ingestd.records import Configuration, FileHeader, FrameRecord, HeaderUnit, Kind, Plane
from ingestd.settings import Limits

LIMITS = Limits()
CONFIGURATION = Configuration("test", 4, 3, 1, 1, None, "", None, None, "", 1, ())


def pad(data: bytes, fill: bytes = b"\0") -> bytes:
    """Fill up to whole blocks of 2880 bytes."""
    return data + fill * (-len(data) % 2880)


def header(*cards: str, end: bool = True) -> bytes:
    """Return a padded header from the text of its cards."""
    lines = [*cards, "END"] if end else list(cards)
    return pad("".join(f"{line:80}"[:80] for line in lines).encode("latin-1"), b" ")


def image_cards(nx: int, ny: int, bitpix: int = 16, *more: str) -> tuple[str, ...]:
    """Return the cards of a primary image."""
    return ("SIMPLE  = T", f"BITPIX  = {bitpix}", "NAXIS   = 2", f"NAXIS1  = {nx}", f"NAXIS2  = {ny}", *more)


def extension_cards(nx: int, ny: int, bitpix: int = 16, *more: str) -> tuple[str, ...]:
    """Return the cards of an image extension."""
    return ("XTENSION= 'IMAGE   '", *image_cards(nx, ny, bitpix)[1:], "PCOUNT  = 0", "GCOUNT  = 1", *more)


def read(path: Path, limits: Limits = LIMITS) -> FileHeader:
    """Pre-read a file."""
    fd = fitsfile.open_raw(path)
    try:
        return fitsfile.read_header(fd, limits)
    finally:
        os.close(fd)


def read_bytes(tmp_path: Path, content: bytes, limits: Limits = LIMITS) -> FileHeader:
    """Pre-read a file of the given content."""
    path = tmp_path / "frame.fits"
    path.write_bytes(content)
    return read(path, limits)


def verdict_on_header(path: Path, limits: Limits = LIMITS) -> str:
    """Return ``ok`` or the reason code of the pre-read."""
    try:
        return "ok" if read(path, limits).units else "no units"
    except (FrameNotReady, FrameRejected) as error:
        return error.reason if error.detail else "no detail"


def open_descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def names(directory: Path) -> list[str]:
    """Return the names in a directory, hidden ones too."""
    return sorted(path.name for path in directory.iterdir())


def planes_of(found: FileHeader) -> tuple[Plane, ...]:
    """Return the two-dimensional images of a file."""
    return tuple(plane for unit in found.units if (plane := _plane_of(unit)) is not None)


def _plane_of(unit: HeaderUnit) -> Plane | None:
    cards = unit.cards
    prefix = "Z" if cards.get("ZIMAGE") is True else ""
    if not prefix and cards.get("XTENSION", "IMAGE") != "IMAGE":
        return None
    count = cards[f"{prefix}NAXIS"]
    shape = [cards[f"{prefix}NAXIS{n}"] for n in range(int(str(count)), 0, -1)]
    while len(shape) > 2 and shape[0] == 1:
        del shape[0]
    if len(shape) != 2 or 0 in shape:
        return None
    bzero, bscale, blank = cards.get("BZERO", 0), cards.get("BSCALE", 1), cards.get("BLANK")
    return Plane(
        unit.index,
        str(cards.get("EXTNAME", "")),
        (shape[0], shape[1]),
        cards[f"{prefix}BITPIX"],
        float(bzero),
        float(bscale),
        blank,
        unit.data_offset,
        "tile" if prefix else "raw",
        None,
        None,
        None,
        None,
    )


def record_of(path: Path, found: FileHeader | None = None) -> FrameRecord:
    """Return the frame record of a file as the arrival of a frame would make it."""
    found = found or read(path)
    frame_id = hashlib.sha256(path.read_bytes()).hexdigest()
    nothing = dict.fromkeys(
        "exposure_s ccd_temp_c set_temp_c filter_name object_name obs_start night "  # noqa: SIM905 - shorter so
        "gain_e_per_adu read_noise_e saturation_adu".split()
    )
    return FrameRecord(
        frame_id=frame_id,
        data_sha256=frame_id,
        kind=Kind.LIGHT,
        label="light",
        camera="test",
        configuration=CONFIGURATION,
        planes=planes_of(found),
        dialect="test",
        container=found.container,
        sources=(),
        flags=(),
        notes=(),
        **nothing,
    )


def real_data() -> Path:
    """Return the directory of real frames, or skip the test."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    found = Path(os.environ.get("INGESTD_REAL_DATA", default))
    if not found.is_dir():
        pytest.skip("no real frames: set INGESTD_REAL_DATA to their directory")
    return found


def real_files() -> list[Path]:
    """Return the real frames whose suffix a watcher accepts."""
    suffixes = tuple(stem + end for stem in (".fits", ".fit", ".fts") for end in ("", ".fz", ".gz"))
    return sorted(path for path in real_data().rglob("*") if path.name.lower().endswith(suffixes))
