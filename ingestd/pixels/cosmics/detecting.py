"""The iterations: find hits, grow them into their neighbours, clean, and look again where something changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestd.pixels.cosmics.bound import Bound
from ingestd.pixels.cosmics.cleaning import Cleaner
from ingestd.pixels.cosmics.exposure import CROSS, SQUARE_3, Exposure, Float32, Pixels, distinct
from ingestd.pixels.cosmics.measures import EXCESS, FINE_STRUCTURE, SIGNIFICANCE
from ingestd.pixels.cosmics.patches import evaluate


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of S' of a hit and of a neighbour of hits, and of S' over the fine structure of a hit."""

    hit: np.float32
    neighbour: np.float32
    contrast: np.float32


def flag_and_clean(exposure: Exposure, bound: Bound, limits: Limits, iterations: int) -> None:
    """Flag and clean until an iteration finds nothing new, ``iterations`` times at most.

    What an iteration finds differs from the last one only near pixels that were cleaned: S' and the fine structure
    depend on what is within 6 px, a neighbour on hits 2 px further. So it looks at those alone.
    """
    cleaner = Cleaner(exposure)
    candidates = near = bound.search(limits.hit)
    flagged = exposure.flagged.ravel()
    for _ in range(iterations):
        hits = _hits(exposure, bound, near, limits)
        fresh = hits[~flagged[hits]]
        if not fresh.size:
            return
        flagged[fresh] = True
        changed = cleaner.clean(fresh)
        touched = distinct(np.concatenate([exposure.neighbours(changed, CROSS), bound.lower(changed)]))
        candidates = distinct(np.concatenate([candidates, bound.select(touched, limits.hit)]))
        near = bound.near(candidates, changed)


def _hits(exposure: Exposure, bound: Bound, candidates: Pixels, limits: Limits) -> Pixels:
    """Return the hits among candidates and, not sorted, the neighbours that they spread to.

    A hit exceeds the limit of S' and stands out of the fine structure. Next to one, the limit of S' alone decides; next
    to one of these, its lower limit.
    """
    strong, excess = _exceeding(exposure, candidates, limits.hit)
    seeds = strong[excess / evaluate(exposure, strong, FINE_STRUCTURE) > limits.contrast]
    hits = strong[exposure.among(strong, exposure.neighbours(seeds, SQUARE_3))]
    beside = exposure.neighbours(hits, SQUARE_3)
    beside = bound.select(beside[~exposure.among(beside, hits)], limits.neighbour)
    return np.concatenate([hits, _exceeding(exposure, beside, limits.neighbour)[0]])


def _exceeding(exposure: Exposure, pixels: Pixels, limit: np.float32) -> tuple[Pixels, Float32]:
    """Return the pixels whose S' exceeds a limit, and their S'."""
    pixels = pixels[evaluate(exposure, pixels, SIGNIFICANCE) > limit]
    excess = evaluate(exposure, pixels, EXCESS)
    return pixels[excess > limit], excess[excess > limit]
