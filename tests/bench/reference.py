"""The reference: a science frame reduced by ccdproc with the same masters, and how far our product is from it."""

from __future__ import annotations

import logging
from pathlib import Path

import astropy.units as u
import ccdproc
import numpy as np
from astropy import log
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from ingestd.records import Kind, MasterInput
from tests.bench.frames import DARK_S, GAIN_E_PER_ADU, READ_NOISE_E

_GAIN = GAIN_E_PER_ADU * u.electron / u.adu
_READ_NOISE = READ_NOISE_E * u.electron


class Reference:
    """The masters of our product in ccdproc's hands, read once, as a warm program would."""

    def __init__(self, raw: Path, masters: tuple[MasterInput, ...]) -> None:
        logging.getLogger().setLevel(logging.ERROR)  # ccdproc warns of each negative pixel's noise
        log.setLevel("ERROR")
        self._raw = raw
        files = {master.kind: master.path for master in masters}
        self._bias = _read(files[Kind.BIAS], u.adu)
        self._dark = _read(files[Kind.DARK], u.adu)
        self._flat = _read(files[Kind.FLAT], u.dimensionless_unscaled)
        self._exposure = DARK_S * u.second

    def write(self, product: Path) -> None:
        """Read the raw frame, reduce it in one call, write the product."""
        frame = CCDData.read(self._raw, unit="adu")
        self._process(frame).write(product, overwrite=True)

    def differences(self, product: Path) -> tuple[float, float]:
        """Return the largest relative difference of signal and of uncertainty, over at least one electron.

        ``ccd_process`` counts the bias level as light, so the uncertainty is compared with what ccdproc's functions
        make of the frame's own Poisson noise. ccdproc divides the flat by its mean; that is undone.
        """
        frame = CCDData.read(self._raw, unit="adu")
        with fits.open(product, memmap=False) as hdus:
            signal, uncertainty = (hdus[n].data.astype(np.float64) for n in (0, "UNCERT"))
        level = float(self._flat.data.mean(dtype=np.float64))
        noise = ccdproc.create_deviation(
            CCDData(frame.data - self._bias.data, unit="adu"),
            gain=_GAIN,
            readnoise=_READ_NOISE,
            disregard_nan=True,
        ).uncertainty
        exact = ccdproc.flat_correct(
            ccdproc.subtract_dark(
                CCDData(frame.data, unit="adu", uncertainty=noise),
                self._dark,
                dark_exposure=self._exposure,
                data_exposure=self._exposure,
            ),
            self._flat,
        )
        exact = ccdproc.gain_correct(exact, _GAIN)
        return (
            _largest(signal, self._process(frame).data / level),
            _largest(uncertainty, exact.uncertainty.array / level),
        )

    def _process(self, frame: CCDData) -> CCDData:
        """Take the steps that our product has had."""
        return ccdproc.ccd_process(
            frame,
            error=True,
            gain=_GAIN,
            readnoise=_READ_NOISE,
            dark_frame=self._dark,
            dark_exposure=self._exposure,
            data_exposure=self._exposure,
            master_flat=self._flat,
            gain_corrected=False,
        )


def _read(path: str, unit: u.Unit) -> CCDData:
    """Return a master in float64, as ccdproc would have made it."""
    with fits.open(path, memmap=False) as hdus:
        signal = hdus[0].data.astype(np.float64)
        error = np.nan_to_num(hdus["UNCERT"].data.astype(np.float64))
    return CCDData(signal, unit=unit, uncertainty=StdDevUncertainty(error))


def _largest(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference relative to theirs, or to one where theirs is smaller."""
    return float(np.nanmax(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1.0)))
