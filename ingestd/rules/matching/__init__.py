"""A frame and the masters of its configuration -> for each kind the best by the order of choosing, or why none fits.

``limits`` says how far a master may be from its frame, ``verdicts`` judges one, ``fields`` shows it field by field,
``words`` says so in a sentence, ``choosing`` decides, ``explain`` shows the decision, ``reach`` tells whom a master can
concern.
"""

from ingestd.rules.matching.choosing import bias_for, calibration_for
from ingestd.rules.matching.explain import explain_lines, explain_record, with_named_fields
from ingestd.rules.matching.limits import DarkPolicy, dark_policy
from ingestd.rules.matching.reach import looked_at, reach_rule
from ingestd.rules.matching.verdicts import is_valid_at
from ingestd.rules.matching.words import celsius

__all__ = [
    "DarkPolicy",
    "bias_for",
    "calibration_for",
    "celsius",
    "dark_policy",
    "explain_lines",
    "explain_record",
    "is_valid_at",
    "looked_at",
    "reach_rule",
    "with_named_fields",
]
