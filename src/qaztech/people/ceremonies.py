"""Ceremonies: what has to be remembered between two requests of one browser while somebody signs in.

A challenge for a passkey, the state and nonce of an OpenID sign-in. Each is bound to the token of the browser's visit
or session, ends after some minutes, and is used once. How many are kept is bounded, for anybody can begin one; beyond
that the oldest is forgotten, so that who begins many keeps nobody else from signing in.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select

from qaztech.core.time import Clock
from qaztech.people.parameters import Parameters
from qaztech.people.sessions import token_hash
from qaztech.people.tables import ceremony

MOST = 10_000


class Ceremonies:
    """Those that have begun and not ended."""

    def __init__(self, engine: Engine, clock: Clock, parameters: Parameters) -> None:
        self._engine = engine
        self._clock = clock
        self._parameters = parameters

    def begin(self, token: str, kind: str, state: dict[str, Any]) -> None:
        """Remember this for the browser with that token; what it had begun of the kind before is forgotten."""
        now, key = self._clock.now(), token_hash(f"{kind} {token}")
        with self._engine.begin() as db:
            db.execute(delete(ceremony).where((ceremony.c.expires <= now) | (ceremony.c.hash == key)))
            room = MOST - 1 - int(db.execute(select(func.count()).select_from(ceremony)).scalar_one())
            if room < 0:
                oldest = select(ceremony.c.hash).order_by(ceremony.c.expires, ceremony.c.hash).limit(-room)
                db.execute(delete(ceremony).where(ceremony.c.hash.in_(oldest)))
            expires = now + self._parameters.ceremony
            db.execute(insert(ceremony).values(hash=key, kind=kind, state=json.dumps(state), expires=expires))

    def take(self, token: str, kind: str) -> dict[str, Any] | None:
        """What was remembered, once; None where nothing was, or too long ago."""
        now, key = self._clock.now(), token_hash(f"{kind} {token}")
        with self._engine.begin() as db:
            row = db.execute(select(ceremony).where(ceremony.c.hash == key).with_for_update()).first()
            db.execute(delete(ceremony).where(ceremony.c.hash == key))
        if row is None or row.expires <= now:
            return None
        state: dict[str, Any] = json.loads(row.state)
        return state
