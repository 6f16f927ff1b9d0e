"""Whatever bytes come: the REST edge's rules give a value or one of the project's own errors, and round trips hold."""

import asyncio
import contextlib
import json

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qaztech.core.errors import Error, Unavailable
from qaztech.core.ids import MemberId, ServiceId, SubsystemId, encode_part
from qaztech.node import metadata, rest
from qaztech.node.faults import fault_of
from qaztech.node.http_server import HttpServer, ServerLimits, _Connection

PART = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="%:;/\\\u200b\ufeff\u2028\u2029"),
    min_size=1,
    max_size=20,
).filter(lambda part: part not in {".", ".."})
SERVICE = ServiceId(SubsystemId(MemberId("KZ", "GOV", "1"), "s"), "c")
TOKEN = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=10).map(str.encode)
VALUE = st.binary(max_size=20).map(lambda v: bytes(c for c in v if c == 9 or (c >= 32 and c != 127)))
TRICKY = st.sampled_from(
    [
        b"/r1/",
        b"KZ",
        b"/",
        b"%2F",
        b"%",
        b"%zz",
        b"?",
        b"#",
        b"..",
        b"\r\n",
        b"\x00",
        b"\xff",
        b"a",
        b"//",
        b"%00",
        b"%C3%B6",
        b" ",
        b"http://",
        b"*",
        b"\xc3\xb6",
        b"&",
        b"=",
        b"serviceCode",
        b"x" * 300,
    ]
)


@given(
    st.lists(PART, min_size=5, max_size=5),
    st.sampled_from(["", "/", "/a/b%20c", "/;x=1"]),
    st.sampled_from([b"", b"?", b"?a=b"]),
)
def test_a_target_made_from_identifiers_is_read_back(parts, suffix, query):
    """Any identifiers, encoded as ours are; `?` stands for itself in an identifier, but not in a URL."""
    target = ("/r1/" + "/".join(map(encode_part, parts)).replace("?", "%3F") + suffix).encode() + query
    call = rest.parse_target(target, limit=1 << 20)
    assert call == rest.ServiceCall(ServiceId(SubsystemId(MemberId(*parts[:3]), parts[3]), parts[4]), suffix, query)
    assert rest.parse_client([str(call.service.subsystem).encode()]) == call.service.subsystem
    assert rest.parse_client([str(call.service.subsystem.member).encode()]) == call.service.subsystem.member


@given(st.one_of(st.binary(max_size=80), st.lists(TRICKY, max_size=12).map(b"".join)))
def test_any_bytes_as_target_identifier_or_query(data):
    """A value or an Error, which can always be told to a client."""
    for parse in (
        rest.parse_target,
        lambda d: rest.parse_target(b"/r1/" + d),
        lambda d: rest.parse_client([d]),
        lambda d: rest.parse_security_server([d]),
        lambda d: rest.parse_represented_party([d]),
        rest.parse_header_lines,
        lambda d: metadata.asked_service(d, SERVICE.subsystem),
        metadata.asked_instance,
    ):
        try:
            parse(data)
        except Error as error:
            _tell(error, data)


def _tell(error, accept):
    for dialect in ("7.8", "7.7"):
        status, headers, body = fault_of(error, dialect=dialect, service=SERVICE).response([accept])
        assert status in {400, 500}
        rest.kept_headers(headers, response=True)
        if dict(headers)[b"Content-Type"].startswith(b"application/json"):
            json.loads(body)


@given(st.lists(st.tuples(TOKEN, VALUE), max_size=12))
def test_header_lines_round_trip(headers):
    """Every list of valid headers comes back as it was."""
    assert rest.parse_header_lines(rest.header_lines(headers)) == headers


@given(st.lists(st.tuples(st.one_of(TOKEN, TRICKY), st.one_of(VALUE, TRICKY)), max_size=8), st.booleans())
def test_kept_headers_can_be_sent(headers, response):
    """What is kept is a sublist, survives the link, and a second time nothing more is dropped."""
    try:
        kept = rest.kept_headers(headers, response=response)
    except Error:
        return
    rest_of = iter(headers)
    assert all(header in rest_of for header in kept)
    assert rest.parse_header_lines(rest.header_lines(kept)) == kept
    assert rest.kept_headers(kept, response=response) == kept


YAMLISH = st.sampled_from(
    [
        "servers",
        "url",
        ": ",
        "- ",
        "\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "<<: ",
        "http://h/v1",
        '"',
        "'",
        "|\n",
        ">\n",
        "!!str ",
        "? ",
        "# ",
        "variables",
        "ө",
        "\t",
        "---\n",
        "...\n",
        "0",
        "%YAML 1.2\n",
        "\x07",
    ]
)


@given(
    st.one_of(st.lists(YAMLISH, max_size=30).map("".join), st.text(max_size=60)),
    st.sampled_from([b"application/json", None]),
)
def test_any_text_as_description(text, content_type):
    """A description or an Error."""
    with contextlib.suppress(Unavailable):
        metadata.anonymise(SERVICE, text.encode(errors="replace"), content_type=content_type)


@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.text("aөщ1: {}/-", max_size=8)
        | st.sampled_from(["https://host.internal/v1", "//host.internal"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "servers", "url", "ө"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_json_and_yaml_are_anonymised_alike(tree):
    """The two ways give the same document."""
    document = json.dumps({"x": tree}, ensure_ascii=False).encode()
    _, as_json = metadata.anonymise(SERVICE, document, content_type=b"application/json")
    _, as_yaml = metadata.anonymise(SERVICE, document, content_type=b"application/yaml")
    assert json.loads(as_yaml) == json.loads(as_json)


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written, self.ended = b"", False

    def write(self, data):
        self.written += data

    def writelines(self, parts):
        self.written += b"".join(parts)

    def is_closing(self):
        return self.ended

    def can_write_eof(self):
        return False

    def close(self):
        self.ended = True

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    abort = close


def _serve(pieces):
    """What a connection makes of these pieces: the requests' essentials, and everything written."""
    seen = []

    def on_request(request):
        body = bytearray(request.body or b"")

        def finish():
            seen.append((request.method, request.target, tuple(request.headers), bytes(body)))
            request.respond(200, [], b"%d" % len(body))

        if request.body is None:
            request.on_data = body.extend
            request.on_end = finish
        else:
            finish()

    connection = _Connection(HttpServer(on_request=on_request, limits=ServerLimits(buffered_body=8, max_pipelined=100)))
    transport = Transport()
    connection.connection_made(transport)
    for piece in pieces:
        if transport.ended:
            break
        connection.data_received(piece)
    return seen, transport


HTTPISH = st.sampled_from(
    [
        b"GET /a HTTP/1.1\r\n",
        b"POST /b HTTP/1.1\r\n",
        b"Host: h\r\n",
        b"\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 20\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"X: y\r\n",
        b" z\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b"Connection: close\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"HTTP/1.0\r\n",
        b"A" * 20,
    ]
)


@given(st.lists(HTTPISH, max_size=25).map(b"".join), st.lists(st.integers(1, 40), max_size=30))
def test_pieces_do_not_change_what_is_understood(data, sizes):
    """However bytes are cut, the same requests come out; nothing raises, and what is not understood ends it."""
    pieces, rest_of = [], data
    for size in sizes:
        pieces.append(rest_of[:size])
        rest_of = rest_of[size:]
    pieces = [piece for piece in [*pieces, rest_of] if piece]
    whole, transport = _serve([data] if data else [])
    assert _serve(pieces)[0] == whole
    assert transport.written.count(b"HTTP/1.1 200 OK\r\n") == len(whole)


@given(
    st.lists(
        st.tuples(st.sampled_from(["GET", "POST", "PUT"]), st.binary(max_size=30), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_well_formed_requests_are_understood(requests):
    """Lengths or chunks, pipelined, cut anywhere: as httptools itself reads a request we would send."""
    data = b""
    for method, body, chunked in requests:
        data += b"%b /x HTTP/1.1\r\nHost: h\r\n" % method.encode()
        if chunked:
            data += b"Transfer-Encoding: chunked\r\n\r\n"
            data += b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
            data += b"0\r\n\r\n"
        else:
            data += b"Content-Length: %d\r\n\r\n" % len(body) + body
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        seen, transport = _serve(pieces)
        assert [(method, body) for method, _, __, body in seen] == [(method, body) for method, body, _ in requests]
        assert not transport.ended
    httptools.HttpRequestParser(object()).feed_data(data)


@pytest.mark.parametrize("target", [b"/r1/" + b"a/" * 5000, b"/r1/" + b"%41" * 2000, b"/r1/a/b/c/d/e" + b"/%2e" * 2000])
def test_long_targets_cost_little(target):
    """No pattern here backtracks."""
    for _ in range(100):
        with contextlib.suppress(Error):
            rest.parse_target(target, limit=1 << 20)
