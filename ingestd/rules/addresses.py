"""The address of every job: a SHA-256 of all that enters its result, and the path that follows from it.

Equal addresses mean equal bytes, so a product is never written twice under two names and a rerun after a power cut
lands on the same file. What only describes (grade, age, paths of the raw frames) stays out of the address.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import astuple, replace
from datetime import datetime
from pathlib import PurePath

from ingestd.records import (
    ALGORITHMS,
    Arithmetic,
    BuildMaster,
    Calibration,
    CosmicFilter,
    FrameInput,
    FrameRecord,
    Group,
    Kind,
    Master,
    MasterInput,
    Match,
    MeasureMaster,
    ReduceFrame,
)
from ingestd.rules import groups
from ingestd.settings import Camera, Settings


def arithmetic_of(settings: Settings) -> Arithmetic:
    """Return the settings that enter the arithmetic."""
    return Arithmetic(
        sigma=settings.masters.sigma,
        iterations=settings.masters.iterations,
        overscan=settings.reduction.overscan,
        overscan_skip_px=settings.reduction.overscan_skip_px,
        flat_floor=settings.masters.flat_floor,
        hot_sigma=settings.masters.hot_sigma,
        flat_normalise=settings.masters.flat_normalise,
        flat_low=settings.masters.flat_low,
        hot_rate_e=settings.masters.hot_rate_e,
        noisy_sigma=settings.masters.noisy_sigma,
        overscan_degree=settings.reduction.overscan_degree if settings.reduction.overscan_fit == "polynomial" else None,
    )


def cosmics_of(camera: Camera) -> CosmicFilter | None:
    """Return how cosmic rays are looked for in science frames of a camera, None if not at all."""
    if camera.cosmics == "off":
        return None
    return CosmicFilter(
        mode="clean" if camera.cosmics == "clean" else "flag",
        sigclip=camera.cosmics_sigclip,
        sigfrac=camera.cosmics_sigfrac,
        objlim=camera.cosmics_objlim,
        niter=camera.cosmics_niter,
    )


def of_measurement(member: FrameInput, arithmetic: Arithmetic, outlier_sigma: float) -> str:
    """Return the address of the measurement of one calibration frame; the limit counts only with a reference."""
    overscan = [arithmetic.overscan, arithmetic.overscan_skip_px, arithmetic.overscan_degree]
    sigma = outlier_sigma if member.masters else None
    return _digest("measure", ALGORITHMS["measure"], _member(member), overscan, sigma)


def of_master_measurement(job: MeasureMaster) -> str:
    """Return the address of the measurement of a master against a bias and the master of the previous night."""
    masters = [None if it is None else it.master_id for it in (job.master, job.bias, job.previous)]
    return _digest("measure-master", ALGORITHMS["measure"], masters, job.gain_e_per_adu, astuple(job.arithmetic))


def of_master(job: BuildMaster) -> str:
    """Return the address of a master: its members and how each is calibrated, the arithmetic, the algorithm."""
    members = sorted(_member(member) for member in job.members)
    kind = job.group.kind.value
    several = [astuple(it) for it in job.electronics]
    parts = (job.group.filter_name, members, astuple(job.arithmetic), job.gain_e_per_adu, several)
    cards = [job.cards] if job.cards else []
    return _digest("master", kind, ALGORITHMS[kind], *parts, *cards, *_linearity(job), *_lights(job))


def of_reduction(job: ReduceFrame) -> str:
    """Return the address of a product: the frame, its masters, gain, arithmetic, cosmic rays and algorithm."""
    return _digest(
        "reduce",
        ALGORITHMS["reduce"],
        _member(job.member),
        job.gain_e_per_adu,
        job.read_noise_e,
        job.member.frame.saturation_adu,
        job.provisional,
        astuple(job.arithmetic),
        *([[astuple(it) for it in job.electronics]] if job.electronics else []),
        *_linearity(job),
        *([astuple(job.cosmics)] if job.cosmics else []),
        *([job.doubt] if job.doubt else []),
    )


def of_external(
    group: Group,
    source_sha256: str,
    conditions: tuple[float | None, float | None],
    interval: tuple[datetime, datetime],
    members: int,
    scale: float,
    flat_floor: float,
) -> str:
    """Return the address of a master made elsewhere: its file, what it stands for, and what is done to its pixels."""
    times = [time.isoformat() for time in interval]
    floor = flat_floor if group.kind is Kind.FLAT else None
    return _digest("external", source_sha256, astuple(group), conditions, times, members, scale, floor)


def _member(member: FrameInput) -> list[object]:
    """Return what of a raw frame and its calibration enters a result."""
    sections = [
        [plane.index, _section(plane.overscan), _section(plane.trim), *map(str, plane.channels)]
        for plane in member.frame.planes
    ]
    masters = [
        [
            master.kind.value,
            master.sha256,
            master.how,
            master.exposure_ratio,
            *map(str, filter(None, [master.cut, master.cards])),
        ]
        for master in member.masters
    ]
    return [member.frame.frame_id, sections, masters]


def _linearity(job: BuildMaster | ReduceFrame) -> list[object]:
    """Return what makes the frames of a camera linear, nothing for one that is so."""
    return [] if job.linearity is None else ["linearity", astuple(job.linearity)]


def _lights(job: BuildMaster) -> list[object]:
    """Return how a flat is made of dome and twilight, and which members are which; nothing where that is all one."""
    if job.flats == "any":
        return []
    twilight = sorted(it.frame.frame_id for it in job.members if groups.light_of(it.frame) == "twilight")
    return ["flats", job.flats, twilight]


def _section(section: object) -> str:
    """Return a section as text, so that members sort."""
    return str(section)


def _digest(*parts: object) -> str:
    """Return the SHA-256 of the parts, written as canonical JSON (floats with repr, which is exact)."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- masters as inputs ------------------------------------------------------------------------------------------------


def inputs_of(calibration: Calibration | None, settings: Settings) -> tuple[MasterInput, ...]:
    """Return the chosen masters as inputs of a job."""
    matches = calibration.matches if calibration is not None else ()
    return tuple(match_input(match, settings) for match in matches)


def match_input(match: Match, settings: Settings) -> MasterInput:
    """Return a chosen master as an input of a job."""
    master = match.master
    return MasterInput(
        master_id=master.master_id,
        kind=master.kind,
        path=str(settings.data_dir / master.path),
        sha256=master.sha256,
        exposure_s=master.exposure_s,
        how=match.how,
        delta_temp_c=match.delta_temp_c,
        exposure_ratio=match.exposure_ratio,
        age_h=match.age_h,
        cut=match.cut,
        ccd_temp_c=master.ccd_temp_c,
        cards=master.cards,
    )


def master_input(master: Master, settings: Settings) -> MasterInput:
    """Return a master that is itself the subject of a job."""
    path = str(settings.data_dir / master.path)
    return MasterInput(
        master.master_id, master.kind, path, master.sha256, master.exposure_s, "subject", None, None, 0.0
    )


def reference_input(master: Master, settings: Settings) -> MasterInput:
    """Return a master that a frame is compared with."""
    return replace(master_input(master, settings), how="reference")


# --- paths ------------------------------------------------------------------------------------------------------------


def master_path(settings: Settings, group: Group, night: str, job_id: str) -> str:
    """Return the absolute path of a master: data/masters/<camera>/<kind>/<night>_<job8>.fits."""
    folder = settings.data_dir / "masters" / slug(group.camera) / group.kind.value
    return str(folder / f"{slug(night)}_{job_id[:8]}.fits")


def product_path(settings: Settings, frame: FrameRecord, path: str, job_id: str) -> str:
    """Return the absolute path of a product: data/reduced/<camera>/<night>/<stem>_<frame8>_<job8>.fits."""
    folder = settings.data_dir / "reduced" / slug(frame.camera) / slug(frame.night or "no-night")
    return str(folder / f"{stem(path)}_{frame.frame_id[:8]}_{job_id[:8]}.fits")


def current_link(product: str) -> str:
    """Return the stable name of a product: reduced/... without the job's hash, below current/."""
    path = PurePath(product)
    camera_night, data = path.parts[-3:-1], PurePath(*path.parts[:-4])
    name = path.name.rsplit("_", 1)[0] + ".fits"
    return str(data / "current" / PurePath(*camera_night) / name)


def stem(path: str) -> str:
    """Return the file name without its FITS suffixes, safe as part of a name of ours."""
    return slug(re.sub(r"(\.(fits|fit|fts))?(\.(fz|gz))?$", "", PurePath(path).name, flags=re.IGNORECASE))


def slug(text: str) -> str:
    """Return the text with only letters, digits and ``._+-``, at most 64 of them, never starting with a dot."""
    return re.sub(r"[^A-Za-z0-9._+-]", "-", text)[:64].lstrip(".") or "-"
