"""A node renews its certificate by itself, under load, and shows the new one without dropping a link."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from changing_country import RUNNING, ChangingCountry
from qaztech.core.ids import NodeId
from qaztech.core.time import SystemClock
from qaztech.testing.instance import request
from qaztech.trust.certificates import Authority, certificate_period, client_context

# Long enough that a renewal comes every six seconds, short enough for a test.
LIFE = 9.0
DAY = 86_400


class ShortLived(ChangingCountry):
    """A country whose certificates live for seconds."""

    def shorten(self) -> None:
        registry = self.home / "registry"
        toml = registry / "registry.toml"
        toml.write_text(toml.read_text() + f"certificate_days = {LIFE / DAY}\n")
        self.authority = Authority.load((registry / "ca.key").read_bytes(), (registry / "ca.pem").read_bytes())
        for name in ("ministry", "registers"):
            self.certify(name, LIFE)

    def certify(self, name: str, seconds: float) -> None:
        folder = self.home / "nodes" / name
        node = NodeId.parse(f"{self.node(name)['member']}/node1")
        now = SystemClock().now()
        pem = self.authority.issue((folder / "tls.csr").read_bytes(), node, now, days=seconds / DAY)
        (folder / "tls.pem").write_bytes(pem)

    def ends(self, name: str) -> int:
        return int(self.manage(name, "/status")["certificate"]["ends"])

    def shown(self, name: str) -> bytes:
        """The certificate (PEM) that a node shows whoever connects now."""
        folder = self.home / "nodes" / "university"
        authorities = [self.authority.certificate_pem.decode()]
        context = client_context(folder / "tls.pem", folder / "tls.key", authorities)
        port = self.country["ports"]["links"][name]
        with socket.create_connection(("127.0.0.1", port), 5) as raw, context.wrap_socket(raw) as wrapped:
            der = wrapped.getpeercert(binary_form=True)
        assert der is not None
        return ssl.DER_cert_to_PEM_cert(der).encode()


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory, echo) -> Iterator[ShortLived]:
    """Two nodes whose certificates are about to end, and always will be."""
    country = ShortLived(tmp_path_factory.mktemp("renewal") / "home", only=RUNNING)
    country.found()
    country.shorten()
    with country:
        country.echo = country.add_service("registers", "echo", echo.url)
        country.warm()
        yield country


def test_calls_go_on_while_certificates_are_renewed(country: ShortLived, echo) -> None:
    """Twice on both sides; every call is answered and arrives once, over the links there were."""
    first = {name: country.ends(name) for name in ("ministry", "registers")}
    with country.load("renewed") as load:
        load.going()
        before = country.manage("ministry", "/status")["links"]
        for _ in range(2):
            old = {name: country.ends(name) for name in first}
            country.until(lambda old=old: all(country.ends(name) > old[name] for name in old), LIFE + 5)
        load.going()
        assert country.manage("ministry", "/status")["links"][0]["peer"] == before[0]["peer"]
    load.check([call.target for call in echo.calls])
    assert len(load.told) > 200
    assert all(country.ends(name) > ends + LIFE * 1000 for name, ends in first.items())
    logs = (country.home / "run" / "node-ministry.log").read_text() + (
        country.home / "run" / "node-registers.log"
    ).read_text()
    assert "a link was ended" not in logs
    assert logs.count("certificate renewed") >= 4


def test_whoever_connects_is_shown_the_new_one(country: ShortLived) -> None:
    """And it is the file's; the one before lies beside it, of the same key."""
    country.until(lambda: country.shown("registers") == (country.home / "nodes/registers/tls.pem").read_bytes())
    before = (country.home / "nodes" / "registers" / "tls.pem.before").read_bytes()
    assert certificate_period(before).ends < certificate_period(country.shown("registers")).ends


def test_what_ends_is_listed_and_measured(country: ShortLived) -> None:
    """The certificate, the member's file, the registry's metadata and authorities: in the status and the metrics."""
    status = country.manage("registers", "/status")
    kinds = [expiry["kind"] for expiry in status["expiries"]]
    assert kinds[0] == "certificate"
    assert set(kinds) == {"certificate", "member-file", "metadata", "authority", "timestamping"}
    assert [e["ends"] for e in status["expiries"]] == sorted(e["ends"] for e in status["expiries"])
    assert 0 < status["expiries"][0]["seconds_left"] <= LIFE
    assert all(e["seconds_left"] > 300 * DAY for e in status["expiries"][1:])
    metrics = request(country.node("registers")["management"], "GET", "/metrics").body.decode()
    assert 'qaztech_expires_in_seconds{what="tls.pem"}' in metrics
    assert metrics.count("# TYPE qaztech_expires_in_seconds gauge") == 1


def test_a_node_that_is_not_renewed_says_so_and_goes_on_trying(country: ShortLived) -> None:
    """While the registry is away its certificate ends, and calls over links that stand go on; then it is renewed."""
    country.terminate("registry")
    try:
        country.until(lambda: "certificate.expired" in country.codes("registers"), LIFE * 2)
        assert "certificate.not-renewed" in country.codes("registers")
        assert country.call("/over-the-old-link", service=country.echo).status == 200
    finally:
        country.restart("registry")
    over = {"certificate.expired", "certificate.not-renewed"}
    for name in ("registers", "ministry"):
        country.looked(name)  # reload: without it, it tries again within a quarter of a minute
        country.until(lambda name=name: not over & country.codes(name), 20)
    assert country.manage("registers", "/status")["ready"]


def test_a_suspended_members_node_is_not_renewed(country: ShortLived) -> None:
    """The registry refuses, the node alarms and shows why; and hears from the directory that its member is gone."""
    from qaztech.registry.submitting import manage

    token = (country.home / "registry" / "management.token").read_text()
    member = country.node("ministry")["member"].encode()
    manage(country.country["registry"], token, "suspend", b'{"member": "%s", "suspended": true}' % member)
    try:
        wanted = {"certificate.not-renewed", "own-member.missing", "own-member.no-file"}
        country.until(lambda: wanted <= country.codes("ministry"), LIFE * 2)
        assert country.certificate("ministry")["failure"] == "certificate.refused"
    finally:
        manage(country.country["registry"], token, "suspend", b'{"member": "%s", "suspended": false}' % member)
    country.looked("ministry")
    country.until(lambda: not wanted & country.codes("ministry"), 20)


def test_the_folder_is_as_private_as_before(country: ShortLived) -> None:
    """Renewal leaves the key alone."""
    folder = country.home / "nodes" / "registers"
    assert (folder / "tls.key").stat().st_mode & 0o077 == 0
