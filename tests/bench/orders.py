"""Orders as the daemon would give them to a worker, for frames of the synthetic camera.

``python -m tests.bench.orders FILE PRODUCT FRAME...`` writes the order to build a master bias.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from ingestd.records import BuildMaster, CosmicFilter, FrameInput, Group, Kind, MasterInput, Outcome, ReduceFrame
from tests.bench.frames import ARITHMETIC, CAMERA, GAIN_E_PER_ADU, READ_NOISE_E, record_of

COSMICS = CosmicFilter("clean", sigclip=4.5, sigfrac=0.3, objlim=5.0, niter=4)
"""As in config.toml."""


def build_order(kind: Kind, product: Path, paths: list[Path], masters: tuple[MasterInput, ...] = ()) -> BuildMaster:
    """Return the order to build a master of frames."""
    members = tuple(FrameInput(record_of(path), str(path), masters) for path in paths)
    first = members[0].frame
    return BuildMaster(
        job_id=f"{kind}-{len(paths)}",
        group=Group(CAMERA, kind, first.configuration.key(), first.filter_name),
        night=first.night or "",
        exposure_s=first.exposure_s,
        ccd_temp_c=first.ccd_temp_c,
        members=members,
        gain_e_per_adu=GAIN_E_PER_ADU,
        arithmetic=ARITHMETIC,
        grade="green",
        product=str(product),
    )


def reduce_order(product: Path, path: Path, masters: tuple[MasterInput, ...]) -> ReduceFrame:
    """Return the order to reduce a science frame."""
    return ReduceFrame(
        job_id=product.stem,
        member=FrameInput(record_of(path), str(path), masters),
        skipped=(),
        not_needed=(),
        gain_e_per_adu=GAIN_E_PER_ADU,
        gain_source="settings",
        read_noise_e=READ_NOISE_E,
        provisional=False,
        arithmetic=ARITHMETIC,
        product=str(product),
    )


def as_input(order: BuildMaster, outcome: Outcome) -> MasterInput:
    """Return a master that was built as an input of further orders; a dark counts as exact.

    Raises
    ------
    RuntimeError
        If it was not built.
    """
    if outcome.status != "done" or outcome.sha256 is None:
        raise RuntimeError(f"the master {order.group.kind} was not built: {outcome.reason}")
    is_dark = order.group.kind is Kind.DARK
    return MasterInput(
        master_id=order.job_id,
        kind=order.group.kind,
        path=order.product,
        sha256=outcome.sha256,
        exposure_s=order.exposure_s,
        how="exact" if is_dark else "nearest",
        delta_temp_c=0.0,
        exposure_ratio=1.0 if is_dark else None,
        age_h=0.0,
    )


if __name__ == "__main__":
    ordered = build_order(Kind.BIAS, Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
    Path(sys.argv[1]).write_bytes(pickle.dumps(ordered))
