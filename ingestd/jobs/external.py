"""A master that was made elsewhere becomes one of ours: its pixels are copied, its file is left as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingestd.doors import fitsfile
from ingestd.errors import FrameRejected
from ingestd.pixels.blocks import Float32, Mask
from ingestd.pixels.steps import normalise_flat
from ingestd.records import CardValue, FrameRecord, HeaderUnit, Kind, MaskBit, Master, Plane
from ingestd.settings import Limits

_UNCERTAINTIES = ("UNCERT", "ERR", "ERROR", "STDDEV", "SIGMA")
_MASKS = ("MASK", "BPM", "DQ")
_LARGEST_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class Copied:
    """What was written: SHA-256 and size of the file, and what was noticed on the way."""

    sha256: str
    size_bytes: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Image:
    """One plane of the source, shape (ny, nx)."""

    signal: Float32
    error: Float32 | None
    mask: Mask


def copy_master(
    source: Path,
    record: FrameRecord,
    auxiliary: tuple[Plane, ...],
    master: Master,
    *,
    members: int,
    scale: float,
    flat_floor: float,
    limits: Limits,
) -> Copied:
    """Write the pixels of a foreign master as a master of ours; a flat is divided by its level.

    Parameters
    ----------
    source : Path
        Opened for reading only; its SHA-256 must be ``record.frame_id``.
    record : FrameRecord
        Its image planes.
    auxiliary : tuple of Plane
        Its planes of uncertainties and masks, by their names (EXTNAME).
    master : Master
        What it becomes; ``path`` is absolute.
    members : int
        How many frames it was made of, 0 if unknown.
    scale : float
        What pixels are multiplied by.
    flat_floor : float
        A pixel of a flat at or below this is dead.
    limits : Limits
        What the source may cost.

    Raises
    ------
    FrameRejected
        If it cannot be read, or its pixels are not those of such a master.
    FrameChanged
        If it is changed while it is read.
    ProductNotWritten
        If the copy cannot be written.
    """
    notes: list[str] = []
    frame = replace(record, planes=(*record.planes, *auxiliary))
    with fitsfile.FrameReader(source, frame, limits) as reader:
        units = reader.header.units
        planes = [_read(plane) for plane in reader.planes]
        count = len(record.planes)
        images = [
            _image(planes[index], dict(zip(auxiliary, planes[count:], strict=True)), index, count, units, scale, notes)
            for index in range(count)
        ]
        reader.check_unchanged()
    images = [_checked(image, master.kind, flat_floor, scale, index) for index, image in enumerate(images)]
    unit = "" if master.kind is Kind.FLAT else "adu"
    specs = [fitsfile.ImageSpec(image.signal.shape, unit, (), image.error is not None) for image in images]
    hdus, places = fitsfile.lay_out(_cards(master, record, members), specs)
    with fitsfile.ProductWriter(Path(master.path), hdus) as writer:
        for image, place in zip(images, places, strict=True):
            for number, array in (
                (place.signal, image.signal),
                (place.uncertainty, image.error),
                (place.mask, image.mask),
            ):
                if number is not None and array is not None:
                    writer.write(number, 0, array)
        sha256, size = writer.commit()
    return Copied(sha256, size, tuple(notes))


def _cards(master: Master, record: FrameRecord, members: int) -> list[bytes]:
    """Return the primary cards: what the master stands for, and the content that it came from."""
    cards: list[tuple[str, CardValue, str]] = [
        ("IMAGETYP", f"Master {master.kind.value.capitalize()}", "kind of frame"),
        ("COMBINED", True, "made elsewhere"),
        ("PROVENAN", "external", "not built by ingestd"),
        ("CAMERA", master.camera, "camera in the settings"),
        ("INSTRUME", record.configuration.instrument, "camera in the header"),
        ("CONFIG", master.configuration, "configuration"),
        ("NIGHT", master.night, "night of the newest frames"),
        ("MASTERID", master.master_id, "address: hash of all that enters"),
        ("SRCSHA", record.frame_id, "SHA-256 of the file that it was copied from"),
        ("DATE-OBS", master.first_obs.replace(tzinfo=None).isoformat(), "first frame (UTC)"),
        ("DATE-END", master.last_obs.replace(tzinfo=None).isoformat(), "last frame, start (UTC)"),
    ]
    if members:
        cards.append(("NCOMBINE", members, "frames combined"))
    if master.exposure_s is not None:
        cards.append(("EXPTIME", master.exposure_s, "exposure (s)"))
    if master.ccd_temp_c is not None:
        cards.append(("CCD-TEMP", master.ccd_temp_c, "temperature (C)"))
    if master.filter_name is not None:
        cards.append(("FILTER", master.filter_name, "filter"))
    return [fitsfile.card(*entry) for entry in cards]


def _read(plane: fitsfile.PlaneReader) -> Float32:
    """Return a whole plane in physical values."""
    out: Float32 = np.empty(plane.shape, np.float32)
    plane.read(0, out)
    return out


def _image(
    signal: Float32,
    auxiliary: dict[Plane, Float32],
    index: int,
    count: int,
    units: tuple[HeaderUnit, ...],
    scale: float,
    notes: list[str],
) -> _Image:
    """Return one image with its uncertainty and mask, if they are there and of its shape."""
    error = mask = None
    for plane, array in auxiliary.items():
        name = plane.name.upper()
        if array.shape != signal.shape:
            notes.append(f"{name} has the shape {array.shape}, not {signal.shape}: left out")
        elif name in _names(_UNCERTAINTIES, index, count):
            error = _standard_deviation(array, str(units[plane.index].cards.get("UTYPE") or ""), name, notes)
        elif name in _names(_MASKS, index, count):
            mask = array
    bits = np.zeros(signal.shape, np.uint8)
    if mask is not None:
        bits[np.nan_to_num(mask) != 0] |= np.uint8(MaskBit.BAD)
    bits[~np.isfinite(signal)] |= np.uint8(MaskBit.NO_DATA)
    if scale != 1.0:
        signal = signal * np.float32(scale)
        error = None if error is None else error * np.float32(scale)
    return _Image(signal, error, bits)


def _names(stems: tuple[str, ...], index: int, count: int) -> set[str]:
    """Return the names that go with an image: plain where it is the only one, else with its number."""
    return set(stems) if count == 1 else {f"{stem}_{index + 1}" for stem in stems}


def _standard_deviation(array: Float32, kind: str, name: str, notes: list[str]) -> Float32 | None:
    """Return an uncertainty as standard deviation, by the card UTYPE that astropy writes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        match kind:
            case "" | "StdDevUncertainty":
                return array
            case "VarianceUncertainty":
                root: Float32 = np.sqrt(array)
                return root
            case "InverseVariance":
                inverse: Float32 = np.reciprocal(np.sqrt(array))
                return inverse
    notes.append(f"{name} is a {kind}, which is not understood: left out")
    return None


def _checked(image: _Image, kind: Kind, flat_floor: float, scale: float, index: int) -> _Image:
    """Return the image as masters hold it: a flat with the level 1, biases and darks in ADU."""
    known = image.signal[np.isfinite(image.signal)]
    if not known.size:
        raise FrameRejected("no_data", f"image {index} holds no value")
    if kind is not Kind.FLAT:
        if scale == 1.0 and float(known.max()) <= _LARGEST_RATIO:
            detail = f"image {index} lies between {known.min():g} and {known.max():g}: that is not ADU; give --scale"
            raise FrameRejected("not_adu", f"{detail} (65535 if 1 is the largest value of 16 bits)")
        return image
    error = np.zeros_like(image.signal) if image.error is None else image.error
    try:
        flat = normalise_flat(image.signal, error, flat_floor)
    except ValueError as error_:
        raise FrameRejected("flat_without_light", f"image {index}: {error_}") from error_
    return _Image(flat.flat, None if image.error is None else flat.error, image.mask | flat.mask)
