"""What was in force and is no more: keys, logs and members are taken off the wire at the next configuration."""

from __future__ import annotations

import json

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adversary import Adversary
from conftest import running_country
from qaztech.core.errors import Conflict
from qaztech.core.ids import NodeId, ServiceId, SubsystemId
from qaztech.core.time import SystemClock
from qaztech.node import frames
from qaztech.registry import authoring
from qaztech.registry.desk import Submission
from qaztech.registry.forms import base64, bytes32
from qaztech.registry.member_file import sign_statement
from qaztech.registry.submitting import manage, submit
from qaztech.trust.certificates import generate_key, key_spki_hash, spki_hash
from qaztech.trust.keys import Ed25519Key


@pytest.fixture(scope="module")
def country(tmp_path_factory, echo):
    """A country of these tests' own: what they take away does not come back."""
    with running_country(tmp_path_factory.mktemp("revoked") / "home", echo) as country:
        yield country


@pytest.fixture
def adversary(country):
    """The university, with a log that goes on from test to test."""
    if not hasattr(country, "university"):
        country.university = Adversary(country, "university")
    return country.university


def operate(country, what, **body):
    """One request to the registry's management."""
    token = (country.home / "registry" / "management.token").read_text()
    return manage(country.country["registry"], token, what, json.dumps(body).encode())


def answered(country, adversary):
    """A link on which a request was answered."""
    wire = adversary.dial("registers")
    wire.prove(adversary.ask("registers", country.echo).frame)
    wire.expect(frames.Response)
    return wire


def is_off_the_wire(country, adversary, wire):
    """Whether the open link ends with the new configuration, and no other is to be had."""
    country.manage("registers", "/reload", "POST")
    with country.unrecorded("registers"), wire:
        assert wire.is_cut()
        with adversary.dial("registers") as again:
            assert again.hello is None or again.is_cut()
    return True


def test_a_suspended_member(country, adversary):
    """Suspended, and back: what is open is cut off, and later all is as it was."""
    wire = answered(country, adversary)
    operate(country, "suspend", member=adversary.member, suspended=True)
    assert is_off_the_wire(country, adversary, wire)
    operate(country, "suspend", member=adversary.member, suspended=False)
    country.manage("registers", "/reload", "POST")
    answered(country, adversary).close()


def test_a_right_that_was_taken_away(country, adversary):
    """The link stays, for its peer is who it was; the call is refused, on record."""
    wire = answered(country, adversary)
    desk = country.desk("registers")
    desk.revoke(ServiceId.parse(country.echo), SubsystemId.parse(adversary.system))
    country.publish(desk, "registers")
    asked = adversary.ask("registers", country.echo)
    wire.prove(asked.frame)
    wire.expect(frames.Refused)
    wire.close()
    assert country.records("registers", asked.message) == ["request", "refused"]
    country.grant("registers", country.echo, "university", ["* /**"])
    answered(country, adversary).close()


def test_a_member_key_that_was_replaced_by_somebody_else(country, adversary):
    """A member file signed by another key than the member's own is not taken, by the registry to begin with."""
    desk = country.desk("university")
    forged = sign_statement(authoring.revise(desk.statement, SystemClock().now()), Ed25519Key.generate())
    with pytest.raises(Conflict):
        submit(country.country["registry"], Submission(pages=(), envelope=forged))
    answered(country, adversary).close()


def test_a_member_file_of_a_lower_version(country, adversary):
    """What was said later counts: an older file does not come back."""
    desk = country.desk("university")
    older = desk.submission()
    desk.change(lambda statement: statement)
    country.publish(desk, "registers")

    with pytest.raises(Conflict):
        submit(country.country["registry"], older)
    answered(country, adversary).close()


def test_a_tls_key_the_member_names_no_more(country, adversary):
    """The certificate is good, but the key is not the node's any more; then it is again."""
    desk = country.desk("university")
    wire = answered(country, adversary)
    line = desk.statement.nodes[0]
    node = NodeId.parse(adversary.node)
    desk.change(lambda s: authoring.with_node(s, node, line.address, key_spki_hash(generate_key())))
    country.submit(desk)
    assert is_off_the_wire(country, adversary, wire)

    desk.change(lambda s: authoring.with_node(s, node, line.address, bytes32(line.tls, "x.x", "key")))
    country.publish(desk, "registers")
    answered(country, adversary).close()


def test_a_log_that_speaks_for_its_member_no_more(country, adversary):
    """A log counts until the moment its member names."""
    desk = country.desk("university")
    logs, before = desk.statement.logs, SystemClock().now() - 1000
    wire = answered(country, adversary)
    desk.change(lambda s: authoring.close_log(s, adversary.origin, until=before))
    country.publish(desk, "registers")
    with country.unrecorded("registers"), wire:
        wire.prove(adversary.ask("registers", country.echo).frame)
        assert wire.is_cut()
    desk.change(lambda s: msgspec.structs.replace(s, logs=logs))
    country.publish(desk, "registers")
    answered(country, adversary).close()


def test_a_log_that_was_closed(country):
    """A closed log has no link any more, and stays closed."""
    country.kill("node-ministry")
    adversary, desk = Adversary(country, "ministry"), country.desk("ministry")
    wire, logs = answered(country, adversary), desk.statement.logs
    closed = (adversary.log.size, adversary.log.frontier(adversary.log.size).root())
    desk.change(lambda s: authoring.close_log(s, adversary.origin, until=SystemClock().now(), closed=closed))
    country.submit(desk)
    assert is_off_the_wire(country, adversary, wire)
    desk.change(lambda s: msgspec.structs.replace(s, logs=logs))
    with pytest.raises(Conflict):
        country.submit(desk)


def test_a_tls_key_the_registry_has_revoked(country, adversary):
    """Nodes do not speak to it, whatever its member says."""
    wire = answered(country, adversary)
    certificate = x509.load_pem_x509_certificate((adversary.directory / "tls.pem").read_bytes())
    operate(country, "revoke-tls", tls=base64(spki_hash(certificate.public_bytes(Encoding.DER))))
    assert is_off_the_wire(country, adversary, wire)
