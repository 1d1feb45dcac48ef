"""The calibration database: one class, its rooms by what they do, and the values that pass it.

``connection`` opens it safely; ``arrivals`` takes files in; ``planning`` answers what is due; ``master_recording`` and
``product_recording`` write what was done, ``external`` takes masters made elsewhere, ``decisions`` what went wrong or
was ordered, ``judging`` verdicts on pixels and the operator's word, ``epochs`` breaks of the hardware, ``flights`` what
workers hold; ``retention`` and ``listings`` read for housekeeping and for people, ``science`` what was observed lately,
``exports`` whole tables, ``history`` figures of all nights, ``results`` what was made and by which order, ``questions``
what a person asks in SQL. ``staleness`` says what a change makes due, ``figures`` keeps the quality figures,
``rows`` and ``judgements`` turn rows into records, ``texts`` single values into text. Every method that writes is one
transaction; only this package and the schema know SQLite.
"""

from ingestd.doors.catalogue.arrivals import Arrivals
from ingestd.doors.catalogue.connection import CatalogueBusy, CatalogueDamaged
from ingestd.doors.catalogue.decisions import Decisions
from ingestd.doors.catalogue.epochs import Epochs
from ingestd.doors.catalogue.exports import Exported, Exports
from ingestd.doors.catalogue.external import External
from ingestd.doors.catalogue.flights import Flights
from ingestd.doors.catalogue.history import History
from ingestd.doors.catalogue.judging import Judging
from ingestd.doors.catalogue.listings import Listings
from ingestd.doors.catalogue.planning import Planning
from ingestd.doors.catalogue.product_recording import ProductRecording
from ingestd.doors.catalogue.questions import Answer, QuestionRefused, Questions
from ingestd.doors.catalogue.results import Result, Results
from ingestd.doors.catalogue.retention import Retention
from ingestd.doors.catalogue.science import Science
from ingestd.doors.catalogue.texts import decode_path, encode_path
from ingestd.doors.catalogue.values import (
    AddedFrame,
    ArrivalRow,
    StandingFrame,
    TakenFrame,
    rejected_record,
)

__all__ = [
    "AddedFrame",
    "Answer",
    "ArrivalRow",
    "Catalogue",
    "CatalogueBusy",
    "CatalogueDamaged",
    "Exported",
    "QuestionRefused",
    "Result",
    "StandingFrame",
    "TakenFrame",
    "decode_path",
    "encode_path",
    "rejected_record",
]


class Catalogue(
    Arrivals,
    Planning,
    Judging,
    Epochs,
    External,
    ProductRecording,
    Decisions,
    Flights,
    Retention,
    Science,
    Exports,
    History,
    Questions,
    Results,
    Listings,
):
    """The calibration database; see ``Connection.open``."""
