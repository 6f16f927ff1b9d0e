"""The registry's state when its database breaks off in the middle: what was stored is what is published."""

from __future__ import annotations

import asyncio

import pytest

from qaztech.core.errors import Error, Unavailable
from qaztech.people.actors import Actor
from qaztech.registry.admission import Registry
from qaztech.registry.authoring import revise
from registry_country import Country
from registry_office import Offices

BY = Actor(name="aigerim", role="registry-operator")


def away(*_: object, **__: object) -> None:
    """The database does not answer."""
    raise Unavailable("database.unavailable", "the database cannot be reached", at="registry")


def test_a_file_that_was_stored_before_the_answer_was_lost_is_published(
    country: Country, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process remembers is read again first: it never shows the old file's hash with the new file's bytes."""
    desk = country.admit(country.new_member(1, "provider"))
    country.publish()
    before = country.registry.members()[str(desk.id)][2]
    desk.statement = revise(desk.statement, country.clock.now())
    monkeypatch.setattr(country.store, "member", away)
    with pytest.raises(Error, match=r"database\.unavailable"):
        country.registry.accept_member_file(desk.file())
    with pytest.raises(Error, match=r"database\.unavailable"):
        country.publish()
    monkeypatch.undo()
    country.publish()
    assert country.registry.members()[str(desk.id)][2] == before + 1
    fresh = Registry(instance="KZ", store=country.store, settings=country.registry._settings, clock=country.clock)
    assert fresh.targets() == country.registry.targets() == dict(country.publication.targets)


def test_a_change_that_was_not_stored_is_not_remembered(country: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does anything wait for it afterwards."""
    desk = country.admit(country.new_member(1, "provider"))
    monkeypatch.setattr(country.store, "set_suspended", away)
    with pytest.raises(Error, match=r"database\.unavailable"):
        country.registry.suspend(desk.id)
    monkeypatch.undo()
    country.publish()
    assert country.registry.members()[str(desk.id)][1] is False
    country.registry.suspend(desk.id)
    assert country.registry.members()[str(desk.id)][1] is True


def test_an_act_that_was_stored_before_the_answer_was_lost_has_not_failed(
    country: Country, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin log has it once, and nothing that says it failed."""
    desk = country.admit(country.new_member(1, "provider"))
    offices = Offices(country)
    monkeypatch.setattr(country.store, "member", away)
    with pytest.raises(Error, match=r"database\.unavailable"):
        asyncio.run(offices.office.suspend(BY, desk.id, suspended=True))
    monkeypatch.undo()
    asyncio.run(offices.office.finish())
    acts = [logged.act.act for logged in offices.log.acts() if logged.act is not None]
    assert acts.count("member.suspend") == 1
    assert len(acts) == 1
    assert country.registry.members()[str(desk.id)][1] is True
    offices.close()
