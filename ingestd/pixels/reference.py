"""The same arithmetic by ccdproc: slow, by other hands, to hold our own against.

Everything is done in float64 on whole images. What ccdproc has no word for is written down once more, straight from its
formula, by numpy and astropy: nonlinearity, the mode, the smooth part of two flats.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.steps.overscan import without_neighbours
from ingestd.records import Section

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestd.pixels.blocks import Float32, Float64

_MEMORY_BYTES = 1 << 30
_MOST_SAMPLES = 1 << 18


def corrected(raw: Float32, overscan: Section | None, trim: Section | None, skip_px: int) -> Float64:
    """Return a raw image less the median of the overscan of each row, trimmed.

    Parameters
    ----------
    raw : ndarray, shape (ny, nx), ADU
    overscan, trim : Section or None
        None is a step that is not taken.
    skip_px : int
        Columns of the overscan next to the image that are left out.

    Raises
    ------
    ValueError
        If the overscan does not span the rows of the image.
    """
    import ccdproc  # noqa: PLC0415 - half a second, only who asks for the reference waits for it

    image = trim or Section(0, raw.shape[0], 0, raw.shape[1])
    ccd = _ccd(raw)
    if overscan is not None:
        used = without_neighbours(overscan, image, skip_px)
        if used.y0 > image.y0 or used.y1 < image.y1:
            raise ValueError("the overscan does not span the rows of the image")
        columns = ccd[:, used.x0 : used.x1]
        ccd = ccdproc.subtract_overscan(ccd, overscan=columns, overscan_axis=1, median=True, add_keyword=None)
    ccd = ccdproc.trim_image(ccd[image.y0 : image.y1, image.x0 : image.x1], add_keyword=None)
    return np.asarray(ccd.data, np.float64)


def combined(images: Sequence[NDArray[Any]], sigma: float, least_deviation: float = 0.0) -> Float64:
    """Return the clipped mean as the CCD Data Reduction Guide has it: one round about the median, 1.4826 MAD.

    A deviation below ``least_deviation`` counts as that.
    """
    import ccdproc  # noqa: PLC0415
    from astropy.stats import mad_std  # noqa: PLC0415

    def deviation(samples: Any, axis: Any) -> Any:  # noqa: ANN401 - astropy has no types
        """Return the robust standard deviation, at least that of the converter."""
        return np.maximum(mad_std(samples, axis=axis, ignore_nan=True), least_deviation)

    if len(images) == 1:
        return np.asarray(images[0], np.float64)
    master = ccdproc.combine(
        [_ccd(image) for image in images],
        method="average",
        sigma_clip=True,
        sigma_clip_low_thresh=sigma,
        sigma_clip_high_thresh=sigma,
        sigma_clip_func="median",
        sigma_clip_dev_func=deviation if least_deviation else "mad_std",
        mem_limit=_MEMORY_BYTES,
    )
    return np.asarray(master.data, np.float64)


def calibrated(
    image: NDArray[Any],
    *,
    bias: NDArray[Any] | None = None,
    dark: NDArray[Any] | None = None,
    dark_ratio: float | None = None,
    flat: NDArray[Any] | None = None,
    gain_e_per_adu: float | None = None,
) -> Float64:
    """Return an image less bias and dark, divided by the flat, in electrons where a gain is given.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), ADU
        Without overscan.
    bias, dark, flat : ndarray, shape (ny, nx), optional
        The dark holds its bias; with ``dark_ratio`` it is scaled to so much of its exposure above the bias.
    dark_ratio : float, optional
        None for an exact dark.
    gain_e_per_adu : float, optional

    Returns
    -------
    ndarray, shape (ny, nx)
    """
    import ccdproc  # noqa: PLC0415
    from astropy import units  # noqa: PLC0415

    ccd = _ccd(image)
    second = units.second
    if bias is not None and (dark is None or dark_ratio is not None):
        ccd = ccdproc.subtract_bias(ccd, _ccd(bias), add_keyword=None)
    if dark is not None:
        charge = _ccd(dark)
        if dark_ratio is not None and bias is not None:
            charge = ccdproc.subtract_bias(charge, _ccd(bias), add_keyword=None)
        ccd = ccdproc.subtract_dark(
            ccd,
            charge,
            dark_exposure=1.0 * second,
            data_exposure=(1.0 if dark_ratio is None else dark_ratio) * second,
            exposure_unit=second,
            scale=dark_ratio is not None,
            add_keyword=None,
        )
    if flat is not None:
        ccd = ccdproc.flat_correct(ccd, _ccd(flat), norm_value=1.0, add_keyword=None)
    if gain_e_per_adu is not None:
        ccd = ccdproc.gain_correct(ccd, gain_e_per_adu, gain_unit=units.electron / units.adu, add_keyword=None)
    return np.asarray(ccd.data, np.float64)


def linear(image: NDArray[Any], bias: NDArray[Any] | None, coefficients: Sequence[float]) -> Float64:
    """Return the linear signal x (1 + c1 x + c2 x**2 + ...) of x = image - bias, ADU; the bias is gone from it.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), ADU
    bias : ndarray, shape (ny, nx), optional
        None for an image without the level of its overscan.
    coefficients : sequence of float
        c1, c2, ... in 1/ADU, 1/ADU**2, ....
    """
    signal = np.asarray(image, np.float64) - (0.0 if bias is None else np.asarray(bias, np.float64))
    return np.asarray(np.polynomial.polynomial.polyval(signal, [0.0, 1.0, *coefficients]), np.float64)


def level(image: NDArray[Any], normalise: str = "median") -> float:
    """Return median or mode of the middle half of both axes: what a flat is scaled by.

    Every k-th row and column counts, k being the smallest odd number that leaves at most 2**18 samples. The mode is the
    mean of the shortest interval that holds a tenth of them.
    """
    ny, nx = image.shape
    middle = image[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]
    step = next(k for k in range(1, max(ny, nx) + 2, 2) if middle[::k, ::k].size <= _MOST_SAMPLES)
    samples = np.sort(middle[::step, ::step], axis=None)
    samples = samples[np.isfinite(samples)]
    if normalise == "median":
        return float(np.median(samples))
    tenth = max(1, round(0.1 * samples.size))
    start = int(np.argmin(samples[tenth - 1 :] - samples[: samples.size - tenth + 1]))
    return float(samples[start : start + tenth].mean())


def smooth_part(dome: NDArray[Any], twilight: NDArray[Any]) -> Float64:
    """Return the polynomial of degree 3 through twilight over dome, fitted by astropy: 10 terms.

    Parameters
    ----------
    dome, twilight : ndarray, shape (ny, nx)
        Flats of the level 1, NaN where a pixel does not count.

    Notes
    -----
    Through the medians of at most 32 x 32 boxes of at least 8 x 8 pixels each; a box counts if half of its pixels do.
    Held to the range of the medians and a quarter of it more.
    """
    from astropy.modeling import fitting, models  # noqa: PLC0415

    ratio = np.asarray(twilight, np.float64) / dome
    rows, columns = (np.linspace(0, size, max(1, min(32, size // 8)) + 1, dtype=int) for size in ratio.shape)
    found = []
    for y0, y1 in pairwise(rows.tolist()):
        for x0, x1 in pairwise(columns.tolist()):
            box = ratio[y0:y1, x0:x1]
            if 2 * np.count_nonzero(np.isfinite(box)) >= box.size:
                found.append(((y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2, float(np.nanmedian(box))))
    y, x, medians = np.array(found).T
    ny, nx = ratio.shape
    scale = [max(size - 1, 1) / 2 for size in (ny, nx)]
    plane = models.Polynomial2D(degree=3)
    fitted = fitting.LinearLSQFitter()(plane, x / scale[1] - 1, y / scale[0] - 1, medians)
    grid_y, grid_x = np.mgrid[:ny, :nx]
    reach = 0.25 * float(np.ptp(medians))
    smooth = fitted(grid_x / scale[1] - 1, grid_y / scale[0] - 1)
    return np.asarray(np.clip(smooth, medians.min() - reach, medians.max() + reach), np.float64)


def _ccd(image: NDArray[Any]) -> Any:  # noqa: ANN401 - astropy has no types
    """Return an image as ccdproc takes it."""
    from astropy.nddata import CCDData  # noqa: PLC0415

    return CCDData(np.asarray(image, np.float64), unit="adu")
