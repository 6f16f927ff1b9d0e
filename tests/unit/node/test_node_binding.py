"""What ties a message to its record and a record to its exchange, check by check."""

from __future__ import annotations

import pytest

from adversary import changed
from node_pair import CLOCK, CONSUMER, PROVIDER, SERVICE, NodePair
from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, commit
from qaztech.core.errors import Untrusted
from qaztech.core.record import STREAMED, Record, format_record, hash_text, parse_record
from qaztech.core.rights import Endpoint
from qaztech.node import binding, rest
from qaztech.node.frames import Request, Response
from qaztech.node.place import Allowed, Limits
from qaztech.registry.forms import Names

SECRET = bytes(range(32))
OTHER_LOG = "kz.qaztech.example/log/00000000000000000000"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two members that know each other; their nodes do not run."""
    pair = NodePair(tmp_path_factory.mktemp("pair"), Limits())
    for side in pair.sides:
        side.describe(5500)
    pair.provider.desk.add_service(SERVICE, Names(kk="x", ru="x", en="x"), type_="REST", disabled=None)
    pair.grant(Endpoint.parse("* /**"))
    pair.publish()
    return pair


@pytest.fixture
def call(pair):
    """A call as an edge makes it."""
    return pair.call("POST", "/a%20b", b"body")


@pytest.fixture
def record(pair, call):
    """Its record."""
    allowed = Allowed(pair.configuration, "* /**")
    return binding.request_record(
        call,
        allowed,
        own=pair.consumer.origin,
        peer=pair.provider.origin,
        secret=SECRET,
        now=CLOCK.now(),
        lifetime=30_000,
    )


def with_fields(record: Record, **fields) -> Record:
    """The same record with other fields."""
    named = {("from_" if name == "from" else name): value for name, value in record.fields.items()}
    return format_record(record.kind, **(named | fields))


def opening(record, **fields):
    """A request frame for a record, with its commitments made anew for what `fields` say is sent."""
    frame = Request(1, 0, record.data, SECRET, b"", "", b"", b"", b"")
    frame = changed(frame, **fields)
    named = {
        "path": hash_text(commit(SECRET, PATH, frame.path.encode())),
        "query": hash_text(commit(SECRET, QUERY, frame.query)),
        "headers": hash_text(commit(SECRET, HEADERS, frame.headers)),
        "size": STREAMED if frame.body is None else len(frame.body),
        "body": STREAMED if frame.body is None else hash_text(commit(SECRET, BODY, frame.body)),
    }
    made = with_fields(record, **named)
    return made, changed(frame, record=made.data)


def sent(call):
    """What an honest node sends beside the record."""
    return {"prefix": call.prefix, "path": call.suffix, "query": call.query, "headers": call.headers, "body": call.body}


class TestParties:
    """Who asks whom: by the configuration, and by nothing that the peer says of itself."""

    def check(self, pair, record, *, peer=None, own=None, now=None):
        return binding.check_parties(
            record.data, peer=peer or pair.consumer.origin, own=own or pair.provider.origin,
            configuration=pair.configuration, now=now or CLOCK.now(),
        )  # fmt: skip

    def test_a_record_that_is_right(self, pair, record):
        """Gives its parties."""
        assert self.check(pair, record)[1:] == (CONSUMER, SERVICE)

    @pytest.mark.parametrize(
        "fields",
        [
            {"from_": OTHER_LOG},
            {"to": OTHER_LOG},
            {"client": str(PROVIDER)},
            {"client": f"{CONSUMER.member}/other"},
            {"service": f"{CONSUMER}/x"},
            {"service": "KZ/GOV/1/x/y"},
            {"message": "01a2074c-0000-7eb0-9a85-51eb14737222"},
            {"message": "ffffffff-ffff-7eb0-9a85-51eb14737222"},
            {"snapshot": "1 " + "0" * 64},
            {"snapshot": "999999999 " + "0" * 64},
        ],
        ids=repr,
    )
    def test_one_that_is_wrong(self, pair, record, fields):
        """One field is enough."""
        with pytest.raises(Untrusted):
            self.check(pair, with_fields(record, **fields))

    def test_one_from_or_for_somebody_else(self, pair, record):
        """The link says who the peer is; the process knows its own log."""
        for wrong in ({"peer": OTHER_LOG}, {"own": OTHER_LOG}, {"peer": pair.provider.origin}):
            with pytest.raises(Untrusted):
                self.check(pair, record, **wrong)

    def test_what_is_no_request(self, pair, record):
        """Another kind, or no record at all."""
        answer = binding.answer_record("refused", record, f"{hash_text(bytes(32))} 0", snapshot="1 " + "0" * 64,
                                       now=1, code="a.b")  # fmt: skip
        for data in (b"", b"x", record.data[:-1], record.data + b"\n", answer.data, b"\xff" * 100):
            with pytest.raises(Untrusted):
                self.check(pair, Record("request", {}, data))


class TestOpened:
    """Everything sent opens its commitment, and is one request that says what the record says."""

    def test_a_request_that_is_right(self, record, call):
        """Gives its headers, whole and streamed."""
        for body in (call.body, None):
            made, frame = opening(record, **(sent(call) | {"body": body}))
            assert rest.header_lines(binding.check_opened(made, frame)) == call.headers

    @pytest.mark.parametrize("fields", [
        {"secret": bytes(32)}, {"path": "/b"}, {"query": b"?x"}, {"headers": b""}, {"body": b"x"}, {"body": None},
    ], ids=lambda f: next(iter(f)))  # fmt: skip
    def test_what_does_not_open(self, record, call, fields):
        """Each of the four, and the secret."""
        made, frame = opening(record, **sent(call))
        with pytest.raises(Untrusted):
            binding.check_opened(made, changed(frame, **fields))

    @pytest.mark.parametrize(
        "fields",
        [
            {"path": "/a b"}, {"path": "/a\r\nb"}, {"path": "a"}, {"path": "/a?b"}, {"path": "/%z"}, {"path": "/é"},
            {"path": "/" + "a" * binding.MAX_TARGET}, {"query": b"a"}, {"query": b"?a b"}, {"query": b"?\xff"},
            {"query": b"?%z"}, {"prefix": b""}, {"prefix": b"/r1/KZ/GOV/1/x/y"}, {"prefix": b"/r2/a/b/c/d/e"},
        ],
        ids=repr,
    )  # fmt: skip
    def test_a_target_that_is_none_or_another(self, record, call, fields):
        """It goes into a request line, and into X-Road's hash."""
        made, frame = opening(record, **(sent(call) | fields))
        with pytest.raises(Untrusted):
            binding.check_opened(made, frame)

    @pytest.mark.parametrize(
        "lines",
        [
            b"Host:x\r\n", b"Content-Length:1\r\n", b"Transfer-Encoding:chunked\r\n", b"Connection:x\r\n",
            b"Content-Type:a\r\nContent-Type:b\r\n", b"X-Road-Client:KZ/GOV/1/x\r\n", b"x-road-id:2\r\n",
            b"x-road-request-id:x\r\n", b"a b:c\r\n", b"a:\nb\r\n", b":a\r\n", b"a", b"\r\n", b"A:b\r\n" * 300,
            b"A:" + b"b" * binding.MAX_HEADER_BYTES + b"\r\n",
        ],
        ids=lambda lines: repr(lines[:40]),
    )  # fmt: skip
    def test_headers_that_no_edge_lets_in(self, record, call, lines):
        """Added before or behind those that are right."""
        for headers in (lines + call.headers, call.headers + lines):
            made, frame = opening(record, **(sent(call) | {"headers": headers}))
            with pytest.raises(Untrusted):
                binding.check_opened(made, frame)

    @pytest.mark.parametrize("name", [b"X-Road-Client", b"x-road-request-id", b"x-road-id"])
    def test_headers_that_are_missing(self, record, call, name):
        """Each of the three must be there."""
        kept = [header for header in rest.parse_header_lines(call.headers) if header[0] != name]
        made, frame = opening(record, **(sent(call) | {"headers": rest.header_lines(kept)}))
        with pytest.raises(Untrusted):
            binding.check_opened(made, frame)


class TestAnswers:
    """An answer is to this request, and can be given to its caller."""

    BOUND = f"{hash_text(bytes(32))} 7"

    def answer(self, record, *, lines=None, body=b"ok", **fields):
        made = [
            (b"Date", b"x"), (b"x-road-id", b"id-1"), (b"x-road-client", record["client"].encode()),
            (b"x-road-service", record["service"].encode()), (b"x-road-request-id", record["message"].encode()),
            (b"x-road-request-hash", b"x"),
        ]  # fmt: skip
        headers = rest.header_lines(made) if lines is None else lines(rest.header_lines(made))
        named = {
            "status": 200, "size": len(body), "headers": hash_text(commit(SECRET, HEADERS, headers)),
            "body": hash_text(commit(SECRET, BODY, body)),
        }  # fmt: skip
        answer = binding.answer_record(
            "response", record, self.BOUND, snapshot=record["snapshot"], now=CLOCK.now(), **named
        )
        answer = with_fields(answer, **fields)
        return answer, Response(1, 0, 0, answer.data, SECRET, headers, body)

    def test_one_that_is_right(self, record):
        """Passes both checks."""
        answer, frame = self.answer(record)
        assert binding.check_answer(answer.data, "response", record, self.BOUND) == parse_record(answer.data)
        binding.check_answer_opened(answer, frame)

    @pytest.mark.parametrize("fields", [
        {"message": "01a2074c-0000-7eb0-9a85-51eb14737222"}, {"from_": OTHER_LOG}, {"to": OTHER_LOG},
        {"client": str(PROVIDER)}, {"service": f"{PROVIDER}/x"}, {"request": f"{hash_text(bytes(32))} 8"},
        {"request": f"{hash_text(SECRET)} 7"},
    ], ids=repr)  # fmt: skip
    def test_one_that_is_not_bound(self, record, fields):
        """One field is enough."""
        answer, _ = self.answer(record, **fields)
        with pytest.raises(Untrusted):
            binding.check_answer(answer.data, "response", record, self.BOUND)

    def test_one_of_another_kind(self, record):
        """A refusal is no response, a request no answer."""
        for data in (record.data, b"", b"x"):
            with pytest.raises(Untrusted):
                binding.check_answer(data, "response", record, self.BOUND)

    @pytest.mark.parametrize("status", [100, 101, 199])
    def test_a_status_that_is_no_answer(self, record, status):
        """Nothing below 200 is one."""
        with pytest.raises(Untrusted):
            binding.check_answer_opened(*self.answer(record, status=status))

    @pytest.mark.parametrize(
        "more",
        [
            b"Content-Length:2\r\n", b"Transfer-Encoding:chunked\r\n", b"Connection:close\r\n", b"Keep-Alive:x\r\n",
            b"x-road-id:2\r\n", b"X-Road-Client:x\r\n", b"date:y\r\n", b"x-road-error:x\r\n", b"no colon\r\n", b"\r\n",
            b"a:b\r\n\r\nHTTP/1.1 200 OK\r\n",
        ],
        ids=repr,
    )  # fmt: skip
    def test_headers_no_caller_can_be_given(self, record, more):
        """Added before or behind those that are right."""
        for lines in (lambda right: more + right, lambda right: right + more):
            with pytest.raises(Untrusted):
                binding.check_answer_opened(*self.answer(record, lines=lines))

    @pytest.mark.parametrize("fields", [{"secret": bytes(32)}, {"headers": b""}, {"body": b"no"}, {"body": None}],
                             ids=lambda f: next(iter(f)))  # fmt: skip
    def test_what_does_not_open(self, record, fields):
        """Headers, body, and the secret."""
        answer, frame = self.answer(record)
        with pytest.raises(Untrusted):
            binding.check_answer_opened(answer, changed(frame, **fields))
