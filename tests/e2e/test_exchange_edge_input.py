"""What a calling system may get wrong at its node's edge: each has its X-Road error, and nothing of it is recorded."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

import raw_caller
from qaztech.core.ids import NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import SystemClock
from qaztech.registry.forms import Names
from qaztech.trust.certificates import Authority, certificate_request, generate_key, key_pem, spki_hash

NODES = ("ministry", "registers")
NAMES = Names(kk="x", ru="x", en="x")
# Failures to authenticate count against an address of this machine that no other test calls from.
STRANGER, FORGETFUL, INSISTENT = "127.0.0.21", "127.0.0.22", "127.0.0.23"
TOKEN = "s3cret"


@pytest.fixture(scope="module")
def edge(country) -> str:
    return country.node("ministry")["edge"]


@pytest.fixture(scope="module")
def system(country) -> tuple[str, str]:
    """The header that says who calls."""
    return "X-Road-Client", country.node("ministry")["system"]


@pytest.fixture(scope="module")
def provider(country) -> str:
    """The subsystem that provides."""
    return country.node("registers")["system"]


@contextmanager
def settings(country, node: str, *changes: tuple[str, str]) -> Iterator[None]:
    """Inside this block a node's settings are others, taken up by a reload."""
    toml = country.home / "nodes" / node / "node.toml"
    before = after = toml.read_text()
    for old, new in changes:
        assert old in after
        after = after.replace(old, new)
    try:
        toml.write_text(after)
        country.manage(node, "/reload", "POST")
        yield
    finally:
        toml.write_text(before)
        country.manage(node, "/reload", "POST")


def add_service(country, code: str, *, disabled: str | None = None, clients: tuple[str, ...] = ("ministry",)) -> str:
    """A service that stands in its owner's file, and in the settings of no node."""
    desk = country.desk("registers")
    service = ServiceId(SubsystemId.parse(country.node("registers")["system"]), code)
    desk.add_service(service, NAMES, type_="REST", disabled=disabled)
    for client in clients:
        who = SubsystemId.parse(country.node(client)["system"])
        desk.grant(service, who, country.desk(client).lineage, [Endpoint.parse("* /**")], None)
    country.publish(desk, *NODES)
    return str(service)


def is_refused(reply: raw_caller.Reply | None, error: str, status: int = 500) -> bool:
    """Whether a reply is that X-Road error, in all its places."""
    assert reply is not None
    assert (reply.status, reply.error) == (status, error)
    assert reply["content-type"] == "application/json;charset=utf-8"
    assert list(reply.json) == ["type", "message", "detail"]
    assert reply.json["type"] == error
    assert len(reply.all("date")) == 1
    UUID(reply.json["detail"])
    return True


class TestTargets:
    """The request line."""

    @pytest.mark.parametrize("target", [
        "/r1/", "/r1/invalid", "/r1/KZ/QUASI/{code}/codes", "/r1/KZ/QUASI/{code}/codes/",
        "/r1//QUASI/{code}/codes/echo",
        "/r1/KZ/QUASI/{code}/co%2Fdes/echo", "/r1/KZ/QUASI/{code}/codes/e%zzcho", "/r1/KZ/QUASI/{code}/codes/%C3%28",
        "/r1/KZ/QUASI/{code}/codes/%00", "/r1/KZ/QUASI/{code}/../echo", "/r1/KZ/QUASI/{code}/codes/%2E%2E",
        "/r1/KZ/QUASI/{code}/codes/ec%3Bho", "/r1/KZ/QUASI/{code}/codes/e%E2%80%8Bcho",
        "/r1/KZ/QUASI/{code}/codes/" + "e" * 256, "/r1?x",
    ])  # fmt: skip
    def test_identifiers_that_are_none(self, country, edge, system, provider, target):
        """X-Road answers 500 here, and so do we: clients know it."""
        error, status = ("client.not_found", 400) if target == "/r1?x" else ("server.clientproxy.internal_error", 500)
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", target.format(code=provider.split("/")[2]), [system])
        assert is_refused(reply, error, status)

    @pytest.mark.parametrize("rest", [
        "/%", "/%4", "/%zz", "/a%2", "/a#b", '/a"b', "/a<b", "/a\\b", "/a{b}", "/a|b", "/a^b", "/a`b", "/[a]",
        "?a=%g0", "?a|b",
    ])  # fmt: skip
    def test_paths_and_queries_that_two_readers_would_read_as_two(self, country, edge, system, rest):
        """What is not well-formed is not sent on for somebody else to guess at."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}{rest}", [system])
        assert is_refused(reply, "server.clientproxy.internal_error")

    @pytest.mark.parametrize("rest", [
        "/..", "/../x", "/a/../b", "/%2e%2e/x", "/a%2F..%2Fb", "/a/..;x=1/b", "/%252e%252e/x", "/a/./b", "/a%5C..%5Cb",
    ])  # fmt: skip
    def test_no_right_covers_a_path_that_climbs(self, country, edge, system, rest):
        """Not even the right to everything: where it leads is the system's reading."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}{rest}", [system])
        assert is_refused(reply, "server.serverproxy.access_denied")

    @pytest.mark.parametrize(
        "target", ["/r2/{echo}/x", "/R1/{echo}/x", "//r1/{echo}/x", "http://localhost/r1/{echo}/x", "/", "*"]
    )
    def test_what_is_not_of_this_protocol(self, country, edge, system, target):
        """Other versions, other spellings, the absolute form: not taken for the one we know."""
        with country.unrecorded(*NODES):
            method = "OPTIONS" if target == "*" else "GET"
            reply = raw_caller.send(edge, method, target.format(echo=country.echo), [system])
        assert is_refused(reply, "client.not_found", 400)


class TestClients:
    """Who calls."""

    def test_without_a_client(self, country, edge):
        """The text is X-Road's."""
        for headers in ([], [("X-Road-Client", "")]):
            with country.unrecorded(*NODES):
                reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", headers)
            assert is_refused(reply, "server.clientproxy.invalid_client_identifier")
            assert reply.json["message"] == "The client identifier is missing"

    @pytest.mark.parametrize(
        "client", ["KZ", "KZ/GOV", "KZ/GOV/x/y/z", "KZ/GOV/%zz/permits", "KZ/GOV/x/..", "/GOV/x/y", "KZ/GOV/\xf6/y"]
    )
    def test_a_client_that_is_no_identifier(self, country, edge, client):
        """As X-Road: a text that cannot be read is an internal error."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [("X-Road-Client", client)])
        assert is_refused(reply, "server.clientproxy.internal_error")

    def test_a_member_is_no_calling_system(self, country, edge, system):
        """Rights are given to subsystems."""
        member = system[1].rpartition("/")[0]
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [("X-Road-Client", member)])
        assert is_refused(reply, "server.clientproxy.invalid_client_identifier")

    def test_a_client_that_is_not_this_nodes(self, country, edge, system, provider):
        """Unknown, of the same member or of none, and a system of another member: it calls at its own node."""
        for client in (f"{system[1]}2", "KZ/COM/1/x", provider, country.node("university")["system"]):
            with country.unrecorded(*NODES):
                headers = [("X-Road-Client", client)]
                reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", headers, source=STRANGER)
            assert is_refused(reply, "server.clientproxy.unknown_member")
            assert reply.json["message"] == f"Client 'SUBSYSTEM:{client}' not found"

    def test_of_several_clients_the_last_counts(self, country, edge, system, provider):
        """And only that one is passed on."""
        other = ("X-Road-Client", provider)
        reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [other, system])
        assert [value for name, value in reply.json["headers"] if name == "X-Road-Client"] == [system[1]]
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [system, other], source=STRANGER)
        assert is_refused(reply, "server.clientproxy.unknown_member")

    def test_a_token(self, country, edge, system):
        """A system that has one must show it; it is for the node, and goes no further."""
        hash_ = sha256(TOKEN.encode()).hexdigest()
        target = f"/r1/{country.echo}/token"
        with settings(country, "ministry", ("loopback = true", f'token_hashes = ["{hash_}"]')):
            for wrong in (None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {hash_}"):
                headers = [system, *([("Authorization", wrong)] if wrong else [])]
                with country.unrecorded(*NODES):
                    reply = raw_caller.send(edge, "GET", target, headers, source=FORGETFUL)
                assert is_refused(reply, "server.clientproxy.ssl_authentication_failed")
            reply = raw_caller.send(edge, "GET", target, [system, ("Authorization", f"Bearer {TOKEN}")])
        assert reply.status == 200
        assert "authorization" not in [name.lower() for name, _ in reply.json["headers"]]
        assert raw_caller.send(edge, "GET", target, [system]).status == 200

    def test_a_certificate_that_is_listed_and_not_shown(self, country, edge, system):
        """Without TLS there is none to show."""
        listed = f'certificate_hashes = ["{"0" * 64}"]'
        with settings(country, "ministry", ("loopback = true", listed)), country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [system], source=FORGETFUL)
        assert is_refused(reply, "server.clientproxy.ssl_authentication_failed")

    def test_who_keeps_failing_is_heard_less_often(self, country, edge, system):
        """An address has some twenty failures; others, and whoever then says who it is, are heard."""
        target, unknown = f"/r1/{country.echo}/x", [("X-Road-Client", "KZ/COM/1/x")]
        with country.unrecorded(*NODES):
            replies = [raw_caller.send(edge, "GET", target, unknown, source=INSISTENT) for _ in range(30)]
        assert is_refused(replies[-1], "client.limit_exceeded", 400)
        assert replies[-1]["retry-after"] == "1"
        assert raw_caller.send(edge, "GET", target, [system], source=INSISTENT).status == 200


@pytest.fixture(scope="class")
def certified(country, tmp_path_factory) -> Iterator[dict[str, ssl.SSLContext]]:
    """The ministry's node with TLS at its edge, and callers: one listed, one with a certificate, one with none."""
    folder, now = tmp_path_factory.mktemp("tls"), SystemClock().now()
    authority = Authority.create("KZ", now)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    node = NodeId.parse(f"{country.node('ministry')['member']}/node1")
    hashes, callers = {}, {}
    for name in ("server", "listed", "other", "none"):
        key = generate_key()
        certificate = authority.issue(certificate_request(key, node), node, now, days=1)
        (folder / f"{name}.key").write_bytes(key_pem(key))
        (folder / f"{name}.pem").write_bytes(certificate)
        hashes[name] = spki_hash(ssl.PEM_cert_to_DER_cert(certificate.decode())).hex()
        callers[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        callers[name].check_hostname, callers[name].verify_mode = False, ssl.CERT_NONE
        if name != "none":
            callers[name].load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    toml = country.home / "nodes" / "ministry" / "node.toml"
    before = toml.read_text()
    files = "".join(
        f'{setting} = "{folder / file}"\n'
        for setting, file in (("certificate", "server.pem"), ("key", "server.key"), ("ca", "ca.pem"))
    )
    after = before.replace("loopback = true", f'certificate_hashes = ["{hashes["listed"]}"]')
    country.terminate("node-ministry")
    try:
        toml.write_text(after.replace("[edge]\n", f"[edge]\n{files}"))
        country.restart("node-ministry")
        yield callers
    finally:
        country.terminate("node-ministry")
        toml.write_text(before)
        country.restart("node-ministry")


class TestTls:
    """The edge with TLS, where systems show certificates."""

    def test_the_key_that_is_listed_may_call(self, country, edge, system, certified):
        """It is the key that counts, not what the certificate says of it."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [system], tls=certified["listed"])
        assert reply.status == 200

    @pytest.mark.parametrize("caller", ["other", "none"])
    def test_another_certificate_or_none_may_not(self, country, edge, system, certified, caller):
        """Also one by the same authority."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(
                edge, "GET", f"/r1/{country.echo}/x", [system], tls=certified[caller], source=FORGETFUL
            )  # fmt: skip
        assert is_refused(reply, "server.clientproxy.ssl_authentication_failed")


class TestServices:
    """What is called."""

    def test_an_unknown_service(self, country, edge, system, provider):
        """Of a known subsystem, and of one that is not there."""
        for service in (f"{provider}/none", f"{provider}2/echo"):
            with country.unrecorded(*NODES):
                reply = raw_caller.send(edge, "GET", f"/r1/{service}/x", [system])
            assert is_refused(reply, "server.serverproxy.unknown_service")
            assert reply.json["message"] == f"Unknown service: SERVICE:{service}"
            assert reply.json["detail"] == reply.message

    @pytest.mark.parametrize("member", ["KZ/COM/000000000000", "XX/GOV/991340000017"])
    def test_an_unknown_member(self, country, edge, system, member):
        """Looked for in the registry, and not there; or of another instance."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{member}/a/b", [system])
        assert is_refused(reply, "server.clientproxy.unknown_member")
        assert reply.json["message"] == f'Could not find addresses for service provider "SERVICE:{member}/a/b"'

    def test_a_metadata_service_of_an_unknown_subsystem(self, country, edge, system, provider):
        """There is nobody to ask."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{provider}2/listMethods", [system])
        assert is_refused(reply, "server.serverproxy.unknown_service")

    def test_a_metadata_service_is_only_read(self, country, edge, system, provider):
        """Any other verb is a call of a service of that name."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "POST", f"/r1/{provider}/listMethods", [system])
        assert is_refused(reply, "server.serverproxy.unknown_service")

    def test_no_right(self, country, edge, system):
        """The service is there, for others."""
        service = add_service(country, "theirs", clients=())
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{service}/x", [system])
        assert is_refused(reply, "server.serverproxy.access_denied")
        assert reply.json["message"] == f"Request is not allowed: SERVICE:{service}"

    def test_a_disabled_service(self, country, edge, system):
        """Its owner's notice is what callers read."""
        service = add_service(country, "closed", disabled="until Monday")
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{service}/x", [system])
        assert is_refused(reply, "server.serverproxy.service_disabled")
        assert reply.json["message"] == f"Service SERVICE:{service} is disabled: until Monday"

    def test_a_service_that_its_node_has_switched_off(self, country, echo, edge, system):
        """Only the provider's node knows: the refusal is on record on both sides, and reads the same."""
        service = country.add_service("registers", "off", echo.url, disabled="until Monday")
        reply = raw_caller.send(edge, "GET", f"/r1/{service}/switched-off", [system])
        assert is_refused(reply, "server.serverproxy.service_disabled")
        assert reply.json["message"] == f"Service SERVICE:{service} is disabled: until Monday"
        assert [country.records(node, reply.message) for node in NODES] == [["request", "refused"]] * 2
        assert "/switched-off" not in [call.target for call in echo.calls]

    def test_a_service_whose_system_is_nowhere(self, country, edge, system):
        """It stands in the file, and its node does not know where it is: refused, on record."""
        service = add_service(country, "nowhere")
        reply = raw_caller.send(edge, "GET", f"/r1/{service}/x", [system])
        assert is_refused(reply, "server.serverproxy.unknown_service")
        assert [country.records(node, reply.message) for node in NODES] == [["request", "refused"]] * 2

    def test_a_system_that_does_not_listen(self, country, edge, system):
        """The provider's own trouble has a name of its own."""
        service = country.add_service("registers", "silent", "http://127.0.0.1:1")
        reply = raw_caller.send(edge, "POST", f"/r1/{service}/x", [system], b"{}")
        assert is_refused(reply, "server.serverproxy.service_failed.network_error")
        assert [country.records(node, reply.message) for node in NODES] == [["request", "refused"]] * 2


class TestHeaders:
    """Headers that must not be there, or not so."""

    @pytest.mark.parametrize("name", [
        "X-Road-Id", "X-Road-UserId", "X-Road-Issue", "X-Road-Security-Server", "X-Road-Represented-Party",
        "Authorization", "Content-Type",
    ])  # fmt: skip
    def test_twice(self, country, edge, system, name):
        """Two readers would take one each."""
        with country.unrecorded(*NODES):
            headers = [system, (name, "COM/1"), (name.lower(), "COM/1")]
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", headers)
        assert is_refused(reply, "client.bad_request", 400)

    @pytest.mark.parametrize("option", ["X-Road-Client", "x-road-id", "close, Authorization", "Content-Type"])
    def test_connection_may_not_name_what_must_cross(self, country, edge, system, option):
        """Else a caller could have the node lose it on the way."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [system, ("Connection", option)])
        assert is_refused(reply, "client.bad_request", 400)

    @pytest.mark.parametrize("headers", [
        [(f"X-{i}", "1") for i in range(101)], [("X-Long", "x" * 33 * 1024)], [("X" * 33 * 1024, "1")],
        [(f"X-{i}", "x" * 1024) for i in range(40)],
    ], ids=["many", "value", "name", "all"])  # fmt: skip
    def test_too_much(self, country, edge, system, headers):
        """HTTP's own status: it never becomes a message."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [system, *headers])
        assert (reply.status, reply.error) == (431, "")

    def test_a_target_that_is_too_long(self, country, edge, system):
        """As HTTP has it."""
        with country.unrecorded(*NODES):
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/{'x' * 9000}", [system])
        assert (reply.status, reply.error) == (414, "")

    def test_a_body_that_is_too_large(self, country, edge, system):
        """Said before any of it is taken."""
        with country.unrecorded(*NODES):
            data = raw_caller.head_of(
                "POST", f"/r1/{country.echo}/x", [system, ("Content-Length", str(2 * 1024**3 + 1))]
            )
            reply = raw_caller.converse(edge, data, method="POST")
        assert reply is not None
        assert (reply.status, reply.error) == (413, "")


CHUNK = b"5\r\nhello\r\n0\r\n\r\n"
SHAPES = {
    "length-and-chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "chunks-and-length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNK,
    "two-lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "two-other-lengths": b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "length-list": b"Content-Length: 5, 5\r\n\r\nhello",
    "length-plus": b"Content-Length: +5\r\n\r\nhello",
    "length-minus": b"Content-Length: -5\r\n\r\nhello",
    "length-hex": b"Content-Length: 0x5\r\n\r\nhello",
    "length-huge": b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "length-empty": b"Content-Length:\r\n\r\nhello",
    "length-spaced": b"Content-Length : 5\r\n\r\nhello",
    "chunks-twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "chunks-and-identity": b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNK,
    "identity-and-chunks": b"Transfer-Encoding: identity, chunked\r\n\r\n" + CHUNK,
    "identity": b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    "xchunked": b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK,
    "chunked-vt": b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNK,
    "chunked-quoted": b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNK,
    "chunked-spaced": b"Transfer-Encoding : chunked\r\n\r\n" + CHUNK,
    "folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNK,
    "bare-lf": b"X: 1\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "bare-lf-end": b"Content-Length: 5\n\nhello",
    "bare-cr": b"X: 1\rTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "nul": b"X: a\x00b\r\n\r\n",
    "no-colon": b"what is this\r\n\r\n",
    "no-name": b": 1\r\n\r\n",
    "name-with-space": b"X Y: 1\r\n\r\n",
    "two-hosts": b"Host: other\r\n\r\n",
    "chunk-size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "chunk-size-hex": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "chunk-size-minus": b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "chunk-size-huge": b"Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk-too-long": b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
    "chunk-bare-lf": b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
}  # fmt: skip


class TestSmuggling:
    """Bytes that two readers would cut into requests at different places."""

    def second(self, country, system) -> bytes:
        return raw_caller.head_of("GET", f"/r1/{country.echo}/smuggled", [system])

    def is_deaf(self, country, echo, data: bytes) -> raw_caller.Reply | None:
        """Whether data that ends with a second request brings nothing to the logs or to the system."""
        with country.unrecorded(*NODES):
            reply = raw_caller.converse(country.node("ministry")["edge"], data, method="POST")
        assert not [call.target for call in echo.calls if "smuggle" in call.target]
        return reply

    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_shape_with_two_readings(self, country, echo, system, shape):
        """Refused before anybody else sees it, and so is what follows on the connection."""
        target, client = f"/r1/{country.echo}/smuggle", f"{system[0]}: {system[1]}"
        head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{client}\r\n".encode()
        reply = self.is_deaf(country, echo, head + SHAPES[shape] + self.second(country, system))
        assert reply is not None
        assert reply.status in {400, 501}
        assert (reply.error, reply["connection"]) == ("", "close")

    @pytest.mark.parametrize(("line", "status"), [
        ("GET {target}", 400), ("GET {target} HTTP/0.9", 400), ("GET {target} HTTP/1.2", 400),
        ("GET {target} HTTP/2.0", 400), ("GET {target} x HTTP/1.1", 400),
        ("GET {target}\tHTTP/1.1", 400), ("get {target} HTTP/1.1", 400), ("BREW {target} HTTP/1.1", 400),
        ("CONNECT localhost:1 HTTP/1.1", 501), ("PROPFIND {target} HTTP/1.1", 501), ("GET {target}\x01 HTTP/1.1", 400),
        ("PRI * HTTP/2.0", 400),
    ])  # fmt: skip
    def test_a_request_line_that_is_none(self, country, echo, system, line, status):
        """Other versions, other verbs, other separators."""
        first = line.format(target=f"/r1/{country.echo}/smuggle")
        head = f"{first}\r\nHost: localhost\r\n{system[0]}: {system[1]}\r\n\r\n".encode()
        reply = self.is_deaf(country, echo, head + self.second(country, system))
        assert reply is not None
        assert (reply.status in {status, 505}, reply.error) == (True, "")

    def test_a_request_without_host(self, country, echo, system):
        """HTTP/1.1 has one."""
        head = f"GET /r1/{country.echo}/smuggle HTTP/1.1\r\n{system[0]}: {system[1]}\r\n\r\n".encode()
        reply = self.is_deaf(country, echo, head + self.second(country, system))
        assert reply is not None
        assert reply.status == 400

    def test_two_whole_requests_are_two(self, country, edge, system):
        """Pipelining is no smuggling: both are answered, in order."""
        data = b"".join(raw_caller.head_of("GET", f"/r1/{country.echo}/{i}", [system]) for i in range(2))
        with raw_caller.connect(edge) as sock, sock.makefile("rb") as file:
            sock.sendall(data)
            targets = []
            for _ in range(2):
                head = b"".join(iter(file.readline, b"\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                targets.append(json.loads(file.read(length))["target"])
        assert targets == ["/0", "/1"]


class TestForm:
    """How an error is told."""

    @pytest.mark.parametrize(("accept", "media"), [
        ("application/xml", "application/xml"), ("text/xml", "text/xml"), ("text/*", "text/xml"),
        ("text/html, application/xml;q=0.9", "application/xml"),
    ])  # fmt: skip
    def test_in_xml_for_those_who_list_it(self, edge, system, provider, accept, media):
        """The same three parts."""
        reply = raw_caller.send(edge, "GET", f"/r1/{provider}/no<ne".replace("<", "%26"), [system, ("Accept", accept)])
        assert reply["content-type"] == f"{media};charset=utf-8"
        root = ET.fromstring(reply.body)
        assert [element.tag for element in root] == ["type", "message", "detail"]
        assert (root.tag, root[0].text) == ("error", reply.error)
        assert root[1].text == f"Unknown service: SERVICE:{provider}/no&ne"

    @pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", "application/soap+xml", ""])
    def test_in_json_for_all_others(self, edge, system, provider, accept):
        """Whatever else they accept."""
        reply = raw_caller.send(edge, "GET", f"/r1/{provider}/none", [system, ("Accept", accept)])
        assert is_refused(reply, "server.serverproxy.unknown_service")

    def test_in_the_older_dialect(self, country, edge, system, provider):
        """One setting, taken up by a reload: clients in the field match both."""
        silent = country.add_service("registers", "silent-too", "http://127.0.0.1:1")
        with settings(country, "ministry", ("[edge]\n", '[edge]\ndialect = "7.7"\n')):
            for target, headers, error in (
                (f"/r1/{provider}/none", [system], "Server.ServerProxy.UnknownService"),
                (f"/r1/{country.echo}/..", [system], "Server.ServerProxy.AccessDenied"),
                (f"/r1/{country.echo}/x", [], "Server.ClientProxy.InvalidClientIdentifier"),
                ("/r1/invalid", [system], "Server.ClientProxy.InternalError"),
                (f"/r1/{silent}/x", [system], "Server.ServerProxy.ServiceFailed.NetworkError"),
            ):
                assert is_refused(raw_caller.send(edge, "GET", target, headers), error)
            twice = [system, ("X-Road-Id", "1"), ("X-Road-Id", "2")]
            reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", twice)
            assert is_refused(reply, "Client.BadRequest", 400)
        reply = raw_caller.send(edge, "GET", f"/r1/{provider}/none", [system])
        assert is_refused(reply, "server.serverproxy.unknown_service")
