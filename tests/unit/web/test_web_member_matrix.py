"""Every route of a member's console against everyone who may come: nothing by omission, no cookie without its form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from member_office import ADMIN, HOLDERS, SECRET, MemberOffice
from people_console import PASSWORD, Reply, Visitor
from qaztech.member.console import CONSOLE_ROLES
from qaztech.people.roles import allowed
from qaztech.web.member_description import description_of
from qaztech.web.sign_in import describe_routes
from registry_country import Country, quick_folder

ROOT = Path(__file__).parents[3]
OPEN = {
    ("GET", "/"), ("GET", "/health"), ("GET", "/static/{path:path}"), ("GET", "/api/v1/openapi.json"),
    ("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/api/session"), ("POST", "/api/session/passkey/begin"),
    ("POST", "/api/session/passkey/finish"),
}  # fmt: skip
OWN = {
    ("POST", "/sign-out"), ("GET", "/api/session"), ("DELETE", "/api/session"), ("GET", "/account"),
    ("POST", "/account/password"), ("POST", "/account/tokens"), ("POST", "/account/tokens/remove"),
    ("POST", "/account/passkeys/remove"), ("POST", "/account/passkeys/begin"), ("POST", "/account/passkeys/finish"),
    ("POST", "/account/sessions/end"),
}  # fmt: skip
# The node's: known by the unguessable part of the address.
EXCHANGES = {
    ("POST", "/exchanges/{secret}"), ("GET", "/exchanges/{secret}/{id}"),
    ("POST", "/exchanges/{secret}/{id}/withdrawal"),
}  # fmt: skip
SERVICE = "/console/services/{subsystem}/{code}"
PAGES = {
    ("GET", "/console/"): "overview:read",
    ("GET", "/console/services"): "services:read",
    ("GET", "/console/services/new"): "services:write",
    ("POST", "/console/services/new"): "services:write",
    ("GET", "/console/drafts/{id}"): "services:write",
    ("POST", "/console/drafts/{id}"): "services:write",
    ("POST", "/console/systems"): "services:write",
    ("GET", SERVICE): "services:read",
    ("GET", f"{SERVICE}/passport"): "services:write",
    ("POST", f"{SERVICE}/passport"): "services:write",
    ("POST", f"{SERVICE}/description"): "services:write",
    ("POST", f"{SERVICE}/disable"): "services:write",
    ("POST", f"{SERVICE}/enable"): "services:write",
    ("POST", f"{SERVICE}/maintenance"): "services:write",
    ("POST", f"{SERVICE}/maintenance/cancel"): "services:write",
    ("GET", "/console/access"): "access:read",
    ("POST", "/console/access/publish"): "access:write",
    ("GET", "/console/access/{id}"): "access:read",
    ("POST", "/console/access/{id}/approve"): "access:write",
    ("POST", "/console/access/{id}/refuse"): "access:write",
    ("POST", "/console/access/{id}/revoke"): "access:write",
    ("GET", "/console/requests"): "requests:read",
    ("GET", "/console/requests/new"): "requests:write",
    ("POST", "/console/requests/new"): "requests:write",
    ("GET", "/console/requests/{id}"): "requests:read",
    ("POST", "/console/requests/{id}/poll"): "requests:write",
    ("POST", "/console/requests/{id}/send"): "requests:write",
    ("POST", "/console/requests/{id}/withdraw"): "requests:write",
    ("GET", "/console/rights"): "rights:read",
    ("GET", "/console/rights/new"): "rights:write",
    ("POST", "/console/rights/new"): "rights:write",
    ("GET", "/console/rights/revoke"): "rights:write",
    ("POST", "/console/rights/revoke"): "rights:write",
    ("GET", "/console/nodes"): "nodes:read",
    ("POST", "/console/nodes/grant"): "nodes:write",
    ("POST", "/console/nodes/accept"): "nodes:write",
    ("GET", "/console/anchor.json"): "exchanges:read",
    ("GET", "/console/exchanges"): "exchanges:read",
    ("GET", "/console/exchanges/{message}"): "exchanges:read",
    ("GET", "/console/exchanges/{message}/receipt.json"): "exchanges:read",
    ("GET", "/console/exchanges/{message}/receipt.html"): "exchanges:read",
    ("GET", "/console/centre"): "exchanges:read",
    ("GET", "/console/ai"): "ai:read",
    ("GET", "/console/ai/new"): "ai-cards:write",
    ("POST", "/console/ai/new"): "ai-cards:write",
    ("GET", "/console/ai/cards/{id}"): "ai:read",
    ("GET", "/console/ai/cards/{id}/edit"): "ai-cards:write",
    ("POST", "/console/ai/cards/{id}/edit"): "ai-cards:write",
    ("POST", "/console/ai/cards/{id}/declare"): "ai-cards:write",
    ("POST", "/console/ai/cards/{id}/service"): "ai-service:write",
    ("GET", "/console/ai/keys"): "ai:read",
    ("GET", "/console/ai/keys/new"): "ai-keys:write",
    ("POST", "/console/ai/keys/new"): "ai-keys:write",
    ("GET", "/console/ai/keys/{id}"): "ai:read",
    ("POST", "/console/ai/keys/{id}"): "ai-keys:write",
    ("POST", "/console/ai/keys/{id}/revoke"): "ai-keys:write",
    ("GET", "/console/ai/budgets"): "ai:read",
    ("POST", "/console/ai/budgets"): "ai-keys:write",
    ("POST", "/console/ai/budgets/{id}"): "ai-keys:write",
    ("GET", "/console/ai/usage"): "ai:read",
    ("GET", "/console/ai/calls"): "ai:read",
    ("GET", "/console/ai/calls.csv"): "ai:read",
    ("GET", "/console/ai/statement"): "ai:read",
    ("GET", "/console/ai/statement.csv"): "ai:read",
    ("GET", "/console/ai/statement.json"): "ai:read",
    ("GET", "/console/joining"): "member:read",
    ("POST", "/console/joining/key"): "member:write",
    ("POST", "/console/joining/apply"): "member:write",
    ("POST", "/console/joining/submit"): "member:write",
    ("POST", "/console/joining/renew"): "member:write",
    ("GET", "/console/key"): "member:write",
    ("POST", "/console/key"): "member:write",
    ("GET", "/console/people"): "people:read",
    ("POST", "/console/people"): "people:write",
    ("POST", "/console/people/{name}/roles"): "people:write",
    ("POST", "/console/people/{name}/disabled"): "people:write",
    ("POST", "/console/people/{name}/password"): "people:write",
    ("GET", "/console/log"): "log:read",
    ("GET", "/console/log/tiles/{path:path}"): "log:read",
}
API = {
    ("GET", "/api/v1/member"): "member:read",
    ("POST", "/api/v1/member/submit"): "member:write",
    ("POST", "/api/v1/member/rotate-key"): "member:write",
    ("GET", "/api/v1/services"): "services:read",
    ("PUT", "/api/v1/services"): "services:write",
    ("POST", "/api/v1/services/notice"): "services:write",
    ("POST", "/api/v1/services/maintenance"): "services:write",
    ("PUT", "/api/v1/systems"): "services:write",
    ("GET", "/api/v1/access"): "access:read",
    ("GET", "/api/v1/access/{id}"): "access:read",
    ("POST", "/api/v1/access/{id}/decision"): "access:write",
    ("GET", "/api/v1/requests"): "requests:read",
    ("POST", "/api/v1/requests"): "requests:write",
    ("GET", "/api/v1/requests/{id}"): "requests:read",
    ("POST", "/api/v1/requests/{id}/poll"): "requests:write",
    ("POST", "/api/v1/requests/{id}/send"): "requests:write",
    ("POST", "/api/v1/requests/{id}/withdraw"): "requests:write",
    ("GET", "/api/v1/rights"): "rights:read",
    ("PUT", "/api/v1/rights"): "rights:write",
    ("POST", "/api/v1/rights/revoke"): "rights:write",
    ("GET", "/api/v1/nodes"): "nodes:read",
    ("POST", "/api/v1/nodes/grants"): "nodes:write",
    ("POST", "/api/v1/nodes/accept"): "nodes:write",
    ("GET", "/api/v1/exchanges"): "exchanges:read",
    ("POST", "/api/v1/search/exchanges"): "exchanges:read",
    ("GET", "/api/v1/exchanges/{message}"): "exchanges:read",
    ("GET", "/api/v1/exchanges/{message}/receipt"): "exchanges:read",
    ("GET", "/api/v1/ai/cards"): "ai:read",
    ("PUT", "/api/v1/ai/cards"): "ai-cards:write",
    ("GET", "/api/v1/ai/cards/{id}"): "ai:read",
    ("POST", "/api/v1/ai/cards/{id}/declare"): "ai-cards:write",
    ("POST", "/api/v1/ai/cards/{id}/service"): "ai-service:write",
    ("GET", "/api/v1/ai/keys"): "ai:read",
    ("POST", "/api/v1/ai/keys"): "ai-keys:write",
    ("GET", "/api/v1/ai/keys/{id}"): "ai:read",
    ("PUT", "/api/v1/ai/keys/{id}"): "ai-keys:write",
    ("POST", "/api/v1/ai/keys/{id}/revoke"): "ai-keys:write",
    ("GET", "/api/v1/ai/budgets"): "ai:read",
    ("POST", "/api/v1/ai/budgets"): "ai-keys:write",
    ("PUT", "/api/v1/ai/budgets/{id}"): "ai-keys:write",
    ("POST", "/api/v1/search/ai-usage"): "ai:read",
    ("POST", "/api/v1/search/ai-calls"): "ai:read",
    ("GET", "/api/v1/ai/statements/{month}"): "ai:read",
    ("GET", "/api/v1/people"): "people:read",
    ("GET", "/api/v1/log"): "log:read",
}
GUARDED = PAGES | API


@pytest.fixture(scope="module")
def office() -> Iterator[MemberOffice]:
    """A member's console, in front of which everybody comes."""
    with quick_folder() as folder:
        country = Country(folder)
        (folder / "member").mkdir()
        office = MemberOffice(country, folder / "member")
        yield office
        office.close()
        country.close()


@pytest.fixture(scope="module")
def visitors(office: MemberOffice) -> dict[str, Visitor]:
    """One of each role, one without any, and a stranger."""
    found = {"": Visitor(office.site.app)}
    for role, name in [*HOLDERS.items(), ("nobody", "nobody")]:
        found[role] = Visitor(office.site.app)
        assert found[role].sign_in(name, PASSWORD).status == 303
    return found


@pytest.fixture(scope="module")
def tokens(office: MemberOffice) -> dict[str, str]:
    """An API token of each role with all its scopes."""
    people = office.people
    until = office.clock.now() + 24 * 3600 * 1000
    return {
        role: people.tokens.create(people.accounts.named(name).id, "t", CONSOLE_ROLES[role], until, by=ADMIN)[0]
        for role, name in HOLDERS.items()
    }


def filled(path: str) -> str:
    """A path with something in the place of its parameters."""
    return re.sub(r"\{\w+(?::path)?\}", "x", path)


def refused(reply: Reply) -> bool:
    """Whether the gate did not let this pass."""
    return reply.status in {401, 403} or (
        reply.status == 303 and reply.headers.get("location", "").startswith("/sign-in")
    )  # fmt: skip


def test_every_route_has_a_row(office: MemberOffice) -> None:
    """A route nobody thought of fails here; so does a row without a route."""
    assert set(describe_routes(office.site.routes)) == OPEN | OWN | EXCHANGES | GUARDED.keys()
    assert {(method, path): scope for method, path, scope in office.site.matrix()} == GUARDED


@pytest.mark.parametrize("role", ["", "nobody", *HOLDERS])
def test_each_role_sees_its_own(office: MemberOffice, visitors: dict[str, Visitor], role: str) -> None:
    """By the table of scopes and by nothing else, for every route that only looks."""
    for (method, path), scope in GUARDED.items():
        if method == "GET":
            reply = visitors[role].get(filled(path))
            assert refused(reply) is not allowed(CONSOLE_ROLES, role, scope), (role, path, reply.status)
            assert reply.status < 500 or reply.status == 503, (path, reply.text)


@pytest.mark.parametrize("role", ["", "nobody", *HOLDERS])
def test_nothing_changes_without_the_forms_token(visitors: dict[str, Visitor], role: str) -> None:
    """A cookie alone changes nothing, whoever's it is."""
    for method, path in [key for key in GUARDED if key[0] != "GET"]:
        reply = visitors[role].submit(filled(path), {"sure": "yes"})
        if method == "PUT":
            reply = visitors[role].send_json("PUT", filled(path), {})
        assert reply.status in {401, 403}, (role, path, reply.status)


@pytest.mark.parametrize("role", list(HOLDERS))
def test_each_role_changes_its_own(office: MemberOffice, tokens: dict[str, str], role: str) -> None:
    """With a token, in every route that changes something: refused by scope, or what it was sent is looked at."""
    caller = Visitor(office.site.app)
    for (method, path), scope in API.items():
        if method != "GET" and path not in {"/api/v1/member/rotate-key", "/api/v1/member/submit"}:
            reply = caller.send_json(method, filled(path), {"none": 1}, {"authorization": f"Bearer {tokens[role]}"})
            expected = {400} if allowed(CONSOLE_ROLES, role, scope) else {403}
            assert reply.status in expected, (role, path, reply.status, reply.text)


@pytest.mark.parametrize("role", ["nobody", *HOLDERS])
def test_each_role_sends_its_own_forms(visitors: dict[str, Visitor], role: str) -> None:
    """With the form's token: what the role does not have is refused, the rest gets as far as what was filled in."""
    csrf = visitors[role].get("/account").csrf
    for (method, path), scope in PAGES.items():
        if method == "POST":
            reply = visitors[role].submit(filled(path), {"csrf": csrf})
            assert refused(reply) is not allowed(CONSOLE_ROLES, role, scope), (role, path, reply.status)
            assert reply.status < 500 or reply.status in {502, 503}, (path, reply.text)


def test_a_foreign_page_cannot_send_a_form(office: MemberOffice, visitors: dict[str, Visitor]) -> None:
    """Not even with the right token in it: the browser says where it comes from."""
    visitor = visitors["administrator"]
    csrf = visitor.get("/console/services").csrf
    form = {"csrf": csrf, "code": "evil", "names.kk": "x", "names.ru": "x", "names.en": "x"}
    assert visitor.submit("/console/systems", form, {"origin": "https://evil.example"}).status == 403
    assert office.console.work.file().statement.subsystems == ()


def test_pages_may_not_be_framed_and_fetch_nothing_from_elsewhere(visitors: dict[str, Visitor]) -> None:
    """On pages, problems and files alike; another host's name is not answered."""
    visitor = visitors["administrator"]
    for path in ("/console/", "/console/access/none", "/static/member.css", "/sign-in"):
        headers = visitor.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
    assert visitor.get("/console/", {"host": "evil.example"}).status == 421


def test_nobody_gives_themselves_a_role_or_locks_themselves_out(visitors: dict[str, Visitor]) -> None:
    """Another administrator does."""
    visitor = visitors["administrator"]
    csrf = visitor.get("/console/people").csrf
    for path, form in (("roles", {"role": "developer"}), ("disabled", {"disabled": "yes"}), ("password", {})):
        assert visitor.submit(f"/console/people/aigerim/{path}", {"csrf": csrf, **form}).status == 409


def test_the_nodes_address_is_known_by_its_secret(office: MemberOffice) -> None:
    """Another path leads nowhere, and says no more than any other that leads nowhere."""
    node = Visitor(office.site.app, origin=None)
    assert node.send("POST", "/exchanges/" + "x" * 43, b"{}").status == 404
    assert node.send("POST", f"/exchanges/{SECRET}", b"{}").json()["code"] == "access.carried"


def test_the_description_is_what_is_served(office: MemberOffice) -> None:
    """Kept in the reference, made from the routes, with the scope of each; bodies are those that are read."""
    served = Visitor(office.site.app).get("/api/v1/openapi.json").json()
    kept = json.loads((ROOT / "docs/reference/member-api.json").read_text(encoding="utf-8"))
    assert served == kept == json.loads(json.dumps(description_of(office.site.api.actions, "/api/v1")))
    described: dict[tuple[str, str], Any] = {
        (method.upper(), f"/api/v1{path}"): operation["x-scope"]
        for path, operations in served["paths"].items()
        for method, operation in operations.items()
    }
    assert described == API


def test_the_description_is_sound(office: MemberOffice) -> None:
    """By the same checks that the console makes of its members' own."""
    from qaztech.member.openapi import read_description

    text = (ROOT / "docs/reference/member-api.json").read_bytes()
    assert [f for f in read_description(text).findings if f.severity == "error"] == []
