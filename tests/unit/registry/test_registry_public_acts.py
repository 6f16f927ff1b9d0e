"""The admin log for anyone: who acted and why is not in it, every line can be proven; the registry names the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from asgi_caller import Caller
from qaztech.compose.witness import known_logs
from qaztech.core.errors import Malformed
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.proof import TlogProof
from qaztech.people.actors import Act, new_salt
from qaztech.people.acts import LoggedAct
from qaztech.registry.act_service import ActService
from qaztech.registry.admin_logs import all_ended, joined, with_open
from qaztech.registry.client import ClientSettings
from qaztech.registry.directory import AdminLogLine, LogsFile, format_logs, parse_logs
from qaztech.registry.forms import encode
from qaztech.registry.member_file import log_origin
from qaztech.registry.office import OPERATOR_TOKEN
from qaztech.registry.public_acts import LOOKED_THROUGH, find_acts, public_act
from qaztech.runtime.shell import ShellLimits, application
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, seed
from registry_office import Offices


@pytest.fixture
def offices(country: Country) -> Iterator[Offices]:
    """An office whose acts are recorded."""
    country.publish()
    found = Offices(country)
    yield found
    found.close()


def act(kind: str, subject: str = "aigerim", **states: object) -> LoggedAct:
    """An act as it is found in the log."""
    made = Act(who="aigerim", role="registry-operator", when=5, act=kind, subject=subject, salt=new_salt(), **states)  # type: ignore[arg-type]
    return LoggedAct(index=3, time=7, act=made)


@pytest.mark.parametrize(
    "logged",
    [
        act("account.roles", before={"roles": ["aigerim"]}, after={"roles": ["aigerim"]}),
        act("token.create", after={"token": "aigerim"}),
        act("application.refuse", after={"application": "aigerim", "reason-sha256": "aigerim"}),
        act("act.failed", before={"index": 1, "act": "application.refuse"}, after={"code": "x"}),
        act("something.new", before={"name": "aigerim"}, after={"name": "aigerim"}),
        act("member.suspend", "KZ/GOV/991340000017", after={"suspended": True, "reason": "aigerim"}),
        act("tls.revoke", "AwEb", before={"revoked": False}, after={"revoked": True, "reason": "aigerim"}),
    ],
)
def test_no_name_and_no_reason_is_public(logged: LoggedAct) -> None:
    """Of any kind of act, also of one that is not known yet."""
    shown = public_act(logged, bytes(32))
    assert "aigerim" not in repr(shown)
    assert (shown.role, shown.time, shown.leaf) == ("registry-operator", 5, "00" * 32)


def test_public_facts_are_shown() -> None:
    """What the directory says of a member anyway; a key taken off the wire."""
    shown = public_act(act("member.admit", "KZ/GOV/1", after={"lineage": "ab", "names": {"kk": "A"}}), bytes(32))
    assert (shown.subject, shown.after) == ("KZ/GOV/1", {"lineage": "ab", "names": {"kk": "A"}})
    assert public_act(LoggedAct(index=1, time=2, act=None), bytes(32)).act == ""


def test_a_filter_that_fits_nothing_looks_through_so_many() -> None:
    """And says from where to go on."""
    one = act("account.add").act

    def page(before: int | None) -> list[LoggedAct]:
        top = 10_000 if before is None else before
        return [LoggedAct(index=index, time=0, act=one) for index in range(top - 1, top - 201, -1)]

    assert find_acts(page, kind="tls", before=None, limit=5) == ([], 10_000 - LOOKED_THROUGH)
    found, older = find_acts(page, kind="account", before=9, limit=5)
    assert ([logged.index for logged in found], older) == ([8, 7, 6, 5, 4], 4)


def test_an_entry_is_proven_by_its_hash(country: Country, offices: Offices) -> None:
    """Line, proof and checkpoint fit together; the hash tells nobody the name, for the entry has a salt."""
    for serial in range(3):
        desk = country.new_member(serial + 1, f"m{serial}")
        asyncio.run(offices.office.admit(OPERATOR_TOKEN, desk.id, desk.lineage, desk.statement.names))
    service = ActService(offices.log, witnessed=lambda: offices.log.head.note)
    caller = Caller(application(service.routes(), ShellLimits()))
    page = json.loads(caller.get("/registry/admin-log/acts?kind=member&limit=2").text)
    assert [one["act"] for one in page["acts"]] == ["member.admit"] * 2
    assert page["older"] == page["acts"][1]["index"]
    one = page["acts"][1]
    entry = offices.log.acts(before=one["index"] + 1, limit=1)[0].act
    assert entry is not None
    assert leaf_hash(entry.leaf()).hex() == one["leaf"]
    assert len(entry.salt) == 32
    assert "operator-token" not in json.dumps(page)
    proof = TlogProof.parse(caller.get(f"/registry/admin-log/proofs/{one['index']}").text.encode())
    proof.verify_signed(bytes.fromhex(one["leaf"]), [VerifierKey.parse(page["vkey"])])
    assert caller.get(f"/registry/admin-log/proofs/{page['size']}").status_code == 404
    assert caller.get("/registry/admin-log/acts?limit=0").status_code == 400
    assert json.loads(caller.get("/registry/admin-log/acts?before=0").text)["acts"] == []


def admin_key(name: str) -> VerifierKey:
    """The key of an admin log."""
    key = Ed25519Key.from_seed(seed(name))
    return VerifierKey.of(log_origin("KZ", key.public), ED25519, key.public)


def test_witnesses_learn_the_admin_log_from_what_is_published(country: Country) -> None:
    """A new one ends the one before; a member's log is decided by its own file, whatever the registry names."""
    desk = country.admit(country.new_member(1, "one"))
    client, fetcher = country.client(desk, settings=ClientSettings(admin_logs=True))
    client.refresh()
    first, second = admin_key("first"), admin_key("second")
    assert known_logs(client, country.anchor, first.name) == ()
    lines = with_open((), first, 1)
    country.registry.name_admin_logs(lines)
    revision = country.registry.revision
    country.registry.name_admin_logs(lines)
    assert country.registry.revision == revision
    country.publish()
    client.refresh()
    assert known_logs(client, country.anchor, first.name) == country.registry.log_keys(first.name) == (first,)
    members = with_open((), VerifierKey.of(desk.origin, ED25519, desk.log_key.public), 5)
    lines = with_open(joined(all_ended(lines, 2), members), second, 3)
    country.registry.name_admin_logs(lines)
    assert {line.origin: (line.since, line.ended) for line in lines} == {
        first.name: (1, 2), desk.origin: (5, 3), second.name: (3, None),
    }  # fmt: skip
    country.publish()
    client.refresh()
    assert known_logs(client, country.anchor, first.name) == country.registry.log_keys(first.name) == ()
    assert known_logs(client, country.anchor, second.name) == (second,)
    assert known_logs(client, country.anchor, desk.origin) == country.registry.log_keys(desk.origin) != ()
    node, asked = country.client(desk, "node")
    node.refresh()
    assert node.configuration().admin_logs == ()
    assert not any("logs.json" in path for path, _ in asked.fetched)
    assert any("logs.json" in path for path, _ in fetcher.fetched)


@pytest.mark.parametrize("broken", ["type", "two open", "order", "key"])
def test_a_file_of_logs_has_one_form(broken: str) -> None:
    """Anything else is refused by whoever reads it."""
    lines = sorted((admin_key(name) for name in ("a", "b")), key=lambda key: key.name)
    made = [AdminLogLine(origin=k.name, vkeys=(str(k),), since=1, ended=2) for k in lines]
    file = parse_logs(format_logs("KZ", made))
    assert file.admin == tuple(made)
    one, two = file.admin
    changed = {
        "type": LogsFile(type="x", instance="KZ", admin=()),
        "two open": LogsFile(
            type=file.type, instance="KZ",
            admin=tuple(AdminLogLine(origin=o.origin, vkeys=o.vkeys, since=1, ended=None) for o in made),
        ),
        "order": LogsFile(type=file.type, instance="KZ", admin=(two, one)),
        "key": LogsFile(
            type=file.type, instance="KZ",
            admin=(AdminLogLine(origin=one.origin, vkeys=two.vkeys, since=1, ended=None),),
        ),
    }[broken]  # fmt: skip
    with pytest.raises(Malformed):
        parse_logs(encode(changed))
