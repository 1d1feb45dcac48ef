"""Hardware epochs: a jump of bias level, read noise or gain that lasts closes what was taken before off from the rest.

``charting`` makes the raw biases and darks of a night points of a control chart, ``comparing`` holds one point against
the nights before, ``detecting`` finds the breaks, ``settling`` does so for planning where something changed. What
others ask of breaks is in ``rules.breaks``.
"""

from ingestd.rules.epochs.charting import points_of
from ingestd.rules.epochs.detecting import breaks_of
from ingestd.rules.epochs.settling import EpochKeeper, EpochPlan, View

__all__ = ["EpochKeeper", "EpochPlan", "View", "breaks_of", "points_of"]
