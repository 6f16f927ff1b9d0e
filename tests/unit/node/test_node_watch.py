"""A node notices what speaks for its members and is not its own, and when the registry shows them otherwise."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import msgspec
import pytest

from qaztech.core.ids import NodeId
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.node.watch import Ours, OwnMember, Watch, look_over
from qaztech.registry.authoring import close_log, with_log, with_node
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.member_file import log_origin
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, MemberDesk, quick_folder


class Scene:
    """A member, its node, and what that node knows of itself."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.desk: MemberDesk = country.admit(country.new_member(1, "provider"))
        self.client: ConfigurationClient = country.client(self.desk)[0]
        self.ours = Ours(node=self.desk.node, keys={self.desk.tls}, origins={self.desk.origin})
        self.member = OwnMember(id=self.desk.id, lineage=self.desk.lineage)

    def found(self, *acknowledged: str) -> dict[str, str]:
        """Codes and details of what is wrong, after a look at the registry."""
        member = replace(self.member, acknowledged=frozenset(acknowledged))
        return {f.code: f.detail for f in look_over(self.client.refresh(), self.ours, member)}


@pytest.fixture
def scene() -> Iterator[Scene]:
    with quick_folder() as folder:
        country = Country(folder)
        yield Scene(country)
        country.close()


def test_all_is_well(scene: Scene) -> None:
    """Its own node, its own key, its own log."""
    assert scene.found() == {}


def test_a_node_that_nobody_acknowledged(scene: Scene) -> None:
    """With its log; who set it up says so in `node.toml`, and is not told again."""
    other = NodeId(scene.desk.id, "node2")
    key = Ed25519Key.from_seed(bytes(range(32)))
    origin = log_origin("KZ", key.public)
    statement = with_node(scene.desk.statement, other, "other.example:5500", sha256(b"other").digest())
    vkey = VerifierKey.of(origin, ED25519, key.public)
    scene.desk.statement = with_log(statement, other, [vkey], scene.country.clock.now())
    scene.country.send(scene.desk)
    found = scene.found()
    assert found.keys() == {"own-member.node-unknown", "own-member.log-unknown"}
    assert str(other) in found["own-member.node-unknown"]
    assert origin in found["own-member.log-unknown"]
    assert scene.found(str(other)) == {}
    assert scene.found(origin).keys() == {"own-member.node-unknown"}


def test_a_key_for_this_node_that_it_does_not_have(scene: Scene) -> None:
    """Beside its own or in its place: who has that key would be taken for the node."""
    stolen = sha256(b"stolen").digest()
    for keys in ((scene.desk.tls, stolen), (stolen,)):
        scene.desk.statement = with_node(scene.desk.statement, scene.desk.node, "provider.example:5500", *keys)
        scene.country.send(scene.desk)
        found = scene.found()
        assert found.keys() == {"own-member.key-unknown"}
        assert b64encode(stolen).decode() in found["own-member.key-unknown"]
        assert scene.found(b64encode(stolen).decode()) == {}


def test_a_key_that_this_node_has_left(scene: Scene) -> None:
    """The change of key is not at its end before the file names the new one alone."""
    new = sha256(b"new").digest()
    scene.desk.statement = with_node(
        scene.desk.statement, scene.desk.node, "provider.example:5500", scene.desk.tls, new
    )
    scene.country.send(scene.desk)
    scene.ours = replace(scene.ours, keys={scene.desk.tls, new}, left={scene.desk.tls})
    assert scene.found().keys() == {"own-member.key-left"}
    scene.desk.statement = with_node(scene.desk.statement, scene.desk.node, "provider.example:5500", new)
    scene.country.send(scene.desk)
    assert scene.found() == {}


def test_a_log_of_this_node_that_it_does_not_have(scene: Scene) -> None:
    """Also a closed one: it would have spoken for the member."""
    key = Ed25519Key.from_seed(bytes(range(1, 33)))
    origin = log_origin("KZ", key.public)
    now = scene.country.clock.now()
    vkey = VerifierKey.of(origin, ED25519, key.public)
    statement = with_log(scene.desk.statement, scene.desk.node, [vkey], now)
    scene.desk.statement = close_log(statement, origin, until=now, closed=(1, bytes(32)))
    scene.country.send(scene.desk)
    assert scene.found().keys() == {"own-member.log-unknown"}


def test_a_member_that_is_gone_from_the_registry(scene: Scene) -> None:
    """Suspended it is neither listed nor shown; back again, all is well."""
    scene.country.registry.suspend(scene.desk.id)
    scene.country.publish()
    assert scene.found().keys() == {"own-member.missing", "own-member.no-file"}
    scene.country.registry.resume(scene.desk.id)
    scene.country.publish()
    assert scene.found() == {}


def test_a_member_listed_with_another_lineage(scene: Scene) -> None:
    """Somebody else was admitted in its name."""
    lineage = "ab" * 32
    scene.country.registry.admit(scene.desk.id, lineage, scene.desk.statement.names)
    scene.country.publish()
    found = scene.found()
    assert found.keys() == {"own-member.lineage", "own-member.no-file"}
    assert lineage in found["own-member.lineage"]


def test_a_member_that_has_gone_to_another_node(scene: Scene) -> None:
    """Its file names this node no more, which whoever runs it should know."""
    other = NodeId(scene.desk.id, "node2")
    empty = msgspec.structs.replace(scene.desk.statement, nodes=())
    scene.desk.statement = with_node(empty, other, "other.example:5500", sha256(b"other").digest())
    scene.country.send(scene.desk)
    assert scene.found(str(other)).keys() == {"own-member.not-served"}


def test_alarms_say_since_when(scene: Scene) -> None:
    """The first look that found it; gone and back, it begins anew. Without a configuration nothing is said."""
    watch, clock = Watch(), scene.country.clock
    wrong = replace(scene.member, lineage="cd" * 32)
    configuration, first = scene.client.refresh(), clock.now()
    for _ in range(2):
        (alarm,) = watch.alarms(configuration, scene.ours, [wrong], clock.now())
        assert (alarm.code, alarm.since) == ("own-member.lineage", first)
        clock.advance(1000)
    assert watch.alarms(configuration, scene.ours, [scene.member], clock.now()) == []
    (alarm,) = watch.alarms(configuration, scene.ours, [wrong], clock.now())
    assert alarm.since == clock.now()
    assert watch.alarms(None, scene.ours, [wrong], clock.now()) == []
