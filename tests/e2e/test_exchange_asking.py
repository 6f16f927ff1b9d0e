"""What a caller may ask again, what a right's end means, and what in a body is only a body."""

from __future__ import annotations

import time
from hashlib import sha256
from uuid import uuid4

import pytest

import raw_caller
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.registry.forms import Names

PROVIDER = "server.serverproxy."


@pytest.fixture(scope="module")
def edge(country):
    """Where the ministry's system calls."""
    return country.node("ministry")["edge"]


@pytest.fixture(scope="module")
def system(country):
    """The ministry's system."""
    return country.node("ministry")["system"]


def get(country, edge, system, target, *headers, method="GET", body=b""):
    """One call with X-Road-Client."""
    return raw_caller.send(edge, method, target, [("X-Road-Client", system), *headers], body)


class TestBodiesThatLookLikeRequests:
    """What stands in a body is a body."""

    def test_a_request_in_a_body_is_not_read(self, country, echo, edge, system):
        """One call, one exchange, and the body arrives as it was."""
        body = raw_caller.head_of("GET", f"/r1/{country.echo}/smuggled", [("X-Road-Client", system)])
        before = country.size("registers")
        calls = len(echo.calls)
        answer = get(country, edge, system, f"/r1/{country.echo}/x", method="POST", body=body)
        assert answer.json["sha256"] == sha256(body).hexdigest()
        assert (country.size("registers"), len(echo.calls)) == (before + 2, calls + 1)

    def test_pipelined_requests_are_answered_in_order(self, country, edge, system):
        """Two requests in one packet are two exchanges, one after the other."""
        heads = [raw_caller.head_of("GET", f"/r1/{country.echo}/{i}", [("X-Road-Client", system)]) for i in range(3)]
        with raw_caller.connect(edge) as sock:
            sock.sendall(b"".join(heads))
            data = b""
            while data.count(b"HTTP/1.1 200") < 3 or not data.endswith(b"}"):
                data += sock.recv(65536)
        assert [data.index(b'"/%d"' % i) for i in range(3)] == sorted(data.index(b'"/%d"' % i) for i in range(3))


class TestRights:
    """A right counts as it was given, and until its time."""

    def test_an_unknown_member_is_told_soon(self, country, edge, system):
        """The node looks for a newcomer for a few seconds, once."""
        started = time.monotonic()
        for _ in range(3):
            get(country, edge, system, "/r1/KZ/GOV/991340000088/x/y")
        assert time.monotonic() - started < 8

    @pytest.fixture
    def offered(self, country):
        """Offers one more service of the registers, with a right for the ministry that is as the test says."""

        def offer(code, *, disabled=None, until=None, granted=True):
            desk = country.desk("registers")
            service = ServiceId(SubsystemId.parse(country.node("registers")["system"]), code)
            desk.add_service(service, Names(kk=code, ru=code, en=code), type_="REST", disabled=disabled)
            ministry = SubsystemId.parse(country.node("ministry")["system"])
            if granted:
                lineage = country.desk("ministry").lineage
                desk.grant(service, ministry, lineage, [Endpoint.parse("* /**")], until)
            country.publish(desk, "registers", "ministry")
            return str(service)

        return offer

    def test_a_service_without_any_right(self, country, edge, system, offered):
        """Nothing is allowed that was not given."""
        assert get(country, edge, system, f"/r1/{offered('bare', granted=False)}/x").error == f"{PROVIDER}access_denied"

    def test_a_right_that_has_ended(self, country, edge, system, offered):
        """A right counts until its time."""
        service = offered("ended", until=1_700_000_000_000)
        assert get(country, edge, system, f"/r1/{service}/x").error == f"{PROVIDER}access_denied"


class TestReconciling:
    """`GET /exchanges/ID` is for the subsystem that called."""

    def test_its_own_outcome(self, country, edge, system):
        """What became of a call of its own."""
        message = country.call("/x", service=country.echo).message
        answer = raw_caller.send(edge, "GET", f"/exchanges/{message}", [("X-Road-Client", system)])
        assert (answer.json["outcome"], answer.json["status"]) == ("answered", 200)

    @pytest.mark.parametrize(
        "message", ["none", "", "../status", pytest.param(str(uuid4()), id="unknown"), "0" * 36, "%00"]
    )
    def test_what_is_not_there(self, edge, system, message):
        """No such exchange."""
        answer = raw_caller.send(edge, "GET", f"/exchanges/{message}", [("X-Road-Client", system)])
        assert "not_found" in answer.error

    def test_anothers_is_not_there(self, country, edge):
        """Who calls as another subsystem learns nothing of it, nor does who does not say who it is."""
        message = country.call("/x", service=country.echo).message
        headers = [("X-Road-Client", "KZ/GOV/991340000017/other")]
        assert raw_caller.send(edge, "GET", f"/exchanges/{message}", headers).status == 500
        assert raw_caller.send(edge, "GET", f"/exchanges/{message}").status == 500
