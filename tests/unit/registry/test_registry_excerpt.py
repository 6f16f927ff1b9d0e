"""The configuration excerpt: what a receipt proves about who spoke for whom, offline and years later."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from qaztech.core.commitment import EMPTY_DIGEST
from qaztech.core.errors import Error, Malformed, NotFound, Untrusted
from qaztech.core.ids import MemberId, ServiceId
from qaztech.core.record import Record, format_record, hash_text
from qaztech.registry.authoring import new_statement
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.directory import member_path
from qaztech.registry.excerpt import ExcerptVerifier, verify_excerpt
from qaztech.registry.excerpt_maker import ExcerptMaker
from qaztech.registry.member_file import sign_statement
from registry_country import Country, MemberDesk, names

HASH = hash_text(EMPTY_DIGEST)
MESSAGE = "0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11"
DAY = 24 * 3600 * 1000


@dataclass
class Exchange:
    """Two members, a right, and the records of one call."""

    country: Country
    provider: MemberDesk
    consumer: MemberDesk
    service: ServiceId
    client: ConfigurationClient
    maker: ExcerptMaker

    def request(self, snapshot: str) -> Record:
        return format_record(
            "request",
            message=MESSAGE,
            from_=self.consumer.origin,
            to=self.provider.origin,
            client=str(self.consumer.subsystem("main")),
            service=str(self.service),
            method="GET",
            endpoint="GET /countries/*",
            snapshot=snapshot,
            time=self.country.clock.now(),
            expires=self.country.clock.now() + 30_000,
            attempt=1,
            size=0,
            path=HASH,
            query=HASH,
            headers=HASH,
            body=HASH,
        )

    def excerpt(self) -> tuple[str, dict[str, Any]]:
        snapshot = self.client.configuration().snapshot_text
        return snapshot, json.loads(json.dumps(self.maker.make([snapshot], [self.request(snapshot)])))


@pytest.fixture
def exchange(country: Country) -> Iterator[Exchange]:
    """A country in which a consumer may call a provider."""
    provider, consumer = country.new_member(1, "provider"), country.new_member(2, "consumer")
    service = country.add_service(provider, "countries")
    country.admit(consumer)
    country.admit(provider)
    country.grant(provider, service, consumer.subsystem("main"), consumer.lineage, "GET /countries/*")
    client, fetcher = country.client(consumer)
    client.want(provider.id)
    client.refresh()
    maker = ExcerptMaker(anchor=country.anchor, archive=client.archive, source=fetcher)
    return Exchange(country, provider, consumer, service, client, maker)


def test_an_excerpt_proves_parties_logs_and_right(exchange: Exchange) -> None:
    """From the anchor alone: whose logs these are, and that the right covered the call at that time."""
    snapshot, excerpt = exchange.excerpt()
    now = exchange.country.clock.now()
    configuration = verify_excerpt(excerpt, exchange.country.anchor).at(snapshot, now)
    for desk in (exchange.provider, exchange.consumer):
        log = configuration.log(desk.origin)
        assert log is not None
        assert log.speaks_for(desk.id, now)
        assert log.keys[0].public == desk.log_key.public
        member = configuration.member(desk.id)
        assert member is not None
        assert member.lineage == desk.lineage
    found = configuration.authorise(exchange.consumer.subsystem("main"), exchange.service, "GET", "/countries/KZ", now)
    assert str(found) == "GET /countries/*"


def test_an_excerpt_is_judged_at_the_time_of_the_record(exchange: Exchange) -> None:
    """Years later it still verifies for then, and not for now."""
    snapshot, excerpt = exchange.excerpt()
    verified = verify_excerpt(excerpt, exchange.country.anchor)
    with pytest.raises(Untrusted, match="expired"):
        verified.at(snapshot, exchange.country.clock.now() + 2 * DAY)
    with pytest.raises(Untrusted, match=r"excerpt\.snapshot"):
        verified.at("1 " + "0" * 64, exchange.country.clock.now())


def test_two_snapshots_share_what_did_not_change(exchange: Exchange) -> None:
    """Request and response may be decided by different snapshots; one of them only the peer had."""
    first = exchange.client.configuration().snapshot_text
    exchange.country.admit(exchange.country.new_member(3, "other"))
    second = "{} {}".format(*exchange.country.publication.published)
    excerpt = exchange.maker.make([first, second], [exchange.request(first)])
    verified = verify_excerpt(excerpt, exchange.country.anchor)
    now = exchange.country.clock.now()
    assert verified.at(first, now).log(exchange.consumer.origin)
    assert verified.at(second, now).log(exchange.consumer.origin)
    alone = len(json.dumps(exchange.maker.make([first], [exchange.request(first)])))
    assert len(json.dumps(excerpt)) < 2 * alone


def test_a_renewed_root_is_in_the_chain(exchange: Exchange) -> None:
    """After the root was signed anew, the excerpt carries it; the anchor stays as it was."""
    exchange.country.publication.renew_offline()
    exchange.country.publish()
    exchange.client.refresh()
    snapshot, excerpt = exchange.excerpt()
    assert len(excerpt["snapshots"][0]["roots"]) == 1
    assert verify_excerpt(excerpt, exchange.country.anchor).at(snapshot, exchange.country.clock.now())


def test_any_changed_byte_is_found(exchange: Exchange) -> None:
    """Blobs are named by hash, and hashes are signed for: every change is either malformed or untrusted."""
    _, excerpt = exchange.excerpt()
    for digest, text in excerpt["blobs"].items():
        bad = copy.deepcopy(excerpt)
        bad["blobs"][digest] = text[:100] + ("0" if text[100] != "0" else "1") + text[101:]
        with pytest.raises(Untrusted, match="hash"):
            verify_excerpt(bad, exchange.country.anchor)
        renamed = json.dumps(bad).replace(digest, sha256(bad["blobs"][digest].encode()).hexdigest())
        with pytest.raises((Untrusted, Malformed)):
            verify_excerpt(json.loads(renamed), exchange.country.anchor)


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.update(version=part["version"] + 1),
        lambda part: part.update(proof=None),
        lambda part: part.update(proof=part["proof"].replace("index 2", "index 1")),
        lambda part: part["files"].update({"rights/" + "0" * 64 + ".json": part["targets"]}),
        lambda part: part["bins"].clear(),
        lambda part: part["roots"].append(part["targets"]),
        lambda part: part.update(unknown=1),
        lambda part: part.pop("proof"),
    ],
)
def test_no_part_can_be_left_out_or_exchanged(exchange: Exchange, change: Any) -> None:
    """What the excerpt says about itself is checked, not believed."""
    _, excerpt = exchange.excerpt()
    before = copy.deepcopy(excerpt)
    change(excerpt["snapshots"][0])
    assert excerpt != before
    with pytest.raises((Untrusted, Malformed)):
        verify_excerpt(excerpt, exchange.country.anchor)


def test_a_quorum_is_needed(exchange: Exchange) -> None:
    """A snapshot that one witness alone has seen does not count."""
    version, digest = exchange.country.publication.published
    _, excerpt = exchange.excerpt()
    excerpt["snapshots"][0]["proof"] = exchange.country.proof(version, ("registry",)).decode()
    with pytest.raises(Untrusted, match="quorum"):
        verify_excerpt(excerpt, exchange.country.anchor)
    assert excerpt["snapshots"][0]["sha256"] == digest


def test_another_anchor_does_not_vouch(exchange: Exchange, tmp_path: Any) -> None:
    """An excerpt of one country is nothing in another."""
    _, excerpt = exchange.excerpt()
    other = Country(tmp_path / "other")
    with pytest.raises(Untrusted):
        verify_excerpt(excerpt, other.anchor)
    other.close()


def test_a_part_met_before_is_not_verified_again(exchange: Exchange) -> None:
    """Warm verification costs hashing only, and gives the same object."""
    snapshot, excerpt = exchange.excerpt()
    verifier = ExcerptVerifier(exchange.country.anchor)
    first = verifier.verify(excerpt).configurations[snapshot]
    assert verifier.verify(copy.deepcopy(excerpt)).configurations[snapshot] is first
    excerpt["blobs"][excerpt["snapshots"][0]["targets"]] += " "
    with pytest.raises(Untrusted):
        verifier.verify(excerpt)


def test_a_snapshot_nobody_has_is_said_so(exchange: Exchange) -> None:
    """A record that names an unknown snapshot gives no excerpt."""
    with pytest.raises(NotFound):
        exchange.maker.make(["99 " + "ab" * 32], [exchange.request("99 " + "ab" * 32)])


@pytest.mark.parametrize("value", [None, 1, "", [], {}, {"format": "qaztech-excerpt 1", "snapshots": [], "blobs": {}}])
def test_what_is_not_an_excerpt_is_malformed(exchange: Exchange, value: Any) -> None:
    """Anything may stand in a receipt's place for it."""
    with pytest.raises(Malformed):
        verify_excerpt(value, exchange.country.anchor)
    assert issubclass(Malformed, Error)


def test_a_member_under_anothers_path_or_instance_is_refused(exchange: Exchange) -> None:
    """Whatever the registry signs: a file stands at its own member's path, in the anchor's instance."""
    country = exchange.country
    country.publish_anything({member_path(exchange.consumer.id): exchange.provider.file()})
    snapshot = "{} {}".format(*(country.publication.published or (0, "")))
    with pytest.raises(Untrusted, match="another member"):
        exchange.maker.make([snapshot], [exchange.request(snapshot)])
    abroad = MemberId("EE", "GOV", exchange.consumer.id.code)
    statement = new_statement(abroad, exchange.consumer.key.public, names("x"), country.clock.now())
    country.publish_anything({member_path(exchange.consumer.id): sign_statement(statement, exchange.consumer.key)})
    snapshot = "{} {}".format(*(country.publication.published or (0, "")))
    with pytest.raises(Untrusted, match="another instance"):
        exchange.maker.make([snapshot], [exchange.request(snapshot)])


def test_a_snapshot_without_the_parties_proves_nothing(exchange: Exchange) -> None:
    """Members that were removed are not in it, and neither are their logs and rights."""
    country = exchange.country
    country.publish_anything({member_path(exchange.consumer.id): None, member_path(exchange.provider.id): None})
    snapshot = "{} {}".format(*(country.publication.published or (0, "")))
    excerpt = exchange.maker.make([snapshot], [exchange.request(snapshot)])
    assert excerpt["snapshots"][0]["files"] == {}
    configuration = verify_excerpt(excerpt, country.anchor).at(snapshot, country.clock.now())
    assert configuration.log(exchange.provider.origin) is None
    assert configuration.service(exchange.service) is None


def test_an_excerpt_without_a_proof_waits_for_it(exchange: Exchange) -> None:
    """A snapshot not witnessed yet is said to be unproven; once it is, the proof is in."""
    exchange.country.witnessed = b""
    exchange.country.admit(exchange.country.new_member(3, "other"))
    exchange.client.refresh()
    snapshot, excerpt = exchange.excerpt()
    assert excerpt["snapshots"][0]["proof"] is None
    with pytest.raises(Untrusted, match="unproven"):
        verify_excerpt(excerpt, exchange.country.anchor)
    exchange.country.witnessed = None
    snapshot, excerpt = exchange.excerpt()
    assert verify_excerpt(excerpt, exchange.country.anchor).at(snapshot, exchange.country.clock.now())
    assert exchange.maker.for_records([exchange.request(snapshot)]) == exchange.maker.make(
        [snapshot], [exchange.request(snapshot)]
    )


def test_a_snapshot_stands_once_and_an_excerpt_is_small(exchange: Exchange) -> None:
    """Doubled parts and excerpts over the limit are malformed."""
    _, excerpt = exchange.excerpt()
    with pytest.raises(Malformed, match="twice"):
        verify_excerpt({**excerpt, "snapshots": excerpt["snapshots"] * 2}, exchange.country.anchor)
    with pytest.raises(Malformed, match="too large"):
        verify_excerpt({**excerpt, "blobs": {**excerpt["blobs"], "x": "x" * 300_000}}, exchange.country.anchor)
    with pytest.raises(Malformed, match="no others"):
        verify_excerpt({**excerpt, "blobs": {**excerpt["blobs"], sha256(b"").hexdigest(): ""}}, exchange.country.anchor)


def test_another_file_for_the_records_snapshot_is_not_taken(exchange: Exchange) -> None:
    """The registry cannot hand out another snapshot under the version and hash a record names."""
    version, _ = exchange.country.publication.published or (0, "")
    with pytest.raises(Untrusted, match="another than"):
        exchange.maker.make([f"{version} {'ab' * 32}"], [exchange.request(f"{version} {'ab' * 32}")])
