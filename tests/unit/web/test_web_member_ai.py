"""The member's pages of AI without a browser: from a draft to a key that is shown once, and what its calls cost."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert

from databases import database_at
from member_office import ADMIN, CODES_NAMES, HOLDERS, MEMBER, MemberOffice
from people_console import PASSWORD, Visitor
from qaztech.ai.gateway.budgeting import month_of
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.tables import AI_GATEWAY, calls
from qaztech.ai.office import GatewayBooks
from qaztech.ai.register.card import Card, Words
from qaztech.ai.register.service import RegisterService
from qaztech.ai.register.store import METADATA as CARDS
from qaztech.ai.register.store import CardStore, Origin
from qaztech.ai.terms import day_of
from qaztech.core.ids import SubsystemId
from qaztech.member.console import CONSOLE_ROLES
from qaztech.runtime.database import add_tables, open_database
from qaztech.testing import ai_service
from qaztech.web.member_ai_form import card_of, rows_of, values_of
from registry_country import Country, quick_folder

SYSTEM = SubsystemId(MEMBER, "codes")


class DirectRegister:
    """The register without exchanges: the real service over a real store."""

    def __init__(self, store: CardStore, clock: Any) -> None:
        self.store = store
        self._service = RegisterService(store, clock)

    def cards(self) -> Any:
        return self._service.cards(MEMBER)

    def card(self, identifier: str) -> Any:
        return self._service.card(MEMBER, identifier)

    def draft(self, card: Card, version: int = 0) -> Any:
        body = json.dumps({"card": json.loads(_encode(card)), "version": version}).encode()
        return self._service.draft(SYSTEM, "m", card.id, body)

    def act(self, identifier: str, act: str, reason: str, version: int) -> Any:
        body = json.dumps({"act": act, "reason": reason, "version": version}).encode()
        return self._service.act(SYSTEM, "m", identifier, body)


def _encode(card: Card) -> bytes:
    from qaztech.ai.register.card import card_bytes

    return card_bytes(card)


@pytest.fixture(scope="module")
def office() -> Iterator[MemberOffice]:
    """A member with a system, the register and the books of a gateway."""
    with quick_folder() as folder:
        country = Country(folder)
        (folder / "member").mkdir()
        cards = open_database(database_at(folder / "hub.db"), CARDS)
        add_tables(cards, CARDS)
        books = open_database(database_at(folder / "gateway.db"), AI_GATEWAY)
        add_tables(books, AI_GATEWAY)
        office = MemberOffice(
            country, folder / "member", register=DirectRegister(CardStore(cards, country.clock), country.clock),
            books=GatewayBooks(engine=books, models=("steppe-echo", "other"), address="http://127.0.0.1:8430/v1"),
        )  # fmt: skip
        office.console.services.add_system("codes", CODES_NAMES, ADMIN)
        yield office
        office.close()
        cards.dispose()
        books.dispose()
        country.close()


@pytest.fixture(scope="module")
def people(office: MemberOffice) -> dict[str, Visitor]:
    """One of each role."""
    found = {}
    for role, name in HOLDERS.items():
        found[role] = Visitor(office.site.app)
        assert found[role].sign_in(name, PASSWORD).status == 303
    return found


def sent(visitor: Visitor, path: str, fields: dict[str, str]) -> Any:
    return visitor.submit(f"{path}?lang=en", {"csrf": visitor.get("/account").csrf, **fields})


def books(office: MemberOffice) -> Any:
    return office.site.ai.gateway.engine  # type: ignore[union-attr]


def plain(card: Card) -> dict[str, str]:
    return {path: texts[0] for path, texts in values_of(card).items()}


def the_card(office: MemberOffice) -> Card:
    return ai_service._card(SYSTEM, office.clock)


def test_a_card_goes_through_its_form_unchanged(office: MemberOffice) -> None:
    """What the form shows of a card is the card that it makes; there are rows to spare."""
    card, today = the_card(office), day_of(office.clock.now())
    assert card_of(values_of(card), MEMBER, today) == (card, {})
    assert rows_of(values_of(card), 3)["models"] == range(len(card.models) + 4)


def test_all_that_is_wrong_is_told_at_once(office: MemberOffice) -> None:
    """By field; an entry that was begun needs what entries need."""
    values = values_of(the_card(office)) | {
        "models.0.residency": ["kz"], "documents.0.day": ["2026-13-01"], "human_review.address": ["me"],
        "data.7.maker": ["x"], "names.kk": ["a\u200bb"], "prohibited.manipulation.found": [""],
        "evaluation.0.value": ["much"], "risk": ["huge"], "object": ["x" * 101], "system": [""],
    }  # fmt: skip
    card, wrong = card_of(values, MEMBER, day_of(office.clock.now()))
    assert card is None
    assert wrong == {
        "models.0.residency": "form", "documents.0.day": "form", "human_review.address": "address",
        "data.7.name": "required", "data.7.use": "required", "data.7.data_class": "required", "names.kk": "character",
        "prohibited.manipulation.found": "required", "evaluation.0.value": "form", "risk": "form", "object": "long",
        "system": "required",
    }  # fmt: skip
    late = values_of(the_card(office)) | {"risk_review": ["2999-01-01"]}
    assert card_of(late, MEMBER, day_of(office.clock.now())) == (None, {"risk_review": "future"})


def test_from_a_draft_to_a_key(office: MemberOffice, people: dict[str, Visitor]) -> None:
    """A developer writes and declares, the owner serves, the administrator pays and issues; each act is in the log."""
    developer, owner, administrator = (people[role] for role in ("developer", "service-owner", "administrator"))
    fields = plain(the_card(office))
    wrong = sent(developer, "/console/ai/new", {**fields, "human_review.address": "me", "names.kk": "Kept text"})
    assert wrong.status == 400
    assert "Kept text" in wrong.text
    assert 'id="w-human_review.address"' in wrong.text
    assert sent(developer, "/console/ai/new", fields).status == 303
    page = f"/console/ai/cards/{ai_service.CARD}"
    shown = developer.get(f"{page}?lang=en").text
    assert "Declare" in shown
    assert "Retire" not in shown, "that is the service owner's"
    assert sent(developer, f"{page}/declare", {"act": "declare", "version": "1"}).status == 303
    assert sent(developer, f"{page}/declare", {"act": "retire", "version": "2"}).status == 400
    assert sent(developer, f"{page}/service", {"act": "serve", "version": "2"}).status == 403
    early = sent(owner, f"{page}/service", {"act": "serve", "version": "2"})
    assert early.status == 409
    assert "this cannot be done" in early.text
    store = office.site.ai._register.store  # type: ignore[union-attr]
    store.act(ai_service.CARD, "approve", Origin(by="analyst", role="reviewer"), reason="", version=2)
    assert sent(owner, f"{page}/service", {"act": "serve", "version": "3"}).status == 303
    assert "in service" in owner.get("/console/ai?lang=en").text

    assert sent(administrator, "/console/ai/budgets", {"name": "Letters", "kind": "month", "tenge": "x"}).status == 400
    assert (
        sent(administrator, "/console/ai/budgets", {"name": "Letters", "kind": "month", "tenge": "100"}).status == 303
    )
    (budget,) = office.site.ai.budgets()
    form = {
        "name": "Letters", "card": ai_service.CARD, "purpose": "letters", "purpose_text": "Drafts of letters",
        "class": "internal", "handling": "mask", "models": "steppe-echo", "budget": budget.id, "calls": "60",
        "tokens": "10000",
    }  # fmt: skip
    assert sent(developer, "/console/ai/keys/new", form).status == 403
    refused = sent(administrator, "/console/ai/keys/new", {**form, "purpose": "Not a slug"})
    assert refused.status == 400
    assert "Drafts of letters" in refused.text
    issued = sent(administrator, "/console/ai/keys/new", form)
    (shown_key,) = set(re.findall(r"qk-[0-9a-f]{12}-[0-9a-f]{48}", issued.text))
    assert issued.headers["cache-control"] == "no-store"
    key = Keys(books(office), office.clock).find(shown_key)
    assert (key.system, key.card, key.calls_per_minute) == ("codes", ai_service.CARD, 60)
    assert (
        shown_key
        not in administrator.get("/console/ai/keys").text + administrator.get(f"/console/ai/keys/{key.id}").text
    )

    changed = {"models": "other", "calls": "5", "tokens": "100", "budget": budget.id}
    assert sent(administrator, f"/console/ai/keys/{key.id}", changed).status == 303
    assert office.site.ai.key(key.id).models == {"other"}
    assert sent(administrator, f"/console/ai/keys/{key.id}/revoke", {}).status == 400
    assert sent(administrator, f"/console/ai/keys/{key.id}/revoke", {"sure": "yes"}).status == 303
    assert office.site.ai.key(key.id).revoked is not None
    assert sent(administrator, f"/console/ai/budgets/{budget.id}", {"tenge": "7"}).status == 303

    log = administrator.get("/console/log?lang=en").text
    acts = {each.act.act: each.act for each in office.log.acts(limit=200) if each.act is not None}
    assert {
        "ai-card.draft", "ai-card.declare", "ai-card.serve", "ai-card.serve.failed", "ai-budget.create",
        "ai-budget.change", "ai-key.issue", "ai-key.change", "ai-key.revoke",
    } <= acts.keys()  # fmt: skip
    assert acts["ai-key.change"].before == {
        "models": ["steppe-echo"], "calls_per_minute": 60, "tokens_per_minute": 10000, "budget": budget.id,
    }  # fmt: skip
    assert shown_key[16:] not in log + str(acts)


def test_usage_calls_and_statement(office: MemberOffice, people: dict[str, Visitor]) -> None:
    """Sums, single calls and the month's total, in pages and files; another member's calls are nowhere."""
    now = office.clock.now()
    budget = office.site.ai.create_budget(name="Second", kind="total", tenge=10, by=ADMIN)
    _, key = Keys(books(office), office.clock).issue(
        name="Key of letters", member=MEMBER, system="codes", purpose="letters", purpose_text="x", card="c",
        data_class="internal", models=["steppe-echo"], budget=budget.id, by="test",
    )  # fmt: skip
    row = {
        "key": key.id, "budget": budget.id, "period": "total", "minute": now // 60_000,
        "day": (now + 18_000_000) // 86_400_000, "member": str(MEMBER), "system": "codes", "card": "c",
        "purpose": "letters", "model": "steppe-echo", "deployment": "university", "service": "KZ/EDU/1/models/m",
        "version": "1", "declared": "internal", "class": "personal", "decision": "masked iin:1",
        "prompt_digest": "a" * 64, "answer_digest": "b" * 64, "tokens_reserved": 10, "reserved": 2_500_000,
        "cost": 1_250_000, "prompt_tokens": 100, "completion_tokens": 25, "outcome": "complete", "exchange": "e-1",
        "usage_exchange": "e-2", "told": True, "started": now, "ended": now + 5, "gateway": "g",
    }  # fmt: skip
    with books(office).begin() as db:
        db.execute(insert(calls), [
            {**row, "id": f"0190-{number:04d}", "member": member}
            for number, member in enumerate([str(MEMBER)] * 60 + ["KZ/GOV/other"])
        ])  # fmt: skip
    developer, month = people["developer"], month_of(now)
    for language, total in (("kk", "75 теңге"), ("ru", "75 тенге"), ("en", "75 tenge")):
        assert total in developer.get(f"/console/ai/statement?lang={language}").text
        for by in ("key", "system", "model", "day"):
            page = developer.get(f"/console/ai/usage?by={by}&lang={language}").text
            assert "6000" in page
            assert "style=" not in page
    assert "Key of letters" in developer.get("/console/ai/usage").text
    page = developer.get("/console/ai/calls?lang=en").text
    assert "masked iin:1" in page
    assert "/console/exchanges/e-1?" in page
    assert page.count("/console/exchanges/e-2?") == 50
    (before,) = re.findall(r"before=([0-9-]+)", page)
    assert developer.get(f"/console/ai/calls?before={before}").text.count("/console/exchanges/e-2?") == 10
    lines = list(csv.reader(developer.get(f"/console/ai/statement.csv?month={month}").text.splitlines()))
    assert lines[1][7:] == ["60", "0", "0", "6000", "1500", "75"]
    assert lines[-1][-1] == "75"
    told = developer.get(f"/console/ai/statement.json?month={month}").json()
    assert (told["tenge"], told["micro_tenge"], len(told["each"])) == (75, 75_000_000, 60)
    each = list(csv.DictReader(developer.get(f"/console/ai/calls.csv?month={month}").text.splitlines()))
    assert {(one["usage_exchange"], one["cost"]) for one in each} == {("e-2", "1250000")}
    assert developer.get("/console/ai/statement?month=2026-99").status == 400
    assert developer.get("/console/ai/calls?before=%27").status == 400
    assert "<rect" in developer.get("/console/ai/budgets").text


def test_what_is_typed_by_others_stays_text(office: MemberOffice, people: dict[str, Visitor]) -> None:
    """A card's words are shown as they are written, in the page and in its form."""
    card = Card(id="hostile-card", owner=str(MEMBER), system="codes", names=Words(kk='<b>"x', ru="<i>", en="<u>"))
    assert sent(people["developer"], "/console/ai/new", plain(card)).status == 303
    for path in ("/console/ai", "/console/ai/cards/hostile-card", "/console/ai/cards/hostile-card/edit"):
        text = people["developer"].get(f"{path}?lang=kk").text
        assert "built-in" not in text
        assert "&lt;b&gt;" in text
        assert "<b>" not in text


def test_programs_do_the_same(office: MemberOffice) -> None:
    """By tokens with the pages' scopes: from a card to a key, a budget and a statement."""
    account = office.people.accounts.named("aigerim").id
    scopes = CONSOLE_ROLES["administrator"]
    token, _ = office.people.tokens.create(account, "ai", scopes, office.clock.now() + 86_400_000, by=ADMIN)
    program = Visitor(office.site.app, origin=None)

    def asked(method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {token}"}
        if body is None:
            return program.send(method, f"/api/v1{path}", headers=headers)
        return program.send_json(method, f"/api/v1{path}", body, headers)

    card = json.loads(_encode(the_card(office))) | {"id": "by-program"}
    kept = asked("PUT", "/ai/cards", {"card": card, "version": 0}).json()
    assert (kept["state"], kept["version"]) == ("draft", 1)
    assert asked("POST", "/ai/cards/by-program/declare", {"act": "declare", "version": 1}).json()["state"] == "declared"
    assert asked("POST", "/ai/cards/by-program/service", {"act": "declare", "version": 2}).status == 400
    assert "by-program" in {each["id"] for each in asked("GET", "/ai/cards").json()}
    budget = asked("POST", "/ai/budgets", {"name": "Api", "kind": "total", "tenge": 5}).json()
    assert asked("PUT", f"/ai/budgets/{budget['id']}", {"tenge": 6}).json()["left"] == 6_000_000
    form = {
        "name": "Api", "system": "codes", "card": "by-program", "purpose": "api", "purpose_text": "Api",
        "data_class": "public", "models": ["steppe-echo"], "budget": budget["id"],
    }  # fmt: skip
    assert asked("POST", "/ai/keys", form | {"system": "another"}).status == 409
    assert asked("POST", "/ai/keys", form | {"card": "no-such-card"}).status == 404
    issued = asked("POST", "/ai/keys", form)
    assert issued.status == 201
    key = issued.json()["key"]["id"]
    changed = {"models": ["other"], "calls_per_minute": 1, "tokens_per_minute": 2, "budget": budget["id"]}
    assert asked("PUT", f"/ai/keys/{key}", changed).json()["about"]["models"] == ["other"]
    assert asked("POST", f"/ai/keys/{key}/revoke", {}).json()["revoked_by"] == "aigerim"
    assert issued.json()["shown"] not in asked("GET", "/ai/keys").text
    month = month_of(office.clock.now())
    for path, body in (("/search/ai-usage", {"month": month, "by": ["key"]}), ("/search/ai-calls", {})):
        assert isinstance(asked("POST", path, body).json(), list)
    assert asked("GET", f"/ai/statements/{month}").json()["month"] == month
    assert asked("GET", "/ai/statements/2026-13").status == 400
    assert asked("POST", "/search/ai-usage", {"month": "2026-13", "by": ["day"]}).status == 400
