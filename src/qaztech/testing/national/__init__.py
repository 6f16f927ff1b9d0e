"""The national sample: a fictitious country's digital objects, what they cost and how they are used, planted failures.

Made from texts written for it and a seed: the same day gives the same sample, another day the same one shifted by whole
days. Nothing in it is about anybody: bodies are invented, their BINs cannot exist. Not for scoring detectors: it was
written by people who knew their rules.
"""
