"""Frames and masters for the tests of rules, each with only the fields that a test is about."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from ingestd.records import Configuration, FrameRecord, Kind, Master

EPOCH = datetime(2024, 3, 10, 3, 0, tzinfo=UTC)
"""Start of the science frame unless a test says otherwise; its night is NIGHT."""

NIGHT = "2024-03-09"


def configuration(**changes) -> Configuration:
    fields = {
        "instrument": "ST-402",
        "width_px": 765,
        "height_px": 510,
        "x_binning": 1,
        "y_binning": 1,
        "window": None,
        "readout_mode": "",
        "gain_setting": None,
        "offset_setting": None,
        "bayer": "",
        "planes": 1,
        "extra": (),
    }
    return Configuration(**(fields | changes))


def frame(kind: Kind = Kind.LIGHT, name: str = "frame", **changes) -> FrameRecord:
    digest = hashlib.sha256(name.encode()).hexdigest()
    fields = {
        "frame_id": digest,
        "data_sha256": digest,
        "kind": kind,
        "label": kind.value,
        "camera": "main",
        "configuration": configuration(),
        "exposure_s": 300.0,
        "ccd_temp_c": -10.0,
        "set_temp_c": None,
        "filter_name": "V",
        "object_name": None,
        "obs_start": EPOCH,
        "night": NIGHT,
        "gain_e_per_adu": None,
        "read_noise_e": None,
        "saturation_adu": None,
        "planes": (),
        "dialect": "test",
        "container": "plain",
        "sources": (),
        "flags": (),
        "notes": (),
    }
    return FrameRecord(**(fields | changes))


def night_frame(kind: Kind, name: str, nights_ago: float = 0, **changes) -> FrameRecord:
    """Return a frame taken some nights before NIGHT, at the same time of the night."""
    start = EPOCH - timedelta(days=nights_ago)
    night = (start - timedelta(hours=12)).date().isoformat()
    return frame(kind, name, obs_start=start, night=night, **changes)


def master(kind: Kind, name: str = "master", age_d: float = 0, members: int = 10, **changes) -> Master:
    """Return a master whose members were all taken ``age_d`` days before EPOCH (after it if negative)."""
    digest = hashlib.sha256(f"{kind.value} {name}".encode()).hexdigest()
    when = EPOCH - timedelta(days=age_d)
    fields = {
        "master_id": digest,
        "kind": kind,
        "camera": "main",
        "configuration": configuration().key(),
        "exposure_s": 300.0 if kind is Kind.DARK else 0.0,
        "ccd_temp_c": -10.0,
        "filter_name": "V" if kind is Kind.FLAT else None,
        "night": (when - timedelta(hours=12)).date().isoformat(),
        "first_obs": when,
        "last_obs": when,
        "members": tuple(f"member {i}" for i in range(members)),
        "parents": (),
        "path": f"masters/main/{kind.value}/{name}.fits",
        "sha256": digest,
        "grade": "green",
    }
    return Master(**(fields | changes))
