"""The use cases of a member's console, for pages and API alike: who may do what, and what each thing does.

No HTTP here. Every change names its actor and is noted before it counts; roles and scopes stand in one table. The
parts: `desk_work` (signing), `publishing` (services), `membership` (joining, nodes, rights), `requests` (access).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine

from qaztech.core.errors import Conflict, Error, NotFound
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import Clock
from qaztech.member.access import AccessRequest, Granted, end_of_day
from qaztech.member.centre import Centre
from qaztech.member.desk_work import DeskWork, Outcome
from qaztech.member.exchanges import CarriedCall, EdgeCaller
from qaztech.member.given import GivenRight, GivenRights
from qaztech.member.granting import Granting
from qaztech.member.membership import Membership
from qaztech.member.nodes import Looked, MemberNodes
from qaztech.member.publishing import Published, Publishing
from qaztech.member.requests import OPEN, AccessRequests, Carried, Decided
from qaztech.member.store import AccessStore, Made
from qaztech.member.window import SendShowcase
from qaztech.people.actors import Actor
from qaztech.people.roles import RoleScopes
from qaztech.registry.catalogue import Catalogue
from qaztech.registry.desk import Submission
from qaztech.registry.maintenance import Maintenance

MINUTE = 60_000
LIMITS = "limits.json"
# What a client reads whose right was taken away without a word about its request.
TAKEN_AWAY = "The owner has taken the right away. Құқықты иесі қайтарып алды. Владелец отозвал право."
_READ = frozenset({
    "overview:read", "services:read", "access:read", "requests:read", "rights:read", "nodes:read", "exchanges:read",
    "member:read", "ai:read",
})  # fmt: skip
_DEVELOPER = _READ | {"requests:write", "ai-cards:write"}
_OWNER = _DEVELOPER | {"services:write", "access:write", "rights:write", "ai-service:write"}
# The one table of what each role may do.
CONSOLE_ROLES: RoleScopes = {
    "administrator": _OWNER
    | {"nodes:write", "member:write", "people:read", "people:write", "log:read", "ai-keys:write"},
    "service-owner": _OWNER,
    "developer": _DEVELOPER,
}


class Country(Protocol):
    """The verified catalogue of the country, for choosing a service to ask for."""

    def catalogue(self) -> Catalogue | None:
        """The newest view; None before there was one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are. `reserved` are URLs that no service may be at; `limits` a file the member's node reads.

    `fingerprint` is that of the country's anchor; `openapi_hosts` are those that OpenAPI documents may come from.
    """

    directory: Path
    registry: str
    instance: str
    node_settings: Path | None
    limits: Path | None
    reserved: tuple[str, ...]
    fingerprint: str = ""
    openapi_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for somebody: requests to decide, decisions to carry out, nodes to accept, versions to bring."""

    requests: int
    unpublished: int
    nodes: int
    unsent: bool


class Console:
    """One member's console. Methods block: call from a thread."""

    def __init__(
        self,
        *,
        places: Places,
        engine: Engine,
        node: MemberNodes,
        edge: EdgeCaller,
        submit: Callable[[Submission], None],
        send_showcase: SendShowcase,
        country: Country,
        clock: Clock,
        centre: Centre | None = None,
    ) -> None:
        self.places = places
        self.centre = centre
        self.node = node.of(self._own)
        self.country = country
        self.clock = clock
        self.work = DeskWork(
            directory=places.directory, engine=engine, submit=submit, tell=self.node.reload, clock=clock
        )  # fmt: skip
        self.services = Publishing(
            work=self.work, node_settings=places.node_settings, reserved=places.reserved, send=send_showcase,
            openapi_hosts=places.openapi_hosts,
        )  # fmt: skip
        self.member = Membership(
            work=self.work, registry=places.registry, instance=places.instance, fingerprint=places.fingerprint
        )
        self.given = GivenRights(self.work)
        self._engine = engine
        self._edge = edge
        self._requests: AccessRequests | None = None

    @property
    def requests(self) -> AccessRequests:
        """Requests for access, received and made. Raises `NotFound` before there is a member key."""
        if self._requests is None:
            file = self.work.file()
            granting = Granting(
                directory=self.places.directory, submit=self.work.send, tell=self.node.reload,
                limits=self.places.limits, clock=self.clock, given=self.given.limits,
            )  # fmt: skip
            store = AccessStore(self._engine, file.member, self.clock)
            self._requests = AccessRequests(store=store, granting=granting, edge=self._edge, clock=self.clock)
        return self._requests

    # Access ---------------------------------------------------------------------------------------------------------

    def approve(self, id_: str, *, version: int, granted: Granted, reason: str | None, by: Actor) -> Decided:
        """Give access as decided."""
        with self.work.alone():
            return self.requests.approve(id_, version=version, granted=granted, reason=reason, by=by)

    def refuse(self, id_: str, *, version: int, reason: str, by: Actor) -> Decided:
        """Say no."""
        return self.requests.refuse(id_, version=version, reason=reason, by=by)

    def revoke(self, id_: str, *, version: int, reason: str, by: Actor) -> Decided:
        """Take access away that a request had given."""
        with self.work.alone():
            return self.requests.revoke(id_, version=version, reason=reason, by=by)

    def plan(self, service: ServiceId, maintenance: Maintenance | None, by: Actor) -> Published:
        """Maintenance of a service by timetable, or none of it any more: signed, shown, and told to the node.

        Raises `Malformed`, `NotFound`, or `Conflict` where the node reads no file that could tell it.
        """
        if self.places.limits is None:
            raise Conflict(
                "console.no-limits", "the node reads no file of limits from here; switch the service off by hand",
                at="caller",
            )  # fmt: skip
        with self.work.alone():
            published = self.services.plan(service, maintenance, by)
            told = self.requests.tell_limits()
        return replace(published, outcome=replace(published.outcome, node=told))

    def give(self, given: GivenRight, by: Actor) -> Outcome:
        """A right that nobody asked for, in place of any the client had. Raises `Malformed`, `NotFound`, `Conflict`."""
        given.check(self.clock.now())
        service, client, terms = ServiceId.parse(given.service), SubsystemId.parse(given.client), given.terms
        with self.work.alone():
            self.services.service(service)
            if any(one.state == "approved" for one in self.requests.store.of_pair(service, client)):
                raise Conflict("access.requested", "the client has access by a request; decide on that", at="caller")
            outcome = self.member.grant(
                service, client, lineage=given.lineage, endpoints=[Endpoint.parse(text) for text in terms.endpoints],
                until=None if terms.until is None else end_of_day(terms.until), by=by,
            )  # fmt: skip
            self.given.put(given)
            told = self.requests.tell_limits()
        return replace(outcome, node=outcome.node or told)

    def revoke_right(self, service: ServiceId, *, client: str | None, group: str | None, by: Actor) -> Outcome:
        """Take a right away at once; requests that gave it are revoked with it, so that it does not come back."""
        with self.work.alone():
            approved = self.requests.store.of_pair(service, client) if client is not None else []
            approved = [one for one in approved if one.state == "approved"]
            if client is not None and (str(service), client) in self.given.all():
                self.given.drop(str(service), client)
                self.requests.tell_limits()
            for one in approved:
                self.requests.revoke(one.id, version=one.version, reason=TAKEN_AWAY, by=by)
            if approved and not any(right.client == client for right in self.member.rights(service)):
                return Outcome(version=self.work.file().version, node=self.work.tell())
            return self.member.revoke(service, client=client, group=group, by=by)

    def carry_out(self) -> Carried:
        """Take up what was decided and could not be carried out."""
        with self.work.alone():
            return self.requests.publish()

    def ask(self, request: AccessRequest, by: Actor) -> Made:
        """Ask another member for access."""
        return self.requests.ask(request, by)

    def poll(self, id_: str) -> Made:
        """Ask a provider how a request stands; who asks at the same moment hears the same."""
        try:
            return self.requests.poll(id_)
        except Conflict as exc:
            if exc.code != "access.changed":
                raise
            return self.requests.store.get_made(id_)

    def follow(self) -> None:
        """What is to be done now and then: decisions not carried out yet, answers to our requests."""
        if not self.work.exists:
            return
        if self.requests.store.unpublished():
            self.carry_out()
        if self.work.is_late:
            self.work.bring()
        now = self.clock.now()
        for made in self.requests.store.made():
            if made.state in OPEN and now - (made.asked or 0) >= _patience(made, now):
                self.poll(made.id)

    # By exchange ------------------------------------------------------------------------------------------------------

    def receive(self, body: bytes, call: CarriedCall) -> Any:
        """A request of another member."""
        return self.requests.receive(body, call)

    def standing(self, id_: str, call: CarriedCall) -> Any:
        """How a request stands."""
        return self.requests.standing(id_, call)

    def withdrawn(self, id_: str, call: CarriedCall) -> Any:
        """Its maker takes it back."""
        return self.requests.withdrawn(id_, call)

    # Overview ---------------------------------------------------------------------------------------------------------

    def waiting(self) -> Waiting:
        """What waits for somebody here."""
        received = self.requests.store.received()
        version = self.work.file().version
        return Waiting(
            requests=sum(one.state == "submitted" for one in received),
            unpublished=len(self.requests.store.unpublished()),
            nodes=sum(grant.enrolled and not grant.accepted for grant in self.member.grants()),
            unsent=0 < self.work.brought < version,
        )

    def suggested(self, query: str, limit: int = 20) -> Sequence[ServiceId]:
        """Services of others in the verified catalogue whose names or identifier hold these words."""
        catalogue = self.country.catalogue()
        if catalogue is None:
            return ()
        own = self.work.file().member
        words = query.casefold().split()
        found = []
        for service in catalogue.services.values():
            names = service.shown_names
            text = f"{service.id} {names.kk} {names.ru} {names.en}".casefold()
            if service.id.subsystem.member != own and all(word in text for word in words):
                found.append(service.id)
                if len(found) >= limit:
                    break
        return found

    def _own(self) -> str | None:
        """The member's id; None before it has a key."""
        return str(self.work.file().member) if self.work.exists else None

    def node_status(self) -> dict[str, Any] | None:
        """The node's state; None where it does not answer, or is another member's."""
        return self.node_seen()[0]

    def node_seen(self) -> tuple[dict[str, Any] | None, str]:
        """The node's state, or None; and where the node is that serves another member, or nothing."""
        try:
            return self.node.status(), ""
        except Error as exc:
            return None, self.node.first if exc.code == "console.node-other" else ""

    def look(
        self, *, service: str = "", since: int | None = None, until: int | None = None, limit: int = 50,
        before: str = "",
    ) -> Looked:  # fmt: skip
        """The member's own exchanges in the logs of its nodes, page by page. Raises `Malformed`, `Unavailable`."""
        member = str(self.work.file().member)
        return self.node.search(member=member, service=service, since=since, until=until, limit=limit, before=before)

    def bring(self, by: Actor) -> Outcome:
        """Bring the newest file to the registry once more."""
        if not self.work.exists:
            raise NotFound("console.no-desk", "the organisation has no member key here yet", at="caller")
        self.work.note(by, "member.submit", str(self.work.file().member))
        return self.work.bring()


def _patience(made: Made, now: int) -> int:
    """How long to wait before a provider is asked again: each time is an exchange, on record on both sides."""
    if made.state == "approved":
        return 10 * MINUTE
    return min(max((now - made.time) // 20, MINUTE // 6), 60 * MINUTE)
