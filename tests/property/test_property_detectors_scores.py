"""The detectors of rules on the development split of the labelled set."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from qaztech.hub.detectors.all import run

ROOT = Path(__file__).parents[2]
DEV = ROOT / "tests/data/labelled/dev"
# These compare texts, which takes longer: they have a test of their own.
ALIKE = {"duplicate", "register_copy", "resurrected"}


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


def test_rules_find_what_is_planted_and_nothing_else(scoring: ModuleType) -> None:
    """Rules that follow from the record alone make no mistake; the others find nine in ten at four right in five."""
    labels = json.loads((DEV / "labels.json").read_bytes())
    scores = [each for each in scoring.score(run(scoring.read_case(DEV)), labels) if each.detector not in ALIKE]
    assert len(scores) == 18
    for each in scores:
        least = (1.0, 1.0) if each.deterministic else (0.9, 0.8)
        assert each.planted >= 6, each
        assert (each.recall >= least[0], each.precision >= least[1]) == (True, True), each
