"""Comparing digital objects: texts in three languages, what is declared of them, and how they are used.

`pairs.compare` gives the pairs that look alike, each with its score and reasons. Not here: what follows from a pair
(`detectors.alike`).
"""
