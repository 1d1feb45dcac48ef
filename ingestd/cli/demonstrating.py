"""``demo``: a synthetic camera writes a night while the daemon works; then the truth is held against the figures."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from ingestd import daemon
from ingestd.api import Catalogue, open_catalogue
from ingestd.cli.tables import table
from ingestd.errors import CatalogueUnusable
from ingestd.simulator import Camera, Manner, Plan, Sensor, night, truth, writing

_CONFIG = """\
[arrival]
settle_s = 0.5
scan_interval_s = 5.0

[masters]
quiet_s = 2.0

[reduction]
again_s = 0.0

[limits]
min_free_bytes = 104857600

[web]
port = 0

[[camera]]
name = "demo"
directories = ["incoming"]
"""
_LONGEST_S = 300.0
_STEP_S = 0.02
_POLL_S = 0.5
_NOT_ALL_S = 1.0
_TOLERANCE_RATIO = 0.02
_TOLERANCE_ERRORS = 5.0


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep everything here instead of a temporary one.",
)
@click.option("--seed", default=1, show_default=True, help="Of the synthetic sensor.")
def demo(*, directory: Path | None, seed: int) -> None:
    """Run a night of a synthetic camera through the real daemon.

    At the end the measured figures stand beside the true ones.
    """
    with contextlib.ExitStack() as stack:
        is_kept = directory is not None
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ingestd-demo-")))
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "data").exists():
            raise click.ClickException(f"{directory} holds a former demo: remove it or name another directory")
        camera = Camera(Sensor(seed=seed), seed=seed)
        plan = Plan()
        _show_camera(camera, directory)
        service = stack.enter_context(_service(directory))
        _take_night(camera, plan, directory / "incoming")
        rows = _wait_until_done(directory, service)
        is_good = _summary(rows, camera, plan)
        products = f"Products: {directory / 'data' / 'current'}. Ask more: cd {directory}; ingestd status"
        click.echo(products if is_kept else "Nothing is kept; `ingestd demo --directory DIR` keeps everything in DIR.")
    if not is_good:
        raise click.ClickException("a figure is further from the truth than 5 standard errors and 2 %")


def _show_camera(camera: Camera, directory: Path) -> None:
    """Say what is about to happen."""
    ny, nx = camera.sensor.shape
    click.echo(f"A synthetic camera, {nx} x {ny} pixels, writes a night of frames as {camera.program} does.")
    click.echo(f"The daemon watches {directory / 'incoming'} and knows nothing of the truth.\n")


@contextlib.contextmanager
def _service(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real daemon on a directory; its log goes to daemon.log."""
    (directory / "config.toml").write_text(_CONFIG)
    (directory / "incoming").mkdir(exist_ok=True)
    with (directory / "daemon.log").open("wb") as log:
        command = [sys.executable, "-m", "ingestd", "run", "--config", "config.toml"]
        service = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)  # noqa: S603 - our own program
        try:
            yield service
        finally:
            service.send_signal(signal.SIGTERM)
            try:
                service.wait(15)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


def _take_night(camera: Camera, plan: Plan, incoming: Path) -> None:
    """Write every frame of the night, in the manners of different programs."""
    evening = (daemon.utc_now() - timedelta(days=2)).date()
    shots = night(camera, evening, plan)
    manners = [Manner.GROWING, Manner.RENAME, Manner.HEADER_LAST, Manner.EMPTY_FIRST]
    with click.progressbar(list(enumerate(shots)), label=f"Night of {evening}: writing {len(shots)} frames") as bar:
        for number, shot in bar:
            exposure = camera.expose(shot)
            for _ in writing(incoming / exposure.file_name, exposure, manners[number % len(manners)]):
                time.sleep(_STEP_S)


def _wait_until_done(directory: Path, service: subprocess.Popen[bytes]) -> _Result:
    """Show the frames' states until nothing is due any more; return what the database says then."""
    end = time.monotonic() + _LONGEST_S
    shown = ""
    quiet_since: float | None = None
    while time.monotonic() < end:
        if service.poll() is not None:
            log = (directory / "daemon.log").read_text(errors="replace")[-2000:]
            raise click.ClickException(f"the daemon stopped with status {service.returncode}:\n{log}")
        result = _read(directory)
        if result is not None and result.words != shown:
            shown = result.words
            click.echo(f"  {shown}")
        is_quiet = result is not None and not result.is_busy
        quiet_since = (quiet_since or time.monotonic()) if is_quiet else None
        if result is not None and quiet_since is not None and time.monotonic() - quiet_since > _NOT_ALL_S:
            return result
        time.sleep(_POLL_S)
    raise click.ClickException(f"not done after {_LONGEST_S:.0f} s: {shown}")


@dataclass(frozen=True, slots=True)
class _Result:
    """What the database says at one moment."""

    words: str
    is_busy: bool
    frames: list[dict[str, Any]]
    masters: list[dict[str, Any]]
    qa: list[dict[str, Any]]


def _read(directory: Path) -> _Result | None:
    """Return what the database says, or None while there is none."""
    try:
        with open_catalogue(directory / "data" / "catalogue.sqlite") as catalogue:
            return _result(catalogue)
    except CatalogueUnusable:
        return None


def _result(catalogue: Catalogue) -> _Result:
    frames, masters = catalogue.frame_rows(), catalogue.master_rows()
    status = catalogue.status()
    states: dict[str, int] = {}
    for frame in frames:
        name = f"{frame['state']}: {frame['reason']}"
        states[name] = states.get(name, 0) + 1
    parts = [f"{count} {name}" for name, count in sorted(states.items())]
    words = f"{len(frames)} frames ({', '.join(parts)}), {len(masters)} masters"
    return _Result(words, bool(status["queue_depth"] or status["arrivals"]), frames, masters, catalogue.qa_rows())


def _summary(result: _Result, camera: Camera, plan: Plan) -> bool:
    """Print masters and measured against true figures; return whether all agree."""
    columns = {"kind": "master", "exposure_s": "exp s", "filter_name": "filter", "members": "members", "path": "path"}
    click.echo(f"\n{table(result.masters, columns)}\n")
    lights = [frame for frame in result.frames if frame["kind"] == "light"]
    reduced = [frame for frame in lights if frame["reason"] == "reduced"]
    figures = [row for row in result.qa if not row["metric"].startswith("sky") or row["filter_name"] == plan.filters[0]]
    rows = [row for name, value in truth(camera, plan).items() if (row := _compared(figures, name, value)) is not None]
    shown = {
        "metric": "figure",
        "measured": "measured",
        "error": "error",
        "true": "true",
        "unit": "unit",
        "off": "off by",
    }
    click.echo(table(rows, shown))
    click.echo("\nThe errors are those of the noise alone; temperature and bias level wobble besides, as real ones do.")
    click.echo(f"{len(reduced)} of {len(lights)} science frames reduced.")
    return len(reduced) == len(lights) > 0 and bool(rows) and all(row["agrees"] for row in rows)


def _compared(qa: list[dict[str, Any]], name: str, true: float) -> Mapping[str, Any] | None:
    """Return the newest figure of a master (or frame) beside the truth, or None if it was not measured."""
    found = [row for row in qa if row["metric"] == name]
    if not found:
        return None
    row = next((row for row in found if row["master_id"] is not None), found[0])
    measured, error = row["value"], row["error"] or 0.0
    off = measured - true
    allowed = max(_TOLERANCE_ERRORS * error, _TOLERANCE_RATIO * abs(true))
    return {
        "metric": name,
        "measured": measured,
        "error": row["error"],
        "true": true,
        "unit": row["unit"],
        "off": f"{100 * off / true:+.2f} %" if true else f"{off:+.3g}",
        "agrees": abs(off) <= allowed,
    }
