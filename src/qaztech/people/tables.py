"""The tables of people, for `runtime.database`. Times are milliseconds since 1970; of secrets only hashes are kept."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from qaztech.runtime.migration import tables_named

PEOPLE = tables_named("people")

account = Table(
    "people_account",
    PEOPLE,
    Column("id", String(32), primary_key=True),  # random; also the user handle of passkeys
    Column("name", String(64), nullable=False, unique=True),
    Column("display", String(200), nullable=False),
    Column("roles", String(500), nullable=False),  # sorted, joined by spaces
    Column("password", String(500)),  # argon2id in PHC form; none for who signs in otherwise
    Column("disabled", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
)

passkey = Table(
    "people_passkey",
    PEOPLE,
    Column("id", String(1400), primary_key=True),  # credential id, base64url
    Column("account", String(32), ForeignKey("people_account.id"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("credential", LargeBinary, nullable=False),  # WebAuthn attested credential data
    Column("sign_count", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("used", BigInteger),
)

identity = Table(
    "people_identity",
    PEOPLE,
    Column("issuer", String(400), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("account", String(32), ForeignKey("people_account.id"), nullable=False, index=True),
    Column("created", BigInteger, nullable=False),
)

session = Table(
    "people_session",
    PEOPLE,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the token, hex
    Column("account", String(32), ForeignKey("people_account.id"), nullable=False, index=True),
    Column("how", String(20), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
)

token = Table(
    "people_token",
    PEOPLE,
    Column("hash", String(64), primary_key=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("account", String(32), ForeignKey("people_account.id"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("scopes", Text, nullable=False),  # sorted, joined by spaces
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger),
)

ceremony = Table(
    "people_ceremony",
    PEOPLE,
    Column("hash", String(64), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("state", Text, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)

attempt = Table(
    "people_attempt",
    PEOPLE,
    Column("key", String(64), primary_key=True),  # SHA-256 of an account name or a network address
    Column("failures", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Index("people_attempt_last", "last"),
)

pending_act = Table(
    "people_pending_act",
    PEOPLE,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("message", String(32), nullable=False),  # what it is found by in the log, if it got there already
    Column("leaf", Text, nullable=False),
)
