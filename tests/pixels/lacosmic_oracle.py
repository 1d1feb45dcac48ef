"""L.A.Cosmic as it reads in the paper and in astroscrappy: whole planes, plain loops, slow and easy to check."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def lacosmic(electrons, read_noise_e, saturation_e, mask, sigclip, sigfrac, objlim, niter):
    """Return mask and cleaned image, in electrons, of finite float32 electrons."""
    image = electrons.astype(np.float32)
    sigclip, sigfrac, objlim, read_noise_e = (np.float32(x) for x in (sigclip, sigfrac, objlim, read_noise_e))
    variance = image + read_noise_e * read_noise_e
    excluded = dilated(mask, SQUARE, 1) | saturated_stars(image, np.float32(saturation_e))
    background = lower_median(image[~excluded])
    background_variance = lower_median(variance[~excluded])
    crmask = np.zeros(image.shape, bool)
    for _ in range(niter):
        noise = np.sqrt(np.maximum(separable_median(variance, 7), np.float32(1e-5)))
        s = laplacian(image) / (np.float32(2) * noise)
        excess = s - separable_median(s, 7)
        fine = separable_median(image, 5)
        fine = np.maximum((fine - separable_median(fine, 9)) / noise, np.float32(0.01))
        hits = (excess > sigclip) & (excess / fine > objlim) & ~excluded
        hits = dilated(hits, SQUARE, 1) & (excess > sigclip) & ~excluded
        hits = dilated(hits, SQUARE, 1) & (excess > sigclip * sigfrac) & ~excluded
        crmask |= hits
        if not hits.any():
            break
        image = cleaned(image, crmask, crmask | excluded, background)
        variance = cleaned(variance, crmask, crmask | excluded, background_variance)
    return crmask, image


def laplacian(image):
    """Return L+: sample twice as finely, convolve with the Laplacian, clip, bin."""
    fine = np.pad(np.repeat(np.repeat(image, 2, axis=0), 2, axis=1), 1)
    right, left, lower, upper = fine[1:-1, 2:], fine[1:-1, :-2], fine[2:, 1:-1], fine[:-2, 1:-1]
    plus = np.maximum(4 * fine[1:-1, 1:-1] - right - left - (lower + upper), 0)
    return (plus[1::2, ::2] + plus[1::2, 1::2] + plus[::2, 1::2] + plus[::2, ::2]) / 4


def separable_median(image, width):
    """Return medians in y of medians in x; where a window leaves the image, the image itself."""
    half = width // 2
    filtered = image.copy()
    if min(image.shape) >= width:
        across = np.median(sliding_window_view(image, width, axis=1), axis=-1)
        filtered[half:-half, half:-half] = np.median(sliding_window_view(across, width, axis=0), axis=-1)
    return filtered


SQUARE = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
ROUNDED = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if (abs(y), abs(x)) != (2, 2)]


def dilated(mask, neighbourhood, frame):
    """Return a mask grown by a neighbourhood; in a frame along the edges it stays as it is."""
    grown = mask.copy()
    ny, nx = mask.shape
    for y in range(frame, ny - frame):
        for x in range(frame, nx - frame):
            grown[y, x] = any(mask[y + dy, x + dx] for dy, dx in neighbourhood)
    return grown


def saturated_stars(image, saturation_e):
    """Return saturated pixels in bright surroundings, grown twice."""
    cores = (image >= saturation_e) & (separable_median(image, 7) > np.float32(float(saturation_e) / 10))
    return dilated(dilated(cores, ROUNDED, 2), ROUNDED, 2) if cores.any() else cores


def cleaned(image, hits, unusable, background):
    """Return an image with hits replaced by the float32 mean of the usable pixels among 5 x 5, in order of rows."""
    out = image.copy()
    for y, x in np.argwhere(hits):
        total, count = np.float32(0), 0
        for j in range(y - 2, y + 3):
            for i in range(x - 2, x + 3):
                if not unusable[j, i]:
                    total += image[j, i]
                    count += 1
        out[y, x] = total / np.float32(count) if count else background
    return out


def lower_median(values):
    """Return the median, the smaller middle one of an even number."""
    return np.sort(values)[(len(values) - 1) // 2] if len(values) else np.float32(0)
