"""Access rights: what a method and a path pattern cover, and what no pattern ever covers."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Malformed
from qaztech.core.rights import METHODS, Endpoint, normal_path

COVERED = [
    ("GET /countries", "GET", "/countries"),
    ("GET /countries/*", "GET", "/countries/KZ"),
    ("GET /countries/*", "GET", "/countries/"),
    ("* /countries/*", "DELETE", "/countries/KZ"),
    ("GET /**", "GET", "/"),
    ("GET /**", "GET", "/a/b/c"),
    ("GET /a/**", "GET", "/a"),
    ("GET /a/**", "GET", "/a/b/c/"),
    ("GET /a/**/z", "GET", "/a/z"),
    ("GET /a/**/z", "GET", "/a/b/c/z"),
    ("GET /a/**/m/**/z", "GET", "/a/1/m/2/3/z"),
    ("GET /a%2fb", "GET", "/a%2Fb"),
    ("GET /%7Euser", "GET", "/~user"),
    ("GET /~user", "GET", "/%7euser"),
    ("GET /a.b+c(d)", "GET", "/a.b+c(d)"),
]
NOT_COVERED = [
    ("GET /a/*/c", "GET", "/a/b%2Fb/c"),
    ("GET /countries", "POST", "/countries"),
    ("GET /countries", "get", "/countries"),
    ("GET /countries", "GET", "/countries/"),
    ("GET /countries", "GET", "/countriesX"),
    ("GET /countries/*", "GET", "/countries"),
    ("GET /countries/*", "GET", "/countries/KZ/regions"),
    ("GET /a/**", "GET", "/ab"),
    ("GET /a/**/z", "GET", "/az"),
    ("GET /a.b", "GET", "/axb"),
    ("GET /a/b", "GET", "/a%2Fb"),
    ("GET /a/b", "GET", "/A/b"),
    ("GET /a", "GET", "/a\n"),
    ("GET /a/**", "GET", "a/b"),
    ("GET /a", "GET", ""),
]
DOT_SEGMENTS = [
    "/public/..", "/public/../secret", "/./public", "/public/.", "/public/%2e%2E/secret", "/public/.%2e/secret",
    "/..", "/public/%2e",
]  # fmt: skip


@pytest.mark.parametrize(("right", "method", "path"), COVERED)
def test_a_right_covers(right: str, method: str, path: str) -> None:
    """`*` is one segment, `**` any number, none included; escapes of unreserved characters make no difference."""
    assert Endpoint.parse(right).covers(method, path)


@pytest.mark.parametrize(("right", "method", "path"), NOT_COVERED)
def test_a_right_does_not_cover(right: str, method: str, path: str) -> None:
    """Anything that is not exactly under the pattern is outside it."""
    assert not Endpoint.parse(right).covers(method, path)


@pytest.mark.parametrize("path", DOT_SEGMENTS)
@pytest.mark.parametrize("right", ["* /**", "GET /public/**", "GET /public/*/secret", "GET /public/*"])
def test_no_right_covers_a_path_that_climbs(right: str, path: str) -> None:
    """A provider's system may resolve dot segments, so a path that has any is covered by nothing."""
    assert not Endpoint.parse(right).covers("GET", path)


@pytest.mark.parametrize(
    "path", ["/public/..%2Fsecret", "/public/%2E%2E%2fsecret", "/public/..%5Csecret", "/public/..;/secret"]
)
def test_no_right_covers_a_path_that_climbs_once_decoded_again(path: str) -> None:
    """Systems exist that decode separators, or drop path parameters, before they resolve dot segments."""
    assert not Endpoint.parse("* /**").covers("GET", path)


@pytest.mark.parametrize(
    "text",
    [
        "", "GET", "/a", "GET a", "get /a", "CONNECT /a", "GET  /a", "GET /a b", "GET /a?b", "GET /a\n", "GET /é",
        "GET /a*", "GET /*a", "GET /***", "GET /a/**b", "GET /**/a/**/b/**", "** /a", "GET\t/a",
    ],
)  # fmt: skip
def test_a_pattern_that_could_mean_two_things_is_refused(text: str) -> None:
    """Stars stand alone in a segment; a query is no part of a right."""
    with pytest.raises(Malformed) as caught:
        Endpoint.parse(text)
    assert caught.value.code == "endpoint.malformed"


@pytest.mark.parametrize("method", [*METHODS, "*"])
def test_a_right_is_written_as_it_was_read(method: str) -> None:
    """Format is the inverse of parse."""
    assert str(Endpoint.parse(f"{method} /a/*/**")) == f"{method} /a/*/**"


def test_normal_paths_keep_what_has_meaning() -> None:
    """Only escapes of unreserved characters are undone; the others are put in upper case."""
    assert normal_path("/%41%2f%7e%c3%b6%zz%2") == "/A%2F~%C3%B6%zz%2"
    assert normal_path("/%252e%252e") == "/%252e%252e"
