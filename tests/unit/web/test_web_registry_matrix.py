"""Every route of the registry against everyone who may come: nothing by omission, and no cookie without its form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from people_console import PASSWORD, Visitor
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.oidc import CALLBACK
from qaztech.people.roles import scopes_of
from qaztech.registry.act_service import ActService
from qaztech.registry.enrolments import Enrolments
from qaztech.registry.joining import Joining
from qaztech.registry.scopes import REGISTRY_SCOPES
from qaztech.registry.service import RegistryService
from qaztech.runtime.shell import application
from qaztech.web.headers import Secured
from qaztech.web.sign_in import describe_routes
from registry_country import Country, quick_folder
from registry_office import HOLDERS, Offices, console

TOKEN = "operator's token"
# What each route asks for: nothing, to be signed in, or a scope. A route without a row fails the test below.
OPEN = {
    ("GET", "/registry/metadata/{name}"), ("GET", "/registry/targets/{path:path}"),
    ("GET", "/registry/descriptions/{name}"), ("GET", "/registry/snapshots/{version:int}/proof"),
    ("GET", "/registry/admin-log/acts"), ("GET", "/registry/admin-log/proofs/{index:int}"),
    ("GET", "/registry/log/{path:path}"), ("GET", "/anchor"), ("GET", "/directory"), ("GET", "/health"),
    ("POST", "/certificates/renew"), ("POST", "/witness/add-checkpoint"), ("GET", "/witness/{log}/checkpoint"),
    ("GET", "/static/{path:path}"), ("GET", "/console"), ("GET", "/sign-in"), ("POST", "/sign-in"),
    ("GET", "/sign-in/oidc"), ("GET", CALLBACK),
    ("POST", "/api/session"), ("POST", "/api/session/passkey/begin"), ("POST", "/api/session/passkey/finish"),
    ("GET", "/api/openapi.json"),
    # What is sent there carries its own proof.
    ("POST", "/members/applications"), ("GET", "/members/applications/{id}"),
    ("POST", "/members/applications/{id}/withdraw"), ("POST", "/members/files"), ("POST", "/members/showcases"),
    ("POST", "/nodes/grants"),
    ("GET", "/nodes/grants/{token}"), ("POST", "/nodes/enrolments"),
}  # fmt: skip
OWN = {
    ("POST", "/sign-out"), ("GET", "/api/session"), ("DELETE", "/api/session"), ("GET", "/account"),
    ("POST", "/account/password"), ("POST", "/account/tokens"), ("POST", "/account/tokens/remove"),
    ("POST", "/account/passkeys/remove"), ("POST", "/account/passkeys/begin"), ("POST", "/account/passkeys/finish"),
    ("POST", "/account/sessions/end"),
}  # fmt: skip
MANAGEMENT = {
    ("GET", "/manage/status"): "status:read",
    ("GET", "/manage/acts"): "acts:read",
    ("GET", "/manage/applications"): "applications:read",
    ("GET", "/manage/applications/{id}"): "applications:read",
    ("POST", "/manage/applications/{id}"): "applications:write",
    ("POST", "/manage/members"): "members:write",
    ("POST", "/manage/member-files"): "members:write",
    ("POST", "/manage/rights-pages"): "members:write",
    ("POST", "/manage/suspend"): "members:write",
    ("POST", "/manage/certificates"): "certificates:write",
    ("POST", "/manage/revoke-tls"): "certificates:write",
}
PAGES = {
    ("GET", "/console/"): "status:read",
    ("GET", "/console/snapshot"): "status:read",
    ("GET", "/console/applications"): "applications:read",
    ("GET", "/console/applications/{id}"): "applications:read",
    ("POST", "/console/applications/{id}"): "applications:write",
    ("GET", "/console/members"): "members:read",
    ("GET", "/console/members/{kind}/{code}"): "members:read",
    ("GET", "/console/members/{kind}/{code}/standing"): "members:write",
    ("POST", "/console/members/{kind}/{code}/standing"): "members:write",
    ("GET", "/console/keys"): "certificates:read",
    ("GET", "/console/keys/revoke"): "certificates:write",
    ("POST", "/console/keys/revoke"): "certificates:write",
    ("GET", "/console/acts"): "acts:read",
    ("GET", "/console/people"): "people:read",
    ("POST", "/console/people"): "people:write",
    ("POST", "/console/people/{name}"): "people:write",
    ("GET", "/admin-log/{path:path}"): "acts:read",
}
SCOPED = MANAGEMENT | PAGES
ALLOWED = {
    "registry-operator": {
        "status:read", "members:read", "members:write", "applications:read", "applications:write", "acts:read",
        "certificates:read", "certificates:write", "people:read", "people:write",
    },
    "auditor": {
        "status:read", "members:read", "applications:read", "acts:read", "certificates:read", "people:read",
    },
    "analyst": {"status:read", "members:read", "certificates:read"},
}  # fmt: skip


@pytest.fixture(scope="module")
def offices() -> Iterator[Offices]:
    """A registry with one member and one application."""
    with quick_folder() as folder:
        country = Country(folder)
        country.admit(country.new_member(1, "provider"))
        offices = Offices(country)
        offices.apply(country.new_member(2, "second"))
        yield offices
        offices.close()
        country.close()


@pytest.fixture(scope="module")
def routes(offices: Offices) -> list[Any]:
    """Everything the registry's process serves."""
    country = offices.country
    acts = ActService(offices.log, witnessed=lambda: b"")
    more = [*acts.routes(), *offices.management(token=TOKEN).routes(), *console(offices)]
    service = RegistryService(
        publisher=country.publisher, store=country.store, published=country.published, anchor=country.anchor_bytes,
        log=country.log, witnessed=country.witnessed_note, witness=None, authority=None, clock=country.clock, more=more,
        joining=Joining(
            applications=offices.applications, publisher=country.publisher, clock=country.clock,
            enrolments=Enrolments(
                engine=offices.engine, registry=country.registry, authority=None, clock=country.clock
            ),
        ),
    )  # fmt: skip
    return service.routes()


@pytest.fixture(scope="module")
def app(routes: list[Any]) -> Any:
    """The registry's process."""
    return Secured(application(routes))


def path_of(offices: Offices, path: str) -> str:
    """A path with what there is in its places."""
    member = next(iter(offices.country.members.values())).id
    application_id = offices.applications.newest()[0].id
    found = path.replace("{id}", application_id).replace("{kind}", member.member_class).replace("{code}", member.code)
    return found.replace("{name}", "dana").replace("{path:path}", "tile/0/000.p/1")


def test_every_route_has_a_row(routes: list[Any]) -> None:
    """And no row is without a route, but for those of a provider of identities, which not every registry has."""
    found = set(describe_routes(routes))
    rows = OPEN | OWN | SCOPED.keys()
    assert found - rows == set(), "routes nobody has thought about"
    assert rows - found == {("GET", "/sign-in/oidc"), ("GET", CALLBACK)}


def test_every_role_has_the_scopes_that_are_meant() -> None:
    """The table says what this test says."""
    assert {role: set(scopes_of(REGISTRY_SCOPES, [role])) for role in REGISTRY_SCOPES} == ALLOWED


@pytest.mark.parametrize("role", [*ALLOWED, "nobody"])
def test_every_role_comes_to_every_route(app: Any, offices: Offices, role: str) -> None:
    """By session: allowed or refused as the table says, reading and deciding, by page and by API.

    What is allowed is sent without what it needs, so that it is refused for that and changes nothing.
    """
    if role == "nobody" and not any(a.name == "nobody" for a in offices.people.accounts.all()):
        offices.people.accounts.add("nobody", "Nobody", [], PASSWORD, by=COMMAND_LINE)
    visitor = Visitor(app)
    assert visitor.sign_in(HOLDERS.get(role, role), PASSWORD).status == 303
    csrf = visitor.get("/api/session").json()["csrf"]
    for (method, path), scope in SCOPED.items():
        where = path_of(offices, path)
        reply = visitor.get(where) if method == "GET" else visitor.submit(where, {"csrf": csrf})
        may = scope in ALLOWED.get(role, set())
        assert (reply.status != 403) == may, (method, path, reply.status, reply.text[:300])
        if may:
            assert reply.status < 500, (method, path, reply.text[:300])


@pytest.mark.parametrize("role", ALLOWED)
def test_every_role_comes_to_the_api_by_token(app: Any, offices: Offices, role: str) -> None:
    """A token with all its owner's scopes may what the owner may; one with a single scope that and no more."""
    account = offices.people.accounts.named(HOLDERS[role])
    day = offices.clock.now() + 86_400_000
    whole, _ = offices.people.tokens.create(account.id, "whole", ALLOWED[role], day, by=COMMAND_LINE)
    narrow, _ = offices.people.tokens.create(account.id, "narrow", {"status:read"}, day, by=COMMAND_LINE)
    for secret, scopes in ((whole, ALLOWED[role]), (narrow, {"status:read"})):
        # From anywhere: it is the operator's token that is for this machine only.
        program, bearer = Visitor(app, address="192.0.2.7", origin=None), {"authorization": f"Bearer {secret}"}
        for (method, path), scope in MANAGEMENT.items():
            reply = program.send(method, path_of(offices, path), b"{}" if method == "POST" else b"", bearer)
            assert (reply.status != 403) == (scope in scopes), (method, path, reply.status)


def test_the_operators_token_may_everything_of_the_api_and_nothing_of_the_pages(app: Any, offices: Offices) -> None:
    """From this machine; a page knows no bearer of it."""
    program, bearer = Visitor(app, origin=None), {"authorization": f"Bearer {TOKEN}"}
    far = Visitor(app, origin=None, address="192.0.2.7")
    for method, path in MANAGEMENT:
        body = b"{}" if method == "POST" else b""
        assert program.send(method, path_of(offices, path), body, bearer).status in {200, 400, 409}
        assert far.send(method, path_of(offices, path), body, bearer).status == 403
    for method, path in PAGES:
        assert program.send(method, path_of(offices, path), b"", bearer).status == 401


def test_a_visitor_is_asked_to_sign_in(app: Any, offices: Offices) -> None:
    """Pages send there and back again; the API and forms are refused."""
    for method, path in [*SCOPED, *OWN]:
        where = path_of(offices, path)
        reply = Visitor(app).get(where) if method == "GET" else Visitor(app).send(method, where)
        if method == "GET" and path.startswith(("/console", "/account")):
            assert reply.status == 303, (method, path)
            assert reply.headers["location"].startswith("/sign-in?")
        elif path != "/sign-out":
            assert reply.status in {401, 403}, (method, path, reply.status)


def test_a_cookie_alone_changes_nothing(app: Any, offices: Offices) -> None:
    """Without the form's own token, or from a page of somebody else, every change is refused."""
    visitor = Visitor(app)
    visitor.sign_in(HOLDERS["registry-operator"], PASSWORD)
    csrf = visitor.get("/api/session").json()["csrf"]
    for method, path in SCOPED:
        if method == "POST":
            where = path_of(offices, path)
            assert visitor.submit(where, {}).status == 403, path
            assert visitor.submit(where, {"csrf": "0" * 64}).status == 403, path
            assert visitor.submit(where, {"csrf": csrf}, {"origin": "https://evil.example"}).status == 403, path
            assert visitor.submit(where, {"csrf": csrf}, {"sec-fetch-site": "cross-site"}).status == 403, path
    assert offices.log.acts() == []


def test_no_page_can_be_framed_and_none_is_kept(app: Any, offices: Offices) -> None:
    """Clickjacking, foreign scripts, the back button after signing out."""
    visitor = Visitor(app)
    visitor.sign_in(HOLDERS["registry-operator"], PASSWORD)
    for method, path in [*PAGES, ("GET", "/sign-in"), ("GET", "/account")]:
        if method == "GET" and not path.startswith("/admin-log"):
            reply = visitor.get(path_of(offices, path))
            if reply.status == 303:
                continue
            assert "frame-ancestors 'none'" in reply.headers["content-security-policy"], path
            assert "default-src 'none'" in reply.headers["content-security-policy"]
            assert reply.headers["x-frame-options"] == "DENY"
            assert reply.headers["cache-control"] == "no-store"
            assert "<script" not in reply.text or "/static/passkeys.js" in reply.text
            assert "style=" not in reply.text


def test_a_session_that_was_planted_is_worth_nothing(app: Any) -> None:
    """Fixation: what a browser brings is not what it has after signing in."""
    visitor = Visitor(app)
    visitor.cookies["qaztech-8410"] = "A" * 43
    visitor.sign_in(HOLDERS["auditor"], PASSWORD)
    assert visitor.cookies["qaztech-8410"] != "A" * 43
    planted = Visitor(app)
    planted.cookies["qaztech-8410"] = "A" * 43
    assert planted.get("/console/").status == 303
