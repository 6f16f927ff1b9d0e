"""The registry's office: recorded before it counts, carried out once, nothing decided where nothing can be recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from databases import database_at
from qaztech.core.errors import Conflict, Error, Halt, Malformed
from qaztech.core.ids import NodeId
from qaztech.people.actors import Act, Actor
from qaztech.registry.admission import Registry
from qaztech.registry.publication import Publication
from qaztech.registry.store import RegistryStore
from qaztech.trust.certificates import Authority, certificate_request, generate_key
from registry_country import Country
from registry_office import Offices

BY = Actor(name="aigerim", role="registry-operator")


@pytest.fixture
def offices(country: Country) -> Iterator[Offices]:
    """An office with nothing decided yet."""
    country.publish()
    found = Offices(country, authority=Authority.create("KZ", country.clock.now()))
    yield found
    found.close()


def acts(offices: Offices) -> list[Act]:
    """What the admin log holds, the oldest first."""
    return [logged.act for logged in offices.log.acts(newest_first=False) if logged.act is not None]


def decide(offices: Offices, id_: str, **asked: Any) -> Any:
    given = {"version": 1, "admit": True, "reason": "", **asked}
    return asyncio.run(offices.office.decide_application(BY, id_, **given))


def test_every_act_is_recorded_with_what_was_and_what_is(country: Country, offices: Offices) -> None:
    """Who, in which role, when, to whom; of an application only hashes."""
    desk = country.new_member(1, "provider")
    filed = offices.apply(desk)
    decide(offices, filed.id, reason="Тексерілді, +77010000000")
    asyncio.run(offices.office.suspend(BY, desk.id, suspended=True, reason="asked by itself"))
    asyncio.run(offices.office.suspend(BY, desk.id, suspended=False))
    asyncio.run(offices.office.revoke_tls(BY, desk.tls))
    node = NodeId(desk.id, "node1")
    asyncio.run(offices.office.certificate(BY, node, certificate_request(generate_key(), node)))
    found = acts(offices)
    assert [(act.act, act.subject) for act in found] == [
        ("application.admit", str(desk.id)), ("member.suspend", str(desk.id)), ("member.resume", str(desk.id)),
        ("tls.revoke", found[3].subject), ("certificate.issue", str(node)),
    ]  # fmt: skip
    assert {(act.who, act.role, act.when) for act in found} == {("aigerim", "registry-operator", country.clock.now())}
    assert found[0].before is not None
    assert (found[0].before["state"], found[0].after["state"]) == ("submitted", "admitted")  # type: ignore[index]
    assert (found[1].before, found[1].after) == (
        {"suspended": False}, {"suspended": True, "reason": "asked by itself"},
    )  # fmt: skip
    text = b"".join(act.leaf() for act in found).decode()
    for private in ("IT department", "it@university", "7701", "Signatory", filed.id):
        assert private not in text


def test_what_is_refused_is_not_recorded(country: Country, offices: Offices) -> None:
    """An act that the rules do not allow was none."""
    desk = country.admit(country.new_member(1, "provider"))
    filed = offices.apply(country.new_member(2, "second"))
    for wrong in (
        offices.office.suspend(BY, desk.id, suspended=False),
        offices.office.suspend(BY, desk.id, suspended=True, reason="\x07"),
        offices.office.admit(BY, desk.id, desk.lineage, desk.statement.names),
        offices.office.decide_application(BY, filed.id, version=2, admit=True, reason=""),
        offices.office.decide_application(BY, filed.id, version=1, admit=False, reason=" "),
        offices.office.revoke_tls(BY, b"short"),
    ):
        with pytest.raises((Conflict, Malformed)):
            asyncio.run(wrong)
    asyncio.run(offices.office.revoke_tls(BY, desk.tls))
    asyncio.run(offices.office.revoke_tls(BY, desk.tls))
    assert [act.act for act in acts(offices)] == ["tls.revoke"]


def test_two_who_decide_at_once_decide_once(country: Country, offices: Offices) -> None:
    """One wins; the other meets a conflict; the log has one act."""
    filed = offices.apply(country.new_member(1, "provider"))

    async def both() -> list[Any]:
        first = offices.office.decide_application(BY, filed.id, version=1, admit=True, reason="")
        second = offices.office.decide_application(BY, filed.id, version=1, admit=False, reason="no")
        return await asyncio.gather(first, second, return_exceptions=True)

    won, lost = asyncio.run(both())
    assert won.state == "admitted"
    assert isinstance(lost, Conflict)
    assert lost.code == "application.changed"
    assert [act.act for act in acts(offices)] == ["application.admit"]


def test_where_the_log_is_halted_nothing_is_decided(country: Country, offices: Offices) -> None:
    """No act without its record: state and publication stay as they were."""
    desk = country.admit(country.new_member(1, "provider"))
    filed = offices.apply(country.new_member(2, "second"))
    published = country.publication.published
    offices.log._log.halt(Halt("log.full", "no room", at="log"))
    node = NodeId(desk.id, "node1")
    for act in (
        offices.office.suspend(BY, desk.id, suspended=True),
        offices.office.decide_application(BY, filed.id, version=1, admit=True, reason=""),
        offices.office.revoke_tls(BY, desk.tls),
        offices.office.certificate(BY, node, certificate_request(generate_key(), node)),
    ):
        with pytest.raises(Halt):
            asyncio.run(act)
    assert offices.applications.get(filed.id).state == "submitted"
    assert country.registry.members()[str(desk.id)][1] is False
    assert country.store.revoked_tls() == ()
    assert country.publication.published == published


class Killed(BaseException):
    """The process ends here."""


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


def restart(country: Country, offices: Offices) -> None:
    """Open everything from disk, as a new process would; then recover, and publish."""
    offices.close()
    country.store.close()
    country.store = RegistryStore.open(database_at(country.directory / "registry" / "registry.db"))
    settings = country.registry._settings
    country.registry = Registry(instance="KZ", store=country.store, settings=settings, clock=country.clock)
    country.publication = Publication(directory=country.published, keys=country.keys, clock=country.clock)
    country.publisher = country.make_publisher()
    offices.open()
    asyncio.run(offices.office.recover())
    country.publish()


def test_killed_between_decision_and_publication_it_stands_once(
    country: Country, offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the restart the member is published, once, and the log says so once."""
    desk = country.new_member(1, "provider")
    filed = offices.apply(desk)
    monkeypatch.setattr(country.publication, "prepare", killed)
    with pytest.raises(Killed):
        decide(offices, filed.id)
    assert b"provider" not in (country.published / "metadata" / "timestamp.json").read_bytes()
    restart(country, offices)
    assert offices.applications.get(filed.id).state == "admitted"
    assert str(desk.id).encode() in country.registry.content("directory.json")
    assert str(desk.id) in country.registry.members()
    assert [act.act for act in acts(offices)] == ["application.admit"]
    with pytest.raises(Conflict):
        decide(offices, filed.id)


@pytest.mark.parametrize("half", [True, False])
def test_killed_between_record_and_decision_it_is_carried_out(
    country: Country, offices: Offices, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    """What was recorded is decided, also when the process ended in the middle of it."""
    desk = country.new_member(1, "provider")
    filed = offices.apply(desk)
    if half:  # the registry knows the member, the application's own database does not say so yet
        monkeypatch.setattr(country.registry, "_remember", killed)
    else:
        monkeypatch.setattr(offices.applications, "decide", killed)
    with pytest.raises(Killed):
        decide(offices, filed.id)
    monkeypatch.undo()
    restart(country, offices)
    assert offices.applications.get(filed.id).state == "admitted"
    assert str(desk.id) in country.registry.members()
    assert [act.act for act in acts(offices)] == ["application.admit"]
    restart(country, offices)
    assert len(acts(offices)) == 1


def test_what_cannot_be_carried_out_any_more_is_said(
    country: Country, offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal whose reason is lost: the log says that it failed, and the application waits again."""
    filed = offices.apply(country.new_member(1, "provider"))
    monkeypatch.setattr(offices.applications, "decide", killed)
    with pytest.raises(Killed):
        decide(offices, filed.id, admit=False, reason="no such organisation")
    monkeypatch.undo()
    restart(country, offices)
    assert [(act.act, act.who) for act in acts(offices)] == [
        ("application.refuse", "aigerim"), ("act.failed", "registry"),
    ]  # fmt: skip
    assert decide(offices, filed.id, admit=False, reason="no such organisation").state == "refused"


@pytest.mark.parametrize("act", ["suspend", "revoke", "admit", "resume"])
def test_other_acts_are_carried_out_after_a_kill(
    country: Country, offices: Offices, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Suspension, resumption, revocation and direct admission alike."""
    desk = country.admit(country.new_member(1, "provider"))
    new = country.new_member(2, "second")
    if act == "resume":
        country.registry.suspend(desk.id)
    name = {"suspend": "suspend", "revoke": "revoke_tls", "admit": "admit", "resume": "resume"}[act]
    monkeypatch.setattr(country.registry, name, killed)
    work = {
        "suspend": lambda: offices.office.suspend(BY, desk.id, suspended=True),
        "resume": lambda: offices.office.suspend(BY, desk.id, suspended=False),
        "revoke": lambda: offices.office.revoke_tls(BY, desk.tls),
        "admit": lambda: offices.office.admit(BY, new.id, new.lineage, new.statement.names),
    }[act]
    with pytest.raises(Killed):
        asyncio.run(work())
    restart(country, offices)
    assert {
        "suspend": country.registry.members()[str(desk.id)][1],
        "resume": not country.registry.members()[str(desk.id)][1],
        "revoke": country.registry.is_revoked(desk.tls),
        "admit": str(new.id) in country.registry.members(),
    }[act]
    assert len(acts(offices)) == 1


def test_a_full_disk_holds_an_act_up_and_no_other_comes_before_it(
    country: Country, offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storage fails after the record: the act is carried out as soon as it can be."""
    desk = country.admit(country.new_member(1, "provider"))
    full = OSError(28, "no space")

    def failing(*_: Any) -> None:
        raise full

    monkeypatch.setattr(country.store, "set_suspended", failing)
    with pytest.raises(Error) as caught:
        asyncio.run(offices.office.suspend(BY, desk.id, suspended=True))
    assert caught.value.code == "act.held-up"
    assert "registry.unavailable" in caught.value.detail
    with pytest.raises(Error) as caught:
        asyncio.run(offices.office.revoke_tls(BY, desk.tls))
    assert caught.value.code == "registry.unavailable", "this one is not recorded"
    monkeypatch.undo()
    asyncio.run(offices.office.finish())
    assert country.registry.members()[str(desk.id)][1] is True
    assert [act.act for act in acts(offices)] == ["member.suspend"]
