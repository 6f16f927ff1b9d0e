"""Every route of the support center's console against everyone who may come: nothing by omission."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("duckdb")

from ai_cards import CARD
from hub_office import HOLDERS, HubOffice
from operational_logs import START
from people_console import PASSWORD, Reply, Visitor
from qaztech.ai.register.store import Origin
from qaztech.core.bin import reserved_bin
from qaztech.hub.crosscheck import Finding
from qaztech.hub.register.store import Edit
from qaztech.hub.register.waiting import Waiting
from qaztech.hub.scopes import HUB_ROLES
from qaztech.hub.stakes import Scope
from qaztech.people.roles import allowed
from qaztech.web.sign_in import describe_routes
from registry_country import quick_folder

OPEN = {
    ("GET", "/"), ("GET", "/console"), ("GET", "/health"), ("GET", "/static/{path:path}"), ("GET", "/sign-in"),
    ("GET", "/api/v1/openapi.json"), ("POST", "/sign-in"), ("POST", "/api/session"),
    ("POST", "/api/session/passkey/begin"),
    ("POST", "/api/session/passkey/finish"), ("GET", "/ai"), ("GET", "/ai/{id}"), ("GET", "/ai.json"),
}  # fmt: skip
OWN = {
    ("POST", "/sign-out"), ("GET", "/api/session"), ("DELETE", "/api/session"), ("GET", "/account"),
    ("POST", "/account/password"), ("POST", "/account/tokens"), ("POST", "/account/tokens/remove"),
    ("POST", "/account/passkeys/remove"), ("POST", "/account/passkeys/begin"), ("POST", "/account/passkeys/finish"),
    ("POST", "/account/sessions/end"),
}  # fmt: skip
# What each page asks for. A page of any group without a row here fails the test below.
PAGES = {
    ("GET", "/console/"): "overview:read",
    ("GET", "/console/traffic"): "traffic:read",
    ("GET", "/console/exchanges"): "traffic:read",
    ("GET", "/console/exchanges/{message}"): "traffic:read",
    ("GET", "/console/findings"): "findings:read",
    ("GET", "/console/findings/{id:int}"): "findings:read",
    ("GET", "/console/cases"): "findings:read",
    ("GET", "/console/cases.json"): "findings:read",
    ("POST", "/console/cases/run"): "findings:write",
    ("GET", "/console/cases/case"): "findings:read",
    ("POST", "/console/cases/case"): "findings:write",
    ("GET", "/console/cases/case.json"): "findings:read",
    ("GET", "/console/cases/case.pdf"): "findings:read",
    ("GET", "/console/bodies"): "objects:read",
    ("GET", "/console/bodies.json"): "objects:read",
    **{("GET", f"/console/bodies/{scope}{form}"): "objects:read" for scope in Scope for form in ("", ".json", ".pdf")},
    ("GET", "/console/objects"): "objects:read",
    ("GET", "/console/objects.json"): "objects:read",
    ("GET", "/console/objects/object"): "objects:read",
    ("GET", "/console/objects/object.json"): "objects:read",
    ("GET", "/console/objects/history"): "objects:read",
    ("GET", "/console/objects/edit"): "objects:write",
    ("POST", "/console/objects/edit"): "objects:write",
    ("GET", "/console/flows"): "traffic:read",
    ("GET", "/console/flows.json"): "traffic:read",
    ("GET", "/console/law"): "overview:read",
    ("GET", "/console/import"): "objects:read",
    ("POST", "/console/import"): "objects:write",
    ("POST", "/console/import/undo"): "objects:write",
    ("GET", "/console/import/changes/{id:int}"): "objects:read",
    ("GET", "/console/import/changes/{id:int}/differences.csv"): "objects:read",
    ("GET", "/console/import/export.{form}"): "objects:read",
    ("GET", "/console/import/{token}"): "objects:write",
    ("POST", "/console/import/{token}"): "objects:write",
    ("GET", "/console/import/{token}/columns"): "objects:write",
    ("POST", "/console/import/{token}/columns"): "objects:write",
    ("GET", "/console/import/{token}/mapping.json"): "objects:write",
    ("POST", "/console/import/{token}/decisions"): "objects:write",
    ("GET", "/console/import/{token}/left-out.xlsx"): "objects:write",
    ("GET", "/console/import/{token}/differences.csv"): "objects:write",
    ("POST", "/console/import/{token}/forget"): "objects:write",
    ("GET", "/console/ai"): "ai:read",
    ("GET", "/console/ai/{id}"): "ai:read",
    ("POST", "/console/ai/{id}"): "ai:write",
    ("GET", "/console/landscape"): "objects:read",
    ("GET", "/console/landscape.json"): "objects:read",
    ("GET", "/console/landscape/system"): "objects:read",
    ("GET", "/console/landscape/system.json"): "objects:read",
    ("GET", "/console/regions"): "objects:read",
    ("GET", "/console/cases/missing"): "findings:read",
    ("GET", "/console/deliveries"): "deliveries:read",
    ("GET", "/console/deliveries/log"): "deliveries:read",
    ("GET", "/console/acts"): "acts:read",
    ("GET", "/console/people"): "people:read",
    ("POST", "/console/people"): "people:write",
    ("POST", "/console/people/{name}"): "people:write",
}
# What programs call; tried with tokens in test_web_hub_api.
API = {
    ("GET", "/api/v1/tables"): "objects:read",
    ("GET", "/api/v1/objects"): "objects:read",
    ("GET", "/api/v1/objects/{id}"): "objects:read",
    ("GET", "/api/v1/rows/{table}"): "objects:read",
    ("PUT", "/api/v1/rows/{table}"): "objects:write",
    ("PATCH", "/api/v1/rows/{table}"): "objects:write",
    ("GET", "/api/v1/rows/{table}/history"): "objects:read",
    ("GET", "/api/v1/batches"): "objects:read",
    ("POST", "/api/v1/batches"): "objects:write",
    ("POST", "/api/v1/imports"): "objects:write",
    ("GET", "/api/v1/batches/{id}"): "objects:read",
    ("POST", "/api/v1/batches/{id}/undo"): "objects:write",
    ("GET", "/api/v1/model.xml"): "objects:read",
    ("GET", "/api/v1/findings"): "findings:read",
    ("POST", "/api/v1/findings/decision"): "findings:write",
}
OWNER = reserved_bin(70_001)
# What the pages of one thing are asked for; those as PDF without it, which is quick: they say that there is no such.
ASKED = {
    "/console/landscape/system": "id=ds-1",
    "/console/landscape/system.json": "id=ds-1",
    **{f"/console/cases/case{form}": "key=stale_record%7Cds-1" for form in ("", ".json")},
    **{f"/console/bodies/body{form}": f"code={OWNER}" for form in ("", ".json")},
    **{f"/console/bodies/area{form}": "code=health" for form in ("", ".json")},
    **{f"/console/bodies/region{form}": "code=71" for form in ("", ".json")},
    **{f"/console/objects/object{form}": "id=ds-1" for form in ("", ".json")},
    "/console/objects/history": "table=objects&key=ds-1",
    "/console/objects/edit": "id=ds-1&field=status",
    **{f"/console/bodies/{scope}.pdf": "code=none" for scope in Scope},
}
# Served beside the pages, guarded by hand.
FILES = {("GET", "/admin-log/{path:path}"): "acts:read"}
GUARDED = PAGES | FILES | API
_READ = {"overview:read", "traffic:read", "findings:read", "objects:read", "deliveries:read", "ai:read"}
ALLOWED = {
    "analyst": _READ | {"findings:write", "objects:write", "ai:write"},
    "auditor": _READ | {"acts:read", "people:read"},
    "administrator": _READ | {"acts:read", "people:read", "people:write"},
}


@pytest.fixture(scope="module")
def office() -> Iterator[HubOffice]:
    """A centre in front of which everybody comes."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub")
        finding = Finding(
            code="operational.forked", level="contradiction", origin=office.pair.consumer.origin, other="",
            message=office.message, place=2, detail="two roots at 2 entries",
        )  # fmt: skip
        office.deliveries.store.keep([finding], now=START, evidence='{"format": "x"}')
        owned = {"id": "ds-1", "owner_bin": OWNER, "area": "health", "kato": "710000000", "status": "trial"}
        office.objects.apply([Edit(table="objects", values=owned)], by="dana", source="test", at=START)
        office.detecting.run("dana")
        office.cards.put(CARD, Origin(by=f"{CARD.owner}/health", role="owner"), version=0)
        office.waiting_file = Waiting(office.parts.waiting).keep(
            "register.csv", b"id;name_ru;status\nds-2;A;trial\nds-3;B;flies\n", by=HOLDERS["analyst"],
            at=office.clock.now(),
        )  # fmt: skip
        yield office
        office.close()


@pytest.fixture(scope="module")
def visitors(office: HubOffice) -> dict[str, Visitor]:
    """One of each role, one without a role, and one who is not signed in."""
    found = {"": Visitor(office.app)}
    for role, name in {**HOLDERS, "nobody": "nobody"}.items():
        found[role] = Visitor(office.app)
        assert found[role].sign_in(name, PASSWORD).status == 303
    return found


def filled(office: HubOffice, path: str) -> str:
    """A path with what there is in its places."""
    if path == "/console/deliveries/log":
        return f"{path}?origin={office.pair.consumer.origin}"
    if path in ASKED:
        return f"{path}?{ASKED[path]}"
    values = {"{message}": office.message, "{id:int}": "1", "{name}": "dana", "{path:path}": "tile/entries/000.p/1",
              "{token}": office.waiting_file, "{form}": "zip"}  # fmt: skip
    values |= {"{id}": CARD.id if path.startswith("/console/ai/") else "1", "{table}": "objects"}
    for place, value in values.items():
        path = path.replace(place, value)
    assert "{" not in path, "a place without a value: fill it in here"
    return path


def refused(reply: Reply) -> bool:
    return reply.status == 403


def test_every_route_has_a_row(office: HubOffice) -> None:
    """And each page is guarded by the scope that stands here."""
    assert {(method, path): scope for method, path, scope in office.site.matrix()} == PAGES | API
    assert set(describe_routes(office.site.routes)) == OPEN | OWN | GUARDED.keys()


def test_every_role_has_the_scopes_that_are_meant() -> None:
    """The table says what this test says."""
    assert {role: set(scopes) for role, scopes in HUB_ROLES.items()} == ALLOWED


@pytest.mark.parametrize("role", ["nobody", *HOLDERS])
def test_each_role_reads_its_own(office: HubOffice, visitors: dict[str, Visitor], role: str) -> None:
    """Every page in the three languages: shown or refused, never a failure."""
    for (method, path), scope in PAGES.items():
        if method == "GET":
            where = filled(office, path)
            for language in ("kk", "ru", "en") if role == "auditor" else ("kk",):
                reply = visitors[role].get(f"{where}{'&' if '?' in where else '?'}lang={language}")
                assert refused(reply) is not allowed(HUB_ROLES, role, scope), (role, path, reply.status)
                expected = {404, 403} if path.endswith(".pdf") else {200, 403}
                assert reply.status in expected, (path, reply.status, reply.body[:500])
                assert reply.headers["cache-control"] == "no-store"
    reply = visitors[role].get(filled(office, "/admin-log/{path:path}"))
    assert refused(reply) is not allowed(HUB_ROLES, role, "acts:read")
    assert reply.status < 500


def test_a_visitor_is_asked_to_sign_in(office: HubOffice, visitors: dict[str, Visitor]) -> None:
    """Pages lead there and back again; forms and files are refused."""
    for method, path in GUARDED:
        where = filled(office, path)
        reply = visitors[""].get(where) if method == "GET" else Visitor(office.app).send(method, where)
        if method == "GET" and path.startswith("/console"):
            assert reply.status == 303, path
            assert reply.headers["location"].startswith("/sign-in?")
        else:
            assert reply.status in {401, 403}, (method, path, reply.status)


@pytest.mark.parametrize("role", ["nobody", *HOLDERS])
def test_nothing_changes_without_the_forms_token(office: HubOffice, visitors: dict[str, Visitor], role: str) -> None:
    """A cookie alone changes nothing; with the token each role changes its own, and from a foreign page nobody."""
    csrf = visitors[role].get("/account").csrf
    for (method, path), scope in PAGES.items():
        if method == "GET":
            continue
        where = filled(office, path)
        assert visitors[role].submit(where, {}).status == 403
        assert visitors[role].submit(where, {"csrf": csrf}, {"origin": "https://evil.example"}).status == 403
        reply = visitors[role].submit(where, {"csrf": csrf})
        assert refused(reply) is not allowed(HUB_ROLES, role, scope), (role, path, reply.status)
        assert reply.status < 500


def test_pages_may_not_be_framed_and_have_no_script_or_style_in_them(
    office: HubOffice, visitors: dict[str, Visitor]
) -> None:
    """On pages, problems and files alike; another host's name is not answered."""
    for method, path in PAGES:
        if method == "GET":
            reply = visitors["auditor"].get(filled(office, path))
            assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
            assert b"<script" not in re.sub(rb'<script src="/static/[\w./-]+" defer></script>', b"", reply.body)
            assert b"style=" not in reply.body
    assert visitors["auditor"].get("/console/", {"host": "evil.example"}).status == 421
