"""An access right is not wider than it reads, however the system behind reads the path."""

from __future__ import annotations

import pytest

from qaztech.core.rights import Endpoint


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("GET /people/*", "/people/1%2Fsecrets"),
        ("GET /people/*", "/people/1%2fsecrets"),
        ("GET /people/*", "/people/1%5Csecrets"),
        ("GET /people/*", "/people/1%252Fsecrets"),
        ("GET /people/*", "/people/1\\secrets"),
        ("GET /people/*/name", "/people//name"),
        ("GET /people/*/*/name", "/people/%2F/x/name"),
        ("GET /*", "/%2Fadmin%2Fusers"),
    ],
)
def test_an_escaped_separator_does_not_reach_further(endpoint, path):
    """What one reader takes for one segment is two, or none, for another: the right must give it to both."""
    assert not Endpoint.parse(endpoint).covers("GET", path)


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("GET /**", "/people/1%2Fsecrets"),
        ("GET /people/**", "/people//name%5C"),
        ("GET /docs/a%2Fb", "/docs/a%2Fb"),
        ("GET /people/*", "/people/"),
        ("GET /people/*", "/people/50%25"),
        ("GET /people/*", "/people/%D0%90"),
    ],
)
def test_what_is_given_in_both_readings_stays_given(endpoint, path):
    """A right for all below, or for exactly that spelling, covers escapes as before."""
    assert Endpoint.parse(endpoint).covers("GET", path)
