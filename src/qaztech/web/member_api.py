"""The management API of a member's console under /api/v1/: what the pages do, as JSON, by the same scopes.

Who asks is known by an API token (`Authorization: Bearer`) or a session with its CSRF header. Errors are problem+json.
All calls stand in one list, `_actions`, from which the OpenAPI description is made (`member_description`).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Malformed
from qaztech.core.ids import NodeId, ServiceId
from qaztech.member.access import AccessRequest, Granted
from qaztech.member.given import GivenRight
from qaztech.member.membership import HeldRight
from qaztech.member.openapi import read_description
from qaztech.people.acts import MOST_AT_ONCE
from qaztech.people.people import Person
from qaztech.registry.forms import Names
from qaztech.registry.maintenance import Maintenance
from qaztech.registry.passport import Passport
from qaztech.runtime.shell import read_json
from qaztech.web.member_ai_api import ai_actions
from qaztech.web.member_answers import (
    ActAnswer,
    DecidedAnswer,
    FileAnswer,
    LookedAnswer,
    MadeAnswer,
    MemberAnswer,
    NodesAnswer,
    PersonAnswer,
    ReceivedAnswer,
    ServiceAnswer,
    SignedAnswer,
    TokenAnswer,
)
from qaztech.web.member_description import description_of
from qaztech.web.member_parts import Action, PageRoute, Parts, off_loop

BASE = "/api/v1"


class _Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all bodies share: unknown fields are refused."""


class PutService(_Input, frozen=True, kw_only=True):
    """A service as it shall be: passport, address, OpenAPI document as text or by URL; what is left out stays."""

    service: str
    passport: Passport
    url: str | None = None
    openapi: str | None = None
    openapi_url: str | None = None


class Notice(_Input, frozen=True, kw_only=True):
    """Switch a service off, with what callers are told, or on again with null."""

    service: str
    notice: str | None


class Plan(_Input, frozen=True, kw_only=True):
    """Maintenance from a time to a time (milliseconds), with what callers are told meanwhile; null: none any more."""

    service: str
    maintenance: Maintenance | None


class Decision(_Input, frozen=True, kw_only=True):
    """What an owner decides on a request, and the version of it that was looked at."""

    version: int
    approve: Granted | None = None
    refuse: str | None = None
    revoke: str | None = None


class Version(_Input, frozen=True, kw_only=True):
    """The version that was looked at."""

    version: int


class RightOf(_Input, frozen=True, kw_only=True):
    """A right to take away: of a client or of a group."""

    service: str
    client: str | None = None
    group: str | None = None


class NodeCode(_Input, frozen=True, kw_only=True):
    """A new node by its code."""

    code: str


class NodeName(_Input, frozen=True, kw_only=True):
    """An enrolled node by its identifier."""

    node: str


class SystemForm(_Input, frozen=True, kw_only=True):
    """An information system of the member."""

    code: str
    names: Names


class Look(_Input, frozen=True, kw_only=True):
    """Which exchanges: words of service or client, from and to a time (milliseconds), and an earlier page's end."""

    service: Annotated[str, msgspec.Meta(max_length=200)] = ""
    since: Annotated[int, msgspec.Meta(ge=0, lt=10**15)] | None = None
    until: Annotated[int, msgspec.Meta(ge=0, lt=10**15)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    before: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class Nothing(_Input, frozen=True, kw_only=True):
    """An empty object: that it is meant."""


class MemberApi:
    """The routes of the API, each with its scope."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._console = parts.console
        self.actions = self._actions()
        self.routes = [PageRoute(a.method, f"{BASE}{a.path}", a.scope, self._handler(a)) for a in self.actions]

    def _actions(self) -> list[Action]:
        def of(route: str, scope: str, summary: str, run: Any, answer: Any, **more: Any) -> Action:
            method, path = route.split(" ")
            return Action(method=method, path=path, scope=scope, summary=summary, run=run, answer=answer, **more)

        listed: Any = list[dict[str, Any]]
        return [
            of("GET /member", "member:read", "The member: file, version, expiry, next step", self._member,
               MemberAnswer),
            of("POST /member/submit", "member:write", "Bring the newest file to the registry", self._submit,
               SignedAnswer, body=Nothing),
            of("POST /member/rotate-key", "member:write", "A new member key", self._rotate, SignedAnswer,
               body=Nothing),
            of("GET /services", "services:read", "All services", self._services, list[ServiceAnswer]),
            of("PUT /services", "services:write", "Publish a service, or change one", self._put, SignedAnswer,
               body=PutService),
            of("POST /services/notice", "services:write", "Switch a service off or on", self._notice, SignedAnswer,
               body=Notice),
            of("POST /services/maintenance", "services:write", "Plan maintenance of a service, or take it back",
               self._plan, SignedAnswer, body=Plan),
            of("PUT /systems", "services:write", "Add an information system", self._system, SignedAnswer,
               body=SystemForm),
            of("GET /access", "access:read", "Requests received, newest first", self._received,
               list[ReceivedAnswer]),
            of("GET /access/{id}", "access:read", "One request received", self._one_received, ReceivedAnswer),
            of("POST /access/{id}/decision", "access:write", "Approve, refuse or revoke", self._decide,
               DecidedAnswer, body=Decision),
            of("GET /requests", "requests:read", "Requests made, newest first", self._made, list[MadeAnswer]),
            of("POST /requests", "requests:write", "Ask for access", self._ask, MadeAnswer, body=AccessRequest,
               status=201),
            of("GET /requests/{id}", "requests:read", "One request made", self._one_made, MadeAnswer),
            of("POST /requests/{id}/poll", "requests:write", "Ask its provider how it stands", self._poll,
               MadeAnswer, body=Nothing),
            of("POST /requests/{id}/send", "requests:write", "Send again what did not arrive", self._send, MadeAnswer,
               body=Version),
            of("POST /requests/{id}/withdraw", "requests:write", "Take it back", self._withdraw, MadeAnswer,
               body=Version),
            of("GET /rights", "rights:read", "Who may call what", self._rights, list[HeldRight]),
            of("PUT /rights", "rights:write", "Give a right that nobody asked for", self._give, SignedAnswer,
               body=GivenRight),
            of("POST /rights/revoke", "rights:write", "Take a right away at once", self._revoke, SignedAnswer,
               body=RightOf),
            of("GET /nodes", "nodes:read", "The member's nodes, the own node's state, enrolments", self._nodes,
               NodesAnswer),
            of("POST /nodes/grants", "nodes:write", "Let a node enrol; its token, shown once", self._grant,
               TokenAnswer, body=NodeCode, status=201),
            of("POST /nodes/accept", "nodes:write", "Let an enrolled node speak", self._accept, SignedAnswer,
               body=NodeName),
            of("GET /exchanges", "exchanges:read", "The node's last exchanges", self._exchanges, listed),
            of("POST /search/exchanges", "exchanges:read", "Look through the logs of all nodes, page by page",
               self._look, LookedAnswer, body=Look),
            of("GET /exchanges/{message}", "exchanges:read", "What became of one", self._exchange, dict[str, Any]),
            of("GET /exchanges/{message}/receipt", "exchanges:read", "Its receipt", self._receipt, dict[str, Any]),
            *ai_actions(self._parts.ai),
            of("GET /people", "people:read", "Accounts and their roles", self._people, list[PersonAnswer]),
            of("GET /log", "log:read", "The newest acts of the admin log", self._log, list[ActAnswer]),
        ]  # fmt: skip

    def _handler(self, action: Action) -> Any:
        async def handle(request: Request, person: Person) -> Response:
            body = None if action.body is None else await read_json(request, action.body)
            parameters = {name: str(value) for name, value in request.path_params.items()}
            if action.run == self._log:  # the log belongs to the loop
                await self._parts.log.drain(self._parts.people.engine)
                return _told(self._log(person, parameters, body))
            found = await off_loop(lambda: action.run(person, parameters, body))
            return _told(found, status=action.status)

        return handle

    async def describe(self, _: Request) -> Response:
        """The description of this API."""
        return _told(description_of(self.actions, BASE))

    # Member ----------------------------------------------------------------------------------------------------------

    def _member(self, _: Person, __: dict[str, str], ___: Any) -> MemberAnswer:
        member, work = self._console.member, self._console.work
        file = FileAnswer.of(work.file().statement) if work.exists else None
        return MemberAnswer(step=member.step(), brought=work.brought, file=file)

    def _submit(self, person: Person, _: dict[str, str], __: Any) -> Any:
        return SignedAnswer.of(self._console.bring(person.actor))

    def _rotate(self, person: Person, _: dict[str, str], __: Any) -> Any:
        outcome = self._console.member.rotate_key(person.actor)
        return SignedAnswer.of(outcome, showcase=self._console.services.sign_again())

    # Services --------------------------------------------------------------------------------------------------------

    def _services(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return [ServiceAnswer.of(each) for each in self._console.services.services()]

    def _put(self, person: Person, _: dict[str, str], body: PutService) -> Any:
        description = None
        if body.openapi is not None and body.openapi_url is not None:
            raise Malformed("request.malformed", "one of openapi and openapi_url", at="caller")
        document = None if body.openapi is None else body.openapi.encode()
        if body.openapi_url is not None:
            document = self._console.services.fetched(body.openapi_url, person.actor)
        if document is not None:
            description = read_description(document)
            description.require_sound()
        published = self._console.services.put(
            ServiceId.parse(body.service), body.passport, person.actor, url=body.url, description=description
        )
        return SignedAnswer.of(published.outcome, showcase=published.showcase, lines=published.lines)

    def _notice(self, person: Person, _: dict[str, str], body: Notice) -> Any:
        service = ServiceId.parse(body.service)
        if body.notice is None:
            return SignedAnswer.of(self._console.services.enable(service, person.actor))
        return SignedAnswer.of(self._console.services.disable(service, body.notice, person.actor))

    def _plan(self, person: Person, _: dict[str, str], body: Plan) -> Any:
        published = self._console.plan(ServiceId.parse(body.service), body.maintenance, person.actor)
        return SignedAnswer.of(published.outcome, showcase=published.showcase)

    def _system(self, person: Person, _: dict[str, str], body: SystemForm) -> Any:
        return SignedAnswer.of(self._console.services.add_system(body.code, body.names, person.actor))

    # Access ----------------------------------------------------------------------------------------------------------

    def _received(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return [ReceivedAnswer.of(each) for each in self._console.requests.store.received()]

    def _one_received(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return ReceivedAnswer.of(self._console.requests.store.get(parameters["id"]))

    def _decide(self, person: Person, parameters: dict[str, str], body: Decision) -> Any:
        id_, by = parameters["id"], person.actor
        if sum(each is not None for each in (body.approve, body.refuse, body.revoke)) != 1:
            raise Malformed("request.malformed", "one of approve, refuse and revoke", at="caller")
        if body.approve is not None:
            decided = self._console.approve(id_, version=body.version, granted=body.approve, reason=None, by=by)
        elif body.refuse is not None:
            decided = self._console.refuse(id_, version=body.version, reason=body.refuse, by=by)
        else:
            decided = self._console.revoke(id_, version=body.version, reason=body.revoke or "", by=by)
        return DecidedAnswer.of(decided)

    def _made(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return [MadeAnswer.of(each) for each in self._console.requests.store.made()]

    def _one_made(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return MadeAnswer.of(self._console.requests.store.get_made(parameters["id"]))

    def _ask(self, person: Person, _: dict[str, str], body: AccessRequest) -> Any:
        return MadeAnswer.of(self._console.ask(body, person.actor))

    def _poll(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return MadeAnswer.of(self._console.poll(parameters["id"]))

    def _send(self, person: Person, parameters: dict[str, str], body: Version) -> Any:
        made = self._console.requests.send_again(parameters["id"], version=body.version, by=person.actor)
        return MadeAnswer.of(made)

    def _withdraw(self, person: Person, parameters: dict[str, str], body: Version) -> Any:
        return MadeAnswer.of(self._console.requests.withdraw(parameters["id"], version=body.version, by=person.actor))

    def _rights(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return self._console.member.rights()

    def _give(self, person: Person, _: dict[str, str], body: GivenRight) -> Any:
        return SignedAnswer.of(self._console.give(body, person.actor))

    def _revoke(self, person: Person, _: dict[str, str], body: RightOf) -> Any:
        service = ServiceId.parse(body.service)
        outcome = self._console.revoke_right(service, client=body.client, group=body.group, by=person.actor)
        return SignedAnswer.of(outcome)

    # Nodes -----------------------------------------------------------------------------------------------------------

    def _nodes(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        statement = self._console.work.file().statement
        own, grants = self._console.node_status(), self._console.member.grants()
        return NodesAnswer(nodes=statement.nodes, own=own, grants=tuple(grants))

    def _grant(self, person: Person, _: dict[str, str], body: NodeCode) -> Any:
        return TokenAnswer(token=self._console.member.grant_node(body.code, person.actor))

    def _accept(self, person: Person, _: dict[str, str], body: NodeName) -> Any:
        return SignedAnswer.of(self._console.member.accept_node(NodeId.parse(body.node), person.actor))

    def _exchanges(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return self._console.node.exchanges()

    def _look(self, _: Person, __: dict[str, str], body: Look) -> Any:
        return LookedAnswer.of(
            self._console.look(
                service=body.service, since=body.since, until=body.until, limit=body.limit, before=body.before
            )
        )

    def _exchange(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return self._console.node.outcome(parameters["message"])

    def _receipt(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return self._console.node.receipt(parameters["message"])

    # People ----------------------------------------------------------------------------------------------------------

    def _people(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return [PersonAnswer.of(account) for account in self._parts.people.accounts.all()]

    def _log(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return [ActAnswer.of(logged) for logged in self._parts.log.acts(limit=MOST_AT_ONCE)]


def _told(value: Any, *, status: int = 200) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, status_code=status, media_type="application/json", headers={"Cache-Control": "no-store"})
