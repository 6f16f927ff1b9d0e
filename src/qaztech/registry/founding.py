"""Founding a registry: keys, certificate authority, log and anchor of a new instance, before any process runs.

What it makes in the registry's folder:

    keys/offline, keys/online   the keys of The Update Framework
    ca.key, ca.pem              the authority for node certificates
    log.key, log.ml-dsa.key     the keys of the registry's own log
    witness.key, …              those of its own witness, if it runs one
    national-test.key, .pem     a test authority of national signatures, for countries that are no real ones
    management.token, .hash     what the operator shows the management API, and what that compares it with
    people.db, admin/           who may sign in, and the log of what they did; made when the registry runs first
    admin-logs.json             by which keys that log, and those that ended, are verified; made then too
    registry.db, tuf/, log/     its state, what is published of it, and the log of all that was published

Where a PostgreSQL database is named, that holds what else would be in `registry.db`, `joining.db` and `people.db`.

The anchor follows from these and from the policy that names the witnesses; it is the one file that leaves the folder.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from qaztech.core.errors import Conflict
from qaztech.core.ids import NodeId
from qaztech.core.time import Clock
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.note import COSIGNATURE_ED25519, VerifierKey
from qaztech.evidence.policy import HYBRID, NONE, Policy
from qaztech.evidence.storage import OsStorage
from qaztech.registry.admission import Registry
from qaztech.registry.anchor import make_anchor
from qaztech.registry.desk import Submission
from qaztech.registry.directory import InstanceSettings
from qaztech.registry.files import write_file, write_private
from qaztech.registry.key_files import create_log_keys
from qaztech.registry.keys import RegistryKeys, Thresholds
from qaztech.registry.publication import Publication
from qaztech.registry.publisher import Publisher
from qaztech.registry.store import RegistryStore
from qaztech.runtime.database import database_url
from qaztech.trust.certificates import Authority
from qaztech.trust.national import TestAuthority

REGISTRY_FILE, PEOPLE_FILE, ADMIN_LOG = "registry.db", "people.db", "admin"
# What a policy calls the witness that runs in the registry itself.
OWN_WITNESS = "registry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """What an instance is founded on."""

    instance: str
    # The lines `witness`, `group` and `quorum` of a C2SP tlog-policy; the registry's log is added to them.
    witnesses: str
    settings: InstanceSettings
    # DER certificates of the timestamping authorities.
    tsas: tuple[bytes, ...] = ()
    hybrid: bool = True
    # Two to this many bins hold the targets: 16 for a demonstration, 512 for ten thousand members.
    bits: int = 4
    thresholds: Thresholds = field(default_factory=Thresholds)


class Founding:
    """A registry in the making. `registry` takes its first decisions; `publish` shows them and ends the founding."""

    def __init__(self, directory: Path, charter: Charter, clock: Clock, *, database: str = "") -> None:
        url, file = database_url(database, directory / REGISTRY_FILE), directory / REGISTRY_FILE
        if file.exists() or (directory / "keys").exists():
            raise Conflict("registry.exists", f"there is a registry in {directory}; found another in another folder")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = RegistryStore.open(url)
        if self._store.authorities():
            self._store.close()
            raise Conflict("registry.exists", "this database holds a registry; found another in another database")
        self._directory = directory
        self._clock = clock
        self.registry = Registry(instance=charter.instance, store=self._store, settings=charter.settings, clock=clock)
        keys = RegistryKeys.generate(directory / "keys", charter.thresholds)
        self._publication = Publication.create(
            directory=directory / "tuf", keys=keys, clock=clock, thresholds=charter.thresholds, bits=charter.bits
        )
        self._authority = Authority.create(charter.instance, clock.now())
        write_private(directory / "ca.key", self._authority.key_pem)
        write_file(directory / "ca.pem", self._authority.certificate_pem)
        self.registry.add_authority(self._authority.certificate_pem.decode())
        national = TestAuthority.create(clock.now())
        write_private(directory / "national-test.key", national.key)
        write_file(directory / "national-test.pem", national.certificate)
        self._log_keys = create_log_keys(directory, charter.instance, hybrid=charter.hybrid)
        token = secrets.token_urlsafe(24)
        write_private(directory / "management.token", token.encode())
        write_file(directory / "management.hash", sha256(token.encode()).hexdigest().encode())
        lines = [*(f"log {key}" for key in self._log_keys.vkeys), charter.witnesses.strip(), ""]
        self.anchor = make_anchor(
            instance=charter.instance,
            root=self._publication.first_root,
            log_origin=self._log_keys.origin,
            log_vkeys=tuple(map(str, self._log_keys.vkeys)),
            policy="\n".join(lines).encode(),
            tsas=charter.tsas,
            issued=clock.now(),
        )

    def certificate(self, request: bytes, node: NodeId) -> bytes:
        """A node's certificate (PEM) for its request (PEM)."""
        self.registry.may_have_certificate(node)
        return self._authority.issue(request, node, self._clock.now())

    def accept(self, submission: Submission) -> None:
        """A member's file and rights pages."""
        for page in submission.pages:
            self.registry.accept_rights_page(page)
        self.registry.accept_member_file(submission.envelope)

    async def publish(self) -> None:
        """Show it: the first snapshot, whose hash is the first leaf of the registry's log."""
        keys = self._log_keys
        log = Log.create(
            self._directory / "log", storage=OsStorage(), key=keys.key, origin=keys.origin, clock=self._clock
        )
        with log:

            async def append(leaf: bytes) -> int:
                entry = Entry(secrets.token_bytes(16), self._clock.now(), leaf)
                return (await asyncio.to_thread(log.commit, [entry])).start

            publisher = Publisher(
                registry=self.registry, publication=self._publication, store=self._store, append=append
            )
            await publisher.publish()
        self._store.close()


def policy_lines(name: str, keys: tuple[VerifierKey, ...], url: str) -> list[str]:
    """The lines of a policy that name a witness, by the keys it cosigns with."""
    lines = []
    for key in keys:
        if key.kind == COSIGNATURE_ED25519:
            lines.append(f"witness {name} {key} {url}".rstrip())
        else:
            lines.append(f"witness {name}{HYBRID} {key}")
    return lines


def with_quorum(lines: str) -> str:
    """A policy as given; where it names no quorum, more than half of its witnesses are one."""
    if any(line.split()[:1] == ["quorum"] for line in lines.splitlines()):
        return lines
    names = list(Policy.parse(f"{lines.strip()}\nquorum {NONE}\n".encode()).witnesses)
    if not names:
        return f"{lines}\nquorum {NONE}\n"
    return f"{lines.strip()}\ngroup witnesses {len(names) // 2 + 1} {' '.join(names)}\nquorum witnesses\n"
