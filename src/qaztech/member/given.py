"""Rights given without a request: how often such a client may call, and why it was given, as the console keeps them.

The right itself stands in what the member signs; this is what is not signed. How often goes to the node with the limits
of requests (`granting`). A right given by command has nothing here.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from qaztech.core.errors import Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.access import Granted, check_own_terms, check_reason
from qaztech.registry.call_limits import CallLimit, CallLimits
from qaztech.registry.forms import SHA256_HEX

_NAME = "given-rights"


class GivenRight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A right as an owner gives it unasked; `lineage` is the client's member's, `terms` what it is for how long."""

    service: str
    client: str
    lineage: str
    terms: Granted
    reason: str

    @property
    def pair(self) -> tuple[str, str]:
        """Service and client."""
        return self.service, self.client

    def check(self, now: int) -> None:
        """Raise `Malformed` unless this can be given."""
        service, client = ServiceId.parse(self.service), SubsystemId.parse(self.client)
        if (str(service), str(client)) != self.pair:
            raise Malformed("access.malformed", "an identifier has one spelling", at="caller")
        if not SHA256_HEX.match(self.lineage):
            raise Malformed("access.malformed", "a lineage has 64 hex digits", at="caller")
        check_own_terms(self.terms, now)
        check_reason(self.reason)


class Memory(Protocol):
    """Small facts by name (`desk_work.DeskWork`)."""

    def remember(self, name: str, value: str) -> None:
        """Keep one."""
        ...

    def recall(self, name: str) -> str | None:
        """One that is kept."""
        ...


class GivenRights:
    """Those of one member. Whoever changes them keeps others from doing so meanwhile."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def all(self) -> dict[tuple[str, str], GivenRight]:
        """By service and client."""
        kept = self._memory.recall(_NAME)
        return {} if kept is None else {one.pair: one for one in msgspec.json.decode(kept, type=list[GivenRight])}

    def put(self, given: GivenRight) -> None:
        """One more, in place of one of the same pair."""
        self._keep({**self.all(), given.pair: given})

    def drop(self, service: str, client: str) -> None:
        """It holds no more."""
        self._keep({pair: one for pair, one in self.all().items() if pair != (service, client)})

    def limits(self) -> CallLimits:
        """How often these clients may call."""
        found = {}
        for one in self.all().values():
            limit = CallLimit(one.terms.calls_a_minute, one.terms.calls_a_day)
            if any(limit):
                found[ServiceId.parse(one.service), SubsystemId.parse(one.client)] = limit
        return found

    def _keep(self, given: dict[tuple[str, str], GivenRight]) -> None:
        self._memory.remember(_NAME, msgspec.json.encode(list(given.values())).decode())
