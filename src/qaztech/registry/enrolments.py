"""Grants and enrolments as the registry keeps them: each grant is used once, by one node.

An enrolment that came twice with the same keys gets the same certificate again, for an answer may be lost; with other
keys it is refused. Not here: the forms and proofs (`enrolment`), and naming the node, which its member does.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, String, Table, select

from qaztech.core.errors import Conflict, Limited, NotFound, Unavailable, Untrusted
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import Clock
from qaztech.registry.admission import Registry
from qaztech.registry.applications import JOINING
from qaztech.registry.enrolment import ProvenNode, granting_member, verify_enrolment, verify_grant
from qaztech.registry.forms import bytes32
from qaztech.trust.certificates import Authority, spki_hash
from qaztech.trust.envelope import key_id

MAX_OPEN = 200
_grant = Table(
    "enrolment_grant",
    JOINING,
    Column("token", String(64), primary_key=True),
    Column("member", String(300), nullable=False, index=True),
    Column("node", String(400), nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger),
    Column("keys", String(64)),
    Column("identity", LargeBinary),
    Column("certificate", LargeBinary),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A grant and what became of it; `token` is the SHA-256 (hex) of the token's public key, `identity` a node.json.

    `certificate` (PEM) is the first one of the node that used it.
    """

    token: str
    node: str
    expires: int
    used: int | None
    identity: bytes | None
    certificate: bytes | None = None


class Enrolments:
    """All grants of a registry."""

    def __init__(self, *, engine: Engine, registry: Registry, authority: Authority | None, clock: Clock) -> None:
        self._engine = engine
        self._registry = registry
        self._authority = authority
        self._clock = clock

    def grant(self, envelope: bytes) -> Granted:
        """Take a member's grant in. Sent again, it is the one that is there.

        Raises `Malformed`, `Untrusted`, `NotFound` and `Limited`.
        """
        now = self._clock.now()
        member = granting_member(envelope)
        grant = verify_grant(envelope, instance=self._registry.instance, member_key=self._key(member), now=now)
        token = key_id(bytes32(grant.key, "enrolment.malformed", "token's key"))
        with self._engine.begin() as db:
            row = db.execute(select(_grant).where(_grant.c.token == token)).one_or_none()
            if row is not None:
                return _granted(row)
            mine = (_grant.c.member == str(member)) & (_grant.c.used.is_(None))
            db.execute(_grant.delete().where(mine & (_grant.c.expires < now)))
            if len(db.execute(select(_grant.c.token).where(mine)).all()) >= MAX_OPEN:
                raise Limited("enrolment.too-many", "too many enrolments of this member are open", at="registry")
            db.execute(_grant.insert().values(token=token, member=str(member), node=grant.node, expires=grant.expires))
            return self._one(db, token)

    def enrol(self, data: bytes) -> bytes:
        """A node proves its keys; its certificate (PEM). Raises `Malformed`, `Untrusted`, `Conflict`, `NotFound`."""
        if self._authority is None:
            raise Unavailable("certificate.authority", "this registry issues no certificates", at="registry")
        proven = verify_enrolment(data, instance=self._registry.instance)
        token, now = key_id(proven.token), self._clock.now()
        keys = sha256(proven.identity.format()).hexdigest()
        with self._engine.begin() as db:
            row = db.execute(select(_grant).where(_grant.c.token == token)).one_or_none()
            if row is None or row.node != str(proven.identity.id):
                raise Untrusted("enrolment.token", "no member has granted this enrolment", at="registry")
            if row.used is not None:
                if row.keys == keys:
                    return bytes(row.certificate)
                raise Conflict("enrolment.used", "this token has been used, with other keys", at="registry")
            if row.expires <= now:
                raise Untrusted("enrolment.token", "the token has expired; the member makes another", at="registry")
            certificate = self._certificate(proven, self._authority, now)
            db.execute(
                _grant.update()
                .where(_grant.c.token == token)
                .values(used=now, keys=keys, identity=proven.identity.format(), certificate=certificate)
            )
        return certificate

    def status(self, token: str) -> Granted:
        """What became of a grant, for who knows the token's key; raises `NotFound`."""
        with self._engine.begin() as db:
            return self._one(db, token)

    def newest(self, limit: int = 100) -> list[Granted]:
        """Grants by when they end or ended, the latest first, used or not."""
        query = select(_grant).order_by(_grant.c.expires.desc(), _grant.c.token).limit(limit)
        with self._engine.begin() as db:
            return [_granted(row) for row in db.execute(query)]

    def _certificate(self, proven: ProvenNode, authority: Authority, now: int) -> bytes:
        node: NodeId = proven.identity.id
        self._registry.may_have_certificate(node)
        if self._registry.knows_key(proven.identity.tls, [key.name for key in proven.identity.log]):
            raise Conflict("enrolment.keys", "a member names these keys already; a new node has new ones", at="caller")
        certificate = authority.issue(proven.request, node, now)
        if spki_hash(ssl.PEM_cert_to_DER_cert(certificate.decode())) != proven.identity.tls:
            raise Untrusted("enrolment.proof", "the request is for another TLS key than the statement", at="caller")
        return certificate

    def _key(self, member: MemberId) -> bytes:
        file = self._registry.file_of(member)
        if file is None:
            raise NotFound(
                "member.no-file", "send the member file first: it says which key speaks for the member", at="registry"
            )
        return file.keys[-1]

    def _one(self, db: Any, token: str) -> Granted:
        row = db.execute(select(_grant).where(_grant.c.token == token)).one_or_none()
        if row is None:
            raise NotFound("enrolment.unknown", "there is no such enrolment", at="registry")
        return _granted(row)


def _granted(row: Any) -> Granted:
    def data(value: Any) -> bytes | None:
        return bytes(value) if value is not None else None

    return Granted(
        token=row.token, node=row.node, expires=row.expires, used=row.used, identity=data(row.identity),
        certificate=data(row.certificate),
    )  # fmt: skip
