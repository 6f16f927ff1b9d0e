"""The catalogue's pages and API: what they show, in which language, and what they do not let through."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import jsonschema
import pytest
from catalogue_country import HOST, Shown, page_of, passport

from asgi_caller import Caller
from qaztech.core.errors import Unavailable
from qaztech.registry.survey import RETRY_REFUSED
from qaztech.web.catalogue_view import Follower
from qaztech.web.portal_description import describe_api
from qaztech.web.sign_in import describe_routes
from qaztech.web.texts import LANGUAGES
from registry_country import Country, quick_folder

ROOT = Path(__file__).parents[3]
EVIL = "</script><script>alert(1)</script><b onload=x>"


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """A country that is only looked at."""
    with quick_folder() as folder:
        country = Country(folder)
        found = Shown(country)
        found.follower.look()
        yield found
        country.close()


@pytest.fixture
def own() -> Iterator[Shown]:
    """A country to change; what it shows looks like markup."""
    with quick_folder() as folder:
        country = Country(folder)
        yield Shown(country, evil=EVIL)
        country.close()


def pages(shown: Shown) -> list[str]:
    """Every page."""
    member = "/members/" + str(shown.ministry.id).partition("/")[2]
    return [
        "/catalogue",
        "/catalogue?q=x&class=GOV",
        "/members",
        member,
        page_of(shown.service),
        "/logs",
        "/access",
        f"/access?service={quote(str(shown.service))}&member=university&state=open",
        "/verify",
        "/nowhere",
    ]


@pytest.mark.parametrize("query", ["анықтамаларды", "справок", "certificate", "аныктама"])
def test_services_are_found_by_forms_of_words(shown: Shown, query: str) -> None:
    """And the word that was found is marked in the page."""
    text = shown.get(f"/catalogue?q={quote(query)}&lang=ru").text
    assert page_of(shown.service) in text
    assert page_of(shown.plain) not in text


def test_filters_work_without_a_query(shown: Shown) -> None:
    """As a form that any browser sends."""
    text = shown.get("/catalogue?q=&personal=yes&lang=en").text
    assert page_of(shown.service) in text
    assert page_of(shown.plain) not in text
    assert '<option value="yes" selected>' in text


@pytest.mark.parametrize(("query", "there"), [("unknown", True), ("no", False)])
def test_who_has_not_said_is_not_counted_as_a_no(shown: Shown, query: str, *, there: bool) -> None:
    """A service without an answer about personal data stands under `not stated`."""
    text = shown.get(f"/catalogue?q=&personal={query}&lang=en").text
    assert (page_of(shown.plain) in text) is there


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_service_shows_its_passport_and_who_may_call(shown: Shown, language: str) -> None:
    """In the reader's language; its description as HTML, and calls to copy."""
    answer = shown.get(page_of(shown.service), language=language)
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    names = passport().names
    assert {"kk": names.kk, "ru": names.ru, "en": names.en}[language] in answer.text
    assert "university" in answer.text
    assert "GET /certificates/*" in answer.text
    assert "/certificates/{number}" in answer.text
    assert "One &lt;b&gt;certificate&lt;/b&gt;" in answer.text
    for word in ("curl -sS", "urlopen", "await fetch", "HttpClient.newBuilder", "new HttpClient()"):
        assert word in answer.text
    document = shown.get(page_of(shown.service) + "/openapi.json")
    assert document.content == shown.document
    assert "attachment" in document.headers["content-disposition"]


def test_calls_to_copy_leave_places_to_fill_in(shown: Shown) -> None:
    """Where the instance's file names no node of a system that may call; by description, or by rights alone."""
    text = shown.get(page_of(shown.service)).text
    assert "X-Road-Client: KZ/GOV/YOUR-BIN/YOUR-SYSTEM" in text
    assert f"/r1/{shown.service}/certificates/NUMBER" in text
    assert f"/r1/{shown.plain}/" in shown.get(page_of(shown.plain)).text


def test_a_service_without_a_passport_says_so(shown: Shown) -> None:
    """And that nobody may call it."""
    text = shown.get(page_of(shown.plain) + "?lang=en").text
    assert "The owner has filled in no passport" in text
    assert "Nobody yet." in text
    assert shown.get(page_of(shown.plain) + "/openapi.json").status_code == 404


def test_a_member_shows_what_is_its_own(shown: Shown) -> None:
    """Its systems and services, its nodes, its logs."""
    text = shown.get("/members/" + str(shown.ministry.id).partition("/")[2]).text
    for part in (page_of(shown.service), str(shown.ministry.node), shown.ministry.origin, shown.ministry.lineage):
        assert part in text
    other = shown.get("/members/" + str(shown.university.id).partition("/")[2]).text
    assert page_of(shown.service) in other  # it may call it


@pytest.mark.parametrize("query", ["ministry", "{code}", "main", ""])
def test_members_are_found_by_name_code_and_system(shown: Shown, query: str) -> None:
    """And listed by class."""
    code = shown.ministry.id.code
    text = shown.get(f"/members?q={query.replace('{code}', code)}&class=GOV&lang=en").text
    assert f"/members/GOV/{code}" in text
    assert "/members/EDU/" not in text


def test_a_service_is_found_by_its_members_number(shown: Shown) -> None:
    """And by its own code."""
    assert page_of(shown.plain) in shown.get(f"/catalogue?q={shown.ministry.id.code}").text
    assert page_of(shown.plain) in shown.get("/catalogue?q=plain").text


def test_logs_say_what_could_not_be_asked(shown: Shown) -> None:
    """A node that does not answer has no size; no witness is believed that was not heard."""
    text = shown.get("/logs?lang=en").text
    assert shown.country.log.origin in text
    assert "its checkpoint could not be fetched" in text
    assert "where its checkpoint stands is not known" in text
    assert "entries seen by a quorum" not in text


@pytest.mark.parametrize("path", ["/nowhere", "/services/GOV/1/2/3", "/members/GOV/%F0%9F%92%A9", "/services/a"])
def test_what_is_not_there_is_a_page(shown: Shown, path: str) -> None:
    """For people; a problem for programs."""
    answer = shown.get(path, language="ru")
    assert answer.status_code == 404
    assert "Такой страницы нет" in answer.text
    assert shown.get(path, accept="application/json").json()["status"] == 404


def test_no_script_and_no_style_stands_in_a_page(shown: Shown) -> None:
    """Their policy allows the portal's own files only, and they need no more."""
    for path in pages(shown):
        answer = shown.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert " style=" not in answer.text
        assert not re.search(r"<[^>]+\son[a-z]+=", answer.text)
        scripts = re.findall(r"<script([^>]*)>", answer.text)
        assert all("src=" in attributes or "application/json" in attributes for attributes in scripts)
        assert re.findall(r'(?:src|href|action)="(?!/|#)([^"]*)"', answer.text) == []


def test_what_members_write_stands_as_text(own: Shown) -> None:
    """Names that look like markup are shown, not obeyed."""
    own.follower.look()
    for path in (*pages(own), "/catalogue?q=" + quote(EVIL)):
        text = own.get(path).text
        assert "<script>alert" not in text
        assert "<b onload" not in text


def test_it_says_when_it_is_not_ready_and_when_the_registry_is_silent(own: Shown) -> None:
    """Before the first look there is nothing to show; later the last good view stays."""
    first = own.get("/catalogue?lang=en")
    assert first.status_code == 503
    assert "not ready yet" in first.text
    assert "Not ready yet" in own.get(page_of(own.service) + "?lang=en").text
    assert own.get("/api/v1/catalogue", accept="application/json").json()["code"] == "catalogue.not-ready"
    own.follower.look()
    assert own.get("/catalogue?lang=en").status_code == 200
    own.fetcher.down = True
    own.follower.look()
    text = own.get("/catalogue?lang=en").text
    assert "registry.unavailable" in text
    assert page_of(own.service) in text


def test_a_newer_showcase_is_taken_and_an_older_one_is_not(own: Shown) -> None:
    """Even if the registry brings the old one back."""
    own.follower.look()
    path = f"showcases/GOV/{own.ministry.id.code}.json"
    old = own.country.registry.content(path)
    own.show(own.ministry, passport(" NEW"), version=2)
    own.follower.look()
    assert "Certificates NEW" in own.get(page_of(own.service) + "?lang=en").text
    own.country.publish_anything({path: old})
    for _ in range(2):
        own.follower.look()
        catalogue = own.follower.view().catalogue
        assert path in catalogue.refused
        assert catalogue.services[own.service].passport is None
        own.country.clock.advance(RETRY_REFUSED)


def test_the_registry_is_followed_in_a_thread(own: Shown) -> None:
    """From what was kept, then every so often; a failure does not end it."""
    own.follower.look()
    own.fetcher.down = True
    follower = Follower(own.surveyor, seconds=0.01, retry_seconds=0.01)
    follower.start()
    try:
        wait_for(lambda: follower.view().survey.problem == "registry.unavailable")
        own.fetcher.down = False
        wait_for(lambda: follower.view().survey.problem is None)
        index = follower.view().index
        own.show(own.ministry, passport(" NEW"), version=2)
        wait_for(lambda: follower.view().catalogue.services[own.service].shown_names.en == "Certificates NEW")
        wait_for(lambda: follower.view().index is not index)
    finally:
        follower.stop()


def wait_for(true: Callable[[], bool]) -> None:
    """Until something is so, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(Unavailable):
            if true():
                return
        time.sleep(0.01)
    pytest.fail("it did not become so")


def answers(shown: Shown) -> dict[str, str]:
    """Each path of the API with an address of it."""
    return {
        "/api/v1/catalogue": "/api/v1/catalogue?q=справок&class=GOV&limit=5",
        "/api/v1/members": "/api/v1/members?q=ministry",
        "/api/v1/members/{member_class}/{code}": "/api/v1/members/" + str(shown.ministry.id).partition("/")[2],
        "/api/v1/services/{member_class}/{code}/{subsystem}/{service}": "/api/v1" + page_of(shown.service),
        "/api/v1/logs": "/api/v1/logs",
        "/api/v1/access": "/api/v1/access?member=university&state=open",
        "/api/v1/openapi.json": "/api/v1/openapi.json",
    }


def test_the_api_answers_as_it_is_described(shown: Shown) -> None:
    """Every path of the description, against its schema; and there is no other."""
    described = shown.get("/api/v1/openapi.json").json()
    of_acts = {path for path in described["paths"] if path.startswith("/api/v1/admin-log")}  # test_web_public_acts
    assert described["paths"].keys() - of_acts == answers(shown).keys()
    for path, address in answers(shown).items():
        answer = shown.get(quote(address, safe="/?&="), accept="application/json")
        assert answer.status_code == 200
        schema = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(answer.json())
    found = shown.get(quote("/api/v1/catalogue?q=справок", safe="/?&=")).json()
    assert [service["id"] for service in found["services"]] == [str(shown.service)]


@pytest.mark.parametrize("query", ["limit=101", "limit=x", "offset=-1", "other=1", "q=" + "x" * 201, "limit=٣"])
def test_the_api_refuses_what_is_not_described(shown: Shown, query: str) -> None:
    """With a problem that says what."""
    answer = shown.get("/api/v1/catalogue?" + quote(query, safe="="), accept="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "request.query")


def test_the_description_is_kept_in_the_docs() -> None:
    """As it is served; `docs/reference/portal-api.json` is made from it."""
    assert json.loads((ROOT / "docs/reference/portal-api.json").read_text(encoding="utf-8")) == describe_api()


def test_the_portal_is_read_by_anyone_and_changed_by_nobody(shown: Shown) -> None:
    """Every route but two only reads; those make calls, and only from a page of this site."""
    routes = set(describe_routes(shown.portal.routes))
    asking = {path for method, path in routes if method != "GET"}
    assert asking == {"/calls", "/services/{member_class}/{code}/{subsystem}/{service}/try"}
    assert {path for _, path in routes} >= {
        "/access", "/admin-log", "/admin-log/{index:int}/proof", "/api/v1/access", "/api/v1/admin-log",
        "/api/v1/admin-log/{index:int}/proof",
    }  # fmt: skip
    for path in asking:
        where = path if path == "/calls" else page_of(shown.service) + "/try"
        assert Caller(shown.portal.app).post(where, headers={"host": HOST}).status_code in {403, 404}


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 5000, "٣", "2", ""])
def test_any_page_number_is_answered(shown: Shown, page: str) -> None:
    """With a page."""
    assert shown.get(f"/catalogue?page={quote(page)}").status_code == 200
