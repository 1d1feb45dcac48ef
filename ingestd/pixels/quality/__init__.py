"""Quality figures: one function for every row of ``metrics.METRICS``, each with its formula, error and source.

Functions of arrays and numbers alone. A frame is handed over whole, as row blocks, or as a `Tally` (raw frames) or
`SkyBoxes` (reduced frames) that has seen its row blocks, so that one pass gives several figures::

    tally = Tally(reader.offset)
    for rows in blocks:
        tally.add(rows)
    bias_level_adu(tally), frame_noise_adu(tally), saturated_pixels(tally, 65535)

A figure in electrons is computed from the one in ADU and the gain.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ingestd.pixels.quality.agreement import (
    Agreement,
    agree,
    agree_flats,
    level_from_previous_adu,
    patches_from_previous_adu,
    patches_from_previous_ratio,
)
from ingestd.pixels.quality.comparison import (
    Comparison,
    compare,
    compare_flat,
    noise_from_master_adu,
    offset_from_master_adu,
    outlier_pixels,
    structure_from_master_adu,
)
from ingestd.pixels.quality.curves import (
    DarkCurve,
    TransferCurve,
    dark_against_temperature,
    nonlinearity,
    photon_transfer,
)
from ingestd.pixels.quality.darks import (
    DarkSignal,
    dark_rate_adu_per_second,
    dark_rate_electrons_per_second,
    dark_rate_mean_adu_per_second,
    dark_rate_p95_adu_per_second,
    dark_rate_p99_adu_per_second,
    dark_signal,
    hot_pixel_map,
    hot_pixels,
    warm_pixels,
)
from ingestd.pixels.quality.defects import dead_pixels, low_pixel_map, low_pixels, noisy_pixel_map, noisy_pixels
from ingestd.pixels.quality.flats import flat_curvature_ratio, flat_signal_to_noise_ratio, lamp_scatter_ratio
from ingestd.pixels.quality.gain import (
    FlatPair,
    flat_pair_level_adu,
    flat_pair_variance_adu2,
    flat_pairs,
    gain_electrons_per_adu,
    gain_of_pairs,
)
from ingestd.pixels.quality.histogram import Estimate, Histogram, histogram, mean_of, variance_within
from ingestd.pixels.quality.levels import (
    bias_level_adu,
    ceiling_pixels,
    central_section,
    cosmic_ray_pixels,
    dark_level_adu,
    flat_level_adu,
    floor_pixels,
    frame_noise_adu,
    overscan_level_adu,
    saturated_pixels,
    sensor_temp_offset_celsius,
)
from ingestd.pixels.quality.noise import (
    StackScatter,
    c4,
    coarse_deviation,
    dark_noise_adu,
    read_noise_adu,
    read_noise_electrons,
    read_noise_overscan_adu,
    read_noise_stack_adu,
    read_noise_stack_mean_adu,
    read_noise_stack_median_adu,
    stack_scatter,
)
from ingestd.pixels.quality.sky import (
    SkyBoxes,
    SkyFigures,
    sky_column_structure_adu,
    sky_level_adu,
    sky_level_electrons,
    sky_noise_adu,
    sky_noise_electrons,
    sky_noise_to_model_ratio,
    sky_row_structure_adu,
)
from ingestd.pixels.quality.stars import StarField, Stars, detected_sources, ellipticity_ratio, fwhm_px
from ingestd.pixels.quality.structure import column_structure_adu, row_structure_adu
from ingestd.pixels.quality.tally import Pixels, Tally, sampled_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ESTIMATORS: Mapping[str, Callable[..., Estimate]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            bias_level_adu,
            row_structure_adu,
            column_structure_adu,
            dark_level_adu,
            flat_level_adu,
            frame_noise_adu,
            saturated_pixels,
            floor_pixels,
            ceiling_pixels,
            overscan_level_adu,
            read_noise_overscan_adu,
            offset_from_master_adu,
            structure_from_master_adu,
            noise_from_master_adu,
            outlier_pixels,
            level_from_previous_adu,
            patches_from_previous_adu,
            patches_from_previous_ratio,
            sensor_temp_offset_celsius,
            read_noise_adu,
            read_noise_stack_adu,
            read_noise_stack_mean_adu,
            read_noise_stack_median_adu,
            read_noise_electrons,
            dark_noise_adu,
            dark_rate_adu_per_second,
            dark_rate_electrons_per_second,
            dark_rate_mean_adu_per_second,
            dark_rate_p95_adu_per_second,
            dark_rate_p99_adu_per_second,
            hot_pixels,
            warm_pixels,
            noisy_pixels,
            dead_pixels,
            low_pixels,
            gain_electrons_per_adu,
            flat_pair_level_adu,
            flat_pair_variance_adu2,
            flat_curvature_ratio,
            flat_signal_to_noise_ratio,
            lamp_scatter_ratio,
            cosmic_ray_pixels,
            sky_level_adu,
            sky_level_electrons,
            sky_noise_adu,
            sky_noise_electrons,
            sky_noise_to_model_ratio,
            sky_row_structure_adu,
            sky_column_structure_adu,
            detected_sources,
            fwhm_px,
            ellipticity_ratio,
        )
    },
)
"""The function of each metric by its name."""

__all__ = [
    "ESTIMATORS",
    "Agreement",
    "Comparison",
    "DarkCurve",
    "DarkSignal",
    "Estimate",
    "FlatPair",
    "Histogram",
    "Pixels",
    "SkyBoxes",
    "SkyFigures",
    "StackScatter",
    "StarField",
    "Stars",
    "Tally",
    "TransferCurve",
    "agree",
    "agree_flats",
    "bias_level_adu",
    "c4",
    "ceiling_pixels",
    "central_section",
    "coarse_deviation",
    "column_structure_adu",
    "compare",
    "compare_flat",
    "cosmic_ray_pixels",
    "dark_against_temperature",
    "dark_level_adu",
    "dark_noise_adu",
    "dark_rate_adu_per_second",
    "dark_rate_electrons_per_second",
    "dark_rate_mean_adu_per_second",
    "dark_rate_p95_adu_per_second",
    "dark_rate_p99_adu_per_second",
    "dark_signal",
    "dead_pixels",
    "detected_sources",
    "ellipticity_ratio",
    "flat_curvature_ratio",
    "flat_level_adu",
    "flat_pair_level_adu",
    "flat_pair_variance_adu2",
    "flat_pairs",
    "flat_signal_to_noise_ratio",
    "floor_pixels",
    "frame_noise_adu",
    "fwhm_px",
    "gain_electrons_per_adu",
    "gain_of_pairs",
    "histogram",
    "hot_pixel_map",
    "hot_pixels",
    "lamp_scatter_ratio",
    "level_from_previous_adu",
    "low_pixel_map",
    "low_pixels",
    "mean_of",
    "noise_from_master_adu",
    "noisy_pixel_map",
    "noisy_pixels",
    "nonlinearity",
    "offset_from_master_adu",
    "outlier_pixels",
    "overscan_level_adu",
    "patches_from_previous_adu",
    "patches_from_previous_ratio",
    "photon_transfer",
    "read_noise_adu",
    "read_noise_electrons",
    "read_noise_overscan_adu",
    "read_noise_stack_adu",
    "read_noise_stack_mean_adu",
    "read_noise_stack_median_adu",
    "row_structure_adu",
    "sampled_rows",
    "saturated_pixels",
    "sensor_temp_offset_celsius",
    "sky_column_structure_adu",
    "sky_level_adu",
    "sky_level_electrons",
    "sky_noise_adu",
    "sky_noise_electrons",
    "sky_noise_to_model_ratio",
    "sky_row_structure_adu",
    "stack_scatter",
    "structure_from_master_adu",
    "variance_within",
    "warm_pixels",
]
