"""The registry is lost: what the offline keys can do, and what they need not."""

from __future__ import annotations

import shutil

import pytest

from qaztech.core.errors import Conflict, Malformed, NotFound, Unavailable, Untrusted
from qaztech.registry.keys import RegistryKeys
from qaztech.registry.publication import Publication
from qaztech.registry.rescue import extend
from registry_country import Country

DAY = 24 * 3600 * 1000


def test_the_country_stays_open_on_the_offline_keys(country: Country) -> None:
    """Extended, it lives for as long as was asked; the restored registry goes on after it."""
    provider, consumer = country.new_member(1, "provider"), country.new_member(2, "consumer")
    service = country.add_service(provider, "countries")
    country.admit(consumer)
    country.admit(provider)
    country.grant(provider, service, consumer.subsystem("main"), consumer.lineage, "GET /**")
    client, fetcher = country.client(consumer)
    client.want(provider.id)
    before = client.refresh()
    lost = (country.published / "metadata/timestamp.json").read_bytes()
    country.clock.advance(2 * DAY)
    with pytest.raises(Unavailable, match="expired"):
        client.configuration()
    version, digest = extend(country.published, country.keys, country.clock, days=14)
    after = client.refresh()
    assert (after.snapshot_version, after.snapshot_hash) == (version, digest)
    assert version == before.snapshot_version + 1
    country.clock.advance(13 * DAY)
    decided = client.configuration().authorise(consumer.subsystem("main"), service, "GET", "/x", country.clock.now())
    assert decided is not None
    assert {a.code for a in client.alarms()} == {"configuration.frozen", "configuration.unproven"}
    # The online keys of before are worth nothing any more.
    fetcher.replaced["metadata/timestamp.json"] = lost
    with pytest.raises(Untrusted):
        client.refresh()
    fetcher.replaced.clear()
    country.publication = Publication(directory=country.published, keys=country.keys, clock=country.clock)
    country.publisher = country.make_publisher()
    country.publish()
    assert client.refresh().snapshot_version > version
    assert len(list((country.directory / "registry/keys/online").iterdir())) == 6


def test_an_extension_needs_keys_and_something_to_extend(country: Country) -> None:
    """Without offline keys, without a publication, or for ever: no."""
    with pytest.raises(NotFound):
        extend(country.published, country.keys, country.clock, days=1)
    country.publish()
    for days in (0, 91):
        with pytest.raises(Malformed):
            extend(country.published, country.keys, country.clock, days=days)
    shutil.rmtree(country.directory / "registry/keys/offline")
    with pytest.raises(Conflict, match="offline"):
        extend(country.published, RegistryKeys(country.directory / "registry/keys"), country.clock, days=1)
