"""A frame and the masters of its configuration -> for each kind the best by the order of choosing, or why none fits.

``verdicts`` judges one master, ``words`` says so in a sentence, ``choosing`` decides, ``explain`` shows the decision.
"""

from ingestd.rules.matching.choosing import bias_for, calibration_for
from ingestd.rules.matching.explain import explain_lines, explain_record
from ingestd.rules.matching.verdicts import DarkPolicy, dark_policy

__all__ = ["DarkPolicy", "bias_for", "calibration_for", "dark_policy", "explain_lines", "explain_record"]
