"""Certificates and keys: the authorities of node certificates, every node's TLS key, those that are revoked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Malformed
from qaztech.people.gate import read_form
from qaztech.people.people import Person
from qaztech.registry import scopes
from qaztech.registry.enrolments import Granted
from qaztech.registry.forms import bytes32
from qaztech.registry.office import check_reason
from qaztech.trust.certificates import certificate_period
from qaztech.web.registry_pages import ConsolePages, asked, redirect
from qaztech.web.registry_parts import Parts

SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKey:
    """A TLS key (base64 SHA-256 of SPKI) of a node, and the member whose node it is."""

    node: str
    member: str
    tls: str
    revoked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A token of a member for a node, and what became of it; `ends` is when the certificate it brought ends."""

    node: str
    member: str
    state: str
    granted: Granted
    ends: int | None


class KeyPages:
    """The handlers."""

    def __init__(self, parts: Parts, pages: ConsolePages) -> None:
        self._parts = parts
        self._pages = pages

    async def list_all(self, request: Request, person: Person) -> Response:
        """Authorities, revoked keys, and nodes; `?q=` picks nodes by identifier or key."""
        wanted = asked(request, "q")
        found = [key for key in self._keys() if wanted.casefold() in f"{key.node} {key.tls}".casefold()]
        return self._pages.render(
            request,
            person,
            "keys.html",
            authorities=[each for each in self._parts.endings() if each.expiry.kind in {"authority", "timestamping"}],
            now=self._parts.clock.now(),
            revocations=self._parts.store.revocations(),
            enrolments=await asyncio.to_thread(self._enrolled),
            keys=found[:SHOWN],
            more=len(found) - SHOWN,
            q=wanted,
            may_revoke=person.may(scopes.DECIDE_KEYS),
        )

    async def ask(self, request: Request, person: Person) -> Response:
        """Before a key is revoked: whose it is, and that this is for good."""
        return self._question(request, person, asked(request, "tls"))

    async def revoke(self, request: Request, person: Person) -> Response:
        """Take the key off the wire."""
        form = await read_form(request)
        name, reason = form.get("tls", "").strip(), form.get("reason", "").replace("\r\n", "\n").strip()
        try:
            spki = bytes32(name, "certificate.malformed", "TLS key")
            check_reason(reason)
            if not reason:
                raise Malformed("act.no-reason", "say why: it stands in the admin log", at="caller")
            await self._parts.office.revoke_tls(person.actor, spki, reason=reason)
        except Error as exc:
            if exc.status >= 500:
                raise
            return self._question(request, person, name, problem=exc, reason=reason)
        return redirect(request, "/console/keys", said="revoked")

    def _question(
        self, request: Request, person: Person, tls: str, *, problem: Error | None = None, reason: str = ""
    ) -> Response:
        return self._pages.render(
            request,
            person,
            "revoke.html",
            status=200 if problem is None else problem.status,
            tls=tls,
            keys=[key for key in self._keys() if key.tls == tls],
            revoked=tls in self._parts.store.revoked_tls(),
            problem="" if problem is None else self._pages.words(request, problem),
            reason=reason,
        )

    def _enrolled(self) -> list[Enrolled]:
        now = self._parts.clock.now()
        found = []
        for granted in self._parts.enrolments.newest():
            state = "enrolled" if granted.used is not None else "open" if granted.expires > now else "lapsed"
            ends = certificate_period(granted.certificate).ends if granted.certificate is not None else None
            member = granted.node.rpartition("/")[0]
            found.append(Enrolled(node=granted.node, member=member, state=state, granted=granted, ends=ends))
        return found

    def _keys(self) -> list[NodeKey]:
        revoked = frozenset(self._parts.store.revoked_tls())
        keys = {
            # Members served by a node of somebody else name it too: once is enough.
            (line.id, line.tls): NodeKey(
                node=line.id, member=line.id.rpartition("/")[0], tls=line.tls, revoked=line.tls in revoked
            )
            for file in self._parts.publisher.registry.files()
            for line in file.statement.nodes
        }
        return list(keys.values())
