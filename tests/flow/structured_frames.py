"""Frames of known truth with structure: several amplifiers, mosaics of extensions, Bayer mosaics, windows.

A scene is light in electrons; every amplifier has its own bias level, read noise and gain. What the frames hold is a
function of the seed, so that every test sees the same night.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from ingestd.records import Kind

START = datetime(2025, 3, 1, 19, 0, 0)  # noqa: DTZ001 - as a header has it
TYPES = {Kind.BIAS: "BIAS", Kind.DARK: "DARK", Kind.FLAT: "FLAT", Kind.LIGHT: "LIGHT"}
SHAPE = (120, 160)


@dataclass(frozen=True)
class Amp:
    """One amplifier: its columns of the image, its electronics, and how many overscan columns it adds."""

    name: str
    x0: int
    x1: int
    bias_adu: float
    gain: float
    noise_e: float
    overscan_px: int = 16


TWO = (Amp("A", 0, 80, 1000.0, 1.5, 6.0), Amp("B", 80, 160, 1400.0, 2.4, 9.0))
ONE = (Amp("A", 0, 160, 1000.0, 1.5, 6.0, 0),)


@dataclass
class Bench:
    """A camera on the bench: counts its shots, and knows its truth."""

    amps: tuple[Amp, ...] = TWO
    shape: tuple[int, int] = SHAPE
    dark_e_per_s: float = 0.5
    drift_adu: float = 0.0
    overscan_offset_adu: float = 0.0
    seed: int = 1
    cards: dict[str, object] = field(default_factory=dict)
    shots: int = 0

    def flat(self) -> np.ndarray:
        """Return the true relative sensitivity: pixels, and a gradient from left to right that steps nowhere."""
        rng = np.random.default_rng([self.seed, 77])
        ny, nx = self.shape
        pixels = rng.normal(1.0, 0.01, self.shape)
        return pixels * np.linspace(0.8, 1.2, nx)[np.newaxis, :] * np.linspace(0.95, 1.05, ny)[:, np.newaxis]

    def structure(self) -> np.ndarray:
        """Return the true fixed pattern of the bias above its level, ADU."""
        return np.random.default_rng([self.seed, 78]).normal(0.0, 3.0, self.shape)

    def light(self, kind: Kind, level_e: float) -> np.ndarray:
        """Return the expected electrons of the light."""
        return self.flat() * level_e if kind in {Kind.FLAT, Kind.LIGHT} else np.zeros(self.shape)

    def parts(self, kind: Kind, exposure_s: float, level_e: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return image and overscan of each amplifier, uint16."""
        self.shots += 1
        rng = np.random.default_rng([self.seed, self.shots])
        charge = rng.poisson(self.light(kind, level_e) + self.dark_e_per_s * exposure_s)
        found = []
        for amp in self.amps:
            pedestal = amp.bias_adu + self.drift_adu * rng.normal()
            image = pedestal + self.structure()[:, amp.x0 : amp.x1] + charge[:, amp.x0 : amp.x1] / amp.gain
            image = image + rng.normal(0.0, amp.noise_e / amp.gain, image.shape)
            over = (
                pedestal
                + self.overscan_offset_adu
                + rng.normal(0.0, amp.noise_e / amp.gain, (self.shape[0], amp.overscan_px))
            )
            found.append(tuple(np.clip(np.rint(part), 0, 65535).astype(np.uint16) for part in (image, over)))
        return found

    def header(self, kind: Kind, exposure_s: float) -> fits.Header:
        """Return the cards that speak for the whole file."""
        start = START + timedelta(minutes=self.shots)
        cards = {
            "IMAGETYP": TYPES[kind], "EXPTIME": exposure_s, "DATE-OBS": start.isoformat(), "CCD-TEMP": -10.0,
            "INSTRUME": "bench", "XBINNING": 1, "YBINNING": 1, **self.cards,
        }  # fmt: skip
        if kind in {Kind.FLAT, Kind.LIGHT}:
            cards["FILTER"] = "V"
        return fits.Header([fits.Card(key, value) for key, value in cards.items()])

    # --- files --------------------------------------------------------------------------------------------------------

    def write_single(self, path: Path, kind: Kind, exposure_s: float = 0.0, level_e: float = 0.0, **extra) -> Path:
        """Write one image: sections of the amplifiers one beside the other, their overscans in the middle."""
        parts = self.parts(kind, exposure_s, level_e)
        header = self.header(kind, exposure_s)
        images = [image for image, _ in parts]
        overs = [over for _, over in parts]
        half = (len(parts) + 1) // 2
        columns = [*images[:half], *overs, *images[half:]]
        pixels = np.hstack(columns)
        ny = self.shape[0]
        starts = np.cumsum([0, *(part.shape[1] for part in columns)])
        order = [*range(half), *range(half + len(overs), 2 * len(parts))]
        for amp, place, over in zip(self.amps, order, range(half, half + len(overs)), strict=True):
            if len(self.amps) > 1:
                header[f"DATASEC{amp.name}"] = f"[{starts[place] + 1}:{starts[place + 1]},1:{ny}]"
                if amp.overscan_px:
                    header[f"BIASSEC{amp.name}"] = f"[{starts[over] + 1}:{starts[over + 1]},1:{ny}]"
        header.update(extra)
        return _put(path, fits.HDUList([fits.PrimaryHDU(pixels, header)]))

    def write_mosaic(self, path: Path, kind: Kind, exposure_s: float = 0.0, level_e: float = 0.0) -> Path:
        """Write one extension for each amplifier, with sections and electronics of its own; the type in the primary."""
        hdus = [fits.PrimaryHDU(header=self.header(kind, exposure_s))]
        hdus[0].header["DETECTOR"] = "bench mosaic"
        ny = self.shape[0]
        for amp, (image, over) in zip(self.amps, self.parts(kind, exposure_s, level_e), strict=True):
            is_left = amp.x0 == 0
            hdu = fits.ImageHDU(np.hstack([image, over] if is_left else [over, image]), name=f"AMP{amp.name}")
            width, beside = image.shape[1], over.shape[1]
            first = 0 if is_left else beside
            hdu.header["EGAIN"] = amp.gain
            hdu.header["RDNOISE"] = amp.noise_e
            hdu.header["TRIMSEC"] = f"[{first + 1}:{first + width},1:{ny}]"
            hdu.header["BIASSEC"] = f"[{width + 1}:{width + beside},1:{ny}]" if is_left else f"[1:{beside},1:{ny}]"
            hdus.append(hdu)
        return _put(path, fits.HDUList(hdus))

    def night(self, directory: Path, write: str = "write_single", *, lights: int = 1, **counts: int) -> None:
        """Write biases, darks of 60 s, flats of some 20,000 e- and lights of 60 s on a sky of 3000 e-."""
        numbers = {"biases": 5, "darks": 5, "flats": 5, **counts}
        put = getattr(self, write)
        for n in range(numbers["biases"]):
            put(directory / f"bias{n}.fits", Kind.BIAS)
        for n in range(numbers["darks"]):
            put(directory / f"dark{n}.fits", Kind.DARK, 60.0)
        for n in range(numbers["flats"]):
            put(directory / f"flat{n}.fits", Kind.FLAT, 2.0, 20_000.0 * (1 + 0.02 * n))
        for n in range(lights):
            put(directory / f"light{n}.fits", Kind.LIGHT, 60.0, 3000.0)


def _put(path: Path, hdus: fits.HDUList) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    hdus.writeto(temporary, overwrite=True)
    temporary.rename(path)
    return path
