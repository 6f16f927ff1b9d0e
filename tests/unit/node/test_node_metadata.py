"""What a node tells about itself."""

import json
import time
from xml.etree import ElementTree as ET

import pytest
import yaml

from qaztech.core.errors import Malformed, NotFound, Unavailable
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.node import metadata
from qaztech.node.metadata import ClientEntry, ServiceEntry, anonymise, anonymous_url

MEMBER = MemberId("KZ", "GOV", "991340000017")
SUBSYSTEM = SubsystemId(MEMBER, "permits")
SERVICE = ServiceId(SUBSYSTEM, "countries")
CLIENTS = [ClientEntry(MEMBER, "Ұйым & <Co>"), ClientEntry(SUBSYSTEM, "Ұйым & <Co>", "Рұқсаттар")]


class TestListClients:
    """`GET /listClients`."""

    def test_json_where_accept_mentions_it(self):
        """X-Road's member names and order; nothing that is null."""
        content_type, body = metadata.list_clients(CLIENTS, [b"text/xml, Application/JSON;q=0.1"])
        assert content_type == b"application/json;charset=utf-8"
        assert json.loads(body) == {
            "member": [
                {
                    "id": {
                        "object_type": "MEMBER",
                        "xroad_instance": "KZ",
                        "member_class": "GOV",
                        "member_code": "991340000017",
                    },
                    "name": "Ұйым & <Co>",
                },
                {
                    "id": {
                        "object_type": "SUBSYSTEM",
                        "xroad_instance": "KZ",
                        "member_class": "GOV",
                        "member_code": "991340000017",
                        "subsystem_code": "permits",
                    },
                    "name": "Ұйым & <Co>",
                    "subsystem_name": "Рұқсаттар",
                },
            ]
        }

    def test_xml_otherwise(self):
        """Both namespaces, the object type as an attribute."""
        content_type, body = metadata.list_clients(CLIENTS, [])
        assert content_type == b"text/xml;charset=utf-8"
        root = ET.fromstring(body)
        ns = {"x": "http://x-road.eu/xsd/xroad.xsd", "i": "http://x-road.eu/xsd/identifiers"}
        assert root.tag == "{http://x-road.eu/xsd/xroad.xsd}clientList"
        member, subsystem = root.findall("x:member", ns)
        assert member.find("x:id", ns).attrib == {"{http://x-road.eu/xsd/identifiers}objectType": "MEMBER"}
        assert [e.text for e in member.find("x:id", ns)] == ["KZ", "GOV", "991340000017"]
        assert member.findtext("x:name", None, ns) == "Ұйым & <Co>"
        assert member.find("x:subsystemName", ns) is None
        assert subsystem.findtext("x:id/i:subsystemCode", None, ns) == "permits"
        assert subsystem.findtext("x:subsystemName", None, ns) == "Рұқсаттар"

    def test_the_request(self):
        """Its exact path; the instance it asks for."""
        assert metadata.is_list_clients(b"/listClients")
        assert metadata.is_list_clients(b"/listClients?xRoadInstance=AA")
        assert not metadata.is_list_clients(b"/listClients/")
        assert metadata.asked_instance(b"/listClients") is None
        assert metadata.asked_instance(b"/listClients?x=1&xRoadInstance=%C3%B6") == "ö"
        with pytest.raises(Malformed):
            metadata.asked_instance(b"/listClients?xRoadInstance=%ff")


class TestMethodList:
    """`listMethods` and `allowedMethods`."""

    def test_services_with_their_endpoints(self):
        """As the code writes it, not as the document does; a whole-service endpoint is not named."""
        endpoints = (Endpoint("*", "/**"), Endpoint("GET", "/pet/*"))
        content_type, body = metadata.method_list([ServiceEntry(SERVICE, "OPENAPI", endpoints)])
        assert content_type == b"application/json"
        assert json.loads(body) == {
            "service": [
                {
                    "member_class": "GOV",
                    "member_code": "991340000017",
                    "object_type": "SERVICE",
                    "service_code": "countries",
                    "service_type": "OPENAPI",
                    "subsystem_code": "permits",
                    "xroad_instance": "KZ",
                    "endpoint_list": [{"method": "GET", "path": "/pet/*"}],
                }
            ]
        }
        assert metadata.method_list([]) == (b"application/json", b'{"service":[]}')

    def test_only_get_is_for_the_node(self):
        """Another method on a reserved code is a service call like any other."""
        reserved = ServiceId(SUBSYSTEM, "listMethods")
        assert metadata.is_metadata_call("GET", reserved)
        assert not metadata.is_metadata_call("POST", reserved)
        assert not metadata.is_metadata_call("GET", SERVICE)


class TestGetOpenApi:
    """`getOpenAPI`: which service, and whether it has a description."""

    def test_the_service_asked_for(self):
        """The parameter's name is not case-sensitive; the last wins."""
        assert metadata.asked_service(b"?ServiceCode=a&servicecode=countries", SUBSYSTEM) == SERVICE
        for query in (b"", b"?x=1", b"?serviceCode=", b"?serviceCode"):
            with pytest.raises(Malformed, match="Missing serviceCode in message body"):
                metadata.asked_service(query, SUBSYSTEM)
        with pytest.raises(Malformed):
            metadata.asked_service(b"?" + b"a=1&" * 200, SUBSYSTEM)

    def test_what_clients_match(self):
        """X-Road's words for what is not there and what has no description."""
        with pytest.raises(NotFound, match=r"Service not found: SERVICE:KZ/GOV/991340000017/permits/countries"):
            metadata.check_described(SERVICE, None)
        with pytest.raises(NotFound, match=r"Invalid service type: REST$"):
            metadata.check_described(SERVICE, ServiceEntry(SERVICE, "REST"))
        metadata.check_described(SERVICE, ServiceEntry(SERVICE, "OPENAPI"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.org/v1/cats", "/v1/cats"),
        ("https://example.org", ""),
        ("https://u:p@h:8080/", "/"),
        ("//host/x", "/x"),
        ("/v1", "/v1"),
        ("v1/x", "v1/x"),
        ("./v1", "./v1"),
        ("../v1", "../v1"),
        ("", ""),
        ("https://{env}.example.org:{port}/{base}/x", "/{base}/x"),
        ("{scheme}://h/v1", "/v1"),
        ("{server}/v1", "/v1"),
        ("{server}", ""),
        ("api.example.org/v1", "/v1"),
        ("localhost:8080", ""),
        (" https://h/v1?token=x#y ", "/v1"),
        ("http:\\\\h\\v1", ""),
    ],
)
def test_a_url_without_its_host(url, expected):
    """The path stays, also an empty one."""
    assert anonymous_url(url) == expected


DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Елдер", "version": "1.0"},
    "servers": [
        {"url": "https://internal:8443/v1", "description": "main"},
        {
            "url": "https://{host}/{base}",
            "variables": {"host": {"default": "internal", "enum": ["internal", "secret"]}, "base": {"default": "v1"}},
        },
    ],
    "paths": {"/x": {"servers": [{"url": "http://internal/x"}], "get": {"servers": [{"url": "http://internal"}]}}},
    "components": {"schemas": {"servers": {"type": "array"}, "A": {"properties": {"servers": {"url": "string"}}}}},
    "float": 1.5,
}


class TestAnonymise:
    """The description: hosts out, everything else kept."""

    def test_json(self):
        """Stays JSON, with the origin's content type."""
        content_type, body = anonymise(SERVICE, json.dumps(DOCUMENT).encode(), content_type=b"application/json")
        assert content_type == b"application/json"
        self.check(json.loads(body), json.loads(body)["servers"][1]["variables"] == {"base": {"default": "v1"}})

    @pytest.mark.parametrize("flow", [True, False, None])
    def test_yaml(self, flow):
        """Stays YAML, in any style."""
        text = yaml.safe_dump(DOCUMENT, default_flow_style=flow, allow_unicode=True, sort_keys=False)
        content_type, body = anonymise(SERVICE, text.encode(), path="/openapi.yaml")
        assert content_type == b"application/x-yaml"
        tree = yaml.safe_load(body)
        variables = tree["servers"][1]["variables"]
        self.check(tree, variables == {"host": {"default": "", "enum": ["", ""]}, "base": {"default": "v1"}})

    def check(self, tree, variables_right):
        assert variables_right
        assert [s["url"] for s in tree["servers"]] == ["/v1", "/{base}"]
        assert tree["paths"]["/x"] == {"servers": [{"url": "/x"}], "get": {"servers": [{"url": ""}]}}
        assert tree["info"] == DOCUMENT["info"]
        assert tree["components"] == DOCUMENT["components"]
        assert tree["float"] == 1.5
        assert "internal" not in json.dumps(tree)

    def test_yaml_keeps_its_text(self):
        """Comments, order and quoting stay, but where something was taken out."""
        text = (
            "# тегін\nservers:  # where\n  - description: a\n    url: https://h/v1  # main\n  - url: >-\n      https://h/v2\n"
            "  - {url: 'https://h', x: \"y\"}\npaths: {}\n"
        )
        _, body = anonymise(SERVICE, b"\xef\xbb\xbf" + text.encode())
        assert body.decode() == (
            '# тегін\nservers:  # where\n  - description: a\n    url: "/v1"  # main\n  - url: "/v2"\n'
            '  - {url: "", x: "y"}\npaths: {}\n'
        )  # fmt: skip

    def test_anchors_aliases_and_merge_keys_hide_nothing(self):
        """A server is anonymised wherever it is defined."""
        text = (
            "x-u: &u https://internal/v1\nx-s: &s {url: https://internal/v2}\nx-l: &l\n  - <<: *s\n    description: d\n"
            "servers: *l\npaths:\n  /a:\n    servers:\n      - url: *u\n      - <<: [*s, {url: https://internal}]\n"
            "  /b:\n    servers: {url: https://internal/v3}\n  /c:\n    servers:\n      - &again\n        url: https://internal\n"
        )
        _, body = anonymise(SERVICE, text.encode())
        assert b"internal" not in body
        tree = yaml.safe_load(body)
        assert tree["servers"] == [{"url": "/v2", "description": "d"}]
        assert tree["paths"]["/a"]["servers"][0] == {"url": "/v1"}
        assert tree["paths"]["/b"]["servers"] == {"url": "/v3"}

    def test_what_decides_between_json_and_yaml(self):
        """Content type first, then the ending of the address, then YAML."""
        json_text = b'{"servers":[{"url":"http://h/a"}]}'
        tabs = b'{\n\t"servers":[]}'
        assert anonymise(SERVICE, json_text, content_type=b"application/vnd.oai.openapi+json")[1] == (
            b'{"servers": [{"url": "/a"}]}'
        )
        assert anonymise(SERVICE, tabs, content_type=b"text/plain", path="/a.json") == (
            b"text/plain",
            b'{"servers": []}',
        )
        assert anonymise(SERVICE, json_text, content_type=b"application/yaml", path="/a.json")[1] == (
            b'{"servers":[{"url":"/a"}]}'
        )

    @pytest.mark.parametrize("content_type", [b"application/json", b"application/x-yaml"])
    @pytest.mark.parametrize(
        "document",
        [
            b"", b"[", b"{", b"\xff", b"a: b: c", b"- a", b"[1]", b"servers: [*x]", b"a: [}", b"\x00", b"NaN",
            b"[" * 100_000, b'{"a":' * 100_000, b"- " * 100_000, b"? " * 100_000, b"[" * 70 + b"]" * 70,
            b"[" + b"1," * 250_000 + b"1]", b"x" * 3_000_000, b"1" * 10_000,
        ],
        ids=lambda d: repr(d[:12]) if isinstance(d, bytes) else str(d),
    )  # fmt: skip
    def test_what_is_no_description_is_refused(self, document, content_type):
        """In the words clients match, quickly, and with nothing of the provider's address."""
        start = time.process_time()
        with pytest.raises(
            Unavailable, match=r"^metadata.description: Failed reading service description from SERVICE:"
        ):
            anonymise(SERVICE, document, content_type=content_type)
        assert time.process_time() - start < 2

    def test_a_bomb_of_aliases_stays_small(self):
        """Aliases are never written out, merges visited once."""
        lines = ["a0: &a0 {url: http://internal/x, y: [1, 1]}"]
        lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], y: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 60)]
        lines.append("servers: [*a59, *a59]")
        start = time.process_time()
        _, body = anonymise(SERVICE, "\n".join(lines).encode())
        assert time.process_time() - start < 1
        assert b"internal" not in body
        assert len(body) < 5000
