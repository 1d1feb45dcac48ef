"""A synthetic camera: a sensor of known truth that writes FITS files as real programs do.

The demo, the tests and the benchmarks live on it. Every frame is a function of the seed, the kind and the index alone::

    camera = Camera(Sensor(gain_e_per_adu=1.5), program="N.I.N.A.")
    for shot in night(camera, date(2025, 3, 1), Plan()):
        exposure = camera.expose(shot)
        write(directory / exposure.file_name, exposure, Manner.HEADER_LAST)
    truth(camera, Plan())["gain_electrons_per_adu"]  # 1.5
"""

from __future__ import annotations

from ingestd.simulator.camera import Camera, Exposure, Shot, Sky
from ingestd.simulator.files import Manner, file_bytes, write, writing
from ingestd.simulator.headers import PROGRAMS, Card
from ingestd.simulator.night import Plan, night, truth
from ingestd.simulator.sensor import Sensor

__all__ = [
    "PROGRAMS",
    "Camera",
    "Card",
    "Exposure",
    "Manner",
    "Plan",
    "Sensor",
    "Shot",
    "Sky",
    "file_bytes",
    "night",
    "truth",
    "write",
    "writing",
]
