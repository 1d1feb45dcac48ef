"""Benchmarks: commands that print figures and ratios, never tests.

``python -m tests.bench combine rolling reduce cosmics arrival idle burst headers catalogue`` from the root of the
checkout, or some of them; ``--help`` says what else can be chosen.
Contenders run in turn, A B C A B C, so that a load that comes and goes hits all alike; figures are medians, and only
ratios within one run are worth quoting. A peer that is not installed is left out with a message.
"""
