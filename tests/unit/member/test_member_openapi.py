"""Reading OpenAPI documents: what they offer, what is wrong with them, what is shown of them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from qaztech.core.errors import Malformed
from qaztech.core.rights import Endpoint
from qaztech.member.openapi import Description, read_description
from qaztech.member.openapi_check import SCHEMAS
from qaztech.member.openapi_findings import ADVICE, MAX_FINDINGS
from qaztech.testing import codes

PERMITS = Path(__file__).with_name("permits.openapi.yaml")
OK = {"200": {"description": "well"}}


def document(version: str = "3.0.3", **parts: Any) -> bytes:
    """A document with one operation, and these parts beside or in place of what it has."""
    whole = {
        "openapi": version,
        "info": {"title": "A", "version": "1"},
        "paths": {"/a": {"get": {"summary": "a", "responses": OK}}},
        **parts,
    }
    return json.dumps(whole).encode()


def kinds(description: Description) -> list[tuple[str, str, str]]:
    """Its findings, without their words."""
    return [(f.severity, f.kind, f.pointer) for f in description.findings]


def test_the_description_of_the_embedded_country_is_read_whole() -> None:
    """Ten operations, their endpoints and parameters through references, and not one finding."""
    described = read_description((Path(codes.__file__).parent / "codes.openapi.yaml").read_bytes())
    assert described.findings == ()
    assert (described.title, described.version, described.specification) == ("ISO code lists", "1", "3.0")
    assert len(described.operations) == 10
    country = next(o for o in described.operations if o.operation_id == "getCountry")
    assert country.endpoint == Endpoint("GET", "/countries/*")
    assert country.endpoint.covers("GET", "/countries/KZ.json")
    assert [(p.name, p.place, p.required, p.example) for p in country.parameters] == [
        ("alpha_2", "path", True, "KZ"),
        ("_shape", "query", True, "object"),
    ]
    assert "official_name" in described.fields
    described.require_sound()


def test_a_document_of_3_1_is_read_with_all_it_may_hold() -> None:
    """Numbers as statuses, types in lists, callbacks, webhooks, a schema inside itself, a path in Kazakh."""
    described = read_description(PERMITS.read_bytes())
    assert described.errors == ()
    assert [str(e) for e in described.endpoints] == [
        "GET /permits",
        "POST /permits",
        "GET /permits/*",
        "DELETE /%D1%80%D2%B1%D2%9B%D1%81%D0%B0%D1%82%D1%82%D0%B0%D1%80/*",
    ]
    permits, ask, one, _ = described.operations
    assert [(p.name, p.kind) for p in permits.parameters] == [
        ("bin", "string"),
        ("state", '"valid" | "ended" | null'),
        ("X-Trace", "string (uuid)"),
    ]
    assert ask.request_media == ("application/json", "multipart/form-data")
    assert ask.responses == ("202", "4XX")
    assert one.deprecated
    assert one.parameters[0].description == "As printed on it."
    assert described.fields == (
        "activity", "detail", "file", "follows", "holder", "notify", "number", "properties", "servers",
    )  # fmt: skip
    assert kinds(described) == [
        ("warning", "path-parameter", "/paths/~1рұқсаттар~1{id}/delete"),
        ("warning", "undescribed", "/paths/~1рұқсаттар~1{id}/delete"),
        ("warning", "contact", "/info/contact"),
    ]


def test_servers_and_the_contact_person_are_not_shown() -> None:
    """Wherever a server stands it is left out; a property that is called so is kept."""
    shown = read_description(PERMITS.read_bytes()).document
    assert b"intranet" not in shown
    assert b"a.person" not in shown
    whole = json.loads(shown)
    assert "servers" in whole["components"]["schemas"]["Permit"]["allOf"][1]["properties"]
    assert read_description(shown).operations == read_description(PERMITS.read_bytes()).operations


def test_a_breach_of_the_specification_is_found_with_its_place_and_line() -> None:
    """What is wrong is said of the alternative that was meant, not of a reference that nobody wrote."""
    head = "openapi: 3.0.3\ninfo: {title: A, version: '1'}\n"
    text = head + "paths:\n  /a:\n    get:\n      responses:\n        200: {}\n"
    described = read_description(text.encode())
    (finding,) = described.errors
    assert (finding.kind, finding.pointer, finding.line) == ("schema", "/paths/~1a/get/responses/200", 7)
    assert finding.problem == "missing: description"
    assert described.operations == ()
    with pytest.raises(Malformed, match="line 7") as caught:
        described.require_sound()
    assert caught.value.code == "openapi.faulty"


def test_the_server_of_a_link_is_not_shown_either() -> None:
    """Links may name a server of their own."""
    links = {"one": {"operationId": "x", "server": {"url": "https://a.intranet.example"}}}
    response = {"200": {"description": "well", "links": links}}
    described = read_description(document(paths={"/a": {"get": {"summary": "a", "responses": response}}}))
    assert described.findings == ()
    assert b"intranet" not in described.document


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_schemas_inside_a_description_are_checked_too(version: str) -> None:
    """A type that JSON Schema does not know is an error in both versions."""
    described = read_description(document(version, components={"schemas": {"A": {"type": "strin"}}}))
    assert ("error", "schema", "/components/schemas/A/type") in kinds(described)


@pytest.mark.parametrize(
    "reference",
    ["https://elsewhere.example/a.yaml#/A", "common.yaml#/A", "file:///etc/passwd", "//elsewhere.example/a", ""],
)
def test_a_reference_to_outside_is_reported_and_refused(reference: str) -> None:
    """Nothing is fetched: the document is unsound until it is whole."""
    described = read_description(document(components={"schemas": {"A": {"$ref": reference}}}))
    assert ("error", "remote-ref", "/components/schemas/A/$ref") in kinds(described)
    with pytest.raises(Malformed):
        described.require_sound()


def test_a_reference_to_nowhere_and_a_loop_of_references_are_told_apart() -> None:
    """A schema inside itself is well; references that never reach a schema are not."""
    schemas = {
        "A": {"$ref": "#/components/schemas/B"},
        "B": {"$ref": "#/components/schemas/A"},
        "C": {"$ref": "#/components/schemas/Z"},
        "D": {"type": "object", "properties": {"d": {"$ref": "#/components/schemas/D"}}},
    }
    found = kinds(read_description(document(components={"schemas": schemas})))
    assert sorted(found) == [
        ("error", "missing-ref", "/components/schemas/C/$ref"),
        ("error", "ref-loop", "/components/schemas/A/$ref"),
        ("error", "ref-loop", "/components/schemas/B/$ref"),
    ]


@pytest.mark.parametrize("path", ["/a?b=1", "/a/*", "/a/../b", "/a/{b", "/a/b%2F..%2Fc", "/" + "a" * 1001])
def test_a_path_that_no_right_can_name_is_an_error(path: str) -> None:
    """It is said here, not when somebody asks for access."""
    described = read_description(document(paths={path: {"get": {"summary": "a", "responses": OK}}}))
    assert [f.kind for f in described.errors] == ["path-form"]
    assert described.endpoints == ()


def test_paths_that_one_right_covers_are_pointed_out() -> None:
    """`/a/{b}` and `/a/{c}.json` are one endpoint; two operations with one name are noticed too."""
    get = {"get": {"operationId": "x", "summary": "a", "responses": OK}}
    described = read_description(document(paths={"/a/{b}": get, "/a/{c}.json": get, "x-note": {}}))
    assert described.errors == ()
    assert [str(e) for e in described.endpoints] == ["GET /a/*"]
    assert {f.kind for f in described.findings} == {"path-parameter", "operation-id", "same-endpoint"}


def test_a_document_without_operations_cannot_be_published() -> None:
    """There would be nothing to ask access to."""
    assert kinds(read_description(document(paths={}))) == [("error", "no-operations", "/paths")]


def test_fields_that_look_like_the_number_of_a_person_are_pointed_out() -> None:
    """A property or a parameter; a word that only has these letters in it is passed over."""
    schema = {"type": "object", "properties": {name: {} for name in ("holder_iin", "applicantIin", "begin", "mixin")}}
    described = document(components={"schemas": {"Permit": schema}})
    found = [f for f in read_description(described).findings if f.kind == "personal-field"]
    assert [(f.severity, f.problem) for f in found] == [
        ("warning", "looks like the number of a person: applicantIin, holder_iin")
    ]


def test_findings_are_at_most_a_hundred() -> None:
    """A document with thousands of faults is not a way to fill a page."""
    described = read_description(document(paths={f"/{n}": {"get": {}} for n in range(500)}))
    assert len(described.findings) == MAX_FINDINGS
    assert len(described.errors) == MAX_FINDINGS


@pytest.mark.parametrize("given", [{"openapi": "3.2.0"}, {"openapi": 3.1}, {"swagger": "2.0"}, {}])
def test_another_version_is_refused_with_what_to_do(given: dict[str, Any]) -> None:
    """What is not OpenAPI 3.0 or 3.1 is converted first."""
    with pytest.raises(Malformed, match="convert") as caught:
        read_description(json.dumps(given).encode())
    assert caught.value.code == "openapi.version"


def test_every_kind_of_finding_has_advice_in_three_languages() -> None:
    """Kazakh and Russian are written with their own letters."""
    for advice in ADVICE.values():
        advice.check("x.y")
        assert len({advice.kk, advice.ru, advice.en}) == 3


def test_the_vendored_schemas_are_those_the_page_beside_them_names() -> None:
    """What was copied is what was reviewed."""
    page = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    for path in SCHEMAS.glob("*.json"):
        assert f"`{path.name}`" in page
        assert sha256(path.read_bytes()).hexdigest() in page
