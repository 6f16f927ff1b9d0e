"""What tests of the centre share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import databases


@pytest.fixture(autouse=True)
def closed_connections() -> Iterator[None]:
    """No test leaves connections to a server behind."""
    yield
    databases.close_connections()
