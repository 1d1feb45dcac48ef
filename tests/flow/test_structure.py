"""Every structure of a file: where the pixels lie must not matter; what is no image is catalogued with the reason."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits

from ingestd.records import Kind
from tests.flow.observatory import observatory
from tests.flow.structured_frames import TWO, Bench

CARDS = {"GAINA": 1.5, "GAINB": 2.4, "RDNOISEA": 6.0, "RDNOISEB": 9.0}


@pytest.fixture
def place(tmp_path):
    with observatory(tmp_path) as found:
        yield found


def plain(path):
    """Leave the file as it is."""
    return path


def compressed(path):
    """Write the image as a tile-compressed extension, its cards there."""
    with fits.open(path, memmap=False) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data.copy()
    made = path.with_name(f"{path.name}.fz")
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, header, compression_type="RICE_1")]).writeto(made)
    path.unlink()
    return made


def gzipped(path):
    """Write the file as a gzip stream."""
    made = path.with_name(f"{path.name}.gz")
    made.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return made


def in_extension(path):
    """Move the image to an extension, its cards stay in the primary."""
    with fits.open(path, memmap=False) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data.copy()
    fits.HDUList([fits.PrimaryHDU(header=header), fits.ImageHDU(data)]).writeto(path, overwrite=True)
    return path


def three_axes(path):
    """Give the image a third axis of length 1."""
    with fits.open(path, memmap=False) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data.copy()
    fits.PrimaryHDU(data[np.newaxis], header).writeto(path, overwrite=True)
    return path


def as_floats(path):
    """Write the samples as float32."""
    with fits.open(path, memmap=False) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data.astype(np.float32)
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    return path


def padded_with_nul(path):
    """Pad the header with NUL bytes instead of blanks."""
    content = path.read_bytes()
    end = content.index(b"END" + b" " * 77)
    size = -(-(end + 80) // 2880) * 2880
    path.write_bytes(content[: end + 80] + b"\0" * (size - end - 80) + content[size:])
    return path


@pytest.mark.parametrize(
    "form",
    [plain, compressed, gzipped, in_extension, three_axes, as_floats, padded_with_nul],
    ids=lambda it: it.__name__,
)
def test_amplifiers_are_reduced_alike_in_every_structure(place, form):
    """Biases as they are; the light in another structure must give the same pixels."""
    camera = Bench(TWO, cards=dict(CARDS))
    for n in range(3):
        camera.write_single(place.incoming / f"bias{n}.fits", Kind.BIAS)
    aside = place.data / "light.fits"
    camera.write_single(aside, Kind.LIGHT, 60.0, 3000.0)
    raw = fits.getdata(aside).astype(float)
    path = _moved(form(aside), place)
    place.settle()
    signal = fits.getdata(place.product(path.name)).astype(float)
    (bias,) = place.masters("bias")
    below = fits.getdata(place.data / bias["path"])
    # overscans of A and B in columns 80 to 112, without the five next to the image
    left = (raw[:, :80] - np.median(raw[:, 85:96], axis=1)[:, None] - below[:, :80]) * 1.5
    right = (raw[:, 112:] - np.median(raw[:, 96:107], axis=1)[:, None] - below[:, 80:]) * 2.4
    assert np.allclose(signal, np.hstack([left, right]), rtol=1e-6, atol=2e-3)


def _moved(path, place):
    """Move a finished file to where the camera writes."""
    return path.rename(place.incoming / path.name)


@pytest.mark.parametrize(
    ("shape", "label", "words"),
    [
        ((5, 20, 30), "cube", "no image of two axes: 30 x 20 x 5"),
        ((3, 20, 30), "cube", "no image of two axes: 30 x 20 x 3"),
        ((100,), "spectrum", "no image of two axes: 100"),
    ],
)
def test_what_is_no_image_is_other_with_the_reason(place, shape, label, words):
    header = fits.Header([("IMAGETYP", "Light Frame"), ("DATE-OBS", "2025-03-01T20:00:00"), ("EXPTIME", 1.0)])
    fits.PrimaryHDU(np.ones(shape, np.int16), header).writeto(place.data / "odd.fits")
    _moved(place.data / "odd.fits", place)
    place.settle()
    row = place.frame("odd.fits")
    frame = place.catalogue.frame(row["frame_id"])
    assert (row["kind"], row["label"], row["state"], row["reason"]) == ("other", label, "done", "catalogued")
    assert words in frame.notes
    assert frame.planes == ()


def test_table_is_other_with_the_reason(place):
    primary = fits.PrimaryHDU(header=fits.Header([("IMAGETYP", "Light Frame"), ("DATE-OBS", "2025-03-01T20:00:00")]))
    table = fits.BinTableHDU.from_columns([fits.Column("flux", "E", array=np.arange(5.0))])
    fits.HDUList([primary, table]).writeto(place.data / "odd.fits")
    _moved(place.data / "odd.fits", place)
    place.settle()
    row = place.frame("odd.fits")
    assert (row["kind"], row["label"], row["state"]) == ("other", "table", "done")
    assert "the file holds no image" in place.catalogue.frame(row["frame_id"]).notes
