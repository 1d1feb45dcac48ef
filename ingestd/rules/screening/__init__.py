"""A second look at the pixels: what contradicts its header is kept out of masters.

A verdict is a function of the frame's figures and of masters that do not depend on it: that of the latest *earlier*
night of its group; for a dark the latest bias up to its own night; for a flat those that it is calibrated with. Biases
so depend on earlier biases, darks on biases and earlier darks, flats on earlier flats and on any bias and dark;
following that order every catalogue has exactly one set of verdicts, whatever the order in which its frames came, and a
replayed archive is judged as the live nights were. The first frames of a camera have no reference: only what is
absolutely wrong keeps them out, and no operator is needed.

The comparison with a master needs pixels. It is part of measuring a frame: the order names the reference, its address
is remembered, and a frame whose reference has changed is measured once more. So the cost is bounded by the nights whose
reference changed, the verdict stays a function of recorded figures, and a changed limit reads no file again.
"""

from ingestd.rules.screening.judging import light_findings, verdict
from ingestd.rules.screening.looking import Look, Screener, View, possible_references
from ingestd.rules.screening.references import (
    Chosen,
    References,
    Standard,
    plane_labels,
    previous_master,
    references_for,
)

__all__ = [
    "Chosen",
    "Look",
    "References",
    "Screener",
    "Standard",
    "View",
    "light_findings",
    "plane_labels",
    "possible_references",
    "previous_master",
    "references_for",
    "verdict",
]
