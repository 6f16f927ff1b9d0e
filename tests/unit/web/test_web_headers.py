"""Requests that name another host than the site's own are not answered."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_caller import Caller
from qaztech.web.headers import Guard


@pytest.mark.parametrize("host", ["evil.example", "", "[::1", "console.example.evil.example", "a@b@c", "[x]y"])
def test_another_host_or_none_is_misdirected(host: str) -> None:
    """Also what is no host at all: it fails nothing."""
    site = Starlette(routes=[Route("/", lambda _: PlainTextResponse("in"))])
    caller = Caller(Guard(site, frozenset({"console.example"})))
    assert caller.get("/", {"host": host}).status_code == 421
    assert caller.get("/", {"host": "console.example:8405"}).text == "in"
