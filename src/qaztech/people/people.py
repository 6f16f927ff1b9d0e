"""Everything about who signs in, built from one database: accounts, sessions, tokens, and signing in by password.

All methods block (disk, argon2): call them from a thread when on an event loop. The tables are `tables.PEOPLE`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from qaztech.core.errors import Limited, Unauthenticated
from qaztech.core.time import Clock
from qaztech.people.accounts import Account, Accounts, typed_name
from qaztech.people.actors import OWNER, Actor
from qaztech.people.ceremonies import Ceremonies
from qaztech.people.guesses import Guesses
from qaztech.people.parameters import Parameters
from qaztech.people.passkeys import Passkeys
from qaztech.people.passwords import Passwords
from qaztech.people.roles import RoleScopes, check_table, scopes_of
from qaztech.people.sessions import Sessions, csrf_token, session_id
from qaztech.people.throttle import Throttle
from qaztech.people.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who makes a request: an account with what it may do here. `session` or `token` says by what it came in.

    `csrf` goes into the hidden field `csrf` of every form; it is empty for who comes with a token.
    """

    id: str
    name: str
    display: str
    roles: tuple[str, ...]
    scopes: frozenset[str]
    session: str = ""
    token: str = ""
    csrf: str = ""

    @property
    def actor(self) -> Actor:
        """The name and roles that the admin log shows."""
        return Actor(name=self.name, role="+".join(self.roles) or OWNER)

    def may(self, scope: str) -> bool:
        """Whether this person has a scope."""
        return scope in self.scopes


class People:
    """The people of one process. `roles` is the table of what each role may do."""

    def __init__(
        self, engine: Engine, *, roles: RoleScopes, clock: Clock, parameters: Parameters | None = None
    ) -> None:
        check_table(roles)
        self.engine = engine
        self.clock = clock
        self.roles = roles
        self.parameters = parameters or Parameters()
        self.passwords = Passwords(self.parameters)
        self.accounts = Accounts(engine, clock, self.passwords, roles)
        self.sessions = Sessions(engine, clock, self.parameters)
        self.tokens = Tokens(engine, clock, self.parameters)
        self.guesses = Guesses(clock)
        self.throttle = Throttle(engine, clock, self.parameters)
        self.ceremonies = Ceremonies(engine, clock, self.parameters)

    def sign_in(self, name: str, password: str, address: str) -> str:
        """The token of a new session. Raises `Unauthenticated`, the same for all reasons, or `Limited`."""
        account = self.verify(name, password, address)
        token = self.sessions.begin(account.id, "password")
        if not self.accounts.has_stamp(account):  # changed since it was verified: that change has ended other sessions
            self.sessions.end(token)
            raise _refused()
        return token

    def passkeys(self, *, origin: str, name: str) -> Passkeys:
        """The passkeys of a console at `origin`, with the name that devices show."""
        return Passkeys(self.engine, self.clock, self.ceremonies, origin=origin, name=name)

    def enter(self, account_id: str, how: str) -> str:
        """The token of a new session of who was identified otherwise. Raises `Unauthenticated` where disabled."""
        account = self.accounts.by_id(account_id)
        if account is None or account.disabled:
            raise Unauthenticated("sign-in.refused", "the account is disabled", at="caller")
        return self.sessions.begin(account.id, how)

    def verify(self, name: str, password: str, address: str) -> Account:
        """The account, if this is its password; for who is signed in already too. Raises as `sign_in` does."""
        name = typed_name(name)  # one name, however it is spelt, is counted as one
        try:
            self.throttle.count(name, address)
        except Limited:
            self.guesses.failed("slowed-down", self.accounts.id_of(name))
            raise
        account = self.accounts.verified(name, password)
        if account is None:
            self.guesses.failed("refused", self.accounts.id_of(name))
            raise _refused()
        self.throttle.forgive(name, address)
        self.guesses.let_in()
        return account

    def by_session(self, token: str) -> Person | None:
        """Who has this session, while it lasts."""
        session = self.sessions.find(token)
        account = self.accounts.by_id(session.account) if session is not None else None
        if account is None or account.disabled:
            return None
        return self._person(account, session=session_id(token), csrf=csrf_token(token))

    def by_token(self, secret: str) -> Person | None:
        """Who has this API token; with the scopes that both the token and the owner's roles have now."""
        token = self.tokens.find(secret)
        account = self.accounts.by_id(token.account) if token is not None else None
        if token is None or account is None or account.disabled:
            return None
        return self._person(account, token=token.id, only=token.scopes)

    def _person(
        self,
        account: Account,
        *,
        session: str = "",
        token: str = "",
        csrf: str = "",
        only: frozenset[str] | None = None,
    ) -> Person:
        scopes = scopes_of(self.roles, account.roles)
        return Person(
            id=account.id, name=account.name, display=account.display, roles=account.roles,
            scopes=scopes if only is None else scopes & only, session=session, token=token, csrf=csrf,
        )  # fmt: skip


def _refused() -> Unauthenticated:
    return Unauthenticated("sign-in.refused", "the name or the password is wrong", at="caller")
