"""The whole of config.toml: all sections and the paths that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingestd.settings.association import Masters, Matching, Rules
from ingestd.settings.cameras import Camera
from ingestd.settings.grading import Grading
from ingestd.settings.keys import key
from ingestd.settings.sections import (
    Arrival,
    Epochs,
    Limits,
    Log,
    Paths,
    Reduction,
    Retention,
    Screening,
    Site,
    Web,
    Workers,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole of config.toml."""

    camera: tuple[Camera, ...]
    site: Site = key(Site())
    paths: Paths = key(Paths())
    arrival: Arrival = key(Arrival())
    limits: Limits = key(Limits())
    masters: Masters = key(Masters())
    matching: Matching = key(Matching())
    screening: Screening = key(Screening())
    grading: Grading = key(Grading())
    epochs: Epochs = key(Epochs())
    reduction: Reduction = key(Reduction())
    retention: Retention = key(Retention())
    workers: Workers = key(Workers())
    web: Web = key(Web())
    log: Log = key(Log())

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute."""
        return Path(self.paths.data).absolute()

    @property
    def catalogue_path(self) -> Path:
        """The calibration database, absolute."""
        return self.data_dir / "catalogue.sqlite"

    @property
    def roots(self) -> tuple[Path, ...]:
        """The watched directories of all cameras, absolute, each once."""
        found = [Path(directory).absolute() for camera in self.camera for directory in camera.directories]
        return tuple(dict.fromkeys(found))

    def rules_of(self, camera: str) -> Rules:
        """Return the association rules of a camera; one that is not in the settings has those of all."""
        own = next((it for it in self.camera if it.name == camera), None)
        masters, matching = (None, None) if own is None else (own.masters, own.matching)
        return Rules(masters or self.masters, matching or self.matching)
