"""How far estimators are from the truth: many nights of sensors that are known, one table of what was measured.

``python -m tests.pixels.truth`` prints the bias of every estimator on every sensor, and the pulls of reduced frames;
with names of figures those alone, with ``pulls`` the pulls. A `Case` says what is measured on a
`Night`, what is true, and, where a bias is known, how large it is by which formula. Another table of cases is measured
by the same `measured`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.pixels.combine import Combined, combine
from ingestd.pixels.moderating import moderate_errors
from ingestd.pixels.quality import coarse_deviation
from ingestd.simulator.sensor import Sensor
from tests.pixels.array_reader import ArrayReader

TRIALS = 200
SHAPE = (64, 96)
EXPOSURE_S = 100.0
SKY_E_PER_S = 3.0
FLAT_ADU = 20_000.0
OVERSCAN_PX = 16


@dataclass(frozen=True, slots=True)
class Subject:
    """A sensor of known truth, and how many frames of each kind are taken of it in a night."""

    name: str
    sensor: Sensor
    frames: int
    seed: int = 1

    @property
    def noise_adu(self) -> float:
        """Noise of one pixel of a bias without the step of the converter."""
        return self.sensor.read_noise_adu

    @property
    def bias_adu(self) -> NDArray[np.float64]:
        """True bias of the pixels that see light."""
        return self.sensor.bias()[:, : self.sensor.shape[1]].astype(np.float64)

    @property
    def dark_adu_per_s(self) -> NDArray[np.float64]:
        """True dark rate of each pixel at the reference temperature."""
        return self.sensor.dark(self.sensor.dark_reference_c).astype(np.float64) / self.sensor.gain_e_per_adu

    def nights(self, trials: int = TRIALS) -> Iterator[Night]:
        """Yield independent nights, the same ones each time."""
        for trial in range(trials):
            yield Night(self, np.random.default_rng([self.seed, trial]))


def _sensor(gain: float, noise_e: float, **more: Any) -> Sensor:
    """Return a small sensor with structure in bias, dark current and sensitivity."""
    return Sensor(shape=SHAPE, gain_e_per_adu=gain, read_noise_e=noise_e, overscan_px=OVERSCAN_PX, **more)


SUBJECTS = (
    Subject("gain 0.5, 2 e-, 5 frames", _sensor(0.5, 2.0, full_well_e=30_000.0), 5),
    Subject("gain 0.5, 20 e-, 6 frames", _sensor(0.5, 20.0, bias_gradient_adu=60.0, hot_fraction=3e-3), 6),
    Subject("gain 1.3, 7.6 e-, 10 frames", _sensor(1.3, 7.6, bias_column_adu=5.0), 10),
    Subject("gain 1.3, 4 e-, 20 frames", _sensor(1.3, 4.0, bias_drift_adu=2.0, bias_gradient_adu=3.0), 20),
    Subject("gain 5, 2 e-, 7 frames", _sensor(5.0, 2.0, full_well_e=300_000.0), 7),
    Subject("gain 5, 20 e-, 40 frames", _sensor(5.0, 20.0, full_well_e=300_000.0, dark_e_per_s=2.0), 40),
)
"""Gain 0.5 to 5 e-/ADU, read noise 2 to 20 e-, offsets, structure, hot pixels, 5 to 40 frames."""


@dataclass(frozen=True, eq=False)
class Night:
    """Frames of one night of a sensor, each drawn when it is first asked for; samples are uint16."""

    subject: Subject
    random: np.random.Generator = field(repr=False)

    def expose(self, number: int, charge_e: NDArray[Any] | None = None) -> NDArray[np.uint16]:
        """Return frames with overscan, shape (number, ny, nx), of an expected charge (shape of the image)."""
        sensor = self.subject.sensor
        noise = self.random.standard_normal((number, *sensor.raw_shape), np.float32)
        adu = sensor.bias() + np.float32(sensor.read_noise_adu) * noise
        adu += self.random.normal(0.0, sensor.bias_drift_adu, (number, 1, 1)).astype(np.float32)
        if charge_e is not None:
            collected = self.random.poisson(charge_e, (number, *sensor.shape))
            adu[..., : sensor.shape[1]] += (np.minimum(collected, sensor.full_well_e) / sensor.gain_e_per_adu).astype(
                np.float32
            )
        return np.clip(np.rint(adu), 0, 65535).astype(np.uint16)

    def images(self, number: int, charge_e: NDArray[Any] | None = None) -> list[NDArray[np.uint16]]:
        """Return frames without overscan."""
        return list(self.expose(number, charge_e)[..., : self.subject.sensor.shape[1]])

    @property
    def dark_e(self) -> NDArray[np.float64]:
        """Expected dark charge of a frame of `EXPOSURE_S`."""
        return self.subject.dark_adu_per_s * self.subject.sensor.gain_e_per_adu * EXPOSURE_S

    @cached_property
    def raw(self) -> NDArray[np.uint16]:
        """One bias with its overscan."""
        return self.expose(1)[0]

    @cached_property
    def biases(self) -> list[NDArray[np.uint16]]:
        """The biases."""
        return self.images(self.subject.frames)

    @cached_property
    def darks(self) -> list[NDArray[np.uint16]]:
        """The darks of `EXPOSURE_S`."""
        return self.images(self.subject.frames, self.dark_e)

    @cached_property
    def flats(self) -> list[NDArray[np.uint16]]:
        """A pair of flats, the second 10 % fainter."""
        response = self.subject.sensor.flat("V").astype(np.float64) * self.subject.sensor.gain_e_per_adu
        return [self.images(1, response * level)[0] for level in (FLAT_ADU, 0.9 * FLAT_ADU)]

    @cached_property
    def sky_e(self) -> NDArray[np.float32]:
        """An empty field of `SKY_E_PER_S`, reduced with masters free of noise, electrons."""
        subject = self.subject
        gain = subject.sensor.gain_e_per_adu
        response = subject.sensor.flat("V").astype(np.float64)
        charge = subject.dark_adu_per_s * gain + response * SKY_E_PER_S
        raw = self.images(1, charge * EXPOSURE_S)[0]
        signal = (raw - subject.bias_adu - subject.dark_adu_per_s * EXPOSURE_S) / response * gain
        return signal.astype(np.float32)

    @cached_property
    def master_bias(self) -> Combined:
        """The biases, combined."""
        return combined(self.biases)

    @cached_property
    def master_dark(self) -> Combined:
        """The darks, combined."""
        return combined(self.darks)


def combined(frames: Sequence[NDArray[np.uint16]]) -> Combined:
    """Return the master as a worker combines it."""
    readers = [ArrayReader(frame) for frame in frames]
    master = combine(readers, sigma=5.0, least_deviation=coarse_deviation(*frames[:2], len(frames)))
    moderate_errors(master.mean, master.error, master.count, len(frames))
    return master


@dataclass(frozen=True, slots=True)
class Case:
    """One figure: how it is measured, what is true, of what 1 % is allowed, and what bias is known.

    ``known`` is the bias that a formula predicts, ``formula`` its words.
    """

    name: str
    measure: Callable[[Night], float]
    truth: Callable[[Subject], float]
    scale: Callable[[Subject], float] | None = None
    known: Callable[[Subject], float] | None = None
    formula: str = ""


@dataclass(frozen=True, slots=True)
class Bias:
    """What many trials of a case gave on one sensor."""

    case: Case
    subject: Subject
    mean: float
    error: float
    truth: float
    scale: float
    known: float

    @property
    def relative(self) -> float:
        """Bias over what 1 % is allowed of."""
        return (self.mean - self.truth) / self.scale if self.scale else self.mean - self.truth

    @property
    def left(self) -> float:
        """Bias less the known one, as `relative`."""
        return self.relative - (self.known / self.scale if self.scale else self.known)

    @property
    def is_small(self) -> bool:
        """True if the bias, without the known one, is below 1 % or within 4 standard errors."""
        off = abs(self.mean - self.truth - self.known)
        return off <= max(0.01 * abs(self.scale), 4.0 * self.error, 1e-9)


def measured(cases: Sequence[Case], subject: Subject, trials: int = TRIALS) -> list[Bias]:
    """Return the bias of each case on a sensor: every trial is one night that all cases share."""
    found = np.array([[case.measure(night) for case in cases] for night in subject.nights(trials)])
    return [
        Bias(
            case,
            subject,
            float(values.mean()),
            float(values.std(ddof=1)) / math.sqrt(trials),
            truth := case.truth(subject),
            truth if case.scale is None else case.scale(subject),
            case.known(subject) if case.known else 0.0,
        )
        for case, values in zip(cases, found.T, strict=True)
    ]


def table(found: Sequence[Bias]) -> str:
    """Return the biases as text: one line a figure and sensor, in per cent of its scale."""
    lines = [f"{'figure':32} {'sensor':28} {'truth':>11} {'bias %':>8} {'+-':>6} {'known %':>8} {'left/se':>7}"]
    for it in found:
        scale = 100.0 / it.scale if it.scale else 100.0
        sigmas = (it.mean - it.truth - it.known) / it.error if it.error else 0.0
        lines.append(
            f"{it.case.name:32} {it.subject.name:28} {it.truth:11.5g} {100 * it.relative:8.3f} {it.error * scale:6.3f} "
            f"{it.known * scale:8.3f} {sigmas:7.1f}{'' if it.is_small else '  BIASED'}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table of every estimator, the known biases with their formulas, and the pulls of reduced frames."""
    from tests.pixels import pulls  # noqa: PLC0415 - only who asks for the tables needs them
    from tests.pixels.truth_cases import CASES  # noqa: PLC0415 - the cases are made of what this module offers

    wanted = sys.argv[1:]
    cases = [case for case in CASES if not wanted or case.name in wanted]
    if cases:
        found = [it for subject in SUBJECTS for it in measured(cases, subject)]
        found.sort(key=lambda it: [case.name for case in cases].index(it.case.name))
        sys.stdout.write(table(found) + "\n\n")
        sys.stdout.writelines(f"{case.name}: {case.formula}\n" for case in cases if case.formula)
    if not wanted or "pulls" in wanted:
        sys.stdout.write(pulls.table() + "\n")


if __name__ == "__main__":
    main()
