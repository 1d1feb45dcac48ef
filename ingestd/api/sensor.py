"""What the history of a camera says of its sensor: fits through what its masters and flats measured, night by night."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.api.bright import bright_pairs
from ingestd.doors.catalogue import Catalogue
from ingestd.pixels import quality
from ingestd.pixels.quality import Estimate
from ingestd.settings import Settings

_PAIR_LEVEL, _PAIR_VARIANCE = "flat_pair_level_adu", "flat_pair_variance_adu2"
_READ_NOISE, _DARK_RATE, _FLAT_LEVEL = "read_noise_adu", "dark_rate_adu_per_second", "flat_level_adu"
_OF_AMPLIFIERS = {_PAIR_LEVEL, _READ_NOISE, _DARK_RATE}
_NAMES = (_PAIR_LEVEL, _PAIR_VARIANCE, _READ_NOISE, _DARK_RATE, _FLAT_LEVEL)

_TEMPERATURE_BIN_C = 0.5
_RATE_ERROR_RATIO = 0.02  # a thermometer that is off by 0.2 C
_LEVEL_ERROR_RATIO = 0.002
_LEVEL_ERROR_ADU = 0.2

ASSUMED_ERRORS: Mapping[str, float] = MappingProxyType(
    {
        "flat_level_ratio": _LEVEL_ERROR_RATIO,
        "dark_rate_ratio": _RATE_ERROR_RATIO,
        "dark_level_adu": _LEVEL_ERROR_ADU,
    }
)
"""Errors of single points that are assumed, not measured: behind nonlinearity, dark rate and doubling temperature."""

_MAD_TO_SIGMA, _MEDIAN_ERROR = 1.4826, 1.2533

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SensorFigure:
    """One property of a sensor with its standard error and the number of points behind it; or why it cannot be said.

    ``value`` is None where it cannot; a figure that can be said may have a ``reason`` too, which is then a remark.
    """

    name: str
    unit: str
    value: float | None
    error: float | None
    points: int
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of a curve, float64 arrays of equal length."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SensorHistory:
    """What is known of one amplifier of one camera and set-up.

    ``plane`` is the HDU number, None for the only one, ``channel`` the amplifier, empty for the only one.
    ``reference_c`` is the temperature of the dark rate, None without darks. ``transfer`` is variance (ADU^2) against
    level (ADU) of pairs of flats, ``dark`` the rate (ADU/s) against temperature (C), one point for each half degree.
    """

    camera: str
    setup: str
    plane: int | None
    channel: str
    reference_c: float | None
    figures: tuple[SensorFigure, ...]
    transfer: Points
    dark: Points

    def figure(self, name: str) -> SensorFigure:
        """Return a figure by its name."""
        return next(figure for figure in self.figures if figure.name == name)


def sensor_history(
    catalogue: Catalogue,
    *,
    camera: str | None = None,
    reference_c: float | None = None,
    settings: Settings | None = None,
) -> list[SensorHistory]:
    """Return what the figures in the catalogue say of each sensor, by camera, set-up, plane and amplifier.

    Parameters
    ----------
    catalogue : Catalogue
    camera : str, optional
        Only of this camera.
    reference_c : float, optional
        Temperature that dark rates are given at; by default the one most darks were taken at.
    settings : Settings, optional
        With them flats that were too bright for a master are read too, at most 60 of each set-up: a full well above
        ``screening.flat_max_level`` shows in them alone.

    Notes
    -----
    Gain, read noise of flats and full well: `quality.photon_transfer` through the pairs of flats of all nights and
    filters, with the read noise of the biases as the point without light. Nonlinearity: `quality.nonlinearity` of the
    flats of one filter and night that were taken with unlike exposures, mean over these. Dark rate and doubling
    temperature: `quality.dark_against_temperature` through the medians of the master darks in steps of half a degree.
    """
    found: dict[tuple[str, str, int, str], _Rows] = {}
    bright = () if settings is None else bright_pairs(catalogue, settings, camera)
    for row in chain(catalogue.figure_history(_NAMES, camera), bright):
        key = row["camera"], row["setup"], -1 if row["plane"] is None else row["plane"], row["channel"]
        found.setdefault(key, _Rows()).add(row)
    named = {key[:3] for key, rows in found.items() if key[3] and rows.is_amplifier}
    return [
        _history(*key[:2], None if key[2] < 0 else key[2], key[3], rows, reference_c)
        for key, rows in sorted(found.items())
        if (rows.is_amplifier if key[3] else key[:3] not in named)
    ]


@dataclass(slots=True)
class _Rows:
    """The measurements of one amplifier by their names, in the order of time."""

    by_name: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take in a row; of flat levels only those of raw frames, which hold their bias."""
        if row["name"] != _FLAT_LEVEL or not row["is_of_master"]:
            self.by_name.setdefault(row["name"], []).append(row)

    def of(self, name: str) -> list[Row]:
        """Return the rows of a name."""
        return self.by_name.get(name, [])

    @property
    def is_amplifier(self) -> bool:
        """True if it has figures that colours of a mosaic have not."""
        return bool(_OF_AMPLIFIERS & set(self.by_name))


def _history(
    camera: str, setup: str, plane: int | None, channel: str, rows: _Rows, reference_c: float | None
) -> SensorHistory:
    """Return what the measurements of one amplifier say."""
    transfer, dark, most_c = _transfer_points(rows), *_dark_points(rows.of(_DARK_RATE))
    reference_c = most_c if reference_c is None else reference_c
    noise = _median(rows.of(_READ_NOISE))
    gain, of_flats = _transfer_figures(transfer, noise)
    figures = (gain, *_noise_figures(noise, len(rows.of(_READ_NOISE)), gain), *of_flats, _nonlinearity(rows))
    return SensorHistory(
        camera, setup, plane, channel, reference_c, (*figures, *_dark_figures(dark, reference_c, gain)), transfer, dark
    )


# --- flats ------------------------------------------------------------------------------------------------------------


def _transfer_points(rows: _Rows) -> Points:
    """Return the pairs of flats: the n-th level of a master belongs to its n-th variance."""
    ranked: dict[tuple[str, str, int], Row] = {}
    for name in (_PAIR_LEVEL, _PAIR_VARIANCE):
        numbers: dict[str, int] = {}
        for row in rows.of(name):
            number = numbers.get(row["subject"], 0)
            numbers[row["subject"]] = number + 1
            ranked[name, row["subject"], number] = row
    pairs = [
        (row, ranked[_PAIR_VARIANCE, subject, number])
        for (name, subject, number), row in ranked.items()
        if name == _PAIR_LEVEL and (_PAIR_VARIANCE, subject, number) in ranked
    ]
    return Points(
        _array(level["value"] for level, _ in pairs),
        _array(variance["value"] for _, variance in pairs),
        _array(variance["error"] or 0.01 * variance["value"] for _, variance in pairs),
    )


def _transfer_figures(points: Points, noise: Estimate | None) -> tuple[SensorFigure, tuple[SensorFigure, ...]]:
    """Return the gain, and what else the photon transfer curve says."""
    try:
        curve = quality.photon_transfer(points.x, points.y, points.error, noise)
    except ValueError as error:
        reason = (
            "no pairs of flats of one night, filter and exposure with a master bias"
            if not points.x.size
            else str(error)
        )
        return _unknown("gain_e_per_adu", "e-/ADU", reason), (
            _unknown("read_noise_of_flats_adu", "ADU", reason),
            _unknown("full_well_adu", "ADU", reason),
            _unknown("full_well_e", "e-", reason),
        )
    number, gain = curve.points, curve.gain
    faint = "the flats do not reach down to where read noise counts"
    rises = "the variance still rises at the brightest flats"
    well = None if curve.full_well is None else curve.full_well.scaled(gain.value, gain.error or 0.0)
    return _said("gain_e_per_adu", "e-/ADU", gain, number), (
        _said("read_noise_of_flats_adu", "ADU", curve.read_noise, number, faint),
        _said("full_well_adu", "ADU", curve.full_well, number, f"above {curve.highest_adu:.0f} ADU: {rises}"),
        _said("full_well_e", "e-", well, number, f"above {curve.highest_adu * gain.value:.0f} e-: {rises}"),
    )


def _noise_figures(noise: Estimate | None, points: int, gain: SensorFigure) -> tuple[SensorFigure, SensorFigure]:
    """Return the read noise of the biases."""
    missing = "no master bias of two frames or more"
    return (
        _said("read_noise_adu", "ADU", noise, points, missing),
        _said(
            "read_noise_e", "e-", _in_electrons(noise, gain), points, missing if noise is None else "no gain measured"
        ),
    )


def _nonlinearity(rows: _Rows) -> SensorFigure:
    """Return the nonlinearity of the flats that were taken with unlike exposures in one night and filter."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows.of(_FLAT_LEVEL):
        if row["exposure_s"]:
            groups.setdefault((row["night"] or "", row["filter_name"] or ""), []).append(row)
    found, points, reason = [], 0, "no flats with an exposure"
    for group in groups.values():
        level = _array(row["value"] for row in group)
        try:
            found.append(
                quality.nonlinearity(_array(row["exposure_s"] for row in group), level, _LEVEL_ERROR_RATIO * level)
            )
        except ValueError as error:
            reason = str(error)
        else:
            points += len(group)
    return _said("nonlinearity_percent", "%", _weighted_mean(found, 100.0), points, reason)


# --- darks ------------------------------------------------------------------------------------------------------------


def _dark_points(rows: Sequence[Row]) -> tuple[Points, float | None]:
    """Return the dark rate at each half degree, and the temperature that most darks were taken at."""
    bins: dict[int, list[Row]] = {}
    for row in rows:
        if row["ccd_temp_c"] is not None:
            bins.setdefault(round(row["ccd_temp_c"] / _TEMPERATURE_BIN_C), []).append(row)
    temperatures = {number: statistics.median(row["ccd_temp_c"] for row in own) for number, own in bins.items()}
    rates = {number: _array(row["value"] for row in own) for number, own in bins.items()}
    errors = []
    for number, own in bins.items():
        level = min(_LEVEL_ERROR_ADU / (row["exposure_s"] or 1.0) for row in own)
        errors.append(float(np.hypot(level, _RATE_ERROR_RATIO * np.median(rates[number]))))
    most = max(bins, key=lambda number: len(bins[number]), default=None)
    points = Points(
        _array(temperatures.values()), _array(float(np.median(own)) for own in rates.values()), _array(errors)
    )
    return points, None if most is None else float(temperatures[most])


def _dark_figures(points: Points, reference_c: float | None, gain: SensorFigure) -> tuple[SensorFigure, ...]:
    """Return dark rate and doubling temperature."""
    rate, doubling, number, reason = None, None, points.x.size, "no master dark with a temperature and a master bias"
    if reference_c is not None:
        near = np.flatnonzero(np.abs(points.x - reference_c) <= _TEMPERATURE_BIN_C)
        if near.size:
            rate = Estimate(float(points.y[near[0]]), float(points.error[near[0]]))
        try:
            curve = quality.dark_against_temperature(points.x, points.y, points.error, reference_c)
        except ValueError as error:
            reason = str(error)
        else:
            rate, doubling = curve.rate, curve.doubling_c
    no_gain = reason if rate is None else "no gain measured"
    return (
        _said("dark_rate_adu_per_s", "ADU/s", rate, number, reason),
        _said("dark_rate_e_per_s", "e-/s", _in_electrons(rate, gain), number, no_gain),
        _said("dark_doubling_c", "C", doubling, number, reason),
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def _said(name: str, unit: str, estimate: Estimate | None, points: int, reason: str = "") -> SensorFigure:
    """Return a figure, or why there is none."""
    if estimate is None:
        return _unknown(name, unit, reason)
    return SensorFigure(name, unit, estimate.value, estimate.error, points)


def _unknown(name: str, unit: str, reason: str) -> SensorFigure:
    """Return a figure that cannot be said."""
    return SensorFigure(name, unit, None, None, 0, reason)


def _in_electrons(estimate: Estimate | None, gain: SensorFigure) -> Estimate | None:
    """Return an estimate times the gain, if both are known."""
    return None if estimate is None or gain.value is None else estimate.scaled(gain.value, gain.error or 0.0)


def _median(rows: Sequence[Row]) -> Estimate | None:
    """Return the median of figures, its error the larger of their scatter and of their own."""
    if not rows:
        return None
    values = _array(row["value"] for row in rows)
    middle = float(np.median(values))
    scatter = _MEDIAN_ERROR * _MAD_TO_SIGMA * float(np.median(np.abs(values - middle))) / len(rows) ** 0.5
    return Estimate(middle, max(scatter, statistics.median(row["error"] or 0.0 for row in rows)))


def _weighted_mean(estimates: Sequence[Estimate], factor: float) -> Estimate | None:
    """Return the mean of estimates by the inverse squares of their errors, times a factor."""
    if not estimates:
        return None
    weights = _array(1.0 / max(it.error or 0.0, 1e-9) ** 2 for it in estimates)
    mean = float(weights @ _array(it.value for it in estimates) / weights.sum())
    return Estimate(factor * mean, factor / float(weights.sum()) ** 0.5)


def _array(values: Any) -> NDArray[np.float64]:  # noqa: ANN401 - any iterable of numbers
    """Return numbers as an array."""
    return np.array(list(values), np.float64)
