"""The console's first page, with what waits for somebody; and the snapshot with its log and witnesses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.people.people import Person
from qaztech.registry import scopes
from qaztech.registry.applications import Filed
from qaztech.web.registry_pages import ConsolePages
from qaztech.web.registry_parts import Parts

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for the operator."""

    count: int
    oldest: list[Filed]
    without_file: int


class OverviewPages:
    """The handlers."""

    def __init__(self, parts: Parts, pages: ConsolePages) -> None:
        self._parts = parts
        self._pages = pages

    async def show(self, request: Request, person: Person) -> Response:
        """What waits, what is published, what ends soon."""
        parts, now = self._parts, self._parts.clock.now()
        members = parts.publisher.registry.members()
        return self._pages.render(
            request,
            person,
            "overview.html",
            waiting=await asyncio.to_thread(self._waiting) if person.may(scopes.APPLICATIONS) else None,
            published=parts.publisher.publication.published,
            log_size=parts.log.head.size,
            members=len(members),
            suspended=sum(suspended for _, suspended, _ in members.values()),
            without_file=sum(version == 0 for _, _, version in members.values()),
            endings=[each for each in parts.endings() if each.expiry.is_due(now)],
            halted=parts.admin_log.halted is not None,
            witnessed=self._witnessed_size(),
            now=now,
        )

    async def snapshot(self, request: Request, person: Person) -> Response:
        """The published snapshot, the log that holds its hash, and who has cosigned that log."""
        parts = self._parts
        published = parts.publisher.publication.published
        leaf = parts.store.snapshot(published[0]) if published else None
        policy = parts.anchor.policy
        return self._pages.render(
            request,
            person,
            "snapshot.html",
            published=published,
            leaf=leaf[1] if leaf else None,
            origin=parts.anchor.log_origin,
            size=parts.log.head.size,
            checkpoint=parts.log.head.note.decode("utf-8", "replace"),
            witnessed=self._witnessed_size(),
            witnesses=[(name, policy.witnesses[name].url, state) for name, state in parts.witnesses.items()],
            quorum=policy.quorum,
            groups=policy.groups,
            fingerprint=parts.anchor.fingerprint,
            anchor=sha256(parts.anchor.data).hexdigest(),
        )

    def _waiting(self) -> Waiting:
        applications = self._parts.applications
        oldest = applications.newest(state="submitted")[::-1][:_SHOWN]
        without = sum(version == 0 for _, _, version in self._parts.publisher.registry.members().values())
        return Waiting(count=applications.count("submitted"), oldest=oldest, without_file=without)

    def _witnessed_size(self) -> int | None:
        note = self._parts.witnessed()
        try:
            return SignedCheckpoint.parse(note).size if note else None
        except Error:
            return None
