"""The path of a frame: arrive -> plan -> submit -> record.

``arrival`` turns a settled path into a frame, ``path`` is one tick of everything, ``recording`` writes down what was
found and done (``epochs`` what was found of the hardware), ``recovery`` puts right what a kill left behind,
``operating`` carries out an operator's commands. Beside the path: ``adopting`` takes a master made elsewhere,
``verifying`` gives an order once more and compares the bytes, ``surveying`` reads the headers of a directory.
"""

from ingestd.flow.operating import carry_out
from ingestd.flow.path import Flow
from ingestd.flow.recovery import recover, tidy

__all__ = ["Flow", "carry_out", "recover", "tidy"]
