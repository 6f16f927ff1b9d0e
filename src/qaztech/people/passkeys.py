"""Passkeys: signing in with a key that the person's device holds and that works at no other address (WebAuthn).

User verification (finger, face, PIN) is required, so that a passkey alone is two factors. The signature counter is
kept: one that does not grow means a copied key, which is refused. Attestation is not asked for.
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from qaztech.core.errors import Conflict, Malformed, NotFound, Unauthenticated
from qaztech.core.time import Clock
from qaztech.people.accounts import Account
from qaztech.people.actors import Actor, note_act
from qaztech.people.ceremonies import Ceremonies
from qaztech.people.tables import account, passkey
from qaztech.runtime.database import reading

if TYPE_CHECKING:
    from fido2.server import Fido2Server
    from fido2.webauthn import PublicKeyCredentialDescriptor

logger = logging.getLogger("qaztech.people")
logging.getLogger("fido2").setLevel(logging.WARNING)  # below that it tells credential ids

MOST = 20
_LONGEST_NAME = 100
_LONGEST_ID = 1400
_ENTER, _ADD = "passkey-enter", "passkey-add"
# Whatever a library raises on hostile input.
_WRONG = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, AssertionError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A passkey as its owner sees it."""

    id: str
    name: str
    created: int
    used: int | None


class Passkeys:
    """The passkeys of one console, which people reach at `origin`."""

    def __init__(self, engine: Engine, clock: Clock, ceremonies: Ceremonies, *, origin: str, name: str) -> None:
        self._engine = engine
        self._clock = clock
        self._ceremonies = ceremonies
        self._name = name
        self.host, self._origin = _relying_party(origin)

    @cached_property
    def _server(self) -> Fido2Server:
        # The library takes two MiB of every console, of which many never see a passkey.
        from fido2.server import Fido2Server  # noqa: PLC0415
        from fido2.webauthn import PublicKeyCredentialRpEntity  # noqa: PLC0415

        entity = PublicKeyCredentialRpEntity(name=self._name, id=self.host)
        return Fido2Server(entity, verify_origin=lambda found: found == self._origin)

    # Adding one

    def begin_adding(self, person: Account, session: str) -> dict[str, Any]:
        """What the browser needs to make a passkey; `session` is the token that the ceremony is bound to."""
        from fido2 import webauthn  # noqa: PLC0415  # as above

        user = webauthn.PublicKeyCredentialUserEntity(
            id=bytes.fromhex(person.id), name=person.name, display_name=person.display
        )
        options, state = self._server.register_begin(
            user,
            credentials=[_descriptor(one.id) for one in self.of(person.id)],
            resident_key_requirement=webauthn.ResidentKeyRequirement.PREFERRED,
            user_verification=webauthn.UserVerificationRequirement.REQUIRED,
        )
        self._ceremonies.begin(session, _ADD, state)
        return dict(options.public_key)

    def finish_adding(self, person: Account, session: str, name: str, response: Any, *, by: Actor) -> Passkey:
        """Keep the passkey that the browser made. Raises `Malformed`, `Conflict`."""
        from fido2.webauthn import RegistrationResponse  # noqa: PLC0415  # as above

        state = self._ceremonies.take(session, _ADD)
        if state is None or not 1 <= len(name.strip()) <= _LONGEST_NAME or not name.isprintable():
            raise Malformed("passkey.malformed", "give it a name, and confirm within five minutes", at="caller")
        try:
            parsed = RegistrationResponse.from_dict(response)
            _same_origin(parsed.response.client_data)
            data = self._server.register_complete(state, parsed)
            credential = data.credential_data
            if credential is None or not data.is_user_verified():
                raise ValueError("no verified credential")
        except _WRONG as exc:
            raise Malformed("passkey.malformed", "that is not a passkey for this place", at="caller") from exc
        return self._keep(person, name.strip(), parsed.id, bytes(credential), data.counter, by)

    def _keep(self, person: Account, name: str, id_: str, credential: bytes, count: int, by: Actor) -> Passkey:  # noqa: PLR0917
        now = self._clock.now()
        try:
            with self._engine.begin() as db:
                held = db.execute(select(func.count()).where(passkey.c.account == person.id)).scalar_one()
                if held >= MOST or len(id_) > _LONGEST_ID:
                    raise Conflict("passkey.too-many", f"an account has at most {MOST} passkeys", at="caller")
                db.execute(
                    insert(passkey).values(
                        id=id_, account=person.id, name=name, credential=credential, sign_count=count, created=now
                    )
                )
                note_act(
                    db, by=by, when=now, act="passkey.add", subject=person.name, before=None,
                    after={"passkey": _public(id_)},
                )  # fmt: skip
        except IntegrityError as exc:
            raise Conflict("passkey.exists", "that passkey is known already", at="caller") from exc
        return Passkey(id=id_, name=name, created=now, used=None)

    # Signing in with one

    def begin_entering(self, visitor: str) -> dict[str, Any]:
        """What the browser needs to sign in with whatever passkey it has for this place."""
        from fido2.webauthn import UserVerificationRequirement  # noqa: PLC0415  # as above

        options, state = self._server.authenticate_begin(user_verification=UserVerificationRequirement.REQUIRED)
        self._ceremonies.begin(visitor, _ENTER, state)
        return dict(options.public_key)

    def finish_entering(self, visitor: str, response: Any) -> str:
        """The id of the account whose passkey it is. Raises `Unauthenticated`, the same for all reasons."""
        from fido2.webauthn import AttestedCredentialData, AuthenticationResponse  # noqa: PLC0415  # as above

        state = self._ceremonies.take(visitor, _ENTER)
        try:
            if state is None:
                raise ValueError("nothing was begun")
            parsed = AuthenticationResponse.from_dict(response)
            _same_origin(parsed.response.client_data)
            with reading(self._engine) as db:
                row = db.execute(select(passkey).where(passkey.c.id == parsed.id[:_LONGEST_ID])).first()
            if row is None or parsed.response.user_handle not in {None, b"", bytes.fromhex(row.account)}:
                raise ValueError("an unknown passkey")
            self._server.authenticate_complete(state, [AttestedCredentialData(row.credential)], parsed)
            self._used(row, parsed.response.authenticator_data.counter)
        except _WRONG as exc:
            raise Unauthenticated("passkey.refused", "that passkey is not accepted", at="caller") from exc
        found: str = row.account
        return found

    def _used(self, row: Row[Any], count: int) -> None:
        """Note the use; a counter that stands still or goes back is somebody's copy."""
        counts = count > 0 or row.sign_count > 0
        chosen = (passkey.c.id == row.id) & ((passkey.c.sign_count < count) if counts else (passkey.c.sign_count == 0))
        with self._engine.begin() as db:
            change = update(passkey).where(chosen).values(sign_count=count, used=self._clock.now())
            if not db.execute(change).rowcount:
                logger.warning("a passkey's counter went back", extra={"fields": {"passkey": _public(row.id)}})
                raise ValueError("the counter did not grow")

    # Those that there are

    def of(self, account_id: str) -> list[Passkey]:
        """All passkeys of an account, the oldest first."""
        chosen = select(passkey).where(passkey.c.account == account_id).order_by(passkey.c.created, passkey.c.id)
        with reading(self._engine) as db:
            return [Passkey(id=r.id, name=r.name, created=r.created, used=r.used) for r in db.execute(chosen)]

    def remove(self, account_id: str, id_: str, *, by: Actor) -> None:
        """Forget a passkey of an account. Raises `NotFound`."""
        with self._engine.begin() as db:
            owner = db.execute(select(account.c.name).where(account.c.id == account_id)).scalar_one()
            chosen = delete(passkey).where(passkey.c.account == account_id, passkey.c.id == id_)
            if not id_.isprintable() or not db.execute(chosen).rowcount:
                raise NotFound("passkey.unknown", "there is no such passkey", at="caller")
            note_act(
                db, by=by, when=self._clock.now(), act="passkey.remove", subject=owner,
                before={"passkey": _public(id_)}, after=None,
            )  # fmt: skip


def _relying_party(origin: str) -> tuple[str, str]:
    """The name that passkeys are bound to, and the one origin they come from; an address is no name."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host, origin
    # On this machine browsers know the name localhost; at any other address there are no passkeys.
    return "localhost", f"{parts.scheme}://localhost{f':{parts.port}' if parts.port else ''}"


def _same_origin(client_data: Any) -> None:
    if client_data.cross_origin:
        raise ValueError("made inside a frame of another page")


def _descriptor(id_: str) -> PublicKeyCredentialDescriptor:
    from fido2.utils import websafe_decode  # noqa: PLC0415  # as above
    from fido2.webauthn import PublicKeyCredentialDescriptor, PublicKeyCredentialType  # noqa: PLC0415

    return PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=websafe_decode(id_))


def _public(id_: str) -> str:
    """What of a credential id may be known."""
    return sha256(id_.encode()).hexdigest()[:16]
