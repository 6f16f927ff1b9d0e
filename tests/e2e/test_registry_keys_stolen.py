"""With every key of the registry stolen: members can be taken away, and that is all.

The thief of this test holds the offline and online keys of the registry, its log's key, its certificate authority and
its store, and publishes whatever it likes, perfectly signed. It does not hold any member's key.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import msgspec
import pytest

from qaztech.core.commitment import EMPTY_DIGEST
from qaztech.core.ids import ServiceId
from qaztech.core.record import format_record, hash_text
from qaztech.core.rights import Endpoint
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.registry.authoring import ServiceRights, new_statement, revise, with_log, with_node, with_subsystem
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.configuration import Configuration
from qaztech.registry.directory import member_path, page_path
from qaztech.registry.excerpt import verify_excerpt
from qaztech.registry.excerpt_maker import ExcerptMaker
from qaztech.registry.member_file import PAYLOAD_TYPE, log_origin, sign_statement
from qaztech.trust.certificates import Authority, certificate_request, generate_key, key_spki_hash
from qaztech.trust.envelope import key_id, seal
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, LocalFetcher, MemberDesk, names, quick_folder, seed

HASH = hash_text(EMPTY_DIGEST)


@dataclass
class Thief:
    """Whoever holds the registry: publishes any targets, signed, logged and witnessed like the true ones."""

    country: Country
    key: Ed25519Key

    @property
    def key_lineage(self) -> str:
        return key_id(self.key.public)

    def publish(self, changes: dict[str, bytes | None]) -> None:
        """Show these targets in place of, or without (None), the registry's own."""
        self.country.publish_anything(changes)


@dataclass
class Scene:
    """Two members that know each other, and the nodes of both."""

    country: Country
    thief: Thief
    provider: MemberDesk
    consumer: MemberDesk
    service: ServiceId
    nodes: tuple[ConfigurationClient, ConfigurationClient]

    def refresh(self) -> tuple[Configuration, Configuration]:
        return self.nodes[0].refresh(), self.nodes[1].refresh()

    def incidents(self) -> set[str]:
        return {e.code for node in self.nodes for e in node.incidents}  # type: ignore[attr-defined]

    def allows(self, configuration: Configuration, client: MemberDesk, method: str = "GET") -> bool:
        now = self.country.clock.now()
        return configuration.authorise(client.subsystem("main"), self.service, method, "/countries/KZ", now) is not None


@pytest.fixture
def scene() -> Iterator[Scene]:
    """The day before the theft: one right, both nodes have met both members."""
    with quick_folder() as folder:
        country = Country(folder)
        yield _before_the_theft(country)
        country.close()


def _before_the_theft(country: Country) -> Scene:
    provider, consumer = country.new_member(1, "provider"), country.new_member(2, "consumer")
    service = country.add_service(provider, "countries")
    country.admit(consumer)
    country.admit(provider)
    country.grant(provider, service, consumer.subsystem("main"), consumer.lineage, "GET /countries/*")
    nodes = []
    for desk, other in ((provider, consumer), (consumer, provider)):
        client, _ = country.client(desk)
        client.want(other.id)
        client.refresh()
        nodes.append(client)
    thief = Thief(country, Ed25519Key.from_seed(seed("thief")))
    return Scene(country, thief, provider, consumer, service, (nodes[0], nodes[1]))


def thiefs_member(scene: Scene, desk: MemberDesk, version: int = 99) -> bytes:
    """A file under a member's name, signed by the thief: its own node, its own log."""
    key, now = scene.thief.key, scene.country.clock.now()
    statement = new_statement(desk.id, key.public, names("thief"), now)
    statement = with_node(statement, desk.node, "thief.example:1", sha256(b"thief's tls").digest())
    log = Ed25519Key.from_seed(seed("thief's log"))
    vkey = VerifierKey.of(log_origin("KZ", log.public), ED25519, log.public)
    statement = with_log(statement, desk.node, [vkey], now)
    statement = with_subsystem(statement, desk.subsystem("main"), names("main"))
    return sign_statement(revise(statement, now, version=version), key)


def test_members_can_be_removed(scene: Scene) -> None:
    """What the registry can do, its thief can: take members away, for all who ask it."""
    scene.thief.publish({member_path(scene.consumer.id): None})
    for configuration in scene.refresh():
        assert configuration.member(scene.consumer.id) is None
        assert not scene.allows(configuration, scene.consumer)
    assert scene.incidents() == set()


def test_a_new_member_gets_no_access(scene: Scene) -> None:
    """A member the thief admits is a member, with no right to anything."""
    stranger = scene.country.new_member(7, "stranger")
    scene.country.registry.admit(stranger.id, stranger.lineage, names("stranger"))
    scene.thief.publish({member_path(stranger.id): stranger.file()})
    for node in scene.nodes:
        node.want(stranger.id)
    for configuration in scene.refresh():
        assert configuration.member(stranger.id) is not None
        assert not scene.allows(configuration, stranger)
        assert scene.allows(configuration, scene.consumer)


def test_nobody_speaks_for_a_pinned_member(scene: Scene) -> None:
    """The consumer's name under the thief's key: its node, its log, its lineage are refused."""
    scene.thief.publish({member_path(scene.consumer.id): thiefs_member(scene, scene.consumer)})
    for configuration in scene.refresh():
        assert configuration.member(scene.consumer.id) is None
        assert configuration.node_by_tls(sha256(b"thief's tls").digest()) is None
        assert not scene.allows(configuration, scene.consumer)
    assert scene.incidents() == {"member-file.lineage"}


def test_a_lineage_without_its_key_cannot_be_continued(scene: Scene) -> None:
    """Claiming the true lineage with a key that was never introduced fails on the signature chain."""
    statement = json.loads(b64decode(json.loads(thiefs_member(scene, scene.consumer))["payload"]))
    true = scene.consumer.statement
    statement["lineage"] = true.lineage
    change = {"from": true.key, "to": statement["key"], "version": 99, "signature": b64encode(bytes(64)).decode()}
    statement["key_history"] = [change]
    payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
    scene.thief.publish({member_path(scene.consumer.id): seal(payload, PAYLOAD_TYPE, scene.thief.key)})
    for configuration in scene.refresh():
        assert configuration.member(scene.consumer.id) is None
    assert scene.incidents() == {"member-file.lineage"}


def forged_page(scene: Scene, client: MemberDesk, lineage: str) -> bytes:
    """A page by which a client may do anything."""
    rights = ServiceRights(service=scene.service)
    rights = rights.grant(client.subsystem("main"), lineage, [Endpoint.parse("* /**")])
    return rights.pages(1)[0].data


def test_a_page_cannot_be_swapped_under_its_name(scene: Scene) -> None:
    """The thief's page under the hash that the member signed for: the registry vouches, the hash does not."""
    true = scene.provider.statement.services[0].rights[0].sha256
    page = forged_page(scene, scene.consumer, scene.consumer.lineage)
    scene.thief.publish({page_path(true): page})
    for configuration in scene.refresh():
        assert not scene.allows(configuration, scene.consumer, "DELETE")
    assert "rights-page.hash" in scene.incidents()


def test_a_page_that_no_member_names_does_nothing(scene: Scene) -> None:
    """A right counts because its member signed for it, not because it is published."""
    page = forged_page(scene, scene.consumer, scene.consumer.lineage)
    scene.thief.publish({page_path(sha256(page).hexdigest()): page})
    for configuration in scene.refresh():
        assert scene.allows(configuration, scene.consumer)
        assert not scene.allows(configuration, scene.consumer, "DELETE")


def test_a_changed_member_file_has_no_signature(scene: Scene) -> None:
    """The provider's own file with the thief's page in it, under the old signature."""
    page = forged_page(scene, scene.consumer, scene.consumer.lineage)
    envelope = json.loads(scene.provider.file())
    statement = json.loads(b64decode(envelope["payload"]))
    statement["version"] += 1
    statement["services"][0]["rights"] = [{"first": "", "sha256": sha256(page).hexdigest(), "length": len(page)}]
    payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
    envelope["payload"] = b64encode(payload).decode()
    forged = json.dumps(envelope, separators=(",", ":")).encode()
    scene.thief.publish({member_path(scene.provider.id): forged, page_path(sha256(page).hexdigest()): page})
    for configuration in scene.refresh():
        assert configuration.service(scene.service) is None
        assert not scene.allows(configuration, scene.consumer, "DELETE")
    assert scene.incidents() == {"envelope.signature"}


def test_a_right_taken_back_stays_taken_back(scene: Scene) -> None:
    """The provider's older file, validly signed, with a right it has since revoked."""
    old, page = scene.provider.file(), scene.provider.statement.services[0].rights[0].sha256
    content = scene.country.registry.content(page_path(page))
    scene.provider.rights[scene.service] = scene.provider.rights[scene.service].revoke(scene.consumer.subsystem("main"))
    scene.country.send(scene.provider)
    scene.refresh()
    scene.thief.publish({member_path(scene.provider.id): old, page_path(page): content})
    for configuration in scene.refresh():
        assert not scene.allows(configuration, scene.consumer)
    assert scene.incidents() == {"member-file.version"}


def test_a_name_taken_over_inherits_nothing(scene: Scene) -> None:
    """Rights name lineages: at a node that never met the consumer, the thief under its name has no right either."""
    third = scene.country.admit(scene.country.new_member(9, "third"))
    fresh, _ = scene.country.client(third, "fresh")
    fresh.want(scene.provider.id)
    fresh.want(scene.consumer.id)
    scene.thief.publish({member_path(scene.consumer.id): thiefs_member(scene, scene.consumer)})
    configuration = fresh.refresh()
    # A first contact is the registry's word: the name is taken for now, the right is not.
    assert configuration.member(scene.consumer.id) is not None
    table = configuration.service(scene.service)
    assert table is not None
    assert not scene.allows(configuration, scene.consumer)


def test_a_certificate_for_anothers_node_is_nobodys(scene: Scene) -> None:
    """The stolen authority issues a perfect certificate in a pinned node's name; its key is in no member file."""
    authority = Authority.create("KZ", scene.country.clock.now())
    scene.country.registry.add_authority(authority.certificate_pem.decode())
    key = generate_key()
    issued = authority.issue(
        certificate_request(key, scene.consumer.node), scene.consumer.node, scene.country.clock.now()
    )
    assert b"BEGIN CERTIFICATE" in issued
    scene.thief.publish({})
    for configuration in scene.refresh():
        assert configuration.authorities == (authority.certificate_pem.decode(),)
        assert configuration.node_by_tls(key_spki_hash(key)) is None


def test_a_member_cannot_claim_anothers_node_or_log(scene: Scene) -> None:
    """The thief's own member lists the consumer's TLS key and log as its own: they stay the consumer's."""
    mallory = scene.country.new_member(0, "mallory")
    assert mallory.id < scene.consumer.id
    true = scene.consumer.statement
    node = msgspec.structs.replace(true.nodes[0], id=str(mallory.node))
    log = msgspec.structs.replace(true.logs[0], node=str(mallory.node))
    mallory.statement = msgspec.structs.replace(mallory.statement, nodes=(node,), logs=(log,))
    scene.thief.publish({member_path(mallory.id): mallory.file()})
    for client in scene.nodes:
        client.want(mallory.id)
    for configuration in scene.refresh():
        found = configuration.node_by_tls(scene.consumer.tls)
        assert found is not None
        assert found.id == scene.consumer.node
        assert configuration.nodes_of(mallory.id) == ()
        entry = configuration.log(scene.consumer.origin)
        assert entry is not None
        assert entry.members == {scene.consumer.id}


def test_a_file_under_anothers_path_is_not_taken(scene: Scene) -> None:
    """A true file of one member in the place of another's."""
    scene.thief.publish({member_path(scene.consumer.id): scene.provider.file()})
    for configuration in scene.refresh():
        assert configuration.member(scene.consumer.id) is None
    assert scene.incidents() == {"member-file.member"}


def test_all_of_it_would_have_worked_with_the_members_key(scene: Scene) -> None:
    """The same thief with the provider's key could grant: it is the member key that protects, and nothing else."""
    scene.country.grant(
        scene.provider, scene.service, scene.consumer.subsystem("main"), scene.consumer.lineage, "* /countries/*"
    )
    for configuration in scene.refresh():
        assert scene.allows(configuration, scene.consumer, "DELETE")


def test_a_receipt_is_not_fooled_either(scene: Scene) -> None:
    """The excerpt of a snapshot the thief published, logged and witnessed: no right, no log that was not signed for."""
    country, consumer, provider = scene.country, scene.consumer, scene.provider
    true = provider.statement.services[0].rights[0].sha256
    country.publish_anything(
        {
            member_path(consumer.id): thiefs_member(scene, consumer),
            page_path(true): forged_page(scene, consumer, scene.thief.key_lineage),
        }
    )
    snapshot = "{} {}".format(*(country.publication.published or (0, "")))
    record = format_record(
        "request",
        message="0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11", from_=consumer.origin, to=provider.origin,
        client=str(consumer.subsystem("main")), service=str(scene.service), method="DELETE", endpoint="* /**",
        snapshot=snapshot, time=country.clock.now(), expires=country.clock.now() + 1, attempt=1, size=0,
        path=HASH, query=HASH, headers=HASH, body=HASH,
    )  # fmt: skip
    maker = ExcerptMaker(anchor=country.anchor, archive=scene.nodes[0].archive, source=LocalFetcher(country))
    excerpt = maker.make([snapshot], [record])
    now = country.clock.now()
    configuration = verify_excerpt(excerpt, country.anchor).at(snapshot, now)
    assert configuration.log(consumer.origin) is None
    for endpoint in ("* /**", "GET /countries/*"):
        assert not configuration.gives(consumer.subsystem("main"), scene.service, Endpoint.parse(endpoint), now)
