"""Header -> record: which program wrote a frame, what it is for, and every field with the card it came from.

``table`` and ``words`` are data, ``fields`` reads single values, ``recognise`` finds the dialect, ``type_cards``,
``names`` and ``kinds`` decide what a frame is for, ``calibrated`` finds signs of earlier processing, ``sections``,
``amplifiers``, ``planes``, ``configuration`` and ``observation`` read the rest, ``flags`` keeps a frame out of masters,
``classify`` puts the record together, ``cameras`` finds the camera.
"""

from ingestd.rules.dialects.cameras import choose_camera
from ingestd.rules.dialects.classify import UNASSIGNED, classify
from ingestd.rules.dialects.sections import parse_section

__all__ = ["UNASSIGNED", "choose_camera", "classify", "parse_section"]
