"""Frames looked at by hand: opened within bounds, classified, measured, put together to sets. Nothing is recorded.

reading    one file: header, kind, its planes in numbers
sets       frames of one kind: mean and scatter of each pixel, read noise, dark rate, gain
"""

from ingestd.jobs.inspecting.reading import Area, LookedFrame, LookedPlane, Request, Unread, look_at
from ingestd.jobs.inspecting.sets import FrameSet, PlaneFigures, Sets, measure_set, write_image

__all__ = [
    "Area",
    "FrameSet",
    "LookedFrame",
    "LookedPlane",
    "PlaneFigures",
    "Request",
    "Sets",
    "Unread",
    "look_at",
    "measure_set",
    "write_image",
]
