"""One function for each calibration step: it changes a block in place, and the block's variance with its signal.

The signal is in ADU until ``convert_to_electrons``. The variance is started by ``start_uncertainty`` and carried along
where the calibration has one. Formulas: Howell, Handbook of CCD Astronomy; CCD Data Reduction Guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingestd.records import MaskBit

if TYPE_CHECKING:
    from ingestd.pixels.blocks import Float32
    from ingestd.pixels.steps.plane import Block, PlaneCalibration


def estimate_overscan(block: Block, _calibration: PlaneCalibration) -> None:
    """Find the bias level of these rows; trimming subtracts it while it copies."""
    block.levels = [
        0.0 if piece.overscan is None else piece.overscan.levels(block.frame, block.raw_row)
        for piece in block.band.pieces
    ]


def trim(block: Block, _calibration: PlaneCalibration) -> None:
    """Take the image out of the rows, less the level of the overscan: each amplifier's columns to their place."""
    for piece, level in zip(block.band.pieces, block.levels, strict=True):
        np.subtract(block.frame[:, piece.raw], level, out=block.signal[:, piece.out])


def linearise(block: Block, calibration: PlaneCalibration) -> None:
    """Make the signal above the bias level linear: ``x (1 + c1 x + c2 x**2 + ...)``, x = S - B in ADU.

    Notes
    -----
    The polynomial of Rubin's ip_isr (LinearizePolynomial), x + sum of k_i x**(2 + i). B is the master bias, also one
    that an exact dark carries; without it the level of the overscan, which trimming took out. The slope of the
    polynomial is kept for the noise of what was read, as `start_uncertainty` and `subtract_bias` say.
    """
    signal = block.signal
    bias = None if calibration.bias is None else calibration.bias[block.rows]
    if bias is not None:
        np.subtract(signal, bias, out=signal)
    slope = block.slope = np.zeros_like(signal)
    for power, coefficient in reversed(list(enumerate(block.band.nonlinearity, 2))):
        np.add(slope, np.float32(power) * coefficient, out=slope)
        np.multiply(slope, signal, out=slope)
    np.add(slope, 1, out=slope)
    _make_linear(signal, block)
    if bias is not None:
        np.add(signal, bias, out=signal)


def start_uncertainty(block: Block, calibration: PlaneCalibration) -> None:
    """Start the variance of the raw signal: Poisson noise of everything collected, and read noise.

    Notes
    -----
    ``var = max(S - B, 0) / g + (rn / g)**2`` in ADU**2 with gain g in e-/ADU. S - B is the light **and** the dark
    current: both are collected charge, and subtracting the dark's mean does not remove its noise. Without a bias, B is
    the overscan's level, and (rn / g)**2 grows by the share that the noise of this level has of it.

    Without either, the dark D stands in: ``var = max(S - D, 0) / g + n sigma_D**2``. The error of a mean of n frames
    tells the noise that each of them has, that of the dark current too: at least (rn / g)**2, which stands alone where
    it is not known. It is up to 1.5 times too large in pixels that lost samples to clipping.
    Without any master the pedestal counts as light and the variance is too large.

    The measured charge stands for the expected one, so the estimate is correlated with the noise: (reduced - truth) /
    uncertainty has the mean -1 / (2 sqrt(V)), V being the variance in electrons**2: -0.016 at 1000. Where the charge is
    less than its noise, only the part above 0 counts: without any charge V is 1 + 0.4 / sqrt(V) times too large.

    Charge has its Poisson noise before a nonlinear amplifier sees it, so its variance is that of the linear signal;
    read noise comes after it and grows with the slope of the polynomial.
    """
    band, variance = block.band, block.variance
    level = calibration.bias
    if level is None and not calibration.has_overscan:
        level = calibration.dark
    if level is None:
        np.maximum(block.signal, block.zeros, out=variance)
    else:
        np.subtract(block.signal, level[block.rows], out=variance)
        np.maximum(variance, block.zeros, out=variance)
    if not band.is_unity:
        np.multiply(variance, band.adu_per_e, out=variance)
    noise = band.noise_variance
    if level is calibration.dark and level is not None:
        noise = _noise_of_dark(block, calibration)
    if block.slope is not None:
        noise = block.slope * block.slope * noise
    np.add(variance, noise, out=variance)


def _noise_of_dark(block: Block, calibration: PlaneCalibration) -> Float32:
    """Return the variance that each frame of the dark had, in the scratch of the block; read noise where unknown."""
    noise = block.scratch
    noise[:] = block.band.noise_variance
    if calibration.dark_error is not None and calibration.dark_frames > 1:
        error = calibration.dark_error[block.rows]
        np.multiply(error, error, out=noise, where=error > 0)
        np.multiply(noise, np.float32(calibration.dark_frames), out=noise, where=error > 0)
        np.maximum(noise, block.band.noise_variance, out=noise)
    return noise


def subtract_bias(block: Block, calibration: PlaneCalibration) -> None:
    """Subtract the master bias: ``S - B``.

    Notes
    -----
    A scaled dark follows, which subtracts r (D - B): the bias remains in the result with the weight -(1 - r), and as it
    is the same array both times, its variance enters once, with (1 - r)**2, and not as 1 + r**2. Of a signal that was
    made linear the bias takes the slope of the polynomial for the 1; that of the dark's small signal counts as 1.
    """
    if calibration.bias is None:
        return
    np.subtract(block.signal, calibration.bias[block.rows], out=block.signal)
    if calibration.has_uncertainty:
        ratio = calibration.dark_ratio if calibration.dark is not None else 0.0
        _add_variance(block, calibration.bias_error, 1.0 - ratio if block.slope is None else block.slope - ratio)


def subtract_dark(block: Block, calibration: PlaneCalibration) -> None:
    """Subtract the master dark: exact ``S - D``, or scaled ``S - B - r (D - B)``; it adds r**2 of its variance.

    Notes
    -----
    Linear dark current. The members of bias and dark master are different frames, so the two are independent. A dark is
    combined as it was read: where the signal was made linear, so is the dark, above the same bias.
    """
    dark = calibration.dark
    if dark is None:
        return
    if not calibration.dark_is_scaled and block.slope is None:
        np.subtract(block.signal, dark[block.rows], out=block.signal)
    else:
        _subtract_charge(block, calibration, dark)
    if calibration.has_uncertainty:
        _add_variance(block, calibration.dark_error, calibration.dark_ratio)


def _subtract_charge(block: Block, calibration: PlaneCalibration, dark: Float32) -> None:
    """Subtract what the dark collected, linear and scaled; with an exact dark the bias goes too."""
    charge = np.empty_like(block.signal) if block.slope is not None else block.scratch
    bias = None if calibration.bias is None else calibration.bias[block.rows]
    if bias is None:
        np.copyto(charge, dark[block.rows])
    else:
        np.subtract(dark[block.rows], bias, out=charge)
    if block.slope is not None:
        _make_linear(charge, block)
    np.multiply(charge, np.float32(calibration.dark_ratio), out=charge)
    np.subtract(block.signal, charge, out=block.signal)
    if bias is not None and not calibration.dark_is_scaled:
        np.subtract(block.signal, bias, out=block.signal)


def divide_by_flat(block: Block, calibration: PlaneCalibration) -> None:
    """Divide by the flat: ``S / F`` with ``var / F**2 + (S / F)**2 (sigma_F / F)**2``."""
    if calibration.flat is None:
        return
    flat = calibration.flat[block.rows]
    np.divide(block.signal, flat, out=block.signal)
    if not calibration.has_uncertainty:
        return
    if calibration.flat_error is not None:
        np.multiply(block.signal, calibration.flat_error[block.rows], out=block.scratch)
        np.multiply(block.scratch, block.scratch, out=block.scratch)
        np.add(block.variance, block.scratch, out=block.variance)
    np.multiply(flat, flat, out=block.scratch)
    np.divide(block.variance, block.scratch, out=block.variance)


def convert_to_electrons(block: Block, calibration: PlaneCalibration) -> None:
    """Multiply by the gain."""
    band = block.band
    if band.is_unity:
        return
    np.multiply(block.signal, band.gain, out=block.signal)
    if calibration.has_uncertainty:
        np.multiply(block.variance, band.gain_squared, out=block.variance)


def mark_pixels(block: Block, calibration: PlaneCalibration) -> None:
    """Unite the masters' masks with SATURATED and NONLINEAR (from the raw value) and NO_DATA (not finite: then NaN)."""
    mask, flags = block.mask, block.flags
    if calibration.saturation_adu is None:
        mask[:] = 0
    else:
        for piece in block.band.pieces:
            np.greater_equal(block.frame[:, piece.raw], np.float32(calibration.saturation_adu), out=flags[:, piece.out])
        np.multiply(flags.view(np.uint8), np.uint8(MaskBit.SATURATED), out=mask)
    if calibration.linear_max_adu is not None:
        for piece in block.band.pieces:
            np.greater(block.frame[:, piece.raw], np.float32(calibration.linear_max_adu), out=flags[:, piece.out])
        mask[flags] |= np.uint8(MaskBit.NONLINEAR)
    for other in calibration.masks:
        np.bitwise_or(mask, other[block.rows], out=mask)
    np.isfinite(block.signal, out=flags)
    if not flags.all():
        missing = ~flags
        block.signal[missing] = np.nan
        mask[missing] |= np.uint8(MaskBit.NO_DATA)


def _make_linear(signal: Float32, block: Block) -> None:
    """Put signals above the bias level through the polynomial of their amplifiers, in place."""
    factor = block.scratch
    factor[:] = 0
    for coefficient in reversed(block.band.nonlinearity):
        np.add(factor, coefficient, out=factor)
        np.multiply(factor, signal, out=factor)
    np.add(factor, 1, out=factor)
    np.multiply(signal, factor, out=signal)


def _add_variance(block: Block, error: Float32 | None, weight: float | Float32) -> None:
    """Add the variance of a master that was subtracted ``weight`` times: one number, or one for each pixel."""
    if error is None or (isinstance(weight, float) and weight == 0.0):
        return
    weighted = error[block.rows]
    if not isinstance(weight, float) or weight != 1.0:
        weighted = np.multiply(weighted, np.float32(weight), out=block.scratch)
    np.multiply(weighted, weighted, out=block.scratch)
    np.add(block.variance, block.scratch, out=block.variance)
