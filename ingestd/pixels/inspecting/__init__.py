"""What people compute by hand of a frame or a set of frames, the naive figures beside the ones that are right.

describing      one image: mean, median, scatter, extremes and where they are, histogram against a Gaussian
stacking        a set: mean and standard deviation of each pixel
noising         read noise each way, and by how much each is off
converting      gain from two flats and two biases, and the quick form
"""

from ingestd.pixels.inspecting.converting import GainWays, gain_ways
from ingestd.pixels.inspecting.describing import Bar, Description, Spot, bars, describe
from ingestd.pixels.inspecting.noising import NoiseWays, noise_ways
from ingestd.pixels.inspecting.stacking import Stack

__all__ = [
    "Bar",
    "Description",
    "GainWays",
    "NoiseWays",
    "Spot",
    "Stack",
    "bars",
    "describe",
    "gain_ways",
    "noise_ways",
]
