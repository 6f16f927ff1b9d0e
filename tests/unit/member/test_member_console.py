"""The console's use cases: each is noted before it counts, signed, and brought to the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from member_office import ADMIN, CODES_NAMES, MEMBER, NAMES, MemberOffice
from qaztech.core.errors import Conflict, Malformed, NotFound, Unavailable
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.member.publishing import DraftForm
from qaztech.people.tables import pending_act
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names
from qaztech.registry.passport import Passport, new_passport
from registry_country import Country, quick_folder

SYSTEM = SubsystemId(MEMBER, "codes")
SERVICE = ServiceId(SYSTEM, "list")
CLIENT = SubsystemId.parse("KZ/GOV/991340000017/permits")
OPENAPI = b"""openapi: 3.1.0
info: {title: Codes, version: "2"}
servers: [{url: "http://10.9.8.7/secret"}]
paths:
  /codes/{id}:
    get: {summary: One code, parameters: [{name: id, in: path, required: true, schema: {type: string}}],
          responses: {"200": {description: OK}}}
"""


@pytest.fixture(scope="module")
def country() -> Iterator[Country]:
    with quick_folder() as folder:
        country = Country(folder)
        yield country
        country.close()


@pytest.fixture
def office(country: Country, tmp_path: Path) -> Iterator[MemberOffice]:
    """A member with a system, whose service `list` is on its way."""
    office = MemberOffice(country, tmp_path, admitted=False)
    office.console.member.create("QUASI", MEMBER.code, NAMES, ADMIN)
    file = office.console.work.file()
    office.registry = Registry_of(country, file.lineage)
    office.console.services.add_system("codes", CODES_NAMES, ADMIN)
    yield office
    office.close()


def Registry_of(country: Country, lineage: str) -> Any:  # noqa: N802
    """The country's registry, in which this lineage is the member's."""
    known = country.registry.members().get(str(MEMBER))
    if known is None or known[0] != lineage:
        country.registry.admit(MEMBER, lineage, NAMES)
    return country.registry


def acts(office: MemberOffice) -> list[str]:
    """What the admin log says, oldest first."""
    asyncio.run(office.log.drain(office.engine))
    return [one.act.act for one in office.log.acts(newest_first=False, limit=200) if one.act is not None][4:]


def draft(**changes: Any) -> DraftForm:
    """What is filled in for a new service."""
    values = {"subsystem": str(SYSTEM), "code": "list", "names": CODES_NAMES, "url": "http://10.0.0.5/api"}
    return DraftForm(**{**values, **changes})


def passport() -> Passport:
    return new_passport(CODES_NAMES)


def publish(office: MemberOffice) -> None:
    made = office.console.services.begin("account", draft(), OPENAPI)
    office.console.services.publish("account", made.id, passport(), ADMIN)


class TestServices:
    """From a file to a service."""

    def test_a_service_is_signed_shown_and_told_to_the_node(self, office: MemberOffice) -> None:
        """Member file, showcase with the description's hash, settings of the node; the act is on record."""
        made = office.console.services.begin("account", draft(), OPENAPI)
        published = office.console.services.publish("account", made.id, passport(), ADMIN)
        assert (published.outcome.registry, published.outcome.node, published.showcase) == (None, "console.node", None)
        found = office.console.services.service(SERVICE)
        assert (found.line.type, found.line.names, found.clients) == ("OPENAPI", CODES_NAMES, 0)
        assert found.shown is not None
        assert found.shown.description is not None
        document = office.console.services.description(found.shown.description)
        assert document is not None
        assert b"10.9.8.7" not in document
        settings = office.settings.read_text()
        assert 'url = "http://10.0.0.5/api"' in settings
        assert settings.startswith("# The node.")
        kept = office.registry.file_of(MEMBER)
        assert kept is not None
        assert kept.version == office.console.work.brought == published.outcome.version
        assert acts(office) == ["member.create", "system.put", "service.publish"]
        with pytest.raises(NotFound):
            office.console.services.draft("account", made.id)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"code": "a/b"}, "console.code"), ({"code": ""}, "console.code"), ({"code": "қ"}, "console.code"),
            ({"subsystem": f"{MEMBER}/none"}, "console.subsystem"),
            ({"subsystem": "KZ/GOV/991340000017/permits"}, "console.subsystem"),
            ({"names": Names(kk="", ru="x", en="x")}, "console.names"),
            ({"url": "http://169.254.169.254/"}, "console.service-url"),
            ({"url": "http://localhost:4000/reload"}, "console.service-url"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_a_service(self, office: MemberOffice, changes: dict[str, Any], code: str) -> None:
        """Nothing is kept of it."""
        with pytest.raises(Malformed) as refused:
            office.console.services.begin("account", draft(**changes), None)
        assert refused.value.code == code

    def test_a_faulty_description_is_not_published(self, office: MemberOffice) -> None:
        """It is shown with what is wrong; publishing it is refused."""
        made = office.console.services.begin("account", draft(), b'{"openapi": "3.1.0", "info": {}, "paths": {}}')
        assert made.description is not None
        assert made.description.errors
        with pytest.raises(Malformed):
            office.console.services.publish("account", made.id, passport(), ADMIN)
        assert office.console.services.services() == []

    def test_a_draft_is_its_makers(self, office: MemberOffice) -> None:
        """Another account does not see it."""
        made = office.console.services.begin("account", draft(), None)
        with pytest.raises(NotFound):
            office.console.services.draft("another", made.id)

    def test_a_service_is_switched_off_and_on(self, office: MemberOffice) -> None:
        """Passport, rights and settings stay."""
        publish(office)
        office.console.services.disable(SERVICE, " maintenance\nuntil 18:00 ", ADMIN)
        assert office.console.services.service(SERVICE).line.disabled == "maintenance until 18:00"
        office.console.services.enable(SERVICE, ADMIN)
        assert office.console.services.service(SERVICE).line.disabled is None
        assert office.console.services.service(SERVICE).shown is not None
        with pytest.raises(Malformed):
            office.console.services.disable(SERVICE, "", ADMIN)

    def test_the_registry_is_away(self, office: MemberOffice) -> None:
        """The change is signed and stays; later it is brought."""
        office.away = True
        outcome = office.console.services.add_system("more", CODES_NAMES, ADMIN)
        assert outcome.registry == "registry.unreachable"
        assert office.console.work.brought < outcome.version
        office.console.follow()
        assert office.console.work.is_late
        office.away = False
        office.console.follow()
        assert not office.console.work.is_late
        assert office.console.work.brought == outcome.version

    @pytest.mark.parametrize("stranger", [ServiceId(CLIENT, "list"), ServiceId(SubsystemId(MEMBER, "nowhere"), "list")])
    def test_the_node_hears_of_no_service_that_is_not_the_members_own(
        self, office: MemberOffice, stranger: ServiceId
    ) -> None:
        """A node may serve several members: nobody leads the calls of another somewhere else."""
        before = office.settings.read_text()
        with pytest.raises(Malformed):
            office.console.services.put(stranger, passport(), ADMIN, url="http://10.6.6.6/thief")
        assert office.settings.read_text() == before

    def test_the_node_hears_of_nothing_that_is_not_on_record(self, office: MemberOffice) -> None:
        """Where an act cannot be noted, nothing of it is done."""
        publish(office)
        before = office.settings.read_text()
        engine = office.console.work.engine
        with engine.begin() as db:
            pending_act.drop(db)
        with pytest.raises(Unavailable):
            office.console.services.put(SERVICE, passport(), ADMIN, url="http://10.6.6.6/thief")
        with engine.begin() as db:
            pending_act.create(db)
        assert office.settings.read_text() == before


class TestMember:
    """Key and rights."""

    def test_a_changed_key_signs_the_showcase_again(self, office: MemberOffice) -> None:
        """What was shown under the key before is shown under the new one."""
        publish(office)
        before = office.console.services.showcase()
        office.console.member.rotate_key(ADMIN)
        assert office.console.services.showcase() is None, "the old signature is worth nothing any more"
        assert office.console.services.sign_again() is None
        after = office.console.services.showcase()
        assert before is not None
        assert after is not None
        assert after.version == before.version + 1
        assert [s.id for s in after.statement.services] == [s.id for s in before.statement.services]

    def test_a_right_is_taken_away_by_its_name(self, office: MemberOffice) -> None:
        """Another client's stays; one that is not there is not found."""
        publish(office)
        other, all_ = SubsystemId.parse("KZ/EDU/991340000037/research"), [Endpoint.parse("GET /**")]
        for client in (CLIENT, other):
            office.console.member.grant(SERVICE, client, lineage="a" * 64, endpoints=all_, until=None, by=ADMIN)
        office.console.revoke_right(SERVICE, client=str(CLIENT), group=None, by=ADMIN)
        assert [held.client for held in office.console.member.rights()] == [str(other)]
        with pytest.raises(NotFound):
            office.console.revoke_right(SERVICE, client=str(CLIENT), group=None, by=ADMIN)
        assert acts(office)[-1] == "right.revoke", "what was refused before it began is no act"

    def test_what_a_request_had_signed_has_been_brought(self, office: MemberOffice) -> None:
        """Rights given on a request reach the registry by another way, and the console knows of it."""
        publish(office)
        with office.console.work.turn() as desk:
            desk.grant(SERVICE, CLIENT, "a" * 64, [Endpoint.parse("GET /**")], None)
            submission = desk.submission()
        assert office.console.waiting().unsent
        office.console.work.send(submission)
        assert not office.console.waiting().unsent

    def test_a_change_waits_for_whoever_holds_the_desk(
        self, office: MemberOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And gives up with the words of the desk."""
        monkeypatch.setattr("qaztech.member.desk_work.WAIT_SECONDS", 0.0)
        work = office.console.work
        with Desk.locked(work.directory, office.clock), pytest.raises(Conflict) as refused:
            office.console.member.renew(ADMIN)
        assert refused.value.code == "member.desk-in-use"
        office.console.member.renew(ADMIN)

    def test_a_failed_act_is_on_record_as_failed(self, office: MemberOffice) -> None:
        """It was noted before it was tried."""

        def fail(_: Desk) -> None:
            raise Unavailable("disk.failed", "the disk does not take it")

        with pytest.raises(Unavailable):
            office.console.work.change(ADMIN, fail, act="service.publish", subject="x")
        assert acts(office)[-2:] == ["service.publish", "service.publish.failed"]


def test_before_there_is_a_key(country: Country, tmp_path: Path) -> None:
    """The console works, and says what comes first; wrong organisations get no key."""
    office = MemberOffice(country, tmp_path, admitted=False)
    console = office.console
    assert console.member.step() == "key"
    for member_class, bin_ in (("GOV", "991340000018"), ("GOV", "1"), ("NONE", MEMBER.code)):
        with pytest.raises(Malformed):
            console.member.create(member_class, bin_, NAMES, ADMIN)
    with pytest.raises(NotFound):
        console.services.services()
    with pytest.raises(NotFound):
        _ = console.requests
    console.follow()
    console.member.create("QUASI", MEMBER.code, NAMES, ADMIN)
    assert console.member.step() == "apply"
    with pytest.raises(Conflict):
        console.member.create("QUASI", MEMBER.code, NAMES, ADMIN)
    office.close()
