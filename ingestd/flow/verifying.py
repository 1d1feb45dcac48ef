"""Proof that a file is what its order makes: the order is given once more and the bytes are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from ingestd.doors import fitsfile
from ingestd.doors.catalogue import Catalogue, Result
from ingestd.errors import IngestdError
from ingestd.jobs import Worker
from ingestd.jobs.reference import Difference, differences
from ingestd.rules import orders
from ingestd.settings import Settings

_CHUNK_BYTES = 1 << 20

Status = Literal["same", "differs", "damaged", "missing", "lost", "external"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of one file.

    ``same``: the raw frames give its bytes. ``differs``: they give others. ``damaged``, ``missing``: the file itself is
    not what was written. ``lost``: the order cannot be given again. ``external``: made elsewhere, unchanged since.
    ``detail`` says so in a sentence; ``against`` is how far each plane is from the reference, where it was asked for.
    """

    path: str
    what: Literal["master", "product"]
    status: Status
    detail: str
    against: tuple[Difference, ...] = ()

    @property
    def is_good(self) -> bool:
        """True if the file is proven to be what it should be."""
        return self.status in ("same", "external")


def find(catalogue: Catalogue, settings: Settings, name: str) -> list[Result]:
    """Return the masters and products that a path, a file name, an address or a raw frame means."""
    path = Path(name)
    data_dir = settings.data_dir.resolve()
    for place in (path, path.resolve()):  # a link of current/ means the product that it points to
        if place.is_absolute() and place.is_relative_to(data_dir):
            found = catalogue.find_results(str(place.relative_to(data_dir)))
            if found:
                return found
    return catalogue.find_results(name)


def verify(catalogue: Catalogue, settings: Settings, result: Result, *, reference: bool = False) -> Verification:
    """Build one master or product once more, into a temporary file, and compare the bytes.

    Parameters
    ----------
    catalogue : Catalogue
        Where order, frames and masters are looked up; a reader will do.
    settings : Settings
        Data directory and limits.
    result : Result
        What to verify.
    reference : bool
        Also carry the order out with ccdproc and plain numpy and tell the largest difference.

    Returns
    -------
    Verification
    """
    path = settings.data_dir / result.path
    if result.is_pruned:
        return _verdict(result, "missing", "the file was removed by the rules of [retention]")
    found = sha256_of(path)
    if found is None:
        return _verdict(result, "missing", "the file is not there; `ingestd requeue` makes it again")
    if result.is_external:
        is_same = found == result.sha256
        return _verdict(result, "external" if is_same else "damaged", _EXTERNAL if is_same else _changed(result, found))
    try:
        with TemporaryDirectory(prefix="ingestd-verify-") as scratch:
            return _rebuilt(catalogue, settings, result, found, Path(scratch), reference=reference)
    except IngestdError as error:
        return _verdict(result, "lost", str(error))


def _rebuilt(
    catalogue: Catalogue, settings: Settings, result: Result, found: str, scratch: Path, *, reference: bool
) -> Verification:
    """Carry the order out in a directory and compare."""
    path, again = settings.data_dir / result.path, scratch / Path(result.path).name
    job = orders.read_order(result.order, result.job_id, catalogue, settings.data_dir, str(again))
    outcome = Worker(settings.limits)(job)
    if outcome.status != "done":
        return _verdict(result, "lost", f"it cannot be made again: {outcome.reason or outcome.status}")
    if found != result.sha256:
        same = "; the raw frames still give what was written" if outcome.sha256 == result.sha256 else ""
        verdict = _verdict(result, "damaged", _changed(result, found) + same)
    elif outcome.sha256 == found:
        verdict = _verdict(result, "same", f"SHA-256 {found[:16]}, {outcome.size_bytes} bytes")
    else:
        verdict = _verdict(result, "differs", "; ".join(_distances(path, again)))
    if not reference:
        return verdict
    try:
        return replace(verdict, against=differences(job, path, settings.limits))
    except ValueError as error:
        return replace(verdict, detail=f"{verdict.detail}; no reference: {error}")


_EXTERNAL = "made elsewhere: there is nothing to build it from; unchanged since it was added"


def _verdict(result: Result, status: Status, detail: str) -> Verification:
    """Return what became of a result."""
    return Verification(result.path, result.what, status, detail)


def _changed(result: Result, found: str) -> str:
    """Return that the file is not the one that was written."""
    return f"the file has changed: SHA-256 {found[:16]} instead of {result.sha256[:16]}"


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 of a file, or None if there is none."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_CHUNK_BYTES):
                digest.update(block)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _distances(path: Path, again: Path) -> Iterator[str]:
    """Yield where two files differ: the largest difference of each image, or only in their headers."""
    is_equal = True
    pairs = zip(fitsfile.read_master(path, None).planes, fitsfile.read_master(again, None).planes, strict=True)
    for number, (ours, theirs) in enumerate(pairs):
        for name in ("signal", "uncertainty", "mask"):
            first, second = getattr(ours, name), getattr(theirs, name)
            if first is None or second is None or first.shape != second.shape:
                if first is not second:
                    is_equal = False
                    yield f"plane {number}: another {name}"
            elif not np.array_equal(first, second, equal_nan=first.dtype.kind == "f"):
                is_equal = False
                apart = np.abs(first.astype(np.float64) - second)
                pixels = int(np.count_nonzero(~(apart == 0)))
                yield f"plane {number}: {name} differs by up to {np.nanmax(apart):.6g} in {pixels} pixels"
    if is_equal:
        yield "all pixels are equal, the headers differ"
