"""Cards of AI systems at the center and for citizens: reviews, filters, what may be read without signing in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import msgspec
import pytest

pytest.importorskip("duckdb")

from ai_cards import CARD, OTHER, OWNER
from ai_cards import words as in_three
from hub_office import HOLDERS, HubOffice
from people_console import PASSWORD, Visitor
from qaztech.ai.register.findings import CardFinding
from qaztech.ai.register.store import Origin
from qaztech.web.hub_ai_cases import DETECTOR_OF, CardCases, case_of
from qaztech.web.hub_pages import hub_texts
from registry_country import quick_folder

BODY = Origin(by=f"{OWNER}/health", role="owner", message="0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11")
SERVICE = "KZ/EDU/991340000037/models/chat"
REVIEWER = Origin(by="analyst", role="reviewer")
PAGE = f"/console/ai/{CARD.id}"


@pytest.fixture
def office() -> Iterator[HubOffice]:
    """A centre to which one body has declared a system and another has drafted one."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False)
        office.cards.put(CARD, BODY, version=0)
        office.cards.act(CARD.id, "declare", BODY, reason="", version=1, owner=OWNER)
        draft = msgspec.structs.replace(CARD, id="other-draft", owner=OTHER, names=in_three("<b>Draft</b>"))
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


def test_what_does_not_add_up_becomes_a_case_that_people_decide(office: HubOffice) -> None:
    """In words of three languages, with the way to the card; a run of detectors leaves it; it goes when mended."""
    analyst = entered(office, "analyst")
    cases = CardCases(office.cards, office.deliveries, office.findings, office.clock)
    assert acted(analyst, "approve", 2) == 303
    office.cards.act(CARD.id, "serve", BODY, reason="", version=3, owner=OWNER)
    assert cases.refresh().new == 0
    worse = msgspec.structs.replace(CARD, documents=CARD.documents[1:], risk_review=None, audit=None)
    office.cards.put(worse, BODY, version=4)
    assert cases.refresh().new == 3
    office.detecting.run("dana")
    standing = [case for case in office.findings.cases() if case.finding.detector.startswith("ai_")]
    assert {case.finding.detector for case in standing} == {"ai_review_overdue", "ai_blocked", "ai_documents_missing"}
    assert all(case.gone is None for case in standing)
    lacking = next(case for case in standing if case.finding.detector == "ai_documents_missing")
    for language, said in (
        ("kk", "Пайдаланушы келісімі"),
        ("ru", "Пользовательское соглашение"),
        ("en", "User agreement"),
    ):
        page = analyst.get(f"/console/cases/case?lang={language}&key={quote(lacking.key)}")
        assert page.status == 200
        assert said in page.body.decode()
        assert f"/console/ai/{CARD.id}?" in page.body.decode()
    listed = analyst.get("/console/cases?lang=en").body.decode()
    assert "AI system without documents that its risk needs" in listed
    assert analyst.get(f"/console/bodies/body?lang=en&code={OWNER.rpartition('/')[2]}").status == 200
    office.cards.put(CARD, BODY, version=5)
    assert cases.refresh().gone == 3


def test_a_system_that_calls_without_a_card_becomes_a_case(office: HubOffice) -> None:
    """By what it called; without the rows of traffic such cases stay as they are."""
    now = office.clock.now()
    called = CardFinding(kind="called-without-card", system=f"{OWNER}/archive", what=(SERVICE,), at=now, calls=3)
    case = case_of(called, None)
    assert case.objects == (f"system:{OWNER}/archive",)
    office.findings.refresh([case], [case.detector])
    page = entered(office, "auditor").get(f"/console/cases/case?lang=en&key={quote(case.key)}").body.decode()
    assert "Calls a model without a card" in page
    assert f"service={quote(SERVICE, safe='')}" in page
    again = case_of(replace(called, calls=9), None)
    assert again.facts == case.facts, "more calls make it no other finding"


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_every_such_case_has_words(language: str) -> None:
    """Its name, its rule, its facts."""
    texts = hub_texts(language)["cases"]
    assert all(texts["detector"][slug] and texts["rule"][slug] for slug in DETECTOR_OF.values())


def test_the_queue_is_brought_up_to_date_until_it_is_told_to_stop(office: HubOffice) -> None:
    """Soon after the start, again and again."""
    cases = CardCases(office.cards, office.deliveries, office.findings, office.clock)

    async def keeping() -> None:
        stop = asyncio.Event()
        kept = asyncio.create_task(cases.keep(stop, every_seconds=0.01))
        for _ in range(500):
            await asyncio.sleep(0.01)
            if office.findings.cases():
                break
        stop.set()
        await asyncio.wait_for(kept, 10)

    for version, (act, by) in enumerate((("approve", REVIEWER), ("serve", BODY)), 2):
        office.cards.act(CARD.id, act, by, reason="", version=version)
    office.clock.advance(400 * 86_400_000)
    asyncio.run(keeping())
    assert [case.finding.detector for case in office.findings.cases()] == ["ai_review_overdue"]
