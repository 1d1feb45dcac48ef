"""The peers: ccdproc as a process of this package, siril, IRAF and gnuastro as they are installed.

``python -m tests.bench.peers guide|fast PRODUCT FRAME...`` combines, ``differ OURS THEIRS`` compares two masters.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.bench.timing import Contender, own_command

_SIRIL = """\
requires 1.0.0
setext fits
set32bits
setcpu 2
stack f_ rej w 5 5 -nonorm -out={product}
"""
_IRAF = """\
reset imtype = "fits"
images
immatch
imcombine ("@list", "{product}", combine="average", reject="sigclip", outtype="real", lsigma=5., hsigma=5., \
mclip=yes, nkeep=1, rdnoise="5.", gain="1.", logfile="")
logout
"""


def contenders(paths: list[Path], directory: Path, without: tuple[str, ...]) -> tuple[list[Contender], list[str]]:
    """Return the peers that are installed and wanted, each in a directory of its own, and who is missing."""
    found, missing = [], []
    for name, program, build in (
        ("ccdproc guide", sys.executable, _ccdproc),
        ("ccdproc fast", sys.executable, _ccdproc),
        ("siril winsorized", "siril-cli", _siril),
        ("iraf sigclip", "irafcl", _iraf),
        ("gnuastro sigclip-mean", "astarithmetic", _gnuastro),
    ):
        if name.startswith(without):
            continue
        if shutil.which(program) is None:
            missing.append(f"{name} is left out: {program} is not installed")
            continue
        own = directory / name.replace(" ", "-")
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        found.append(build(name, paths, own))
    return found, missing


def _ccdproc(name: str, paths: list[Path], directory: Path) -> Contender:
    product = directory / "master.fits"
    return Contender(name, own_command("peers", name.split()[1], product, *paths), directory, product)


def _siril(name: str, paths: list[Path], directory: Path) -> Contender:
    """Siril stacks a numbered sequence of its working directory."""
    for number, path in enumerate(paths, 1):
        (directory / f"f_{number:05d}.fits").symlink_to(path)
    product = directory / "master.fits"
    script = directory / "stack.ssf"
    script.write_text(_SIRIL.format(product=product.with_suffix("")))
    return Contender(name, ("siril-cli", "-d", str(directory), "-s", str(script)), directory, product)


def _iraf(name: str, paths: list[Path], directory: Path) -> Contender:
    (directory / "list").write_text("".join(f"{path}[0]\n" for path in paths))
    product = directory / "master.fits"
    return Contender(name, ("irafcl",), directory, product, _IRAF.format(product=product.name))


def _gnuastro(name: str, paths: list[Path], directory: Path) -> Contender:
    product = directory / "master.fits"
    words = [*(str(path) for path in paths), str(len(paths)), "5", "0.01", "sigclip-mean", "-g0", "-q"]
    return Contender(name, ("astarithmetic", *words, f"--output={product}"), directory, product)


def combine_ccdproc(manner: str, product: Path, paths: list[Path]) -> None:
    """Combine as the CCD Data Reduction Guide does, or by the names that lead ccdproc to its compiled clipping."""
    import ccdproc  # noqa: PLC0415 - the parent of the benchmark stays small
    import numpy as np  # noqa: PLC0415
    from astropy.stats import mad_std  # noqa: PLC0415

    ways = {
        "guide": {"sigma_clip_func": np.ma.median, "sigma_clip_dev_func": mad_std, "mem_limit": 350e6},
        "fast": {
            "sigma_clip_func": "median",
            "sigma_clip_dev_func": "mad_std",
            "mem_limit": 2e9,
            "dtype": np.float32,
        },
    }
    master = ccdproc.combine(
        [str(path) for path in paths],
        method="average",
        sigma_clip=True,
        sigma_clip_low_thresh=5,
        sigma_clip_high_thresh=5,
        unit="adu",
        **ways[manner],
    )
    master.write(product, overwrite=True)


def differing(ours: Path, theirs: Path) -> int:
    """Return how many pixels of two masters differ as float32."""
    import numpy as np  # noqa: PLC0415 - the parent of the benchmark stays small
    from astropy.io import fits  # noqa: PLC0415

    first, second = (fits.getdata(path, 0, memmap=False).astype(np.float32) for path in (ours, theirs))
    return int(np.count_nonzero(first != second))


if __name__ == "__main__":
    if sys.argv[1] == "differ":
        sys.stdout.write(f"{differing(Path(sys.argv[2]), Path(sys.argv[3]))}\n")
    else:
        combine_ccdproc(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
