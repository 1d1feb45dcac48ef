"""The calibration database: one class, its rooms by what they do, and the values that pass it.

``connection`` opens it safely; ``arrivals`` takes files in; ``planning`` answers what is due; ``master_recording`` and
``product_recording`` write what was done, ``decisions`` what went wrong or was ordered; ``retention`` and ``listings``
read for housekeeping and for people. ``staleness`` says what a change makes due, ``figures`` keeps the quality figures,
``rows`` turns rows into records. Every method that writes is one transaction; only this package and the schema know
SQLite.
"""

from ingestd.doors.catalogue.arrivals import Arrivals
from ingestd.doors.catalogue.connection import CatalogueBusy, CatalogueDamaged
from ingestd.doors.catalogue.decisions import Decisions
from ingestd.doors.catalogue.listings import Listings
from ingestd.doors.catalogue.master_recording import MasterRecording
from ingestd.doors.catalogue.mounts import network_filesystem
from ingestd.doors.catalogue.planning import Planning
from ingestd.doors.catalogue.product_recording import ProductRecording
from ingestd.doors.catalogue.retention import Retention
from ingestd.doors.catalogue.rows import decode_path, encode_path
from ingestd.doors.catalogue.values import (
    AddedFrame,
    ArrivalRow,
    StandingFrame,
    TakenFrame,
    rejected_record,
)

__all__ = [
    "AddedFrame",
    "ArrivalRow",
    "Catalogue",
    "CatalogueBusy",
    "CatalogueDamaged",
    "StandingFrame",
    "TakenFrame",
    "decode_path",
    "encode_path",
    "network_filesystem",
    "rejected_record",
]


class Catalogue(Arrivals, Planning, MasterRecording, ProductRecording, Decisions, Retention, Listings):
    """The calibration database; see ``Connection.open``."""
