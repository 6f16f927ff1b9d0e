"""A page in a browser on the node's machine: what it can read and do where programs of that machine need no token."""

from __future__ import annotations

from http.client import HTTPConnection

import pytest

CLIENT = "X-Road-Client"


def ask(port, method, path, **headers):
    """The status a node answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


FOREIGN = [
    {"Host": "rebound.example:8411"},
    {"Host": "127.0.0.1.rebound.example"},
    {"Origin": "https://rebound.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_is_not_the_operator(country, headers):
    """Neither under a name that was made to point here (DNS rebinding) nor by a form or an image of its own."""
    port = country.country["ports"]["management"]["ministry"]
    for method, path in (("GET", "/exchanges"), ("GET", "/incidents"), ("POST", "/reload"), ("POST", "/witness-now")):
        assert ask(port, method, path, **headers) == 403
        assert ask(port, method, path) == 200
    assert ask(port, "GET", "/health", **headers) == 200


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_is_no_system_of_this_machine(country, headers):
    """It does not call as the ministry."""
    port = country.country["ports"]["edges"]["ministry"]
    client = {CLIENT: country.node("ministry")["system"]}
    with country.unrecorded("ministry"):
        assert ask(port, "GET", f"/r1/{country.echo}/x", **client, **headers) == 500
    assert ask(port, "GET", f"/r1/{country.echo}/x", **client) == 200
