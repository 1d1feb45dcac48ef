"""Decisions on records: no arrays, no files, no clock, no log.

- What a frame is: ``dialects`` (header -> record), ``electronics`` (gain and read noise of its amplifiers), ``windows``
  (which part of the sensor), ``cards`` (that settings name).
- What belongs together: ``clusters`` of numbers, ``groups`` of frames, ``breaks`` between hardware epochs, which
  ``epochs`` finds.
- What is good: ``screening`` of frames, ``grading`` of masters.
- What is done: ``matching`` chooses masters, ``planning`` says which jobs are due, ``addresses`` names what they make,
  ``orders`` keeps them to be given once more, ``external`` takes masters made elsewhere.
- What a person is told: ``coverage`` (what to take), ``lacking`` (why frames make no master), ``defects`` (which
  masters tell bad pixels), ``proposing`` (settings from headers).
"""
