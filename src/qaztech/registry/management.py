"""The registry's management API (`/manage/…`): for the operator's token on the same machine, and for people.

Every route has a scope; the operator's token has all of them. People come with an API token or with a session and its
CSRF token, from anywhere. Decisions are made one at a time, recorded, and published before they are answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import Clock
from qaztech.people.actors import Actor
from qaztech.people.acts import MOST_AT_ONCE
from qaztech.people.gate import Gate
from qaztech.people.tokens import PREFIX
from qaztech.registry import scopes
from qaztech.registry.applications import Applications, Filed, State
from qaztech.registry.forms import Names, base64, bytes32
from qaztech.registry.joining import describe
from qaztech.registry.office import OPERATOR_TOKEN, ActLog, Office
from qaztech.registry.outlook import Ending
from qaztech.registry.publisher import Publisher
from qaztech.runtime.shell import read_json, require_operator

Handler = Callable[[Request, Actor], Awaitable[Response]]


class MemberRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Admit a member."""

    id: str
    lineage: str
    names: Names


class SuspendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Suspend a member, or let it back. The reason stands in the admin log."""

    member: str
    suspended: bool = True
    reason: str = ""


class CertificateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate for a node; `request` is PKCS #10 in PEM."""

    node: str
    request: str


class RevokeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Revoke a TLS key, named by the base64 SHA-256 of its SPKI. The reason stands in the admin log."""

    tls: str
    reason: str = ""


class DecisionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided about an application, and the version of it that was seen.

    `by` is read from older clients and not believed: who decides is who comes.
    """

    admit: bool
    version: int
    reason: str = ""
    by: str = ""


class Guard:
    """Lets in who may: the operator's token from this machine, or a person whose roles have the scope."""

    def __init__(self, *, token_hash: bytes, gate: Gate | None) -> None:
        self._token_hash = token_hash
        self._gate = gate

    async def actor(self, request: Request, scope: str) -> Actor:
        """Who acts. Raises `Unauthenticated` or `Forbidden`."""
        authorization = request.headers.get("authorization", "")
        if self._gate is not None:
            by_token = authorization.partition(" ")[2].startswith(PREFIX)
            if by_token or (not authorization and self._gate.session_token(request)):
                return (await self._gate.require(request, scope)).actor
        require_operator(request, self._token_hash)
        return OPERATOR_TOKEN


class Management:
    """The routes. `endings` tells what ends one day; `log_size` is the number of entries of the registry's log."""

    def __init__(
        self,
        *,
        guard: Guard,
        office: Office,
        acts: ActLog,
        publisher: Publisher,
        applications: Applications | None,
        log_size: Callable[[], int],
        endings: Callable[[], Sequence[Ending]],
        clock: Clock,
    ) -> None:
        self._guard = guard
        self._office = office
        self._acts = acts
        self._publisher = publisher
        self._registry = publisher.registry
        self._applications = applications
        self._log_size = log_size
        self._endings = endings
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """Every route with the scope it needs."""
        table: list[tuple[str, str, str, Handler]] = [
            ("GET", "status", scopes.STATUS, self._status),
            ("GET", "acts", scopes.ACTS, self._list_acts),
            ("POST", "members", scopes.DECIDE_MEMBERS, self._admit),
            ("POST", "member-files", scopes.DECIDE_MEMBERS, self._member_file),
            ("POST", "rights-pages", scopes.DECIDE_MEMBERS, self._rights_page),
            ("POST", "suspend", scopes.DECIDE_MEMBERS, self._suspend),
            ("POST", "certificates", scopes.DECIDE_KEYS, self._certificate),
            ("POST", "revoke-tls", scopes.DECIDE_KEYS, self._revoke_tls),
        ]
        if self._applications is not None:
            applications = _ApplicationRoutes(self._office, self._applications)
            table += [
                ("GET", "applications", scopes.APPLICATIONS, applications.list_all),
                ("GET", "applications/{id}", scopes.APPLICATIONS, applications.show),
                ("POST", "applications/{id}", scopes.DECIDE_APPLICATIONS, applications.decide),
            ]
        return [
            Route(f"/manage/{path}", self._guarded(scope, handle), methods=[method])
            for method, path, scope, handle in table
        ]

    def _guarded(self, scope: str, handle: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            return await handle(request, await self._guard.actor(request, scope))

        return guarded

    # Seeing ------------------------------------------------------------------------------------------------------

    async def _status(self, request: Request, _: Actor) -> Response:
        del request
        published, now = self._publisher.publication.published, self._clock.now()
        ends = [each.expiry for each in self._endings()]
        halted = self._acts.halted
        members = [
            {"id": id_, "lineage": lineage, "suspended": suspended, "version": version}
            for id_, (lineage, suspended, version) in self._registry.members().items()
        ]
        status: dict[str, Any] = {
            "instance": self._registry.instance,
            "snapshot": {"version": published[0], "sha256": published[1]} if published else None,
            "log": {"size": self._log_size()},
            "warnings": [
                *([f"the admin log is halted, so nothing is decided: {halted.detail}"] if halted is not None else []),
                *(expiry.text(now) for expiry in ends if expiry.is_due(now)),
            ],
            "expiries": [expiry.facts(now) for expiry in ends if expiry.is_due(now)],
            "members": members,
            "revoked_tls": self._registry.revoked_tls(),
        }
        return JSONResponse(status)

    async def _list_acts(self, request: Request, _: Actor) -> Response:
        """Acts, newest first; `?before=` an index, `?limit=` how many."""
        before, limit = whole(request, "before"), whole(request, "limit")
        found = self._acts.acts(limit=MOST_AT_ONCE if limit is None else limit, before=before)
        return JSONResponse(
            [
                {"index": logged.index, "time": logged.time, **(msgspec.to_builtins(logged.act) if logged.act else {})}
                for logged in found
            ]
        )

    # Deciding ----------------------------------------------------------------------------------------------------

    async def _admit(self, request: Request, by: Actor) -> Response:
        asked = await read_json(request, MemberRequest)
        await self._office.admit(by, MemberId.parse(asked.id), asked.lineage, asked.names)
        return JSONResponse({"id": asked.id, "lineage": asked.lineage}, status_code=201)

    async def _member_file(self, request: Request, _: Actor) -> Response:
        # No act of the registry's people: the member signed it, and anyone may bring it (`joining`).
        envelope = await request.body()
        file = await self._publisher.decide(lambda: self._registry.accept_member_file(envelope))
        return JSONResponse({"id": str(file.member), "version": file.version}, status_code=201)

    async def _rights_page(self, request: Request, _: Actor) -> Response:
        content = await request.body()
        # Nothing to publish yet: a page counts once a member file names it.
        digest = await self._publisher.decide(lambda: self._registry.accept_rights_page(content), publish=False)
        return JSONResponse({"sha256": digest}, status_code=201)

    async def _suspend(self, request: Request, by: Actor) -> Response:
        asked = await read_json(request, SuspendRequest)
        member = MemberId.parse(asked.member)
        await self._office.suspend(by, member, suspended=asked.suspended, reason=asked.reason)
        return JSONResponse({"member": asked.member, "suspended": asked.suspended})

    async def _revoke_tls(self, request: Request, by: Actor) -> Response:
        asked = await read_json(request, RevokeRequest)
        spki = bytes32(asked.tls, "request.malformed", "TLS key hash")
        await self._office.revoke_tls(by, spki, reason=asked.reason)
        return JSONResponse({"tls": base64(spki)})

    async def _certificate(self, request: Request, by: Actor) -> Response:
        asked = await read_json(request, CertificateRequest)
        node = NodeId.parse(asked.node)
        try:
            pem = asked.request.encode("ascii")
        except UnicodeEncodeError as exc:
            raise Malformed("certificate.request", "PEM is ASCII", at="caller") from exc
        issued = await self._office.certificate(by, node, pem)
        return JSONResponse({"node": asked.node, "certificate": issued.decode()}, status_code=201)


class _ApplicationRoutes:
    """Applications, for those who decide."""

    def __init__(self, office: Office, applications: Applications) -> None:
        self._office = office
        self._applications = applications

    async def list_all(self, request: Request, _: Actor) -> Response:
        """All applications, newest first; `?state=` picks."""
        state = application_state(request.query_params.get("state"))
        return JSONResponse([describe(filed) for filed in self._applications.newest(state=state)])

    async def show(self, request: Request, _: Actor) -> Response:
        """One application with what is needed to decide: contact, who signed, findings."""
        filed = self._applications.get(request.path_params["id"])
        return JSONResponse(self._shown(filed))

    async def decide(self, request: Request, by: Actor) -> Response:
        """Admit or refuse."""
        asked = await read_json(request, DecisionRequest)
        id_ = request.path_params["id"]
        filed = await self._office.decide_application(
            by, id_, version=asked.version, admit=asked.admit, reason=asked.reason
        )
        return JSONResponse(describe(filed))

    def _shown(self, filed: Filed) -> dict[str, object]:
        opened = self._applications.opened(filed)
        return describe(filed) | {
            "contact": msgspec.to_builtins(opened.contact),
            "signed_by": {"name": opened.signatory.name, "bin": opened.signatory.bin},
            "findings": self._applications.findings(filed),
        }


def application_state(text: str | None) -> State | None:
    """A state to pick applications by; raises `Malformed` for one that there is not."""
    try:
        state: State | None = msgspec.convert(text, State | None)
    except msgspec.ValidationError as exc:
        raise Malformed("request.malformed", "there is no such state", at="caller") from exc
    return state


def whole(request: Request, name: str) -> int | None:
    """A number of a query, if it is there; raises `Malformed`."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Malformed("request.malformed", f"`{name}` is a number", at="caller")
    return int(text)
