"""Whether a node would start with its settings and work: `qaztech node check-config`. Reads files, asks nobody.

One name is looked up: that by which peers are told to find the node.

Only what can be said before a start is said here; what the registry, witnesses and peers think of the node, its status
says when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from qaztech.compose.node_address import resolves, told_addresses
from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.evidence.state import read_closed, read_identity
from qaztech.evidence.storage import OsStorage
from qaztech.node.http_client import BaseUrl
from qaztech.node.settings import ClientSettings, MemberSettings, NodeSettings, ServiceSettings
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.call_limits import parse_limits, parse_timetable
from qaztech.registry.forms import ORIGIN, SHA256_HEX, bytes32
from qaztech.registry.key_files import (
    LOG_HYBRID,
    LOG_KEY,
    TLS_CERTIFICATE,
    TLS_KEY,
    WITNESS_HYBRID,
    WITNESS_KEY,
    load_cosigner,
    load_log_keys,
    tls_key_hash,
)
from qaztech.runtime.settings import read_settings
from qaztech.runtime.shell import is_loopback
from qaztech.trust.certificates import node_of, spki_hash

SOON = timedelta(days=30)
LOCAL = "localhost"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or that the operator should know."""

    level: Literal["error", "warning"]
    what: str


def check_node(path: Path, clock: Clock) -> list[Finding]:
    """Everything that is wrong with a node's settings file and what it points to."""
    try:
        settings = read_settings(path, NodeSettings)
    except Error as exc:
        return [Finding("error", exc.detail)]
    check = _Check(settings, path.parent, clock)
    return [finding for part in check.parts() for finding in _guarded(part)]


def _guarded(part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a part; what it raises is one of them."""
    try:
        yield from part()
    except Error as exc:
        yield Finding("error", exc.detail)
    except OSError as exc:
        yield Finding("error", f"cannot read {exc.filename}: {exc.strerror}")


def _error(what: str) -> Finding:
    return Finding("error", what)


def _warning(what: str) -> Finding:
    return Finding("warning", what)


class _Check:
    """The checks, one part after the other; each may end early."""

    def __init__(self, settings: NodeSettings, base: Path, clock: Clock) -> None:
        self._settings = settings
        self._base = base
        self._clock = clock
        self._directory = self._resolve(settings.directory)
        self._storage = OsStorage()

    def parts(self) -> list[Callable[[], Iterator[Finding]]]:
        """Every part."""
        settings = self._settings
        return [
            self._members,
            self._anchor,
            self._places,
            self._address,
            self._tls,
            self._secrets,
            self._log,
            self._edge,
            self._operational,
            *((lambda m=m: self._limits(m)) for m in settings.members),
            *((lambda c=c: self._client(c)) for c in settings.clients),
            *((lambda s=s: self._service(s)) for s in settings.services),
        ]

    def _resolve(self, path: str) -> Path:
        return (self._base / path).resolve()

    def _served(self) -> set[MemberId]:
        return {MemberId.parse(member.id) for member in self._settings.members}

    def _members(self) -> Iterator[Finding]:
        owner = NodeId.parse(self._settings.id).member
        for member in self._settings.members:
            if not SHA256_HEX.match(member.lineage):
                yield _error(f"members: the lineage of {member.id} is not 64 lower-case hex digits")
            for text in member.acknowledged:
                if not _is_acknowledgeable(text):
                    yield _error(f"members: acknowledged: {text[:80]!r} is no node, log origin or key hash")
        served = self._served()
        if not served:
            yield _error("members: the node serves nobody")
        elif owner not in served:
            yield _warning(f"members: the node is {owner}'s, and does not serve it")

    def _read_anchor(self) -> Anchor:
        return parse_anchor(self._resolve(self._settings.anchor).read_bytes())

    def _anchor(self) -> Iterator[Finding]:
        settings, anchor = self._settings, self._read_anchor()
        if anchor.instance != NodeId.parse(settings.id).member.instance:
            yield _error(f"anchor: it is of the instance {anchor.instance}")
        if settings.timestamping and not anchor.tsas:
            yield _warning("timestamping: the anchor names no authority, so no timestamp will count")
        name = settings.witness.name
        if name:
            if not (self._directory / WITNESS_KEY).exists():
                yield _error(f"witness: there is no {WITNESS_KEY} in {self._directory} (qaztech witness new)")
                return
            own = load_cosigner(self._directory, name).verifier_keys
            if not any(own[0] == witness.key for witness in anchor.policy.witnesses.values()):
                yield _warning(f"witness: the anchor does not name {name} with this key; no one counts on it")

    def _places(self) -> Iterator[Finding]:
        settings = self._settings
        for name, url in (("registry", settings.registry), ("timestamping", settings.timestamping)):
            parts = urlsplit(url)
            if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
                yield _error(f"{name}: not an http(s) URL: {url}")
        taken: dict[int, str] = {}
        for name, port in (
            ("edge", settings.edge.port), ("link", settings.link.port), ("management", settings.management.port),
        ):  # fmt: skip
            if not 1 <= port <= 65535:
                yield _error(f"{name}: {port} is no port")
            elif port in taken:
                yield _error(f"{name}: it has the port of {taken[port]}")
            taken.setdefault(port, name)
        management = settings.management
        if management.token_hash and not SHA256_HEX.match(management.token_hash):
            yield _error("management: token_hash is the SHA-256 of the token, 64 lower-case hex digits")
        elif not management.token_hash and not _is_local(management.host):
            yield _error(f"management: on {management.host} it needs a token_hash, or anyone reads receipts")
        for name in ("refresh_seconds", "witnessing_seconds", "timestamping_seconds"):
            if getattr(settings, name) <= 0:
                yield _error(f"{name}: it is more than 0")

    def _address(self) -> Iterator[Finding]:
        """Whether peers could find the node: the only question that is asked on the network, and of the resolver."""
        try:
            told = told_addresses(
                self._directory, self._settings.id, self._served(), self._read_anchor(), self._clock
            )  # fmt: skip
        except (Error, OSError):  # told by the other parts, where it matters
            return
        for address in told:
            if not resolves(address):
                yield _warning(f"peers are told to reach this node at {address}, and that name is not found from here")

    def _tls(self) -> Iterator[Finding]:
        node, file = NodeId.parse(self._settings.id), self._directory / TLS_CERTIFICATE
        own = tls_key_hash(self._directory)
        if not file.exists():
            yield _error(f"there is no {file}: have the registry certify tls.csr (qaztech registry certificate)")
            return
        certificate = _certificate(file)
        der = certificate.public_bytes(Encoding.DER)
        if spki_hash(der) != own:
            yield _error(f"{file} is not for the tls.key beside it")
        if node_of(der) != node:
            yield _error(f"{file} is the certificate of {node_of(der)}")
        now = datetime.fromtimestamp(self._clock.now() / 1000, UTC)
        if certificate.not_valid_after_utc <= now:
            yield _error(f"{file} has expired: have tls.csr certified again")
        elif certificate.not_valid_after_utc <= now + SOON:
            yield _warning(f"{file} expires on {certificate.not_valid_after_utc:%Y-%m-%d}")

    def _secrets(self) -> Iterator[Finding]:
        """A group may read them where that is how the machine is run; everybody is too many."""
        for name in (TLS_KEY, LOG_KEY, LOG_HYBRID, WITNESS_KEY, WITNESS_HYBRID):
            file = self._directory / name
            if file.exists() and file.stat().st_mode & 0o007:
                yield _warning(f"{file} is open to everybody on this machine: chmod 600 {file}")

    def _log(self) -> Iterator[Finding]:
        keys = load_log_keys(self._directory, NodeId.parse(self._settings.id).member.instance)
        log = self._directory / "log"
        identity = read_identity(self._storage, log)
        if identity is None:
            return  # the first start makes it
        if identity.key != keys.vkeys[0]:
            yield _error(f"{log} is {identity.key.name}, and log.key is of {keys.origin}")
        closed = read_closed(self._storage, log)
        if closed is not None:
            yield _error(f"{log} is closed ({closed.reason}): `qaztech node renew-log` begins the next")

    def _edge(self) -> Iterator[Finding]:
        edge = self._settings.edge
        for name in ("certificate", "key", "ca"):
            yield from self._file("edge", name, getattr(edge, name))
        if bool(edge.certificate) != bool(edge.key):
            yield _error("edge: certificate and key go together")
        if not edge.certificate and not _is_local(edge.host):
            yield _warning(f"edge: plain HTTP on {edge.host}; tokens and data cross the network readable")

    def _client(self, client: ClientSettings) -> Iterator[Finding]:
        subsystem, edge = SubsystemId.parse(client.id), self._settings.edge
        if subsystem.member not in self._served():
            yield _error(f"clients: {client.id} is of a member that this node does not serve")
        if not (client.token_hashes or client.certificate_hashes or client.loopback):
            yield _error(f"clients: nobody can call as {client.id}: give token_hashes or certificate_hashes")
        for digest in (*client.token_hashes, *client.certificate_hashes):
            if not SHA256_HEX.match(digest):
                yield _error(f"clients: {client.id}: {digest[:20]}… is not 64 lower-case hex digits")
        if client.certificate_hashes and not (edge.certificate and edge.ca):
            yield _error(f"clients: certificates of {client.id} need TLS at the edge: certificate, key and ca")
        if client.loopback:
            yield _warning(f"clients: anyone on this machine may call as {client.id}")

    def _service(self, service: ServiceSettings) -> Iterator[Finding]:
        if ServiceId.parse(service.id).subsystem.member not in self._served():
            yield _error(f"services: {service.id} is of a member that this node does not serve")
        base = BaseUrl.parse(service.url)
        for name in ("openapi", "ca", "certificate", "key"):
            yield from self._file(f"services: {service.id}", name, getattr(service, name))
        if bool(service.certificate) != bool(service.key):
            yield _error(f"services: {service.id}: certificate and key go together")
        if not base.is_tls and not _is_local(base.host):
            yield _warning(f"services: {service.id} is reached by plain HTTP at {base.host}")

    def _operational(self) -> Iterator[Finding]:
        """Whether operational data could be delivered, where it is to be."""
        wanted = self._settings.operational
        if not (wanted.service or wanted.client):
            return
        if not (wanted.service and wanted.client):
            yield _error("operational: service and client go together")
            return
        ServiceId.parse(wanted.service)
        if wanted.every_seconds < 1:
            yield _error("operational: every_seconds is 1 at least")
        if wanted.keep_days < 0:
            yield _error("operational: keep_days is 0 (for ever) or more")
        if find_spec("duckdb") is None:
            yield _error("operational: it needs DuckDB: install qaztech[traffic]")
        known = {SubsystemId.parse(client.id): client for client in self._settings.clients}
        client = known.get(SubsystemId.parse(wanted.client))
        if client is None:
            yield _error(f"operational: no [[clients]] table lets {wanted.client} call")
        elif not wanted.token_file:
            if not client.loopback:
                yield _error(f"operational: {wanted.client} calls with a token: name its token_file")
        else:
            token = self._resolve(wanted.token_file).read_text().strip()
            if not client.loopback and sha256(token.encode()).hexdigest() not in client.token_hashes:
                yield _error(f"operational: the token is none that lets {wanted.client} call")

    def _limits(self, member: MemberSettings) -> Iterator[Finding]:
        """A file of limits that is there must be one: the node does not start with another."""
        path = self._resolve(member.limits)
        if member.limits and path.exists():
            data, owner = path.read_bytes(), MemberId.parse(member.id)
            try:
                parse_limits(data, owner)
                parse_timetable(data, owner)
            except Malformed as exc:
                yield _error(f"members: limits: {path}: {exc.detail}")

    def _file(self, where: str, name: str, path: str) -> Iterator[Finding]:
        if path and not self._resolve(path).is_file():
            yield _error(f"{where}: {name}: there is no file {self._resolve(path)}")


def _is_acknowledgeable(text: str) -> bool:
    if ORIGIN.match(text):
        return True
    for parse in (NodeId.parse, lambda key: bytes32(key, "settings.malformed", "key")):
        try:
            parse(text)
        except Error:
            continue
        return True
    return False


def _certificate(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as exc:
        raise Malformed("certificate.malformed", f"{file} is not a certificate in PEM") from exc


def _is_local(host: str) -> bool:
    return host == LOCAL or is_loopback(host)
