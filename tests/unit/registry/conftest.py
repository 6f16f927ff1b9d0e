"""The country the registry's tests run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_country import Country, quick_folder


@pytest.fixture
def country() -> Iterator[Country]:
    """A fresh registry without members."""
    with quick_folder() as folder:
        country = Country(folder)
        yield country
        country.close()
