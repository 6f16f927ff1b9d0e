"""Detectors: pure functions from what is declared and observed to findings. Never a verdict: a person decides."""
