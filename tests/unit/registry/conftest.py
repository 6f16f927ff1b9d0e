"""The country the registry's tests run in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_country import Country


@pytest.fixture
def country(tmp_path: Path) -> Iterator[Country]:
    """A fresh registry without members."""
    country = Country(tmp_path)
    yield country
    country.close()
