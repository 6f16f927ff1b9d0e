"""The registry's console: what is seen, decided, confirmed and refused, in words; and its texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from people_console import PASSWORD, Reply, Visitor
from qaztech.core.errors import Halt
from qaztech.core.ids import NodeId
from qaztech.people.actors import Act
from qaztech.registry.enrolment import LIFETIME, Token, make_enrolment, make_grant, new_token
from qaztech.registry.forms import Names, base64
from qaztech.registry.key_files import TLS_REQUEST, load_log_keys
from qaztech.registry.node_identity import NodeIdentity
from qaztech.runtime.shell import application
from qaztech.trust.certificates import Authority
from qaztech.web.headers import Secured
from qaztech.web.people_pages import TEMPLATES
from qaztech.web.registry_pages import registry_texts
from qaztech.web.texts import LANGUAGES
from registry_country import Country, MemberDesk, quick_folder
from registry_office import HOLDERS, Offices, console

TEXTS = registry_texts("kk")


class Room:
    """A registry's console, with whoever signs in."""

    def __init__(self, country: Country, offices: Offices) -> None:
        self.country = country
        self.offices = offices
        self.app = Secured(application([*console(offices), *offices.management().routes()]))

    def enter(self, role: str = "registry-operator") -> Visitor:
        visitor = Visitor(self.app)
        assert visitor.sign_in(HOLDERS[role], PASSWORD).status == 303
        return visitor

    def acts(self) -> list[Act]:
        return [logged.act for logged in self.offices.log.acts(newest_first=False) if logged.act is not None]


@pytest.fixture
def room() -> Iterator[Room]:
    with quick_folder() as folder:
        country = Country(folder)
        country.publish()
        offices = Offices(country, authority=Authority.create("KZ", country.clock.now()))
        yield Room(country, offices)
        offices.close()
        country.close()


@pytest.fixture
def member(room: Room) -> MemberDesk:
    """A member with a file."""
    return room.country.admit(room.country.new_member(1, "provider"))


def form(page: Reply, **fields: str) -> dict[str, str]:
    """The hidden fields of the form on a page that has these, filled in."""
    return {"csrf": page.csrf, **fields}


def page(visitor: Visitor, path: str) -> Reply:
    reply = visitor.get(f"{path}{'&' if '?' in path else '?'}lang=kk")
    assert reply.status == 200, reply.text
    return reply


def test_an_application_is_seen_with_all_that_is_needed_and_admitted(room: Room) -> None:
    """Names, lineage to be read aloud, contact, signatory; then it is published, and the log tells who decided."""
    desk = room.country.new_member(2, "second")
    names = Names(kk="Екінші <b>ұйым</b>", ru="Вторая организация", en="Second organisation")
    filed = room.offices.apply(desk, names)
    operator = room.enter()
    assert "Екінші &lt;b&gt;ұйым" in page(operator, "/console/").text
    shown = page(operator, f"/console/applications/{filed.id}")
    for text in ("Вторая организация", "Second organisation", "it@university.example", "Signatory of a test"):
        assert text in shown.text
    lineage = desk.lineage
    assert " ".join(lineage[i : i + 4] for i in range(0, 64, 4)) in shown.text
    assert TEXTS["application"]["no-findings"] in shown.text
    fields = form(shown, decision="admit", version="1", reason="")
    unread = operator.submit(f"/console/applications/{filed.id}?lang=kk", fields)
    assert (unread.status, room.acts()) == (400, [])
    assert TEXTS["problem"]["application.uncompared"] in unread.text
    done = operator.submit(f"/console/applications/{filed.id}?lang=kk", {**fields, "compared": "yes"})
    assert done.status == 303
    after = operator.get(done.headers["location"])
    assert TEXTS["said"]["admitted"] in after.text
    assert "aigerim" in after.text
    assert str(desk.id).encode() in room.country.registry.content("directory.json")
    acts = page(operator, "/console/acts")
    assert TEXTS["act"]["application.admit"] in acts.text
    assert str(desk.id) in acts.text
    assert "it@university" not in acts.text


def test_a_refusal_needs_a_reason_which_the_applicant_sees(room: Room) -> None:
    """Without one the page says so; with it the application is refused."""
    filed = room.offices.apply(room.country.new_member(2, "second"))
    operator = room.enter()
    where = f"/console/applications/{filed.id}"
    fields = form(page(operator, where), decision="refuse", version="1", reason="  ")
    refused = operator.submit(f"{where}?lang=kk", fields)
    assert TEXTS["problem"]["application.reason"] in refused.text
    assert operator.submit(where, {**fields, "reason": "Атауы жарғыдағыдай емес"}).status == 303
    assert room.offices.applications.get(filed.id).reason == "Атауы жарғыдағыдай емес"
    assert "Атауы" not in room.acts()[0].leaf().decode()


def test_findings_are_told_in_words_with_links(room: Room, member: MemberDesk) -> None:
    """Another key for a member, its BIN in another class, a name that looks the same."""
    room.offices.apply(room.country.new_member(1, "other", seed_="another key"))
    room.offices.apply(room.country.new_member(1, "third", member_class="COM"))
    room.offices.apply(room.country.new_member(3, "fourth"), Names(kk="рrovider", ru="четыре", en="four"))
    operator = room.enter()
    told = "".join(
        page(operator, f"/console/applications/{filed.id}").text for filed in room.offices.applications.newest()
    )
    for kind in ("lineage-differs", "code-taken", "name-alike"):
        assert TEXTS["finding"][kind]["title"] in told
        assert TEXTS["finding"][kind]["what"] in told
    assert f'href="/console/members/GOV/{member.id.code}?lang=kk"' in told


def test_the_second_of_two_operators_sees_the_conflict(room: Room) -> None:
    """Both have the page open; the one who is later is told, and sees what has become of it."""
    filed = room.offices.apply(room.country.new_member(2, "second"))
    first, second = room.enter(), room.enter()
    where = f"/console/applications/{filed.id}?lang=kk"
    one, other = page(first, where), page(second, where)
    assert first.submit(where, form(one, decision="admit", compared="yes", version="1")).status == 303
    late = second.submit(where, form(other, decision="refuse", version="1", reason="no"))
    assert late.status == 409
    assert TEXTS["problem"]["application.changed"] in late.text
    assert TEXTS["state"]["admitted"] in late.text
    assert 'name="decision"' not in late.text
    assert [act.act for act in room.acts()] == ["application.admit"]


def test_applications_are_found(room: Room) -> None:
    """By state, name and BIN."""
    one = room.offices.apply(room.country.new_member(2, "second"))
    room.offices.apply(room.country.new_member(3, "third"))
    operator = room.enter()
    assert one.id in page(operator, "/console/applications?q=SECOND").text
    assert one.id not in page(operator, "/console/applications?q=third").text
    assert one.id in page(operator, f"/console/applications?q={one.member.rpartition('/')[2]}&state=submitted").text
    assert one.id not in page(operator, "/console/applications?state=admitted").text
    assert operator.get("/console/applications?state=lost&lang=kk").status == 400
    assert operator.get("/console/applications/nothing?lang=kk").status == 404


def test_a_member_is_suspended_and_let_back_after_a_question(room: Room, member: MemberDesk) -> None:
    """With a reason, which stands in the log; a second time is a conflict."""
    operator = room.enter()
    where = f"/console/members/GOV/{member.id.code}"
    assert member.node is not None
    shown = page(operator, where)
    assert str(member.node) in shown.text
    assert member.origin in shown.text
    asked = page(operator, f"{where}/standing")
    assert TEXTS["standing"]["suspend-lead"] in asked.text
    silent = operator.submit(f"{where}/standing?lang=kk", form(asked, standing="suspended", reason=""))
    assert TEXTS["problem"]["act.no-reason"] in silent.text
    fields = form(asked, standing="suspended", reason="Өз өтініші бойынша")
    assert operator.submit(f"{where}/standing?lang=kk", fields).status == 303
    assert room.country.registry.members()[str(member.id)][1] is True
    again = operator.submit(f"{where}/standing?lang=kk", fields)
    assert (again.status, TEXTS["problem"]["registry.suspended"] in again.text) == (409, True)
    assert operator.submit(f"{where}/standing?lang=kk", form(asked, standing="active", reason="Қайтты")).status == 303
    assert [(a.act, a.after) for a in room.acts()] == [
        ("member.suspend", {"suspended": True, "reason": "Өз өтініші бойынша"}),
        ("member.resume", {"suspended": False, "reason": "Қайтты"}),
    ]
    assert "Өз өтініші бойынша" in page(operator, "/console/acts?act=member.suspend&who=aigerim").text
    assert TEXTS["acts"]["none"] in page(operator, "/console/acts?who=somebody").text


def test_members_are_found(room: Room, member: MemberDesk) -> None:
    """By name, BIN and standing; who has sent no file is told apart."""
    new = room.country.new_member(2, "second")
    room.country.registry.admit(new.id, new.lineage, new.statement.names)
    analyst = room.enter("analyst")
    assert str(member.id) in page(analyst, f"/console/members?q={member.id.code}").text
    assert str(member.id) not in page(analyst, "/console/members?q=second").text
    assert str(new.id) in page(analyst, "/console/members?standing=without-file").text
    assert TEXTS["member"]["no-file"] in page(analyst, f"/console/members/GOV/{new.id.code}").text
    assert analyst.get("/console/members/GOV/1?lang=kk").status == 404
    assert "/standing" not in page(analyst, f"/console/members/GOV/{member.id.code}").text


def test_a_key_is_revoked_after_a_question(room: Room, member: MemberDesk) -> None:
    """For good; what is no key is refused."""
    operator, tls = room.enter(), base64(member.tls)
    assert tls in page(operator, "/console/keys").text
    where = f"/console/keys/revoke?tls={tls.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}"
    asked = page(operator, where)
    assert str(member.node) in asked.text
    assert TEXTS["revoke"]["lead"] in asked.text
    wrong = operator.submit("/console/keys/revoke?lang=kk", form(asked, tls="AAAA", reason="lost"))
    assert (wrong.status, TEXTS["problem"]["certificate.malformed"] in wrong.text) == (400, True)
    assert operator.submit("/console/keys/revoke?lang=kk", form(asked, tls=tls, reason="lost")).status == 303
    assert room.country.store.revoked_tls() == (tls,)
    assert TEXTS["revoke"]["already"] in page(operator, where).text
    assert TEXTS["state"]["revoked"] in page(operator, f"/console/members/GOV/{member.id.code}").text


def test_enrolments_of_nodes_are_seen(room: Room, member: MemberDesk) -> None:
    """A token that waits, one that was used, one that nobody used in time."""
    enrolments, now = room.offices.enrolments, room.country.clock.now()

    def grant(code: str) -> Token:
        node = NodeId(member.id, code)
        token = new_token(registry="http://127.0.0.1:1", anchor="3f2a", node=node, lineage=member.lineage)
        enrolments.grant(make_grant(instance="KZ", node=node, token_key=token.key.public, now=now, key=member.key))
        return token

    token, directory = grant("node7"), room.country.directory / "node7"
    identity = NodeIdentity.create(directory, NodeId(member.id, "node7"), "127.0.0.1:5500", hybrid=False)
    request, keys = (directory / TLS_REQUEST).read_bytes(), load_log_keys(directory, "KZ")
    enrolments.enrol(make_enrolment(token, identity=identity, request=request, keys=keys))
    grant("node8")
    analyst = room.enter("analyst")
    shown = page(analyst, "/console/keys").text
    assert f"{member.id}/node7" in shown
    assert TEXTS["state"]["enrolled"] in shown
    assert TEXTS["state"]["open"] in shown
    room.country.clock.advance(LIFETIME + 1)
    assert TEXTS["state"]["lapsed"] in page(room.enter("analyst"), "/console/keys").text


def test_the_operator_gives_accounts_and_roles_but_not_to_themselves(room: Room) -> None:
    """The password is shown once and works; every change is in the log."""
    operator = room.enter()
    shown = page(operator, "/console/people")
    added = operator.submit("/console/people?lang=kk", form(shown, name="marat", display="Марат Тест", roles="analyst"))
    password = re.search(r'class="secret">([^<]+)<', added.text)
    assert password
    assert password[1] not in page(operator, "/console/people").text
    marat = Visitor(room.app)
    assert marat.sign_in("marat", password[1]).status == 303
    assert marat.get("/console/people").status == 403
    change = "/console/people/marat?lang=kk"
    assert operator.submit(change, form(shown, change="roles", roles="auditor")).status == 303
    assert marat.get("/console/").status == 303  # the roles changed, so the session ended
    assert operator.submit(change, form(shown, change="disable")).status == 303
    assert marat.sign_in("marat", password[1]).status == 401
    assert operator.submit(change, form(shown, change="enable")).status == 303
    renewed = operator.submit(change, form(shown, change="password"))
    assert 'class="secret"' in renewed.text
    own = operator.submit("/console/people/aigerim?lang=kk", form(shown, change="disable"))
    assert (own.status, TEXTS["problem"]["account.own"] in own.text) == (409, True)
    twice = operator.submit("/console/people?lang=kk", form(shown, name="marat", display="x", roles="analyst"))
    assert TEXTS["problem"]["account.exists"] in twice.text
    assert [(a.act, a.subject, a.who) for a in room.acts() if a.who == "aigerim"] == [
        (act, "marat", "aigerim")
        for act in ("account.add", "account.roles", "account.disable", "account.enable", "account.password")
    ]


def test_where_the_log_is_halted_no_page_decides(room: Room, member: MemberDesk) -> None:
    """Every form says so, and nothing has changed."""
    filed = room.offices.apply(room.country.new_member(2, "second"))
    operator = room.enter()
    token = {"csrf": operator.get("/api/session").json()["csrf"]}
    room.offices.log._log.halt(Halt("log.full", "no room", at="log"))
    accounts = [account.name for account in room.offices.people.accounts.all()]
    for path, fields in (
        (f"/console/applications/{filed.id}", {"decision": "admit", "compared": "yes", "version": "1"}),
        (f"/console/members/GOV/{member.id.code}/standing", {"standing": "suspended", "reason": "x"}),
        ("/console/keys/revoke", {"tls": base64(member.tls), "reason": "x"}),
        ("/console/people", {"name": "marat", "display": "Марат", "roles": "analyst"}),
        ("/console/people/dana", {"change": "disable"}),
    ):
        answer = operator.submit(f"{path}?lang=kk", {**token, **fields})
        assert (answer.status, TEXTS["problem"]["halted"] in answer.text) == (503, True), path
    assert room.offices.applications.get(filed.id).state == "submitted"
    assert room.country.registry.members()[str(member.id)][1] is False
    assert [account.name for account in room.offices.people.accounts.all()] == accounts
    assert TEXTS["overview"]["halted"] in page(operator, "/console/").text
    assert "halted" in json.dumps(operator.get("/manage/status").json()["warnings"])


def test_what_ends_soon_is_on_the_first_page(room: Room, member: MemberDesk) -> None:
    """Long before it ends, with what is to be done."""
    analyst = room.enter("analyst")
    assert TEXTS["overview"]["nothing-ends"] in page(analyst, "/console/").text
    room.country.clock.advance(340 * 86_400_000)
    told = page(room.enter("analyst"), "/console/").text
    assert str(member.id) in told
    assert "root.json" in told
    assert TEXTS["remedy"]["metadata"] in told


def test_the_log_of_acts_goes_on_page_by_page(room: Room, member: MemberDesk) -> None:
    """The newest first; older ones behind a link; the checkpoint is open to anyone, the entries are not."""
    operator = room.enter()
    token = {"csrf": operator.get("/api/session").json()["csrf"]}
    for number in range(54):
        standing = "active" if number % 2 else "suspended"
        fields = {**token, "standing": standing, "reason": f"reason-{number}."}
        assert operator.submit(f"/console/members/GOV/{member.id.code}/standing", fields).status == 303
    first = page(operator, "/console/acts?act=member")
    assert "reason-53." in first.text
    assert "reason-3." not in first.text
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older
    second = operator.get(older[1].replace("&amp;", "&"))
    assert "reason-3." in second.text
    assert 'rel="next"' not in second.text
    assert Visitor(room.app).get("/admin-log/checkpoint").body == room.offices.log.head.note
    assert Visitor(room.app).get("/admin-log/tile/0/000.p/54").status == 401
    assert room.enter("auditor").get("/admin-log/tile/entries/000.p/54").status == 200


HOSTILE = ("<script>alert(1)</script>", "%00", "-1", "9" * 40, "%ff%fe", "..%2f..%2f", "%F0%9F%92%A9" * 300, "{{7*7}}")


def test_hostile_queries_and_forms_are_refused_or_harmless(room: Room, member: MemberDesk) -> None:
    """No page fails of it, none repeats markup, nothing changes."""
    filed = room.offices.apply(room.country.new_member(2, "second"))
    operator = room.enter()
    token = {"csrf": operator.get("/api/session").json()["csrf"]}
    where = f"/console/members/GOV/{member.id.code}"
    for wrong in HOSTILE:
        for path in (
            f"/console/applications?q={wrong}", f"/console/applications?state={wrong}",
            f"/console/applications/{wrong.replace('?', '')}", f"/console/members?q={wrong}",
            f"/console/members?page={wrong}", f"/console/members/GOV/{wrong}", f"/console/members/{wrong}/1",
            f"/console/keys?q={wrong}", f"/console/keys/revoke?tls={wrong}", f"/console/acts?who={wrong}",
            f"/console/acts?before={wrong}", f"/console/?said={wrong}", f"/console/?lang={wrong}",
        ):  # fmt: skip
            reply = operator.get(path)
            assert reply.status < 500, path
            assert "<script>alert" not in reply.text
        for path, fields in (
            (f"/console/applications/{filed.id}", {"decision": wrong, "version": "1"}),
            (f"/console/applications/{filed.id}", {"decision": "refuse", "version": wrong, "reason": "x"}),
            (f"{where}/standing", {"standing": wrong, "reason": "x"}),
            (f"{where}/standing", {"standing": "suspended", "reason": "x\x07" + wrong * 200}),
            ("/console/keys/revoke", {"tls": wrong, "reason": "x"}),
            ("/console/people", {"name": wrong, "display": wrong, "roles": wrong}),
            ("/console/people/dana", {"change": wrong}),
            ("/console/people/dana", {"change": "roles", "roles": wrong}),
        ):
            reply = operator.submit(path, {**token, **fields})
            assert 400 <= reply.status < 500, (path, fields)
            assert "<script>alert" not in reply.text
    assert room.acts() == []


# Texts -------------------------------------------------------------------------------------------------------------


def flat(value: Any, path: str = "") -> dict[str, str]:
    """Every text by its path."""
    if isinstance(value, str):
        return {path: value}
    return {key: text for name, inner in value.items() for key, text in flat(inner, f"{path}|{name}").items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_the_same_in_each_language(language: str) -> None:
    """The same keys and places in each, none empty, nothing left in English."""
    one, english = flat(registry_texts(language)), flat(registry_texts("en"))
    assert one.keys() == english.keys()
    places = re.compile(r"\{[a-z]+\}")
    assert [k for k in one if sorted(places.findall(one[k])) != sorted(places.findall(english[k]))] == []
    assert all(text.strip() for text in one.values())
    if language != "en":
        same = {key for key, text in one.items() if text == english[key] and re.search("[a-z]{3}", text)}
        assert same == set()


def test_every_text_is_used() -> None:
    """A text that no page shows is not kept, and no page asks for one that is not there."""
    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted((TEMPLATES / "registry").glob("*.html")))
    by_code = {"menu", "said", "state", "ending", "remedy", "problem", "finding", "act", "actor", "role", "field"}
    unused = []
    for section, inner in registry_texts("en").items():
        if section in by_code or isinstance(inner, str):
            continue
        named = {name for name in inner if not (section == "people" and name.startswith("role-"))}
        unused += [f"{section}.{name}" for name in named if not re.search(_use(section, name), pages)]
    assert unused == []


def _use(section: str, name: str) -> str:
    """How a template asks for a text."""
    word, quoted = re.escape(name), rf"""\[["']{re.escape(name)}["']\]"""
    return rf"(?:\bt|{section}|{section}[\"']\])(?:\.{word}\b|{quoted})"
