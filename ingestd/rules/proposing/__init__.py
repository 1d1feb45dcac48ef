"""Headers of a directory -> settings for its observatory, each with its reason; and what single headers do not say.

``cameras`` tells the cameras apart, ``missing`` knows which fields a header may lack and which cards could hold them,
``keywords`` and ``kinds`` settle what many headers agree on, ``choices`` decides what follows for a camera and the
site, ``outlook`` plays through what a scan would make of the frames, ``proposal`` puts it together, ``summary`` and
``writing`` say it in rows and as ``config.toml``.
"""

from ingestd.rules.proposing.cameras import header_cards
from ingestd.rules.proposing.missing import Missing, missing_fields
from ingestd.rules.proposing.proposal import propose
from ingestd.rules.proposing.summary import camera_rows, frame_rows, light_rows, outlook_rows, unclear_rows
from ingestd.rules.proposing.values import Proposal, Refused, Sample, Survey
from ingestd.rules.proposing.writing import config_text

__all__ = [
    "Missing",
    "Proposal",
    "Refused",
    "Sample",
    "Survey",
    "camera_rows",
    "config_text",
    "frame_rows",
    "header_cards",
    "light_rows",
    "missing_fields",
    "outlook_rows",
    "propose",
    "unclear_rows",
]
