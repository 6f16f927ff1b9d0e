"""The measurement of the catalogue's search: it runs, and says when a query takes too long."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))  # the benchmark is not part of the package

from bench import catalogue


def test_it_measures_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """At a size that takes no time; the size that counts is measured on a quiet machine."""
    assert catalogue.main(300) == 0
    told = capsys.readouterr().out
    assert told.startswith("300 services indexed")
    assert "queries: median" in told


@pytest.mark.slow
def test_a_query_at_full_size_takes_no_longer_than_it_may() -> None:
    """100,000 services, 100 ms."""
    assert catalogue.main(100_000) == 0
