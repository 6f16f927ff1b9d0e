"""What an unmodified X-Road client meets when all goes well: a call through two nodes, its answer, and its receipt."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha512
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
import yaml

import raw_caller
from qaztech.core.bin import reserved_bin
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.time import SystemClock
from qaztech.node import frames
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names
from qaztech.registry.submitting import manage
from qaztech.registry.verification import verify_receipt

ROOT = Path(__file__).parents[2]
NAMES = Names(kk="Дүкен", ru="Магазин", en="Shop")
DROPPED = (
    ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic"), ("Proxy-Authorization", "Basic eA=="),
    ("TE", "trailers"), ("Trailer", "X-Later"), ("User-Agent", "an-old-client/1"), ("Server", "a-server"),
    ("Connection", "x-hop"), ("X-Hop", "1"), ("X-Road-Request-Id", "01a2074c-0000-7eb0-9a85-51eb14737222"),
    ("X-Road-Request-Hash", "AAAA"),
)  # fmt: skip
KEPT = (
    ("Accept", "text/plain;q=0.5, application/json"), ("accept-language", "kk"), ("Content-Type", "application/json"),
    ("Authorization", "Basic c3lzdGVtOnNlY3JldA=="), ("Cache-Control", "no-cache"), ("X-Custom", "one"),
    ("X-Custom", "two"), ("X-Road-UserId", "EE38001085718"), ("X-Road-Issue", "42"),
    ("X-Road-Represented-Party", "COM/1"),
)  # fmt: skip


class Answering(BaseHTTPRequestHandler):
    """A system with headers of its own: those that cross, those that do not, and those that are the node's to say."""

    protocol_version = "HTTP/1.1"
    headers_sent = (
        ("Content-Type", "text/plain;charset=utf-8"), ("X-Custom", "one"), ("X-Custom", "two"), ("ETag", '"1"'),
        ("Set-Cookie", "a=b"), ("Location", "http://elsewhere.example/there?x=1"),
        ("Date", "Mon, 01 Jan 2035 00:00:00 GMT"),
        ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic"), ("Trailer", "X-Later"),
        ("X-Road-Error", "server.serverproxy.access_denied"), ("X-Road-Id", "forged"), ("X-Road-Client", "forged"),
        ("X-Road-Service", "forged"), ("X-Road-Request-Id", "forged"), ("X-Road-Request-Hash", "forged"),
    )  # fmt: skip

    def do_GET(self) -> None:  # the name is the standard library's
        self.send_response(int(self.path.rpartition("/")[2]))
        for name, value in self.headers_sent:
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def answering(country) -> Iterator[str]:
    """The service with headers of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield country.add_service("registers", "answering", f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def narrow(country, echo) -> str:
    """A service of which the ministry and the university may each read one thing."""
    service = country.add_service("registers", "narrow", echo.url, endpoints=["GET /countries/*"])
    country.grant("registers", service, "university", ["GET /countries.json"])
    return service


@pytest.fixture(scope="module")
def edge(country) -> str:
    return country.node("ministry")["edge"]


@pytest.fixture(scope="module")
def system(country) -> tuple[str, str]:
    """The header that says who calls."""
    return "X-Road-Client", country.node("ministry")["system"]


def verifies(receipt: dict, country, tmp_path: Path, *, body: bytes | None = None) -> bool:
    """Whether a receipt verifies as witnessed, here and by the program that was written from the formats alone."""
    data, anchor = json.dumps(receipt).encode(), country.anchor.read_bytes()
    file = BytesIO(body) if body is not None else None
    verdict = verify_receipt(data, anchor, require="witnessed", body=file)
    (tmp_path / "r.json").write_bytes(data)
    (tmp_path / "body").write_bytes(body or b"")
    command = [sys.executable, ROOT / "docs" / "verify.py", tmp_path / "r.json", "--anchor", country.anchor]
    command += ["--require", "witnessed", *(["--body", tmp_path / "body"] if body is not None else [])]
    independent = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (independent.returncode == 0) == verdict.ok, independent.stdout + independent.stderr
    return verdict.ok


class TestRequests:
    """What a calling system sends is what the provider's system gets."""

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
    def test_each_method_reaches_the_system(self, country, echo, edge, system, method):
        """A body goes with those that have one, and HEAD is answered without."""
        body = b'{"a": 1}' if method in {"POST", "PUT", "PATCH"} else b""
        reply = raw_caller.send(edge, method, f"/r1/{country.echo}/methods/{method}", [system], body)
        assert (reply.status, reply.error) == (200, "")
        (call,) = [call for call in echo.calls if call.target == f"/methods/{method}"]
        assert call.method == method
        if method == "HEAD":
            assert reply.body == b""
        else:
            assert reply.json["size"] == len(body)
        assert country.records("ministry", reply.message) == ["request", "response"]

    @pytest.mark.parametrize("rest", [
        "", "/", "/a%20b/%C3%B6%D2%9B/x;p=1/~tilde/'()*+,!$&=:@", "/%e4%B8%ad/%41", "?x=1", "/a?",
        "/a?q=%D2%9B&x[]=1&y=a/b?c&e=", "/a//b/",
    ])  # fmt: skip
    def test_path_and_query_arrive_byte_for_byte(self, country, edge, system, rest):
        """Nothing is decoded, normalised or encoded again on the way."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}{rest}", [system])
        assert reply.json["target"] == (rest if rest.startswith("/") else f"/{rest}")

    def test_headers_that_cross_arrive_in_order_and_spelling(self, country, edge, system):
        """And none that belongs to one connection, or is the node's own to say."""
        reply = raw_caller.send(edge, "POST", f"/r1/{country.echo}/h", [*DROPPED, system, *KEPT], b"{}")
        came = [tuple(header) for header in reply.json["headers"]]
        assert [header for header in came if header in {system, *KEPT}] == [system, *KEPT]
        names = [name.lower() for name, _ in came]
        dropped = {name.lower() for name, _ in DROPPED} - {"x-road-request-id"}
        assert not dropped & set(names)
        assert [value for name, value in came if name == "x-road-request-id"] == [reply.message]
        assert names.count("host") == names.count("content-length") == names.count("x-road-id") == 1

    def test_an_id_of_the_callers_stays(self, country, edge, system):
        """It goes to the system and comes back."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/id", [system, ("X-Road-Id", "mine-1")])
        assert reply["x-road-id"] == "mine-1"
        assert [v for n, v in reply.json["headers"] if n.lower() == "x-road-id"] == ["mine-1"]

    def test_without_an_id_the_node_makes_one(self, country, edge, system):
        """The instance, a dash, a random UUID; and the system sees the same."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/id", [system])
        instance, _, uuid = reply["x-road-id"].partition("-")
        assert (instance, UUID(uuid).version) == ("KZ", 4)
        assert ["x-road-id", reply["x-road-id"]] in reply.json["headers"]


class TestAnswers:
    """What the provider's system answers is what the calling system gets, and five headers more."""

    def test_the_nodes_headers_are_there_once(self, country, edge, system):
        """Who asked whom, under which ids."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [system])
        assert reply["x-road-client"] == system[1]
        assert reply["x-road-service"] == country.echo
        assert UUID(reply.message).version == 7
        assert len(reply.all("date")) == len(reply.all("x-road-request-hash")) == len(reply.all("x-road-id")) == 1

    @pytest.mark.parametrize("body", [b"", b'{"a":1}'])
    def test_the_request_hash_is_x_roads(self, country, edge, system, body):
        """Over verb, target and kept headers, and over the body where there is one."""
        target, sent = f"/r1/{country.echo}/hash?a=%20", [system, *KEPT]
        reply = raw_caller.send(edge, "POST", target, [("User-Agent", "x"), *sent], body)
        lines = [*sent, ("x-road-request-id", reply.message), ("x-road-id", reply["x-road-id"])]
        message = f"POST\r\n{target}\r\n" + "".join(f"{name}:{value}\r\n" for name, value in lines)
        digest = sha512(message.encode()).digest()
        if body:
            digest = sha512(digest + sha512(body).digest()).digest()
        assert reply["x-road-request-hash"] == b64encode(digest).decode()

    def test_two_equal_calls_have_different_hashes(self, country, edge, system):
        """Each has an id of its own."""
        one, two = (raw_caller.send(edge, "GET", f"/r1/{country.echo}/x", [system]) for _ in range(2))
        assert one["x-road-request-hash"] != two["x-road-request-hash"]

    @pytest.mark.parametrize("status", [204, 400, 403, 404, 409, 500, 503])
    def test_a_status_of_the_system_is_no_error_of_the_backbone(self, country, edge, system, status):
        """It passes as it is, without `X-Road-Error`, and is a recorded answer."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.echo}/status/{status}", [system])
        assert (reply.status, reply.error, reply.body) == (status, "", b"")
        assert country.records("registers", reply.message) == ["request", "response"]

    def test_headers_of_the_system_cross_but_not_those_of_its_connection(self, answering, edge, system):
        """What only a node may say, a system cannot."""
        reply = raw_caller.send(edge, "GET", f"/r1/{answering}/200", [system])
        assert reply.all("x-custom") == ["one", "two"]
        assert (reply["etag"], reply["set-cookie"], reply.body) == ('"1"', "a=b", b"hi")
        assert reply["date"] == "Mon, 01 Jan 2035 00:00:00 GMT"
        assert not any(map(reply.all, ("server", "keep-alive", "proxy-authenticate", "trailer", "x-road-error")))
        assert "forged" not in [value for _, value in reply.headers]

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_pass_and_are_not_followed(self, answering, edge, system, status):
        """Where to go is the calling system's to decide."""
        reply = raw_caller.send(edge, "GET", f"/r1/{answering}/{status}", [system])
        assert (reply.status, reply["location"]) == (status, "http://elsewhere.example/there?x=1")


class TestMetadata:
    """What the nodes say about the country."""

    def test_clients_are_listed_in_json(self, country, edge):
        """All members and their subsystems, to whoever asks; nothing is recorded."""
        with country.unrecorded("ministry"):
            reply = raw_caller.send(edge, "GET", "/listClients", [("Accept", "application/json")])
        assert reply["content-type"] == "application/json;charset=utf-8"
        instance, class_, code, subsystem = country.node("registers")["system"].split("/")
        identifier = {"xroad_instance": instance, "member_class": class_, "member_code": code}
        members = {json.dumps(entry["id"], sort_keys=True): entry for entry in reply.json["member"]}
        member = members[json.dumps({**identifier, "object_type": "MEMBER"}, sort_keys=True)]
        assert member["name"] == "Centre of Registers (demo)"
        assert "subsystem_name" not in member
        wanted = {**identifier, "object_type": "SUBSYSTEM", "subsystem_code": subsystem}
        assert members[json.dumps(wanted, sort_keys=True)]["subsystem_name"] == "International codes"

    def test_clients_are_listed_in_xml(self, country, edge):
        """For those who do not ask for JSON."""
        reply = raw_caller.send(edge, "GET", "/listClients")
        assert reply["content-type"].startswith("text/xml")
        xroad, ids = "{http://x-road.eu/xsd/xroad.xsd}", "{http://x-road.eu/xsd/identifiers}"
        root = ET.fromstring(reply.body)
        assert root.tag == f"{xroad}clientList"
        found = {
            (member.find(f"{xroad}id").get(f"{ids}objectType"), *(e.text for e in member.find(f"{xroad}id")))
            for member in root.findall(f"{xroad}member")
        }
        assert ("SUBSYSTEM", *country.node("ministry")["system"].split("/")) in found

    def test_nobody_of_another_instance_is_listed(self, edge):
        """There is no federation."""
        headers = [("Accept", "application/json")]
        assert raw_caller.send(edge, "GET", "/listClients?xRoadInstance=XX", headers).json == {"member": []}
        assert raw_caller.send(edge, "GET", "/listClients?xRoadInstance=KZ", headers).json["member"]

    def listed(self, body: bytes) -> dict[str, list[dict]]:
        return {entry["service_code"]: entry["endpoint_list"] for entry in json.loads(body)["service"]}

    def test_all_methods_are_listed_to_any_member(self, country, narrow, edge, system):
        """With every endpoint that somebody has a right to; it is an exchange like any other."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.node('registers')['system']}/listMethods", [system])
        assert reply["content-type"] == "application/json"
        found = self.listed(reply.body)
        assert found["echo"] == []
        read = [{"method": "GET", "path": "/countries.json"}, {"method": "GET", "path": "/countries/*"}]
        assert sorted(found["narrow"], key=lambda e: e["path"]) == read
        assert country.records("registers", reply.message) == ["request", "response"]
        entry = next(e for e in reply.json["service"] if e["service_code"] == "codes")
        assert (entry["service_type"], entry["object_type"]) == ("OPENAPI", "SERVICE")

    def test_allowed_methods_are_the_callers_own(self, country, adversary, narrow, edge, system):
        """The ministry sees what it may call, the university what it may."""
        where = country.node("registers")["system"]
        ministry = raw_caller.send(edge, "GET", f"/r1/{where}/allowedMethods", [system]).body
        with adversary.dial("registers") as wire:
            wire.prove(adversary.ask("registers", f"{where}/allowedMethods", path="", endpoint="").frame)
            university = wire.expect(frames.Response).body
        assert self.listed(ministry)["narrow"] == [{"method": "GET", "path": "/countries/*"}]
        assert self.listed(university)["narrow"] == [{"method": "GET", "path": "/countries.json"}]
        assert "answering" not in self.listed(university)

    def test_a_description_does_not_say_where_the_system_is(self, country, edge, system):
        """The path of its servers stays, their hosts go."""
        target = f"/r1/{country.node('registers')['system']}/getOpenAPI?serviceCode=codes"
        reply = raw_caller.send(edge, "GET", target, [system])
        document = yaml.safe_load(reply.body)
        assert [server["url"] for server in document["servers"]] == ["/codes"]
        assert "/countries.json" in document["paths"]

    @pytest.mark.parametrize(("query", "error"), [
        ("", "invalid_request"), ("?serviceCode=none", "internal_error"), ("?serviceCode=echo", "internal_error"),
    ])  # fmt: skip
    def test_what_has_no_description_is_refused_as_x_road_does(self, country, edge, system, query, error):
        """A missing parameter, an unknown service, a service that is not described."""
        reply = raw_caller.send(edge, "GET", f"/r1/{country.node('registers')['system']}/getOpenAPI{query}", [system])
        assert (reply.status, reply.error) == (500, f"server.serverproxy.{error}")


class TestReceipts:
    """What can be shown to others afterwards."""

    def test_both_sides_have_a_receipt_that_verifies(self, country, tmp_path):
        """The two need not trust each other: each proof comes with the other's signature."""
        answer = country.call("/x", service=country.echo)
        for node in ("ministry", "registers"):
            receipt = country.receipt(answer.message, node=node)
            assert receipt["state"] in {"witnessed", "timestamped"}
            assert receipt["disclosure"] == []
            assert verifies(receipt, country, tmp_path)
            assert [len(m["proofs"]) for m in receipt["messages"]] == [2, 2]

    def test_what_the_holder_discloses_can_be_checked(self, country, edge, system, tmp_path):
        """Path, query and headers with their values, the body with its salt."""
        reply = raw_caller.send(edge, "POST", f"/r1/{country.echo}/p%20q?a=b", [system, ("X-Custom", "1")], b"secret")
        fields = ["request.path", "request.query", "request.headers", "response.headers", "response.body"]
        receipt = country.receipt(reply.message, disclose=fields)
        shown = {f"{d['role']}.{d['field']}": b64decode(d.get("value", "")) for d in receipt["disclosure"]}
        assert list(shown) == fields
        assert (shown["request.path"], shown["request.query"]) == (b"/p%20q", b"?a=b")
        assert b"X-Custom:1\r\n" in shown["request.headers"]
        assert f"x-road-request-id:{reply.message}".encode() in shown["response.headers"]
        assert verifies(receipt, country, tmp_path, body=reply.body)
        assert not verifies(receipt, country, tmp_path, body=reply.body + b" ")

    def test_a_body_without_its_salt_cannot_be_checked(self, country, tmp_path):
        """And that is a failure of what was asked."""
        answer = country.call("/x", service=country.echo)
        receipt = country.receipt(answer.message)
        verdict = verify_receipt(
            json.dumps(receipt).encode(), country.anchor.read_bytes(), body=BytesIO(answer.body)
        )  # fmt: skip
        assert not verdict.ok
        assert not verdict.bad()
        assert not verifies(receipt, country, tmp_path, body=answer.body)

    def test_every_answered_exchange_is_in_both_logs(self, country):
        """Also where many are under way at once."""
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: country.call(f"/many/{i}", service=country.echo), range(40)))
        assert {answer.status for answer in answers} == {200}
        for node in ("ministry", "registers"):
            assert {tuple(country.records(node, a.message)) for a in answers} == {("request", "response")}


class TestRights:
    """A right covers a method and a path, for one client."""

    def test_a_narrow_right_covers_what_it_says(self, country, narrow, edge, system):
        """And nothing beside it leaves the ministry's node."""
        assert raw_caller.send(edge, "GET", f"/r1/{narrow}/countries/KZ?full", [system]).status == 200
        with country.unrecorded("ministry", "registers"):
            for method, path in (("GET", "/countries.json"), ("POST", "/countries/KZ"), ("GET", "/countries/KZ/x")):
                reply = raw_caller.send(edge, method, f"/r1/{narrow}{path}", [system])
                assert (reply.status, reply.error) == (500, "server.serverproxy.access_denied")
                assert reply.json["message"] == f"Request is not allowed: SERVICE:{narrow}"

    def test_the_universitys_right_is_not_the_ministrys(self, country, adversary, narrow, echo):
        """Whatever its node claims, the provider's node decides by the provider's page; the refusal is on record."""
        with adversary.dial("registers") as wire:
            own = {"path": "/countries.json", "endpoint": "GET /countries.json"}
            wire.prove(adversary.ask("registers", narrow, **own).frame)
            assert b"/countries.json" in wire.expect(frames.Response).body
            theirs = adversary.ask("registers", narrow, path="/countries/NO", endpoint="GET /countries/*")
            wire.prove(theirs.frame)
            wire.expect(frames.Refused)
        assert country.records("registers", theirs.message) == ["request", "refused"]
        assert "/countries/NO" not in [call.target for call in echo.calls]

    def test_a_member_is_learned_at_the_first_call(self, country, edge, system, tmp_path):
        """A node keeps the files of those it has to do with; of another one it fetches the file when it is called."""
        member = MemberId("KZ", "COM", reserved_bin(7))
        desk = Desk.create(tmp_path / "desk", member=member, names=NAMES, clock=SystemClock())
        service = ServiceId(SubsystemId(member, "shop"), "goods")
        token = (country.home / "registry" / "management.token").read_text()
        admission = {
            "id": str(member), "lineage": desk.lineage, "names": {"kk": NAMES.kk, "ru": NAMES.ru, "en": NAMES.en}
        }  # fmt: skip
        manage(country.country["registry"], token, "members", json.dumps(admission).encode())
        desk.add_subsystem(service.subsystem, NAMES)
        desk.add_service(service, NAMES, type_="REST", disabled=None)
        country.submit(desk)
        # Known now: there is such a service, and the ministry has no right to it.
        reply = raw_caller.send(edge, "GET", f"/r1/{service}/x", [system])
        assert (reply.status, reply.error) == (500, "server.serverproxy.access_denied")
