"""The same arithmetic by ccdproc: slow, by other hands, to hold our own against.

Everything is done in float64 on whole images. What ccdproc has no word for has no reference here: ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestd.pixels.steps.overscan import without_neighbours
from ingestd.records import Section

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestd.pixels.blocks import Float32, Float64

_MEMORY_BYTES = 1 << 30


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


def level(image: NDArray[Any]) -> float:
    """Return the median of the middle half of both axes: what a flat is scaled by."""
    ny, nx = image.shape
    return float(np.nanmedian(image[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]))


def _ccd(image: NDArray[Any]) -> Any:  # noqa: ANN401 - astropy has no types
    """Return an image as ccdproc takes it."""
    from astropy.nddata import CCDData  # noqa: PLC0415

    return CCDData(np.asarray(image, np.float64), unit="adu")
