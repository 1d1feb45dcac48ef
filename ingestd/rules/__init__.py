"""Decisions on records: no arrays, no files, no clock, no log."""
