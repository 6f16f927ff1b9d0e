"""Findings, systems and bodies at the support center: what pages say, what decisions do, the way down to a number."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("duckdb")

from hub_office import HOLDERS, HubOffice
from operational_logs import START
from people_console import PASSWORD, Visitor
from qaztech.cli.main import parser
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Limited, Unavailable
from qaztech.hub.detectors.all import DETECTORS
from qaztech.hub.detectors.finding import Fact, Finding
from qaztech.hub.findings import CaseState
from qaztech.hub.register.law import current_law
from qaztech.hub.register.lifecycle import RULES
from qaztech.hub.register.store import Edit
from qaztech.web import printing
from qaztech.web.hub_pages import hub_texts
from qaztech.web.hub_words import down, source_of
from qaztech.web.texts import LANGUAGES
from registry_country import quick_folder

OWNER = reserved_bin(75_100)
HOSTILE = '<script>alert("1")</script>{{7*7}}'
CASE = "/console/cases/case?lang=en&key="


@pytest.fixture(scope="module")
def office() -> Iterator[HubOffice]:
    """A centre whose registry has one system in a trial that lasts too long, and one that really answers."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub")
        service = office.pair.consumer.rows(0, 1)[0].service
        assert service is not None
        rows: list[tuple[str, dict[str, Any]]] = [
            ("organisations", {"bin": OWNER, "class": "GOV", "name_kk": "Су комитеті", "name_en": HOSTILE}),
            ("objects", {"id": "ds-1", "owner_bin": OWNER, "name_en": HOSTILE, "status": "trial",
                         "status_since": "2020-01-01", "actualised": "2020-02-01", "declared_users": 40_000}),
            ("objects", {"id": "ds-2", "name_en": "Codes", "status": "operation", "use_channel": "backbone",
                         "subsystems": [service.rpartition("/")[0]]}),
            ("costs", {"object": "ds-1", "year": 2026, "kind": "support", "tenge": 5_000_000, "state": "paid"}),
            ("costs", {"object": "ds-1", "year": 2019, "kind": "creation", "tenge": 7_000_000, "state": "paid"}),
            ("integrations", {"id": "di-1", "consumer_object": "ds-1", "provider_object": "ds-2",
                              "channel": "direct", "status": "active", "declared_monthly_calls": 400}),
        ]  # fmt: skip
        edits = [Edit(table=table, values=values) for table, values in rows]
        office.objects.apply(edits, by="dana", source="file.xlsx", at=START)
        office.detecting.run("dana")
        yield office
        office.close()


@pytest.fixture(scope="module")
def analyst(office: HubOffice) -> Visitor:
    """Somebody who may decide."""
    visitor = Visitor(office.app)
    assert visitor.sign_in(HOLDERS["analyst"], PASSWORD).status == 303
    return visitor


def key(office: HubOffice, detector: str) -> str:
    """The key of the first finding of a detector, as an address has it."""
    return quote(office.findings.cases(detectors=[detector])[0].key)


def links(text: str) -> list[str]:
    """The links of a page that stay within the console."""
    return [unescape(found) for found in re.findall(r'href="(/console/[^"]+)"', text)]


def test_every_number_has_its_source_its_age_and_a_way_down(office: HubOffice, analyst: Visitor) -> None:
    """Each link of the evidence leads to a page that exists; what was imported says from where."""
    page = analyst.get(CASE + key(office, "trial_too_long"))
    assert "file.xlsx" in page.text
    assert "01.02.2020" in page.text
    assert current_law().references["code.86"].en in page.text
    evidence = page.text[page.text.index('id="evidence"') : page.text.index('id="history"')]
    ways = [way for way in links(evidence) if ".pdf" not in way]
    assert len(ways) >= 3
    assert all(analyst.get(way).status == 200 for way in ways)


def test_what_bodies_write_stays_text(analyst: Visitor) -> None:
    """HTML and templates in names are shown as they were written, on every kind of page."""
    for path in ("/console/cases", "/console/objects", "/console/bodies", "/console/objects/object?id=ds-1"):
        text = analyst.get(f"{path}{'&' if '?' in path else '?'}lang=en").text
        assert "<script>alert" not in text
        assert "{{7*7}}" in text


def test_a_decision_is_made_once_with_its_reason_and_noted(office: HubOffice, analyst: Visitor) -> None:
    """Rejected without a reason it stays open and the form says so; the same form twice meets a changed finding."""
    where = CASE + key(office, "stale_record")
    page = analyst.get(where)
    form = {"csrf": page.csrf, "version": "1", "decision": "rejected", "reason": ""}
    refused = analyst.submit(where, form)
    assert (refused.status, "Say why." in refused.text) == (400, True)
    assert analyst.submit(where, {**form, "reason": "confirmed by letter"}).status == 303
    again = analyst.submit(where, {**form, "reason": "confirmed by letter"})
    assert (again.status, "changed meanwhile" in again.text) == (409, True)
    case = office.findings.cases(states=[CaseState.REJECTED])[0]
    assert case.text == "confirmed by letter"
    assert office.findings.events(case.key)[0].by == HOLDERS["analyst"]
    acts = [logged.act for logged in office.log.acts(newest_first=True) if logged.act is not None]
    assert acts[0].act == "finding.rejected"
    assert case.key not in [each["key"] for each in analyst.get("/console/cases.json").json()["findings"]]


def test_a_measure_needs_a_body_a_post_and_a_day(office: HubOffice, analyst: Visitor) -> None:
    """What was typed stays in the form; complete, it stands on the finding's page."""
    where = CASE + key(office, "trial_too_long")
    form = {"csrf": analyst.get(where).csrf, "version": "1", "decision": "measure", "text": "Close the trial",
            "owner_bin": OWNER, "responsible": "Head of IT", "due": "soon"}  # fmt: skip
    refused = analyst.submit(where, form)
    assert refused.status == 400
    assert "Close the trial" in refused.text
    assert analyst.submit(where, {**form, "due": "2027-03-01"}).status == 303
    assert "01.03.2027" in analyst.get(where).text
    assert analyst.submit(where, {**form, "decision": "sold"}).status == 400


def test_findings_are_chosen_and_programs_get_the_same(office: HubOffice, analyst: Visitor) -> None:
    """By detector, body and money; a choice that is none is refused."""
    listed = analyst.get(f"/console/cases.json?body={OWNER}&state=all").json()["findings"]
    assert {"trial_too_long", "stale_record"} <= {each["detector"] for each in listed}
    assert analyst.get("/console/cases.json?detector=orphan&least=1").json()["findings"] == []
    assert analyst.get("/console/cases?least=-1").status == 400
    assert analyst.get("/console/cases?state=sold").status == 400
    assert analyst.get(f"{CASE}none").status == 404
    assert office.detecting.running is False
    page = analyst.get("/console/cases")
    assert analyst.submit("/console/cases/run", {"csrf": page.csrf}).status == 303
    assert office.detecting.running is True


def test_a_flow_leads_to_its_exchanges_or_says_why_there_are_none(office: HubOffice, analyst: Visitor) -> None:
    """Delivered exchanges are listed; a system that nobody heard of has none, and its logs never came."""
    row = office.pair.consumer.rows(0, 1)[0]
    page = analyst.get(f"/console/flows?lang=en&client={row.client}&service={row.service}")
    assert office.message in page.text
    found = analyst.get(f"/console/flows.json?client={row.client}&service={row.service}").json()
    assert office.message in {each["message"] for each in found["exchanges"]}
    silent = analyst.get(f"/console/flows?lang=en&system=KZ/GOV/{OWNER}/quiet")
    assert hub_texts("en")["flows"]["no-log"] in unescape(silent.text)
    strange = analyst.get(f"/console/flows?lang=en&client=KZ/GOV/{OWNER}/a&service=KZ/GOV/{OWNER}/b/c")
    assert hub_texts("en")["flows"]["no-exchanges"] in strange.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_finding_names_body_act_and_sources_in_words(analyst: Visitor, language: str) -> None:
    """No code stands for an act, a place in the registry or the center's settings; a limit is no older than its act."""
    texts = hub_texts(language)
    page = unescape(analyst.get(f"/console/cases/case?lang={language}&key=trial_too_long%7Cds-1").text)
    assert f"/console/bodies/body?lang={language}&code={OWNER}" in page
    assert texts["cases"]["act"]["K2600000255"] in page
    assert texts["cases"]["source"]["since"].replace("{day}", "11.07.2026") in page
    shown = re.sub("<[^>]+>", "", page)
    assert "K2600000255" not in shown
    assert "objects/ds-1" not in shown
    law = unescape(analyst.get(f"/console/law?lang={language}").text)
    shown = re.sub("<[^>]+>", "", law.partition('id="stacks"')[0])
    assert texts["cases"]["act"]["Settings of the support center"] in shown
    assert not re.search(r"center\.settings|code\.\d|01\.01\.2020", shown)


def test_an_exchange_names_commands_that_run_as_they_stand(office: HubOffice, analyst: Visitor) -> None:
    """The receipt at a party's own node or at its node of the embedded country, and the check of it."""
    page = unescape(analyst.get(f"/console/exchanges/{office.message}?lang=en").text)
    side = office.pair.consumer.rows(0, 1)[0].client.rpartition("/")[0]
    lines = [line for line in re.sub("<[^>]+>", "", page).splitlines() if line.startswith("qaztech ")]
    there, checked, here, again = (parser().parse_args(line.partition(" > ")[0].split()[1:]) for line in lines)
    assert there.message == here.message == office.message
    assert there.management
    assert here.node == side
    assert checked.require == again.require == "witnessed"


def test_a_system_shows_declared_beside_observed(analyst: Visitor) -> None:
    """Life cycle with what it breaks, use, integrations in both directions, costs, gaps, history of each field."""
    page = unescape(analyst.get("/console/objects/object?lang=en&id=ds-2").text)
    words = hub_texts("en")["objects"]
    assert words["rule"]["no_commissioning_act"] in page
    assert words["not-observed"] in page
    assert words["not-declared"] in page
    assert 'aria-current="step"' in page
    told = analyst.get("/console/objects/object.json?id=ds-2").json()
    assert told["observed"]["calls_in"] >= 1
    assert told["observability"] == "full"
    assert analyst.get("/console/objects/object?id=none").status == 404


def test_a_field_is_changed_by_hand_with_a_reason(office: HubOffice, analyst: Visitor) -> None:
    """Refused without one, for a value that is none, for a status that cannot follow, and on an older version."""
    where = "/console/objects/edit?lang=en&id=ds-1&field="
    page = analyst.get(where + "declared_users")
    version = str(office.objects.register().version)
    form = {"csrf": page.csrf, "version": version, "reason": "a letter"}
    assert analyst.submit(where + "declared_users", {**form, "value": "12", "reason": ""}).status == 400
    assert analyst.submit(where + "declared_users", {**form, "value": "many"}).status == 400
    refused = analyst.submit(where + "status", {**form, "value": "written_off"})
    assert (refused.status, "order" in refused.text) == (409, True)
    assert analyst.submit(where + "declared_users", {**form, "value": "12"}).status == 303
    assert office.objects.register().objects["ds-1"].declared_users == 12
    assert analyst.submit(where + "declared_users", {**form, "value": "13"}).status == 409
    history = analyst.get("/console/objects/history?lang=en&table=objects&key=ds-1&field=declared_users").text
    assert "by hand: a letter" in history
    assert "40\u202f000" in history
    assert analyst.get(where + "id").status == 404
    assert analyst.get("/console/objects/history?table=nothing&key=1").status == 404


def test_sources_are_taken_apart() -> None:
    """Keys may hold slashes; a source of another kind leads nowhere rather than astray."""
    row = source_of(Fact(what="x", value=1, source="documents/ds-1|act|12/3/date"))
    assert (row.table, row.key, row.field) == ("documents", "ds-1|act|12/3", "date")
    flow = Fact(what="calls", value=0, source="flows/*/KZ/GOV/1/a/b")
    assert down(flow) == ("/console/flows", {"service": "KZ/GOV/1/a/b"})
    assert down(Fact(what="x", value=1, source="elsewhere/python/2.7")) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_detectors_say_has_words(language: str) -> None:
    """Names and rules of all detectors, rules of the life cycle, limits of the law data."""
    texts = hub_texts(language)
    for detector in DETECTORS:
        assert texts["cases"]["detector"][detector.slug]
        assert texts["cases"]["rule"][detector.slug]
    assert all(texts["objects"]["rule"][rule.slug] for rule in RULES)
    assert all(texts["cases"]["fact"][value.name] for value in current_law().values())


def test_paper_may_read_our_style_sheets_and_nothing_else() -> None:
    """No file of the machine, no other address, no way out of the folder."""
    assert printing.own_style("https://site.invalid/static/print.css").startswith(b"/* A page on paper")
    for url in ("file:///etc/passwd", "https://site.invalid/static/../texts.py", "https://evil.example/static/print.css",
                "https://site.invalid/static/texts/en.json", "http://site.invalid/static/print.css"):  # fmt: skip
        with pytest.raises(ValueError, match=":"):
            printing.own_style(url)


def test_a_page_that_is_too_long_is_not_printed() -> None:
    """It is refused before any process is begun."""
    with pytest.raises(Unavailable) as caught:
        printing.print_pdf("x" * (printing.MOST_BYTES + 1))
    assert caught.value.code == "print.large"


def test_who_prints_keeps_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time; the next is told to try again, and no process is begun for it."""
    monkeypatch.setattr(printing, "_TURNS", threading.BoundedSemaphore(1))
    with printing._TURNS, pytest.raises(Limited) as caught:
        printing.print_pdf("x")
    assert caught.value.code == "print.busy"


def test_a_finding_of_a_supplier_has_a_page(office: HubOffice, analyst: Visitor) -> None:
    """Its object is a BIN, not a system."""
    told = (Fact(what="body", value=OWNER, source=f"organisations/{OWNER}"),)
    finding = Finding(detector="supplier_concentration", objects=(f"bin:{OWNER}",), evidence=told, confidence=0.9)
    office.findings.refresh([finding], ["supplier_concentration"])
    page = analyst.get(CASE + key(office, "supplier_concentration"))
    assert page.status == 200
    assert all(analyst.get(way).status == 200 for way in links(page.text) if ".pdf" not in way)


def test_requests_for_data_stand_apart_from_findings(analyst: Visitor) -> None:
    """A system without any paper is no finding of the queue; its body's line says what is missing and leads there."""
    assert "Legal vacuum" not in analyst.get("/console/cases?lang=en").text.partition("<tbody>")[2]
    page = analyst.get("/console/cases/missing?lang=en").text
    assert "What is missing" in page
    (link,) = [link for link in links(page) if "detector=legal_vacuum" in link]
    shown = analyst.get(link).text.partition("<tbody>")[2]
    assert "Legal vacuum" in shown
    assert "40" in shown


def test_a_sum_says_what_it_is(office: HubOffice, analyst: Visitor) -> None:
    """Upkeep is of a year; what was put into a trial is not, neither on its page nor in the queue."""
    trial = analyst.get(CASE + key(office, "trial_too_long")).text
    tiles = trial.partition('class="tiles"')[2].partition("<section")[0]
    assert "invested, in all" in tiles
    assert "a year" not in tiles
    assert "invested, in all" in analyst.get("/console/cases?lang=en&detector=trial_too_long").text


def test_calls_that_nobody_could_have_seen_are_not_told_as_zero(analyst: Visitor) -> None:
    """A system without an identity on the backbone has no number of calls; one whose calls were seen has."""
    blind = analyst.get("/console/objects/object?lang=en&id=ds-1").text
    assert "not known: no subsystem of it on the backbone is declared" in blind
    assert "Observed time" not in blind
    assert "Observed time" in analyst.get("/console/objects/object?lang=en&id=ds-2").text


def test_what_lies_in_no_region_stands_beside_the_tiles(analyst: Visitor) -> None:
    """So that the systems of the table of regions are all that the registry has."""
    page = analyst.get("/console/regions?lang=en").text
    assert "systems without a region" in page
    counted = re.findall(r'data-label="Systems">(\d+)<', page.partition("<tbody>")[2])
    assert sum(map(int, counted)) == 2
    assert analyst.get("/console/bodies/region?lang=en&code=").status == 200
