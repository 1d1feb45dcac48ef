"""The table METRICS: every quality figure of ingestd, declared once for database, exporter and documentation.

Each row has one function of the same name in ``pixels/quality``; a test compares the two sets. A name is unique: where
``subject`` is ``frame or master`` the same figure is measured on raw frames and on the masters made of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingestd.records import Kind


@dataclass(frozen=True, slots=True)
class MetricDeclaration:
    """One quality figure: what it is called, its unit, where it is measured, what it means and after whom.

    ``subject`` is ``frame``, ``master`` or ``frame or master``; the exporter's name is ``ingestd_`` + ``name``, and
    ``kinds`` are the kinds of the frames (or of the frames that the master is made of).
    """

    name: str
    unit: str
    subject: str
    kinds: tuple[Kind, ...]
    help: str
    source: str


_CALIBRATIONS = (Kind.BIAS, Kind.DARK, Kind.FLAT)
_PEDESTALS = (Kind.BIAS, Kind.DARK)
_ALL = (*_CALIBRATIONS, Kind.LIGHT)
_HOWELL = "Howell, Handbook of CCD Astronomy"
_JANESICK = "Janesick, Photon Transfer"

METRICS: tuple[MetricDeclaration, ...] = (
    MetricDeclaration(
        "bias_level_adu",
        "ADU",
        "frame or master",
        (Kind.BIAS,),
        "Median of the bias, resolved below the step of the converter; of a master above the overscan if there is one",
        "Ma, Genton & Parzen 2011, mid-distribution median",
    ),
    MetricDeclaration(
        "row_structure_adu",
        "ADU",
        "frame or master",
        (Kind.BIAS,),
        "Standard deviation of the levels of the rows beyond noise",
        "Covariance of two halves of each row",
    ),
    MetricDeclaration(
        "column_structure_adu",
        "ADU",
        "frame or master",
        (Kind.BIAS,),
        "Standard deviation of the levels of the columns beyond noise, a gradient included",
        "Covariance of two halves of each column",
    ),
    MetricDeclaration(
        "dark_level_adu",
        "ADU",
        "frame or master",
        (Kind.DARK,),
        "Median of the dark including its bias, resolved below the step of the converter; "
        "of a master above the overscan if there is one",
        "Ma, Genton & Parzen 2011, mid-distribution median",
    ),
    MetricDeclaration(
        "flat_level_adu",
        "ADU",
        "frame or master",
        (Kind.FLAT,),
        "Median of the central half of the flat in both axes, above the bias where one was subtracted",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "frame_noise_adu",
        "ADU",
        "frame",
        _CALIBRATIONS,
        "Noise of one pixel: clipped standard deviation of the differences of vertical neighbours over sqrt(2)",
        _HOWELL,
    ),
    MetricDeclaration(
        "saturated_pixels",
        "pixels",
        "frame",
        _ALL,
        "Pixels at or above the saturation level",
        "Count",
    ),
    MetricDeclaration(
        "floor_pixels",
        "pixels",
        "frame",
        _CALIBRATIONS,
        "Pixels that share the smallest value, if noise does not explain it: not read out",
        "Count",
    ),
    MetricDeclaration(
        "ceiling_pixels",
        "pixels",
        "frame",
        _CALIBRATIONS,
        "Pixels that share the largest value: all of a constant image, many of a saturated one",
        "Count",
    ),
    MetricDeclaration(
        "overscan_level_adu",
        "ADU",
        "frame",
        _ALL,
        "Median of the overscan, resolved below the step of the converter",
        "Ma, Genton & Parzen 2011, mid-distribution median",
    ),
    MetricDeclaration(
        "read_noise_overscan_adu",
        "ADU",
        "frame",
        _CALIBRATIONS,
        "Read noise from the overscan of one frame: clipped standard deviation over squares of 2 x 2 pixels, without "
        "the step of the converter",
        _HOWELL,
    ),
    MetricDeclaration(
        "offset_from_master_adu",
        "ADU",
        "frame",
        _PEDESTALS,
        "Median over pixels of the frame minus the master of an earlier night",
        "BANZAI",
    ),
    MetricDeclaration(
        "structure_from_master_adu",
        "ADU",
        "frame",
        _PEDESTALS,
        "Unevenness of the frame minus the master of an earlier night: range of the medians of 8 x 8 boxes, less a "
        "fifth of that of the master",
        "DESI (patches)",
    ),
    MetricDeclaration(
        "noise_from_master_adu",
        "ADU",
        "frame",
        _PEDESTALS,
        "Noise of one pixel of the frame minus the master of an earlier night, from differences of vertical "
        "neighbours, without the step of the converter",
        _HOWELL,
    ),
    MetricDeclaration(
        "outlier_pixels",
        "pixels",
        "frame",
        _CALIBRATIONS,
        "Pixels further from the master of an earlier night than screening.outlier_sigma",
        "BANZAI",
    ),
    MetricDeclaration(
        "level_from_previous_adu",
        "ADU",
        "master",
        _PEDESTALS,
        "Median over pixels of the master minus that of the previous night",
        "DESI",
    ),
    MetricDeclaration(
        "patches_from_previous_adu",
        "ADU",
        "master",
        _PEDESTALS,
        "Largest absolute median of 8 x 40 patches of the master minus that of the previous night, the level taken off",
        "DESI",
    ),
    MetricDeclaration(
        "patches_from_previous_ratio",
        "",
        "master",
        (Kind.FLAT,),
        "Largest deviation from 1 of the medians of 8 x 40 patches of the flat over that of the previous night",
        "DESI",
    ),
    MetricDeclaration(
        "sensor_temp_offset_celsius",
        "C",
        "frame",
        _ALL,
        "Measured sensor temperature minus its set point",
        "BANZAI (unstable from 0.5 C)",
    ),
    MetricDeclaration(
        "read_noise_adu",
        "ADU",
        "master",
        (Kind.BIAS,),
        "Read noise from pairs of biases: clipped standard deviation of the difference over sqrt(2), without the step "
        "of the converter, mean over pairs",
        _HOWELL,
    ),
    MetricDeclaration(
        "read_noise_stack_adu",
        "ADU",
        "master",
        (Kind.BIAS,),
        "Read noise from the stack of biases: root mean square over pixels of the standard deviation (ddof = 1), "
        "without the step of the converter",
        _HOWELL,
    ),
    MetricDeclaration(
        "read_noise_stack_mean_adu",
        "ADU",
        "master",
        (Kind.BIAS,),
        "Plain mean over pixels of the standard deviation (ddof = 1) through the stack: low by c4, 0.97 for 10 frames",
        _HOWELL,
    ),
    MetricDeclaration(
        "read_noise_stack_median_adu",
        "ADU",
        "master",
        (Kind.BIAS,),
        "Plain median over pixels of the standard deviation (ddof = 1) through the stack: low, 0.96 for 10 frames",
        _HOWELL,
    ),
    MetricDeclaration(
        "read_noise_electrons",
        "e-",
        "master",
        (Kind.BIAS,),
        "Read noise from pairs of biases times the gain",
        _HOWELL,
    ),
    MetricDeclaration(
        "dark_noise_adu",
        "ADU",
        "master",
        (Kind.DARK,),
        "Noise of one pixel of one dark, from pairs of darks as the read noise from biases",
        _HOWELL,
    ),
    MetricDeclaration(
        "dark_rate_adu_per_second",
        "ADU/s",
        "master",
        (Kind.DARK,),
        "Median over pixels of (master dark - master bias) / exposure",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "dark_rate_electrons_per_second",
        "e-/s",
        "master",
        (Kind.DARK,),
        "Median dark rate times the gain",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "dark_rate_mean_adu_per_second",
        "ADU/s",
        "master",
        (Kind.DARK,),
        "Mean over pixels of (master dark - master bias) / exposure: with the hot pixels, above the median",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "dark_rate_p95_adu_per_second",
        "ADU/s",
        "master",
        (Kind.DARK,),
        "Dark rate that 95 % of the pixels do not exceed",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "dark_rate_p99_adu_per_second",
        "ADU/s",
        "master",
        (Kind.DARK,),
        "Dark rate that 99 % of the pixels do not exceed",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "hot_pixels",
        "pixels",
        "master",
        (Kind.DARK,),
        "Pixels whose dark signal, less the bias, exceeds the median by more than masters.hot_sigma robust standard "
        "deviations and, if set, masters.hot_rate_e; bit HOT and badpixels count in each amplifier of the dark as it "
        "is, so pixels at the limit differ",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "warm_pixels",
        "pixels",
        "master",
        (Kind.DARK,),
        "Pixels past half the limit of a hot pixel, but not past it",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "noisy_pixels",
        "pixels",
        "master",
        (Kind.BIAS,),
        "Pixels whose scatter over the biases exceeds the median by more than masters.noisy_sigma robust standard "
        "deviations",
        "BANZAI",
    ),
    MetricDeclaration(
        "dead_pixels",
        "pixels",
        "master",
        (Kind.FLAT,),
        "Pixels of the flat at or below masters.flat_floor of its level",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "low_pixels",
        "pixels",
        "master",
        (Kind.FLAT,),
        "Pixels of the flat below masters.flat_low of the median of their surroundings, without the dead ones",
        "Rubin cp_pipe (defects)",
    ),
    MetricDeclaration(
        "gain_electrons_per_adu",
        "e-/ADU",
        "master",
        (Kind.FLAT,),
        "Gain from pairs of flats in small boxes, level scaled, read noise subtracted, mean over pairs",
        _JANESICK,
    ),
    MetricDeclaration(
        "flat_pair_level_adu",
        "ADU",
        "master",
        (Kind.FLAT,),
        "Photon transfer: level above bias at which a pair of flats of the night has its variance; a row for each pair",
        _JANESICK,
    ),
    MetricDeclaration(
        "flat_pair_variance_adu2",
        "ADU2",
        "master",
        (Kind.FLAT,),
        "Photon transfer: variance of one pixel of one flat from a pair of the night, without fixed pattern and "
        "converter step",
        _JANESICK,
    ),
    MetricDeclaration(
        "flat_curvature_ratio",
        "",
        "master",
        (Kind.FLAT,),
        "Highest less lowest value over the mean of the surface of degree 2 through the medians of boxes",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "flat_signal_to_noise_ratio",
        "",
        "master",
        (Kind.FLAT,),
        "Signal-to-noise of one pixel of the master flat",
        "BANZAI",
    ),
    MetricDeclaration(
        "lamp_scatter_ratio",
        "",
        "master",
        (Kind.FLAT,),
        "Relative scatter of the levels per second of the flats of the night",
        _HOWELL,
    ),
    MetricDeclaration(
        "cosmic_ray_pixels",
        "pixels",
        "frame",
        (Kind.LIGHT,),
        "Pixels hit by cosmic rays, where the camera's settings ask for them",
        "van Dokkum 2001, L.A.Cosmic",
    ),
    MetricDeclaration(
        "sky_level_adu",
        "ADU",
        "frame",
        (Kind.LIGHT,),
        "Sky of the reduced frame: mean of the small boxes that no source brightens",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "sky_level_electrons",
        "e-",
        "frame",
        (Kind.LIGHT,),
        "Sky of the reduced frame times the gain",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "sky_noise_adu",
        "ADU",
        "frame",
        (Kind.LIGHT,),
        "Noise of one pixel of the reduced frame where no source brightens it, from differences of neighbours",
        _HOWELL,
    ),
    MetricDeclaration(
        "sky_noise_electrons",
        "e-",
        "frame",
        (Kind.LIGHT,),
        "Noise of one pixel of the reduced frame where no source brightens it, times the gain",
        _HOWELL,
    ),
    MetricDeclaration(
        "sky_noise_to_model_ratio",
        "",
        "frame",
        (Kind.LIGHT,),
        "Noise of one pixel of the sky over the uncertainty that the product states: 1 if the noise model is right",
        _HOWELL,
    ),
    MetricDeclaration(
        "sky_row_structure_adu",
        "ADU",
        "frame",
        (Kind.LIGHT,),
        "Flatness: standard deviation of the profile of the sky over rows beyond noise",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "sky_column_structure_adu",
        "ADU",
        "frame",
        (Kind.LIGHT,),
        "Flatness: standard deviation of the profile of the sky over columns beyond noise",
        "CCD Data Reduction Guide",
    ),
    MetricDeclaration(
        "detected_sources",
        "sources",
        "frame",
        (Kind.LIGHT,),
        "Sources 5 sigma above the background in the middle of the frame, 1024 x 1024 pixels at most",
        "Barbary 2016, sep",
    ),
    MetricDeclaration(
        "fwhm_px",
        "px",
        "frame",
        (Kind.LIGHT,),
        "Full width at half maximum of the stars in the middle of the frame, median, before sampling by pixels",
        "Bernstein & Jarvis 2002, adaptive moments",
    ),
    MetricDeclaration(
        "ellipticity_ratio",
        "",
        "frame",
        (Kind.LIGHT,),
        "Ellipticity 1 - b/a that the stars in the middle of the frame have in common",
        "Bernstein & Jarvis 2002, adaptive moments",
    ),
)
"""Every quality figure, in the order in which it is shown."""
