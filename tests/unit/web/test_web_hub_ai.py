"""Cards of AI systems at the center and for citizens: reviews, filters, what may be read without signing in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

pytest.importorskip("duckdb")

from ai_cards import CARD, OTHER, OWNER, words
from hub_office import HOLDERS, HubOffice
from people_console import PASSWORD, Visitor
from qaztech.ai.register.store import Origin
from registry_country import quick_folder

BODY = Origin(by=f"{OWNER}/health", role="owner", message="0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11")
PAGE = f"/console/ai/{CARD.id}"


@pytest.fixture
def office() -> Iterator[HubOffice]:
    """A centre to which one body has declared a system and another has drafted one."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False)
        office.cards.put(CARD, BODY, version=0)
        office.cards.act(CARD.id, "declare", BODY, reason="", version=1, owner=OWNER)
        draft = msgspec.structs.replace(CARD, id="other-draft", owner=OTHER, names=words("<b>Draft</b>"))
        office.cards.put(draft, BODY, version=0)
        yield office
        office.close()


def entered(office: HubOffice, role: str) -> Visitor:
    visitor = Visitor(office.app)
    assert visitor.sign_in(HOLDERS[role], PASSWORD).status == 303
    return visitor


def acted(visitor: Visitor, act: str, version: int, reason: str = "") -> int:
    csrf = visitor.get("/account").csrf
    form = {"csrf": csrf, "act": act, "version": str(version), "reason": reason}
    return visitor.submit(f"{PAGE}?lang=en", form).status


def test_the_analyst_approves_and_citizens_read(office: HubOffice) -> None:
    """Not before; the act is in the admin log; drafts are shown to nobody outside."""
    anybody, analyst = Visitor(office.app), entered(office, "analyst")
    assert anybody.get(f"/ai/{CARD.id}").status == 404
    assert json.loads(anybody.get("/ai.json").body)["systems"] == []
    listed = analyst.get("/console/ai?lang=en").body.decode()
    assert listed.index(CARD.id) < listed.index("other-draft"), "what waits comes first"
    assert "&lt;b&gt;Draft" in listed
    assert acted(analyst, "approve", 2) == 303
    assert [logged.act.act for logged in office.log.acts(limit=1) if logged.act] == ["ai-card.approve"]
    for language in ("kk", "ru", "en"):
        page = anybody.get(f"/ai/{CARD.id}?lang={language}")
        assert page.status == 200
        assert f"Triage of calls ({language})".encode() in page.body
        assert page.headers["content-language"] == language
        assert anybody.get(f"/ai?lang={language}&find=triage").body.count(CARD.id.encode()) == 1
    assert CARD.id.encode() not in anybody.get("/ai?find=nothing-like-it").body
    exported = json.loads(anybody.get("/ai.json").body)["systems"]
    assert [(one["id"], one["state"], one["callable"]) for one in exported] == [(CARD.id, "reviewed", False)]
    assert "note" not in exported[0]["prohibited"][0]
    assert anybody.get("/ai/other-draft").status == 404


def test_what_the_reviewer_may_not_is_said_on_the_page(office: HubOffice) -> None:
    """Without a reason, as an owner, as of another version; nothing is changed, and an auditor changes nothing."""
    analyst = entered(office, "analyst")
    for act, version, reason, status in (
        ("return", 2, "", 400), ("serve", 2, "", 403), ("approve", 1, "", 409), ("suspend", 2, "x", 409),
        ("publish", 2, "", 400), ("return", 2, "a\u202eb", 400),
    ):  # fmt: skip
        assert acted(analyst, act, version, reason) == status, act
    assert acted(entered(office, "auditor"), "approve", 2) == 403
    assert office.cards.card(CARD.id).version == 2
    assert acted(analyst, "return", 2, "Name the library's maker") == 303
    assert "Name the library&#39;s maker" in analyst.get(f"{PAGE}?lang=en").body.decode()


def test_filters_choose(office: HubOffice) -> None:
    """By state, owner, risk and words; a choice that is none is refused."""
    analyst = entered(office, "analyst")
    for query, found in (
        ("state=draft", {"other-draft"}), (f"owner={OWNER}", {CARD.id}), ("risk=minimal", set()),
        ("find=triage+calls", {CARD.id}), ("stands=callable", set()), ("stands=overdue", set()), ("page=7", set()),
    ):  # fmt: skip
        body = analyst.get(f"/console/ai?lang=en&{query}").body.decode()
        assert {each for each in (CARD.id, "other-draft") if f"/console/ai/{each}?" in body} == found, query
    assert analyst.get("/console/ai?state=flying").status == 400


def test_what_does_not_add_up_stands_above_the_list(office: HubOffice) -> None:
    """In words, with the way to the card: documents that are missing, a review that is overdue, what was found."""
    analyst = entered(office, "analyst")
    assert acted(analyst, "approve", 2) == 303
    office.cards.act(CARD.id, "serve", BODY, reason="", version=3, owner=OWNER)
    assert "Nothing was found." in analyst.get("/console/ai?lang=en").body.decode()
    found = msgspec.structs.replace(CARD.prohibited[0], found=True)
    worse = msgspec.structs.replace(
        CARD, documents=CARD.documents[1:], risk_review=None, prohibited=(found, *CARD.prohibited[1:])
    )
    office.cards.put(worse, BODY, version=4)
    listed = analyst.get("/console/ai?lang=en&stands=overdue").body.decode()
    for told in ("The risk review is overdue", "User agreement", "a prohibited capability was found"):
        assert told in listed
    page = Visitor(office.app).get(f"/ai/{CARD.id}?lang=en").body.decode()
    assert "The register refuses its calls now: a prohibited capability was found." in page
