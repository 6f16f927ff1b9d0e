"""The view a node decides by: look-ups, rights, and what is not in it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from msgspec.structs import replace

from qaztech.core.errors import Malformed, Unavailable
from qaztech.core.ids import MemberId, NodeId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.registry.authoring import revise, with_node, with_service
from qaztech.registry.configuration import Configuration
from qaztech.registry.member_file import sign_statement
from registry_country import Country, names


@pytest.fixture
def built(country: Country) -> Configuration:
    """As the provider's node sees its country."""
    provider, consumer = country.new_member(1, "provider"), country.new_member(2, "consumer")
    countries = country.add_service(provider, "countries")
    country.add_service(provider, "closed", type_="OPENAPI", disabled="moved")
    country.admit(consumer)
    country.admit(provider)
    country.grant(provider, countries, consumer.subsystem("main"), consumer.lineage, "GET /countries/*", "* /drafts/**")
    client, _ = country.client(provider)
    return client.refresh()


def test_members_nodes_and_logs_are_found(built: Configuration, country: Country) -> None:
    """By identifier, by TLS key, by origin."""
    provider = country.members["provider"]
    member = built.member(provider.id)
    assert member is not None
    assert member.subsystems == {"main": names("provider main")}
    assert {m.id for m in built.known()} == {m.id for m in country.members.values()}
    node = built.node_by_tls(provider.tls)
    assert node is not None
    assert (node.id, node.address, node.origins) == (provider.node, "provider.example:5500", (provider.origin,))
    assert built.nodes_of(provider.id) == (node,)
    log = built.log(provider.origin)
    assert log is not None
    assert log.node == node.id
    assert log.speaks_for(provider.id, country.clock.now())
    assert not log.speaks_for(provider.id, country.clock.now() - 1)
    assert not log.speaks_for(country.members["consumer"].id, country.clock.now())
    assert {entry.origin for entry in built.logs()} == {m.origin for m in country.members.values()}
    stranger = MemberId("KZ", "COM", "1")
    assert built.member(stranger) is None
    assert built.nodes_of(stranger) == ()
    assert built.node_by_tls(bytes(32)) is None
    assert built.log("kz.qaztech.example/log/" + "0" * 20) is None
    assert built.is_subsystem(provider.subsystem("main"))
    assert not built.is_subsystem(provider.subsystem("other"))


def test_rights_are_decided(built: Configuration, country: Country) -> None:
    """Method and path for the client that was named, and nobody else; a service that is off is off."""
    provider, consumer, now = country.members["provider"], country.members["consumer"], country.clock.now()
    service, caller = provider.service("main", "countries"), consumer.subsystem("main")
    assert str(built.authorise(caller, service, "GET", "/countries/KZ", now)) == "GET /countries/*"
    assert str(built.authorise(caller, service, "DELETE", "/drafts/1/2", now)) == "* /drafts/**"
    assert built.authorise(caller, service, "PUT", "/countries/KZ", now) is None
    assert built.authorise(caller, service, "GET", "/countries/../x", now) is None
    assert built.authorise(SubsystemId(consumer.id, "other"), service, "GET", "/countries/KZ", now) is None
    assert built.authorise(caller, provider.service("main", "nothing"), "GET", "/", now) is None
    assert built.authorise(caller, provider.service("main", "closed"), "GET", "/", now) is None
    right = Endpoint.parse("GET /countries/*")
    assert built.gives(caller, service, right, now)
    assert not built.gives(caller, service, Endpoint.parse("GET /countries"), now)
    assert not built.gives(caller, provider.service("main", "closed"), right, now)
    assert not built.gives(provider.subsystem("main"), service, right, now)


def test_directories_and_methods_are_shown(built: Configuration, country: Country) -> None:
    """What `listClients`, `listMethods` and `allowedMethods` answer from."""
    provider, consumer, now = country.members["provider"], country.members["consumer"], country.clock.now()
    listed = built.members()
    assert [m.id for m in listed] == sorted([provider.id, consumer.id])
    assert listed[0].subsystems == ((provider.subsystem("main"), names("provider main")),)
    methods = {m.code: m for m in built.methods(provider.subsystem("main"))}
    assert (methods["closed"].type, methods["closed"].endpoints) == ("OPENAPI", ())
    assert [str(e) for e in methods["countries"].endpoints] == ["* /drafts/**", "GET /countries/*"]
    allowed = built.allowed(provider.subsystem("main"), consumer.subsystem("main"), now)
    assert [(m.code, len(m.endpoints)) for m in allowed] == [("countries", 2)]
    assert built.allowed(provider.subsystem("main"), SubsystemId(MemberId("KZ", "COM", "1"), "x"), now) == ()
    assert built.methods(provider.subsystem("none")) == ()


def test_it_ends(built: Configuration, country: Country) -> None:
    """After the first of its parts has expired nothing is decided by it."""
    built.check(country.clock.now())
    assert built.usable(built.expires - 1)
    assert not built.usable(built.expires)
    with pytest.raises(Unavailable, match="expired"):
        built.check(built.expires)
    assert built.settings is not None
    assert built.settings.witnessing_interval == 1000


def test_a_page_for_another_service_grants_nothing(country: Country) -> None:
    """Past the registry's own checks: a member's line that points at a page of its other service."""
    provider, consumer = country.new_member(1, "provider"), country.new_member(2, "consumer")
    one, two = country.add_service(provider, "one"), country.add_service(provider, "two")
    country.admit(consumer)
    country.admit(provider)
    country.grant(provider, one, consumer.subsystem("main"), consumer.lineage, "GET /**")
    line = next(s for s in provider.statement.services if s.id == str(one))
    moved = with_service(revise(provider.statement, country.clock.now()), two, names("two"), rights=line.rights)
    provider.statement = moved
    country.registry._check_pages = lambda _: None  # type: ignore[method-assign]
    country.registry.accept_member_file(provider.file())
    country.publish()
    client, _ = country.client(provider)
    configuration = client.refresh()
    now = country.clock.now()
    assert configuration.authorise(consumer.subsystem("main"), one, "GET", "/", now) is not None
    assert configuration.authorise(consumer.subsystem("main"), two, "GET", "/", now) is None
    assert NodeId(provider.id, "node1") == provider.node


def test_a_node_that_changes_its_tls_key_is_known_by_both(country: Country) -> None:
    """Until the file names one again; a village that it serves may name either."""
    host, village = country.new_member(1, "host"), country.new_member(2, "village")
    new = sha256(b"the next key").digest()
    host.statement = with_node(host.statement, host.node, "host.example:5500", host.tls, new)
    country.admit(host)
    for key in (host.tls, new):
        village.statement = with_node(village.statement, host.node, "host.example:5500", key)
        if key == host.tls:
            country.admit(village)
        else:
            country.send(village)
        client, _ = country.client(village, key.hex())
        entry = client.refresh().node_by_tls(host.tls)
        assert entry is not None
        assert entry.keys == (host.tls, new)
        assert client.configuration().node_by_tls(new) is entry
        assert village.id in entry.members
        assert client.configuration().nodes_of(host.id) == (entry,)
    host.statement = with_node(host.statement, host.node, "host.example:5500", new)
    country.send(host)
    configuration = client.refresh()
    assert configuration.node_by_tls(host.tls) is None
    assert [entry.keys for entry in configuration.nodes_of(village.id) if entry.id == host.node] == [(new,)]


def test_a_node_has_no_third_key(country: Country) -> None:
    """Two lines for one node, and neither key twice."""
    host = country.new_member(1, "host")
    one, two, three = (host.tls, *(sha256(bytes([n])).digest() for n in range(2)))
    statement = with_node(host.statement, host.node, "host.example:5500", one, two)
    more = with_node(host.statement, host.node, "host.example:5500", three).nodes
    with pytest.raises(Malformed, match="at most 2 TLS keys"):
        sign_statement(replace(statement, nodes=(*statement.nodes, *more)), host.key)
    with pytest.raises(Malformed, match="stands twice"):
        sign_statement(with_node(host.statement, host.node, "host.example:5500", one, one), host.key)
