"""What a running node looks after so that it still runs next year: its certificate, whatever else ends, its members.

Puts together `certificate` (renewal, change of key), `tls` (files that others change), `watch` (what the registry shows
of the own members) and `registry.expiry` (what ends when), for the node to run and to show.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qaztech.core.errors import Error, Malformed, Unavailable
from qaztech.core.ids import NodeId
from qaztech.core.time import Clock
from qaztech.node.certificate import LOOK_EVERY, Certificate
from qaztech.node.tls import EdgeTls, LinkTls
from qaztech.node.watch import Ours, OwnMember, Watch
from qaztech.registry.client import Alarm, ConfigurationClient
from qaztech.registry.configuration import Configuration
from qaztech.registry.expiry import (
    Expiry,
    authority_expiries,
    certificate_expiry,
    member_file_expiry,
    soonest,
)
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.upkeep")

# It renews itself for the last third of its life; who is told of that only wastes a look.
CERTIFICATE_PART = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an upkeep is made of. `members` and `tsas` (DER) are read anew each time: settings may be reloaded."""

    node: NodeId
    clock: Clock
    client: ConfigurationClient
    certificate: Certificate
    link_tls: LinkTls
    edge_tls: EdgeTls
    origins: frozenset[str]
    members: Callable[[], Sequence[OwnMember]]
    tsas: tuple[bytes, ...]
    # Whether the node renews its certificate itself.
    renews: bool


class Upkeep:
    """Looks after one node. Everything runs on its loop."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._watch = Watch()
        self._watched: tuple[object, ...] = ()
        self._own_alarms: list[Alarm] = []
        self._authorities: tuple[str, ...] = ()
        self._of_authorities: list[Expiry] = []
        self._edge_failure = ""

    @property
    def certificate_ends(self) -> int:
        """When the certificate that the node shows ends (milliseconds since 1970)."""
        return self._kept.certificate.period.ends

    async def run(self) -> None:
        """Look after it all for as long as the node runs."""
        if self._kept.renews:
            await asyncio.gather(self._kept.certificate.run(), self._look_at_files())
        else:
            await self._look_at_files()

    async def _look_at_files(self) -> None:
        while True:
            self.take_up()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look after it all now, once."""
        self.take_up()
        if self._kept.renews:
            await self._kept.certificate.look(at_once=True)

    def take_up(self) -> None:
        """Take up authorities that were added and other files of the edge. What cannot be loaded is told once."""
        configuration = self._configuration()
        try:
            if configuration is not None and configuration.authorities != self._authorities:
                self._kept.link_tls.reload()
                self._authorities = configuration.authorities
                self._of_authorities = authority_expiries(self._authorities, self._kept.tsas)
            self._kept.edge_tls.reload()
        except (Malformed, OSError) as exc:
            if str(exc) != self._edge_failure:
                self._edge_failure = str(exc)
                log_error(logger, "a certificate was not taken up", _told(exc))
        else:
            self._edge_failure = ""

    # For people ----------------------------------------------------------------------------------------------------

    def expiries(self) -> list[Expiry]:
        """Everything that ends, the soonest first."""
        kept = self._kept
        period = kept.certificate.period
        found = [
            Expiry(
                kind="certificate", what="tls.pem", begins=period.begins, ends=period.ends, part=CERTIFICATE_PART,
                remedy="it was not renewed; no other node talks to this one without it",
            )
        ]  # fmt: skip
        edge = kept.edge_tls.certificate()
        if edge is not None:
            remedy = "put another in its place; it is taken up at once"
            ends = certificate_expiry("edge-certificate", "the certificate of the edge", edge, remedy)
            found += [ends] if ends is not None else []
        configuration = self._configuration()
        if configuration is not None:
            for member in kept.members():
                file = configuration.member(member.id)
                if file is not None:
                    found.append(member_file_expiry(str(member.id), file.issued, file.expires))
        for role, end in kept.client.offline_expires().items():
            remedy = "the registry signs it anew with its offline keys, or the configuration ends with it"
            found.append(Expiry(kind="metadata", what=f"the registry's {role}", begins=None, ends=end, remedy=remedy))
        return soonest([*found, *self._of_authorities])

    def alarms(self) -> list[Alarm]:
        """What people must hear of: what ends soon, what was not renewed, what is not right about the own members."""
        now = self._kept.clock.now()
        ending = [_alarm(each, now) for each in self.expiries() if each.is_due(now)]
        return [*ending, *self._kept.certificate.alarms(), *self._members(now)]

    def facts(self) -> dict[str, Any]:
        """For `GET /status`."""
        now = self._kept.clock.now()
        return {
            "certificate": self._kept.certificate.facts(),
            "expiries": [each.facts(now) for each in self.expiries()],
        }

    def gauges(self) -> dict[str, float]:
        """For the metrics: seconds left of everything that ends; below 0 where it has."""
        now = self._kept.clock.now()
        return {f'expires_in_seconds{{what="{e.what}"}}': (e.ends - now) / 1000 for e in self.expiries()}

    def _members(self, now: int) -> list[Alarm]:
        kept, configuration = self._kept, self._configuration()
        own = kept.certificate
        ours = Ours(node=kept.node, keys=own.known, origins=kept.origins, left=own.left)
        members = tuple(kept.members())
        # Looked over again only when one of them is another: this is asked twice a second.
        asked = (configuration, ours.keys, ours.left, members)
        if asked != self._watched:
            self._own_alarms = self._watch.alarms(configuration, ours, members, now)
            self._watched = asked
        return self._own_alarms

    def _configuration(self) -> Configuration | None:
        try:
            return self._kept.client.configuration()
        except Error:
            return None


def _told(exc: Malformed | OSError) -> Error:
    if isinstance(exc, Error):
        return exc
    return Unavailable("disk.failed", "a certificate cannot be read", context=repr(exc))


def _alarm(expiry: Expiry, now: int) -> Alarm:
    since = expiry.ends if now >= expiry.ends else expiry.warns
    return Alarm(code=expiry.code(now), detail=expiry.text(now), since=since)
