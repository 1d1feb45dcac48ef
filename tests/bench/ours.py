"""Our side as a whole process: ``combine PRODUCT FRAME...``, or ``job ORDER`` with a file that ``orders`` wrote.

Imports are made where they are needed: each of the two pays for its own.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_THREADS = 2
"""As a worker has them, whose whole room need not be imported for that."""


def combine_frames(product: Path, paths: list[Path]) -> None:
    """Combine the primary images of raw frames to a master with uncertainty and mask, synced and renamed."""
    from ingestd.doors import fitsfile  # noqa: PLC0415
    from ingestd.pixels.combine import combine  # noqa: PLC0415

    files = [fitsfile.open_raw(path) for path in paths]
    readers = [_primary(fd) for fd in files]
    with ThreadPoolExecutor(_THREADS) as pool:
        master = combine(readers, sigma=5.0, parts=_THREADS, each=pool.map)
    hdus, (place,) = fitsfile.lay_out([], [fitsfile.ImageSpec(readers[0].shape, "adu")])
    with fitsfile.ProductWriter(product, hdus) as writer:
        writer.write(place.signal, 0, master.mean)
        writer.write(place.uncertainty or 0, 0, master.error)
        writer.write(place.mask or 0, 0, master.mask)
        writer.commit()
    for fd in files:
        os.close(fd)


def _primary(fd: int):
    """Return a reader of the primary image of an open file."""
    from ingestd.doors import fitsfile  # noqa: PLC0415
    from ingestd.records import Plane  # noqa: PLC0415
    from ingestd.settings import Limits  # noqa: PLC0415

    unit = fitsfile.read_header(fd, Limits()).units[0]
    cards = unit.cards
    plane = Plane(
        index=0,
        name="",
        shape=(cards["NAXIS2"], cards["NAXIS1"]),
        bitpix=cards["BITPIX"],
        bzero=cards.get("BZERO", 0.0),
        bscale=cards.get("BSCALE", 1.0),
        blank=None,
        offset=unit.data_offset,
        encoding="raw",
        overscan=None,
        trim=None,
        gain_e_per_adu=None,
        read_noise_e=None,
    )
    return fitsfile.PlaneReader(fd, plane)


def carry_out(order: Path) -> None:
    """Carry an order out as a worker does; what fails ends the process."""
    import pickle  # noqa: PLC0415

    from ingestd.jobs import Worker  # noqa: PLC0415
    from ingestd.settings import Limits  # noqa: PLC0415

    outcome = Worker(Limits())(pickle.loads(order.read_bytes()))  # noqa: S301 - written by this benchmark
    if outcome.status != "done":
        sys.exit(outcome.reason)


if __name__ == "__main__":
    if sys.argv[1] == "combine":
        combine_frames(Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
    else:
        carry_out(Path(sys.argv[2]))
