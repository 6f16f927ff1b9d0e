"""Slows down who guesses: a delay that doubles with each failure, for an account from one network, and for each alone.

Guesses from one network at one account are slowed down first, so that they do not keep its owner out elsewhere; guesses
at one account from many networks, and at many accounts from one network, a little later. An attempt is counted before
its password is looked at, and forgiven when it was right: attempts made at the same time cannot all slip through. What
is unknown is counted like what is known. Names and addresses are kept as hashes, and only for an hour.
"""

from __future__ import annotations

import ipaddress
from hashlib import sha256

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from qaztech.core.errors import Limited
from qaztech.core.time import Clock
from qaztech.people.parameters import Parameters
from qaztech.people.tables import attempt

_MOST_DOUBLINGS = 30


class Throttle:
    """Counts attempts to sign in."""

    def __init__(self, engine: Engine, clock: Clock, parameters: Parameters) -> None:
        self._engine = engine
        self._clock = clock
        self._parameters = parameters

    def count(self, name: str, address: str) -> None:
        """Count an attempt at an account from an address. Raises `Limited` while either has to wait."""
        try:
            self._count(name, address)
        except IntegrityError as exc:  # two first attempts at the same moment: one of them comes again
            raise _too_often(1000) from exc

    def _count(self, name: str, address: str) -> None:
        now = self._clock.now()
        free = {
            _key("both", f"{name}\0{network(address)}"): self._parameters.free_by_both,
            _key("account", name): self._parameters.free_by_account,
            _key("address", network(address)): self._parameters.free_by_address,
        }
        with self._engine.begin() as db:
            db.execute(delete(attempt).where(attempt.c.last < now - self._parameters.forget_attempts))
            # Always in the same order, so that two that come at once do not wait for each other.
            chosen = select(attempt).where(attempt.c.key.in_(free)).order_by(attempt.c.key).with_for_update()
            found = {row.key: row for row in db.execute(chosen)}
            wait = max((row.until - now for row in found.values()), default=0)
            if wait > 0:
                raise _too_often(wait)
            for key, allowed in sorted(free.items()):
                failures = found[key].failures + 1 if key in found else 1
                self._put(db, key, failures, now, now + self._delay(failures - allowed), new=key not in found)

    def forgive(self, name: str, address: str) -> None:
        """The attempt was right: the account starts anew, the address has one failure less."""
        own = [_key("account", name), _key("both", f"{name}\0{network(address)}")]
        place = _key("address", network(address))
        with self._engine.begin() as db:
            db.execute(delete(attempt).where(attempt.c.key.in_(own)))
            db.execute(
                update(attempt)
                .where(attempt.c.key == place, attempt.c.failures > 0)
                .values(failures=attempt.c.failures - 1, until=0)
            )

    def _delay(self, beyond: int) -> int:
        if beyond < 0:
            return 0
        return min(self._parameters.first_delay << min(beyond, _MOST_DOUBLINGS), self._parameters.longest_delay)

    @staticmethod
    def _put(db: Connection, key: str, failures: int, now: int, until: int, *, new: bool) -> None:
        values = {"failures": failures, "until": until, "last": now}
        if new:
            db.execute(insert(attempt).values(key=key, **values))
        else:
            db.execute(update(attempt).where(attempt.c.key == key).values(**values))


def network(address: str) -> str:
    """What of an address belongs to one customer: all of IPv4, the first 64 bits of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _too_often(wait: int) -> Limited:
    seconds = -(-wait // 1000)
    return Limited("sign-in.too-often", "too many attempts; wait a little", at="caller", retry_after=seconds)


def _key(kind: str, value: str) -> str:
    return sha256(f"{kind}\0{value.casefold()}".encode()).hexdigest()
