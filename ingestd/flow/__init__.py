"""The path of a frame: arrive -> plan -> submit -> record.

``arrival`` turns a settled path into a frame, ``path`` is one tick of everything, ``recording`` writes down what was
found and done, ``recovery`` puts right what a kill left behind, ``operating`` carries out an operator's commands.
"""

from ingestd.flow.operating import carry_out
from ingestd.flow.path import Flow
from ingestd.flow.recovery import recover, tidy

__all__ = ["Flow", "carry_out", "recover", "tidy"]
