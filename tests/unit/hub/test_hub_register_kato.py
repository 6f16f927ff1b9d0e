"""Regions of the country, and codes that ended with the reforms."""

from __future__ import annotations

from datetime import date

import pytest

from qaztech.hub.register.kato import ended, region_of, regions, successors

TODAY = date(2026, 11, 23)


def test_there_are_twenty_today_and_each_has_a_tile_of_its_own() -> None:
    """Seventeen regions and three cities; fourteen and two before 2018."""
    today = regions(TODAY)
    assert len(today) == 20
    assert len({(region.row, region.column) for region in today}) == 20
    assert len(regions(date(2018, 1, 1))) == 15


@pytest.mark.parametrize(
    ("code", "found"), [("710000000", "71"), ("631000000", "63"), ("510000000", None), ("990000000", None)]
)
def test_a_code_lies_in_a_region(code: str, found: str | None) -> None:
    """By its first two digits, unless it has ended."""
    region = region_of(code, TODAY)
    assert (region.code if region else None) == found


def test_what_was_abolished_names_its_successors() -> None:
    """South Kazakhstan became Turkistan and Shymkent in 2018; Semey went to Abai in 2022."""
    assert [region.en for region in successors("514000000", TODAY)] == ["Turkistan Region", "Shymkent City"]
    assert [region.code for region in successors("632810000", TODAY)] == ["10"]
    assert ended("632810000", date(2022, 6, 7)) is None
    assert successors("710000000", TODAY) == []
