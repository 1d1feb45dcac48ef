"""Frames for the benchmarks: the same bytes for the same words, from the synthetic camera.

``python -m tests.bench.frames KIND SIZE COUNT DIRECTORY`` writes ``KIND_SIZE_000.fits`` and so on, those that are not
there yet.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ingestd.doors import fitsfile
from ingestd.flow.arrival import classify
from ingestd.records import Arithmetic, FrameRecord, Kind
from ingestd.settings import Limits, parse_settings
from ingestd.simulator import Camera, Card, Exposure, Sensor, Shot, Sky, file_bytes, write

CAMERA = "bench"
ARITHMETIC = Arithmetic(5.0, 1, overscan=True, overscan_skip_px=5, flat_floor=0.05, hot_sigma=10.0)
READ_NOISE_E = 7.5
GAIN_E_PER_ADU = 1.5
DARK_S = 60.0

_FIRST = datetime(2025, 3, 1, 20, 0, tzinfo=UTC)
_STEP = timedelta(seconds=70)
_EXPOSURES_S = {Kind.BIAS: 0.0, Kind.DARK: DARK_S, Kind.FLAT: 7.0, Kind.LIGHT: DARK_S}
_FLAT_ADU = 22_000.0


def camera(size: int) -> Camera:
    """Return the synthetic camera: fewer stars than the demo's, for each costs time to draw."""
    sensor = Sensor(shape=(size, size), gain_e_per_adu=GAIN_E_PER_ADU, read_noise_e=READ_NOISE_E)
    return Camera(sensor, instrument="Bench CCD", temp_step_c=0.01, sky=Sky(sky_e_per_s=5.0, stars=20.0))


def frame_paths(kind: Kind, size: int, count: int, directory: Path) -> list[Path]:
    """Return the names of frames."""
    return [directory / f"{kind}_{size}_{number:03d}.fits" for number in range(count)]


def make_frames(kind: Kind, size: int, count: int, directory: Path) -> list[Path]:
    """Write the frames that are not there yet and return the names of all."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = frame_paths(kind, size, count, directory)
    for number, path in enumerate(paths):
        if not path.exists():
            write(path, camera(size).expose(_shot(kind, number)))
    return paths


def make_small(kind: Kind, label: str, size: int, count: int, directory: Path) -> None:
    """Write small frames of one kind quickly: one drawn frame, of which each takes another start time and one pixel.

    ``label`` replaces the type card, so that frames of no use to anybody can be made: ``Focus Frame``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    source = camera(size)
    base = source.expose(_shot(kind, 0))
    for number in range(count):
        pixels = base.pixels.copy()
        pixels[0, 0] = number
        pixels[1:] = np.roll(pixels[1:], number, axis=1)
        start = _FIRST + number * timedelta(seconds=10)
        changed = {"DATE-OBS": f"{start:%Y-%m-%dT%H:%M:%S}"} | ({"IMAGETYP": label} if label else {})
        cards = [Card(card.keyword, changed.get(card.keyword, card.value), card.comment) for card in base.cards]
        (directory / f"{kind}_{number:05d}.fits").write_bytes(file_bytes(pixels, cards))


def expose(size: int, number: int) -> Exposure:
    """Return a science frame."""
    return camera(size).expose(_shot(Kind.LIGHT, number))


def record_of(path: Path) -> FrameRecord:
    """Return what the daemon would record of a file."""
    settings = parse_settings({"camera": [{"name": CAMERA, "directories": [str(path.parent)]}]})
    fd = fitsfile.open_raw(path)
    try:
        header = fitsfile.read_header(fd, Limits())
        frame_id, data_sha256 = fitsfile.hash_file(fd, header)
    finally:
        os.close(fd)
    return classify(header, str(path), settings, frame_id, data_sha256, _FIRST + timedelta(days=365))


def _shot(kind: Kind, number: int) -> Shot:
    is_lit = kind in {Kind.FLAT, Kind.LIGHT}
    start = _FIRST + _STEP * (number + 100 * list(_EXPOSURES_S).index(kind))
    level = _FLAT_ADU if kind is Kind.FLAT else 0.0
    return Shot(kind, number, _EXPOSURES_S[kind], start, "V" if is_lit else None, level, "M13" if is_lit else "")


if __name__ == "__main__":
    make_frames(Kind(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
