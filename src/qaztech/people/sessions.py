"""Sessions of signed-in people: a random token in a cookie, of which only the SHA-256 is kept.

A session ends when it is idle or old, at sign-out, and with every change to its account that matters: password, roles,
disabling. Each sign-in makes a new token, so that nobody can plant one. Not here: cookies and requests (`gate`).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, insert, select, update

from qaztech.core.time import Clock
from qaztech.people.parameters import Parameters
from qaztech.people.tables import session
from qaztech.runtime.database import reading, writing_if_free

TOKEN_BYTES = 32
TOKEN_LENGTH = 43
_ID_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as its owner sees it. `id` names it without giving it away; `how` is how it began."""

    id: str
    account: str
    how: str
    created: int
    seen: int


class Sessions:
    """The sessions that there are."""

    def __init__(self, engine: Engine, clock: Clock, parameters: Parameters) -> None:
        self._engine = engine
        self._clock = clock
        self._parameters = parameters

    def begin(self, account: str, how: str) -> str:
        """A new session of this account (its id); the token, which is shown to nobody else."""
        now, token = self._clock.now(), new_token()
        with self._engine.begin() as db:
            db.execute(delete(session).where(self._over(now)))
            db.execute(insert(session).values(hash=token_hash(token), account=account, how=how, created=now, seen=now))
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token while it lasts; seeing it keeps it from idling."""
        if len(token) != TOKEN_LENGTH:
            return None
        now, key = self._clock.now(), token_hash(token)
        with reading(self._engine) as db:
            row = db.execute(select(session).where(session.c.hash == key, ~self._over(now))).first()
        if row is None:
            return None
        if now - row.seen >= self._parameters.session_touch:
            with writing_if_free(self._engine) as db:
                if db is not None:  # else the next page notes it: none waits for another's long work
                    db.execute(update(session).where(session.c.hash == key).values(seen=now))
        return _session(row)

    def of(self, account: str) -> list[Session]:
        """All sessions of an account, the newest first."""
        chosen = select(session).where(session.c.account == account, ~self._over(self._clock.now()))
        with reading(self._engine) as db:
            return [_session(row) for row in db.execute(chosen.order_by(session.c.created.desc()))]

    def end(self, token: str) -> None:
        """End the session of a token, if there is one."""
        with self._engine.begin() as db:
            db.execute(delete(session).where(session.c.hash == token_hash(token)))

    def end_one(self, account: str, id_: str) -> bool:
        """End a session of an account by its `id`; whether there was one."""
        if not is_hex(id_, _ID_LENGTH):
            return False
        chosen = (session.c.account == account) & session.c.hash.startswith(id_, autoescape=True)
        with self._engine.begin() as db:
            return bool(db.execute(delete(session).where(chosen)).rowcount)

    def _over(self, now: int) -> ColumnElement[bool]:
        return (session.c.seen <= now - self._parameters.session_idle) | (
            session.c.created <= now - self._parameters.session_absolute
        )


def end_all(db: Connection, account: str) -> None:
    """End every session of an account, in the transaction that changes the account."""
    db.execute(delete(session).where(session.c.account == account))


def new_token() -> str:
    """32 random bytes, base64url."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """What is kept of a token. It has 256 random bits, so that no salt and no slow hash are needed."""
    return sha256(token.encode()).hexdigest()


def is_hex(text: str, length: int) -> bool:
    """Whether this is an id as they are made here: so many lower-case hex digits."""
    return len(text) == length and set(text) <= set("0123456789abcdef")


def csrf_token(token: str) -> str:
    """What forms of this session carry; it follows from the session's token and from nothing else."""
    return hmac.new(token.encode(), b"qaztech csrf 1", "sha256").hexdigest()


def session_id(token: str) -> str:
    """The `id` of a token's session."""
    return token_hash(token)[:_ID_LENGTH]


def _session(row: Row[Any]) -> Session:
    return Session(id=row.hash[:_ID_LENGTH], account=row.account, how=row.how, created=row.created, seen=row.seen)
