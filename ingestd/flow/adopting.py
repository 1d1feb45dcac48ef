"""``ingestd masters add``: a master made elsewhere is read, copied, and recorded by whoever holds the catalogue.

Its file is read and the copy is written by the command itself, so that a foreign file never enters the daemon; what is
recorded then is plain values and the hash of a file that already stands in the data directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestd.doors import fitsfile, store
from ingestd.doors.catalogue import Catalogue
from ingestd.errors import FrameNotReady, FrameRejected
from ingestd.flow.verifying import sha256_of
from ingestd.jobs.external import copy_master
from ingestd.records import CardValue, FileHeader, FrameRecord, Kind, Master, Plane
from ingestd.rules import dialects, external
from ingestd.rules.dialects.planes import Detector, build_plane, find_images, is_auxiliary
from ingestd.rules.external import NotAdopted, Told
from ingestd.settings import Camera, Settings

_NO_DETECTOR = Detector((), (), None, None, None, None)


def prepare(
    source: Path, told: Told, settings: Settings, catalogue: Catalogue | None, now: datetime, *, like: str | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Copy a foreign master into the data directory and return the request that records it, and notes for a person.

    Parameters
    ----------
    source : Path
        The file; it is opened for reading only.
    told : Told
        What the operator says of it.
    settings : Settings
    catalogue : Catalogue or None
        A reader; None where there is none yet.
    now : datetime
    like : str, optional
        Name of a frame in the catalogue whose camera and set-up the master is for.

    Raises
    ------
    NotAdopted
        If the file is no such master, or not enough is known of it.
    """
    header, frame_id, data_sha256 = _read_header(source, settings)
    example = None if like is None else _frame(catalogue, like)
    if example is not None:
        told = replace(told, camera=told.camera or example.camera)
    camera = external.camera_of(told, dialects.choose_camera(header, str(source.absolute()), settings), settings)
    record = _classify(source, header, (frame_id, data_sha256), camera, settings, now)
    cards = _cards(header, record)
    if example is None and catalogue is not None:  # a master of another ingestd names its configuration
        example = catalogue.example(record.camera, str(cards.get("CONFIG") or ""))
    try:
        adoption = external.adopt(record, cards, told, settings, like=example)
    except NotAdopted as error:
        raise NotAdopted(f"{source}: {error}") from error
    _check_new(source, adoption.master, cards, settings, catalogue)
    notes = [*adoption.notes, *_check_shape(adoption.master, record, example, catalogue)]
    store.ensure_directory(settings.data_dir)
    try:
        copied = copy_master(
            source,
            record,
            _auxiliary(header),
            adoption.master,
            members=adoption.members,
            scale=told.scale,
            flat_floor=settings.masters.flat_floor,
            limits=settings.limits,
        )
    except FrameRejected as error:
        raise NotAdopted(f"{source}: {error}") from error
    stored = str(Path(adoption.master.path).relative_to(settings.data_dir))
    request = {
        "command": "add_master",
        "master": _plain(replace(adoption.master, path=stored, sha256=copied.sha256)),
        "members": adoption.members,
        "size_bytes": copied.size_bytes,
        "source": str(source.absolute()),
        "source_sha256": frame_id,
    }
    return request, (*notes, *copied.notes)


def record(catalogue: Catalogue, settings: Settings, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Record a master that was copied, and return the answer to the request: ``ok`` and, if not, ``error``."""
    try:
        master = _read(request["master"])
        numbers = int(request["members"]), int(request["size_bytes"])
        source, source_sha256 = str(request["source"]), str(request["source_sha256"])
    except (KeyError, TypeError, ValueError) as error:
        return {"ok": False, "error": f"the request is not complete: {error!r}"}
    path = settings.data_dir / master.path
    if not path.resolve().is_relative_to(settings.data_dir.resolve() / "masters") or sha256_of(path) != master.sha256:
        return {"ok": False, "error": f"{master.path}: is not the file that was copied there; add the master again"}
    catalogue.add_external_master(
        master, members=numbers[0], size_bytes=numbers[1], source=source, source_sha256=source_sha256, now=now
    )
    catalogue.add_event("info", "master_added", source, f"{master.kind.value} of {master.camera}: {master.path}", now)
    return {"ok": True, "master_id": master.master_id, "path": master.path, "grade": master.grade}


def _read_header(source: Path, settings: Settings) -> tuple[FileHeader, str, str]:
    """Return the headers of a file and the hashes of its bytes and of its data."""
    try:
        fd = fitsfile.open_raw(source)
        try:
            header = fitsfile.read_header(fd, settings.limits)
            return (header, *fitsfile.hash_file(fd, header))
        finally:
            os.close(fd)
    except OSError as error:
        raise NotAdopted(f"{source}: cannot be read: {error.strerror}") from error
    except (FrameNotReady, FrameRejected) as error:
        raise NotAdopted(f"{source}: {error}") from error


def _classify(
    source: Path, header: FileHeader, hashes: tuple[str, str], camera: Camera, settings: Settings, now: datetime
) -> FrameRecord:
    """Return what the header says, read as that of any frame; ``hashes`` are those of the file and of its data."""
    record = dialects.classify(
        header,
        path=source.name,
        camera=camera,
        site=settings.site,
        frame_id=hashes[0],
        data_sha256=hashes[1],
        now=now,
        named=settings.rules_of(camera.name).cards(),
    )
    if not record.planes:
        raise NotAdopted(f"{source}: holds no image of two axes")
    return record


def _cards(header: FileHeader, record: FrameRecord) -> Mapping[str, CardValue]:
    """Return the cards of the first image, those of the primary where it has none."""
    return {**header.units[0].cards, **header.units[record.planes[0].index].cards}


def _auxiliary(header: FileHeader) -> tuple[Plane, ...]:
    """Return the planes that hold uncertainties, masks and the like."""
    images = [image for image in find_images(header) if image.is_plane and is_auxiliary(image)]
    return tuple(build_plane(image, {}, _NO_DETECTOR)[0] for image in images)


def _frame(catalogue: Catalogue | None, name: str) -> FrameRecord:
    """Return the one frame that is meant by a name."""
    rows = [] if catalogue is None else [row for row in catalogue.find_frames(name) if row["frame_id"]]
    frame = catalogue.frame(rows[0]["frame_id"]) if catalogue is not None and len(rows) == 1 else None
    if frame is None:
        raise NotAdopted(f"--like {name}: {len(rows)} frames in the catalogue are called so; name one")
    return frame


def _check_new(
    source: Path, master: Master, cards: Mapping[str, CardValue], settings: Settings, catalogue: Catalogue | None
) -> None:
    """Refuse a master that is one of ours already; for another set-up it may be taken."""
    known = None if catalogue is None else catalogue.master(str(cards.get("MASTERID") or ""))
    if known is None or not (settings.data_dir / known.path).exists():
        return
    if all(getattr(known, name) == getattr(master, name) for name in _SET_UP):
        raise NotAdopted(f"{source}: is a master of this catalogue already: {known.path}; there is nothing to add")


_SET_UP = ("kind", "camera", "configuration", "filter_name")


def _check_shape(
    master: Master, record: FrameRecord, like: FrameRecord | None, catalogue: Catalogue | None
) -> tuple[str, ...]:
    """Return what a person should know of the frames that this master can serve; refuse one that fits none of them."""
    known = like or (None if catalogue is None else catalogue.example(master.camera, master.configuration))
    if known is None:
        note = (
            f"no frame of camera {master.camera} has the configuration {master.configuration} yet: it serves none of "
            "those that are there; --like FRAME takes the set-up of a frame"
        )
        return (note,)
    ours, theirs = [plane.shape for plane in record.planes], [plane.image_shape for plane in known.planes]
    if ours != theirs:
        raise NotAdopted(f"the shapes of its images are {ours}; those of the frames, without overscan, {theirs}")
    return ()


# --- a master as JSON -------------------------------------------------------------------------------------------------


def _plain(master: Master) -> dict[str, Any]:
    """Return a master as JSON has it."""
    return {**asdict(master), "first_obs": master.first_obs.isoformat(), "last_obs": master.last_obs.isoformat()}


def _read(values: Mapping[str, Any]) -> Master:
    """Return the master of a request."""
    times = {name: datetime.fromisoformat(values[name]).astimezone(UTC) for name in ("first_obs", "last_obs")}
    return Master(**{**values, **times, "kind": Kind(values["kind"]), "members": (), "parents": ()})
