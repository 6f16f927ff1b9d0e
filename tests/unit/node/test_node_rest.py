"""The rules of the REST edge, against the facts existing clients rely on."""

from base64 import b64encode
from hashlib import sha512
from pathlib import Path

import pytest

from qaztech.core.errors import Limited, Malformed
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.node import rest

SERVICE = "KZ/GOV/991340000017/permits/countries"
TARGET = b"/r1/" + SERVICE.encode()


class TestTarget:
    """`/r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE[/path][?query]`."""

    def test_splits_service_path_and_query(self):
        """Path and query stay exactly as received."""
        call = rest.parse_target(TARGET + b"/a%2Fb/c;x=1?q=%D2%9B&z=1?2")
        assert call.service == ServiceId.parse(SERVICE)
        assert (call.suffix, call.path, call.query) == ("/a%2Fb/c;x=1", "/a%2Fb/c;x=1", b"?q=%D2%9B&z=1?2")

    def test_a_call_without_a_path_has_the_path_slash_and_no_suffix(self):
        """Rights and records speak of `/`; the provider's URL gets nothing appended."""
        call = rest.parse_target(TARGET)
        assert (call.suffix, call.path, call.query) == ("", "/", b"")
        assert rest.parse_target(TARGET + b"?").query == b"?"
        assert rest.parse_target(TARGET + b"/").suffix == "/"

    def test_identifier_parts_are_decoded_apart(self):
        """Percent-encoded UTF-8 in a part is the same identifier as its spelling elsewhere."""
        call = rest.parse_target(b"/r1/KZ/GOV/1/%C3%B6%C3%A4/s%76c/")
        assert call.service.subsystem.code == "öä"
        assert call.service.code == "svc"

    @pytest.mark.parametrize(
        "target",
        [
            b"",
            b"/",
            b"/r1/",
            b"/r1/invalid",
            b"/r1/KZ/GOV/1/sub",
            b"/r1/KZ/GOV/1//svc",
            b"r1/KZ/GOV/1/sub/svc",
            b"http://h/r1/KZ/GOV/1/sub/svc",
            b"//h/r1/KZ/GOV/1/sub/svc",
            TARGET + b"#x",
            TARGET + b"/a%",
            TARGET + b"/%g1",
            TARGET + b"?a=%1",
            TARGET + b"/\x00",
            TARGET + b"/a b",
            TARGET + b"/\xc3\xa9",
            TARGET + b"/a\r\nx",
            TARGET + b"/a\n",
            TARGET + b"\n",
            TARGET + b'/"',
            TARGET + b"/a\\b",
            TARGET + b"?a={b}",
            b"/r1/KZ/GOV/1/su b/svc",
            b"/r1/KZ/GOV/1/sub#/svc",
            b"/r1/KZ/GOV/1/%00/svc",
            b"/r1/KZ/GOV/1/%2E%2E/svc",
            b"/r1/KZ/GOV/1/%FF/svc",
            b"/r1/KZ/GOV/1/s%2Fub/svc",
            b"/r1/KZ/GOV/1/sub/%0D%0Asvc",
            b"*",
            b"/r1/" + b"a" * 256 + b"/GOV/1/sub/svc",
        ],
    )
    def test_what_is_not_well_formed_is_refused(self, target):
        """Absolute forms, fragments, bad escapes, control characters, missing or empty parts."""
        with pytest.raises(Malformed):
            rest.parse_target(target)

    def test_another_protocol_version_is_named(self):
        """`/r2/` is told apart from nonsense."""
        with pytest.raises(Malformed, match="Unsupported protocol version 2"):
            rest.parse_target(TARGET.replace(b"/r1/", b"/r2/"))

    def test_a_long_target_is_over_a_limit(self):
        """The limit is an argument."""
        with pytest.raises(Limited):
            rest.parse_target(TARGET + b"/" + b"a" * 100, limit=100)

    @pytest.mark.parametrize(
        ("base", "target", "expected"),
        [
            (b"", b"", b"/"),
            (b"", b"?a", b"/?a"),
            (b"", b"/x", b"/x"),
            (b"/v1", b"", b"/v1"),
            (b"/v1", b"/", b"/v1/"),
            (b"/v1/", b"/x?y", b"/v1/x?y"),
            (b"/v1/", b"//x", b"/v1//x"),
            (b"/v1", b"/%2F", b"/v1/%2F"),
            (b"/", b"", b"/"),
        ],
    )
    def test_the_provider_gets_base_suffix_and_query(self, base, target, expected):
        """One slash collapses where the base ends in one; nothing else changes."""
        call = rest.parse_target(TARGET + target)
        assert rest.service_target(base, call.suffix.encode(), call.query) == expected


class TestIdentifierHeaders:
    """X-Road-Client and its kin."""

    def test_the_last_client_wins(self):
        """As in X-Road's code."""
        assert rest.parse_client([b"KZ/GOV/1/a", b"KZ/GOV/1/b"]) == SubsystemId.parse("KZ/GOV/1/b")

    def test_three_parts_are_a_member(self):
        """A client may be a member without a subsystem."""
        assert rest.parse_client([b" KZ/GOV/1 "]) == MemberId("KZ", "GOV", "1")

    @pytest.mark.parametrize("values", [[], [b""], [b"  "], [b"KZ/GOV/1/a", b""]])
    def test_a_missing_client_says_so(self, values):
        """Clients match this sentence."""
        with pytest.raises(Malformed, match="The client identifier is missing"):
            rest.parse_client(values)

    @pytest.mark.parametrize("value", [b"KZ", b"KZ/GOV/1/a/b", b"KZ//1/a", b"KZ/GOV/1/\xff", b"KZ/GOV/1/%zz"])
    def test_a_malformed_client_is_refused(self, value):
        """Three or four parts, each of them well-formed."""
        with pytest.raises(Malformed, match="Invalid Client Id"):
            rest.parse_client([value])

    def test_security_server_has_four_parts(self):
        """Exactly four, or none of it."""
        assert rest.parse_security_server([]) is None
        assert rest.parse_security_server([b"KZ/GOV/1/node1"]) == NodeId(MemberId("KZ", "GOV", "1"), "node1")
        for value in (b"KZ/GOV/1", b"KZ/GOV/1/n/x", b"", b"\xff"):
            with pytest.raises(Malformed, match="Invalid SecurityServer Id"):
                rest.parse_security_server([value])

    def test_represented_party_has_one_or_two_parts(self):
        """`[CLASS/]CODE`."""
        assert rest.parse_represented_party([]) is None
        assert rest.parse_represented_party([b"77"]) == rest.RepresentedParty(None, "77")
        assert rest.parse_represented_party([b"COM/77"]) == rest.RepresentedParty("COM", "77")
        for value in (b"a/b/c", b"", b"a/", b"\xff"):
            with pytest.raises(Malformed, match="Invalid RepresentedParty Id"):
                rest.parse_represented_party([value])


class TestKeptHeaders:
    """What crosses and what does not."""

    def test_connection_headers_and_the_nodes_own_are_dropped(self):
        """Whatever their case; everything else passes in order and in its own spelling."""
        headers = [
            (b"Host", b"h"),
            (b"ACCEPT", b"*/*"),
            (b"User-Agent", b"x"),
            (b"X-Road-Request-Id", b"1"),
            (b"X-ROAD-REQUEST-HASH", b"2"),
            (b"Content-Type", b"a/b"),
            (b"Expect", b"100-continue"),
            (b"Content-Length", b"3"),
            (b"TE", b"trailers"),
            (b"X-Own", b""),
            (b"X-Own", b"2"),
            (b"x-road-userid", b"u"),
        ]
        expected = [
            (b"ACCEPT", b"*/*"),
            (b"Content-Type", b"a/b"),
            (b"X-Own", b""),
            (b"X-Own", b"2"),
            (b"x-road-userid", b"u"),
        ]
        assert rest.kept_headers(headers) == expected

    def test_a_response_keeps_request_id_and_hash(self):
        """Only requests drop those two."""
        headers = [(b"X-Road-Request-Id", b"1"), (b"Server", b"x"), (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")]
        assert rest.kept_headers(headers, response=True) == [headers[0], *headers[2:]]

    def test_headers_named_by_connection_are_dropped(self):
        """They belong to one connection."""
        headers = [(b"Connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"Accept", b"*/*")]
        assert rest.kept_headers(headers) == [(b"Accept", b"*/*")]

    @pytest.mark.parametrize("named", [b"X-Road-Client", b"keep-alive, x-road-id", b"Content-Type", b"authorization"])
    def test_connection_cannot_strip_what_must_cross(self, named):
        """Otherwise a caller could be recorded as one and forwarded as another."""
        with pytest.raises(Malformed):
            rest.kept_headers([(b"Connection", named), (b"Accept", b"*/*")])

    def test_of_several_clients_the_one_that_counts_crosses(self):
        """The provider's system must not see another caller than the one identified."""
        headers = [(b"X-Road-Client", b"KZ/GOV/1/a"), (b"Accept", b"*/*"), (b"x-road-client", b"KZ/GOV/1/b")]
        assert rest.kept_headers(headers) == headers[1:]

    @pytest.mark.parametrize(
        "name", [b"Content-Type", b"X-Road-Id", b"Authorization", b"host", b"X-Road-Security-Server"]
    )
    def test_a_doubled_single_header_is_refused(self, name):
        """Two readers would see two messages."""
        with pytest.raises(Malformed, match="more than once"):
            rest.kept_headers([(name, b"a"), (name.upper(), b"a")])

    @pytest.mark.parametrize(
        "header",
        [
            (b"", b"x"),
            (b"a b", b"x"),
            (b"a:", b"x"),
            (b"a\n", b"x"),
            (b"\xc3\xa9", b"x"),
            (b"a", b"x\ry"),
            (b"a", b"x\ny"),
            (b"a", b"\r\n y"),
            (b"a", b"\x00"),
            (b"a", b"\x7f"),
            (b"a", b"x\n"),
        ],
    )
    def test_bad_characters_are_refused(self, header):
        """CR, LF, NUL and folding in values; anything but a token as a name."""
        with pytest.raises(Malformed):
            rest.kept_headers([(b"Accept", b"*/*"), header])

    def test_too_many_and_too_large_are_over_a_limit(self):
        """Limits are arguments; errors of a response are the service's."""
        with pytest.raises(Limited):
            rest.kept_headers([(b"a", b"")] * 3, max_count=2)
        with pytest.raises(Limited) as caught:
            rest.kept_headers([(b"a", b"x" * 100)], max_bytes=100, response=True)
        assert caught.value.at == "service"

    def test_no_headers_are_no_headers(self):
        """The empty list passes."""
        assert rest.kept_headers([]) == []


class TestLinesAndHash:
    """The bytes X-Road hashes."""

    HEADERS = ((b"Accept", b"*/*"), (b"x-road-request-id", b"r"), (b"x-road-id", b"KZ-1"))

    def test_request_lines_are_xroads(self):
        """Verb, target and headers, CRLF after each, no space after the colon."""
        lines = rest.request_lines("GET", b"/r1/a?b", self.HEADERS)
        assert lines == b"GET\r\n/r1/a?b\r\nAccept:*/*\r\nx-road-request-id:r\r\nx-road-id:KZ-1\r\n"

    def test_the_hash_without_and_with_a_body(self):
        """SHA-512 of the lines; with a body, of both digests."""
        head = sha512(b"x").digest()
        body = sha512(b"body").digest()
        assert rest.request_hash(b"x") == b64encode(head)
        assert rest.request_hash(b"x", body) == b64encode(sha512(head + body).digest())

    def test_header_lines_come_back(self):
        """Values may be empty, hold colons, tabs and bytes above ASCII."""
        headers = [(b"A", b""), (b"b", b"x:y \t z"), (b"A", b"\xff\x80")]
        assert rest.parse_header_lines(rest.header_lines(headers)) == headers
        assert rest.parse_header_lines(b"") == []

    @pytest.mark.parametrize(
        "data",
        [
            b"a",
            b"a:b",
            b"a:b\n",
            b"a:b\r\n\r\n",
            b":b\r\n",
            b"a b:c\r\n",
            b"a:b\r\n c\r\n",
            b"a:\x00\r\n",
            b"a:b\rc\r\n",
            b"\r\n",
        ],
    )
    def test_malformed_header_lines_are_refused(self, data):
        """Nothing but what `header_lines` writes."""
        with pytest.raises(Malformed):
            rest.parse_header_lines(data)


class TestResponseHeaders:
    """What the provider node adds."""

    def answer(self, headers):
        return rest.response_headers(
            headers, message_id=b"KZ-1", client=b"c", service=b"s", request_id=b"r", request_hash=b"h", date=b"now"
        )

    def test_the_nodes_headers_replace_the_services(self):
        """A service cannot write the node's headers, X-Road-Error included."""
        out = self.answer(
            [(b"X-Road-Id", b"forged"), (b"X-Road-Error", b"x"), (b"Content-Type", b"a/b"), (b"Server", b"x")]
        )
        assert out == [
            (b"Content-Type", b"a/b"),
            (b"Date", b"now"),
            (b"x-road-id", b"KZ-1"),
            (b"x-road-client", b"c"),
            (b"x-road-service", b"s"),
            (b"x-road-request-id", b"r"),
            (b"x-road-request-hash", b"h"),
        ]

    def test_exactly_one_date(self):
        """The service's last, else the node's."""
        out = self.answer([(b"date", b"one"), (b"Date", b"two")])
        assert [value for name, value in out if name.lower() == b"date"] == [b"two"]


def test_the_example_on_the_format_page():
    """docs/formats/rest-edge.md shows a message and its hashes as they are made."""
    page = (Path(__file__).parents[3] / "docs/formats/rest-edge.md").read_text()
    request, message, hashes = (block.strip().split("\n") for block in page.split("```")[1:6:2])
    method, target, _ = request[0].encode().split(b" ")
    headers = [tuple(line.encode().split(b": ", 1)) for line in request[1:]]
    made = [tuple(line.encode().split(b":", 1)) for line in message[-2:]]
    lines = rest.request_lines(method.decode(), target, rest.kept_headers(headers) + made)
    assert lines == "".join(f"{line}\r\n" for line in message).encode()
    digest = sha512(b'{"a":1}').digest()
    assert [rest.request_hash(lines).decode(), rest.request_hash(lines, digest).decode()] == hashes
