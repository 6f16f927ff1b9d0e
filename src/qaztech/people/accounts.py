"""Local accounts: name, roles, password, whether they are disabled. Every change is an act, noted in its transaction.

A change of password or roles, and disabling, end all sessions of the account. Not here: signing in (`people`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.time import Clock
from qaztech.people.actors import Actor, note_act
from qaztech.people.passwords import Passwords
from qaztech.people.roles import check_roles
from qaztech.people.sessions import end_all
from qaztech.people.tables import account, identity
from qaztech.runtime.database import reading

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}[a-z0-9]\Z", re.ASCII)
_LONGEST_DISPLAY = 200
# Who stands in the admin log under these names is no person.
NOT_PEOPLE = frozenset({"command-line", "operator-token", "registry"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may sign in. `id` is random and stays; `name` is what they type, and what the admin log shows."""

    id: str
    name: str
    display: str
    roles: tuple[str, ...]
    has_password: bool
    disabled: bool
    created: int
    # Changes with the password; says nothing about it.
    stamp: str = field(default="", repr=False, compare=False)


class Accounts:
    """The accounts that there are."""

    def __init__(self, engine: Engine, clock: Clock, passwords: Passwords, roles: Iterable[str]) -> None:
        self._engine = engine
        self._clock = clock
        self._passwords = passwords
        self._roles = tuple(roles)

    def add(self, name: str, display: str, roles: Iterable[str], password: str | None, *, by: Actor) -> Account:
        """A new account; without a password for who will sign in by passkey or OIDC. Raises `Malformed`, `Conflict`."""
        _check_name(name, display)
        held, kept = check_roles(self._roles, roles), None
        if password is not None:
            self._passwords.check(password, name)
            kept = self._passwords.hash(password)
        now, id_ = self._clock.now(), secrets.token_hex(16)
        try:
            with self._engine.begin() as db:
                db.execute(
                    insert(account).values(
                        id=id_,
                        name=name,
                        display=display,
                        roles=" ".join(held),
                        password=kept,
                        disabled=False,
                        created=now,
                    )
                )
                note_act(
                    db,
                    by=by,
                    when=self._clock.now(),
                    act="account.add",
                    subject=name,
                    before=None,
                    after={"roles": list(held)},
                )
        except IntegrityError as exc:
            raise Conflict("account.exists", f"there is an account {name} already", at="caller") from exc
        return Account(
            id=id_, name=name, display=display, roles=held, has_password=kept is not None, disabled=False, created=now
        )

    def all(self) -> list[Account]:
        """Every account, by name."""
        with reading(self._engine) as db:
            return [_account(row) for row in db.execute(select(account).order_by(account.c.name))]

    def named(self, name: str) -> Account:
        """The account of that name. Raises `NotFound`."""
        with reading(self._engine) as db:
            return _account(_row(db, name))

    def id_of(self, typed: str) -> str | None:
        """The id of the account that is meant by what was typed as a name; None where there is none."""
        wanted = typed if _NAME.match(typed) else ""
        with reading(self._engine) as db:
            found: str | None = db.scalar(select(account.c.id).where(account.c.name == wanted))
        return found

    def by_id(self, id_: str) -> Account | None:
        """The account with that id."""
        with reading(self._engine) as db:
            row = db.execute(select(account).where(account.c.id == id_)).first()
        return _account(row) if row is not None else None

    def verified(self, name: str, password: str) -> Account | None:
        """The account of that name if this is its password and it is not disabled; the same work either way."""
        typed = typed_name(name)
        with reading(self._engine) as db:
            # Asked even where it cannot be a name, so that it takes as long; not with text a database may refuse.
            wanted = typed if _NAME.match(typed) else ""
            row = db.execute(select(account).where(account.c.name == wanted)).first()
        right = self._passwords.matches(password, row.password if row is not None else None)
        if row is None or not right or row.disabled:
            return None
        if self._passwords.is_outdated(row.password):
            self._rehash(row, password)
            return self.by_id(row.id)
        return _account(row)

    def has_stamp(self, found: Account) -> bool:
        """Whether the account still has the password that it had when it was found, and is not disabled."""
        now = self.by_id(found.id)
        return now is not None and not now.disabled and now.stamp == found.stamp

    def set_password(self, name: str, password: str, *, by: Actor) -> None:
        """Give a new password and end all sessions. Raises `NotFound`, `Malformed`."""
        self._passwords.check(password, name)
        kept = self._passwords.hash(password)
        with self._engine.begin() as db:
            row = _row(db, name)
            db.execute(update(account).where(account.c.id == row.id).values(password=kept))
            end_all(db, row.id)
            note_act(
                db,
                by=by,
                when=self._clock.now(),
                act="account.password",
                subject=name,
                before={"password": row.password is not None},
                after={"password": True},
            )

    def set_roles(self, name: str, roles: Iterable[str], *, by: Actor) -> Account:
        """Give these roles and no others, and end all sessions. Raises `NotFound`, `Malformed`."""
        held = check_roles(self._roles, roles)
        with self._engine.begin() as db:
            row = _row(db, name)
            db.execute(update(account).where(account.c.id == row.id).values(roles=" ".join(held)))
            end_all(db, row.id)
            note_act(
                db,
                by=by,
                when=self._clock.now(),
                act="account.roles",
                subject=name,
                before={"roles": row.roles.split()},
                after={"roles": list(held)},
            )
            return _account(_row(db, name))

    def set_disabled(self, name: str, disabled: bool, *, by: Actor) -> Account:
        """Keep an account out, or let it in again; its sessions end. Raises `NotFound`."""
        with self._engine.begin() as db:
            row = _row(db, name)
            db.execute(update(account).where(account.c.id == row.id).values(disabled=disabled))
            end_all(db, row.id)
            act = "account.disable" if disabled else "account.enable"
            note_act(
                db,
                by=by,
                when=self._clock.now(),
                act=act,
                subject=name,
                before={"disabled": bool(row.disabled)},
                after={"disabled": disabled},
            )
            return _account(_row(db, name))

    def link(self, name: str, issuer: str, subject: str, *, by: Actor) -> None:
        """Let an external identity in as this account. Raises `NotFound`, `Conflict`."""
        try:
            with self._engine.begin() as db:
                row = _row(db, name)
                db.execute(
                    insert(identity).values(issuer=issuer, subject=subject, account=row.id, created=self._clock.now())
                )
                note_act(
                    db,
                    by=by,
                    when=self._clock.now(),
                    act="identity.link",
                    subject=name,
                    before=None,
                    after={"issuer": issuer},
                )
        except IntegrityError as exc:
            raise Conflict("identity.linked", "that identity belongs to an account already", at="caller") from exc

    def unlink(self, name: str, issuer: str, *, by: Actor) -> None:
        """Take back the identities of one issuer. Raises `NotFound`."""
        with self._engine.begin() as db:
            row = _row(db, name)
            db.execute(delete(identity).where(identity.c.account == row.id, identity.c.issuer == issuer))
            end_all(db, row.id)
            note_act(
                db,
                by=by,
                when=self._clock.now(),
                act="identity.unlink",
                subject=name,
                before={"issuer": issuer},
                after=None,
            )

    def of_identity(self, issuer: str, subject: str) -> Account | None:
        """The account of an external identity."""
        chosen = select(account).join(identity, identity.c.account == account.c.id)
        with reading(self._engine) as db:
            row = db.execute(chosen.where(identity.c.issuer == issuer, identity.c.subject == subject)).first()
        return _account(row) if row is not None else None

    def _rehash(self, row: Row[Any], password: str) -> None:
        with self._engine.begin() as db:
            db.execute(
                update(account)
                .where(account.c.id == row.id, account.c.password == row.password)
                .values(password=self._passwords.hash(password))
            )


def typed_name(text: str) -> str:
    """The name of an account as somebody typed it: without the space around it, in small letters."""
    return text.strip().lower()


def _check_name(name: str, display: str) -> None:
    if not _NAME.match(name):
        raise Malformed(
            "account.malformed", "a name has 2 to 64 characters: a-z, 0-9, and . _ @ - between them", at="caller"
        )
    if name in NOT_PEOPLE:
        raise Malformed("account.malformed", "in the admin log that name is not a person's", at="caller")
    if not 1 <= len(display.strip()) <= _LONGEST_DISPLAY or not display.isprintable():
        raise Malformed(
            "account.malformed", f"a display name has 1 to {_LONGEST_DISPLAY} printable characters", at="caller"
        )


def _row(db: Connection, name: str) -> Row[Any]:
    row = db.execute(select(account).where(account.c.name == name)).first() if _NAME.match(name) else None
    if row is None:
        raise NotFound("account.unknown", "there is no such account", at="caller")
    return row


def _stamp(kept: str | None) -> str:
    return sha256((kept or "").encode()).hexdigest()


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id, name=row.name, display=row.display, roles=tuple(row.roles.split()),
        has_password=row.password is not None, disabled=bool(row.disabled), created=row.created,
        stamp=_stamp(row.password),
    )  # fmt: skip
