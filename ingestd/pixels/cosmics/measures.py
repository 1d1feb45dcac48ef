"""What L.A.Cosmic measures of a pixel: formulas on patches, in float32 and in the order of operations of astroscrappy.

Every function takes patches of side k and returns the measure of their inner pixels, for which the patch holds all
neighbours: its ``REACH_PX`` less on each side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.cosmics.medians import separable_median

Float32 = NDArray[np.float32]

LEAST_VARIANCE = np.float32(1e-5)
"""Electron^2; a smaller or negative median counts as this."""

LEAST_STRUCTURE = np.float32(0.01)
"""In units of the noise; a flatter neighbourhood counts as this."""

_NOISE_WINDOW, _NOISE_REACH = 7, 3
_SMOOTH_WINDOW, _SMOOTH_REACH = 5, 2
_STRUCTURE_WINDOW, _STRUCTURE_REACH = 9, 4


@dataclass(frozen=True, slots=True)
class Patches:
    """Square patches of an image, side by side along the last axis: all arrays of shape (k, k, n).

    Attributes
    ----------
    electrons, variance : ndarray of float32
        Electrons and electron^2; 0 outside the image.
    edge_px : ndarray of int, or None
        Distance to the nearest edge of the image: 0 for the outermost pixels, negative outside. None if all patches lie
        inside the image, where no rule for edges applies.
    """

    electrons: Float32
    variance: Float32
    edge_px: NDArray[np.intp] | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A formula and the pixels that it needs on each side of the measured one."""

    of: Callable[[Patches], Float32]
    reach_px: int


def _laplacian(patches: Patches) -> Float32:
    """Return L+, electron: the Laplacian of the image sampled twice as finely, negative values set to 0, binned again.

    Each pixel p is four subpixels; the Laplacian of one is 4 p - 2 p minus its horizontal and its vertical neighbour
    among l, r, d, u. So L+ = 1/4 sum of max(0, 2 p - {l, r} - {d, u}).
    """
    centre = patches.electrons[1:-1, 1:-1]
    four = centre * np.float32(4)
    left = four - centre
    left -= patches.electrons[1:-1, :-2]
    right = four - patches.electrons[1:-1, 2:]
    right -= centre
    lower = patches.electrons[2:, 1:-1] + centre
    upper = patches.electrons[:-2, 1:-1] + centre
    total = np.maximum(left - lower, 0)
    for horizontal, vertical in ((right, lower), (right, upper), (left, upper)):
        subpixel = horizontal - vertical
        total += np.maximum(subpixel, 0, out=subpixel)
    total *= np.float32(0.25)
    return total


def _noise(patches: Patches) -> Float32:
    """Return the noise without cosmic rays, electron: the root of the separable 7 x 7 median of the variance."""
    variance = separable_median(patches.variance, _NOISE_WINDOW)
    _keep_edges(variance, patches, patches.variance, _NOISE_REACH)
    np.maximum(variance, LEAST_VARIANCE, out=variance)
    return np.sqrt(variance, out=variance)


def _significance(patches: Patches) -> Float32:
    """Return S = L+ / (2 noise); the 2 is the sampling."""
    noise = _noise(patches)
    significance = _laplacian(_inner(patches, _NOISE_REACH - 1))
    noise += noise
    significance /= noise
    return significance


def _excess(patches: Patches) -> Float32:
    """Return S' = S minus its separable 7 x 7 median: what is left of S without stars and structure."""
    significance = _significance(patches)
    inner = slice(_NOISE_REACH, -_NOISE_REACH)
    return np.subtract(significance[inner, inner], separable_median(significance, _NOISE_WINDOW))


def _fine_structure(patches: Patches) -> Float32:
    """Return F = (M5 - M9 of M5) / noise, at least 0.01; Mk is the separable k x k median. Stars have it, hits not."""
    smooth = separable_median(patches.electrons, _SMOOTH_WINDOW)
    _keep_edges(smooth, patches, patches.electrons, _SMOOTH_REACH)
    inner = slice(_STRUCTURE_REACH, -_STRUCTURE_REACH)
    structure: Float32 = smooth[inner, inner] - separable_median(smooth, _STRUCTURE_WINDOW)
    structure /= _noise(_inner(patches, _NOISE_REACH))
    if patches.edge_px is not None:
        margin = slice(EXCESS.reach_px, -EXCESS.reach_px)
        structure[patches.edge_px[margin, margin] < _STRUCTURE_REACH] = 0
    np.maximum(structure, LEAST_STRUCTURE, out=structure)
    return structure


def _typical(patches: Patches) -> Float32:
    """Return the separable 7 x 7 median of the image, electron."""
    return separable_median(patches.electrons, _NOISE_WINDOW)


def _keep_edges(filtered: Float32, patches: Patches, values: Float32, reach_px: int) -> None:
    """Restore the values themselves where the window of a median leaves the image."""
    if patches.edge_px is not None:
        inner = slice(reach_px, -reach_px)
        is_edge = patches.edge_px[inner, inner] < reach_px
        np.copyto(filtered, values[inner, inner], where=is_edge)


def _inner(patches: Patches, margin: int) -> Patches:
    """Return patches without a margin."""
    inner = slice(margin, -margin)
    edge_px = None if patches.edge_px is None else patches.edge_px[inner, inner]
    return Patches(patches.electrons[inner, inner], patches.variance[inner, inner], edge_px)


LAPLACIAN = Measure(_laplacian, 1)
SIGNIFICANCE = Measure(_significance, _NOISE_REACH)
TYPICAL = Measure(_typical, _NOISE_REACH)
EXCESS = Measure(_excess, 2 * _NOISE_REACH)
FINE_STRUCTURE = Measure(_fine_structure, _SMOOTH_REACH + _STRUCTURE_REACH)
