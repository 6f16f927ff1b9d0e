"""Publish, fetch, verify, decide: the way of one right from its member to the node that acts on it."""

from __future__ import annotations

from registry_country import Country


def test_a_right_reaches_both_nodes(country: Country) -> None:
    """What a member grants is what the caller's node and its own decide by; nothing else is allowed."""
    provider, consumer = country.new_member(1, "provider"), country.new_member(2, "consumer")
    service = country.add_service(provider, "countries")
    country.admit(consumer)
    country.admit(provider)
    country.grant(provider, service, consumer.subsystem("main"), consumer.lineage, "GET /countries/*")
    for desk, other in ((provider, consumer), (consumer, provider)):
        client, _ = country.client(desk)
        client.want(other.id)
        configuration = client.refresh()
        now = country.clock.now()
        found = configuration.authorise(consumer.subsystem("main"), service, "GET", "/countries/KZ", now)
        assert str(found) == "GET /countries/*"
        assert configuration.authorise(consumer.subsystem("main"), service, "POST", "/countries/KZ", now) is None
        assert configuration.authorise(provider.subsystem("main"), service, "GET", "/countries/KZ", now) is None
        assert configuration.snapshot_text == "{} {}".format(*country.publication.published)
        assert client.configuration() is configuration
        assert client.alarms() == []
