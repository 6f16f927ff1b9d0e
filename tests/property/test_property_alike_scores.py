"""The detectors of what looks alike on the development split of the labelled set, with the model and without it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from qaztech.hub.comparing.embedding import Embedder, available
from qaztech.hub.comparing.pairs import compare
from qaztech.hub.detectors.all import run

ROOT = Path(__file__).parents[2]
DEV = ROOT / "tests/data/labelled/dev"
SLUGS = ["duplicate", "register_copy", "resurrected"]


@pytest.fixture(scope="module")
def scoring() -> Iterator[ModuleType]:
    """The script that scores."""
    spec = importlib.util.spec_from_file_location("score_detectors", ROOT / "scripts/score_detectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    monkeypatch.undo()


@pytest.mark.skipif(not available(), reason="the model is not installed")
def test_meaning_finds_most_of_what_is_planted(scoring: ModuleType) -> None:
    """What the page docs/reference/duplicates.md says of the split, with room for another processor's rounding."""
    case, labels = scoring.read_case(DEV), json.loads((DEV / "labels.json").read_bytes())
    similar = compare(case.register, case.traffic, Embedder())
    scores = {each.detector: each for each in scoring.score(run(replace(case, similar=similar), SLUGS), labels)}
    assert scoring.recall_at(similar, labels) >= 0.9
    assert (scores["register_copy"].recall, scores["register_copy"].precision) == (1.0, 1.0)
    for slug, recall in (("duplicate", 0.8), ("resurrected", 0.8)):
        assert scores[slug].recall >= recall, scores[slug]
        assert scores[slug].precision >= 0.8, scores[slug]
        assert scores[slug].near_misses_hit == 0, scores[slug]


def test_words_alone_find_little_and_accuse_nobody(scoring: ModuleType) -> None:
    """Without the model few are found, and no near miss is taken for a case."""
    case, labels = scoring.read_case(DEV), json.loads((DEV / "labels.json").read_bytes())
    similar = compare(case.register, case.traffic)
    scores = {each.detector: each for each in scoring.score(run(replace(case, similar=similar), SLUGS), labels)}
    assert similar.missing == ("embeddings",)
    assert scores["register_copy"].recall == 1.0
    assert scores["duplicate"].near_misses_hit == 0, scores["duplicate"]
    assert scores["resurrected"].near_misses_hit == 0
