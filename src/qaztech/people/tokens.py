"""API tokens: what a program shows instead of a person. Shown once, kept as SHA-256, with scopes and an end.

A token never has more than its owner's roles give at the moment it is used.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from qaztech.core.errors import Malformed, NotFound
from qaztech.core.time import Clock
from qaztech.people.actors import Actor, note_act
from qaztech.people.parameters import Parameters
from qaztech.people.roles import check_scopes
from qaztech.people.sessions import is_hex, new_token, token_hash
from qaztech.people.tables import account, token
from qaztech.runtime.database import reading, writing_if_free

PREFIX = "qazt_"
_LONGEST = 100
_ID_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as its owner sees it; `account` is the owner's id."""

    id: str
    account: str
    name: str
    scopes: frozenset[str]
    created: int
    expires: int
    used: int | None


class Tokens:
    """The tokens that there are."""

    def __init__(self, engine: Engine, clock: Clock, parameters: Parameters) -> None:
        self._engine = engine
        self._clock = clock
        self._parameters = parameters

    def create(
        self, account_id: str, name: str, scopes: Iterable[str], expires: int, *, by: Actor
    ) -> tuple[str, Token]:
        """A new token and what is kept of it. The caller has seen to it that the owner has these scopes.

        `expires` is a time in milliseconds. Raises `Malformed`.
        """
        now, found = self._clock.now(), check_scopes(scopes)
        if not found or not name.strip() or len(name) > _LONGEST or not name.isprintable():
            raise Malformed(
                "token.malformed", f"a token has a name (1 to {_LONGEST} characters) and scopes", at="caller"
            )
        if not now < expires <= now + self._parameters.token_longest:
            raise Malformed("token.expiry", "a token ends in the future, within a year", at="caller")
        secret = PREFIX + new_token()
        made = Token(
            id=secrets.token_hex(8), account=account_id, name=name.strip(), scopes=found, created=now, expires=expires,
            used=None,
        )  # fmt: skip
        with self._engine.begin() as db:
            owner = db.execute(select(account.c.name).where(account.c.id == account_id)).scalar_one()
            db.execute(
                insert(token).values(
                    hash=token_hash(secret), id=made.id, account=account_id, name=made.name,
                    scopes=" ".join(sorted(found)), created=now, expires=expires,
                )
            )  # fmt: skip
            after = {"token": made.id, "scopes": sorted(found), "expires": expires}
            note_act(db, by=by, when=now, act="token.create", subject=owner, before=None, after=after)
        return secret, made

    def find(self, secret: str) -> Token | None:
        """The token that a program shows, while it lasts; its use is noted once a minute."""
        if not secret.startswith(PREFIX):
            return None
        now, key = self._clock.now(), token_hash(secret)
        with reading(self._engine) as db:
            row = db.execute(select(token).where(token.c.hash == key, token.c.expires > now)).first()
        if row is None:
            return None
        if row.used is None or now - row.used >= self._parameters.session_touch:
            with writing_if_free(self._engine) as db:
                if db is not None:  # else the next call notes it
                    db.execute(update(token).where(token.c.hash == key).values(used=now))
        return _token(row)

    def of(self, account_id: str) -> list[Token]:
        """All tokens of an account, the newest first; those that have ended too."""
        chosen = select(token).where(token.c.account == account_id).order_by(token.c.created.desc())
        with reading(self._engine) as db:
            return [_token(row) for row in db.execute(chosen)]

    def remove(self, account_id: str, id_: str, *, by: Actor) -> None:
        """Take a token of an account back. Raises `NotFound`."""
        with self._engine.begin() as db:
            owner = db.execute(select(account.c.name).where(account.c.id == account_id)).scalar_one()
            chosen = delete(token).where(token.c.account == account_id, token.c.id == id_)
            if not is_hex(id_, _ID_LENGTH) or not db.execute(chosen).rowcount:
                raise NotFound("token.unknown", "there is no such token", at="caller")
            note_act(
                db, by=by, when=self._clock.now(), act="token.remove", subject=owner, before={"token": id_}, after=None
            )


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id, account=row.account, name=row.name, scopes=frozenset(row.scopes.split()), created=row.created,
        expires=row.expires, used=row.used,
    )  # fmt: skip
