"""Bad input at the consumer edge: refused in words X-Road clients know, recorded nowhere, never seen by a system."""

from __future__ import annotations

import datetime as dt
import ssl
import time
from contextlib import suppress
from hashlib import sha256
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import raw_caller
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.registry.forms import Names
from qaztech.trust.certificates import spki_hash

CONSUMER = "server.clientproxy."
PROVIDER = "server.serverproxy."
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def edge(country):
    """Where the ministry's system calls."""
    return country.node("ministry")["edge"]


@pytest.fixture(scope="module")
def system(country):
    """The ministry's system."""
    return country.node("ministry")["system"]


@pytest.fixture
def untouched(country, echo):
    """Whatever the test sends: no record of it, on either side, and nothing reaches the system."""
    calls = len(echo.calls)
    with country.unrecorded("ministry", "registers"):
        yield
    assert len(echo.calls) == calls


def get(country, edge, system, target, *headers, method="GET", body=b""):
    """One call with X-Road-Client."""
    return raw_caller.send(edge, method, target, [("X-Road-Client", system), *headers], body)


@pytest.mark.usefixtures("untouched")
class TestTargets:
    """A target that is not one is refused before anything else is looked at."""

    @pytest.mark.parametrize(
        "target",
        [
            "/r1/", "/r1", "/r1/KZ", "/r1/KZ/QUASI/991340000027/codes", "/r1//QUASI/991340000027/codes/echo",
            "/r1/KZ/QUASI//codes/echo", "/r1/KZ/QUASI/991340000027/codes/%zz", "/r1/KZ/QUASI/991340000027/codes/%4",
            "/r1/KZ/QUASI/991340000027/codes/%00", "/r1/KZ/QUASI/991340000027/codes/a%2Fb/x",
            "/r1/KZ/QUASI/991340000027/codes/%ff", "/r1/KZ/QUASI/991340000027/codes/../echo",
            "/r1/KZ/QUASI/991340000027/%2e%2e/echo", "/r1/KZ/QUASI/991340000027/codes/echo/%", "/r2/KZ/Q/1/c/e",
            "/r1/KZ/QUASI/991340000027/codes/echo/x#y", '/r1/KZ/QUASI/991340000027/codes/echo/"',
            "/r1/KZ/QUASI/991340000027/codes/echo/{x}", "/r1/KZ/QUASI/991340000027/codes/echo/a\\b",
            "/r1/KZ/QUASI/991340000027/codes/echo?a=%zz", "/r1/KZ/QUASI/991340000027/codes/" + "x" * 256, "/", "/none",
            "//r1/KZ/QUASI/991340000027/codes/echo", "/R1/KZ/QUASI/991340000027/codes/echo", "*",
            "http://127.0.0.1/r1/KZ/QUASI/991340000027/codes/echo",
        ],
    )  # fmt: skip
    def test_it_is_told_that_it_is_none(self, country, edge, system, target):
        """In a form X-Road clients read: an error header, and the same type in the body."""
        answer = get(country, edge, system, target)
        assert answer.status in {400, 500}
        assert answer.error == answer.json["type"]
        assert answer.error.startswith((CONSUMER, "client."))

    @pytest.mark.parametrize("target", ["/a b", "/\x00", "/\x7f", "/\xe4"])
    def test_one_no_request_line_can_have_is_refused_at_once(self, country, edge, system, target):
        """By the parser, before there is a request at all."""
        head = raw_caller.head_of("GET", f"/r1/{country.echo}{target}", [("X-Road-Client", system)])
        answer = raw_caller.converse(edge, head)
        assert answer is None or answer.status in {400, 500}

    def test_one_that_is_too_long_is_refused(self, country, edge, system):
        """The limit is a setting."""
        assert get(country, edge, system, f"/r1/{country.echo}/" + "x" * 9000).status == 414

    @pytest.mark.parametrize("path", ["/../x", "/a/%2e%2e/x", "/a/..%2fx", "/.", "/a/.%2F"])
    def test_a_path_that_climbs_is_covered_by_no_right(self, country, edge, system, path):
        """In whatever spelling."""
        answer = get(country, edge, system, f"/r1/{country.echo}{path}")
        assert answer.error == f"{PROVIDER}access_denied"


@pytest.mark.usefixtures("untouched")
class TestHeaders:
    """Who calls must be said once and well, and no header may be read in two ways."""

    def test_no_client_is_refused(self, country, edge):
        """As X-Road does it: 500, in these words."""
        answer = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x")
        assert (answer.status, answer.error) == (500, f"{CONSUMER}invalid_client_identifier")
        assert answer.json["message"] == "The client identifier is missing"

    @pytest.mark.parametrize("client", [
        "", " ", "KZ", "KZ/GOV", "KZ/GOV/1/x/y", "KZ/GOV/%zz/x", "KZ//1/x", "KZ/GOV/%ff/x", "KZ/GOV/../x", "\xe4/b/c/d",
    ])  # fmt: skip
    def test_a_client_that_is_no_identifier_is_refused(self, country, edge, client):
        """The identifier must have its form."""
        answer = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [("X-Road-Client", client)])
        assert answer.error.startswith(CONSUMER)
        assert answer.status == 500

    def test_a_member_without_a_subsystem_is_refused(self, country, edge, system):
        """Rights are given to subsystems."""
        member = str(MemberId.parse("/".join(system.split("/")[:3])))
        answer = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [("X-Road-Client", member)])
        assert answer.error == f"{CONSUMER}invalid_client_identifier"

    def test_the_last_of_several_clients_counts(self, country, edge, system):
        """As X-Road does it, and the ones before cross nowhere."""
        headers = [("X-Road-Client", system), ("X-Road-Client", "KZ/GOV/1/x")]
        assert raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", headers).error == f"{CONSUMER}unknown_member"

    @pytest.mark.parametrize("name", [
        "Content-Type", "Authorization", "X-Road-Id", "X-Road-UserId", "X-Road-Issue", "X-Road-Security-Server",
        "X-Road-Represented-Party",
    ])  # fmt: skip
    def test_a_header_given_twice_is_refused(self, country, edge, system, name):
        """Two readers could each take another one."""
        answer = get(country, edge, system, f"/r1/{country.echo}/x", (name, "a"), (name.lower(), "b"))
        assert (answer.status, answer.error) == (400, "client.bad_request")

    def test_connection_may_not_name_what_must_cross(self, country, edge, system):
        """Else a caller's proxy could have the id dropped."""
        answer = get(country, edge, system, f"/r1/{country.echo}/x", ("Connection", "x-road-id"), ("X-Road-Id", "a"))
        assert answer.error == "client.bad_request"

    def test_too_many_headers_are_refused(self, country, edge, system):
        """The limit is a setting."""
        more = [(f"X-{i}", "a") for i in range(120)]
        assert get(country, edge, system, f"/r1/{country.echo}/x", *more).status == 431

    def test_too_long_headers_are_refused(self, country, edge, system):
        """The same for their size."""
        assert get(country, edge, system, f"/r1/{country.echo}/x", ("X", "a" * 40_000)).status == 431


@pytest.mark.usefixtures("untouched")
class TestSmuggling:
    """What two readers could frame differently is refused, and the connection ends: nothing behind it is read."""

    def shapes(self, service, system):
        line = f"POST /r1/{service}/x HTTP/1.1\r\n".encode()
        who = f"X-Road-Client: {system}\r\n".encode()
        host = b"Host: localhost\r\n"
        more = b"GET /r1/%b/smuggled HTTP/1.1\r\n%b%b\r\n" % (service.encode(), host, who)
        chunked = b"Transfer-Encoding: chunked\r\n"
        return {
            "length-and-chunked": line + host + who + b"Content-Length: 4\r\n" + chunked + b"\r\n0\r\n\r\n" + more,
            "chunked-and-length": line + host + who + chunked + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + more,
            "two-lengths": line + host + who + b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n" + more,
            "list-of-lengths": line + host + who + b"Content-Length: 0, 0\r\n\r\n" + more,
            "signed-length": line + host + who + b"Content-Length: +0\r\n\r\n" + more,
            "hex-length": line + host + who + b"Content-Length: 0x0\r\n\r\n" + more,
            "huge-length": line + host + who + b"Content-Length: 99999999999999999999\r\n\r\n" + more,
            "other-coding": line + host + who + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + more,
            "two-codings": line + host + who + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + more,
            "coding-twice": line + host + who + chunked + chunked + b"\r\n0\r\n\r\n" + more,
            "space-before-colon": line + host + who + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + more,
            "folded": line + host + who + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + more,
            "bare-lf": (line + host + who + b"Content-Length: 0\r\n\r\n").replace(b"\r\n", b"\n") + more,
            "bad-chunk": line + host + who + chunked + b"\r\n-1\r\n\r\n0\r\n\r\n" + more,
            "hex-chunk": line + host + who + chunked + b"\r\n0x0\r\n\r\n" + more,
            "huge-chunk": line + host + who + chunked + b"\r\nfffffffffffffffff\r\n\r\n" + more,
            "two-hosts": line + host + b"Host: elsewhere\r\n" + who + b"Content-Length: 0\r\n\r\n" + more,
            "no-host": line + who + b"Content-Length: 0\r\n\r\n" + more,
            "null-in-header": line + host + who + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n" + more,
            "return-in-header": line + host + who + b"X: a\rY: b\r\nContent-Length: 0\r\n\r\n" + more,
            "no-name": line + host + who + b": a\r\nContent-Length: 0\r\n\r\n" + more,
            "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + more,
            "http-0.9": f"GET /r1/{service}/x\r\n\r\n".encode() + more,
            "version": line.replace(b"1.1", b"1.10") + host + who + b"Content-Length: 0\r\n\r\n" + more,
            "method": line.replace(b"POST", b"POSTER") + host + who + b"\r\n" + more,
            "connect": line.replace(b"POST", b"CONNECT") + host + who + b"\r\n" + more,
            "random": bytes(range(256)) * 8 + b"\r\n\r\n" + more,
        }

    @pytest.mark.parametrize("shape", [
        "length-and-chunked", "chunked-and-length", "two-lengths", "list-of-lengths", "signed-length", "hex-length",
        "huge-length", "other-coding", "two-codings", "coding-twice", "space-before-colon", "folded", "bare-lf",
        "bad-chunk", "hex-chunk", "huge-chunk", "two-hosts", "no-host", "null-in-header",
        "return-in-header", "no-name", "http-2", "http-0.9", "version", "method", "connect", "random",
    ])  # fmt: skip
    def test_it_ends_the_connection(self, country, edge, system, shape):
        """One refusal, and then nothing."""
        with raw_caller.connect(edge) as sock:
            sock.sendall(self.shapes(country.echo, system)[shape])
            answer = raw_caller.read(sock, "POST")
            assert answer is None or 400 <= answer.status < 600
            sock.settimeout(5)
            with suppress(ConnectionError):
                assert b"HTTP/1.1 2" not in sock.recv(65536)


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


class TestWhoMayCallWhat:
    """Unknown members, services and rights are told as X-Road tells them, without asking anybody."""

    @pytest.mark.usefixtures("untouched")
    @pytest.mark.parametrize("service", ["KZ/GOV/991340000099/x/y", "XX/GOV/991340000017/x/y"])
    def test_a_member_that_is_not_there(self, country, edge, system, service):
        """In the words clients match."""
        answer = get(country, edge, system, f"/r1/{service}/x")
        assert (answer.status, answer.error) == (500, f"{CONSUMER}unknown_member")
        assert answer.json["message"].startswith("Could not find addresses for service provider")

    @pytest.mark.usefixtures("untouched")
    @pytest.mark.parametrize("service", ["KZ/QUASI/991340000027/codes/none", "KZ/QUASI/991340000027/none/echo"])
    def test_a_service_that_is_not_there(self, country, edge, system, service):
        """In the words clients match."""
        answer = get(country, edge, system, f"/r1/{service}/x")
        assert (answer.status, answer.error) == (500, f"{PROVIDER}unknown_service")
        assert answer.json["message"].startswith("Unknown service: SERVICE:")

    def test_an_unknown_member_is_told_soon(self, country, edge, system):
        """The node looks for a newcomer for a few seconds, once."""
        started = time.monotonic()
        for _ in range(3):
            get(country, edge, system, "/r1/KZ/GOV/991340000088/x/y")
        assert time.monotonic() - started < 8

    @pytest.mark.usefixtures("untouched")
    @pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "OPTIONS"])
    def test_a_method_no_right_covers(self, country, edge, system, method):
        """The right of the ministry is to GET."""
        answer = get(country, edge, system, f"/r1/{country.service}/countries.json", method=method)
        assert (answer.status, answer.error) == (500, f"{PROVIDER}access_denied")
        assert answer.json["message"].startswith("Request is not allowed: SERVICE:")

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

    def test_a_service_that_is_switched_off(self, country, edge, system, offered):
        """With the provider's own notice."""
        service = offered("off", disabled="closed until Monday")
        answer = get(country, edge, system, f"/r1/{service}/x")
        assert (answer.status, answer.error) == (500, f"{PROVIDER}service_disabled")
        assert "closed until Monday" in answer.json["message"]

    def test_a_service_without_any_right(self, country, edge, system, offered):
        """Nothing is allowed that was not given."""
        assert get(country, edge, system, f"/r1/{offered('bare', granted=False)}/x").error == f"{PROVIDER}access_denied"

    def test_a_right_that_has_ended(self, country, edge, system, offered):
        """A right counts until its time."""
        service = offered("ended", until=1_700_000_000_000)
        assert get(country, edge, system, f"/r1/{service}/x").error == f"{PROVIDER}access_denied"

    def test_a_service_whose_system_nobody_has_named(self, country, edge, system, offered):
        """The member says there is such a service, its node knows no system for it: a recorded refusal."""
        answer = get(country, edge, system, f"/r1/{offered('nowhere')}/x")
        assert answer.error == f"{PROVIDER}unknown_service"
        assert country.records("ministry", answer.message) == ["request", "refused"]
        assert country.records("registers", answer.message) == ["request", "refused"]

    @pytest.mark.parametrize("accept", ["application/xml", "text/xml", "text/*", "application/json, text/xml;q=0.1"])
    def test_errors_in_xml_for_who_asks(self, country, edge, system, accept):
        """As X-Road does it: whoever lists XML gets it."""
        answer = get(country, edge, system, "/r1/KZ/GOV/991340000017/none/x", ("Accept", accept))
        assert answer.error == f"{PROVIDER}unknown_service"
        assert b"<error><type>server.serverproxy.unknown_service</type><message>" in answer.body
        assert "xml" in answer["content-type"]


class TestReconciling:
    """`GET /exchanges/ID` is for the subsystem that called."""

    def test_its_own_outcome(self, country, edge, system):
        """What became of a call of its own."""
        message = country.call("/x", service=country.echo).message
        answer = raw_caller.send(edge, "GET", f"/exchanges/{message}", [("X-Road-Client", system)])
        assert (answer.json["outcome"], answer.json["status"]) == ("answered", 200)

    @pytest.mark.parametrize("message", ["none", "", "../status", str(uuid4()), "0" * 36, "%00"])
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


@pytest.fixture(scope="module")
def guarded(country):
    """A subsystem of the ministry that calls by token, with the right to call the echo."""
    desk = country.desk("ministry")
    subsystem = SubsystemId(desk.member, "guarded")
    desk.add_subsystem(subsystem, Names(kk="g", ru="g", en="g"))
    country.submit(desk)
    provider = country.desk("registers")
    provider.grant(ServiceId.parse(country.echo), subsystem, desk.lineage, [Endpoint.parse("* /**")], None)
    toml = country.home / "nodes" / "ministry" / "node.toml"
    digest = sha256(TOKEN.encode()).hexdigest()
    toml.write_text(f'{toml.read_text()}\n[[clients]]\nid = "{subsystem}"\ntoken_hashes = ["{digest}"]\n')
    country.publish(provider, "registers", "ministry")
    return str(subsystem)


@pytest.fixture(scope="module")
def https(country, tmp_path_factory):
    """The registers' edge with TLS, for a subsystem that calls by certificate; afterwards as it was."""
    folder = tmp_path_factory.mktemp("tls")
    names = ("edge", "right", "wrong")
    keys = {name: certificate(folder, name) for name in names}
    node = country.home / "nodes" / "registers"
    before = (node / "node.toml").read_text()
    client = country.node("registers")["system"]
    text = before.replace("loopback = true", f'certificate_hashes = ["{spki_hash(keys["right"]).hex()}"]')
    (folder / "ca.pem").write_bytes(b"".join((folder / f"{n}.pem").read_bytes() for n in ("right", "wrong")))
    text = text.replace(
        "[edge]", f'[edge]\ncertificate = "{folder}/edge.pem"\nkey = "{folder}/edge.key"\nca = "{folder}/ca.pem"'
    )
    (node / "node.toml").write_text(text)
    country.terminate("node-registers")
    country.restart("node-registers")

    def call(name):
        context = ssl.create_default_context(cafile=folder / "edge.pem")
        context.check_hostname = False
        if name:
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        url = country.node("registers")["edge"].replace("http:", "https:")
        return raw_caller.send(url, "GET", f"/r1/{country.echo}/x", [("X-Road-Client", client)], tls=context)

    yield call
    (node / "node.toml").write_text(before)
    country.terminate("node-registers")
    country.restart("node-registers")
    country.until(lambda: country.call("/x", service=country.echo).status == 200)


class TestCredentials:
    """A subsystem calls by a token or a certificate of its own; who has neither is counted, not recorded."""

    def test_the_right_token_lets_in_and_goes_no_further(self, country, edge, guarded):
        """The node takes its token away; the system never sees it."""
        answer = get(country, edge, guarded, f"/r1/{country.echo}/x", ("Authorization", f"Bearer {TOKEN}"))
        assert answer.status == 200
        assert "authorization" not in [name.lower() for name, _ in answer.json["headers"]]

    @pytest.mark.parametrize(
        "headers",
        [
            [],
            [("Authorization", "Bearer wrong")],
            [("Authorization", "Bearer ")],
            [("Authorization", "Basic Y29ycmVjdA==")],
            [("Authorization", TOKEN)],
            [("X-Authorization", f"Bearer {TOKEN}")],
        ],
        ids=["none", "wrong", "empty", "basic", "bare", "elsewhere"],
    )
    def test_anything_else_is_refused(self, country, edge, guarded, untouched, headers):
        """Also from this machine: loopback counts for whom it was allowed."""
        answer = get(country, edge, guarded, f"/r1/{country.echo}/x", *headers)
        assert (answer.status, answer.error) == (500, f"{CONSUMER}ssl_authentication_failed")

    def test_a_token_is_for_its_own_subsystem(self, country, edge, untouched, guarded):
        """It opens no other."""
        member = guarded.rpartition("/")[0]
        answer = get(country, edge, f"{member}/none", f"/r1/{country.echo}/x", ("Authorization", f"Bearer {TOKEN}"))
        assert answer.error == f"{CONSUMER}unknown_member"

    def test_guessing_is_slowed_down_and_hurts_nobody_else(self, country, edge, system, guarded, untouched):
        """After some failures the address is told to wait; who authenticates from there is still served."""
        answers = [
            get(country, edge, guarded, f"/r1/{country.echo}/x", ("Authorization", f"Bearer guess{i}"))
            for i in range(40)
        ]
        assert "limit_exceeded" in answers[-1].error
        assert answers[-1]["retry-after"]
        listed = raw_caller.send(edge, "GET", "/exchanges/none", [("X-Road-Client", system)])
        assert "limit_exceeded" not in listed.error

    def test_the_right_certificate_lets_in(self, https):
        """Far enough to be told that it has no right: who calls was believed."""
        assert https("right").error == f"{PROVIDER}access_denied"

    @pytest.mark.parametrize("name", ["wrong", ""])
    def test_another_certificate_or_none_is_refused(self, https, name):
        """Its key must be one of the subsystem's own."""
        assert https(name).error == f"{CONSUMER}ssl_authentication_failed"


def certificate(folder, name):
    """A self-signed certificate, `NAME.pem` and `NAME.key` in a folder; gives it as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made.public_bytes(serialization.Encoding.DER)
